"""A prompt's state and text as people and the filter change them: kept, redacted, held, dropped, and undone.

Everything here runs in a transaction that has locked the prompt. Whoever follows a prompt's state (its tasks, in a
feature above) adds itself to FOLLOWERS and is called in that transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from labeling.audit import services as audit
from labeling.governance import personal_data, redaction
from labeling.governance.models import PERSON, UNNAMED, BlindItem, Decision, Finding, Flag, Gate, Original
from labeling.governance.policies import HOLD, REDACT, Rules, current_rules
from labeling.governance.redaction import Replaced
from labeling.intake.models import Prompt
from labeling.refusals import Conflict, NotFound, Refusal
from labeling.text import check_text
from labeling.wording import in_words

RELEASE, DROPPED = Decision.Outcome.RELEASE, Prompt.State.DROPPED
TEAMS_WORD = (Decision.Outcome.RELEASE.value, Decision.Outcome.REDACT.value, Decision.Outcome.DROP.value)
# outcome → the action in the log, and the prompt's state from then on
DECIDED = {
    Decision.Outcome.RELEASE: ("prompt.released", Prompt.State.ACCEPTED),
    Decision.Outcome.REDACT: ("prompt.redacted", Prompt.State.ACCEPTED),
    Decision.Outcome.DROP: ("prompt.dropped", Prompt.State.DROPPED),
    Decision.Outcome.TAKE_BACK: ("prompt.taken_back", Prompt.State.DROPPED),
    Decision.Outcome.BRING_BACK: ("prompt.brought_back", Prompt.State.ACCEPTED),
}
REASON_CHARACTERS = 300
MOST_MARKS = 50  # words that one person marks in one prompt at a time
MARK_CHARACTERS = 300
# Prompts whose state has just changed, in the transaction that changed it.
FOLLOWERS: list[Callable[[Collection[uuid.UUID]], None]] = []


class DecidedAlready(Conflict):
    """Somebody else was quicker. Says who, and what they decided."""

    code = "decided_already"


class PromptErased(Conflict):
    """The texts of the prompt are gone for good, and nothing is done with it any more."""

    code = "prompt_erased"

    def __init__(self) -> None:
        super().__init__(
            _(
                "This prompt was erased, with all that was written about it, since its writer’s data may not be kept. "
                "Nothing more can be done with it."
            )
        )


@dataclass(frozen=True)
class Mark:
    """Words that somebody marked as personal data: every place of them in the prompt is meant."""

    words: str
    kind: str = UNNAMED


def read_marks(given: Any) -> list[Mark]:
    """`given` as marks: a list of {"words", "kind"}, the kind being left out where it is not known."""
    if not isinstance(given, list) or not all(isinstance(entry, dict) for entry in given):
        raise Refusal(_("`marks` must be a list of objects with `words` and `kind`."))
    if len(given) > MOST_MARKS:
        raise Refusal(
            _("At most {most} marks can be sent at once, not {count}.").format(most=MOST_MARKS, count=len(given))
        )
    marks = []
    for entry in given:
        words = entry.get("words")
        if not isinstance(words, str):
            raise Refusal(_("`marks` must be a list of objects with `words` and `kind`."))
        words = check_text(words, where=_("the marked words")).strip()
        kind = entry.get("kind") or UNNAMED
        if not words:
            continue
        if len(words) > MARK_CHARACTERS:
            raise Refusal(
                _("Mark at most {most} characters at a time; these are {count}.").format(
                    most=MARK_CHARACTERS, count=len(words)
                )
            )
        if kind != UNNAMED and kind not in personal_data.KINDS:
            raise Refusal(_("{kind!r} is no kind of personal data.").format(kind=str(kind)[:40]))
        marks.append(Mark(words, kind))
    return marks


def lock_prompt(prompt_id: uuid.UUID, *, erased_too: bool = False) -> Prompt:
    """The prompt, locked to the commit, with its source user. NotFound for an unknown id; PromptErased for one whose
    texts are gone, unless those are asked for too."""
    rows = Prompt.objects.select_related("source_user").select_for_update(no_key=True, of=("self",))
    prompt = rows.filter(pk=prompt_id).first()
    if prompt is None:
        raise NotFound(_("There is no prompt with this id."))
    if prompt.state == Prompt.State.ERASED and not erased_too:
        raise PromptErased
    return prompt


def original_of(prompt: Prompt) -> Original | None:
    return Original.objects.filter(prompt=prompt).first()


def text_of(prompt: Prompt) -> list[dict[str, str]]:
    """The messages as they came in: findings are places in these."""
    original = original_of(prompt)
    return original.messages if original else prompt.messages


def set_state(prompt: Prompt, state: str) -> None:
    """The locked prompt in `state`; its tasks follow."""
    if prompt.state == state:
        return
    prompt.state = state
    prompt.save(update_fields=["state"])
    follow([prompt.pk])


def follow(prompts: Collection[uuid.UUID]) -> None:
    for tell in FOLLOWERS:
        tell(prompts)


def redact_prompt(prompt: Prompt, spans: Iterable[tuple[int, int, int, str]]) -> list[Replaced]:
    """Replace `spans` of the original text of the locked prompt, besides what is replaced already; all that is now."""
    original = original_of(prompt)
    messages = original.messages if original else prompt.messages
    before = [Replaced(**each) for each in original.replaced] if original else []
    every = [(each.message, each.start, each.end, each.kind) for each in before] + list(spans)
    redacted, replaced = redaction.redact(messages, every, known=redaction.words_of(messages, before))
    stored = [each.as_json() for each in replaced]
    if original is None:
        Original.objects.create(prompt=prompt, messages=messages, replaced=stored)
    else:
        Original.objects.filter(pk=prompt.pk).update(replaced=stored, redacted_at=Now())
    prompt.messages = redacted
    prompt.save(update_fields=["messages"])
    return replaced


def restore_prompt(prompt: Prompt, replaced: list[dict] | None = None) -> None:
    """The locked prompt's text as it came in, or with no more than `replaced` redacted."""
    original = original_of(prompt)
    if original is None:
        return
    kept = [Replaced(**each) for each in replaced or []]
    prompt.messages = redaction.apply(original.messages, kept)
    prompt.save(update_fields=["messages"])
    if kept:
        Original.objects.filter(pk=prompt.pk).update(replaced=[each.as_json() for each in kept])
    else:
        original.delete()


