"""Hidden checks come in place of rankings, to each labeler once, and look like any other task."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import ProgrammingError, transaction
from django.urls import reverse
from django.utils import timezone

from labeling.checks import services
from labeling.forms.models import Form
from labeling.leasing.models import CheckTurn, Lease, Seat
from labeling.leasing.queries import work_of
from labeling.leasing.services import expire_leases, grant_lease, return_lease, skip_lease
from labeling.people.models import TeamSettings
from tests import factories
from tests.labeling.checks.conftest import GOOD, answer_check, rate_check

pytestmark = pytest.mark.django_db(transaction=True)


def ordinary(count: int = 3):
    batch = factories.make_batch(overlap=2)
    return [factories.make_task(batch=batch) for _ in range(count)]


def worked(person) -> None:
    """Somebody who had a task lately: nobody's first one is a check."""
    factories.make_ranking(task=factories.make_task(batch=factories.make_batch(state="closed")), labeler=person)


def is_check(lease: Lease) -> bool:
    return CheckTurn.objects.filter(task=lease.task_id, labeler=lease.labeler_id).exists()


def test_a_check_comes_in_place_of_a_ranking_at_a_seat_of_its_own(ada, make_set, always):
    held = make_set()
    ordinary()
    worked(ada)
    assert services.plan_turns() == services.WAITING
    lease = grant_lease(labeler=ada)
    assert lease.task_id in held.items.values_list("task", flat=True)
    assert (lease.seat.state, lease.seat.groups) == ("taken", [])
    assert len(lease.order_shown) == 4
    assert lease.task.seats.count() == 2
    assert CheckTurn.objects.get(task=lease.task_id).served_at is not None


def test_nobody_who_has_not_worked_gets_a_turn(ada, make_set):
    make_set()
    assert services.plan_turns() == 0


def test_without_rankings_that_wait_no_check_comes(ada, make_set, always):
    make_set()
    worked(ada)
    services.plan_turns()
    assert grant_lease(labeler=ada) is None
    factories.make_task(batch=factories.make_batch(kind="demonstration"), texts=())
    assert not is_check(grant_lease(labeler=ada))


def test_a_check_comes_only_in_place_of_a_task_that_asks_the_same(ada, make_set, make_likert_set, always):
    ranked, rated = make_set(), make_likert_set()
    worked(ada)
    # Of each form so many wait; those of the other take none of their room.
    assert services.plan_turns() == 2 * services.WAITING
    assert services.plan_turns() == 0
    pairs = factories.make_batch(form=Form.objects.get(name="pairs"), priority=9)
    task = factories.make_task(batch=pairs, texts=("One.", "Two."))
    lease = grant_lease(labeler=ada)
    assert lease.task == task
    skip_lease(lease_id=lease.pk, labeler=ada, reason="no")
    alone = factories.make_batch(form=Form.objects.get(name="likert"), priority=9)
    factories.make_task(batch=alone, texts=("Alone.",))
    lease = grant_lease(labeler=ada)
    assert lease.task.check_item.check_set == rated
    assert (lease.form_version.form.name, len(lease.order_shown)) == ("likert", 1)
    skip_lease(lease_id=lease.pk, labeler=ada, reason="no")
    type(alone).objects.update(state="closed")
    # A batch that names the default form asks what one without a form asks.
    named = factories.make_batch(form=Form.objects.get(name="instructgpt"))
    factories.make_task(batch=named)
    assert grant_lease(labeler=ada).task.check_item.check_set == ranked


def test_ratings_come_again_as_anchors(ada, make_likert_set, always):
    TeamSettings.objects.update(check_anchor_days=40)
    held = make_likert_set(items=1)
    worked(ada)
    rate_check(held.items.get(), ada, 5, days_ago=50)
    assert services.keep_up()["planned"] == 1
    factories.make_task(batch=factories.make_batch(form=held.form), texts=("Other.",))
    lease = grant_lease(labeler=ada)
    assert lease.task.check_copy.item == held.items.get()
    assert lease.form_version.form == held.form


def test_at_rate_0_no_check_comes(ada, make_set):
    TeamSettings.objects.create(check_percent=0)
    make_set()
    ordinary()
    worked(ada)
    services.plan_turns()
    assert not is_check(grant_lease(labeler=ada))


