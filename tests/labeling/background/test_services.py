from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from labeling import jobs
from labeling.background import services as background
from labeling.background.models import Job
from labeling.refusals import Conflict, NotFound, Refusal, TryLater

pytestmark = pytest.mark.django_db


def queue(kind="sum", **extra) -> Job:
    return background.enqueue(kind=kind, arguments={"of": [1, 2]}, **extra)


@pytest.fixture(autouse=True)
def handlers(monkeypatch):
    """Job kinds of these tests' own, beside the real ones."""
    monkeypatch.setitem(jobs.HANDLERS, "sum", lambda job: {"sum": sum(job.arguments["of"])})
    return monkeypatch


def silent_for(job: Job, seconds: int) -> None:
    Job.objects.filter(pk=job.pk).update(heartbeat_at=Now() - timedelta(seconds=seconds))


def test_a_job_runs_once_and_keeps_its_result():
    job = queue()
    assert jobs.run_now(job.pk).result == {"sum": 3}
    assert jobs.run_now(job.pk) is None
    job.refresh_from_db()
    assert (job.state, job.attempt) == ("done", 1)


def test_pressing_twice_starts_one_job():
    first, second = queue(key="sample:1"), queue(key="sample:1")
    assert first.pk == second.pk
    jobs.run_now(first.pk)
    assert queue(key="sample:1").pk != first.pk


def test_the_message_goes_out_only_when_the_transaction_commits(django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as callbacks:
        job = queue()
    job.refresh_from_db()
    assert len(callbacks) == 1
    assert job.sent_at is None


def test_a_running_job_is_not_claimed_again_until_its_worker_is_silent(settings):
    job = queue()
    assert background.claim(job.pk).attempt == 1
    assert background.claim(job.pk) is None
    silent_for(job, settings.JOB_STALE_AFTER + 1)
    assert background.claim(job.pk).attempt == 2


def test_the_worker_that_was_overtaken_hears_of_it_and_changes_nothing(settings):
    job = queue()
    slow = background.claim(job.pk)
    silent_for(job, settings.JOB_STALE_AFTER + 1)
    quick = background.claim(job.pk)
    with pytest.raises(background.JobLost):
        background.beat(slow, done=9)
    background.finish(slow, result={"by": "slow"})
    background.finish(quick, result={"by": "quick"})
    job.refresh_from_db()
    assert job.result == {"by": "quick"}
    assert job.done == 0


def test_an_error_is_kept_and_tried_again_later_up_to_the_last_attempt(handlers):
    handlers.setitem(jobs.HANDLERS, "sum", lambda job: 1 / 0)
    job = jobs.run_now(queue(max_attempts=2).pk)
    assert (job.state, job.attempt) == ("queued", 1)
    assert "ZeroDivisionError" in job.error
    assert background.claim(job.pk) is None, "not before its back-off is over"
    Job.objects.filter(pk=job.pk).update(due_at=Now())
    assert jobs.run_now(job.pk).state == "failed"


@pytest.mark.parametrize("refusal, state", [(Refusal("No."), "failed"), (TryLater("The server is away."), "queued")])
def test_a_refusal_fails_at_once_unless_it_says_try_later(handlers, refusal, state):
    def refuse(job):
        raise refusal

    handlers.setitem(jobs.HANDLERS, "sum", refuse)
    job = jobs.run_now(queue().pk)
    assert (job.state, job.error) == (state, refusal.message)


def test_a_queued_job_is_cancelled_at_once():
    job = background.cancel(job=queue())
    assert job.state == "cancelled"
    assert jobs.run_now(job.pk) is None
    with pytest.raises(Conflict):
        background.cancel(job=job)


def test_a_running_job_is_cancelled_at_its_next_beat(handlers):
    def work(job):
        background.cancel(job=job)
        background.beat(job, done=1)
        raise AssertionError("it went on after it was cancelled")

    handlers.setitem(jobs.HANDLERS, "sum", work)
    assert jobs.run_now(queue().pk).state == "cancelled"


def test_a_failed_job_can_be_started_again():
    job = background.cancel(job=queue())
    assert background.retry(job=job).state == "queued"
    assert jobs.run_now(job.pk).state == "done"
    with pytest.raises(Conflict):
        background.retry(job=job)


def test_the_sweep_sends_lost_messages_again(settings):
    lost, fresh, running = queue(), queue(), queue()
    background.claim(running.pk)
    Job.objects.filter(pk=fresh.pk).update(sent_at=Now())
    assert background.sweep()["sent"] == 1
    lost.refresh_from_db()
    assert lost.sent_at is not None
    Job.objects.update(sent_at=Now() - timedelta(seconds=settings.JOB_RESEND_AFTER + 1))
    silent_for(running, settings.JOB_STALE_AFTER + 1)
    assert background.sweep()["sent"] == 3


def test_the_sweep_ends_silent_jobs_without_attempts_or_cancelled(settings):
    spent, cancelled = queue(max_attempts=1), queue()
    for job in (spent, cancelled):
        background.claim(job.pk)
        silent_for(job, settings.JOB_STALE_AFTER + 1)
    background.cancel(job=cancelled)
    background.sweep()
    states = dict(Job.objects.values_list("pk", "state"))
    assert states == {spent.pk: "failed", cancelled.pk: "cancelled"}


def test_an_unknown_id_is_not_found():
    for wrong in ("no uuid", "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(NotFound):
            background.get_job(wrong)


def test_a_broker_that_is_away_loses_nothing(settings, monkeypatch):
    def away(*args, **kwargs):
        raise ConnectionError("redis is away")

    monkeypatch.setattr("celery.current_app.send_task", away)
    job = queue()
    background.send(job)
    job.refresh_from_db()
    assert job.state == "queued"


def test_two_open_jobs_with_one_key_are_refused_by_the_database():
    from django.db import IntegrityError, transaction

    queue(key="a")
    with (
        pytest.raises(IntegrityError, match="job_one_open_per_key"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "INSERT INTO labeling_job (id, kind, arguments, queue, state, key, attempt, max_attempts, error, done,"
            " total, note, result, cancel_requested) VALUES (gen_random_uuid(), 'sum', '{}', 'default', 'queued', 'a',"
            " 0, 1, '', 0, 0, '', '{}', false)"
        )
