"""Every statistic by an example worked out by hand, and against slow references."""

from __future__ import annotations

import json
import math
from itertools import combinations

import krippendorff
import numpy as np
import pytest
from krippendorff.krippendorff import _distances, _ordinal_metric, _random_coincidences

from labeling.agreement import pairs
from labeling.agreement.pairs import (
    HELD_OUT,
    HELD_OUT_WITH_TRAINING,
    RATINGS,
    RESEARCHER,
    SETS,
    TRAINING,
    WITH_RESEARCHERS,
    Judged,
    Layout,
    compare,
    tables_of,
)
from labeling.agreement.statistics import alphas_of, correlation, figures
from labeling.agreement.sums import CLUSTERS, Sums

LAYOUT = Layout(ranks=5, flags=2)
FLAGS = ["wrong", "prompt:unclear"]


def judged(ranks, *, ratings=None, flags=None, prompt_flags=None, groups=None, prompts=None) -> Judged:
    """Tasks (n, L, K) with ranks, and nothing else. The first flag is asked of completions, the second of prompts."""
    ranks = np.asarray(ranks)
    tasks, labelers, _completions = ranks.shape

    def given(values, shape) -> np.ndarray:
        return np.zeros(shape, np.int64) if values is None else np.asarray(values)

    return Judged(
        ranks=ranks,
        ratings=given(ratings, ranks.shape),
        flags=given(flags, ranks.shape),
        asked=np.full((tasks, labelers), 0b01),
        prompt_flags=given(prompt_flags, (tasks, labelers)) * 0b10,
        prompt_asked=np.full((tasks, labelers), 0b10),
        judged=np.ones(ranks.shape, bool),
        groups=given(groups, (tasks, labelers)),
        labelers=np.tile(np.arange(labelers), (tasks, 1)),
        weeks=np.zeros((tasks, labelers), np.int64),
        tasks=np.arange(tasks),
        prompts=np.arange(tasks) if prompts is None else np.asarray(prompts),
        use_cases=np.zeros(tasks, np.int64),
    )


def all_together(found: Judged) -> dict:
    sums = Sums(1, LAYOUT.width)
    for table in tables_of(found, LAYOUT):
        sums.add(table, np.zeros(len(table.task), int))
    return figures(sums, 0, LAYOUT, FLAGS, alike=True)


def in_set(found: Judged, which: int, *, alike: bool = False) -> dict:
    sums = Sums(SETS, LAYOUT.width)
    for table in tables_of(found, LAYOUT):
        sums.add(table, np.where(table.set < SETS, table.set, -1), in_set=True)
    return figures(sums, which, LAYOUT, FLAGS, alike=alike)


def count(*ranks) -> tuple:
    """(agree, pairs, half_agree, half_pairs) of one task."""
    found = all_together(judged([ranks]))
    return (
        *(found["pairwise"][key] for key in ("agree", "pairs")),
        *(found["ties_half"][k] for k in ("agree", "pairs")),
    )


# By hand


def test_two_labelers():
    # a before b before c; the other: a first, then c before b. They part on b and c alone.
    assert count([1, 2, 3], [1, 3, 2]) == (2, 3, 2.0, 3)


def test_tie_is_left_out_or_half():
    # The second ties a with b: of 3 pairs one has a tie, and both agree on the other two.
    assert count([1, 2, 3], [1, 1, 2]) == (2, 2, 2.5, 3)


def test_two_ties_agree_only_where_ties_count():
    assert count([1, 1], [1, 1]) == (0, 0, 1.0, 1)


def test_three_labelers():
    # Over one pair: two say a, one says b. Three pairs of labelers, one of which agrees.
    assert count([1, 2], [1, 2], [2, 1]) == (1, 3, 1.0, 3)


def test_completion_without_a_rank_is_no_pair():
    assert count([1, 2, 0], [1, 2, 3]) == (1, 1, 1.0, 1)


def test_chance_of_ties_at_half():
    # Of 3 pairs the first ties 1 and the second none: 1 of 6 looks is a tie, so 1/2 + (1/6)^2 / 2.
    found = all_together(judged([[[1, 1, 2], [1, 2, 3]]]))
    assert found["ties_half"]["chance"] == pytest.approx(0.5 + (1 / 6) ** 2 / 2)
    assert found["pairwise"]["chance"] == 0.5


