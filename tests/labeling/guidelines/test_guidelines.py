"""Guidelines: published in versions, read once each, over pages and API."""

from __future__ import annotations

import pytest

from labeling.guidelines.models import Guideline, GuidelineRead
from labeling.guidelines.services import publish_guideline, read_guideline
from labeling.refusals import Conflict, NotFound, Refusal
from tests import factories

pytestmark = pytest.mark.django_db


def test_versions_count_up_and_the_same_is_no_new_one(amy):
    assert publish_guideline(title=" How ", text="Read\r\nfirst.", actor=amy).number == 1
    assert Guideline.objects.get().text == "Read\nfirst."
    with pytest.raises(Conflict):
        publish_guideline(title="How", text="Read\nfirst.\n", actor=amy)
    assert publish_guideline(title="How", text="Read all.", actor=amy).number == 2
    for title, text in (("", "x"), ("x", " "), ("x" * 121, "x"), ("x", "x" * 100_001)):
        with pytest.raises(Refusal):
            publish_guideline(title=title, text=text, actor=amy)


def test_reading_is_noted_once(ada, amy):
    publish_guideline(title="How", text="Read.", actor=amy)
    read_guideline(labeler=ada, number=1)
    read_guideline(labeler=ada, number=1)
    assert GuidelineRead.objects.count() == 1
    with pytest.raises(NotFound):
        read_guideline(labeler=ada, number=2)


def test_the_way_from_begin_over_the_guidelines_to_the_task(ada, amy, page):
    factories.make_task()
    admin, labeler = page(amy), page(ada)
    sent = {"title": "Our way", "text": "# One\n\n<script>alert(1)</script> [x](javascript:alert(1))"}
    assert b"&lt;script&gt;" in admin.post("/guidelines/new/", {**sent, "preview": "1"}).content
    assert not Guideline.objects.exists()
    assert admin.post("/guidelines/new/", sent).status_code == 302
    assert admin.post("/guidelines/new/", sent).status_code == 400
    assert b"ada" in admin.get("/guidelines/versions/").content
    assert labeler.post("/work/next/").url == "/guidelines/"
    shown = labeler.get("/guidelines/").content.decode()
    assert "I have read this" in shown
    assert "<script>alert" not in shown and 'href="javascript' not in shown
    fragment = labeler.get("/guidelines/", headers={"HX-Request": "true"}).content.decode()
    assert "Our way" in fragment and "<html" not in fragment
    assert labeler.post("/guidelines/1/read/").url == "/work/"
    assert labeler.post("/work/next/").url.startswith("/work/")
    assert "I have read this" not in labeler.get("/guidelines/1/").content.decode()
    assert b"Every labeler has read" in admin.get("/guidelines/versions/").content


def test_over_the_api(ada, amy, api):
    factories.make_task()
    client = api(ada)
    assert client.get("/api/v1/guidelines/").status_code == 204
    publish_guideline(title="How", text="Read.", actor=amy)
    refused = client.post("/api/v1/tasks/next/")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "guideline_unread")
    number = client.get("/api/v1/guidelines/").json()["number"]
    assert client.post(f"/api/v1/guidelines/{number}/read/").status_code == 200
    assert client.post("/api/v1/tasks/next/").json()["guideline"] == {"id": number, "title": "How"}
    assert api(amy).post(f"/api/v1/guidelines/{number}/read/").status_code == 403
    assert api().get("/api/v1/guidelines/").status_code in (401, 403)


def test_who_may_what(ada, rita, page):
    assert page(ada).get("/guidelines/").status_code == 200
    assert page(ada).get("/guidelines/versions/").status_code == 403
    assert page(rita).get("/guidelines/versions/").status_code == 200
    assert page(rita).get("/guidelines/new/").status_code == 403
    assert page(ada).get("/guidelines/7/").status_code == 404
