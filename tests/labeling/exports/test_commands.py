"""`export`, `verify_dataset` and `sample` as a user types them."""

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from labeling.exports.models import Dataset
from labeling.sampling.models import Completion
from tests.factories import make_endpoint, make_prompt, make_ranking, make_task
from training.formats import iter_rows, verify

pytestmark = pytest.mark.django_db


def command(*args: str) -> str:
    out = io.StringIO()
    call_command(*args, stdout=out)
    return out.getvalue()


def test_export_prints_the_content_hash(ada, tmp_path):
    make_ranking(task=make_task(), labeler=ada)
    out = tmp_path / "data"
    printed = command("export", "comparisons", "--split", "train", "--out", str(out))
    manifest = json.loads((out / "manifest.json").read_bytes())
    assert printed.strip() == manifest["content_hash"]
    assert verify(out) == []
    assert command("verify_dataset", str(out)) == f"{out} is intact.\n"


def test_export_as_json_is_one_object(ada, sim, tmp_path):
    make_ranking(task=make_task(), labeler=ada)
    make_ranking(task=make_task(), labeler=sim)
    found = json.loads(command("export", "comparisons", "--split", "all", "--json"))
    assert found["counts"]["rows"] == 1
    assert found["exclusions"] == {"simulated": 1}
    assert Path(found["folder"]).name == found["content_hash"]
    whole = json.loads(command("export", "comparisons", "--include-simulated", "--json"))
    assert whole["counts"]["by_group"] == {"simulated": 1, "training": 1}


def test_export_refuses_a_folder_that_is_there(ada, tmp_path):
    make_ranking(task=make_task(), labeler=ada)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "y").write_text("")
    with pytest.raises(CommandError, match="never replaces") as error:
        command("export", "comparisons", "--out", str(tmp_path / "x"))
    assert error.value.returncode == 1


def test_export_for_training_refuses_held_out(db):
    with pytest.raises(CommandError, match="Held-out"):
        command("export", "comparisons", "--group", "held_out")
    assert not Dataset.objects.exists()


def test_verify_dataset_names_what_differs(ada, tmp_path):
    make_ranking(task=make_task(), labeler=ada)
    command("export", "comparisons", "--out", str(tmp_path / "data"))
    (tmp_path / "data").chmod(0o755)
    (tmp_path / "data" / "more").write_text("")
    with pytest.raises(CommandError, match="more is not in the manifest"):
        command("verify_dataset", str(tmp_path / "data"))
    with pytest.raises(CommandError, match="no data set"):
        command("verify_dataset", str(tmp_path))


def test_sample_creates_the_batch_then_goes_on(model_server, capsys):
    make_prompt("Name a colour.")
    make_endpoint("smol", base_url=model_server.url, model=model_server.model)
    arguments = ["sample", "round 1", "--endpoint", "smol", "--k", "4", "--max-tokens", "8", "--prompts-split", "train"]
    found = json.loads(command(*arguments, "--json"))
    assert {key: found[key] for key in ("batch", "items", "filled", "failed", "tasks")} == {
        "batch": "round 1",
        "items": 1,
        "filled": 1,
        "failed": 0,
        "tasks": 1,
    }
    assert "sampled 1 of 1" in capsys.readouterr().err
    texts = set(Completion.objects.values_list("text", flat=True))
    assert command(*arguments) == "round 1: 1 filled, 0 failed, 1 tasks.\n"
    assert set(Completion.objects.values_list("text", flat=True)) == texts


def test_sample_names_what_is_wrong(db):
    make_prompt()
    with pytest.raises(CommandError, match="no endpoint called smol; there are: none yet"):
        command("sample", "x", "--endpoint", "smol")
    make_endpoint("down", base_url="http://127.0.0.1:9")
    with pytest.raises(CommandError, match="from 2 to 9"):
        command("sample", "x", "--endpoint", "down", "--k", "1")


def test_naughty_strings_come_out_as_they_went_in(shared_data, ada, tmp_path):
    strings = [text for text in json.loads((shared_data / "blns.json").read_bytes()) if text.strip()]
    given = tmp_path / "naughty.jsonl"
    rows = [
        {
            "group_id": str(number),
            "prompt": text,
            "completions": [{"text": text + "!", "rank": 0}, {"text": text, "rank": 1}],
        }
        for number, text in enumerate(strings)
    ]
    given.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    summary = json.loads(command("import_rankings", str(given), "--source", "blns"))
    held = summary["prompts"].get("held", 0)
    assert summary["groups"] == len(strings)
    out = tmp_path / "data"
    found = json.loads(command("export", "comparisons", "--out", str(out), "--json"))
    rows = [row for split in ("train", "valid", "test") for row in iter_rows(out, split)]
    missing = held + found["exclusions"].get("personal_data", 0)
    assert missing < 20
    # A prompt that came twice is one prompt with two groups: each row's completions tell which string it was.
    assert len(rows) == len(strings) - missing
    for row in rows:
        texts = {entry["text"] for entry in row["completions"]}
        prompt = row["messages"][0]["content"]
        assert prompt in strings
        assert texts <= {prompt, prompt + "!"}