def test_tau_b():
    # 1 2 2 3 and 1 2 3 3: of 6 pairs the first ties one (b, c) and the second another (c, d). The other 4 are ordered
    # alike: (4 - 0) / sqrt((6 - 1)(6 - 1)) = 0.8.
    assert all_together(judged([[[1, 2, 2, 3], [1, 2, 3, 3]]]))["tau_b"]["value"] == pytest.approx(0.8)
    # 1 2 3 4 and 2 1 3 4: one of 6 pairs is turned round: (5 - 1) / 6.
    assert compare(np.array([[1, 2, 3, 4]]), np.array([[2, 1, 3, 4]]))[0, pairs.TAU] == pytest.approx(4 / 6)


def test_tau_b_of_somebody_who_ties_all_is_not_defined():
    # Of three labelers one ties all: one pair of labelers is left, which agrees wholly.
    found = all_together(judged([[[1, 2], [1, 2], [1, 1]]]))["tau_b"]
    assert (found["value"], found["pairs_of_rankings"]) == (1, 1)


def test_alpha_of_two_labelers():
    # Two completions, ranked 1 2 by one and 2 1 by the other: o_12 = o_21 = 2, n_1 = n_2 = 2, n = 4. With one distance
    # alone it cancels: alpha = 1 - (n - 1) · (o_12 + o_21) / (2 · n_1 · n_2) = 1 - 3 · 4 / 8 = -0.5.
    assert all_together(judged([[[1, 2], [2, 1]]]))["alpha_ranks"]["value"] == pytest.approx(-0.5)


def test_alpha_of_krippendorffs_own_example():
    # Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability": 4 observers, 12 units, ordinal: 0.815.
    data = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
        [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
    ]
    found = all_together(judged(np.zeros((1, 4, 12), int), ratings=[data]))["alpha_ratings"]
    assert found["value"] == pytest.approx(0.815, abs=5e-4)
    assert found["values"] == 40  # the last unit has one observer and pairs with nobody


def test_correlation_of_ratings():
    # (1, 2), (2, 4), (3, 3) in either order: mean 2.5; the six products of differences are twice (-1.5)(-0.5) +
    # (-0.5)(1.5) + (0.5)(0.5) = 0.25, so 0.5; the squares sum to 2.25 + 0.25 + 0.25 + 0.25 + 2.25 + 0.25 = 5.5.
    found = all_together(judged(np.zeros((1, 2, 3), int), ratings=[[[1, 2, 3], [2, 4, 3]]]))
    assert found["ratings_pearson"]["value"] == pytest.approx(0.5 / 5.5)
    # Ranks of 1 2 2 3 3 4 are 1, 2.5, 2.5, 4.5, 4.5, 6, mean 3.5: pairs (1, 2.5), (2.5, 6), (4.5, 4.5).
    # Twice (-2.5)(-1) + (-1)(2.5) + 1·1 = 2; squares 6.25 + 1 + 1 + 1 + 1 + 6.25 = 16.5.
    assert found["ratings_spearman"]["value"] == pytest.approx(2 / 16.5)


def test_correlation_across_two_sets_is_pearsons_own():
    # A labeler gives 1 2 3, a researcher 5 6 7: another level, the same order, and r = 1. In either order it would not.
    ratings = [[[1, 2, 3], [5, 6, 7]]]
    found = judged(np.zeros((1, 2, 3), int), ratings=ratings, groups=[[TRAINING, RESEARCHER]])
    assert in_set(found, WITH_RESEARCHERS)["ratings_pearson"]["value"] == pytest.approx(1)
    assert all_together(found)["ratings_pearson"]["value"] < 0


def test_kappa_of_labelers_who_are_alike():
    # Ten completions: both flag 2, one of them 2 more, nobody 6. Agreement 8/10. Flags set: 6 of 20, p = 0.3, and by
    # chance 0.09 + 0.49 = 0.58. kappa = (0.8 - 0.58) / 0.42.
    flags = [[[1, 1, 1, 0, 0, 0, 0, 0, 0, 0], [1, 1, 0, 1, 0, 0, 0, 0, 0, 0]]]
    found = all_together(judged(np.zeros((1, 2, 10), int), flags=flags))["flags"]["by_flag"]["wrong"]
    assert found["value"] == pytest.approx(0.22 / 0.42)
    assert (found["agree"], found["agree_chance"], found["set"]) == pytest.approx((0.8, 0.58, 0.3))
    assert found["pairs"] == 10


