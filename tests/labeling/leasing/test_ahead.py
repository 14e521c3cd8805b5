"""Fetching ahead: one task waits behind the open one, with its seat, and goes back when it is not begun."""

from __future__ import annotations

import pytest
from django.db.models.functions import Now

from labeling.leasing import services
from labeling.leasing.models import Lease, Seat
from labeling.leasing.queries import work_of
from labeling.leasing.services import fetch_ahead, grant_lease, renew_lease, return_lease, skip_lease
from labeling.rankings.models import Ranking
from labeling.refusals import Conflict
from tests import factories

pytestmark = pytest.mark.django_db

AHEAD, NEXT = "/api/v1/tasks/ahead/", "/api/v1/tasks/next/"


@pytest.fixture
def tasks() -> list:
    batch = factories.make_batch()
    return [factories.make_task(batch=batch) for _ in range(3)]


@pytest.fixture
def pair(ada, tasks) -> tuple[Lease, Lease]:
    """Ada's open lease, and the one behind it."""
    return grant_lease(labeler=ada), fetch_ahead(labeler=ada)


def answer_to(task: dict) -> dict:
    return {"completions": [{"id": shown["id"], "rank": 1, "rating": 3} for shown in task["completions"]]}


def send(client, task: dict, *, ahead: str = "?ahead=1", key: str = "k"):
    return client.post(task["urls"]["submit"] + ahead, answer_to(task), format="json", headers={"Idempotency-Key": key})


def test_one_waits_behind_the_open_one_and_holds_its_seat(ada, bo, tasks, pair):
    opened, ahead = pair
    assert (opened.task, ahead.task, ahead.state) == (tasks[0], tasks[1], "ahead")
    assert fetch_ahead(labeler=ada).pk == ahead.pk
    assert grant_lease(labeler=ada).pk == opened.pk
    assert grant_lease(labeler=bo).task == tasks[2]
    assert work_of(ada).waiting == 2


def test_nothing_is_fetched_ahead_of_nothing(ada, tasks):
    assert fetch_ahead(labeler=ada) is None
    assert not Lease.objects.exists()


def test_its_clock_starts_when_it_is_begun(ada, pair, pass_time, settings):
    settings.AHEAD_SECONDS = 60
    opened, ahead = pair
    with pytest.raises(Conflict, match="waits behind"):
        renew_lease(lease_id=ahead.pk, labeler=ada)
    skip_lease(lease_id=opened.pk, labeler=ada, reason="no")
    pass_time(minutes=2)
    before = Lease.objects.get(pk=ahead.pk)
    begun = renew_lease(lease_id=ahead.pk, labeler=ada)
    assert (begun.state, renew_lease(lease_id=ahead.pk, labeler=ada).state) == ("open", "open")
    assert (begun.granted_at - before.granted_at).total_seconds() >= 120
    assert (begun.expires_at - begun.granted_at).total_seconds() == 900


def test_the_next_task_is_the_one_fetched_ahead_even_before_an_urgent_one(ada, pair):
    factories.make_task(batch=factories.make_batch(priority=9))
    skip_lease(lease_id=pair[0].pk, labeler=ada, reason="no")
    lease = grant_lease(labeler=ada)
    assert (lease.pk, lease.state) == (pair[1].pk, "open")


def test_life_at_the_open_one_keeps_the_one_behind(ada, pair, pass_time):
    pass_time(minutes=2)
    renew_lease(lease_id=pair[0].pk, labeler=ada)
    pass_time(minutes=2)
    assert services.expire_leases() == 0
    pass_time(minutes=4)
    assert services.expire_leases() == 1
    assert {lease.pk: lease.state for lease in Lease.objects.all()} == {pair[0].pk: "open", pair[1].pk: "returned"}


def test_what_was_not_begun_goes_to_anybody(ada, bo, tasks, pair, pass_time):
    pass_time(minutes=10)
    grant_lease(labeler=bo)
    assert Seat.objects.get(task=tasks[1]).state == "free"
    assert grant_lease(labeler=bo).task == tasks[2]
    return_lease(lease_id=Lease.objects.get(labeler=bo).pk, labeler=bo)
    skip_lease(lease_id=pair[0].pk, labeler=ada, reason="no")
    again = grant_lease(labeler=ada)
    assert (again.pk, again.state, again.order_shown) == (pair[1].pk, "open", pair[1].order_shown)


def test_own_unfinished_work_is_fetched_ahead_first(ada, bo, tasks, pass_time):
    left = grant_lease(labeler=ada)
    pass_time(minutes=20)
    services.expire_leases()
    urgent = factories.make_task(batch=factories.make_batch(priority=9))
    Seat.objects.filter(task=tasks[0]).update(state="taken")
    assert grant_lease(labeler=ada).task == urgent
    Seat.objects.filter(task=tasks[0]).update(state="free")
    assert fetch_ahead(labeler=ada).pk == left.pk


def test_giving_back_the_open_one_gives_back_both(ada, pair):
    return_lease(lease_id=pair[0].pk, labeler=ada)
    assert set(Lease.objects.values_list("state", "seat")) == {("returned", None)}
    assert not Seat.objects.exclude(state="free").exists()


def test_pausing_and_signing_out_give_back_what_was_not_begun(ada, page, pair):
    client = page(ada)
    client.post("/sign-out/")
    assert {lease.pk: lease.state for lease in Lease.objects.all()} == {pair[0].pk: "open", pair[1].pk: "returned"}
    services.return_ahead(labeler=ada)
    assert Lease.objects.get(pk=pair[0].pk).state == "open"


