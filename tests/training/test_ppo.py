import json
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM

from models_service.generation import generate
from tests.training.conftest import StopAfter, assert_same_weights, metrics_of, weights_of
from training import checkpoints, data, models, ppo
from training.losses import gae, kl_penalised_rewards
from training.runs import Refused, Stop, Stopped, UsageError

CPU = torch.device("cpu")


def arguments(prompts, model, reward, out, **changes) -> ppo.Args:
    values = {"iterations": 2, "batch_size": 8, "minibatch_size": 4, "microbatch": 3, "samples_per_prompt": 2}
    values |= {"learning_rate": 1e-3, "value_learning_rate": 1e-3, "warmup_iterations": 0, "ema_decay": 0.5}
    values |= {"max_prompt_tokens": 128, "max_answer_tokens": 6, "ptx_tokens": 32, "ptx_per_episode": 0.5, "samples": 1}
    return ppo.Args(data=prompts, model=model, reward=reward, out=str(out), **{**values, **changes})


@pytest.fixture
def networks(policy_dir, reward_dir, tokenizer):
    def reward():
        return models.load_reward(reward_dir, tokenizer, CPU, head_seed=None)

    return {
        "policy": models.load_policy(policy_dir, CPU),
        "reference": models.load_policy(policy_dir, CPU),
        "reward": reward(),
        "value": reward(),
    }


def sample(args, networks, tokenizer, prompts, *, temperature=1.0, copies=2):
    chosen = data.read_prompts(prompts, "train", tokenizer, data.Limits(128, 64))[0][:4]
    return ppo.sample_answers(
        args,
        chosen,
        seeds=range(4),
        copies=copies,
        temperature=temperature,
        policy=networks["policy"],
        reference=networks["reference"],
        reward=networks["reward"],
        tokenizer=tokenizer,
        stop=Stop(),
    )


def nudge(model):
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)


@pytest.fixture
def args(prompts, policy_dir, reward_dir, tmp_path):
    return arguments(prompts, policy_dir, reward_dir, tmp_path / "unused")


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_rollout_log_probs_are_those_of_what_was_sampled(args, networks, tokenizer, prompts, temperature):
    nudge(networks["policy"])
    answers = sample(args, networks, tokenizer, prompts, temperature=temperature)
    assert answers.sampler_gap < 1e-5
    for i, tokens in enumerate(answers.tokens):
        prompt = answers.prompts[i].prompt
        for model, theirs in ((networks["policy"], answers.logprobs), (networks["reference"], answers.reference)):
            logits = model(input_ids=torch.tensor([prompt + tokens])).logits[0, len(prompt) - 1 : -1] / temperature
            expected = torch.log_softmax(logits, -1)[range(len(tokens)), tokens]
            assert torch.allclose(theirs[i, : len(tokens)], expected, atol=1e-4)
            assert not theirs[i, len(tokens) :].any()


def test_scores_are_normalised_and_see_the_whole_answer(args, networks, tokenizer, prompts):
    answers = sample(args, networks, tokenizer, prompts)
    for i, tokens in enumerate(answers.tokens):
        ids = torch.tensor([answers.prompts[i].prompt + tokens])
        hidden = networks["reward"].model(input_ids=ids).last_hidden_state[0, -1]
        assert answers.scores[i].item() == pytest.approx(networks["reward"].score(hidden).item() - 0.25, abs=1e-5)


def test_an_answer_cut_short_may_get_a_fixed_score(prompts, policy_dir, reward_dir, tmp_path, networks, tokenizer):
    fixed = arguments(prompts, policy_dir, reward_dir, tmp_path, missing_eos_score=-1.0, max_answer_tokens=40)
    answers = sample(fixed, networks, tokenizer, prompts, copies=8)
    assert 0 < sum(answers.finished) < len(answers.finished)
    for score, finished, tokens in zip(answers.scores.tolist(), answers.finished, answers.tokens, strict=True):
        assert (score == -1.0) is not finished
        assert (tokens[-1] == tokenizer.eos_token_id) is finished


def test_kl_is_zero_before_any_update_and_positive_on_average_after(args, networks, tokenizer, prompts):
    assert not sample(args, networks, tokenizer, prompts).kl.any()
    nudge(networks["policy"])
    assert sample(args, networks, tokenizer, prompts, copies=32).kl.mean() > 0.05


