import json
from pathlib import Path

import pytest

from labeling.background.models import Job
from labeling.pipeline import services
from labeling.pipeline.models import Checkpoint, Run
from training.formats import RunFolder


@pytest.fixture
def run(base, make_dataset, rita) -> Run:
    return services.start_run(algorithm="sft", dataset=make_dataset("demonstrations"), base=base, created_by=rita)


def under_way(run: Run) -> Path:
    folder = RunFolder(Path(run.folder))
    folder.create(algorithm="sft")
    folder.progress(step=2, total=9, phase="training")
    for step in (1, 2):
        folder.log({"step": step, "time": float(step), "loss": 3.0 / step, "lr": 1e-4})
    folder.sample({"step": 2, "prompt": "<b>Why?</b>", "completion": "<script>alert(1)</script>", "score": 0.25})
    (folder.path / "log.txt").write_text("step 2/9 <img src=x onerror=alert(1)>\n")
    Job.objects.filter(pk=run.job_id).update(state="running", heartbeat_at=run.created_at, done=2, total=9)
    return folder.path


def test_run_page_shows_curves_progress_samples_and_log(page, rita, run):
    under_way(run)
    shown = page(rita).get(f"/runs/{run.pk}/").content.decode()
    assert "step 2 of 9" in shown
    assert 'alt="Loss: loss from 3 at step 1 to 1.5 at step 2."' in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "<script>alert" not in shown
    assert "<img src=x" not in shown
    assert 'hx-trigger="every 3s"' in shown


def test_fragment_stops_asking_when_the_run_has_ended(page, rita, run):
    under_way(run)
    Job.objects.filter(pk=run.job_id).update(state="failed", error="Out of luck.")
    shown = page(rita).get(f"/runs/{run.pk}/", headers={"HX-Request": "true"}).content.decode()
    assert "every 3s" not in shown
    assert "Out of luck." in shown
    assert "<html" not in shown
    assert "Go on from the last checkpoint" in shown


def test_curves_are_also_a_table(page, rita, run):
    under_way(run)
    shown = page(rita).get(f"/runs/{run.pk}/metrics/").content.decode()
    assert '<th scope="col">loss</th>' in shown
    assert "1.5" in shown


def test_run_without_a_folder_yet_has_a_page(page, rita, run):
    assert "Nothing measured yet" in page(rita).get(f"/runs/{run.pk}/").content.decode()


def test_form_offers_what_fits_and_starts_a_run(page, rita, base, make_dataset, make_checkpoint):
    client = page(rita)
    assert "No data set of comparisons yet" in client.get("/runs/new/?algorithm=rm").content.decode()
    wanted, other = make_dataset("demonstrations", name="my answers"), make_dataset("prompts", name="my prompts")
    shown = client.get("/runs/new/?algorithm=sft").content.decode()
    assert "my answers" in shown
    assert "my prompts" not in shown
    assert "No reward model yet" in client.get("/runs/new/?algorithm=ppo").content.decode()
    form = {"name": "by-form", "dataset": wanted.pk, "base": base.pk, "preset": "demo", "seed": 5, "arguments": ""}
    assert client.post("/runs/new/?algorithm=sft", {**form, "dataset": other.pk}).status_code == 400
    assert client.post("/runs/new/?algorithm=sft", {**form, "arguments": "[1]"}).status_code == 400
    assert client.post("/runs/new/?algorithm=sft", {**form, "name": "../x"}).status_code == 400
    answer = client.post("/runs/new/?algorithm=sft", {**form, "arguments": '{"epochs": 2}'})
    run = Run.objects.get(name="by-form")
    assert answer.url == f"/runs/{run.pk}/"
    assert (run.arguments, run.seed, run.created_by) == ({"epochs": 2}, 5, rita)
    assert "by-form" in client.get("/runs/").content.decode()
    assert client.get("/runs/new/?algorithm=dpo").status_code == 400


def test_cancel_and_restart_by_button(page, rita, run):
    client = page(rita)
    assert client.post(f"/runs/{run.pk}/cancel/").status_code == 302
    assert Job.objects.get(pk=run.job_id).state == "cancelled"
    assert client.post(f"/runs/{run.pk}/cancel/").status_code == 409
    assert client.post(f"/runs/{run.pk}/restart/").status_code == 302
    assert Job.objects.get(pk=run.job_id).state == "queued"


