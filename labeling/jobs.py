"""Celery's entries: one task that runs any job, and the sweep. Each job is a thin function that calls a service."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import structlog
from celery import shared_task, signals
from django.conf import settings
from django.db import close_old_connections, connection

from labeling.background import services as background
from labeling.background.models import Job
from labeling.leasing import following
from labeling.leasing import services as leasing
from labeling.refusals import Refusal
from labeling.reports import services as reports
from labeling.surveys import services as surveys

log = structlog.get_logger(__name__)

# kind → what runs it; given the job, returns its result as JSON. Features of the top layers are imported when they run.
HANDLERS: dict[str, Callable[[Job], dict | None]] = {}


def handles(kind: str) -> Callable:
    def register(function: Callable[[Job], dict | None]) -> Callable:
        HANDLERS[kind] = function
        return function

    return register


@contextmanager
def pulse(job: Job) -> Iterator[None]:
    """Keep the job's heartbeat going from a second thread while its work waits on something slow."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(settings.JOB_HEARTBEAT):
            try:
                background.beat(job)
            except (background.JobCancelled, background.JobLost):
                return  # the work itself hears of it at its own next beat
            except Exception as error:
                log.warning("heartbeat_failed", job=str(job.pk), error=str(error))
            finally:
                connection.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def run_now(job_id: str) -> Job | None:
    """Claim and run one job in this process; the ended job, or None when it was not to be run."""
    job = background.claim(job_id)
    if job is None:
        return None
    started = log.bind(job=str(job.pk), kind=job.kind, attempt=job.attempt)
    started.info("job_started")
    try:
        with pulse(job):
            result = HANDLERS[job.kind](job)
        background.finish(job, result=result)
        started.info("job_done")
    except background.JobCancelled:
        background.end_cancelled(job)
        started.info("job_cancelled")
    except background.JobLost as error:
        started.warning("job_lost", error=str(error))
    except Refusal as refusal:
        background.fail(job, error=refusal.message, again=refusal.status == 503)
        started.warning("job_refused", error=refusal.message)
    except Exception as error:
        background.fail(job, error=f"{type(error).__name__}: {error}", again=True)
        started.exception("job_failed")
    job.refresh_from_db()
    return job


@shared_task(name=background.RUN_JOB)
def run_job(job_id: str) -> None:
    close_old_connections()
    try:
        run_now(job_id)
    finally:
        close_old_connections()


@shared_task(name="kwise.sweep")
def sweep() -> None:
    close_old_connections()
    counts = {
        **background.sweep(),
        "leases_expired": leasing.expire_leases(),
        "leases_taken_back": following.take_back_leases(),
        "shared_seats": leasing.grow_shared(),
        "surveys_closed": surveys.close_due(),
    }
    if any(counts.values()):
        log.info("sweep", **counts)


@shared_task(name=reports.MAKE_REPORTS)
def make_reports() -> None:
    """Keep up the reports that somebody looks at. The features that have any register them when they are imported."""
    import labeling.agreement.reports
    import labeling.exports.browsing
    import labeling.label_errors.reports  # noqa: F401

    close_old_connections()
    try:
        made = reports.make_due()
    finally:
        close_old_connections()
    if made:
        log.info("reports_made", count=made)


@shared_task(name="kwise.quality")
def quality() -> None:
    """Quality reports made again where answers came in since; many times a day, so it leaves no row among the jobs."""
    from labeling.quality.services import refresh

    close_old_connections()
    try:
        if done := refresh():
            log.info("quality", **done)
    finally:
        close_old_connections()


@shared_task(name="kwise.pay")
def pay() -> None:
    """Days that are over entered into the ledger of time, and what was added to earlier ones."""
    from labeling.pay.services import enter_time

    close_old_connections()
    try:
        done = enter_time()
    finally:
        close_old_connections()
    if any(done.values()):
        log.info("pay", **done)


@shared_task(name="kwise.adjudication")
def adjudication() -> None:
    """Answers that came in since are compared; many times a day, so it leaves no row among the jobs."""
    from labeling.adjudication.services import look

    close_old_connections()
    try:
        if done := look():
            log.info("adjudication", **done)
    finally:
        close_old_connections()


@shared_task(name="kwise.label_errors")
def label_errors() -> None:
    """New answers compared with their colleagues' at once; what a reward model has to be asked about is a job."""
    from labeling.label_errors.services import refresh
    from labeling.pipeline.scoring import keep_up

    close_old_connections()
    try:
        if done := refresh():
            log.info("label_errors", answers=done)
        keep_up()
    finally:
        close_old_connections()


@shared_task(name="kwise.checks")
def checks() -> None:
    """Hidden checks planned, answers to them compared, alerts raised; many times an hour, so it is no job's row."""
    from labeling.checks.services import keep_up

    close_old_connections()
    try:
        done = keep_up()
        if any(done.values()):
            log.info("checks", **done)
    finally:
        close_old_connections()


