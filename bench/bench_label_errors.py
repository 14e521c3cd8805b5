"""How long the search for label errors takes over 100,000 rankings: the job's own work, a draw, the pages.

The reward model is left out: its scores are made up, as if it had been asked before.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

from bench.stack import execute, settle, stack

PART = 5_000  # rankings
SCORES = """
    INSERT INTO labeling_completionscore (checkpoint_id, completion_id, score, refused)
    SELECT '{model}', id, 4 * random(), '' FROM labeling_completion
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rankings", type=int, default=100_000)
    given = parser.parse_args()
    with stack(redis=False):
        measure(given.rankings)


def say(figure: str, value: float, unit: str, **more: object) -> None:
    line = {"benchmark": "label errors", "figure": figure, "value": value, "unit": unit, **more}
    print(json.dumps(line), flush=True)


def timed(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def measure(rankings: int) -> None:
    from django.test import Client

    from labeling.label_errors import services
    from labeling.label_errors.models import Suspicion, SuspicionState
    from labeling.people.models import User
    from labeling.pipeline.models import Checkpoint
    from labeling.pipeline.scoring import keep_up
    from labeling.simulation.bulk import store_population

    for seed in range(rankings // PART):  # in parts: one large transaction takes minutes
        store_population(rankings=PART, seed=seed)
        if not seed:
            settle()
    settle()
    say("all answers compared with colleagues'", round(timed(services.refresh), 2), "s", rankings=rankings)
    settle()
    SuspicionState.objects.update(read_at=time_later())
    say("a look when nothing is new", round(1000 * timed(services.refresh), 1), "ms", rankings=rankings)

    model = Checkpoint.objects.create(name="rm", kind="reward", folder="/rm", weights_sha256="0" * 64)
    execute(SCORES.format(model=model.pk))
    settle()
    say("all answers judged by a new model", round(timed(lambda: take_in(model, services)), 2), "s", rankings=rankings)
    assert not Suspicion.objects.filter(checkpoint=None).exists()
    settle()
    say("whether a model is to be asked", round(1000 * timed(keep_up), 1), "ms", rankings=rankings)

    rita = User.objects.create_user("rita", password=None, role="researcher", group="researcher")
    drawn = timed(lambda: services.draw_answers(size=100, share=50, actor=rita, simulated=True))
    say("a draw of 100 answers", round(1000 * drawn), "ms", rankings=rankings)
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(rita)
    look_at(client, services, rita, rankings)
    pages = {
        "overview": "/label-errors/?simulated=1",
        "what was looked at": "/label-errors/judged/",
        "the suspicious, over the API": "/api/v1/label-errors/suspicious/?simulated=1",
    }
    for name, address in pages.items():
        times = []
        for _ in range(6):
            started = time.perf_counter()
            assert client.get(address).status_code == 200
            times.append(time.perf_counter() - started)
        say(f"page: {name}, first", round(1000 * times[0]), "ms", rankings=rankings)
        say(f"page: {name}, then", round(1000 * sorted(times[1:])[2]), "ms", rankings=rankings)


def time_later():
    """As if the answers were older than the margin within which they are read again."""
    from datetime import timedelta

    from django.utils import timezone

    return timezone.now() + timedelta(hours=1)


def take_in(model, services) -> None:
    from labeling.pipeline.scoring import _tasks_behind

    services.take_model(checkpoint_id=model.pk)
    for tasks in _tasks_behind(True):
        services.refresh_tasks(tasks)
    services.count_answers()


def look_at(client, services, reviewer, rankings: int) -> None:
    """Fifty answers, as the page does it: save one, take the next, show it."""
    item = services.claim_next(reviewer=reviewer)
    times = []
    for _ in range(50):
        started = time.perf_counter()
        answer = client.post(f"/label-errors/{item.pk}/", {"verdict": "fine"})
        shown = client.get(answer.headers["Location"])
        times.append(time.perf_counter() - started)
        assert shown.status_code == 200
        item = services.claim_next(reviewer=reviewer)
    say("a verdict saved and the next answer shown, median", round(1000 * sorted(times)[25]), "ms", rankings=rankings)


if __name__ == "__main__":
    main()
