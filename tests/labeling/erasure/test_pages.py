"""An admin finds a person, gives them their data, erases them, and says how long prompts are kept; all of it
is written down."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from labeling.audit.models import AuditEvent
from labeling.erasure import exporting, services
from labeling.erasure.models import Erasure, Retention
from labeling.intake.models import Prompt, RefusedPerson
from labeling.refusals import NotFound, Refusal
from tests import factories
from tests.labeling.erasure.conftest import MARKER, USER, where_said
from tests.labeling.erasure.test_erase_person import erase

pytestmark = pytest.mark.django_db


def test_found_exported_erased_and_let_in_again(said, amy, page):
    admin, number = page(amy), said.prompt.source_user_id
    answer = admin.post("/erasures/people/", {"source": "api", "user_id": USER})
    assert answer.headers["Location"] == f"/erasures/people/{number}/"
    assert USER in admin.get(f"/erasures/people/{number}/").content.decode()
    assert admin.post("/erasures/people/", {"source": "api", "user_id": "nobody"}).status_code == 404
    given = admin.post(f"/erasures/people/{number}/export/")
    lines = [json.loads(line) for line in b"".join(given.streaming_content).splitlines()]
    assert (given.headers["Content-Type"], lines[0]["user_id"]) == ("application/x-ndjson", USER)
    form = {"answers": "keep", "refuse": "on", "reason": "Asked by letter."}
    assert admin.post(f"/erasures/people/{number}/erase/", form).status_code == 400, "they are not sure"
    done = admin.post(f"/erasures/people/{number}/erase/", form | {"sure": "on"}, follow=True)
    assert (done.status_code, "Asked by letter." in done.content.decode()) == (200, True)
    assert MARKER not in done.content.decode()
    assert where_said(MARKER) == []
    assert RefusedPerson.objects.count() == 1
    admin.post(f"/erasures/people/{number}/allow/")
    assert RefusedPerson.objects.count() == 0
    written = set(AuditEvent.objects.filter(actor=amy).values_list("action", flat=True))
    assert {"person.exported", "person.erased", "person.allowed_again"} <= written


def test_the_export_has_all_that_an_erasure_would_take(said):
    """Whatever place says the marker and would be blanked is told, but what others hold of it."""
    person = services.get_source_user(source="api", user_id=USER)
    lines = [json.loads(line) for line in exporting.lines_of(person)]
    kinds = {line["kind"] for line in lines if MARKER in json.dumps(line)}
    said_in = {place.split(".")[0] for place in where_said(MARKER)}
    # Lines of imports and of the audit trail are about the team's acts.
    assert said_in - kinds == {"sourceuser", "auditevent", "job"} & said_in
    (prompt,) = (line for line in lines if line["kind"] == "prompt")
    assert prompt["messages"] == said.prompt.messages and prompt["external_id"] == said.prompt.external_id
    assert not any(name in line for line in lines for name in ("labeler_id", "by_id", "decided_by_id", "author_id"))


def test_the_api_does_the_same(said, amy, rita, api):
    program = api(amy)
    who = {"source": "api", "user_id": USER}
    given = program.post("/api/v1/erasures/export/", who, format="json")
    assert MARKER in b"".join(given.streaming_content).decode()
    done = program.post("/api/v1/erasures/", who | {"reason": "Asked.", "answers": "erase"}, format="json")
    assert (done.status_code, done.json()["counts"]["prompt"]) == (201, 1)
    assert program.post("/api/v1/erasures/", who | {"reason": "Asked."}, format="json").status_code == 404
    assert api(rita).get(f"/api/v1/erasures/{done.json()['id']}/").json()["datasets"] == []
    assert api(rita).get("/api/v1/erasures/").json()["results"][0]["id"] == done.json()["id"]
    assert api(rita).post("/api/v1/erasures/", who, format="json").status_code == 403
    kept = program.post("/api/v1/erasures/retention/", {"source": "api", "days": 30}, format="json")
    assert kept.json() == {"source": "api", "days": 30, "answers": "keep"}
    assert program.post("/api/v1/erasures/retention/", {"source": "api", "days": 0}, format="json").status_code == 400
    assert program.get("/api/v1/erasures/retention/").json()["results"] == [kept.json()]


def test_what_is_past_its_time_is_erased_in_parts_and_the_rest_stays(said, amy, monkeypatch):
    monkeypatch.setattr(services, "AT_ONCE", 2)
    old = timezone.now() - timedelta(days=31)
    past = [factories.make_prompt(f"{MARKER} {n}", user=f"u{n}", created_at=old) for n in range(5)]
    elsewhere = factories.make_prompt("Old too", source="kept", created_at=old)
    services.set_retention(source="api", days=30, answers="keep", actor=amy)
    assert services.erase_expired(most=3) == 3, "what is left is the next call's"
    assert services.erase_expired() == 2
    assert services.erase_expired() == 0
    assert set(Prompt.objects.filter(state="erased").values_list("pk", flat=True)) == {each.pk for each in past}
    assert Prompt.objects.get(pk=elsewhere.pk).state == "accepted"
    assert Prompt.objects.get(pk=said.prompt.pk).state == "accepted"
    assert set(Erasure.objects.values_list("why", "reason")) == {("retention", "Kept for 30 days.")}
    assert AuditEvent.objects.filter(action="prompts.expired", actor=None).count() == 3
    services.set_retention(source="api", days=None, answers="keep", actor=amy)
    assert not Retention.objects.exists()
    with pytest.raises(NotFound):
        services.set_retention(source="nowhere", days=1, answers="keep", actor=amy)
    with pytest.raises(Refusal):
        services.set_retention(source="api", days=0, answers="keep", actor=amy)


def test_whoever_of_the_team_reads_raw_text_leaves_a_line(said, amy, rita, ada, page, api):
    """Each page on which the marker can be read, and the list of them is not empty by accident."""
    from django.urls import reverse

    item = said.task.item
    addresses = [
        reverse("prompts"),
        reverse("prompt", args=[said.prompt.pk]),
        reverse("batch-item", args=[item.batch_id, item.pk]),
        reverse("written-one", args=[said.demonstration.pk]),
        reverse("given-answer", args=[said.ranking.lease_id]),
        reverse("question-inbox"),
    ]
    for person, client in ((amy, page(amy)), (rita, page(rita))):
        for address in addresses:
            before = AuditEvent.objects.filter(actor=person, action="text.read").count()
            assert MARKER in client.get(address).content.decode(), address
            assert AuditEvent.objects.filter(actor=person, action="text.read").count() == before + 1, address
    api(rita).get("/api/v1/prompts/")
    assert AuditEvent.objects.filter(actor=rita, detail__page="prompts").count() == 2
    page(ada).get("/answers/")
    assert not AuditEvent.objects.filter(actor=ada, action="text.read").exists()


def test_the_page_of_an_erased_prompt_offers_nothing(said, amy, page):
    erase(amy)
    shown = page(amy).get(f"/prompts/{said.prompt.pk}/").content.decode()
    assert "was erased" in shown and "Save what it is about" not in shown
    answer = page(amy).post(f"/prompts/{said.prompt.pk}/categories/", {"categories": ["violence"]})
    assert answer.status_code == 409
