"""Tasks whose labelers disagree: what is found, and who is asked then."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from labeling.adjudication import services
from labeling.adjudication.models import AdjudicationCase, AdjudicationRule, AdjudicationTally, Assessment
from labeling.audit.models import AuditEvent
from labeling.leasing import services as leasing
from labeling.leasing.models import Lease
from labeling.people.models import User
from labeling.rankings.models import Ranking
from labeling.rankings.services import submit_ranking
from labeling.refusals import Conflict, NotAllowed, NotFound, Refusal
from tests import factories
from tests.labeling.exports.test_comparisons import correct

pytestmark = pytest.mark.django_db


def rule(batch=None, policy="researcher", **more) -> AdjudicationRule:
    figures = {"threshold": 40, "seats": 1, "most": 2, **more}
    return AdjudicationRule.objects.create(batch=batch, policy=policy, **figures)


def case_of(task) -> AdjudicationCase | None:
    return AdjudicationCase.objects.filter(task=task).first()


def disagreed(batch, *people, texts=("a", "b", "c")):
    """A task whose labelers gave opposite orders in turn."""
    task = factories.make_task(batch=batch, texts=texts)
    ups = list(range(1, len(texts) + 1))
    for number, person in enumerate(people):
        factories.make_ranking(task=task, labeler=person, ranks=ups if number % 2 == 0 else ups[::-1])
    return task


def answer_of(lease: Lease, ranks=None) -> dict:
    ranks = ranks or range(1, len(lease.order_shown) + 1)
    return {
        "completions": [
            {"id": shown, "rank": rank, "rating": 4} for shown, rank in zip(lease.order_shown, ranks, strict=True)
        ]
    }


def test_nothing_is_looked_at_without_a_rule(ada, bo):
    task = disagreed(factories.make_batch(overlap=2), ada, bo)
    assert services.look() == {}
    assert case_of(task) is None


def test_disagreement_sends_a_task_to_a_researcher(ada, bo):
    batch = factories.make_batch(overlap=2)
    rule(batch)
    task = disagreed(batch, ada, bo)
    agreed = factories.make_task(batch=batch)
    for person in (ada, bo):
        factories.make_ranking(task=agreed, labeler=person)
    unfinished = factories.make_task(batch=batch)
    factories.make_ranking(task=unfinished, labeler=ada)
    assert services.look() == {"waiting": 1, "agreed": 1}
    assert case_of(task).disagreement == 1.0
    assert case_of(agreed).disagreement == 0.0
    assert case_of(unfinished) is None
    seat = task.seats.get(adjudicates=True)
    assert (seat.state, seat.groups, seat.number) == ("free", [], 2)
    assert AdjudicationTally.objects.get().looked == 2
    # No queue has it, not even a researcher's.
    for person in (ada, User.objects.create_user("ro", role="researcher", group="researcher")):
        given = leasing.grant_lease(labeler=person)
        assert given is None or given.task_id == unfinished.pk


def test_looking_again_changes_nothing(ada, bo):
    batch = factories.make_batch(overlap=2)
    rule(batch)
    task = disagreed(batch, ada, bo)
    services.look()
    assert services.look() == {} and services.look_through(batch=batch) == {}
    assert Assessment.objects.count() == 1 and task.seats.count() == 3


def test_at_the_threshold_is_not_above_it(ada, bo):
    batch = factories.make_batch(overlap=2)
    rule(batch, threshold=50)
    task = factories.make_task(batch=batch, texts=("a", "b", "c", "d"))
    factories.make_ranking(task=task, labeler=ada, ranks=[1, 2, 3, 4])
    factories.make_ranking(task=task, labeler=bo, ranks=[3, 2, 1, 4])  # three of six pairs
    services.look()
    assert (case_of(task).state, case_of(task).disagreement) == ("agreed", 0.5)


def test_more_labelers_are_asked_up_to_the_most(ada, bo):
    batch = factories.make_batch(overlap=2, groups=["training"])
    rule(batch, "labelers", seats=2, most=3)
    task = disagreed(batch, ada, bo)
    people = [User.objects.create_user(f"more-{n}") for n in range(3)]
    services.look()
    assert (case_of(task).state, case_of(task).opened, task.seats.count()) == ("more", 2, 4)
    for person, ranks in ((people[0], [1, 2, 3]), (people[1], [3, 2, 1])):
        assert leasing.grant_lease(labeler=ada) is None  # never twice
        lease = leasing.grant_lease(labeler=person)
        submit_ranking(
            lease_id=lease.pk, labeler=person, answer=answer_of(lease, order(lease, ranks)), idempotency_key="k"
        )
        services.look()
    assert (case_of(task).state, case_of(task).opened, task.seats.count()) == ("more", 3, 5)
    lease = leasing.grant_lease(labeler=people[2])
    submit_ranking(lease_id=lease.pk, labeler=people[2], answer=answer_of(lease), idempotency_key="k")
    services.look()
    assert case_of(task).state == "contested" and task.seats.count() == 5
    assert [each.state for each in Assessment.objects.order_by("number")] == ["more", "more", "contested"]


def order(lease: Lease, ranks: list[int]) -> list[int]:
    """`ranks` of the completions as they were made, in the order in which the lease shows them."""
    made = [str(pk) for pk in lease.task.item.completions.order_by("created_at", "id").values_list("pk", flat=True)]
    by_id = dict(zip(made, ranks, strict=True))
    return [by_id[shown] for shown in lease.order_shown]


def test_after_more_labelers_comes_a_researcher_where_the_rule_says_so(ada, bo, hal):
    batch = factories.make_batch(overlap=2)
    rule(batch, "labelers_then_researcher", most=1)
    task = disagreed(batch, ada, bo)
    services.look()
    factories.make_ranking(task=task, labeler=hal, ranks=[1, 2, 3])
    services.look()
    assert case_of(task).state == "waiting"
    assert case_of(task).disagreement == pytest.approx(2 / 3)


def test_batch_that_is_closed_or_imported_gets_no_more_labelers(ada, bo):
    for more in ({"state": "closed"}, {"imported": True}):
        batch = factories.make_batch(overlap=2, **more)
        rule(batch, "labelers")
        task = disagreed(batch, ada, bo)
        services.look()
        assert case_of(task).state == "contested" and task.seats.count() == 2


def test_correction_after_the_decision_is_looked_at(ada, bo):
    batch = factories.make_batch(overlap=2)
    rule(batch)
    task = disagreed(batch, ada, bo)
    services.look()
    correct(Ranking.objects.get(labeler=bo), [1, 2, 3])
    assert services.look() == {"agreed": 1}
    assert case_of(task).state == "agreed" and not task.seats.filter(adjudicates=True).exists()
    correct(Ranking.objects.get(labeler=bo, revision=2), [3, 2, 1])
    services.look()
    assert case_of(task).state == "waiting" and task.seats.filter(adjudicates=True).count() == 1
    assert [each.number for each in Assessment.objects.order_by("number")] == [1, 2, 3]


def test_correction_while_more_labelers_are_wanted_takes_free_seats_back(ada, bo, hal):
    batch = factories.make_batch(overlap=2)
    rule(batch, "labelers", seats=2)
    task = disagreed(batch, ada, bo)
    services.look()
    lease = leasing.grant_lease(labeler=hal)
    correct(Ranking.objects.get(labeler=bo), [1, 2, 3])
    services.look()
    assert case_of(task).state == "agreed"
    assert (task.seats.count(), case_of(task).opened) == (3, 1)  # who sits there goes on
    submit_ranking(lease_id=lease.pk, labeler=hal, answer=answer_of(lease), idempotency_key="k")


def test_team_rule_holds_where_a_batch_has_none(ada, bo):
    rule()
    batches = [factories.make_batch(overlap=2, **more) for more in ({}, {"evaluation": True}, {"probation": True}, {})]
    rule(batches[3], "off")
    tasks = [disagreed(batch, ada, bo) for batch in batches]
    services.look()
    assert [case_of(task) is not None for task in tasks] == [True, False, False, False]


def test_setting_a_rule_looks_at_what_is_there(ada, bo, rita):
    batch = factories.make_batch(overlap=2)
    task = disagreed(batch, ada, bo)
    services.set_rule(batch=batch, policy="researcher", threshold=30, seats=1, most=2, actor=rita)
    from labeling.jobs import run_now
    from labeling.models import Job

    run_now(Job.objects.get().pk)
    assert case_of(task).state == "waiting"
    event = AuditEvent.objects.get(action="adjudication.rule")
    assert event.detail["before"] is None and event.detail["threshold"] == 30
    services.clear_rule(batch=batch, actor=rita)
    assert not AdjudicationRule.objects.exists()


@pytest.mark.parametrize(
    "figures",
    [
        {"policy": "odd"},
        {"threshold": 100},
        {"threshold": "40"},
        {"seats": 0},
        {"seats": 3, "most": 2},
        {"most": 21},
    ],
)
def test_rule_that_makes_no_sense_is_refused(figures, rita):
    with pytest.raises(Refusal):
        services.set_rule(
            **{"batch": None, "policy": "labelers", "threshold": 40, "seats": 1, "most": 2, "actor": rita, **figures}
        )


def test_researcher_decides_and_no_answer_is_altered(ada, bo, rita):
    batch = factories.make_batch(overlap=2)
    rule(batch)
    task = disagreed(batch, ada, bo)
    services.look()
    before = list(Ranking.objects.order_by("pk").values())
    lease = services.take_case(task_id=task.pk, researcher=rita)
    assert services.take_case(task_id=task.pk, researcher=rita).pk == lease.pk
    assert (lease.adjudicates, lease.state, sorted(lease.order_shown)) == (
        True,
        "open",
        sorted(str(pk) for pk in task.item.completions.values_list("pk", flat=True)),
    )
    ranking, new = submit_ranking(lease_id=lease.pk, labeler=rita, answer=answer_of(lease), idempotency_key="k")
    assert new and ranking.adjudicates and not ranking.surplus
    case = case_of(task)
    assert (case.state, case.outcome) == ("decided", ranking) and case.decided_at
    assert list(Ranking.objects.exclude(pk=ranking.pk).order_by("pk").values()) == before
    assert services.look() == {}
    # A correction by the researcher is the outcome then.
    again, _ = submit_ranking(
        lease_id=lease.pk,
        labeler=rita,
        answer={**answer_of(lease, [2, 1, 3]), "replaces": str(ranking.pk), "reason": "a slip"},
        idempotency_key="k2",
    )
    assert case_of(task).outcome == again and again.adjudicates
    # One by a labeler is looked at; what was decided stands.
    correct(Ranking.objects.get(labeler=bo), [1, 2, 3])
    assert services.look() == {"decided": 1}
    assert case_of(task).outcome == again


def test_who_answered_or_is_no_researcher_does_not_decide(ada, bo, rita, amy):
    batch = factories.make_batch(overlap=2)
    rule(batch)
    task = disagreed(batch, ada, rita)
    services.look()
    for person in (ada, bo, amy, rita):
        with pytest.raises(NotAllowed):
            services.take_case(task_id=task.pk, researcher=person)
    with pytest.raises(NotFound):
        services.take_case(task_id=factories.make_task().pk, researcher=rita)


def test_who_holds_another_task_finishes_it_first(ada, bo, rita):
    batch = factories.make_batch(overlap=2)
    rule(batch)
    task = disagreed(batch, ada, bo)
    services.look()
    factories.make_task(batch=batch)
    leasing.grant_lease(labeler=rita)
    with pytest.raises(Conflict):
        services.take_case(task_id=task.pk, researcher=rita)


def run_out(lease: Lease) -> None:
    from datetime import timedelta

    from django.utils import timezone

    Lease.objects.filter(pk=lease.pk).update(expires_at=timezone.now() - timedelta(hours=2))
    leasing.expire_leases()


def test_decision_that_ran_out_is_taken_up_again_or_submitted_late(ada, bo, rita):
    batch = factories.make_batch(overlap=2)
    rule(batch)
    task = disagreed(batch, ada, bo)
    services.look()
    lease = services.take_case(task_id=task.pk, researcher=rita)
    run_out(lease)
    assert task.seats.get(adjudicates=True).state == "free"
    assert leasing.grant_lease(labeler=rita) is None
    assert services.take_case(task_id=task.pk, researcher=rita).pk == lease.pk
    run_out(lease)
    assert leasing.renew_lease(lease_id=lease.pk, labeler=rita).state == "open"
    run_out(lease)
    ranking, _ = submit_ranking(lease_id=lease.pk, labeler=rita, answer=answer_of(lease), idempotency_key="k")
    assert ranking.adjudicates and not ranking.surplus and case_of(task).outcome == ranking


def test_late_answer_of_a_labeler_takes_no_seat_that_decides(ada, bo, hal):
    batch = factories.make_batch(overlap=2)
    rule(batch)
    task = factories.make_task(batch=batch, texts=("a", "b", "c"))
    late = leasing.grant_lease(labeler=hal)
    run_out(late)
    for person, ranks in ((ada, [1, 2, 3]), (bo, [3, 2, 1])):
        factories.make_ranking(task=task, labeler=person, ranks=ranks)
    services.look()
    ranking, _ = submit_ranking(lease_id=late.pk, labeler=hal, answer=answer_of(late), idempotency_key="k")
    assert ranking.surplus and not ranking.adjudicates
    assert task.seats.get(adjudicates=True).state == "free"


def test_late_answer_of_another_researcher_is_surplus(ada, bo, rita):
    batch = factories.make_batch(overlap=2)
    rule(batch)
    task = disagreed(batch, ada, bo)
    services.look()
    ro = User.objects.create_user("ro", role="researcher", group="researcher")
    first = services.take_case(task_id=task.pk, researcher=ro)
    with pytest.raises(Conflict):
        services.take_case(task_id=task.pk, researcher=rita)
    run_out(first)
    lease = services.take_case(task_id=task.pk, researcher=rita)
    outcome, _ = submit_ranking(lease_id=lease.pk, labeler=rita, answer=answer_of(lease), idempotency_key="k")
    late, _ = submit_ranking(lease_id=first.pk, labeler=ro, answer=answer_of(first), idempotency_key="k")
    assert late.surplus and case_of(task).outcome == outcome


def test_reveal_is_kept_once_and_is_for_who_decides(ada, bo, rita):
    batch = factories.make_batch(overlap=2)
    rule(batch)
    task = disagreed(batch, ada, bo)
    services.look()
    lease = services.take_case(task_id=task.pk, researcher=rita)
    made = services.reveal(lease_id=lease.pk, researcher=rita)
    assert services.reveal(lease_id=lease.pk, researcher=rita) == made
    assert AuditEvent.objects.filter(action="adjudication.revealed").count() == 1
    for person, asked in ((ada, Ranking.objects.get(labeler=ada).lease_id), (bo, lease.pk)):
        with pytest.raises(NotFound):
            services.reveal(lease_id=asked, researcher=person)


def test_look_costs_what_came_in_and_not_what_is_there(ada, bo, django_assert_max_num_queries):
    batch = factories.make_batch(overlap=2)
    rule(batch)
    for _ in range(3):
        disagreed(batch, ada, bo)
    with CaptureQueriesContext(
        connection,
    ) as few:
        services.look()
    assert AdjudicationCase.objects.count() == 3
    agreed = [factories.make_task(batch=batch) for _ in range(12)]
    for task in agreed:
        for person in (ada, bo):
            factories.make_ranking(task=task, labeler=person)
    with CaptureQueriesContext(connection) as many:
        services.look()
    # Two statements a case (what was found, and how it stands), none for what was seen before.
    assert len(many) <= len(few) + 2 * 12
    with django_assert_max_num_queries(20):
        services.look()
