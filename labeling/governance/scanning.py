"""Prompts that went through an older filter are scanned again: another detector may find more, another policy decides
otherwise. A job, which a kill or a stop costs no more than the chunk it is at: what is done is in the prompts' rows."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

from django.db import transaction
from django.db.models import Count
from django.utils.translation import gettext as _

from labeling.audit import services as audit
from labeling.background import services as background
from labeling.background.models import Job
from labeling.governance import personal_data
from labeling.governance.deciding import apply_rules
from labeling.governance.models import PERSON, Finding, Gate, Original
from labeling.governance.policies import Rules, current_gate, known_gate
from labeling.intake.models import Prompt
from labeling.refusals import Refusal

RESCAN = "rescan_prompts"  # the job
CHUNK = 200  # prompts a transaction

Beat = Callable[..., None]


def pending() -> int:
    """How many prompts last went through another filter than the present one, or through none."""
    gate = known_gate()
    return sum(entry["prompts"] for entry in by_gate() if gate is None or entry["gate"] != gate)


def by_gate() -> list[dict[str, Any]]:
    """Prompts by the filter that they last went through: {"gate", "prompts"}, None for none. From one index."""
    counts = Prompt.objects.order_by().values_list("gate").annotate(Count("pk"))
    found = dict(counts)
    gates = Gate.objects.select_related("detector", "policy").in_bulk([pk for pk in found if pk is not None])
    return [{"gate": gates.get(pk), "prompts": count} for pk, count in sorted(found.items(), key=lambda e: e[0] or 0)]


def start_rescan(*, actor) -> Job:
    """The job that scans what went through an older filter, or the one that does already. Refusal where none did."""
    gate, _rules = current_gate()
    if not Prompt.objects.exclude(gate=gate).exists():
        raise Refusal(_("Every prompt went through the present detector and policy; there is nothing to scan again."))
    with transaction.atomic(durable=True):
        job = background.enqueue(kind=RESCAN, arguments={}, key=RESCAN, created_by=actor)
        audit.record(actor=actor, action="prompts.rescan_asked", subject=job)
    return job


def running_rescan() -> Job | None:
    return Job.objects.filter(kind=RESCAN).order_by("-created_at").first()


def rescan(*, beat: Beat) -> dict[str, int]:
    """Scan until no prompt is left that went through another filter; counts by what became of them.

    Imports go on meanwhile, by the present filter. A policy that is changed meanwhile is for the next scan.
    """
    gate, rules = current_gate()
    counts = {"scanned": 0, "held": 0, "redacted": 0, "dropped": 0, "released": 0}
    total = sum(entry["prompts"] for entry in by_gate() if entry["gate"] != gate)
    beat(done=0, total=total, note="scanning")
    for chunk in _older(gate):
        _scan_chunk(chunk, gate, rules, counts)
        beat(done=counts["scanned"])
    return counts


def _older(gate: Gate) -> Iterator[list[uuid.UUID]]:
    """Ids of prompts of every other gate, CHUNK at a time, each gate's in the order of its index."""
    others = [pk for pk in Prompt.objects.order_by().values_list("gate", flat=True).distinct() if pk != gate.pk]
    for other in others:
        last = None
        while True:
            rows = Prompt.objects.filter(gate=other).order_by("id")
            if last is not None:
                rows = rows.filter(pk__gt=last)
            chunk = list(rows.values_list("pk", flat=True)[:CHUNK])
            if not chunk:
                break
            yield chunk
            last = chunk[-1]


def _scan_chunk(ids: list[uuid.UUID], gate: Gate, rules: Rules, counts: dict[str, int]) -> None:
    # Looking takes most of the time and needs no lock: originals never change.
    texts = dict(Prompt.objects.filter(pk__in=ids).values_list("pk", "messages"))
    texts |= dict(Original.objects.filter(pk__in=ids).values_list("pk", "messages"))
    places = [
        (pk, index, message["content"]) for pk, messages in texts.items() for index, message in enumerate(messages)
    ]
    spans: dict[uuid.UUID, list[tuple[int, personal_data.Span]]] = {pk: [] for pk in texts}
    for (pk, index, _text), found in zip(places, personal_data.find_many(place[2] for place in places), strict=True):
        spans[pk] += [(index, span) for span in found]
    with transaction.atomic(durable=True):
        locked = Prompt.objects.select_related("source_user").select_for_update(no_key=True, of=("self",))
        for prompt in locked.filter(pk__in=list(texts)).exclude(gate=gate).order_by("pk"):
            _renew(prompt, spans[prompt.pk], gate, rules, counts)


def _renew(
    prompt: Prompt, spans: list[tuple[int, personal_data.Span]], gate: Gate, rules: Rules, counts: dict[str, int]
) -> None:
    """New findings in place of the detector's old ones, and what the rules make of them. What a person marked stays,
    and what a person dismissed stays dismissed where the detector finds it again."""
    old = list(prompt.findings.all())
    dismissed = {(each.message_index, each.start, each.end) for each in old if each.dismissed}
    found = [
        Finding(
            prompt=prompt,
            message_index=index,
            kind=span.kind,
            start=span.start,
            end=span.end,
            score=span.score,
            recogniser=span.recogniser,
            version=gate.detector.version,
            dismissed=any(
                index == message and start <= span.start and span.end <= end for message, start, end in dismissed
            ),
        )
        for index, span in spans
    ]
    marked = [each for each in old if each.recogniser == PERSON]
    prompt.findings.exclude(recogniser=PERSON).delete()
    Finding.objects.bulk_create(found)
    was, text = prompt.state, prompt.messages
    Prompt.objects.filter(pk=prompt.pk).update(gate=gate)
    prompt.gate = gate
    apply_rules(prompt, rules, [*found, *marked])
    counts["scanned"] += 1
    if prompt.state != was:
        counts[{"held": "held", "dropped": "dropped"}.get(prompt.state, "released")] += 1
    if prompt.messages != text:
        counts["redacted"] += 1
