"""What is answered on probation trains nothing until it is passed."""

from __future__ import annotations

import pytest

from labeling.agreement import brute_force, queries, reports
from labeling.exports.services import create_dataset
from labeling.onboarding.models import OnboardingEvent
from labeling.onboarding.services import begin_onboarding, change_settings, decide
from tests.factories import (
    make_batch,
    make_demonstration,
    make_prompt,
    make_ranking,
    make_review,
    make_reviewed_batch,
    make_task,
)

pytestmark = pytest.mark.django_db


def made(kind: str = "comparisons", **question: object) -> tuple[int, dict]:
    manifest = create_dataset(kind=kind, question=question).manifest
    return manifest["counts"]["rows"], manifest["exclusions"]


def test_answers_are_left_out_until_passed_and_named_as_such(ada, bo, amy):
    make_ranking(task=make_task(), labeler=ada)  # before
    begin_onboarding(person=ada, actor=amy, always=True)
    make_ranking(task=make_task(batch=make_batch(probation=True)), labeler=ada)
    make_ranking(task=make_task(), labeler=ada)
    make_ranking(task=make_task(), labeler=bo)
    assert made() == (2, {"probation": 2})
    assert made(include_probation=True) == (4, {})
    assert "include_probation" not in create_dataset(kind="comparisons").question
    assert create_dataset(kind="comparisons", question={"include_probation": False}).content_hash == (
        create_dataset(kind="comparisons").content_hash
    )
    decide(user_id=ada.pk, decision="pass", reason="Good.", seen="training", actor=amy)
    assert made() == (4, {})


def test_they_are_no_agreement_of_the_team_until_passed(ada, bo, amy):
    batches = make_batch(probation=True, overlap=2), make_batch(overlap=2)
    earlier = make_task(batch=batches[1])
    for person in (ada, bo):
        make_ranking(task=earlier, labeler=person)
    begin_onboarding(person=ada, actor=amy, always=True)
    before = reports.changed()
    for batch in batches:
        task = make_task(batch=batch)
        for person in (ada, bo):
            make_ranking(task=task, labeler=person)

    def found(**asked: object) -> tuple[int, int]:
        figures = queries.agreement(**asked)
        counted = brute_force.count(queries.compared_rankings(**asked))
        assert counted["pairwise"]["pairs"] == figures["pairwise"]["pairs"]
        return figures["tasks"], figures["rankings"]

    assert found() == (1, 4)
    assert found(batch=batches[1]) == (1, 3)
    # How newcomers do is seen where their own batch is asked for.
    assert found(batch=batches[0]) == (1, 2)
    decide(user_id=ada.pk, decision="pass", reason="Good.", seen="training", actor=amy)
    assert found() == (3, 6)
    assert reports.changed() >= OnboardingEvent.objects.latest("id").created_at >= before


def test_who_is_ended_stays_out(ada, amy):
    begin_onboarding(person=ada, actor=amy, always=True)
    make_ranking(task=make_task(), labeler=ada)
    decide(user_id=ada.pk, decision="end", reason="Bad.", seen="training", actor=amy)
    assert made() == (0, {"probation": 1})


def test_a_text_that_somebody_on_probation_let_in_stays_out_too(ada, bo, amy):
    change_settings(switched_on=False, tour=False, answers=2, waits=True, actor=amy)
    demonstration = make_demonstration(prompt=make_prompt(), labeler=bo, text="So.", batch=make_reviewed_batch())
    begin_onboarding(person=ada, actor=amy, always=True)
    make_review(demonstration=demonstration, labeler=ada)
    assert made("demonstrations") == (0, {"probation": 1})
    decide(user_id=ada.pk, decision="pass", reason="Good.", seen="training", actor=amy)
    assert made("demonstrations") == (1, {})
