"""Suggestions as a labeler's page asks for them: new text only, and no word of who wrote it."""

from __future__ import annotations

import pytest

from labeling.demos.models import Suggestion
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def address(lease) -> str:
    return f"/api/v1/tasks/{lease.pk}/suggestions/"


def test_asked_for_read_as_it_grows_and_stopped(lease, address, ada, api):
    client = api(ada)
    task = client.get(f"/api/v1/tasks/{lease.pk}/").json()
    assert task["suggestions"] is True and task["urls"]["suggestions"] == address
    made = client.post(address)
    first = {"number": 1, "turn": 1, "state": "waiting", "error": "", "text": "", "length": 0}
    assert (made.status_code, made.json()) == (201, first)
    assert client.post(address, {}, format="json").status_code == 200
    Suggestion.objects.update(state="writing", text="日本🙂 blue")
    assert client.get(f"{address}1/?from=0").json() == first | {
        "state": "writing", "text": "日本🙂 blue", "length": 8
    }  # fmt: skip
    assert client.get(f"{address}1/?from=3").json()["text"] == " blue"
    assert client.get(f"{address}1/?from=999").json()["text"] == ""
    stopped = client.post(f"{address}1/stop/?from=8").json()
    assert stopped == first | {"state": "stopped", "length": 8}
    assert client.get(address).json() == {"suggestions": [stopped | {"text": "日本🙂 blue"}], "left": 9}


def test_a_failure_is_a_sentence_that_tells_nothing(lease, address, ada, api):
    factories.make_suggestion(lease=lease, state="failed", failure="refused", error="secret-model says no", text="")
    shown = api(ada).get(f"{address}1/")
    assert shown.json()["error"] == "The model cannot answer this. Write on your own."
    assert b"secret" not in shown.content


@pytest.mark.parametrize("start", ["-1", "x", "", "1.5", "١", "9" * 30])
def test_from_that_is_no_number_is_refused(lease, address, ada, api, start):
    factories.make_suggestion(lease=lease)
    assert api(ada).get(f"{address}1/", {"from": start}).status_code == 400


def test_only_ones_own_and_only_while_one_writes(lease, address, ada, bo, rita, api):
    factories.make_suggestion(lease=lease)
    calls = [("get", ""), ("post", ""), ("get", "1/"), ("post", "1/stop/")]
    for person in (bo, rita):
        assert {getattr(api(person), method)(address + rest).status_code for method, rest in calls} == {404}
    client = api(ada)
    assert client.get(f"{address}2/").status_code == 404
    assert client.get("/api/v1/tasks/no-uuid/suggestions/").status_code == 404
    assert client.post(address, [1], format="json").status_code == 400
    client.post(f"/api/v1/tasks/{lease.pk}/return/")
    assert {getattr(client, method)(address + rest).status_code for method, rest in calls} == {409}


def test_a_task_without_says_so(ada, api):
    factories.make_task(batch=factories.make_batch(kind="demonstration"), texts=())
    task = api(ada).post("/api/v1/tasks/next/").json()
    assert task["suggestions"] is False
    refused = api(ada).post(task["urls"]["suggestions"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "no_suggestions")
