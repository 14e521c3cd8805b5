"""Surveys by pages and API: quiet on the work page, told to nobody, and shown in what may be shown alone."""

from __future__ import annotations

import csv
from datetime import timedelta

import pytest
from django.utils import timezone

from labeling.people.models import User
from labeling.surveys.models import SurveyPart, SurveyRound, SurveyTally
from labeling.surveys.services import answer_round, close_round
from tests.factories import make_survey_round

pytestmark = pytest.mark.django_db


@pytest.fixture
def team(ada, bo) -> list[User]:
    others = [User.objects.create(username=f"one-{number}", role="labeler", group="training") for number in range(4)]
    return [ada, bo, *others]


def text_of(client, address: str) -> str:
    return client.get(address).content.decode()


def test_from_the_round_to_the_report(team, ada, bo, amy, rita, page):
    staff, labeler = page(amy), page(ada)
    day = (timezone.now() + timedelta(days=3)).date().isoformat()
    asked = {"questionnaire": "satisfaction", "title": "<b>May</b>", "groups": ["training"], "closes_on": day}
    assert staff.post("/survey-rounds/new/", {**asked, "groups": []}).status_code == 400
    made = staff.post("/survey-rounds/new/", asked)
    held = SurveyRound.objects.get()
    assert made.url == f"/survey-rounds/{held.pk}/"
    # The invitation is there beside the work, which goes on as before.
    shown = text_of(labeler, "/work/")
    assert "&lt;b&gt;May" in shown and f"/surveys/{held.pk}/" in shown and "Nothing waits for you" in shown
    assert "A survey, if you like" not in text_of(page(rita), "/work/")
    assert labeler.post(f"/surveys/{held.pk}/", {"clear": "odd"}).status_code == 400
    assert labeler.post(f"/surveys/{held.pk}/", {"clear": "agree", "glad": "strongly_agree"}).url == "/surveys/"
    assert labeler.post(f"/surveys/{held.pk}/", {"clear": "disagree"}).url == "/surveys/"
    assert SurveyTally.objects.get().counts["clear"] == {
        **dict.fromkeys(("strongly_agree", "neither", "disagree", "strongly_disagree", "unsaid"), 0),
        "agree": 1,
    }
    assert labeler.get(f"/surveys/{held.pk}/").url == "/surveys/"
    assert "A survey, if you like" not in text_of(labeler, "/work/")
    # Nobody of the team is told who answered, nor anything of it while the round is open.
    for client in (staff, page(rita)):
        shown = text_of(client, f"/survey-rounds/{held.pk}/")
        assert "fewer than 5" in shown and "The instructions told me" not in shown and "ada" not in shown
        assert client.get(f"/survey-rounds/{held.pk}/csv/").status_code == 404
    assert page(bo).post(f"/surveys/{held.pk}/decline/").url == "/work/"
    assert "A survey, if you like" not in text_of(page(bo), "/work/")
    for person in team[1:]:
        answer_round(round_id=held.pk, person=person, answers={"clear": ["agree"], "glad": ["disagree"]})
    assert staff.post(f"/survey-rounds/{held.pk}/close/").url == f"/survey-rounds/{held.pk}/"
    assert labeler.post(f"/surveys/{held.pk}/", {}).status_code == 409
    shown = text_of(page(rita), f"/survey-rounds/{held.pk}/")
    assert "The instructions told me clearly what to do." in shown and "100.0 %" in shown and "&lt;b&gt;May" in shown


def test_csv_and_api_have_what_the_page_shows_and_nothing_finer(team, amy, rita, page, api):
    held = make_survey_round(questionnaire="demographics", minimum=5)
    for number, person in enumerate(team):
        gender = "another" if number == 5 else "woman"
        answer_round(round_id=held.pk, person=person, answers={"gender": [gender], "ethnicity": ["white"]})
    body = api(rita).get(f"/api/v1/survey-rounds/{held.pk}/").json()
    assert (body["answered"], body["tables"], body["withheld"]) == (6, [], None)
    close_round(round_id=held.pk, actor=amy)
    body = api(rita).get(f"/api/v1/survey-rounds/{held.pk}/").json()
    gender, ethnicity = body["tables"][:2]
    assert gender["rows"] == [{"answer": "All answers together", "count": 6, "share": 1.0}]
    assert all(row["count"] is None for row in ethnicity["rows"])
    response = page(rita).get(f"/survey-rounds/{held.pk}/csv/")
    assert response.headers["Content-Disposition"] == f'attachment; filename="survey-{held.pk}.csv"'
    lines = list(csv.DictReader(response.content.decode().splitlines()))
    assert [(line["answer"], line["people"], line["share"]) for line in lines[:2]] == [
        ("All answers together", "6", "1.000"),
        (ethnicity["rows"][0]["answer"], "", ""),
    ]
    assert len(lines) == sum(len(table["rows"]) for table in body["tables"])


def test_rounds_over_the_api(team, amy, rita, ada, api):
    asked = {
        "questionnaire": "satisfaction",
        "title": "May",
        "groups": ["training"],
        "closes_on": timezone.now().date().isoformat(),
    }
    address = "/api/v1/survey-rounds/"
    assert api(rita).post(address, asked, format="json").status_code == 403
    assert api(ada).get(address).status_code == 403
    for change in ({"closes_on": "soon"}, {"groups": "training"}, {"odd": 1}, {"questionnaire": "odd"}):
        assert api(amy).post(address, {**asked, **change}, format="json").status_code == 400
    made = api(amy).post(address, asked, format="json")
    assert (made.status_code, made.json()["minimum"], made.json()["answered"]) == (201, 5, None)
    assert api(amy).post(address, asked, format="json").status_code == 409
    assert [one["title"] for one in api(rita).get(address).json()["rounds"]] == ["May"]
    closed = api(amy).post(f"{address}{made.json()['id']}/close/")
    assert (closed.status_code, closed.json()["withheld"]) == (200, "too_few")


def test_a_survey_is_seen_by_those_whom_it_asks(hal, rita, ada, page):
    held = make_survey_round()
    for stranger in (hal, rita):
        assert page(stranger).get(f"/surveys/{held.pk}/").status_code == 404
        assert page(stranger).post(f"/surveys/{held.pk}/", {}).status_code == 404
        assert held.title not in text_of(page(stranger), "/surveys/")
    assert held.title in text_of(page(ada), "/surveys/")
    assert page(ada).get(f"/surveys/{held.pk}/").headers["Cache-Control"].startswith("max-age=0, no-cache, no-store")
    assert not SurveyPart.objects.exists()


def test_invitations_are_turned_off_and_on(ada, page):
    held, client = make_survey_round(), page(ada)
    assert held.title in text_of(client, "/work/")
    client.post("/surveys/invitations/", {"wanted": "no"})
    assert held.title not in text_of(client, "/work/") and held.title in text_of(client, "/surveys/")
    client.post("/surveys/invitations/", {"wanted": "yes"})
    assert held.title in text_of(client, "/work/")
