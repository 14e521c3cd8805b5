"""Check sets, results and alerts as the team sees them. No labeler's page asks for anything here."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Exists, FloatField, Max, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Cast, Now
from django.utils.translation import gettext as _

from labeling.checks.models import CheckAlert, CheckItem, CheckResult, CheckSet
from labeling.checks.statistics import Usual, Week, chart, usual_of_sums
from labeling.leasing.models import CheckTurn
from labeling.paging import Page, keyset_page
from labeling.people.models import User
from labeling.people.queries import team_settings
from labeling.rankings.models import Judgment, Ranking
from labeling.refusals import NotFound
from labeling.sampling.models import Batch

USUAL_DAYS = 180  # what the team's usual share is taken over
CHART_WEEKS = 104


def hidden_check(**who: Any) -> Exists:
    """Whether a ranking (by `task` and `labeler`) is an answer to a check that stays out of data sets."""
    exported = Q(kind=CheckTurn.Kind.GOLD, task__check_item__check_set__exported=True)
    return Exists(CheckTurn.objects.filter(**who).exclude(exported))


def get_set(set_id: uuid.UUID | str) -> CheckSet:
    try:
        return CheckSet.objects.select_related("created_by").get(pk=uuid.UUID(str(set_id)))
    except (ValueError, CheckSet.DoesNotExist):
        raise NotFound(_("There is no such check set.")) from None


def get_alert(alert_id: uuid.UUID | str) -> CheckAlert:
    try:
        return CheckAlert.objects.select_related("labeler", "acknowledged_by").get(pk=uuid.UUID(str(alert_id)))
    except (ValueError, CheckAlert.DoesNotExist):
        raise NotFound(_("There is no such alert.")) from None


def get_labeler(user_id: int) -> User:
    person = User.objects.filter(pk=user_id, role=User.Role.LABELER).first()
    if person is None:
        raise NotFound(_("There is no such labeler."))
    return person


def batches_for_sets() -> QuerySet[Batch]:
    """Batches of rankings that some researcher has worked on, the newest first."""
    ranked = Ranking.objects.filter(task__batch=OuterRef("pk"), group=User.Group.RESEARCHER)
    rows = Batch.objects.filter(kind=Batch.Kind.RANKING, repeat_of=None)
    return rows.filter(Exists(ranked)).order_by("-id")


def sets_page(*, after: str | None) -> Page:
    rows = CheckSet.objects.select_related("created_by").annotate(size=Count("items"))
    return keyset_page(rows, order=("-created_at", "-id"), after=after)


def items_page(held: CheckSet, *, after: str | None) -> Page:
    """The set's items, each with `answers` to it, and `agreed` of `compared` pairs."""
    sums = {"answers": Count("results"), "agreed": Sum("results__agreed"), "compared": Sum("results__compared")}
    rows = held.items.select_related("task__item__prompt").annotate(**sums)
    return keyset_page(rows, order=("id",), after=after)


def alerts_waiting() -> QuerySet[CheckAlert]:
    rows = CheckAlert.objects.filter(acknowledged_at=None).select_related("labeler")
    return rows.order_by("-created_at", "-id")


def alerts_page(*, after: str | None, waiting: bool = False, labeler: User | None = None) -> Page:
    rows = CheckAlert.objects.select_related("labeler", "acknowledged_by")
    if waiting:
        rows = rows.filter(acknowledged_at=None)
    if labeler is not None:
        rows = rows.filter(labeler=labeler)
    return keyset_page(rows, order=("-created_at", "-id"), after=after)


def labelers_page(*, after: str | None) -> Page:
    """Labelers who answered checks, by name, each with `answers`, `agreed` of `compared` pairs, and `last`, of
    USUAL_DAYS days."""
    recent = CheckResult.objects.filter(answered_at__gt=Now() - timedelta(days=USUAL_DAYS))
    people = User.objects.filter(Exists(recent.filter(labeler=OuterRef("pk"))))
    page = keyset_page(people, order=("username",), after=after)
    sums = recent.filter(labeler__in=[person.pk for person in page]).order_by().values("labeler")
    sums = sums.annotate(answers=Count("pk"), agreed=Sum("agreed"), compared=Sum("compared"), last=Max("answered_at"))
    by_labeler = {row["labeler"]: row for row in sums}
    for person in page:
        row = by_labeler[person.pk]
        person.answers, person.last = row["answers"], row["last"]
        person.agreed, person.compared = row["agreed"], row["compared"]
        person.rate = person.agreed / person.compared if person.compared else None
    return page


def usual_of_others(person: User) -> Usual | None:
    """What is usual of other people, or for a program of other programs; None where nobody else has answered."""
    program = Q(labeler__group=User.Group.SIMULATED)
    recent = CheckResult.objects.filter(answered_at__gt=Now() - timedelta(days=USUAL_DAYS)).exclude(labeler=person)
    a, n = Cast("agreed", FloatField()), Cast("compared", FloatField())
    sums = recent.filter(program if person.is_simulated else ~program).aggregate(
        agreed_sum=Sum(a), compared_sum=Sum(n), aa=Sum(a * a), an=Sum(a * n), nn=Sum(n * n)
    )
    if not sums["compared_sum"]:
        return None
    return usual_of_sums(sums["agreed_sum"], sums["compared_sum"], (sums["aa"], sums["an"], sums["nn"]))


def chart_of(person: User) -> list[Week]:
    """The control chart of somebody's last CHART_WEEKS weeks; empty before their first check was compared."""
    since = Now() - timedelta(weeks=CHART_WEEKS)
    rows = CheckResult.objects.filter(labeler=person, answered_at__gt=since, compared__gt=0)
    checks = list(rows.order_by("answered_at", "turn").values_list("answered_at", "agreed", "compared"))
    if not checks:
        return []
    level = team_settings().check_alert_percent / 100
    # Before anybody else has answered, what is asked for stands for what is usual.
    team = usual_of_others(person) or Usual(min(max(level, 0.01), 0.99), 1.0)
    return chart(
        [(answered.date(), agreed, compared) for answered, agreed, compared in checks],
        team=team,
        level=level,
    )


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
        ]


@dataclass(frozen=True)
class Beside:
    """One completion, and the rank that each answer gives it: the labeler's first, then the researchers'."""

    text: str
    ranks: list[int | None]


def get_result(turn_id: int) -> CheckResult:
    rows = CheckResult.objects.select_related(
        "turn", "labeler", "item__check_set", "item__task__item__prompt", "ranking"
    )
    result = rows.filter(pk=turn_id).first()
    if result is None:
        raise NotFound(_("There is no answer to a check with this number."))
    return result


def answers_beside(result: CheckResult) -> tuple[list[Ranking], list[Beside]]:
    """The answers (the labeler's, then each researcher's), and their ranks of each completion, in the researchers'
    order."""
    order = [result.ranking_id, *result.item.rankings]
    found = Ranking.objects.select_related("labeler").in_bulk(order)
    answers = [found[pk] for pk in order if pk in found]
    places = {answer.pk: place for place, answer in enumerate(answers)}
    rows: dict[str, Beside] = {}
    for judgment in Judgment.objects.filter(ranking__in=list(places)).select_related("completion").order_by("id"):
        beside = rows.setdefault(
            judgment.completion.text_sha256, Beside(judgment.completion.text, [None] * len(answers))
        )
        beside.ranks[places[judgment.ranking_id]] = judgment.rank
    return answers, sorted(rows.values(), key=lambda row: [rank or 99 for rank in row.ranks[1:]])


def item_rate(item: CheckItem) -> float | None:
    return item.agreed / item.compared if item.compared else None
