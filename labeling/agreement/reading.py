"""Rankings out of the database as arrays: one server-side stream of numbers, a chunk of whole prompts in memory.

PostgreSQL sends every judgment as one row of fixed width (COPY, binary), which numpy reads without making a Python
object of any of its fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from django.db import connection

from labeling.agreement.pairs import HELD_OUT, SIMULATED, TRAINING, Judged
from labeling.intake.models import UseCase
from labeling.people.models import User

CHUNK = 16 * 2**20  # bytes of rows at a time
GROUPS = {User.Group.TRAINING: TRAINING, User.Group.HELD_OUT: HELD_OUT, User.Group.SIMULATED: SIMULATED}
USE_CASES = ("", *UseCase.values)
MONDAY = "1970-01-05"  # of week 0
FIELDS = {
    "prompt": "V16",
    "task": ">i8",
    "part": ">i8",  # of a task, where its rankings are not all compared with each other
    "group": ">i2",
    "labeler": ">i8",
    "week": ">i4",
    "use_case": ">i2",
    "form": ">i8",
    "prompt_flags": ">i8",
    "completion": "V16",
    "rank": ">i2",
    "rating": ">i2",
    "flags": ">i8",
}
# Each row begins with its number of fields, each field with its length.
ROW = np.dtype(
    [("fields", ">i2")] + [each for name, kind in FIELDS.items() for each in ((f"{name}_", ">i4"), (name, kind))]
)
HEADER, TRAILER = 19, 2  # bytes around all rows

ANSWERS = """
    SELECT ranking.id, ranking.task_id, ranking.labeler_id, ranking.created_at, ranking.outcome,
           ranking.form_version_id, ranking.prompt_fields,
           array_position(ARRAY['training', 'held_out', 'simulated', 'researcher'], ranking."group"::text) - 1 AS side,
           task.item_id, item.prompt_id, item.batch_id, batch.repeat_of_id,
           array_position(%(use_cases)s::text[], prompt.use_case::text) - 1 AS use_case
    FROM labeling_ranking ranking
    JOIN labeling_task task ON task.id = ranking.task_id
    JOIN labeling_batchitem item ON item.id = task.item_id
    JOIN labeling_batch batch ON batch.id = item.batch_id
    JOIN labeling_prompt prompt ON prompt.id = item.prompt_id
    WHERE NOT EXISTS (SELECT FROM labeling_ranking newer WHERE newer.replaces_id = ranking.id)
      AND NOT ranking.adjudicates
      AND ranking."group" <> 'applicant'
      AND (%(simulated)s OR ranking."group" <> 'simulated')
      AND (%(group)s = '' OR ranking."group" = %(group)s)
      AND {where}
"""
# `people.queries.not_proven`, turned round.
PROVEN = """
    NOT EXISTS (
        SELECT FROM labeling_user newcomer
        WHERE newcomer.id = ranking.labeler_id AND newcomer.onboarding NOT IN ('', 'passed')
            AND ranking.created_at >= newcomer.onboarding_at
    )
"""
NUMBERS = """
    (date_trunc('week', answer.created_at AT TIME ZONE %(zone)s)::date - %(monday)s::date) / 7,
    answer.use_case::int2,
    coalesce(answer.form_version_id, 0)::int8,
    {prompt_flags},
    {completion},
    CASE answer.outcome WHEN 'ranked' THEN coalesce(judgment.rank, 0) ELSE 0 END::int2,
    coalesce(judgment.rating, 0)::int2,
    {flags}
"""
# Those who had the same task. Repeats are no further opinion of the same people, and stand alone when asked for.
BETWEEN = """
    SELECT answer.prompt_id, answer.item_id::int8, 0::int8, answer.side::int2, answer.labeler_id::int8, {numbers}
    FROM (
        SELECT * FROM (
            SELECT every.*, count(*) OVER (PARTITION BY every.prompt_id, every.item_id) AS answers
            FROM ({answers}) every
        ) counted WHERE answers > 1
    ) answer
    -- OFFSET 0: one look at the index for each answer, in the order of answers. Sorting all judgments takes longer, and
    -- nothing could be sent before its end.
    CROSS JOIN LATERAL (
        SELECT completion_id, rank, rating, flags FROM labeling_judgment WHERE ranking_id = answer.id OFFSET 0
    ) judgment
    ORDER BY answer.prompt_id, answer.item_id, answer.side, answer.labeler_id
