"""What is answered on probation trains nothing until it is passed."""

from __future__ import annotations

import pytest

from labeling.exports.services import create_dataset
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
