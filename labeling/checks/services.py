"""Make check sets, plan who gets which check when, compare the answers, raise alerts and take note of them.

The grant itself (`labeling.leasing`) knows of a check only that its turn waits. All of `keep_up` may run twice, late or
in two workers at once: each step asks what is not there yet, and constraints let one of two put it there.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Now
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from labeling.audit.services import record
from labeling.checks import queries
from labeling.checks.agreeing import Gold, Said, gold_of
from labeling.checks.agreeing import score as score_of
from labeling.checks.models import CheckAlert, CheckCopy, CheckItem, CheckResult, CheckSet, Measure
from labeling.checks.statistics import dips_of
from labeling.forms.built_in import DEFAULT as DEFAULT_FORM
from labeling.forms.models import Form
from labeling.forms.queries import newest_version
from labeling.leasing.models import CheckTurn, Task
from labeling.markdown import escape_markdown
from labeling.notices.services import TITLE_CHARACTERS, tell
from labeling.people.models import User
from labeling.people.queries import team_settings
from labeling.rankings.models import Judgment, Ranking
from labeling.refusals import Conflict, Refusal
from labeling.sampling.models import Batch, BatchItem
from labeling.text import check_text

NAME_CHARACTERS, NOTE_CHARACTERS = 100, 500
WORD_CHARACTERS = 2_000
MOST_ITEMS = 1000
MOST_TOLERANCE = 3  # points of 7: a rating further away is another judgment
GROUPS = (User.Group.TRAINING, User.Group.HELD_OUT, User.Group.SIMULATED)
WAITING = 3  # turns of one form that wait for a labeler at most
AT_ONCE = 500  # answers, or copies, that one look takes
# How long after it was served an answer to a check, or a correction of it, is looked for.
LOOKED_FOR = timedelta(days=60)


# Sets


@transaction.atomic(durable=True)
def make_set(
    *,
    name: Any,
    batch: Batch,
    groups: Collection[str],
    researchers: int = 1,
    tolerance: int = 1,
    exported: bool = False,
    actor: User,
) -> CheckSet:
    """A set of the tasks of `batch` that at least so many `researchers` have answered and, together, agree on: on some
    pair, or where its form asks for no order, on a rating, to `tolerance` points, or a flag. What all of them agree on
    is fixed here. From now on the tasks come to labelers of `groups`.

    Refusal where there is no such task. Tasks that are in a set already are left to that one.
    """
    name = check_text(name, where=_("the name")).strip() if isinstance(name, str) else ""
    if not 1 <= len(name) <= NAME_CHARACTERS:
        raise Refusal(_("Name the set in 1 to {most} characters.").format(most=NAME_CHARACTERS))
    if not groups or set(groups) - set(GROUPS):
        raise Refusal(
            _("A check set is for some of the groups {groups}; name at least one.").format(groups=", ".join(GROUPS))
        )
    if isinstance(researchers, bool) or not isinstance(researchers, int) or researchers < 1:
        raise Refusal(_("At least 1 researcher must have answered each item."))
    if isinstance(tolerance, bool) or not isinstance(tolerance, int) or not 0 <= tolerance <= MOST_TOLERANCE:
        raise Refusal(_("The tolerance of ratings is from 0 to {most} points.").format(most=MOST_TOLERANCE))
    if batch.kind != Batch.Kind.RANKING or batch.repeat_of_id:
        raise Refusal(
            _("A check set is made of rankings, pairs or ratings; choose a batch of that kind, and no repeat.")
        )
    items = _items_of(batch, researchers, tolerance)
    if not items:
        raise Refusal(
            _(
                "No task of this batch was answered by {researchers} researchers who agree on some pair, rating or "
                "flag of it. Have people of the group Researcher answer some of it first."
            ).format(researchers=researchers)
        )
    try:
        with transaction.atomic():
            made = CheckSet.objects.create(
                name=name,
                groups=sorted(set(groups)),
                exported=bool(exported),
                form=form_of(batch),
                tolerance=tolerance,
                created_by=actor,
            )
    except IntegrityError:
        raise Conflict(
            _("There is a check set called {name} already; choose another name.").format(name=name)
        ) from None
    for item in items:
        item.check_set = made
    CheckItem.objects.bulk_create(items)
    record(actor=actor, action="check_set.made", subject=made, name=name, batch=batch.pk, items=len(items))
    return made


def form_of(batch: Batch) -> Form | None:
    """The form of a batch; none for the default one."""
    return None if batch.form is None or batch.form.name == DEFAULT_FORM else batch.form


def _items_of(batch: Batch, researchers: int, tolerance: int) -> list[CheckItem]:
    answers = Ranking.objects.filter(
        task__batch=batch,
        task__check_item=None,
        task__item__prompt__state="accepted",
        group=User.Group.RESEARCHER,
        outcome=Ranking.Outcome.RANKED,
        replaced_by=None,
    )
    by_task: dict[uuid.UUID, list[Ranking]] = {}
    rows = answers.select_related("form_version").order_by("task_id", "created_at", "id")
    for answer in rows.iterator(chunk_size=AT_ONCE):
        if answer.task_id not in by_task and len(by_task) == MOST_ITEMS:
            break
        by_task.setdefault(answer.task_id, []).append(answer)
    found = {task: answers for task, answers in by_task.items() if len(answers) >= researchers}
    said = said_in([answer for answers in found.values() for answer in answers])
    ordered = newest_version(batch.form_id).definition["order"] != "none"
    items = []
    for task, given in found.items():
        gold = gold_of([said[answer.pk] for answer in given], tolerance=tolerance)
        # Where an order is asked for it is what is measured first.
        if gold.pairs or not ordered and (gold.ratings or gold.flags):
            items.append(
                CheckItem(
                    task_id=task,
                    pairs=sorted(gold.pairs),
                    ratings=gold.ratings,
                    flags=gold.flags,
                    rankings=[answer.pk for answer in given],
                )
            )
    return items


def said_in(rankings: Collection[Ranking]) -> dict[uuid.UUID, Said]:
    """What each ranking, loaded with its form's version, says of each completion, by its text."""
    said = {ranking.pk: Said() for ranking in rankings}
    asked = {ranking.pk: _flags_asked(ranking) for ranking in rankings}
    rows = Judgment.objects.filter(ranking__in=said).values_list(
        "ranking", "completion__text_sha256", "rank", "rating", "flags"
    )
    for ranking, text, rank, rating, flags in rows:
        said[ranking].ranks[text] = rank
        if rating is not None:
            said[ranking].ratings[text] = rating
        if asked[ranking]:
            said[ranking].flags[text] = {name: name in flags for name in asked[ranking]}
    return said


