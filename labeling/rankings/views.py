"""What the pages of a ranking task need; `labeling.leasing.views` renders them."""

from __future__ import annotations

from django.http import QueryDict

from labeling.forms.definition import RATING
from labeling.forms.queries import default_definition
from labeling.forms.wording import form_in_language
from labeling.leasing.answers import form_head, form_number, form_text
from labeling.leasing.kinds import Kind
from labeling.leasing.models import Lease
from labeling.rankings.models import Ranking
from labeling.rankings.queries import content_of, rankings_of
from labeling.rankings.services import STRENGTHS, form_of, submit_to

# Completions that the keyboard ranks; the blank of a completion has a rank for each.
MOST_RANKS = 9
# Stands for a completion's id in the blank (static/js/shell.js).
BLANK = "__id__"


def read_form(fields: QueryDict, lease: Lease) -> dict:
    """The submit body that the form's fields say: rank-<id>, rating-<id>, flag-<id>, value-<id>-<field>, prompt-flag,
    prompt-<field>, strength, outcome and note."""
    form = form_of(lease)
    outcome = fields.get("outcome") or Ranking.Outcome.RANKED
    completions = [
        {
            "id": shown,
            "rank": form_number(fields, f"rank-{shown}"),
            "rating": form_number(fields, f"rating-{shown}"),
            "flags": fields.getlist(f"flag-{shown}"),
            "values": _values(fields, form["completion"], f"value-{shown}-"),
        }
        for shown in lease.order_shown
    ]
    body = {
        **form_head(fields),
        "outcome": outcome,
        "completions": completions,
        "prompt": {"flags": fields.getlist("prompt-flag"), "values": _values(fields, form["prompt"], "prompt-")},
        "note": form_text(fields, "note"),
    }
    if form["order"] == "strength":
        body["strength"] = form_number(fields, "strength") if outcome == Ranking.Outcome.RANKED else None
    return body


def _values(fields: QueryDict, asked: list[dict], prefix: str) -> dict:
    read = {"scale": form_number, "choice": form_text, "text": form_text}
    return {
        field["name"]: read[field["kind"]](fields, prefix + field["name"])
        for field in asked
        if field["kind"] != "flag" and field["name"] != RATING
    }


def context(lease: Lease) -> dict:
    form = form_in_language(form_of(lease))
    fields = [_with_steps(field) for field in form["completion"]]
    scales = [field for field in fields if field["kind"] == "scale"]
    count = len(lease.order_shown)
    return {
        "order": form["order"],
        "scales": scales,
        "flags": [field for field in fields if field["kind"] == "flag"],
        "more_fields": [field for field in fields if field["kind"] in ("choice", "text")],
        "prompt_fields": [_with_steps(field) for field in form["prompt"]],
        "ranks": range(1, count + 1),
        "all_ranks": range(1, max(count, MOST_RANKS) + 1),
        "strengths": STRENGTHS,
        "blank": {"id": BLANK, "text": ""},
    }


def _with_steps(field: dict) -> dict:
    """A scale with its steps and the digit of each: its value, or where those are no digits its place from 1."""
    if field["kind"] != "scale":
        return field
    low, high = field["low"], field["high"]
    digits = low >= 0 and high <= 9
    return field | {
        "steps": [{"value": value, "key": value if digits else value - low + 1} for value in range(low, high + 1)]
    }


def answer_context(ranking: Ranking) -> dict:
    """An answer in the words of the form it was given under."""
    form = form_in_language(ranking.form_version.definition if ranking.form_version else default_definition())
    return {
        "order": form["order"],
        "judged": sorted(
            (
                {
                    "id": str(judgment.completion_id),
                    "rank": judgment.rank,
                    "said": _said(form["completion"], judgment.flags, {RATING: judgment.rating, **judgment.values}),
                }
                for judgment in ranking.judgments.all()
            ),
            key=lambda entry: (entry["rank"] or 0, ranking.order_shown.index(entry["id"])),
        ),
        "about_prompt": _said(
            form["prompt"], ranking.prompt_fields.get("flags", []), ranking.prompt_fields.get("values", {})
        ),
    }


def _said(fields: list[dict], flags: list[str], values: dict) -> list[dict]:
    """What was said, field by field: its label, and its value in words where it has one."""
    said = []
    for field in fields:
        value = values.get(field["name"])
        if field["kind"] == "flag":
            if field["name"] in flags:
                said.append({"label": field["label"], "value": None, "flag": True})
        elif value is not None:
            if field["kind"] == "choice":
                value = next((option["label"] for option in field["options"] if option["value"] == value), value)
            if field["kind"] == "scale":
                value = f"{value} ({field['low']}–{field['high']})"
            said.append({"label": field["label"], "value": value, "flag": False})
    return said


KIND = Kind(
    submit=submit_to,
    answers=rankings_of,
    content=content_of,
    read_form=read_form,
    context=context,
    answer_context=answer_context,
    task_template="rankings/task.html",
    answer_template="rankings/answer.html",
    given_template="rankings/_given.html",
)
