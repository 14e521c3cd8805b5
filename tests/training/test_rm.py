import json

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.training.conftest import (
    StopAfter,
    assert_same_weights,
    demonstration,
    metrics_of,
    ranking,
    weights_of,
    write_dataset,
)
from training import data, models, rm
from training.data import Limits
from training.runs import Refused, Stopped

CPU = torch.device("cpu")


def arguments(data, model, out, **changes) -> rm.Args:
    values = {"epochs": 2, "batch_size": 4, "microbatch": 8, "learning_rate": 3e-3, "samples": 1}
    values |= {"max_prompt_tokens": 128, "max_answer_tokens": 64}
    return rm.Args(data=data, model=model, out=str(out), **{**values, **changes})


def read(comparisons, tokenizer, split="train"):
    return data.read_rankings(comparisons, split, tokenizer, Limits(128, 64))[0]


@pytest.fixture
def model(policy_dir, tokenizer):
    return models.load_reward(policy_dir, tokenizer, CPU, head_seed=0)


def test_eight_rankings_are_learned_by_heart(tmp_path, policy_dir, comparisons):
    out = tmp_path / "run"
    report = rm.train(arguments(comparisons, policy_dir, out, epochs=15, batch_size=8))
    metrics = metrics_of(out)
    assert metrics[-1]["loss"] < 0.05
    assert report["train_accuracy"] == 1.0
    assert report["train_pairs"] == 8 * 5  # K = 4 with one tie
    assert report["valid_accuracy"] == metrics[-1]["valid_accuracy"] > 0.7
    assert report["valid_pairs"] == 10
    low, high = report["valid_accuracy_ci95"]
    assert low <= report["valid_accuracy"] <= high
    assert {"step", "time", "loss", "accuracy", "lr"} <= metrics[0].keys()
    assert report["valid_by_rank_distance"].keys() == {"1", "2"}
    assert json.loads((out / "samples.jsonl").read_text().splitlines()[0])["rank"] == 1


def test_saved_model_scores_the_same_in_transformers(tmp_path, policy_dir, comparisons):
    out = tmp_path / "run"
    report = rm.train(arguments(comparisons, policy_dir, out, samples=2))
    model = AutoModelForSequenceClassification.from_pretrained(out / "model")
    tokenizer = AutoTokenizer.from_pretrained(out / "model")
    assert model.config.num_labels == 1
    assert model.config.problem_type == "regression"
    assert model.config.pad_token_id == tokenizer.pad_token_id != tokenizer.eos_token_id
    assert model.config.reward_bias == report["bias"]
    rankings = read(comparisons, tokenizer, "valid")
    rows = [r.prompt + answer for r in rankings for answer in r.answers]
    batch = tokenizer.pad({"input_ids": rows}, padding_side="right", return_tensors="pt")
    with torch.no_grad():
        theirs = model(**batch).logits[:, 0] - model.config.reward_bias
    ours = [json.loads(line)["score"] for line in (out / "samples.jsonl").open()]
    assert theirs.tolist() == pytest.approx(ours, abs=1e-4)


def test_each_completion_is_forwarded_once(model, comparisons, tokenizer, monkeypatch):
    rankings, rows = read(comparisons, tokenizer), []
    real = models.rewards_of
    monkeypatch.setattr(models, "rewards_of", lambda m, p, a: rows.extend(a) or real(m, p, a))
    rm.accumulate(model, rankings, rows=8)
    assert len(rows) == sum(len(ranking.answers) for ranking in rankings)


def test_loss_equals_pairs_forwarded_one_by_one(model, comparisons, tokenizer):
    rankings = read(comparisons, tokenizer)
    losses, right, count = [], 0, 0
    for one in rankings:
        pairs = []
        for better, worse in one.pairs:
            with torch.no_grad():
                a = models.rewards_of(model, [one.prompt], [one.answers[better]])
                b = models.rewards_of(model, [one.prompt], [one.answers[worse]])
            pairs.append(-torch.nn.functional.logsigmoid(a - b).item())
            right, count = right + (a > b).item(), count + 1
        losses.append(sum(pairs) / len(pairs))
    loss, accuracy = rm.accumulate(model, rankings, rows=32)
    assert loss == pytest.approx(sum(losses) / len(losses), abs=1e-5)
    assert accuracy == pytest.approx(right / count)


def test_accumulation_gives_the_gradient_of_the_whole_batch(model, tmp_path, tokenizer):
    rows = [ranking(i, "x", [(f"{w} cat", k) for k, w in enumerate("abcdefgh"[: 2 + i % 5])]) for i in range(8)]
    rankings = read(write_dataset(tmp_path / "d", "comparisons", rows), tokenizer)  # mixed K
    gradients = []
    for size in (64, 1, 7):
        model.zero_grad()
        rm.accumulate(model, rankings, rows=size)
        gradients.append([p.grad.clone() for p in model.parameters()])
    for other in gradients[1:]:
        # Relative to the whole gradient of a weight: how far single sums differ depends on the processor.
        assert all((a - b).norm() <= 1e-5 * a.norm() for a, b in zip(gradients[0], other, strict=True))


