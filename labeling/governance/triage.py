"""What waits for a person's word, one after another: prompts that the filter or a labeler holds, with what was found,
and, among them, prompts of a blind sample, without any mark. Whoever is shown a raw text leaves a line in the trail."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from labeling.audit import services as audit
from labeling.audit.models import AuditEvent
from labeling.background import services as background
from labeling.background.models import Job
from labeling.governance import deciding, queries
from labeling.governance.estimating import Estimate, Share, recall, wilson
from labeling.governance.models import BlindItem, BlindSample, DetectorVersion, Finding, Flag, Gate
from labeling.governance.policies import current_gate, current_rules, known_gate
from labeling.intake.models import Prompt
from labeling.paging import keyset_page, read_cursor, write_cursor
from labeling.refusals import Refusal

READ_RAW = "prompt.raw_read"  # in the audit trail
DRAW = "draw_blind_sample"  # the job
MOST_AT_ONCE = 20
# Of the prompts shown while a blind sample waits, about one in so many is of it.
BLIND_ONE_IN = 5
# Held prompts in a sample for each one that passed: enough that an unmarked text may well be a held one.
DECOYS = 0.5
LEAST, MOST = 1, 10_000
# Decisions that estimates are made of: the newest. More would make the intervals narrower than the filter is steady.
DECISIONS_COUNTED = 20_000
SYSTEM_RANDOM = random.SystemRandom()


@dataclass(frozen=True)
class Item:
    """One prompt to decide. Of a blind one neither findings nor flags are shown, and `blind` is its id."""

    prompt: Prompt
    marked: list[queries.MarkedMessage]
    findings: list[Finding]
    flags: list[Flag]
    blind: uuid.UUID | None = None


@dataclass(frozen=True)
class Turn:
    """Some items, and `next`, the cursor behind them; None at the end."""

    items: list[Item]
    next: str | None


def held() -> QuerySet[Prompt]:
    return Prompt.objects.select_related("source", "source_user").filter(state=Prompt.State.HELD)


def turn(*, reader, after: str | None = None, size: int = 1, rng: random.Random | None = None) -> Turn:
    """The next prompts to decide, longest waiting first, with those of the blind sample strewn in at random.

    Costs the same however many wait. What is shown is written into the audit trail.
    """
    rng = rng or SYSTEM_RANDOM
    size = max(1, min(size, MOST_AT_ONCE))
    place, blind_place = _read_place(after)
    blind = _blind_waiting(blind_place, size + 1)
    page = keyset_page(held(), order=("created_at", "id"), after=place or None, size=size)
    waiting, chosen = list(page), []
    while len(chosen) < size and (waiting or blind):
        from_blind = bool(blind) and (not waiting or rng.random() * BLIND_ONE_IN < 1)
        chosen.append((blind if from_blind else waiting).pop(0))
    shown = [each for each in chosen if isinstance(each, Prompt)]
    if shown:
        place = write_cursor([Prompt._meta.get_field(n).value_to_string(shown[-1]) for n in ("created_at", "id")])
    judged = [each for each in chosen if isinstance(each, BlindItem)]
    if judged:
        blind_place = judged[-1].place
    more = bool(waiting or blind or page.next)
    items = _items(chosen)
    record_reading([item.prompt for item in items], reader=reader, where="triage")
    return Turn(items, _write_place(place, blind_place) if more else None)


def _read_place(after: str | None) -> tuple[str, int]:
    if not after:
        return "", -1
    place, blind = read_cursor(after, [str, int])
    return place, blind


def _write_place(place: str, blind: int) -> str:
    return write_cursor([place, str(blind)])


def _blind_waiting(after: int, size: int) -> list[BlindItem]:
    sample = BlindSample.objects.filter(state=BlindSample.State.READY).order_by("-id").first()
    if sample is None:
        return []
    states = Q(passed=True, prompt__state=Prompt.State.ACCEPTED) | Q(passed=False, prompt__state=Prompt.State.HELD)
    rows = BlindItem.objects.select_related("prompt__source", "prompt__source_user")
    return list(rows.filter(states, sample=sample, judged_at=None, place__gt=after).order_by("place")[:size])


def _items(chosen: Iterable[Prompt | BlindItem]) -> list[Item]:
    chosen = list(chosen)
    prompts = [each for each in chosen if isinstance(each, Prompt)]
    findings, flags = queries.findings_of(prompts), _flags_of(prompts)
    rules = current_rules()
    items = []
    for each in chosen:
        if isinstance(each, BlindItem):
            text = deciding.text_of(each.prompt) if each.prompt.state == Prompt.State.HELD else each.prompt.messages
            items.append(Item(each.prompt, queries.marked(text, []), [], [], blind=each.pk))
            continue
        counted = [f for f in findings[each.pk] if not f.dismissed and rules.counts(f.score)]
        for number, finding in enumerate(counted, 1):
            finding.number = number  # the digit that switches it
        text = deciding.text_of(each)
        items.append(Item(each, queries.marked(text, counted), counted, flags.get(each.pk, [])))
    return items


def _flags_of(prompts: list[Prompt]) -> dict[uuid.UUID, list[Flag]]:
    found: dict[uuid.UUID, list[Flag]] = {}
    for flag in Flag.objects.filter(prompt__in=prompts, decision=None).select_related("by").order_by("id"):
        found.setdefault(flag.prompt_id, []).append(flag)
    return found


def record_reading(prompts: Iterable[Prompt], *, reader, where: str) -> None:
    """A line in the audit trail for each prompt whose raw text `reader` is shown."""
    AuditEvent.objects.bulk_create(
        AuditEvent(
            actor=reader, action=READ_RAW, subject_type="prompt", subject_id=str(prompt.pk), detail={"where": where}
        )
        for prompt in prompts
    )


def waiting_count(*, most: int = 10_000) -> tuple[int, bool]:
    """How many prompts wait, counted up to `most`, and whether there are more."""
    count = held().order_by()[: most + 1].count()
    return min(count, most), count > most


# Blind samples


def start_sample(*, wanted: int, actor, seed: int | None = None) -> BlindSample:
    """A sample of `wanted` prompts that passed, drawn by a job. Refusal while another is being drawn."""
    if isinstance(wanted, bool) or not isinstance(wanted, int) or not LEAST <= wanted <= MOST:
        raise Refusal(_("Draw {least} to {most} prompts.").format(least=LEAST, most=MOST))
    gate, _rules = current_gate()
    with transaction.atomic(durable=True):
        sample = BlindSample.objects.create(
            gate=gate,
            wanted=wanted,
            seed=SYSTEM_RANDOM.getrandbits(31) if seed is None else seed,
            created_by=actor,
        )
        background.enqueue(kind=DRAW, arguments={"sample": sample.pk}, key=f"{DRAW}:{sample.pk}", created_by=actor)
        audit.record(actor=actor, action="prompts.blind_sample_drawn", subject=sample, wanted=wanted)
    return sample


# What this detector looked at, with whether it found something that counts. Ordered by a hash of seed and id, which is
# a draw that can be repeated; of a million the database keeps but the first of them.
LOOKED_AT = """
    FROM labeling_prompt prompt
    WHERE prompt.gate_id = ANY(%(gates)s) AND {found} EXISTS (
        SELECT FROM labeling_finding finding
        WHERE finding.prompt_id = prompt.id AND finding.score >= %(hold_at)s AND finding.recogniser <> 'person'
    )
