"""A Markdown table of figures: `python -m bench.table [FILE…]`, by default of the newest file in bench/results/.

Of a figure that is there several times under the same conditions the last one counts.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"
ABOUT = ("commit", "machine", "cores", "python")  # of the whole run
SHOWN = ("benchmark", "figure", "value", "unit")


def main(names: list[str]) -> int:
    files = [Path(name) for name in names] or sorted(RESULTS.glob("*.jsonl"))[-1:]
    if not files:
        print(f"No results in {RESULTS}; run `python -m bench` first.", file=sys.stderr)
        return 1
    found: dict[tuple[str, str, str], dict] = {}
    for file in files:
        for line in map(json.loads, file.read_text().splitlines()):
            found[line["benchmark"], line["figure"], conditions(line)] = line
    print("| benchmark | figure | value | conditions |\n| --- | --- | ---: | --- |")
    for (benchmark, figure, under), line in found.items():
        unit = "" if line["unit"] == "1" else f" {line['unit']}"
        print(f"| {benchmark} | {figure} | {line['value']:,}{unit} | {under} |")
    runs = {", ".join(f"{name} {line[name]}" for name in ABOUT if name in line) for line in found.values()}
    print("\n" + "; ".join(sorted(runs)))
    return 0


def conditions(line: dict) -> str:
    more = {name: value for name, value in line.items() if name not in (*SHOWN, *ABOUT)}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in more.items())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
