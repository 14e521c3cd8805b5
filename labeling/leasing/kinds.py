"""What a feature gives so that its kind of task can be worked on: leasing seats people, and knows no kind of answer.

Rankings and demonstrations register themselves in their urls.py, which Django reads before the first request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Model
from django.http import QueryDict

from labeling.leasing.models import Lease


@dataclass(frozen=True)
class Kind:
    """One kind of task. Everything here speaks of the labeler's own lease and own answers alone."""

    # (lease as `get_own` reads it, answer, idempotency_key) -> (the answer's row, whether it is new)
    submit: Callable[..., tuple[Any, bool]]
    # The labeler's answers to a lease, oldest revision first.
    answers: Callable[[Lease], list[Model]]
    # What such an answer said, in the shape of the submit body.
    content: Callable[[Any], dict]
    # A form's fields as a submit body.
    read_form: Callable[[QueryDict, Lease], dict]
    # What the page of a task, and that of an answer, need beyond what all have.
    context: Callable[[Lease], dict]
    task_template: str
    answer_template: str
    # What an answer said, on its labeler's page and, with `for_team`, on the team's. Needs `answer`, `completions` and
    # what `answer_context` gives.
    given_template: str
    # Where the task is about what another labeler wrote: that, in the shape in which it was sent.
    written: Callable[[Lease], dict | None] = lambda lease: None
    # What the page of one answer needs besides.
    answer_context: Callable[[Any], dict] = lambda answer: {}


def by_id(submit: Callable[..., tuple[Any, bool]]) -> Callable[..., tuple[Any, bool]]:
    """A kind's `submit` from a service that reads the lease itself, locked."""

    def submit_to(*, lease: Lease, **said: Any) -> tuple[Any, bool]:
        return submit(lease_id=lease.pk, labeler=lease.labeler, **said)

    return submit_to


KINDS: dict[str, Kind] = {}


def register(name: str, kind: Kind) -> None:
    KINDS[name] = kind


def kind_of(lease: Lease) -> Kind:
    return KINDS[lease.task.kind]
