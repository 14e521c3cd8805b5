"""Breaks that labelers take, and pauses that admins set: either way what they hold goes back at once."""

from __future__ import annotations

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.leasing.answers import REASON_CHARACTERS
from labeling.leasing.models import Lease
from labeling.leasing.services import HELD, leave
from labeling.people.models import Break, User
from labeling.people.queries import get_person
from labeling.refusals import Refusal
from labeling.text import check_text


@transaction.atomic(durable=True)
def begin_break(*, labeler: User) -> Break:
    """The labeler's break, begun now or before. The task they hold is free for others, and its draft stays."""
    person = _locked(labeler.pk)
    rest, begun = Break.objects.get_or_create(labeler=person, ended_at=None)
    if begun:
        give_back_all(person)
    return rest


@transaction.atomic(durable=True)
def end_break(*, labeler: User) -> None:
    """Tasks come again. Ending no break changes nothing."""
    Break.objects.filter(labeler=labeler.pk, ended_at=None).update(ended_at=Now())


@transaction.atomic(durable=True)
def pause_labeler(*, user_id: int, reason: str, actor: User) -> User:
    """No task for this person until `resume_labeler`. They read `reason`; what they hold goes back, drafts kept."""
    reason = check_text(reason, where=_("the reason")).strip()
    if not 1 <= len(reason) <= REASON_CHARACTERS:
        raise Refusal(
            _("Say why in 1 to {reason_characters} characters; the labeler reads it.").format(
                reason_characters=REASON_CHARACTERS
            )
        )
    person = _locked(user_id)
    User.objects.filter(pk=person.pk).update(paused_at=Now(), pause_reason=reason)
    give_back_all(person)
    record(actor=actor, action="user.paused", subject=person, reason=reason)
    person.refresh_from_db()
    return person


@transaction.atomic(durable=True)
def resume_labeler(*, user_id: int, actor: User) -> User:
    """Tasks come again."""
    person = _locked(user_id)
    if person.paused_at is not None:
        person.paused_at, person.pause_reason = None, ""
        person.save(update_fields=["paused_at", "pause_reason"])
        record(actor=actor, action="user.resumed", subject=person)
    return person


def _locked(user_id: int) -> User:
    """The person's row first, as in every grant: no task is given while what they hold goes back."""
    get_person(user_id)
    return User.objects.select_for_update(no_key=True).get(pk=user_id)


def give_back_all(person: User) -> list[Lease]:
    """What a locked person holds is free for others, drafts kept; the leases that were given back."""
    held = list(person.leases.select_for_update(no_key=True).filter(state__in=HELD))
    for lease in held:
        leave(lease, Lease.State.RETURNED)
    return held
