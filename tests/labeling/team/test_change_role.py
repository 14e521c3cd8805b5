"""Another role or group: from the next answer on, with a reason, and never where the groups must not mix."""

from __future__ import annotations

import pytest

from labeling.audit.models import AuditEvent
from labeling.leasing import services as leasing
from labeling.leasing.models import Lease
from labeling.people.models import User
from labeling.rankings.services import submit_ranking
from labeling.refusals import Conflict, Refusal
from labeling.team.services import change_role
from tests import factories

pytestmark = pytest.mark.django_db


def to(person: User, *, by: User, role: str = "labeler", group: str = "training", reason: str = "Planned.") -> User:
    return change_role(user_id=person.pk, role=role, group=group, reason=reason, actor=by)


def submit(lease: Lease, labeler: User, **more):
    answer = {"completions": [{"id": shown, "rank": 1, "rating": 4} for shown in lease.order_shown], **more}
    ranking, _new = submit_ranking(lease_id=lease.pk, labeler=labeler, answer=answer, idempotency_key=str(more))
    return ranking


def test_it_holds_for_answers_from_then_on(ada, amy):
    factories.make_task(), factories.make_task()
    lease = leasing.grant_lease(labeler=ada)
    first = submit(lease, ada)
    ada = to(ada, by=amy, role="researcher", group="researcher")
    second = submit(leasing.grant_lease(labeler=ada), ada)
    corrected = submit(lease, ada, replaces=str(first.pk), revision=2, reason="A slip.")
    first.refresh_from_db()
    assert [each.group for each in (first, second, corrected)] == ["training", "researcher", "training"]


def test_the_trail_has_old_new_and_why(ada, amy):
    to(ada, by=amy, role="researcher", group="researcher", reason="Joins the team.")
    event = AuditEvent.objects.get(action="user.role_changed")
    assert event.detail["before"] == {"role": "labeler", "group": "training"}
    assert event.said == "role: labeler → researcher; group: training → researcher; reason: Joins the team."


def test_changing_nothing_leaves_no_line_and_no_reason_no_change(ada, amy):
    to(ada, by=amy)
    with pytest.raises(Refusal, match="Say why"):
        to(ada, by=amy, group="held_out", reason=" ")
    assert not AuditEvent.objects.exists()
    ada.refresh_from_db()
    assert ada.group == "training"


def test_what_they_hold_goes_back(ada, amy):
    factories.make_task(batch=factories.make_batch(groups=["training"]))
    held = leasing.grant_lease(labeler=ada)
    to(ada, by=amy, group="held_out")
    held.refresh_from_db()
    assert held.state == "returned"
    assert leasing.grant_lease(labeler=ada) is None


def test_groups_that_must_not_mix(ada, hal, sim, amy):
    for person, group in ((sim, "training"), (ada, "simulated")):
        with pytest.raises(Refusal, match="simulated"):
            to(person, by=amy, group=group)
    with pytest.raises(Refusal, match="stays held out"):
        to(hal, by=amy)
    with pytest.raises(Refusal, match="stays held out"):
        to(hal, by=amy, role="researcher", group="researcher")
    with pytest.raises(Refusal, match="cannot be in the group"):
        to(ada, by=amy, group="researcher")
    factories.make_ranking(task=factories.make_task(), labeler=ada)
    with pytest.raises(Conflict, match="has given answers"):
        to(ada, by=amy, group="held_out")


def test_the_last_admin_keeps_the_role(amy):
    with pytest.raises(Conflict, match="only active admin"):
        to(amy, by=amy)


def test_the_page(page, amy, ada):
    admin = page(amy)
    fields = {"role": "labeler", "group": "held_out", "reason": "Hired for it."}
    assert admin.post(f"/people/{ada.pk}/", {**fields, "reason": ""}).status_code == 400
    assert admin.post(f"/people/{ada.pk}/", {**fields, "group": "researcher"}).status_code == 400
    assert admin.post(f"/people/{ada.pk}/", fields).status_code == 302
    assert User.objects.get(pk=ada.pk).group == "held_out"
    assert "stays held out" in admin.post(f"/people/{ada.pk}/", {**fields, "group": "training"}).content.decode()
