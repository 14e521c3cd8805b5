"""What a batch may be made of."""

from collections import Counter

import pytest

from labeling.forms.queries import form_named
from labeling.forms.services import archive_form
from labeling.refusals import Conflict, Refusal
from labeling.sampling import choosing
from labeling.sampling.choosing import Selection
from labeling.sampling.models import Batch, BatchItem
from labeling.sampling.services import add_endpoint, create_batch
from tests.factories import make_batch, make_endpoint, make_prompt

pytestmark = pytest.mark.django_db


def texts(batch: Batch) -> list[str]:
    return [item.prompt.last_message for item in batch.items.select_related("prompt").order_by("id")]


def test_batch_holds_the_accepted_prompts_with_their_k(rita):
    for number in range(3):
        make_prompt(f"p{number}")
    make_prompt("held", state="held")
    make_prompt("dropped", state="dropped")
    batch = create_batch(name="round 1", endpoints=[make_endpoint()], k=5, overlap=2, created_by=rita)
    assert sorted(texts(batch)) == ["p0", "p1", "p2"]
    assert set(batch.items.values_list("k", "state")) == {(5, "waiting")}
    assert (batch.state, batch.overlap, batch.groups) == ("sampling", 2, ["training"])


def test_selection_filters(db):
    make_prompt("valid", user="v", split="valid")
    make_prompt("seed", user="s", source="seeds")
    make_prompt("chat", user="c", use_case="chat")
    used = make_prompt("used", user="u")
    BatchItem.objects.create(batch=make_batch(), prompt=used, k=0)

    def chosen(**filters) -> set[str]:
        return {prompt.last_message for prompt in choosing.selected_prompts(Selection(**filters), seed=0)}

    assert chosen(splits=("valid",)) == {"valid"}
    assert chosen(sources=("seeds",)) == {"seed"}
    assert chosen(use_cases=("chat",)) == {"chat"}
    assert chosen(fresh=True) == {"valid", "seed", "chat"}
    assert chosen(order="newest", count=1) == {"used"}
    assert chosen(order="oldest", count=1) == {"valid"}


def test_random_choice_is_the_seeds(db):
    for number in range(30):
        make_prompt(f"p{number}")

    def chosen(seed: int) -> list[str]:
        return [prompt.last_message for prompt in choosing.selected_prompts(Selection(count=10), seed=seed)]

    assert chosen(1) == chosen(1)
    assert chosen(1) != chosen(2)


def test_mixed_k_is_drawn_from_the_seed(db):
    for number in range(60):
        make_prompt(f"p{number}")
    endpoint = make_endpoint()
    first = create_batch(name="a", endpoints=[endpoint], k="4-9", seed=3)
    again = create_batch(name="b", endpoints=[endpoint], k="4-9", seed=3)
    drawn = dict(first.items.values_list("prompt", "k"))
    assert drawn == dict(again.items.values_list("prompt", "k"))
    assert set(drawn.values()) == {4, 5, 6, 7, 8, 9}


@pytest.mark.parametrize(
    ("k", "weights"),
    [
        (4, {4: 1}),
        ("9", {9: 1}),
        ("4-6", {4: 1, 5: 1, 6: 1}),
        ("4:3, 9:1", {4: 3, 9: 1}),
        ({4: 0.5, 7: 0.5}, {4: 0.5, 7: 0.5}),
    ],
)
def test_k_is_read(k, weights):
    assert choosing.read_k(k) == weights


@pytest.mark.parametrize(
    ("order", "usual", "good", "bad"),
    [("ranks", 4, (2, 3, 9, "2-4"), (1, 10)), ("strength", 2, (2,), (1, 3, "2-3")), ("none", 1, (1, 9), (0, 10))],
)
def test_k_is_what_the_order_can_take(order, usual, good, bad):
    assert choosing.read_k(None, order=order) == choosing.read_k("", order=order) == {usual: 1}
    for k in good:
        assert choosing.read_k(k, order=order)
    for k in bad:
        with pytest.raises(Refusal, match=r"K is \d+;"):
            choosing.read_k(k, order=order)


@pytest.mark.parametrize("k", [1, 10, "1-5", "4-10", "9-4", "4:0", "4:1,4:2", "four", "4,5", True, "-4"])
def test_k_that_makes_no_sense_is_refused(k):
    with pytest.raises(Refusal):
        choosing.read_k(k)


@pytest.mark.parametrize(("name", "k"), [("instructgpt", 4), ("pairs", 2), ("likert", 1), ("realtoxicityprompts", 1)])
def test_batch_takes_a_form_and_its_usual_k(name, k):
    make_prompt()
    batch = create_batch(name="round 1", endpoints=[make_endpoint()], form=form_named(name))
    assert (batch.form.name, batch.items.get().k) == (name, k)


