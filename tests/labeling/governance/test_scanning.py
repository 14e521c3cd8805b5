from __future__ import annotations

import pytest

from labeling.background.models import Job
from labeling.background.services import JobCancelled
from labeling.governance import deciding, policies, scanning
from labeling.governance.deciding import Mark
from labeling.governance.models import DetectorVersion, Finding, Gate
from labeling.intake.models import Prompt
from labeling.jobs import run_now
from labeling.refusals import Refusal
from tests.factories import make_held, make_prompt

pytestmark = pytest.mark.django_db
ADDRESS = "jane.roe@example-mail.org"


def scan() -> dict:
    return scanning.rescan(beat=lambda **_: None)


@pytest.fixture
def older() -> Gate:
    """A gate of a detector that is another by now."""
    gate, _rules = policies.current_gate()
    detector = DetectorVersion.objects.create(name=gate.detector.name, version="0", configuration="0" * 64)
    return Gate.objects.create(detector=detector, policy=gate.policy)


def test_what_an_older_detector_let_pass_is_held(older, amy):
    missed, fine = make_prompt(f"Write to {ADDRESS}", gate=older), make_prompt("Hi?", gate=None)
    assert scanning.pending() == 2
    job = scanning.start_rescan(actor=amy)
    assert scanning.start_rescan(actor=amy) == job
    done = run_now(str(job.pk))
    assert (done.state, done.result["scanned"], done.result["held"]) == ("done", 2, 1)
    missed.refresh_from_db(), fine.refresh_from_db()
    assert (missed.state, fine.state) == ("held", "accepted")
    assert missed.gate == fine.gate == policies.known_gate()
    assert Finding.objects.get(prompt=missed).version == missed.gate.detector.version
    assert scanning.pending() == 0
    with pytest.raises(Refusal, match="nothing to scan"):
        scanning.start_rescan(actor=amy)


def test_what_people_said_stands(older, ada, rita):
    kept, redacted, dropped, flagged = (make_held(f"{n}: {ADDRESS}") for n in range(4))
    deciding.decide(prompt_id=kept.pk, outcome="release", decided_by=rita)
    deciding.decide(prompt_id=redacted.pk, outcome="redact", decided_by=rita, marks=[Mark("1:")])
    deciding.decide(prompt_id=dropped.pk, outcome="drop", decided_by=rita)
    deciding.decide(prompt_id=flagged.pk, outcome="release", decided_by=rita)
    deciding.flag(prompt_id=flagged.pk, by=ada, lease_id=None, marks=[Mark("3:")], note="")
    Prompt.objects.update(gate=older)
    counts = scan()
    assert counts == {"scanned": 4, "held": 0, "redacted": 0, "dropped": 0, "released": 0}
    states = {prompt.pk: prompt.state for prompt in Prompt.objects.all()}
    assert [states[each.pk] for each in (kept, redacted, dropped, flagged)] == [
        "accepted", "accepted", "dropped", "held",
    ]  # fmt: skip
    assert Prompt.objects.get(pk=redacted.pk).messages[0]["content"] == "[PERSONAL_1] [EMAIL_1]"
    assert Finding.objects.filter(prompt=flagged, recogniser="person").exists()


def test_a_changed_policy_goes_over_what_is_here(amy):
    held = make_held()
    policies.set_policy(preset="own", rules={(split, ""): "redact" for split in ("train", "valid", "test")}, actor=amy)
    assert scanning.pending() == 1
    assert scan()["redacted"] == 1
    held.refresh_from_db()
    assert held.state == "accepted" and "[EMAIL_1]" in held.messages[0]["content"]
    # What is redacted is not read again by a policy that would allow it.
    policies.set_policy(preset="own", rules={(s, ""): "allow" for s in ("train", "valid", "test")}, actor=amy)
    scan()
    held.refresh_from_db()
    assert "[EMAIL_1]" in held.messages[0]["content"]


def test_a_policy_that_allows_releases_what_the_filter_alone_held(amy, ada):
    alone, flagged = make_held(), make_held()
    deciding.flag(prompt_id=flagged.pk, by=ada, lease_id=None, marks=[], note="a friend of mine")
    policies.set_policy(preset="own", rules={(s, ""): "allow" for s in ("train", "valid", "test")}, actor=amy)
    assert scan()["released"] == 1
    assert Prompt.objects.get(pk=alone.pk).state == "accepted"
    assert Prompt.objects.get(pk=flagged.pk).state == "held"


def test_a_scan_that_is_stopped_goes_on_where_it_was(older, monkeypatch):
    for number in range(7):
        make_prompt(f"{number}: {ADDRESS}", gate=older)
    monkeypatch.setattr(scanning, "CHUNK", 2)
    beats = []

    def beat(**news):
        beats.append(news.get("done"))
        if len(beats) == 3:
            raise JobCancelled("stopped")

    with pytest.raises(JobCancelled):
        scanning.rescan(beat=beat)
    assert (scanning.pending(), Prompt.objects.filter(state="held").count()) == (3, 4)
    assert scan()["scanned"] == 3
    assert Prompt.objects.filter(state="held").count() == 7 == Finding.objects.count()


def test_one_scan_runs_at_a_time(older, amy):
    make_prompt(gate=older)
    scanning.start_rescan(actor=amy)
    assert Job.objects.filter(kind="rescan_prompts").count() == 1
