"""Filling a batch: what is stored of what the endpoints say, and what happens when they do not."""

import hashlib

import pytest

from labeling.refusals import Refusal, TryLater
from labeling.sampling import services
from labeling.sampling.models import Batch, BatchItem, Completion, Provenance
from labeling.sampling.services import check_endpoint, create_batch, fill_batch, retry_failed
from tests.factories import make_endpoint, make_prompt

pytestmark = pytest.mark.django_db


def quiet(**_: object) -> None:
    pass


@pytest.fixture
def batch(scripted) -> Batch:
    for number in range(3):
        make_prompt(f"p{number}")
    endpoint = make_endpoint("one", base_url=scripted.url, model="scripted")
    return create_batch(name="round", endpoints=[endpoint], k=4, seed=11, temperature=0.7, max_tokens=32)


def test_every_completion_names_model_seed_and_parameters(batch, scripted):
    counts = fill_batch(batch=batch, beat=quiet)
    assert counts == {"items": 3, "filled": 3, "failed": 0}
    assert batch.state == "open"
    assert Completion.objects.count() == 12
    entry = Provenance.objects.select_related("completion").first()
    assert (entry.model, entry.endpoint.name, entry.tokens, entry.logprob) == ("scripted", "one", 2, -1.5)
    index = entry.parameters.pop("index")
    assert entry.parameters == {"temperature": 0.7, "top_p": 1.0, "max_tokens": 32, "n": 4}
    assert entry.completion.text == f"{entry.seed}-{index}"
    assert entry.completion.text_sha256 == hashlib.sha256(entry.completion.text.encode()).hexdigest()


def test_one_request_asks_for_all_k(batch, scripted):
    fill_batch(batch=batch, beat=quiet)
    assert [request["n"] for request in scripted.requests] == [4, 4, 4]
    assert len({request["seed"] for request in scripted.requests}) == 3


def test_same_seed_asks_the_same(batch, scripted):
    fill_batch(batch=batch, beat=quiet)
    seeds = {request["messages"][0]["content"]: request["seed"] for request in scripted.requests}
    scripted.requests.clear()
    again = create_batch(name="again", endpoints=batch.endpoints.all(), k=4, seed=11)
    fill_batch(batch=again, beat=quiet)
    assert {request["messages"][0]["content"]: request["seed"] for request in scripted.requests} == seeds


def test_equal_samples_are_asked_for_again_then_merged_and_noted(batch, scripted):
    def answer(body):
        return ["same", "same", "other", "third"] if body["n"] == 4 else ["fresh"]

    scripted.answer = answer
    fill_batch(batch=batch, beat=quiet)
    item = batch.items.first()
    texts = {completion.text: completion.provenance.count() for completion in item.completions.all()}
    assert texts == {"same": 2, "other": 1, "third": 1, "fresh": 1}
    assert item.note == "1 came out the same as another and was merged"


def test_samples_that_stay_equal_are_fewer_and_it_says_so(batch, scripted):
    scripted.answer = lambda body: (["a", "b"] * body["n"])[: body["n"]]
    fill_batch(batch=batch, beat=quiet)
    item = batch.items.first()
    assert item.state == "filled"
    assert item.completions.count() == 2
    assert Provenance.objects.filter(completion__item=item).count() == 4 + 3 * 2
    assert item.note == "4 wanted, 2 differ; 8 came out the same as another and were merged"
    assert len(scripted.requests) == 3 * 4


def test_single_text_cannot_be_ranked(batch, scripted):
    scripted.answer = lambda body: ["always"] * body["n"]
    counts = fill_batch(batch=batch, beat=quiet)
    assert counts["failed"] == 3
    item = batch.items.first()
    assert "a ranking needs 2" in item.error
    assert not Completion.objects.exists()


@pytest.mark.parametrize("bad", ["", " \n", "nul\x00inside", "lone \ud800 surrogate"])
def test_texts_that_cannot_be_shown_or_kept_are_asked_for_again(batch, scripted, bad):
    scripted.answer = lambda body: ["a", "b", "c", bad] if body["n"] == 4 else ["d"]
    fill_batch(batch=batch, beat=quiet)
    item = batch.items.first()
    assert {completion.text for completion in item.completions.all()} == {"a", "b", "c", "d"}
    assert item.note == "1 empty or unreadable left out"


def test_texts_are_kept_to_the_byte(batch, scripted):
    odd = ["  a\r\n", "e\u0301 é", "\u2028\u0085\ufeff", "\u202emirrored", "<b>&amp;</b>"]
    scripted.answer = lambda body: odd[: body["n"]]
    fill_batch(batch=batch, beat=quiet)
    kept = {completion.text for completion in batch.items.first().completions.all()}
    assert kept == set(odd[:4])


def test_prompt_that_the_server_refuses_fails_alone(batch, scripted):
    def answer(body):
        if body["messages"][0]["content"] == "p1":
            return 400, "This prompt is longer than the model can read."
        return [f"{body['seed']}-{index}" for index in range(body["n"])]

    scripted.answer = answer
    assert fill_batch(batch=batch, beat=quiet) == {"items": 3, "filled": 2, "failed": 1}
    assert "longer than the model can read" in batch.items.get(state="failed").error
    scripted.answer = lambda body: ["a", "b", "c", "d"]
    retry_failed(batch=batch, actor=None)
    assert fill_batch(batch=batch, beat=quiet)["failed"] == 0


def test_unknown_model_stops_the_batch_and_keeps_its_items(batch, scripted):
    scripted.answer = lambda body: (404, "There is no model called scripted.")
    with pytest.raises(TryLater, match="no model called"):
        fill_batch(batch=batch, beat=quiet)
    assert batch.items.filter(state="waiting").count() == 3


