"""The page on which an ideal answer is written, in real Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from labeling.demos.models import Demonstration
from labeling.leasing.models import Lease
from labeling.people.services import change_keys
from tests.factories import make_batch, make_prompt, make_task

TEXT = "\n  Rain on the tin roof\nدفء\n\n<b>slow</b> & \u202eturned\u202c  \n"


@pytest.fixture
def task():
    return make_task(batch=make_batch(kind="demonstration"), prompt=make_prompt("Write a haiku about rain."), texts=())


def begin(page: Page):
    page.get_by_role("button", name="Begin").click()
    page.wait_for_selector("main[data-live]")
    return page.get_by_label("Your answer")


def test_written_answer_is_stored_to_the_byte(sign_in, ada, task):
    page = sign_in(ada, at="/work/")
    answer = begin(page)
    expect(answer).to_be_focused()
    answer.fill(TEXT)
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/work/")
    assert Demonstration.objects.get().text == TEXT
    page.get_by_role("link", name="Open").click()
    assert TEXT in page.locator("main").text_content()
    page.get_by_role("link", name="Correct it").click()
    page.wait_for_selector("main[data-live]")
    expect(page.get_by_label("Your answer")).to_have_value(TEXT)


def test_blank_answer_cannot_be_submitted(sign_in, ada, task):
    page = sign_in(ada, at="/work/")
    answer = begin(page)
    submit = page.get_by_role("button", name="Submit")
    answer.fill(" \n ")
    expect(submit).to_be_disabled()
    expect(page.locator("[data-missing]")).to_have_text("Write an answer first.")
    page.keyboard.press("Control+Enter")
    answer.fill("Soft rain")
    expect(page.locator("[data-count]")).to_have_text("2 words")
    expect(submit).to_be_enabled()
    assert not Demonstration.objects.exists()


def test_draft_survives_a_reload(sign_in, ada, task):
    page = sign_in(ada, at="/work/")
    begin(page).fill(TEXT)
    expect(page.locator("[data-saved]")).to_have_text("Draft saved")
    assert Lease.objects.get().draft["text"] == TEXT
    page.reload()
    expect(page.get_by_label("Your answer")).to_have_value(TEXT)


def test_answer_waits_for_the_network_and_is_stored_once(sign_in, ada, task, problems):
    page = sign_in(ada, at="/work/")
    begin(page).fill(TEXT)
    page.context.set_offline(True)
    page.get_by_role("button", name="Submit").dblclick()
    expect(page.locator("[data-saved]")).to_have_text("Offline — answer waits")
    expect(page.get_by_label("Your answer")).to_have_attribute("readonly", "")
    page.context.set_offline(False)
    page.wait_for_url("**/work/")
    assert Demonstration.objects.get().text == TEXT
    problems.clear()  # Chromium logs each request that found no network


def test_keys_of_the_page_are_letters_in_the_text(sign_in, ada, task):
    page = sign_in(ada, at="/work/")
    answer = begin(page)
    page.keyboard.type("so?")
    expect(answer).to_have_value("so?")
    page.keyboard.press("Escape")
    page.keyboard.press("s")
    expect(page.get_by_role("heading", name="Skip this task?")).to_be_visible()
    page.get_by_label("Something else").check()
    page.get_by_role("button", name="Skip this task").click()
    page.wait_for_url("**/work/")
    assert Lease.objects.get().state == "skipped"


def test_a_chosen_key_wins_over_a_usual_one(sign_in, ada, task):
    # As stored before there was a preview.
    ada.keys = {"question": "F9"}
    ada.save()
    page = sign_in(ada, at="/work/")
    begin(page)
    page.keyboard.press("Escape")
    page.keyboard.press("F9")
    expect(page.locator("dialog#question[open]")).to_be_visible()
    expect(page.get_by_role("button", name="Preview")).not_to_have_attribute("aria-keyshortcuts", "F9")


def test_own_keys_work_here_too(sign_in, ada, task):
    change_keys(user=ada, keys={"skip": "k", "question": "f"}, letter_keys=True)
    page = sign_in(ada, at="/work/")
    begin(page)
    page.keyboard.press("Escape")
    page.keyboard.press("s")
    expect(page.locator("dialog[open]")).to_have_count(0)
    page.keyboard.press("f")
    expect(page.locator("dialog#question[open]")).to_be_visible()
    page.keyboard.press("Escape")
    # The closed dialog's field keeps the focus until the next frame.
    expect(page.locator("textarea:focus")).to_have_count(0)
    expect(page.get_by_role("button", name="Skip")).to_have_attribute("aria-keyshortcuts", "k")
    with page.context.expect_page() as opened:
        page.keyboard.press("g")
    assert opened.value.url.endswith("/guidelines/")
