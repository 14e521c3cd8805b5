"""Pages and API of data sets."""

import uuid

import pytest
import zstandard

from labeling import jobs
from labeling.background.models import Job
from labeling.exports.models import Dataset
from labeling.exports.services import create_dataset
from tests.factories import make_ranking, make_task

pytestmark = pytest.mark.django_db

FORM = {"kind": "comparisons", "purpose": "training", "name": "first"}


@pytest.mark.parametrize("path", ["/datasets/", "/datasets/new/", f"/datasets/{uuid.UUID(int=1)}/"])
def test_labelers_see_no_data_set(page, ada, path):
    assert page(ada).get(path).status_code == 403
    assert page().get(path).status_code == 302


def decompressed(answer) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(b"".join(answer.streaming_content))


def test_labelers_call_no_export(api, ada):
    assert api(ada).get("/api/v1/exports/").status_code == 403
    assert api(ada).post("/api/v1/exports/", {"kind": "prompts"}, format="json").status_code == 403


def test_data_set_is_asked_for_made_by_a_job_and_downloaded(page, ada, rita):
    ranking = make_ranking(task=make_task(texts=("<b>bold</b>", "plain")), labeler=ada)
    researcher = page(rita)
    answer = researcher.post("/datasets/new/", FORM)
    assert answer.status_code == 302
    assert b"queued" in researcher.get(answer.url).content
    job = jobs.run_now(str(Job.objects.get(kind="export").pk))
    assert job.state == "done", job.error
    shown = researcher.get(answer.url).content.decode()
    dataset = Dataset.objects.get()
    assert dataset.content_hash in shown
    assert "train-00000.jsonl.zst" in shown
    live = researcher.get(answer.url, headers={"HX-Request": "true"}).content
    assert b"<html" not in live
    file = researcher.get(f"{answer.url}files/train-00000.jsonl.zst")
    assert file.headers["Content-Disposition"] == 'attachment; filename="train-00000.jsonl.zst"'
    assert str(ranking.pk).encode() in decompressed(file)
    row = researcher.get(answer.url, {"row": str(ranking.pk)}).content.decode()
    assert "secret-model" in row
    assert str(ranking.lease_id) in row
    assert "&lt;b&gt;bold&lt;/b&gt;" in row
    for nothing in (str(uuid.uuid4()), "x", "' or 1=1"):
        assert "No row of this data set has that id" in researcher.get(answer.url, {"row": nothing}).content.decode()


def test_only_files_of_the_manifest_can_be_fetched(page, api, ada, rita):
    make_ranking(task=make_task(), labeler=ada)
    dataset = create_dataset(kind="comparisons")
    for name in ("test.jsonl", "..%2f..%2fsecret-key", "%2e%2e", "..\\x", ".export-1"):
        assert page(rita).get(f"/datasets/{dataset.pk}/files/{name}").status_code == 404
        assert api(rita).get(f"/api/v1/exports/{dataset.pk}/files/{name}").status_code == 404
    assert api(rita).get(f"/api/v1/exports/{dataset.pk}/files/manifest.json").status_code == 200


def test_asking_again_leads_to_the_same_data_set(page, api, ada, rita):
    make_ranking(task=make_task(), labeler=ada)
    there = create_dataset(kind="comparisons")
    asked = api(rita).post("/api/v1/exports/", {"kind": "comparisons"}, format="json")
    assert asked.status_code == 202
    assert asked.json()["state"] == "queued"
    assert jobs.run_now(asked.json()["job"]).result["dataset"] == str(there.pk)
    found = api(rita).get(f"/api/v1/exports/{asked.json()['id']}/").json()
    assert (found["state"], found["content_hash"], found["same_as"]) == ("done", there.content_hash, str(there.pk))
    assert page(rita).get(f"/datasets/{asked.json()['id']}/").url == f"/datasets/{there.pk}/"
    assert [entry["id"] for entry in api(rita).get("/api/v1/exports/").json()["results"]] == [str(there.pk)]
    file = api(rita).get(f"/api/v1/exports/{asked.json()['id']}/files/train-00000.jsonl.zst")
    assert decompressed(file).count(b"\n") == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ([], 400),
        ({}, 400),
        ({"kind": "poems"}, 400),
        ({"kind": ["comparisons"]}, 400),
        ({"kind": "comparisons", "splits": "train"}, 400),
        ({"kind": "comparisons", "splits": ["dev"]}, 400),
        ({"kind": "comparisons", "groups": ["held_out"]}, 400),
        ({"kind": "comparisons", "batches": ["nothing"]}, 404),
        ({"kind": "comparisons", "until": 7}, 400),
        ({"kind": "comparisons", "until": "2026-99-99T00:00:00Z"}, 400),
        ({"kind": "comparisons", "until": "2026-01-01T00:00:00"}, 400),
        ({"kind": "comparisons", "name": "x" * 101}, 400),
        ({"kind": "comparisons", "filter": 1}, 400),
    ],
)
def test_bad_questions_are_refused_with_a_sentence(api, rita, body, status):
    answer = api(rita).post("/api/v1/exports/", body, format="json")
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert not Dataset.objects.exists()


def test_unknown_ids_are_not_found(api, page, rita):
    for key in ("x", str(uuid.uuid4()), "0"):
        assert api(rita).get(f"/api/v1/exports/{key}/").status_code == 404
    assert page(rita).get(f"/datasets/{uuid.uuid4()}/").status_code == 404


def test_form_says_what_is_wrong(page, rita):
    answer = page(rita).post("/datasets/new/", {**FORM, "kind": "prompts", "groups": ["training"]})
    assert answer.status_code == 400
    assert "Prompts have no groups" in answer.content.decode()
