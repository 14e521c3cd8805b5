"""Agreement of many rankings: counting preferences against comparing every two labelers over every two texts."""

from __future__ import annotations

import json
import time
from itertools import combinations

import numpy as np

from labeling.agreement.statistics import Counts, Tally, count_task

PROMPTS, LABELERS, K = 1000, 12, 9
SLOW = 40  # prompts that the pair-by-pair way is timed on


def one_by_one(ranks: np.ndarray) -> tuple[int, int]:
    """Agreeing and counted pairs, ties left out."""
    agree = pairs = 0
    for first, second in combinations(ranks.tolist(), 2):
        for i, j in combinations(range(len(first)), 2):
            one, two = first[i] - first[j], second[i] - second[j]
            if one and two:
                pairs += 1
                agree += (one > 0) == (two > 0)
    return agree, pairs


def main() -> None:
    rng = np.random.default_rng(0)
    tasks = rng.integers(1, K + 1, size=(PROMPTS, LABELERS, K)).astype(float)

    started = time.perf_counter()
    slow = [one_by_one(ranks) for ranks in tasks[:SLOW]]
    seconds_slow = (time.perf_counter() - started) / SLOW

    started = time.perf_counter()
    counted: list[Counts] = [count_task(ranks) for ranks in tasks]
    seconds = (time.perf_counter() - started) / PROMPTS
    assert [(counts.agree, counts.pairs) for counts in counted[:SLOW]] == slow

    tally = Tally(by_prompt=counted)
    started = time.perf_counter()
    tally.pairwise()
    seconds_interval = time.perf_counter() - started

    sizes = {"prompts": PROMPTS, "labelers": LABELERS, "k": K}
    for figure, value, unit in (
        ("per prompt", seconds * 1e6, "µs"),
        ("per prompt, pair by pair", seconds_slow * 1e6, "µs"),
        ("times faster", seconds_slow / seconds, "1"),
        ("interval of 2,000 draws", seconds_interval * 1e3, "ms"),
    ):
        line = {"benchmark": "agreement", "figure": figure, "value": round(value, 2), "unit": unit, **sizes}
        print(json.dumps(line, ensure_ascii=False))


if __name__ == "__main__":
    main()