def _flags_asked(ranking: Ranking) -> list[str]:
    """The flags of completions that the answer was asked for. None of one that says it could not judge, and of one from
    elsewhere: there a flag that is not set says nothing."""
    if ranking.form_version is None or ranking.outcome != Ranking.Outcome.RANKED:
        return []
    return [field["name"] for field in ranking.form_version.definition["completion"] if field["kind"] == "flag"]


@transaction.atomic(durable=True)
def switch_set(*, set_id: uuid.UUID | str, active: bool, actor: User) -> CheckSet:
    """From now on the set's items come to labelers, or none more. What was served is answered and counted all the
    same."""
    held = CheckSet.objects.select_for_update(no_key=True).get(pk=queries.get_set(set_id).pk)
    if held.active != active:
        held.active = active
        held.save(update_fields=["active"])
        record(actor=actor, action="check_set.switched", subject=held, active=active)
    return held


# Plans

# Of turns that wait, those that came to be for nothing. Who serves one locks it first, and what was served stays.
DROP = """
    DELETE FROM labeling_checkturn turn USING labeling_user person, labeling_task task
        JOIN labeling_batchitem item ON item.id = task.item_id
        JOIN labeling_prompt prompt ON prompt.id = item.prompt_id
        LEFT JOIN labeling_checkcopy copied ON copied.task_id = task.id
        JOIN labeling_checkitem checked
            ON checked.id = copied.item_id OR copied.id IS NULL AND checked.task_id = task.id
        JOIN labeling_checkset held ON held.id = checked.check_set_id
    WHERE turn.served_at IS NULL AND person.id = turn.labeler_id AND task.id = turn.task_id AND (
        NOT held.active OR NOT person.is_active OR person.onboarding = 'probation'
        OR NOT held.groups @> ARRAY[person."group"]
        OR prompt.state <> 'accepted' OR prompt.categories && person.opted_out OR turn.kind = 'gold' AND EXISTS (
            SELECT FROM labeling_batchitem other
            JOIN labeling_task earlier ON earlier.item_id = other.id AND earlier.kind = task.kind
            JOIN labeling_lease had ON had.task_id = earlier.id AND had.labeler_id = turn.labeler_id
            WHERE other.prompt_id = item.prompt_id
        )
    )
"""
# What a task asks, as `CheckSet.form` has it.
FORM = """
    nullif(batch.form_id, (SELECT usual.id FROM labeling_form usual WHERE usual.name = %(form)s))
"""
# Who worked lately and has room for turns, once for each form that sets ask by: a turn waits for a task of its form,
# which may be long in coming. Nobody's first task is a check, and probation has tasks of its own.
AT_WORK = f"""
    SELECT person.id, person."group", person.opted_out, asked.form_id, waiting.room
    FROM labeling_user person
    CROSS JOIN (SELECT DISTINCT form_id FROM labeling_checkset WHERE active) asked, LATERAL (
        SELECT %(waiting)s - count(*) AS room
        FROM labeling_checkturn turn
        JOIN labeling_task task ON task.id = turn.task_id
        JOIN labeling_batch batch ON batch.id = task.batch_id
        WHERE turn.labeler_id = person.id AND turn.served_at IS NULL AND {FORM} IS NOT DISTINCT FROM asked.form_id
    ) waiting
    WHERE person.is_active AND person.role = 'labeler' AND person.onboarding <> 'probation' AND waiting.room > 0
        AND EXISTS (
        SELECT FROM labeling_lease lately
        WHERE lately.labeler_id = person.id AND lately.granted_at > now() - interval '1 day'
    )
"""
# To each the items in an order of their own, so that no two labelers can tell each other what comes.
PLAN_GOLD = f"""
    INSERT INTO labeling_checkturn (task_id, labeler_id, kind)
    SELECT new.task_id, person.id, 'gold'
    FROM ({AT_WORK}) person, LATERAL (
        SELECT checked.task_id
        FROM labeling_checkset held
        JOIN labeling_checkitem checked ON checked.check_set_id = held.id
        JOIN labeling_task task ON task.id = checked.task_id
        JOIN labeling_batchitem item ON item.id = task.item_id
        JOIN labeling_prompt prompt ON prompt.id = item.prompt_id
        WHERE held.active AND held.groups @> ARRAY[person."group"] AND held.form_id IS NOT DISTINCT FROM person.form_id
            AND prompt.state = 'accepted' AND NOT prompt.categories && person.opted_out
            AND NOT EXISTS (
                SELECT FROM labeling_checkturn turn WHERE turn.task_id = task.id AND turn.labeler_id = person.id
            )
            AND NOT EXISTS (
                SELECT FROM labeling_batchitem other
                JOIN labeling_task earlier ON earlier.item_id = other.id AND earlier.kind = task.kind
                JOIN labeling_lease had ON had.task_id = earlier.id AND had.labeler_id = person.id
                WHERE other.prompt_id = item.prompt_id
            )
        ORDER BY md5(person.id::text || checked.task_id::text)
        LIMIT person.room
    ) new
    ON CONFLICT DO NOTHING
"""
# (labeler, item, which time): what somebody answered last so long ago that it may come again.
DUE_AGAIN = f"""
    SELECT person.id, due.item_id, due.times + 1
    FROM ({AT_WORK}) person, LATERAL (
        SELECT result.item_id, max(result.answered_at) AS answered_at, count(*) AS answers, (
            SELECT count(*) FROM labeling_checkturn turn
            WHERE turn.labeler_id = person.id AND turn.task_id IN (
                SELECT checked.task_id
                UNION ALL SELECT copied.task_id FROM labeling_checkcopy copied WHERE copied.item_id = checked.id
            )
        ) AS times
        FROM labeling_checkresult result
        JOIN labeling_checkitem checked ON checked.id = result.item_id
        JOIN labeling_checkset held ON held.id = checked.check_set_id
        WHERE result.labeler_id = person.id AND held.active AND held.groups @> ARRAY[person."group"]
            AND held.form_id IS NOT DISTINCT FROM person.form_id
        GROUP BY result.item_id, checked.id
    ) due
    -- As many turns as answers: none waits, is being answered, or was skipped.
    WHERE due.answered_at <= now() - %(days)s * interval '1 day' AND due.times = due.answers
    ORDER BY due.answered_at
    LIMIT %(most)s
"""


