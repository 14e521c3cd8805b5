"""Ask for reports, and keep them up to date: no more than STALE_AFTER behind, without a page that waits for it.

A feature registers its kind with `report_kind`: how the content is made, how it is drawn, and when something last
changed. A page calls `ask`. The sweep makes anew what is due; so does the message that `ask` sends where the reader
would otherwise see figures that are too old.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone, translation

from labeling.plots import Plot
from labeling.reports.models import Report
from training.formats import canonical_json

log = structlog.get_logger(__name__)

MAKE_REPORTS = "kwise.make_reports"  # the Celery task, in labeling/jobs.py
STALE_AFTER = timedelta(seconds=60)
# The sweep looks every 15 s and the making takes its time: what is older than this is made anew.
RENEW_AFTER = timedelta(seconds=20)
# An answer becomes visible when its transaction ends, and names the time at which that began.
MARGIN = timedelta(minutes=2)
# Kept up so long after somebody looked; later, the next look has it made.
KEPT_UP = timedelta(days=1)
# A worker that is silent for so long is gone.
ABANDONED = timedelta(minutes=5)
# What nobody can see change, such as a prompt's use case, is seen after this.
RENEW_ANYWAY = timedelta(hours=1)


@dataclass(frozen=True)
class Kind:
    """`make` gives the content for the arguments, as JSON. `draw` gives its plots in the language that is active.

    `changed` says when what it rests on last changed (None: there is nothing). `is_small` says whether so little is
    asked that a request may make it itself.
    """

    make: Callable[[dict], dict]
    draw: Callable[[dict], dict[str, Plot]]
    changed: Callable[[], datetime | None]
    is_small: Callable[[dict], bool] = lambda _arguments: False


KINDS: dict[str, Kind] = {}


def report_kind(name: str, kind: Kind) -> None:
    KINDS[name] = kind


@dataclass(frozen=True)
class Shown:
    """A report for one reader. `content` is None while it is made for the first time, or after a long time without."""

    content: dict | None
    plots: dict[str, Plot]
    made_at: datetime | None
    error: str = ""

    @property
    def waiting(self) -> bool:
        return self.content is None


def ask(kind: str, arguments: dict[str, Any], *, drawn: bool = True) -> Shown:
    """The report, at most STALE_AFTER behind; without content while a worker makes it. Never computes much.

    Where not `drawn`, no time is spent on plots, and there may be none.
    """
    languages = [translation.get_language() or settings.LANGUAGE_CODE] if drawn else []
    key = canonical_json(arguments).decode()
    report, _made = Report.objects.get_or_create(kind=kind, key=key, defaults={"arguments": arguments})
    now = timezone.now()
    if now - report.asked_at > STALE_AFTER:
        Report.objects.filter(pk=report.pk).update(asked_at=Now())
    if is_behind(report, now=now, by=STALE_AFTER):
        if KINDS[kind].is_small(arguments):
            make(report, languages=languages)
            report.refresh_from_db()
        else:
            transaction.on_commit(send)
            return Shown(None, {}, report.made_at, report.error)
    kept = report.plots.get(translation.get_language() or "") or []
    if not kept and languages and KINDS[kind].is_small(arguments):
        made = _draw(report.kind, report.content, languages)
        Report.objects.filter(pk=report.pk).update(plots={**report.plots, **made})
        kept = next(iter(made.values()))
    plots = {name: Plot.from_json(plot) for name, plot in kept} if drawn else {}
    return Shown(report.content, plots, report.made_at, report.error)


def is_behind(report: Report, *, now: datetime, by: timedelta) -> bool:
    """Whether the report is older than `by` and something has changed since, or it was never made."""
    if report.made_at is None:
        return True
    age = now - report.made_at
    if age <= by:
        return False
    if age > RENEW_ANYWAY:
        return True
    changed = KINDS[report.kind].changed()
    return changed is not None and changed > report.made_at - MARGIN


def send() -> None:
    """Tell the workers that a report is wanted. Failing is harmless: the sweep makes it."""
    try:
        current_app.send_task(MAKE_REPORTS, retry=False)
    except Exception as error:  # kombu raises what its transport raises
        log.warning("report_message_not_sent", error=str(error))


def make_due(*, now: datetime | None = None) -> int:
    """Make all reports that somebody looks at and that are behind; how many. Two workers never make the same one."""
    now = now or timezone.now()
    wanted = Report.objects.filter(Q(asked_at__gt=now - KEPT_UP) | Q(made_at=None), kind__in=KINDS)
    count = 0
    for report in wanted.defer("content", "plots").order_by(F("made_at").asc(nulls_first=True)):
        if not is_behind(report, now=now, by=RENEW_AFTER):
            continue
        free = Q(claimed_at=None) | Q(claimed_at__lt=Now() - ABANDONED)
        if not Report.objects.filter(free, pk=report.pk, made_at=report.made_at).update(claimed_at=Now()):
            continue
        try:
            make(report, languages=[code for code, _name in settings.LANGUAGES])
            count += 1
        except Exception as error:
            Report.objects.filter(pk=report.pk).update(claimed_at=None, error=f"{type(error).__name__}: {error}"[:500])
            log.exception("report_failed", kind=report.kind, arguments=report.arguments)
    return count


def make(report: Report, *, languages: list[str]) -> None:
    """Make the report now, from one snapshot of the database, and draw it in these languages."""
    started = time.monotonic()
    kind = KINDS[report.kind]
    if connection.in_atomic_block:
        content, made_at = kind.make(report.arguments), timezone.now()
    else:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                cursor.execute("SELECT clock_timestamp()")
                made_at = cursor.fetchone()[0]
            content = kind.make(report.arguments)
    Report.objects.filter(pk=report.pk).update(
        content=content,
        plots=_draw(report.kind, content, languages),
        made_at=made_at,
        seconds=time.monotonic() - started,
        claimed_at=None,
        error="",
    )


def _draw(kind: str, content: dict, languages: list[str]) -> dict:
    drawn = {}
    for language in languages:
        with translation.override(language):
            plots = KINDS[kind].draw(content)
        drawn[language] = [[name, plot.as_json()] for name, plot in plots.items()]
    return drawn
