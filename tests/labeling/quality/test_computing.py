"""From rows to reports: what is read, when it is computed, and that nobody's answers are mixed with programs'."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from django.db.models import F
from django.db.models.functions import Now

from labeling.quality import services
from labeling.quality.models import CompletionTraits, QualityReport, QualityRun, QualityStanding
from labeling.quality.reading import read_answers
from labeling.quality.traits import has_markdown, words_in
from labeling.rankings.models import Judgment, Ranking
from labeling.simulation.bulk import store_population
from labeling.simulation.population import OVERLAP, account_names, draw, population
from tests.factories import (
    make_batch,
    make_demonstration,
    make_prompt,
    make_ranking,
    make_task,
    make_written_prompt,
)

pytestmark = pytest.mark.django_db


def both_rank(*people, count: int = 1, **extra):
    batch = make_batch(overlap=len(people), groups=["training", "simulated"])
    for _ in range(count):
        task = make_task(batch=batch, texts=("One.", "Two words.", "**Three** of them."))
        for person in people:
            make_ranking(task=task, labeler=person, ranks=[1, 2, 2], ratings=[7, 4, 3], **extra)


def test_what_is_read_is_what_was_stored(ada, bo):
    both_rank(ada, bo, active_seconds=12)
    shown = {
        str(one.completion_id): one.ranking.order_shown.index(str(one.completion_id))
        for one in Judgment.objects.select_related("ranking")
    }
    services.count_traits(simulated=False)
    answers = read_answers(simulated=False)
    found = answers.rankings
    assert answers.labelers == sorted([ada.pk, bo.pk])
    assert found.labeler.tolist().count(0) == 1
    assert len(set(found.prompt)) == 1
    assert set(found.seconds) == {12}
    assert sorted(found.rank) == [1, 1, 2, 2, 2, 2]
    assert sorted(found.rating) == [3, 3, 4, 4, 7, 7]
    assert sorted(found.words) == [1, 1, 2, 2, 3, 3]
    assert np.isnan(found.place_ranked).all()
    assert [found.models[number] for number in found.model] == ["secret-model"] * 6
    # By the words each completion can be told: its place is that of its id in the order shown.
    by_words = {words_in(one.completion.text): shown[str(one.completion_id)] for one in Judgment.objects.all()}
    assert {(words, place * 2) for words, place in zip(found.words, found.place, strict=True)} == set(by_words.items())
    assert set(found.words[found.markdown == 1]) == {3}


def test_a_population_comes_back_as_it_was_drawn():
    """Written to the database by thousands and read as columns: the same answers, labeler by labeler."""
    batch, people = store_population(rankings=120, seed=4)
    drawn = draw(population(4), 4, tasks=30)
    services.count_traits(simulated=True)
    answers = read_answers(simulated=True)
    assert batch.items.count() == 30
    assert Ranking.objects.exclude(origin="simulated").count() == 0
    names = account_names()
    by_name = {name: person for person, name in Ranking.objects.values_list("labeler", "labeler__username")}

    def rows(given, labelers):
        """Each judgment with all that is known of it, in an order that does not depend on numbers."""
        model = np.array([given.models[number] for number in given.model])
        who = np.array(labelers)[given.labeler[given.ranking]]
        seconds = given.seconds[given.ranking]
        columns = (who, seconds, given.rank, given.rating, given.words, given.markdown, model)
        places = (np.round(given.place * 3), np.round(given.place_ranked * 3))
        return sorted(zip(*(column.tolist() for column in (*columns, *places)), strict=True))

    assert rows(answers.rankings, answers.labelers) == rows(drawn, [by_name.get(name, -1) for name in names])
    assert np.bincount(answers.rankings.prompt).tolist() == [OVERLAP] * 30


def test_a_correction_takes_the_place_of_what_it_corrects(ada, bo):
    both_rank(ada, bo)
    first = Ranking.objects.get(labeler=ada)
    second = Ranking.objects.create(
        lease=first.lease,
        task=first.task,
        labeler=ada,
        group="training",
        revision=2,
        replaces=first,
        idempotency_key="again",
        payload_sha256="0" * 64,
        order_shown=first.order_shown,
    )
    for judgment in first.judgments.all():
        Judgment.objects.create(ranking=second, completion=judgment.completion, rank=4 - judgment.rank)
    found = read_answers(simulated=False).rankings
    assert len(found.labeler) == 2
    assert sorted(found.rank) == [1, 2, 2, 2, 2, 3]


def test_programs_are_never_among_people(ada, bo, sim):
    both_rank(ada, bo, sim, count=2)
    make_demonstration(prompt=make_prompt(), labeler=sim, text="By a program.", pasted=5)
    people, programs = read_answers(simulated=False), read_answers(simulated=True)
    assert people.labelers == sorted([ada.pk, bo.pk])
    assert programs.labelers == [sim.pk]
    assert (len(people.writing.labeler), len(programs.writing.labeler)) == (0, 1)


def test_pasted_characters_are_counted_of_all_that_was_written(ada):
    make_demonstration(prompt=make_prompt(), labeler=ada, text="ten chars.", turns=("12345", "67890"), pasted=50)
    make_written_prompt(labeler=ada, text="twelve chars", pasted=3)
    written = read_answers(simulated=False).writing
    assert sorted(zip(written.characters, written.pasted, strict=True)) == [(12, 3), (20, 20)]


def test_reports_are_made_when_answers_came_in_and_not_again(ada, bo, sim):
    assert services.refresh() == {}
    both_rank(ada, bo, count=2)
    assert services.refresh() == {"people": 4}
    assert QualityStanding.objects.count() == 2
    # Those read within the last minute may have been joined by ones that began before.
    age = timedelta(minutes=2)
    Ranking.objects.all()  # append-only: it is the run that is moved to later
    QualityRun.objects.update(read_at=Now() + age)
    assert services.refresh() == {}
    QualityRun.objects.update(read_at=F("read_at") - 2 * age)
    both_rank(ada, bo)
    assert services.refresh() == {"people": 6}
    both_rank(sim)
    assert services.refresh()["simulated"] == 1
    assert QualityReport.objects.filter(simulated=True, labeler=sim).exists()
    assert not QualityReport.objects.filter(simulated=False, labeler=sim).exists()


def test_a_new_release_makes_them_again(ada, bo):
    both_rank(ada, bo)
    services.refresh()
    QualityRun.objects.update(read_at=Now() + timedelta(minutes=5), version=services.VERSION + 1)
    assert services.refresh() == {"people": 2}


def test_two_workers_do_not_compute_at_once(ada, bo):
    both_rank(ada, bo)
    QualityRun.objects.create(simulated=False, began_at=Now())
    assert services.compute(simulated=False) is None
    QualityRun.objects.update(began_at=F("began_at") - services.ABANDONED - timedelta(seconds=1))
    assert services.compute(simulated=False).rankings == 2


def test_a_failure_is_kept_and_the_next_try_is_free(ada, bo, monkeypatch):
    both_rank(ada, bo)

    def broken(**_):
        raise ValueError("no such column")

    monkeypatch.setattr(services, "read_answers", broken)
    with pytest.raises(ValueError, match="no such column"):
        services.compute(simulated=False)
    run = QualityRun.objects.get()
    assert (run.began_at, run.read_at) == (None, None)
    assert "no such column" in run.error
    monkeypatch.undo()
    assert services.compute(simulated=False).error == ""


def test_traits_are_counted_once(ada, bo):
    both_rank(ada, bo)
    assert services.count_traits(simulated=False) == 3
    assert services.count_traits(simulated=False) == 0
    assert sorted(CompletionTraits.objects.values_list("words", "markdown")) == [(1, False), (2, False), (3, True)]


@pytest.mark.parametrize(
    "text",
    [
        "# Title\n\nx",
        "- one\n- two",
        "1. one",
        "> said",
        "a **bold** word",
        "```\ncode\n```",
        "`x`",
        "| a | b |",
        "[x](y)",
    ],
)
def test_markdown_is_seen(text):
    assert has_markdown(text)


@pytest.mark.parametrize(
    "text", ["Plain.", "2 * 3 * 4", "a - b", "snake_case_name", "#hashtag", "5 > 4", "1.5 litres", ""]
)
def test_plain_text_is_no_markdown(text):
    assert not has_markdown(text)
