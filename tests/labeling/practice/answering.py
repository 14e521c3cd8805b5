"""Answers to practice tasks, for tests."""

from __future__ import annotations

from labeling.practice.content import PracticeTask, practice_task, practice_tasks
from labeling.practice.models import PracticeTour
from labeling.practice.queries import next_attempt
from labeling.practice.seats import seat_at
from labeling.practice.services import begin_tour, submit_practice

OUR_PAIR = 3  # steps from the middle that the reference is


def our_answer(task: PracticeTask, tour: PracticeTour) -> dict:
    """The submit body that says what the reference says."""
    if task.definition is None:
        return {"text": task.answer, "active_seconds": 5}
    seat = seat_at(task, tour=tour, attempt=next_attempt(tour, task))
    ranked = task.definition["order"] == "ranks"
    by_id = {one.id: one for one in task.completions}
    body = {
        "completions": [
            {
                "id": shown,
                "rank": by_id[shown].rank if ranked else None,
                "rating": by_id[shown].rating,
                "flags": list(by_id[shown].flags),
            }
            for shown in seat.order_shown
        ],
        "active_seconds": 5,
    }
    if not ranked:
        body["strength"] = 5 - OUR_PAIR if by_id[seat.order_shown[0]].rank == 1 else 5 + OUR_PAIR
    return body


def answer_as_we(labeler, name: str, *, tour: PracticeTour | None = None, key: str = "key"):
    tour = tour or begin_tour(labeler=labeler)
    answer = our_answer(practice_task(name), tour)
    return submit_practice(labeler=labeler, number=tour.number, name=name, answer=answer, idempotency_key=key)


def take_tour(labeler) -> PracticeTour:
    tour = begin_tour(labeler=labeler)
    for task in practice_tasks():
        answer_as_we(labeler, task.name, tour=tour)
    tour.refresh_from_db()
    return tour
