"""Erase what was said by a person, everywhere, and mark what was learned from it.

One transaction for each act: after it nothing of theirs is left in the database, before it everything. Locks are taken
in the order of the rest: exports are shut out, then written prompts, prompts, their source (no import goes on), leases,
and what is below them. The rows are locked FOR UPDATE, so that who is adding something below them is waited for.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.erasure.blanking import Blanking, past
from labeling.erasure.models import Answers, ErasedPrompt, Erasure, Retention
from labeling.exports import taint
from labeling.governance import deciding
from labeling.intake.models import ERASED, Prompt, RefusedPerson, Source, SourceUser
from labeling.intake.services import erased_key, person_key
from labeling.people.models import User
from labeling.refusals import Conflict, NotFound, Refusal
from labeling.text import check_text

log = structlog.get_logger(__name__)

REASON_CHARACTERS = 300
MOST_DAYS = 36_500
AT_ONCE = 100  # prompts a transaction, where their time is over
ATTEMPTS = 3  # where locks crossed, and the database ended this transaction for the other


class ErasedAlready(Conflict):
    """There is nothing left to erase."""

    code = "erased_already"


def read_reason(reason: Any) -> str:
    if not isinstance(reason, str) or not reason.strip() or len(reason) > REASON_CHARACTERS:
        raise Refusal(_("Say why in 1 to 300 characters, without naming anybody: this stays."))
    return check_text(reason, where=_("the reason")).strip()


def read_answers(answers: Any) -> str:
    if answers not in Answers.values:
        raise Refusal(_("Choose what becomes of the answers: {values}.").format(values=_(" or ").join(Answers.values)))
    return str(answers)


def get_source_user(*, source: str, user_id: str) -> SourceUser:
    """NotFound where the source or its user is not known here."""
    found = SourceUser.objects.select_related("source").filter(source__name=source, external_id=user_id).first()
    if found is None:
        raise NotFound(_("The source {source} has no user of this id here.").format(source=source[:100]))
    return found


def erase_person(*, source_user: SourceUser, answers: str, refuse: bool, reason: str, actor: User | None) -> Erasure:
    """Erase every prompt of a source user, what came of them, and who they are; the tombstone.

    `answers` says what becomes of answers to them (`Answers`), `refuse` whether intake takes nothing more of them.
    Raises ErasedAlready where that was done before, Refusal for a reason that is none.
    """
    reason, answers = read_reason(reason), read_answers(answers)
    return _again_where_locks_cross(
        partial(_erase_person, source_user.pk, answers=answers, refuse=bool(refuse), reason=reason, actor=actor)
    )


@transaction.atomic(durable=True)
def _erase_person(user_id: int, *, answers: str, refuse: bool, reason: str, actor: User | None) -> Erasure:
    taint.shut_out_exports()
    before = SourceUser.objects.select_related("source").get(pk=user_id)
    blanking, locked = _lock(before.source, lambda: Prompt.objects.filter(source_user=before))
    person = SourceUser.objects.select_for_update(no_key=True).get(pk=user_id)
    if _is_erased(person):
        raise ErasedAlready(_("This person was erased already; nothing of theirs is left."))
    key = person_key(source=before.source.name, user_id=person.external_id)
    erasure = Erasure(
        why=Erasure.Why.PERSON,
        source=before.source,
        source_user=person,
        person_key=key,
        answers=answers,
        refused=refuse,
        reason=reason,
        actor=actor,
    )
    _erase(erasure, blanking, locked)
    _scrub_imports(person.external_id)
    # The number keeps a second erasure apart, of what came in since.
    person.external_id = f"{ERASED}:{key}:{person.pk}"
    person.save(update_fields=["external_id"])
    if refuse:
        RefusedPerson.objects.get_or_create(key=key)
    record(
        actor=actor,
        action="person.erased",
        subject=erasure,
        source=before.source.name,
        answers=answers,
        refused=refuse,
        prompts=erasure.counts.get("prompt", 0),
        reason=reason,
    )
    return erasure


def erase_prompts(*, source: Source, prompts: Collection[uuid.UUID], answers: str, reason: str) -> Erasure | None:
    """Erase prompts of a source whose time is over; None where they were erased meanwhile."""
    return _again_where_locks_cross(partial(_erase_prompts, source, list(prompts), answers=answers, reason=reason))


@transaction.atomic(durable=True)
def _erase_prompts(source: Source, prompts: list[uuid.UUID], *, answers: str, reason: str) -> Erasure | None:
    taint.shut_out_exports()
    blanking, locked = _lock(source, lambda: Prompt.objects.filter(source=source, pk__in=prompts))
    if not locked:
        return None
    erasure = Erasure(why=Erasure.Why.RETENTION, source=source, answers=answers, reason=reason)
    _erase(erasure, blanking, locked)
    record(actor=None, action="prompts.expired", subject=erasure, source=source.name, prompts=len(locked))
    return erasure


@transaction.atomic(durable=True)
def set_retention(*, source: str, days: Any, answers: str, actor: User | None) -> Retention | None:
    """From now on prompts of the source are erased `days` after they came in; None: they are kept for ever.

    NotFound for a source that is not known here.
    """
    answers = read_answers(answers)
    if days is not None and (isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= MOST_DAYS):
        raise Refusal(
            _("Keep prompts for 1 to {most} days, or leave it empty to keep them for ever.").format(most=MOST_DAYS)
        )
    held = Source.objects.select_for_update(no_key=True).filter(name=source).first()
    if held is None:
        raise NotFound(_("There is no source of this name."))
    before = Retention.objects.filter(source=held).first()
    told = {"days": before.days if before else None, "answers": before.answers if before else None}
    if days is None:
        Retention.objects.filter(source=held).delete()
        kept = None
    else:
        changes = {"days": days, "answers": answers, "changed_at": Now()}
        kept, _made = Retention.objects.update_or_create(source=held, defaults=changes)
        kept.refresh_from_db()
    record(actor=actor, action="retention.set", subject=held, before=told, days=days, answers=answers)
    return kept


def erase_expired(*, most: int = 10_000) -> int:
    """Erase prompts past their source's time, AT_ONCE in a transaction, at most `most`; how many. For the clock: what
    is left, or was killed, is the next call's."""
    erased = 0
    for retention in Retention.objects.select_related("source").order_by("source"):
        while erased < most and (expired := _expired(retention, min(AT_ONCE, most - erased))):
            done = erase_prompts(
                source=retention.source,
                prompts=expired,
                answers=retention.answers,
                reason=f"Kept for {retention.days} days.",
            )
            if done is None:
                break
            erased += done.counts["prompt"]
    return erased