def test_archived_form_is_for_no_new_batch():
    make_prompt()
    form = form_named("pairs")
    archive_form(form=form, archived=True, actor=None)
    form.refresh_from_db()
    with pytest.raises(Refusal, match="archived"):
        create_batch(name="round 1", endpoints=[make_endpoint()], form=form)


def test_ideal_answers_have_no_form():
    make_prompt()
    with pytest.raises(Refusal, match="leave it out"):
        create_batch(name="round 1", kind="demonstration", form=form_named("pairs"))


def test_weights_are_kept_in_the_long_run():
    drawn = Counter(choosing.draw_k({4: 3.0, 9: 1.0}, seed=0, prompt_sha256=str(number)) for number in range(2000))
    assert 0.70 < drawn[4] / 2000 < 0.80


@pytest.mark.parametrize("count", [1, 2, 3])
def test_shares_are_even(count):
    for k in range(4, 10):
        shares = choosing.share_out(k, count, seed=1, prompt_sha256="x")
        assert sum(shares) == k
        assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"endpoints": []}, "needs an endpoint"),
        ({"k": 1}, "from 2 to 9"),
        ({"k": 12}, "from 2 to 9"),
        ({"overlap": 0}, "overlap"),
        ({"groups": []}, "labeler groups"),
        ({"groups": ["friends"]}, "no labeler group"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": 0}, "always writes the same"),
        ({"top_p": 0}, "Top-p"),
        ({"max_tokens": 5000}, "4096"),
        ({"seed": 2**63}, "64 bits"),
        ({"priority": 5000}, "priority"),
        ({"name": ""}, "1 to 100 characters"),
        ({"name": "a/b"}, "slash"),
        ({"name": "a\x00b"}, "NUL"),
        ({"kind": "poem"}, "kind of batch"),
        ({"kind": "demonstration"}, "leave the endpoints out"),
        ({"prompts": Selection(splits=("dev",))}, "no split"),
        ({"prompts": Selection(order="best")}, "order"),
        ({"prompts": Selection(count=0)}, "at least 1"),
        ({"prompts": Selection(sources=("nowhere",))}, "No accepted prompt"),
    ],
)
def test_batch_that_makes_no_sense_is_refused_with_a_sentence(change, sentence):
    make_prompt()
    with pytest.raises(Refusal, match=sentence):
        create_batch(**{"name": "x", "endpoints": [make_endpoint()], "k": 4, **change})
    assert not Batch.objects.exists()


def test_evaluation_asks_as_much_of_each_endpoint(db):
    make_prompt()
    two = [make_endpoint(), make_endpoint()]
    with pytest.raises(Refusal, match="evenly"):
        create_batch(name="x", endpoints=two, k=5, evaluation=True)
    batch = create_batch(name="x", endpoints=two, k=4, evaluation=True)
    assert batch.evaluation
    assert create_batch(name="pairs", endpoints=two, k=2, temperature=0, evaluation=True).items.get().k == 2


def test_name_is_taken_once(db):
    make_prompt()
    create_batch(name="x", endpoints=[make_endpoint()])
    with pytest.raises(Conflict, match="already"):
        create_batch(name="x", endpoints=[make_endpoint()])


def test_endpoint_that_is_off_is_refused(db):
    make_prompt()
    endpoint = make_endpoint()
    endpoint.active = False
    endpoint.save()
    with pytest.raises(Refusal, match="switched off"):
        create_batch(name="x", endpoints=[endpoint])


def test_demonstration_batch_needs_no_sampling(db):
    make_prompt()
    batch = create_batch(name="to write", kind="demonstration")
    assert set(batch.items.values_list("k", "state")) == {(0, "filled")}


@pytest.mark.parametrize(
    "address",
    ["", "models", "ftp://host", "http://", "http://user:key@host", "http://host:99999", "http://a b", "javascript:1"],
)
def test_address_that_is_none_is_refused(db, address):
    with pytest.raises(Refusal):
        add_endpoint(name="e", base_url=address, model="m")


def test_keys_are_read_from_variables_of_their_own_name_only(db):
    with pytest.raises(Refusal, match="MODEL_API_KEY"):
        add_endpoint(name="e", base_url="http://host", model="m", api_key_variable="SECRET_KEY")
    assert add_endpoint(name="e", base_url="http://host/", model="m", api_key_variable="MODEL_API_KEY_VLLM")
    with pytest.raises(Conflict):
        add_endpoint(name="e", base_url="http://host", model="m")
