"""The API of tasks: who may, what it says, and what bad input gets."""

from __future__ import annotations

import json
import uuid

import pytest

from labeling.leasing.models import Lease
from labeling.rankings.models import Ranking
from tests import factories

pytestmark = pytest.mark.django_db

NEXT = "/api/v1/tasks/next/"
ACTIONS = ("submit", "skip", "heartbeat", "draft", "return")


def url(lease_id: object, action: str = "") -> str:
    return f"/api/v1/tasks/{lease_id}/" + (f"{action}/" if action else "")


def ranking_of(task: dict, **more) -> dict:
    judged = [{"id": shown["id"], "rank": 1, "rating": 3, "flags": []} for shown in task["completions"]]
    return {"revision": 1, "replaces": None, "completions": judged, "note": "", "active_seconds": 0, **more}


def post(client, address: str, body: object = None, key: str | None = None):
    headers = {"Idempotency-Key": key} if key else {}
    return client.post(address, body, format="json", headers=headers)


@pytest.fixture
def task(ada, api) -> dict:
    factories.make_task()
    return api(ada).post(NEXT).json()


def test_a_labeler_takes_reads_and_answers_a_task(task, ada, api):
    client = api(ada)
    assert {key: task[key] for key in ("kind", "state", "revision", "replaces", "draft", "answer")} == {
        "kind": "ranking",
        "state": "open",
        "revision": 1,
        "replaces": None,
        "draft": None,
        "answer": None,
    }
    assert task["idempotency_key"] == f"{task['id']}:1"
    assert 890 <= task["seconds_left"] <= 900
    assert [shown["id"] for shown in task["completions"]] == Lease.objects.get().order_shown
    seen = client.get(url(task["id"])).json()
    assert {**seen, "seconds_left": 0} == {**task, "seconds_left": 0}

    sent = ranking_of(task)
    first = post(client, url(task["id"], "submit"), sent, "k")
    assert (first.status_code, set(first.json())) == (201, {"id", "revision", "surplus", "created_at"})
    again = post(client, url(task["id"], "submit"), sent, "k")
    assert (again.status_code, again.json()) == (200, first.json())
    assert post(client, url(task["id"], "submit"), {**sent, "note": "other"}, "k").status_code == 409
    assert post(client, url(task["id"], "submit"), sent, "k2").status_code == 409
    correction = {**sent, "revision": 2, "replaces": first.json()["id"], "reason": "a slip", "note": "better"}
    assert post(client, url(task["id"], "submit"), correction, "k2").json()["revision"] == 2
    after = client.get(url(task["id"])).json()
    assert (after["state"], after["revision"], after["seconds_left"], after["answer"]["note"]) == (
        "submitted",
        3,
        0,
        "better",
    )
    assert client.post(NEXT).status_code == 204


def test_next_is_asked_for_by_post(ada, api):
    assert api(ada).get(NEXT).status_code == 405


def test_draft_heartbeat_and_return(task, ada, api):
    client = api(ada)
    saved = post(client, url(task["id"], "draft"), {"version": 2, "draft": {"ranks": [1]}}).json()
    assert (saved["saved"], saved["draft_version"], saved["state"]) == (True, 2, "open")
    assert post(client, url(task["id"], "draft"), {"version": 1, "draft": {}}).json()["saved"] is False
    assert post(client, url(task["id"], "heartbeat")).json()["seconds_left"] >= 890
    assert post(client, url(task["id"], "return")).json()["state"] == "returned"
    again = client.post(NEXT).json()
    assert (again["id"], again["draft"], again["draft_version"]) == (task["id"], {"ranks": [1]}, 2)
    assert post(client, url(task["id"], "skip"), {"reason": "no"}).json()["state"] == "skipped"
    assert post(client, url(task["id"], "heartbeat")).status_code == 409
    assert client.post(NEXT).status_code == 204


def test_late_heartbeat_says_that_the_place_is_gone(task, ada, bo, api, pass_time):
    pass_time(minutes=20)
    api(bo).post(NEXT)
    refused = post(api(ada), url(task["id"], "heartbeat"))
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "lease_expired")
    assert post(api(ada), url(task["id"], "submit"), ranking_of(task), "k").json()["surplus"] is True


def test_researchers_work_too_and_admins_do_not(rita, amy, api):
    factories.make_task()
    assert api(rita).post(NEXT).status_code == 200
    assert api(amy).post(NEXT).status_code == 403


@pytest.mark.parametrize("action", ["next", "", *ACTIONS])
def test_nobody_and_cy_are_turned_away_everywhere(task, cy, amy, api, action):
    address = NEXT if action == "next" else url(task["id"], action)
    for person, statuses in ((None, {401}), (cy, {401}), (amy, {403})):
        client = api(person)
        answer = client.get(address) if action == "" else post(client, address, {}, "k")
        assert answer.status_code in statuses
        assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "lease_id", ["theirs", str(uuid.UUID(int=1)), "1", "no-uuid", "%00", "%F0%9F%98%80", "a" * 5000]
)
def test_unknown_ids_and_those_of_others_look_the_same(task, bo, api, lease_id):
    client = api(bo)
    address = task["id"] if lease_id == "theirs" else lease_id
    bodies = {"draft": {"version": 1, "draft": {}}, "skip": {"reason": "x"}, "submit": ranking_of(task)}
    answers = [client.get(url(address))]
    answers += [post(client, url(address, action), bodies.get(action), "k") for action in ACTIONS]
    for answer in answers:
        assert answer.status_code in ({400} if lease_id == "%00" else {404})
        assert answer.json()["error"]["message"].endswith(".")
    assert not Ranking.objects.exists()