def mark_words(prompt: Prompt, marks: Sequence[Mark]) -> list[Finding]:
    """Findings of a person, one for each place of the marked words in the original text; those that are new.

    Refusal for words that stand nowhere in it.
    """
    messages = text_of(prompt)
    texts = [message["content"] for message in messages]
    have = set(prompt.findings.values_list("message_index", "start", "end"))
    made = []
    for mark in marks:
        places = _places(texts, mark.words)
        if not places:
            raise Refusal(
                _("The words “{words}” do not stand in this prompt; mark them as they are written.").format(
                    words=mark.words[:80]
                )
            )
        for message, start, end in places:
            if (message, start, end) not in have:
                have.add((message, start, end))
                made.append(
                    Finding(
                        prompt=prompt, message_index=message, kind=mark.kind, start=start, end=end, score=1.0,
                        recogniser=PERSON, version="",
                    )
                )  # fmt: skip
    return Finding.objects.bulk_create(made)


def _places(texts: list[str], words: str) -> list[tuple[int, int, int]]:
    found = [place[:3] for place in redaction.places_of(texts, [words])]
    if found:
        return found
    # Too short to be looked for as words, or part of one: exactly as they were marked.
    exact = []
    for index, text in enumerate(texts):
        start = text.find(words)
        while start >= 0:
            exact.append((index, start, start + len(words)))
            start = text.find(words, start + len(words))
    return exact


def open_findings(prompt: Prompt, rules: Rules) -> list[Finding]:
    """What of the prompt's findings counts, and is neither dismissed nor redacted."""
    standing = uncovered(
        prompt.findings.filter(dismissed=False).order_by("message_index", "start"), original_of(prompt)
    )
    return [finding for finding in standing if rules.counts(finding.score)]