"""
# One labeler's two answers to one prompt, the first as labeler 0 and the repeat as labeler 1. Completions were copied
# for the repeat: their text says which is which.
WITHIN = """
    WITH answer AS MATERIALIZED ({answers}), both_times AS (
        SELECT again.item_id AS task, again.labeler_id AS part, again.side AS group_of_pair, first.*, 0 AS time
        FROM answer again JOIN answer first ON first.batch_id = again.repeat_of_id
            AND first.prompt_id = again.prompt_id AND first.labeler_id = again.labeler_id
        UNION ALL
        SELECT again.item_id, again.labeler_id, again.side, again.*, 1
        FROM answer again JOIN answer first ON first.batch_id = again.repeat_of_id
            AND first.prompt_id = again.prompt_id AND first.labeler_id = again.labeler_id
    )
    SELECT answer.prompt_id, answer.task::int8, answer.part::int8, answer.group_of_pair::int2, answer.time::int8,
           {numbers}
    FROM both_times answer
    JOIN labeling_judgment judgment ON judgment.ranking_id = answer.id
    JOIN labeling_completion completion ON completion.id = judgment.completion_id
    ORDER BY 1, 2, 3, 4, 5, completion.text_sha256
"""


@dataclass(frozen=True)
class Chosen:
    """Which answers are compared."""

    batch: int | None = None
    group: str = ""
    simulated: bool = False
    newcomers: bool = False  # whether those of people whose onboarding is not passed are
    zone: str = "UTC"  # in which a week begins


@dataclass(frozen=True)
class Flags:
    """The flags that forms ask for, each a bit: those of completions first, then those of the prompt."""

    completion: tuple[str, ...]
    prompt: tuple[str, ...]
    forms: np.ndarray  # (V,) ids of form versions, sorted
    asked: np.ndarray  # (V,) bits asked of completions
    prompt_asked: np.ndarray  # (V,) and of the prompt

    MOST = 62  # bits of a number

    @property
    def names(self) -> list[str]:
        return [*self.completion, *(f"prompt:{name}" for name in self.prompt)]


def flags_of(definitions: dict[int, dict]) -> Flags:
    """The flags of form versions, id → definition. Beyond 62 different ones, those that few forms ask are left out."""
    asked: dict[tuple[str, str], int] = {}
    for definition in definitions.values():
        for part in ("completion", "prompt"):
            for field in definition[part]:
                if field["kind"] == "flag":
                    asked[part, field["name"]] = asked.get((part, field["name"]), 0) + 1
    kept = sorted(asked, key=lambda name: (-asked[name], name))[: Flags.MOST]
    names = {part: tuple(sorted(name for where, name in kept if where == part)) for part in ("completion", "prompt")}
    bits = {("completion", name): number for number, name in enumerate(names["completion"])}
    bits |= {("prompt", name): number for number, name in enumerate(names["prompt"], len(bits))}

    def mask(definition: dict, part: str) -> int:
        fields = {field["name"] for field in definition[part] if field["kind"] == "flag"}
        return sum(1 << bits[part, name] for name in fields if (part, name) in bits)

    forms = sorted(definitions)
    return Flags(
        completion=names["completion"],
        prompt=names["prompt"],
        forms=np.array(forms, np.int64),
        asked=np.array([mask(definitions[form], "completion") for form in forms], np.int64),
        prompt_asked=np.array([mask(definitions[form], "prompt") for form in forms], np.int64),
    )


def between_labelers(chosen: Chosen, flags: Flags) -> Iterator[Judged]:
    """The answers of all who had the same task."""
    where = "item.batch_id = %(batch)s" if chosen.batch else "batch.repeat_of_id IS NULL"
    return _judged(_rows(BETWEEN, where, "judgment.completion_id", chosen, flags), flags)


def within_labelers(chosen: Chosen, flags: Flags) -> Iterator[Judged]:
    """The answers of those who had the same prompt again in a planned repeat: labeler 0 is their first answer, 1 their
    second, and the part of a task says whose."""
    repeats = "repeat_of_id IS NOT NULL"
    if chosen.batch:
        repeats += " AND %(batch)s IN (id, repeat_of_id)"
    where = f"""item.batch_id IN (
        SELECT unnest(ARRAY[id, repeat_of_id]) FROM labeling_batch WHERE {repeats}
    )"""
    return _judged(_rows(WITHIN, where, "left(completion.text_sha256, 32)::uuid", chosen, flags), flags)


def _rows(statement: str, where: str, completion: str, chosen: Chosen, flags: Flags) -> Iterator[np.ndarray]:
    """The rows of the statement, some whole prompts at a time."""
    values: dict[str, object] = {
        "use_cases": list(USE_CASES),
        "simulated": chosen.simulated or chosen.group == User.Group.SIMULATED,
        "group": chosen.group,
        "batch": chosen.batch,
        "zone": chosen.zone,
        "monday": MONDAY,
    }
    numbers = NUMBERS.format(
        completion=completion,
        flags=_mask("judgment.flags", flags.completion, 0, values),
        prompt_flags=_mask("answer.prompt_fields -> 'flags'", flags.prompt, len(flags.completion), values),
    )
    if not chosen.newcomers:
        where = f"{where} AND {PROVEN}"
    query = statement.format(answers=ANSWERS.format(where=where), numbers=numbers)
    with connection.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT BINARY)", values) as copy:
        kept, parts, size = b"", [], -HEADER
        for part in copy:
            parts.append(bytes(part))
            size += len(part)
            if size >= CHUNK:
                rows, kept, parts, size = *_whole_prompts(kept, parts), [], 0
                if len(rows):
                    yield rows
        rows = _read(kept, parts, last=True)
        if len(rows):
            yield rows


def _whole_prompts(kept: bytes, parts: list[bytes]) -> tuple[np.ndarray, bytes]:
    rows = _read(kept, parts, last=False)
    begins = np.flatnonzero(rows["prompt"][1:] != rows["prompt"][:-1])
    end = begins[-1] + 1 if len(begins) else 0
    return rows[:end], rows[end:].tobytes()


def _read(kept: bytes, parts: list[bytes], *, last: bool) -> np.ndarray:
    data = b"".join([kept, *parts])
    if data.startswith(b"PGCOPY"):
        data = data[HEADER:]
    if last:
        data = data[:-TRAILER]
    return np.frombuffer(data, ROW)


def _mask(column: str, names: tuple[str, ...], offset: int, values: dict) -> str:
    """SQL for the bits of the names that a JSON list holds."""
    terms = []
    for number, name in enumerate(names, offset):
        values[f"flag{number}"] = name
        terms.append(f"(({column}) ? %(flag{number})s)::int::int8 << {number}")
    if not terms:
        return "0::int8"
    return (
        f"CASE WHEN coalesce({column}, '[]') = '[]' THEN 0 ELSE {' | '.join(f'({term})' for term in terms)} END::int8"
    )


def _judged(chunks: Iterator[np.ndarray], flags: Flags) -> Iterator[Judged]:
    """The chunks' tasks, those of one shape together."""
    prompts = tasks = 0
    for rows in chunks:
        prompt = np.cumsum(_changes(rows["prompt"])) - 1
        new_task = _changes(prompt) | _changes(rows["task"]) | _changes(rows["part"])
        task = np.cumsum(new_task) - 1
        new_answer = new_task | _changes(rows["labeler"])
        answer = np.cumsum(new_answer) - 1
        first = np.flatnonzero(new_task)
        labelers = np.bincount(task[new_answer])  # of each task
        seat = answer - answer[first][task]  # of each row, who of the task's labelers
        place, completions = _places(task, rows["completion"])
        shapes = np.stack([labelers, completions], axis=1)
        for shape in np.unique(shapes[labelers > 1], axis=0):
            chosen = (shapes == shape).all(1)
            number = np.cumsum(chosen) - 1
            some = np.flatnonzero(chosen[task])
            yield _dense(
                rows[some],
                number[task[some]],
                seat[some],
                place[some],
                shape,
                flags,
                tasks=tasks + np.flatnonzero(chosen),
                prompts=prompts + prompt[first[chosen]],
                since=prompts,
            )
        prompts += prompt[-1] + 1
        tasks += len(first)


