import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.training.conftest import StopAfter, assert_same_weights, demonstration, metrics_of, weights_of, write_dataset
from training import data, models, sft
from training.data import Limits
from training.runs import Refused, Stopped, UsageError

CPU = torch.device("cpu")


def arguments(data, model, out, **changes) -> sft.Args:
    values = {"epochs": 3, "batch_size": 4, "microbatch": 3, "learning_rate": 3e-3, "samples": 0}
    values |= {"max_prompt_tokens": 128, "max_answer_tokens": 64}
    return sft.Args(data=data, model=model, out=str(out), **{**values, **changes})


def read(demonstrations, tokenizer):
    return data.read_demonstrations(demonstrations, "train", tokenizer, Limits(128, 64))[0]


def test_eight_examples_are_learned_by_heart(tmp_path, policy_dir, demonstrations):
    out = tmp_path / "run"
    changes = {"epochs": 40, "batch_size": 8, "microbatch": 8, "learning_rate": 1e-2, "residual_dropout": 0.0}
    report = sft.train(arguments(demonstrations, policy_dir, out, samples=2, sample_tokens=8, **changes))
    metrics = metrics_of(out)
    assert metrics[-1]["loss"] < 0.02
    assert report["valid_loss_before"] == metrics[0]["valid_loss"] > 4
    assert json.loads((out / "run.json").read_text())["state"] == "done"
    assert json.loads((out / "progress.json").read_text())["step"] == report["steps"] == 40
    assert {"step", "time", "loss", "lr"} <= metrics[1].keys()
    assert [json.loads(line)["prompt"] for line in (out / "samples.jsonl").open()] == ["near the red", "near the blue"]
    model = AutoModelForCausalLM.from_pretrained(out / "model")
    tokenizer = AutoTokenizer.from_pretrained(out / "model")
    example = read(demonstrations, tokenizer)[0]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([example.prompt + example.answer])).logits[0]
    assert logits[len(example.prompt) - 1 : -1].argmax(-1).tolist() == example.answer  # EOS included


def test_loss_is_over_answer_tokens_only(policy_dir, demonstrations, tokenizer):
    model, examples = models.load_policy(policy_dir, CPU), read(demonstrations, tokenizer)
    total = tokens = 0
    for example in examples:  # transformers' own loss, the prompt masked out
        ids = torch.tensor([example.prompt + example.answer])
        labels = ids.clone()
        labels[0, : len(example.prompt)] = -100
        with torch.no_grad():
            total += model(input_ids=ids, labels=labels).loss.item() * len(example.answer)
        tokens += len(example.answer)
    assert sft.mean_loss(model, examples, rows=3) == pytest.approx(total / tokens, abs=1e-5)


def test_accumulation_gives_the_gradient_of_the_whole_batch(policy_dir, demonstrations, tokenizer):
    model, examples = models.load_policy(policy_dir, CPU), read(demonstrations, tokenizer)
    examples[0] = data.Demonstration("p", "", examples[0].prompt, examples[0].answer * 5)  # uneven token counts
    gradients, losses = [], []
    for rows in (8, 1, 3):
        model.zero_grad()
        losses.append(sft.accumulate(model, examples, rows=rows))
        gradients.append([p.grad.clone() for p in model.parameters()])
    assert losses[1:] == pytest.approx([losses[0]] * 2, abs=1e-5)
    for other in gradients[1:]:
        for a, b in zip(gradients[0], other, strict=True):
            assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("looks", [0, 2, 6])
def test_a_stopped_run_gives_what_an_uninterrupted_one_gives(tmp_path, policy_dir, demonstrations, looks):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    report = sft.train(arguments(demonstrations, policy_dir, whole))
    args = arguments(demonstrations, policy_dir, parts)
    with pytest.raises(Stopped):
        sft.train(args, stop=StopAfter(looks))
    assert json.loads((parts / "run.json").read_text())["state"] == "stopped"
    again = sft.train(args, resume=True)
    assert_same_weights(whole, parts)
    assert not list((parts / "checkpoints").iterdir())

    def comparable(folder):
        return [{k: v for k, v in row.items() if k != "time"} for row in metrics_of(folder)]

    assert comparable(whole) == comparable(parts)
    assert {**report, "seconds": 0} == {**again, "seconds": 0}
    assert sft.train(args, resume=True) == again  # done is done


def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path, policy_dir, demonstrations, monkeypatch):
    args = arguments(demonstrations, policy_dir, tmp_path / "run", save_every=2)
    real, calls = sft.accumulate, []

    def dies(*given, **named):
        calls.append(1)
        if len(calls) == 4:
            raise SystemExit  # as if killed: no handler saves anything
        return real(*given, **named)

    monkeypatch.setattr(sft, "accumulate", dies)
    with pytest.raises(SystemExit):
        sft.train(args)
    assert len(metrics_of(tmp_path / "run")) == 4
    monkeypatch.undo()
    sft.train(args, resume=True)
    assert [row["step"] for row in metrics_of(tmp_path / "run")] == list(range(7))
    sft.train(arguments(demonstrations, policy_dir, tmp_path / "whole"))
    assert_same_weights(tmp_path / "run", tmp_path / "whole")


def test_frozen_layers_stay_as_they_were(tmp_path, policy_dir, demonstrations):
    sft.train(arguments(demonstrations, policy_dir, tmp_path / "run", unfrozen_layers=1))
    before, after = models.load_policy(policy_dir, CPU).state_dict(), weights_of(tmp_path / "run")
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert {name.split(".")[1] for name in changed} == {"layers", "norm"}
    assert not any("layers.0" in name for name in changed)


def test_nan_stops_the_run_with_a_sentence(tmp_path, policy_dir, demonstrations, monkeypatch):
    monkeypatch.setattr(sft, "accumulate", lambda *_, **__: float("nan"))
    with pytest.raises(Refused, match="lower --learning-rate"):
        sft.train(arguments(demonstrations, policy_dir, tmp_path / "run"))
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["state"] == "failed"
    assert "loss nan" in run["error"]


def test_another_run_is_never_overwritten(tmp_path, policy_dir, demonstrations):
    args = arguments(demonstrations, policy_dir, tmp_path / "run", epochs=1)
    sft.train(args)
    with pytest.raises(UsageError, match="holds a run already"):
        sft.train(args)
    with pytest.raises(UsageError, match="--epochs is 2, the run began with 1"):
        sft.train(arguments(demonstrations, policy_dir, tmp_path / "run", epochs=2), resume=True)


def test_no_usable_demonstration_is_refused(tmp_path, policy_dir):
    folder = write_dataset(tmp_path / "d", "demonstrations", [demonstration(1, "x", " ")])
    with pytest.raises(Refused, match="1 × empty answer"):
        sft.train(arguments(folder, policy_dir, tmp_path / "run"))


def test_limits_beyond_the_context_are_refused(tmp_path, policy_dir, demonstrations):
    with pytest.raises(Refused, match="context of 512 tokens"):
        sft.train(arguments(demonstrations, policy_dir, tmp_path / "run", max_prompt_tokens=500))
