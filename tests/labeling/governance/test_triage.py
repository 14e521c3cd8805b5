from __future__ import annotations

import random

import pytest

from labeling.audit.models import AuditEvent
from labeling.governance import deciding, triage
from labeling.governance.deciding import Mark
from labeling.governance.models import BlindItem
from labeling.jobs import run_now
from labeling.models import Job
from labeling.refusals import Conflict, Refusal
from tests.factories import make_held

pytestmark = pytest.mark.django_db
ADDRESS = "jane.roe@example-mail.org"


def drawn(amy, wanted: int = 10):
    sample = triage.start_sample(wanted=wanted, actor=amy, seed=7)
    assert run_now(str(Job.objects.latest("created_at").pk)).state == "done"
    sample.refresh_from_db()
    return sample


def everything(reader, size: int = 2) -> list:
    items, after, rng = [], None, random.Random(3)
    while True:
        turn = triage.turn(reader=reader, after=after, size=size, rng=rng)
        items += turn.items
        if turn.next is None:
            return items
        after = turn.next


def test_prompts_come_longest_waiting_first_each_once_and_reading_is_written_down(rita):
    held = [make_held(f"{n}: {ADDRESS}") for n in range(5)]
    items = everything(rita)
    assert [item.prompt.pk for item in items] == [prompt.pk for prompt in held]
    assert all(item.blind is None and len(item.findings) == 1 for item in items)
    read = AuditEvent.objects.filter(action="prompt.raw_read", actor=rita)
    assert sorted(read.values_list("subject_id", flat=True)) == sorted(str(prompt.pk) for prompt in held)


def test_a_blind_item_shows_neither_findings_nor_where_it_is_from(rita, amy):
    for number in range(6):
        make_held(f"Passed, number {number}")
    held = [make_held(f"{n}: {ADDRESS}") for n in range(4)]
    sample = drawn(amy, wanted=6)
    assert (sample.passed, sample.found) == (6, 4)
    items = everything(rita)
    blind = [item for item in items if item.blind]
    # Six that passed, and three of the held as decoys; all of the held once more, with their findings.
    assert len(blind) == 9 and {item.prompt.state for item in blind} == {"accepted", "held"}
    assert all(not item.findings and not any(p.finding for m in item.marked for p in m.pieces) for item in blind)
    assert {item.prompt.pk for item in items if not item.blind} == {prompt.pk for prompt in held}
    # Strewn in: not all at one end.
    places = [index for index, item in enumerate(items) if item.blind]
    assert places != list(range(len(places)))


def test_a_sample_draws_nobody_twice_and_the_same_for_one_seed(amy):
    for number in range(8):
        make_held(f"Passed, number {number}")
    first, second = drawn(amy, wanted=5), drawn(amy, wanted=5)
    ids = [
        set(BlindItem.objects.filter(sample=s, passed=True).values_list("prompt", flat=True)) for s in (first, second)
    ]
    assert (len(ids[0]), len(ids[1]), ids[0] & ids[1]) == (5, 3, set())
    assert triage.draw_sample(sample_id=first.pk).items.count() == 5
    for wanted in (0, 10_001, True, "5"):
        with pytest.raises(Refusal):
            triage.start_sample(wanted=wanted, actor=amy)


def blind_of(prompt) -> BlindItem:
    return BlindItem.objects.get(prompt=prompt)


def test_what_is_said_of_blind_items(rita, amy):
    fine, missed = make_held("Nothing here."), make_held("Zorbax Quill said so.")
    decoy = make_held(ADDRESS)
    drawn(amy)

    def say(prompt, outcome, **more):
        decision = deciding.decide(
            prompt_id=prompt.pk, outcome=outcome, decided_by=rita, blind=blind_of(prompt).pk, **more
        )
        prompt.refresh_from_db()
        return decision

    assert say(fine, "release") is None and fine.state == "accepted"
    say(missed, "redact", marks=[Mark("Zorbax Quill", "person_name")])
    assert missed.messages[0]["content"] == "[NAME_1] said so."
    # Nobody was shown what was found: it waits on, to be looked at with it.
    assert say(decoy, "release") is None and decoy.state == "held"
    said = {item.prompt_id: (item.real, item.kinds) for item in BlindItem.objects.all()}
    assert said == {fine.pk: (False, []), missed.pk: (True, ["person_name"]), decoy.pk: (False, [])}
    with pytest.raises(deciding.DecidedAlready):
        say(fine, "drop")

    deciding.undo(prompt_id=missed.pk, decided_by=rita, blind=blind_of(missed).pk)
    deciding.undo(prompt_id=fine.pk, decided_by=rita, blind=blind_of(fine).pk)
    missed.refresh_from_db()
    assert (missed.state, missed.messages[0]["content"]) == ("accepted", "Zorbax Quill said so.")
    assert BlindItem.objects.filter(judged_at=None).count() == 2
    with pytest.raises(Conflict):
        deciding.undo(prompt_id=fine.pk, decided_by=rita, blind=blind_of(fine).pk)


def test_estimates_by_hand(rita, amy):
    """Ten held: eight real, two not. Forty passed, of which twenty were looked at, and one had a name."""
    for number in range(10):
        prompt = make_held(f"{number}: {ADDRESS}", user=f"u{number}")
        outcome = "release" if number < 2 else "drop"
        deciding.decide(prompt_id=prompt.pk, outcome=outcome, decided_by=rita)
    for number in range(40):
        make_held(f"Passed, number {number}", user=f"u{number}")
    drawn(amy, wanted=20)
    items = list(BlindItem.objects.filter(passed=True).order_by("place"))
    for index, item in enumerate(items):
        marks = [Mark("Passed", "person_name")] if index == 0 else []
        deciding.decide(
            prompt_id=item.prompt_id, outcome="drop" if index == 0 else "release", decided_by=rita,
            marks=marks, blind=item.pk,
        )  # fmt: skip
    found = triage.estimates()
    assert (found.decided, found.judged, found.found, found.passed) == (10, 20, 10, 40)
    assert (found.all.precision.value, found.all.precision.count, found.all.precision.of) == (0.8, 8, 10)
    assert found.all.missed.value == 0.05
    # 8 real among those found, 2 expected among those that passed.
    assert found.all.recall.value == pytest.approx(0.8)
    by_kind = {each.kind: each for each in found.kinds}
    assert (by_kind["email"].precision.value, by_kind["email"].recall.value) == (0.8, 1.0)
    assert (by_kind["person_name"].precision.value, by_kind["person_name"].recall.value) == (None, 0.0)
    # An undone word counts no more.
    latest = rita_undoes(rita)
    assert triage.estimates().decided == 9 and latest


def rita_undoes(rita):
    from labeling.governance.models import Decision

    latest = Decision.objects.filter(outcome="release").latest("id")
    return deciding.undo(prompt_id=latest.prompt_id, decided_by=rita)


def test_estimates_of_nothing_say_nothing(db):
    found = triage.estimates()
    assert (found.decided, found.all.precision.value, found.all.recall.value, found.kinds) == (0, None, None, [])


def test_a_place_that_is_none_is_refused(rita):
    for after in ("x", "W10"):
        with pytest.raises(Refusal):
            triage.turn(reader=rita, after=after)
