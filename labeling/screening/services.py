"""Set up a round, invite applicants to it, grade what they write, decide, and let people say what they can judge."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Collection, Mapping
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.forms.built_in import SENSITIVE
from labeling.forms.models import Form
from labeling.leasing.models import Lease, Task
from labeling.leasing.services import HELD, LEFT, leave, open_some
from labeling.leasing.standing import give_back_all
from labeling.onboarding.services import begin_onboarding
from labeling.people import services as people
from labeling.people.models import Invitation, User
from labeling.refusals import Conflict, NotAllowed, NotFound, Refusal
from labeling.sampling.choosing import K_OF_ORDER
from labeling.sampling.models import Batch, BatchItem
from labeling.sampling.queries import withheld
from labeling.sampling.services import check_name
from labeling.screening import queries
from labeling.screening.models import (
    Application,
    Gate,
    Grade,
    ScreeningBatch,
    ScreeningDecision,
    ScreeningItem,
    ScreeningRound,
    Topic,
    TopicAnswer,
)
from labeling.text import check_text

# Without 0, 1, I and O, which are mistaken for each other.
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
MOST_ITEMS = 100  # of one gate: a day's work
MOST_TOPICS = 60
NOTE_CHARACTERS = 4_000
GRADE_NOTE, MESSAGE_CHARACTERS = 1_000, 1_000
FIGURES = {"flags_cutoff": (0, 1), "rankings_cutoff": (0, 1), "grade_cutoff": (1, 7)}
COUNTS = {"researchers": (1, 5), "graders": (2, 5)}
HIRED = (ScreeningDecision.Outcome.TRAINING, ScreeningDecision.Outcome.HELD_OUT)
# Those after which an applicant reads what the researchers chose.
FINAL = (*HIRED, ScreeningDecision.Outcome.REJECT)


class DecidedMeanwhile(Conflict):
    """Somebody else has decided since this page was read."""

    code = "decided_meanwhile"


class GradedAlready(Conflict):
    """One grade for each demonstration and grader, and no more of them than the round asks for."""

    code = "graded_already"


# Rounds


@transaction.atomic(durable=True)
def create_round(
    *,
    name: Any,
    actor: User,
    flags_cutoff: float = 0.75,
    rankings_cutoff: float = 0.75,
    grade_cutoff: float = 6.0,
    researchers: int = 2,
    graders: int = 2,
) -> ScreeningRound:
    """An empty draft. Cut-offs of agreement are shares, that of demonstrations a mean grade. Refusal for figures out
    of their range, Conflict where the name is taken."""
    name = _read_name(name)
    cutoffs = {"flags_cutoff": flags_cutoff, "rankings_cutoff": rankings_cutoff, "grade_cutoff": grade_cutoff}
    counts = {"researchers": researchers, "graders": graders}
    _check_figures(cutoffs, FIGURES)
    _check_figures(counts, COUNTS)
    made, created = ScreeningRound.objects.get_or_create(
        name=name, defaults={**cutoffs, **counts, "created_by_id": actor.pk}
    )
    if not created:
        raise Conflict(_("There is a screening round called {name} already; choose another name.").format(name=name))
    record(actor=actor, action="screening.created", subject=made, name=name, **cutoffs, **counts)
    return made


@transaction.atomic(durable=True)
def set_cutoffs(*, round_id: int, actor: User, **cutoffs: float) -> ScreeningRound:
    """Other cut-offs from now on, for all reports of the round. They mark, and decide nothing."""
    _check_figures(cutoffs, FIGURES)
    held = _locked(round_id)
    before = {name: getattr(held, name) for name, value in cutoffs.items() if getattr(held, name) != value}
    if before:
        for name in before:
            setattr(held, name, cutoffs[name])
        held.save(update_fields=list(before))
        changed = {name: cutoffs[name] for name in before}
        record(actor=actor, action="screening.cutoffs_set", subject=held, before=before, **changed)
    return held


def _check_figures(given: Mapping[str, float], bounds: Mapping[str, tuple[float, float]]) -> None:
    for name, number in given.items():
        least, most = bounds[name]
        # Not a number is in no range.
        if not least <= number <= most:
            raise Refusal(
                _("{name} is {number}; it must be from {least} to {most}.").format(
                    name=name, number=number, least=least, most=most
                )
            )


def _read_name(name: Any) -> str:
    if not isinstance(name, str) or not name.strip():
        raise Refusal(_("Give the round a name; you find it by that."))
    name = check_text(name, where=_("the name")).strip()
    if len(name) > 80:
        raise Refusal(_("A name has at most 80 characters; shorten it."))
    # Its batches are called after it.
    check_name(batch_name(name, Gate.DEMONSTRATIONS), what=_("A batch of the round"))
    return name


def batch_name(name: str, gate: int) -> str:
    return f"{name} · {gate}"


def _locked(round_id: int, *, state: str | None = None) -> ScreeningRound:
    held = ScreeningRound.objects.select_for_update(no_key=True).filter(pk=round_id).first()
    if held is None:
        raise NotFound(_("There is no such screening round."))
    if state == ScreeningRound.State.DRAFT and held.state != state:
        raise Conflict(_("The round is open: every applicant has the same items. Make another round for others."))
    if state == ScreeningRound.State.OPEN and held.state != state:
        raise Conflict(_("The round is not open; open it first."))
    return held


@transaction.atomic(durable=True)
def add_items(*, round_id: int, gate: int, ids: Collection[Any], actor: User) -> list[ScreeningItem]:
    """Items of a draft: of the first two gates the batch items with these ids, whose prompts and completions applicants
    are shown, of the third the prompts with these ids. What is in the gate already is not added twice.

    NotFound for an id that none has that could be taken, Conflict once the round is open.
    """
    if gate not in Gate.values:
        raise Refusal(_("Items are for gate 1, 2 or 3; the fourth is what applicants say of themselves."))
    wanted = list(dict.fromkeys(ids))
    if not wanted:
        raise Refusal(_("Choose at least one item."))
    held = _locked(round_id, state=ScreeningRound.State.DRAFT)
    if gate == Gate.DEMONSTRATIONS:
        known = {str(one.pk): (one.pk, None) for one in queries.candidate_prompts().filter(pk__in=_uuids(wanted))}
    else:
        chosen = queries.candidate_items(gate).filter(pk__in=_numbers(wanted))
        known = {str(one.pk): (one.prompt_id, one.pk) for one in chosen}
    missing = [str(one)[:40] for one in wanted if str(one) not in known]
    if missing:
        raise NotFound(
            _("{missing} cannot be taken: it must be an accepted prompt, and to flag or rank one with completions.")
            .format(missing=missing[0])
        )  # fmt: skip
    there = set(held.items.filter(gate=gate).values_list("prompt", flat=True))
    new = {}
    for prompt, source in (known[str(one)] for one in wanted):
        if prompt not in there:
            new.setdefault(prompt, source)
    if len(there) + len(new) > MOST_ITEMS:
        raise Refusal(_("A gate has at most {most} items; applicants have other things to do.").format(most=MOST_ITEMS))
    made = ScreeningItem.objects.bulk_create(
        ScreeningItem(round=held, gate=gate, prompt_id=prompt, source_id=source) for prompt, source in new.items()
    )
    if made:
        record(actor=actor, action="screening.items_added", subject=held, gate=int(gate), items=len(made))
    return made


def _uuids(ids: Collection[Any]) -> list[uuid.UUID]:
    found = []
    for one in ids:
        try:
            found.append(one if isinstance(one, uuid.UUID) else uuid.UUID(str(one)))
        except ValueError:
            continue
    return found


def _numbers(ids: Collection[Any]) -> list[int]:
    return [int(one) for one in map(str, ids) if one.isascii() and one.isdigit() and len(one) < 19]


@transaction.atomic(durable=True)
def remove_item(*, item_id: int, actor: User) -> ScreeningRound:
    """Take an item out of a draft."""
    item = _item(item_id)
    held = _locked(item.round_id, state=ScreeningRound.State.DRAFT)
    item.delete()
    record(actor=actor, action="screening.item_removed", subject=held, gate=item.gate, prompt=str(item.prompt_id))
    return held


@transaction.atomic(durable=True)
def set_note(*, item_id: int, note: Any, actor: User) -> ScreeningItem:
    """Why the researchers answer this item as they do: applicants read it when they have been decided on."""
    if not isinstance(note, str):
        raise Refusal(_("The note must be text."))
    note = check_text(note, where=_("the note")).replace("\r\n", "\n").strip()
    if len(note) > NOTE_CHARACTERS:
        raise Refusal(_("A note has at most {most} characters; shorten it.").format(most=NOTE_CHARACTERS))
    item = _item(item_id)
    if item.note != note:
        before, item.note = item.note, note
        item.save(update_fields=["note"])
        record(actor=actor, action="screening.note_set", subject=item, before={"note": before}, note=note)
    return item


def _item(item_id: int) -> ScreeningItem:
    item = ScreeningItem.objects.select_for_update(no_key=True).filter(pk=item_id).first()
    if item is None:
        raise NotFound(_("There is no such item."))
    return item


@transaction.atomic(durable=True)
def open_round(*, round_id: int, actor: User) -> ScreeningRound:
    """Make the round's tasks: researchers answer them in their queue, and applicants may be invited. A closed round is
    opened again. Opening twice is opening once.

    Refusal where a gate has no items, or one of them can be shown no more.
    """
    held = _locked(round_id)
    if held.state == ScreeningRound.State.OPEN:
        return held
    if held.state == ScreeningRound.State.DRAFT:
        items = list(held.items.select_related("prompt").order_by("gate", "id"))
        for gate in Gate:
            if not any(item.gate == gate for item in items):
                raise Refusal(_("Gate {gate} has no items yet; choose some, then open the round.").format(gate=gate))
        for gate in Gate:
            _make_batch(held, gate, [item for item in items if item.gate == gate], actor)
    Batch.objects.filter(screening_batch__round=held).update(state=Batch.State.OPEN)
    before, held.state = held.state, ScreeningRound.State.OPEN
    held.save(update_fields=["state"])
    record(actor=actor, action="screening.opened", subject=held, before={"state": before}, items=held.items.count())
    return held


def _make_batch(held: ScreeningRound, gate: Gate, items: list[ScreeningItem], actor: User) -> None:
    name = batch_name(held.name, gate)
    if Batch.objects.filter(name=name).exists():
        raise Conflict(_("There is a batch called {name} already; name the round otherwise.").format(name=name))
    writing = gate == Gate.DEMONSTRATIONS
    batch = Batch.objects.create(
        name=name,
        kind=Batch.Kind.DEMONSTRATION if writing else Batch.Kind.RANKING,
        form=Form.objects.get(name=SENSITIVE) if gate == Gate.FLAGS else None,
        state=Batch.State.OPEN,
        overlap=held.researchers,
        groups=[User.Group.RESEARCHER],
        # Researchers may well have had these prompts before.
        again=True,
        screening=True,
        created_by_id=actor.pk,
    )
    ScreeningBatch.objects.create(round=held, gate=gate, batch=batch)
    made = {}
    for item in items:
        copied = BatchItem.objects.create(batch=batch, prompt_id=item.prompt_id, k=0, state=BatchItem.State.FILLED)
        made[copied.pk] = item
        if item.source_id is not None:
            copied.k = _copy_completions(item.source_id, copied)
            copied.save(update_fields=["k"])
    while open_some(batch_id=batch.pk):
        pass
    for task in Task.objects.filter(batch=batch):
        item = made.pop(task.item_id)
        item.task = task
        item.save(update_fields=["task"])
    if made:
        item = next(iter(made.values()))
        raise Refusal(
            _("An item of gate {gate} can be shown no more; take it out of the round: {text}").format(
                gate=gate, text=item.prompt.messages[-1]["content"][:80]
            )
        )


def _copy_completions(source: int, item: BatchItem) -> int:
    """The texts of another item's completions, and where they came from; how many."""
    count = 0
    texts = BatchItem.objects.get(pk=source).completions.exclude(withheld())
    for completion in texts.order_by("id").prefetch_related("provenance")[: K_OF_ORDER["ranks"][1]]:
        provenance = list(completion.provenance.all())
        completion.pk, completion.item = uuid.uuid4(), item
        completion.save(force_insert=True)
        for one in provenance:
            one.pk, one.completion = None, completion
            one.save(force_insert=True)
        count += 1
    return count


