"""The gate before sampling: imports with duplicates, caps and the personal-data filter, and people's decisions."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from labeling.audit import services as audit
from labeling.background import services as background
from labeling.background.models import Job
from labeling.governance import deciding, personal_data
from labeling.governance.models import Decision, Finding
from labeling.governance.policies import DROP, HOLD, REDACT, Rules, Verdict, current_gate, current_rules
from labeling.intake.models import Import, Prompt, Source, SourceUser
from labeling.intake.reading import Problem, count_rows, format_of, read_rows
from labeling.intake.services import NewPrompt, read_prompt, split_of
from labeling.refusals import Refusal
from labeling.text import check_text

CHUNK = 500  # rows a transaction: what a kill can undo, and how long a source's row stays locked
PROBLEMS_KEPT = 100
PERSONAL_DATA = "personal_data"


@dataclass(frozen=True)
class Outcome:
    """What became of one line. `prompt_id` is the stored prompt, for duplicates the one that was there before."""

    line: int
    problem: Problem | None = None
    prompt_id: uuid.UUID | None = None
    state: str = ""


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
    notice: Callable[[list[Outcome]], None] | None = None,
) -> Import:
    """Bring prompts in, CHUNK rows a transaction, and return the finished Import with its counts.

    `rows` are (line number, row or Problem); `source` stands in where a row names none. Every line that does not go
    in has a reason, and so has one that waits because of personal data: it is stored, held, and counted as rejected.
    Doing it twice stores nothing twice. `notice` gets each chunk's outcomes once they are committed; what it raises
    ends the import there.
    """
    remaining = iter(rows)
    chunk = list(islice(remaining, CHUNK))  # before anything is written: the file may turn out to be none
    imported = Import.objects.create(name=check_text(name, where=_("the name"))[:200], created_by=created_by)
    while chunk:
        # Reading and scanning take most of the time and need no lock.
        read = [(line, read_prompt(row, source=source)) for line, row in chunk]
        bad = [Outcome(line, problem=found) for line, found in read if isinstance(found, Problem)]
        candidates = [
            _Candidate(line, found, find_personal_data(found.messages))
            for line, found in read
            if isinstance(found, NewPrompt)
        ]
        outcomes = sorted([*bad, *_store_chunk(imported, candidates, bad)], key=lambda outcome: outcome.line)
        if notice:
            notice(outcomes)
        chunk = list(islice(remaining, CHUNK))
    with transaction.atomic(durable=True):
        Import.objects.filter(pk=imported.pk).update(finished_at=Now())
        imported.refresh_from_db()
        audit.record(
            actor=created_by,
            action="prompts.imported",
            subject=imported,
            name=imported.name,
            accepted=imported.accepted,
            rejected=imported.rejected,
        )
    return imported


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
def _store_chunk(imported: Import, candidates: list[_Candidate], bad: list[Outcome]) -> list[Outcome]:
    """Store what may be stored, count everything, in one transaction. Returns the candidates' outcomes."""
    outcomes = _store(candidates, imported=imported)
    _count(imported, [*bad, *outcomes])
    return outcomes


def _store(candidates: list[_Candidate], *, imported: Import | None) -> list[Outcome]:
    """Store what may be stored, in the caller's transaction. Returns the candidates' outcomes.

    The rows of the sources are locked first, always in one order: imports into one source take turns, so that counts
    and duplicates read here still hold when the prompts are written. The constraints are the net below.
    """
    sources = _lock_sources({candidate.prompt.source for candidate in candidates})
    users = _lock_users(sources, {(candidate.prompt.source, candidate.prompt.user_id) for candidate in candidates})
    gate, rules = current_gate()
    outcomes, stored = _judge(candidates, sources, users, rules)
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
            consent=candidate.prompt.consent,
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
    return {source.name: source for source in rows}


