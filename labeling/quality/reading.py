"""The answers that reports are about, read from the database as columns.

A hundred thousand rankings are some 600,000 judgments. As Python's rows they would take longer to make than all the
statistics; PostgreSQL's binary COPY of numbers is one array as it comes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from django.db import connection

from labeling.people.models import User
from labeling.quality.models import CompletionTraits
from labeling.quality.reports import Rankings, Writing

# The newest answers of each labeler; fewer where there are very many labelers, so that a look costs what it costs.
MOST_EACH, MOST_RANKINGS = 5_000, 250_000
MOST_MODELS = 50

# Rows of the newest rankings with their judgments. The place of a completion in an order: 'order::text' holds
# ["…", "…"], 40 characters from one id to the next; looking there is three times as fast as taking the JSON apart.
JUDGMENTS = """
    WITH chosen AS MATERIALIZED (
        SELECT
            ranking.id, ranking.task_id, person.id AS labeler, ranking.active_seconds,
            ranking.order_shown::text AS shown, ranking.order_ranked::text AS ranked,
            (row_number() OVER ())::int4 AS number
        FROM labeling_user person
        CROSS JOIN LATERAL (
            SELECT * FROM labeling_ranking given
            WHERE given.labeler_id = person.id
                AND (given."group" = 'simulated') = %(simulated)s AND given."group" <> 'applicant'
                AND given.outcome = 'ranked' AND NOT given.adjudicates
                AND NOT EXISTS (SELECT FROM labeling_ranking newer WHERE newer.replaces_id = given.id)
            ORDER BY given.created_at DESC
            LIMIT %(most)s
        ) ranking
        WHERE (person."group" = 'simulated') = %(simulated)s
    )
    SELECT
        chosen.number,
        chosen.labeler::int8,
        coalesce(item.prompt_id, chosen.task_id),
        chosen.active_seconds::int4,
        judgment.completion_id,
        coalesce(judgment.rank, -1)::int4,
        coalesce(judgment.rating, -1)::int4,
        (strpos(chosen.shown, judgment.completion_id::text) - 3)::int4,
        (strpos(chosen.ranked, judgment.completion_id::text) - 3)::int4,
        (length(chosen.shown) / 40)::int4,
        (length(chosen.ranked) / 40)::int4,
        coalesce(traits.words, -1)::int4,
        coalesce(traits.markdown::int4, 0)::int4,
        coalesce(array_position(%(models)s::text[], traits.model::text) - 1, -1)::int4
    FROM chosen
    JOIN labeling_task task ON task.id = chosen.task_id
    JOIN labeling_batchitem item ON item.id = task.item_id
    JOIN labeling_judgment judgment ON judgment.ranking_id = chosen.id
    LEFT JOIN labeling_completiontraits traits ON traits.completion_id = judgment.completion_id