def test_each_item_comes_once_and_none_whose_prompt_they_had(ada, make_set, always):
    held = make_set(items=2)
    ordinary(5)
    worked(ada)
    seen = held.items.order_by("id").first()
    other = factories.make_task(prompt=seen.task.item.prompt)
    services.plan_turns()
    factories.make_ranking(task=other, labeler=ada)
    checks = []
    for _ in range(4):
        lease = grant_lease(labeler=ada)
        checks += [lease.task_id] if is_check(lease) and lease.task_id != seen.task_id else []
        assert lease.task_id != seen.task_id
        skip_lease(lease_id=lease.pk, labeler=ada, reason="no")
        services.plan_turns()
    assert checks == [held.items.order_by("id").last().task_id]


def test_the_prompt_of_a_check_comes_in_no_ordinary_task_after_it(ada, make_set, always):
    held = make_set(items=1)
    ordinary(1)
    factories.make_task(prompt=held.items.get().task.item.prompt)
    worked(ada)
    services.plan_turns()
    lease = grant_lease(labeler=ada)
    assert is_check(lease)
    skip_lease(lease_id=lease.pk, labeler=ada, reason="no")
    after = []
    while lease := grant_lease(labeler=ada):
        after.append(lease.task.item.prompt_id)
        skip_lease(lease_id=lease.pk, labeler=ada, reason="no")
    assert len(after) == 1
    assert held.items.get().task.item.prompt_id not in after


def test_a_check_given_back_comes_back_with_its_draft(ada, bo, make_set, always):
    make_set(items=1)
    ordinary(1)
    worked(ada)
    services.plan_turns()
    lease = grant_lease(labeler=ada)
    Lease.objects.filter(pk=lease.pk).update(draft={"note": "so far"}, draft_version=3)
    return_lease(lease_id=lease.pk, labeler=ada)
    assert not is_check(grant_lease(labeler=bo))
    again = grant_lease(labeler=ada)
    assert (again.pk, again.draft) == (lease.pk, {"note": "so far"})


def test_one_that_ran_out_leaves_a_seat_that_is_nobody_elses(ada, bo, make_set, always, pass_time):
    make_set(items=1)
    worked(ada)
    ordinary(1)
    services.plan_turns()
    lease = grant_lease(labeler=ada)
    pass_time(minutes=60)
    assert expire_leases() == 1
    assert grant_lease(labeler=bo).task_id != lease.task_id
    assert Seat.objects.get(task=lease.task_id, groups=[]).state == "free"


def test_turns_that_became_for_nothing_go(ada, amy, make_set):
    held = make_set()
    worked(ada)
    services.plan_turns()
    services.switch_set(set_id=held.pk, active=False, actor=amy)
    services.plan_turns()
    assert not CheckTurn.objects.exists()


def test_one_who_opted_out_of_a_category_gets_no_check_of_it(ada, make_set, always):
    held = make_set(items=1)
    ordinary(1)
    worked(ada)
    services.plan_turns()
    prompt = held.items.get().task.item.prompt
    type(prompt).objects.filter(pk=prompt.pk).update(categories=["violence"])
    type(ada).objects.filter(pk=ada.pk).update(opted_out=["violence"])
    ada.refresh_from_db()
    assert not is_check(grant_lease(labeler=ada))
    services.plan_turns()
    assert not CheckTurn.objects.exists()


def test_an_anchor_comes_again_after_the_days_that_the_team_set(ada, make_set, always):
    TeamSettings.objects.update(check_anchor_days=30)
    held = make_set(items=1)
    ordinary(2)
    worked(ada)
    item = held.items.get()
    answer_check(item, ada, GOOD, days_ago=29)
    services.keep_up()
    assert not CheckTurn.objects.filter(kind="anchor").exists()
    TeamSettings.objects.update(check_anchor_days=28)
    services.keep_up()
    lease = grant_lease(labeler=ada)
    assert is_check(lease)
    assert lease.task_id == item.copies.get().task_id
    texts = [completion.text for completion in lease.task.item.completions.order_by("text")]
    assert texts == [completion.text for completion in item.task.item.completions.order_by("text")]
    # While it is not answered no other comes.
    assert services.plan_turns() == 0


