"""How a trainer begins, is interrupted and ends: exit states, SIGTERM, lineage in run.json."""

from __future__ import annotations

import hashlib
import importlib.metadata
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from training.formats import FormatError, RunFolder


class Refused(Exception):
    """The run cannot go on; the message is a sentence for the reader, with the value and the next step. Exit 1."""


class UsageError(Refused):
    """The command was wrong before anything began. Exit 2."""


class Stopped(Exception):
    """A signal ended the run after its checkpoint was saved. Exit 128 + the signal's number."""


class Stop:
    """Remembers SIGTERM or Ctrl-C, so that the trainer can save at a moment of its own choosing.

    >>> with Stop() as stop:
    ...     train(args, stop=stop)  # looks at stop.requested between steps

    A second Ctrl-C ends the process at once, as if nobody listened. A second SIGTERM changes nothing: the kernel sends
    one for each thread of a parent that was killed, and whoever loses patience has SIGKILL.
    """

    signals = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        return self.signal is not None

    def request(self, number: int = signal.SIGTERM, _frame: object = None) -> None:
        self.signal = number
        if number == signal.SIGINT and number in self._before:
            signal.signal(number, self._before[number])

    def __enter__(self) -> Stop:
        self._before = {number: signal.signal(number, self.request) for number in self.signals}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


@contextmanager
def open_run(
    algorithm: str, args: Any, *, dataset: dict, parents: dict[str, str], resume: bool
) -> Iterator[tuple[RunFolder, bool]]:
    """The run folder, and whether its run has ended already; how the block ends is written to run.json.

    `dataset` is the manifest, `parents` name → model folder. Raises UsageError where the folder holds another run, or
    one that is not asked to go on; Refused where data or parents have changed since it began. Of several processes
    the first one writes it; the others get a folder that goes away, and resume from the same checkpoints.
    """
    from training import ranks  # here: it loads torch, which takes seconds, and --help needs none

    if ranks.rank() > 0:
        with tempfile.TemporaryDirectory(prefix="kwise-rank-") as folder:
            run = RunFolder(Path(folder))
            run.create(algorithm=algorithm, args=asdict(args), seed=args.seed)
            ranks.wait()
            run.checkpoints = Path(args.out) / "checkpoints"
            yield run, RunFolder(Path(args.out)).describe()["state"] == "done"
        return
    run = RunFolder(Path(args.out))
    lineage = {
        "dataset": {"path": args.data, "content_hash": dataset["content_hash"], "kind": dataset["kind"]},
        "parents": {name: {"path": path, "sha256": weights_hash(path)} for name, path in parents.items() if path},
    }
    if (run.path / "run.json").exists():
        if not resume:
            raise UsageError(f"{run.path} holds a run already; choose another --out, or add --resume to go on with it")
        check_same(run, algorithm, args, lineage)
        if run.describe()["state"] == "done":
            ranks.wait()
            yield run, True
            return
        run.update(state="running", error=None)
    else:
        run.create(algorithm=algorithm, args=asdict(args), seed=args.seed, code_version=code_version(), **lineage)
    run.progress(step=run.read_progress()["step"], total=run.read_progress()["total"], phase="loading")
    ranks.wait()
    try:
        yield run, False
    except Stopped:
        run.update(state="stopped")
        raise
    except Exception as error:
        run.update(state="failed", error=sentence(error))
        raise
    run.update(state="done")


def check_same(run: RunFolder, algorithm: str, args: Any, lineage: dict) -> None:
    """Raise where the run in the folder is not the one that is asked for, naming what differs."""
    stored = run.describe()
    if stored.get("algorithm") != algorithm:
        raise UsageError(f"{run.path} holds a run of {stored.get('algorithm')}, not of {algorithm}")
    for name, value in asdict(args).items():
        before = stored["args"].get(name, value)  # an argument that came after the run began had no say in it
        if before != value and name not in ("out", "threads"):
            raise UsageError(
                f"--{name.replace('_', '-')} is {value!r}, the run began with {before!r}; resume it as it was"
            )
    if stored["dataset"]["content_hash"] != lineage["dataset"]["content_hash"]:
        raise Refused(f"the data set in {lineage['dataset']['path']} is another than the one this run began with")
    for name, parent in lineage["parents"].items():
        if stored["parents"].get(name, {}).get("sha256") != parent["sha256"]:
            raise Refused(f"the {name} in {parent['path']} has changed since this run began; it cannot be resumed")


def sentence(error: Exception) -> str:
    """What to tell the reader of run.json about any exception."""
    if isinstance(error, Refused | FormatError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror}{where}; the last checkpoint is whole: free the cause and use --resume"
    return f"{type(error).__name__}: {error}"


def weights_hash(folder: str) -> str:
    """SHA-256 over the names and bytes of a model folder's safetensors files and its config; UsageError without any."""
    path = Path(folder)
    files = sorted(path.glob("*.safetensors"))
    if not files or not (path / "config.json").is_file():
        raise UsageError(f"{folder} is no model folder: it needs config.json and *.safetensors")
    digest = hashlib.sha256()
    for file in [path / "config.json", *files]:
        digest.update(file.name.encode())
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()


def code_version() -> dict[str, str]:
    """What computed this: the package's version, a hash of the trainers' sources, and the libraries under them."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    versions = {"training": digest.hexdigest()[:12]}
    for name in ("kwise", "torch", "transformers"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "unknown"
    return versions


class Clock:
    """Seconds a run has worked, over all its attempts."""

    def __init__(self, already: float = 0.0) -> None:
        self._start = time.monotonic() - already

    def seconds(self) -> float:
        return round(time.monotonic() - self._start, 3)
