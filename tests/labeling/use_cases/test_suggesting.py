"""A classifier learns from people alone; what it suggests stays apart from what they say."""

from __future__ import annotations

import io
import pickle
import random

import numpy as np
import pytest

from labeling import jobs
from labeling.intake.models import Prompt
from labeling.refusals import Refusal
from labeling.use_cases import learning, queries, services, suggesting, targets
from labeling.use_cases.models import UseCaseModel, UseCaseSuggestion
from tests.factories import make_prompt

ABOUT = ("the sea", "old trains", "my garden", "a lost key", "two brothers", "bread", "the moon", "rain", "a bridge")
ASKED = {
    "summarization": "Summarize this text about {about} in one sentence.",
    "generation": "Write a short story about {about}.",
    "open_qa": "What is known about {about}?",
}


def texts(each: int) -> list[tuple[str, str]]:
    chance = random.Random(1)
    found = [
        (asked.format(about=f"{chance.choice(ABOUT)} and {chance.choice(ABOUT)}") + f" ({n})", name)
        for name, asked in ASKED.items()
        for n in range(each)
    ]
    chance.shuffle(found)
    return found


def test_it_tells_texts_that_it_has_not_seen():
    rows, names = zip(*texts(20), strict=True)
    measured = learning.cross_validate(rows, names, [True] * 60)
    assert measured.count == 60 and measured.right >= 55
    assert measured.right_majority <= 30 and measured.chance == pytest.approx(1 / 3)
    assert set(measured.by_use_case) == set(ASKED)
    # Those that are not counted teach and are not told.
    assert learning.cross_validate(rows, names, [n < 10 for n in range(60)]).count == 10


@pytest.mark.parametrize("kinds", [2, 3])
def test_a_model_comes_back_from_its_bytes_without_pickle(kinds):
    rows, names = zip(*[each for each in texts(8) if each[1] in list(ASKED)[:kinds]], strict=True)
    model = learning.fit(rows, names)
    again = learning.Model.from_bytes(model.as_bytes())
    said, likely = again.predict(rows)
    assert said == model.predict(rows)[0]
    assert likely == pytest.approx(model.predict(rows)[1], abs=1e-4)
    # As scikit-learn itself says.
    from sklearn.linear_model import LogisticRegression

    inputs = model._vectoriser().transform(rows)
    slow = LogisticRegression(C=10.0, max_iter=500).fit(inputs, names).predict_proba(inputs).max(1)
    assert likely == pytest.approx(slow, abs=1e-3)
    hostile = io.BytesIO()
    np.savez(hostile, head=np.array([print], dtype=object), idf=np.ones(1))
    for kept in (pickle.dumps(model), hostile.getvalue()):
        with pytest.raises(ValueError, match="pickle"):
            learning.Model.from_bytes(kept)


@pytest.mark.django_db
def test_from_peoples_words_to_suggestions(page, api, amy, rita):
    for n, (text, name) in enumerate(texts(12)):
        prompt = make_prompt(text, user=f"u{n}")
        services.assign(prompt_id=prompt.pk, use_case=name, person=amy, saw=name if n < 6 else "")
    unnamed = [
        make_prompt("Summarize this text about apples in one sentence."),
        make_prompt("What is known about tea?"),
    ]
    given = make_prompt("Write a short story about ink.", use_case="chat")
    client = page(amy)
    assert page(rita).post("/use-cases/train/").status_code == 403
    assert client.post("/use-cases/train/").status_code == 302
    job = jobs.run_now(str(suggesting.running_job().pk))
    assert job.state == "done", job.error
    model = UseCaseModel.objects.get()
    assert model.prompts == 36 and model.measured == 30, "words said in sight of a suggestion measure nothing"
    assert model.accuracy_low < model.accuracy and model.accuracy > model.majority
    assert len(model.data_sha256) == len(model.weights_sha256) == 64
    # Every prompt is told, and what people say, or what came with it, is what it was.
    assert UseCaseSuggestion.objects.count() == Prompt.objects.count() == 39
    told = queries.suggestions_of([each.pk for each in (*unnamed, given)])
    assert [told[each.pk].use_case for each in (*unnamed, given)] == ["summarization", "open_qa", "generation"]
    assert [Prompt.objects.get(pk=each.pk).use_case for each in (*unnamed, given)] == ["", "", "chat"]
    assert not queries.labels_of([unnamed[0].pk])[unnamed[0].pk].by
    rows = {row.use_case: row for row in queries.mix().rows}
    assert (rows["summarization"].people, rows["summarization"].suggested) == (12, 1)
    assert queries.mix().counted == 37 and queries.mix(with_suggestions=True).counted == 39
    shown = client.get("/use-cases/").content.decode()
    assert "Version 1 of the classifier" in shown
    assert api(amy).get("/api/v1/use-cases/").json()["classifier"]["version"] == 1
    # The same data train no second version; a prompt that comes in is told by the newest.
    assert suggesting.train(actor=amy).number == 1
    assert suggesting.keep_up() is None
    make_prompt("Write a short story about jam.")
    jobs.run_now(str(suggesting.keep_up().pk))
    assert UseCaseSuggestion.objects.count() == 40 and suggesting.keep_up() is None


@pytest.mark.django_db
def test_a_suggestion_is_in_sight_only_where_the_setting_says_so(page, amy):
    prompt = make_prompt("Why?")
    model = UseCaseModel.objects.create(
        number=1,
        weights=b"",
        prompts=30,
        measured=30,
        accuracy=0.5,
        accuracy_low=0.4,
        accuracy_high=0.6,
        majority=0.1,
        chance=0.1,
    )
    UseCaseSuggestion.objects.create(prompt=prompt, model=model, use_case="open_qa", probability=0.75)
    shares = dict(targets.PAPER_SHARES)
    client = page(amy)
    for shown, marks in (
        ("after", ["data-suggested"]),
        ("never", []),
        ("before", ["data-saw", "Suggested by a program", "75.0 %"]),
    ):
        targets.set_target(shares=shares, suggestions=shown, actor=amy)
        found = client.get("/use-cases/assign/").content.decode()
        every = ["data-suggested", "data-saw", "Suggested by a program", "75.0 %"]
        assert [mark for mark in every if mark in found] == marks


@pytest.mark.django_db
def test_too_few_words_are_told(amy):
    services.assign(prompt_id=make_prompt().pk, use_case="chat", person=amy)
    with pytest.raises(Refusal, match="1 prompts in 1 categories"):
        suggesting.start_training(actor=amy)
