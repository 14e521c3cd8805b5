"""Rows out of files of prompts: JSONL, CSV, TSV and Parquet, also as .gz and .zst, streamed, whatever is in them.

Every reader yields `(line number, row or Problem)`. Line numbers start at 1; for Parquet they count rows. A line that
cannot be read is a Problem and the reading goes on. A file in which nothing can be read at all raises Unreadable.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow
import pyarrow.parquet
from django.utils.translation import gettext as _

from labeling.refusals import Refusal
from labeling.text import BadText, parse_json

FIELDS = (
    *("prompt", "messages", "user_id", "source", "external_id", "time", "use_case", "categories"),
    *("consent", "terms_version", "consented_at"),
)
MAX_LINE = 8 * 2**20  # bytes; a longer line is read past, never into memory
PARQUET_ROWS = 256  # rows in memory at a time
BOM = b"\xef\xbb\xbf"
PACKED = (".gz", ".zst")


# What a file that is broken raises while it is read.
BREAKS = (OSError, EOFError, zlib.error)


class Unreadable(Refusal):
    """Nothing in this file can be read."""

    code = "unreadable"


class UnknownFormat(Refusal):
    """The file's name says nothing that Kwise reads."""

    code = "unknown_format"


@dataclass(frozen=True)
class Problem:
    """Why one line did not go in: `reason` is counted, `detail` is read."""

    reason: str
    detail: str


Row = dict[str, Any] | Problem


def format_of(name: str) -> str:
    """ "jsonl", "csv", "tsv" or "parquet", by the file's name; UnknownFormat for any other."""
    plain = name.lower().removesuffix(packed_as(name))
    for ending, kind in (
        (".jsonl", "jsonl"),
        (".ndjson", "jsonl"),
        (".json", "jsonl"),
        (".csv", "csv"),
        (".tsv", "tsv"),
        (".parquet", "parquet"),
    ):
        if plain.endswith(ending):
            return kind
    raise UnknownFormat(
        _(
            "{name!r} is not a kind of file that prompts come in; give .jsonl, .csv, .tsv or .parquet, each also as "
            ".gz or .zst."
        ).format(name=name)
    )


def packed_as(name: str) -> str:
    """ ".gz", ".zst", or "" for a file that is not packed, by its name."""
    return next((ending for ending in PACKED if name.lower().endswith(ending)), "")


def unpacked(path: Path, packed: str) -> BinaryIO:
    """The file's bytes, as they are read. Raises OSError, EOFError or zlib.error where it is broken, then or later."""
    if packed == ".gz":
        return gzip.open(path, "rb")
    if packed == ".zst":
        return io.BufferedReader(pyarrow.CompressedInputStream(pyarrow.OSFile(str(path), "rb"), "zstd"), 2**18)
    return path.open("rb")


@contextmanager
def _parquet_file(path: Path, packed: str) -> Iterator[pyarrow.parquet.ParquetFile]:
    """Parquet is read from its end, so a packed file is unpacked beside first, on disk."""
    if not packed:
        with pyarrow.parquet.ParquetFile(path) as file:
            yield file
        return
    with tempfile.NamedTemporaryFile(suffix=".parquet") as plain:
        with unpacked(path, packed) as source:
            shutil.copyfileobj(source, plain, 2**20)
        plain.flush()
        with pyarrow.parquet.ParquetFile(plain.name) as file:
            yield file


def count_rows(path: Path, *, name: str = "") -> int:
    """About how many rows the file has, for a progress bar: line ends are counted, not rows."""
    packed = packed_as(name or path.name)
    if format_of(name or path.name) == "parquet":
        try:
            with _parquet_file(path, packed) as file:
                return file.metadata.num_rows
        except (pyarrow.ArrowException, *BREAKS) as error:
            raise Unreadable(
                _("{name} cannot be read: {error}").format(
                    name=name or path.name, error=str(error).splitlines()[0][:200]
                )
            ) from None
    try:
        lines, last = 0, b"\n"
        with unpacked(path, packed) as file:
            while block := file.read(2**20):
                lines, last = lines + block.count(b"\n"), block[-1:]
        return lines + (last != b"\n")
    except BREAKS:
        return 0  # reading the rows will say what is wrong, and where


def read_rows(path: Path, *, name: str = "", behind: int = 0) -> Iterator[tuple[int, Row]]:
    """The rows of the file at `path`, by the format that `name` (else its own name) says, from behind line `behind`."""
    kind, packed = format_of(name or path.name), packed_as(name or path.name)
    if kind == "parquet":
        return _read_parquet(path, packed, behind)
    if kind == "jsonl":
        return _read_jsonl(path, packed, behind)
    return _read_csv(path, packed, "\t" if kind == "tsv" else ",", behind)


@contextmanager
def _opened(path: Path, packed: str) -> Iterator[BinaryIO]:
    with unpacked(path, packed) as file:
        if file.peek(3)[:3] == BOM:
            file.read(3)
        yield file


def _lines(file: BinaryIO) -> Iterator[bytes | None]:
    """Lines with their ends; None for one that is longer than MAX_LINE, which is read past."""
    while line := file.readline(MAX_LINE + 1):
        if len(line) <= MAX_LINE:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE)
        yield None


