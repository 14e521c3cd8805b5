"""Decide about completions that name their maker, and say which names are looked for."""

from __future__ import annotations

import uuid

from django.db import transaction
from django.db.models.functions import Now

from labeling.audit.services import record
from labeling.forms.queries import newest_version
from labeling.leasing.services import open_some
from labeling.people.models import User
from labeling.refusals import Conflict, NotFound, Refusal
from labeling.sampling.choosing import K_OF_ORDER
from labeling.sampling.models import Batch, BatchItem, Completion, CompletionMark, Provenance
from labeling.sampling.queries import withheld

WAITING, ALLOWED, WITHHELD = CompletionMark.State.WAITING, CompletionMark.State.ALLOWED, CompletionMark.State.WITHHELD


def decide_completion(*, completion_id: uuid.UUID | str, outcome: str, actor: User | None) -> Completion:
    """Serve the completion as it is ("allowed") or leave it out ("withheld"); then its task opens, if nothing else of
    it waits.

    Too few completions that are left fail the item, with a sentence. The same decision again changes nothing; another
    one is a Conflict. NotFound where nothing of the completion was marked.
    """
    if outcome not in (ALLOWED, WITHHELD):
        raise Refusal(f"A completion is allowed or withheld, not {str(outcome)[:40]!r}.")
    try:
        completion = Completion.objects.select_related("item").get(pk=uuid.UUID(str(completion_id)))
    except (ValueError, Completion.DoesNotExist):
        raise NotFound("There is no completion with this id.") from None
    with transaction.atomic(durable=True):
        # Whoever opens tasks of the batch, or decides about another completion of the task, waits here.
        batch = Batch.objects.select_for_update(no_key=True).get(pk=completion.item.batch_id)
        states = set(completion.marks.values_list("state", flat=True))
        if not states:
            raise NotFound("This completion names no model; there is nothing to decide.")
        if WAITING not in states:
            decided = WITHHELD if WITHHELD in states else ALLOWED
            if decided != outcome:
                raise Conflict(f"It was decided already that this completion is {decided}; that stays.")
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
