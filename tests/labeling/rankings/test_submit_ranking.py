from __future__ import annotations

from uuid import UUID

import pytest

from labeling.leasing import services as leasing
from labeling.leasing.answers import BadAnswer
from labeling.leasing.models import Lease
from labeling.leasing.services import AnsweredAlready, LeaseEnded, grant_lease
from labeling.rankings.models import Judgment, Ranking
from labeling.rankings.services import submit_ranking
from labeling.refusals import Conflict, NotAllowed, NotFound, Refusal
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def lease(ada) -> Lease:
    factories.make_task()
    return grant_lease(labeler=ada)


def answer_to(lease: Lease, *, ranks=(1, 2, 2, 4), **more) -> dict:
    judged = zip(lease.order_shown, ranks, strict=True)
    return {"completions": [{"id": shown, "rank": rank, "rating": 5} for shown, rank in judged], **more}


def submit(lease: Lease, key: str = "key-1", **answer) -> tuple[Ranking, bool]:
    return submit_ranking(
        lease_id=lease.pk, labeler=lease.labeler, answer=answer_to(lease, **answer), idempotency_key=key
    )


def test_ranking_is_stored_as_given_and_fills_the_seat(lease, ada):
    leasing.save_draft(lease_id=lease.pk, labeler=ada, draft={"a": 1}, version=1)
    ranking, created = submit(lease, note="  ")
    lease.refresh_from_db()
    assert created
    assert (lease.state, lease.seat.state, lease.draft) == ("submitted", "filled", {})
    assert (ranking.group, ranking.origin, ranking.revision, ranking.surplus) == ("training", "workbench", 1, False)
    assert (ranking.order_shown, ranking.note) == (lease.order_shown, "  ")
    ranks = dict(Judgment.objects.values_list("completion_id", "rank"))
    assert [ranks[UUID(shown)] for shown in lease.order_shown] == [1, 2, 2, 4]
    assert grant_lease(labeler=ada) is None


def test_same_key_and_answer_gets_the_first_one_again(lease):
    first, _ = submit(lease, active_seconds=1)
    again, created = submit(lease, active_seconds=2)
    assert (again.pk, again.created_at, created) == (first.pk, first.created_at, False)
    assert Ranking.objects.count() == 1


def test_same_key_with_another_answer_is_a_conflict(lease):
    submit(lease)
    with pytest.raises(Conflict, match="Idempotency-Key was used"):
        submit(lease, ranks=(1, 1, 1, 1))


def test_another_key_without_a_revision_is_a_conflict_that_names_the_answer(lease):
    first, _ = submit(lease)
    with pytest.raises(AnsweredAlready) as refused:
        submit(lease, "key-2")
    assert refused.value.status == 409
    assert refused.value.detail == {"answer": str(first.pk), "revision": 1}


def test_correction_is_a_new_row_and_leaves_the_first_one(lease):
    first, _ = submit(lease)
    second, created = submit(lease, "key-2", ranks=(4, 3, 2, 1), revision=2, replaces=str(first.pk), reason="a slip")
    assert (created, second.revision, second.replaces) == (True, 2, first)
    assert list(first.judgments.order_by("id").values_list("rank", flat=True)) == [1, 2, 2, 4]
    assert submit(lease)[0] == first
    third, _ = submit(lease, "key-3", replaces=str(second.pk), reason="again")
    assert third.revision == 3
    assert lease.task.seats.get().state == "filled"


@pytest.mark.parametrize("wrong", ["first", "nothing", "no uuid"])
def test_correction_must_name_the_latest_answer(lease, wrong):
    first, _ = submit(lease)
    submit(lease, "key-2", replaces=str(first.pk), reason="a slip")
    with pytest.raises(AnsweredAlready, match="latest"):
        submit(lease, "key-3", replaces=str(first.pk) if wrong == "first" else wrong)


def test_numbers_of_revisions_must_fit(lease):
    with pytest.raises(Conflict, match="send 1"):
        submit(lease, revision=2)
    with pytest.raises(Conflict, match="leave it null"):
        submit(lease, replaces=str(lease.pk))
    first, _ = submit(lease)
    with pytest.raises(Conflict, match="number 2"):
        submit(lease, "key-2", replaces=str(first.pk), revision=3)


