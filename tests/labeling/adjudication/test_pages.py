"""Pages and API of disagreement: who sees what, and when."""

from __future__ import annotations

import uuid

import pytest

from labeling.adjudication import services
from labeling.adjudication.models import AdjudicationCase, AdjudicationReveal, AdjudicationRule
from labeling.people.models import User
from labeling.rankings.models import Ranking
from labeling.rankings.services import submit_ranking
from tests import factories
from tests.labeling.adjudication.test_services import answer_of, disagreed, rule

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert('A private note')</script>"


@pytest.fixture
def task(ada, bo):
    batch = factories.make_batch(overlap=2, name="round one")
    rule(batch)
    made = factories.make_task(batch=batch, texts=("Alpha.", "Beta.", "Gamma."))
    factories.make_ranking(task=made, labeler=ada, ranks=[1, 2, 2], ratings=[7, 6, 6], note=HOSTILE)
    factories.make_ranking(task=made, labeler=bo, ranks=[3, 2, 1], ratings=[1, 2, 3])
    services.look()
    return made


def test_list_says_what_waits_and_why(page, rita, task):
    shown = page(rita).get("/adjudication/").content.decode()
    assert "100.0" in shown and "1–2" in shown and "round one" in shown and str(task.pk) in shown
    assert str(task.pk) not in page(rita).get("/adjudication/?state=agreed").content.decode()
    assert page(rita).get("/adjudication/?state=odd").status_code == 400
    assert page(rita).get("/adjudication/?after=odd").status_code == 400
    assert page(rita).get(f"/adjudication/?batch={task.batch_id}").status_code == 200
    assert page(rita).get("/adjudication/?batch=999999").status_code == 404


def test_list_goes_on_by_cursor(api, rita, ada, bo):
    batch = factories.make_batch(overlap=2)
    rule(batch)
    made = {str(disagreed(batch, ada, bo).pk) for _ in range(5)}
    services.look()
    from labeling.adjudication import queries

    seen, after = [], None
    while True:
        found = queries.cases_page(state="waiting", after=after, size=2)
        seen += [str(case.pk) for case in found]
        if not (after := found.next):
            break
    assert len(seen) == 5 and set(seen) == made


def test_csv_has_every_case(page, rita, task):
    lines = b"".join(page(rita).get("/adjudication/csv/?state=waiting").streaming_content).decode().splitlines()
    assert lines[0].startswith("task,batch,state,disagreement")
    assert len(lines) == 2 and f"{task.pk},round one,waiting,1.0,2,1-2:1.000,0,1" in lines[1]


def test_researcher_decides_blind_unless_they_ask(page, rita, task):
    client = page(rita)
    shown = client.get(f"/adjudication/{task.pk}/").content.decode()
    assert "Hidden from you" in shown and "private note" not in shown
    taken = client.post(f"/work/adjudication/{task.pk}/take/")
    lease = rita.leases.get()
    assert taken.headers["Location"] == f"/work/{lease.pk}/"
    bench = client.get(taken.headers["Location"]).content.decode()
    assert "Form your own opinion first" in bench and "private note" not in bench
    assert f"/adjudication/{task.pk}/" in bench and "tasks/ahead/" not in bench
    assert client.post(f"/work/adjudication/{lease.pk}/reveal/").status_code == 302
    bench = client.get(taken.headers["Location"]).content.decode()
    assert "Answer 1" in bench and "&lt;script&gt;alert" in bench and HOSTILE not in bench
    # By nobody's name, nor the model's.
    assert not [name for name in (">ada<", ">bo<", "secret-model") if name in bench]
    assert AdjudicationReveal.objects.get().by == rita
    assert "private note" in client.get(f"/adjudication/{task.pk}/").content.decode()
    fields = {"idempotency_key": "by-form", "revision": "1", "replaces": "", "outcome": "ranked", "note": "Mine."}
    for rank, shown_id in enumerate(lease.order_shown, start=1):
        fields |= {f"rank-{shown_id}": rank, f"rating-{shown_id}": 4}
    answer = client.post(f"/work/{lease.pk}/submit/", fields)
    assert answer.headers["Location"] == f"/adjudication/{task.pk}/"
    decided = client.get(answer.headers["Location"]).content.decode()
    assert "in sight of the labelers" in decided and "Mine." in decided
    body = client.get(f"/api/v1/adjudication/{task.pk}/").json()
    assert body["outcome"]["blind"] is False and body["state"] == "decided"
    client.post(f"/work/adjudication/{task.pk}/take/")
    assert client.post(f"/work/adjudication/{task.pk}/take/").status_code == 409


def test_reveal_after_the_decision_leaves_it_blind(api, rita, task):
    client = api(rita)
    lease = client.post(f"/api/v1/adjudication/{task.pk}/take/").json()["task"]
    body = client.get(f"/api/v1/tasks/{lease}/").json()
    answer = {"completions": [{"id": each["id"], "rank": 1, "rating": 4} for each in body["completions"]]}
    sent = client.post(f"/api/v1/tasks/{lease}/submit/", answer, format="json", headers={"Idempotency-Key": "k"})
    assert sent.status_code == 201
    AdjudicationReveal.objects.create(lease_id=lease, by=rita)
    assert client.get(f"/api/v1/adjudication/{task.pk}/").json()["outcome"]["blind"] is True


