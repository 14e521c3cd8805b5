"""Asking the newest reward model about ranked completions: a real embedded server, stops, refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from labeling import jobs
from labeling.background import services as background
from labeling.background.models import Job
from labeling.label_errors import services
from labeling.label_errors.models import CompletionScore, Suspicion, SuspicionState
from labeling.pipeline import scoring
from labeling.pipeline.models import Checkpoint
from models_service.client import ModelClient, ModelRefused
from tests.factories import make_prompt, make_ranking, make_task
from tests.models_service.serving import write_reward

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="session")
def reward_folders(tiny_policy, tmp_path_factory) -> list[Path]:
    home = tmp_path_factory.mktemp("rewards")
    return [write_reward(home / f"rm-{seed}", tiny_policy, seed=seed) for seed in (1, 2)]


def registered(folder: Path) -> Checkpoint:
    return Checkpoint.objects.create(name=folder.name, kind="reward", folder=str(folder), weights_sha256="0" * 64)


@pytest.fixture
def answers(ada) -> list:
    return [
        make_ranking(task=make_task(prompt=make_prompt(f"the {word}?"), texts=("cat", "the dog", word)), labeler=ada)
        for word in ("red", "house", "mat")
    ]


@pytest.fixture
def served(settings, tiny_server) -> str:
    settings.REWARD_SERVER_URL = tiny_server
    return tiny_server


def look(rita, **asked) -> Job:
    return jobs.run_now(str(services.request_look(actor=rita, **asked).pk))


def test_without_a_reward_model_colleagues_are_all_there_is(rita, answers):
    job = look(rita)
    assert (job.state, job.result) == ("done", {"answers": 3, "model": "", "scored": 0})
    assert Suspicion.objects.filter(checkpoint=None).count() == 3
    assert scoring.keep_up() is None


def test_newest_model_scores_every_completion_once(rita, answers, served, reward_folders, monkeypatch):
    monkeypatch.setattr(scoring, "TASKS", 2)
    old = registered(reward_folders[0])
    job = look(rita)
    assert (job.state, job.error) == ("done", "")
    assert (job.result["scored"], job.done, job.total) == (9, 3, 3)
    row = Suspicion.objects.get(ranking=answers[0])
    assert row.checkpoint == old
    with ModelClient(served) as client:
        ranked = answers[0].judgments.order_by("rank").select_related("completion")
        items = [{"messages": answers[0].task.item.messages, "completion": each.completion.text} for each in ranked]
        scores = client.score(old.name, items)
    stored = dict(CompletionScore.objects.values_list("completion", "score"))
    assert [stored[each.completion_id] for each in ranked] == pytest.approx(scores, abs=1e-4)
    assert look(rita).result["scored"] == 0, "nothing is asked twice"
    assert scoring.keep_up() is None

    new = registered(reward_folders[1])
    job = scoring.keep_up()
    assert scoring.keep_up() == job, "one at a time"
    assert jobs.run_now(str(job.pk)).result["scored"] == 9
    assert set(Suspicion.objects.values_list("checkpoint", flat=True)) == {new.pk}
    with ModelClient(served) as client:
        names = client.models()
    assert new.name in names and old.name not in names, "the server keeps one of them"


def test_a_stopped_look_goes_on_where_it_was(rita, answers, served, reward_folders, monkeypatch):
    monkeypatch.setattr(scoring, "TASKS", 1)
    registered(reward_folders[0])
    asked = background.beat

    def stop_after_the_first(job, **news) -> None:
        if news.get("done"):
            background.cancel(job=job, actor=rita)
        asked(job, **news)

    monkeypatch.setattr(background, "beat", stop_after_the_first)
    job = look(rita)
    assert job.state == "cancelled"
    assert CompletionScore.objects.count() == 3
    assert scoring.keep_up() is None, "somebody stopped it"
    monkeypatch.setattr(background, "beat", asked)
    assert look(rita).result["scored"] == 6


def test_programs_answers_are_asked_about_where_wanted(rita, sim, answers, served, reward_folders):
    registered(reward_folders[0])
    make_ranking(task=make_task(texts=("one", "two")), labeler=sim)
    assert look(rita).result["scored"] == 9
    assert look(rita, simulated=True).result["scored"] == 2


def test_one_row_that_is_refused_costs_no_other(rita, ada, answers, served, reward_folders):
    """The tiny model takes 512 tokens."""
    registered(reward_folders[0])
    make_ranking(task=make_task(texts=("one", "x" * 5000)), labeler=ada)
    job = look(rita)
    assert (job.state, job.result["scored"], job.result["refused"]) == ("done", 10, 1)
    assert CompletionScore.objects.exclude(refused="").get().completion.text.startswith("xxx")
    assert look(rita).result["refused"] == 0, "nor is it asked again"


def test_a_server_that_refuses_everything_leaves_nothing_behind(rita, answers, served, reward_folders, monkeypatch):
    registered(reward_folders[0])

    def refuse(self, model, items):
        raise ModelRefused("its EOS token is unknown")

    monkeypatch.setattr(ModelClient, "score", refuse)
    job = look(rita)
    assert (job.state, CompletionScore.objects.count()) == ("failed", 0)
    assert "EOS" in job.error


def test_a_server_that_is_away_is_tried_again(rita, answers, settings, monkeypatch, reward_folders):
    settings.REWARD_SERVER_URL = "http://127.0.0.1:9"
    monkeypatch.setattr("models_service.client.FIRST_PAUSE_SECONDS", 0.01)
    registered(reward_folders[0])
    job = look(rita)
    assert (job.state, job.attempt) == ("queued", 1)
    assert "does not answer" in job.error


def test_a_vllm_server_with_another_model_is_left_alone(rita, answers, served, reward_folders, monkeypatch):
    registered(reward_folders[0])
    monkeypatch.setattr(ModelClient, "owner", lambda self, model: "vllm")
    monkeypatch.setattr(ModelClient, "root", lambda self, model: "/started/on/another")
    job = look(rita)
    assert job.state == "failed"
    assert "REWARD_SERVER_URL" in job.error
    monkeypatch.undo()
    with ModelClient(served) as client:
        assert "first" in client.models()
    assert SuspicionState.objects.get().checkpoint is not None
