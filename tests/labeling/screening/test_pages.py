"""The pages and the API: who sees what, and that nothing of a report says who it is about."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from labeling.demos.models import Demonstration
from labeling.models import Invitation, User
from labeling.screening import queries, services
from labeling.screening.models import Application, Grade, ScreeningDecision, ScreeningRound, Topic
from tests import factories
from tests.labeling.screening.working import work_through

pytestmark = pytest.mark.django_db


@pytest.fixture
def w(amy, rita) -> SimpleNamespace:
    held = factories.make_screening_round(actor=amy, items=1)
    work_through(rita, flag="violent")
    application, person = factories.make_applicant(held, actor=amy, username="nora-secret")
    person.display_name = "Nora Secret"
    person.save()
    made = work_through(person)
    return SimpleNamespace(
        round=held,
        application=application,
        person=person,
        written=next(x for x in made if isinstance(x, Demonstration)),
    )


def test_an_admin_sets_up_a_round_from_real_items(page, amy):
    client = page(amy)
    figures = {"flags_cutoff": 80, "rankings_cutoff": 75, "grade_cutoff": 6, "researchers": 1, "graders": 2}
    answer = client.post("/screening/new/", {"name": "Spring <b>", **figures})
    held = ScreeningRound.objects.get()
    assert answer.headers["Location"] == f"/screening/{held.pk}/" and held.flags_cutoff == 0.8
    assert client.post("/screening/new/", {"name": "Spring <b>", **figures}).status_code == 400
    task = factories.make_task(prompt=factories.make_prompt("Why <i>?"))
    listed = client.get(f"/screening/{held.pk}/items/1/", {"batch": task.batch_id}).content.decode()
    assert f'value="{task.item_id}"' in listed and "Why &lt;i&gt;?" in listed
    prompt = factories.make_prompt("Hard.", categories=["violence"])
    assert f'value="{prompt.pk}"' in client.get(f"/screening/{held.pk}/items/3/").content.decode()
    for gate, item in ((1, task.item_id), (2, task.item_id), (3, prompt.pk)):
        assert client.post(f"/screening/{held.pk}/items/{gate}/", {"item": [item]}).status_code == 302
    assert client.get(f"/screening/{held.pk}/items/9/").status_code == 404
    item = held.items.first()
    client.post(f"/screening/items/{item.pk}/note/", {"note": "We flag it."})
    assert client.post(f"/screening/{held.pk}/open/").status_code == 302
    answer = client.post(f"/screening/{held.pk}/invite/", {"days": 3, "note": "Kim"})
    assert answer.status_code == 201 and "/join/" in answer.content.decode()
    assert Invitation.objects.get().group == "applicant"
    assert client.post(f"/screening/{held.pk}/cut-offs/", {**figures, "grade_cutoff": 5}).status_code == 302
    assert client.post(f"/screening/{held.pk}/cut-offs/", {**figures, "grade_cutoff": 9}).status_code == 400
    assert client.post(f"/screening/{held.pk}/close/").status_code == 302


def test_no_page_that_deciders_see_names_the_applicant(page, api, w, amy, rita):
    from labeling.questions import services as questions

    asked = questions.ask(lease_id=w.written.lease_id, labeler=w.person, text="May I?")
    for person in (amy, rita):
        client = page(person)
        for address in (
            "/screening/",
            f"/screening/{w.round.pk}/",
            f"/screening/applicants/{w.application.pk}/",
            f"/screening/applicants/{w.application.pk}/csv/",
            "/questions/inbox/",
            f"/questions/{asked.pk}/",
            "/written/",
            f"/written/{w.written.pk}/",
        ):
            answer = client.get(address)
            assert answer.status_code == 200, address
            body = b"".join(answer).decode() if answer.streaming else answer.content.decode()
            assert "ecret" not in body and f"people/{w.person.pk}/" not in body, address
    code = f"Applicant {w.application.code}"
    anonymous = ("/questions/inbox/", f"/questions/{asked.pk}/", "/written/", f"/written/{w.written.pk}/")
    for address in (*anonymous, f"/written/?labeler={w.person.pk}"):
        shown = page(amy).get(address).content.decode()
        assert code in shown and "ecret" not in shown, address
    for address in (f"rounds/{w.round.pk}/applicants/", f"applicants/{w.application.pk}/"):
        assert "ecret" not in api(amy).get(f"/api/v1/screening/{address}").content.decode()
    assert code in page(amy).get(f"/screening/applicants/{w.application.pk}/").content.decode()
    services.decide(application_id=w.application.pk, outcome="training", reason="Careful.", actor=amy)
    for address in anonymous:
        assert "Nora Secret" in page(amy).get(address).content.decode(), f"{address}: decided, so no secret any more"


def test_researchers_grade_one_after_the_other_without_names_or_others_grades(page, w, rita, amy):
    ray = User.objects.create_user("ray", password=None, role="researcher", group="researcher")
    for grader, grade in ((rita, 6), (ray, 7)):
        client = page(grader)
        shown = client.get("/screening/grading/").content.decode()
        assert "A careful answer." in shown and "ecret" not in shown and w.application.code not in shown
        assert not re.search(r'name="grade"[^>]*checked', shown)
        sent = {"demonstration": w.written.pk, "grade": grade, "note": "So."}
        assert client.post("/screening/grading/", {**sent, "grade": "x"}).status_code == 400
        assert client.post("/screening/grading/", sent).status_code == 302
        assert "A careful answer." not in client.get("/screening/grading/").content.decode()
    assert Grade.objects.count() == 2
    assert page(amy).get("/screening/grading/").status_code == 403
    assert "6.50" in page(amy).get(f"/screening/applicants/{w.application.pk}/").content.decode()


def test_an_admin_decides_and_a_stale_page_is_told(page, w, amy, rita):
    client = page(amy)
    address = f"/screening/applicants/{w.application.pk}/"
    said = {"outcome": "training", "reason": "Careful.", "message": "Welcome <b>!"}
    assert page(rita).post(f"{address}decide/", said).status_code == 403
    assert client.post(f"{address}decide/", {**said, "outcome": ""}).status_code == 400
    assert client.post(f"{address}decide/", said).status_code == 302
    stale = client.post(f"{address}decide/", {**said, "outcome": "reject"})
    assert stale.status_code == 409 and "decided on this applicant meanwhile" in stale.content.decode()
    assert "Careful." in client.get(address).content.decode()
    assert ScreeningDecision.objects.count() == 1


def test_an_applicant_sees_progress_then_what_researchers_chose(page, w, amy, rita):
    client = page(w.person)
    home = client.get("/work/").content.decode()
    assert "Your application" in home and "1 of 1" in home
    assert client.get("/application/feedback/").status_code == 404
    topic = Topic.objects.first()
    assert client.post("/application/topics/", {f"topic-{topic.pk}": "yes", "topic-x": "no"}).status_code == 302
    assert queries.topics_of(w.person.pk)[0][1] is True
    item = w.round.items.first()
    services.set_note(item_id=item.pk, note="It speaks of violence.", actor=rita)
    services.decide(
        application_id=w.application.pk, outcome="reject", reason="Secretly.", message="Thank you.", actor=amy
    )
    shown = client.get("/application/feedback/").content.decode()
    assert "It speaks of violence." in shown and "Violent content" in shown and "Thank you." in shown
    for hidden in ("Secretly.", "rita", "amy", "secret-model"):
        assert hidden not in shown
    assert "Read what came of it" in client.get("/work/").content.decode()


def test_who_is_no_applicant_says_what_they_can_judge_and_no_more(page, ada, w):
    shown = page(ada).get("/application/").content.decode()
    assert "What you can judge" in shown and "The four gates" not in shown
    assert page(ada).get("/application/feedback/").status_code == 404
    assert "Your application" not in page(ada).get("/work/").content.decode()


def test_the_matrix_is_a_table_and_a_csv(page, amy, ada, w):
    topic = Topic.objects.first()
    services.answer_topics(person=ada, able={topic.pk: True})
    client = page(amy)
    shown = client.get("/screening/coverage/").content.decode()
    assert "Nobody covers" in shown and "Nora" not in shown
    lines = b"".join(client.get("/screening/coverage/csv/")).decode().splitlines()
    assert lines[1].startswith("nobody covers,,x") and any(line.startswith("ada,yes") for line in lines)
    client.post("/screening/topics/add/", {"name": "Dialects"})
    assert Topic.objects.filter(name="Dialects", active=True).exists()
    client.post(f"/screening/topics/{topic.pk}/retire/")
    assert topic.shown not in {each.shown for each in queries.topics_asked(ada.pk)}


def test_the_same_over_the_api(api, amy, rita, ada):
    admin = api(amy)
    made = admin.post("/api/v1/screening/rounds/", {"name": "Spring", "researchers": 1}, format="json")
    assert made.status_code == 201
    number = made.json()["id"]
    task, prompt = factories.make_task(texts=("One.", "Two.", "Three.")), factories.make_prompt()
    for gate, item in ((1, task.item_id), (2, task.item_id), (3, prompt.pk)):
        said = {"gate": gate, "ids": [str(item)]}
        assert admin.post(f"/api/v1/screening/rounds/{number}/items/", said, format="json").json() == {"added": 1}
    assert admin.post(f"/api/v1/screening/rounds/{number}/open/").json()["state"] == "open"
    assert admin.patch(f"/api/v1/screening/rounds/{number}/", {"grade_cutoff": 5}, format="json").json()[
        "grade_cutoff"
    ] == pytest.approx(5)
    link = admin.post(f"/api/v1/screening/rounds/{number}/invitations/", {"days": 2}, format="json").json()["link"]
    from labeling.people import services as people

    person = people.accept_invitation(token=link.split("/")[-2], username="new", password="a long password")
    written = work_through(person)[-1]
    found = api(rita).get("/api/v1/screening/grading/").json()
    assert found["id"] == str(written.pk) and found["waiting"] == 1
    graded = {"id": found["id"], "grade": 7}
    assert api(rita).post("/api/v1/screening/grading/", graded, format="json").status_code == 201
    assert api(rita).post("/api/v1/screening/grading/", graded, format="json").status_code == 200
    assert api(rita).post("/api/v1/screening/grading/", graded | {"grade": 1}, format="json").status_code == 409
    (one,) = admin.get(f"/api/v1/screening/rounds/{number}/applicants/").json()["applicants"]
    address = f"/api/v1/screening/applicants/{one['id']}/"
    assert [gate["gate"] for gate in admin.get(address).json()["gates"]] == [1, 2, 3]
    said = {"outcome": "held_out", "reason": "Fine."}
    assert api(rita).post(f"{address}decisions/", said, format="json").status_code == 403
    assert admin.post(f"{address}decisions/", said, format="json").status_code == 201
    assert admin.post(f"{address}decisions/", {**said, "revises": "x"}, format="json").status_code == 409
    assert admin.post(f"{address}decisions/", {**said, "outcome": 3}, format="json").status_code == 400
    assert Application.objects.get().outcome == "held_out"
    assert "uncovered" in admin.get("/api/v1/screening/coverage/").json()
    assert admin.post(f"/api/v1/screening/rounds/{number}/close/").json()["state"] == "closed"
    assert api(ada).get("/api/v1/screening/rounds/").status_code == 403
