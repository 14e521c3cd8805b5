"""Two processes on a CPU take the steps that one takes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.conftest import metrics_of, weights_of
from training import rm, sft
from training.__main__ import main

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("algorithm", ["sft", "rm"])
def test_two_processes_take_the_steps_of_one(tmp_path, policy_dir, demonstrations, comparisons, algorithm):
    flags = [f"--data={demonstrations if algorithm == 'sft' else comparisons}", f"--model={policy_dir}", "--threads=1"]
    flags += ["--epochs=2", "--batch-size=3", "--microbatch=4", "--learning-rate=1e-3", "--samples=0", "--device=cpu"]
    flags += ["--max-prompt-tokens=128", "--max-answer-tokens=64"]
    flags += ["--residual-dropout=0"] if algorithm == "sft" else []
    two, one = tmp_path / "two", tmp_path / "one"
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes=2", "--cpu", "--num_machines=1"]
    launcher += ["--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0", "-m", "training", algorithm]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launcher, *flags, f"--out={two}"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("step 6/6") == 1  # one of them speaks: 8 in batches of 3, twice
    assert json.loads((two / "run.json").read_text())["state"] == "done"

    assert main([algorithm, *flags, f"--out={one}"]) == 0
    for a, b in zip(metrics_of(one), metrics_of(two), strict=True):
        assert a.keys() == b.keys()
        for name in {"loss", "grad_norm", "accuracy", "valid_loss"} & a.keys():
            assert a[name] == pytest.approx(b[name], rel=1e-4)
    first, second = weights_of(one), weights_of(two)
    assert all((first[name] - second[name]).norm() <= 1e-3 * first[name].norm() for name in first)


@pytest.mark.parametrize("trainer", [sft, rm], ids=["sft", "rm"])
def test_half_precision_and_checkpointed_activations_learn_too(
    tmp_path, policy_dir, demonstrations, comparisons, trainer
):
    data = demonstrations if trainer is sft else comparisons
    losses = {}
    for name, changes in (
        ("plain", {}),
        ("checkpointed", {"checkpoint_activations": True}),
        ("half", {"precision": "bfloat16"}),
        ("budget", {"microbatch_tokens": 60}),
    ):
        extra = {"residual_dropout": 0.0} if trainer is sft else {}
        args = trainer.Args(
            data=data,
            model=policy_dir,
            out=str(tmp_path / name),
            epochs=2,
            batch_size=8,
            learning_rate=1e-3,
            max_prompt_tokens=128,
            max_answer_tokens=64,
            **extra,
            **changes,
        )
        trainer.train(args)
        losses[name] = [row["loss"] for row in metrics_of(tmp_path / name) if "loss" in row]
    assert losses["checkpointed"] == pytest.approx(losses["plain"], rel=1e-5)
    assert losses["budget"] == pytest.approx(losses["plain"], rel=1e-5)
    assert losses["half"] == pytest.approx(losses["plain"], rel=0.05)
