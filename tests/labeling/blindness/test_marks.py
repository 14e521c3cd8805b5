"""Completions that name their maker: marked when stored, held until somebody decides."""

from __future__ import annotations

import pytest

from labeling.audit.models import AuditEvent
from labeling.blindness.services import allow_term, decide_completion
from labeling.forms.queries import form_named
from labeling.leasing.models import Lease, Task
from labeling.leasing.services import grant_lease, open_tasks
from labeling.refusals import Conflict, NotFound, Refusal
from labeling.sampling.models import Completion, CompletionMark
from labeling.sampling.services import create_batch, fill_batch, repeat_batch, retry_failed
from tests.factories import make_endpoint, make_prompt
from tests.labeling.sampling.conftest import scripted  # noqa: F401, a fixture

pytestmark = pytest.mark.django_db

GIVES_AWAY = "As ChatGPT, made by OpenAI, I cannot."


def sampled(scripted, texts, *, prompt="Who?", model="SmolLM2-135M-Instruct", **asked):  # noqa: F811
    """A batch of one prompt whose completions are `texts`, its tasks opened as far as they can be."""
    scripted.answer = lambda body: texts[: body["n"]]
    endpoint = make_endpoint(base_url=scripted.url, model=model)
    asked = {"name": "round", "k": len(texts), **asked}
    batch = create_batch(endpoints=[endpoint], prompts=[make_prompt(prompt)], **asked)
    fill_batch(batch=batch, beat=lambda **_: None, stored=lambda: open_tasks(batch=batch))
    return batch


def marked() -> dict[str, str]:
    return {mark.completion.text[mark.start : mark.end]: mark.state for mark in CompletionMark.objects.all()}


def completion(text: str) -> Completion:
    return Completion.objects.get(text=text)


def test_names_are_marked_with_their_place(scripted):  # noqa: F811
    batch = sampled(scripted, [GIVES_AWAY, "🙂 I am smollm2!", "It was Ada."])
    assert marked() == {"ChatGPT": "waiting", "OpenAI": "waiting", "smollm2": "waiting"}
    assert open_tasks(batch=batch) == 0


def test_a_name_that_stands_in_the_prompt_gives_nothing_away(scripted):  # noqa: F811
    sampled(scripted, [GIVES_AWAY, "Nobody."], prompt="What are chatgpt and OpenAI?")
    assert marked() == {}
    assert Task.objects.count() == 1


def test_the_task_opens_once_all_is_decided(scripted, amy, ada):  # noqa: F811
    sampled(scripted, [GIVES_AWAY, "I am SmolLM", "It was Ada."])
    decide_completion(completion_id=completion(GIVES_AWAY).pk, outcome="allowed", actor=amy)
    assert grant_lease(labeler=ada) is None
    decide_completion(completion_id=completion("I am SmolLM").pk, outcome="allowed", actor=amy)
    assert len(grant_lease(labeler=ada).order_shown) == 3
    assert set(marked().values()) == {"allowed"}
    assert AuditEvent.objects.filter(action="completion.allowed", actor=amy).count() == 2


def test_what_is_left_out_reaches_nobody(scripted, amy, ada):  # noqa: F811
    sampled(scripted, [GIVES_AWAY, "One.", "Two."])
    left_out = completion(GIVES_AWAY)
    decide_completion(completion_id=left_out.pk, outcome="withheld", actor=amy)
    lease = grant_lease(labeler=ada)
    others = {str(completion(text).pk) for text in ("One.", "Two.")}
    assert set(lease.order_shown) == set(lease.order_ranked) == others
    assert Lease.objects.count() == 1


@pytest.mark.parametrize(("form", "texts", "needs"), [("instructgpt", 2, 2), ("pairs", 2, 2)])
def test_too_few_left_fail_the_item_with_a_sentence(scripted, amy, form, texts, needs):  # noqa: F811
    batch = sampled(scripted, ["I am GPT-4.", "I am SmolLM"], form=form_named(form))
    decide_completion(completion_id=completion("I am GPT-4.").pk, outcome="withheld", actor=amy)
    item = batch.items.get()
    assert item.state == "failed"
    assert f"1 completion left after those that name a model were left out; this form needs {needs}" in item.error
    assert not CompletionMark.objects.filter(state="waiting").exists()
    with pytest.raises(Refusal, match="nothing to try again"):
        retry_failed(batch=batch, actor=amy)


def test_an_evaluation_needs_a_completion_of_each_model(scripted, amy):  # noqa: F811
    one, two = (make_endpoint(name, base_url=scripted.url, model=name) for name in ("one-model", "two-model"))
    texts = iter([["I am GPT-4."], ["Nobody."]])
    scripted.answer = lambda body: next(texts)
    batch = create_batch(name="e", endpoints=[one, two], prompts=[make_prompt("Who?")], k=2, evaluation=True)
    fill_batch(batch=batch, beat=lambda **_: None)
    decide_completion(completion_id=completion("I am GPT-4.").pk, outcome="withheld", actor=amy)
    assert batch.items.get().state == "failed"


def test_a_decision_stays(scripted, amy):  # noqa: F811
    sampled(scripted, [GIVES_AWAY, "One.", "Two."])
    pk = completion(GIVES_AWAY).pk
    for _ in range(2):
        decide_completion(completion_id=pk, outcome="withheld", actor=amy)
    with pytest.raises(Conflict, match="withheld; that stays"):
        decide_completion(completion_id=pk, outcome="allowed", actor=amy)
    assert AuditEvent.objects.filter(action__startswith="completion.").count() == 1


def test_nothing_to_decide_is_said(scripted, amy):  # noqa: F811
    sampled(scripted, [GIVES_AWAY, "One."])
    for unknown in (completion("One.").pk, "no id"):
        with pytest.raises(NotFound):
            decide_completion(completion_id=unknown, outcome="allowed", actor=amy)
    with pytest.raises(Refusal, match="allowed or withheld"):
        decide_completion(completion_id=completion(GIVES_AWAY).pk, outcome="odd", actor=amy)


def test_all_with_one_term_are_served_together(scripted, amy):  # noqa: F811
    sampled(scripted, ["I am ChatGPT.", "ChatGPT says so.", "No."])
    assert allow_term(term="ChatGPT", actor=amy) == 2
    assert allow_term(term="ChatGPT", actor=amy) == 0
    assert Task.objects.count() == 1


def test_what_another_term_holds_goes_on_waiting(scripted, amy):  # noqa: F811
    sampled(scripted, [GIVES_AWAY, "No."])
    allow_term(term="ChatGPT", actor=amy)
    assert marked() == {"ChatGPT": "allowed", "OpenAI": "waiting"}
    assert not Task.objects.exists()


def test_a_batch_that_holds_nothing_back_says_what_it_served(scripted):  # noqa: F811
    sampled(scripted, [GIVES_AWAY, "No."], hold_named=False)
    assert marked() == {"ChatGPT": "allowed", "OpenAI": "allowed"}
    assert Task.objects.count() == 1


def test_a_repeat_leaves_out_what_was_left_out(scripted, amy):  # noqa: F811
    batch = sampled(scripted, [GIVES_AWAY, "One.", "Two."])
    with pytest.raises(Refusal, match="nothing to repeat"):
        repeat_batch(batch=batch, name="again", count=None, actor=amy)
    decide_completion(completion_id=completion(GIVES_AWAY).pk, outcome="withheld", actor=amy)
    repeat = repeat_batch(batch=batch, name="again", count=None, actor=amy)
    assert set(repeat.items.get().completions.values_list("text", flat=True)) == {"One.", "Two."}
