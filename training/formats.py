"""The two folders that pass between Kwise's parts: a *data set* (export → training) and a *run* (training → registry).

Standard library only, but for `zstandard`, imported where a compressed file is met: this is the one module of
`training` that the web side imports. docs/formats.md describes both folders.

A data set folder, read-only once it is complete::

    manifest.json                what was asked, counts, files with hashes, content hash
    train-00000.jsonl.zst …      one grouped row per ranking, demonstration (of a dialogue: turn of its assistant) or
                                 prompt, in shards, a series per split
    pairs-train-00000.jsonl.zst  … and what else was asked for: see `FORMATS`

A run folder::

    run.json                algorithm, arguments, parents, data-set hash, code version, seed, state
    progress.json           {"step", "total", "phase"}, replaced atomically
    metrics.jsonl           one JSON object per logged step
    samples.jsonl           sample texts with their score and KL
    checkpoints/step-N/     everything needed to resume
    model/                  the result in the Hugging Face layout
    report.json             final figures
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, Protocol

DATASET_FORMAT = "kwise-dataset"
RUN_FORMAT = "kwise-run"
CARD = "README.md"
# Of run folders, and of data sets as they are written; `content_hash` keeps what older data sets are called.
VERSION = 1
DATASET_VERSION = 2
DATASET_VERSIONS = (1, 2)
KINDS = ("demonstrations", "comparisons", "prompts", "ratings", "evaluations")
SPLITS = ("train", "valid", "test")
# How a row of comparisons says what all answers to its task agree on, and the version of that part of it.
CONSENSUS_METHODS = ("modal", "bradley-terry")
CONSENSUS_VERSION = 1
RUN_STATES = ("running", "done", "stopped", "failed")
STOPPED_EXIT = 143  # a run that SIGTERM ended after saving: 128 + 15, as a shell reports it


# Rows in a file before the next is begun: small enough to be read by many at once, large enough to be few.
SHARD_ROWS = 50_000
# Bytes of rows that are compressed and hashed together.
PIECE = 1 << 20
# Level 3 is zstd's own choice; a checksum in each frame names a damaged file before its text is read.
ZSTD_LEVEL = 3


class FormatError(ValueError):
    """A folder is not what its manifest says, or not a folder of this kind; the message names the file."""


# Made once: `json.dumps` makes one a call, which is a tenth of the time of a row.
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def canonical_json(value: Any) -> bytes:
    """The one byte string for a JSON value: sorted keys, no spaces, UTF-8, no NaN. No line end."""
    return _encode(value).encode("utf-8")


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` with `data` so that a reader sees the old bytes or the new ones, also after a power cut."""
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def finite(value: Any) -> Any:
    """`value` with every NaN and infinity replaced by None, so that JSON can carry it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


# Data sets


def content_hash(*, kind: str, question: dict, files: list[dict], version: int = DATASET_VERSION) -> str:
    """The data set's name for ever: SHA-256 over kind, question and the files' hashes, not over the time of export."""
    listed = [{key: entry[key] for key in ("path", "sha256", "rows")} for entry in files]
    listed.sort(key=lambda entry: entry["path"])
    body = {"format": DATASET_FORMAT, "version": version, "kind": kind, "question": question, "files": listed}
    return hashlib.sha256(canonical_json(body)).hexdigest()


def pairs_of(row: dict) -> Iterator[tuple[dict, dict]]:
    """The (better, worse) completions of a comparisons row, in a fixed order. Ties make no pair. Rank 1 is best."""
    for first, second in combinations(row["completions"], 2):
        if first["rank"] < second["rank"]:
            yield first, second
        elif second["rank"] < first["rank"]:
            yield second, first


def with_consensus(row: dict) -> dict | None:
    """A comparisons row ranked as its `consensus` has it; None where there is none. Completions without a place in it
    are left out. FormatError for a consensus of a version that this reader does not know."""
    consensus = row.get("consensus")
    if consensus is None:
        return None
    if consensus.get("version") != CONSENSUS_VERSION:
        raise FormatError(
            f"row {row.get('id')}: its consensus has version {consensus.get('version')}; "
            f"this Kwise reads version {CONSENSUS_VERSION}"
        )
    ranks = consensus["ranks"]
    if ranks is None:
        return None
    placed = [{**entry, "rank": ranks[entry["id"]]} for entry in row["completions"] if entry["id"] in ranks]
    return {**row, "completions": placed}


def _says(text: str) -> list[dict]:
    return [{"role": "assistant", "content": text}]


def trl_rows(kind: str, row: dict) -> Iterator[dict]:
    """TRL's conversational types: preference (a tie makes no pair), prompt-completion, prompt-only."""
    if kind in ("comparisons", "evaluations"):
        for better, worse in pairs_of(row):
            yield {
                "prompt": row["messages"],
                "chosen": _says(better["text"]),
                "rejected": _says(worse["text"]),
                "ranking_id": row["id"],
            }
    elif kind == "demonstrations":
        yield {"prompt": row["messages"], "completion": _says(row["answer"]), "demonstration_id": row["id"]}
    elif kind == "prompts":
        yield {"prompt": row["messages"], "prompt_id": row["id"]}


