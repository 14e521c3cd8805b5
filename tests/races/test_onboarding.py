"""Steps of onboarding are taken once, and of two decisions one counts."""

from __future__ import annotations

import pytest

from labeling.audit.models import AuditEvent
from labeling.leasing.gates import Gate, check_gates
from labeling.onboarding import services
from labeling.onboarding.models import OnboardingEvent
from labeling.onboarding.services import begin_onboarding, change_settings, decide
from labeling.people.models import User
from tests.factories import make_batch, make_ranking, make_task
from tests.races.conftest import kinds, second_while_the_first_is_open, together

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def admins(db) -> list[User]:
    return [User.objects.create_user(name, role="admin", group="researcher") for name in ("amy", "abe")]


def fresh(person: User) -> User:
    return User.objects.get(pk=person.pk)


def gate(person: User) -> None:
    """As a tab asks: with the person as they are stored."""
    check_gates(fresh(person))


def test_many_tabs_take_each_step_once(people, admins):
    (ada,) = people(1)
    change_settings(switched_on=True, tour=False, answers=1, waits=True, actor=admins[0])
    together(*[lambda: begin_onboarding(person=ada)] * 3)
    together(*[lambda: gate(ada)] * 3)
    make_ranking(task=make_task(batch=make_batch(probation=True)), labeler=ada)
    results = together(*[lambda: gate(ada)] * 4)
    assert all(isinstance(result, Gate) for result in results)
    assert list(OnboardingEvent.objects.order_by("id").values_list("kind", flat=True)) == [
        "began",
        "trained",
        "answered",
    ]


def test_of_two_decisions_at_once_one_counts(people, admins):
    (ada,) = people(1)
    begin_onboarding(person=ada, always=True)

    def say(decision: str, actor: User):
        return decide(user_id=ada.pk, decision=decision, reason="So.", seen="training", actor=actor)

    results = together(lambda: say("pass", admins[0]), lambda: say("end", admins[1]))
    assert kinds(results) == ["DecidedAlready"]
    (word,) = OnboardingEvent.objects.exclude(kind="began")
    assert fresh(ada).onboarding == word.kind
    assert AuditEvent.objects.filter(action__in=["onboarding.passed", "onboarding.ended"]).count() == 1


def test_a_decision_is_not_undone_by_a_tab_that_takes_the_next_step(people, admins):
    """The tab read "training" before the decision; its step finds another one and is not taken."""
    (ada,) = people(1)
    change_settings(switched_on=True, tour=False, answers=1, waits=True, actor=admins[0])
    begin_onboarding(person=ada)
    seen = fresh(ada)

    def end() -> None:
        # Inside the transaction of the test's first session, as `decide` leaves it before its commit.
        User.objects.filter(pk=ada.pk).update(onboarding="ended")

    results = second_while_the_first_is_open(end, lambda: check_gates(seen))
    assert kinds(results) == ["OnboardingOver"]
    assert fresh(ada).onboarding == "ended" and not OnboardingEvent.objects.filter(kind="trained").exists()


def test_without_the_condition_the_tab_would_undo_the_decision(people, admins, monkeypatch):
    def go_on(person: User, before: str, after: str, kind: str) -> None:
        User.objects.filter(pk=person.pk).update(onboarding=after)
        person.refresh_from_db()

    monkeypatch.setattr(services, "_go_on", go_on)
    (ada,) = people(1)
    change_settings(switched_on=True, tour=False, answers=1, waits=True, actor=admins[0])
    begin_onboarding(person=ada)
    seen = fresh(ada)

    def end() -> None:
        User.objects.filter(pk=ada.pk).update(onboarding="ended")

    second_while_the_first_is_open(end, lambda: check_gates(seen))
    assert fresh(ada).onboarding == "probation"
