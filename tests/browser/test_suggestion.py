"""Suggestions on the pages on which people write, in real Chromium, by a real model where its words do not matter."""

from __future__ import annotations

import re
import threading

import pytest
from django.db import connection
from playwright.sync_api import Page, expect

from labeling import jobs
from labeling.background.models import Job
from labeling.demos.models import Demonstration, DemonstrationSuggestion, Suggestion
from labeling.leasing.models import Lease
from tests.factories import make_batch, make_endpoint, make_prompt, make_task, turns_of
from tests.labeling.demos.conftest import teller  # noqa: F401, a fixture
from tests.models_service.serving import wait_for


def begin(sign_in, person, *, url: str, model: str = "secret-model", kind: str = "demonstration", **more) -> Page:
    endpoint = make_endpoint("secret-endpoint", model=model, base_url=url)
    batch = make_batch(kind=kind, suggestions=endpoint, **more)
    make_task(batch=batch, prompt=make_prompt("Why does it rain?"), texts=())
    page = sign_in(person, at="/work/")
    page.get_by_role("button", name="Begin").click()
    page.wait_for_selector("main[data-live]")
    return page


def work() -> None:
    """What the worker does with the job that waits, or is about to."""
    wait_for(lambda: Job.objects.filter(state="queued").exists())
    jobs.run_now(Job.objects.get(state="queued").pk)


def work_beside() -> threading.Thread:
    """The same, while the page goes on."""

    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_text_grows_is_used_edited_and_submitted(sign_in, ada, model_server):
    page = begin(sign_in, ada, url=model_server.url, model=model_server.model, max_tokens=80, temperature=0.0)
    text, state = page.locator("[data-suggestion-text]"), page.locator("[data-suggestion-state]")
    said, answer = page.locator("[data-announce]"), page.get_by_label("Your answer")
    use = page.get_by_role("button", name="Use it")
    expect(use).to_be_hidden()
    page.keyboard.press("F8")
    expect(said).to_have_text("A suggestion is being written.")
    expect(state).to_have_text("Asked for…")
    worker = work_beside()
    lengths = set()
    expect(text).not_to_be_empty()
    # At one moment: it may end between two looks.
    look = """() => ["state", "text", "use"].map((name) => document.querySelector(`[data-suggestion-${name}]`))
        .map((part) => part.matches("button") ? part.disabled : part.textContent)"""
    while "Being written" in (seen := page.evaluate(look))[0]:
        lengths.add(len(seen[1]))
        assert seen[2] is True
        page.wait_for_timeout(100)
    worker.join()
    expect(state).to_have_text("A model wrote this. Check it, and make it yours.")
    expect(said).to_have_text("The suggestion is there.")
    assert len(lengths) > 2
    suggestion = Suggestion.objects.get()
    assert text.text_content() == suggestion.text
    page.keyboard.press("F4")
    expect(answer).to_have_value(suggestion.text)
    expect(answer).to_be_focused()
    page.keyboard.press("Control+z")
    expect(answer).to_have_value("")
    page.keyboard.press("F4")
    page.keyboard.press("Control+End")
    page.keyboard.type(" And that is all.")
    expect(page.locator("[data-saved]")).to_have_text("Draft saved")
    assert Lease.objects.get().draft["suggestions"] == [1]
    assert Lease.objects.get().draft["pasted"] == 0
    # After a reload all is as it was.
    page.reload()
    page.wait_for_selector("main[data-live]")
    expect(text).to_have_text(suggestion.text, use_inner_text=False)
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/work/")
    written = Demonstration.objects.get()
    edit = DemonstrationSuggestion.objects.get()
    assert written.text == suggestion.text + " And that is all."
    assert (edit.demonstration, edit.suggestion, edit.kept) == (written, suggestion, 1)
    assert edit.similarity < 1 and [operation for operation, _ in edit.operations] == ["keep", "add"]