def test_late_answer_takes_the_free_seat(lease, pass_time):
    pass_time(minutes=60)
    leasing.expire_leases()
    ranking, _ = submit(lease)
    lease.refresh_from_db()
    assert (ranking.surplus, lease.state, lease.seat.state) == (False, "submitted", "filled")


@pytest.mark.parametrize("ending", ["given back", "out of time"])
def test_late_answer_beside_another_labeler_is_surplus(lease, ada, bo, pass_time, ending):
    if ending == "given back":
        leasing.return_lease(lease_id=lease.pk, labeler=ada)
    pass_time(minutes=60)
    other = grant_lease(labeler=bo)
    ranking, _ = submit(lease)
    lease.refresh_from_db()
    assert (ranking.surplus, lease.state, lease.seat) == (True, "submitted", None)
    correction, _ = submit(lease, "key-2", replaces=str(ranking.pk), reason="a slip")
    assert correction.surplus
    assert not submit(other)[0].surplus


def test_answer_after_the_time_but_before_the_sweep_keeps_its_seat(lease, pass_time):
    pass_time(minutes=60)
    assert not submit(lease)[0].surplus


def test_answer_to_a_closed_batch_is_taken(lease):
    leasing.close_batch(batch=lease.task.batch, actor=None)
    assert not submit(lease)[0].surplus


def test_skipped_task_takes_no_answer(lease, ada):
    leasing.skip_lease(lease_id=lease.pk, labeler=ada, reason="no")
    with pytest.raises(LeaseEnded, match="skipped"):
        submit(lease)


def test_time_at_work_is_never_longer_than_the_lease(lease, pass_time):
    pass_time(minutes=2)
    ranking, _ = submit(lease, active_seconds=2**31 - 1)
    lease.refresh_from_db()
    assert 120 <= ranking.active_seconds <= 130
    assert lease.active_seconds == ranking.active_seconds


def test_group_and_origin_are_those_of_the_moment(lease, ada, sim, hal):
    task = factories.make_task(batch=factories.make_batch(groups=["simulated", "held_out"], overlap=2))
    for person, group, origin in ((sim, "simulated", "simulated"), (hal, "held_out", "workbench")):
        ranking, _ = submit(grant_lease(labeler=person))
        assert (ranking.task, ranking.group, ranking.origin) == (task, group, origin)
    ranking, _ = submit(lease)
    type(ada).objects.filter(pk=ada.pk).update(group="researcher")
    ranking.refresh_from_db()
    assert ranking.group == "training"


def test_nobody_answers_for_another(lease, bo, rita):
    for person in (bo, rita):
        with pytest.raises(NotFound):
            submit_ranking(lease_id=lease.pk, labeler=person, answer=answer_to(lease), idempotency_key="k")


def test_somebody_who_was_switched_off_is_refused(lease, ada):
    type(ada).objects.filter(pk=ada.pk).update(is_active=False)
    with pytest.raises(NotAllowed):
        submit(lease)


def test_incomplete_ranking_changes_nothing(lease):
    answer = answer_to(lease)
    del answer["completions"][1]
    with pytest.raises(BadAnswer):
        submit_ranking(lease_id=lease.pk, labeler=lease.labeler, answer=answer, idempotency_key="k")
    lease.refresh_from_db()
    assert (lease.state, lease.seat.state, Ranking.objects.count()) == ("open", "taken", 0)


def test_completion_of_another_task_is_refused(lease):
    foreign = factories.make_task().item.completions.first()
    answer = answer_to(lease)
    answer["completions"][0]["id"] = str(foreign.pk)
    with pytest.raises(BadAnswer, match="as it was shown"):
        submit_ranking(lease_id=lease.pk, labeler=lease.labeler, answer=answer, idempotency_key="k")


@pytest.mark.parametrize("key", ["", "  ", None, 5, "x" * 101, "a\nb", "schlüssel"])
def test_key_must_be_usable(lease, key):
    with pytest.raises(Refusal, match="Idempotency-Key"):
        submit(lease, key)


def test_demonstration_task_takes_no_ranking(ada):
    factories.make_task(batch=factories.make_batch(kind="demonstration"), texts=())
    lease = grant_lease(labeler=ada)
    with pytest.raises(Refusal, match="written answer"):
        submit(lease, ranks=())
