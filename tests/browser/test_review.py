"""The page on which a labeler reviews what another wrote, and what its author sees of it, in real Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from labeling.demos.models import Demonstration
from labeling.leasing.models import Lease
from labeling.leasing.services import grant_lease
from labeling.reviews.models import Review
from tests.browser.test_axe import faults
from tests.factories import make_prompt, make_reviewed_batch, make_task
from tests.labeling.reviews.conftest import write

TEXT = "Becuase of the air.\n\n<b>It</b> scatters \u202eblue\u202c light.\n"


@pytest.fixture
def answer(ada):
    make_task(batch=make_reviewed_batch(groups=["training"]), prompt=make_prompt("Why is the sky blue?"), texts=())
    return write(grant_lease(labeler=ada), TEXT)


def begin(page: Page) -> None:
    page.keyboard.press("Enter")  # the button that has the focus
    page.wait_for_selector("main[data-live]")


def test_accept_by_keyboard(sign_in, bo, answer):
    page = sign_in(bo, at="/work/")
    begin(page)
    expect(page.locator("[data-written]")).to_have_text(TEXT, use_inner_text=False)
    assert "ada" not in page.content()
    expect(page.get_by_role("button", name="Submit")).to_be_disabled()
    expect(page.locator("[data-missing]")).to_have_text("Accept it, edit it, or send it back.")
    page.keyboard.press("1")
    expect(page.get_by_label("Accept")).to_be_checked()
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/work/")
    review = Review.objects.get()
    assert (review.verdict, review.text, review.demonstration) == ("accept", "", answer)


def test_edit_by_keyboard_with_its_differences(sign_in, ada, bo, answer):
    page = sign_in(bo, at="/work/")
    begin(page)
    expect(page.locator("[data-edit]")).to_be_hidden()
    page.keyboard.press("2")
    editor = page.get_by_label("The answer as you would have it")
    expect(editor).to_be_focused()
    expect(editor).to_have_value(TEXT)
    expect(page.locator("[data-missing]")).to_have_text("You have changed nothing yet.")
    page.keyboard.press("Control+Home")
    for _ in range(len("Bec")):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Delete")
    page.keyboard.type("a12")  # digits are text here
    for _ in range(2):
        page.keyboard.press("Backspace")
    page.evaluate("""() => {
        const data = new DataTransfer();
        data.setData("text/plain", "xyz");
        document.activeElement.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
    }""")
    page.keyboard.press("ArrowRight")
    found = faults(page, "editing")
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    expect(page.locator("[data-written] del")).to_have_text(["Becuase"])
    expect(page.locator("[data-edited] ins")).to_have_text(["Becaase"])
    found += faults(page, "differences")
    page.keyboard.press("c")
    expect(editor).to_be_focused()
    expect(page.locator("del, ins")).to_have_count(0)
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/work/")
    assert Review.objects.get().text == TEXT.replace("Becuase", "Becaase")
    assert Review.objects.get().pasted == 3
    page.goto(f"/answers/{Review.objects.get().lease_id}/")
    expect(page.locator("ins")).to_have_text(["Becaase"])
    page = sign_in(ada, at=f"/answers/{answer.lease_id}/")
    expect(page.locator("del")).to_have_text(["Becuase"])
    expect(page.locator("ins")).to_have_text(["Becaase"])
    assert found == []


def test_send_back_and_correct(sign_in, ada, bo, answer):
    page = sign_in(bo, at="/work/")
    begin(page)
    page.keyboard.press("3")
    expect(page.get_by_label("What is to be changed?")).to_be_focused()
    page.keyboard.press("Control+Enter")
    expect(page.locator("[data-announce]")).to_contain_text("Say what is to be changed")
    page.keyboard.type("Spelling, <please>.")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/work/")
    page = sign_in(ada, at="/work/")
    expect(page.get_by_role("heading", name="1 answer was sent back to you")).to_be_visible()
    expect(page.get_by_text("Spelling, <please>.")).to_be_visible()
    found = faults(page, "work")
    page.get_by_role("link", name="Correct it").click()
    page.wait_for_selector("main[data-live]")
    expect(page.get_by_role("note")).to_contain_text("Spelling, <please>.")
    page.get_by_label("Your answer").fill(TEXT.replace("Becuase", "Because"))
    page.get_by_label("Why do you correct it?").fill("Spelling")
    found += faults(page, "correcting")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/work/")
    expect(page.get_by_text("sent back to you")).to_have_count(0)
    page = sign_in(bo, at="/work/")
    begin(page)
    expect(page.locator("[data-written]")).to_contain_text("Because of the air.")
    page.keyboard.press("1")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/work/")
    assert Review.objects.get(verdict="accept").demonstration == Demonstration.objects.get(revision=2)
    assert found == []


def test_reload_second_tab_and_a_lost_connection_keep_the_work(sign_in, bo, answer, problems):
    page = sign_in(bo, at="/work/")
    begin(page)
    page.keyboard.press("2")
    page.keyboard.type("So: ")
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    page.keyboard.type("Better so?")
    expect(page.locator("[data-saved]")).to_have_text("Draft saved")
    page.reload()
    page.wait_for_selector("main[data-live]")
    editor, note = page.get_by_label("The answer as you would have it"), page.get_by_label("A word to its author")
    expect(page.get_by_label("Edit", exact=False).first).to_be_checked()
    expect(editor).to_have_value("So: " + TEXT)
    expect(note).to_have_value("Better so?")
    second = page.context.new_page()
    second.goto(page.url)
    second.wait_for_selector("main[data-live]")
    second.get_by_label("A word to its author").fill("From the other tab.")
    expect(note).to_have_value("From the other tab.")
    second.close()
    page.context.set_offline(True)
    page.keyboard.press("Control+Enter")
    expect(page.locator("[data-saved]")).to_have_text("Offline — answer waits")
    expect(editor).to_have_attribute("readonly", "")
    page.context.set_offline(False)
    page.wait_for_url("**/work/")
    review = Review.objects.get()
    assert (review.text, review.note) == ("So: " + TEXT, "From the other tab.")
    problems.clear()  # Chromium logs each request that found no network


def test_without_javascript(sign_in, bo, answer, problems):
    page = sign_in(bo, at="/work/", java_script_enabled=False)
    page.get_by_role("button", name="Begin").click()
    page.get_by_label("Edit", exact=False).first.check()
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("alert")).to_contain_text("You have changed nothing")
    problems.clear()  # Chromium logs the refusal
    page.get_by_label("The answer as you would have it").fill("Because of the air.")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/work/")
    assert Review.objects.get().text == "Because of the air."
    assert Lease.objects.get(labeler=bo).state == "submitted"


def test_a_dialogue_is_edited_turn_by_turn(sign_in, ada, bo):
    make_task(batch=make_reviewed_batch(kind="dialogue", groups=["training"]), prompt=make_prompt("Why?"), texts=())
    turns = [{"role": "assistant", "content": "Beacuse."}, {"role": "user", "content": "How so?"}]
    answer = write(grant_lease(labeler=ada), "Look up.", turns=turns)
    page = sign_in(bo, at="/work/")
    begin(page)
    expect(page.locator("[data-written]")).to_have_text(["Beacuse.", "How so?", "Look up."])
    page.keyboard.press("2")
    expect(page.get_by_label("Turn 1, as the assistant")).to_be_focused()
    page.get_by_label("Turn 1, as the assistant").fill("Because.")
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    expect(page.locator("del")).to_have_text(["Beacuse"])
    found = faults(page, "dialogue")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/work/")
    assert [turn["content"] for turn in Review.objects.get().conversation] == ["Because.", "How so?", "Look up."]
    page = sign_in(ada, at=f"/answers/{answer.lease_id}/")
    expect(page.locator("ins")).to_have_text(["Because"])
    assert found + faults(page, "answer") == []
