"""Fleiss' kappa, against the example of his paper and one worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from labeling.use_cases.agreeing import agreement_of

# Fleiss (1971), table 1: 30 patients, 6 psychiatrists each, 5 diagnoses.
FLEISS = """
0 0 0 6 0  0 3 0 0 3  0 1 4 0 1  0 0 0 0 6  0 3 0 3 0  2 0 4 0 0  0 0 4 0 2  2 0 3 1 0  2 0 0 4 0  0 0 0 0 6
1 0 0 5 0  1 1 0 4 0  0 3 3 0 0  1 0 0 5 0  0 2 0 3 1  0 0 5 0 1  3 0 0 1 2  5 1 0 0 0  0 2 0 4 0  1 0 2 0 3
0 0 0 0 6  0 1 0 5 0  0 2 0 1 3  2 0 0 4 0  1 0 0 4 1  0 5 0 1 0  4 0 0 0 2  0 2 0 4 0  1 0 5 0 0  0 0 0 0 6
"""


def test_the_papers_example():
    counts = np.array(FLEISS.split(), int).reshape(30, 5)
    found = agreement_of(counts)
    assert found.kappa == pytest.approx(0.430, abs=0.001)
    assert found.agree == pytest.approx(0.5556, abs=0.0005)
    assert found.chance == pytest.approx(0.2201, abs=0.0005)
    assert found.low < found.kappa < found.high
    # His table 3: kappa of each category.
    assert found.by_category == pytest.approx([0.248, 0.248, 0.517, 0.470, 0.565], abs=0.012)


def test_two_prompts_by_hand():
    # Two agree on a, two disagree: 1 of 2. Shares 3/4 and 1/4: by chance 10/16.
    found = agreement_of(np.array([[2, 0], [1, 1], [1, 0]]))
    assert (found.prompts, found.pairs) == (2, 2)
    assert (found.agree, found.chance) == (0.5, 0.625)
    assert found.kappa == pytest.approx((0.5 - 0.625) / 0.375)


def test_too_little_to_say():
    assert agreement_of(np.zeros((0, 10))).kappa is None
    assert agreement_of(np.array([[1, 0]])).pairs == 0
    assert agreement_of(np.array([[2, 0], [3, 0]])).kappa is None, "nobody ever said anything else"
