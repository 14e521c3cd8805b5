"""Onboarding by pages and API."""

from __future__ import annotations

import pytest

from labeling.leasing.gates import check_gates
from labeling.onboarding.models import OnboardingSettings
from labeling.onboarding.services import begin_onboarding, change_settings
from labeling.people.models import User
from labeling.sampling.models import Batch
from tests.factories import make_batch, make_ranking, make_task
from tests.labeling.practice.answering import take_tour

pytestmark = pytest.mark.django_db


def text_of(client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture
def newcomer(ada, amy) -> User:
    """Ada on probation, with one answer of the two that are wanted."""
    change_settings(switched_on=True, tour=False, answers=2, waits=True, actor=amy)
    begin_onboarding(person=ada)
    ada.refresh_from_db()
    check_gates(ada)
    make_ranking(task=make_task(batch=make_batch(probation=True, overlap=2)), labeler=ada, ratings=[7, 6, 5, 4])
    return ada


def test_the_newcomer_sees_their_steps_and_nothing_of_the_report(newcomer, rita, page):
    make_ranking(task=newcomer.leases.get().task, labeler=rita)
    shown = text_of(page(newcomer), "/work/")
    assert "Your first steps" in shown and "Give your first answers: 1 of 2" in shown
    assert "rita" not in shown and "greement" not in shown
    make_ranking(task=make_task(batch=make_batch(probation=True)), labeler=newcomer)
    shown = text_of(page(newcomer), "/work/")
    assert "Your first answers are in" in shown and "Your team looks at them now" in shown
    assert page(newcomer).get("/onboarding/").status_code == 403


def test_the_page_that_takes_the_last_step_of_training_shows_what_waits(ada, amy, page):
    change_settings(switched_on=True, tour=False, answers=2, waits=True, actor=amy)
    make_task(batch=make_batch(probation=True))
    begin_onboarding(person=ada)
    assert "1 task waits for you" in text_of(page(ada), "/work/")


def test_nobody_else_sees_steps(bo, page):
    assert "Your first steps" not in text_of(page(bo), "/work/")


def test_from_the_list_to_the_decision(newcomer, bo, rita, amy, page):
    make_ranking(task=newcomer.leases.get().task, labeler=rita)
    staff = page(rita)
    assert "Nobody is at this step" in text_of(staff, "/onboarding/")
    shown = text_of(staff, "/onboarding/?step=probation")
    assert "ada" in shown and "1 / 2" in shown and "What is asked of newcomers" not in shown
    lines = b"".join(staff.get("/onboarding/people.csv?step=probation").streaming_content).decode().splitlines()
    assert lines[1].startswith("ada,") and lines[1].endswith(",1,2")
    assert staff.get("/onboarding/?step=odd").status_code == 400
    address = f"/onboarding/{newcomer.pk}/"
    shown = text_of(staff, address)
    assert "6 of 6 pairs" in shown and f"/given/{newcomer.leases.get().pk}/" in shown
    assert shown.count("plot-drawing") == 2
    take_tour(newcomer)
    assert text_of(staff, address).count("plot-drawing") == 3
    practice, days = (
        staff.get(f"{address}{name}.csv").getvalue().decode().splitlines() for name in ("practice", "probation")
    )
    assert len(practice) == 7 and practice[1].split(",")[2:9] == ["basil", "1", "no", "3", "3", "3", "3"]
    assert len(days) == 2 and days[1].split(",")[1:5] == ["1", "6", "6", "1.0"]
    said = {"decision": "pass", "reason": "<b>Good.</b>", "seen": "probation"}
    assert staff.post(address, {**said, "seen": "waiting"}).status_code == 400
    assert staff.post(address, {**said, "decision": "extend"}).status_code == 400
    assert staff.post(address, said).url == address
    newcomer.refresh_from_db()
    assert newcomer.onboarding == "passed"
    shown = text_of(staff, address)
    assert "&lt;b&gt;Good." in shown and 'name="decision"' not in shown
    assert staff.get(f"/onboarding/{bo.pk}/").status_code == 404
    assert "Passed" in text_of(page(amy), f"/people/{newcomer.pk}/")


def test_admins_set_what_is_asked_and_of_whom(bo, amy, page):
    staff = page(amy)
    said = {"switched_on": "on", "answers": "7"}
    assert staff.post("/onboarding/settings/", {**said, "answers": "0"}).status_code == 400
    assert staff.post("/onboarding/settings/", said).url == "/onboarding/"
    assert OnboardingSettings.objects.values_list("switched_on", "tour", "answers", "waits").get() == (
        True,
        False,
        7,
        False,
    )
    assert "Ask them to begin" in text_of(staff, f"/people/{bo.pk}/")
    assert staff.post(f"/onboarding/{bo.pk}/begin/").url == f"/onboarding/{bo.pk}/"
    assert "Ask them to begin" not in text_of(staff, f"/people/{bo.pk}/")
    batch = make_batch()
    assert "labelers on probation alone" in text_of(staff, f"/batches/{batch.pk}/")
    staff.post(f"/batches/{batch.pk}/probation/", {"probation": "on"})
    assert Batch.objects.get().probation and batch.name in text_of(staff, "/onboarding/")


def test_over_the_api(newcomer, bo, rita, amy, api):
    assert api(newcomer).get("/api/v1/onboarding/mine/").json()["answers"] == 1
    assert api(bo).get("/api/v1/onboarding/mine/").json() == {"step": None}
    staff, one = api(rita), f"/api/v1/onboarding/{newcomer.pk}/"
    listed = staff.get("/api/v1/onboarding/?step=probation").json()
    assert [(row["user_name"], row["answers"], row["wanted"]) for row in listed["people"]] == [("ada", 1, 2)]
    assert staff.get("/api/v1/onboarding/?step=odd").status_code == 400
    report = staff.get(one).json()
    assert report["ratings"]["7"] == [1, 0] and report["practice"] == []
    assert [(day["answers"], day["pairs"]) for day in report["days"]] == [(1, 0)]
    said = {"decision": "extend", "more": 3, "reason": "More.", "seen": "probation"}
    assert staff.post(one, {**said, "odd": 1}, format="json").status_code == 400
    assert staff.post(one, said, format="json").json()["wanted"] == 5
    assert staff.post(one, {**said, "seen": "waiting"}, format="json").status_code == 409
    assert staff.get(f"/api/v1/onboarding/{bo.pk}/").status_code == 404
    assert api(amy).post(f"/api/v1/onboarding/{bo.pk}/begin/").json()["step"] == "training"
