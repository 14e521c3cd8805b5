from __future__ import annotations

from functools import partial

import pytest

from labeling.audit.models import AuditEvent
from labeling.governance import policies, services
from labeling.governance.models import Finding, Original, Policy
from labeling.intake.models import Prompt
from labeling.refusals import Conflict, Refusal

pytestmark = pytest.mark.django_db
ADDRESS = "jane.roe@example-mail.org"
OWN = {("train", ""): "hold", ("valid", ""): "allow", ("test", ""): "drop", ("train", "email"): "redact"}


def bring(text: str = f"Write to {ADDRESS}", *, split: str = "train"):
    for number in range(200):  # users' splits follow from their names
        if services.split_of(source="s", user_id=f"u{number}") == split:
            return services.import_prompts(
                rows=[(1, {"prompt": text, "user_id": f"u{number}", "source": "s"})], name="n"
            )
    raise AssertionError("no user of this split among 200")


def test_before_anybody_chose_all_that_is_found_is_held(amy):
    assert (policies.current_rules().number, policies.known_gate()) == (1, None)
    for split in ("train", "valid", "test"):
        assert bring(f"Write to {ADDRESS}, {split}", split=split).rejected == {"personal_data": 1}
    assert set(Prompt.objects.values_list("state", flat=True)) == {"held"}
    gate = Prompt.objects.first().gate
    assert (gate, gate.policy.number, gate.policy.created_by) == (policies.known_gate(), 1, None)


def test_instructgpt_filters_the_training_split_alone(amy):
    policies.set_policy(preset="instructgpt", actor=amy)
    assert bring(split="train").rejected == {"personal_data": 1}
    assert bring("Ask jane.roe@example-mail.org", split="valid").accepted == 1
    assert Finding.objects.filter(prompt__state="accepted", kind="email").exists()


def test_a_policy_of_ones_own_by_split_and_kind(amy):
    policies.set_policy(preset="own", rules=OWN, actor=amy)
    assert bring(split="train").accepted == 1
    prompt = Prompt.objects.get()
    assert prompt.messages[0]["content"] == "Write to [EMAIL_1]"
    assert Original.objects.get().messages[0]["content"] == f"Write to {ADDRESS}"
    assert bring("Ask jane.roe@example-mail.org", split="test").rejected == {"personal_data": 1}
    # What the policy drops is not even kept; and what was redacted is known again.
    assert Prompt.objects.count() == 1
    assert bring(split="train").rejected == {"duplicate": 1}


def test_the_strictest_rule_decides(amy):
    policies.set_policy(preset="own", rules=OWN, actor=amy)
    bring(f"{ADDRESS} and my card 4111 1111 1111 1111", split="train")
    prompt = Prompt.objects.get()
    assert prompt.state == "held" and ADDRESS in prompt.messages[0]["content"]


def test_a_change_is_a_version_and_a_line_in_the_trail(amy, rita):
    policies.set_policy(preset="instructgpt", actor=amy, note="as the paper")
    policy = policies.set_policy(preset="all_splits", hold_at=0.7, replaces=2, actor=amy)
    assert (policy.number, policies.current_rules().hold_at) == (3, 0.7)
    assert list(Policy.objects.order_by("number").values_list("preset", flat=True)) == [
        "all_splits", "instructgpt", "all_splits",
    ]  # fmt: skip
    event = AuditEvent.objects.filter(action="policy.changed").latest("id")
    assert event.actor == amy and event.detail["before"]["preset"] == "instructgpt"
    with pytest.raises(Conflict, match="amy changed the policy"):
        policies.set_policy(preset="instructgpt", replaces=2, actor=amy)


def test_what_is_no_policy_is_refused(amy):
    refused = partial(policies.set_policy, actor=amy)
    for said in (
        {"preset": "odd"},
        {"preset": "own"},
        {"preset": "own", "rules": OWN | {("odd", ""): "hold"}},
        {"preset": "own", "rules": OWN | {("train", "odd"): "hold"}},
        {"preset": "own", "rules": OWN | {("train", "email"): "odd"}},
        {"preset": "all_splits", "hold_at": 0},
        {"preset": "all_splits", "hold_at": 1.5},
        {"preset": "all_splits", "note": "x" * 301},
    ):
        with pytest.raises(Refusal):
            refused(**said)
    assert Policy.objects.count() <= 1


def test_a_threshold_moves_what_counts():
    rules = policies.default_rules()
    low = type("Found", (), {"kind": "email", "score": rules.hold_at - 0.01})
    at = type("Found", (), {"kind": "email", "score": rules.hold_at})
    assert rules.verdict(split="train", findings=[low]).action == "allow"
    assert rules.verdict(split="train", findings=[low, at]).kinds == ["email"]
