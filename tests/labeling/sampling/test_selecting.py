"""Strategies draw with the probabilities that they store, and weighting by these recovers the truth."""

from __future__ import annotations

import random

import numpy as np
import pytest
from django.db import transaction

from labeling.intake.models import Prompt
from labeling.intervals import weighted_mean
from labeling.refusals import Refusal
from labeling.sampling import covering, queries, selecting
from labeling.sampling.choosing import Selection
from labeling.sampling.models import BatchItem, PromptSignal
from labeling.sampling.services import create_batch
from labeling.use_cases import targets
from tests.factories import make_batch, make_prompt

pytestmark = pytest.mark.django_db


def drawn(order: str, count: int | None, seed: int = 0, **more) -> dict:
    """Prompt → its probability."""
    with transaction.atomic():
        rows, _said = selecting.draw(Selection(order=order, count=count, **more), seed=seed)
        return {pk: likely for pk, _digest, likely in rows}


@pytest.fixture
def scored() -> dict:
    """Prompt → its score: most are small, some are large."""
    chance = random.Random(5)
    found = {make_prompt(f"p{n}", user=f"u{n}").pk: chance.random() ** 3 for n in range(60)}
    covering.store_signals("uncertainty", found.items(), made_of="rm")
    return found


def test_weighting_recovers_the_mean_that_a_skewed_draw_misses(scored):
    """What is measured grows with the score that the strategy prefers, as label errors do with uncertainty."""
    truth = np.mean(list(scored.values()))
    plain, weighted, times = [], [], dict.fromkeys(scored, 0)
    for seed in range(150):
        found = drawn("uncertainty", 20, seed, floor=0.2)
        assert len(found) == 20, "as many as were asked for, each time"
        values = np.array([scored[pk] for pk in found])
        plain.append(values.mean())
        weighted.append(weighted_mean(values, np.array(list(found.values()))))
        for pk in found:
            times[pk] += 1
    assert np.mean(plain) > truth * 1.25
    error = np.std(weighted) / np.sqrt(len(weighted))
    assert abs(np.mean(weighted) - truth) < 3 * error + 0.02 * truth
    # Nothing is out of reach, and each comes as often as it says: three standard errors of the most uncertain.
    everything = drawn("uncertainty", 60)
    assert len(everything) == 60 and set(everything.values()) == {1.0}
    assert min(times.values()) > 0
    for pk, likely in drawn("uncertainty", 20, 7, floor=0.2).items():
        assert abs(times[pk] / 150 - likely) < 4 * np.sqrt(likely * (1 - likely) / 150) + 0.02


def test_the_largest_are_certain_and_the_floor_holds(scored):
    found = drawn("uncertainty", 30, floor=0.1, sharpness=0.1)
    assert len(found) == 30
    assert max(found.values()) == 1.0 and min(found.values()) >= 0.1 * 30 / 60
    same = drawn("uncertainty", 30, floor=1.0)
    assert all(likely == pytest.approx(0.5) for likely in same.values())
    with pytest.raises(Refusal, match="never be drawn"):
        drawn("uncertainty", 30, floor=0)
    with pytest.raises(Refusal, match="has a value for"):
        drawn("disagreement", 30)
    assert drawn("uncertainty", 10, 3) == drawn("uncertainty", 10, 3)


def test_a_batch_stores_strategy_and_probability(scored, api, amy):
    batch = create_batch(
        name="b", kind="demonstration", prompts=Selection(order="uncertainty", count=10), created_by=amy
    )
    items = list(batch.items.all())
    assert {item.strategy for item in items} == {"uncertainty"} and all(0 < item.probability <= 1 for item in items)
    assert batch.selection["pool"] == 60 and batch.selection["known"] == 60 and batch.selection["made_of"] == "rm"
    assert queries.drawn_how([items[0].pk]) == {items[0].pk: ("uncertainty", items[0].probability)}
    by_chance = create_batch(name="c", kind="demonstration", prompts=Selection(count=15))
    assert {item.probability for item in by_chance.items.all()} == {15 / 60}
    newest = create_batch(name="d", kind="demonstration", prompts=Selection(order="newest", count=2))
    assert {(item.strategy, item.probability) for item in newest.items.all()} == {("newest", None)}
    named = create_batch(name="e", kind="demonstration", prompts=list(Prompt.objects.all()[:1]))
    assert {(item.strategy, item.probability) for item in named.items.all()} == {("", None)}
    body = {"name": "f", "kind": "demonstration", "order": "uncertainty", "count": 5, "floor": 0.5, "sharpness": 2}
    answer = api(amy).post("/api/v1/batches/", body, format="json")
    assert answer.status_code == 201, answer.json()
    assert answer.json()["selection"]["floor"] == 0.5