def _lock_users(sources: dict[str, Source], wanted: set[tuple[str, str]]) -> dict[tuple[str, str], SourceUser]:
    SourceUser.objects.bulk_create(
        [
            SourceUser(source=sources[source], external_id=user_id, split=split_of(source=source, user_id=user_id))
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


def _judge(candidates, sources, users, rules: Rules) -> tuple[list[Outcome], list[tuple[Outcome, _Candidate]]]:
    """Each candidate's outcome in order, and those of them that are to be stored."""
    by_text = dict(
        Prompt.objects.filter(text_sha256__in={c.prompt.text_sha256 for c in candidates}).values_list(
            "text_sha256", "id"
        )
    )
    by_id = {
        (source, external_id): (text, prompt_id)
        for source, external_id, text, prompt_id in Prompt.objects.filter(
            source__in=sources.values(), external_id__in={c.prompt.external_id for c in candidates} - {""}
        ).values_list("source__name", "external_id", "text_sha256", "id")
    }
    counts = {key: user.prompt_count for key, user in users.items()}
    cap = settings.PROMPTS_PER_SOURCE_USER
    outcomes, stored = [], []
    for candidate in candidates:
        prompt = candidate.prompt
        handle, writer = (prompt.source, prompt.external_id), (prompt.source, prompt.user_id)
        if prompt.external_id and handle in by_id and by_id[handle][0] != prompt.text_sha256:
            detail = f"{prompt.external_id!r} of the source {prompt.source!r} is stored with another text"
            outcome = Outcome(candidate.line, Problem("external_id_conflict", detail), by_id[handle][1])
        elif prompt.text_sha256 in by_text:
            detail = "the same text is stored already"
            outcome = Outcome(candidate.line, Problem("duplicate", detail), by_text[prompt.text_sha256])
        elif counts[writer] >= cap:
            who = repr(prompt.user_id) if prompt.user_id else "all prompts without a user_id together"
            detail = f"{who} of the source {prompt.source!r} has {cap} prompts, which is the most for one user"
            outcome = Outcome(candidate.line, Problem("user_cap", detail))
        else:
            outcome = _accept(candidate, users[writer].split, rules)
            if not outcome.state:
                outcomes.append(outcome)
                continue
            by_text[prompt.text_sha256] = outcome.prompt_id
            by_id[handle] = (prompt.text_sha256, outcome.prompt_id)
            counts[writer] += 1
            stored.append((outcome, candidate))
        outcomes.append(outcome)
    return outcomes, stored


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


def _count(imported: Import, outcomes: list[Outcome]) -> None:
    """Add the outcomes to the import's counts; only the process that imports writes them."""
    problems = sorted((outcome for outcome in outcomes if outcome.problem), key=lambda outcome: outcome.line)
    rejected = Counter(imported.rejected) + Counter(outcome.problem.reason for outcome in problems)
    imported.accepted += len(outcomes) - len(problems)
    imported.rejected = dict(sorted(rejected.items()))
    imported.problems = imported.problems + [
        {"line": outcome.line, "reason": outcome.problem.reason, "detail": outcome.problem.detail}
        for outcome in problems[: PROBLEMS_KEPT - len(imported.problems)]
    ]
    imported.save(update_fields=["accepted", "rejected", "problems"])


def summary_of(imported: Import) -> dict[str, Any]:
    """What `import_prompts` prints and the API answers."""
    return {
        "import": str(imported.pk),
        "accepted": imported.accepted,
        "rejected": imported.rejected,
        "problems": [{name: problem[name] for name in ("line", "reason", "detail")} for problem in imported.problems],
    }


def start_import(*, upload: UploadedFile, source: str, created_by) -> Job:
    """Keep an uploaded file under KWISE_HOME and queue the job that imports it. Refusal for an unknown kind of file."""
    format_of(upload.name or "")
    check_text(source, where=_("the source"))
    folder = settings.KWISE_HOME / "uploads"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # The name is ours: what the browser calls the file never becomes a path.
    file = folder / uuid.uuid4().hex
    try:
        with file.open("xb") as kept:
            for block in upload.chunks():
                kept.write(block)
        with transaction.atomic(durable=True):
            job = background.enqueue(
                kind="import_prompts",
                arguments={
                    "file": file.name,
                    "name": check_text(upload.name, where=_("the file name")),
                    "source": source,
                },
                created_by=created_by,
            )
            # What went in is another line, when the job is done.
            audit.record(actor=created_by, action="prompts.import_asked", subject=job, name=job.arguments["name"])
            return job
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def import_upload(*, job: Job) -> dict[str, Any]:
    """The job behind the upload page: import the kept file, beat by chunk, remove it. Returns the summary.

    Run again after a crash it finds what it stored before as duplicates.
    """
    name, file = job.arguments["name"], settings.KWISE_HOME / "uploads" / job.arguments["file"]
    if not file.is_file():
        raise Refusal(_("The uploaded file {name!r} is gone; upload it again.").format(name=name))
    try:
        background.beat(job, done=0, total=count_rows(file, name=name), note=f"reading {name}")
        imported = import_prompts(
            rows=read_rows(file, name=name),
            name=name,
            source=job.arguments["source"],
            created_by=job.created_by,
            notice=lambda outcomes: background.beat(job, done=outcomes[-1].line),
        )
    except (Refusal, background.JobCancelled):
        file.unlink(missing_ok=True)
        raise
    file.unlink(missing_ok=True)
    background.beat(job, note=f"{imported.accepted:,} accepted")
    return summary_of(imported)


def decide_prompt(*, prompt_id: uuid.UUID, outcome: str, decided_by, reason: str) -> Prompt:
    """Release a held prompt for use, redact it, or drop it, with a reason, which is kept.

    Conflict where the prompt is in no state for it. Dropping keeps the prompt from every later batch and export.
    """
    reason = deciding.read_reason(reason, required=True)
    return deciding.decide(prompt_id=prompt_id, outcome=outcome, decided_by=decided_by, reason=reason).prompt


def take_back_prompt(*, prompt: Prompt, reason: str, decided_by) -> None:
    """Drop a prompt that its own writer replaced or a reviewer sent back, in the caller's transaction; nothing where it
    is dropped already."""
    locked = deciding.lock_prompt(prompt.pk)
    if locked.state != Prompt.State.DROPPED:
        deciding.record(locked, Decision.Outcome.TAKE_BACK, reason=reason[:300], decided_by=decided_by)


def bring_back_prompt(*, prompt: Prompt, reason: str, decided_by) -> bool:
    """Whether the prompt is in the pool, or held for it, from now on: one that was taken back comes back as it was, in
    the caller's transaction. One that the team dropped stays dropped."""
    locked = deciding.lock_prompt(prompt.pk)
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