def openrlhf_rows(kind: str, row: dict) -> Iterator[dict]:
    """What OpenRLHF's trainers read with a chat template: whole conversations. Ties make no pair."""
    if kind in ("comparisons", "evaluations"):
        for better, worse in pairs_of(row):
            yield {
                "chosen": row["messages"] + _says(better["text"]),
                "rejected": row["messages"] + _says(worse["text"]),
                "ranking_id": row["id"],
            }
    elif kind == "demonstrations":
        yield {"messages": row["messages"] + _says(row["answer"]), "demonstration_id": row["id"]}
    elif kind == "prompts":
        yield {"messages": row["messages"], "prompt_id": row["id"]}


def kto_rows(kind: str, row: dict) -> Iterator[dict]:
    """TRL's unpaired preference: each completion of a ranking once, true where it beats more of the others than beat
    it, false where fewer. One that comes out even, as all that are tied do, says neither and has no row."""
    ranks = [entry["rank"] for entry in row["completions"]]
    for entry in row["completions"]:
        balance = sum((rank > entry["rank"]) - (rank < entry["rank"]) for rank in ranks)
        if balance:
            yield {
                "prompt": row["messages"],
                "completion": _says(entry["text"]),
                "label": balance > 0,
                "ranking_id": row["id"],
                "completion_id": entry["id"],
            }


# What a data set may hold beside its own rows, as JSON lines: how its files are called, and what they are made by.
# "parquet" is there too, for who gives the writer a `Sink` for it.
LINES: dict[str, tuple[str, Callable[[str, dict], Iterator[dict]]]] = {
    "trl": ("pairs-", trl_rows),
    "openrlhf": ("openrlhf-", openrlhf_rows),
    "kto": ("kto-", kto_rows),
}
FORMATS = {
    "demonstrations": ("parquet", "trl", "openrlhf"),
    "comparisons": ("parquet", "trl", "openrlhf", "kto"),
    "prompts": ("parquet", "trl", "openrlhf"),
    "ratings": ("parquet",),
    "evaluations": ("parquet", "trl", "openrlhf", "kto"),
}


class Sink(Protocol):
    """Writes the rows of one file that is no JSON lines."""

    def add(self, rows: list[dict]) -> None: ...

    def close(self) -> None: ...


