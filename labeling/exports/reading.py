"""Answers read for an export: streamed from a server-side cursor, a chunk of rankings at a time with what they said.

Plain tuples and three queries a chunk, no models: a million rankings of six completions are six million judgments, and
making an object of each would take most of the time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast

from labeling.exports.lines import Tally
from labeling.governance.outputs import NOTHING, OutputGate, known_words
from labeling.rankings.models import Judgment
from labeling.sampling.models import Completion, Provenance

# Rows fetched from the server-side cursor at a time: what memory holds, whatever the size of the data set.
CHUNK = 1000
# Completions that are remembered: one comes back with each labeler that ranked it.
REMEMBERED = 20_000


class Answer(NamedTuple):
    """What rows of rankings and of demonstrations have in common, as `FIELDS` reads it."""

    id: str
    reason: str
    labeler: int
    group: str
    origin: str
    created_at: datetime
    guideline: int | None
    batch: str
    prompt: str
    messages_json: str
    use_case: str
    use_case_of_people: str | None
    source: str
    split: str
    strategy: str
    probability: float | None

    @property
    def messages(self) -> list[dict]:
        return json.loads(self.messages_json)


FIELDS = (
    Cast("pk", TextField()),
    "reason",
    "labeler_id",
    "group",
    "origin",
    "created_at",
    "lease__guideline__number",
    "task__batch__name",
    Cast("task__item__prompt_id", TextField()),
    Cast("task__item__prompt__messages", TextField()),
    "task__item__prompt__use_case",
    "task__item__prompt__use_case_standing__use_case",
    "task__item__prompt__source__name",
    "task__item__prompt__source_user__split",
    "task__item__strategy",
    "task__item__probability",
)
# Of a ranking besides. JSON as text: it is read where there is something in it, and most rankings say nothing more.
RANKING_FIELDS = (
    Cast("task_id", TextField()),
    "outcome",
    Cast("order_shown", TextField()),
    Cast("order_ranked", TextField()),
    "strength",
    Cast("same", TextField()),
    "by_ratings",
    Cast("prompt_fields", TextField()),
    "form_version__form__name",
    "form_version__number",
    "adjudicates",
)


class Judged(NamedTuple):
    """What was said of one completion. `flags` and `values` are JSON text."""

    completion: str
    rank: int | None
    rating: int | None
    flags: str
    values: str


class Given:
    """One ranking with all that it said."""

    __slots__ = ("answer", "task", "outcome", "said", "judged", "texts")

    def __init__(self, fields: tuple) -> None:
        self.answer = Answer._make(fields[: len(FIELDS)])
        self.task, self.outcome, *self.said = fields[len(FIELDS) :]
        self.judged: list[Judged] = []
        self.texts: dict[str, dict | None] = {}

    @property
    def order_shown(self) -> list[str]:
        return json.loads(self.said[0])

    def besides(self) -> dict[str, Any]:
        """What it says beyond ranks and flags, where it says it."""
        _shown, order_ranked, strength, same, by_ratings, fields, form, number, adjudicates = self.said
        besides: dict[str, Any] = {}
        if order_ranked != "[]":
            besides["order_ranked"] = json.loads(order_ranked)
        if strength:
            besides["strength"] = strength
        if same != "[]":
            besides["same"] = json.loads(same)
        if by_ratings:
            besides["by_ratings"] = True
        if fields != "{}":
            about = json.loads(fields)
            besides |= {f"prompt_{name}": value for name in ("flags", "values") if (value := about.get(name))}
        if form:
            besides["form"] = {"name": form, "number": number}
        if adjudicates:
            besides["adjudicates"] = True
        return besides


def read_answers(answers: QuerySet, more: Sequence[str], tally: Tally) -> Iterator[tuple]:
    """(FIELDS, `more`) of the answers without a `reason` against them, in the order of the queryset, streamed.

    The others are counted on the way: a count beforehand would look for every reason twice.
    """
    for fields in answers.values_list(*FIELDS, *more).iterator(chunk_size=CHUNK):
        if fields[1]:
            tally.exclusions[fields[1]] += 1
        else:
            yield fields


def read_rankings(rankings: QuerySet, texts: Texts, tally: Tally) -> Iterator[list[Given]]:
    """Chunks of rankings with their judgments, each by completion id, and what they are about known to `texts`."""
    for some in chunks(map(Given, read_answers(rankings, RANKING_FIELDS, tally)), CHUNK):
        by_id = {given.answer.id: given for given in some}
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT ranking_id::text, completion_id::text, rank, rating, flags::text, values::text "
                f"FROM {Judgment._meta.db_table} WHERE ranking_id = ANY(%s::uuid[])",
                [list(by_id)],
            )
            for fields in cursor.fetchall():
                by_id[fields[0]].judged.append(Judged._make(fields[1:]))
        for given in some:
            given.judged.sort()
        texts.load(some)
        yield some


def chunks(things: Iterable, size: int) -> Iterator[list]:
    remaining = iter(things)
    while some := list(islice(remaining, size)):
        yield some


class Texts:
    """What rows say of completions, whoever ranked them: those that may leave, by id; None for one that may not."""

    def __init__(self, gate: OutputGate) -> None:
        self.gate = gate
        self.known: dict[str, dict | None] = {}

    def load(self, some: list[Given]) -> None:
        """Read the completions of a chunk of rankings, those that are new by one query."""
        if len(self.known) > REMEMBERED:
            self.known = {}  # those who were given the old one keep it
        known = self.known
        missing = {}
        for given in some:
            given.texts = known
            for judged in given.judged:
                if judged.completion not in known:
                    missing[judged.completion] = given
        if not missing:
            return
        with connection.cursor() as cursor:
            wanted = list(missing)
            cursor.execute(
                f"SELECT id::text, text, probability FROM {Completion._meta.db_table} WHERE id = ANY(%s::uuid[])",
                [wanted],
            )
            found = cursor.fetchall()
            cursor.execute(
                f"SELECT completion_id::text, model FROM {Provenance._meta.db_table} "
                "WHERE completion_id = ANY(%s::uuid[]) ORDER BY id",
                [wanted],
            )
            models: dict[str, list[str]] = {}
            for pk, model in cursor.fetchall():
                models.setdefault(pk, []).append(model)
        words = known_words({given.answer.prompt for given in missing.values()})
        about = [missing[pk].answer for pk, *_rest in found]
        outputs = self.gate.pass_each(
            [
                (text, answer.split, words.get(answer.prompt, NOTHING))
                for answer, (_id, text, _probability) in zip(about, found, strict=True)
            ]
        )
        for (pk, _text, probability), passed in zip(found, outputs, strict=True):
            made = models.get(pk, [])
            known[pk] = (
                None
                if passed is None
                else {
                    "id": pk,
                    "text": passed,
                    # Two models may have written the same text; both are named.
                    "model": made[0] if len(made) == 1 else ", ".join(dict.fromkeys(made)),
                    "duplicates": max(0, len(made) - 1),
                    # Of one that was drawn from an older batch's, not sampled for this one.
                    **({"probability": probability} if probability is not None else {}),
                }
            )

    def entries(self, given: Given, tally: Tally) -> list[dict]:
        """What a row says of each completion of a ranking that may leave."""
        entries = []
        for judged in given.judged:
            completion = given.texts[judged.completion]
            if completion is None:
                tally.exclusions["completions_with_personal_data"] += 1
                continue
            entry = {
                **completion,
                "rank": judged.rank,
                "rating": judged.rating,
                "flags": [] if judged.flags == "[]" else json.loads(judged.flags),
            }
            if judged.values != "{}" and (values := self.values(json.loads(judged.values), given.answer)):
                entry["values"] = values
            entries.append(entry)
        return entries

    def values(self, values: dict, answer: Answer) -> dict:
        """Answers to the fields of a form, without words of a labeler's own that may not leave."""
        words = {name: value for name, value in values.items() if isinstance(value, str)}
        if not words:
            return values
        passed = {name: self.gate.pass_text(value, split=answer.split) for name, value in words.items()}
        return {name: passed.get(name, value) for name, value in values.items() if passed.get(name, value) is not None}


def utc(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="microseconds")