def test_labelers_share_the_copy_of_an_item(ada, bo, make_set):
    TeamSettings.objects.create(check_anchor_days=40)
    held = make_set(items=1)
    for person in (ada, bo):
        worked(person)
        answer_check(held.items.get(), person, GOOD, days_ago=50)
    services.keep_up()
    assert services.keep_up()["planned"] == 0
    turns = CheckTurn.objects.filter(kind="anchor")
    assert len(turns) == 2
    assert len(set(turns.values_list("task", flat=True))) == 1


def shape(value: object) -> object:
    """The keys and types of a JSON value, without what it says."""
    if isinstance(value, dict):
        return {key: shape(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [shape(entry) for entry in value[:1]]
    return type(value).__name__


def test_nothing_that_a_labeler_gets_tells_a_check_from_another_task(ada, page, api, make_set):
    TeamSettings.objects.create(check_percent=0)
    held = make_set(name="Secret gold")
    ordinary(6)
    worked(ada)
    services.plan_turns()

    def one(percent: int) -> tuple[dict, str, set[str], str]:
        TeamSettings.objects.update(check_percent=percent)
        given = api(ada).post("/api/v1/tasks/next/")
        body = given.json()
        assert Lease.objects.filter(pk=body["id"], task__check_turns__labeler=ada).exists() == (percent == 100)
        shown = page(ada).get(reverse("task", args=[body["id"]]))
        api(ada).post(f"/api/v1/tasks/{body['id']}/skip/", {"reason": "no"}, format="json")
        return shape(body), shown.content.decode(), set(given.headers), json.dumps(body)

    usual, usual_page, usual_headers, _ = one(0)
    check, check_page, check_headers, sent = one(100)
    assert usual == check
    assert usual_headers == check_headers
    assert len(usual_page.splitlines()) == len(check_page.splitlines())
    for text in (check_page, sent):
        assert not any(word in text.lower() for word in ("gold", "hidden check", "anchor", str(held.pk)))


def test_the_number_that_waits_falls_by_one_with_each_task_whatever_it_is(ada, make_set, always):
    make_set()
    ordinary(8)
    worked(ada)
    services.plan_turns()
    waits = [work_of(ada).waiting]
    for percent in (100, 0, 100):
        TeamSettings.objects.update(check_percent=percent)
        lease = grant_lease(labeler=ada)
        assert is_check(lease) == (percent == 100)
        assert work_of(ada).waiting == waits[-1]
        skip_lease(lease_id=lease.pk, labeler=ada, reason="no")
        waits.append(work_of(ada).waiting)
    assert waits == [11, 10, 9, 8]


def test_a_check_answered_late_takes_no_seat_of_the_queue(ada, rita, make_set, always, pass_time, api):
    batch = factories.make_batch(overlap=3)
    task = factories.make_task(batch=batch)
    factories.make_ranking(task=task, labeler=rita)
    services.make_set(name="Open", batch=batch, groups=["training"], actor=rita)
    worked(ada)
    Seat.objects.filter(task=task, number=1).update(groups=["held_out"])
    Seat.objects.filter(task=task, number=2).update(groups=["held_out"])
    ordinary(1)
    services.plan_turns()
    lease = grant_lease(labeler=ada)
    assert is_check(lease)
    pass_time(minutes=60)
    expire_leases()
    Seat.objects.filter(task=task, groups=[]).update(state="filled")
    answer = {"completions": [{"id": shown, "rank": n + 1, "rating": 4} for n, shown in enumerate(lease.order_shown)]}
    sent = api(ada).post(f"/api/v1/tasks/{lease.pk}/submit/", answer, format="json", headers={"Idempotency-Key": "one"})
    assert sent.status_code in (200, 201), sent.content
    assert sent.json()["surplus"] is True
    assert Seat.objects.filter(task=task, state="free").count() == 2


def test_turns_once_served_stay(ada, make_set):
    held = make_set(items=1)
    answer_check(held.items.get(), ada, GOOD)
    with pytest.raises(ProgrammingError), transaction.atomic():
        CheckTurn.objects.update(served_at=timezone.now() - timedelta(days=1))
