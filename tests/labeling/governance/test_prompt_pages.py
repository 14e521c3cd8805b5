from __future__ import annotations

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from labeling.audit.models import AuditEvent
from labeling.background.models import Job
from labeling.governance import deciding, policies, services
from labeling.governance.models import Finding
from labeling.governance.queries import cut_at
from labeling.intake.models import Import, Prompt
from labeling.jobs import run_now
from tests.factories import make_prompt


@pytest.fixture
def client(page, rita):
    return page(rita)


def bring(*texts):
    rows = [{"prompt": text} for text in texts]
    return services.import_prompts(rows=enumerate(rows, 1), name="test")


def upload(client, name: str, data: bytes, **fields):
    return client.post("/intake/", {"file": SimpleUploadedFile(name, data), **fields})


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


def test_triage_shows_one_after_another_and_works_without_a_script(client, rita):
    bring("I am a@b.io", "I am c@d.io")
    # They came in at one moment: by id.
    one, two = Prompt.objects.order_by("created_at", "id")
    shown = client.get("/prompts/triage/").content.decode()
    assert shown.count("<mark") == 1 and one.messages[0]["content"].removeprefix("I am ") + "</mark>" in shown
    form = {"outcome": "release", "next": "prompt-triage"}
    assert client.post(f"/prompts/{one.pk}/decide/", form).headers["Location"] == "/prompts/triage/"
    fields = {"outcome": "redact", "next": "prompt-triage", "chosen": "1", "words": "I am", "kind": "person_name"}
    client.post(f"/prompts/{two.pk}/decide/", fields)
    one.refresh_from_db(), two.refresh_from_db()
    assert (one.state, two.state) == ("accepted", "accepted")
    # Of the findings none was ticked.
    assert two.messages[0]["content"] in ("[NAME_1] a@b.io", "[NAME_1] c@d.io")
    assert client.post(f"/prompts/{two.pk}/decide/", form).status_code == 409
    assert "Nothing waits" in client.get("/prompts/triage/").content.decode()
    assert set(AuditEvent.objects.filter(actor=rita).values_list("action", flat=True)) == {
        "prompt.raw_read",
        "prompt.released",
        "prompt.redacted",
    }


def test_the_next_items_come_as_fragments(client):
    bring(*(f"I am a{n}@b.io" for n in range(6)))
    part = client.get("/prompts/triage/", headers={"HX-Request": "true"}).content.decode()
    assert part.count("data-item") == 4 and "<html" not in part


def test_a_decision_from_the_page_of_a_prompt_needs_a_reason(client):
    bring("I am a@b.io")
    address = f"/prompts/{Prompt.objects.get().pk}/"
    assert client.post(f"{address}decide/", {"outcome": "drop", "reason": " "}).status_code == 400
    assert client.post(f"{address}decide/", {"outcome": "drop", "reason": "real"}).headers["Location"] == address
    shown = client.get(address).content.decode()
    assert "a@b.io" not in shown and "[EMAIL_1]" in shown
    assert client.post(f"{address}undo/").headers["Location"] == address
    assert Prompt.objects.get().state == "held"


def test_the_original_of_a_redacted_prompt_is_for_admins_who_are_written_down(page, rita, amy, api):
    bring("I am a@b.io")
    prompt = Prompt.objects.get()
    deciding.decide(prompt_id=prompt.pk, outcome="redact", decided_by=rita)
    for person, program in ((rita, api(rita)), (amy, api(amy))):
        for address in ("/prompts/", f"/prompts/{prompt.pk}/", "/prompts/triage/"):
            assert "a@b.io" not in page(person).get(address).content.decode()
        assert "a@b.io" not in program.get(f"/api/v1/prompts/{prompt.pk}/").content.decode()
    address = f"/prompts/{prompt.pk}/original/"
    assert page(rita).post(address).status_code == 403
    assert api(rita).post(f"/api/v1{address}").status_code == 403
    assert not AuditEvent.objects.filter(action="prompt.raw_read", actor=rita).exists()
    assert ">a@b.io</mark>" in page(amy).post(address).content.decode()
    assert api(amy).post(f"/api/v1{address}").json()["messages"][0]["content"] == "I am a@b.io"
    read = AuditEvent.objects.filter(action="prompt.raw_read", actor=amy, subject_id=str(prompt.pk))
    assert [event.detail for event in read] == [{"where": "original"}] * 2


