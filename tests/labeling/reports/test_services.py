"""Reports: at most a minute behind, made once, and never by a reader who would have to wait."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone, translation

from labeling import plots
from labeling.reports import services
from labeling.reports.models import Report
from labeling.reports.services import Kind, ask, make_due

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(monkeypatch):
    """A kind of report that says how often it was made, and whose source changes when it is told to."""

    class World:
        made = 0
        small = False
        changed = timezone.now() - timedelta(days=1)

        def make(self, arguments: dict) -> dict:
            self.made += 1
            return {"made": self.made, **arguments}

        def draw(self, content: dict) -> dict:
            return {"plot": plots.bars(str(translation.get_language()), [("a", 1.0)], label="l", value="v")}

        def kind(self) -> Kind:
            return Kind(self.make, self.draw, lambda: self.changed, lambda _arguments: self.small)

        def age(self, **time) -> None:
            away = timedelta(**time)
            Report.objects.update(made_at=F("made_at") - away, asked_at=F("asked_at") - away)

    world = World()
    monkeypatch.setattr(services, "KINDS", {"test": world.kind()})
    return world


def test_large_report_is_made_by_a_worker(world):
    assert ask("test", {"of": 1}).waiting
    assert world.made == 0
    assert make_due() == 1
    shown = ask("test", {"of": 1})
    assert shown.content == {"made": 1, "of": 1}
    assert shown.plots["plot"].title == "en"
    with translation.override("de"):
        assert ask("test", {"of": 1}).plots["plot"].title == "de"


def test_reader_sees_nothing_that_is_more_than_a_minute_behind(world):
    ask("test", {})
    make_due()
    world.age(seconds=59)
    world.changed = timezone.now()
    assert not ask("test", {}).waiting
    world.age(seconds=2)
    assert ask("test", {}).waiting
    make_due()
    assert ask("test", {}).content["made"] == 2


def test_report_of_what_did_not_change_is_not_made_again(world):
    ask("test", {})
    make_due()
    world.age(minutes=50)
    assert make_due() == 0
    assert not ask("test", {}).waiting
    world.age(minutes=20)
    assert make_due() == 1, "what nobody can see change is looked at every hour"


def test_answer_that_was_under_way_is_not_missed(world):
    """It names the time at which its transaction began, which may lie before the report that could not see it."""
    ask("test", {})
    make_due()
    world.changed = Report.objects.get().made_at - timedelta(seconds=30)
    world.age(seconds=61)
    world.changed -= timedelta(seconds=61)
    assert make_due() == 1


def test_sweep_renews_before_the_minute_is_over(world):
    ask("test", {})
    make_due()
    world.age(seconds=21)
    world.changed = timezone.now()
    assert make_due() == 1


def test_report_that_nobody_looks_at_rests(world):
    ask("test", {})
    make_due()
    world.age(days=2)
    world.changed = timezone.now()
    assert make_due() == 0
    assert ask("test", {}).waiting
    assert make_due() == 1


def test_small_report_is_made_for_its_reader(world):
    world.small = True
    assert ask("test", {}).content["made"] == 1
    assert ask("test", {}).content["made"] == 1
    with translation.override("de"):
        assert ask("test", {}).plots["plot"].title == "de"
    assert ask("test", {}).plots["plot"].title == "en"


def test_one_worker_makes_it(world):
    ask("test", {})
    Report.objects.update(claimed_at=timezone.now())
    assert make_due() == 0
    Report.objects.update(claimed_at=timezone.now() - timedelta(minutes=6))
    assert make_due() == 1, "its worker was lost"


def test_failure_is_kept_and_the_rest_is_made(world, monkeypatch):
    ask("test", {"of": 1})
    ask("test", {"of": 2})
    right = world.make

    def wrong(arguments: dict) -> dict:
        if arguments["of"] == 1:
            raise ValueError("no such thing")
        return right(arguments)

    monkeypatch.setattr(world, "make", wrong)
    monkeypatch.setattr(services, "KINDS", {"test": world.kind()})
    assert make_due() == 1
    assert "no such thing" in ask("test", {"of": 1}).error
    monkeypatch.setattr(world, "make", right)
    monkeypatch.setattr(services, "KINDS", {"test": world.kind()})
    assert make_due() == 1
    assert ask("test", {"of": 1}).error == ""