"""
UUID = (">u8", (2,))
FIELDS = (
    *(
        ("number", ">i4"),
        ("labeler", ">i8"),
        ("prompt", (">u8", (2,))),
        ("seconds", ">i4"),
        ("completion", (">u8", (2,))),
    ),
    *(("rank", ">i4"), ("rating", ">i4"), ("shown", ">i4"), ("ranked", ">i4"), ("many_shown", ">i4")),
    *(("many_ranked", ">i4"), ("words", ">i4"), ("markdown", ">i4"), ("model", ">i4")),
)
WRITTEN = """
    SELECT labeler, characters, least(pasted, characters) FROM (
        (SELECT labeler_id AS labeler, created_at, pasted, length(text) + coalesce((
            SELECT sum(length(turn #>> '{}')) FROM jsonb_path_query(turns, 'strict $[*].content') turn
        ), 0) AS characters
        FROM labeling_demonstration given
        WHERE ("group" = 'simulated') = %(simulated)s AND "group" <> 'applicant' AND origin <> 'import'
            AND NOT EXISTS (SELECT FROM labeling_demonstration newer WHERE newer.replaces_id = given.id)
        ORDER BY created_at DESC LIMIT %(most)s)
        UNION ALL
        (SELECT labeler_id, created_at, pasted, (
            SELECT sum(length(part #>> '{}')) FROM jsonb_path_query(content, 'strict $.**') part
            WHERE jsonb_typeof(part) = 'string'
        )
        FROM labeling_writtenprompt given
        WHERE ("group" = 'simulated') = %(simulated)s
            AND NOT EXISTS (SELECT FROM labeling_writtenprompt newer WHERE newer.replaces_id = given.id)
        ORDER BY created_at DESC LIMIT %(most)s)
    ) written
    WHERE characters > 0
    ORDER BY created_at DESC LIMIT %(most)s
"""


@dataclass(frozen=True)
class Answers:
    """What was read; `labelers` are the people behind the numbers of labelers in both."""

    rankings: Rankings
    writing: Writing
    labelers: list[int]
    most_each: int


def read_answers(*, simulated: bool) -> Answers:
    """The newest answers of everybody, people or simulated labelers: corrections in place of what they correct."""
    people = User.objects.filter(group=User.Group.SIMULATED) if simulated else User.objects.exclude(group="simulated")
    most = max(200, min(MOST_EACH, MOST_RANKINGS // max(1, people.filter(rankings__isnull=False).distinct().count())))
    models = _models()
    rows = _copy(JUDGMENTS, FIELDS, {"simulated": simulated, "most": most, "models": models})
    with connection.cursor() as cursor:
        cursor.execute(WRITTEN, {"simulated": simulated, "most": 20_000})
        written = np.array(cursor.fetchall(), dtype=np.int64).reshape(-1, 3)
    labelers, number = np.unique(np.concatenate([rows["labeler"], written[:, 0]]), return_inverse=True)
    of_rows, of_written = number[: len(rows)], number[len(rows) :]
    rankings, first, ranking = np.unique(rows["number"], return_index=True, return_inverse=True)
    return Answers(
        rankings=Rankings(
            labeler=of_rows[first],
            prompt=_numbers(rows["prompt"][first]),
            seconds=np.where(rows["seconds"][first] > 0, rows["seconds"][first], np.nan).astype(float),
            ranking=ranking,
            completion=_numbers(rows["completion"]),
            rank=_known(rows["rank"]),
            rating=_known(rows["rating"]),
            place=_place(rows["shown"], rows["many_shown"]),
            place_ranked=_place(rows["ranked"], rows["many_ranked"]),
            words=_known(rows["words"]),
            markdown=rows["markdown"].astype(float),
            model=rows["model"].astype(np.int64),
            models=models,
        ),
        # Each piece for itself: nobody writes twice to one prompt.
        writing=Writing(of_written, np.arange(len(written)), written[:, 1].astype(float), written[:, 2].astype(float)),
        labelers=[int(each) for each in labelers],
        most_each=most,
    )


def _models() -> list[str]:
    """The models that wrote most, in an order that stays."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT model FROM {CompletionTraits._meta.db_table} WHERE model <> ''"
            " GROUP BY model ORDER BY count(*) DESC, model LIMIT %s",
            [MOST_MODELS],
        )
        return sorted(model for (model,) in cursor.fetchall())


def _numbers(ids: np.ndarray) -> np.ndarray:
    """(N, 2) halves of UUIDs as numbers 0, 1, …, the same for the same. Mixed into 64 bits first: among a million
    random ids two share them once in forty million times."""
    mixed = ids[:, 0].astype(np.uint64) ^ (ids[:, 1].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return np.unique(mixed, return_inverse=True)[1]


def _known(values: np.ndarray) -> np.ndarray:
    return np.where(values >= 0, values, np.nan).astype(float)


def _place(place: np.ndarray, many: np.ndarray) -> np.ndarray:
    """0 for the first shown to 1 for the last, NaN where it is not known. `place` in characters, negative: nowhere."""
    return np.where((many >= 2) & (place >= 0), place // 40 / np.maximum(many - 1, 1), np.nan)


def _copy(statement: str, fields: tuple, asked: dict) -> np.ndarray:
    """The rows of a statement whose columns all have one width and are never null, as a structured array.

    PostgreSQL's binary format: 11 bytes of signature, two words; of each row the number of its columns (2 bytes), of
    each column its length (4 bytes) and content, big-endian; at the end −1.
    """
    row = np.dtype(
        [("columns", ">i2"), *(pair for name, kind in fields for pair in ((f"{name}_", ">i4"), (name, kind)))]
    )
    found = bytearray()
    with connection.cursor() as cursor, cursor.copy(f"COPY ({statement}) TO STDOUT (FORMAT BINARY)", asked) as copy:
        for block in copy:
            found += block
    body = memoryview(found)[19:-2]
    if len(body) % row.itemsize:
        raise ValueError(f"{len(body)} bytes are no rows of {row.itemsize}: a column is null or of another width")
    rows = np.frombuffer(body, row)
    if len(rows) and (rows["columns"] != len(fields)).any():
        raise ValueError("a row has other columns than asked for")
    return rows
