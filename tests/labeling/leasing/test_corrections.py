"""A correction needs a reason, and comes within the time that the team sets."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F

from labeling.demos.models import Demonstration
from labeling.demos.services import submit_demonstration
from labeling.leasing.answers import BadAnswer
from labeling.leasing.models import Lease
from labeling.leasing.services import CorrectionClosed, grant_lease
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