def test_a_negative_kl_stops_with_an_explanation(args, networks, tokenizer, prompts):
    nudge(networks["policy"])
    answers = sample(args, networks, tokenizer, prompts, copies=32)
    ppo.check_kl(answers, iteration=3)
    swapped = ppo.Answers(**{**answers.__dict__, "logprobs": answers.reference, "reference": answers.logprobs})
    with pytest.raises(Refused, match="more than|over 3 standard errors"):
        ppo.check_kl(swapped, iteration=3)
    with pytest.raises(Refused, match="before any update"):
        ppo.check_kl(answers, iteration=0)


def test_first_ratio_is_one_and_minibatches_do_not_depend_on_microbatches(
    prompts, policy_dir, reward_dir, tmp_path, networks, tokenizer
):
    gradients = []
    for rows in (8, 1, 3):
        args = arguments(prompts, policy_dir, reward_dir, tmp_path, microbatch=rows, max_answer_tokens=40)
        answers = sample(args, networks, tokenizer, prompts)
        torch.manual_seed(0)
        advantages = torch.randn_like(answers.logprobs) * answers.mask
        for model in networks.values():
            model.zero_grad()
        seen = ppo.add_policy_gradient(args, networks["policy"], answers, advantages, range(8))
        assert seen["ratio_gap"] < 1e-4
        assert seen["ratio"] == pytest.approx(1, abs=1e-4)
        old = torch.zeros_like(advantages)
        ppo.add_value_gradient(args, networks["value"], answers, old, advantages, range(8))
        both = [*networks["policy"].parameters(), *networks["value"].parameters()]
        gradients.append([p.grad.clone() for p in both])
    for other in gradients[1:]:
        assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(gradients[0], other, strict=True))


def test_policy_gradient_equals_a_slow_one(prompts, policy_dir, reward_dir, tmp_path, networks, tokenizer):
    args = arguments(prompts, policy_dir, reward_dir, tmp_path, max_answer_tokens=60)
    policy, answers = networks["policy"], sample(args, networks, tokenizer, prompts)
    assert len(set(answers.lengths.tolist())) > 1
    torch.manual_seed(0)
    advantages = torch.randn_like(answers.logprobs)  # also where padding is: it must not leak
    ppo.add_policy_gradient(args, policy, answers, advantages, range(8))
    fast = [p.grad.clone() for p in policy.parameters()]
    policy.zero_grad()
    total = 0.0
    for i, tokens in enumerate(answers.tokens):  # at ratio 1 the gradient is −A ∇ log π
        prompt = answers.prompts[i].prompt
        table = torch.log_softmax(policy(input_ids=torch.tensor([prompt + tokens])).logits[0, len(prompt) - 1 : -1], -1)
        total = total - (table[range(len(tokens)), tokens] * advantages[i, : len(tokens)]).sum()
    (total / int(answers.lengths.sum())).backward()
    for a, p in zip(fast, policy.parameters(), strict=True):
        assert torch.allclose(a, p.grad, atol=1e-5)


def test_values_begin_as_the_reward_models_and_advantages_stay_inside(args, networks, tokenizer, prompts):
    answers = sample(args, networks, tokenizer, prompts)
    ids = [prompt.prompt for prompt in answers.prompts]
    values = ppo.per_token(lambda p, a: models.answer_values(networks["value"], p, a), ids, answers.tokens, 3)
    rewards = kl_penalised_rewards(answers.scores, answers.logprobs, answers.reference, answers.lengths, 0.02)
    advantages, _ = gae(rewards, values, answers.lengths, discount=1.0, lam=0.95)
    assert values.shape == advantages.shape == answers.logprobs.shape
    assert not advantages[~answers.mask].any()
    # The value before token t + 1 is what the reward model would say of the answer up to t.
    prefix = models.rewards_of(networks["reward"], [ids[0]], [answers.tokens[0][:2]]) - 0.25
    assert values[0, 2].item() == pytest.approx(prefix.item(), abs=1e-5)


