import itertools
import json
import math

import pytest
import torch

from tests.training.conftest import StopAfter, metrics_of
from training import best_of, data, models
from training.figures import best_of_kl, best_of_mean
from training.runs import Refused, Stopped, UsageError


def arguments(prompts, model, reward, out, **changes) -> best_of.Args:
    values = {"n": 6, "max_prompt_tokens": 128, "max_answer_tokens": 40, "microbatch": 5, "samples": 2}
    return best_of.Args(data=prompts, model=model, reward=reward, out=str(out), **{**values, **changes})


def test_the_estimate_is_the_mean_over_all_subsets():
    scores = [3.0, -1.0, 4.0, 4.0, 0.5, 9.0]
    for n in range(1, 7):
        slow = [max(subset) for subset in itertools.combinations(scores, n)]
        assert best_of_mean(scores, n) == pytest.approx(sum(slow) / len(slow))
    # of 0, 1, 5 two are drawn: (0, 1), (0, 5), (1, 5)
    assert best_of_mean([5.0, 0.0, 1.0], 2) == pytest.approx(11 / 3)
    assert best_of_mean([0.25] * 2000, 1000) == pytest.approx(0.25)
    for n in (0, 4):
        with pytest.raises(ValueError, match=f"best of {n} cannot be estimated from 3"):
            best_of_mean([5.0, 0.0, 1.0], n)


def test_the_bound_by_hand():
    assert best_of_kl(1) == 0
    assert best_of_kl(2) == pytest.approx(math.log(2) - 0.5)
    assert best_of_kl(16) == pytest.approx(2.772589 - 0.9375)


def test_the_bound_holds_for_a_coin():
    """Two answers of equal chance, one better: best of n has it with 1 − 2⁻ⁿ, and its true KL is under the bound."""
    for n in (1, 2, 4, 8):
        chance = 1 - 0.5**n
        kl = chance * math.log(2 * chance) + (1 - chance) * math.log(2 * (1 - chance))
        assert kl <= best_of_kl(n) + 1e-12


def test_sizes_double_up_to_n():
    assert best_of.sizes(1) == [1]
    assert best_of.sizes(8) == [1, 2, 4, 8]
    assert best_of.sizes(12) == [1, 2, 4, 8, 12]


def test_a_run_picks_the_best_and_draws_the_curve(tmp_path, prompts, policy_dir, reward_dir, tokenizer):
    out = tmp_path / "run"
    report = best_of.train(arguments(prompts, policy_dir, reward_dir, out))
    rows = [json.loads(line) for line in (out / "answers.jsonl").open()]
    assert [row["id"] for row in rows] == ["p8", "p9", "p10", "p11"]
    assert all(len(row["scores"]) == 6 and row["score"] == max(row["scores"]) for row in rows)
    assert [row["n"] for row in report["curve"]] == [1, 2, 4, 6]
    everything = [score for row in rows for score in row["scores"]]
    assert report["curve"][0]["reward"] == pytest.approx(sum(everything) / 24)
    assert report["curve"][-1]["reward"] == pytest.approx(sum(row["score"] for row in rows) / 4)
    rewards = [row["reward"] for row in report["curve"]]
    assert rewards == sorted(rewards)
    assert rewards[0] < rewards[-1]
    assert [row["kl_bound"] for row in report["curve"]] == pytest.approx([best_of_kl(n) for n in (1, 2, 4, 6)])
    assert [row["reward"] for row in metrics_of(out)] == rewards
    assert report["answers"] == 24
    # The text beside the best score is the one the reward model gave it for.
    reward = models.load_reward(reward_dir, tokenizer, torch.device("cpu"), head_seed=None)
    asked = data.read_prompts(prompts, "valid", tokenizer, data.Limits(128, 64))[0]
    for row, prompt in zip(rows, asked, strict=True):
        ids = tokenizer(row["completion"], add_special_tokens=False).input_ids
        assert prompt.prompt_id == row["id"]
        assert row["completion"] == models.text_of(tokenizer, ids)
    assert reward.config.reward_bias == report["reward_bias"] == 0.25
    samples = [json.loads(line) for line in (out / "samples.jsonl").open()]
    assert len(samples) == 2
    assert all(row["worst_score"] < row["score"] for row in samples)


def test_scores_are_of_the_answers_they_stand_with(tmp_path, prompts, policy_dir, reward_dir, tokenizer):
    args = arguments(prompts, policy_dir, reward_dir, tmp_path, n=5)
    policy = models.load_policy(policy_dir, torch.device("cpu"))
    reward = models.load_reward(reward_dir, tokenizer, torch.device("cpu"), head_seed=None)
    asked = data.read_prompts(prompts, "valid", tokenizer, data.Limits(128, 64))[0][:3]
    networks = {"policy": policy, "reward": reward, "tokenizer": tokenizer}
    together = best_of.answer(args, asked, seeds=[1, 2, 3], **networks)
    for place, prompt in enumerate(asked):
        answers = best_of.generate(
            policy, [prompt.prompt], n=5, max_new_tokens=40, eos_ids={2}, pad_id=0, seeds=[place + 1]
        )[0]
        row, worst = together[place]
        expected = []
        for one in answers:
            hidden = reward.model(input_ids=torch.tensor([prompt.prompt + one.token_ids])).last_hidden_state[0, -1]
            expected.append(reward.score(hidden).item() - 0.25)
        assert row["scores"] == pytest.approx(expected, abs=1e-4)
        texts = [models.text_of(tokenizer, one.token_ids) for one in answers]
        assert row["completion"] == texts[expected.index(max(expected))]
        assert worst["worst"] == texts[expected.index(min(expected))]


@pytest.mark.parametrize("looks", [0, 1, 3])
def test_a_stopped_run_gives_what_an_uninterrupted_one_gives(
    tmp_path, prompts, policy_dir, reward_dir, monkeypatch, looks
):
    monkeypatch.setattr(best_of, "AT_ONCE", 6)  # a look for each prompt
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    report = best_of.train(arguments(prompts, policy_dir, reward_dir, whole))
    args = arguments(prompts, policy_dir, reward_dir, parts)
    with pytest.raises(Stopped, match=f"{looks} of 4 prompts"):
        best_of.train(args, stop=StopAfter(looks))
    again = best_of.train(args, resume=True)
    assert {**report, "seconds": 0} == {**again, "seconds": 0}
    for name in ("answers.jsonl", "samples.jsonl"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes()


def test_nonsense_is_refused(tmp_path, prompts, policy_dir, reward_dir):
    for changes, said in (
        ({"n": 0}, "--n is 0"),
        ({"temperature": 0.0}, "--temperature is 0.0"),
        ({"split": "all"}, "--split is 'all'"),
    ):
        with pytest.raises(UsageError, match=said):
            arguments(prompts, policy_dir, reward_dir, tmp_path, **changes).validate()
    with pytest.raises(Refused, match=r"4 × prompt too long; choose another --split"):
        best_of.train(arguments(prompts, policy_dir, reward_dir, tmp_path / "run", max_prompt_tokens=1))