class _Lines:
    """A series of files of compressed JSON lines, a new one begun after so many."""

    def __init__(self, folder: Path, stem: str, split: str, shard_rows: int) -> None:
        self.folder, self.stem, self.split, self.shard_rows = folder, stem, split, shard_rows
        self.done: list[dict] = []
        self._file: Any = None

    def add(self, rows: Iterable[dict]) -> None:
        for row in rows:
            if self._file is None:
                self._begin()
            line = _encode(row).encode("utf-8")
            self._waiting.append(line)
            self._waits += len(line)
            self._rows += 1
            if self._waits >= PIECE:
                self._pass_on()
            if self._rows == self.shard_rows:
                self.end()

    def _begin(self) -> None:
        import zstandard

        self._name = f"{self.stem}{self.split}-{len(self.done):05}.jsonl.zst"
        self._file, self._digest = (self.folder / self._name).open("wb"), hashlib.sha256()
        self._zstd = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True).compressobj()
        self._waiting, self._waits, self._rows, self._bytes = [], 0, 0, 0

    def _pass_on(self, data: bytes | None = None) -> None:
        if data is None:
            data = self._zstd.compress(b"\n".join([*self._waiting, b""]))
            self._waiting, self._waits = [], 0
        self._file.write(data)
        self._digest.update(data)
        self._bytes += len(data)

    def end(self) -> None:
        if self._file is None:
            return
        self._pass_on()
        self._pass_on(self._zstd.flush())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        self.done.append(
            {
                "path": self._name,
                "split": self.split,
                "sha256": self._digest.hexdigest(),
                "rows": self._rows,
                "bytes": self._bytes,
            }
        )

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class _Others:
    """The same of files that a `Sink` writes."""

    def __init__(self, folder: Path, split: str, shard_rows: int, name: str, make: Callable[[Path], Sink]) -> None:
        self.folder, self.split, self.shard_rows, self.name, self.make = folder, split, shard_rows, name, make
        self.done: list[dict] = []
        self._sink: Sink | None = None

    def add(self, rows: Iterable[dict]) -> None:
        for row in rows:
            if self._sink is None:
                self._path = self.folder / f"{self.split}-{len(self.done):05}.{self.name}"
                self._sink, self._rows = self.make(self._path), 0
            self._sink.add([row])
            self._rows += 1
            if self._rows == self.shard_rows:
                self.end()

    def end(self) -> None:
        if self._sink is None:
            return
        self._sink.close()
        self._sink = None
        with self._path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        size = self._path.stat().st_size
        self.done.append(
            {"path": self._path.name, "split": self.split, "sha256": digest, "rows": self._rows, "bytes": size}
        )

    def close(self) -> None:
        if self._sink is not None:
            self._sink.close()


class DatasetWriter:
    """Writes a data set folder beside its final place and renames it there when complete, so that no half one is seen.

    >>> with DatasetWriter(out, kind="prompts", question={}) as writer:
    ...     writer.add("train", row)
    ...     manifest = writer.finish(counts={}, exclusions={}, extra={})

    `formats` are what is written beside the rows, of `FORMATS[kind]`; `sinks` make those that are no JSON lines, by
    format, which is also how their files end. Memory does not grow with the rows. Leaving the block without `finish`
    removes what was written.
    """

    def __init__(
        self,
        out: Path,
        *,
        kind: str,
        question: dict,
        formats: Iterable[str] = (),
        sinks: Mapping[str, Callable[[Path], Sink]] | None = None,
        shard_rows: int = SHARD_ROWS,
    ) -> None:
        if kind not in KINDS:
            raise FormatError(f"unknown data-set kind {kind!r}; choose one of {', '.join(KINDS)}")
        self.formats, self.sinks = tuple(formats), dict(sinks or {})
        for name in self.formats:
            if name not in FORMATS[kind] or (name not in LINES and name not in self.sinks):
                raise FormatError(f"{kind} cannot be written as {name!r}; choose among {', '.join(FORMATS[kind])}")
        self.out = Path(out)
        if self.out.exists():
            raise FormatError(f"{self.out} exists already; a data set never replaces another, choose a new folder")
        self.kind, self.question, self.shard_rows = kind, question, shard_rows
        self.out.parent.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(dir=self.out.parent, prefix=f".{self.out.name}.partial-"))
        self._series: dict[tuple[str, str], _Lines | _Others] = {}

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for series in self._series.values():
            series.close()
        if self._folder.exists():
            shutil.rmtree(self._folder)

    def add(self, split: str, row: dict) -> None:
        """Append one grouped row to `split`."""
        self.add_rows(split, [row])

    def add_rows(self, split: str, rows: list[dict]) -> None:
        """Append grouped rows to `split`, and what `formats` make of them."""
        if split not in SPLITS:
            raise FormatError(f"row {rows[0].get('id')}: unknown split {split!r}; choose one of {', '.join(SPLITS)}")
        self._of("", split).add(rows)
        for name in self.formats:
            if name in LINES:
                stem, make = LINES[name]
                self._of(stem, split).add(made for row in rows for made in make(self.kind, row))
            else:
                self._of(name, split).add(rows)

    def _of(self, which: str, split: str) -> _Lines | _Others:
        if (which, split) not in self._series:
            self._series[which, split] = (
                _Others(self._folder, split, self.shard_rows, which, self.sinks[which])
                if which in self.sinks
                else _Lines(self._folder, which, split, self.shard_rows)
            )
        return self._series[which, split]

    def finish(self, *, counts: dict, exclusions: dict, extra: dict, card: Callable[[dict], str] | None = None) -> dict:
        """Write the manifest, make the folder read-only, rename it into place; returns the manifest.

        `card` makes README.md, the data card, from the manifest. Neither is covered by the content hash.
        """
        files = []
        for series in self._series.values():
            series.end()
            files += series.done
        files.sort(key=lambda entry: entry["path"])
        self._series.clear()
        manifest = {
            **extra,
            "format": DATASET_FORMAT,
            "version": DATASET_VERSION,
            "kind": self.kind,
            "question": self.question,
            "counts": counts,
            "exclusions": exclusions,
            "files": files,
            "content_hash": content_hash(kind=self.kind, question=self.question, files=files),
        }
        if card is not None:
            text = card(manifest).encode("utf-8")
            manifest["card"] = {"path": CARD, "sha256": hashlib.sha256(text).hexdigest()}
            write_atomic(self._folder / CARD, text)
        body = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        write_atomic(self._folder / "manifest.json", body.encode("utf-8"))
        for path in self._folder.iterdir():
            path.chmod(0o444)
        sync_folder(self._folder)
        os.replace(self._folder, self.out)
        self.out.chmod(0o555)
        sync_folder(self.out.parent)
        return manifest


