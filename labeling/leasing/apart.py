"""Groups that are not served from the common queue: another feature says which tasks they get, one person at a time.

Screening registers applicants when the app is loaded (`labeling/apps.py`).
"""

from __future__ import annotations

from collections.abc import Callable

from django.db.models import QuerySet

from labeling.leasing.models import Task
from labeling.people.models import User

# By group: the tasks that a person may have now, in the order in which they come, those they had among them.
CHOSEN: dict[str, Callable[[User], QuerySet[Task]]] = {}


def register(group: str, choose: Callable[[User], QuerySet[Task]]) -> None:
    CHOSEN[group] = choose


def tasks_of(person: User) -> QuerySet[Task] | None:
    """None for who is served from the common queue."""
    choose = CHOSEN.get(person.group)
    return choose(person) if choose else None
