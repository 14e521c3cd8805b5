"""Scores of a reward model against transformers' own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from models_service.scoring import passes, score

ROWS = [[5, 6, 7, 2], [9] * 40 + [2], [30, 2], [5, 6, 7, 8], [2]]


@pytest.fixture(scope="module")
def model(tiny_reward: Path):
    return AutoModelForSequenceClassification.from_pretrained(tiny_reward, dtype=torch.float32).eval()


def test_score_is_the_logit_at_the_last_token(model):
    with torch.no_grad():
        expected = [model(input_ids=torch.tensor([row])).logits[0, 0].item() for row in ROWS]
    assert score(model, ROWS, pad_id=0) == pytest.approx(expected, abs=1e-5)
    assert len({round(value, 3) for value in expected}) == len(ROWS)


def test_alone_as_in_a_batch(model):
    assert score(model, ROWS, pad_id=0) == pytest.approx([score(model, [row], pad_id=0)[0] for row in ROWS], abs=1e-5)


def test_a_pad_token_that_is_eos_changes_nothing(model):
    assert score(model, ROWS, pad_id=2) == pytest.approx(score(model, ROWS, pad_id=0), abs=1e-6)


def test_passes_hold_every_row_once_within_the_limit():
    lengths = [1, 4000, 7, 300, 5000, 300, 7]
    groups = passes(lengths)
    assert sorted(at for group in groups for at in group) == list(range(len(lengths)))
    assert all(len(group) == 1 or len(group) * max(lengths[at] for at in group) <= 4096 for group in groups)


def test_an_empty_row_is_refused(model):
    with pytest.raises(ValueError, match="row 1"):
        score(model, [[1], []], pad_id=0)