"""
DRAWN = """
    SELECT prompt.id {looked_at} AND prompt.state = %(state)s AND NOT EXISTS (
        SELECT FROM labeling_blinditem item JOIN labeling_blindsample sample ON sample.id = item.sample_id
        WHERE item.prompt_id = prompt.id AND sample.gate_id = ANY(%(gates)s)
    )
    ORDER BY md5(%(seed)s || prompt.id::text) LIMIT %(limit)s
"""


def draw_sample(*, sample_id: int) -> BlindSample:
    """The job behind `start_sample`. Run again it draws the same, or finds that it is done."""
    sample = BlindSample.objects.select_related("gate__detector", "gate__policy").get(pk=sample_id)
    if sample.state == BlindSample.State.READY:
        return sample
    gates = list(Gate.objects.filter(detector=sample.gate.detector).values_list("pk", flat=True))
    asked = {"gates": gates, "hold_at": sample.gate.policy.hold_at, "seed": str(sample.seed)}
    passed, found = (LOOKED_AT.format(found=word) for word in ("NOT", ""))
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        counts = []
        for which in (passed, found):
            cursor.execute(f"SELECT count(*) {which}", asked)
            counts.append(cursor.fetchone()[0])
        drawn = []
        for which, state, limit in (
            (passed, "accepted", sample.wanted),
            (found, "held", max(1, round(sample.wanted * DECOYS))),
        ):
            cursor.execute(DRAWN.format(looked_at=which), {**asked, "state": state, "limit": limit})
            drawn += [(prompt, which is passed) for (prompt,) in cursor.fetchall()]
        random.Random(sample.seed).shuffle(drawn)
        BlindItem.objects.bulk_create(
            [
                BlindItem(sample=sample, prompt_id=prompt, place=place, passed=has_passed)
                for place, (prompt, has_passed) in enumerate(drawn)
            ],
            batch_size=1000,
        )
        sample.passed, sample.found = counts
        sample.state = BlindSample.State.READY
        sample.save(update_fields=["passed", "found", "state"])
    return sample


def latest_sample() -> BlindSample | None:
    return BlindSample.objects.select_related("created_by").order_by("-id").first()


def sample_progress(sample: BlindSample) -> dict[str, int]:
    """How many of a sample's prompts there are, and how many were judged. Not which."""
    items = BlindItem.objects.filter(sample=sample)
    return {"items": items.count(), "judged": items.filter(judged_at__isnull=False).count()}


