"""A labeler's day around the tasks, in real Chromium: guidelines, breaks, questions, what is veiled, own keys."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from labeling.guidelines.services import publish_guideline
from labeling.leasing.models import Lease
from labeling.people.models import TeamSettings, User
from labeling.questions.models import Message, Question
from labeling.rankings.models import Ranking
from tests.factories import make_batch, make_prompt, make_ranking, make_task


@pytest.fixture
def task():
    return make_task(batch=make_batch(overlap=2), texts=("One.", "Two."))


def begin(page: Page) -> None:
    page.get_by_role("button", name="Begin").click()
    page.wait_for_selector("main[data-live]")


def test_new_guidelines_are_read_before_the_next_task_and_stay_one_key_away(sign_in, ada, amy, task):
    publish_guideline(title="Our way", text="# Be fair\n\n| a | b |\n| --- | --- |\n| 1 | 2 |", actor=amy)
    page = sign_in(ada, at="/work/")
    page.get_by_role("link", name="Read the guidelines").click()
    expect(page.get_by_role("heading", name="Be fair")).to_be_visible()
    page.get_by_role("button", name="I have read this").click()
    page.wait_for_url("**/work/")
    begin(page)
    assert Lease.objects.get().guideline.title == "Our way"
    with page.context.expect_page() as opened:
        page.keyboard.press("g")
    expect(opened.value.get_by_role("heading", name="Our way")).to_be_visible()


def test_a_break_frees_the_task_and_ends_where_it_began(sign_in, ada, task):
    page = sign_in(ada, at="/work/")
    begin(page)
    page.goto("/work/")
    page.get_by_role("button", name="Take a break").click()
    expect(page.get_by_role("heading", name="You are on a break")).to_be_visible()
    assert Lease.objects.get().state == "returned"
    page.get_by_role("button", name="Go on working").click()
    begin(page)
    assert Lease.objects.get().state == "open"


def test_a_question_from_the_task_and_its_answer(sign_in, ada, amy, bo, task):
    page = sign_in(ada, at="/work/")
    begin(page)
    page.keyboard.press("q")
    dialog = page.get_by_role("dialog", name="Ask about this task")
    dialog.get_by_label("Your question").fill("What does <b>fair</b> mean?")
    dialog.get_by_role("button", name="Ask", exact=True).click()
    expect(dialog).to_be_hidden()
    assert Message.objects.get().text == "What does <b>fair</b> mean?"
    # The task is as it was.
    expect(page.locator("main[data-live]")).to_be_visible()
    team = sign_in(amy, at="/questions/inbox/")
    team.get_by_role("link", name="What does").click()
    team.get_by_label("Answer", exact=True).fill("As you would judge your own.")
    team.get_by_role("button", name="Send the answer").click()
    team.get_by_label("The question, without").fill("What does fair mean?")
    team.get_by_role("button", name="Share", exact=True).click()
    expect(team.get_by_text("Shared since")).to_be_visible()
    page.goto("/work/")
    page.get_by_role("link", name="What does").click()
    expect(page.get_by_text("As you would judge your own.")).to_be_visible()
    assert not Question.objects.get().unseen
    other = sign_in(bo, at="/questions/")
    expect(other.get_by_text("As you would judge your own.")).to_be_visible()
    expect(other.get_by_text("<b>fair</b>")).to_have_count(0)


def read_out(page: Page) -> str:
    """What Chromium gives to a screen reader."""
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    return "\n".join(str(node["name"].get("value")) for node in nodes if not node["ignored"] and "name" in node)


def test_sensitive_text_is_veiled_until_it_is_asked_for(sign_in, ada):
    make_task(prompt=make_prompt("Something grim.", categories=["violence"]), texts=("One.", "Two."))
    page = sign_in(ada, at="/work/")
    begin(page)
    text = page.get_by_text("Something grim.")
    expect(page.locator("[data-veil-names]")).to_have_text("Violence")
    assert "blur" in text.evaluate("element => getComputedStyle(element).filter")
    assert "Something grim." not in read_out(page)
    page.get_by_label("Show it").check()
    assert text.evaluate("element => getComputedStyle(element).filter") == "none"
    assert "Something grim." in read_out(page)


def test_own_keys_hold_on_the_task_page(sign_in, ada, task):
    page = sign_in(ada, at="/account/")
    page.get_by_role("link", name="My keys").click()
    page.get_by_label("skip this task").fill("x")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.goto("/work/")
    begin(page)
    page.keyboard.press("s")
    page.keyboard.press("x")
    expect(page.get_by_role("dialog", name="Skip this task?")).to_be_visible()
    page.goto("/account/keys/")
    page.get_by_label("Letters and signs are keys").uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.goto("/work/")
    page.get_by_role("link", name="Go on").click()
    page.wait_for_selector("main[data-live]")
    page.keyboard.press("x")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_correction_within_its_time(sign_in, ada):
    ranking = make_ranking(task=make_task(texts=("One.", "Two.")), labeler=ada, ratings=[5, 4])
    page = sign_in(ada, at="/work/")
    expect(page.get_by_text("may be corrected")).to_be_visible()
    TeamSettings.objects.create(correction_hours=0)
    page.reload()
    expect(page.get_by_text("closed")).to_be_visible()
    page.goto(f"/answers/{ranking.lease_id}/")
    expect(page.get_by_text("The time to correct it is over")).to_be_visible()
    expect(page.get_by_role("link", name="Correct it")).to_have_count(0)
    assert Ranking.objects.count() == 1


def test_a_pause_reaches_the_labeler_at_once(sign_in, ada, amy, task):
    page = sign_in(ada, at="/work/")
    begin(page)
    admin = sign_in(amy, at=f"/people/{ada.pk}/")
    admin.get_by_label("Pause because").fill("Let us talk first")
    admin.get_by_role("button", name="Pause").click()
    expect(admin.get_by_role("button", name="Let them go on")).to_be_visible()
    page.goto("/work/")
    expect(page.get_by_text("Let us talk first")).to_be_visible()
    assert User.objects.get(pk=ada.pk).paused_at


def test_the_next_task_in_place_begins_veiled_too(sign_in, ada):
    batch = make_batch()
    make_task(batch=batch, prompt=make_prompt("Harmless."), texts=("One.", "Two."))
    make_task(batch=batch, prompt=make_prompt("Grim.", categories=["violence", "hate"]), texts=("One.", "Two."))
    page = sign_in(ada, at="/work/")
    begin(page)
    expect(page.get_by_text("Harmless.")).to_be_visible()
    expect(page.locator("[data-veil]")).to_be_hidden()
    for key in ("4", "4", "1", "2"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    expect(page.locator("[data-veil-names]")).to_have_text("Violence, Hate and slurs")
    assert "blur" in page.get_by_text("Grim.").evaluate("element => getComputedStyle(element).filter")