def _expired(retention: Retention, most: int) -> list[uuid.UUID]:
    over = Prompt.objects.filter(source=retention.source, created_at__lt=Now() - timedelta(days=retention.days))
    left = over.exclude(state=Prompt.State.ERASED).order_by("created_at", "pk")
    return list(left.values_list("pk", flat=True)[:most])


@transaction.atomic(durable=True)
def allow_again(*, source_user: SourceUser, actor: User | None) -> None:
    """Intake takes prompts of an erased person again. Nothing where it does."""
    erasure = Erasure.objects.filter(source_user=source_user).first()
    gone = RefusedPerson.objects.filter(key=erasure.person_key if erasure else "").delete()[0]
    if gone:
        record(actor=actor, action="person.allowed_again", subject=erasure)


def record_export(*, source_user: SourceUser, actor: User | None) -> None:
    """The line in the audit trail, before the first of their data leaves."""
    record(actor=actor, action="person.exported", subject=source_user, source=source_user.source.name)


def _is_erased(person: SourceUser) -> bool:
    return person.external_id.startswith(f"{ERASED}:")


def _lock(source: Source, chosen) -> tuple[Blanking, dict[uuid.UUID, str]]:
    """All that belongs to the `chosen` prompts that are not erased, locked; {prompt id: its text's hash}."""
    left = [Prompt.State.ACCEPTED, Prompt.State.HELD, Prompt.State.DROPPED]
    ids = list(chosen().filter(state__in=left).values_list("pk", flat=True))
    blanking = Blanking(ids)
    blanking.lock("labeling_writtenprompt", "written")
    blanking.lock("labeling_prompt", "prompt")
    Source.objects.select_for_update(no_key=True).get(pk=source.pk)
    # Nothing comes in any more; what did while this waited is nobody else's yet.
    locked = dict(chosen().filter(state__in=left).order_by("pk").values_list("pk", "text_sha256"))
    blanking = Blanking(locked)
    blanking.lock("labeling_writtenprompt", "written")
    blanking.lock("labeling_prompt", "prompt")
    blanking.lock("labeling_batchitem", "item")
    # As their labelers do: the open one before the one behind it.
    blanking.look()
    blanking.lock("labeling_lease", "lease", order="labeler_id, state = 'ahead', id")
    blanking.look()
    blanking.lock("labeling_question", "question")
    blanking.look()
    return blanking, locked


