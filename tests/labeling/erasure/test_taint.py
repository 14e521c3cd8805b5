"""Promise 7: data sets and models that have or learned what was erased say so everywhere, and nothing
more learns from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labeling.erasure import queries
from labeling.exports import services as exports
from labeling.exports import taint
from labeling.exports.models import Dataset
from labeling.jobs import run_now
from labeling.pipeline import queries as pipeline
from labeling.pipeline import services as training
from labeling.pipeline.models import Checkpoint, Run
from labeling.refusals import Refusal
from labeling.sampling.models import Endpoint
from tests.labeling.erasure.conftest import MARKER
from tests.labeling.erasure.test_erase_person import erase
from tests.races.test_erasure import texts_in
from training.formats import verify

pytestmark = pytest.mark.django_db


@pytest.fixture
def learned(said, amy):
    """A data set of prompts with the person and somebody else, a run of it, its model, served, and its child; a model
    that has nothing to do with it."""
    dataset = exports.create_dataset(kind="prompts", created_by=amy, name="pool")
    base = Checkpoint.objects.create(name="base", kind="policy", folder="/b", weights_sha256="0" * 64)
    endpoint = Endpoint.objects.create(name="tuned", base_url="http://127.0.0.1:9", model="tuned")
    reward = Checkpoint.objects.create(name="reward", kind="reward", folder="/r", weights_sha256="3" * 64)
    common = {"algorithm": "ppo", "reward": reward, "dataset": dataset}
    run = Run.objects.create(name="first", base=base, folder="/1", **common)
    model = Checkpoint.objects.create(
        name="tuned", kind="policy", folder="/t", weights_sha256="1" * 64, run=run, endpoint=endpoint,
        published_at=dataset.completed_at,
    )  # fmt: skip
    other = Dataset.objects.create(kind="prompts", content_hash="e" * 64, name="other", folder="/o")
    second = Run.objects.create(name="second", base=model, folder="/2", **{**common, "dataset": other})
    child = Checkpoint.objects.create(name="child", kind="policy", folder="/c", weights_sha256="2" * 64, run=second)
    return {"dataset": dataset, "base": base, "reward": reward, "model": model, "child": child}


def test_report_names_data_sets_runs_models_and_their_children(learned, amy):
    report = queries.report_of(erase(amy))
    (entry,) = report["datasets"]
    assert (entry["content_hash"], entry["prompts"]) == (learned["dataset"].content_hash, 1)
    assert entry["runs"] == ["first"]
    assert [(one["name"], one["served_as"]) for one in entry["checkpoints"]] == [("tuned", "tuned"), ("child", None)]
    assert pipeline.tainted_checkpoints() == {learned["model"].pk, learned["child"].pk}


def test_pages_and_api_say_so(learned, amy, page, api, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        erasure = erase(amy)
    staff, dataset = page(amy), learned["dataset"]
    for address in (
        f"/datasets/{dataset.pk}/",
        "/datasets/",
        "/models/",
        f"/models/{learned['child'].pk}/",
        f"/erasures/{erasure.pk}/",
    ):
        assert "tainted" in staff.get(address).content.decode(), address
    for name in ("base", "reward"):
        assert "tainted" not in staff.get(f"/models/{learned[name].pk}/").content.decode()
    said = api(amy).get(f"/api/v1/exports/{dataset.pk}/").json()["tainted"]
    assert (said["prompts"], said["erasures"], said["rebuilt"]) == (1, [str(erasure.pk)], None)
    models = {one["name"]: one["tainted"] for one in api(amy).get("/api/v1/models/").json()["results"]}
    assert models == {"base": False, "reward": False, "tuned": True, "child": True}
    child = api(amy).get("/api/v1/models/child/").json()
    assert child["tainted_datasets"] == [dataset.content_hash]
    # The files stay what they were, and beside them it is said.
    assert verify(Path(dataset.folder)) == []
    assert json.loads(taint.sidecar_of(Path(dataset.folder)).read_text())["tainted"] == said


def test_no_run_starts_from_it_nor_goes_on(learned, amy):
    asked = {"algorithm": "ppo", "dataset": learned["dataset"], "base": learned["base"], "reward": learned["reward"]}
    queued = training.start_run(name="queued", created_by=amy, **asked)
    erase(amy)
    with pytest.raises(training.DatasetTainted, match="rebuild it first"):
        training.start_run(name="late", created_by=amy, **asked)
    with pytest.raises(training.DatasetTainted):
        training.execute_run(job=queued.job)
    assert learned["dataset"] not in pipeline.datasets_for("ppo")


def test_a_rebuilt_one_stands_beside_it(learned, amy, page):
    dataset = learned["dataset"]
    with pytest.raises(Refusal, match="nothing to leave out"):
        exports.rebuild_dataset(dataset=dataset, created_by=amy)
    erase(amy)
    answer = page(amy).post(f"/datasets/{dataset.pk}/rebuild/")
    asked = Dataset.objects.get(rebuilds=dataset)
    assert answer.headers["Location"] == f"/datasets/{asked.pk}/"
    assert exports.rebuild_dataset(dataset=dataset, created_by=amy) == asked, "while it is being made"
    run_now(str(asked.job_id))
    asked.refresh_from_db()
    assert (asked.name, asked.question) == ("pool rebuilt", dataset.question)
    assert asked.manifest["counts"]["rows"] == dataset.manifest["counts"]["rows"] - 1
    assert MARKER not in texts_in(Path(asked.folder)) and MARKER in texts_in(Path(dataset.folder))
    assert taint.rebuilt_of(dataset) == asked == exports.rebuild_dataset(dataset=dataset, created_by=amy)
    with pytest.raises(training.DatasetTainted, match="pool rebuilt"):
        training.refuse_tainted(dataset)
    training.refuse_tainted(asked)