def keep_up() -> dict[str, int]:
    """Plan turns, compare what was answered, raise alerts; how many of each."""
    scored, labelers = score()
    return {"planned": plan_turns(), "scored": scored, "alerts": raise_alerts(labelers)}


@transaction.atomic
def plan_turns() -> int:
    """Turns for who works; how many are new. At most WAITING of each form wait for a person, anchors before items never
    seen."""
    # Most installations have no set, and this is asked for often.
    if not CheckSet.objects.exists():
        return 0
    with connection.cursor() as cursor:
        cursor.execute(DROP)
        days = team_settings().check_anchor_days
        asked = {"waiting": WAITING, "days": days, "most": AT_ONCE, "form": DEFAULT_FORM}
        cursor.execute(DUE_AGAIN, asked)
        planned = sum(_plan_again(*row) for row in cursor.fetchall())
        cursor.execute(PLAN_GOLD, asked)
        return planned + cursor.rowcount


def _plan_again(labeler: int, item_id: int, times: int) -> bool:
    own, copied = "task__check_item__check_set", "task__check_copy__item__check_set"
    waiting = CheckTurn.objects.filter(labeler=labeler, served_at=None).annotate(set=Coalesce(own, copied))
    form = CheckSet.objects.values_list("form", flat=True).get(items=item_id)
    if waiting.filter(set__in=CheckSet.objects.filter(form=form).values("pk")).count() >= WAITING:
        return False
    task = _copy_of(item_id, times)
    return CheckTurn.objects.get_or_create(task=task, labeler_id=labeler, defaults={"kind": CheckTurn.Kind.ANCHOR})[1]


