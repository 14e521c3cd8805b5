from __future__ import annotations

import pytest

from labeling.demos.models import Demonstration
from labeling.demos.services import submit_demonstration
from labeling.leasing import services as leasing
from labeling.leasing.models import Lease
from labeling.leasing.services import AnsweredAlready, grant_lease
from labeling.refusals import Conflict, Refusal
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def lease(ada) -> Lease:
    factories.make_task(batch=factories.make_batch(kind="demonstration"), texts=())
    return grant_lease(labeler=ada)


def submit(lease: Lease, text: object, key: str = "key-1", **more) -> tuple[Demonstration, bool]:
    return submit_demonstration(
        lease_id=lease.pk, labeler=lease.labeler, answer={"text": text, **more}, idempotency_key=key
    )


def test_text_is_kept_to_the_byte(lease):
    text = "\t Ünï\u202e \r\n 👩‍👩‍👧 '\"<b>%s{{ }} \n "
    demonstration, created = submit(lease, text)
    demonstration.refresh_from_db()
    lease.refresh_from_db()
    assert (created, demonstration.text) == (True, text)
    assert (lease.state, lease.seat.state, lease.order_shown) == ("submitted", "filled", [])


def test_repeat_correction_and_conflict_are_as_for_rankings(lease):
    first, _ = submit(lease, "one")
    assert submit(lease, "one") == (first, False)
    with pytest.raises(Conflict):
        submit(lease, "two")
    with pytest.raises(AnsweredAlready):
        submit(lease, "two", "key-2")
    second, created = submit(lease, "two", "key-2", replaces=str(first.pk), revision=2, reason="a slip")
    assert (created, second.replaces, second.revision) == (True, first, 2)
    assert list(Demonstration.objects.order_by("revision").values_list("text", flat=True)) == ["one", "two"]


def test_simulated_is_marked(sim):
    batch = factories.make_batch(kind="demonstration", groups=["simulated"])
    factories.make_task(batch=batch, texts=())
    demonstration, _ = submit(grant_lease(labeler=sim), "x")
    assert (demonstration.group, demonstration.origin) == ("simulated", "simulated")


@pytest.mark.parametrize("text", [None, 5, [], {}, "", " \n\t ", "x" * 100_001])
def test_blank_long_and_no_text_are_refused(lease, text):
    with pytest.raises(Refusal, match=r"\.$"):
        submit(lease, text)
    lease.refresh_from_db()
    assert lease.state == "open"


def test_pasted_characters_are_stored_and_never_more_than_there_are(lease):
    first, _ = submit(lease, "👩‍👩‍👧 mine", pasted=3)
    second, _ = submit(lease, "mine", "key-2", pasted=500, replaces=str(first.pk), reason="shorter")
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.pasted, second.pasted) == (3, 4)
    # The same answer, whatever the count: a retry is a retry.
    assert submit(lease, "mine", "key-2", pasted=4, replaces=str(first.pk), reason="shorter") == (second, False)


@pytest.mark.parametrize("pasted", [-1, 1.5, True, "3", None, 2**31, []])
def test_count_that_is_none_is_refused(lease, pasted):
    with pytest.raises(Refusal, match=r"^`pasted` .*\.$"):
        submit(lease, "x", pasted=pasted)


def test_longest_text_is_taken(lease):
    assert submit(lease, "x" * 100_000)[1]


def test_skipped_task_takes_no_answer(lease, ada):
    leasing.skip_lease(lease_id=lease.pk, labeler=ada, reason="no")
    with pytest.raises(Conflict):
        submit(lease, "x")


def test_ranking_task_takes_no_text(ada):
    factories.make_task()
    with pytest.raises(Refusal, match="not for a written answer"):
        submit(grant_lease(labeler=ada), "x")
