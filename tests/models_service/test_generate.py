"""Sampling: against transformers' own numbers, and against itself alone, together and in any order."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from models_service import generation
from models_service.generation import GROUPED, Row, generate, pick_tokens, row_seed

PROMPTS = [[5, 6, 7], [9, 8, 7, 6, 5, 4, 3, 20, 21, 22], [30], [5, 6, 7, 8], [40, 41, 42, 43, 44]]
SEEDS = [11, 12, 13, 14, 15]


@pytest.fixture(scope="module")
def model(tiny: Path):
    return AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32).eval()


def sample(model, prompts=PROMPTS, **changes):
    arguments = {"n": 3, "max_new_tokens": 12, "eos_ids": {2}, "pad_id": 0, "seeds": SEEDS[: len(prompts)]}
    return generate(model, prompts, **(arguments | changes))


def close(first, second) -> bool:
    """The same tokens; log-probs to float noise."""
    for one, other in zip(sum(first, []), sum(second, []), strict=True):
        if one.token_ids != other.token_ids or one.finish_reason != other.finish_reason:
            return False
        if max(abs(a - b) for a, b in zip(one.logprobs, other.logprobs, strict=True)) > 1e-4:
            return False
    return True


def test_logprobs_are_those_of_the_model_at_temperature_one(model):
    for prompt, samples in zip(PROMPTS, sample(model, temperature=0.5, top_p=0.9), strict=True):
        for one in samples:
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([prompt + one.token_ids])).logits[0]
            expected = logits.log_softmax(-1)[len(prompt) - 1 : -1].gather(1, torch.tensor(one.token_ids)[:, None])
            assert expected[:, 0].tolist() == pytest.approx(one.logprobs, abs=1e-4)


def test_greedy_is_what_transformers_generates(model):
    for prompt, [one] in zip(PROMPTS, sample(model, n=1, temperature=0.0), strict=True):
        expected = model.generate(
            torch.tensor([prompt]), do_sample=False, max_new_tokens=12, eos_token_id=2, pad_token_id=0
        )
        assert one.token_ids == expected[0, len(prompt) :].tolist()


def test_alone_as_in_a_batch_and_with_little_room(model):
    together = sample(model)
    alone = [sample(model, [prompt], seeds=[seed])[0] for prompt, seed in zip(PROMPTS, SEEDS, strict=True)]
    assert close(together, alone)
    for room in (1, 2, 4, 7):
        assert close(together, sample(model, max_rows=room))


def test_other_seeds_and_other_indexes_say_something_else(model):
    first = sample(model, n=4)
    assert len({tuple(one.token_ids) for one in first[0]}) > 1
    assert not close(first, sample(model, n=4, seeds=[seed + 1 for seed in SEEDS]))
    assert close([first[0][:2]], [sample(model, n=2)[0]])
    assert len({row_seed(seed, index) for seed in range(100) for index in range(10)}) == 1000


def test_draws_follow_the_probabilities():
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]]).expand(20_000, -1)
    for temperature, top_p in ((1.0, 1.0), (2.0, 1.0), (1.0, 0.7)):
        rows = [Row(1, temperature, top_p, row_seed(7, at), frozenset()) for at in range(len(logits))]
        counts = torch.bincount(pick_tokens(logits.clone(), rows), minlength=4) / len(rows)
        expected = torch.softmax(logits[0] / temperature, 0)
        if top_p < 1:  # .64 + .24 reach .7; the rest is left out
            expected = torch.tensor([expected[0], expected[1], 0.0, 0.0]) / expected[:2].sum()
        # Four standard errors of a frequency in 20,000 draws are .014.
        assert counts.tolist() == pytest.approx(expected.tolist(), abs=0.014)
        assert all((share == 0) == (count == 0) for share, count in zip(expected, counts, strict=True))


def test_prompt_is_prefilled_once_for_all_its_samples(model, monkeypatch):
    seen = []
    forward = type(model).forward

    def counted(self, input_ids=None, **rest):
        seen.append(tuple(input_ids.shape))
        return forward(self, input_ids=input_ids, **rest)

    monkeypatch.setattr(type(model), "forward", counted)
    sample(model, [PROMPTS[1]], n=5, max_rows=2, eos_ids=set(), max_new_tokens=4, seeds=[1])
    assert seen.count((1, len(PROMPTS[1]))) == 1
    assert all(width == 1 for rows, width in seen[1:])


def test_ended_rows_leave_the_batch(model, monkeypatch):
    widths = []
    advance = generation._advance
    monkeypatch.setattr(generation, "_advance", lambda rows, logits: (widths.append(len(rows)), advance(rows, logits)))
    likely_ends = set(range(0, 150))
    samples = sample(model, n=8, eos_ids=likely_ends, max_new_tokens=20)
    lengths = [len(one.token_ids) for group in samples for one in group]
    assert sum(widths) == sum(lengths) and len(set(widths)) > 2
    for one in sum(samples, []):
        assert (one.token_ids[-1] in likely_ends) == (one.finish_reason == "stop")
        assert not likely_ends.intersection(one.token_ids[:-1])


def test_first_token_may_be_the_last(model):
    everything = set(range(model.config.vocab_size))
    for one in sum(sample(model, eos_ids=everything), []):
        assert len(one.token_ids) == 1 and one.finish_reason == "stop"


def test_generator_and_global_seed_repeat(model):
    first, second = (
        sample(model, seeds=None, generator=torch.Generator().manual_seed(3), n=[1, 2, 3, 1, 2]) for _ in range(2)
    )
    assert close(first, second) and [len(group) for group in first] == [1, 2, 3, 1, 2]


def test_the_model_is_as_it_was_afterwards(model):
    model.train()
    sample(model, max_new_tokens=2)
    assert model.training and model.config._attn_implementation == "sdpa" != GROUPED
    model.eval()


@pytest.mark.parametrize(
    "changes",
    [{"n": 0}, {"n": [1]}, {"max_new_tokens": 0}, {"seeds": [1]}, {"temperature": -1}, {"top_p": 0}, {"max_rows": 0}],
)
def test_nonsense_is_refused(model, changes):
    with pytest.raises(ValueError):
        sample(model, **changes)
    with pytest.raises(ValueError, match="no tokens"):
        sample(model, [[]], seeds=[1])