def test_ptx_adds_to_the_same_buffers(networks, tokenizer, demonstrations):
    policy = networks["policy"]
    texts = data.PretrainingText(demonstrations, tokenizer, tokens=32, seed=0).draw(wanted=5, start=0)
    loss = ppo.add_ptx_gradient(policy, texts, coefficient=1.0, rows=2)
    once = ppo.flat_gradient(dict(policy.named_parameters()))
    assert ppo.add_ptx_gradient(policy, texts, coefficient=27.8, rows=5) == pytest.approx(loss, abs=1e-5)
    twice = ppo.flat_gradient(dict(policy.named_parameters()))
    assert torch.allclose(twice, once * 28.8, atol=1e-3)
    logprobs, _ = models.answer_logprobs(policy, [p for p, _ in texts], [a for _, a in texts])
    assert loss == pytest.approx(-logprobs.mean().item(), abs=1e-5)


def test_a_whole_run_writes_what_it_promises(tmp_path, prompts, policy_dir, reward_dir, demonstrations):
    out = tmp_path / "run"
    report = ppo.train(arguments(prompts, policy_dir, reward_dir, out, ptx=demonstrations, eval_samples=3))
    metrics = metrics_of(out)
    assert [row["step"] for row in metrics] == [1, 2]
    promised = "time reward kl score loss_policy loss_value loss_ptx ratio_first clip_fraction entropy lr"
    assert set(promised.split()) <= metrics[0].keys()
    assert {"grad_norm_policy", "grad_norm_value", "grad_norm_ptx", "grad_cosine"} <= metrics[0].keys()
    assert all(row["ratio_first"] == pytest.approx(1, abs=1e-4) for row in metrics)
    assert metrics[0]["kl"] == report["kl_before"] == 0
    assert metrics[1]["reward"] == pytest.approx(metrics[1]["score"] - 0.02 * metrics[1]["kl"])
    assert report["algorithm"] == "ppo-ptx"
    assert report["episodes"] == 16
    assert (report["valid_prompts"], report["valid_answers"]) == (4, 12)
    assert report["reward_gain"] == pytest.approx(report["reward_after"] - report["reward_before"])
    samples = [json.loads(line) for line in (out / "samples.jsonl").open()]
    assert [(row["step"], row["phase"]) for row in samples] == [
        (0, "before"),
        (1, "training"),
        (2, "training"),
        (2, "after"),
    ]
    assert {"prompt", "completion", "score", "kl"} <= samples[0].keys()
    assert AutoModelForCausalLM.from_pretrained(out / "model").config.model_type == "llama"


def test_plain_ppo_has_no_ptx(tmp_path, prompts, policy_dir, reward_dir):
    report = ppo.train(arguments(prompts, policy_dir, reward_dir, tmp_path / "run", iterations=1))
    assert report["algorithm"] == "ppo"
    assert "loss_ptx" not in metrics_of(tmp_path / "run")[0]


def test_the_policy_learns_what_is_rewarded(tmp_path, prompts, policy_dir, reward_dir):
    changes = {"iterations": 15, "batch_size": 64, "minibatch_size": 32, "microbatch": 64, "learning_rate": 3e-3}
    changes |= {"samples_per_prompt": 8, "max_answer_tokens": 3}
    report = ppo.train(arguments(prompts, policy_dir, reward_dir, tmp_path / "run", **changes))
    metrics = metrics_of(tmp_path / "run")
    gain = sum(row["score"] for row in metrics[-3:]) / 3 - metrics[0]["score"]
    assert gain > 5 * metrics[0]["score_error"]
    assert report["reward_gain"] > 0
    assert report["kl_after"] > 0


def test_the_reference_stays_where_it_was(tmp_path, prompts, policy_dir, reward_dir):
    ppo.train(arguments(prompts, policy_dir, reward_dir, tmp_path / "run", learning_rate=5e-3, max_answer_tokens=20))
    kl = [row["kl"] for row in metrics_of(tmp_path / "run")]
    assert kl[0] == 0
    assert abs(kl[1]) > 1e-3