def test_answers_over_the_api_come_when_they_are_revealed(api, rita, amy, task):
    address = f"/api/v1/adjudication/{task.pk}/"
    assert api(amy).get(address).json()["answers"][0]["tiers"]  # decides nothing
    assert api(rita).get(address).json()["answers"] is None
    assert api(rita).post(f"{address}reveal/").status_code == 404
    api(rita).post(f"{address}take/")
    answers = api(rita).post(f"{address}reveal/").json()["answers"]
    assert [set(answer) for answer in answers] == [{"number", "outcome", "note", "tiers", "cells"}] * 2
    listed = api(rita).get("/api/v1/adjudication/?state=waiting").json()
    assert listed["results"][0]["task"] == str(task.pk)
    assert listed["shares"] == {
        **{"looked": 1, "more": 0, "waiting": 1, "contested": 0, "decided": 0, "adjudicated": 0.0}
    }
    assert api(rita).get(f"/api/v1/adjudication/{uuid.uuid4()}/").status_code == 404


def test_labelers_never_see_another_answer(page, api, ada, task):
    for address in ("/adjudication/", f"/adjudication/{task.pk}/", "/adjudication/csv/"):
        assert page(ada).get(address).status_code == 403
    lease = Ranking.objects.get(labeler=ada).lease_id
    assert "What labelers answered" not in page(ada).get(f"/work/{lease}/").content.decode()
    assert api(ada).get(f"/api/v1/adjudication/{task.pk}/").status_code == 403
    assert page(ada).post(f"/work/adjudication/{lease}/reveal/").status_code == 403


def test_researcher_who_answered_the_task_sees_and_does_not_decide(page, ada, rita):
    batch = factories.make_batch(overlap=2)
    rule(batch)
    task = disagreed(batch, ada, rita)
    services.look()
    assert "Hidden from you" not in page(rita).get(f"/adjudication/{task.pk}/").content.decode()
    assert page(rita).post(f"/work/adjudication/{task.pk}/take/").status_code == 403


def test_rules_by_page(page, amy, rita, task):
    figures = {"policy": "labelers", "threshold": 55, "seats": 1, "most": 3}
    assert page(rita).post("/adjudication/rule/", figures).status_code == 403
    assert page(amy).post("/adjudication/rule/", figures).status_code == 302
    assert AdjudicationRule.objects.get(batch=None).threshold == 55
    assert page(amy).post("/adjudication/rule/", {**figures, "seats": 9}).status_code == 400
    address = f"/adjudication/batches/{task.batch_id}/"
    assert page(rita).post(address, {**figures, "policy": "off"}).status_code == 302
    assert AdjudicationRule.objects.get(batch=task.batch).policy == "off"
    assert page(rita).post(address, {**figures, "policy": "team"}).status_code == 302
    assert "above 55 %" in page(rita).get(f"/batches/{task.batch_id}/").content.decode()
    assert page(rita).get("/adjudication/batches/999999/").status_code == 404


def test_rules_over_the_api(api, amy, rita, task):
    assert api(rita).post("/api/v1/adjudication/rule/", {"policy": "off"}, format="json").status_code == 403
    body = api(amy).post("/api/v1/adjudication/rule/", {"policy": "researcher", "threshold": 9}, format="json").json()
    assert body == {"policy": "researcher", "threshold": 9, "seats": 1, "most": 2}
    address = f"/api/v1/adjudication/batches/{task.batch_id}/rule/"
    assert api(rita).post(address, {"policy": "team"}, format="json").json() == {**body, "own": False}
    for wrong in ({"policy": "odd"}, {"policy": "off", "threshold": "9"}, {"policy": "off", "x": 1}, {}):
        assert api(rita).post(address, wrong, format="json").status_code == 400
    demos = factories.make_batch(kind="demonstration")
    refused = api(rita).post(f"/api/v1/adjudication/batches/{demos.pk}/rule/", {"policy": "off"}, format="json")
    assert refused.status_code == 400


def test_pages_cost_the_same_whatever_there_is(page, rita, ada, bo, task, django_assert_max_num_queries):
    batch = factories.make_batch(overlap=2)
    rule(batch)
    for _ in range(8):
        disagreed(batch, ada, bo)
    services.look()
    client = page(rita)
    client.get("/adjudication/")
    with django_assert_max_num_queries(9):
        client.get("/adjudication/")
    for number in range(3):
        person = User.objects.create_user(f"more-{number}")
        task.seats.create(batch=task.batch, number=10 + number, groups=["training"])
        factories.make_ranking(task=task, labeler=person)
    services.look()
    AdjudicationCase.objects.filter(task=task).update(state="contested")
    with django_assert_max_num_queries(14):
        client.get(f"/adjudication/{task.pk}/")


def test_decision_enters_no_agreement_and_no_campaign(rita, ada, bo, task):
    from labeling.agreement.queries import chosen_rankings

    lease = services.take_case(task_id=task.pk, researcher=rita)
    submit_ranking(lease_id=lease.pk, labeler=rita, answer=answer_of(lease), idempotency_key="k")
    assert set(chosen_rankings().values_list("labeler__username", flat=True)) == {"ada", "bo"}
