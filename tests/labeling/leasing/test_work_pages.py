"""The labeler's pages, without JavaScript."""

from __future__ import annotations

import json
import re
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from labeling.demos.models import Demonstration
from labeling.leasing.models import Lease
from labeling.leasing.services import grant_lease, return_lease
from labeling.rankings.models import Judgment, Ranking
from tests import factories

pytestmark = pytest.mark.django_db


def form_of(lease: Lease, **more) -> dict:
    fields = {f"rank-{shown}": "2" for shown in lease.order_shown}
    fields |= {f"rating-{shown}": "6" for shown in lease.order_shown}
    return {"idempotency_key": f"{lease.pk}:1", "revision": "1", "replaces": "", "note": "", **fields, **more}


def payload_of(response) -> dict:
    found = re.search(rb'<script id="task-data" type="application/json">(.*?)</script>', response.content, re.S)
    return json.loads(found.group(1))


def test_work_leads_to_a_task_and_the_answer_to_the_next_one(ada, page):
    factories.make_task()
    client = page(ada)
    assert client.get("/work/").status_code == 200
    taken = client.post("/work/next/")
    lease = Lease.objects.get()
    assert (taken.status_code, taken.url) == (302, f"/work/{lease.pk}/")
    shown = client.get(taken.url)
    assert shown.status_code == 200
    payload = payload_of(shown)
    assert payload["urls"]["submit"] == f"/api/v1/tasks/{lease.pk}/submit/"
    assert payload["urls"]["next"] == "/work/next/"
    assert [one["id"] for one in payload["completions"]] == lease.order_shown
    sent = client.post(f"/work/{lease.pk}/submit/", form_of(lease, note="a\r\nb ", active_seconds="1"))
    assert (sent.status_code, sent.url) == (302, "/work/next/")
    assert Ranking.objects.get().note == "a\nb "
    assert set(Judgment.objects.values_list("rank", "rating")) == {(2, 6)}
    assert client.get("/work/next/").url == "/work/"


def test_refused_form_comes_back_filled_in(ada, page):
    factories.make_task()
    lease = grant_lease(labeler=ada)
    fields = form_of(lease, note="my words")
    del fields[f"rank-{lease.order_shown[0]}"]
    refused = page(ada).post(f"/work/{lease.pk}/submit/", fields)
    assert refused.status_code == 400
    assert "1 of 4 completions have no rank" in refused.context["error"]
    assert refused.context["draft"]["note"] == "my words"
    assert not Ranking.objects.exists()


@pytest.mark.parametrize("value", ["x", "1.5", "-1", "99", "1" * 40, "٣", " "])
def test_fields_that_are_no_rank_are_refused(ada, page, value):
    factories.make_task()
    lease = grant_lease(labeler=ada)
    refused = page(ada).post(f"/work/{lease.pk}/submit/", form_of(lease, **{f"rank-{lease.order_shown[0]}": value}))
    assert refused.status_code == 400


def test_flags_and_corrections_by_form(ada, page):
    factories.make_task()
    lease = grant_lease(labeler=ada)
    client = page(ada)
    client.post(f"/work/{lease.pk}/submit/", form_of(lease, **{f"flag-{lease.order_shown[0]}": ["sexual", "violent"]}))
    first = Ranking.objects.get()
    shown = client.get(f"/work/{lease.pk}/")
    assert shown.context["previous"]["completions"][0]["flags"] == ["sexual", "violent"]
    assert (shown.context["revision"], shown.context["replaces"]) == (2, str(first.pk))
    fields = form_of(lease, idempotency_key=f"{lease.pk}:2", revision="2", replaces=str(first.pk), reason="a slip")
    assert client.post(f"/work/{lease.pk}/submit/", fields).status_code == 302
    assert Ranking.objects.count() == 2
    own = client.get(f"/answers/{lease.pk}/")
    assert [row.revision for row in own.context["revisions"]] == [1, 2]


def test_demonstration_by_form(ada, page):
    factories.make_task(batch=factories.make_batch(kind="demonstration"), texts=())
    lease = grant_lease(labeler=ada)
    client = page(ada)
    assert client.get(f"/work/{lease.pk}/").status_code == 200
    text = "\n  <script>alert(1)</script>\n"
    sent = client.post(f"/work/{lease.pk}/submit/", {"idempotency_key": "k", "text": text.replace("\n", "\r\n")})
    assert sent.status_code == 302
    assert Demonstration.objects.get().text == text
    own = client.get(f"/answers/{lease.pk}/")
    assert b"<script>alert" not in own.content
    assert "&lt;script&gt;alert" in own.content.decode()


def test_skip_and_return_by_form(ada, page):
    factories.make_task()
    factories.make_task()
    client = page(ada)
    first = grant_lease(labeler=ada)
    assert client.post(f"/work/{first.pk}/skip/", {"reason": ""}).status_code == 400
    sent = client.post(f"/work/{first.pk}/skip/", {"reason": "Other", "detail": "no idea"})
    assert sent.url == "/work/next/"
    first.refresh_from_db()
    assert (first.state, first.skip_reason) == ("skipped", "Other: no idea")
    assert client.get(f"/work/{first.pk}/").url == "/work/"
    second = grant_lease(labeler=ada)
    assert client.post(f"/work/{second.pk}/return/").url == "/work/"
    assert client.get(f"/work/{second.pk}/").status_code == 200


