import json

import pytest
from django.core.management import CommandError, call_command

from labeling.pipeline.models import Checkpoint, Run
from tests.labeling.pipeline.conftest import make_dataset  # noqa: F401  a fixture


@pytest.fixture
def answers(make_dataset):  # noqa: F811
    return make_dataset("demonstrations", name="answers")


def test_run_is_queued_from_folders(tiny_policy, answers, capsys):
    call_command("train", "sft", "--dataset", answers.folder, "--base", str(tiny_policy), "--seed", "3", "--json")
    printed = json.loads(capsys.readouterr().out)
    run = Run.objects.get(pk=printed["run"])
    assert (run.dataset, run.base.name, run.seed, printed["state"]) == (answers, "policy", 3, "queued")


def test_model_is_registered_once_and_named_from_then_on(tiny_policy, answers, capsys):
    call_command("register_model", str(tiny_policy), "--name", "tiny")
    call_command("register_model", str(tiny_policy), "--name", "tiny")
    assert Checkpoint.objects.count() == 1
    call_command("train", "sft", "--dataset", answers.content_hash[:12], "--base", "tiny")
    assert "queued" in capsys.readouterr().out


def test_what_does_not_fit_is_said_and_nothing_queued(tiny_policy, answers, tmp_path):
    call_command("register_model", str(tiny_policy), "--name", "tiny")
    for match, arguments in (
        ("no data set", ["sft", "--dataset", str(tmp_path), "--base", "tiny"]),
        ("no model", ["sft", "--dataset", "answers", "--base", "other"]),
        ("learns from", ["rm", "--dataset", "answers", "--base", "tiny"]),
        ("not valid JSON", ["sft", "--dataset", "answers", "--base", "tiny", "--arguments", "{"]),
        ("no model folder", ["sft", "--dataset", "answers", "--base", str(tmp_path)]),
    ):
        with pytest.raises(CommandError, match=match):
            call_command("train", *arguments)
    assert not Run.objects.exists()
