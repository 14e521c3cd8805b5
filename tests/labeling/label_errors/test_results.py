"""What looking finds, arm beside arm, on errors that were planted."""

from __future__ import annotations

import random

import pytest

from labeling.label_errors import reports, services
from labeling.label_errors.models import ErrorItem
from labeling.reports.services import ask
from tests.labeling.label_errors.conftest import give_scores
from tests.labeling.label_errors.test_looking import draw

pytestmark = pytest.mark.django_db


def look_at_all(reviewer, wrong: set) -> None:
    """The reviewer knows which are wrong, and sees nothing else."""
    while item := services.claim_next(reviewer=reviewer):
        said = "error" if item.ranking_id in wrong else "fine"
        services.judge(item_id=item.pk, reviewer=reviewer, verdict=said)


@pytest.mark.parametrize("by_model", [False, True], ids=["colleagues", "model"])
def test_planted_errors_come_first(ranked, rita, reward_model, by_model):
    """A tenth of 120 orders is reversed, and the others differ from the truth in one neighbouring pair now and then."""
    rng = random.Random(11)
    wrong = set()
    for _ in range(120 if by_model else 40):
        made = []
        for _person in range(1 if by_model else 3):
            order = [1, 2, 3, 4]
            if rng.random() < 0.3:
                order[1], order[2] = order[2], order[1]
            made.append(order[::-1] if rng.random() < 0.1 else order)
        rankings = ranked(*made)
        wrong |= {each.pk for each, order in zip(rankings, made, strict=True) if order[0] == 4}
        if by_model:
            services.refresh_tasks([rankings[0].task_id])
            give_scores(reward_model, rankings[0], [rng.gauss(2 - 0.7 * place, 0.5) for place in range(4)])
    services.refresh()
    assert 6 <= len(wrong) <= 20
    draw(rita, size=60, share=20, seed=3)
    look_at_all(rita, wrong)
    found = reports.make({"simulated": False})["cuts"][0]
    assert found["suspicious"]["looked_at"] == 12
    assert found["random"]["looked_at"] == 48
    assert found["suspicious"]["rate"] >= 0.5
    assert found["ratio"] > 4
    assert found["ratio_ci95"][0] > 2
    assert found["difference_ci95"][0] > 0.2


def test_both_arms_count_what_is_in_both(ranked, rita):
    bad = ranked((1, 2, 3), (1, 2, 3), (3, 2, 1))[2]
    services.refresh()
    draw(rita, size=4, share=25)
    assert ErrorItem.objects.filter(suspicious=True, random=True, ranking=bad).exists()
    look_at_all(rita, {bad.pk})
    found = reports.make({"simulated": False})
    cut = found["cuts"][0]
    assert (cut["suspicious"]["looked_at"], cut["suspicious"]["found"]) == (1, 1)
    assert (cut["random"]["looked_at"], cut["random"]["found"]) == (3, 1)
    assert [one["key"].split(":")[0] for one in found["cuts"]] == ["all", "model", "week"]


def test_report_is_drawn_and_says_what_was_changed(ranked, rita, reward_model):
    for _ in range(3):
        (ranking,) = ranked((2, 1))
        services.refresh()
        give_scores(reward_model, ranking, [2.0, 0.0])
    draw(rita, size=3, share=0)
    item = services.claim_next(reviewer=rita)
    for verdict in ("fine", "unclear"):
        services.judge(item_id=item.pk, reviewer=rita, verdict=verdict)
    shown = ask(reports.KIND, {"simulated": False})
    assert shown.content["changed"] == 1
    assert shown.content["cuts"][0]["random"] == {
        **{"looked_at": 1, "found": 0, "unclear": 1, "rate": 0.0, "ci95": [None, None]}
    }
    assert shown.content["cuts"][1]["key"] == "model:rm-1"
    assert "<svg" in shown.plots["arms"].svg and "<svg" in shown.plots["weeks"].svg
    assert "At random: rm-1" in str(shown.plots["arms"].rows)
    rows = list(reports.csv_rows(shown.content))
    assert {len(row) for row in rows} == {len(reports.COLUMNS)}
