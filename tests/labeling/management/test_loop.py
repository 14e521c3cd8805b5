"""`make loop` from end to end, with a tiny model: every arrow is the real one, the figures mean nothing."""

import json
from pathlib import Path

import psutil
import pytest
from django.conf import settings as live_settings

from labeling.audit.models import AuditEvent
from labeling.background.models import Job
from labeling.management.loop import run_loop, table
from labeling.pipeline import queries
from labeling.pipeline.models import Checkpoint
from labeling.rankings.models import Ranking

pytestmark = pytest.mark.django_db(transaction=True)


def test_loop_goes_round(tiny_policy, home, settings):
    said = []
    figures = run_loop(say=said.append, model=tiny_policy)

    assert figures["judges"] == "simulated labelers"
    assert figures["rankings"] == Ranking.objects.filter(task__batch__name__startswith="round-1").count()
    assert figures["rankings"] > 30
    assert set(figures["seconds_by_step"]) >= {"import", "sample", "rank", "SFT", "reward model", "PPO-ptx", "publish"}
    assert 0 <= figures["rm"]["valid_accuracy"] <= 1
    assert figures["ppo"]["kl_before"] == pytest.approx(0, abs=1e-3)
    assert 0 <= figures["campaign"]["win_rate"]["rate"] <= 1
    assert figures["campaign"]["judged_by"] == "simulated labelers"
    assert figures["next_round"]["completions"] > 0
    assert not Job.objects.exclude(state="done").exists()

    # Every ranking of the first round leads to the reward model and the policy that it rewarded.
    ranking = Ranking.objects.filter(task__batch__name__startswith="round-1").first()
    kinds = [checkpoint.run.algorithm for checkpoint in queries.checkpoints_of_ranking(ranking)]
    assert kinds == ["rm", "ppo"]
    policy = Checkpoint.objects.get(run__algorithm="ppo")
    assert policy.endpoint.active
    assert {group for group in Ranking.objects.values_list("group", flat=True)} == {"simulated"}
    assert AuditEvent.objects.filter(action="model.published").exists()

    shown = table(figures)
    for words in (
        "RM validation accuracy",
        "95 % interval",
        "PPO KL",
        "Simulated labelers judged",
        "naming a model",
        figures["model"],
    ):
        assert words in shown
    assert json.loads(Path(figures["report"]).read_text())["rankings"] == figures["rankings"]
    # `process_iter` passes what ends while it looks.
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert not [line for line in lines if "models_service" in line and str(home) in line], (
        "its model server ended with it"
    )
    assert home == live_settings.KWISE_HOME


def test_loop_learns_from_peoples_rankings(tiny_policy, home, tmp_path):
    data = tmp_path / "rankings.jsonl"
    with data.open("w") as file:
        for number in range(20):
            completions = [{"text": f"Answer {number}{letter}", "rank": rank} for rank, letter in enumerate("abc")]
            row = {"group_id": f"g{number}", "prompt": f"Question {number}?", "completions": completions}
            file.write(json.dumps(row) + "\n")
    figures = run_loop(say=lambda _: None, data=data, model=tiny_policy)
    assert figures["judges"] == "people, from rankings.jsonl"
    assert figures["rankings"] == 20
    people = Ranking.objects.filter(group="training")
    assert people.count() == 20
    assert list(queries.checkpoints_of_ranking(people.first()).values_list("kind", flat=True)) == ["reward", "policy"]
    shown = table(figures)
    assert "People's rankings from the file trained the reward model" in shown
    assert "does not measure what those people wanted" in shown
