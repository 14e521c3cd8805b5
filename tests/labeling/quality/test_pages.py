"""Pages, API and download: what they show, to whom, and of whom."""

from __future__ import annotations

import csv
import io

import pytest

from labeling.quality import services
from labeling.quality.models import QualityReport
from labeling.quality.wording import sentence
from labeling.simulation.bulk import store_population
from tests.labeling.quality.test_computing import both_rank

pytestmark = pytest.mark.django_db


@pytest.fixture
def computed(ada, bo, sim):
    """Ada pastes nothing, rates all alike and follows the order shown; Bo does as well, since both do the same."""
    both_rank(ada, bo, count=25)
    both_rank(sim)
    services.refresh()


def test_page_has_everybody_and_no_program(page, rita, computed, ada, bo, django_assert_max_num_queries):
    with django_assert_max_num_queries(30):
        shown = page(rita).get("/quality/").content.decode()
    assert f"/quality/{ada.pk}/" in shown
    assert f"/quality/{bo.pk}/" in shown
    assert "sim-1" not in shown
    assert "From 50 rankings" in shown
    assert "<svg" in shown
    programs = page(rita).get("/quality/?simulated=1").content.decode()
    assert "sim-1" in programs
    assert "programs, not people" in programs
    assert f"/quality/{ada.pk}/" not in programs


def test_persons_page_says_each_report_in_words(page, rita, computed, ada):
    shown = page(rita).get(f"/quality/{ada.pk}/").content.decode()
    assert "Orders two completions as most colleagues did in 100.0\u00a0%; colleagues do in 100.0\u00a0%." in shown
    assert "How the ratings are used" in shown
    assert "Too little to say" in shown  # of the place in the second step, which nobody was shown


def test_nothing_computed_is_said(page, rita, ada):
    assert "Nothing computed yet" in page(rita).get("/quality/").content.decode()
    assert "Nothing computed yet" in page(rita).get(f"/quality/{ada.pk}/").content.decode()
    assert page(rita).get("/quality/999999/").status_code == 404


def test_unknown_report_is_refused(page, rita, computed):
    answer = page(rita).get("/quality/?kind=mood")
    assert answer.status_code == 400
    assert "straight" in answer.content.decode(), "says what there is"
    assert page(rita).get("/quality/?after=nonsense").status_code == 400


def test_download_has_every_figure(page, rita, computed, ada):
    answer = page(rita).get(f"/quality/csv/?labeler={ada.pk}")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert {row["report"] for row in rows} == set(
        QualityReport.objects.filter(labeler=ada).values_list("kind", flat=True)
    )
    skill = next(row for row in rows if row["report"] == "skill")
    assert (float(skill["value"]), skill["labeler"]) == (1.0, "ada")


def test_api_says_the_same(api, rita, ada, computed):
    body = api(rita).get(f"/api/v1/quality/?labeler={ada.pk}").json()
    assert (body["rankings"], body["simulated"]) == (50, False)
    skill = next(row for row in body["reports"] if row["kind"] == "skill")
    assert skill["value"] == 1
    assert skill["sentence"].startswith("Orders two completions")
    assert {row["labeler"] for row in api(rita).get("/api/v1/quality/?simulated=1").json()["reports"]} > {None}
    assert api(ada).get("/api/v1/quality/").status_code == 403


@pytest.mark.parametrize(
    ("low", "high", "marked", "said"),
    [
        (-0.02, 0.04, False, "That is within chance."),
        (0.005, 0.04, False, "That is small, or to be expected among so many looks."),
        (0.06, 0.2, True, "That stands out."),
    ],
)
def test_sentence_says_how_sure_it_is(ada, low, high, marked, said):
    row = QualityReport(
        labeler=ada, kind="length", value=0.62, reference=0.5, effect=0.12, low=low, high=high, marked=marked
    )
    words = sentence(row)
    assert words.startswith(
        "Of two completions equally good to colleagues prefers the one twice as long in 62.0\u00a0%."
    )
    assert words.endswith(said)


def test_simulated_population_is_judged_on_the_page(page, rita):
    """Forty rankings of each: the two spammers come first, marked."""
    store_population(rankings=1600, seed=0)
    services.refresh()
    shown = page(rita).get("/quality/?simulated=1").content.decode()
    places = {name: shown.index(f">Simulated {name}<") for name in ("38", "39", "07")}
    assert max(places["38"], places["39"]) < places["07"]
    assert shown.count("may be clicking through") == 2


def test_persons_own_page_has_the_section(page, amy, computed, ada, rita):
    shown = page(amy).get(f"/people/{ada.pk}/").content.decode()
    assert "Biases and care" in shown
    assert "Orders two completions as most colleagues did" in shown
    assert "Orders two completions" not in page(amy).get(f"/people/{rita.pk}/").content.decode(), "who never ranked"