def read_manifest(folder: Path) -> dict:
    """The manifest of a data-set folder; FormatError where it is missing, broken, or of a newer version."""
    path = Path(folder) / "manifest.json"
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise FormatError(f"{path} is missing: {folder} is no data set; make one with `manage.py export`") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise FormatError(f"{path} is not JSON: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("format") != DATASET_FORMAT:
        raise FormatError(f"{path} does not describe a data set: its format is not {DATASET_FORMAT!r}")
    if manifest.get("version") not in DATASET_VERSIONS:
        known = " and ".join(map(str, DATASET_VERSIONS))
        raise FormatError(f"{path} has version {manifest.get('version')}; this Kwise reads versions {known}")
    return manifest


def files_of(folder: Path, split: str, *, stem: str = "") -> list[Path]:
    """The files of JSON lines of one split, in their order: shards, or the one file of version 1."""
    folder = Path(folder)
    return sorted(folder.glob(f"{stem}{split}-*.jsonl.zst")) or [
        path for path in [folder / f"{stem}{split}.jsonl"] if path.exists()
    ]


def iter_rows(folder: Path, split: str, *, pairs: bool = False) -> Iterator[dict]:
    """Rows of one split, in their order, one at a time. A split without a file has no rows.

    With `pairs`, what was written for TRL. Files may be compressed or not.
    """
    for path in files_of(folder, split, stem="pairs-" if pairs else ""):
        for number, line in enumerate(iter_lines(path), start=1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise FormatError(f"{path} line {number} is not JSON: {error}") from None


def iter_lines(path: Path) -> Iterator[bytes]:
    """The lines of a .jsonl or .jsonl.zst file with their ends; FormatError where it cannot be decompressed."""
    with Path(path).open("rb") as file:
        if not Path(path).name.endswith(".zst"):
            yield from file
            return
        import zstandard

        try:
            yield from io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file), PIECE)
        except zstandard.ZstdError as error:
            raise FormatError(f"{path} cannot be decompressed: {error}") from None