def _read_jsonl(path: Path, packed: str, behind: int) -> Iterator[tuple[int, Row]]:
    number = 0
    try:
        with _opened(path, packed) as file:
            for number, line in enumerate(_lines(file), start=1):
                if number <= behind:
                    continue
                if line is None:
                    yield number, Problem("too_long", f"the line is longer than {MAX_LINE:,} bytes")
                elif line.strip():
                    yield number, _json_row(line)
    except BREAKS as error:
        yield from _broken(path, number, error)


def _broken(path: Path, number: int, error: Exception) -> Iterator[tuple[int, Row]]:
    """A file that breaks off: what came before stays, and the break is named."""
    if number == 0:
        raise Unreadable(_("{path} cannot be read: {error}").format(path=path.name, error=error)) from None
    yield number + 1, Problem("unreadable", f"the file breaks off after line {number}: {error}")


def _json_row(line: bytes) -> Row:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        return Problem("not_utf8", f"byte {error.start} of the line is not UTF-8")
    try:
        row = parse_json(text, where=_("the line"))
    except BadText as refusal:
        return Problem("bad_text", refusal.message)
    except Refusal as refusal:
        return Problem("not_json", refusal.message)
    return row if isinstance(row, dict) else Problem("not_an_object", "the line is not a JSON object")


def _read_csv(path: Path, packed: str, delimiter: str, behind: int) -> Iterator[tuple[int, Row]]:
    csv.field_size_limit(MAX_LINE)
    number = 0
    try:
        with _opened(path, packed) as file:
            reader = csv.reader(_text_lines(file), delimiter=delimiter)
            header = _csv_header(path, reader)
            while True:
                number = reader.line_num + 1
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    if number > behind:
                        yield number, Problem("not_csv", f"{error}; look for a quote that is never closed")
                    continue
                if cells and number > behind:
                    yield number, _csv_row(header, cells)
    except BREAKS as error:
        yield from _broken(path, number, error)


def _text_lines(file: BinaryIO) -> Iterator[str]:
    """Lines as text, their ends kept as they are: a line end inside quotes belongs to the prompt.

    Bytes that are no UTF-8 come through as surrogates, so that the row they are in can be named. A line too long for
    memory ends the file: where the next row begins cannot be known.
    """
    for line in _lines(file):
        if line is None:
            raise OSError(f"a line is longer than {MAX_LINE:,} bytes")
        yield line.decode("utf-8", "surrogateescape")


def _csv_header(path: Path, reader: Iterator[list[str]]) -> list[str]:
    try:
        header = [name.strip().lower() for name in next(reader, [])]
    except csv.Error as error:
        raise Unreadable(_("{path} cannot be read as CSV: {error}").format(path=path.name, error=error)) from None
    if "prompt" not in header and "messages" not in header:
        raise Unreadable(
            _(
                "{path} has no column named prompt or messages in its first line; the columns Kwise reads are {fields}."
            ).format(path=path.name, fields=", ".join(FIELDS))
        )
    return header


def _csv_row(header: list[str], cells: list[str]) -> Row:
    if len(cells) > len(header):
        return Problem("not_csv", f"{len(cells)} cells, but the header names {len(header)}; quote cells with a comma")
    row: dict[str, Any] = {}
    for name, cell in zip(header, cells, strict=False):
        if name not in FIELDS:
            continue
        if any("\udc80" <= character <= "\udcff" for character in cell):
            return Problem("not_utf8", f"the cell {name} is not UTF-8")
        row[name] = cell
    if row.get("messages"):
        if row.get("prompt") == "":
            del row["prompt"]
        parsed = _json_row(b'{"messages":' + row["messages"].encode() + b"}")
        if isinstance(parsed, Problem):
            return parsed
        row["messages"] = parsed["messages"]
    else:
        row.pop("messages", None)
    # CSV has no null: an empty cell is one that was not given.
    return {name: value for name, value in row.items() if name == "prompt" or value != ""}


def _read_parquet(path: Path, packed: str, behind: int) -> Iterator[tuple[int, Row]]:
    number = 0
    try:
        with _parquet_file(path, packed) as file:
            columns = [name for name in FIELDS if name in file.schema_arrow.names]
            if "prompt" not in columns and "messages" not in columns:
                raise Unreadable(_("{path} has no column named prompt or messages.").format(path=path.name))
            groups = list(range(file.metadata.num_row_groups))
            while groups and number + file.metadata.row_group(groups[0]).num_rows <= behind:
                number += file.metadata.row_group(groups.pop(0)).num_rows
            for batch in file.iter_batches(batch_size=PARQUET_ROWS, columns=columns, row_groups=groups):
                for index in range(batch.num_rows):
                    number += 1
                    if number > behind:
                        yield number, _parquet_row(batch, index)
    except (pyarrow.ArrowException, *BREAKS) as error:
        # Arrow's messages run on over several lines; the first says it.
        yield from _broken(path, number, ValueError(str(error).splitlines()[0][:200]))


def _parquet_row(batch: pyarrow.RecordBatch, index: int) -> Row:
    row = {}
    for name in batch.schema.names:
        try:
            value = batch.column(name)[index].as_py()
            value = value.decode("utf-8") if isinstance(value, bytes) else value
        except UnicodeDecodeError:
            return Problem("not_utf8", f"the column {name} is not UTF-8 in this row")
        if value is not None:
            row[name] = value
    if isinstance(row.get("messages"), str):
        try:
            row["messages"] = json.loads(row["messages"])
        except (ValueError, RecursionError):
            return Problem("not_json", "the column messages holds text that is not JSON")
    return row
