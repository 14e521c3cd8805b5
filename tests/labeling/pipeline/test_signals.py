"""What reward models say of prompts: real scores from an embedded server, and figures worked out by hand."""

from __future__ import annotations

import math

import pytest

from labeling import jobs
from labeling.label_errors.models import CompletionScore
from labeling.pipeline import signals
from labeling.pipeline.models import Checkpoint
from labeling.sampling.choosing import Selection
from labeling.sampling.models import PromptSignal
from labeling.sampling.services import create_batch
from tests.factories import make_prompt, make_task
from tests.labeling.pipeline.test_scoring import registered, reward_folders, served  # noqa: F401, fixtures

pytestmark = pytest.mark.django_db


def sigma(difference: float) -> float:
    return 1 / (1 + math.exp(-difference))


def test_figures_by_hand():
    older, newest = (
        Checkpoint.objects.create(name=name, kind="reward", folder="/", weights_sha256="0" * 64)
        for name in ("older", "newest")
    )
    task, alone = make_task(texts=("a", "b")), make_task(texts=("c", "d"))
    first, second = task.item.completions.order_by("id")
    scores = {(older, first): 10.0, (older, second): 12.0, (newest, first): -1.0, (newest, second): -2.0}
    for (model, completion), score in scores.items():
        CompletionScore.objects.create(checkpoint=model, completion=completion, score=score)
    for completion, score in zip(alone.item.completions.order_by("id"), (0.0, 0.0), strict=True):
        CompletionScore.objects.create(checkpoint=newest, completion=completion, score=score)
    assert signals._values([newest, older], lambda **_: None) == 2
    found = {(row.prompt_id, row.kind): row.value for row in PromptSignal.objects.all()}
    one, other = sigma(1.0), sigma(-2.0)  # that the first is better
    prompt = task.item.prompt_id
    assert found[prompt, "disagreement"] == pytest.approx((one - other) ** 2)
    assert found[prompt, "uncertainty"] == pytest.approx(4 * one * (1 - one))
    assert found[alone.item.prompt_id, "uncertainty"] == 1.0
    assert (alone.item.prompt_id, "disagreement") not in found, "one model disagrees with nobody"


def test_models_are_asked_and_a_batch_goes_by_what_they_say(served, reward_folders, page, api, rita):  # noqa: F811
    for word in ("red", "house", "mat"):
        make_task(prompt=make_prompt(f"the {word}?"), texts=("cat", "the dog", word))
    make_prompt("nothing was sampled for this one")
    models = [registered(folder) for folder in reward_folders]
    client = page(rita)
    assert "Nothing is computed yet" in client.get("/selection/").content.decode()
    assert client.post("/selection/compute/").status_code == 302
    job = jobs.run_now(str(signals.start(actor=rita).pk))
    assert (job.state, job.error) == ("done", "")
    assert (job.result["scored"], job.result["known"]) == (18, 3), job.result
    assert CompletionScore.objects.count() == 18
    assert PromptSignal.objects.filter(kind="disagreement").count() == 3
    assert PromptSignal.objects.filter(kind="group").count() == 4
    shown = client.get("/selection/").content.decode()
    assert f"{models[1].name}, {models[0].name}" in shown
    assert {row["kind"] for row in api(rita).get("/api/v1/selection/").json()["signals"]} == set(
        PromptSignal.Kind.values
    )
    for order in ("disagreement", "uncertainty", "coverage"):
        batch = create_batch(name=order, kind="demonstration", prompts=Selection(order=order, count=2))
        assert batch.items.count() == 2
        assert client.get(f"/batches/{batch.pk}/").status_code == 200


def test_without_a_server_the_scores_there_are_count(settings, rita):
    settings.REWARD_SERVER_URL = "http://127.0.0.1:1"
    make_task()
    Checkpoint.objects.create(name="rm", kind="reward", folder="/none", weights_sha256="0" * 64)
    job = jobs.run_now(str(signals.start(actor=rita).pk))
    assert job.state == "done" and len(job.result["trouble"]) == 1
