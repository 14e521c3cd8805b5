from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command

from labeling.intake.models import Import, Prompt


def run(capsys, *arguments) -> tuple[str, int]:
    """(stdout, exit status) of a command."""
    try:
        call_command(*map(str, arguments))
        status = 0
    except CommandError as error:
        status = error.returncode
    return capsys.readouterr().out, status


def test_import_prints_one_object_and_goes_on_past_broken_lines(db, tmp_path, capsys):
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"prompt": "a"}\n{broken\n{"prompt": "b", "source": "x"}\n')
    out, status = run(capsys, "import_prompts", file, "--source", "mine")
    assert status == 0
    body = json.loads(out)
    assert (body["accepted"], body["rejected"]) == (2, {"not_json": 1})
    assert body["problems"][0]["line"] == 2
    assert set(Prompt.objects.values_list("source__name", flat=True)) == {"mine", "x"}


@pytest.mark.parametrize(
    ("name", "data", "status"),
    [
        ("missing.jsonl", None, 2),
        ("a.docx", b"x", 2),
        ("a.jsonl", b"x\ny\n", 1),
        ("a.parquet", b"x", 1),
        ("a.csv", b"", 1),
    ],
)
def test_exit_status_says_what_went_wrong(db, tmp_path, capsys, name, data, status):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    for command in ("import_prompts", "scan_prompts"):
        seen = run(capsys, command, tmp_path / name)[1]
        # Scanning has a line for each line, so broken ones are told there.
        assert seen == (0 if command == "scan_prompts" and name == "a.jsonl" else status)
    assert not Import.objects.exclude(name="a.jsonl").exists()


def test_scan_stores_nothing_and_has_a_line_for_each_line(db, tmp_path, capsys):
    file = tmp_path / "a.jsonl"
    rows = [
        {"prompt": "I am a@b.io", "external_id": "one"},
        {"prompt": "nothing here", "external_id": "two"},
        {
            "messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "c@d.io"}],
            "external_id": "three",
        },
        {"prompt": 7, "external_id": "four"},
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    out, status = run(capsys, "scan_prompts", file)
    found = [json.loads(line) for line in out.splitlines()]
    assert status == 0 and not Prompt.objects.exists() and not Import.objects.exists()
    assert found[0] == {
        "external_id": "one",
        "findings": [{"start": 5, "end": 11, "kind": "email", "score": 0.95}],
    }
    assert found[1] == {"external_id": "two", "findings": []}
    assert found[2]["findings"][0]["message"] == 1
    assert (found[3]["external_id"], found[3]["error"]) == ("four", "wrong_type")