@transaction.atomic(durable=True)
def close_round(*, round_id: int, actor: User) -> ScreeningRound:
    """Nobody gets another task of the round, and nobody is invited. Who sits at one may finish it; grading and
    decisions go on."""
    held = _locked(round_id)
    if held.state == ScreeningRound.State.DRAFT:
        raise Conflict(_("The round is not open; open it first."))
    if held.state == ScreeningRound.State.OPEN:
        held.state = ScreeningRound.State.CLOSED
        held.save(update_fields=["state"])
        Batch.objects.filter(screening_batch__round=held).update(state=Batch.State.CLOSED)
        record(actor=actor, action="screening.closed", subject=held)
    return held


# Applicants


def invite(*, round_id: int, days: int, note: str, actor: User) -> tuple[Application, str]:
    """An application to the round and the token of the link that opens an applicant's account, shown once."""
    wanted = {"role": User.Role.LABELER, "group": User.Group.APPLICANT, "days": days, "note": note}
    people.check_invitation(**wanted)
    with transaction.atomic(durable=True):
        held = _locked(round_id, state=ScreeningRound.State.OPEN)
        invitation, token = people.store_invitation(**wanted, created_by=actor)
        application = Application.objects.create(round=held, invitation=invitation, code=_new_code())
        # Nothing here names the code: who invites somebody does not learn which applicant they are.
        record(actor=actor, action="screening.invited", subject=held, invitation=invitation.pk)
    return application, token


