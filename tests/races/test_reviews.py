"""An answer is sent back while its author corrects it: what is sent back then waits for nobody."""

from __future__ import annotations

from functools import partial

import pytest

from labeling.demos.models import Demonstration
from labeling.demos.services import submit_demonstration
from labeling.leasing.models import Lease
from labeling.leasing.services import grant_lease
from labeling.reviews import services
from tests import factories
from tests.races.conftest import kinds, second_while_the_first_is_open

pytestmark = pytest.mark.django_db(transaction=True)


def corrected_while_sent_back(people) -> Lease:
    """The author's lease, after the two met."""
    author, reviewer = people(2)
    factories.make_task(batch=factories.make_reviewed_batch(groups=["training"]), texts=())
    lease = grant_lease(labeler=author)
    # Without its transaction, which the race holds open.
    write = partial(submit_demonstration.__wrapped__, lease_id=lease.pk, labeler=author)
    first, _ = submit_demonstration(lease_id=lease.pk, labeler=author, answer={"text": "One."}, idempotency_key="1")
    again = {"text": "Two.", "replaces": str(first.pk), "reason": "better"}
    review = grant_lease(labeler=reviewer)
    results = second_while_the_first_is_open(
        partial(write, answer=again, idempotency_key="2"),
        partial(
            services.submit_review,
            lease_id=review.pk,
            labeler=reviewer,
            answer={"verdict": "send_back", "note": "Again."},
            idempotency_key="3",
        ),
    )
    assert kinds(results) == []
    assert Demonstration.objects.count() == 2
    return Lease.objects.get(pk=lease.pk)


def test_a_correction_that_was_first_is_not_sent_back(people):
    assert not corrected_while_sent_back(people).sent_back


def test_without_the_lock_it_would_be(people, monkeypatch):
    def tell_author(written: Demonstration, *, sent_back: bool) -> None:
        if not Demonstration.objects.filter(replaces=written).exists():
            Lease.objects.filter(pk=written.lease_id).update(sent_back=sent_back)

    monkeypatch.setattr(services, "_tell_author", tell_author)
    assert corrected_while_sent_back(people).sent_back