def test_kappa_across_two_sets_is_cohens():
    # Cohen's: the labeler flags 4 of 10, the researcher 2, both of them 2: 8/10 agree; by chance .4·.2 + .6·.8 = .56.
    flags = [[[1, 1, 1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]]]
    found = judged(np.zeros((1, 2, 10), int), flags=flags, groups=[[HELD_OUT, RESEARCHER]])
    figure = in_set(found, WITH_RESEARCHERS)["flags"]["by_flag"]["wrong"]
    assert figure["value"] == pytest.approx((0.8 - 0.56) / 0.44)


def test_flag_of_the_prompt_is_one_unit_a_task():
    # Four tasks: both, both, one alone, nobody: 3/4 agree, p = 5/8, chance 25/64 + 9/64 = 34/64.
    found = judged(np.zeros((4, 2, 3), int), prompt_flags=[[1, 1], [1, 1], [1, 0], [0, 0]])
    figure = all_together(found)["flags"]["by_flag"]["prompt:unclear"]
    assert (figure["value"], figure["pairs"]) == (pytest.approx((3 / 4 - 34 / 64) / (1 - 34 / 64)), 4)


def test_flag_that_nobody_sets_has_no_kappa():
    found = all_together(judged([[[1, 2], [1, 2]]]))["flags"]
    assert found["by_flag"]["wrong"]["value"] is None
    assert found["mean"]["value"] is None


def test_sets_are_kept_apart():
    # Two of the training group agree with each other, the held-out one with nobody, the researcher with the first two.
    found = judged([[[1, 2], [1, 2], [2, 1], [1, 2]]], groups=[[TRAINING, TRAINING, HELD_OUT, RESEARCHER]])

    def rate(which: int) -> tuple:
        pairwise = in_set(found, which)["pairwise"]
        return pairwise["agree"], pairwise["pairs"]

    assert rate(TRAINING) == (1, 1)
    assert rate(HELD_OUT_WITH_TRAINING) == (0, 2)
    assert rate(WITH_RESEARCHERS) == (2, 3)


# Against references


def slow(ranks, ratings, flags) -> dict:
    """Sums over tasks, pairs of labelers and pairs of completions, one by one."""
    agree = wanted = taus = 0
    half = half_pairs = tau = 0.0
    table = np.zeros((RATINGS, RATINGS))
    flagged = [0, 0, 0]  # both, one, asked
    for task, rated, set_by in zip(ranks, ratings, flags, strict=True):
        for a, b in combinations(range(len(task)), 2):
            concordant = discordant = ordered_a = ordered_b = 0
            for i, j in combinations(range(len(task[0])), 2):
                if 0 in (task[a][i], task[a][j], task[b][i], task[b][j]):
                    continue
                one, two = np.sign(task[a][i] - task[a][j]), np.sign(task[b][i] - task[b][j])
                half_pairs += 1
                half += 1 if one == two else 0.5 if 0 in (one, two) else 0
                ordered_a, ordered_b = ordered_a + abs(one), ordered_b + abs(two)
                concordant, discordant = concordant + (one * two > 0), discordant + (one * two < 0)
            agree, wanted = agree + concordant, wanted + concordant + discordant
            if ordered_a and ordered_b:
                tau, taus = tau + (concordant - discordant) / math.sqrt(ordered_a * ordered_b), taus + 1
            for x, y in zip(rated[a], rated[b], strict=True):
                if x and y:
                    table[x - 1, y - 1] += 1
                    table[y - 1, x - 1] += 1
            for x, y in zip(set_by[a], set_by[b], strict=True):
                flagged = [flagged[0] + (x & y), flagged[1] + (x ^ y), flagged[2] + 1]
    return {
        "counts": (agree, wanted, half, half_pairs),
        "tau": tau / taus,
        "table": table,
        "flagged": flagged,
    }


def value_counts(values) -> np.ndarray:
    """(units, values) how many labelers gave each value, as the package wants it."""
    units = np.moveaxis(np.asarray(values), 1, 2).reshape(-1, np.asarray(values).shape[1])
    return np.stack([(units == value).sum(1) for value in range(1, 8)], axis=1)