def test_a_batch_to_the_target_mix(amy, page):
    targets.set_target(shares={"chat": 50, "rewrite": 30, "extract": 20}, suggestions="after", actor=amy)
    for name, count in (("chat", 30), ("rewrite", 4), ("extract", 10), ("", 9)):
        for n in range(count):
            make_prompt(f"{name} {n}", use_case=name, user=f"{name}{n}")
    found = drawn("mix", 20)
    names = dict(Prompt.objects.values_list("pk", "use_case"))
    counts = {name: sum(names[pk] == name for pk in found) for name in ("chat", "rewrite", "extract", "")}
    # Of rewrite there are only 4: the others make up for it by their shares, 10 + 1.43 and 4 + 0.57.
    assert counts == {"chat": 11, "rewrite": 4, "extract": 5, "": 0}
    assert {round(likely, 6) for pk, likely in found.items() if names[pk] == "chat"} == {round(11 / 30, 6)}
    assert {likely for pk, likely in found.items() if names[pk] == "rewrite"} == {1.0}
    assert len(drawn("mix", 1000)) == 44
    form = {"name": "by mix", "kind": "demonstration", "order": "mix", "count": 10, "fresh": "on", "overlap": 1}
    form |= {
        "groups": ["training"],
        "priority": 0,
        "temperature": 1,
        "top_p": 1,
        "max_tokens": 9,
        "seed": 3,
        "floor": 20,
    }
    answer = page(amy).post("/batches/new/", form)
    assert answer.status_code == 302, answer.content.decode()
    assert BatchItem.objects.filter(strategy="mix").count() == 10
    # What batches have of it is missing no more: only rewrite and extract are preferred after thirty of chat.
    batch = make_batch()
    for pk in Prompt.objects.filter(use_case="chat").values_list("pk", flat=True):
        BatchItem.objects.get_or_create(batch=batch, prompt_id=pk, k=0)
    likely = drawn("deficit", 8, floor=0.1)
    with transaction.atomic():
        _rows, said = selecting.draw(Selection(order="deficit", count=8, floor=0.1), seed=0)
    assert set(said["missing"]) == {"rewrite", "extract"}
    assert sum(names[pk] in ("rewrite", "extract") for pk in likely) >= 6
    assert min(likely.values()) >= 0.1 * 8 / 53 - 1e-9, "every prompt can come"


def test_sharing_out_to_a_mix():
    shares = {"a": 60.0, "b": 40.0, "c": 0.0}
    assert selecting.share_out_to_mix(10, shares, {"a": 100, "b": 100, "c": 5}) == {"a": 6, "b": 4}
    assert selecting.share_out_to_mix(10, shares, {"a": 2, "b": 100}) == {"a": 2, "b": 8}
    assert selecting.share_out_to_mix(10, shares, {"a": 2, "b": 3}) == {"a": 2, "b": 3}
    assert selecting.share_out_to_mix(3, shares, {}) == {}


def test_coverage_prefers_what_is_rare_and_not_yet_batched():
    for n in range(40):
        make_prompt(f"Write a story about a cat, chapter number {n}", user=f"u{n}")
    rare = [
        make_prompt(text).pk for text in ("Integriere Sinus Quadrat", "SELECT count FROM ledger", "haiku autumn moon")
    ]
    assert covering.group_prompts(groups=6) <= 6
    signals = dict(PromptSignal.objects.values_list("prompt", "value"))
    assert len(signals) == 43 and len({signals[pk] for pk in rare}) == 3
    often = sum(len(set(rare) & set(drawn("coverage", 6, seed))) for seed in range(20)) / 20
    assert often > 2, "3 of 43 would come 0.4 times in 6 at random"
    batch = make_batch()
    BatchItem.objects.create(batch=batch, prompt_id=rare[0], k=0)
    before, after = drawn("coverage", 43), drawn("coverage", 6, 2)
    assert len(before) == 43 and len(after) == 6


def test_centres_are_few_and_near():
    from scipy.sparse import csr_matrix
    from sklearn.preprocessing import normalize

    rng = np.random.default_rng(0)
    middles = rng.normal(size=(5, 30))
    rows = csr_matrix(normalize(np.repeat(middles, 40, axis=0) + 0.05 * rng.normal(size=(200, 30))))
    centres = covering.Centres(8)
    for start in range(0, 200, 37):
        centres.add(rows[start : start + 37])
    assert 5 <= centres.rows.shape[0] <= 8
    groups = centres.nearest(rows).reshape(5, 40)
    assert len({frozenset(group) for group in groups.tolist()}) == 5
    noise = covering.Centres(4)
    noise.add(csr_matrix(np.eye(30)))  # nothing is near anything: any four do
    assert noise.rows.shape[0] <= 4
