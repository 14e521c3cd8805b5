"""The page on which a labeler writes both sides of a dialogue, in real Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from labeling.demos.models import Demonstration
from labeling.leasing.models import Lease
from tests.factories import make_batch, make_prompt, make_task

ODD = "\n  Rain\nدفء\n\n<b>slow</b> & \u202eturned\u202c  \n"


@pytest.fixture
def task():
    batch = make_batch(kind="dialogue", words_low=2, words_high=9)
    return make_task(batch=batch, prompt=make_prompt("Why does it rain?"), texts=())


def begin(page: Page):
    page.get_by_role("button", name="Begin").click()
    page.wait_for_selector("main[data-live]")
    return page.locator("#turn-text")


def add(page: Page, *texts: str) -> None:
    for text in texts:
        page.keyboard.insert_text(text)
        page.keyboard.press("Alt+Enter")


def turns(page: Page) -> list[str]:
    return page.locator("[data-list] [data-content]:not([hidden])").all_text_contents()


def says(*texts: str) -> list[dict]:
    return [{"role": ("assistant", "user")[place % 2], "content": text} for place, text in enumerate(texts)]


def test_dialogue_is_written_by_keyboard_alone_and_stored_to_the_byte(sign_in, ada, task):
    page = sign_in(ada, at="/work/")
    text = begin(page)
    said, missing = page.locator("[data-announce]"), page.locator("[data-missing]")
    expect(page.get_by_label("Turn 1, as the assistant")).to_be_focused()
    expect(page.locator("[data-count]")).to_contain_text("are wanted")
    page.keyboard.press("Alt+Enter")
    expect(said).to_have_text("Turn 1 is empty: write it first.")
    add(page, f"a{ODD}")
    expect(said).to_have_text("Turn 2: you write as the user.")
    expect(page.get_by_label("Turn 2, as the user")).to_be_focused()
    # Length is asked of the assistant.
    expect(page.locator("[data-count]")).to_have_text("0 words")
    expect(missing).to_have_text("Add a turn of the user, and answer it.")
    add(page, f"u{ODD}")
    expect(missing).to_have_text("Answer as the assistant: a dialogue ends with its turn.")
    page.keyboard.press("Control+Enter")
    expect(said).to_have_text("Answer as the assistant: a dialogue ends with its turn.")
    page.keyboard.insert_text(f"b{ODD}")
    assert turns(page) == [f"a{ODD}", f"u{ODD}"]
    # A former turn is opened, changed, and left again, all without a mouse.
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Edit turn 2, User").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Turn 2, as the user")).to_be_focused()
    expect(text).to_have_value(f"u{ODD}")
    assert turns(page) == [f"a{ODD}", f"b{ODD}"]
    page.keyboard.press("Control+Home")
    page.keyboard.insert_text("x")
    page.keyboard.press("Alt+Enter")
    expect(text).to_have_value(f"b{ODD}")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/work/")
    stored = Demonstration.objects.get()
    assert (stored.turns, stored.text) == (says(f"a{ODD}", f"xu{ODD}"), f"b{ODD}")
    # One's own answer shows all of it, and a correction begins with it.
    page.get_by_role("link", name="Open").click()
    shown = page.locator("section[aria-labelledby=answer-title] .pre").all_text_contents()
    assert shown == [f"a{ODD}", f"xu{ODD}", f"b{ODD}"]
    page.get_by_role("link", name="Correct it").click()
    page.wait_for_selector("main[data-live]")
    expect(page.get_by_label("Turn 3, as the assistant")).to_have_value(f"b{ODD}")
    page.get_by_role("button", name="Remove turn 1").click()
    page.get_by_label("Why do you correct it?").fill("too long")
    expect(missing).to_have_text("Add a turn of the user, and answer it.")
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/work/")
    assert Demonstration.objects.filter(turns=stored.turns).count() == 2


def test_turns_are_removed_with_their_reply_and_steps_taken_back(sign_in, ada, task):
    page = sign_in(ada, at="/work/")
    text = begin(page)
    add(page, "a1", "u2", "a3", "u4")
    page.keyboard.insert_text("a5")
    page.get_by_role("button", name="Remove turn 2").click()
    expect(page.locator("[data-announce]")).to_have_text("Two turns removed: it and the reply.")
    assert turns(page) == ["a1", "u4"]
    expect(page.get_by_label("Turn 3, as the assistant")).to_have_value("a5")
    # Away from the text, letters are keys.
    page.keyboard.press("u")
    expect(page.get_by_label("Turn 5, as the assistant")).to_have_value("a5")
    assert turns(page) == ["a1", "u2", "a3", "u4"]
    page.keyboard.press("Shift+U")
    assert turns(page) == ["a1", "u4"]
    # The turn that is being written goes with the one it replies to; what one writes then is not lost by going back.
    page.get_by_role("button", name="Remove turn 2").click()
    expect(page.get_by_label("Turn 2, as the user")).to_have_value("")
    text.fill("anew")
    page.get_by_role("button", name="Undo").click()
    expect(text).to_have_value("a5")
    page.get_by_role("button", name="Redo").click()
    expect(text).to_have_value("anew")
    assert turns(page) == ["a1"]
    page.get_by_role("button", name="Remove turn 1").click()
    expect(page.get_by_label("Turn 1, as the assistant")).to_have_value("")
    assert turns(page) == []
    expect(page.get_by_role("button", name="Submit")).to_be_disabled()


def test_reload_second_tab_and_offline_keep_all_turns(sign_in, ada, task, problems):
    page = sign_in(ada, at="/work/", permissions=["clipboard-read", "clipboard-write"])
    begin(page)
    page.evaluate("navigator.clipboard.writeText('pasted')")
    page.keyboard.press("Control+v")
    add(page, "", "u2")
    page.keyboard.insert_text("a3")
    expect(page.locator("[data-saved]")).to_have_text("Draft saved")
    assert [turn["content"] for turn in Lease.objects.get().draft["turns"]] == ["pasted", "u2", "a3"]
    page.reload()
    page.wait_for_selector("main[data-live]")
    assert turns(page) == ["pasted", "u2"]
    expect(page.get_by_label("Turn 3, as the assistant")).to_have_value("a3")
    # A second tab shows the newest, and the first what the second does.
    other = page.context.new_page()
    other.goto(page.url)
    other.wait_for_selector("main[data-live]")
    add(other, " more", "u4")
    expect(page.get_by_label("Turn 5, as the assistant")).to_have_value("")
    assert turns(page) == ["pasted", "u2", "a3 more", "u4"]
    other.close()
    # Offline: written on, submitted, reloaded is not possible; it goes when the network is back, and once.
    page.bring_to_front()
    page.context.set_offline(True)
    page.locator("#turn-text").fill("a5")
    page.get_by_role("button", name="Submit").dblclick()
    expect(page.locator("[data-saved]")).to_have_text("Offline — answer waits")
    expect(page.get_by_role("button", name="Add the turn")).to_be_disabled()
    page.context.set_offline(False)
    page.wait_for_url("**/work/")
    stored = Demonstration.objects.get()
    assert (stored.turns, stored.text, stored.pasted) == (says("pasted", "u2", "a3 more", "u4"), "a5", 6)
    problems.clear()  # Chromium logs each request that found no network


def test_page_works_without_its_script(sign_in, ada, task):
    page = sign_in(ada, at="/work/", java_script_enabled=False)
    page.get_by_role("button", name="Begin").click()
    for number, (who, text) in enumerate([("assistant", "a1"), ("user", "u2"), ("assistant", "a3")], start=1):
        page.get_by_label(f"Turn {number}, as the {who}").fill(text)
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/work/")
    assert Demonstration.objects.get().conversation == says("a1", "u2", "a3")