@shared_task(name="kwise.prompts")
def prompts() -> None:
    """What programs say of prompts that came in since: their language, and the use case that is suggested."""
    close_old_connections()
    try:
        learn_of_prompts()
    finally:
        close_old_connections()


def learn_of_prompts() -> None:
    from labeling.languages import services as languages
    from labeling.use_cases import suggesting

    languages.keep_up()
    suggesting.keep_up()


@shared_task(name="kwise.retention")
def retention() -> None:
    """Prompts whose source keeps them no longer are erased; what one hour leaves is the next one's."""
    from labeling.erasure.services import erase_expired

    close_old_connections()
    try:
        if count := erase_expired():
            log.info("retention", prompts=count)
    finally:
        close_old_connections()


@signals.setup_logging.connect
def keep_our_logging(**_: object) -> None:
    """Celery leaves the process's logging alone once somebody answers this signal; Django has set it up."""


@handles("train")
def train(job: Job) -> dict:
    from labeling.pipeline.services import execute_run

    return execute_run(job=job)


@handles("publish")
def publish(job: Job) -> dict:
    from labeling.pipeline.services import execute_publish

    return execute_publish(job=job)


@handles("sample_batch")
def sample_batch(job: Job) -> dict:
    from labeling.leasing.services import open_tasks
    from labeling.sampling.services import fill_batch, get_batch

    batch = get_batch(job.arguments["batch"])
    return fill_batch(batch=batch, beat=partial(background.beat, job), stored=lambda: open_tasks(batch=batch))


@handles("check_endpoint")
def check_endpoint(job: Job) -> dict:
    from labeling.sampling import services

    endpoint = services.check_endpoint(endpoint=services.get_endpoint(job.arguments["endpoint"]))
    return {"error": endpoint.check_error}


@handles("export")
def export(job: Job) -> dict:
    from labeling.exports import services

    dataset = services.get_dataset(job.arguments["dataset"])
    made = services.complete_dataset(dataset=dataset, beat=partial(background.beat, job))
    return {"dataset": str(made.pk), "content_hash": made.content_hash}


@handles("import_prompts")
def import_prompts(job: Job) -> dict:
    from labeling.governance.importing import import_upload

    counts = import_upload(job=job)
    learn_of_prompts()
    return counts


@handles("write_suggestion")
def write_suggestion(job: Job) -> dict:
    from labeling.demos import suggesting

    suggestion = suggesting.write_suggestion(
        suggestion_id=job.arguments["suggestion"], beat=partial(background.beat, job)
    )
    return {"state": suggestion.state, "failure": suggestion.failure}


@handles("admit_written_prompt")
def admit_written_prompt(job: Job) -> dict:
    from labeling.demos.written import get_written_prompt
    from labeling.reviews.admitting import admit

    admission = admit(written=get_written_prompt(job.arguments["written"]))
    if admission is None:
        return {"prompt": "", "reason": "waits_for_review"}
    return {"prompt": str(admission.prompt_id or ""), "reason": admission.reason}


@handles("look_for_disagreement")
def look_for_disagreement(job: Job) -> dict:
    from labeling.adjudication.services import look_through
    from labeling.sampling.services import get_batch

    number = job.arguments["batch"]
    return look_through(batch=get_batch(number) if number else None, beat=partial(background.beat, job))


@handles("look_for_maker")
def look_for_maker(job: Job) -> dict:
    from labeling.blindness.services import get_term, look_for_term

    return look_for_term(term=get_term(job.arguments["term"]), beat=partial(background.beat, job))


@handles("find_label_errors")
def find_label_errors(job: Job) -> dict:
    from labeling.pipeline.scoring import look_for_errors

    return look_for_errors(job=job, beat=partial(background.beat, job))


@handles("rescan_prompts")
def rescan_prompts(job: Job) -> dict:
    from labeling.governance.scanning import rescan

    return rescan(beat=partial(background.beat, job))


@handles("draw_blind_sample")
def draw_blind_sample(job: Job) -> dict:
    from labeling.governance.triage import draw_sample

    sample = draw_sample(sample_id=job.arguments["sample"])
    return {"sample": sample.pk, "passed": sample.passed, "found": sample.found}


@handles("train_use_cases")
def train_use_cases(job: Job) -> dict:
    from labeling.use_cases.suggesting import train_and_tell

    return train_and_tell(job=job, beat=partial(background.beat, job))


@handles("suggest_use_cases")
def suggest_use_cases(job: Job) -> dict:
    from labeling.use_cases.models import UseCaseModel
    from labeling.use_cases.suggesting import tell

    return {"told": tell(model=UseCaseModel.objects.get(pk=job.arguments["model"]), beat=partial(background.beat, job))}


@handles("prompt_signals")
def prompt_signals(job: Job) -> dict:
    from labeling.pipeline.signals import compute

    return compute(beat=partial(background.beat, job))


@handles("detect_languages")
def detect_languages(job: Job) -> dict:
    from labeling.languages.services import detect_all

    return {"named": detect_all(beat=partial(background.beat, job))}
