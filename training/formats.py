"""The two folders that pass between Kwise's parts: a *data set* (export → training) and a *run* (training → registry).

Standard library only: this is the one module of `training` that the web side imports. docs/formats.md describes both.

A data set folder, read-only once it is complete::

    manifest.json           what was asked, counts, files with hashes, content hash
    train.jsonl …           one grouped row per ranking, demonstration or prompt, a file per split; of a dialogue a row
                            per turn of its assistant
    pairs-train.jsonl …     comparisons only: the same rankings as chosen/rejected pairs (ties make no pair)

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
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

DATASET_FORMAT = "kwise-dataset"
RUN_FORMAT = "kwise-run"
VERSION = 1
KINDS = ("demonstrations", "comparisons", "prompts")
SPLITS = ("train", "valid", "test")
# How a row of comparisons says what all answers to its task agree on, and the version of that part of it.
CONSENSUS_METHODS = ("modal", "bradley-terry")
CONSENSUS_VERSION = 1
RUN_STATES = ("running", "done", "stopped", "failed")
STOPPED_EXIT = 143  # a run that SIGTERM ended after saving: 128 + 15, as a shell reports it


class FormatError(ValueError):
    """A folder is not what its manifest says, or not a folder of this kind; the message names the file."""


def canonical_json(value: Any) -> bytes:
    """The one byte string for a JSON value: sorted keys, no spaces, UTF-8, no NaN. No line end."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


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


def content_hash(*, kind: str, question: dict, files: list[dict]) -> str:
    """The data set's name for ever: SHA-256 over kind, question and the files' hashes, not over the time of export."""
    listed = [{key: entry[key] for key in ("path", "sha256", "rows")} for entry in files]
    listed.sort(key=lambda entry: entry["path"])
    body = {"format": DATASET_FORMAT, "version": VERSION, "kind": kind, "question": question, "files": listed}
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


class DatasetWriter:
    """Writes a data set folder beside its final place and renames it there when complete, so that no half one is seen.

    >>> with DatasetWriter(out, kind="prompts", question={}) as writer:
    ...     writer.add("train", row)
    ...     manifest = writer.finish(counts={}, exclusions={}, extra={})

    Memory does not grow with the rows. Leaving the block without `finish` removes what was written.
    """

    def __init__(self, out: Path, *, kind: str, question: dict) -> None:
        if kind not in KINDS:
            raise FormatError(f"unknown data-set kind {kind!r}; choose one of {', '.join(KINDS)}")
        self.out = Path(out)
        if self.out.exists():
            raise FormatError(f"{self.out} exists already; a data set never replaces another, choose a new folder")
        self.kind, self.question = kind, question
        self.out.parent.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(dir=self.out.parent, prefix=f".{self.out.name}.partial-"))
        self._open: dict[str, tuple[Any, Any, list[int]]] = {}

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for file, _digest, _count in self._open.values():
            file.close()
        if self._folder.exists():
            shutil.rmtree(self._folder)

    def add(self, split: str, row: dict) -> None:
        """Append one grouped row to `split`, and for comparisons its pairs as TRL's conversational preferences."""
        if split not in SPLITS:
            raise FormatError(f"row {row.get('id')}: unknown split {split!r}; choose one of {', '.join(SPLITS)}")
        self._write(f"{split}.jsonl", row)
        if self.kind != "comparisons":
            return
        for better, worse in pairs_of(row):
            pair = {
                "prompt": row["messages"],
                "chosen": [{"role": "assistant", "content": better["text"]}],
                "rejected": [{"role": "assistant", "content": worse["text"]}],
                "ranking_id": row["id"],
            }
            self._write(f"pairs-{split}.jsonl", pair)

    def _write(self, name: str, row: dict) -> None:
        if name not in self._open:
            self._open[name] = ((self._folder / name).open("wb"), hashlib.sha256(), [0, 0])
        file, digest, count = self._open[name]
        line = canonical_json(row) + b"\n"
        file.write(line)
        digest.update(line)
        count[0] += 1
        count[1] += len(line)

    def finish(self, *, counts: dict, exclusions: dict, extra: dict) -> dict:
        """Write the manifest, make the folder read-only, rename it into place; returns the manifest."""
        files = []
        for name, (file, digest, (rows, size)) in sorted(self._open.items()):
            file.flush()
            os.fsync(file.fileno())
            file.close()
            files.append({"path": name, "sha256": digest.hexdigest(), "rows": rows, "bytes": size})
        self._open.clear()
        manifest = {
            **extra,
            "format": DATASET_FORMAT,
            "version": VERSION,
            "kind": self.kind,
            "question": self.question,
            "counts": counts,
            "exclusions": exclusions,
            "files": files,
            "content_hash": content_hash(kind=self.kind, question=self.question, files=files),
        }
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
    if manifest.get("version") != VERSION:
        raise FormatError(f"{path} has version {manifest.get('version')}; this Kwise reads version {VERSION}")
    return manifest


def iter_rows(folder: Path, split: str, *, pairs: bool = False) -> Iterator[dict]:
    """Rows of one split, in file order, one at a time. A split without a file has no rows."""
    path = Path(folder) / (f"pairs-{split}.jsonl" if pairs else f"{split}.jsonl")
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise FormatError(f"{path} line {number} is not JSON: {error}") from None


def verify(folder: Path) -> list[str]:
    """What differs between a data-set folder and its manifest, one sentence each; empty when it is intact."""
    folder, problems, files = Path(folder), [], []
    manifest = read_manifest(folder)
    for entry in manifest["files"]:
        path = folder / entry["path"]
        if Path(entry["path"]).name != entry["path"]:
            problems.append(f"{entry['path']!r} is no plain file name: the manifest points outside its folder")
            continue
        if not path.is_file():
            problems.append(f"{entry['path']} is missing")
            continue
        digest, rows = hashlib.sha256(), 0
        with path.open("rb") as file:
            for line in file:
                digest.update(line)
                rows += 1
        found = {"path": entry["path"], "sha256": digest.hexdigest(), "rows": rows}
        files.append(found)
        if found["sha256"] != entry["sha256"]:
            problems.append(f"{entry['path']} has changed: its SHA-256 is {found['sha256']}, not {entry['sha256']}")
    listed = {entry["path"] for entry in manifest["files"]} | {"manifest.json"}
    problems += [f"{path.name} is not in the manifest" for path in folder.iterdir() if path.name not in listed]
    hashed = content_hash(kind=manifest["kind"], question=manifest["question"], files=files)
    if not problems and hashed != manifest["content_hash"]:
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
