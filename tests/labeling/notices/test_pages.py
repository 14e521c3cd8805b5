"""Messages by pages and API."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from labeling.notices.models import Notice, NoticeReceipt
from tests.factories import make_task, send_message

pytestmark = pytest.mark.django_db
HOSTILE = "**Closed** on <script>alert(1)</script> [Monday](javascript:alert(1))"


def text_of(client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def test_from_the_form_to_who_has_read(ada, bo, amy, rita, page):
    staff, labeler = page(amy), page(ada)
    key = staff.get("/sent-messages/new/").context["form"].initial["key"]
    said = {"audience": "all", "title": "<b>Holiday</b>", "text": HOSTILE, "important": "on", "key": key}
    assert staff.post("/sent-messages/new/", {**said, "title": ""}).status_code == 400
    shown = staff.post("/sent-messages/new/", {**said, "preview": "1"}).content.decode()
    assert "<strong>Closed</strong>" in shown and not Notice.objects.exists()
    made = staff.post("/sent-messages/new/", said)
    notice = Notice.objects.get()
    assert made.url == f"/sent-messages/{notice.pk}/" == staff.post("/sent-messages/new/", said).url
    assert staff.post("/sent-messages/new/", {**said, "text": "Other."}).status_code == 400

    for address in ("/work/", "/messages/"):
        shown = text_of(labeler, address)
        assert "&lt;b&gt;Holiday" in shown and "<strong>Closed</strong>" in shown
        assert "<script>alert" not in shown and 'href="javascript' not in shown and "amy" not in shown
        assert '<span class="badge warn">1<span class="visually-hidden"> unread' in shown
    assert labeler.post(f"/messages/{notice.pk}/read/", {"back": "work"}).url == "/work/"
    assert "Holiday" not in text_of(labeler, "/work/") and "Holiday" in text_of(labeler, "/messages/")
    assert "unread<" not in text_of(labeler, "/messages/")
    assert labeler.post("/messages/999999/read/").status_code == 404

    assert "1 / 3" in text_of(staff, "/sent-messages/")
    seen = text_of(page(rita), f"/sent-messages/{notice.pk}/")
    assert "Read by 1 of 3 people" in seen and seen.count("not yet") == 2 and "/people/" not in seen
    lines = b"".join(staff.get(f"/sent-messages/{notice.pk}/readers.csv").streaming_content).decode().splitlines()
    assert [line.split(",")[0] for line in lines] == ["user_name", "bo", "rita", "ada"]


def test_to_one_person_from_their_page(ada, bo, amy, page):
    staff = page(amy)
    shown = text_of(staff, f"/people/{ada.pk}/")
    assert "Message to this person" in shown and f'name="to" value="{ada.pk}"' in shown
    assert "/sent-messages/new/" in text_of(staff, "/people/")
    said = {"to": ada.pk, "audience": "", "title": "Thanks", "text": "For yesterday.", "key": "k"}
    assert "Message to ada" in staff.post("/sent-messages/new/", {**said, "text": ""}).content.decode()
    staff.post("/sent-messages/new/", said)
    assert NoticeReceipt.objects.get().person == ada
    assert staff.post("/sent-messages/new/", {**said, "to": 999_999}).status_code in (400, 404)
    assert staff.post("/sent-messages/new/", {**said, "to": "x"}).status_code == 400
    assert "Thanks" not in text_of(page(bo), "/messages/")


def test_over_the_api(ada, bo, amy, rita, api):
    admin, labeler = api(amy), api(ada)
    sent, said = "/api/v1/messages/sent/", {"title": "T", "text": HOSTILE, "audience": "group", "key": "k"}
    assert admin.post(sent, said, format="json").status_code == 400
    said["group"] = "training"
    assert admin.post(sent, {**said, "odd": 1}, format="json").status_code == 400
    made = admin.post(sent, said, format="json")
    assert (made.status_code, made.json()["recipients"], made.json()["read"]) == (201, 2, 0)
    assert admin.post(sent, said, format="json").json()["id"] == made.json()["id"]
    assert admin.post(sent, {**said, "text": "Other."}, format="json").status_code == 409
    assert (
        admin.post(sent, {**said, "key": "l", "audience": "person", "person": ada.pk}, format="json").status_code == 201
    )
    assert api(rita).post(sent, said, format="json").status_code == 403

    own = labeler.get("/api/v1/messages/").json()
    assert (own["unread"], own["next"], [one["text"] for one in own["messages"]]) == (2, None, [HOSTILE, HOSTILE])
    assert "author" not in str(own)
    read = labeler.post(f"/api/v1/messages/{made.json()['id']}/read/")
    assert read.status_code == 200 and read.json()["read_at"]
    assert labeler.post("/api/v1/messages/999999/read/").status_code == 404
    assert labeler.get("/api/v1/messages/?after=odd").status_code == 400
    assert len(api(rita).get(sent).json()["messages"]) == 2
    readers = api(rita).get(f"{sent}{made.json()['id']}/readers/").json()["people"]
    assert [(one["user_name"], bool(one["read_at"])) for one in readers] == [("bo", False), ("ada", True)]
    assert api(rita).get(f"{sent}999999/").status_code == 404


def test_a_page_asks_once_and_a_task_over_the_api_never(ada, amy, page, api):
    send_message(author=amy, important=True)
    client = page(ada)
    client.get("/work/")
    with CaptureQueriesContext(connection) as asked:
        client.get("/work/")
    about = [query["sql"] for query in asked if "labeling_notice" in query["sql"]]
    assert len(about) == 2  # what waits, and the important one, which is shown
    make_task()
    with CaptureQueriesContext(connection) as asked:
        assert api(ada).post("/api/v1/tasks/next/").status_code == 200
    assert not [query for query in asked if "labeling_notice" in query["sql"]]
