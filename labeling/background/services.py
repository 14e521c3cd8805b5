"""Queue, claim, watch and end jobs. Every change of state is one conditional UPDATE, so two workers cannot both win."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.background.models import Job
from labeling.refusals import Conflict, NotFound

log = structlog.get_logger(__name__)

RUN_JOB = "kwise.run_job"  # the one Celery task, in labeling/jobs.py


class JobCancelled(Exception):
    """Somebody asked for this job to end; raised inside it at its next sign of life."""


class JobLost(Exception):
    """Another worker holds this job now: this one was silent for too long and must stop without a word."""


def enqueue(
    *,
    kind: str,
    arguments: dict[str, Any],
    queue: str = Job.Queue.DEFAULT,
    key: str = "",
    created_by=None,
    max_attempts: int = 3,
) -> Job:
    """A new queued job, its message sent when the transaction commits. With a `key` that an open job has: that job."""
    try:
        with transaction.atomic():
            job = Job.objects.create(
                kind=kind, arguments=arguments, queue=queue, key=key, created_by=created_by, max_attempts=max_attempts
            )
    except IntegrityError:
        running = Job.objects.filter(key=key, state__in=Job.OPEN).first()
        if not key or running is None:
            raise
        return running
    transaction.on_commit(lambda: send(job))
    return job


def send(job: Job) -> None:
    """Send the job's message. Failing is harmless: the sweep sends it again."""
    Job.objects.filter(pk=job.pk).update(sent_at=Now())
    try:
        current_app.send_task(RUN_JOB, args=[str(job.pk)], queue=job.queue, retry=False)
    except Exception as error:  # kombu raises what its transport raises
        log.warning("job_message_not_sent", job=str(job.pk), kind=job.kind, error=str(error))


def claim(job_id: uuid.UUID | str) -> Job | None:
    """The job, now running in this process; None when it is not to be run (ended, held by another, not due)."""
    stale = Now() - timedelta(seconds=settings.JOB_STALE_AFTER)
    claimable = Q(state=Job.State.QUEUED, due_at__lte=Now()) | Q(state=Job.State.RUNNING, heartbeat_at__lt=stale)
    won = (
        Job.objects.filter(pk=job_id, cancel_requested=False, attempt__lt=F("max_attempts"))
        .filter(claimable)
        .update(
            state=Job.State.RUNNING,
            attempt=F("attempt") + 1,
            started_at=Now(),
            heartbeat_at=Now(),
            error="",
        )
    )
    return Job.objects.get(pk=job_id) if won else None


def beat(job: Job, *, done: int | None = None, total: int | None = None, note: str | None = None) -> None:
    """Say that the job lives, and how far it is. Raises JobCancelled or JobLost; call it often, it is cheap."""
    changes: dict[str, Any] = {"heartbeat_at": Now()}
    if done is not None:
        changes["done"] = done
    if total is not None:
        changes["total"] = total
    if note is not None:
        changes["note"] = note[:300]
    mine = Job.objects.filter(pk=job.pk, state=Job.State.RUNNING, attempt=job.attempt)
    if not mine.update(**changes):
        raise JobLost(f"job {job.pk} is no longer attempt {job.attempt}")
    if mine.filter(cancel_requested=True).exists():
        raise JobCancelled("cancelled on request")


def finish(job: Job, *, result: dict | None = None) -> None:
    _end(job, state=Job.State.DONE, result=result or {}, error="")


def end_cancelled(job: Job) -> None:
    _end(job, state=Job.State.CANCELLED)


def fail(job: Job, *, error: str, again: bool) -> None:
    """The attempt failed with `error`. Queued once more, later each time, when `again` and attempts are left."""
    if again and job.attempt < job.max_attempts:
        delay = timedelta(seconds=5 * 4 ** (job.attempt - 1))
        Job.objects.filter(pk=job.pk, state=Job.State.RUNNING, attempt=job.attempt).update(
            state=Job.State.QUEUED, error=error, due_at=Now() + delay, sent_at=None
        )
    else:
        _end(job, state=Job.State.FAILED, error=error)


def _end(job: Job, **changes: Any) -> None:
    Job.objects.filter(pk=job.pk, state=Job.State.RUNNING, attempt=job.attempt).update(finished_at=Now(), **changes)


@transaction.atomic
def cancel(*, job: Job, actor=None) -> Job:
    """Ask for the job to end: at once when it is queued, at its next sign of life when it runs.

    An `actor` asked for this job and not for what it is part of, such as a run, whose own line is in the audit trail.
    """
    if not Job.objects.filter(pk=job.pk, state__in=Job.OPEN).update(cancel_requested=True):
        raise Conflict(_("This job has ended already; there is nothing left to cancel."))
    Job.objects.filter(pk=job.pk, state=Job.State.QUEUED).update(state=Job.State.CANCELLED, finished_at=Now())
    if actor is not None:
        record(actor=actor, action="job.cancelled", subject=job, kind=job.kind)
    job.refresh_from_db()
    return job


@transaction.atomic
def retry(*, job: Job, actor=None) -> Job:
    """Queue a job again that failed or was cancelled, with all its attempts. `actor` as in `cancel`."""
    ended = Job.objects.filter(pk=job.pk, state__in=[Job.State.FAILED, Job.State.CANCELLED])
    try:
        with transaction.atomic():
            changed = ended.update(
                state=Job.State.QUEUED, attempt=0, error="", cancel_requested=False, due_at=Now(), finished_at=None
            )
    except IntegrityError:
        raise Conflict(_("The same work is queued or running already under another job.")) from None
    if not changed:
        raise Conflict(_("Only a job that failed or was cancelled can be started again."))
    if actor is not None:
        record(actor=actor, action="job.retried", subject=job, kind=job.kind)
    job.refresh_from_db()
    transaction.on_commit(lambda: send(job))
    return job


def sweep() -> dict[str, int]:
    """Send again what was lost: messages without an answer, and jobs whose worker fell silent. Counts by outcome."""
    silent = Now() - timedelta(seconds=settings.JOB_STALE_AFTER)
    unanswered = Now() - timedelta(seconds=settings.JOB_RESEND_AFTER)
    abandoned = Job.objects.filter(state=Job.State.RUNNING, heartbeat_at__lt=silent)
    cancelled = abandoned.filter(cancel_requested=True).update(state=Job.State.CANCELLED, finished_at=Now())
    failed = abandoned.filter(attempt__gte=F("max_attempts")).update(
        state=Job.State.FAILED,
        finished_at=Now(),
        error="Its worker stopped without a word, and no attempt is left. See the worker's log; start it again here.",
    )
    lost = list(
        Job.objects.filter(
            Q(state=Job.State.QUEUED, due_at__lte=Now()) & (Q(sent_at=None) | Q(sent_at__lt=unanswered))
            | Q(state=Job.State.RUNNING, heartbeat_at__lt=silent)
        ).order_by("created_at")[:1000]
    )
    for job in lost:
        send(job)
    return {"sent": len(lost), "failed": failed, "cancelled": cancelled}


def get_job(job_id: str) -> Job:
    """NotFound for an unknown id, also one that is no UUID."""
    try:
        return Job.objects.get(pk=uuid.UUID(str(job_id)))
    except (ValueError, Job.DoesNotExist):
        raise NotFound(_("There is no job with this id.")) from None
