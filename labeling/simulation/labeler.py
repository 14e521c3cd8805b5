"""Simulated labelers at work: each takes the next task over the public HTTP API, judges it, and sends its answer."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from labeling.simulation.utility import judge

TIMEOUT = 60  # seconds for one answer of the server
PATIENCE = 3  # times that one labeler tries a request again after no answer


@dataclass
class Work:
    """What a crew did. Times are seconds of single requests."""

    submitted: int = 0
    skipped: int = 0
    seconds: float = 0.0
    problems: Counter = field(default_factory=Counter)
    grants: list[float] = field(default_factory=list)
    submits: list[float] = field(default_factory=list)

    def as_json(self) -> dict:
        return {
            "submitted": self.submitted,
            "skipped": self.skipped,
            "seconds": round(self.seconds, 3),
            "per_second": round(self.submitted / self.seconds, 2) if self.seconds else None,
            "grant_seconds": quantiles(self.grants),
            "submit_seconds": quantiles(self.submits),
            "problems": dict(self.problems),
        }


def quantiles(times: list[float]) -> dict:
    """Median, 95th percentile and maximum, seconds."""
    if not times:
        return {"p50": None, "p95": None, "max": None}
    times = sorted(times)
    return {
        "p50": round(times[len(times) // 2], 4),
        "p95": round(times[min(len(times) - 1, int(len(times) * 0.95))], 4),
        "max": round(times[-1], 4),
    }


class Crew:
    """Labelers who work side by side until `tasks` answers are in or nothing waits."""

    def __init__(self, *, url: str, tokens: dict[str, str], tasks: int, progress: Callable[[int], None] | None = None):
        self.url, self.tokens, self.tasks = url.rstrip("/"), tokens, tasks
        self.progress = progress or (lambda done: None)
        self.work = Work()
        self._left = tasks
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def run(self) -> Work:
        """Everybody works; what they did. An error that is no refusal of one task ends the crew and is raised."""
        started = time.monotonic()
        with ThreadPoolExecutor(len(self.tokens), thread_name_prefix="labeler") as pool:
            shifts = [pool.submit(self._shift, name, token) for name, token in self.tokens.items()]
            try:
                for shift in shifts:
                    shift.result()
            finally:
                self._stop.set()
        self.work.seconds = time.monotonic() - started
        return self.work

    def _shift(self, name: str, token: str) -> None:
        """One labeler's work, from the first task to the last."""
        with httpx.Client(
            base_url=f"{self.url}/api/v1/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT,
            trust_env=False,
        ) as client:
            try:
                while self._take():
                    if not self._one(client, name):
                        self._give_back()
                        return
            except BaseException:
                self._stop.set()
                raise

    def _take(self) -> bool:
        with self._lock:
            if self._left <= 0 or self._stop.is_set():
                return False
            self._left -= 1
            return True

    def _give_back(self) -> None:
        with self._lock:
            self._left += 1

    def _one(self, client: httpx.Client, name: str) -> bool:
        """One task from grant to answer; False when nothing waits for this labeler."""
        started = time.monotonic()
        answer = self._post(client, "tasks/next/")
        granted = time.monotonic() - started
        if answer.status_code == 204:
            return False
        task = self._good(answer).json()
        if task["kind"] != "ranking":
            reason = {"reason": "Simulated labelers rank; they write nothing."}
            self._good(self._post(client, f"tasks/{task['id']}/skip/", json=reason))
            with self._lock:
                self.work.skipped += 1
                self._left += 1
            return True
        verdicts = judge(task["completions"], question=task["messages"][-1]["content"], labeler=name)
        body = {
            "revision": 1,
            "replaces": None,
            "completions": [{"id": v.id, "rank": v.rank, "rating": v.rating, "flags": []} for v in verdicts],
            "note": "",
            "active_seconds": 0,
        }
        started = time.monotonic()
        answer = self._post(
            client, f"tasks/{task['id']}/submit/", json=body, headers={"Idempotency-Key": f"sim-{task['id']}"}
        )
        submitted = time.monotonic() - started
        self._good(answer)
        with self._lock:
            self.work.submitted += 1
            self.work.grants.append(granted)
            self.work.submits.append(submitted)
            done = self.work.submitted
        self.progress(done)
        return True

    def _post(self, client: httpx.Client, path: str, **sent) -> httpx.Response:
        """The answer. Without one the same is sent again: the key of a submit makes that one answer, not two."""
        for attempt in range(PATIENCE):
            try:
                answer = client.post(path, **sent)
            except httpx.TransportError as error:
                with self._lock:
                    self.work.problems[type(error).__name__] += 1
                if attempt == PATIENCE - 1:
                    raise
            else:
                if answer.status_code < 500 or attempt == PATIENCE - 1:
                    return answer
                with self._lock:
                    self.work.problems[str(answer.status_code)] += 1
            time.sleep(0.2 * 2**attempt)
        raise AssertionError("unreachable")

    def _good(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_success:
            return answer
        with self._lock:
            self.work.problems[str(answer.status_code)] += 1
        raise RuntimeError(f"{answer.request.url.path} answered {answer.status_code}: {answer.text[:300]}")
