"""Pages and API of endpoints and batches: who may see them, what they refuse."""

import pytest

from labeling.background.models import Job
from labeling.sampling.models import Batch, Endpoint
from labeling.sampling.queries import completions_to_rank
from tests.factories import make_batch, make_endpoint, make_prompt, make_ranking, make_task

pytestmark = pytest.mark.django_db

BATCH = {
    "name": "round 1",
    "kind": "ranking",
    "k": "4",
    "order": "random",
    "overlap": "2",
    "groups": ["training"],
    "priority": "0",
    "temperature": "1.0",
    "top_p": "1.0",
    "max_tokens": "64",
    "seed": "7",
}


@pytest.mark.parametrize("path", ["/endpoints/", "/batches/", "/batches/new/", "/batches/1/", "/batches/1/items/1/"])
def test_labelers_see_no_page_of_sampling(page, api, ada, cy, path):
    assert page(ada).get(path).status_code == 403
    assert page().get(path).status_code == 302
    assert page(cy).get(path).status_code == 302


@pytest.mark.parametrize("path", ["endpoints/", "endpoints/1/", "batches/", "batches/1/"])
def test_labelers_call_no_api_of_sampling(api, ada, path):
    assert api(ada).get(f"/api/v1/{path}").status_code == 403
    assert api().get(f"/api/v1/{path}").status_code in (401, 403)


def test_endpoint_is_added_and_looked_at_by_a_job(page, rita):
    answer = page(rita).post("/endpoints/", {"name": "smol", "base_url": "http://127.0.0.1:9", "model": "m"})
    assert answer.status_code == 302
    endpoint = Endpoint.objects.get()
    assert endpoint.checking
    assert Job.objects.get().kind == "check_endpoint"
    listed = page(rita).get("/endpoints/")
    assert b"looking" in listed.content
    row = page(rita).get(f"/endpoints/{endpoint.pk}/", headers={"HX-Request": "true"})
    assert row.content.strip().startswith(b"{#") is False
    assert b"<tr" in row.content
    assert b"<html" not in row.content


def test_endpoint_can_be_switched_off_and_on(page, rita):
    endpoint = make_endpoint()
    page(rita).post(f"/endpoints/{endpoint.pk}/switch/")
    endpoint.refresh_from_db()
    assert not endpoint.active
    page(rita).post(f"/endpoints/{endpoint.pk}/switch/", {"active": "on"})
    endpoint.refresh_from_db()
    assert endpoint.active


def test_batch_is_made_and_its_job_queued(page, rita):
    make_prompt("Why?")
    endpoint = make_endpoint()
    answer = page(rita).post("/batches/new/", {**BATCH, "endpoints": [endpoint.pk]})
    batch = Batch.objects.get()
    assert answer.status_code == 302
    assert answer.url == f"/batches/{batch.pk}/"
    assert Job.objects.get().arguments == {"batch": batch.pk}
    shown = page(rita).get(answer.url)
    assert shown.status_code == 200
    assert b"Why?" in shown.content
    live = page(rita).get(answer.url, headers={"HX-Request": "true"})
    assert b'id="progress"' in live.content
    assert b"<html" not in live.content
    assert b"round 1" in page(rita).get("/batches/").content


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"k": "99"}, "from 2 to 9"),
        ({"overlap": "0"}, "overlap"),
        ({"overlap": "x"}, "whole number"),
        ({"name": "a/b"}, "slash"),
        ({"temperature": "nan"}, "number"),
        ({"seed": "9" * 30}, "64 bits"),
        ({"groups": []}, "required"),
    ],
)
def test_form_says_what_is_wrong(page, rita, change, sentence):
    make_prompt()
    endpoint = make_endpoint()
    answer = page(rita).post("/batches/new/", {**BATCH, "endpoints": [endpoint.pk], **change})
    assert answer.status_code == 400
    assert sentence in answer.content.decode()
    assert not Batch.objects.exists()


