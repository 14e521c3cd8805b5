"""`python -m bench [WORD…]`: run every bench/bench_*.py whose name has one of the words, or all of them.

Each prints one JSON line per figure: {"benchmark", "figure", "value", "unit", …}. The lines go to the terminal and,
with the machine and the commit, to bench/results/TIME.jsonl. Exit status 0 done, 1 when a benchmark failed.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(words: list[str]) -> int:
    chosen = sorted(path for path in HERE.glob("bench_*.py") if not words or any(word in path.stem for word in words))
    if not chosen:
        known = ", ".join(sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py")))
        print(f"No benchmark is called like that; there are: {known}.", file=sys.stderr)
        return 2
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    path = results / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.jsonl"
    about = {
        "commit": commit(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": sys.version.split()[0],
    }
    failed = []
    with path.open("w") as out:
        for benchmark in chosen:
            # One process each: what one imports or leaves in memory is not on another's bill.
            done = subprocess.run(
                [sys.executable, "-m", f"bench.{benchmark.stem}"], cwd=HERE.parent, stdout=subprocess.PIPE, text=True
            )
            if done.returncode:
                failed.append(benchmark.stem)
            for line in done.stdout.splitlines():
                print(line, flush=True)
                out.write(json.dumps({**json.loads(line), **about}) + "\n")
    print(f"{path.relative_to(HERE.parent)}", file=sys.stderr)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def commit() -> str:
    """The commit that was measured, "+" behind it when files differ from it; empty outside git."""
    said = subprocess.run(["git", "describe", "--always", "--dirty=+"], cwd=HERE, capture_output=True, text=True)
    return said.stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