def test_counts_of_the_queue(ada, page, django_assert_max_num_queries):
    batch = factories.make_batch(overlap=3)
    for _ in range(3):
        factories.make_task(batch=batch)
    factories.make_ranking(task=factories.make_task(batch=batch), labeler=ada)
    client = page(ada)
    with django_assert_max_num_queries(19):
        work = client.get("/work/").context["work"]
    assert (work.waiting, work.waiting_more, work.today, work.week) == (3, False, 1, 1)


def test_own_work_that_was_given_back_or_is_open_waits_too(ada, page):
    factories.make_task()
    lease = grant_lease(labeler=ada)
    assert page(ada).get("/work/").context["work"].waiting == 1
    return_lease(lease_id=lease.pk, labeler=ada)
    assert page(ada).get("/work/").context["work"].waiting == 1


@pytest.mark.parametrize("path", ["", "submit/", "skip/", "return/"])
def test_tasks_of_others_are_not_found(ada, bo, page, path):
    factories.make_task()
    lease = grant_lease(labeler=ada)
    client = page(bo)
    for lease_id in (lease.pk, uuid.uuid4(), "nothing"):
        ask = client.post if path else client.get
        assert ask(f"/work/{lease_id}/{path}", {"reason": "x"}).status_code == 404
        assert client.get(f"/answers/{lease_id}/").status_code == 404


def test_pages_are_for_those_who_work(amy, cy, page):
    for address in ("/work/", "/work/next/", "/answers/"):
        assert page(amy).get(address).status_code == 403
        assert page(cy).get(address).status_code == 302
        assert page().get(address).url.startswith("/sign-in")
        assert page(amy).post("/work/next/").status_code == 403


def test_batches_are_closed_by_staff_alone(ada, amy, page):
    batch = factories.make_batch()
    factories.make_task(batch=batch)
    for action in ("close", "reopen", "priority"):
        assert page(ada).post(f"/batches/{batch.pk}/{action}/", {"priority": "1"}).status_code == 403
    client = page(amy)
    assert client.get(f"/batches/{batch.pk}/close/").status_code == 405
    assert client.post(f"/batches/{batch.pk}/close/").status_code == 302
    assert client.post(f"/batches/{batch.pk}/priority/", {"priority": "-4"}).status_code == 302
    assert client.post(f"/batches/{batch.pk}/priority/", {"priority": "much"}).status_code == 400
    assert client.post("/batches/999999/close/").status_code == 404
    batch.refresh_from_db()
    assert (batch.state, batch.priority) == ("closed", -4)


def test_answers_are_listed_page_by_page(ada, page):
    batch = factories.make_batch()
    for _ in range(3):
        factories.make_ranking(task=factories.make_task(batch=batch), labeler=ada)
    client = page(ada)
    assert len(client.get("/answers/").context["leases"]) == 3
    assert client.get("/answers/?after=nonsense").status_code == 400


def test_the_queue_page_says_what_there_is_to_do_and_how_long_was_worked(ada, page):
    factories.make_task()
    factories.make_task(batch=factories.make_batch(kind="demonstration"), texts=())
    for hours, seconds in ((0, 3723), (24 * 8, 5000)):
        done = factories.make_ranking(task=factories.make_task(), labeler=ada).lease
        Lease.objects.filter(pk=done.pk).update(
            active_seconds=seconds, ended_at=timezone.now() - timedelta(hours=hours)
        )
    shown = page(ada).get("/work/")
    work = shown.context["work"]
    assert work.by_kind == {"demonstration": 1, "ranking": 1}
    assert (work.today, work.week, work.active_today, work.active_week) == (1, 1, 3723, 3723)
    assert "1 h 2 min" in shown.content.decode()


def test_a_break_by_its_buttons(ada, page):
    factories.make_task()
    client = page(ada)
    lease = grant_lease(labeler=ada)
    assert client.post("/work/break/").url == "/work/"
    lease.refresh_from_db()
    assert lease.state == "returned"
    shown = client.get("/work/").content.decode()
    assert "You are on a break" in shown and "Go on working" in shown
    assert client.post("/work/next/").url == "/work/"
    assert client.post("/work/break/end/").url == "/work/"
    assert client.post("/work/next/").url == f"/work/{lease.pk}/"


def test_pauses_and_quotas_are_set_by_admins_and_told_to_the_labeler(ada, rita, amy, page):
    factories.make_task()
    admin, labeler = page(amy), page(ada)
    for action, fields in (("pause", {"reason": "x"}), ("resume", {}), ("quota", {"quota": "1"})):
        assert page(rita).post(f"/people/{ada.pk}/{action}/", fields).status_code == 403
        assert admin.post(f"/people/{10**9}/{action}/", fields).status_code == 404
    assert admin.post(f"/people/{ada.pk}/pause/", {"reason": " "}).status_code == 400
    assert admin.post(f"/people/{ada.pk}/pause/", {"reason": "Let us <talk>"}).status_code == 302
    assert "Let us &lt;talk&gt;" in admin.get(f"/people/{ada.pk}/").content.decode()
    shown = labeler.get("/work/").content.decode()
    assert "Your work is paused" in shown and "Let us &lt;talk&gt;" in shown
    assert admin.post(f"/people/{ada.pk}/resume/").status_code == 302
    assert admin.post(f"/people/{ada.pk}/quota/", {"quota": "1"}).status_code == 302
    assert admin.post(f"/people/{ada.pk}/quota/", {"quota": "0"}).status_code == 400
    factories.make_ranking(task=factories.make_task(), labeler=ada)
    assert "Done for today" in labeler.get("/work/").content.decode()
    assert admin.post(f"/people/{ada.pk}/quota/", {"quota": ""}).status_code == 302
    assert "Done for today" not in labeler.get("/work/").content.decode()
