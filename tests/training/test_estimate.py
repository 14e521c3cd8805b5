import json

import pytest

from training import arguments, estimate, ppo
from training.__main__ import main

PLANNED = ("instructgpt-1.3b", "instructgpt-6b", "instructgpt-175b")


def test_the_papers_compute_comes_out_of_the_papers_numbers():
    sft, _, with_ptx = estimate.estimates("instructgpt-175b")
    # 12,725 demonstrations × 2,048 tokens × 16 epochs × 6 × 175e9, by hand
    assert sft.petaflop_days == pytest.approx(5.067, abs=0.001)
    assert 1 <= sft.petaflop_days / 4.9 < 1.1
    # 256,000 episodes: 2,048 × (12 × 175e9 + 10 × 6e9), and 8 × 2,048 × 6 × 175e9 of ptx, by hand
    assert with_ptx.petaflop_days == pytest.approx(13.108 + 50.972, abs=0.001)
    assert 1 <= with_ptx.petaflop_days / 60 < 1.1
    assert (sft.paper, with_ptx.paper) == (4.9, 60)


def test_without_ptx_its_texts_cost_nothing():
    given = {"data": "d", "model": "m", "out": "o", "reward": "r", "ptx_coefficient": 0.0}
    args = arguments.build(ppo.Args, "ppo", given, preset="instructgpt-175b", resume=False)
    assert estimate.of_ppo(args, estimate.sizes_of("instructgpt-175b")).petaflop_days == pytest.approx(
        13.108, abs=0.001
    )


@pytest.mark.parametrize("recipe", PLANNED)
def test_memory_is_at_least_that_of_weights_gradients_and_moments(recipe):
    sft, rm, with_ptx = estimate.estimates(recipe)
    parameters = estimate.sizes_of(recipe).parameters
    assert sft.gigabytes > 16 * parameters / 1e9
    assert rm.gigabytes > 16 * 6
    assert with_ptx.gigabytes > (24 * parameters + 20 * 6e9) / 1e9


def test_days_and_fit_are_those_of_the_devices(capsys):
    asked = ["--devices=8", "--memory=80", "--teraflops=1000", "--utilisation=0.5", "--json"]
    assert main(["estimate", "instructgpt-1.3b", *asked]) == 0
    sft, rm, with_ptx = json.loads(capsys.readouterr().out)
    assert sft["days"] == pytest.approx(sft["petaflop_days"] / 4)
    assert with_ptx["days"] == pytest.approx(with_ptx["petaflop_days"] / 0.5)  # one process
    assert rm["fits"] is False  # 6e9 × 16 bytes alone are 96 GB
    assert main(["estimate", "instructgpt-175b"]) == 0
    assert "paper 60" in capsys.readouterr().out


def test_what_is_missing_or_nonsense_in_a_recipe_is_said(tmp_path, capsys):
    path = tmp_path / "mine.toml"
    whole = (arguments.RECIPES / "instructgpt-6b.toml").read_text()
    for text, said in (
        (whole.replace("\nlayers = ", "\nlayer = "), "no number 'layer'"),
        (whole.replace("\nlayers = 32", ""), "lacks layers"),
        (whole.replace("\nlayers = 32", "\nlayers = 0"), "layers is 0; it must be a number above 0"),
        ("[sft]\n", "has no [estimate] table"),
    ):
        path.write_text(text)
        assert main(["estimate", str(path)]) == 2
        assert said in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["estimate", "instructgpt-6b", "--utilisation=1.5"])
    assert ended.value.code == 2


@pytest.mark.parametrize("recipe", PLANNED)
def test_each_size_has_its_mark(recipe):
    table = (arguments.RECIPES / f"{recipe}.toml").read_text().partition("[estimate]")[2]
    lines = [line for line in table.splitlines() if " = " in line]
    assert len(lines) >= len(estimate.KEYS)
    assert all(any(mark in line for mark in ("# [V]", "# [I]", "# [K]")) for line in lines)
