"""The team's pages and API, and what is exported."""

from __future__ import annotations

import pytest

from labeling.checks import services
from labeling.checks.models import CheckAlert, CheckSet
from labeling.exports.lines import Tally
from labeling.exports.question import read_question
from labeling.exports.rows import lines_of
from labeling.governance.outputs import OutputGate
from tests import factories
from tests.labeling.checks.conftest import BAD, GOOD, answer_check, copy_of
from tests.labeling.checks.test_results import dip

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dipped(ada, make_set) -> CheckSet:
    held = make_set(items=12, name="<b>Gold</b>")
    dip(held, ada)
    services.keep_up()
    return held


def test_an_alert_is_shown_where_the_team_looks_and_leads_to_the_items(amy, ada, page, dipped):
    alert = CheckAlert.objects.get()
    for address in ("/", f"/people/{ada.pk}/", "/checks/", "/checks/alerts/"):
        shown = page(amy).get(address).content.decode()
        assert alert.week.isoformat() in shown, address
        assert f"/checks/people/{ada.pk}/" in shown, address
        assert "<b>Gold" not in shown
    shown = page(amy).get(f"/checks/people/{ada.pk}/", {"week": alert.week.isoformat()}).content.decode()
    assert "<svg" in shown
    assert shown.count("/checks/answers/") == 6
    assert "<b>Gold" not in shown
    turn = ada.check_turns.order_by("-served_at").first()
    behind = page(amy).get(f"/checks/answers/{turn.pk}/").content.decode()
    assert "rita" in behind
    assert "One." in behind
    assert "secret-model" not in behind
    note = {"note": "Talked to them."}
    assert page(amy).post(f"/checks/alerts/{alert.pk}/acknowledge/", note).status_code == 302
    assert alert.week.isoformat() not in page(amy).get("/").content.decode()
    assert "Talked to them." in page(amy).get(f"/checks/people/{ada.pk}/").content.decode()


def test_sets_are_made_and_switched_on_pages(amy, rita, page):
    batch = factories.make_batch(name="To measure")
    for number in range(2):
        factories.make_ranking(task=factories.make_task(batch=batch), labeler=rita, note=str(number))
    assert "To measure" in page(rita).get("/checks/new/").content.decode()
    asked = {"name": "Mine", "batch": batch.pk, "researchers": 1, "groups": ["training"], "tolerance": 2}
    assert page(rita).post("/checks/new/", asked | {"researchers": 2}).status_code == 400
    made = page(rita).post("/checks/new/", asked)
    held = CheckSet.objects.get()
    assert made.headers["Location"] == f"/checks/sets/{held.pk}/"
    assert held.tolerance == 2
    assert page(rita).get(f"/checks/sets/{held.pk}/").status_code == 200
    page(rita).post(f"/checks/sets/{held.pk}/switch/", {"active": "no"})
    held.refresh_from_db()
    assert not held.active


def test_what_is_seen_comes_as_csv(rita, ada, page, dipped):
    answers = page(rita).get(f"/checks/people/{ada.pk}/csv/").getvalue().decode()
    assert len(answers.splitlines()) == 13
    weeks = page(rita).get(f"/checks/people/{ada.pk}/weeks/csv/").getvalue().decode()
    assert len(weeks.splitlines()) == 3
    assert "limit" in weeks.splitlines()[-1]


def test_the_api_has_sets_results_and_alerts(rita, amy, ada, api, dipped):
    client = api(rita)
    (held,) = client.get("/api/v1/checks/").json()["results"]
    assert (held["name"], held["items"]) == ("<b>Gold</b>", 12)
    items = client.get(f"/api/v1/checks/sets/{held['id']}/").json()["items"]
    assert sum(item["agreed"] for item in items) == 36
    found = client.get("/api/v1/checks/results/", {"labeler": ada.pk}).json()
    assert len(found["results"]) == 12
    assert found["weeks"][-1]["reasons"]
    (alert,) = client.get("/api/v1/checks/alerts/", {"waiting": "1"}).json()["results"]
    address = f"/api/v1/checks/alerts/{alert['id']}/acknowledge/"
    assert client.post(address, {"note": "no"}, format="json").status_code == 403
    assert api(amy).post(address, {"note": "yes"}, format="json").json()["note"] == "yes"
    assert client.get("/api/v1/checks/alerts/", {"waiting": "1"}).json()["results"] == []
    assert client.patch(f"/api/v1/checks/sets/{held['id']}/", {"active": False}, format="json").status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "/checks/people/1234567/",
        "/checks/answers/1234567/",
        "/checks/?after=x",
        "/checks/people/{ada}/?week=soon",
        "/checks/people/{ada}/?after=x",
        "/api/v1/checks/results/",
        "/api/v1/checks/results/?labeler=x",
        "/api/v1/checks/results/?labeler=99999999999999999999999",
    ],
)
def test_nonsense_is_refused(rita, ada, page, address):
    assert page(rita).get(address.format(ada=ada.pk)).status_code in (400, 404)


def exported(**asked) -> tuple[list, dict]:
    tally = Tally()
    lines = list(lines_of("comparisons", read_question(kind="comparisons", question=asked), tally, OutputGate()))
    return lines, tally.exclusions


@pytest.mark.parametrize("allowed", [False, True])
def test_answers_to_checks_are_left_out_of_data_sets_unless_the_set_says_so(ada, hal, make_set, allowed):
    held = make_set(items=2, exported=allowed)
    first, second = held.items.order_by("id")
    answer_check(first, ada, GOOD, days_ago=50)
    answer_check(second, hal, BAD)
    services.score()
    answer_check(first, ada, GOOD, kind="anchor", task=copy_of(first, 2))
    lines, left_out = exported(groups=["training"])
    assert len(lines) == (1 if allowed else 0)
    # An anchor never: its prompt would count twice.
    assert left_out["hidden_check"] == (1 if allowed else 2)
    lines, left_out = exported()
    assert left_out["held_out"] == 1
    # The researchers' own answers are ordinary ones.
    assert sum(line.row["group"] == "researcher" for line in lines) == 2