def test_the_page_of_personal_data_says_what_holds(page, rita, amy):
    make_prompt("never scanned")
    shown = page(rita).get("/personal-data/").content.decode()
    assert "1 prompt went through an older detector or policy." in shown and "Scan them again" not in shown
    client = page(amy)
    assert "Scan them again" in client.get("/personal-data/").content.decode()
    fields = {"preset": "own", "hold_at": "0.6", "note": "by kind", "replaces": "1"}
    fields |= {f"{split}:": "hold" for split in ("train", "valid", "test")} | {"train:email": "redact"}
    assert client.get("/personal-data/policy/").status_code == 200
    assert client.post("/personal-data/policy/", fields).headers["Location"] == "/personal-data/"
    rules = policies.current_rules()
    assert (rules.number, rules.hold_at, rules.action(split="train", kind="email")) == (2, 0.6, "redact")
    # A form that somebody opened before is told so, and stays.
    late = client.post("/personal-data/policy/", fields)
    assert late.status_code == 409 and "changed the policy meanwhile" in late.content.decode()
    assert client.post("/personal-data/policy/", {"preset": "own", "hold_at": "x"}).status_code == 400
    job = client.post("/personal-data/rescan/").headers["Location"]
    assert run_now(job.split("/")[2]).result["scanned"] == 1
    assert client.post("/personal-data/rescan/").status_code == 400
    assert client.post("/personal-data/sample/", {"wanted": "0"}).status_code == 400
    assert client.post("/personal-data/sample/", {"wanted": "5"}).headers["Location"] == "/personal-data/"


def test_personal_data_over_the_api(api, amy, rita):
    bring("I am a@b.io", "I am c@d.io", "fine")
    program = api(rita)
    first = program.get("/api/v1/prompts/triage/", {"size": 1}).json()
    then = program.get("/api/v1/prompts/triage/", {"size": 5, "after": first["next"]}).json()
    one, two = first["prompts"][0], then["prompts"][0]
    assert {p["messages"][0]["content"] for p in (one, two)} == {"I am a@b.io", "I am c@d.io"} and not then["next"]
    for size in ("0", "21", "x"):
        assert program.get("/api/v1/prompts/triage/", {"size": size}).status_code == 400
    decided = program.post(
        f"/api/v1/prompts/{one['id']}/decide/",
        {"outcome": "redact", "real": [one["findings"][0]["id"]], "marks": [{"words": "I am"}]},
        format="json",
    )
    assert decided.json()["state"] == "accepted"
    for body in ({}, {"outcome": "burn"}, {"outcome": "drop", "real": "x"}, {"outcome": "drop", "blind": "x"}):
        assert program.post(f"/api/v1/prompts/{two['id']}/decide/", body, format="json").status_code == 400
    assert program.post(f"/api/v1/prompts/{one['id']}/undo/", {}, format="json").json()["state"] == "held"
    said = program.get("/api/v1/personal-data/").json()
    assert (said["waiting"], said["scanned_by_older"], said["policy"]["number"]) == (2, 0, 1)
    assert said["estimates"]["precision"]["value"] is None
    admin = api(amy)
    splits = {split: {"others": "hold", "kinds": {"email": "redact"}} for split in ("train", "valid", "test")}
    made = admin.post(
        "/api/v1/personal-data/policy/", {"preset": "own", "splits": splits, "replaces": 1}, format="json"
    )
    assert made.status_code == 201 and admin.get("/api/v1/personal-data/policy/").json()["splits"] == splits
    assert admin.post("/api/v1/personal-data/rescan/").status_code == 202
    assert admin.post("/api/v1/personal-data/samples/", {"wanted": 3}, format="json").status_code == 202
    assert (
        admin.post("/api/v1/personal-data/policy/", {"preset": "own", "splits": []}, format="json").status_code == 400
    )


def test_upload_becomes_a_job_whose_page_shows_the_summary(client, rita, home):
    lines = b'{"prompt": "one"}\nbroken\n{"prompt": "I am a@b.io", "source": "mail"}\n'
    answer = upload(client, "../../etc/prompts.jsonl", lines, source="web")
    job = Job.objects.get()
    assert answer.headers["Location"] == f"/intake/{Import.objects.get().pk}/"
    kept = list((home / "uploads").iterdir())
    assert len(kept) == 1 and kept[0].parent == home / "uploads"
    done = run_now(str(job.pk))
    assert (done.state, done.error) == ("done", "")
    assert (done.result["accepted"], done.result["rejected"]) == (1, {"not_json": 1, "personal_data": 1})
    assert list((home / "uploads").iterdir()) == []
    assert set(Prompt.objects.values_list("source__name", flat=True)) == {"web", "mail"}
    shown = client.get(f"/jobs/{job.pk}/", headers={"HX-Request": "true"}).content.decode()
    assert f"/intake/{Import.objects.get().pk}/" in shown and "hx-get" not in shown and "<html" not in shown
    assert "etc" not in str(kept[0].name)


@pytest.mark.parametrize("name", ["a.xlsx", "noending", "a.jsonl.exe"])
def test_upload_of_another_kind_is_refused_on_the_form(client, name):
    answer = upload(client, name, b"x")
    assert answer.status_code == 400 and "not a kind of file" in answer.content.decode()
    assert not Job.objects.exists()


def test_upload_without_a_file_is_refused_on_the_form(client):
    assert client.post("/intake/", {}).status_code == 400


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
