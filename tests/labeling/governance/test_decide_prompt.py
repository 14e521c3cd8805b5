from __future__ import annotations

import uuid

import pytest

from labeling.audit.models import AuditEvent
from labeling.governance import services
from labeling.governance.models import Decision
from labeling.refusals import Conflict, NotFound, Refusal
from tests.factories import make_prompt


def decide(prompt, outcome, person, reason="public figure"):
    return services.decide_prompt(prompt_id=prompt.pk, outcome=outcome, decided_by=person, reason=reason)


def test_released_prompt_is_accepted_and_the_word_kept(rita):
    held = make_prompt("a@b.io", state="held")
    assert decide(held, "release", rita).state == "accepted"
    word = Decision.objects.get()
    assert (word.outcome, word.reason, word.decided_by) == ("release", "public figure", rita)
    assert AuditEvent.objects.get().action == "prompt.released"


def test_dropped_prompt_stays_dropped(rita):
    held = make_prompt("a@b.io", state="held")
    assert decide(held, "drop", rita).state == "dropped"
    for outcome in ("release", "drop"):
        with pytest.raises(Conflict):
            decide(held, outcome, rita)


def test_accepted_prompt_can_be_dropped_but_not_released(rita):
    prompt = make_prompt("fine")
    with pytest.raises(Conflict):
        decide(prompt, "release", rita)
    assert decide(prompt, "drop", rita).state == "dropped"


def test_decision_needs_a_reason_and_a_prompt(rita):
    held = make_prompt("a@b.io", state="held")
    for reason in ("", "  ", "x" * 301, "a\x00"):
        with pytest.raises(Refusal):
            decide(held, "release", rita, reason)
    with pytest.raises(Refusal):
        decide(held, "burn", rita)
    with pytest.raises(NotFound):
        services.decide_prompt(prompt_id=uuid.uuid4(), outcome="drop", decided_by=rita, reason="x")
