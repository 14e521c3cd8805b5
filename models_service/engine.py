"""The thread that owns all models: takes work from the server's handlers, advances every batch, answers by futures.

Requests for one model run together: new ones join between two tokens of those that run. Reward models score all that
waits in shared passes. At most `max_loaded` models keep their weights; the least recently used idle one makes room, and
comes back from its folder when asked for. A model that is replaced finishes what it had begun with its old weights.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from models_service.folders import ModelFolderError
from models_service.generation import Batch, Prefix, Row, prefill
from models_service.loading import Served, forget_weights, read_weights
from models_service.metrics import Metrics
from models_service.scoring import score

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.01  # an idle engine waits this long for requests that were sent together
CLOSE_SECONDS = 10.0  # for the token in the making at the end


class EngineBusy(Exception):
    """Too much waits already; try again later."""


class EngineFailed(Exception):
    """The engine could not do the work: out of memory, stopped, or a model that cannot be loaded any more."""


@dataclass(eq=False)
class Group:
    """One prompt with its samples. `waiting` counts those that have no room yet; they are the last ones."""

    prompt: list[int]
    rows: list[Row]
    stops: tuple[str, ...] = ()
    prefix: Prefix | None = None
    waiting: int = -1

    def __post_init__(self) -> None:
        self.waiting = len(self.rows)

    @property
    def tokens(self) -> int:
        """What one of its samples may grow to."""
        return len(self.prompt) + self.rows[0].max_new_tokens


@dataclass(eq=False)
class Job:
    """What one request asks for: samples of `groups`, or scores of `texts` (token ids), or only that the engine takes
    note of the model's weights, which the asker has read."""

    served: Served
    groups: list[Group] = field(default_factory=list)
    texts: list[list[int]] = field(default_factory=list)
    future: Future = field(default_factory=Future)  # cancelling it ends the job
    advanced: Callable[[], None] | None = None  # called by the engine's thread after each token; must not raise

    @property
    def rows(self) -> int:
        return sum(len(group.rows) for group in self.groups) + len(self.texts)