def _erase(erasure: Erasure, blanking: Blanking, prompts: dict[uuid.UUID, str]) -> None:
    counts = blanking.blank(answers=erasure.answers)
    with connection.cursor() as cursor, past(["prompt_text_is_read_only", "prompt_text_changes_by_redaction_alone"]):
        keys = [erased_key(digest) for digest in prompts.values()]
        cursor.execute(ERASE_PROMPTS, {"ids": list(prompts), "keys": keys, "word": ERASED})
    erasure.counts = {"prompt": len(prompts), **counts} if prompts else {}
    erasure.save(force_insert=True)
    ErasedPrompt.objects.bulk_create(ErasedPrompt(prompt_id=pk, erasure=erasure) for pk in prompts)
    # Their tasks are nobody's any more.
    deciding.follow(list(prompts))
    datasets = taint.mark_datasets(prompts=list(prompts), erasure_id=erasure.pk)
    transaction.on_commit(partial(taint.write_sidecars, datasets), robust=True)


ERASE_PROMPTS = """
    UPDATE labeling_prompt prompt
    SET state = 'erased', external_id = '', categories = '{}', text_sha256 = given.key,
        messages = (
            SELECT jsonb_agg(jsonb_build_object('role', turn -> 'role', 'content', %(word)s::text) ORDER BY place)
            FROM jsonb_array_elements(messages) WITH ORDINALITY one (turn, place)
        )
    FROM unnest(%(ids)s::uuid[], %(keys)s::text[]) given (id, key)
    WHERE prompt.id = given.id
"""


def _scrub_imports(user_id: str) -> None:
    """What was said of lines of theirs in any import, also where none went in: such a line names them."""
    if not user_id:
        return
    with connection.cursor() as cursor:
        for statement in (SCRUB_IMPORTS, SCRUB_JOBS):
            cursor.execute(statement, {"name": user_id, "word": ERASED})


SCRUB_IMPORTS = "UPDATE labeling_importproblem SET detail = %(word)s WHERE strpos(detail, %(name)s) > 0"
SCRUB_JOBS = """
    UPDATE labeling_job SET result = jsonb_set(result, '{problems}', (
        SELECT jsonb_agg(
            CASE WHEN strpos(line ->> 'detail', %(name)s) > 0
                THEN jsonb_set(line, '{detail}', to_jsonb(%(word)s::text)) ELSE line END ORDER BY place
        ) FROM jsonb_array_elements(result -> 'problems') WITH ORDINALITY one (line, place)
    ))
    WHERE kind = 'import_prompts' AND EXISTS (
        SELECT FROM jsonb_array_elements(
            CASE WHEN jsonb_typeof(result -> 'problems') = 'array' THEN result -> 'problems' ELSE '[]' END
        ) line WHERE strpos(line ->> 'detail', %(name)s) > 0
    )
"""


def _again_where_locks_cross(act):
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return act()
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", "") != "40P01" or attempt == ATTEMPTS:
                raise
            log.warning("erasure_begins_anew", attempt=attempt)
    raise AssertionError("unreachable")