def uncovered(findings: Iterable[Finding], original: Original | None) -> list[Finding]:
    """The findings that do not lie in what was redacted."""
    covered = [(each["message"], each["start"], each["end"]) for each in original.replaced] if original else []
    return [
        finding
        for finding in findings
        if not any(
            message == finding.message_index and start <= finding.start and finding.end <= end
            for message, start, end in covered
        )
    ]


def read_reason(reason: str, *, required: bool) -> str:
    reason = check_text(reason, where=_("the reason")).strip()
    if required and not reason or len(reason) > REASON_CHARACTERS:
        raise Refusal(_("Say why in 1 to 300 characters; whoever looks at this prompt later will want to know."))
    return reason


@transaction.atomic(durable=True)
def decide(
    *,
    prompt_id: uuid.UUID,
    outcome: str,
    decided_by,
    reason: str = "",
    real: Collection[int] | None = None,
    marks: Sequence[Mark] = (),
    blind: uuid.UUID | None = None,
) -> Decision | None:
    """Keep a held prompt, redact it, or drop it; the decision. One that was accepted may be redacted or dropped too.

    `real` names, of its findings, those that are personal data, None for all; `marks` what the filter did not see.
    What is kept has none. Raises DecidedAlready where somebody else was quicker.

    With `blind` it is the word on an item of a blind sample, given without seeing the findings. A prompt that passed
    and is kept stays as it is; one that is held and is kept waits on, to be looked at with its findings: None.
    """
    if outcome not in TEAMS_WORD:
        raise Refusal(_("Choose {values}, not {outcome!r}.").format(values=_(" or ").join(TEAMS_WORD), outcome=outcome))
    reason = read_reason(reason, required=False)
    prompt = lock_prompt(prompt_id)
    item = _lock_blind(blind, prompt) if blind is not None else None
    if outcome == RELEASE and item is not None:
        _judge_blind(item, decided_by, real=False, kinds=[], decision=None)
        return None
    _check_state(prompt, outcome)
    rules = current_rules()
    mark_words(prompt, marks)
    looked_at = open_findings(prompt, rules)
    unknown = set(real or ()) - {finding.pk for finding in looked_at}
    if unknown:
        raise Conflict(_("This prompt was scanned again meanwhile, and its findings are others now; look at it again."))
    if item is not None:
        real = None  # its findings were not shown
    chosen = [
        finding
        for finding in looked_at
        if outcome != RELEASE and (real is None or finding.pk in real or finding.recogniser == PERSON)
    ]
    if outcome == Decision.Outcome.REDACT:
        if not chosen:
            raise Refusal(_("There is nothing to redact: mark the words, or choose one of the findings."))
        redact_prompt(prompt, [(finding.message_index, finding.start, finding.end, finding.kind) for finding in chosen])
    Finding.objects.filter(pk__in={finding.pk for finding in looked_at} - {finding.pk for finding in chosen}).update(
        dismissed=True
    )
    decision = record(
        prompt,
        outcome,
        reason=reason,
        decided_by=decided_by,
        findings=[
            _judged(finding, finding in chosen and (item is None or _seen(finding, looked_at, marks)))
            for finding in looked_at
        ],
    )
    Flag.objects.filter(prompt=prompt, decision=None).update(decision=decision)
    if item is not None:
        # A reviewer names kinds by what they mark; where they marked nothing, by what had been found.
        kinds = sorted({mark.kind for mark in marks} or {finding.kind for finding in chosen})
        _judge_blind(item, decided_by, real=True, kinds=kinds, decision=decision)
    return decision


def _check_state(prompt: Prompt, outcome: str) -> None:
    release = outcome == RELEASE
    if prompt.state == DROPPED or (release and prompt.state != Prompt.State.HELD):
        latest = prompt.decisions.select_related("decided_by").order_by("-id").first()
        if latest is not None:
            raise DecidedAlready(
                _("{name} has decided this prompt already: it is {state}. Nothing was changed.").format(
                    name=latest.decided_by.name, state=in_words(prompt.state)
                ),
                state=prompt.state,
            )
        raise Conflict(_("This prompt is {state} already; nothing was changed.").format(state=in_words(prompt.state)))