class Engine:
    """Start it, `submit` jobs from any thread, `close` it. `max_rows` samples of one model run at once, whose keys and
    values hold at most `max_tokens` tokens in all; `max_waiting` samples and texts wait before `EngineBusy`."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        device: str = "cpu",
        dtype: str = "float32",
        max_loaded: int = 3,
        max_rows: int = 64,
        max_tokens: int = 65_536,
        max_waiting: int = 4096,
    ) -> None:
        self.metrics, self.device, self.dtype = metrics, device, dtype
        self.max_loaded, self.max_rows, self.max_tokens = max_loaded, max_rows, max_tokens
        self.max_waiting = max_waiting
        self._inbox: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._loaded: list[Served] = []  # the engine's thread alone reads and changes what has weights
        self._runners: dict[Served, _Runner] = {}
        self._scores: list[Job] = []
        self._pending = 0
        self._count = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and not self._closing.is_set()

    def submit(self, job: Job) -> Future:
        """The job's future: a list of scores, or the same groups with their rows finished. Raises EngineBusy."""
        if not self.alive:
            raise EngineFailed("the model server is stopping")
        with self._count:
            if self._pending and self._pending + job.rows > self.max_waiting:
                raise EngineBusy(f"{self._pending} completions wait already; ask again in a moment")
            self._pending += job.rows
        job.future.add_done_callback(lambda _future: self._finished(job.rows))
        self._inbox.put(job)
        return job.future

    def wake(self) -> None:
        """Have the engine look around though nothing is asked of it: a model was withdrawn and can go."""
        self._inbox.put(None)

    def close(self) -> None:
        """Stop after the token in the making; what is not finished fails with EngineFailed."""
        self._closing.set()
        self._inbox.put(None)
        if self._thread.is_alive():
            self._thread.join(CLOSE_SECONDS)

    def _finished(self, rows: int) -> None:
        with self._count:
            self._pending -= rows

    # In the engine's thread

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                self._receive()
                self._score_waiting()
                for served, runner in list(self._runners.items()):
                    self._turn(served, runner)
                self._forget_retired()
        finally:
            self._closing.set()
            jobs = [job for runner in self._runners.values() for job in runner.jobs] + self._scores
            while not self._inbox.empty():
                job = self._inbox.get()
                jobs += [job] if job else []
            for job in jobs:
                _fail(job, EngineFailed("the model server is stopping"))

    def _receive(self) -> None:
        """Take all jobs that have come; with nothing else to do, wait for one and for those sent along with it."""
        idle = not self._runners and not self._scores
        until = None
        while True:
            try:
                if idle and until is None:
                    job = self._inbox.get()
                    until = time.monotonic() + GATHER_SECONDS
                elif until is not None:
                    job = self._inbox.get(timeout=max(0.0, until - time.monotonic()))
                else:
                    job = self._inbox.get_nowait()
            except queue.Empty:
                return
            if job is None:
                return
            if not job.rows:
                self._take_note(job)
            elif job.texts:
                self._scores.append(job)
            else:
                runner = self._runners.setdefault(job.served, _Runner(self.max_rows, self.max_tokens, self.metrics))
                runner.add(job)

    def _take_note(self, job: Job) -> None:
        try:
            self._weights(job.served)
        except Exception as error:
            _fail(job, error if isinstance(error, ModelFolderError) else _explained(error))
        else:
            _answer(job, None)

    def _score_waiting(self) -> None:
        jobs, self._scores = [job for job in self._scores if not job.future.cancelled()], []
        for served in dict.fromkeys(job.served for job in jobs):
            mine = [job for job in jobs if job.served is served]
            try:
                model = self._weights(served)
                values = score(model, [row for job in mine for row in job.texts], pad_id=served.pad_id)
                self.metrics.scored.labels(served.name).inc(len(values))
            except Exception as error:
                for job in mine:
                    _fail(job, _explained(error))
                continue
            at = 0
            for job in mine:
                _answer(job, values[at : at + len(job.texts)])
                at += len(job.texts)

    def _turn(self, served: Served, runner: _Runner) -> None:
        try:
            runner.turn(self._weights(served), served)
        except Exception as error:
            for job in runner.jobs:
                _fail(job, _explained(error))
            runner.jobs.clear()
        if not runner.jobs:
            del self._runners[served]

    def _weights(self, served: Served):
        served.last_used = time.monotonic()
        if served not in self._loaded:
            self._forget_retired()
            idle = [other for other in self._loaded if other not in self._runners]
            while idle and len(self._loaded) >= self.max_loaded:
                oldest = min(idle, key=lambda other: other.last_used)
                idle.remove(oldest)
                self._forget(oldest)
            if served.weights is None:
                started = time.monotonic()
                served.weights = read_weights(served, device=self.device, dtype=self.dtype)
                log.info("loaded model %s in %.1f s", served.name, time.monotonic() - started)
            self._loaded.append(served)
        self.metrics.loaded.set(len(self._loaded))
        return served.weights

    def _forget_retired(self) -> None:
        for served in [served for served in self._loaded if served.retired and served not in self._runners]:
            self._forget(served)

    def _forget(self, served: Served) -> None:
        log.info("unloading model %s", served.name)
        self._loaded.remove(served)
        forget_weights(served)
        self.metrics.loaded.set(len(self._loaded))


