"""Rows of data sets as Parquet, one schema a kind. The same rows give the same bytes: nothing in a file says when."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from labeling.exports.lines import OF_COMPLETION
from training.formats import Sink

# Rows in a group: what memory holds of a file that is being written.
GROUP = 5_000

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
FORM = pa.struct([("name", pa.string()), ("number", pa.int32())])
# As in docs/formats.md. What has no fixed shape is JSON in a text column.
JSON = ("values", "prompt_values", "consensus")
COMPLETION = [
    ("id", pa.string()),
    ("text", pa.string()),
    ("rank", pa.int16()),
    ("rating", pa.int16()),
    ("flags", pa.list_(pa.string())),
    ("values", pa.string()),
    ("model", pa.string()),
    ("duplicates", pa.int32()),
    ("probability", pa.float64()),
]
PROMPT = [
    ("id", pa.string()),
    ("split", pa.string()),
    ("messages", MESSAGES),
    ("source", pa.string()),
    ("use_case", pa.string()),
    ("use_case_by", pa.string()),
]
ANSWER = [
    *PROMPT,
    ("prompt_id", pa.string()),
    ("labeler", pa.string()),
    ("group", pa.string()),
    ("simulated", pa.bool_()),
    ("batch", pa.string()),
    ("guideline", pa.int32()),
    ("created_at", pa.string()),
    ("selection", pa.struct([("strategy", pa.string()), ("probability", pa.float64())])),
]
RANKED = [
    *ANSWER,
    ("order_shown", pa.list_(pa.string())),
    ("order_ranked", pa.list_(pa.string())),
    ("completions", pa.list_(pa.struct(COMPLETION))),
    ("strength", pa.int16()),
    ("same", pa.list_(pa.list_(pa.string()))),
    ("by_ratings", pa.bool_()),
    ("prompt_flags", pa.list_(pa.string())),
    ("prompt_values", pa.string()),
    ("form", FORM),
    ("adjudicates", pa.bool_()),
    ("all_bad", pa.bool_()),
    ("consensus", pa.string()),
]
SCHEMAS = {
    "prompts": pa.schema(PROMPT),
    "demonstrations": pa.schema(
        [
            *ANSWER,
            ("answer", pa.string()),
            ("turn", pa.int16()),
            ("reviewed", pa.string()),
            ("reviewer", pa.string()),
            ("reviewer_group", pa.string()),
        ]
    ),
    "comparisons": pa.schema(RANKED),
    "evaluations": pa.schema(RANKED),
    "ratings": pa.schema(
        [
            *ANSWER,
            ("ranking_id", pa.string()),
            ("outcome", pa.string()),
            (
                "completion",
                pa.struct([field for field in COMPLETION if field[0] in OF_COMPLETION]),
            ),
            ("rating", pa.int16()),
            ("flags", pa.list_(pa.string())),
            ("values", pa.string()),
            ("form", FORM),
        ]
    ),
}


class ParquetSink:
    """One Parquet file, zstd inside."""

    def __init__(self, path: Path, *, kind: str) -> None:
        self.schema = SCHEMAS[kind]
        self.writer = pq.ParquetWriter(path, self.schema, compression="zstd")
        self.waiting: list[dict] = []

    def add(self, rows: list[dict]) -> None:
        self.waiting += map(_flat, rows)
        if len(self.waiting) >= GROUP:
            self._write()

    def close(self) -> None:
        if self.waiting:
            self._write()
        self.writer.close()

    def _write(self) -> None:
        self.writer.write_table(pa.Table.from_pylist(self.waiting, schema=self.schema))
        self.waiting = []


def _flat(row: dict) -> dict:
    flat = {name: _text(value) if name in JSON else value for name, value in row.items()}
    if any("values" in entry for entry in row.get("completions", ())):
        flat["completions"] = [
            {**entry, "values": _text(entry["values"])} if "values" in entry else entry for entry in row["completions"]
        ]
    return flat


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sinks(kind: str) -> dict[str, Callable[[Path], Sink]]:
    """For `DatasetWriter`: what writes the formats that are no JSON lines."""
    return {"parquet": partial(ParquetSink, kind=kind)}