def _copy_of(item_id: int, times: int) -> Task:
    """The task in which an item comes for the so manieth time, made at its first use. Its batch is closed: a turn
    alone leads there."""
    copy = CheckCopy.objects.filter(item=item_id, round=times).select_related("task").first()
    if copy is not None:
        return copy.task
    # The set's lock lets one worker at a time make copies.
    item = CheckItem.objects.select_related("task__batch", "task__item").get(pk=item_id)
    held = CheckSet.objects.select_for_update(no_key=True).get(pk=item.check_set_id)
    if copy := CheckCopy.objects.filter(item=item_id, round=times).select_related("task").first():
        return copy.task
    source, old = item.task.batch, item.task.item
    batch, _made = Batch.objects.get_or_create(
        name=f"{held.name[:70]} · {held.pk.hex[:8]} · {times}",
        defaults={
            "kind": source.kind,
            "state": Batch.State.CLOSED,
            "form": source.form,
            "groups": held.groups,
            "again": True,
            "repeat_of": source,
        },
    )
    copied = BatchItem.objects.create(batch=batch, prompt_id=old.prompt_id, k=old.k, state=BatchItem.State.FILLED)
    for completion in old.completions.exclude(marks__state="withheld").order_by("id"):
        provenance = list(completion.provenance.order_by("id"))
        completion.pk, completion.item = uuid.uuid4(), copied
        completion.save(force_insert=True)
        for written in provenance:
            written.pk, written.completion = None, completion
            written.save(force_insert=True)
    task = Task.objects.create(item=copied, batch=batch, kind=batch.kind)
    CheckCopy.objects.create(item=item, round=times, task=task)
    return task


