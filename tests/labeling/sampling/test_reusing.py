"""Completions that there are already are ranked again in other company, chosen with probabilities that are stored."""

from __future__ import annotations

import random

import numpy as np
import pytest

from labeling.intervals import weighted_mean
from labeling.label_errors.models import CompletionScore
from labeling.leasing.models import Task
from labeling.leasing.services import open_tasks
from labeling.pipeline.models import Checkpoint
from labeling.refusals import Refusal
from labeling.sampling import reusing
from labeling.sampling.choosing import Selection
from labeling.sampling.models import Completion
from labeling.sampling.services import create_batch, fill_batch
from tests.factories import make_batch, make_endpoint, make_prompt, make_task


def test_weights_by_hand():
    even = reusing.weights_of(np.array([[0.0, 0.0, 100.0]]), strategy="uncertainty")
    # The first two are a toss-up with each other and decided against the third.
    assert even == pytest.approx([0.5, 0.5, 0.0], abs=1e-9)
    # One model puts the first above the second for certain, the other below; both put the third last.
    differ = reusing.weights_of(np.array([[50.0, 0.0, -99.0], [0.0, 50.0, -99.0]]), strategy="disagreement")
    assert differ == pytest.approx([0.5, 0.5, 0.0], abs=1e-9)
    assert list(reusing.weights_of(np.empty((0, 3)), strategy="uncertainty")) == [1, 1, 1]
    unknown = reusing.weights_of(np.array([[0.0, 0.0, np.nan]]), strategy="uncertainty")
    assert unknown == pytest.approx([1.0, 1.0, 1.0])
    assert list(reusing.weights_of(np.array([[1.0, 2.0]]), strategy="disagreement")) == [1, 1]


def test_drawing_some_takes_each_as_often_as_it_says():
    weights = np.array([8.0, 4.0, 1.0, 1.0, 1.0, 0.0])
    rng, times, said, means = random.Random(3), np.zeros(6), np.zeros(6), []
    values = np.arange(6.0)
    for _time in range(3000):
        found = reusing.draw_some(weights, 3, floor=0.2, rng=rng)
        assert len(found) == 3
        for place, likely in found:
            times[place] += 1
            said[place] = likely
        means.append(weighted_mean(values[[p for p, _l in found]], np.array([likely for _p, likely in found])))
    assert said[0] == 1.0 and said[5] >= 0.2 * 3 / 6 and said.sum() == pytest.approx(3)
    assert times / 3000 == pytest.approx(said, abs=0.035)
    # Hájek's mean leans a little where three are drawn: nearer the truth, 2.5, than the plain one.
    assert abs(np.mean(means) - 2.5) < 0.5
    assert reusing.draw_some(weights, 6, floor=0.2, rng=rng) == [(place, 1.0) for place in range(6)]


@pytest.mark.django_db
def test_a_batch_of_completions_that_are_there(ada):
    model = Checkpoint.objects.create(name="rm", kind="reward", folder="/", weights_sha256="0" * 64)
    prompt, other, evaluated = (make_prompt(text) for text in ("one?", "two?", "three?"))
    task = make_task(prompt=prompt, texts=[f"answer {n}" for n in range(6)])
    make_task(prompt=prompt, texts=["answer 0", "answer 6"])  # one of them came twice
    make_task(prompt=other, texts=["alone"])
    make_task(prompt=evaluated, batch=make_batch(evaluation=True))
    for completion in Completion.objects.filter(item=task.item):
        near = completion.text in ("answer 1", "answer 2")
        CompletionScore.objects.create(
            checkpoint=model, completion=completion, score=0 if near else 50 * int(completion.text[-1])
        )
    batch = create_batch(name="again", reuse="uncertainty", k=3, again=True, prompts=Selection(count=9, fresh=True))
    item = batch.items.get()
    assert item.prompt == prompt and item.probability == 1.0, "the others have too few, or were an evaluation's"
    assert fill_batch(batch=batch, beat=lambda **_: None, stored=lambda: open_tasks(batch=batch))["filled"] == 1
    copies = list(item.completions.all())
    assert len(copies) == 3 and all(0 < each.probability <= 1 for each in copies)
    assert {each.text for each in copies} <= {f"answer {n}" for n in range(7)}
    assert all(each.provenance.get().model == "secret-model" for each in copies)
    assert Task.objects.filter(batch=batch).count() == 1
    # What was chosen here is a copy: it is no completion that is there, and filling again does nothing.
    assert fill_batch(batch=batch, beat=lambda **_: None)["filled"] == 1 and item.completions.count() == 3
    assert reusing.usable_completions().filter(item=item).count() == 0


@pytest.mark.django_db
def test_what_is_refused():
    make_task()
    for wrong in ({"kind": "demonstration"}, {"evaluation": True}, {"endpoints": [make_endpoint()]}, {"reuse": "odd"}):
        with pytest.raises(Refusal, match="that are there"):
            create_batch(**{"name": "b", "reuse": "random", **wrong})
    with pytest.raises(Refusal, match="No accepted prompt matches"):
        create_batch(name="b", reuse="random", k=9)
