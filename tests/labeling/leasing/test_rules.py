"""Who is offered what: each prompt once, planned repeats, groups with targets, and nothing somebody opted out of."""

from __future__ import annotations

from collections import Counter

import pytest

from labeling.leasing.models import QueuePosition, Seat
from labeling.leasing.queries import work_of
from labeling.leasing.services import expire_leases, fetch_ahead, grant_lease, open_tasks, skip_lease
from labeling.sampling.models import Batch, Completion, Provenance
from labeling.sampling.services import create_batch, repeat_batch
from tests import factories
from tests.labeling.leasing.test_queue import answer_next, rows_looked_at

pytestmark = pytest.mark.django_db


def test_a_prompt_is_had_once_in_each_kind_of_task(ada, bo):
    prompt = factories.make_prompt("Why?")
    first = factories.make_task(prompt=prompt)
    second = factories.make_task(prompt=prompt)
    written = factories.make_task(prompt=prompt, batch=factories.make_batch(kind="demonstration"), texts=())
    assert work_of(ada).waiting == 3
    assert [answer_next(ada), answer_next(ada)] == [first, written]
    assert (grant_lease(labeler=ada), work_of(ada).waiting) == (None, 0)
    assert answer_next(bo) == second


@pytest.mark.parametrize("state", ["open", "ahead"])
def test_what_is_held_or_was_skipped_counts_as_had(ada, state):
    prompt = factories.make_prompt("Why?")
    factories.make_task(prompt=prompt)
    factories.make_task(prompt=prompt)
    lease = grant_lease(labeler=ada)
    if state == "ahead":
        assert fetch_ahead(labeler=ada) is None
    else:
        skip_lease(lease_id=lease.pk, labeler=ada, reason="no")
        assert grant_lease(labeler=ada) is None


def test_a_later_round_shows_prompts_again(ada):
    prompt = factories.make_prompt("Why?")
    first = factories.make_task(prompt=prompt)
    later = factories.make_task(prompt=prompt, batch=factories.make_batch(again=True))
    assert [answer_next(ada), answer_next(ada)] == [first, later]


def test_prompts_had_elsewhere_are_walked_past_once(ada):
    prompts = [factories.make_prompt() for _ in range(30)]
    for batch in (factories.make_batch(priority=2), factories.make_batch(priority=1, overlap=2)):
        for prompt in prompts:
            factories.make_task(batch=batch, prompt=prompt)
    rest = factories.make_batch()
    fresh = [factories.make_task(batch=rest) for _ in range(3)]
    assert len({answer_next(ada) for _ in range(30)}) == 30
    assert answer_next(ada) == fresh[0]
    assert rows_looked_at(ada) <= 4
    # The twin: without the positions all 60 seats of the other batch are read.
    QueuePosition.objects.all().delete()
    assert rows_looked_at(ada) > 60


def test_a_repeat_is_for_who_answered_and_shows_the_same_completions(ada, bo, rita, page):
    batch = factories.make_batch(overlap=1, name="first")
    tasks = [factories.make_task(batch=batch) for _ in range(3)]
    done = [answer_next(ada), answer_next(ada)]
    skipped = grant_lease(labeler=ada)
    skip_lease(lease_id=skipped.pk, labeler=ada, reason="no")
    assert answer_next(bo) == tasks[2]
    made = page(rita).post(f"/batches/{batch.pk}/repeat/", {"name": "second", "count": ""})
    repeat = Batch.objects.get(name="second")
    assert (made.status_code, repeat.repeat_of, repeat.evaluation, repeat.tasks.count()) == (302, batch, True, 3)
    mine = [answer_next(ada), answer_next(ada)]
    assert {task.item.prompt_id for task in mine} == {task.item.prompt_id for task in done}
    assert grant_lease(labeler=ada) is None
    assert answer_next(bo).item.prompt == tasks[2].item.prompt
    for task in mine:
        old = Completion.objects.filter(item__batch=batch, item__prompt=task.item.prompt_id)
        assert Counter(task.item.completions.values_list("text")) == Counter(old.values_list("text"))
    assert Provenance.objects.filter(completion__item__batch=repeat).count() == 12


