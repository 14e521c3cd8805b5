"""Renewing and drafts."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from labeling.leasing import services
from labeling.leasing.models import Lease
from labeling.leasing.services import LeaseEnded, LeaseExpired, grant_lease, renew_lease, save_draft
from labeling.refusals import NotFound, Refusal
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def lease(ada) -> Lease:
    factories.make_task()
    return grant_lease(labeler=ada)


def test_renewing_gives_the_full_time_again(lease, ada, pass_time):
    pass_time(minutes=10)
    renewed = renew_lease(lease_id=lease.pk, labeler=ada)
    assert renewed.expires_at > lease.expires_at - timedelta(minutes=1)


def test_the_place_is_kept_through_the_grace_and_not_longer(lease, ada, bo, api, pass_time, settings):
    settings.LEASE_SECONDS, settings.LEASE_GRACE_SECONDS = 900, 120
    task = f"/api/v1/tasks/{lease.pk}/"
    assert api(ada).get(task).json()["grace_seconds"] == 120
    pass_time(minutes=16)
    assert grant_lease(labeler=bo) is None
    clock = api(ada).get(task).json()
    assert (clock["state"], clock["seconds_left"]) == ("open", 0)
    assert 50 <= clock["grace_seconds"] <= 60
    pass_time(minutes=1)
    assert grant_lease(labeler=bo) is not None
    assert api(ada).get(task).json()["grace_seconds"] == 0


def test_renewing_in_the_grace_gives_the_full_time_again(lease, ada, pass_time):
    pass_time(minutes=15)
    assert (renew_lease(lease_id=lease.pk, labeler=ada).expires_at - lease.expires_at).total_seconds() > -60


def test_renewing_late_takes_the_seat_again_while_it_is_free(lease, ada, pass_time):
    pass_time(minutes=60)
    services.expire_leases()
    renewed = renew_lease(lease_id=lease.pk, labeler=ada)
    assert (renewed.state, renewed.ended_at) == ("open", None)
    assert renewed.seat.state == "taken"


def test_renewing_after_somebody_else_sat_down_says_so_and_keeps_the_draft(lease, ada, bo, pass_time):
    save_draft(lease_id=lease.pk, labeler=ada, draft={"a": 1}, version=1)
    pass_time(minutes=60)
    grant_lease(labeler=bo)
    with pytest.raises(LeaseExpired, match="draft is saved"):
        renew_lease(lease_id=lease.pk, labeler=ada)
    lease.refresh_from_db()
    assert lease.draft == {"a": 1}


def test_renewing_an_old_task_beside_a_new_one_is_refused(lease, ada, bo, pass_time):
    pass_time(minutes=60)
    bos = grant_lease(labeler=bo)
    factories.make_task()
    assert grant_lease(labeler=ada).pk != lease.pk
    services.skip_lease(lease_id=bos.pk, labeler=bo, reason="no")
    with pytest.raises(LeaseExpired):
        renew_lease(lease_id=lease.pk, labeler=ada)


def test_nothing_to_renew_after_a_skip(lease, ada):
    services.skip_lease(lease_id=lease.pk, labeler=ada, reason="no")
    with pytest.raises(LeaseEnded, match="skipped"):
        renew_lease(lease_id=lease.pk, labeler=ada)


def test_older_draft_never_replaces_a_newer_one(lease, ada):
    save = {"lease_id": lease.pk, "labeler": ada}
    assert save_draft(**save, draft={"n": 5}, version=5)[1] is True
    assert save_draft(**save, draft={"n": 4}, version=4)[1] is False
    assert save_draft(**save, draft={"other": 5}, version=5)[1] is False
    lease.refresh_from_db()
    assert (lease.draft, lease.draft_version) == ({"n": 5}, 5)


def test_draft_is_kept_after_the_time_ran_out_without_taking_a_seat(lease, ada, pass_time):
    pass_time(minutes=60)
    services.expire_leases()
    kept, saved = save_draft(lease_id=lease.pk, labeler=ada, draft={"late": True}, version=2)
    assert (saved, kept.state) == (True, "expired")


def test_saving_a_draft_renews_the_lease(lease, ada, pass_time):
    pass_time(minutes=14)
    kept, _ = save_draft(lease_id=lease.pk, labeler=ada, draft={}, version=1)
    assert kept.expires_at > lease.expires_at - timedelta(minutes=1)


@pytest.mark.parametrize(
    ("draft", "version", "says"),
    [
        ([], 1, "JSON object"),
        ("text", 1, "JSON object"),
        (None, 1, "JSON object"),
        ({}, None, "whole number"),
        ({}, True, "whole number"),
        ({}, "1", "whole number"),
        ({}, 1.0, "whole number"),
        ({}, 0, "from 1"),
        ({}, 2**63, "from 1"),
        ({"text": "x" * 600_000}, 1, "larger"),
    ],
)
def test_bad_drafts_are_refused_with_a_sentence(lease, ada, draft, version, says):
    with pytest.raises(Refusal, match=says):
        save_draft(lease_id=lease.pk, labeler=ada, draft=draft, version=version)


def test_somebody_elses_lease_looks_like_none(lease, bo):
    for lease_id in (lease.pk, uuid.uuid4(), "no id", ""):
        with pytest.raises(NotFound):
            renew_lease(lease_id=lease_id, labeler=bo)
        with pytest.raises(NotFound):
            save_draft(lease_id=lease_id, labeler=bo, draft={}, version=1)
        with pytest.raises(NotFound):
            services.return_lease(lease_id=lease_id, labeler=bo)
        with pytest.raises(NotFound):
            services.skip_lease(lease_id=lease_id, labeler=bo, reason="why")
