"""Looking for label errors by keyboard alone, in real Chromium."""

from __future__ import annotations

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from labeling.label_errors import services
from labeling.label_errors.models import ErrorItem, ErrorVerdict, SecondLook
from tests.browser.test_axe import faults
from tests.factories import make_batch, make_prompt, make_ranking, make_task

HOSTILE = "<img src=x onerror=alert(1)> \u202eblue\u202c\n" + "A long line of words. " * 60


@pytest.fixture
def three_answers(ada, bo, hal) -> None:
    texts = (HOSTILE, "Because of the air.", "Look up.", "I do not know.")
    task = make_task(batch=make_batch(overlap=3), prompt=make_prompt("Why is the sky <b>blue</b>?"), texts=texts)
    for person, ranks in ((ada, [1, 2, 3, 4]), (bo, [1, 2, 2, 4]), (hal, [4, 3, 2, 1])):
        make_ranking(task=task, labeler=person, ranks=ranks, ratings=[4] * len(ranks))
    services.refresh()


def test_draw_look_and_read_what_was_found(sign_in, rita, three_answers):
    page = sign_in(rita, at="/label-errors/")
    found = faults(page, "empty")
    page.get_by_label("Answers", exact=True).fill("4")
    page.keyboard.press("Enter")
    next_one = page.get_by_role("button", name="Look at the next")
    next_one.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Is there an error?")).to_be_visible()
    found += faults(page, "an answer")
    expect(page.locator(".error-look img")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing hangs over the edge"
    for name in ("ada", "bo", "hal", "secret-model"):
        assert f">{name}<" not in page.content()
    page.keyboard.press("Control+Enter")  # nothing was chosen: the form says so and stays
    assert not ErrorVerdict.objects.exists()
    page.keyboard.press("1")
    expect(page.get_by_label("Error")).to_be_checked()
    page.keyboard.press("n")
    page.keyboard.type("1 is the last. ")
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    expect(page.get_by_label("Fine")).to_be_checked()
    page.keyboard.press("1")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Saved: Error.")).to_be_visible()
    page.wait_for_load_state()  # the next key is for the next page's script
    verdict = ErrorVerdict.objects.get()
    assert (verdict.verdict, verdict.note) == ("error", "1 is the last.")
    for _ in range(ErrorItem.objects.filter(judged_at=None).count()):
        page.keyboard.press("2")
        with page.expect_navigation():
            page.keyboard.press("Control+Enter")
    expect(page.get_by_text("No answer waits to be looked at.")).to_be_visible()
    page.goto("/label-errors/judged/")
    found += faults(page, "judged")
    page.get_by_role("link").filter(has=page.locator("xpath=ancestor::th")).first.click()
    expect(page.get_by_text("drawn at random").or_(page.get_by_text("suspicious")).first).to_be_visible()
    found += faults(page, "an answer that was judged")
    page.goto("/label-errors/")
    assert found + faults(page, "overview") == []


def test_without_javascript(sign_in, rita, three_answers):
    services.draw_answers(size=1, share=100, actor=rita)
    page = sign_in(rita, at="/label-errors/", java_script_enabled=False)
    page.get_by_role("button", name="Look at the next").click()
    page.get_by_label("Unclear").check()
    page.get_by_role("button", name="Save, and on to the next").click()
    expect(page.get_by_text("No answer waits to be looked at.")).to_be_visible()
    assert ErrorVerdict.objects.get().verdict == "unclear"


def keyboard_to(page, control) -> None:
    """By Tab alone."""
    for _ in range(60):
        if control.evaluate("one => one === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError("Tab does not lead there")


def test_a_second_look_is_kept_and_another_corrected_by_keyboard(sign_in, rita, hal, ada, bo, three_answers):
    """From the reviewer to the labeler's workbench and back."""
    task = make_task(batch=make_batch(overlap=3), prompt=make_prompt("Why is grass green?"))
    for person, ranks in ((ada, [1, 2, 3, 4]), (bo, [1, 2, 3, 4]), (hal, [4, 3, 2, 1])):
        make_ranking(task=task, labeler=person, ranks=ranks, ratings=[4] * len(ranks))
    services.refresh()
    services.draw_answers(size=2, share=100, actor=rita)
    page = sign_in(rita, at="/label-errors/")
    with page.expect_navigation():
        page.get_by_role("button", name="Look at the next").press("Enter")
    for _ in range(2):
        page.keyboard.press("1")
        keyboard_to(page, page.get_by_label("Ask its labeler for a second look, if it is one"))
        page.keyboard.press("Space")
        with page.expect_navigation():
            page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Its labeler is asked for a second look")).to_have_count(1)
    assert set(SecondLook.objects.values_list("lease__labeler", flat=True)) == {hal.pk}

    theirs = sign_in(hal, at=reverse("work"))
    found = faults(theirs, "the queue")
    with theirs.expect_navigation():
        theirs.get_by_role("link", name="See it again").first.press("Enter")
    expect(theirs.get_by_role("heading", name="A second look, please")).to_be_visible()
    found += faults(theirs, "the task again")
    assert theirs.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing hangs over the edge"
    for secret in ("secret-model", "Ada", "1 is the last", "suspicious", "colleague"):
        assert secret not in theirs.content()
    keyboard_to(theirs, theirs.get_by_label("A word on why you keep it"))
    theirs.keyboard.type("1 of them is kind.")  # a digit here ranks nothing
    theirs.wait_for_timeout(1100)  # a second at work
    with theirs.expect_navigation():
        theirs.keyboard.press("Enter")
    expect(theirs.get_by_text("Your answer stays as it is.")).to_be_visible()
    kept = SecondLook.objects.get(state="kept")
    assert (kept.note, kept.active_seconds >= 1) == ("1 of them is kind.", True)

    with theirs.expect_navigation():
        theirs.get_by_role("link", name="See it again").press("Enter")
    theirs.locator("[data-ranking][data-live]").wait_for()
    theirs.keyboard.press("r")
    theirs.keyboard.press("1")
    keyboard_to(theirs, theirs.get_by_label("Why do you correct it?"))
    theirs.keyboard.type("I had read it the wrong way round.")
    theirs.keyboard.press("Control+Enter")
    theirs.wait_for_url(f"**{reverse('work')}")
    expect(theirs.get_by_text("A second look, please")).to_have_count(0)
    look = SecondLook.objects.get(state="corrected")
    assert (look.answer.revision, look.answer.correction_reason[:5]) == (2, "I had")

    page.goto(f"/label-errors/{look.item_id}/")
    expect(page.get_by_text("The order is now")).to_be_visible()
    found += faults(page, "what came of it")
    page.goto("/label-errors/judged/?sent_back=1")
    expect(page.get_by_text("Of 2 sent back, 1 corrected, 1 kept, 0 waiting.")).to_be_visible()
    assert found + faults(page, "what was sent back") == []
