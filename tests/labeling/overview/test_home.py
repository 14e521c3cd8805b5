from __future__ import annotations

from labeling.intake.models import Prompt
from labeling.overview import queries
from tests.factories import make_prompt


def test_home_counts_and_says_what_comes_next(page, rita, amy):
    make_prompt("one")
    shown = page(rita).get("/")
    assert shown.context["stats"][0].figure == "1"
    assert shown.context["steps"][0].done
    assert "invitations" not in [step.page for step in shown.context["steps"]]
    assert "invitations" in [step.page for step in page(amy).get("/").context["steps"]]


def test_counting_stops_at_its_limit(db, monkeypatch):
    for number in range(5):
        make_prompt(str(number))
    monkeypatch.setattr(queries, "LIMIT", 3)
    assert queries.bounded_count(Prompt.objects.all()) == 4
    assert queries.Stat("prompts", 4, "prompts").figure == "3+"
