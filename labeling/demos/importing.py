"""Ideal answers that were written elsewhere, brought in with who wrote them and when they came."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.demos.models import Demonstration
from labeling.demos.services import TEXT_CHARACTERS
from labeling.intake.models import Prompt
from labeling.leasing.answers import digest_of
from labeling.leasing.models import Lease, Seat, Task
from labeling.people.models import User
from labeling.refusals import Refusal
from labeling.sampling.models import Batch, BatchItem
from labeling.text import check_text


def import_demonstrations(
    *, batch_name: str, rows: Iterable[tuple[Prompt, str]], writer: User, created_by: User | None = None
) -> int:
    """How many of the answers are new. They lie in an imported batch that nobody is offered tasks of.

    One answer a prompt: where the batch has one already, nothing changes, so an import can be repeated. Raises Refusal
    for an answer that is empty or cannot be stored; then nothing of this call is.
    """
    with transaction.atomic(durable=True):
        batch, _made = Batch.objects.get_or_create(
            name=batch_name,
            defaults={
                "kind": Batch.Kind.DEMONSTRATION,
                "state": Batch.State.CLOSED,
                "imported": True,
                "groups": [writer.group],
                "created_by": created_by,
            },
        )
        if batch.kind != Batch.Kind.DEMONSTRATION or not batch.imported:
            raise Refusal(
                _("There is a batch called {batch_name} already, and it holds no imported demonstrations.").format(
                    batch_name=batch_name
                )
            )
        count = sum(_import_one(batch, prompt, text, writer) for prompt, text in rows)
        if count:
            record(actor=created_by, action="demonstrations.imported", subject=batch, count=count)
    return count


def _import_one(batch: Batch, prompt: Prompt, text: str, writer: User) -> int:
    check_text(text, where=_("the answer"))
    if not text.strip() or len(text) > TEXT_CHARACTERS:
        raise Refusal(
            _("The answer to prompt {external_id} is empty or too long to be stored.").format(
                external_id=prompt.external_id or prompt.pk
            )
        )
    item, created = BatchItem.objects.get_or_create(
        batch=batch, prompt=prompt, defaults={"k": 0, "state": BatchItem.State.FILLED}
    )
    if not created:
        return 0
    task = Task.objects.create(item=item, batch=batch, kind=batch.kind)
    seat = Seat.objects.create(task=task, batch=batch, number=0, state=Seat.State.FILLED, groups=batch.groups)
    lease = Lease.objects.create(
        task=task, seat=seat, labeler=writer, state=Lease.State.SUBMITTED, expires_at=Now(), ended_at=Now()
    )
    Demonstration.objects.create(
        lease=lease,
        task=task,
        labeler=writer,
        group=writer.group,
        origin=Demonstration.Origin.IMPORT,
        idempotency_key="import",
        payload_sha256=digest_of({"text": text, "replaces": None}),
        text=text,
    )
    return 1