def _new_code() -> str:
    while True:
        code = "".join(secrets.choice(ALPHABET) for _position in range(4))
        if not Application.objects.filter(code=code).exists():
            return code


@transaction.atomic(durable=True)
def answer_topics(*, person: User, able: Mapping[int, bool]) -> None:
    """Which of the topics `person` can judge: {topic id: whether}. Those left out keep their answer. Refusal for a
    topic that is asked about no more."""
    known = set(Topic.objects.filter(active=True, pk__in=able).values_list("pk", flat=True))
    if set(able) - known:
        raise Refusal(_("One of these topics is asked about no more; load the page again."))
    TopicAnswer.objects.bulk_create(
        [TopicAnswer(person_id=person.pk, topic_id=topic, able=able[topic]) for topic in sorted(able)],
        update_conflicts=True,
        unique_fields=["topic", "person"],
        update_fields=["able"],
    )


@transaction.atomic(durable=True)
def add_topic(*, name: Any, actor: User) -> Topic:
    """Ask about one more topic or group; one that was switched off is asked about again."""
    if not isinstance(name, str) or not name.strip():
        raise Refusal(_("Name the topic or group."))
    name = " ".join(check_text(name, where=_("the name")).split())
    if len(name) > 80:
        raise Refusal(_("A name has at most 80 characters; shorten it."))
    topic, created = Topic.objects.get_or_create(name=name)
    if not created and topic.active:
        return topic
    if Topic.objects.filter(active=True).count() > MOST_TOPICS:
        raise Refusal(_("{most} topics are as many as one can ask; switch one off first.").format(most=MOST_TOPICS))
    if not created:
        topic.active = True
        topic.save(update_fields=["active"])
    record(actor=actor, action="topic.added", subject=topic, name=name)
    return topic


