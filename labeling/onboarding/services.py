"""Lead newcomers into the work: guidelines and tour, answers on probation, and somebody's decision about them."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.leasing.gates import Gate
from labeling.onboarding import queries
from labeling.onboarding.models import UNDER_WAY, OnboardingEvent, OnboardingSettings
from labeling.people.models import User
from labeling.people.services import check_reason, lock_person
from labeling.refusals import Conflict, Refusal

Step, Kind = User.Onboarding, OnboardingEvent.Kind
LEAST, MOST = 1, 500  # answers on probation
PASS, EXTEND, END = "pass", "extend", "end"


class TourWanted(Gate):
    code = "tour_wanted"


class ProbationWaits(Gate):
    code = "probation_waits"


class OnboardingOver(Gate):
    code = "onboarding_ended"


class DecidedAlready(Conflict):
    """Somebody else decided first, or there is nothing to decide."""

    code = "onboarding_decided"


# Steps that come by themselves


@transaction.atomic
def begin_onboarding(*, person: User, actor: User | None = None, always: bool = False) -> bool:
    """The person begins, where newcomers are asked to: whether they do. In the caller's transaction, if there is one.

    `always` begins whatever the settings say, for an admin who asks it of somebody; what they answered so far stays
    what it is. Who is under way goes on as they are. Refusal, with `always`, for who is no labeler.
    """
    figures = queries.onboarding_settings()
    person = User.objects.select_for_update(no_key=True).get(pk=person.pk)
    if person.role != User.Role.LABELER or person.group not in (User.Group.TRAINING, User.Group.HELD_OUT):
        if always:
            raise Refusal(_("Onboarding is for labelers in training or held out; {name} is none.").format(name=person))
        return False
    if not (always or figures.switched_on) or person.onboarding in UNDER_WAY:
        return False
    before = person.onboarding
    User.objects.filter(pk=person.pk).update(
        onboarding=Step.TRAINING, onboarding_at=Now(), probation_answers=figures.answers
    )
    _note(person, Kind.BEGAN, answers=figures.answers, actor=actor)
    record(actor=actor, action="onboarding.began", subject=person, before={"onboarding": before})
    return True


def check_onboarding(person: User, *, guidelines_read: bool) -> None:
    """Raises the gate before somebody who is being onboarded; takes them on to their next step where they are through
    with one. `person.onboarding` is what it is then."""
    figures = queries.onboarding_settings()
    if person.onboarding == Step.TRAINING:
        if not guidelines_read:
            return  # the gate of the guidelines is next
        if figures.tour and not queries.has_finished_tour(person):
            raise TourWanted(_("Take the tour of practice tasks first: it is on the page “Work”. Then tasks come."))
        _go_on(person, Step.TRAINING, Step.PROBATION, Kind.TRAINED)
    if person.onboarding == Step.PROBATION and queries.answers_on_probation(person) >= person.probation_answers:
        _go_on(person, Step.PROBATION, Step.WAITING, Kind.ANSWERED)
    if person.onboarding == Step.WAITING and figures.waits:
        raise ProbationWaits(
            _("Your first answers are in. Your team looks at them now; tasks come again when somebody has.")
        )
    if person.onboarding == Step.ENDED:
        raise OnboardingOver(_("Your time on probation has ended. Your admin can tell you more."))


@transaction.atomic
def _go_on(person: User, before: str, after: str, kind: str) -> None:
    """Once, whoever else finds it out at the same moment: two tabs, or an admin who decides."""
    if User.objects.filter(pk=person.pk, onboarding=before).update(onboarding=after):
        _note(person, kind, answers=person.probation_answers)
    person.refresh_from_db(fields=["onboarding", "probation_answers"])


# Decisions


@transaction.atomic(durable=True)
def decide(*, user_id: int, decision: str, reason: str, seen: str, actor: User, more: Any = None) -> User:
    """Pass, extend (by `more` answers) or end somebody's onboarding, with a reason that the team keeps.

    `seen` is the step at which the actor saw them: DecidedAlready where it is another one by now, so that of two who
    decide at once the second hears of the first.
    """
    reason = check_reason(reason)
    person = lock_person(user_id)
    if person.pk == actor.pk:
        raise Refusal(_("Somebody else decides about you."))
    if person.onboarding != seen or person.onboarding not in UNDER_WAY:
        raise DecidedAlready(
            _("{name} is at another step by now: {step}. Look at the page again, then decide.").format(
                name=person.username, step=person.get_onboarding_display() or _("none")
            )
        )
    answers = person.probation_answers
    if decision == PASS:
        step, kind = Step.PASSED, Kind.PASSED
    elif decision == END:
        step, kind = Step.ENDED, Kind.ENDED
    elif decision == EXTEND:
        if isinstance(more, bool) or not isinstance(more, int) or not LEAST <= more <= MOST:
            raise Refusal(_("Say by how many answers, from {least} to {most}.").format(least=LEAST, most=MOST))
        if person.onboarding == Step.TRAINING:
            raise Refusal(_("They have not begun their probation; there is nothing to extend yet."))
        step, kind, answers = Step.PROBATION, Kind.EXTENDED, max(answers, queries.answers_on_probation(person)) + more
        if answers > MOST:
            raise Refusal(_("A probation has {most} answers at most; pass it or end it.").format(most=MOST))
    else:
        raise Refusal(_("A decision is pass, extend or end, not {decision!r}.").format(decision=str(decision)[:40]))
    before = {"onboarding": person.onboarding, "answers": person.probation_answers}
    person.onboarding, person.probation_answers = step, answers
    person.save(update_fields=["onboarding", "probation_answers"])
    _note(person, kind, answers=answers, actor=actor, reason=reason)
    record(
        actor=actor,
        action=f"onboarding.{kind}",
        subject=person,
        before=before,
        onboarding=str(step),
        answers=answers,
        reason=reason,
    )
    return person


def _note(person: User, kind: str, *, answers: int, actor: User | None = None, reason: str = "") -> None:
    OnboardingEvent.objects.create(person=person, kind=kind, answers=answers, actor=actor, reason=reason)


@transaction.atomic(durable=True)
def change_settings(*, switched_on: bool, tour: bool, answers: int, waits: bool, actor: User) -> OnboardingSettings:
    """What is asked of newcomers from now on. Who has begun keeps the number of answers that was asked of them."""
    if isinstance(answers, bool) or not isinstance(answers, int) or not LEAST <= answers <= MOST:
        raise Refusal(_("A probation has from {least} to {most} answers.").format(least=LEAST, most=MOST))
    OnboardingSettings.objects.bulk_create([OnboardingSettings()], ignore_conflicts=True)
    row = OnboardingSettings.objects.select_for_update().get()
    new = {"switched_on": bool(switched_on), "tour": bool(tour), "answers": answers, "waits": bool(waits)}
    changed = {name: value for name, value in new.items() if getattr(row, name) != value}
    if changed:
        before = {name: getattr(row, name) for name in changed}
        OnboardingSettings.objects.update(**changed)
        row.refresh_from_db()
        record(actor=actor, action="onboarding.settings_changed", subject=row, before=before, **changed)
    return row