# Results


def score() -> tuple[int, set[int]]:
    """Compare answers that came in since, and corrections; how many, and whose."""
    done, labelers = 0, set()
    while found := _score_some():
        done += len(found)
        labelers |= found_labelers(found)
        if len(found) < AT_ONCE:
            break
    return done, labelers


def found_labelers(results: Collection[CheckResult]) -> set[int]:
    return {result.labeler_id for result in results}


@transaction.atomic
def _score_some() -> list[CheckResult]:
    answers = Ranking.objects.filter(task=OuterRef("task"), labeler=OuterRef("labeler"), replaced_by=None)
    turns = (
        CheckTurn.objects.filter(served_at__gt=Now() - LOOKED_FOR)
        .annotate(answer=Subquery(answers.values("pk")[:1]))
        .filter(Q(result=None) | ~Q(result__ranking=F("answer")), answer__isnull=False)
        .select_related("task__check_item__check_set", "task__check_copy__item__check_set")
        .order_by("served_at", "id")
    )
    turns = list(turns[:AT_ONCE])
    given = Ranking.objects.select_related("form_version").in_bulk([turn.answer for turn in turns])
    said = said_in(given.values())
    return [_score(turn, given[turn.answer], said[turn.answer]) for turn in turns]


def _score(turn: CheckTurn, answer: Ranking, said: Said) -> CheckResult:
    item = item_of(turn)
    tolerance = item.check_set.tolerance
    gold = Gold({tuple(pair) for pair in item.pairs}, item.ratings, item.flags)
    found, again = score_of(said, gold, tolerance=tolerance), None
    if turn.kind == CheckTurn.Kind.ANCHOR:
        before = CheckResult.objects.filter(item=item, labeler=turn.labeler_id).exclude(turn=turn.pk)
        earlier = before.order_by("-answered_at").values_list("ranking", flat=True).first()
        if earlier is not None:
            rows = Ranking.objects.select_related("form_version").filter(pk=earlier)
            again = score_of(said, gold_of([said_in(rows)[earlier]], tolerance=0), tolerance=tolerance)
    first = Ranking.objects.filter(lease=answer.lease_id, revision=1).values_list("created_at", flat=True).get()
    result, _made = CheckResult.objects.update_or_create(
        turn=turn,
        defaults={
            "item": item,
            "labeler_id": turn.labeler_id,
            "ranking": answer,
            "agreed": found.agreed,
            "compared": found.compared,
            "same": again and again.agreed,
            "same_of": again and again.compared,
            "ratings_agreed": found.ratings_agreed,
            "ratings_compared": found.ratings_compared,
            "rating_shift": found.shift,
            "ratings_same": again and again.ratings_agreed,
            "ratings_same_of": again and again.ratings_compared,
            "rating_moved": again and again.shift,
            "flags_agreed": found.flags_agreed,
            "flags_compared": found.flags_compared,
            # A correction stays in the week of its answer.
            "answered_at": first,
        },
    )
    return result


def item_of(turn: CheckTurn) -> CheckItem:
    return turn.task.check_copy.item if hasattr(turn.task, "check_copy") else turn.task.check_item


# Alerts


def raise_alerts(labelers: Collection[int]) -> int:
    """An alert for each dip of these labelers that reaches into this week or the last one, and has none; how many."""
    return sum(_raise_alerts(person) for person in User.objects.filter(pk__in=labelers))


