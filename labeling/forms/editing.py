"""A form while an admin changes it: fields as text, as they were typed, and one step of changing them. Pure.

What was typed may make no form yet; `definition_in` gives it as it stands, for `definition.read_definition` to judge.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from labeling.forms.definition import FIELDS, LOWEST_RATING, MOST_FIELDS, NAME, RATING

PARTS = {"completion": _("of each completion"), "prompt": _("of the prompt")}
KINDS = {"scale": _("Scale"), "flag": _("Flag"), "choice": _("Choice"), "text": _("Text")}
TEXTS = ("name", "label", "key", "low", "high", "low_label", "high_label", "options", "max_characters")
STEP = re.compile(r"(add|up|down|remove)-(completion|prompt)-(scale|flag|choice|text|\d{1,2})")


@dataclass(frozen=True)
class Row:
    """One field as typed. `options` has a line "value: label" for each."""

    kind: str
    required: bool = False
    name: str = ""
    label: str = ""
    key: str = ""
    low: str = ""
    high: str = ""
    low_label: str = ""
    high_label: str = ""
    options: str = ""
    max_characters: str = ""


@dataclass(frozen=True)
class Draft:
    """A form being changed. `touched` is the row that the last step was about, where the page puts the focus."""

    order: str
    completion: list[Row] = field(default_factory=list)
    prompt: list[Row] = field(default_factory=list)
    touched: tuple[str, int] | None = None


def draft_of(definition: dict) -> Draft:
    """A definition as it is typed."""
    return Draft(definition["order"], *([_row(each) for each in definition[part]] for part in PARTS))


def _row(given: dict) -> Row:
    texts = {name: str(given[name]) for name in TEXTS if name in given and name != "options"}
    if given["kind"] == "choice":
        texts["options"] = "\n".join(f"{option['value']}: {option['label']}" for option in given["options"])
    return Row(kind=given["kind"], required=given.get("required", False), **texts)


def read_draft(posted: QueryDict) -> Draft:
    """What the page's form says; fields are PART-NUMBER-NAME, as many as PART-count says. Unknown kinds are passed."""
    rows: dict[str, list[Row]] = {}
    for part in PARTS:
        count = posted.get(f"{part}-count", "")
        number = min(int(count), MOST_FIELDS + 1) if re.fullmatch(r"\d{1,3}", count, re.ASCII) else 0
        rows[part] = []
        for index in range(number):
            given = {name: posted.get(f"{part}-{index}-{name}", "").replace("\r\n", "\n") for name in TEXTS}
            kind = posted.get(f"{part}-{index}-kind", "")
            if kind in KINDS:
                rows[part].append(Row(kind=kind, required=f"{part}-{index}-required" in posted, **given))
    return Draft(posted.get("order", "ranks"), **rows)


def step(draft: Draft, do: str) -> Draft:
    """`draft` after one button: add-PART-KIND, up-PART-NUMBER, down-…, remove-…. Unchanged by any other."""
    found = STEP.fullmatch(do)
    if not found:
        return draft
    action, part, about = found.groups()
    rows = list(getattr(draft, part))
    if action == "add":
        if about not in KINDS or len(rows) >= MOST_FIELDS:
            return draft
        starts = {"scale": {"low": "1", "high": "7"}, "text": {"max_characters": "1000"}}
        rows.append(Row(kind=about, **starts.get(about, {})))
        return replace(draft, **{part: rows}, touched=(part, len(rows) - 1))
    place = int(about) if about.isdigit() else len(rows)
    if place >= len(rows):
        return draft
    row = rows.pop(place)
    if action != "remove":
        place = max(0, min(len(rows), place + (1 if action == "down" else -1)))
        rows.insert(place, row)
    return replace(draft, **{part: rows}, touched=(part, min(place, len(rows) - 1)))


def definition_in(draft: Draft) -> dict[str, Any]:
    """The draft as a definition, read by nobody yet. A field without a name gets one from its label."""
    definition: dict[str, Any] = {"order": draft.order}
    for part in PARTS:
        rows = getattr(draft, part)
        names = {row.name for row in rows}
        definition[part] = []
        for row in rows:
            name = row.name.strip() or _name_from(row.label, names)
            names.add(name)
            definition[part].append(_field(row, name))
    return definition


def _field(row: Row, name: str) -> dict[str, Any]:
    given: dict[str, Any] = {"kind": row.kind, "name": name, "label": row.label}
    asked = FIELDS[row.kind]
    if "required" in asked:
        given["required"] = row.required
    for text in ("low_label", "high_label"):
        if text in asked:
            given[text] = getattr(row, text)
    for number in ("low", "high", "max_characters"):
        if number in asked:
            given[number] = _number(getattr(row, number))
    if "key" in asked:
        given["key"] = row.key.strip().lower()
    if "options" in asked:
        given["options"] = _options(row.options)
    return given


def _options(text: str) -> list[dict[str, str]]:
    """A line each: "value: label", or a label alone, from which its value is made."""
    options: list[dict[str, str]] = []
    for line in filter(None, map(str.strip, text.split("\n"))):
        value, colon, label = (part.strip() for part in line.partition(":"))
        if not colon or not NAME.fullmatch(value):
            value, label = _name_from(line, {option["value"] for option in options}), line
        options.append({"value": value, "label": label})
    return options


def _number(text: str) -> int | str:
    text = text.strip()
    return int(text) if re.fullmatch(r"-?\d{1,6}", text, re.ASCII) else text


def _name_from(label: str, taken: set[str]) -> str:
    """Small letters, digits and _ of `label`, and a number where that is taken; "field" where nothing is left."""
    name = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_").lstrip("0123456789_")[:36] or "field"
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def where_on_page(sentence: str) -> str:
    """A refusal's sentence with fields counted as on the page: from 1, "of each completion" or "of the prompt"."""
    return re.sub(
        r"\b(completion|prompt)\[(\d+)\](?:\.(\w+))?",
        lambda found: (
            gettext("Field {number} {part}").format(number=int(found[2]) + 1, part=PARTS[found[1]])
            + (f", {found[3].replace('_', ' ')}," if found[3] else "")
        ),
        sentence,
    )


def with_steps(definition: dict) -> dict:
    """A definition whose scales have `steps`, for templates to show."""
    return definition | {
        part: [
            each | {"steps": range(each["low"], each["high"] + 1)} if each["kind"] == "scale" else each
            for each in definition[part]
        ]
        for part in PARTS
    }


# What a form that is begun from nothing asks.
BLANK = Draft(
    "ranks",
    [
        Row(
            kind="scale",
            required=True,
            name=RATING,
            label="How good is it, taken alone?",
            low=str(LOWEST_RATING),
            high="7",
            low_label="useless or harmful",
            high_label="just what was wanted",
        )
    ],
)