def _seen(finding: Finding, findings: Sequence[Finding], marks: Sequence[Mark]) -> bool:
    """Whether somebody who was not shown the findings means this one: what they marked touches it. Who marked nothing
    means the whole."""
    return not marks or any(
        other.recogniser == PERSON
        and other.message_index == finding.message_index
        and other.start < finding.end
        and finding.start < other.end
        for other in findings
    )


def _judged(finding: Finding, real: bool) -> dict:
    return {
        "message": finding.message_index,
        "start": finding.start,
        "end": finding.end,
        "kind": finding.kind,
        "recogniser": finding.recogniser,
        "score": finding.score,
        "real": real,
    }


def _lock_blind(item_id: uuid.UUID, prompt: Prompt) -> BlindItem:
    item = BlindItem.objects.select_for_update(no_key=True).filter(pk=item_id, prompt=prompt).first()
    if item is None:
        raise NotFound(_("This prompt is in no blind sample under this id."))
    if item.judged_at is not None:
        raise DecidedAlready(
            _("{name} has looked at this prompt already. Nothing was changed.").format(name=item.judged_by.name)
        )
    return item


def _judge_blind(item: BlindItem, by, *, real: bool, kinds: list[str], decision: Decision | None) -> None:
    BlindItem.objects.filter(pk=item.pk).update(
        judged_at=Now(), judged_by=by, real=real, kinds=kinds, decision=decision
    )
    audit.record(actor=by, action="prompt.judged_blind", subject=item.prompt, real=real, kinds=kinds)


def record(
    prompt: Prompt, outcome: str, *, reason: str, decided_by, findings: Sequence[dict] = (), state: str = ""
) -> Decision:
    """Write the decision down and put the locked prompt in its state, the usual one where none is given."""
    was = prompt.state
    action, usual = DECIDED[outcome]
    set_state(prompt, state or usual)
    decision = Decision.objects.create(
        prompt=prompt,
        outcome=outcome,
        reason=reason,
        decided_by=decided_by,
        gate_id=prompt.gate_id,
        findings=list(findings),
        state_before=was,
    )
    told = {"reason": reason} if reason else {}
    kinds = sorted({finding["kind"] for finding in findings if finding["real"]})
    audit.record(actor=decided_by, action=action, subject=prompt, **told, **({"kinds": kinds} if kinds else {}))
    return decision


@transaction.atomic(durable=True)
def undo(*, prompt_id: uuid.UUID, decided_by, blind: uuid.UUID | None = None) -> Prompt:
    """Take back one's own latest word on a prompt: it is as it was before, and waits again if it waited.

    With `blind`, what was said of that item of a blind sample. Conflict where somebody has decided since, and for
    another person's word.
    """
    prompt = lock_prompt(prompt_id)
    item = BlindItem.objects.filter(pk=blind, prompt=prompt, judged_by=decided_by).first() if blind else None
    latest = prompt.decisions.order_by("-id").first()
    if item is not None and item.decision_id is None:
        latest = None
    elif latest is None or latest.outcome not in TEAMS_WORD or latest.decided_by_id != decided_by.pk:
        raise Conflict(_("There is no word of yours on this prompt that could be undone."))
    if item is not None:
        BlindItem.objects.filter(pk=item.pk).update(judged_at=None, judged_by=None, real=None, kinds=[], decision=None)
    if latest is not None:
        _undo(prompt, latest)
        Decision.objects.create(
            prompt=prompt,
            outcome=Decision.Outcome.UNDO,
            decided_by=decided_by,
            gate_id=prompt.gate_id,
            state_before=prompt.state,
            undoes=latest,
        )
        set_state(prompt, latest.state_before or Prompt.State.HELD)
    audit.record(actor=decided_by, action="prompt.decision_undone", subject=prompt)
    return prompt


