"""Simulated labelers over real HTTP."""

import json

import pytest
from django.core.management import CommandError, call_command

from labeling.people.models import ApiToken, User
from labeling.rankings.models import Ranking
from labeling.simulation import services
from tests.factories import make_batch, make_task

pytestmark = pytest.mark.django_db(transaction=True)


def open_work(count: int, *, groups=("simulated",), overlap: int = 2) -> None:
    batch = make_batch(groups=list(groups), overlap=overlap)
    for _ in range(count):
        make_task(batch=batch, texts=("One.", "Two words here, and some more of them.", "Three.", "Four!"))


def test_crew_ranks_until_nothing_waits(live_server):
    open_work(5)
    work = services.simulate(url=live_server.url, labelers=3, tasks=100)
    assert work.submitted == 10
    assert not work.problems
    rankings = Ranking.objects.all()
    assert {(ranking.group, ranking.origin) for ranking in rankings} == {("simulated", "simulated")}
    assert len({(ranking.task_id, ranking.labeler_id) for ranking in rankings}) == 10
    assert not ApiToken.objects.filter(revoked_at=None).exists(), "their tokens end with them"
    assert not any(user.has_usable_password() for user in User.objects.filter(group="simulated"))


def test_crew_stops_after_the_tasks_asked_for(live_server):
    open_work(5)
    assert services.simulate(url=live_server.url, labelers=2, tasks=4).submitted == 4


def test_crew_is_not_offered_peoples_tasks(live_server):
    open_work(2, groups=("training", "held_out"))
    assert services.simulate(url=live_server.url, labelers=2, tasks=4).submitted == 0


def test_command_serves_itself_where_no_kwise_runs(monkeypatch, capsys):
    open_work(2, overlap=1)
    monkeypatch.setattr("labeling.management.commands.simulate.RUNNING", "http://127.0.0.1:9")
    call_command("simulate", "--labelers", "2", "--tasks", "5", "--json")
    printed = json.loads(capsys.readouterr().out)
    assert (printed["submitted"], printed["simulated"]) == (2, True)


def test_persons_account_is_never_taken(db):
    User.objects.create_user("sim-001", password="a long password", role="labeler", group="training")
    with pytest.raises(CommandError, match="person's"):
        call_command("simulate", "--labelers", "1", "--tasks", "1")
