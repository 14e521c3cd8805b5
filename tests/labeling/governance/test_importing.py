"""Files in: by upload, by the API and by the command; gone on with after kills, once whoever brings them."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import quote

import pyarrow
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection

from labeling.background import services as background
from labeling.governance import importing, services
from labeling.intake.models import Import, Prompt
from labeling.jobs import run_now
from labeling.refusals import Conflict
from tests.races.conftest import together

ROOT = Path(__file__).resolve().parents[3]
KILLS, LINES = 10, 4_000


def row(number: int) -> dict:
    return {"prompt": f"{number}, and its square?", "user_id": f"u{number % 97}", "external_id": str(number)}


def write_lines(path: Path, lines: int = LINES, *, bad: int = 20) -> Path:
    """A file in which one line of `bad` is no prompt."""
    text = "".join(f"{'[]' if number % bad == 0 else json.dumps(row(number))}\n" for number in range(1, lines + 1))
    if path.suffix == ".zst":
        with pyarrow.CompressedOutputStream(str(path), "zstd") as file:
            file.write(text.encode())
    else:
        path.write_text(text)
    return path


def database_url() -> str:
    said = connection.settings_dict
    who = f"{quote(said['USER'])}:{quote(said.get('PASSWORD') or '')}"
    return f"postgres://{who}@{quote(str(said['HOST']), safe='')}:{said['PORT'] or 5432}/{said['NAME']}"


def start_command(file: Path) -> subprocess.Popen:
    environment = os.environ | {"DATABASE_URL": database_url(), "DATABASE_POOL_SIZE": "0", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "manage.py", "import_prompts", str(file), "--source", "killed"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def line_now() -> int:
    return Import.objects.values_list("line", flat=True).first() or 0


@pytest.mark.django_db(transaction=True)
def test_an_import_killed_ten_times_loses_and_doubles_nothing(tmp_path):
    file = write_lines(tmp_path / "many.jsonl.zst")
    chance, lines_at = random.Random(), []
    while len(lines_at) < KILLS:
        process = start_command(file)
        began = line_now()
        # At its work, at whatever point of it, and at the latest well before its end.
        until = time.monotonic() + 2 + 2 * chance.random()
        while time.monotonic() < until and line_now() == began < LINES - 2 * services.CHUNK:
            time.sleep(0.02)
        time.sleep(chance.random() * 0.2)
        process.kill()
        process.wait()
        lines_at.append(line_now())
    out, errors = start_command(file).communicate(timeout=120)
    said = json.loads(out)
    assert errors == "" and sorted(lines_at) == lines_at and lines_at[-1] < LINES
    bad = LINES // 20
    assert said["accepted"] + sum(said["rejected"].values()) == LINES
    assert said["rejected"]["not_an_object"] == bad and "duplicate" not in said["rejected"]
    (imported,) = Import.objects.filter(name="many.jsonl.zst")
    assert (imported.line, imported.state) == (LINES, "done")
    assert Prompt.objects.count() == said["accepted"] == LINES - bad
    assert Counter(Prompt.objects.values_list("external_id", flat=True)).most_common(1)[0][1] == 1
    assert imported.problems.values("line").distinct().count() == imported.problems.count() == bad


@pytest.mark.django_db(transaction=True)
def test_two_imports_of_one_file_at_once_make_it_once(tmp_path):
    file = write_lines(tmp_path / "two.jsonl", 1_200)
    done = together(*[lambda: importing.import_file(file=file, source="s")] * 3)
    assert [each for each in done if isinstance(each, Exception)] == []
    assert Prompt.objects.count() == 1_140
    # Who came while it was unfinished shares it; who came later finds everything there.
    for imported in Import.objects.all():
        assert imported.accepted + sum(imported.rejected.values()) == 1_200
    assert sum(Import.objects.values_list("accepted", flat=True)) == 1_140


def test_the_same_file_again_is_another_import_that_finds_all_there(db, tmp_path):
    file = write_lines(tmp_path / "a.jsonl", 40)
    first, again = (importing.import_file(file=file) for _ in range(2))
    assert first.pk != again.pk and (first.accepted, again.accepted) == (38, 0)
    assert again.rejected == {"duplicate": 38, "not_an_object": 2}
    assert {problem.prompt_id for problem in again.problems.filter(reason="duplicate")} == set(
        Prompt.objects.values_list("pk", flat=True)
    )


def test_lines_that_are_counted_are_named_up_to_a_number(db, settings):
    settings.IMPORT_PROBLEMS_KEPT = 3
    rows = [(number, {"prompt": "" if number % 2 else "a"}) for number in range(1, 21)]
    done = services.import_prompts(rows=rows, name="n")
    assert done.rejected == {"duplicate": 9, "empty": 10}
    assert [problem.line for problem in done.problems.filter(reason="empty").order_by("line")] == [1, 3, 5]
    assert done.problems.count() == 6


def test_prompts_above_the_token_limit_stay_out_with_that_reason(db, settings):
    rows = [
        {"prompt": "word " * 900},
        {"prompt": "word " * 1100},
        {"messages": [{"role": "user", "content": "7" * 1001}]},
    ]
    done = services.import_prompts(rows=enumerate(rows, 1), name="n")
    assert (done.accepted, done.rejected) == (1, {"too_many_tokens": 2})
    assert "at most 1,000" in done.problems.first().detail
    settings.PROMPT_MAX_TOKENS = 0
    assert services.import_prompts(rows=enumerate(rows, 1), name="n").accepted == 2


def upload(client, data: bytes, name: str = "a.jsonl", **fields):
    return client.post("/intake/", {"file": SimpleUploadedFile(name, data), **fields})


def test_a_cancelled_upload_goes_on_where_it_was(page, rita, home, monkeypatch):
    monkeypatch.setattr(services, "CHUNK", 2)
    client = page(rita)
    data = b"".join(json.dumps({"prompt": f"p{number}"}).encode() + b"\n" for number in range(9))
    address = upload(client, data, source="web").headers["Location"]
    imported = Import.objects.get()
    # The same file meanwhile: the same import, and one copy kept.
    assert upload(client, data, source="web").headers["Location"] == address
    assert len(list((home / "uploads").iterdir())) == 1
    real = services._store_chunk

    def store(found, *arguments, **named):
        stored = real(found, *arguments, **named)
        if found.line == 4:
            background.cancel(job=imported.job)
        return stored

    monkeypatch.setattr(services, "_store_chunk", store)
    assert run_now(str(imported.job_id)).state == "cancelled"
    shown = client.get(address).content.decode()
    assert "It was stopped, and goes on where it was." in shown and "Line 4 of about 9" in shown
    monkeypatch.setattr(services, "_store_chunk", real)
    assert client.post(f"{address}resume/").status_code == 302
    done = run_now(str(imported.job_id))
    assert (done.state, done.result["accepted"], done.result["rejected"]) == ("done", 9, {})
    assert list((home / "uploads").iterdir()) == [] and Import.objects.get().state == "done"
    assert client.post(f"{address}resume/").status_code == client.post(f"{address}give-up/").status_code == 409


def test_an_import_that_was_stopped_can_be_given_up(page, rita, home):
    client = page(rita)
    address = upload(client, b'{"prompt": "a"}\n').headers["Location"]
    with pytest.raises(Conflict):
        importing.give_up_import(import_id=Import.objects.get().pk, actor=rita)
    background.cancel(job=Import.objects.get().job)
    assert client.post(f"{address}give-up/").status_code == 302
    assert Import.objects.get().state == "given_up" and list((home / "uploads").iterdir()) == []
    assert "given_up" in client.get("/intake/").content.decode()


def test_the_page_of_an_import_shows_what_came_in_and_why_what_did_not(page, rita):
    client = page(rita)
    data = b'{"prompt": "fine <b>one</b>"}\nbroken\n{"prompt": "fine <b>one</b>"}\n{"prompt": "I am a@b.io"}\n'
    address = upload(client, data).headers["Location"]
    assert "hx-get" in client.get(address, headers={"HX-Request": "true"}).content.decode()
    run_now(str(Import.objects.get().job_id))
    shown = client.get(address).content.decode()
    fine, held = Prompt.objects.get(state="accepted"), Prompt.objects.get(state="held")
    assert all(f"/prompts/{prompt.pk}/" in shown for prompt in (fine, held)) and "not_json" in shown
    narrowed = client.get(f"{address}?reason=not_json").content.decode()
    assert f"/prompts/{held.pk}/" not in narrowed
    stored = client.get(f"{address}?show=prompts").content.decode()
    assert "fine &lt;b&gt;one" in stored and "a@b.io" not in stored
    assert client.get(f"{address}?after=x").status_code == 400


def test_files_by_the_api(api, rita, ada):
    program = api(rita)
    file = SimpleUploadedFile("a.csv", b"prompt,user_id\none,u\n,u\n")
    begun = program.post("/api/v1/imports/", {"file": file, "source": "mail"}, format="multipart")
    assert begun.status_code == 202 and begun.json()["state"] == "queued"
    run_now(begun.json()["job"])
    address = f"/api/v1/imports/{begun.json()['id']}/"
    body = program.get(address).json()
    assert (body["state"], body["accepted"], body["rejected"], body["line"]) == ("done", 1, {"empty": 1}, 3)
    (problem,) = program.get(f"{address}problems/", {"reason": "empty"}).json()["problems"]
    assert (problem["line"], problem["reason"]) == (3, "empty")
    assert [each["id"] for each in program.get("/api/v1/imports/").json()["imports"]] == [body["id"]]
    assert program.post("/api/v1/imports/", {}, format="multipart").status_code == 400
    wrong = SimpleUploadedFile("a.docx", b"x")
    assert program.post("/api/v1/imports/", {"file": wrong}, format="multipart").status_code == 400
    assert program.post(f"{address}resume/").status_code == program.post(f"{address}give-up/").status_code == 409
    assert api(ada).get(address).status_code == 403
