"""What changes for a person and reaches into their work: another role or group, and offboarding."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.demos.suggesting import stop_all
from labeling.leasing.models import Lease
from labeling.leasing.standing import give_back_all
from labeling.people import services as people
from labeling.people.models import User
from labeling.refusals import Conflict


@transaction.atomic(durable=True)
def offboard(*, user_id: int, reason: str, actor: User) -> User:
    """The person works here no more, from this moment: their account is off, their sessions are over, their tokens and
    the invitations they made open nothing, what they hold is free for others, what a model writes for them stops.

    Their answers stay, and so do their drafts. An answer that is being sent is stored before this, or refused after it.
    `people.services.activate_user` takes it back, but for sessions, tokens and invitations. Offboarding twice is
    offboarding once. Conflict for the only active admin.
    """
    people.check_reason(reason)
    person = people.lock_person(user_id)
    if person.is_active:
        # Waits for answers to what they hold: each is stored by then, or finds its task given back.
        held = give_back_all(person)
        stopped = stop_all(held)
        people.switch_off(person=person, reason=reason, actor=actor, returned=len(held), stopped=stopped)
    return person


@transaction.atomic(durable=True)
def change_role(*, user_id: int, role: str, group: str, reason: str, actor: User) -> User:
    """Another role or group from the next answer on; those given so far, and corrections of them, keep theirs.

    What they hold goes back: it was handed out to the group they were in. Refusal for what `people.services.set_role`
    refuses. Conflict for who would become held out and has answered: models may have learned from that.
    """
    people.check_role_and_group(role=role, group=group)
    person = people.lock_person(user_id)
    if (person.role, person.group) == (role, group):
        return person
    give_back_all(person)
    becomes_held_out = group == User.Group.HELD_OUT != person.group
    if becomes_held_out and person.leases.filter(state=Lease.State.SUBMITTED).exists():
        raise Conflict(
            _(
                "{person} has given answers, which models may have learned from already: only who has given none "
                "can become held out."
            ).format(person=person.username)
        )
    people.set_role(person=person, role=role, group=group, reason=reason, actor=actor)
    return person
