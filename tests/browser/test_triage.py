"""Personal data by keyboard alone, in real Chromium: a labeler takes a prompt back, and an admin decides one after
another."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from labeling.governance import deciding
from labeling.governance.models import Decision, Flag
from labeling.intake.models import Prompt
from labeling.leasing.models import Lease
from tests.browser.test_axe import faults
from tests.factories import make_batch, make_held, make_prompt, make_task

HOSTILE = "<img src=x onerror=alert(1)> \u202eblue\u202c <b>Write</b> to"


def settled(count: int) -> None:
    """Wait until the server has written so many decisions down: the page does not wait for them."""
    import time

    until = time.monotonic() + 30
    while Decision.objects.count() < count and time.monotonic() < until:
        time.sleep(0.05)
    assert Decision.objects.count() == count


def states() -> list[str]:
    return list(Prompt.objects.order_by("created_at", "id").values_list("state", flat=True))


def test_one_after_another_by_keyboard(sign_in, amy, problems):
    held = [
        make_held(f"{HOSTILE} {name}@example-mail.org, number {n}") for n, name in enumerate(("jo", "al", "cy", "di"))
    ]
    page = sign_in(amy, at="/prompts/triage/")
    item = page.locator("[data-item]")
    expect(item.locator("mark")).to_have_text("jo@example-mail.org")
    expect(item.locator("img")).to_have_count(0)
    expect(item).to_be_focused()
    found = faults(page, "triage")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing hangs over the edge"

    page.keyboard.press("k")
    expect(item.locator("mark")).to_have_text("al@example-mail.org")
    # Words that nobody found are marked by typing them, and go with what was found.
    page.keyboard.press("m")
    page.keyboard.type("Write")
    page.keyboard.press("Enter")
    expect(item.get_by_text("Write (personal data of another kind)")).to_be_visible()
    page.keyboard.press("r")
    expect(item.locator("mark")).to_have_text("cy@example-mail.org")
    # What is none is taken off by its digit; then nothing is left to redact.
    page.keyboard.press("1")
    expect(item.get_by_role("checkbox")).not_to_be_checked()
    page.keyboard.press("r")
    expect(page.locator("[data-notice]")).to_contain_text("nothing to redact")
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    expect(item.locator("mark")).to_have_text("di@example-mail.org")
    settled(3)
    assert states() == ["accepted", "accepted", "dropped", "held"]
    assert "[PERSONAL_1]</b> to [EMAIL_1], number 1" in Prompt.objects.get(pk=held[1].pk).messages[0]["content"]

    page.keyboard.press("u")
    expect(item.locator("mark")).to_have_text("cy@example-mail.org")
    settled(4)
    assert states()[2] == "held"
    page.keyboard.press("k")
    expect(item.locator("mark")).to_have_text("di@example-mail.org")
    # Somebody else was quicker: said, and nothing is lost.
    deciding.decide(prompt_id=held[3].pk, outcome="release", decided_by=amy)
    page.keyboard.press("k")
    expect(page.locator("[data-notice]")).to_contain_text("amy has decided this prompt already")
    expect(page.get_by_text("Nothing waits.")).to_be_visible()
    assert [problem for problem in problems if "409" not in problem] == []
    problems.clear()  # the browser's own line about the refusal
    assert found == []


@pytest.mark.parametrize("kind", ["ranking", "demonstration"])
def test_a_labeler_takes_a_prompt_back_and_goes_on(sign_in, ada, kind):
    batch = make_batch(kind=kind)
    texts = ("One.", "Two.") if kind == "ranking" else ()
    for text in ("Zorbax Quill lives here.", "Why is the sky blue?"):
        make_task(batch=batch, prompt=make_prompt(text), texts=texts)
    page = sign_in(ada, at="/work/next/")
    expect(page.get_by_text("Zorbax Quill lives here.")).to_be_visible()
    if kind == "demonstration":
        page.keyboard.type("Half an answer")
        page.keyboard.press("Escape")
    page.keyboard.press("p")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="Does it say who somebody is?")).to_be_visible()
    found = faults(page, "the dialog")
    page.keyboard.type("Zorbax Quill")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Why is the sky blue?")).to_be_visible()
    assert Flag.objects.get().by == ada
    lease = Lease.objects.get(state="returned")
    assert lease.task.item.prompt.state == "held" and lease.task.item.prompt.findings.count() == 1
    if kind == "demonstration":
        assert lease.draft["text"] == "Half an answer"
    assert found == []