@transaction.atomic(durable=True)
def retire_topic(*, topic_id: int, actor: User) -> Topic:
    """Ask about a topic no more; what was said of it stays."""
    topic = Topic.objects.select_for_update(no_key=True).filter(pk=topic_id).first()
    if topic is None:
        raise NotFound(_("There is no such topic."))
    if topic.active:
        topic.active = False
        topic.save(update_fields=["active"])
        record(actor=actor, action="topic.retired", subject=topic, name=topic.name)
    return topic


@transaction.atomic
def ensure_topics() -> None:
    """The topics that a new installation asks about; an admin's changes stay."""
    if not Topic.objects.exists():
        Topic.objects.bulk_create([Topic(name=name) for name in queries.BUILT_IN_TOPICS], ignore_conflicts=True)


# Grades


@transaction.atomic(durable=True)
def grade(*, demonstration_id: uuid.UUID | str, value: Any, note: Any = "", grader: User) -> tuple[Grade, bool]:
    """A researcher's grade of an applicant's demonstration, 1 to 7, and whether it is new: the same once more is the
    same. GradedAlready for another grade by the same person, and where enough have graded."""
    if grader.role != User.Role.RESEARCHER:
        raise NotAllowed(_("Researchers grade what applicants wrote."))
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 7:
        raise Refusal(_("A grade is a whole number from 1 to 7."))
    if not isinstance(note, str):
        raise Refusal(_("The note must be text."))
    note = check_text(note, where=_("the note")).strip()
    if len(note) > GRADE_NOTE:
        raise Refusal(_("A note has at most {most} characters; shorten it.").format(most=GRADE_NOTE))
    found = queries.gradable().filter(pk__in=_uuids([demonstration_id]))
    given = found.select_related("task__screening_item__round").select_for_update(of=("self",), no_key=True).first()
    if given is None:
        raise NotFound(_("There is no answer of an applicant with this id; go on with the next one."))
    grades = list(given.grades.order_by("number"))
    mine = next((one for one in grades if one.grader_id == grader.pk), None)
    if mine is not None:
        if (mine.grade, mine.note) == (value, note):
            return mine, False
        raise GradedAlready(_("You have graded this answer already, and a grade stays as it was given."))
    if len(grades) >= given.task.screening_item.round.graders:
        raise GradedAlready(_("Others have graded this answer meanwhile, as many as are asked; go on with the next."))
    made = Grade.objects.create(
        demonstration=given, grader_id=grader.pk, number=len(grades) + 1, grade=value, note=note
    )
    # Not the grade: the trail may be read by who has yet to grade.
    record(actor=grader, action="demonstration.graded", subject=given)
    return made, True


