"""Demonstrations as their own author may read them, and as the team does."""

from __future__ import annotations

import uuid

from labeling.demos.models import Demonstration
from labeling.leasing.models import Lease
from labeling.paging import Page, keyset_page
from labeling.people.models import User
from labeling.refusals import NotFound


def demonstrations_of(lease: Lease) -> list[Demonstration]:
    """The labeler's answers to this lease, oldest revision first."""
    return list(lease.demonstrations.order_by("revision"))


def content_of(demonstration: Demonstration) -> dict:
    """What was written, in the shape in which it was sent."""
    said = {"text": demonstration.text, "pasted": demonstration.pasted}
    return said | {"turns": demonstration.turns} if demonstration.turns else said


# For the team


def written_page(*, labeler: User | None = None, after: str | None = None) -> Page:
    """What was written, by all or by one, newest first. Every revision is one."""
    rows = Demonstration.objects.select_related("labeler", "task__batch", "task__item__prompt", "replaced_by")
    if labeler is not None:
        rows = rows.filter(labeler=labeler)
    return keyset_page(rows, order=("-created_at", "-id"), after=after)


def get_written(demonstration_id: uuid.UUID) -> Demonstration:
    rows = Demonstration.objects.select_related(
        "labeler", "task__batch", "task__item__prompt", "replaced_by", "replaces"
    )
    found = rows.filter(pk=demonstration_id).first()
    if found is None:
        raise NotFound("There is no written answer with this id.")
    return found
