"""How much of planted personal data the detector finds, what it flags wrongly, and how many prompts a second it reads.

Made-up data of every kind (Faker and formats of our own) is planted in real prompts, told by a cue ("my phone number
is") and without; beside it prompts that only look like it (versions, ISBNs, famous names, code), and the real prompts
as they are. The templates and the countries are in two halves: rules were written while looking at half A. Of half B
totals alone were looked at. A value counts as found where a finding that counts (score of at least HOLD_AT) covers a
part of it.

Needs the folder of real prompts beside the project; says so and ends well where it is absent.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import os
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import stack
from bench.personal import templates_a, templates_b
from bench.personal.values import Harmless, Personal

SHARED_DATA = stack.ROOT.parent / "shared" / "data"
HALVES = {"a": templates_a, "b": templates_b}
PROCESSES = 2
BATCH = 64
figure = partial(stack.figure, "personal_data")


@dataclass(frozen=True)
class Case:
    """A prompt, and where personal data was planted: from `start` to `end`, of `kind`. Without a kind there is none."""

    text: str
    kind: str = ""
    cued: bool = False
    start: int = 0
    end: int = 0


def real_prompts(half: str, folder: Path) -> list[str]:
    """Every second of the prompts that people wrote, by half."""
    found = [json.loads(line)["prompt"] for line in (folder / "prompts_oasst.jsonl").open(encoding="utf-8")]
    with gzip.open(folder / "completions_alpacaeval_200.jsonl.gz", "rt", encoding="utf-8") as lines:
        found += [json.loads(line)["instruction"] for line in lines]
    return found[0 if half == "a" else 1 :: 2]


def planted(half: str, hosts: list[str], *, each: int, seed: int) -> Iterator[Case]:
    """`each` prompts of every kind with a cue, half as many without."""
    rng, personal = random.Random(seed), Personal(half, seed)
    for cued, templates in ((True, HALVES[half].CUED), (False, HALVES[half].BARE)):
        for kind, sentences in templates.items():
            for number in range(each if cued else each // 2):
                called, value = personal.make(kind)
                yield plant(rng, rng.choice(hosts), sentences[number % len(sentences)], called, value, kind, cued)


def plant(rng: random.Random, host: str, template: str, called: str, value: str, kind: str, cued: bool) -> Case:
    sentence = template.format(v="\0", c=called)
    if '": "\0"' in template.format(v="\0", c=called):
        value = value.replace("\n", "\\n")
    before, _, after = sentence.partition("\0")
    turn = rng.random()
    if turn < 0.4:
        before = f"{host}{rng.choice([' ', chr(10), chr(10) * 2])}{before}"
    elif turn < 0.7:
        after = f"{after}{rng.choice([' ', chr(10), chr(10) * 2])}{host}"
    elif turn < 0.8:
        close = rng.choice(["Thanks!", "What do you think?", "Answer in short."])
        before, after = f"{host}\n\n{before}", f"{after}\n\n{close}"
    return Case(before + value + after, kind, cued, len(before), len(before) + len(value))


def negatives(half: str, *, each: int, seed: int) -> list[Case]:
    harmless = Harmless(half, seed)
    return [Case(harmless.fill(template)) for template in HALVES[half].NEGATIVE for _ in range(each)]


def look(cases: list[Case]) -> list[list[tuple[str, int, int, float]]]:
    from labeling.governance.personal_data import HOLD_AT, find_many

    return [
        [(span.kind, span.start, span.end, span.score) for span in spans if span.score >= HOLD_AT]
        for spans in find_many(case.text for case in cases)
    ]


def share(part: int, whole: int) -> float:
    return 100 * part / whole if whole else float("nan")


def measure(half: str, args: argparse.Namespace) -> list[str]:
    hosts = real_prompts(half, SHARED_DATA)
    cases = list(planted(half, hosts, each=args.each, seed=args.seed))
    hard, real = negatives(half, each=args.harmless, seed=args.seed), [Case(host) for host in hosts]
    found = {name: look(group) for name, group in (("planted", cases), ("hard", hard), ("real", real))}
    hit: dict[tuple[str, bool], list[int]] = defaultdict(list)
    right, wrong, prompts = Counter(), Counter(), 0
    for case, spans in zip(cases, found["planted"], strict=True):
        over = [span[1] < case.end and span[2] > case.start for span in spans]
        hit[case.kind, case.cued].append(any(over))
        prompts += bool(spans)
        for (kind, *_), true in zip(spans, over, strict=True):
            (right if true else wrong)[kind] += 1
        if args.misses and half == "a" and not any(over):
            value, around = case.text[case.start : case.end], case.text[max(0, case.start - 40) : case.end + 20]
            print(f"MISSED {case.kind} {'told' if case.cued else 'bare'}: {value!r} in {around!r}", file=sys.stderr)
    for name, group in (("hard", hard), ("real", real)):
        for case, spans in zip(group, found[name], strict=True):
            wrong.update(kind for kind, *_ in spans)
            if args.misses and half == "a" and spans:
                what = [(kind, case.text[start:end]) for kind, start, end, _score in spans]
                print(f"WRONG {name}: {what} in {case.text[:150]!r}", file=sys.stderr)
    about = {"half": half}
    every = [value for values in hit.values() for value in values]
    told = [value for (_, cued), values in hit.items() if cued for value in values]
    bare = [value for (_, cued), values in hit.items() if not cued for value in values]
    figure("prompts with planted data flagged", share(prompts, len(cases)), "%", prompts=len(cases), **about)
    figure("planted data found", share(sum(every), len(every)), "%", prompts=len(every), **about)
    figure("planted data found, with a cue", share(sum(told), len(told)), "%", prompts=len(told), **about)
    figure("planted data found, without a cue", share(sum(bare), len(bare)), "%", prompts=len(bare), **about)
    for name, group in (("hard negatives", hard), ("ordinary real prompts", real)):
        flagged = sum(map(bool, found[name.split()[0] if name.startswith("hard") else "real"]))
        figure(f"{name} flagged", share(flagged, len(group)), "%", prompts=len(group), **about)
    if half in args.kinds:
        for kind in HALVES[half].CUED:
            for cued in (True, False):
                if values := hit.get((kind, cued)):
                    name = f"recall of {kind}, {'with' if cued else 'without'} a cue"
                    figure(name, share(sum(values), len(values)), "%", prompts=len(values), **about)
        for kind in sorted(right | wrong):
            figure(f"precision of {kind}", share(right[kind], right[kind] + wrong[kind]), "%",
                   findings=right[kind] + wrong[kind], **about)  # fmt: skip
    return [case.text for case in (*cases, *hard, *real)]


def read(texts: list[str]) -> int:
    from labeling.governance.personal_data import find_many

    return sum(len(spans) for spans in find_many(texts))


def speed(texts: list[str]) -> None:
    """All prompts of both halves, and the real ones alone, in batches by two processes that are warm."""
    batches = [texts[index : index + BATCH] for index in range(0, len(texts), BATCH)]
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        pool.map(read, [texts[:BATCH]] * 4 * PROCESSES, chunksize=1)
        started = time.perf_counter()
        pool.map(read, batches, chunksize=1)
        seconds = time.perf_counter() - started
    size = sum(map(len, texts)) / len(texts)
    figure("prompts scanned a second", len(texts) / seconds, "1/s", processes=PROCESSES, prompts=len(texts),
           characters_a_prompt=round(size))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=40, help="prompts of a kind with a cue (%(default)s), half without")
    parser.add_argument("--harmless", type=int, default=6, help="prompts of each hard negative (%(default)s)")
    parser.add_argument("--seed", type=int, default=6, help="what the made-up data is drawn from (%(default)s)")
    parser.add_argument("--kinds", default="ab", help="halves of which every kind is told: a, b or ab (%(default)s)")
    parser.add_argument("--misses", action="store_true", help="say each miss of half A on stderr")
    parser.add_argument("--no-speed", action="store_true", help="leave the speed out")
    args = parser.parse_args()
    if not SHARED_DATA.is_dir():
        print(f"needs the real data in {SHARED_DATA}, which is not on this machine", file=sys.stderr)
        return
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    texts = [text for half in HALVES for text in measure(half, args)]
    if not args.no_speed:
        random.Random(args.seed).shuffle(texts)
        speed(texts)


if __name__ == "__main__":
    main()
