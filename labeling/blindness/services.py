"""Decide about completions that name their maker, and say which names are looked for."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.background.models import Job
from labeling.background.services import enqueue
from labeling.forms.queries import newest_version
from labeling.leasing.models import Task
from labeling.leasing.services import open_some, take_back_tasks
from labeling.people.models import User
from labeling.refusals import Conflict, NotFound, Refusal
from labeling.sampling.choosing import K_OF_ORDER
from labeling.sampling.marks import lock_terms, marks_for
from labeling.sampling.models import Batch, BatchItem, Completion, CompletionMark, MakerTerm, Provenance
from labeling.sampling.naming import normal
from labeling.sampling.queries import withheld
from labeling.text import check_text
from labeling.wording import in_words

TERM_CHARACTERS = 80
SHORTEST_TERM = 2
LOOKED_AT_ONCE = 200  # items a transaction
WAITING, ALLOWED, WITHHELD = CompletionMark.State.WAITING, CompletionMark.State.ALLOWED, CompletionMark.State.WITHHELD


def decide_completion(*, completion_id: uuid.UUID | str, outcome: str, actor: User | None) -> Completion:
    """Serve the completion as it is ("allowed") or leave it out ("withheld"); then its task opens, if nothing else of
    it waits.

    Too few completions that are left fail the item, with a sentence. The same decision again changes nothing; another
    one is a Conflict. NotFound where nothing of the completion was marked.
    """
    if outcome not in (ALLOWED, WITHHELD):
        raise Refusal(_("A completion is allowed or withheld, not {outcome!r}.").format(outcome=str(outcome)[:40]))
    try:
        completion = Completion.objects.select_related("item").get(pk=uuid.UUID(str(completion_id)))
    except (ValueError, Completion.DoesNotExist):
        raise NotFound(_("There is no completion with this id.")) from None
    with transaction.atomic(durable=True):
        # Whoever opens tasks of the batch, or decides about another completion of the task, waits here.
        batch = Batch.objects.select_for_update(no_key=True).get(pk=completion.item.batch_id)
        states = set(completion.marks.values_list("state", flat=True))
        if not states:
            raise NotFound(_("This completion names no model; there is nothing to decide."))
        if WAITING not in states:
            decided = WITHHELD if WITHHELD in states else ALLOWED
            if decided != outcome:
                raise Conflict(
                    _("It was decided already that this completion is {decided}; that stays.").format(
                        decided=in_words(decided)
                    )
                )
            return completion
        _decide(CompletionMark.objects.filter(completion=completion), outcome, actor)
        record(actor=actor, action=f"completion.{outcome}", subject=completion, batch=batch.name)
        if outcome == WITHHELD and (error := _too_few(completion.item, batch)):
            BatchItem.objects.filter(pk=completion.item_id).update(state=BatchItem.State.FAILED, error=error)
            # Nobody need look at what is not served.
            _decide(CompletionMark.objects.filter(completion__item=completion.item_id), WITHHELD, actor)
        while open_some(batch_id=batch.pk):
            pass
    return completion


def allow_term(*, term: str, actor: User | None) -> int:
    """Serve all that waits for nothing but this term, and open what then can be; how many marks were decided.

    Batch by batch, so that one that fails leaves the others decided, and another try goes on from there.
    """
    waiting = CompletionMark.objects.filter(term=term, state=WAITING)
    count = 0
    for batch_id in list(waiting.order_by().values_list("completion__item__batch", flat=True).distinct()):
        with transaction.atomic(durable=True):
            batch = Batch.objects.select_for_update(no_key=True).get(pk=batch_id)
            found = _decide(waiting.filter(completion__item__batch=batch), ALLOWED, actor)
            if found:
                record(actor=actor, action="completion.allowed_by_term", subject=batch, term=term, marks=found)
            while open_some(batch_id=batch.pk):
                pass
        count += found
    return count


def _decide(marks, outcome: str, actor: User | None) -> int:
    chosen = CompletionMark.objects.filter(pk__in=marks.filter(state=WAITING).values("pk"))
    return chosen.update(state=outcome, decided_by=actor, decided_at=Now())


def _too_few(item: BatchItem, batch: Batch) -> str:
    """Why the item cannot be served with the completions that are left; empty where it can."""
    left = Completion.objects.filter(item=item).exclude(withheld())
    least, _ = K_OF_ORDER[newest_version(batch.form_id).definition["order"]]
    count = left.count()
    if count < least:
        return (
            f"{count} completion{'' if count == 1 else 's'} left after those that name a model were left out; this "
            f"form needs {least}. Put the prompt into another batch to have others sampled."
        )
    if batch.evaluation:
        writers = set(Provenance.objects.filter(completion__in=left).values_list("endpoint__name", flat=True))
        silent = sorted(set(batch.endpoints.values_list("name", flat=True)) - writers)
        if silent:
            return f"No completion of {', '.join(silent)} is left; nothing can be compared."[:500]
    return ""


def add_term(*, text: str, actor: User | None) -> tuple[MakerTerm, Job]:
    """Look for `text` from now on, and queue a look at what labelers may still be given. Conflict where it is known."""
    text = check_text(text, where=_("the term")).strip()
    if not 1 <= len(text) <= TERM_CHARACTERS:
        raise Refusal(
            _("A term has from 1 to {term_characters} characters; this one has {count}.").format(
                term_characters=TERM_CHARACTERS, count=len(text)
            )
        )
    key = normal(text)
    if len(key) < SHORTEST_TERM:
        raise Refusal(
            _("The term {text!r} has fewer than {shortest_term} letters or digits; it would mark too much.").format(
                text=text, shortest_term=SHORTEST_TERM
            )
        )
    with transaction.atomic(durable=True):
        # Completions stored from here on are looked at with it.
        lock_terms(alone=True)
        if known := MakerTerm.objects.filter(normal=key).first():
            looked_for = _("The term {text} is looked for already.")
            switched_off = _("The term {text} is in the list, switched off; switch it on.")
            raise Conflict((looked_for if known.active else switched_off).format(text=known.text))
        term = MakerTerm.objects.create(text=text, normal=key, added_by=actor)
        record(actor=actor, action="maker_term.added", subject=term, text=text)
        return term, _look_again(term, actor)


def switch_term(*, term_id: int | str, active: bool, actor: User | None) -> MakerTerm:
    """Look for a term no longer, or again; then what may still be given to labelers is looked at. Marks stay."""
    with transaction.atomic(durable=True):
        lock_terms(alone=True)
        term = get_term(term_id)
        if term.active != active:
            term.active = active
            term.save(update_fields=["active"])
            record(actor=actor, action=f"maker_term.switched_{'on' if active else 'off'}", subject=term, text=term.text)
            if active:
                _look_again(term, actor)
    return term


def get_term(term_id: int | str) -> MakerTerm:
    """NotFound for an unknown id."""
    number = int(term_id) if str(term_id).isascii() and str(term_id).isdigit() and len(str(term_id)) < 19 else 0
    found = MakerTerm.objects.filter(pk=number).first()
    if found is None:
        raise NotFound(_("There is no term with this id."))
    return found


def _look_again(term: MakerTerm, actor: User | None) -> Job:
    return enqueue(
        kind="look_for_maker", arguments={"term": term.pk}, key=f"look_for_maker:{term.pk}", created_by=actor
    )


def look_for_term(*, term: MakerTerm, beat: Callable[..., None]) -> dict:
    """Mark the term in completions that were stored before it, where nobody has begun their task; the task is taken
    back until somebody has decided. Counts.

    In tasks that somebody has begun nothing changes, they are only counted (`begun`): one labeler would see other
    completions than another. Can run any number of times: what is marked stays marked once.
    """
    served = BatchItem.objects.filter(batch__hold_named=True, batch__imported=False, batch__kind=Batch.Kind.RANKING)
    items = served.filter(state=BatchItem.State.FILLED).exclude(batch__state=Batch.State.CLOSED)
    counts = {"looked_at": 0, "marked": 0, "taken_back": 0, "begun": 0}
    total = items.count()
    batches = list(items.order_by("batch").values_list("batch", flat=True).distinct())
    for batch_id in batches:
        last = 0
        while True:
            beat(done=counts["looked_at"], total=total, note=f"looking for {term.text}")
            chunk = items.filter(batch=batch_id, pk__gt=last).order_by("pk")[:LOOKED_AT_ONCE]
            part = list(chunk.select_related("prompt", "task").prefetch_related("completions__marks"))
            if not part:
                break
            _look_at(part, batch_id=batch_id, term=term, counts=counts)
            last = part[-1].pk
            counts["looked_at"] += len(part)
    return counts


def _look_at(items: list[BatchItem], *, batch_id: int, term: MakerTerm, counts: dict[str, int]) -> None:
    with transaction.atomic(durable=True):
        batch = Batch.objects.select_for_update(no_key=True).get(pk=batch_id)
        found = {}
        for item in items:
            models = {
                one: () for one in item.completions.all() if not any(m.state == WITHHELD for m in one.marks.all())
            }
            marks = marks_for(prompt=item.prompt, batch=batch, models=models, terms=(term.text,))
            known = {(mark.completion_id, mark.start, mark.end) for one in models for mark in one.marks.all()}
            marks = [mark for mark in marks if (mark.completion_id, mark.start, mark.end) not in known]
            if marks:
                found[item.pk] = marks
        opened = set(Task.objects.filter(item__in=found).values_list("item", flat=True))
        closed = take_back_tasks(items=list(found))
        marks = [mark for pk in closed for mark in found[pk]]
        CompletionMark.objects.bulk_create(marks, ignore_conflicts=True)
    counts["marked"] += len(marks)
    counts["taken_back"] += len(opened & closed)
    counts["begun"] += len(opened - closed)
