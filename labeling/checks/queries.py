"""Check sets, results and alerts as the team sees them. No labeler's page asks for anything here."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Exists, F, FloatField, Max, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Cast, Now
from django.utils.translation import gettext as _
from django.utils.translation import override

from labeling.checks.models import CheckAlert, CheckItem, CheckResult, CheckSet, Measure
from labeling.checks.statistics import (
    Usual,
    UsualShift,
    Week,
    chart,
    shift_chart,
    usual_of_sums,
    usual_shift_of_sums,
)
from labeling.leasing.models import CheckTurn
from labeling.paging import Page, keyset_page
from labeling.people.models import User
from labeling.people.queries import team_settings
from labeling.rankings.models import Judgment, Ranking
from labeling.refusals import NotFound
from labeling.sampling.models import Batch

USUAL_DAYS = 180  # what the team's usual share is taken over
CHART_WEEKS = 104
# Of each measure that is a share the columns of what agreed and what was compared.
SHARES = {
    Measure.PAIRS: ("agreed", "compared"),
    Measure.RATINGS: ("ratings_agreed", "ratings_compared"),
    Measure.FLAGS: ("flags_agreed", "flags_compared"),
}


def hidden_check(**who: Any) -> Exists:
    """Whether a ranking (by `task` and `labeler`) is an answer to a check that stays out of data sets."""
    exported = Q(kind=CheckTurn.Kind.GOLD, task__check_item__check_set__exported=True)
    return Exists(CheckTurn.objects.filter(**who).exclude(exported))


def get_set(set_id: uuid.UUID | str) -> CheckSet:
    try:
        return CheckSet.objects.select_related("created_by", "form").get(pk=uuid.UUID(str(set_id)))
    except (ValueError, CheckSet.DoesNotExist):
        raise NotFound(_("There is no such check set.")) from None


def get_alert(alert_id: uuid.UUID | str) -> CheckAlert:
    try:
        return CheckAlert.objects.select_related("labeler", "acknowledged_by", "told").get(pk=uuid.UUID(str(alert_id)))
    except (ValueError, CheckAlert.DoesNotExist):
        raise NotFound(_("There is no such alert.")) from None


def get_labeler(user_id: int) -> User:
    person = User.objects.filter(pk=user_id, role=User.Role.LABELER).first()
    if person is None:
        raise NotFound(_("There is no such labeler."))
    return person


def batches_for_sets() -> QuerySet[Batch]:
    """Batches of rankings, pairs or ratings that some researcher has worked on, the newest first."""
    ranked = Ranking.objects.filter(task__batch=OuterRef("pk"), group=User.Group.RESEARCHER)
    rows = Batch.objects.filter(kind=Batch.Kind.RANKING, repeat_of=None)
    return rows.filter(Exists(ranked)).order_by("-id")


def sets_page(*, after: str | None) -> Page:
    rows = CheckSet.objects.select_related("created_by", "form").annotate(size=Count("items"))
    return keyset_page(rows, order=("-created_at", "-id"), after=after)


def items_page(held: CheckSet, *, after: str | None) -> Page:
    """The set's items, each with `answers` to it, and how many agreed, of those compared, by the columns of SHARES."""
    sums = {
        "answers": Count("results"),
        **{name: Sum(f"results__{name}") for names in SHARES.values() for name in names},
    }
    rows = held.items.select_related("task__item__prompt").annotate(**sums)
    return keyset_page(rows, order=("id",), after=after)


def kind_word(person: User) -> str:
    """What an admin may send to whose checks changed, in their language: kind, and nothing of checks or figures."""
    with override(person.language or settings.LANGUAGE_CODE):
        return _(
            "Thank you for your work with us. When you have a quiet moment, please read the guidelines once more "
            "before you go on. If anything in them or in the tasks is unclear, or something gets in your way, do ask "
            "us: we are glad to help."
        )


def alerts_waiting() -> QuerySet[CheckAlert]:
    rows = CheckAlert.objects.filter(acknowledged_at=None).select_related("labeler")
    return rows.order_by("-created_at", "-id")


def alerts_page(*, after: str | None, waiting: bool = False, labeler: User | None = None) -> Page:
    rows = CheckAlert.objects.select_related("labeler", "acknowledged_by", "told")
    if waiting:
        rows = rows.filter(acknowledged_at=None)
    if labeler is not None:
        rows = rows.filter(labeler=labeler)
    return keyset_page(rows, order=("-created_at", "-id"), after=after)


def labelers_page(*, after: str | None) -> Page:
    """Labelers who answered checks, by name, each with `answers`, how many agreed, of those compared, by the columns of
    SHARES, and `last`, of USUAL_DAYS days."""
    recent = CheckResult.objects.filter(answered_at__gt=Now() - timedelta(days=USUAL_DAYS))
    people = User.objects.filter(Exists(recent.filter(labeler=OuterRef("pk"))))
    page = keyset_page(people, order=("username",), after=after)
    sums = recent.filter(labeler__in=[person.pk for person in page]).order_by().values("labeler")
    columns = [name for names in SHARES.values() for name in names]
    totals = {f"{name}_sum": Sum(name) for name in columns}
    sums = sums.annotate(answers=Count("pk"), last=Max("answered_at"), **totals)
    by_labeler = {row["labeler"]: row for row in sums}
    for person in page:
        row = by_labeler[person.pk]
        person.answers, person.last = row["answers"], row["last"]
        for name in columns:
            setattr(person, name, row[f"{name}_sum"])
        person.rate = person.agreed / person.compared if person.compared else None
    return page


