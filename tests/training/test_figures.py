import pytest

from training.figures import accuracy_interval, calibration, correlation, mean_and_error


def test_accuracy_is_over_pairs():
    assert accuracy_interval([3.0, 0.5], [3, 1], ["a", "b"])[0] == pytest.approx(3.5 / 4)


def test_interval_draws_whole_prompts():
    right, pairs = [1.0] * 50 + [0.0] * 50, [1] * 100
    rate, loose = accuracy_interval(right, pairs, [str(i) for i in range(100)])
    _, tight = accuracy_interval(right, pairs, ["good"] * 50 + ["bad"] * 50)
    assert rate == 0.5
    assert loose == pytest.approx((0.4, 0.6), abs=0.03)  # ± 1.96 · .05
    assert tight == (0.0, 1.0)  # two prompts are two observations, whatever their pairs


def test_one_prompt_has_no_interval():
    assert accuracy_interval([1.0], [2], ["a"]) == (0.5, None)
    with pytest.raises(ValueError, match="no pair"):
        accuracy_interval([], [], [])


def test_correlation():
    assert correlation([1, 2, 3], [2, 4, 6]) == pytest.approx(1)
    assert correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert correlation([1, 1, 1], [1, 2, 3]) is None


def test_calibration_by_hand():
    # σ(.1) = .525 right, σ(3) = .953 right and wrong
    rows = calibration([0.1, 3.0, -3.0])
    assert [(row["from"], row["pairs"], row["accuracy"]) for row in rows] == [(0.5, 1, 1.0), (0.9, 2, 0.5)]
    assert rows[1]["confidence"] == pytest.approx(0.9525741)


def test_mean_and_error():
    assert mean_and_error([1.0, 2.0, 3.0]) == pytest.approx((2.0, 1 / 3**0.5))
    assert mean_and_error([4.0]) == (4.0, 0.0)
