from __future__ import annotations

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from labeling.audit.models import AuditEvent
from labeling.background.models import Job
from labeling.governance import services
from labeling.governance.models import Finding
from labeling.governance.queries import cut_at
from labeling.intake.models import Prompt
from labeling.jobs import run_now
from tests.factories import make_prompt


@pytest.fixture
def client(page, rita):
    return page(rita)


def bring(*texts):
    rows = [{"prompt": text} for text in texts]
    return services.import_prompts(rows=enumerate(rows, 1), name="test")


def upload(client, name: str, data: bytes, **fields):
    return client.post("/prompts/import/", {"file": SimpleUploadedFile(name, data), **fields})


def test_list_escapes_and_filters(client):
    make_prompt("<script>alert(1)</script>")
    make_prompt("held one", user="v", state="held")
    listed = client.get("/prompts/").content.decode()
    assert "&lt;script&gt;alert" in listed and "<script>alert" not in listed
    assert "held one" not in client.get("/prompts/?state=accepted").content.decode()
    assert client.get("/prompts/?state=gone").status_code == 400


def test_prompt_page_marks_what_was_found(client):
    bring("<b>Write</b> to bob@example.com")
    body = client.get(f"/prompts/{Prompt.objects.get().pk}/").content.decode()
    assert ">bob@example.com</mark>" in body
    assert "&lt;b&gt;Write&lt;/b&gt; to " in body


def test_pieces_join_to_the_text_whatever_the_findings():
    text = "0123456789"
    spans = [(2, 4), (3, 6), (8, 99), (0, 0), (50, 60)]
    pieces = cut_at(text, [Finding(start=start, end=end) for start, end in spans])
    assert "".join(piece.text for piece in pieces) == text
    assert [piece.text for piece in pieces if piece.finding] == ["23", "45", "89"]


def test_triage_releases_and_drops_with_a_reason(client, rita):
    bring("I am a@b.io", "I am c@d.io")
    one, two = Prompt.objects.all()
    assert client.get("/prompts/triage/").content.decode().count("<mark") == 2
    form = {"outcome": "release", "reason": "an example", "next": "prompt-triage"}
    assert client.post(f"/prompts/{one.pk}/decide/", form).headers["Location"] == "/prompts/triage/"
    assert client.post(f"/prompts/{two.pk}/decide/", {"outcome": "drop", "reason": ""}).status_code == 400
    client.post(f"/prompts/{two.pk}/decide/", {"outcome": "drop", "reason": "real"})
    one.refresh_from_db(), two.refresh_from_db()
    assert (one.state, two.state) == ("accepted", "dropped")
    assert client.post(f"/prompts/{two.pk}/decide/", form).status_code == 409
    assert "Nothing waits" in client.get("/prompts/triage/").content.decode()
    assert set(AuditEvent.objects.filter(actor=rita).values_list("action", flat=True)) == {
        "prompt.released",
        "prompt.dropped",
    }


def test_upload_becomes_a_job_whose_page_shows_the_summary(client, rita, home):
    lines = b'{"prompt": "one"}\nbroken\n{"prompt": "I am a@b.io", "source": "mail"}\n'
    answer = upload(client, "../../etc/prompts.jsonl", lines, source="web")
    job = Job.objects.get()
    assert answer.headers["Location"] == f"/jobs/{job.pk}/"
    kept = list((home / "uploads").iterdir())
    assert len(kept) == 1 and kept[0].parent == home / "uploads"
    done = run_now(str(job.pk))
    assert (done.state, done.error) == ("done", "")
    assert (done.result["accepted"], done.result["rejected"]) == (1, {"not_json": 1, "personal_data": 1})
    assert list((home / "uploads").iterdir()) == []
    assert set(Prompt.objects.values_list("source__name", flat=True)) == {"web", "mail"}
    shown = client.get(f"/jobs/{job.pk}/", headers={"HX-Request": "true"}).content.decode()
    assert "personal_data" in shown and "hx-get" not in shown and "<html" not in shown
    assert "etc" not in str(kept[0].name)


@pytest.mark.parametrize("name", ["a.xlsx", "noending", "a.jsonl.exe"])
def test_upload_of_another_kind_is_refused_on_the_form(client, name):
    answer = upload(client, name, b"x")
    assert answer.status_code == 400 and "not a kind of file" in answer.content.decode()
    assert not Job.objects.exists()


def test_upload_without_a_file_is_refused_on_the_form(client):
    assert client.post("/prompts/import/", {}).status_code == 400


@pytest.mark.parametrize(("name", "data"), [("a.parquet", b"no"), ("a.csv", b"x,y\n1,2\n"), ("a.jsonl.gz", b"no")])
def test_upload_that_cannot_be_read_ends_the_job_with_a_sentence(client, name, data):
    upload(client, name, data)
    done = run_now(str(Job.objects.get().pk))
    assert done.state == "failed" and name in client.get(f"/jobs/{done.pk}/").content.decode()
    assert "Traceback" not in done.error and len(done.error) > 20


def test_upload_of_nothing_ends_well(client):
    upload(client, "a.jsonl", b"")
    done = run_now(str(Job.objects.get().pk))
    assert (done.state, done.result["accepted"]) == ("done", 0)


def test_unknown_prompt_is_not_found(client):
    assert client.get("/prompts/00000000-0000-0000-0000-000000000000/").status_code == 404
    assert client.get("/prompts/7/").status_code == 404


def test_hostile_text_shows_on_every_page(client, shared_data):
    strings = [text for text in json.loads((shared_data / "blns.json").read_text()) if text]
    bring(*strings[::10])
    for prompt in Prompt.objects.all():
        assert client.get(f"/prompts/{prompt.pk}/").status_code == 200
    assert client.get("/prompts/").status_code == 200
