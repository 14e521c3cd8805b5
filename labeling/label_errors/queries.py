"""The state of the search, what waits to be looked at, and what was found."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.utils.translation import gettext as _

from labeling.background.models import Job
from labeling.intake.models import Prompt
from labeling.label_errors.models import ErrorDraw, ErrorItem, ErrorVerdict, SecondLook, Suspicion, SuspicionState
from labeling.leasing.models import CheckTurn, Lease
from labeling.paging import Page, keyset_page, read_cursor, write_cursor
from labeling.people.models import User
from labeling.rankings.models import Ranking
from labeling.refusals import NotAllowed, NotFound
from labeling.sampling.models import Completion

JOB = "find_label_errors"
PAGE = 50
COUNTS = {
    "answers": Count("pk"),
    "with_colleagues": Count("pk", filter=Q(compared__gt=0)),
    "with_model": Count("pk", filter=Q(checkpoint__isnull=False)),
}
SOMETHING_KNOWN = Q(compared__gt=0) | Q(opposite__isnull=False)
NO_FIGURES = dict.fromkeys(COUNTS, 0)


def state() -> SuspicionState:
    """The state row, or what it says before there is one."""
    return SuspicionState.objects.select_related("checkpoint").first() or SuspicionState()


def current_model_id() -> uuid.UUID | None:
    return SuspicionState.objects.values_list("checkpoint", flat=True).first()


def figures(*, simulated: bool) -> dict[str, int]:
    """How many answers can be judged, and by what, as of the last look."""
    return {**NO_FIGURES, **state().figures.get("simulated" if simulated else "people", {})}


def last_job() -> Job | None:
    """The latest look that somebody or the scheduler asked for."""
    return Job.objects.filter(kind=JOB).order_by("-created_at").first()


def behind_model(*, simulated: bool) -> QuerySet[Suspicion]:
    """Answers in which the current model's scores are not. Two ends of an index instead of "is distinct from"."""
    current = current_model_id()
    other = Q(checkpoint=None) | Q(checkpoint__lt=current) | Q(checkpoint__gt=current)
    rows = Suspicion.objects.filter(other)
    return rows if simulated else rows.filter(simulated=False)


def suspicious_page(*, simulated: bool, after: str | None) -> Page:
    """Answers that nobody was given to look at, the most suspicious first."""
    rows = Suspicion.objects.filter(simulated=simulated, drawn=False).select_related("checkpoint")
    if after:
        score, pk = read_cursor(after, [float, uuid.UUID])
        rows = rows.filter(score__lte=score).filter(Q(score__lt=score) | Q(ranking__gt=pk))
    found = list(rows.order_by("-score", "ranking")[: PAGE + 1])
    more = len(found) > PAGE
    last = found[PAGE - 1] if more else None
    return Page(items=found[:PAGE], next=write_cursor([repr(last.score), str(last.pk)]) if last else None)


# Looking


def waiting_items() -> QuerySet[ErrorItem]:
    """What is to be looked at, in its order. An answer that its labeler has corrected is not."""
    return ErrorItem.objects.filter(judged_at=None, ranking__replaced_by=None).order_by("draw", "position")


def waiting_for(reviewer: User) -> int:
    """How many answers wait that `reviewer` may look at; at most a thousand are counted."""
    return waiting_items().exclude(ranking__labeler=reviewer)[:1000].count()


def get_item(item_id: uuid.UUID | str) -> ErrorItem:
    try:
        return ErrorItem.objects.select_related(
            *("draw", "claimed_by", "checkpoint", "ranking__labeler", "ranking__task__batch"),
            "ranking__task__item__prompt",
        ).get(pk=uuid.UUID(str(item_id)))
    except (ValueError, ErrorItem.DoesNotExist):
        raise NotFound(_("There is no answer with this id to look at.")) from None


@dataclass(frozen=True)
class Ranked:
    """One completion as the labeler ranked it. `letter` names it on the page; `marks` are numbers of suspect pairs."""

    id: str
    text: str
    rank: int
    letter: str
    marks: list[int]


