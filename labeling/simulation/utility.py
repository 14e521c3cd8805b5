"""What simulated labelers like. A fixed rule, so that a run with them says whether the machinery works, not whether a
model is good: nothing here knows if an answer is true or helpful.

    u = length + ends + overlap − repetition − noise_of_characters        (fixed, the same for all)
    each labeler sees u + N(0, σ²), drawn once per labeler and text

length      1 from 12 to 60 words, falling linearly to −1 at 0 and at 150 words
ends        + .5 when the text ends as a sentence does
overlap     + .5 × share of the question's words of four letters and more that occur in it
repetition  − 2 × share of word triples that occurred before
characters  − 1 × share of characters that are no letters, digits, spaces or usual punctuation
"""

from __future__ import annotations

import hashlib
import random
import re
from dataclasses import dataclass

NOISE = 0.35  # σ: two labelers then order about four pairs of five alike
TIE = 0.08  # two texts closer than this are a tie
ENDS = (".", "!", "?", "…", ".”", '."', '!"', '?"', ".)", "```")
WORD = re.compile(r"\w+")
PLAIN = re.compile(r"[\w\s.,;:!?'\"()\[\]/*#`–—-]")


@dataclass(frozen=True)
class Verdict:
    """What a labeler says of one completion: rank 1 is best, equal ranks are a tie; rating 1 to 7."""

    id: str
    rank: int
    rating: int


def utility(text: str, question: str = "") -> float:
    """The fixed part: higher is better, about −3 to 2, unitless."""
    words = [word.lower() for word in WORD.findall(text)]
    count = len(words)
    if not count:
        return -3.0
    if count < 12:
        length = -1 + 2 * count / 12
    elif count <= 60:
        length = 1.0
    else:
        length = max(-1.0, 1 - 2 * (count - 60) / 90)
    ends = 0.5 if text.rstrip().endswith(ENDS) else 0.0
    asked = {word.lower() for word in WORD.findall(question) if len(word) >= 4}
    overlap = 0.5 * len(asked & set(words)) / len(asked) if asked else 0.0
    triples = list(zip(words, words[1:], words[2:], strict=False))
    repetition = 2 * (1 - len(set(triples)) / len(triples)) if triples else 0.0
    odd = 1 - len(PLAIN.findall(text)) / len(text)
    return length + ends + overlap - repetition - odd


def noisy(value: float, *, labeler: str, text: str) -> float:
    """What one labeler sees of it: the same labeler sees the same of the same text, whenever asked."""
    seed = hashlib.sha256(f"{labeler}\x1f{text}".encode("utf-8", "replace")).digest()
    return value + random.Random(seed).gauss(0, NOISE)


def judge(completions: list[dict], *, question: str, labeler: str) -> list[Verdict]:
    """Ranks and ratings of `[{"id", "text"}]`, best first. The order they come in does not matter."""
    seen = {one["id"]: noisy(utility(one["text"], question), labeler=labeler, text=one["text"]) for one in completions}
    best_first = sorted(seen, key=lambda key: (-seen[key], key))
    verdicts, rank = [], 0
    for place, key in enumerate(best_first):
        if place == 0 or seen[best_first[place - 1]] - seen[key] > TIE:
            rank = place + 1
        rating = min(7, max(1, round(4 + 1.5 * seen[key])))
        verdicts.append(Verdict(id=key, rank=rank, rating=rating))
    return verdicts