def test_a_repeat_can_be_a_part_and_has_its_refusals(ada, rita, page):
    batch = factories.make_batch(name="first")
    for _ in range(4):
        factories.make_task(batch=batch)
    assert repeat_batch(batch=batch, name="two", count=2, actor=rita).items.count() == 2
    client = page(rita)
    for name, count in (("two", "1"), ("", ""), ("three", "0"), ("three", "x")):
        answer = client.post(f"/batches/{batch.pk}/repeat/", {"name": name, "count": count})
        assert answer.status_code in (400, 409)
    two = Batch.objects.get(name="two")
    assert client.post(f"/batches/{two.pk}/repeat/", {"name": "four"}).status_code == 400
    assert b"a repeat of first" in client.get(f"/batches/{two.pk}/").content
    assert page(ada).post(f"/batches/{batch.pk}/repeat/", {"name": "five"}).status_code == 403


def test_group_targets_give_each_group_its_seats(ada, bo, hal, rita, api):
    for number in range(2):
        factories.make_prompt(f"p{number}")
    body = {"name": "round", "kind": "demonstration", "group_targets": {"training": 1, "researcher": 2}}
    made = api(rita).post("/api/v1/batches/", body, format="json")
    assert (made.status_code, made.json()["overlap"], made.json()["groups"]) == (201, 3, ["training", "researcher"])
    batch = Batch.objects.get()
    batch.state = "open"
    batch.save()
    assert open_tasks(batch=batch) == 2
    groups = Counter(tuple(groups) for groups in Seat.objects.values_list("groups", flat=True))
    assert groups == {("training",): 2, ("researcher",): 4}
    task = answer_next(ada)
    assert (answer_next(bo) == task, grant_lease(labeler=hal)) == (False, None)
    assert grant_lease(labeler=ada) is None
    assert [answer_next(rita), answer_next(rita)] == list(batch.tasks.order_by("item"))


def test_targets_on_the_page(rita, page):
    factories.make_prompt("p")
    fields = {"name": "r", "kind": "demonstration", "k": "4", "order": "random", "overlap": "1", "groups": "training"}
    fields |= {"priority": "0", "temperature": "1", "top_p": "1", "max_tokens": "64", "seed": "7"}
    client = page(rita)
    for wrong in ("training", "training:0", "training:2,training:1", "nobody:1", "training:99,researcher:99"):
        assert client.post("/batches/new/", {**fields, "group_targets": wrong}).status_code == 400
    made = client.post("/batches/new/", {**fields, "group_targets": "training:2, researcher:1", "again": "on"})
    batch = Batch.objects.get()
    assert (made.status_code, batch.overlap, batch.again) == (302, 3, True)
    assert batch.group_targets == {"training": 2, "researcher": 1}
    assert b"2 \xc3\x97 training" in client.get(f"/batches/{batch.pk}/").content


@pytest.mark.parametrize("targets", [["training"], {"training": True}, {"training": 1.5}, {"training": 101}, 3])
def test_bad_targets_are_refused_with_a_sentence(rita, api, targets):
    factories.make_prompt("p")
    body = {"name": "round", "kind": "demonstration", "group_targets": targets}
    answer = api(rita).post("/api/v1/batches/", body, format="json")
    assert (answer.status_code, "target" in answer.json()["error"]["message"]) == (400, True)
    assert not Batch.objects.exists()


def test_nothing_of_a_category_that_somebody_opted_out_of(ada, bo):
    batch = factories.make_batch()
    harsh = factories.make_task(batch=batch, prompt=factories.make_prompt("x", categories=["violence"]))
    mild = factories.make_task(batch=batch)
    ada.opted_out = ["violence"]
    ada.save()
    assert work_of(ada).waiting == 1
    assert answer_next(ada) == mild
    assert grant_lease(labeler=ada) is None
    ada.opted_out = []
    ada.save()
    assert answer_next(ada) == harsh


def test_own_unfinished_work_of_such_a_category_does_not_come_back(ada, pass_time):
    factories.make_task(prompt=factories.make_prompt("x", categories=["violence"]))
    grant_lease(labeler=ada)
    pass_time(minutes=20)
    assert expire_leases() == 1
    ada.opted_out = ["violence"]
    ada.save()
    assert grant_lease(labeler=ada) is None


def test_seats_are_of_the_prompts_categories(rita):
    factories.make_prompt("x", categories=["violence"])
    batch = create_batch(name="r", kind="demonstration", created_by=rita)
    open_tasks(batch=batch)
    assert Seat.objects.get().categories == ["violence"]
