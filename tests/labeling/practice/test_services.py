"""Taking the tour: begun, answered, repeated, finished."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from labeling.leasing.answers import BadAnswer
from labeling.practice.content import practice_task, practice_tasks
from labeling.practice.feedback import feedback_on
from labeling.practice.models import PracticeAnswer, PracticeTour
from labeling.practice.queries import standing_of
from labeling.practice.seats import seat_at
from labeling.practice.services import begin_tour, skip_practice, submit_practice
from labeling.refusals import Conflict, NotFound, Refusal
from tests.labeling.practice.answering import answer_as_we, our_answer, take_tour

pytestmark = pytest.mark.django_db


def test_a_tour_is_finished_when_all_is_answered_and_may_be_taken_again(ada):
    assert standing_of(ada).next.name == practice_tasks()[0].name
    first = take_tour(ada)
    assert first.finished_at and PracticeAnswer.objects.count() == len(practice_tasks())
    standing = standing_of(ada)
    assert (standing.done, standing.next, standing.finished_at) == (len(practice_tasks()), None, first.finished_at)
    again = begin_tour(labeler=ada)
    # A second click begins no third tour.
    assert (again.number, begin_tour(labeler=ada)) == (2, again)
    assert standing_of(ada).done == 0
    assert standing_of(ada).finished_at == first.finished_at


def test_everyone_has_a_seat_of_their_own(ada, bo):
    for person in (ada, bo):
        answer_as_we(person, "basil")
    assert sorted(PracticeAnswer.objects.values_list("attempt", flat=True)) == [1, 1]
    with pytest.raises(NotFound):
        submit_practice(labeler=bo, number=2, name="basil", answer={}, idempotency_key="k")


def test_the_same_key_stores_one_and_gets_it_again(ada):
    tour = begin_tour(labeler=ada)
    answer = our_answer(practice_task("library"), tour)
    sent = {"labeler": ada, "number": tour.number, "name": "library", "idempotency_key": "k"}
    row, created = submit_practice(answer=answer, **sent)
    again, created_again = submit_practice(answer={**answer, "active_seconds": 9}, **sent)
    assert (created, created_again, again) == (True, False, row)
    other = {**answer, "note": "another"}
    with pytest.raises(Conflict):
        submit_practice(answer=other, **sent)
    second, _ = submit_practice(answer=other, **{**sent, "idempotency_key": "k2"})
    assert (second.attempt, PracticeAnswer.objects.count()) == (2, 2)


def test_answers_are_read_as_strictly_as_real_ones(ada):
    tour = begin_tour(labeler=ada)
    sent = {"labeler": ada, "number": tour.number, "idempotency_key": "k"}
    answer = our_answer(practice_task("basil"), tour)
    answer["completions"][0]["rank"] = None
    for name, bad in (
        ("basil", answer),
        ("basil", {"text": "x"}),
        ("basil", []),
        ("photo", {"text": " "}),
        ("eggs", {"completions": [], "strength": 10}),
        ("basil", {**our_answer(practice_task("basil"), tour), "replaces": "x"}),
    ):
        with pytest.raises(BadAnswer):
            submit_practice(name=name, answer=bad, **sent)
    with pytest.raises(NotFound):
        submit_practice(name="no-such", answer={}, **sent)
    assert not PracticeAnswer.objects.exists()


def test_skipping_counts_as_seen_and_twice_is_once(ada):
    tour = begin_tour(labeler=ada)
    sent = {"labeler": ada, "number": tour.number, "name": "dog"}
    first = skip_practice(reason="Other", **sent)
    assert skip_practice(reason="Other", **sent) == first
    for reason in (None, " ", "x" * 301):
        with pytest.raises(Refusal):
            skip_practice(reason=reason, **sent)
    answer_as_we(ada, "dog", tour=tour)
    assert skip_practice(reason="Again", **sent).attempt == 3
    assert standing_of(ada).done == 1


def test_nobody_worked_longer_than_the_tour_lasts(ada):
    tour = begin_tour(labeler=ada)
    row, _ = answer_as_we(ada, "basil", tour=tour)
    assert row.active_seconds < 5
    PracticeTour.objects.update(began_at=timezone.now() - timedelta(minutes=5))
    row, _ = answer_as_we(ada, "basil", tour=tour, key="k2")
    assert row.active_seconds == 5
    assert standing_of(ada).active_seconds >= 5


def test_the_order_is_drawn_anew_and_stays_at_every_look(ada, bo):
    task, tours = practice_task("dog"), [begin_tour(labeler=person) for person in (ada, bo)]
    orders = {tuple(seat_at(task, tour=tour, attempt=n).order_shown) for tour in tours for n in range(1, 9)}
    assert len(orders) > 4
    again = [seat_at(task, tour=tours[0], attempt=1).order_shown for _ in range(2)]
    assert again[0] == again[1]


def said_to(labeler, name: str, change=lambda answer: answer):
    tour = begin_tour(labeler=labeler)
    task = practice_task(name)
    answer = our_answer(task, tour)
    change(answer)
    row, _ = submit_practice(labeler=labeler, number=tour.number, name=name, answer=answer, idempotency_key=name)
    return feedback_on(task, answer=row.answer, order_shown=row.order_shown)


@pytest.mark.parametrize("task", [task for task in practice_tasks("en") if task.definition], ids=lambda task: task.name)
def test_the_reference_agrees_with_itself(ada, task):
    said = said_to(ada, task.name)
    assert said.summary == "You and we put them in the same order." and said.differences == []
    assert {one.rating_words for one in said.judged} <= {"as we do", ""}
    assert said.strength == said.our_strength
    assert bool(said.our_strength) == (task.definition["order"] == "strength")


def test_differences_are_said_in_words(ada):
    def turn_round(answer):
        for one in answer["completions"]:
            one["rank"] = 4 - one["rank"]
            one["rating"] = min(7, one["rating"] + 1)
        answer["outcome"] = "ranked"

    said = said_to(ada, "library", turn_round)
    assert said.summary == "Taken two by two, you and we agree on 1 pair of 6."
    assert len(said.differences) == 5
    assert all(re_said.startswith("You put ") for re_said in said.differences)
    assert [one.rating_words for one in said.judged] == [
        "as we do",
        "as we do",
        "judgment differs here, and yours is as good",
        "higher than we do",
    ]


def test_where_judgment_differs_both_orders_are_good(ada):
    insect, continents = practice_task("spiders").completions[1:]

    def swap(answer):
        ranks = {insect.id: 3, continents.id: 2}
        for one in answer["completions"]:
            one["rank"] = ranks.get(one["id"], one["rank"])

    said = said_to(ada, "spiders", swap)
    (words,) = said.differences
    assert words.endswith("Judgment differs here, and your order is as good as ours.")
    assert said.outcome == "We would also call all of them bad."


def test_what_was_not_ranked_is_no_difference(ada):
    def none(answer):
        answer["outcome"] = "cannot_rank"
        for one in answer["completions"]:
            one["rank"] = None

    said = said_to(ada, "basil", none)
    assert (said.summary, said.differences) == ("", [])
    assert said.outcome.startswith("You said that these cannot be ranked.")
