"""Looking for label errors by keyboard alone, in real Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from labeling.label_errors import services
from labeling.label_errors.models import ErrorItem, ErrorVerdict
from tests.browser.test_axe import faults
from tests.factories import make_batch, make_prompt, make_ranking, make_task

HOSTILE = "<img src=x onerror=alert(1)> \u202eblue\u202c\n" + "A long line of words. " * 60


@pytest.fixture
def three_answers(ada, bo, hal) -> None:
    texts = (HOSTILE, "Because of the air.", "Look up.", "I do not know.")
    task = make_task(batch=make_batch(overlap=3), prompt=make_prompt("Why is the sky <b>blue</b>?"), texts=texts)
    for person, ranks in ((ada, [1, 2, 3, 4]), (bo, [1, 2, 2, 4]), (hal, [4, 3, 2, 1])):
        make_ranking(task=task, labeler=person, ranks=ranks)
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