def test_bias_makes_demonstrations_score_zero(tmp_path, policy_dir, comparisons, demonstrations, tokenizer):
    out = tmp_path / "run"
    report = rm.train(arguments(comparisons, policy_dir, out, demonstrations=demonstrations))
    assert "8 demonstrations" in report["bias_from"]
    reward = models.load_reward(str(out / "model"), tokenizer, CPU, head_seed=None)
    examples = data.read_demonstrations(demonstrations, "train", tokenizer, Limits(128, 64))[0]
    with torch.no_grad():
        scores = models.rewards_of(reward, [e.prompt for e in examples], [e.answer for e in examples])
    assert (scores - reward.config.reward_bias).mean().item() == pytest.approx(0, abs=1e-5)


def test_without_demonstrations_training_completions_score_zero(tmp_path, policy_dir, comparisons, tokenizer):
    out = tmp_path / "run"
    report = rm.train(arguments(comparisons, policy_dir, out))
    assert "no demonstrations were given" in report["bias_from"]
    reward = models.load_reward(str(out / "model"), tokenizer, CPU, head_seed=None)
    scores = [score for row in rm.score(reward, read(comparisons, tokenizer), rows=16) for score in row]
    assert sum(scores) / len(scores) == pytest.approx(report["bias"], abs=1e-5)


@pytest.mark.parametrize("looks", [1, 4])
def test_a_stopped_run_gives_what_an_uninterrupted_one_gives(tmp_path, policy_dir, comparisons, looks):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    frozen = {"unfrozen_layers": 1, "cache_trunk": True} if looks == 4 else {}
    report = rm.train(arguments(comparisons, policy_dir, whole, **frozen))
    args = arguments(comparisons, policy_dir, parts, **frozen)
    with pytest.raises(Stopped):
        rm.train(args, stop=StopAfter(looks))
    again = rm.train(args, resume=True)
    assert_same_weights(whole, parts)
    assert {**report, "seconds": 0} == {**again, "seconds": 0}


def test_padding_bug_would_show_eos_counts(tmp_path, policy_dir, tokenizer):
    """Two completions that differ only in being ended: `a` and `a` + EOS would be one if the head pooled before EOS."""
    rows = [ranking(i, f"x{i}", [("the cat", 1), ("the cat sat", 2)]) for i in range(4)]
    folder = write_dataset(tmp_path / "d", "comparisons", rows)
    report = rm.train(arguments(folder, policy_dir, tmp_path / "run", epochs=10))
    assert report["train_accuracy"] == 1.0
    assert report["valid_from"].startswith("1 prompts held back")
    names = weights_of(tmp_path / "run").keys()
    assert "score.weight" in names


def test_rankings_without_pairs_are_skipped_and_counted(tmp_path, policy_dir):
    rows = [ranking(i, "x", [("a", 1), ("b", 1 + i % 2)]) for i in range(8)]
    report = rm.train(arguments(write_dataset(tmp_path / "d", "comparisons", rows), policy_dir, tmp_path / "run"))
    assert report["skipped"]["train"] == {"no pair: all tied": 4}
    assert report["train_rankings"] + report["valid_rankings"] == 4
    tied = write_dataset(tmp_path / "tied", "comparisons", rows[:1])
    with pytest.raises(Refused, match="1 × no pair: all tied"):
        rm.train(arguments(tied, policy_dir, tmp_path / "refused"))


def test_empty_demonstrations_for_the_bias_are_refused(tmp_path, policy_dir, comparisons):
    blank = write_dataset(tmp_path / "d", "demonstrations", [demonstration(1, "x", "")])
    with pytest.raises(Refused, match="no demonstration"):
        rm.train(arguments(comparisons, policy_dir, tmp_path / "run", demonstrations=blank))


def test_groups_are_reported_apart():
    def one(name, group, ranks):
        return data.Ranking(name, "", group, [1], [[1], [1, 2], [1, 2, 3]], ranks)

    rankings = [one("a", "training", [1, 2, 3]), one("b", "held_out", [1, 2, 2]), one("b", "held_out", [3, 2, 1])]
    figures = rm.measure(rankings, [[3, 2, 1], [1, 5, 0], [0, 1, 2]], seed=0)
    assert figures["by_group"]["training"]["accuracy"] == 1
    assert figures["by_group"]["held_out"]["accuracy"] == pytest.approx((1 + 3) / 5)
    assert figures["accuracy"] == pytest.approx((3 + 1 + 3) / 8)
    assert figures["by_rank_distance"] == {"1": {"accuracy": 5 / 6, "pairs": 6}, "2": {"accuracy": 1.0, "pairs": 2}}
    assert figures["accuracy_longer_wins"] == pytest.approx(3 / 8)
    assert rm.measure([], [], seed=0)["accuracy"] is None
