from __future__ import annotations

import pytest

from labeling.audit.models import AuditEvent
from labeling.governance import deciding
from labeling.governance.deciding import Mark
from labeling.governance.models import Decision, Finding, Flag, Original
from labeling.intake.models import Prompt
from labeling.refusals import Conflict, Refusal
from tests.factories import make_held, make_prompt

pytestmark = pytest.mark.django_db
ADDRESS, OTHER = "jane.roe@example-mail.org", "bob.day@example-mail.org"


def decide(prompt, outcome, person, **said):
    decision = deciding.decide(prompt_id=prompt.pk, outcome=outcome, decided_by=person, **said)
    prompt.refresh_from_db()
    return decision


def content(prompt) -> str:
    return prompt.messages[-1]["content"]


def test_redacting_replaces_what_was_found_and_keeps_the_original(rita):
    held = make_held(f"Write to {ADDRESS} or {OTHER}. Again: {ADDRESS}")
    decision = decide(held, "redact", rita)
    assert (held.state, content(held)) == ("accepted", "Write to [EMAIL_1] or [EMAIL_2]. Again: [EMAIL_1]")
    assert Original.objects.get().messages[0]["content"].endswith(f"Again: {ADDRESS}")
    assert (decision.outcome, decision.decided_by, decision.state_before) == ("redact", rita, "held")
    assert {each["kind"] for each in decision.findings if each["real"]} == {"email"}
    assert AuditEvent.objects.get(action="prompt.redacted").actor == rita


def test_what_is_none_stays_and_counts_no_more(rita):
    held = make_held(f"Write to {ADDRESS} or {OTHER}.")
    real = [Finding.objects.order_by("start").first().pk]
    decision = decide(held, "redact", rita, real=real)
    assert content(held) == f"Write to [EMAIL_1] or {OTHER}."
    assert [each["real"] for each in sorted(decision.findings, key=lambda each: each["start"])] == [True, False]
    assert list(held.findings.order_by("start").values_list("dismissed", flat=True)) == [False, True]


def test_words_that_nobody_found_can_be_marked(rita):
    held = make_held(f"Zorbax Quill, {ADDRESS}. Yours, ZORBAX  quill")
    decide(held, "redact", rita, marks=[Mark("Zorbax Quill", "person_name")])
    assert content(held) == "[NAME_1], [EMAIL_1]. Yours, [NAME_1]"
    with pytest.raises(Refusal, match="do not stand"):
        decide(make_held(), "redact", rita, marks=[Mark("nowhere to be seen")])


def test_keeping_says_that_nothing_of_it_is_personal(rita):
    held = make_held()
    decision = decide(held, "release", rita)
    assert held.state == "accepted" and ADDRESS in content(held)
    assert [each["real"] for each in decision.findings] == [False]
    assert all(held.findings.values_list("dismissed", flat=True))


def test_the_second_is_told_who_was_first(rita, amy):
    held = make_held()
    decide(held, "release", rita)
    with pytest.raises(deciding.DecidedAlready, match="rita has decided"):
        decide(held, "release", amy)
    assert Decision.objects.count() == 1


def test_a_decision_on_findings_that_are_others_now_is_refused(rita):
    held = make_held()
    with pytest.raises(Conflict, match="scanned again"):
        decide(held, "redact", rita, real=[-1])
    with pytest.raises(Refusal, match="nothing to redact"):
        decide(held, "redact", rita, real=[])
    assert held.state == "held" and not Original.objects.exists()


@pytest.mark.parametrize("outcome", ["release", "redact", "drop"])
def test_undo_brings_back_what_was(rita, outcome):
    held = make_held()
    decide(held, outcome, rita)
    deciding.undo(prompt_id=held.pk, decided_by=rita)
    held.refresh_from_db()
    assert (held.state, Original.objects.exists()) == ("held", False) and ADDRESS in content(held)
    assert not held.findings.filter(dismissed=True).exists()
    assert list(held.decisions.order_by("id").values_list("outcome", flat=True)) == [outcome, "undo"]
    with pytest.raises(Conflict):
        deciding.undo(prompt_id=held.pk, decided_by=rita)
    decide(held, "drop", rita)
    assert held.state == "dropped"


def test_undo_of_a_second_redaction_keeps_the_first(rita):
    held = make_held(f"Zorbax Quill, {ADDRESS}")
    decide(held, "redact", rita)
    decide(held, "redact", rita, marks=[Mark("Zorbax Quill", "person_name")])
    assert content(held) == "[NAME_1], [EMAIL_1]"
    deciding.undo(prompt_id=held.pk, decided_by=rita)
    held.refresh_from_db()
    assert (held.state, content(held)) == ("accepted", "Zorbax Quill, [EMAIL_1]")


def test_only_ones_own_latest_word_can_be_undone(rita, amy):
    held = make_held()
    decide(held, "release", rita)
    with pytest.raises(Conflict, match="no word of yours"):
        deciding.undo(prompt_id=held.pk, decided_by=amy)
    with pytest.raises(Conflict):
        deciding.undo(prompt_id=make_prompt().pk, decided_by=rita)


def test_a_flag_holds_the_prompt_and_is_settled_by_a_word(ada, rita):
    prompt = make_prompt("Zorbax Quill lives here.")
    for words in ("Zorbax Quill", "lives here"):
        deciding.flag(prompt_id=prompt.pk, by=ada, lease_id=None, marks=[Mark(words)], note="a name")
    prompt.refresh_from_db()
    flag = Flag.objects.get()
    assert (prompt.state, flag.by, flag.words, flag.note) == ("held", ada, 2, "a name")
    assert set(prompt.findings.values_list("recogniser", "score")) == {("person", 1.0)}
    decision = decide(prompt, "redact", rita)
    flag.refresh_from_db()
    assert flag.decision == decision and content(prompt) == "[PERSONAL_1] [PERSONAL_2]."


def test_a_flag_says_what_is_meant(ada):
    prompt = make_prompt("Hello.")
    for marks, note in (([], ""), ([], "  "), ([Mark("not there")], "")):
        with pytest.raises(Refusal):
            deciding.flag(prompt_id=prompt.pk, by=ada, lease_id=None, marks=marks, note=note)
    assert Prompt.objects.get().state == "accepted"


@pytest.mark.parametrize("marks", ["x", [1], [{"words": 1}], [{"words": "a", "kind": "odd"}], [{"words": "x" * 301}]])
def test_marks_that_are_none_are_refused(marks):
    with pytest.raises(Refusal):
        deciding.read_marks(marks)
