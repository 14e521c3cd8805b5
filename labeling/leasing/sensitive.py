"""What a prompt is about that not everyone wants to read."""

from __future__ import annotations

import uuid
from collections.abc import Collection

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.governance.deciding import PromptErased
from labeling.intake.models import Prompt
from labeling.leasing.models import Seat
from labeling.leasing.services import lock_seats
from labeling.people.models import Sensitive, User
from labeling.refusals import NotFound, Refusal


@transaction.atomic(durable=True)
def set_categories(*, prompt_id: uuid.UUID, categories: Collection[str], actor: User) -> Prompt:
    """From now on the prompt is veiled where it has categories, and not served to labelers who opted out of one.

    Who sits at it already is not sent away.
    """
    unknown = set(categories) - set(Sensitive.values)
    if unknown:
        raise Refusal(
            _("{unknown!r} is no category; they are {values}.").format(
                unknown=sorted(unknown)[0][:40], values=", ".join(Sensitive.values)
            )
        )
    prompt = Prompt.objects.select_for_update(no_key=True).filter(pk=prompt_id).first()
    if prompt is None:
        raise NotFound(_("There is no prompt with this id."))
    if prompt.state == Prompt.State.ERASED:
        raise PromptErased
    now = sorted(set(categories))
    if prompt.categories != now:
        before, prompt.categories = prompt.categories, now
        prompt.save(update_fields=["categories"])
        seats = Seat.objects.filter(task__item__prompt=prompt)
        lock_seats(seats)
        seats.update(categories=now)
        before = {"categories": before}
        record(actor=actor, action="prompt.categories_set", subject=prompt, before=before, categories=now)
    return prompt