def test_an_answer_to_what_was_never_begun_fills_its_seat(ada, api, pair):
    """The page worked without a connection, and only the answers came through."""
    task = api(ada).get(f"/api/v1/tasks/{pair[1].pk}/").json()
    assert send(api(ada), task, ahead="").json()["surplus"] is False
    assert Lease.objects.get(pk=pair[1].pk).state == "submitted"


def test_submitting_gives_the_next_task_begun_and_then_one_more_is_fetched(ada, api, tasks):
    client = api(ada)
    task = client.post(NEXT).json()
    ahead = client.post(AHEAD).json()
    assert (ahead["state"], ahead["seconds_left"] <= 180) == ("ahead", True)
    answer = send(client, task)
    following = answer.json()["next"]
    assert (answer.status_code, following["id"], following["state"]) == (201, ahead["id"], "open")
    assert following["seconds_left"] > 800
    # Sent again, the same is said again, and nothing more is taken.
    again = send(client, task)
    assert (again.status_code, again.json()["id"], again.json()["next"]["id"]) == (
        200,
        answer.json()["id"],
        ahead["id"],
    )
    assert Lease.objects.count() == 2
    last = client.post(AHEAD).json()
    assert client.post(AHEAD).json()["id"] == last["id"]
    assert send(client, following).json()["next"]["id"] == last["id"]
    assert client.post(AHEAD).status_code == 204
    assert send(client, last).json()["next"] is None
    assert Ranking.objects.count() == 3


def test_who_has_the_next_task_gets_its_clock_and_the_one_behind_it(ada, api, tasks):
    client = api(ada)
    task, ahead = client.post(NEXT).json(), client.post(AHEAD).json()
    has = f"?ahead=1&has={ahead['id']}"
    answer = send(client, task, ahead=has).json()
    assert set(answer["next"]) == {"id", "state", "expires_at", "seconds_left", "grace_seconds"}
    assert (answer["next"]["id"], answer["next"]["state"]) == (ahead["id"], "open")
    assert answer["next"]["seconds_left"] > 800
    assert (answer["ahead"]["state"], len(answer["ahead"]["completions"])) == ("ahead", 4)
    assert Lease.objects.get(pk=answer["ahead"]["id"]).task == tasks[2]
    # Sent again, the same is said again, and nothing more is taken.
    again = send(client, task, ahead=has).json()
    assert (again["id"], again["next"]["id"], again["ahead"]["id"]) == (
        answer["id"],
        ahead["id"],
        answer["ahead"]["id"],
    )
    assert Lease.objects.count() == 3
    # At the end of the queue nothing comes behind.
    last = send(client, {**ahead, **answer["next"]}, ahead=f"?ahead=1&has={answer['ahead']['id']}").json()
    assert (last["next"]["id"], "ahead" in last) == (answer["ahead"]["id"], False)


def test_who_has_a_task_that_went_back_gets_another_whole(ada, bo, api, tasks, pass_time):
    client = api(ada)
    task, ahead = client.post(NEXT).json(), client.post(AHEAD).json()
    pass_time(minutes=30)
    while (taken := grant_lease(labeler=bo)).task != tasks[1]:
        skip_lease(lease_id=taken.pk, labeler=bo, reason="no")
    answer = send(client, task, ahead=f"?ahead=1&has={ahead['id']}").json()
    assert (answer["next"]["state"], answer["next"]["id"] == ahead["id"]) == ("open", False)
    for nothing in ("", "none", "00000000-0000-0000-0000-000000000000"):
        again = send(client, task, ahead=f"?ahead=1&has={nothing}").json()
        assert again["next"]["id"] == answer["next"]["id"]
        assert len(again["next"]["completions"]) == 4


def test_who_has_the_next_task_and_is_paused_gets_nothing(ada, api, tasks):
    client = api(ada)
    task, ahead = client.post(NEXT).json(), client.post(AHEAD).json()
    type(ada).objects.filter(pk=ada.pk).update(paused_at=Now(), pause_reason="Holidays")
    answer = send(client, task, ahead=f"?ahead=1&has={ahead['id']}")
    assert (answer.status_code, answer.json()["next"], "ahead" in answer.json()) == (201, None, False)


def test_next_is_sent_only_when_asked_for(ada, api, tasks):
    client = api(ada)
    task = client.post(NEXT).json()
    assert set(send(client, task, ahead="").json()) == {"id", "revision", "surplus", "created_at"}
    assert Lease.objects.count() == 1


def test_without_one_fetched_the_next_is_granted(ada, api, tasks):
    client = api(ada)
    following = send(client, client.post(NEXT).json()).json()["next"]
    assert (following["state"], Lease.objects.filter(state="open").count()) == ("open", 1)


def test_a_task_names_all_its_addresses(ada, api, tasks):
    client = api(ada)
    client.post(NEXT)
    urls = client.post(AHEAD).json()["urls"]
    wanted = {
        "submit",
        "skip",
        "heartbeat",
        "draft",
        "return",
        "begin",
        "correct",
        "question",
        "page",
        "suggestions",
        "flag",
    }
    assert set(urls) == wanted
    assert client.post(urls["begin"]).status_code == 409
    assert client.post(urls["draft"], {"version": 1, "draft": {}}, format="json").json()["state"] == "ahead"
    assert client.post(urls["return"]).json()["state"] == "returned"
    assert client.get(urls["page"]).status_code == 200


def test_the_answer_is_kept_where_something_stands_before_the_next(ada, api, tasks, monkeypatch):
    def closed(person) -> None:
        raise Conflict("You have reached today's quota; thank you.")

    client = api(ada)
    task = client.post(NEXT).json()
    monkeypatch.setattr(services, "check_gates", closed)
    answer = send(client, task)
    assert (answer.status_code, answer.json()["next"]) == (201, None)
    assert client.post(NEXT).json()["error"]["message"].startswith("You have reached")