class _Runner:
    """The jobs of one model and the batch they share."""

    def __init__(self, max_rows: int, max_tokens: int, metrics: Metrics) -> None:
        self.max_rows, self.max_tokens, self.metrics = max_rows, max_tokens, metrics
        self.jobs: list[Job] = []
        self._queue: deque[Group] = deque()
        self._batch: Batch | None = None
        self._widest: dict[Row, int] = {}  # rows in the batch → tokens each may grow to
        self._stops: dict[Row, tuple[str, ...]] = {}

    def add(self, job: Job) -> None:
        self.jobs.append(job)
        self._queue.extend(job.groups)

    def turn(self, model, served: Served) -> None:
        """Let in what has room, advance all by one token, answer the jobs that are done."""
        self._drop_cancelled()
        self._batch = self._batch or Batch(model, pad_id=served.pad_id)
        before = len(self._batch.rows)
        self._admit(model, served)
        self._end_at_stops(served)
        started = time.monotonic()
        self._batch.step()
        if self._batch.rows:
            self.metrics.step_seconds.labels(served.name).observe(time.monotonic() - started)
        self._end_at_stops(served)
        self.metrics.running.labels(served.name).set(max(before, len(self._batch.rows)))
        for job in self.jobs:
            if job.advanced:
                job.advanced()
        for job in [job for job in self.jobs if all(row.finish_reason for group in job.groups for row in group.rows)]:
            self.jobs.remove(job)
            rows = [row for group in job.groups for row in group.rows]
            self.metrics.generated.labels(served.name).inc(sum(len(row.token_ids) for row in rows))
            _answer(job, job.groups)
        live = set(self._batch.rows)
        self._widest = {row: width for row, width in self._widest.items() if row in live}
        self._stops = {row: stops for row, stops in self._stops.items() if row in live}
        if not self.jobs:
            self.metrics.running.labels(served.name).set(0)

    def _admit(self, model, served: Served) -> None:
        admitted: list[tuple[Group, list[Row]]] = []
        rows, width = len(self._batch.rows), max(self._widest.values(), default=0)
        while self._queue:
            group = self._queue[0]
            width = max(width, group.tokens)
            room = min(self.max_rows, max(1, self.max_tokens // width)) - rows
            if room <= 0:
                break
            joining = group.rows[len(group.rows) - group.waiting :][:room]
            group.waiting -= len(joining)
            rows += len(joining)
            admitted.append((group, joining))
            for row in joining:
                self._widest[row] = group.tokens
                if group.stops:
                    self._stops[row] = group.stops
            if group.waiting:
                break
            self._queue.popleft()
        fresh = [group for group, _rows in admitted if group.prefix is None]
        prefixes = prefill(model, [group.prompt for group in fresh], pad_id=served.pad_id)
        for group, prefix in zip(fresh, prefixes, strict=True):
            group.prefix = prefix
            self.metrics.prefilled.labels(served.name).inc(len(group.prompt))
        self._batch.join([(group.prefix, joining) for group, joining in admitted])
        for group, _rows in admitted:
            if not group.waiting:
                group.prefix = None

    def _end_at_stops(self, served: Served) -> None:
        """End the rows whose text has come to hold a stop string. A character takes at most four tokens."""
        for row, stops in self._stops.items():
            if row.finish_reason is None or row.finish_reason == "length":
                tail = row.token_ids[-(4 * max(map(len, stops)) + 4) :]
                text = served.tokenizer.decode(tail, skip_special_tokens=True, clean_up_tokenization_spaces=False)
                if any(stop in text for stop in stops):
                    row.finish_reason = "stop"

    def _drop_cancelled(self) -> None:
        for job in [job for job in self.jobs if job.future.cancelled()]:
            self.jobs.remove(job)
            for group in job.groups:
                if group in self._queue:
                    self._queue.remove(group)
                for row in group.rows:
                    row.finish_reason = row.finish_reason or "abort"


def _answer(job: Job, value: object) -> None:
    if job.future.set_running_or_notify_cancel():
        job.future.set_result(value)


def _fail(job: Job, error: Exception) -> None:
    if not job.future.done() and job.future.set_running_or_notify_cancel():
        job.future.set_exception(error)


def _explained(error: Exception) -> Exception:
    log.exception("a model failed")
    if isinstance(error, ModelFolderError):
        return EngineFailed(str(error))
    return EngineFailed(f"the model failed: {type(error).__name__}: {str(error)[:300]}")