def _undo(prompt: Prompt, decision: Decision) -> None:
    if decision.outcome == Decision.Outcome.REDACT:
        mine = {(each["message"], each["start"], each["end"]) for each in decision.findings if each["real"]}
        original = original_of(prompt)
        messages = original.messages if original else []
        earlier = [each for each in (original.replaced if original else []) if not _is_of(messages, each, mine)]
        restore_prompt(prompt, earlier)
    places = {(each["message"], each["start"], each["end"]) for each in decision.findings if not each["real"]}
    dismissed = prompt.findings.filter(dismissed=True)
    Finding.objects.filter(
        pk__in=[each.pk for each in dismissed if (each.message_index, each.start, each.end) in places]
    ).update(dismissed=False)
    Flag.objects.filter(decision=decision).update(decision=None)


def _is_of(messages: list[dict], replaced: dict, places: set[tuple[int, int, int]]) -> bool:
    """Whether what was replaced says the same as one of the `places`, or holds it."""
    said = redaction.normal(messages[replaced["message"]]["content"][replaced["start"] : replaced["end"]])
    return any(
        (message == replaced["message"] and start < replaced["end"] and replaced["start"] < end)
        or redaction.normal(messages[message]["content"][start:end]) == said
        for message, start, end in places
    )


def apply_rules(prompt: Prompt, rules: Rules, findings: Sequence[Finding], *, by_whom=None) -> str:
    """What the filter makes of the locked prompt by its present `findings`; the prompt's state after it.

    People's words stand: what somebody dismissed or redacted counts no more, what somebody flagged waits for a person,
    and what is dropped stays so.
    """
    if prompt.state in (DROPPED, Prompt.State.ERASED):
        return prompt.state
    counted = uncovered((finding for finding in findings if not finding.dismissed), original_of(prompt))
    verdict = rules.verdict(split=prompt.source_user.split, findings=[f for f in counted if f.recogniser != PERSON])
    flagged = prompt.state == Prompt.State.HELD and (
        any(finding.recogniser == PERSON for finding in counted)
        or Flag.objects.filter(prompt=prompt, decision=None).exists()
    )
    if verdict.action == REDACT:
        redact_prompt(prompt, [(f.message_index, f.start, f.end, f.kind) for f in verdict.because])
        audit.record(actor=by_whom, action="prompt.redacted", subject=prompt, kinds=verdict.kinds)
    state = {HOLD: Prompt.State.HELD, "drop": DROPPED}.get(verdict.action, Prompt.State.ACCEPTED)
    if flagged and state == Prompt.State.ACCEPTED:
        state = Prompt.State.HELD
    if state != prompt.state:
        words = {Prompt.State.HELD: "prompt.held", DROPPED: "prompt.dropped"}
        action = words.get(state, "prompt.released")
        audit.record(actor=by_whom, action=action, subject=prompt, kinds=verdict.kinds, by="policy")
        set_state(prompt, state)
    return prompt.state


@transaction.atomic
def flag(*, prompt_id: uuid.UUID, by, lease_id: uuid.UUID | None, marks: Sequence[Mark], note: str) -> Flag:
    """Somebody's word that the filter let personal data pass: the prompt waits for the team from now on, in the
    caller's transaction. The second time by the same person, while the first is open, adds to it.

    Raises Refusal where neither words nor a note say what is meant.
    """
    note = read_reason(note, required=False)
    if not marks and not note:
        raise Refusal(_("Mark the words, or say in a few of your own what is personal in it."))
    prompt = lock_prompt(prompt_id)
    made = mark_words(prompt, marks)
    held, new = Flag.objects.get_or_create(
        prompt=prompt, by=by, decision=None, defaults={"lease_id": lease_id, "words": len(marks), "note": note}
    )
    if not new:
        held.words, held.note = min(held.words + len(marks), 32_767), note or held.note
        held.save(update_fields=["words", "note"])
    if prompt.state != DROPPED:
        set_state(prompt, Prompt.State.HELD)
    audit.record(actor=by, action="prompt.flagged", subject=prompt, marked=len(made))
    return held


def gate_of(prompt: Prompt) -> Gate | None:
    return Gate.objects.select_related("detector", "policy").filter(pk=prompt.gate_id).first()
