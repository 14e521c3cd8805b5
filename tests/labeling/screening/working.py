"""People at their screening tasks, over the services that the pages use."""

from __future__ import annotations

import uuid

import config.urls  # noqa: F401  Kinds of tasks, and who is served apart, are registered there.
from labeling.leasing.kinds import kind_of
from labeling.leasing.models import Lease
from labeling.leasing.services import get_own, grant_lease
from labeling.sampling.models import Completion


def answer(lease: Lease, *, person, order: str = "good", flag: str = "", text: str = "A careful answer."):
    """Ranks A to C by text, or the other way round; flags the text "Two." where `flag` is named."""
    own = get_own(lease_id=lease.pk, labeler=person)
    if own.task.kind == "demonstration":
        said = {"text": text}
    else:
        definition = own.form_version.definition
        texts = dict(Completion.objects.filter(item=own.task.item_id).values_list("pk", "text"))
        place = {"One.": 1, "Two.": 2, "Three.": 3}
        completions = []
        for shown in own.order_shown:
            named = texts[uuid.UUID(shown)]
            verdict = {"id": shown, "flags": [flag] if flag and named == "Two." else []}
            if definition["order"] == "ranks":
                verdict |= {"rank": place[named] if order == "good" else 4 - place[named], "rating": 4}
            completions.append(verdict)
        said = {"completions": completions}
    made, _new = kind_of(own).submit(lease=own, answer=said, idempotency_key=uuid.uuid4().hex)
    return made


def work_through(person, **said) -> list:
    """All that waits for the person, answered alike."""
    made = []
    while lease := grant_lease(labeler=person):
        made.append(answer(lease, person=person, **said))
    return made
