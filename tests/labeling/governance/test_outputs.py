from __future__ import annotations

import pytest

from labeling.governance import deciding, outputs, policies
from labeling.governance.deciding import Mark
from labeling.governance.models import OutputScan
from labeling.governance.outputs import OutputGate, known_words, policy_in_words, scan_outputs
from tests.factories import make_held

pytestmark = pytest.mark.django_db
ADDRESS, OTHER = "jane.roe@example-mail.org", "bob.day@example-mail.org"


def own(amy, **by_split):
    rules = {(split, ""): by_split.get(split, "hold") for split in ("train", "valid", "test")}
    policies.set_policy(preset="own", rules=rules, actor=amy)


def test_what_would_be_held_is_left_out_and_counted(db):
    gate = OutputGate()
    assert gate.pass_text("Fine.", split="train") == "Fine."
    assert gate.pass_text(f"Ask {ADDRESS}.", split="train") is None
    assert gate.pass_texts(["Fine.", f"Ask {ADDRESS}."], split="train") is None
    assert dict(gate.counts) == {"personal_data:email": 2}


def test_the_policy_of_the_split_decides(amy):
    own(amy, train="redact", valid="allow", test="drop")
    text = f"Ask {ADDRESS}."
    assert scan_outputs([text], split="train") == ["Ask [EMAIL_1]."]
    assert scan_outputs([text], split="valid") == [text]
    assert scan_outputs([text, "Fine."], split="test") == [None, "Fine."]


def test_turns_that_belong_together_share_their_placeholders(amy):
    own(amy, train="redact")
    gate = OutputGate()
    turns = [f"{ADDRESS}?", f"{OTHER}!", f"No, {ADDRESS}"]
    assert gate.pass_texts(turns, split="train") == ["[EMAIL_1]?", "[EMAIL_2]!", "No, [EMAIL_1]"]
    assert dict(gate.counts) == {"redacted:email": 1}


def test_what_was_redacted_in_the_prompt_is_redacted_in_what_was_said_of_it(rita):
    held = make_held(f"Zorbax Quill, {ADDRESS}")
    deciding.decide(prompt_id=held.pk, outcome="redact", decided_by=rita, marks=[Mark("Zorbax Quill", "person_name")])
    known = known_words([held.pk])[held.pk]
    # No detector finds this name; the address alone would have the text left out.
    assert scan_outputs([f"Dear Zorbax Quill: {ADDRESS}"], split="train", known=known) == ["Dear [NAME_1]: [EMAIL_1]"]
    assert scan_outputs([OTHER], split="train", known=known) == [None]


def test_what_was_found_once_is_asked_of_the_database(db, monkeypatch):
    texts = [f"Ask {ADDRESS}.", "Fine.", "Fine."]
    first = OutputGate()
    assert [first.pass_text(text, split="train") for text in texts] == [None, "Fine.", "Fine."]
    assert (first.remember(), OutputScan.objects.count(), first.remember()) == (2, 2, 0)

    def never(given):
        assert list(given) == []
        return iter(())

    monkeypatch.setattr(outputs.personal_data, "find_many", never)
    assert [OutputGate().pass_text(text, split="train") for text in texts] == [None, "Fine.", "Fine."]


def test_a_manifest_names_detector_and_policy(amy):
    said = policy_in_words()
    assert said["detector"].keys() == {"name", "version", "configuration"}
    assert said["policy"] == {
        "number": 1,
        "preset": "all_splits",
        "hold_at": 0.5,
        "splits": {split: {"others": "hold", "kinds": {}} for split in ("test", "train", "valid")},
    }
    own(amy, train="redact")
    assert policy_in_words()["policy"]["splits"]["train"] == {"others": "redact", "kinds": {}}