def test_endpoint_that_is_down_is_tried_later_and_loses_nothing(batch, scripted, monkeypatch):
    monkeypatch.setattr(services, "IN_FLIGHT", 1)
    monkeypatch.setattr("models_service.client.FIRST_PAUSE_SECONDS", 0.01)

    def answer(body):
        if len(scripted.requests) > 1:
            return 503, "loading"
        return ["a", "b", "c", "d"]

    scripted.answer = answer
    with pytest.raises(TryLater, match="goes on from there"):
        fill_batch(batch=batch, beat=quiet)
    assert batch.items.filter(state="filled").count() == 1
    scripted.answer = lambda body: ["a", "b", "c", "d"]
    scripted.requests.clear()
    assert fill_batch(batch=batch, beat=quiet)["filled"] == 3
    assert len(scripted.requests) == 2


def test_killed_job_goes_on_where_it_was(batch, scripted, monkeypatch):
    monkeypatch.setattr(services, "IN_FLIGHT", 1)

    class Killed(BaseException):
        pass

    def beat(*, done, total, **_):
        if done == 1:
            raise Killed

    with pytest.raises(Killed):
        fill_batch(batch=batch, beat=beat)
    assert batch.items.filter(state="filled").count() == 1
    first = set(Completion.objects.values_list("pk", flat=True))
    fill_batch(batch=batch, beat=quiet)
    assert first < set(Completion.objects.values_list("pk", flat=True))
    assert Completion.objects.count() == 12
    assert fill_batch(batch=batch, beat=quiet) == {"items": 3, "filled": 3, "failed": 0}
    assert Completion.objects.count() == 12


def test_item_that_another_worker_filled_is_left_alone(batch, scripted):
    item = batch.items.select_related("prompt").first()
    endpoints = list(batch.endpoints.all())
    wish = services.wish_of(batch, item, endpoints)
    clients = {endpoints[0].pk: services.drawing.client_for(endpoints[0])}
    drawn = services.drawing.draw(wish, clients)
    assert services.store_samples(item=item, batch=batch, endpoints=endpoints, drawn=drawn)
    assert not services.store_samples(item=item, batch=batch, endpoints=endpoints, drawn=drawn)
    assert item.completions.count() == 4


def test_prompt_dropped_since_is_not_sent(batch, scripted):
    prompt = batch.items.first().prompt
    prompt.state = "dropped"
    prompt.save()
    assert fill_batch(batch=batch, beat=quiet)["failed"] == 1
    assert len(scripted.requests) == 2


def test_closed_batch_is_not_sampled(batch, scripted):
    Batch.objects.update(state="closed")
    with pytest.raises(Refusal, match="closed"):
        fill_batch(batch=batch, beat=quiet)
    assert scripted.requests == []


def test_several_endpoints_share_k(scripted):
    for number in range(8):
        make_prompt(f"p{number}")
    endpoints = [make_endpoint(name, base_url=scripted.url, model="scripted") for name in ("one", "two")]
    batch = create_batch(name="mixed", endpoints=endpoints, k=5)
    fill_batch(batch=batch, beat=quiet)
    for item in batch.items.all():
        by = sorted(Provenance.objects.filter(completion__item=item).values_list("endpoint__name", flat=True))
        assert by in (["one"] * 2 + ["two"] * 3, ["one"] * 3 + ["two"] * 2)


def test_in_an_evaluation_models_may_say_the_same(scripted):
    make_prompt()
    endpoints = [
        make_endpoint("old", base_url=scripted.url, model="old"),
        make_endpoint("new", base_url=scripted.url, model="new"),
    ]
    scripted.answer = lambda body: ["both say", body["model"]]
    batch = create_batch(name="duel", endpoints=endpoints, k=4, evaluation=True)
    fill_batch(batch=batch, beat=quiet)
    item = batch.items.get()
    wrote = {text: set() for text in ("both say", "old", "new")}
    for completion in item.completions.all():
        wrote[completion.text] = set(completion.provenance.values_list("endpoint__name", flat=True))
    assert wrote == {"both say": {"old", "new"}, "old": {"old"}, "new": {"new"}}
    assert len(scripted.requests) == 2


def test_evaluation_without_a_word_of_one_model_fails(scripted):
    make_prompt()
    endpoints = [
        make_endpoint("old", base_url=scripted.url, model="old"),
        make_endpoint("new", base_url=scripted.url, model="new"),
    ]
    scripted.answer = lambda body: ["a", "b"][: body["n"]] if body["model"] == "old" else [""] * body["n"]
    batch = create_batch(name="duel", endpoints=endpoints, k=4, evaluation=True)
    fill_batch(batch=batch, beat=quiet)
    assert "No usable completion came of new" in BatchItem.objects.get().error


def test_check_says_whether_the_server_has_the_model(scripted):
    good = make_endpoint(base_url=scripted.url, model="scripted")
    other = make_endpoint(base_url=scripted.url, model="gpt-9")
    down = make_endpoint(base_url="http://127.0.0.1:9", model="scripted")
    assert check_endpoint(endpoint=good).check_error == ""
    assert "has no model gpt-9; it has: scripted" in check_endpoint(endpoint=other).check_error
    assert "cannot be reached" in check_endpoint(endpoint=down).check_error
    assert down.checked_at is not None


def test_missing_key_is_named(scripted):
    endpoint = make_endpoint(base_url=scripted.url)
    endpoint.api_key_variable = "MODEL_API_KEY_NOWHERE"
    endpoint.save()
    assert "MODEL_API_KEY_NOWHERE" in check_endpoint(endpoint=endpoint).check_error
