"""The gate before sampling: imports with duplicates, caps and the personal-data filter, and people's decisions."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from labeling.audit import services as audit
from labeling.governance import deciding, personal_data
from labeling.governance.models import Decision, Finding
from labeling.governance.policies import DROP, HOLD, REDACT, Rules, Verdict, current_gate, current_rules
from labeling.intake.models import Import, ImportProblem, Prompt, RefusedPerson, Source, SourceUser
from labeling.intake.reading import Problem
from labeling.intake.services import (
    AGREED,
    NewPrompt,
    erased_key,
    person_key,
    read_prompt,
    salt_fingerprint,
    split_of,
)
from labeling.refusals import Conflict
from labeling.text import check_text

CHUNK = 500  # rows a transaction: what a kill can undo, and how long a source's row stays locked
PROBLEMS_TOLD = 100  # of a summary
PERSONAL_DATA = "personal_data"


@dataclass(frozen=True)
class Outcome:
    """What became of one line. `prompt_id` is the stored prompt, for duplicates the one that was there before."""

    line: int
    problem: Problem | None = None
    prompt_id: uuid.UUID | None = None
    state: str = ""
    # The state of a prompt that the source sent before, under the same number and with the same text.
    there: str = ""


@dataclass(frozen=True)
class _Candidate:
    line: int
    prompt: NewPrompt
    findings: list[tuple[int, personal_data.Span]]


def import_prompts(
    *,
    rows: Iterable[tuple[int, Any]],
    name: str,
    created_by=None,
    source: str = "",
    most_tokens: int | None = None,
    imported: Import | None = None,
    notice: Callable[[list[Outcome]], None] | None = None,
) -> Import:
    """Bring prompts in, CHUNK rows a transaction, and return the finished Import with its counts.

    `rows` are (line number, row or Problem), numbers rising; `source` stands in where a row names none. Every line that
    does not go in has a reason, and so has one that waits because of personal data: it is stored, held, and counted as
    rejected. Doing it twice stores nothing twice. `most_tokens` is the setting PROMPT_MAX_TOKENS unless said; 0 is no
    limit. `notice` gets each chunk's outcomes once they are committed; what it raises ends the import there.

    An unfinished `imported` is gone on with: its lines up to `imported.line` are left out. Several processes may work
    on one: each line is done by whoever comes to its transaction first, once.
    """
    remaining = iter(rows)
    chunk = list(islice(remaining, CHUNK))  # before anything is written: the file may turn out to be none
    limit = settings.PROMPT_MAX_TOKENS if most_tokens is None else most_tokens
    if imported is None:
        imported = Import.objects.create(
            name=check_text(name, where=_("the name"))[:200], source=source[:100], created_by=created_by
        )
    while chunk and imported.finished_at is None:
        # Reading and scanning take most of the time and need no lock.
        read = [(line, read_prompt(row, source=source, most_tokens=limit)) for line, row in chunk]
        bad = [Outcome(line, problem=found) for line, found in read if isinstance(found, Problem)]
        candidates = [
            _Candidate(line, found, find_personal_data(found.messages))
            for line, found in read
            if isinstance(found, NewPrompt)
        ]
        outcomes = _store_chunk(imported, candidates, bad, last=chunk[-1][0])
        if notice and outcomes:
            notice(outcomes)
        chunk = list(islice(remaining, CHUNK))
    with transaction.atomic(durable=True):
        ended = Import.objects.filter(pk=imported.pk, finished_at=None).update(finished_at=Now(), file="")
        imported.refresh_from_db()
        if not ended:  # somebody else came to the last line first, or gave it up
            return imported
        audit.record(
            actor=created_by,
            action="prompts.imported",
            subject=imported,
            name=imported.name,
            accepted=imported.accepted,
            rejected=imported.rejected,
        )
    return imported


def import_sent(*, source: Source, rows: list[Any]) -> tuple[Import, list[Outcome]]:
    """Prompts that a program sent with a key of `source`, at most CHUNK a transaction: the import of that source and
    day, and what became of each row, by its place from 1. Rows may name no other source."""
    outcomes: list[Outcome] = []
    imported, _made = Import.objects.get_or_create(
        sent_to=source, day=timezone.now().date(), defaults={"name": "API", "source": source.name}
    )
    for start in range(0, len(rows), CHUNK):
        numbered = enumerate(rows[start : start + CHUNK], start=start + 1)
        read = [(line, _read_sent(row, source)) for line, row in numbered]
        bad = [Outcome(line, problem=found) for line, found in read if isinstance(found, Problem)]
        candidates = [
            _Candidate(line, found, find_personal_data(found.messages))
            for line, found in read
            if isinstance(found, NewPrompt)
        ]
        with transaction.atomic(durable=True):
            imported = Import.objects.select_for_update(no_key=True).get(pk=imported.pk)
            became = sorted([*bad, *_store(candidates, imported=imported)], key=lambda outcome: outcome.line)
            # Lines count the prompts of the day.
            _count(imported, became, behind=imported.line - start)
            imported.line += len(became)
            imported.updated_at = Now()
            imported.save(update_fields=["line", "updated_at", "accepted", "rejected"])
        outcomes += became
    return imported, outcomes


def _read_sent(row: Any, source: Source) -> NewPrompt | Problem:
    found = read_prompt(row, source=source.name, most_tokens=settings.PROMPT_MAX_TOKENS)
    if isinstance(found, NewPrompt) and found.source != source.name:
        return Problem("other_source", f"the key is for the source {source.name!r}, and the prompt names another")
    return found


def admit_prompt(row: dict[str, Any]) -> Outcome:
    """One prompt through the gate, without an import, in the caller's transaction; what became of it as line 1.

    The source's row stays locked to the commit, so the caller takes no lock after it that an import waits for.
    """
    found = read_prompt(row)
    if isinstance(found, Problem):
        return Outcome(1, problem=found)
    (outcome,) = _store([_Candidate(1, found, find_personal_data(found.messages))], imported=None)
    return outcome


def find_personal_data(messages: list[dict[str, str]]) -> list[tuple[int, personal_data.Span]]:
    """(message index, span) of everything found in the messages."""
    return [(index, span) for index, message in enumerate(messages) for span in personal_data.scan(message["content"])]


@transaction.atomic(durable=True)
def _store_chunk(imported: Import, candidates: list[_Candidate], bad: list[Outcome], *, last: int) -> list[Outcome]:
    """Store what may be stored of the lines up to `last`, count them and move the import's line on, in one transaction.

    Returns the outcomes by line; of no line that the import is past already, whoever did it.
    """
    Import.objects.select_for_update(no_key=True).get(pk=imported.pk)
    imported.refresh_from_db()
    done = imported.line
    if imported.finished_at is not None or last <= done:
        return []
    outcomes = _store([candidate for candidate in candidates if candidate.line > done], imported=imported)
    outcomes = sorted([*(each for each in bad if each.line > done), *outcomes], key=lambda outcome: outcome.line)
    _count(imported, outcomes)
    imported.line = last
    imported.updated_at = Now()
    imported.save(update_fields=["line", "updated_at", "accepted", "rejected"])
    imported.refresh_from_db(fields=["updated_at"])
    return outcomes


def _store(candidates: list[_Candidate], *, imported: Import | None) -> list[Outcome]:
    """Store what may be stored, in the caller's transaction. Returns the candidates' outcomes.

    The rows of the sources are locked first, always in one order: imports into one source take turns, so that counts
    and duplicates read here still hold when the prompts are written. The constraints are the net below.
    """
    sources = _lock_sources({candidate.prompt.source for candidate in candidates})
    # A person of whom nothing is taken in gets no row: their id is not kept.
    writers = {(candidate.prompt.source, candidate.prompt.user_id) for candidate in candidates}
    refused = refused_of(writers)
    users = _lock_users(sources, writers - refused)
    gate, rules = current_gate()
    outcomes, stored = _judge(candidates, sources, users, refused, rules)
    prompts = [
        Prompt(
            id=outcome.prompt_id,
            source=sources[candidate.prompt.source],
            source_user=users[candidate.prompt.source, candidate.prompt.user_id],
            external_id=candidate.prompt.external_id,
            gate=gate,
            messages=candidate.prompt.messages,
            text_sha256=candidate.prompt.text_sha256,
            use_case=candidate.prompt.use_case,
            categories=candidate.prompt.categories,
            consent=_consent_of(candidate.prompt, sources[candidate.prompt.source]),
            consented_at=candidate.prompt.consented_at,
            written_at=candidate.prompt.written_at,
            state=outcome.state,
            imported_in=imported,
        )
        # In one order everywhere, or two sources with the same texts could wait for each other for ever.
        for outcome, candidate in sorted(stored, key=lambda pair: pair[1].prompt.text_sha256)
    ]
    Prompt.objects.bulk_create(prompts, ignore_conflicts=True)
    there = set(Prompt.objects.filter(pk__in=[prompt.pk for prompt in prompts]).values_list("pk", flat=True))
    # Only another source's import with the same text, committed a moment ago, can have come in between.
    outcomes = [
        outcome
        if outcome.prompt_id in there or not outcome.state
        else Outcome(outcome.line, problem=Problem("duplicate", "the same text is stored already"))
        for outcome in outcomes
    ]
    stored = [(outcome, candidate) for outcome, candidate in stored if outcome.prompt_id in there]
    _store_findings(stored)
    by_id = {prompt.pk: prompt for prompt in prompts}
    for outcome, candidate in stored:
        _redact_by_policy(by_id[outcome.prompt_id], candidate, rules)
    written = Counter(prompt.source_user_id for prompt in prompts if prompt.pk in there)
    for user in users.values():
        user.prompt_count += written[user.pk]
    SourceUser.objects.bulk_update([user for user in users.values() if written[user.pk]], ["prompt_count"])
    return outcomes


def _lock_sources(names: set[str]) -> dict[str, Source]:
    Source.objects.bulk_create([Source(name=name) for name in sorted(names)], ignore_conflicts=True)
    rows = Source.objects.select_for_update(no_key=True).filter(name__in=names).order_by("pk")
    sources, salt = {source.name: source for source in rows}, salt_fingerprint()
    for source in sources.values():
        if not source.salt_sha256:
            source.salt_sha256 = salt
            Source.objects.filter(pk=source.pk).update(salt_sha256=salt)
        elif source.salt_sha256 != salt:
            raise Conflict(
                _(
                    "The users of the source {name} were shared out with another PROJECT_SALT; with this one they "
                    "would come into other splits. Set PROJECT_SALT to what it was."
                ).format(name=source.name)
            )
    return sources


def _lock_users(sources: dict[str, Source], wanted: set[tuple[str, str]]) -> dict[tuple[str, str], SourceUser]:
    SourceUser.objects.bulk_create(
        [
            SourceUser(
                source=sources[source],
                external_id=user_id,
                split=split_of(source=source, user_id=user_id, shares=sources[source].shares),
            )
            for source, user_id in sorted(wanted)
        ],
        ignore_conflicts=True,
    )
    names = {source.pk: name for name, source in sources.items()}
    rows = (
        SourceUser.objects.select_for_update(no_key=True)
        .filter(source__in=sources.values(), external_id__in={user_id for _, user_id in wanted})
        .order_by("pk")
    )
    return {(names[user.source_id], user.external_id): user for user in rows}


def _redact_by_policy(prompt: Prompt, candidate: _Candidate, rules: Rules) -> None:
    """A prompt whose findings the policy redacts, so redacted, in the transaction that stores it."""
    verdict = _verdict(candidate, prompt.source_user.split, rules)
    if verdict.action != REDACT:
        return
    places = {id(span): index for index, span in candidate.findings}
    deciding.redact_prompt(prompt, [(places[id(span)], span.start, span.end, span.kind) for span in verdict.because])
    audit.record(actor=None, action="prompt.redacted", subject=prompt, kinds=verdict.kinds, by="policy")


def _verdict(candidate: _Candidate, split: str, rules: Rules) -> Verdict:
    return rules.verdict(split=split, findings=[span for _index, span in candidate.findings])


def _judge(candidates, sources, users, refused, rules: Rules) -> tuple[list[Outcome], list[tuple[Outcome, _Candidate]]]:
    """Each candidate's outcome in order, and those of them that are to be stored."""
    texts = {c.prompt.text_sha256 for c in candidates}
    by_text = dict(
        Prompt.objects.filter(text_sha256__in=texts | set(map(erased_key, texts))).values_list("text_sha256", "id")
    )
    by_id = {
        (source, external_id): (text, prompt_id, state)
        for source, external_id, text, prompt_id, state in Prompt.objects.filter(
            source__in=sources.values(), external_id__in={c.prompt.external_id for c in candidates} - {""}
        ).values_list("source__name", "external_id", "text_sha256", "id", "state")
    }
    counts = {key: user.prompt_count for key, user in users.items()}
    outcomes, stored = [], []
    for candidate in candidates:
        prompt = candidate.prompt
        handle, writer = (prompt.source, prompt.external_id), (prompt.source, prompt.user_id)
        source = sources[prompt.source]
        if writer in refused:
            detail = "their data were erased, and nothing more of them is taken in"
            outcome = Outcome(candidate.line, Problem("person_erased", detail))
        elif erased_key(prompt.text_sha256) in by_text:
            detail = "this text was here and was erased; it does not come back"
            outcome = Outcome(candidate.line, Problem("erased", detail))
        elif prompt.external_id and handle in by_id and by_id[handle][0] != prompt.text_sha256:
            detail = f"{prompt.external_id!r} of the source {prompt.source!r} is stored with another text"
            outcome = Outcome(candidate.line, Problem("external_id_conflict", detail), by_id[handle][1])
        elif prompt.external_id and handle in by_id:
            _text, there, state = by_id[handle]
            outcome = Outcome(candidate.line, Problem("duplicate", "it came in before"), there, there=state)
        elif source.terms_version and not prompt.consent:
            detail = (
                f"the source {source.name!r} has terms, {source.terms_version!r}, and nobody says they were agreed to"
            )
            outcome = Outcome(candidate.line, Problem("no_consent", detail))
        elif prompt.text_sha256 in by_text:
            detail = "the same text is stored already"
            outcome = Outcome(candidate.line, Problem("duplicate", detail), by_text[prompt.text_sha256])
        elif counts[writer] >= source.prompts_per_user:
            who = repr(prompt.user_id) if prompt.user_id else "all prompts without a user_id together"
            detail = f"{who} of the source {prompt.source!r} has {counts[writer]} prompts, the most for one user"
            outcome = Outcome(candidate.line, Problem("user_cap", detail))
        else:
            outcome = _accept(candidate, users[writer].split, rules)
            if not outcome.state:
                outcomes.append(outcome)
                continue
            by_text[prompt.text_sha256] = outcome.prompt_id
            by_id[handle] = (prompt.text_sha256, outcome.prompt_id, outcome.state)
            counts[writer] += 1
            stored.append((outcome, candidate))
        outcomes.append(outcome)
    return outcomes, stored