@pytest.mark.parametrize("seed", range(6))
def test_figures_are_those_of_the_slow_way(seed):
    rng = np.random.default_rng(seed)
    shape = (40, int(rng.integers(2, 6)), int(rng.integers(2, 6)))
    ranks, ratings = rng.integers(0, shape[2] + 1, shape), rng.integers(0, 8, shape)
    flags = rng.integers(0, 2, shape)
    found = all_together(judged(ranks, ratings=ratings, flags=flags))
    wanted = slow(ranks.tolist(), ratings.tolist(), flags.tolist())
    assert (found["pairwise"]["agree"], found["pairwise"]["pairs"]) == wanted["counts"][:2]
    assert (found["ties_half"]["agree"], found["ties_half"]["pairs"]) == wanted["counts"][2:]
    assert found["tau_b"]["value"] == pytest.approx(wanted["tau"], rel=1e-5)
    x, y = (np.repeat(side.ravel() + 1, wanted["table"].astype(int).ravel()) for side in np.indices((7, 7)))
    assert found["ratings_pearson"]["value"] == pytest.approx(np.corrcoef(x, y)[0, 1])
    both, one, asked = wanted["flagged"]
    p = (2 * both + one) / (2 * asked)
    expected = p * p + (1 - p) * (1 - p)
    kappa_found = found["flags"]["by_flag"]["wrong"]["value"]
    assert kappa_found == pytest.approx((1 - one / asked - expected) / (1 - expected))
    for name, values in (("alpha_ranks", ranks), ("alpha_ratings", ratings)):
        by_package = krippendorff.alpha(value_counts=value_counts(values), level_of_measurement="ordinal")
        assert found[name]["value"] == pytest.approx(by_package, rel=1e-5)