@dataclass(frozen=True)
class Looked:
    """An answer as who looks at it sees it: nothing of who gave it, which models wrote, or why it is here."""

    item: ErrorItem
    messages: list[dict]
    completions: list[Ranked]
    # (number, the better by the labeler, the worse)
    pairs: list[tuple[int, Ranked, Ranked]]
    verdict: ErrorVerdict | None
    # What became of it at its labeler's, and the letters in the order of the correction, best first, ties together.
    second_look: SecondLook | None = None
    corrected: list[list[str]] | None = None


def look_at(item: ErrorItem, *, reviewer: User) -> Looked:
    """The answer as `reviewer` may see it. NotAllowed before it is judged, for all but the one who holds it."""
    if item.judged_at is None and item.claimed_by_id != reviewer.pk:
        raise NotAllowed(_("This answer waits for somebody else; take the next one from “Label errors”."))
    judged = item.ranking.judgments.exclude(rank=None).values_list("completion", "rank")
    texts = dict(Completion.objects.filter(pk__in=[pk for pk, _rank in judged]).values_list("pk", "text"))
    marks: dict[str, list[int]] = {}
    for number, pair in enumerate(item.pairs, 1):
        for pk in pair:
            marks.setdefault(pk, []).append(number)
    ordered = sorted(judged, key=lambda each: (each[1], each[0]))
    completions = [
        Ranked(str(pk), texts[pk], rank, chr(ord("A") + place), marks.get(str(pk), []))
        for place, (pk, rank) in enumerate(ordered)
    ]
    by_id = {each.id: each for each in completions}
    pairs = [(number, by_id[better], by_id[worse]) for number, (better, worse) in enumerate(item.pairs, 1)]
    said = item.verdicts.order_by("-revision").first()
    look = asked_before(item)
    corrected = _tiers_of(look.answer, by_id) if look and look.answer_id else None
    return Looked(item, item.ranking.task.item.messages, completions, pairs, said, look, corrected)


def _tiers_of(answer: Ranking, by_id: dict[str, Ranked]) -> list[list[str]]:
    tiers: dict[int, list[str]] = {}
    for pk, rank in answer.judgments.exclude(rank=None).values_list("completion", "rank"):
        if str(pk) in by_id:
            tiers.setdefault(rank, []).append(by_id[str(pk)].letter)
    return [sorted(tiers[rank]) for rank in sorted(tiers)]


def draws_page(*, after: str | None) -> Page:
    """Draws, newest first, each with `answers` and `judged`."""
    rows = ErrorDraw.objects.select_related("created_by", "checkpoint").annotate(
        answers=Count("items"), judged=Count("items", filter=Q(items__judged_at__isnull=False))
    )
    return keyset_page(rows, order=("-id",), after=after, size=10)


def judged_page(*, after: str | None, sent_back: bool = False) -> Page:
    """What was looked at, or of it what was `sent_back`, the latest first, each with `said`, the verdict in force, and
    `look`, its second look."""
    rows = ErrorItem.objects.filter(judged_at__isnull=False).select_related("claimed_by", "ranking__task", "checkpoint")
    if sent_back:
        rows = rows.filter(pk__in=_not_withdrawn().values("item"))
    page = keyset_page(rows, order=("-judged_at", "-id"), after=after, size=30)
    pks = [item.pk for item in page]
    said = {verdict.item_id: verdict for verdict in in_force().filter(item__in=pks)}
    looks = {look.item_id: look for look in _not_withdrawn().filter(item__in=pks)}
    for item in page:
        item.said, item.look = said[item.pk], looks.get(item.pk)
    return page


def _not_withdrawn() -> QuerySet[SecondLook]:
    return SecondLook.objects.exclude(state=SecondLook.State.WITHDRAWN)


# What was found


def in_force() -> QuerySet[ErrorVerdict]:
    return ErrorVerdict.objects.filter(replaced_by=None)


def errors_found(*, until: datetime | None = None) -> QuerySet[ErrorVerdict]:
    """Verdicts of error in force now, or as things stood at `until`."""
    verdicts = ErrorVerdict.objects.filter(verdict=ErrorVerdict.Verdict.ERROR)
    if until is None:
        return verdicts.filter(replaced_by=None)
    newer = Q(replaced_by=None) | Q(replaced_by__created_at__gt=until)
    return verdicts.filter(newer, created_at__lte=until)


def errors_of_ranking(*, until: datetime | None = None) -> QuerySet[ErrorVerdict]:
    """For `Exists` on rankings: that somebody found an error in it."""
    return errors_found(until=until).filter(item__ranking=OuterRef("pk"))


