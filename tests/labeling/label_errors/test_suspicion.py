"""Suspicion of answers: kept up as answers and scores come in."""

from __future__ import annotations

from math import log

import pytest
from django.db.models import F

from labeling.label_errors import queries, services
from labeling.label_errors.models import CompletionScore, Suspicion, SuspicionState
from labeling.rankings.models import Judgment, Ranking
from tests.factories import make_batch, make_ranking, make_task
from tests.labeling.label_errors.conftest import completions_of, give_scores

pytestmark = pytest.mark.django_db


def correct(ranking: Ranking, ranks: list[int]) -> Ranking:
    """Another revision of it."""
    made = Ranking.objects.create(
        lease=ranking.lease,
        task=ranking.task,
        labeler=ranking.labeler,
        group=ranking.group,
        revision=2,
        replaces=ranking,
        idempotency_key="again",
        payload_sha256="0" * 64,
        order_shown=ranking.order_shown,
    )
    for completion, rank in zip(completions_of(ranking), ranks, strict=True):
        Judgment.objects.create(ranking=made, completion_id=completion, rank=rank)
    return made


def test_who_stands_alone_is_suspect_without_any_model(ranked):
    same, _, other = ranked((1, 2, 3), (1, 2, 3), (3, 2, 1))
    assert services.refresh() == 3
    scores = dict(Suspicion.objects.values_list("ranking", "score"))
    assert scores[other.pk] == pytest.approx(log(7))  # 6 of 6 comparisons against it
    assert scores[same.pk] == 0  # 3 for it and 3 against it
    row = Suspicion.objects.get(ranking=other)
    assert (row.pairs, row.compared, row.contradicted, row.opposite, row.checkpoint) == (3, 6, 6, None, None)
    assert queries.figures(simulated=False) == {"answers": 3, "with_colleagues": 3, "with_model": 0}


def test_model_alone_is_enough(ranked, reward_model):
    (good,), (bad,) = ranked((1, 2)), ranked((2, 1))
    services.refresh()
    for ranking in (good, bad):
        give_scores(reward_model, ranking, [log(3), 0.0])
    assert Suspicion.objects.get(ranking=good).opposite == pytest.approx(0.25)
    assert Suspicion.objects.get(ranking=bad).opposite == pytest.approx(0.75)
    assert Suspicion.objects.get(ranking=bad).score == pytest.approx(log(1.75 / 1.25))
    assert Suspicion.objects.get(ranking=bad).checkpoint_id == reward_model.pk


def test_new_answers_are_read_and_old_ones_not_again(ranked, colleagues, monkeypatch):
    first, _ = ranked((1, 2), (1, 2))
    ranked((1, 2), (2, 1))
    services.refresh()
    monkeypatch.setattr(services, "SLACK", services.SLACK * 0)
    assert services.refresh() == 0
    first.task.seats.create(batch=first.task.batch, number=9)
    make_ranking(task=first.task, labeler=colleagues[2], ranks=[2, 1, 3, 4][:2])
    assert services.refresh() == 3, "its task alone"
    assert Suspicion.objects.get(ranking=first).contradicted == 1


def test_a_correction_replaces_what_it_corrects(ranked):
    one, other = ranked((1, 2, 3), (3, 2, 1))
    services.refresh()
    again = correct(other, [1, 2, 3])
    services.refresh()
    assert set(Suspicion.objects.values_list("ranking", flat=True)) == {one.pk, again.pk}
    assert set(Suspicion.objects.values_list("contradicted", flat=True)) == {0}
    tied = Ranking.objects.get(pk=one.pk)
    correct_all_tied = correct(tied, [1, 1, 1])
    services.refresh()
    assert not Suspicion.objects.filter(ranking=correct_all_tied).exists(), "puts nothing in an order"


def test_programs_and_people_are_not_compared(ranked, colleagues, sim):
    mine, _ = ranked((1, 2), (2, 1), people=[colleagues[0], sim])
    services.refresh()
    assert Suspicion.objects.get(ranking=mine).compared == 0
    assert Suspicion.objects.get(simulated=True).compared == 0
    assert [row.pk for row in queries.suspicious_page(simulated=False, after=None)] == [mine.pk]


def test_answers_without_an_order_are_left_out(colleagues):
    task = make_task(batch=make_batch(overlap=2))
    make_ranking(task=task, labeler=colleagues[0], outcome="all_bad")
    make_ranking(task=task, labeler=colleagues[1], ranks=[1, 1, 1, 1])
    assert services.refresh() == 0


def test_a_new_model_finds_everything_to_do_again(ranked, reward_model):
    (ranking,) = ranked((1, 2))
    services.refresh()
    services.take_model(checkpoint_id=reward_model.pk)
    assert queries.behind_model(simulated=False).count() == 1
    give_scores(reward_model, ranking, [1.0, 0.0])
    assert queries.behind_model(simulated=False).count() == 0
    from labeling.pipeline.models import Checkpoint

    newer = Checkpoint.objects.create(name="rm-2", kind="reward", folder="/2", weights_sha256="1" * 64)
    services.take_model(checkpoint_id=newer.pk)
    assert queries.behind_model(simulated=False).count() == 1
    give_scores(newer, ranking, [0.0, 5.0])
    assert Suspicion.objects.get().opposite > 0.9
    assert CompletionScore.objects.count() == 4, "each model is asked once, and what the old one said is kept"


def test_what_is_stored_of_a_model_stays(ranked, reward_model):
    (ranking,) = ranked((1, 2))
    services.refresh()
    give_scores(reward_model, ranking, [1.0, 0.0])
    give_scores(reward_model, ranking, [0.0, 1.0])
    assert set(CompletionScore.objects.values_list("score", flat=True)) == {0.0, 1.0}
    assert Suspicion.objects.get().opposite < 0.5


def test_a_completion_that_the_model_refused_leaves_its_pairs_out(ranked, reward_model):
    (ranking,) = ranked((1, 2, 3))
    services.refresh()
    services.take_model(checkpoint_id=reward_model.pk)
    one, two, three = completions_of(ranking)
    services.store_scores(checkpoint_id=reward_model.pk, scores=[(one, 0.0), (three, 0.0)], refused=[(two, "too long")])
    services.refresh_tasks([ranking.task_id])
    row = Suspicion.objects.get()
    assert (row.checkpoint_id, row.opposite) == (reward_model.pk, 0.5)


def test_pages_of_the_suspicious(ranked, monkeypatch):
    for _ in range(5):
        ranked((1, 2, 3), (3, 2, 1), (1, 2, 3))
    services.refresh()
    monkeypatch.setattr(queries, "PAGE", 4)
    seen, after = [], None
    while True:
        page = queries.suspicious_page(simulated=False, after=after)
        seen += [(-row.score, row.pk) for row in page]
        after = page.next
        if after is None:
            break
    assert len(seen) == 15
    assert seen == sorted(seen)
    assert SuspicionState.objects.filter(read_at__isnull=False).exists()
    assert not Suspicion.objects.filter(contradicted__gt=F("compared")).exists()