@transaction.atomic
def _raise_alerts(person: User) -> int:
    today = timezone.now().date()
    recent = today - timedelta(days=today.weekday() + 7)
    raised = 0
    for measure, weeks in queries.charts_of(person).items():
        for dip in dips_of(weeks):
            first, last = dip.weeks[0], dip.weeks[-1]
            known = CheckAlert.objects.filter(labeler=person, measure=measure)
            if last.week < recent or known.filter(week__gte=first.week, week__lte=last.week).exists():
                continue
            above = measure == Measure.LENIENCY and first.shift > first.usual
            alert, made = CheckAlert.objects.get_or_create(
                labeler=person,
                measure=measure,
                week=first.week,
                defaults={
                    "reasons": list(first.reasons),
                    "agreed": first.agreed,
                    "compared": first.compared,
                    "usual": first.usual,
                    "limit": first.upper if above else first.limit,
                    "shift": first.shift,
                },
            )
            raised += made
            if made and not person.is_simulated:
                _tell_admins(alert)
    return raised


def _tell_admins(alert: CheckAlert) -> None:
    """A message to each admin, in their language, with the way to the items; once for each alert."""
    name = escape_markdown(alert.labeler.name)
    items = f"{reverse('check-person', args=[alert.labeler_id])}?week={alert.week.isoformat()}#checks-list"
    for admin in User.objects.filter(role=User.Role.ADMIN, is_active=True).order_by("pk"):
        with override(admin.language or settings.LANGUAGE_CODE):
            title = _("Hidden checks that changed: {name}").format(name=alert.labeler.name)
            text = _(
                "What {name} answers to hidden checks changed in the week from {week}. Look at [the items behind "
                "it]({items}) before anything else: it is a reason to look, and no verdict. They were told nothing."
            ).format(name=name, week=alert.week.isoformat(), items=items)
            tell(person=admin, title=title[:TITLE_CHARACTERS], text=text, key=f"check-alert:{alert.pk}:{admin.pk}")


@transaction.atomic(durable=True)
def tell_labeler(*, alert_id: uuid.UUID | str, text: Any, actor: User) -> CheckAlert:
    """An admin sends the labeler a word, `queries.kind_word` or what they made of it. Nothing of checks is in it unless
    they write it. Conflict where somebody has sent one, or nobody can read it."""
    text = check_text(text, where=_("the message")).replace("\r\n", "\n").strip() if isinstance(text, str) else ""
    if not 1 <= len(text) <= WORD_CHARACTERS:
        raise Refusal(_("Say something to them in 1 to {most} characters.").format(most=WORD_CHARACTERS))
    alert = CheckAlert.objects.select_for_update(no_key=True).get(pk=queries.get_alert(alert_id).pk)
    if alert.told_id is not None:
        raise Conflict(_("They were sent a word about this already."))
    labeler = alert.labeler
    if not labeler.is_active or labeler.is_simulated:
        raise Conflict(_("Who this is about does not read messages here."))
    with override(labeler.language or settings.LANGUAGE_CODE):
        title = _("A word from your team")
    notice = tell(person=labeler, title=title, text=text, key=f"check-alert:{alert.pk}", author=actor)
    CheckAlert.objects.filter(pk=alert.pk).update(told=notice)
    record(actor=actor, action="check_alert.told", subject=alert, labeler=alert.labeler_id, message=notice.pk)
    return queries.get_alert(alert.pk)


@transaction.atomic(durable=True)
def acknowledge(*, alert_id: uuid.UUID | str, note: Any, actor: User) -> CheckAlert:
    """Somebody has looked, and says in `note` what came of it. Conflict where somebody has already."""
    note = check_text(note, where=_("the note")).strip() if isinstance(note, str) else ""
    if not 1 <= len(note) <= NOTE_CHARACTERS:
        raise Refusal(_("Say in 1 to {most} characters what you found or did.").format(most=NOTE_CHARACTERS))
    alert = CheckAlert.objects.select_for_update(no_key=True).get(pk=queries.get_alert(alert_id).pk)
    if alert.acknowledged_at is not None:
        raise Conflict(_("This alert was acknowledged already; its note is beside it."))
    CheckAlert.objects.filter(pk=alert.pk).update(acknowledged_by=actor, acknowledged_at=Now(), note=note)
    record(actor=actor, action="check_alert.acknowledged", subject=alert, labeler=alert.labeler_id, note=note)
    return queries.get_alert(alert.pk)
