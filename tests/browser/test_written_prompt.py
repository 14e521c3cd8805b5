"""Writing prompts in real Chromium: each of the three forms from the keyboard alone, kept over reload and network."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from labeling.demos.layout import messages_of
from labeling.demos.models import WrittenPrompt
from labeling.leasing.models import Lease
from tests.browser.test_axe import faults
from tests.factories import make_brief

HOSTILE = "\n  Plan a <b>lesson</b>\nدفء & \u202eturned\u202c  \n"


def begin(page: Page) -> None:
    page.get_by_role("button", name="Begin").press("Enter")
    page.wait_for_selector("main[data-live]")


def preview(page: Page) -> str:
    return page.locator("[data-whole-text]").text_content()


def test_plain_prompt_by_keyboard_is_stored_to_the_byte(sign_in, ada):
    make_brief(use_case="rewrite", note="Short <i>ones</i>.")
    page = sign_in(ada, at="/work/")
    begin(page)
    expect(page.get_by_text("Short <i>ones</i>.")).to_be_visible()
    text = page.get_by_label("Your prompt")
    expect(text).to_be_focused()
    expect(page.get_by_role("radio", name="Rewrite")).to_be_checked()
    expect(page.locator("[data-missing]")).to_have_text("Write the prompt first.")
    page.keyboard.press("Control+Enter")
    assert not WrittenPrompt.objects.exists()
    text.fill(HOSTILE)
    page.keyboard.type("1?")  # letters and digits are text here
    assert preview(page) == HOSTILE + "1?"
    page.keyboard.press("Escape")
    page.keyboard.press("3")
    expect(page.get_by_role("radio", name="Brainstorming")).to_be_checked()
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/work/")
    written = WrittenPrompt.objects.get()
    assert (written.content, written.use_case, written.pasted) == ({"text": HOSTILE + "1?"}, "brainstorming", 0)
    page.get_by_role("link", name="Open").click()
    assert HOSTILE + "1?" in page.locator("main").text_content()
    expect(page.get_by_text("waits for the gate")).to_be_visible()
    page.get_by_role("link", name="Correct it").click()
    page.wait_for_selector("main[data-live]")
    expect(page.get_by_label("Your prompt")).to_have_value(HOSTILE + "1?")
    expect(page.get_by_role("radio", name="Brainstorming")).to_be_checked()
    page.get_by_label("Your prompt").fill("Plan a lesson.")
    page.get_by_label("Why do you correct it?").fill("clearer")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/work/")
    assert WrittenPrompt.objects.get(revision=2).content == {"text": "Plan a lesson."}


def test_few_shot_prompt_by_keyboard_keeps_its_order_over_a_reload(sign_in, ada):
    make_brief(form="few_shot", pairs=2)
    page = sign_in(ada, at="/work/")
    begin(page)
    expect(page.get_by_role("radio", name="Generation")).to_be_focused()
    page.keyboard.press("7")
    expect(page.get_by_role("radio", name="Classification")).to_be_checked()
    page.keyboard.press("Escape")
    page.get_by_label("Instruction").focus()
    page.keyboard.type("Say how it feels.")
    for number, (query, response) in enumerate([("Rain again.", "bad"), ("Sun!", "good"), ("Fog.", "so so")], 1):
        if number == 3:
            page.get_by_role("button", name="Add an example").press("Enter")
        example = page.get_by_role("group", name=f"Example {number}")
        example.get_by_label("Query").focus()
        page.keyboard.type(query)
        page.keyboard.press("Tab")
        page.keyboard.type(response)
    expect(page.locator("[data-missing]")).to_have_text("Write the last query.")
    # The third to the front, the last one there is then out.
    page.keyboard.press("Alt+ArrowUp")
    page.keyboard.press("Alt+ArrowUp")
    expect(page.get_by_role("group", name="Example 1").get_by_label("Response")).to_be_focused()
    page.get_by_role("button", name="Remove example 3").press("Enter")
    expect(page.get_by_role("button", name="Remove example 2")).to_be_disabled()
    page.get_by_role("button", name="Move example 2 up").press("Enter")
    page.get_by_label("The last query").fill("Snow at last.")
    told = "Say how it feels.\n\nQuery: Rain again.\nResponse: bad\n\nQuery: Fog.\nResponse: so so\n\n"
    assert preview(page) == f"{told}Query: Snow at last.\nResponse:"
    expect(page.locator("[data-saved]")).to_have_text("Draft saved")
    found = faults(page, "few-shot")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    assert found + faults(page, "keys") == []
    page.reload()
    page.wait_for_selector("main[data-live]")
    expect(page.get_by_label("Instruction")).to_have_value("Say how it feels.")
    assert preview(page) == f"{told}Query: Snow at last.\nResponse:"
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/work/")
    written = WrittenPrompt.objects.get()
    assert messages_of("few_shot", written.content)[0]["content"] == f"{told}Query: Snow at last.\nResponse:"
    assert written.use_case == "classification"


def test_user_based_prompt_waits_for_the_network_and_counts_what_was_pasted(sign_in, ada, problems):
    make_brief(form="user_based", statement="I write <b>songs</b> for my choir.")
    page = sign_in(ada, at="/work/", permissions=["clipboard-read", "clipboard-write"])
    begin(page)
    expect(page.get_by_text("I write <b>songs</b> for my choir.")).to_be_visible()
    page.evaluate("navigator.clipboard.writeText('a chorus')")
    text = page.get_by_label("Your prompt")
    text.focus()
    page.keyboard.type("Write ")
    page.keyboard.press("Control+v")
    expect(text).to_have_value("Write a chorus")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    page.context.set_offline(True)
    page.get_by_role("button", name="Submit").dblclick()
    expect(page.locator("[data-saved]")).to_have_text("Offline — answer waits")
    expect(text).to_have_attribute("readonly", "")
    expect(page.get_by_role("radio", name="Chat")).to_be_disabled()
    page.context.set_offline(False)
    page.wait_for_url("**/work/")
    written = WrittenPrompt.objects.get()
    assert (written.content, written.use_case, written.pasted) == ({"text": "Write a chorus"}, "generation", 8)
    problems.clear()  # Chromium logs each request that found no network


@pytest.mark.parametrize("form", ["plain", "few_shot"])
def test_without_javascript_it_is_a_plain_form(sign_in, ada, form):
    make_brief(form=form, pairs=2)
    page = sign_in(ada, at="/work/", java_script_enabled=False)
    page.get_by_role("button", name="Begin").click()
    page.get_by_label("Brainstorming").check()
    if form == "plain":
        page.get_by_label("Your prompt").fill("one\ntwo")
    else:
        page.get_by_label("Instruction").fill("Count.")
        page.get_by_label("The last query").fill("c")
        for number, field in enumerate(page.get_by_label("Query", exact=True).all()[:3]):
            field.fill(f"q{number}")
        for number, field in enumerate(page.get_by_label("Response").all()[:3]):
            field.fill(f"r{number}")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/work/")
    content = WrittenPrompt.objects.get().content
    assert content == {"text": "one\ntwo"} or [pair["query"] for pair in content["pairs"]] == ["q0", "q1", "q2"]
    assert Lease.objects.get().state == "submitted"
