"""One order out of several. Pure: arrays in, arrays out, nothing of the database.

Ranks are 1 for the best; equal ranks are a tie, 0 is no rank. What is returned is dense: 1, 2, 2, 3.

Three ways:

**Modal**: the order that most answers give, as the mode of three labelers is. It has to be given by more answers than
any other, and by two at least where there is more than one. Answers say the same where all completions stand in the
same relation to each other, whatever the numbers.

**Majority per pair**: which of two completions more than half of all answers put first; a tie where neither has that.
It is an order where the pairs fit together; three of them may go in a circle (Condorcet), and two ties need not make a
third. Then there is none. Where modal finds no mode it takes this one.

**Bradley-Terry**: completion i has a strength p_i > 0 and beats j with p_i / (p_i + p_j) (Bradley and Terry 1952,
Biometrika 39). The most likely strengths by Hunter's MM algorithm (2004, Annals of Statistics 32, equation 3):

    p_i ← W_i / Σ_j n_ij / (p_i + p_j)

with W_i the wins of i and n_ij the comparisons of i and j. A tie counts half a win for either, as in the ranking of
Chatbot Arena (Chiang et al. 2024); Davidson's (1970) model has a parameter more for ties, which a few answers to one
task cannot tell. A PRIOR of a tenth of a tie between any two completions makes the maximum exist and be unique, also
where one completion wins always (Ford's condition, Hunter's assumption 1). It is the same for all, so it favours none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PRIOR = 0.1
# Strengths are logarithms with mean 0, unitless; what is closer than this is a tie.
SAME = 1e-4
ROUNDS = 20_000
CLOSE = 1e-10  # largest relative change of a strength at which MM ends


@dataclass(frozen=True)
class Order:
    """A consensus: `ranks` (K,) dense from 1, None where there is none. `by` says how it came about. `strengths` (K,)
    are logarithms with mean 0, of Bradley-Terry alone."""

    ranks: np.ndarray | None
    by: str
    strengths: np.ndarray | None = None


def dense(ranks: np.ndarray) -> np.ndarray:
    """(K,) the same order as 1, 2, 2, 3."""
    return np.unique(ranks, return_inverse=True)[1] + 1


def modal(ranks: np.ndarray) -> Order:
    """Of (answers, K) ranks, all given: the mode, else the majority per pair, else none.

    `by` is "mode", "majority", or why there is none: "circle".
    """
    counts = Counter(tuple(dense(row)) for row in ranks).most_common(2)
    alone = len(counts) == 1 or counts[0][1] > counts[1][1]
    if counts and alone and (counts[0][1] > 1 or len(ranks) == 1):
        return Order(np.array(counts[0][0]), "mode")
    order = by_majority(ranks)
    return Order(order, "majority") if order is not None else Order(None, "circle")


def majority(ranks: np.ndarray) -> np.ndarray:
    """(K, K) of (answers, K) ranks: 1 where more than half of all answers put i before j, -1 where j, else 0.

    An answer that ranks but one of the two, or ties them, speaks for neither and counts in the half.
    """
    before = _before(ranks).sum(0)
    most = 2 * before > len(ranks)
    return most.astype(int) - most.T.astype(int)


def by_majority(ranks: np.ndarray) -> np.ndarray | None:
    """(K,) the order whose pairs are all as the majority has them; None where there is no such order."""
    signs = majority(ranks)
    # Who is beaten more often stands lower; if the pairs make an order, it is this one.
    order = dense((signs < 0).sum(1) - (signs > 0).sum(1))
    fits = np.sign(order[None, :] - order[:, None]) == signs
    return order if fits.all() else None


def wins_of(ranks: np.ndarray, weights: Sequence[float] | None = None) -> np.ndarray:
    """(K, K) of (answers, K) ranks: how often i was put before j, a tie half each. `weights` (answers,) count an
    answer more or less; 1 each where there are none."""
    each = np.ones(len(ranks)) if weights is None else np.asarray(weights, float)
    if each.shape != (len(ranks),) or not (np.isfinite(each) & (each >= 0)).all():
        raise ValueError(f"{len(ranks)} answers need as many weights of 0 or more, not {weights!r}")
    known = ranks > 0
    tied = (ranks[:, :, None] == ranks[:, None, :]) & known[:, :, None] & known[:, None, :]
    wins = np.einsum("a,aij->ij", each, _before(ranks) + tied / 2)
    np.fill_diagonal(wins, 0)
    return wins


def bradley_terry(ranks: np.ndarray, weights: Sequence[float] | None = None, *, prior: float = PRIOR) -> Order:
    """The order of the strengths that (answers, K) ranks make most likely."""
    strengths = strengths_of(wins_of(ranks, weights)[None], prior=prior)[0]
    return Order(order_of(strengths), "strength", strengths)


def order_of(strengths: np.ndarray) -> np.ndarray:
    """(K,) dense ranks of (K,) strengths, the largest first; SAME or less from the next better one is a tie."""
    best_first = np.argsort(-strengths, kind="stable")
    steps = -np.diff(strengths[best_first]) > SAME
    ranks = np.empty(len(strengths), int)
    ranks[best_first] = np.concatenate([[1], 1 + np.cumsum(steps)])
    return ranks


def strengths_of(wins: np.ndarray, *, prior: float = PRIOR) -> np.ndarray:
    """(T, K) logarithms of strengths with mean 0, of (T, K, K) wins of i over j in T tasks of K completions each."""
    tasks, size, _ = wins.shape
    if size < 2 or not tasks:
        return np.zeros((tasks, size))
    wins = wins + prior / 2 * (1 - np.eye(size))
    total = wins.sum(2)  # (T, K) W_i
    compared = wins + wins.swapaxes(1, 2)  # (T, K, K) n_ij
    found = np.ones((tasks, size))
    going = np.arange(tasks)
    for _round in range(ROUNDS):
        p = found[going]
        new = total[going] / (compared[going] / (p[:, :, None] + p[:, None, :])).sum(2)
        new /= np.exp(np.log(new).mean(1, keepdims=True))
        found[going] = new
        going = going[np.abs(new / p - 1).max(1) > CLOSE]
        if not len(going):
            break
    return np.log(found)


def agreement_of(ranks: np.ndarray) -> float | None:
    """The share of pairs of completions that two of the (answers, K) rankings order alike, over all two of them and
    what neither ties; None where nothing can be compared."""
    signs = np.sign(ranks[:, :, None] - ranks[:, None, :]) * ((ranks[:, :, None] > 0) & (ranks[:, None, :] > 0))
    rows, columns = np.triu_indices(ranks.shape[1], k=1)
    flat = signs[:, rows, columns]
    one, two = np.triu_indices(len(ranks), k=1)
    product = flat[one] * flat[two]
    compared = int((product != 0).sum())
    return int((product > 0).sum()) / compared if compared else None


def _before(ranks: np.ndarray) -> np.ndarray:
    """(answers, K, K) float: 1 where i stands before j."""
    known = ranks > 0
    ahead = ranks[:, :, None] < ranks[:, None, :]
    return (ahead & known[:, :, None] & known[:, None, :]).astype(float)