DEEP = b"[" * 100_000 + b"]" * 100_000
BODIES = {
    "nul": b'{"note": "\\u0000"}',
    "nul in a key": b'{"\\u0000": 1}',
    "lone surrogate": b'{"note": "\\ud800"}',
    "65 bits": b'{"active_seconds": 36893488147419103232, "version": 36893488147419103232}',
    "many digits": b'{"active_seconds": ' + b"9" * 6000 + b"}",
    "deep": DEEP,
    "deep in a field": b'{"draft": ' + DEEP + b', "completions": ' + DEEP + b"}",
    "not a number": b'{"active_seconds": NaN}',
    "infinite": b'{"active_seconds": 1e999}',
    "list": b"[]",
    "text": b'"text"',
    "null": b"null",
    "cut off": b'{"note": "',
    "not utf-8": b'{"note": "\xff"}',
    "bom": b"\xef\xbb\xbf{}",
    "empty object": b"{}",
    "nothing": b"",
    "types": b'{"completions": {"a": 1}, "draft": [], "version": {}, "reason": {}, "replaces": [], "text": 5}',
    "booleans": b'{"revision": true, "active_seconds": false, "version": true, "draft": {}, "reason": true}',
    "megabyte": b'{"note": "' + b"x" * 2**20 + b'", "reason": "' + b"x" * 2**20 + b'"}',
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("action", ["submit", "skip", "draft"])
def test_bad_bodies_get_a_sentence(task, ada, api, action, name):
    answer = api(ada).post(
        url(task["id"], action),
        BODIES[name],
        content_type="application/json",
        headers={"Idempotency-Key": "k"},
    )
    assert 400 <= answer.status_code < 500
    assert len(answer.json()["error"]["message"]) > 20
    assert Lease.objects.get().state == "open"


def test_other_content_types_are_refused(task, ada, api):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = api(ada).post(
            url(task["id"], "submit"), b"text=x", content_type=kind, headers={"Idempotency-Key": "k"}
        )
        assert answer.status_code in (400, 415)


def test_submit_needs_a_key(task, ada, api):
    for headers in ({}, {"Idempotency-Key": " "}, {"Idempotency-Key": "x" * 101}):
        answer = api(ada).post(url(task["id"], "submit"), ranking_of(task), format="json", headers=headers)
        assert (answer.status_code, "Idempotency-Key" in answer.json()["error"]["message"]) == (400, True)


def test_naughty_strings_are_kept_to_the_byte(shared_data, ada, api):
    strings = [text for text in json.loads((shared_data / "blns.json").read_text("utf-8")) if text.strip()]
    note = "\n".join(strings)[:10_000]
    factories.make_task(texts=strings[:20])
    client = api(ada)
    task = client.post(NEXT).json()
    assert {shown["text"] for shown in task["completions"]} == set(strings[:20])
    assert post(client, url(task["id"], "submit"), ranking_of(task, note=note), "k").status_code == 201
    assert Ranking.objects.get().note == note
    assert client.get(url(task["id"])).json()["answer"]["note"] == note


def test_schema_describes_the_tasks(ada, api):
    schema = api(ada).get("/api/v1/schema/?format=json").json()
    for name in ("next/", "ahead/", "{lease_id}/begin/", "{lease_id}/submit/"):
        assert schema["paths"][f"/api/v1/tasks/{name}"]["post"]["description"]
    submit = schema["paths"]["/api/v1/tasks/{lease_id}/submit/"]["post"]
    assert any(parameter["name"] == "Idempotency-Key" and parameter["required"] for parameter in submit["parameters"])
    assert set(submit["responses"]) == {"200", "201", "400", "404", "409"}


def test_tokens_and_sessions_are_looked_at_as_everywhere(task, ada, cy, api, page):
    from django.test import Client

    from labeling.people.services import create_token

    submit = url(task["id"], "submit")
    body, kind = json.dumps(ranking_of(task)), "application/json"
    found, secret = create_token(user=ada, name="mine")
    for token, status in ((secret, 201), (secret, 200), ("wrong", 401)):
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"}
        assert Client(enforce_csrf_checks=True).post(submit, body, kind, headers=headers).status_code == status
    found.refresh_from_db()
    assert found.last_used_at is not None
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    refused = strict.post(NEXT, headers={"Referer": "http://testserver/"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "permission_denied")
    strict.get("/work/")
    csrf = {"X-CSRFToken": strict.cookies["csrftoken"].value}
    assert strict.post(NEXT, headers=csrf).status_code == 204
    assert strict.post(submit, body, kind, headers={**csrf, "Idempotency-Key": "k"}).status_code == 200
    assert strict.post(submit, b"", kind, headers={**csrf, "Idempotency-Key": "k"}).status_code == 400


def test_the_lean_way_and_the_long_way_say_the_same(task, ada, api, rf):
    from labeling.leasing import api as views

    for body, key in ((ranking_of(task), "k"), (ranking_of(task), "k"), ({}, "k"), ([], "k"), (ranking_of(task), "")):
        long = rf.post("/", json.dumps(body), "application/json", headers={"Idempotency-Key": key})
        long._dont_enforce_csrf_checks = True
        long.user = ada
        said = views.Submit.as_view()(long, lease_id=task["id"])
        if said.status_code == 201:
            assert post(api(ada), url(task["id"], "submit"), body, key).json()["id"] == json.loads(said.content)["id"]
        else:
            lean = post(api(ada), url(task["id"], "submit"), body, key)
            content = said.render().content if hasattr(said, "render") else said.content
            assert (lean.status_code, lean.json()) == (said.status_code, json.loads(content))
