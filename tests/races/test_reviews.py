"""Reviews that meet a correction, or the gate."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from django.db import transaction

from labeling.demos.models import Demonstration, WrittenPrompt
from labeling.demos.services import submit_demonstration
from labeling.demos.written import submit_written_prompt
from labeling.intake.models import Prompt
from labeling.leasing.models import Lease
from labeling.leasing.services import grant_lease
from labeling.reviews import admitting, services
from tests import factories
from tests.races.conftest import PATIENCE, kinds, second_while_the_first_is_open, together

pytestmark = pytest.mark.django_db(transaction=True)


# An answer is sent back while its author corrects it: what is sent back then waits for nobody.


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


# A prompt is sent back while the review before lets it in: whoever comes second sees what the first did.


def prompt_sent_back_while_it_is_admitted(people) -> int:
    """How many prompts are in the pool, after the two met."""
    author, reviewer = people(2)
    factories.make_brief(batch=factories.make_reviewed_batch(kind="prompt", groups=["training"]))
    lease = grant_lease(labeler=author)
    answer = {"text": "Write.", "use_case": "other"}
    written, _ = submit_written_prompt(lease_id=lease.pk, labeler=author, answer=answer, idempotency_key="1")
    submit = partial(services.submit_review, lease_id=grant_lease(labeler=reviewer).pk, labeler=reviewer)
    first, _ = submit(answer={"verdict": "accept"}, idempotency_key="2")
    back = {"verdict": "send_back", "note": "No.", "replaces": str(first.pk), "reason": "a slip"}

    def send_back() -> None:
        submit(answer=back, idempotency_key="3")
        admitting.admit(written=written)

    results = []
    thread = threading.Thread(target=lambda: results.extend(together(send_back)))
    with transaction.atomic():
        assert admitting.admit_reviewed.__wrapped__(written=written).prompt
        thread.start()
        thread.join(2)  # it waits for the lock; without one it is through by now
    thread.join(PATIENCE)
    assert kinds(results) == []
    return Prompt.objects.filter(state="accepted").count()


def test_a_prompt_that_was_sent_back_last_is_out(people):
    assert prompt_sent_back_while_it_is_admitted(people) == 0


def test_without_the_lock_it_would_be_in(people, monkeypatch):
    def lock_revisions(written: WrittenPrompt) -> list[WrittenPrompt]:
        return list(WrittenPrompt.objects.filter(lease=written.lease_id).order_by("revision"))

    monkeypatch.setattr(admitting, "lock_revisions", lock_revisions)
    assert prompt_sent_back_while_it_is_admitted(people) == 1
