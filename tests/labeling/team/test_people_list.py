"""The list of people: filters, orders, pages, the same as a file, at a cost that does not grow with the answers."""

from __future__ import annotations

import csv
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from labeling.leasing.models import Lease
from labeling.people.models import Break, User
from labeling.team.queries import SORTS, Asked, people_page, this_week
from tests import factories

pytestmark = pytest.mark.django_db


def answered(person: User, *, seconds: int = 60, at=None) -> Lease:
    ranking = factories.make_ranking(task=factories.make_task(), labeler=person)
    at = at or timezone.now()
    Lease.objects.filter(pk=ranking.lease_id).update(active_seconds=seconds, ended_at=at, granted_at=at)
    return ranking.lease


def names(page) -> list[str]:
    return [member.person.username for member in page]


@pytest.fixture
def team(ada, bo, hal, rita) -> dict[str, User]:
    """Ada did most, Bo took longest, Hal was last here long ago, Rita never."""
    for _ in range(3):
        answered(ada, seconds=10)
    answered(bo, seconds=600)
    answered(hal, at=this_week() - timedelta(days=40))
    User.objects.filter(pk=bo.pk).update(paused_at=Now(), pause_reason="Let us talk.")
    Break.objects.create(labeler=ada)
    return {"ada": ada, "bo": bo, "hal": hal, "rita": rita}


def test_figures_are_of_this_week(team):
    found = {member.person.username: member for member in people_page(Asked())}
    assert [(m.answers, m.active_seconds, m.on_break) for m in (found["ada"], found["bo"], found["hal"])] == [
        (3, 30, True),
        (1, 600, False),
        (0, 0, False),
    ]
    assert found["rita"].seen_at is None and found["hal"].seen_at < found["ada"].seen_at


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["ada", "bo", "hal", "rita"]),
        ({"sort": "answers"}, ["ada", "bo", "rita", "hal"]),
        ({"sort": "active"}, ["bo", "ada", "rita", "hal"]),
        ({"sort": "seen"}, ["bo", "ada", "hal", "rita"]),
        ({"sort": "unseen"}, ["rita", "hal", "ada", "bo"]),
        ({"role": "researcher"}, ["rita"]),
        ({"group": "held_out"}, ["hal"]),
        ({"standing": "active"}, ["ada", "hal", "rita"]),
        ({"standing": "paused"}, ["bo"]),
        ({"standing": "offboarded"}, []),
        ({"search": "AD"}, ["ada"]),
        ({"search": "%"}, []),
        ({"unseen_days": 30}, ["hal", "rita"]),
    ],
)
def test_filters_and_orders(team, asked, expected):
    assert names(people_page(Asked(**asked))) == expected


@pytest.mark.parametrize("sort", SORTS)
def test_pages_turn_in_every_order_and_nobody_slips_through(db, sort):
    User.objects.bulk_create(User(username=f"p{n:03}", role="labeler", group="training") for n in range(60))
    for n in (3, 4, 5, 50):
        answered(User.objects.get(username=f"p{n:03}"), seconds=n)
    seen, after = [], None
    while True:
        page = people_page(Asked(sort=sort), after=after, size=7)
        seen += names(page)
        if page.next is None:
            break
        after = page.next
    assert sorted(seen) == [f"p{n:03}" for n in range(60)]
    assert seen == names(people_page(Asked(sort=sort), size=100))


def test_page_and_file_say_the_same(page, amy, team):
    client = page(amy)
    shown = client.get("/people/?sort=answers&role=labeler").content.decode()
    assert shown.index(">ada<") < shown.index(">bo<") < shown.index(">hal<") and "on a break" in shown
    User.objects.filter(pk=team["hal"].pk).update(display_name="=cmd()")
    sent = client.get("/people/table.csv?sort=answers&role=labeler")
    assert sent["Content-Disposition"] == 'attachment; filename="people.csv"'
    rows = list(csv.DictReader(b"".join(sent.streaming_content).decode().splitlines()))
    assert [row["user_name"] for row in rows] == ["ada", "bo", "hal"]
    assert (rows[0]["answers_this_week"], rows[1]["active_seconds_this_week"], rows[1]["standing"]) == (
        "3",
        "600",
        "paused",
    )
    assert rows[2]["name"] == "'=cmd()", "a spreadsheet must not take it for a formula"


def test_bad_filters_and_cursors_are_refused(page, amy):
    client = page(amy)
    for query in ("role=king", "sort=size", "unseen_days=x", "after=nonsense", "sort=seen&after=WyIxIiwgIjIiXQ"):
        assert client.get(f"/people/?{query}").status_code == 400, query


def test_a_page_asks_as_often_whoever_is_there(page, amy):
    def count() -> int:
        with CaptureQueriesContext(connection) as asked:
            people_page(Asked())
        return len(asked)

    people_page(Asked())  # makes the report on agreement, which stays
    few = count()
    User.objects.bulk_create(User(username=f"p{n:03}", role="labeler", group="training") for n in range(60))
    assert count() == few <= 8