def test_pages_are_for_staff(page, ada, run, base):
    for path in (
        "/runs/",
        "/runs/new/",
        f"/runs/{run.pk}/",
        f"/runs/{run.pk}/metrics/",
        "/models/",
        f"/models/{base.pk}/",
    ):
        assert page(ada).get(path).status_code == 403, path
        assert page().get(path).status_code == 302, path
    assert page(ada).post(f"/runs/{run.pk}/cancel/").status_code == 403
    assert page(ada).post(f"/models/{base.pk}/publish/").status_code == 403


def test_registry_shows_where_a_model_comes_from(page, rita, run, make_checkpoint):
    made = make_checkpoint("sft-made", run=run)
    assert "sft-made" in page(rita).get("/models/").content.decode()
    shown = page(rita).get(f"/models/{made.pk}/").content.decode()
    assert "tiny" in shown
    assert run.name in shown
    assert run.dataset.name in shown
    assert "Publish" in shown


def test_reward_model_is_not_published(page, rita, make_checkpoint):
    reward = make_checkpoint("rm", kind="reward")
    answer = page(rita).post(f"/models/{reward.pk}/publish/")
    assert answer.status_code == 400
    assert "nothing can be sampled from it" in answer.content.decode()


def test_api_starts_shows_and_cancels_runs(api, rita, ada, base, make_dataset):
    dataset, client = make_dataset("demonstrations"), api(rita)
    body = {"algorithm": "sft", "dataset": str(dataset.pk), "base": "tiny", "seed": 7, "arguments": {"epochs": 2}}
    made = client.post("/api/v1/runs/", body, format="json")
    assert made.status_code == 201
    run = made.json()
    assert (run["state"], run["seed"], run["dataset"]["content_hash"]) == ("queued", 7, dataset.content_hash)
    under_way(Run.objects.get(pk=run["id"]))
    live = client.get(f"/api/v1/runs/{run['name']}/").json()
    assert live["progress"] == {"phase": "training", "step": 2, "total": 9}
    assert [row["step"] for row in live["metrics"]] == [1, 2]
    assert len(client.get("/api/v1/runs/").json()["results"]) == 1
    assert client.post(f"/api/v1/runs/{run['id']}/cancel/").status_code == 200
    by_hash = {**body, "dataset": dataset.content_hash[:12], "name": "second"}
    assert client.post("/api/v1/runs/", by_hash, format="json").status_code == 201
    assert client.post("/api/v1/runs/", by_hash, format="json").status_code == 409
    for path in ("runs/", "models/", f"runs/{run['id']}/"):
        assert api(ada).get(f"/api/v1/{path}").status_code == 403
    model = client.get("/api/v1/models/tiny/").json()
    assert model["lineage"][0] | {"relation": "itself"} == model["lineage"][0]
    assert client.get("/api/v1/models/nothing/").status_code == 404


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"algorithm": "dpo"}, 400),
        ({"algorithm": 3}, 400),
        ({"dataset": "nothing"}, 404),
        ({"dataset": ["x"]}, 400),
        ({"base": None}, 400),
        ({"base": 12}, 400),
        ({"seed": "one"}, 400),
        ({"seed": 1e300}, 400),
        ({"arguments": []}, 400),
        ({"arguments": {"epochs": {"deep": 1}}}, 400),
        ({"preset": 5}, 400),
        ({"name": ""}, 201),
        ({"name": "a/b"}, 400),
        ({"unknown": 1}, 400),
    ],
)
def test_bad_bodies_get_a_sentence(api, rita, base, make_dataset, change, status):
    body = {"algorithm": "sft", "dataset": str(make_dataset("demonstrations").pk), "base": "tiny", **change}
    answer = api(rita).post("/api/v1/runs/", body, format="json")
    assert answer.status_code == status, answer.content
    if status >= 400:
        assert json.loads(answer.content)["error"]["message"].endswith(".")


def test_runs_list_goes_on_behind_its_first_page(api, rita, base, make_dataset):
    dataset = make_dataset("demonstrations")
    Run.objects.bulk_create(
        Run(name=f"r{n}", algorithm="sft", dataset=dataset, base=base, folder="/nowhere") for n in range(60)
    )
    first = api(rita).get("/api/v1/runs/").json()
    second = api(rita).get("/api/v1/runs/", {"after": first["next"]}).json()
    names = {row["name"] for row in first["results"] + second["results"]}
    assert (len(first["results"]), len(second["results"]), len(names)) == (50, 10, 60)
    assert Checkpoint.objects.count() == 1
