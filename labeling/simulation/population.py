"""Forty labelers whose faults are known, and any number of rankings by them: what quality reports are tried on.

Pure, and the same for the same seed. A labeler i of attention s, who is drawn to what is shown first by p and to length
by l, sees in completion j

    u = s · quality_j + p · (½ − place_j) + l · (log₂ words_j − 7) + Gumbel

and orders by it (Plackett & Luce: of two completions the chance is a logit of the difference); closer than TIE is a
tie. Better completions are longer on average, and models differ. Two labelers are spammers: one clicks anything, one
leaves the order as shown with ratings all alike, both in a tenth of the time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labeling.quality.reports import Rankings

LABELERS, K, OVERLAP = 40, 4, 4
CLICKER, STRAIGHT = 38, 39  # numbers of the two spammers
MODELS = ("simulated-model-a", "simulated-model-b", "simulated-model-c")
MODEL_QUALITY = np.array([-0.4, 0.0, 0.4])
TIE = 0.05
WORDS = 7.0  # log₂ of the usual length


@dataclass(frozen=True)
class Population:
    """(LABELERS,) each: attention to quality, log-odds for the completion shown first against the one shown last, and
    for one of twice the words."""

    skill: np.ndarray
    place: np.ndarray
    length: np.ndarray

    @property
    def spammers(self) -> tuple[int, int]:
        return CLICKER, STRAIGHT


def population(seed: int = 0) -> Population:
    """The labelers. What they like of length cancels out over the team: a taste that all share cannot be told from
    quality."""
    rng = np.random.default_rng([seed, 40])
    skill = rng.permutation(np.linspace(0.4, 2.2, LABELERS - 2))
    place = rng.normal(0, 0.4, LABELERS - 2)
    length = rng.normal(0, 0.25, LABELERS - 2)
    # Neither on average nor with skill.
    design = np.stack([np.ones(LABELERS - 2), skill], axis=1)
    length -= design @ np.linalg.lstsq(design, length, rcond=None)[0]
    none = np.zeros(2)
    return Population(*(np.concatenate([each, none]) for each in (skill, place, length)))


def account_names() -> list[str]:
    """In the order of the population's numbers."""
    return [f"sim-known-{number:02d}" for number in range(LABELERS)]


def draw(people: Population, seed: int, *, tasks: int = 5_000, overlap: int = OVERLAP) -> Rankings:
    """tasks · overlap rankings of K completions, each task a prompt of its own, by `overlap` of the labelers."""
    rng = np.random.default_rng([seed, 41])
    model = rng.integers(0, len(MODELS), (tasks, K))
    quality = MODEL_QUALITY[model] + rng.normal(0, 0.9, (tasks, K))
    words = np.maximum(1, np.round(2 ** (WORDS + 0.3 * quality + rng.normal(0, 0.7, (tasks, K)))))
    markdown = (rng.random((tasks, K)) < 1 / (1 + np.exp(0.5 - 0.3 * quality))).astype(float)

    who = np.argsort(rng.random((tasks, LABELERS)), axis=1)[:, :overlap].ravel()  # (R,)
    task = np.repeat(np.arange(tasks), overlap)
    count = len(who)
    place, place_ranked = (np.argsort(rng.random((count, K)), axis=1) / (K - 1) for _ in range(2))
    seen = people.skill[who, None] * quality[task]
    drawn = people.place[who, None] * (0.5 - place) + people.length[who, None] * (np.log2(words[task]) - WORDS)
    worth = seen + drawn + rng.gumbel(0, 1, (count, K))
    straight, clicks = who == STRAIGHT, who == CLICKER
    worth[straight] = -place[straight]
    rating = np.clip(np.round(4.3 + 0.9 * worth + rng.normal(0, 0.2, (count, K))), 1, 7)
    rating[clicks] = rng.integers(1, 8, (int(clicks.sum()), K))
    rating[straight] = 4
    pace = 0.25 * np.exp(rng.normal(0, 0.3, LABELERS)[who] + rng.normal(0, 0.35, count))  # seconds a word
    seconds = np.round(np.where(straight | clicks, 0.1, 1.0) * pace * (words[task].sum(1) + 40)) + 1
    return Rankings(
        labeler=who,
        prompt=task,
        seconds=seconds,
        ranking=np.repeat(np.arange(count), K),
        completion=(task[:, None] * K + np.arange(K)).ravel(),
        rank=_ranks(worth).ravel(),
        rating=rating.ravel(),
        place=place.ravel(),
        place_ranked=place_ranked.ravel(),
        words=words[task].ravel(),
        markdown=markdown[task].ravel(),
        model=model[task].ravel(),
        models=MODELS,
    )


def _ranks(worth: np.ndarray) -> np.ndarray:
    """(R, K) ranks, the largest worth first; what follows closer than TIE shares the rank before it."""
    order = np.argsort(-worth, axis=1)
    ordered = np.take_along_axis(worth, order, axis=1)
    own = np.concatenate([np.ones((len(worth), 1), bool), ordered[:, :-1] - ordered[:, 1:] > TIE], axis=1)
    numbers = np.maximum.accumulate(np.where(own, np.arange(1, worth.shape[1] + 1), 0), axis=1)
    ranks = np.empty_like(worth)
    np.put_along_axis(ranks, order, numbers.astype(float), axis=1)
    return ranks
