"""An answer that waits for its review, and the ways of everybody around it."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from labeling.demos.models import Demonstration
from labeling.demos.services import submit_demonstration
from labeling.leasing.models import Lease
from labeling.leasing.services import grant_lease
from labeling.reviews.models import Review
from labeling.reviews.services import submit_review
from tests import factories

_number = itertools.count(1)


def key() -> str:
    return f"key-{next(_number)}"


def write(lease: Lease, text: str, **more) -> Demonstration:
    return submit_demonstration(
        lease_id=lease.pk, labeler=lease.labeler, answer={"text": text, **more}, idempotency_key=key()
    )[0]


def review(lease: Lease, verdict: str = "accept", **more) -> Review:
    return submit_review(
        lease_id=lease.pk, labeler=lease.labeler, answer={"verdict": verdict, **more}, idempotency_key=key()
    )[0]


def correct(answer: Demonstration | Review, **more):
    """The next revision of an answer by its own labeler."""
    again = {"replaces": str(answer.pk), "reason": "better so", **more}
    return review(answer.lease, **again) if isinstance(answer, Review) else write(answer.lease, **again)


@pytest.fixture
def batch(db):
    return factories.make_reviewed_batch(groups=["training"])


@pytest.fixture
def answer(ada, batch) -> Demonstration:
    """Ada's, of whom everything here is the author."""
    factories.make_task(batch=batch, prompt=factories.make_prompt("Why is the sky blue?"), texts=())
    return write(grant_lease(labeler=ada), "Because of the air.")


@pytest.fixture
def lease(answer, bo) -> Lease:
    """Bo's, of the review."""
    return grant_lease(labeler=bo)


@pytest.fixture
def sent_back(lease) -> Callable[..., Review]:
    return lambda **more: review(lease, "send_back", **{"note": "Say why blue.", **more})
