"""Win rates by hand."""

from labeling.campaigns.statistics import BASELINE, CANDIDATE, Score, score_ranking, win_rate

NEW, OLD, BOTH = frozenset([CANDIDATE]), frozenset([BASELINE]), frozenset([CANDIDATE, BASELINE])


def test_every_pair_across_the_models_counts():
    # new 1, old 2, new 3, old 4: the first new beats both, the second one of two.
    assert score_ranking([(1, NEW), (2, OLD), (3, NEW), (4, OLD)]) == Score(wins=3, ties=0, losses=1)


def test_equal_ranks_are_half_a_win():
    score = score_ranking([(1, NEW), (1, OLD), (2, OLD)])
    assert score == Score(wins=1, ties=1, losses=0)
    assert score.points == 1.5


def test_text_of_both_models_is_a_tie_with_itself_and_counts_for_either():
    assert score_ranking([(1, BOTH)]) == Score(ties=1)
    # shared 1, old 2: as the candidate's it ties with itself and beats old.
    assert score_ranking([(1, BOTH), (2, OLD)]) == Score(wins=1, ties=1, losses=0)
    assert score_ranking([(1, BOTH), (2, NEW)]) == Score(wins=0, ties=1, losses=1)


def test_completion_of_neither_model_is_no_comparison():
    assert score_ranking([(1, NEW), (2, frozenset())]) == Score()


def test_rate_is_over_pairs_and_interval_over_prompts():
    found = win_rate([[Score(wins=4)], [Score(losses=4)], [Score(wins=2, losses=2)], [Score(wins=4)]])
    assert found.rate == 10 / 16
    assert (found.rankings, found.prompts) == (4, 4)
    low, high = found.ci95
    assert low < 0.3
    assert high == 1.0


def test_one_sided_campaign_has_no_spread():
    assert win_rate([[Score(wins=4)], [Score(wins=4)]]).ci95 == (1.0, 1.0)


def test_nothing_judged_has_no_rate():
    found = win_rate([])
    assert (found.rate, found.ci95) == (None, None)