def test_another_stopped_failed_and_offline(sign_in, ada, teller, problems):  # noqa: F811
    page = begin(sign_in, ada, url=teller.url)
    state, answer = page.locator("[data-suggestion-state]"), page.get_by_label("Your answer")
    page.keyboard.press("F8")
    work()
    expect(page.locator("[data-suggestion-text]")).to_have_text("Blue is a colour.")
    page.get_by_role("button", name="Use it").click()
    expect(answer).to_have_value("Blue is a colour.")
    # Left as it was it makes room for the next; what was written stays.
    teller.pieces = ["Red ", "is another."]
    page.get_by_role("button", name="Another").click()
    work()
    expect(page.locator("[data-suggestion-text]")).to_have_text("Red is another.")
    page.keyboard.press("F4")
    expect(answer).to_have_value("Red is another.")
    page.keyboard.type(" Mine.")
    page.keyboard.press("F4")
    expect(answer).to_have_value("Red is another. Mine.\n\nRed is another.")
    page.get_by_role("button", name="Another").click()
    page.get_by_role("button", name="Stop").click()
    expect(state).to_have_text("Stopped.")
    expect(page.get_by_role("button", name="Use it")).to_be_disabled()
    work()
    assert Suggestion.objects.get(number=3).state == "stopped"
    teller.pieces = ["I am ", "secret-model", "."]
    page.keyboard.press("F8")
    work()
    expect(state).to_have_text("This suggestion cannot be shown. Ask for another.")
    expect(page.locator("[data-suggestion-text]")).to_be_hidden()
    page.context.set_offline(True)
    page.keyboard.press("F8")
    expect(page.locator("[data-announce]")).to_have_text(re.compile("^Suggestions need the connection"))
    answer.focus()
    page.keyboard.press("Control+End")
    page.keyboard.type(" On.")
    expect(answer).to_have_value(re.compile(r"another\. On\.$"))
    page.context.set_offline(False)
    assert "secret-" not in page.content()
    problems.clear()  # Chromium logs each request that found no network


def test_in_a_dialogue_it_answers_the_turns_before(sign_in, ada, teller):  # noqa: F811
    page = begin(sign_in, ada, url=teller.url, kind="dialogue")
    panel = page.locator("[data-suggestion]")
    page.keyboard.insert_text("Clouds.")
    page.keyboard.press("Alt+Enter")
    expect(panel).to_be_hidden()  # the user's turns are the labeler's own
    page.keyboard.press("F8")
    page.keyboard.insert_text("And snow?")
    page.keyboard.press("Alt+Enter")
    expect(panel).to_be_visible()
    page.keyboard.press("F8")
    expect(page.locator("[data-suggestion-state]")).to_have_text("Asked for…")
    work()
    expect(page.locator("[data-suggestion-text]")).to_have_text("Blue is a colour.")
    assert [message["content"] for message in teller.requests[0]["messages"]][1:] == ["Clouds.", "And snow?"]
    page.keyboard.press("F4")
    page.get_by_role("button", name="Edit turn 1").click()
    expect(page.get_by_role("button", name="Suggest an answer")).to_be_visible()
    expect(page.locator("[data-suggestion-text]")).to_be_hidden()
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/work/")
    written = Demonstration.objects.get()
    assert written.turns == turns_of(["Clouds.", "And snow?"]) and written.text == "Blue is a colour."
    assert DemonstrationSuggestion.objects.get().kept == 1


@pytest.mark.parametrize("kind", ["demonstration", "dialogue"])
def test_without_suggestions_nothing_of_them_is_there(sign_in, ada, kind):
    make_task(batch=make_batch(kind=kind), prompt=make_prompt("Why?"), texts=())
    page = sign_in(ada, at="/work/")
    page.get_by_role("button", name="Begin").click()
    page.wait_for_selector("main[data-live]")
    page.keyboard.press("F8")
    page.keyboard.press("F4")
    assert page.locator("[data-suggestion]").count() == 0