def test_the_saved_model_is_the_moving_average(tmp_path, prompts, policy_dir, reward_dir, monkeypatch):
    averages = []
    real = checkpoints.MovingAverage.swap
    monkeypatch.setattr(
        checkpoints.MovingAverage,
        "swap",
        lambda self: (averages.append({k: v.clone() for k, v in self.average.items()}), real(self))[1],
    )
    ppo.train(arguments(prompts, policy_dir, reward_dir, tmp_path / "run", iterations=1))
    saved = weights_of(tmp_path / "run")
    assert all(torch.equal(saved[name], tensor) for name, tensor in averages[0].items() if name in saved)
    start = models.load_policy(policy_dir, CPU).state_dict()
    assert not torch.equal(saved["model.norm.weight"], start["model.norm.weight"])


@pytest.mark.parametrize(
    ("looks", "changes"),
    [
        (0, {}),
        (5, {}),
        (100, {}),
        (5, {"unfrozen_layers": 1, "cache_trunk": True, "inner_epochs": 2}),
        # a look before and after each batch of rollouts: in the first validation, an iteration, a later validation
        *((looks, {"validate_every": 1, "kl_target": 0.5, "kl_gain": 1.0}) for looks in (2, 6, 8, 10, 13)),
    ],
)
def test_a_stopped_run_gives_what_an_uninterrupted_one_gives(
    tmp_path, prompts, policy_dir, reward_dir, demonstrations, looks, changes
):
    changes = {"ptx": demonstrations, "iterations": 3, **changes}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    report = ppo.train(arguments(prompts, policy_dir, reward_dir, whole, **changes))
    args = arguments(prompts, policy_dir, reward_dir, parts, **changes)
    stop = StopAfter(looks)
    try:
        again = ppo.train(args, stop=stop)
        assert stop.looks > 0  # asked for no stop
    except Stopped:
        assert json.loads((parts / "run.json").read_text())["state"] == "stopped"
        again = ppo.train(args, resume=True)
    assert_same_weights(whole, parts)
    assert {**report, "seconds": 0} == {**again, "seconds": 0}
    assert [{**row, "time": 0} for row in metrics_of(whole)] == [{**row, "time": 0} for row in metrics_of(parts)]
    assert [row["step"] for row in metrics_of(parts) if "score" in row] == [1, 2, 3]


def test_beta_rises_while_the_kl_is_over_its_target(tmp_path, prompts, policy_dir, reward_dir):
    changes = {"iterations": 4, "kl_target": 1e-3, "kl_gain": 1.0, "learning_rate": 3e-3, "max_answer_tokens": 20}
    report = ppo.train(arguments(prompts, policy_dir, reward_dir, tmp_path / "run", **changes))
    rows = metrics_of(tmp_path / "run")
    beta = 0.02
    for row in rows:
        assert row["kl_beta"] == pytest.approx(beta)
        assert row["reward"] == pytest.approx(row["score"] - beta * row["kl"])
        beta *= 1 + min(0.2, max(-0.2, (row["kl"] - 1e-3) / 1e-3))
    assert report["kl_beta"] == pytest.approx(beta)
    assert {row["kl_beta"] for row in rows} > {0.02}


def scripted(monkeypatch, validations):
    """Validations get these (score, KL), one after the other; all else is as it is."""
    given, real = iter(validations), ppo.summary

    def summary(answers, beta):
        found = real(answers, beta)
        if answers.sampler_gap == "validation":
            found["score"], found["kl"] = next(given)
        return found

    sample = ppo.sample_answers

    def marked(args, chosen, *, seeds, **named):
        answers = sample(args, chosen, seeds=seeds, **named)
        meanwhile = list(seeds)[0] % (1 << 32) >= 3 << 30
        return replace(answers, sampler_gap="validation") if meanwhile else answers

    monkeypatch.setattr(ppo, "summary", summary)
    monkeypatch.setattr(ppo, "sample_answers", marked)