def verify(folder: Path) -> list[str]:
    """What differs between a data-set folder and its manifest, one sentence each; empty when it is intact."""
    folder, problems, files = Path(folder), [], []
    manifest = read_manifest(folder)
    card = manifest.get("card")
    for entry in [*manifest["files"], *([card] if card else [])]:
        path = folder / entry["path"]
        if Path(entry["path"]).name != entry["path"]:
            problems.append(f"{entry['path']!r} is no plain file name: the manifest points outside its folder")
            continue
        if not path.is_file():
            problems.append(f"{entry['path']} is missing")
            continue
        with path.open("rb") as file:
            found = {"path": entry["path"], "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
        if found["sha256"] != entry["sha256"]:
            problems.append(f"{entry['path']} has changed: its SHA-256 is {found['sha256']}, not {entry['sha256']}")
        elif entry is not card:
            # Of other files their writer's word is taken: the hash says that they are as it left them.
            lines = entry["path"].endswith((".jsonl", ".jsonl.zst"))
            found["rows"] = sum(1 for _line in iter_lines(path)) if lines else entry["rows"]
            files.append(found)
    listed = {entry["path"] for entry in manifest["files"]} | {"manifest.json"} | ({card["path"]} if card else set())
    problems += [f"{path.name} is not in the manifest" for path in folder.iterdir() if path.name not in listed]
    if problems:
        return problems
    version = manifest["version"]
    hashed = content_hash(kind=manifest["kind"], question=manifest["question"], files=files, version=version)
    if hashed != manifest["content_hash"]:
        problems.append(f"content hash is {hashed}, the manifest says {manifest['content_hash']}")
    return problems


# Runs


class RunFolder:
    """A run folder, written by a trainer and read by whoever watches it. Every file but the logs is replaced whole."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.model = self.path / "model"
        self.checkpoints = self.path / "checkpoints"

    def create(self, **description: Any) -> None:
        """Make the folder and its run.json: algorithm, args, dataset, parents, code_version, seed, …"""
        self.path.mkdir(parents=True, exist_ok=True)
        self.checkpoints.mkdir(exist_ok=True)
        self._replace("run.json", {"format": RUN_FORMAT, "version": VERSION, "state": "running", **description})

    def describe(self) -> dict:
        """run.json; FormatError where there is none, or one of another version."""
        try:
            description = json.loads((self.path / "run.json").read_text("utf-8"))
        except FileNotFoundError:
            raise FormatError(f"{self.path} has no run.json: it is no run folder") from None
        except ValueError as error:
            raise FormatError(f"{self.path / 'run.json'} is not JSON: {error}") from None
        if description.get("format") != RUN_FORMAT or description.get("version") != VERSION:
            raise FormatError(f"{self.path / 'run.json'} is not of {RUN_FORMAT} version {VERSION}, which Kwise reads")
        return description

    def update(self, **changes: Any) -> None:
        """Change entries of run.json, e.g. state and error."""
        self._replace("run.json", {**self.describe(), **changes})

    def progress(self, *, step: int, total: int, phase: str) -> None:
        """Say how far the run is; `total` steps in all."""
        self._replace("progress.json", {"step": step, "total": total, "phase": phase})

    def read_progress(self) -> dict:
        try:
            return json.loads((self.path / "progress.json").read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return {"step": 0, "total": 0, "phase": "starting"}

    def log(self, metrics: dict) -> None:
        """Append one line to metrics.jsonl; NaN and infinity become null."""
        self._append("metrics.jsonl", metrics)

    def sample(self, row: dict) -> None:
        """Append one line to samples.jsonl."""
        self._append("samples.jsonl", row)

    def metrics(self) -> Iterator[dict]:
        """Lines of metrics.jsonl; a last line still being written is left out."""
        return self._lines("metrics.jsonl")

    def samples(self) -> Iterator[dict]:
        return self._lines("samples.jsonl")

    def report(self, figures: dict) -> None:
        """Write report.json, the run's final figures."""
        self._replace("report.json", figures)

    def read_report(self) -> dict | None:
        try:
            return json.loads((self.path / "report.json").read_text("utf-8"))
        except FileNotFoundError:
            return None

    def truncate_logs(self, *, step: int) -> None:
        """Drop logged lines after `step`, so that a resumed run does not log a step twice."""
        for name in ("metrics.jsonl", "samples.jsonl"):
            kept: Iterable[dict] = [row for row in self._lines(name) if row.get("step", 0) <= step]
            if (self.path / name).exists():
                write_atomic(self.path / name, b"".join(canonical_json(row) + b"\n" for row in kept))

    def _replace(self, name: str, value: dict) -> None:
        body = json.dumps(finite(value), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        write_atomic(self.path / name, body.encode("utf-8"))

    def _append(self, name: str, value: dict) -> None:
        with (self.path / name).open("ab") as file:
            file.write(canonical_json(finite(value)) + b"\n")

    def _lines(self, name: str) -> Iterator[dict]:
        path = self.path / name
        if not path.exists():
            return
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield json.loads(line)