def drawing_job() -> Job | None:
    return Job.objects.filter(kind=DRAW).order_by("-created_at").first()


# Estimates

JUDGED = """
    WITH judged AS (
        SELECT decision.id, decision.findings FROM labeling_decision decision
        WHERE decision.gate_id = ANY(%(gates)s) AND decision.outcome IN ('release', 'redact', 'drop')
            AND decision.findings <> '[]'
            AND NOT EXISTS (SELECT FROM labeling_decision undo WHERE undo.undoes_id = decision.id)
        ORDER BY decision.id DESC LIMIT %(most)s
    ),
    parts AS (
        SELECT judged.id, part ->> 'kind' AS kind, (part ->> 'real')::boolean AS real,
            part ->> 'recogniser' = 'person' AS by_person
        FROM judged, jsonb_array_elements(judged.findings) part
    ),
    found AS (SELECT id FROM parts GROUP BY id HAVING bool_or(NOT by_person)),
    each AS (
        SELECT coalesce(kind, '') AS kind, bool_or(NOT by_person) AS found, bool_or(real AND NOT by_person) AS hit,
            bool_or(real) AS real
        FROM parts JOIN found USING (id) GROUP BY GROUPING SETS ((id), (id, kind))
    )
    SELECT kind, count(*) FILTER (WHERE found), count(*) FILTER (WHERE hit), count(*) FILTER (WHERE real)
    FROM each GROUP BY kind
"""


@dataclass(frozen=True)
class Estimates:
    """Of all kinds together, and of each that was seen; what they rest on."""

    all: Estimate
    kinds: list[Estimate]
    decided: int  # prompts with findings that people decided
    judged: int  # passed prompts that people judged blind
    found: int
    passed: int
    detector: DetectorVersion | None


def estimates() -> Estimates:
    """Precision and recall of the present detector, from the newest DECISIONS_COUNTED words and all blind samples."""
    gate = known_gate()
    nothing = Share(None, None, None, 0, 0)
    if gate is None:
        return Estimates(Estimate("", nothing, nothing, nothing), [], 0, 0, 0, 0, None)
    gates = list(Gate.objects.filter(detector=gate.detector).values_list("pk", flat=True))
    with connection.cursor() as cursor:
        cursor.execute(JUDGED, {"gates": gates, "most": DECISIONS_COUNTED})
        counted = {kind: (found, hit, real) for kind, found, hit, real in cursor.fetchall()}
    samples = BlindSample.objects.filter(gate__in=gates, state=BlindSample.State.READY)
    newest = samples.order_by("-id").first()
    found, passed = (newest.found, newest.passed) if newest else (0, 0)
    judged = BlindItem.objects.filter(sample__in=samples, passed=True, judged_at__isnull=False)
    looked_at = judged.count()
    missed: dict[str, int] = {"": judged.filter(real=True).count()}
    for kinds in judged.filter(real=True).values_list("kinds", flat=True):
        for kind in kinds:
            missed[kind] = missed.get(kind, 0) + 1
    decided = counted.get("", (0, 0, 0))[0]

    def of(kind: str) -> Estimate:
        caught, hit, real = counted.get(kind, (0, 0, 0))
        gone = wilson(missed.get(kind, 0), looked_at)
        return Estimate(
            kind,
            precision=wilson(hit, caught),
            recall=recall(real=wilson(real, decided), missed=gone, found=found, passed=passed),
            missed=gone,
        )

    kinds = sorted({*counted, *missed} - {""})
    return Estimates(of(""), [of(kind) for kind in kinds], decided, looked_at, found, passed, gate.detector)