def test_item_page_says_who_wrote_what(page, rita, ada):
    task = make_task(texts=("<script>alert(1)</script>", "b"))
    make_ranking(task=task, labeler=ada)
    shown = page(rita).get(f"/batches/{task.batch_id}/items/{task.item_id}/")
    assert b"secret-model" in shown.content
    assert b"<script>alert(1)" not in shown.content
    assert page(rita).get(f"/batches/{task.batch_id}/items/{2**70}/").status_code == 404
    assert page(rita).get(f"/batches/{2**70}/").status_code == 404


def test_counts_of_a_batch(api, rita, ada):
    batch = make_batch(overlap=3)
    make_ranking(task=make_task(batch=batch), labeler=ada)
    make_task(batch=batch)
    found = api(rita).get(f"/api/v1/batches/{batch.pk}/").json()
    assert found["counts"] == {
        "items": 2,
        "waiting": 0,
        "filled": 2,
        "failed": 0,
        "tasks": 2,
        "seats": 6,
        "answered": 1,
        "settled": 2,
    }


def test_batch_over_the_api(api, rita):
    make_prompt()
    made = api(rita).post(
        "/api/v1/endpoints/", {"name": "e", "base_url": "http://127.0.0.1:9", "model": "m"}, format="json"
    )
    assert (made.status_code, made.json()["reachable"]) == (201, None)
    body = {"name": "b", "endpoints": ["e"], "k": {"4": 1, "9": 1}, "overlap": 2, "count": 1}
    answer = api(rita).post("/api/v1/batches/", body, format="json")
    assert answer.status_code == 201, answer.content
    assert answer.json()["counts"]["items"] == 1
    assert api(rita).get("/api/v1/batches/").json()["results"][0]["name"] == "b"
    assert api(rita).post("/api/v1/batches/", body, format="json").status_code == 409


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ([], 400),
        ({}, 400),
        ({"name": 7}, 400),
        ({"name": "x"}, 400),
        ({"name": "x", "endpoints": "e"}, 400),
        ({"name": "x", "endpoints": ["nothing"]}, 404),
        ({"name": "x", "endpoints": ["e"], "k": []}, 400),
        ({"name": "x", "endpoints": ["e"], "k": {"four": 1}}, 400),
        ({"name": "x", "endpoints": ["e"], "k": {"4": "much"}}, 400),
        ({"name": "x", "endpoints": ["e"], "overlap": 2.5}, 400),
        ({"name": "x", "endpoints": ["e"], "overlap": True}, 400),
        ({"name": "x", "endpoints": ["e"], "seed": 2**64}, 400),
        ({"name": "x", "endpoints": ["e"], "evaluation": "yes"}, 400),
        ({"name": "x", "endpoints": ["e"], "splitz": []}, 400),
        ({"name": "x", "endpoints": ["e"], "groups": [["training"]]}, 400),
        ({"name": "x" * 200, "endpoints": ["e"]}, 400),
    ],
)
def test_bad_bodies_are_refused_with_a_sentence(api, rita, body, status):
    make_prompt()
    make_endpoint("e")
    answer = api(rita).post("/api/v1/batches/", body, format="json")
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert not Batch.objects.exists()


@pytest.mark.parametrize("key", ["x", "0", "-1", str(2**70), "%00"])
def test_unknown_ids_are_not_found(api, rita, key):
    for path in ("endpoints", "batches"):
        assert api(rita).get(f"/api/v1/{path}/{key}/").status_code in (400, 404)


def test_labelers_completions_say_nothing_of_models(django_assert_num_queries):
    task = make_task()
    order = [str(pk) for pk in task.item.completions.values_list("pk", flat=True)]
    with django_assert_num_queries(1) as seen:
        shown = completions_to_rank(task.item, order)
    assert "provenance" not in seen.captured_queries[0]["sql"]
    assert [entry["id"] for entry in shown] == order
    assert all(set(entry) == {"id", "text"} for entry in shown)
