"""Offboarding: everything that somebody has open ends at once, and what they made stays."""

from __future__ import annotations

import threading

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from labeling.audit.models import AuditEvent
from labeling.leasing import services as leasing
from labeling.leasing.models import Lease
from labeling.people import services as people
from labeling.people.models import ApiToken, User
from labeling.rankings.models import Ranking
from labeling.refusals import Conflict, NotFound, Refusal
from labeling.team.services import offboard
from tests import factories

pytestmark = pytest.mark.django_db


def test_sessions_and_tokens_end_for_good_and_nobody_elses(page, api, ada, bo, amy):
    token, secret = people.create_token(user=ada, name="script")
    program = api()
    program.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    hers, her_other, his = page(ada), page(ada), page(bo)
    assert hers.get("/account/").status_code == 200
    offboard(user_id=ada.pk, reason="Moves away.", actor=amy)
    assert [client.get("/account/").status_code for client in (hers, her_other, his)] == [302, 302, 200]
    assert program.post("/api/v1/tasks/next/").status_code == 401
    people.activate_user(user_id=ada.pk, actor=amy)
    assert hers.get("/account/").status_code == her_other.get("/account/").status_code == 302
    assert program.post("/api/v1/tasks/next/").status_code == 401
    assert ApiToken.objects.get(pk=token.pk).revoked_at
    assert page().post("/sign-in/", {"username": "ada", "password": "a long password"}).status_code == 302


def test_sessions_of_others_are_not_even_looked_at(page, ada, bo, amy):
    page(bo)
    with CaptureQueriesContext(connection) as asked:
        offboard(user_id=ada.pk, reason="Moves away.", actor=amy)
    assert not [query for query in asked.captured_queries if "django_session" in query["sql"]]


def test_what_they_hold_is_free_for_others_at_once_and_its_draft_stays(ada, bo, amy):
    first, _second = factories.make_task(), factories.make_task()
    held, ahead = leasing.grant_lease(labeler=ada), leasing.fetch_ahead(labeler=ada)
    leasing.save_draft(lease_id=held.pk, labeler=ada, draft={"note": "so far"}, version=1)
    offboard(user_id=ada.pk, reason="Moves away.", actor=amy)
    assert set(Lease.objects.values_list("state", flat=True)) == {"returned"}
    assert {leasing.grant_lease(labeler=bo).task_id, leasing.fetch_ahead(labeler=bo).task_id} == {
        held.task_id,
        ahead.task_id,
    }
    assert Lease.objects.get(pk=held.pk).draft == {"note": "so far"}
    assert first.leases.count() == 2


def test_a_suggestion_stops_and_answers_stay(ada, amy):
    given = factories.make_ranking(task=factories.make_task(), labeler=ada)
    batch = factories.make_batch(kind="demonstration", suggestions=factories.make_endpoint())
    lease = factories.make_lease(task=factories.make_task(batch=batch, texts=()), labeler=ada)
    suggestion = factories.make_suggestion(lease=lease, state="writing", text="So f")
    offboard(user_id=ada.pk, reason="Moves away.", actor=amy)
    suggestion.refresh_from_db()
    assert (suggestion.state, suggestion.text) == ("stopped", "So f")
    assert Ranking.objects.get().pk == given.pk


def test_invitations_of_an_admin_open_nothing_any_more(client, amy):
    other = User.objects.create_user("ann", password=None, role="admin", group="researcher")
    _link, token = people.create_invitation(role="admin", group="researcher", days=3, created_by=other)
    _mine, still = people.create_invitation(role="labeler", group="training", days=3, created_by=amy)
    offboard(user_id=other.pk, reason="Leaves the team.", actor=amy)
    assert [client.get(f"/join/{each}/").status_code for each in (token, still)] == [410, 200]


def test_the_trail_says_who_why_and_what_ended(ada, amy):
    people.create_token(user=ada, name="script")
    factories.make_lease(task=factories.make_task(), labeler=ada)
    person = offboard(user_id=ada.pk, reason=" Moves away. ", actor=amy)
    assert (person.offboard_reason, person.offboarded_at is None) == ("Moves away.", False)
    event = AuditEvent.objects.get(action="user.offboarded")
    assert (event.actor, event.subject_id) == (amy, str(ada.pk))
    assert event.detail == {
        "reason": "Moves away.",
        "tokens_revoked": 1,
        "invitations_revoked": 0,
        "tasks_returned": 1,
        "suggestions_stopped": 0,
    }
    offboard(user_id=ada.pk, reason="Again.", actor=amy)
    assert AuditEvent.objects.filter(action="user.offboarded").count() == 1
    back = people.activate_user(user_id=ada.pk, actor=amy)
    assert (back.is_active, back.offboarded_at, back.offboard_reason) == (True, None, "")


def test_a_reason_is_wanted_and_the_last_admin_stays(ada, amy):
    for reason in ("", "  ", "x" * 301):
        with pytest.raises(Refusal, match="Say why"):
            offboard(user_id=ada.pk, reason=reason, actor=amy)
    with pytest.raises(Conflict, match="only active admin"):
        offboard(user_id=amy.pk, reason="Leaves.", actor=amy)
    with pytest.raises(NotFound):
        offboard(user_id=10**6, reason="Leaves.", actor=amy)


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_offboard_each_other_leave_one():
    pair = [User.objects.create_user(name, role="admin", group="researcher") for name in ("one", "two")]
    start = threading.Barrier(2)

    def end(victim: User, actor: User) -> None:
        start.wait()
        try:
            offboard(user_id=victim.pk, reason="No.", actor=actor)
        except Conflict:
            pass
        finally:
            connection.close()

    threads = [threading.Thread(target=end, args=(pair[i], pair[1 - i])) for i in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert User.objects.filter(role="admin", is_active=True).count() == 1


def test_the_page_asks_to_confirm(page, amy, ada):
    admin, address = page(amy), f"/people/{ada.pk}/offboard/"
    for fields in ({}, {"offboard-reason": "Moves away."}, {"offboard-confirmed": "on"}):
        refused = admin.post(address, fields)
        assert refused.status_code == 400 and "Offboard" in refused.content.decode()
    assert User.objects.get(pk=ada.pk).is_active
    sent = {"offboard-reason": "<b>Moves</b> away.", "offboard-confirmed": "on"}
    assert admin.post(address, sent).status_code == 302
    shown = admin.get(f"/people/{ada.pk}/").content.decode()
    assert "&lt;b&gt;Moves&lt;/b&gt; away." in shown and "user.offboarded" in shown
    assert admin.post(f"/people/{ada.pk}/activate/").status_code == 302
    assert User.objects.get(pk=ada.pk).is_active
