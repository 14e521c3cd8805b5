"""Who gets no task at the moment, and why."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from labeling.audit.models import AuditEvent
from labeling.guidelines.models import Guideline, GuidelineRead
from labeling.leasing.gates import GuidelineUnread, OnBreak, Paused, QuotaReached, check_gates, gate_before
from labeling.leasing.models import Lease
from labeling.leasing.services import grant_lease, renew_lease, save_draft
from labeling.leasing.standing import begin_break, end_break, pause_labeler, resume_labeler
from labeling.people.models import Break, TeamSettings
from labeling.people.services import set_daily_quota
from labeling.refusals import Refusal
from tests import factories

pytestmark = pytest.mark.django_db


def answered(labeler, *, hours_ago: float = 0) -> None:
    lease = factories.make_lease(task=factories.make_task(), labeler=labeler, state="submitted")
    Lease.objects.filter(pk=lease.pk).update(ended_at=Now() - timedelta(hours=hours_ago))


def test_a_break_gives_the_task_back_and_keeps_its_draft(ada, bo):
    task = factories.make_task()
    lease = grant_lease(labeler=ada)
    save_draft(lease_id=lease.pk, labeler=ada, draft={"note": "half"}, version=1)
    begin_break(labeler=ada)
    begin_break(labeler=ada)
    assert Break.objects.count() == 1
    lease.refresh_from_db()
    assert (lease.state, lease.draft) == ("returned", {"note": "half"})
    with pytest.raises(OnBreak):
        grant_lease(labeler=ada)
    # A tab that was left open beats on.
    with pytest.raises(OnBreak):
        renew_lease(lease_id=lease.pk, labeler=ada)
    assert task.seats.get().state == "free"
    end_break(labeler=ada)
    end_break(labeler=ada)
    assert grant_lease(labeler=ada) == lease


def test_a_pause_ends_the_lease_at_once_and_says_why(ada, amy):
    task = factories.make_task()
    lease = grant_lease(labeler=ada)
    pause_labeler(user_id=ada.pk, reason="Let us talk first", actor=amy)
    lease.refresh_from_db()
    assert (lease.state, task.seats.get().state) == ("returned", "free")
    with pytest.raises(Paused, match="Let us talk first. Your answers"):
        grant_lease(labeler=ada)
    resume_labeler(user_id=ada.pk, actor=amy)
    assert grant_lease(labeler=ada) == lease
    assert list(AuditEvent.objects.order_by("id").values_list("action", flat=True)) == ["user.paused", "user.resumed"]


def test_a_pause_needs_a_reason(ada, amy):
    for reason in ("", "  ", "x" * 301):
        with pytest.raises(Refusal):
            pause_labeler(user_id=ada.pk, reason=reason, actor=amy)


def test_a_quota_counts_the_answers_of_today(ada, amy):
    factories.make_task()
    ada = set_daily_quota(user_id=ada.pk, quota=2, actor=amy)
    answered(ada)
    answered(ada, hours_ago=25)
    assert check_gates(ada) is None
    answered(ada)
    with pytest.raises(QuotaReached, match="2 answers today"):
        grant_lease(labeler=ada)
    ada = set_daily_quota(user_id=ada.pk, quota=None, actor=amy)
    assert grant_lease(labeler=ada)


def test_the_day_begins_where_the_team_is(ada, amy):
    """An answer of a moment ago is yesterday's once it is moved before the team's midnight, wherever that is."""
    from django.db import connection

    ada = set_daily_quota(user_id=ada.pk, quota=1, actor=amy)
    answered(ada)
    TeamSettings.objects.create(time_zone="Pacific/Kiritimati")
    with connection.cursor() as cursor:
        midnight = "date_trunc('day', now(), 'Pacific/Kiritimati')"
        cursor.execute(f"UPDATE labeling_lease SET ended_at = {midnight} - interval '1 second'")
        assert gate_before(ada) is None
        cursor.execute(f"UPDATE labeling_lease SET ended_at = {midnight}")
        assert gate_before(ada).code == "quota_reached"


def test_new_guidelines_are_read_first_and_kept_with_the_task(ada, sim):
    factories.make_task(batch=factories.make_batch(groups=["training", "simulated"], overlap=2))
    first = Guideline.objects.create(number=1, title="One", text="a")
    with pytest.raises(GuidelineUnread):
        grant_lease(labeler=ada)
    # A program reads nothing, and its tasks name the guidelines all the same.
    assert grant_lease(labeler=sim).guideline == first
    GuidelineRead.objects.create(guideline=first, labeler=ada)
    assert grant_lease(labeler=ada).guideline == first
    second = Guideline.objects.create(number=2, title="Two", text="b")
    with pytest.raises(GuidelineUnread):
        grant_lease(labeler=ada)
    GuidelineRead.objects.create(guideline=second, labeler=ada)
    begin_break(labeler=ada)
    end_break(labeler=ada)
    assert grant_lease(labeler=ada).guideline == second


def test_gates_are_one_statement(ada, django_assert_num_queries):
    Guideline.objects.create(number=1, title="One", text="a")
    with django_assert_num_queries(1):
        assert gate_before(ada).code == "guideline_unread"
