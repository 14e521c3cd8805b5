"""A correction needs a reason, and comes within the time that the team sets."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F

from labeling.demos.models import Demonstration
from labeling.demos.services import submit_demonstration
from labeling.leasing.answers import BadAnswer
from labeling.leasing.models import Lease
from labeling.leasing.services import CorrectionClosed, begin_correction, grant_lease
from labeling.people.models import TeamSettings
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def lease(ada):
    factories.make_task(batch=factories.make_batch(kind="demonstration"), texts=())
    return grant_lease(labeler=ada)


def submit(lease, text, key, **more):
    return submit_demonstration(
        lease_id=lease.pk, labeler=lease.labeler, answer={"text": text, **more}, idempotency_key=key
    )[0]


@pytest.mark.parametrize("reason", [None, "", "  "])
def test_without_a_reason_nothing_is_corrected(lease, reason):
    first = submit(lease, "one", "k1")
    with pytest.raises(BadAnswer, match="why you correct"):
        submit(lease, "two", "k2", replaces=str(first.pk), reason=reason)
    assert Demonstration.objects.count() == 1


def test_the_reason_is_kept_and_shown(lease, ada, page):
    first = submit(lease, "one", "k1", reason="none yet")
    second = submit(lease, "two", "k2", replaces=str(first.pk), reason=" I misread <b> ")
    assert (first.correction_reason, second.correction_reason) == ("", "I misread <b>")
    assert "I misread &lt;b&gt;" in page(ada).get(f"/answers/{lease.pk}/").content.decode()


@pytest.mark.parametrize("reason", [5, ["x"], "x" * 301])
def test_a_reason_is_a_short_text(lease, reason):
    first = submit(lease, "one", "k1")
    with pytest.raises(BadAnswer, match="reason"):
        submit(lease, "two", "k2", replaces=str(first.pk), reason=reason)


def test_the_time_for_corrections_ends(lease, ada, page):
    first = submit(lease, "one", "k1")
    client = page(ada)
    for address in ("/work/", "/answers/"):
        assert "may be corrected" in client.get(address).content.decode()
    assert "Correct it" in client.get(f"/answers/{lease.pk}/").content.decode()
    Lease.objects.update(ended_at=F("ended_at") - timedelta(hours=3))
    TeamSettings.objects.create(correction_hours=2)
    with pytest.raises(CorrectionClosed, match="for 2 hours"):
        submit(lease, "two", "k2", replaces=str(first.pk), reason="too late")
    # The first answer's own retry is no correction.
    assert submit(lease, "one", "k1") == first
    for address in ("/work/", "/answers/"):
        assert "may be corrected" not in client.get(address).content.decode()
    assert "Correct it" not in client.get(f"/answers/{lease.pk}/").content.decode()
    TeamSettings.objects.update(correction_hours=4)
    assert submit(lease, "two", "k2", replaces=str(first.pk), reason="in time").revision == 2


def seconds_of(lease, number: int) -> tuple[int, int]:
    """Of the revision, and of the lease in all."""
    lease.refresh_from_db()
    return Demonstration.objects.get(lease=lease, revision=number).active_seconds, lease.active_seconds


def correct(lease, number: int, *, active_seconds: int) -> None:
    latest = Demonstration.objects.get(lease=lease, revision=number - 1)
    said = {"replaces": str(latest.pk), "reason": "better", "active_seconds": active_seconds}
    submit(lease, f"text {number}", f"k{number}", **said)


def test_a_corrections_time_is_held_to_that_since_it_was_opened(lease, ada):
    Lease.objects.update(granted_at=F("granted_at") - timedelta(seconds=100))
    submit(lease, "text 1", "k1", active_seconds=40)
    # Hours later, of which no more than half a minute since it was opened: that is the most that counts.
    Lease.objects.update(granted_at=F("granted_at") - timedelta(hours=5), ended_at=F("ended_at") - timedelta(hours=5))
    begin_correction(lease_id=lease.pk, labeler=ada)
    Lease.objects.update(correction_opened_at=F("correction_opened_at") - timedelta(seconds=30))
    first = begin_correction(lease_id=lease.pk, labeler=ada).correction_opened_at
    assert first == begin_correction(lease_id=lease.pk, labeler=ada).correction_opened_at
    correct(lease, 2, active_seconds=4000)
    of_correction, in_all = seconds_of(lease, 2)
    assert 30 <= of_correction <= 35 and in_all == 40 + of_correction
    # The next one was not opened; and of one that was, what the page counted, without idle time, is what counts.
    correct(lease, 3, active_seconds=50)
    assert seconds_of(lease, 3) == (0, in_all)
    begin_correction(lease_id=lease.pk, labeler=ada)
    Lease.objects.update(correction_opened_at=F("correction_opened_at") - timedelta(seconds=600))
    correct(lease, 4, active_seconds=7)
    assert seconds_of(lease, 4) == (7, in_all + 7)
    assert Lease.objects.get().correction_opened_at is None


def test_what_cannot_be_corrected_is_not_opened(lease, ada, bo, api):
    address = f"/api/v1/tasks/{lease.pk}/correct/"
    assert api(ada).post(address).status_code == 409
    submit(lease, "text 1", "k1")
    assert api(bo).post(address).status_code == 404
    opened = api(ada).post(address)
    assert opened.status_code == 200 and opened.json() == api(ada).post(address).json()
    TeamSettings.objects.create(correction_hours=2)
    Lease.objects.update(ended_at=F("ended_at") - timedelta(hours=3))
    assert api(ada).post(address).json()["error"]["code"] == "correction_closed"