def _consent_of(prompt: NewPrompt, source: Source) -> str:
    """The version of the terms that was agreed to: the source's own, where only that somebody agreed is said."""
    return (source.terms_version or AGREED) if prompt.consent == AGREED else prompt.consent


def refused_of(writers: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those (source, user id) of whom nothing more is taken in, since their data were erased."""
    keys = {person_key(source=source, user_id=user): (source, user) for source, user in writers}
    return {keys[key] for key in RefusedPerson.objects.filter(key__in=keys).values_list("key", flat=True)}


def _accept(candidate: _Candidate, split: str, rules: Rules) -> Outcome:
    """What the filter says. A prompt that its policy drops is not stored at all, and has no state."""
    verdict = _verdict(candidate, split, rules)
    if verdict.action not in (HOLD, DROP):
        return Outcome(candidate.line, None, uuid.uuid4(), Prompt.State.ACCEPTED)
    found = f"found {', '.join(verdict.kinds)}"
    if verdict.action == DROP:
        return Outcome(candidate.line, Problem(PERSONAL_DATA, f"{found}; by the policy such prompts are dropped"))
    detail = f"{found}; the prompt is held until somebody releases or drops it"
    return Outcome(candidate.line, Problem(PERSONAL_DATA, detail), uuid.uuid4(), Prompt.State.HELD)


def _store_findings(stored: list[tuple[Outcome, _Candidate]]) -> None:
    Finding.objects.bulk_create(
        Finding(
            prompt_id=outcome.prompt_id,
            message_index=index,
            kind=span.kind,
            start=span.start,
            end=span.end,
            score=span.score,
            recogniser=span.recogniser,
            version=personal_data.VERSION,
        )
        for outcome, candidate in stored
        for index, span in candidate.findings
    )


def _count(imported: Import, outcomes: list[Outcome], *, behind: int = 0) -> None:
    """Add the outcomes to the import's counts, whose row is locked, and keep the first problems of each reason, with
    their lines behind line `behind`."""
    rejected, kept = Counter(imported.rejected), []
    for outcome in outcomes:
        problem = outcome.problem
        if problem is None:
            imported.accepted += 1
            continue
        if rejected[problem.reason] < settings.IMPORT_PROBLEMS_KEPT:
            kept.append(
                ImportProblem(
                    imported=imported,
                    line=behind + outcome.line,
                    reason=problem.reason,
                    detail=problem.detail,
                    prompt_id=outcome.prompt_id,
                )
            )
        rejected[problem.reason] += 1
    imported.rejected = dict(sorted(rejected.items()))
    ImportProblem.objects.bulk_create(kept)


def summary_of_outcomes(imported: Import, outcomes: list[Outcome]) -> dict[str, Any]:
    """As `summary_of`, of one request of perhaps many that an import counts."""
    problems = [outcome for outcome in outcomes if outcome.problem]
    return {
        "import": str(imported.pk),
        "accepted": len(outcomes) - len(problems),
        "rejected": dict(sorted(Counter(outcome.problem.reason for outcome in problems).items())),
        "problems": [
            {"line": outcome.line, "reason": outcome.problem.reason, "detail": outcome.problem.detail}
            for outcome in problems[:PROBLEMS_TOLD]
        ],
    }


def summary_of(imported: Import) -> dict[str, Any]:
    """What `import_prompts` prints and the API answers."""
    return {
        "import": str(imported.pk),
        "accepted": imported.accepted,
        "rejected": imported.rejected,
        "problems": list(imported.problems.order_by("line", "id").values("line", "reason", "detail")[:PROBLEMS_TOLD]),
    }


def decide_prompt(*, prompt_id: uuid.UUID, outcome: str, decided_by, reason: str) -> Prompt:
    """Release a held prompt for use, redact it, or drop it, with a reason, which is kept.

    Conflict where the prompt is in no state for it. Dropping keeps the prompt from every later batch and export.
    """
    reason = deciding.read_reason(reason, required=True)
    return deciding.decide(prompt_id=prompt_id, outcome=outcome, decided_by=decided_by, reason=reason).prompt


def take_back_prompt(*, prompt: Prompt, reason: str, decided_by) -> None:
    """Drop a prompt that its own writer replaced or a reviewer sent back, in the caller's transaction; nothing where it
    is dropped already."""
    locked = deciding.lock_prompt(prompt.pk, erased_too=True)
    if locked.state not in (Prompt.State.DROPPED, Prompt.State.ERASED):
        deciding.record(locked, Decision.Outcome.TAKE_BACK, reason=reason[:300], decided_by=decided_by)


def bring_back_prompt(*, prompt: Prompt, reason: str, decided_by) -> bool:
    """Whether the prompt is in the pool, or held for it, from now on: one that was taken back comes back as it was, in
    the caller's transaction. One that the team dropped stays dropped."""
    locked = deciding.lock_prompt(prompt.pk, erased_too=True)
    if locked.state == Prompt.State.ERASED:
        return False
    if locked.state != Prompt.State.DROPPED:
        return True
    latest = Decision.objects.filter(prompt=locked).order_by("-id").first()
    if latest is None or latest.outcome != Decision.Outcome.TAKE_BACK:
        return False
    deciding.record(
        locked,
        Decision.Outcome.BRING_BACK,
        reason=reason[:300],
        decided_by=decided_by,
        state=latest.state_before or (Prompt.State.HELD if _waits(locked) else Prompt.State.ACCEPTED),
    )
    return True


def _waits(prompt: Prompt) -> bool:
    return bool(deciding.open_findings(prompt, current_rules()))


def scan_rows(rows: Iterable[tuple[int, Any]]) -> Iterator[dict[str, Any]]:
    """What the filter finds in each row, nothing stored: {"external_id", "findings"}, with `error` for a bad row.

    Positions count characters of `prompt`, or of the message that `message` (its index) names.
    """
    for line, row in rows:
        found = read_prompt(row)
        if isinstance(found, Problem):
            given = row.get("external_id") if isinstance(row, dict) else None
            yield {"external_id": given, "findings": [], "line": line, "error": found.reason, "detail": found.detail}
            continue
        in_messages = isinstance(row, dict) and row.get("messages") is not None
        yield {
            "external_id": found.external_id or None,
            "findings": [
                {"start": span.start, "end": span.end, "kind": span.kind, "score": span.score}
                | ({"message": index} if in_messages else {})
                for index, span in find_personal_data(found.messages)
            ],
        }