def programs_looked_at() -> bool:
    """Whether any answer of a simulated labeler was looked at."""
    return ErrorItem.objects.filter(draw__simulated=True, judged_at__isnull=False).exists()


def verdict_rows() -> Iterator[list[Any]]:
    """A row for every verdict, all revisions, in the order in which they were given; see VERDICT_COLUMNS."""
    look = _not_withdrawn().filter(item=OuterRef("item"))
    rows = ErrorVerdict.objects.order_by("created_at", "id").annotate(
        look=Subquery(look.values("state")), look_ended_at=Subquery(look.values("ended_at"))
    )
    rows = rows.values_list(
        "item__ranking",
        "item__draw",
        "item__position",
        "item__suspicious",
        "item__random",
        "item__score",
        "item__checkpoint__name",
        "verdict",
        "note",
        "reviewer__username",
        "revision",
        "created_at",
        "look",
        "look_ended_at",
    )
    return (list(row) for row in rows.iterator(chunk_size=1000))


VERDICT_COLUMNS = (
    *("ranking", "draw", "position", "suspicious", "random", "suspicion", "reward_model"),
    *("verdict", "note", "reviewer", "revision", "created_at", "second_look", "second_look_ended_at"),
)


def looked_at(*, simulated: bool) -> QuerySet:
    """(prompt, model, judged_at, suspicious, random, verdict, revision) of all that was looked at."""
    rows = in_force() if simulated else in_force().filter(item__draw__simulated=False)
    return rows.annotate(prompt=F("item__ranking__task__item__prompt")).values_list(
        "prompt",
        "item__checkpoint__name",
        "item__judged_at",
        "item__suspicious",
        "item__random",
        "verdict",
        "revision",
    )


# Second looks


def why_no_second_look(item: ErrorItem) -> str | None:
    """A sentence on why the answer is not sent back to its labeler; None where it can be."""
    answer = item.ranking
    if not errors_found().filter(item=item).exists():
        return _("Only an answer in which somebody found an error is sent back.")
    if asked_before(item):
        return _("This answer was sent back already.")
    if answer.group == User.Group.SIMULATED or answer.origin != Ranking.Origin.WORKBENCH:
        return _("This answer comes from a program or from elsewhere: nobody here can look at it again.")
    if not answer.labeler.is_active:
        return _("Who gave this answer does not work here any more.")
    if Ranking.objects.filter(replaces=answer).exists():
        return _("Its labeler has corrected this answer since.")
    batch, prompt = answer.task.batch, answer.task.item.prompt
    check = CheckTurn.objects.filter(task=answer.task_id, labeler=answer.labeler_id).exists()
    if answer.adjudicates or check or batch.evaluation or batch.probation or batch.repeat_of_id or batch.screening:
        return _("This answer measures somebody or something, or decides; looking again would change what it says.")
    if prompt is not None and prompt.state != Prompt.State.ACCEPTED:
        return _("The prompt was taken back since: nobody is shown it.")
    return None


def asked_before(item: ErrorItem) -> SecondLook | None:
    """The second look at this answer that was not taken back."""
    return _not_withdrawn().select_related("answer").filter(item=item).first()


def waiting_looks_of(labeler: User) -> QuerySet[SecondLook]:
    """What waits for `labeler`, the longest waiting first. From the index of what waits for them."""
    leases = Lease.objects.filter(labeler=labeler.pk, sent_back=True)
    shown = Q(lease__task__item__prompt__state=Prompt.State.ACCEPTED)
    waiting = SecondLook.objects.filter(shown, lease__in=leases, state=SecondLook.State.WAITING)
    return waiting.select_related("lease__task__item__prompt").order_by("asked_at", "id")


def waiting_look_at(lease: Lease) -> SecondLook | None:
    """The second look that waits at the labeler's own lease."""
    return SecondLook.objects.filter(lease=lease, state=SecondLook.State.WAITING).first() if lease.sent_back else None


def look_counts() -> dict[str, int]:
    """How many answers were sent back, by what came of it."""
    counts = dict(SecondLook.objects.order_by().values_list("state").annotate(Count("pk")))
    by_state = {state: counts.get(state, 0) for state in ("waiting", "kept", "corrected")}
    return {"asked": sum(by_state.values()), **by_state}
