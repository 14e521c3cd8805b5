"""A few-shot prompt from its writer over its reviewer into the pool, by keyboard alone, in real Chromium."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from labeling.background.models import Job
from labeling.demos.models import WrittenPrompt
from labeling.intake.models import Prompt
from labeling.jobs import run_now
from labeling.reviews.models import Review
from tests.browser.test_axe import faults
from tests.factories import make_brief, make_reviewed_batch

HOSTILE = "Judge the <b>mood</b> \u202eof it\u202c."


def begin(page: Page) -> None:
    page.keyboard.press("Enter")  # the button that has the focus
    page.wait_for_selector("main[data-live]")


def tab_to(page: Page, label: str) -> None:
    """Go on with the Tab key to the field of this label."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.labels?.[0]?.textContent.trim()") == label:
            return
    raise AssertionError(f"the Tab key never comes to {label}")


def send(page: Page) -> None:
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/work/")


def run_jobs() -> None:
    for job in Job.objects.filter(kind="admit_written_prompt", state="queued"):
        run_now(str(job.pk))


def pool() -> list[str]:
    return [prompt.last_message for prompt in Prompt.objects.filter(state="accepted")]


def write(page: Page) -> None:
    begin(page)
    page.keyboard.press("7")  # classification
    page.keyboard.press("Escape")
    tab_to(page, "Instruction")
    page.keyboard.type("Juge the mood.")
    for query, response in (("Rain.", "bad"), ("Sun!", "good")):
        tab_to(page, "Query")
        page.keyboard.type(query)
        tab_to(page, "Response")
        page.keyboard.type(response)
    tab_to(page, "The last query, which the assistant is to answer")
    page.keyboard.type("Fog.")
    send(page)


def test_written_edited_in_review_and_in_the_pool(sign_in, ada, bo, amy):
    batch = make_reviewed_batch(kind="prompt", groups=["training"])
    make_brief(batch=batch, form="few_shot", pairs=2, note="About the weather.")
    page = sign_in(ada, at="/work/")
    write(page)
    assert pool() == []
    page = sign_in(bo, at="/work/")
    begin(page)
    expect(page.get_by_role("heading", name="Review a prompt")).to_be_visible()
    expect(page.get_by_text("About the weather.")).to_be_visible()
    expect(page.locator("[data-written]")).to_have_text(["Juge the mood.", "Rain.", "bad", "Sun!", "good", "Fog."])
    expect(page.get_by_role("heading", name="Response of example 2")).to_be_visible()
    page.keyboard.press("2")
    expect(page.get_by_label("Instruction")).to_be_focused()
    expect(page.locator("[data-missing]")).to_have_text("You have changed nothing yet.")
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    expect(page.locator("[data-missing]")).to_have_text("Part 1 is empty; write it, or send it back instead.")
    page.keyboard.insert_text(HOSTILE)
    tab_to(page, "The last query")
    page.keyboard.press("Control+End")
    page.keyboard.type(" 12")  # digits are text here
    found = faults(page, "editing")
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    expect(page.locator("[data-edited]").first.locator("ins").first).to_have_text("Judge")
    found += faults(page, "differences")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/work/")
    run_jobs()
    told = "Query: Rain.\nResponse: bad\n\nQuery: Sun!\nResponse: good\n\nQuery: Fog. 12\nResponse:"
    assert pool() == [f"{HOSTILE}\n\n{told}"]
    page = sign_in(amy, at=f"/prompts/{Prompt.objects.get().pk}/")
    assert f"{HOSTILE}\n\n{told}" in page.locator("main").text_content()
    expect(page.get_by_text("who edited it")).to_be_visible()
    page = sign_in(ada, at=f"/answers/{WrittenPrompt.objects.get().lease_id}/")
    expect(page.locator("ins").first).to_have_text("Judge")
    found += faults(page, "the writer's page")
    page = sign_in(amy, at=f"/batches/{batch.pk}/written/")
    expect(page.locator("del").first).to_have_text("Juge")
    assert found + faults(page, "the team's page") == []


def test_sent_back_corrected_and_accepted(sign_in, ada, bo):
    make_brief(batch=make_reviewed_batch(kind="prompt", groups=["training"]), form="few_shot", pairs=2)
    page = sign_in(ada, at="/work/")
    write(page)
    page = sign_in(bo, at="/work/")
    begin(page)
    page.keyboard.press("3")
    expect(page.get_by_label("What is to be changed?")).to_be_focused()
    page.keyboard.type("Spelling, <please>.")
    send(page)
    run_jobs()
    page = sign_in(ada, at="/work/")
    link = page.get_by_role("link", name="Correct it")
    expect(page.get_by_text("Spelling, <please>.")).to_be_visible()
    for _ in range(60):
        if link.evaluate("link => link === document.activeElement"):
            break
        page.keyboard.press("Tab")
    begin(page)
    expect(page.get_by_role("note")).to_contain_text("Spelling, <please>.")
    found = faults(page, "correcting")
    tab_to(page, "Instruction")
    page.keyboard.press("Control+Home")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    page.keyboard.type("d")
    tab_to(page, "Why do you correct it?")
    page.keyboard.type("Spelling")
    send(page)
    run_jobs()
    assert pool() == []
    page = sign_in(bo, at="/work/")
    begin(page)
    expect(page.locator("[data-written]").first).to_have_text("Judge the mood.")
    page.keyboard.press("1")
    send(page)
    run_jobs()
    assert [text.splitlines()[0] for text in pool()] == ["Judge the mood."]
    assert Review.objects.get(verdict="accept").written == WrittenPrompt.objects.get(revision=2)
    assert found == []
