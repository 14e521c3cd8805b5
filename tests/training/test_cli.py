import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from tests.training.conftest import assert_same_weights
from training import arguments, best_of, ppo, rloo, rm, sft
from training.__main__ import main
from training.runs import Stop, UsageError

ROOT = Path(__file__).parents[2]
TRAINERS = {"sft": sft, "rm": rm, "ppo": ppo}
OTHERS = {"rloo": rloo, "best_of": best_of}  # not the paper's: they need no table in a recipe


def flags(data, model, out, **changes) -> list[str]:
    given = {"data": data, "model": model, "out": out, "threads": 1, "max_prompt_tokens": 128, "max_answer_tokens": 64}
    return [f"--{name.replace('_', '-')}={value}" for name, value in {**given, **changes}.items()]


def test_term_saves_and_resume_gives_the_uninterrupted_result(tmp_path, policy_dir, demonstrations):
    changes = {"epochs": 150, "batch_size": 8, "samples": 0, "learning_rate": 1e-3, "save_every": 0}
    command = [
        sys.executable,
        "-m",
        "training",
        "sft",
        *flags(demonstrations, policy_dir, tmp_path / "parts", **changes),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    log = tmp_path / "parts" / "metrics.jsonl"
    deadline = time.monotonic() + 300
    while process.poll() is None and not (log.exists() and log.read_bytes().count(b"\n") > 5):
        assert time.monotonic() < deadline, "the run did not begin in five minutes"
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=300)[0].decode()
    assert process.returncode == 143, output
    run = json.loads((tmp_path / "parts" / "run.json").read_text())
    assert run["state"] == "stopped"
    (checkpoint,) = (tmp_path / "parts" / "checkpoints").iterdir()
    assert {path.suffix for path in checkpoint.iterdir()} == {".safetensors", ".json"}

    assert main(["sft", f"--out={tmp_path / 'parts'}", "--resume"]) == 0  # all else comes from run.json
    assert main(["sft", *flags(demonstrations, policy_dir, tmp_path / "whole", **changes)]) == 0
    assert_same_weights(tmp_path / "parts", tmp_path / "whole")


def test_wrong_usage_exits_2_with_a_sentence(tmp_path, policy_dir, demonstrations, capsys):
    out = tmp_path / "run"
    for given, said in (
        ([], "name an algorithm"),
        (["dpo"], "no algorithm 'dpo'"),
        (["sft"], "missing --data, --model, --out"),
        (["rm", *flags(demonstrations, policy_dir, out)], "this needs comparisons"),
        (["sft", *flags(tmp_path, policy_dir, out)], "manifest.json is missing"),
        (["sft", *flags(demonstrations, tmp_path, out)], "is no model folder"),
        (["sft", *flags(demonstrations, policy_dir, out, epochs=0)], "--epochs is 0; it must be at least 1"),
        (["sft", *flags(demonstrations, policy_dir, out), "--preset=huge"], "no preset 'huge'; there are demo"),
    ):
        assert main(given) == 2, given
        assert said in capsys.readouterr().err
    assert not out.exists()
    for unknown in (["--learning=1"], ["--epochs=many"]):  # argparse's own exit
        with pytest.raises(SystemExit) as ended:
            main(["sft", *flags(demonstrations, policy_dir, out), *unknown])
        assert ended.value.code == 2


def test_failure_exits_1_and_says_why_in_the_run(tmp_path, policy_dir, demonstrations, capsys):
    out = tmp_path / "run"
    assert main(["sft", *flags(demonstrations, policy_dir, out, max_answer_tokens=1)]) == 1
    run = json.loads((out / "run.json").read_text())
    assert run["state"] == "failed"
    assert "8 × answer too long" in run["error"]
    assert run["error"] in capsys.readouterr().err


def test_flags_win_over_the_preset_and_the_preset_over_defaults():
    needed = {"data": "d", "model": "m", "out": "o"}
    args = arguments.build(sft.Args, "sft", {**needed, "epochs": 7}, preset="demo", resume=False)
    assert args.epochs == 7
    assert args.unfrozen_layers == 4
    assert args.residual_dropout == 0.0
    assert args.device == "auto"


@pytest.mark.parametrize("path", sorted(arguments.RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_is_valid_and_marks_each_number(path):
    needed = {"data": "d", "model": "m", "out": "o"}
    text = path.read_text()
    tables = tomllib.loads(text).keys() - {"estimate"}  # test_estimate has that one
    assert TRAINERS.keys() <= tables
    for name in tables:
        trainer = {**TRAINERS, **OTHERS}[name]
        given = {**needed, "reward": "r"} if name not in ("sft", "rm") else needed
        arguments.build(trainer.Args, name, given, preset=path.stem, resume=False).validate()
    for line in text.splitlines():
        if " = " in line and not line.startswith("#"):
            assert any(mark in line for mark in ("# [V]", "# [I]", "# [K]")), line


def test_unknown_names_in_a_recipe_are_refused(tmp_path):
    recipe = tmp_path / "mine.toml"
    recipe.write_text("[sft]\nepoch = 3\n")
    with pytest.raises(UsageError, match="no argument 'epoch'"):
        arguments.build(sft.Args, "sft", {}, preset=str(recipe), resume=False)
    recipe.write_text("[sft]\nepochs = 3.5\n")
    with pytest.raises(UsageError, match="epochs must be int, not 3.5"):
        arguments.build(sft.Args, "sft", {}, preset=str(recipe), resume=False)


def test_the_papers_numbers_stand_in_the_recipes():
    needed = {"data": "d", "model": "m", "out": "o"}
    small = arguments.build(sft.Args, "sft", needed, preset="instructgpt-1.3b", resume=False)
    large = arguments.build(sft.Args, "sft", needed, preset="instructgpt-175b", resume=False)
    assert (small.epochs, small.residual_dropout, small.learning_rate, small.batch_size) == (16, 0.2, 9.65e-6, 32)
    assert (large.learning_rate, large.batch_size) == (5.03e-6, 8)
    model = arguments.build(rm.Args, "rm", needed, preset="instructgpt-6b", resume=False)
    assert (model.epochs, model.learning_rate, model.batch_size) == (1, 9e-6, 64)
    given = {**needed, "reward": "r"}
    one = arguments.build(ppo.Args, "ppo", given, preset="instructgpt-175b", resume=False)
    assert one.iterations * one.batch_size == 256_000
    assert one.iterations * one.batch_size // one.minibatch_size == 4_000
    assert (one.kl_beta, one.ptx_coefficient, one.ptx_per_episode, one.ema_decay) == (0.02, 27.8, 8.0, 0.992)
    assert (one.value_learning_rate, one.gae_lambda, one.clip, one.value_clip) == (5e-6, 0.95, 0.2, 0.2)


def test_help_needs_no_torch_and_trainers_no_django():
    code = (
        "import sys; from training.__main__ import main; main(['--help']); assert 'torch' not in sys.modules\n"
        "from training import best_of, ppo, rloo, rm, sft; assert 'django' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in [*TRAINERS, *OTHERS])


def test_a_second_sigterm_does_not_end_a_run_that_is_saving():
    before = signal.getsignal(signal.SIGTERM)
    with Stop() as stop:
        for _ in range(3):
            signal.raise_signal(signal.SIGTERM)
        assert stop.requested
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_ctrl_c_ends_a_run_at_once():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    with Stop() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)
