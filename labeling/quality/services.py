"""Compute the quality reports, of people and of simulated labelers apart."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import islice

import structlog
from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from labeling.demos.models import Demonstration, WrittenPrompt
from labeling.people.models import User
from labeling.quality import reports
from labeling.quality.models import CompletionTraits, QualityReport, QualityRun, QualityStanding
from labeling.quality.reading import Answers, read_answers
from labeling.quality.traits import has_markdown, words_in
from labeling.rankings.models import Ranking
from labeling.sampling.models import Completion

log = structlog.get_logger(__name__)

# Changes with what is computed, so that reports from before a new release are made again.
VERSION = 1
# An answer bears the time at which its transaction began; one seen now may have begun so long before.
SLACK = timedelta(seconds=60)
# Without an end after so long, whoever began has gone.
ABANDONED = timedelta(minutes=5)
CHUNK = 2_000


def refresh() -> dict[str, int]:
    """Compute what is out of date: answers came in since. Rankings read, by scope; cheap when nothing changed."""
    done = {}
    for simulated in (False, True):
        if is_due(simulated=simulated) and (run := compute(simulated=simulated)):
            done["simulated" if simulated else "people"] = run.rankings
    return done


def is_due(*, simulated: bool) -> bool:
    run = QualityRun.objects.filter(simulated=simulated).first()
    group = Q(group=User.Group.SIMULATED)
    new = group if simulated else ~group & ~Q(group=User.Group.APPLICANT)
    since = run.read_at if run else None
    if since is not None and run.version == VERSION:
        new &= Q(created_at__gt=since - SLACK)
    return any(model.objects.filter(new).exists() for model in (Ranking, Demonstration, WrittenPrompt))


def compute(*, simulated: bool) -> QualityRun | None:
    """All reports of one scope anew; None where another worker is at it."""
    QualityRun.objects.bulk_create([QualityRun(simulated=simulated)], ignore_conflicts=True)
    run = _claim(simulated)
    if run is None:
        return None
    started = time.monotonic()
    mine = QualityRun.objects.filter(pk=run.pk, began_at=run.began_at)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT statement_timestamp()")
            (read_at,) = cursor.fetchone()
        count_traits(since=run.read_at, simulated=simulated)
        answers = read_answers(simulated=simulated)
        found = reports.report(answers.rankings, answers.writing)
        with transaction.atomic():
            if not mine.select_for_update().exists():
                return None  # taken for gone, and another has begun
            _store(simulated, answers, found)
            mine.update(
                began_at=None,
                read_at=read_at,
                seconds=time.monotonic() - started,
                version=VERSION,
                rankings=len(answers.rankings.labeler),
                most_each=answers.most_each,
                looks=found.looks,
                error="",
            )
    except Exception as error:
        mine.update(began_at=None, error=f"{type(error).__name__}: {error}"[:300])
        raise
    run.refresh_from_db()
    return run


def _claim(simulated: bool) -> QualityRun | None:
    free = Q(began_at=None) | Q(began_at__lt=Now() - ABANDONED)
    if not QualityRun.objects.filter(free, simulated=simulated).update(began_at=Now()):
        return None
    return QualityRun.objects.get(simulated=simulated)


def count_traits(*, simulated: bool, since: datetime | None = None) -> int:
    """Count what of completions may sway a reader, of those that were ranked and have not been counted; how many.

    `since` spares a look at rankings of before, all whose completions were counted then.
    """
    rankings = Ranking.objects.filter(group="simulated") if simulated else Ranking.objects.exclude(group="simulated")
    if since is not None:
        rankings = rankings.filter(created_at__gt=since - 10 * SLACK)
    missing = (
        Completion.objects.filter(judgments__ranking__in=rankings, traits=None)
        .order_by()
        .distinct()
        .values_list("pk", flat=True)
    )
    counted, remaining = 0, iter(list(missing))
    while chunk := list(islice(remaining, CHUNK)):
        completions = Completion.objects.filter(pk__in=chunk).prefetch_related("provenance")
        CompletionTraits.objects.bulk_create((traits_of(each) for each in completions), ignore_conflicts=True)
        counted += len(chunk)
    return counted


def traits_of(completion: Completion) -> CompletionTraits:
    models = {each.model for each in completion.provenance.all()}
    return CompletionTraits(
        completion=completion,
        words=words_in(completion.text),
        markdown=has_markdown(completion.text),
        model=models.pop() if len(models) == 1 else "",
    )


def _store(simulated: bool, answers: Answers, found: reports.Reports) -> None:
    QualityReport.objects.filter(simulated=simulated).delete()
    QualityStanding.objects.filter(simulated=simulated).delete()
    QualityReport.objects.bulk_create(
        QualityReport(
            simulated=simulated,
            labeler_id=None if each.labeler is None else answers.labelers[each.labeler],
            **{name: getattr(each, name) for name in FIELDS},
        )
        for each in found.findings
    )
    verdicts = {verdict.labeler: verdict for verdict in found.verdicts}
    QualityStanding.objects.bulk_create(
        _standing(simulated, person, verdicts.get(number), [each for each in found.findings if each.labeler == number])
        for number, person in enumerate(answers.labelers)
    )


FIELDS = ("kind", "count", "prompts", "value", "reference", "effect", "low", "high", "p", "marked", "detail")


def _standing(simulated: bool, person: int, verdict: reports.Verdict | None, own: Iterable) -> QualityStanding:
    marked = [each for each in own if each.marked]
    verdict = verdict or reports.Verdict(-1, 0.0, 0.0, 0.0, 0.0, False)
    return QualityStanding(
        simulated=simulated,
        labeler_id=person,
        attention=attention(verdict, marked),
        marked=len(marked),
        score=verdict.score,
        skill=verdict.skill,
        speed=verdict.speed,
        straight=verdict.straight,
        spam=verdict.spam,
    )


def attention(verdict: reports.Verdict, marked: list[reports.Finding]) -> float:
    """How soon to look: who may be clicking through, then by what stands out, each as large as it is in units of what
    would be worth a look, and then by how far off they are at all."""
    sizes = sum(min(5.0, abs(each.effect) / reports.KINDS[each.kind].least) for each in marked)
    return 1000.0 * verdict.spam + 10.0 * sizes + min(verdict.score, 9.0)
