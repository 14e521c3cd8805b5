"""Each answer of a reviewed batch opens a task in which somebody else reviews it."""

from __future__ import annotations

import pytest
from django.db import Error, connection, transaction

from labeling.leasing import services as leasing
from labeling.leasing.models import Lease, Seat, Task
from labeling.leasing.reviewing import reviewer_groups
from labeling.leasing.services import grant_lease
from labeling.refusals import Conflict, Refusal
from labeling.sampling.models import Batch, BatchItem
from labeling.sampling.services import create_batch, repeat_batch
from tests import factories
from tests.labeling.reviews.conftest import correct, review, write

pytestmark = pytest.mark.django_db


def review_tasks() -> list[Task]:
    return list(Task.objects.filter(kind="review").select_related("item"))


def make(**extra) -> Batch:
    extra = {"name": "written", "kind": "demonstration", "review": True, **extra}
    return create_batch(prompts=[factories.make_prompt()], **extra)


def test_batch_of_reviews_is_made_with_its_batch(amy):
    batch = make(groups=["training", "researcher"], priority=7, created_by=amy)
    reviews = batch.review_batch
    assert (reviews.name, reviews.kind, reviews.state) == ("written · review", "review", "open")
    assert (reviews.groups, reviews.priority, reviews.again) == (batch.groups, 7, True)
    assert not make(name="plain", review=False).review


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"kind": "review"}, "made with the batch"),
        ({"kind": "ranking"}, "Reviews are of what labelers write"),
        ({"name": "x" * 95}, "called after"),
    ],
)
def test_what_cannot_be_reviewed_is_refused(asked, words):
    with pytest.raises(Refusal, match=words):
        make(**asked)
    assert not Batch.objects.exists()


def test_a_name_that_the_reviews_would_need_is_taken():
    factories.make_batch(name="written · review")
    with pytest.raises(Conflict, match="written · review"):
        make()
    assert Batch.objects.count() == 1


def test_a_repeat_is_reviewed_too_and_reviews_are_not_repeated(answer, batch, amy):
    again = repeat_batch(batch=batch, name="again", count=None, actor=amy)
    assert again.review_batch.name == "again · review"
    with pytest.raises(Refusal, match="no repeat or review"):
        repeat_batch(batch=batch.review_batch, name="reviews again", count=None, actor=amy)


@pytest.mark.parametrize("change", ["review = false", "review_of_id = id"])
def test_what_was_promised_is_not_taken_back(batch, change):
    with pytest.raises(Error, match="labeling_batch"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE labeling_batch SET {change}")
    leasing.close_batch(batch=batch, actor=None)  # all else may change


def test_answer_opens_one_task_for_somebody_else(answer, batch, ada, bo):
    (task,) = review_tasks()
    seat = task.seats.get()
    assert (task.batch, task.item.prompt, task.item.external_id) == (
        batch.review_batch,
        answer.task.item.prompt,
        str(answer.pk),
    )
    assert (seat.author, seat.state, seat.groups) == (ada, "free", ["training"])
    assert grant_lease(labeler=ada) is None
    lease = grant_lease(labeler=bo)
    assert (lease.task, lease.order_shown, lease.form_version) == (task, [], None)
    assert leasing.open_tasks(batch=batch.review_batch) == 0


def test_answer_of_another_batch_opens_none(ada):
    factories.make_task(batch=factories.make_batch(kind="demonstration"), texts=())
    write(grant_lease(labeler=ada), "x")
    assert review_tasks() == []


def test_a_refused_answer_opens_none(ada, batch):
    factories.make_task(batch=batch, texts=())
    with pytest.raises(Refusal):
        write(grant_lease(labeler=ada), " ")
    assert review_tasks() == []


def test_somebody_who_wrote_to_the_prompt_may_review_another_answer_to_it(ada, bo):
    batch = factories.make_reviewed_batch(overlap=2, groups=["training"])
    factories.make_task(batch=batch, texts=())
    write(grant_lease(labeler=ada), "one")
    # Reviews stand before the writing here, so Bo is offered Ada's first.
    assert grant_lease(labeler=bo).task.kind == "review"
    review(Lease.objects.get(labeler=bo))
    write(grant_lease(labeler=bo), "two")
    lease = grant_lease(labeler=ada)
    assert lease.task.kind == "review" and lease.seat.author == bo


def test_review_that_nobody_began_goes_with_the_revision(answer, bo):
    second = correct(answer, text="Because air scatters blue.")
    (task,) = review_tasks()
    assert task.item.external_id == str(second.pk)
    assert BatchItem.objects.filter(batch__kind="review").count() == 1
    assert grant_lease(labeler=bo).task == task


def test_review_that_somebody_has_stays_with_its_revision(answer, lease, bo):
    second = correct(answer, text="Because air scatters blue.")
    assert {task.item.external_id for task in review_tasks()} == {str(answer.pk), str(second.pk)}
    assert review(lease).demonstration == answer
    assert grant_lease(labeler=bo).task.item.external_id == str(second.pk)


@pytest.mark.parametrize(
    ("groups", "author", "reviewers"),
    [
        (["training", "held_out", "simulated"], "training", ["training"]),
        (["training", "held_out"], "held_out", ["training", "held_out"]),
        (["training", "simulated"], "simulated", ["training", "simulated"]),
        (["held_out"], "training", ["held_out"]),
    ],
)
def test_reviews_come_from_where_they_count(groups, author, reviewers):
    assert reviewer_groups(groups, author=author) == reviewers


class TestNobodyReviewsTheirOwn:
    def test_a_free_seat_is_not_taken_up_again(self, answer, ada):
        """The other way to a seat: a lease of one's own that ran out. It cannot be there, and would not help."""
        assert list(leasing.seats_for(ada).filter(task__kind="review")) == []

    def test_sql_refuses_a_lease_of_the_author(self, answer, ada, lease):
        seat = Seat.objects.get(author=ada)
        insert = """
            INSERT INTO labeling_lease (id, task_id, seat_id, labeler_id, state, order_shown, order_ranked, expires_at,
                skip_reason, draft, draft_version, active_seconds)
            VALUES (gen_random_uuid(), %s, %s, %s, 'open', '[]', '[]', now(), '', '{}', 0, 0)
        """
        for statement, values in (
            (insert, [seat.task_id, seat.pk, ada.pk]),
            ("UPDATE labeling_lease SET labeler_id = %s WHERE id = %s", [ada.pk, lease.pk]),
            ("UPDATE labeling_lease SET seat_id = %s WHERE id = %s", [seat.pk, answer.lease_id]),
        ):
            with pytest.raises(Error, match="Nobody reviews their own"), transaction.atomic():
                connection.cursor().execute(statement, values)

    def test_sql_refuses_another_author_for_a_seat(self, answer):
        with pytest.raises(Error, match="labeling_seat"), transaction.atomic():
            Seat.objects.update(author=None)

    def test_api_offers_the_author_nothing(self, answer, ada, bo, api):
        for path in ("next", "ahead"):
            assert api(ada).post(f"/api/v1/tasks/{path}/").status_code == 204
        task = api(bo).post("/api/v1/tasks/next/").json()
        assert api(ada).get(f"/api/v1/tasks/{task['id']}/").status_code == 404
