"""Reports as they were computed last: these read finished rows, and few of them."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import F
from django.utils.translation import gettext as _

from labeling.paging import Page, keyset_page
from labeling.people.models import User
from labeling.quality.models import QualityReport, QualityRun, QualityStanding
from labeling.quality.reports import KINDS
from labeling.quality.wording import Said, say
from labeling.refusals import NotFound, Refusal

MOST_COMPARED = 500  # labelers beside each other in one table


@dataclass(frozen=True)
class OnePerson:
    """What is known of one labeler: `standing` is None before the first computation after their first answer."""

    run: QualityRun | None
    standing: QualityStanding | None
    reports: list[Said]


def run_of(*, simulated: bool) -> QualityRun | None:
    """The latest computation; None before the first."""
    return QualityRun.objects.filter(simulated=simulated, read_at__isnull=False).first()


def standings(*, simulated: bool, after: str | None = None) -> Page:
    """Labelers, whoever needs a look first, each with `marks` (what stands out) and `skill`."""
    rows = QualityStanding.objects.filter(simulated=simulated).select_related("labeler")
    page = keyset_page(rows, order=("-attention", "id"), after=after)
    found = QualityReport.objects.filter(simulated=simulated, labeler__in=[row.labeler_id for row in page])
    said: dict[int, list[Said]] = {}
    for report in found.order_by("id"):
        if report.marked or report.kind == "skill":
            said.setdefault(report.labeler_id, []).append(say(report))
    for row in page:
        own = said.get(row.labeler_id, [])
        row.marks = [each for each in own if each.marked]
        row.agreement = next((each for each in own if each.report.kind == "skill"), None)
    return page


def team_reports(*, simulated: bool) -> list[Said]:
    """About all labelers together, in the order of the kinds."""
    return _in_order(QualityReport.objects.filter(simulated=simulated, labeler=None))


def reports_of(person: User) -> OnePerson:
    """About one labeler. A simulated one is compared with simulated ones."""
    found = QualityReport.objects.filter(simulated=person.is_simulated, labeler=person)
    return OnePerson(
        run=run_of(simulated=person.is_simulated),
        standing=QualityStanding.objects.filter(simulated=person.is_simulated, labeler=person).first(),
        reports=_in_order(found),
    )


def compared(kind: str, *, simulated: bool) -> list[QualityReport]:
    """One kind of report about everybody, the largest effect first, MOST_COMPARED at most."""
    check_kind(kind)
    rows = QualityReport.objects.filter(simulated=simulated, kind=kind, labeler__isnull=False).select_related("labeler")
    return list(rows.order_by(F("effect").desc(nulls_last=True), "labeler__username")[:MOST_COMPARED])


def all_reports(*, simulated: bool, labeler: User | None = None):
    """Every row there is, for a download."""
    rows = QualityReport.objects.filter(simulated=simulated).select_related("labeler")
    if labeler is not None:
        rows = rows.filter(labeler=labeler)
    return rows.order_by(F("labeler__username").asc(nulls_first=True), "id")


def check_kind(kind: str) -> str:
    if kind not in KINDS:
        raise Refusal(
            _("There is no report {kind!r}; choose among {kinds}.").format(kind=kind[:40], kinds=", ".join(KINDS))
        )
    return kind


def get_labeler(user_id: int) -> User:
    person = User.objects.filter(pk=user_id).first()
    if person is None:
        raise NotFound(_("There is no person with this number."))
    return person


def _in_order(rows) -> list[Said]:
    places = {kind: place for place, kind in enumerate(KINDS)}
    return [say(row) for row in sorted(rows, key=lambda row: places.get(row.kind, len(places))) if row.kind in KINDS]