def _changes(values: np.ndarray) -> np.ndarray:
    """Whether each value differs from the one before; the first does."""
    return np.concatenate([[True], values[1:] != values[:-1]])


def _places(task: np.ndarray, completion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of its task's completions each row is about, and how many each task has."""
    # 60 of the 128 bits are random and enough to tell the few of one task apart.
    key = np.ascontiguousarray(completion).view(">u8").reshape(-1, 2)[:, 0].astype(np.uint64)
    order = np.lexsort((key, task))
    new_task = _changes(task[order])
    new = new_task | _changes(key[order])
    count = np.cumsum(new) - 1
    place = np.empty(len(task), np.int64)
    place[order] = count - count[np.flatnonzero(new_task)][task[order]]
    return place, np.bincount(task[order][new])


def _dense(
    rows, task, seat, place, shape, flags: Flags, *, tasks: np.ndarray, prompts: np.ndarray, since: int
) -> Judged:
    count, (labelers, completions) = len(tasks), shape

    def of_completion(values: np.ndarray, kind: type) -> np.ndarray:
        found = np.zeros((count, labelers, completions), kind)
        found[task, seat, place] = values
        return found

    def of_answer(values: np.ndarray) -> np.ndarray:
        found = np.zeros((count, labelers), np.int64)
        found[task, seat] = values
        return found

    form = np.searchsorted(flags.forms, rows["form"])
    known = np.append(flags.forms, -1)[form] == rows["form"]
    use_cases = np.zeros(count, np.int64)
    use_cases[task] = rows["use_case"]
    return Judged(
        ranks=of_completion(rows["rank"], np.int8),
        ratings=of_completion(rows["rating"], np.int8),
        flags=of_completion(rows["flags"], np.int64),
        asked=of_answer(np.where(known, np.append(flags.asked, 0)[form], 0)),
        prompt_flags=of_answer(rows["prompt_flags"]),
        prompt_asked=of_answer(np.where(known, np.append(flags.prompt_asked, 0)[form], 0)),
        judged=of_completion(True, bool),
        groups=of_answer(rows["group"]),
        labelers=of_answer(np.where(rows["part"] > 0, rows["part"], rows["labeler"])),
        weeks=of_answer(rows["week"]),
        tasks=tasks,
        prompts=prompts,
        use_cases=use_cases,
        since=since,
    )
