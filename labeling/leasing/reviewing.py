"""Batches whose answers a second labeler reviews: their batch of reviews, and a task in it for each answer.

Knows no kind of answer: whatever is written opens its review here, and `labeling.reviews` has what reviewers say.
"""

from __future__ import annotations

from typing import Any

from labeling.leasing.models import Seat, Task
from labeling.leasing.services import take_back_tasks
from labeling.people.models import User
from labeling.sampling.models import Batch, BatchItem


def open_review(answer: Any) -> Task | None:
    """The task in which somebody else reviews `answer`, opened with it in one transaction; None where its batch is not
    reviewed. The review of the answer that it replaces is taken back, unless somebody has had it.

    The labeler's lease is locked, so that no two answers to it are at this point at once.
    """
    batch = Batch.objects.filter(review_of=answer.task.batch_id).first()
    if batch is None:
        return None
    if answer.replaces_id is not None:
        _take_back(batch, answer.replaces_id)
    about = answer.task.item
    item = BatchItem.objects.create(
        batch=batch,
        prompt=about.prompt,
        brief=about.brief,
        external_id=str(answer.pk),
        k=0,
        state=BatchItem.State.FILLED,
    )
    task = Task.objects.create(item=item, batch=batch, kind=batch.kind)
    groups = reviewer_groups(batch.groups, author=answer.group)
    Seat.objects.create(
        task=task, batch=batch, number=0, groups=groups, categories=about.categories, author=answer.labeler
    )
    return task


def reviewer_groups(groups: list[str], *, author: str) -> list[str]:
    """Of the batch's `groups` those whose review of an answer by the group `author` may count wherever that answer
    may: a held-out labeler's would keep it out of training, a program's out of everything."""
    apart = {User.Group.HELD_OUT, User.Group.SIMULATED} - {author}
    return [group for group in groups if group not in apart] or groups


def _take_back(batch: Batch, answer_id: Any) -> None:
    """Nobody opens a task of `batch` but who answers the lease, which is locked; so its own row is not."""
    item = BatchItem.objects.filter(batch=batch, external_id=str(answer_id)).first()
    if item is not None and take_back_tasks(items=[item.pk]):
        item.delete()
