"""How many words are wanted of a written answer: chosen with the batch, a hint to who writes, held against nobody."""

from __future__ import annotations

import pytest

from labeling.refusals import Refusal
from labeling.sampling.models import Batch
from labeling.sampling.services import create_batch, repeat_batch
from tests import factories

pytestmark = pytest.mark.django_db


def make_task(**words) -> None:
    factories.make_task(batch=factories.make_batch(kind="demonstration", **words), texts=())


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ({"words_low": 50, "words_high": 150}, {"low": 50, "high": 150}),
        ({"words_high": 5}, {"low": None, "high": 5}),
        ({}, None),
    ],
)
def test_labeler_is_told_with_the_task(ada, api, page, words, shown):
    make_task(**words)
    task = api(ada).post("/api/v1/tasks/next/").json()
    assert task["words"] == shown
    html = page(ada).get(f"/work/{task['id']}/").content.decode()
    assert ('data-words-high="' in html) == bool(shown)
    answer = api(ada).post(
        f"/api/v1/tasks/{task['id']}/submit/", {"text": "One."}, format="json", HTTP_IDEMPOTENCY_KEY="k"
    )
    assert answer.status_code == 201


def test_of_a_ranking_no_words_are_wanted(ada, api):
    factories.make_task()
    assert api(ada).post("/api/v1/tasks/next/").json()["words"] is None


def test_batch_is_made_with_them_by_page_api_and_repeat(rita, api, page):
    factories.make_prompt()
    body = {"name": "by api", "kind": "demonstration", "words_low": 3}
    made = api(rita).post("/api/v1/batches/", body, format="json").json()
    assert (made["words_low"], made["words_high"]) == (3, None)
    fields = {"name": "by page", "kind": "demonstration", "k": "4", "order": "random", "overlap": "1"}
    fields |= {"groups": "training", "priority": "0", "temperature": "1", "top_p": "1", "max_tokens": "64", "seed": "7"}
    client = page(rita)
    assert client.post("/batches/new/", {**fields, "words_low": "3", "words_high": "2"}).status_code == 400
    assert client.post("/batches/new/", {**fields, "words_low": "3", "words_high": "20"}).status_code == 302
    batch = Batch.objects.get(name="by page")
    assert (batch.words_low, batch.words_high) == (3, 20)
    assert "3–20" in client.get(f"/batches/{batch.pk}/").content.decode()
    again = repeat_batch(batch=batch, name="again", count=None, actor=rita)
    assert (again.words_low, again.words_high) == (3, 20)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"words_low": 3, "words_high": 2}, "empty range"),
        ({"words_low": 0}, "cannot be wanted"),
        ({"words_high": 20_001}, "cannot be wanted"),
    ],
)
def test_words_that_make_no_sense_are_refused(given, sentence):
    factories.make_prompt()
    with pytest.raises(Refusal, match=sentence):
        create_batch(name="x", kind="demonstration", **given)


def test_words_of_a_batch_to_rank_are_refused():
    factories.make_prompt()
    with pytest.raises(Refusal, match="batch to rank"):
        create_batch(name="x", endpoints=[factories.make_endpoint()], words_low=3)