# Decisions


@transaction.atomic(durable=True)
def decide(
    *,
    application_id: uuid.UUID | str,
    outcome: Any,
    reason: str,
    message: Any = "",
    revises: uuid.UUID | str | None = None,
    actor: User,
) -> ScreeningDecision:
    """What becomes of an applicant: their group changes with it, and unless it is put off they get no more screening
    tasks and may read what the researchers chose. `reason` is for the team, `message` for the applicant.

    `revises` names the decision that held when the actor looked, None where there was none: DecidedMeanwhile where
    another holds. The same decision sent twice is one. Conflict for who has not come yet, whose account is off, or
    who has answered ordinary tasks where the group would have to be free of such answers.
    """
    if outcome not in ScreeningDecision.Outcome.values:
        raise Refusal(
            _("{outcome!r} is no decision; choose one of {values}.").format(
                outcome=str(outcome)[:40], values=", ".join(ScreeningDecision.Outcome.values)
            )
        )
    reason = people.check_reason(reason)
    if not isinstance(message, str):
        raise Refusal(_("The message must be text."))
    message = check_text(message, where=_("the message")).replace("\r\n", "\n").strip()
    if len(message) > MESSAGE_CHARACTERS:
        raise Refusal(_("A message has at most {most} characters; shorten it.").format(most=MESSAGE_CHARACTERS))
    application = queries.get_application(application_id)
    who = Invitation.objects.values_list("accepted_by", flat=True).get(pk=application.invitation_id)
    if who is None:
        raise Conflict(_("This applicant has not come yet; withdraw the invitation if nobody shall."))
    # Of all that is locked the person comes first, as in every grant of a task; two deciders wait for each other here.
    person = people.lock_person(who)
    latest = application.decisions.filter(revised_by=None).first()
    if latest is not None and latest.decided_by_id == actor.pk:
        same = (latest.outcome, latest.reason, latest.message) == (outcome, reason, message)
        if same and str(latest.revises_id or "") == str(revises or ""):
            return latest
    if str(latest.pk if latest else "") != str(revises or ""):
        raise DecidedMeanwhile(
            _("Somebody has decided on this applicant meanwhile; look at it again, then revise that decision.")
        )
    if outcome in HIRED and not person.is_active:
        raise Conflict(_("This applicant's account is switched off; switch it on again before they are hired."))
    _change_group(person, outcome, reason=reason, actor=actor)
    if outcome in FINAL:
        _end_tasks(person)
    decision = ScreeningDecision.objects.create(
        application=application,
        outcome=outcome,
        reason=reason,
        message=message,
        revises=latest,
        decided_by_id=actor.pk,
    )
    before = {"outcome": latest.outcome if latest else ""}
    record(actor=actor, action="screening.decided", subject=application, before=before, outcome=outcome, reason=reason)
    if outcome in HIRED:
        # In this transaction: who is hired never works a moment without what newcomers are led through.
        begin_onboarding(person=person, actor=actor)
    return decision


def _change_group(person: User, outcome: str, *, reason: str, actor: User) -> None:
    group = outcome if outcome in HIRED else User.Group.APPLICANT
    if person.group == group:
        return
    if person.group not in (User.Group.APPLICANT, User.Group.TRAINING):
        raise Conflict(
            _("Who is hired as held-out stays so, since models are measured by them; offboard them instead.")
        )
    ordinary = person.leases.filter(state=Lease.State.SUBMITTED, task__batch__screening=False)
    if person.group != User.Group.APPLICANT and ordinary.exists():
        raise Conflict(
            _("This person works here already, and models may have learned from their answers; offboard them instead.")
        )
    give_back_all(person)
    people.set_role(person=person, role=User.Role.LABELER, group=str(group), reason=reason, actor=actor, decided=True)


def _end_tasks(person: User) -> None:
    """No answer to a screening task comes after the decision: what was not answered is skipped, for the record."""
    left = person.leases.filter(state__in=[*HELD, *LEFT], task__batch__screening=True)
    for lease in left.select_for_update(no_key=True, of=("self",)):
        leave(lease, Lease.State.SKIPPED, skip_reason="decided")
