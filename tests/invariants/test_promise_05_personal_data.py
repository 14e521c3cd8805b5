"""5. No personal data that the filter found reaches a training export, and what was found and decided is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from labeling.audit.models import AuditEvent
from labeling.exports.services import create_dataset
from labeling.governance.models import Finding
from labeling.governance.services import decide_prompt, import_prompts
from labeling.intake.models import Prompt
from tests import factories
from training.formats import iter_lines

pytestmark = pytest.mark.django_db

ADDRESS = "jane.roe@example-mail.org"


def exported(kind: str) -> str:
    folder = Path(create_dataset(kind=kind).folder)
    return "".join(line.decode() for path in sorted(folder.glob("*.zst")) for line in iter_lines(path))


@pytest.fixture
def held(ada) -> Prompt:
    """A prompt in which an e-mail address was found, answered before anybody noticed."""
    texts = [f"Write to {ADDRESS} and say hello.", "Hi?"]
    rows = [(line, {"prompt": text, "user_id": f"user-{line}"}) for line, text in enumerate(texts, 1)]
    import_prompts(rows=rows, name="mail", created_by=None)
    prompt = Prompt.objects.get(state="held")
    factories.make_ranking(task=factories.make_task(prompt=prompt), labeler=ada)
    factories.make_demonstration(prompt=prompt, labeler=ada, text="Hello.")
    return prompt


def test_what_was_found_reaches_no_export(held):
    assert Finding.objects.filter(prompt=held, kind__icontains="mail").exists()
    for kind in ("prompts", "comparisons", "demonstrations"):
        assert ADDRESS not in exported(kind)
    assert "Hi?" in exported("prompts")


def test_a_release_is_a_decision_of_somebody_with_a_reason(held, amy):
    decide_prompt(prompt_id=held.pk, outcome="release", decided_by=amy, reason="a made-up address")
    decision = held.decisions.get()
    assert (decision.outcome, decision.decided_by, decision.reason) == ("release", amy, "a made-up address")
    assert AuditEvent.objects.filter(actor=amy).exists()