def _of_others(person: User) -> QuerySet[CheckResult]:
    """Recent results of other people, or for a program of other programs."""
    program = Q(labeler__group=User.Group.SIMULATED)
    recent = CheckResult.objects.filter(answered_at__gt=Now() - timedelta(days=USUAL_DAYS)).exclude(labeler=person)
    return recent.filter(program if person.is_simulated else ~program)


def usual_of_others(person: User, measure: str = Measure.PAIRS) -> Usual | None:
    """What share is usual of others; None where nobody else has answered."""
    a, n = (Cast(name, FloatField()) for name in SHARES[measure])
    sums = _of_others(person).aggregate(
        agreed_sum=Sum(a), compared_sum=Sum(n), aa=Sum(a * a), an=Sum(a * n), nn=Sum(n * n)
    )
    if not sums["compared_sum"]:
        return None
    return usual_of_sums(sums["agreed_sum"], sums["compared_sum"], (sums["aa"], sums["an"], sums["nn"]))


def usual_shift_of_others(person: User) -> UsualShift | None:
    """What difference from the researchers' ratings is usual of others; None where nobody else has rated."""
    mean = F("rating_shift") / Cast("ratings_compared", FloatField())
    rated = _of_others(person).filter(ratings_compared__gt=0)
    sums = rated.aggregate(checks=Count("pk"), total=Sum(mean), squares=Sum(mean * mean))
    return usual_shift_of_sums(sums["checks"], sums["total"], sums["squares"]) if sums["checks"] else None


def charts_of(person: User) -> dict[str, list[Week]]:
    """The control charts of somebody's last CHART_WEEKS weeks, by measure: of each in which an answer was compared."""
    since = Now() - timedelta(weeks=CHART_WEEKS)
    rows = CheckResult.objects.filter(labeler=person, answered_at__gt=since).order_by("answered_at", "turn")
    columns = [*(name for names in SHARES.values() for name in names), "rating_shift"]
    checks = list(rows.values("answered_at", *columns))
    level = team_settings().check_alert_percent / 100
    charts: dict[str, list[Week]] = {}
    for measure, (agreed, compared) in SHARES.items():
        given = [(row["answered_at"].date(), row[agreed], row[compared]) for row in checks if row[compared]]
        if given:
            # Before anybody else has answered, what is asked for stands for what is usual.
            team = usual_of_others(person, measure) or Usual(min(max(level, 0.01), 0.99), 1.0)
            charts[measure] = chart(given, team=team, level=level)
    rated = [
        (row["answered_at"].date(), row["ratings_agreed"], row["ratings_compared"], row["rating_shift"])
        for row in checks
        if row["ratings_compared"]
    ]
    if rated:
        charts[Measure.LENIENCY] = shift_chart(rated, team=usual_shift_of_others(person) or UsualShift(0.0, 1.0))
    return charts


def results_of(person: User) -> QuerySet[CheckResult]:
    return CheckResult.objects.filter(labeler=person).select_related(
        "turn", "item__check_set", "item__task__item__prompt"
    )


def results_page(person: User, *, after: str | None, week=None) -> Page:
    """Somebody's checks, newest first; those of the week that begins at the day `week` alone, where one is named."""
    rows = results_of(person)
    if week is not None:
        rows = rows.filter(answered_at__date__gte=week, answered_at__date__lt=week + timedelta(days=7))
    return keyset_page(rows, order=("-answered_at", "-turn"), after=after)


def results_csv(person: User) -> Iterator[list]:
    for row in results_of(person).order_by("-answered_at", "-turn").iterator(chunk_size=500):
        yield [
            person.username,
            row.item.check_set.name,
            str(row.item.task_id),
            row.turn.kind,
            row.answered_at.isoformat(timespec="seconds"),
            row.agreed,
            row.compared,
            row.same,
            row.same_of,
            row.ratings_agreed,
            row.ratings_compared,
            row.rating_shift,
            row.ratings_same,
            row.ratings_same_of,
            row.rating_moved,
            row.flags_agreed,
            row.flags_compared,
        ]


@dataclass(frozen=True)
class Beside:
    """One completion, and what each answer says of it: the labeler's first, then the researchers'; None where it says
    nothing."""

    text: str
    said: list[Judgment | None]

    @property
    def ranks(self) -> list[int | None]:
        return [judgment and judgment.rank for judgment in self.said]

    @property
    def ratings(self) -> list[int | None]:
        return [judgment and judgment.rating for judgment in self.said]


def get_result(turn_id: int) -> CheckResult:
    rows = CheckResult.objects.select_related(
        "turn", "labeler", "item__check_set", "item__task__item__prompt", "ranking"
    )
    result = rows.filter(pk=turn_id).first()
    if result is None:
        raise NotFound(_("There is no answer to a check with this number."))
    return result


def answers_beside(result: CheckResult) -> tuple[list[Ranking], list[Beside]]:
    """The answers (the labeler's, then each researcher's), and what they say of each completion, in the researchers'
    order, or of their ratings from the best."""
    order = [result.ranking_id, *result.item.rankings]
    found = Ranking.objects.select_related("labeler").in_bulk(order)
    answers = [found[pk] for pk in order if pk in found]
    places = {answer.pk: place for place, answer in enumerate(answers)}
    rows: dict[str, Beside] = {}
    for judgment in Judgment.objects.filter(ranking__in=list(places)).select_related("completion").order_by("id"):
        beside = rows.setdefault(
            judgment.completion.text_sha256, Beside(judgment.completion.text, [None] * len(answers))
        )
        beside.said[places[judgment.ranking_id]] = judgment
    return answers, sorted(
        rows.values(),
        key=lambda row: ([rank or 99 for rank in row.ranks[1:]], [-(rating or 0) for rating in row.ratings[1:]]),
    )


def item_rate(item: CheckItem) -> float | None:
    return item.agreed / item.compared if item.compared else None
