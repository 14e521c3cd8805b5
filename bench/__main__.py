"""Run benchmarks: `python -m bench [WORD…] [OPTION…]`.

Every bench/bench_*.py whose name has one of the words, or all of them. Each prints one JSON line per figure:
{"benchmark", "figure", "value", "unit", …}. The lines go to the terminal and, with the machine and the commit, to
bench/results/TIME.jsonl; `python -m bench.table` makes a table of them.

Options go to the benchmark, where the words choose a single one: `python -m bench grant --help` lists those of one.
Exit status 0 done, 1 when a benchmark failed, 2 wrong usage.
"""

from __future__ import annotations

import ast
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path

HERE = Path(__file__).resolve().parent
HELP = ("-h", "--help")


def main(arguments: list[str]) -> int:
    words = list(takewhile(lambda argument: not argument.startswith("-"), arguments))
    options = arguments[len(words) :]
    every = sorted(HERE.glob("bench_*.py"))
    chosen = [path for path in every if not words or any(word in path.stem for word in words)]
    if not words and options in ([HELP[0]], [HELP[1]]):
        print(f"{__doc__}\nBenchmarks:")
        for path in every:
            first = ast.get_docstring(ast.parse(path.read_text())).partition("\n\n")[0]
            print(f"  {name_of(path):<12} {' '.join(first.split())}")
        return 0
    if not chosen:
        print(f"No benchmark is called like that; there are: {', '.join(map(name_of, every))}.", file=sys.stderr)
        return 2
    if options and len(chosen) > 1:
        known = ", ".join(map(name_of, chosen))
        print(f"{options[0]} is for one benchmark, and {known} are chosen; name one of them.", file=sys.stderr)
        return 2
    if any(option in HELP for option in options):
        return subprocess.run(command(chosen[0], options), cwd=HERE.parent).returncode
    return run(chosen, options)


def run(chosen: list[Path], options: list[str]) -> int:
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    path = results / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.jsonl"
    about = {
        "commit": commit(),
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": sys.version.split()[0],
    }
    failed = []
    with path.open("w") as out:
        for benchmark in chosen:
            # One process each: what one imports or leaves in memory is not on another's bill.
            with subprocess.Popen(
                command(benchmark, options), cwd=HERE.parent, stdout=subprocess.PIPE, text=True
            ) as process:
                for line in process.stdout:
                    print(line, end="", flush=True)
                    out.write(json.dumps({**json.loads(line), **about}) + "\n")
                    out.flush()
            if process.returncode:
                failed.append(name_of(benchmark))
    print(f"{path.relative_to(HERE.parent)}", file=sys.stderr)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def command(benchmark: Path, options: list[str]) -> list[str]:
    return [sys.executable, "-m", f"bench.{benchmark.stem}", *options]


def name_of(benchmark: Path) -> str:
    return benchmark.stem.removeprefix("bench_")


def commit() -> str:
    """The commit that was measured, "+" behind it when files differ from it; empty outside git."""
    said = subprocess.run(["git", "describe", "--always", "--dirty=+"], cwd=HERE, capture_output=True, text=True)
    return said.stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
