"""2. A task is never open with more labelers than its overlap asks for, and never twice with the same labeler."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db.models import F

from labeling.adjudication import services as adjudication
from labeling.adjudication.models import AdjudicationCase, AdjudicationRule
from labeling.leasing import services
from labeling.leasing.models import Lease, Seat
from labeling.people.models import User
from labeling.rankings.models import Ranking
from labeling.rankings.services import submit_ranking
from labeling.refusals import Conflict, NotAllowed
from tests import factories

pytestmark = pytest.mark.django_db

OVERLAP, TASKS, STEPS = 2, 3, 100


def check() -> None:
    """What must hold after whatever happened."""
    held = Lease.objects.filter(state__in=["open", "ahead"])
    at_task = Counter(held.values_list("task_id", flat=True))
    assert all(count <= OVERLAP for count in at_task.values())
    assert max(Counter(Lease.objects.values_list("task_id", "labeler_id")).values(), default=1) == 1
    by_state, seats = defaultdict(set), defaultdict(set)
    for state, seat in Lease.objects.values_list("state", "seat_id"):
        by_state[state].add(seat)
    for state, seat in Seat.objects.values_list("state", "id"):
        seats[state].add(seat)
    assert max(Counter(held.values_list("state", "labeler_id")).values(), default=1) == 1
    assert by_state["open"] | by_state["ahead"] == seats["taken"]
    assert by_state["submitted"] - {None} == seats["filled"]
    for ended in ("expired", "skipped", "returned"):
        assert by_state[ended] <= {None}
    seated = Ranking.objects.filter(surplus=False, revision=1).count()
    assert seated == len(seats["filled"])


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_labelers_do_seats_add_up(db, seed):
    draw = random.Random(seed)
    people = [User.objects.create_user(f"labeler-{n}") for n in range(5)]
    batch = factories.make_batch(overlap=OVERLAP)
    for _ in range(TASKS):
        factories.make_task(batch=batch, texts=("a", "b"))
    acknowledged = set()

    def submit(lease: Lease) -> None:
        answer = {"completions": [{"id": shown, "rank": 1, "rating": 1} for shown in lease.order_shown]}
        ranking, _ = submit_ranking(lease_id=lease.pk, labeler=lease.labeler, answer=answer, idempotency_key="k")
        acknowledged.add(ranking.pk)

    def time_passes(lease: Lease) -> None:
        Lease.objects.filter(pk=lease.pk).update(expires_at=F("expires_at") - timedelta(hours=1))

    steps = [
        submit,
        time_passes,
        lambda lease: services.renew_lease(lease_id=lease.pk, labeler=lease.labeler),
        lambda lease: services.return_lease(lease_id=lease.pk, labeler=lease.labeler),
        lambda lease: services.skip_lease(lease_id=lease.pk, labeler=lease.labeler, reason="why not"),
        lambda lease: services.expire_leases(),
        lambda lease: services.return_ahead(labeler=lease.labeler),
        lambda lease: services.close_batch(batch=batch, actor=None),
        lambda lease: services.reopen_batch(batch=batch, actor=None),
    ]
    weights = [3, 6, 4, 4, 1, 4, 1, 1, 2]
    for _ in range(STEPS):
        if draw.random() < 0.5 or not Lease.objects.exists():
            take = draw.choice([services.grant_lease, services.fetch_ahead])
            take(labeler=draw.choice(people), rng=draw)
        else:
            lease = draw.choice(list(Lease.objects.order_by("granted_at", "id")))
            with suppress(Conflict):
                draw.choices(steps, weights)[0](lease)
        check()
    assert acknowledged == set(Ranking.objects.values_list("id", flat=True))
    assert acknowledged


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_seats_beyond_the_overlap_are_those_that_disagreement_opened(db, seed):
    draw = random.Random(seed)
    people = [User.objects.create_user(f"labeler-{n}") for n in range(6)]
    researchers = [User.objects.create_user(f"r-{n}", role="researcher", group="researcher") for n in range(2)]
    batch = factories.make_batch(overlap=OVERLAP)
    AdjudicationRule.objects.create(batch=batch, policy="labelers_then_researcher", threshold=20, seats=1, most=2)
    tasks = [factories.make_task(batch=batch, texts=("a", "b", "c")) for _ in range(TASKS)]

    def submit(lease: Lease) -> None:
        ranks = draw.sample([1, 2, 3], 3)
        judged = [{"id": one, "rank": rank, "rating": 1} for one, rank in zip(lease.order_shown, ranks, strict=True)]
        answer, last = {"completions": judged}, lease.rankings.order_by("revision").last()
        if last is not None:
            answer |= {"replaces": str(last.pk), "reason": "a slip"}
        submit_ranking(lease_id=lease.pk, labeler=lease.labeler, answer=answer, idempotency_key=str(draw.random()))

    def time_passes(lease: Lease) -> None:
        Lease.objects.filter(pk=lease.pk).update(expires_at=F("expires_at") - timedelta(hours=1))
        services.expire_leases()

    def check_all() -> None:
        for task in tasks:
            case = AdjudicationCase.objects.filter(task=task).first()
            seats, held = task.seats, task.leases.filter(state__in=["open", "ahead"])
            assert seats.filter(adjudicates=False).count() == OVERLAP + (case.opened if case else 0)
            assert held.filter(adjudicates=False).count() <= OVERLAP + (case.opened if case else 0) <= OVERLAP + 2
            assert seats.filter(adjudicates=True).count() <= 1 >= held.filter(adjudicates=True).count()
            assert len({lease.labeler_id for lease in task.leases.all()}) == task.leases.count()
            assert not task.leases.filter(adjudicates=True).exclude(labeler__role="researcher").exists()
            for lease in task.leases.filter(seat__isnull=False).select_related("seat"):
                assert lease.seat.adjudicates == lease.adjudicates
            assert (case is not None and case.outcome_id is not None) == task.rankings.filter(
                adjudicates=True, surplus=False
            ).exists()

    for _ in range(120):
        with suppress(Conflict, NotAllowed):
            step = draw.random()
            leases = list(Lease.objects.order_by("granted_at", "id"))
            if step < 0.35 or not leases:
                services.grant_lease(labeler=draw.choice(people + researchers), rng=draw)
            elif step < 0.45:
                adjudication.assess(tasks=[task.pk for task in tasks])
            elif step < 0.55 and AdjudicationCase.objects.exists():
                case = draw.choice(list(AdjudicationCase.objects.order_by("pk")))
                adjudication.take_case(task_id=case.pk, researcher=draw.choice(researchers))
            else:
                lease = draw.choice(leases)
                draw.choices(
                    [
                        submit,
                        time_passes,
                        lambda one: services.renew_lease(lease_id=one.pk, labeler=one.labeler),
                        lambda one: services.return_lease(lease_id=one.pk, labeler=one.labeler),
                        lambda one: services.skip_lease(lease_id=one.pk, labeler=one.labeler, reason="why not"),
                    ],
                    [8, 3, 2, 1, 1],
                )[0](lease)
        check_all()
    assert AdjudicationCase.objects.exists()