def test_twenty_six_completions_and_a_hundred_labelers():
    """The most that there can be, in the small numbers in which the stream brings them."""
    layout = Layout(ranks=26)
    ranks = np.random.default_rng(0).permuted(np.tile(np.arange(1, 27, dtype=np.int8), (2, 100, 1)), axis=2)
    sums = Sums(1, layout.width)
    for table in tables_of(judged(ranks), layout):
        sums.add(table, np.zeros(len(table.task), int))
    found = figures(sums, 0, layout, alike=True)
    assert found["pairwise"]["pairs"] == 2 * (100 * 99 // 2) * (26 * 25 // 2)
    units = np.moveaxis(ranks, 1, 2).reshape(-1, 100)
    counts = np.stack([(units == value).sum(1) for value in range(1, 27)], axis=1)
    by_package = krippendorff.alpha(value_counts=counts, level_of_measurement="ordinal")
    assert found["alpha_ranks"]["value"] == pytest.approx(by_package, abs=1e-6)


def by_the_package(coincidences: np.ndarray) -> float:
    """What `krippendorff.alpha` does from the coincidences on; its own way in takes units, of which there are none."""
    counts = coincidences.sum(0)
    distances = _distances(np.arange(len(counts)), _ordinal_metric, counts)
    return float(1 - (coincidences * distances).sum() / (_random_coincidences(counts) * distances).sum())


def test_many_alphas_at_once_are_the_packages():
    rng = np.random.default_rng(1)
    matrices = rng.integers(0, 20, (50, 6, 6)).astype(float)
    matrices += np.swapaxes(matrices, 1, 2)
    matrices[0, 2] = matrices[0, :, 2] = 0  # a value that nobody gave
    assert alphas_of(matrices) == pytest.approx([by_the_package(matrix) for matrix in matrices])
    # Fewer than two values, and values that are all the same, have none.
    nothing = np.zeros((2, 6, 6))
    nothing[1, 3, 3] = 8
    assert np.isnan(alphas_of(nothing)).all()


def test_weights_across_two_sets_count_each_value_once():
    # One completion, two labelers and three researchers: 6 pairs, 5 values.
    groups = [[TRAINING, TRAINING, RESEARCHER, RESEARCHER, RESEARCHER]]
    found = judged(np.zeros((1, 5, 1), int), ratings=[[[1], [2], [3], [4], [5]]], groups=groups)
    assert in_set(found, WITH_RESEARCHERS)["alpha_ratings"]["values"] == 5
    assert in_set(found, RESEARCHER, alike=True)["alpha_ratings"]["values"] == 3


def test_spearman_is_pearson_of_ranks():
    table = np.zeros((7, 7))
    table[0, 0] = table[1, 3] = table[4, 5] = 1
    assert correlation(table, ranks=True) == pytest.approx(1)
    assert correlation(table, ranks=False) == pytest.approx(np.corrcoef([1, 2, 5], [1, 4, 6])[0, 1])
    assert math.isnan(correlation(np.diag([3.0, 0, 0, 0, 0, 0, 0]), ranks=False))


def test_real_rankings_agree_with_brute_force(shared_data):
    """Three people ranked three summaries of each story's question."""
    ranks = []
    for line in (shared_data / "multi_rankings_squality.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        systems = sorted(row["completions"])
        ranks.append([[labeler["ranks"][system] for system in systems] for labeler in row["rankings"]])
    # Ranks may be fractions, as of ties; their order is what counts.
    dense = [[np.unique(one, return_inverse=True)[1] + 1 for one in task] for task in ranks]
    found = all_together(judged(dense))
    agree, wanted, half, half_pairs = slow(dense, np.zeros_like(dense), np.zeros_like(dense))["counts"]
    assert (found["pairwise"]["agree"], found["pairwise"]["pairs"]) == (agree, wanted)
    assert (found["ties_half"]["agree"], found["ties_half"]["pairs"]) == (half, half_pairs)
    low, high = found["pairwise"]["ci95"]
    assert low < found["pairwise"]["rate"] < high
    assert 0.05 < high - low < 0.3, "60 stories leave a wide interval"


# Intervals


def test_nothing_to_compare_has_no_value():
    found = figures(Sums(1, LAYOUT.width), 0, LAYOUT, FLAGS, alike=True)
    assert found["pairwise"] == {"agree": 0, "pairs": 0, "rate": None, "ci95": [None, None], "chance": 0.5}
    assert found["alpha_ranks"]["value"] is found["tau_b"]["value"] is found["ties_half"]["chance"] is None
    json.dumps(found, allow_nan=False)


def test_interval_draws_whole_prompts():
    """Ten prompts with ten tasks each, which all agree or all differ: the interval is that of 10, not of 100."""
    ranks = [[[1, 2], [1, 2]]] * 50 + [[[1, 2], [2, 1]]] * 50
    low, high = all_together(judged(ranks, prompts=np.repeat(np.arange(10), 10)))["pairwise"]["ci95"]
    assert (low, high) == pytest.approx((0.2, 0.8), abs=0.11)


def test_interval_of_independent_answers_is_the_binomial_one():
    ranks = [[[1, 2], [1, 2]]] * 700 + [[[1, 2], [2, 1]]] * 300
    low, high = all_together(judged(ranks))["pairwise"]["ci95"]
    error = 1.96 * math.sqrt(0.7 * 0.3 / 1000)
    assert (low, high) == pytest.approx((0.7 - error, 0.7 + error), abs=0.004)


def test_prompts_that_share_a_row_leave_the_interval_as_it_is():
    rng = np.random.default_rng(0)
    ranks = np.where(rng.random(5 * CLUSTERS)[:, None, None] < 0.7, [[1, 2], [1, 2]], [[1, 2], [2, 1]])
    found = all_together(judged(ranks))
    error = 1.96 * math.sqrt(0.7 * 0.3 / len(ranks))
    low, high = found["pairwise"]["ci95"]
    assert (high - low) / 2 == pytest.approx(error, rel=0.1)
    assert found["prompts"] == len(ranks)


def test_one_prompt_says_nothing_about_another():
    assert all_together(judged([[[1, 2], [1, 2]]] * 3, prompts=[0, 0, 0]))["pairwise"]["ci95"] == [None, None]


def test_intervals_cover_the_truth():
    """300 teams of two judge 80 prompts, each with an agreement of its own: 95 of 100 intervals hold the mean, 0.7."""
    rng = np.random.default_rng(7)
    covered = 0
    for _team in range(300):
        easy = rng.beta(7, 3, size=80)  # how often two agree on a pair of this prompt; the mean is 0.7
        turned = rng.random((80, 3)) > easy[:, None]
        ranks = np.tile([1, 2], (80, 3, 2, 1))
        ranks[turned, 1] = [2, 1]
        found = all_together(judged(ranks.reshape(240, 2, 2), prompts=np.repeat(np.arange(80), 3)))["pairwise"]
        covered += found["ci95"][0] <= 0.7 <= found["ci95"][1]
    assert 0.91 <= covered / 300 <= 0.98
