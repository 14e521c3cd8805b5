"""What follows when an applicant is hired: features above register it, and it runs in the decision's transaction."""

from __future__ import annotations

from collections.abc import Callable

from labeling.people.models import User

# (person, actor): the person is locked, and in their new group. An exception takes the decision back.
AFTER_HIRING: list[Callable[..., None]] = []


def after_hiring(call: Callable[..., None]) -> None:
    """Have `call(person=…, actor=…)` run whenever somebody is hired after screening. Register it in a urls.py."""
    if call not in AFTER_HIRING:
        AFTER_HIRING.append(call)


def hired(*, person: User, actor: User) -> None:
    for call in AFTER_HIRING:
        call(person=person, actor=actor)
