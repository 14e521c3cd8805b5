import json

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.training.conftest import StopAfter, assert_same_weights, metrics_of
from training import data, models, ppo, rloo
from training.losses import leave_one_out
from training.runs import Stop, Stopped, UsageError

CPU = torch.device("cpu")


def arguments(prompts, model, reward, out, **changes) -> rloo.Args:
    values = {"iterations": 2, "batch_size": 8, "microbatch": 3, "samples_per_prompt": 4, "learning_rate": 1e-3}
    values |= {"warmup_iterations": 0, "max_prompt_tokens": 128, "max_answer_tokens": 6, "samples": 1}
    return rloo.Args(data=prompts, model=model, reward=reward, out=str(out), **{**values, **changes})


def test_an_answer_is_measured_by_the_others_alone():
    rewards = torch.tensor([[1.0, 2.0, 6.0], [0.0, 0.0, 3.0]], dtype=torch.float64, requires_grad=True)
    advantages = leave_one_out(rewards)
    # 1 − (2 + 6)/2, 2 − (1 + 6)/2, 6 − (1 + 2)/2; 0 − 3/2 twice, 3 − 0
    assert advantages.tolist() == [[-3.0, -1.5, 4.5], [-1.5, -1.5, 3.0]]
    assert not advantages.requires_grad
    with pytest.raises(ValueError, match="at least two answers"):
        leave_one_out(torch.zeros(3, 1))


@pytest.fixture
def sampled(prompts, policy_dir, reward_dir, tokenizer, tmp_path):
    """A policy that has moved, and eight answers of its own, some of them ended by EOS."""
    args = arguments(prompts, policy_dir, reward_dir, tmp_path, max_answer_tokens=60)
    policy, reference = models.load_policy(policy_dir, CPU), models.load_policy(policy_dir, CPU)
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    answers = ppo.sample_answers(
        args,
        data.read_prompts(prompts, "train", tokenizer, data.Limits(128, 64))[0][:2],
        seeds=[3, 4],
        copies=4,
        temperature=1.0,
        policy=policy,
        reference=reference,
        reward=models.load_reward(reward_dir, tokenizer, CPU, head_seed=None),
        tokenizer=tokenizer,
        stop=Stop(),
    )
    assert len(set(answers.lengths.tolist())) > 1
    return args, policy, answers


def test_the_kl_of_the_whole_answer_costs(sampled):
    _, _, answers = sampled
    advantages = rloo.advantages_of(answers, kl_beta=0.5, copies=4)
    rewards = [
        score - 0.5 * sum((a - b) for a, b in zip(new[:length], old[:length], strict=True))
        for score, new, old, length in zip(
            answers.scores.tolist(),
            answers.logprobs.tolist(),
            answers.reference.tolist(),
            answers.lengths.tolist(),
            strict=True,
        )
    ]
    for i in range(8):
        others = [rewards[j] for j in range(i // 4 * 4, i // 4 * 4 + 4) if j != i]
        assert advantages[i].item() == pytest.approx(rewards[i] - sum(others) / 3, abs=1e-4)


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_gradient_equals_a_slow_one(sampled, prompts, policy_dir, reward_dir, tmp_path, rows):
    _, policy, answers = sampled
    args = arguments(prompts, policy_dir, reward_dir, tmp_path, microbatch=rows)
    advantages = torch.tensor([1.0, -2.0, 0.5, 0.5, 3.0, -1.0, -1.0, -1.0])
    seen = rloo.add_policy_gradient(args, policy, answers, advantages)
    fast = [p.grad.clone() for p in policy.parameters()]
    policy.zero_grad()
    loss = 0.0
    for i, tokens in enumerate(answers.tokens):
        prompt = answers.prompts[i].prompt
        table = torch.log_softmax(policy(input_ids=torch.tensor([prompt + tokens])).logits[0, len(prompt) - 1 : -1], -1)
        loss = loss - advantages[i] * table[range(len(tokens)), tokens].sum() / 8
    loss.backward()
    assert seen["loss_policy"] == pytest.approx(loss.item(), rel=1e-4)
    assert seen["logprob_gap"] < 1e-5
    for a, p in zip(fast, policy.parameters(), strict=True):
        assert torch.allclose(a, p.grad, atol=1e-4 * max(1.0, float(p.grad.abs().max())))


def test_a_whole_run_learns_and_writes_what_it_promises(tmp_path, prompts, policy_dir, reward_dir):
    changes = {"iterations": 15, "batch_size": 64, "microbatch": 64, "learning_rate": 3e-3, "samples_per_prompt": 8}
    out = tmp_path / "run"
    report = rloo.train(arguments(prompts, policy_dir, reward_dir, out, max_answer_tokens=3, **changes))
    metrics = metrics_of(out)
    gain = sum(row["score"] for row in metrics[-3:]) / 3 - metrics[0]["score"]
    assert gain > 5 * metrics[0]["score_error"]
    assert report["reward_gain"] > 0
    assert report["kl_after"] > 0
    assert (report["algorithm"], report["episodes"], report["updates"]) == ("rloo", 960, 15)
    promised = (
        "time reward kl score loss_policy entropy length finished advantage_spread sampler_gap grad_norm_policy lr"
    )
    assert set(promised.split()) <= metrics[0].keys()
    assert metrics[0]["kl"] == report["kl_before"] == 0
    samples = [json.loads(line) for line in (out / "samples.jsonl").open()]
    assert [row["phase"] for row in samples] == ["before", *["training"] * 15, "after"]
    assert AutoModelForCausalLM.from_pretrained(out / "model").config.model_type == "llama"


@pytest.mark.parametrize(
    ("looks", "changes"), [(0, {}), (5, {"ema_decay": 0.5}), (6, {"unfrozen_layers": 1, "cache_trunk": True})]
)
def test_a_stopped_run_gives_what_an_uninterrupted_one_gives(tmp_path, prompts, policy_dir, reward_dir, looks, changes):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    report = rloo.train(arguments(prompts, policy_dir, reward_dir, whole, iterations=3, **changes))
    args = arguments(prompts, policy_dir, reward_dir, parts, iterations=3, **changes)
    with pytest.raises(Stopped):
        rloo.train(args, stop=StopAfter(looks))
    again = rloo.train(args, resume=True)
    assert_same_weights(whole, parts)
    assert {**report, "seconds": 0} == {**again, "seconds": 0}
    assert [row["step"] for row in metrics_of(parts)] == [1, 2, 3]


def test_nonsense_is_refused_by_flag(tmp_path, prompts, policy_dir, reward_dir):
    for changes, said in (
        ({"samples_per_prompt": 1}, "--samples-per-prompt is 1; it must be at least 2"),
        ({"batch_size": 9}, "--batch-size is 9"),
        ({"temperature": 0.0}, "--temperature is 0.0"),
        ({"ema_decay": 1.0}, "--ema-decay is 1.0"),
        ({"cache_trunk": True}, "with --unfrozen-layers"),
    ):
        with pytest.raises(UsageError, match=said):
            arguments(prompts, policy_dir, reward_dir, tmp_path, **changes).validate()