def test_the_best_policy_within_the_kl_bound_is_saved(tmp_path, prompts, policy_dir, reward_dir, monkeypatch):
    common = {"validate_every": 1, "max_kl": 5.0, "iterations": 4, "ema_decay": 0.0}
    scripted(monkeypatch, [(0.0, 0.0), (1.0, 1.0), (2.0, 4.0), (9.0, 6.0), (1.5, 2.0)])
    report = ppo.train(arguments(prompts, policy_dir, reward_dir, tmp_path / "run", **common))
    assert report["best"] == {"step": 2, "score": 2.0, "kl": 4.0, "since": 2}
    assert (report["iterations"], report["ended_early"]) == (4, False)
    rows = [row for row in metrics_of(tmp_path / "run") if "valid_score" in row]
    assert [(row["step"], row["valid_score"]) for row in rows] == [(0, 0), (1, 1), (2, 2), (3, 9), (4, 1.5)]
    monkeypatch.undo()
    two = {**common, "iterations": 2, "validate_every": 0, "max_kl": 0.0}
    ppo.train(arguments(prompts, policy_dir, reward_dir, tmp_path / "two", **two))
    assert_same_weights(tmp_path / "run", tmp_path / "two")


def test_a_run_without_progress_ends_early(tmp_path, prompts, policy_dir, reward_dir, monkeypatch):
    scripted(monkeypatch, [(0.0, 0.0), (1.0, 1.0), (0.5, 1.0), (1.0, 1.0), (9.0, 1.0)])
    common = {"validate_every": 1, "patience": 2, "iterations": 9}
    report = ppo.train(arguments(prompts, policy_dir, reward_dir, tmp_path / "run", **common))
    assert (report["iterations"], report["episodes"], report["ended_early"]) == (3, 24, True)
    assert report["best"]["step"] == 1
    assert json.loads((tmp_path / "run" / "run.json").read_text())["state"] == "done"


def test_a_stop_in_the_last_evaluation_is_resumed(tmp_path, prompts, policy_dir, reward_dir, monkeypatch):
    args = arguments(prompts, policy_dir, reward_dir, tmp_path / "parts", iterations=1)
    stop = Stop()
    real = checkpoints.MovingAverage.swap
    monkeypatch.setattr(checkpoints.MovingAverage, "swap", lambda self: (stop.request(), real(self))[1])
    with pytest.raises(Stopped, match="after iteration 1"):
        ppo.train(args, stop=stop)
    monkeypatch.undo()
    ppo.train(args, resume=True)
    ppo.train(arguments(prompts, policy_dir, reward_dir, tmp_path / "whole", iterations=1))
    assert_same_weights(tmp_path / "whole", tmp_path / "parts")


def test_a_ratio_that_is_not_one_stops_the_run(tmp_path, prompts, policy_dir, reward_dir, monkeypatch):
    real = ppo.sample_answers

    def wrong(*given, **named):
        answers = real(*given, **named)
        return ppo.Answers(
            **{**answers.__dict__, "logprobs": answers.logprobs - 0.01, "reference": answers.reference - 0.01}
        )

    monkeypatch.setattr(ppo, "sample_answers", wrong)
    with pytest.raises(Refused, match="first minibatch's ratio"):
        ppo.train(arguments(prompts, policy_dir, reward_dir, tmp_path / "run"))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["state"] == "failed"


def test_a_policy_is_no_reward_model(tmp_path, prompts, policy_dir):
    with pytest.raises(Refused, match="no reward model"):
        ppo.train(arguments(prompts, policy_dir, policy_dir, tmp_path / "run"))


def test_nonsense_is_refused_by_flag(tmp_path, prompts, policy_dir, reward_dir):
    for changes, said in (
        ({"batch_size": 9}, "--batch-size is 9"),
        ({"temperature": 0.0}, "--temperature is 0.0"),
        ({"ema_decay": 1.0}, "--ema-decay is 1.0"),
        ({"cache_trunk": True}, "with --unfrozen-layers"),
        ({"patience": 2}, "--patience is 2; it must be with --validate-every"),
        ({"max_kl": 5.0}, "--max-kl is 5.0; it must be with --validate-every"),
        ({"kl_gain": 5.0}, "--kl-gain is 5.0"),
        ({"kl_target": -1.0}, "--kl-target is -1.0"),
    ):
        with pytest.raises(UsageError, match=said):
            arguments(prompts, policy_dir, reward_dir, tmp_path, **changes).validate()


def test_sampling_leaves_the_trainers_random_state_alone(networks, tokenizer):
    before = torch.get_rng_state()
    generate(networks["policy"], [[1, 5]], max_new_tokens=3, eos_ids={2}, pad_id=0, seeds=[1])
    assert torch.equal(before, torch.get_rng_state())
