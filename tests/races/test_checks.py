"""Hidden checks under fire: one lease for two tabs, one turn once, one seat for each labeler at a task."""

from __future__ import annotations

from functools import partial

import pytest

from labeling.checks import services as checks
from labeling.leasing import services
from labeling.leasing.models import CheckTurn, Lease, Seat
from labeling.people.models import TeamSettings, User
from tests import factories
from tests.races.conftest import kinds, together

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def waiting(people):
    """Makes people for whom the same one check waits, and ordinary tasks."""

    def make(count: int) -> list[User]:
        TeamSettings.objects.create(check_percent=100)
        batch = factories.make_batch(overlap=2 * count)
        for _ in range(3):
            factories.make_task(batch=batch)
        staff = User.objects.create_user("ray", password=None, role="researcher", group="researcher")
        gold = factories.make_batch(groups=["researcher"], state="closed")
        factories.make_ranking(task=factories.make_task(batch=gold), labeler=staff)
        held = checks.make_set(name="Gold", batch=gold, groups=["training"], actor=staff)
        team = people(count)
        CheckTurn.objects.bulk_create(
            CheckTurn(task=held.items.get().task, labeler=person, kind="gold") for person in team
        )
        return team

    return make


def test_tabs_of_one_labeler_get_one_lease_and_use_one_turn(waiting):
    (ada,) = waiting(1)
    granted = together(*[partial(services.grant_lease, labeler=ada)] * 8)
    assert kinds(granted) == []
    assert len({lease.pk for lease in granted}) == 1
    assert Lease.objects.filter(labeler=ada).count() == 1
    served = CheckTurn.objects.get().served_at is not None
    assert served == (granted[0].task_id == CheckTurn.objects.get().task_id)
    assert Seat.objects.filter(groups=[]).count() == served


def test_labelers_at_one_check_each_have_a_seat_or_an_ordinary_task(waiting):
    team = waiting(8)
    granted = together(*(partial(services.grant_lease, labeler=person) for person in team))
    assert kinds(granted) == []
    assert all(granted)
    assert len({lease.seat_id for lease in granted}) == 8
    at_check = Lease.objects.filter(task__check_item__isnull=False, labeler__group="training")
    assert (
        CheckTurn.objects.exclude(served_at=None).count() == at_check.count() == Seat.objects.filter(groups=[]).count()
    )
    assert at_check.count() >= 1


def test_a_turn_that_is_taken_back_while_it_is_served_is_one_or_the_other(waiting):
    ada, bo, cleo, dan = waiting(4)
    CheckTurn.objects.exclude(labeler=ada).delete()
    held = checks.CheckSet.objects.get()
    type(held).objects.update(active=False)
    granted, dropped = together(partial(services.grant_lease, labeler=ada), checks.plan_turns)
    assert kinds([granted, dropped]) == []
    at_check = granted.task_id == held.items.get().task_id
    assert CheckTurn.objects.filter(labeler=ada, served_at__isnull=False).exists() == at_check
