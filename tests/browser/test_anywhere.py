"""The workbench wherever somebody works: other scripts, a tablet, without motion, hours offline, and going back."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F
from playwright.sync_api import Page, expect

from labeling.leasing.models import Lease
from labeling.leasing.services import expire_leases
from labeling.rankings.models import Ranking
from tests.browser.test_ranking import article, begin, chip, left_for, letters, press, ranks, stored
from tests.factories import make_batch, make_prompt, make_ranking, make_task

ARABIC = "اكتب بيتًا عن المطر: «rain» في سطرين."
HEBREW = "הגשם יורד על הגג (2)."
RTL = "rtl"


def finish(page: Page, count: int = 2) -> None:
    press(page, "4" * count)
    expect(page.locator("main")).to_have_attribute("data-step", "rank")
    press(page, "123456789"[:count])
    page.keyboard.press("Enter")


def direction(locator) -> str:
    return locator.evaluate("element => getComputedStyle(element).direction")


def test_each_text_runs_in_its_own_direction(sign_in, ada):
    table = f"| {HEBREW} | b |\n|---|---|\n| {ARABIC} | left |\n\n```\nconst a = 1;\n```"
    texts = (HEBREW, "An English answer, שלום.", f"{ARABIC}\n\n{table}")
    make_task(prompt=make_prompt(ARABIC), texts=texts)
    page = sign_in(ada, at="/work/")
    begin(page)
    assert direction(page.locator("html")) == "ltr"
    assert direction(page.locator(".bench-prompt [data-prose]")) == RTL
    by_text = {
        text: direction(page.locator("[data-completion] [data-prose]").nth(index))
        for index, text in enumerate(page.locator("[data-completion] [data-prose]").all_text_contents())
    }
    assert [by_text[HEBREW], by_text["An English answer, שלום."]] == [RTL, "ltr"]
    table_of = page.locator("[data-completion] table.prose")
    assert direction(table_of.get_by_text("left")) == "ltr"
    assert direction(table_of.get_by_text(HEBREW)) == RTL
    assert direction(page.locator("[data-completion] code.block")) == "ltr"
    # On a chip the snippet keeps to itself: the letter before it and the rating behind stay where they are.
    for snippet in page.locator(".chip-text").all():
        assert snippet.evaluate("element => element.tagName") == "BDI"
    press(page, "444")
    expect(page.locator("main")).to_have_attribute("data-step", "rank")
    page.keyboard.press("c")
    panes = page.locator("#compare [data-pane-text]")
    for index in (0, 1):
        wanted = "ltr" if panes.nth(index).text_content().startswith("An English") else RTL
        assert direction(panes.nth(index)) == wanted
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    page.get_by_label("Note on this task").fill(HEBREW)
    assert direction(page.get_by_label("Note on this task")) == RTL
    page.keyboard.press("Escape")
    press(page, "123")
    page.keyboard.press("Enter")
    left_for(page, "/work/")
    assert Ranking.objects.get().note == HEBREW
    assert {text for text, _, _ in stored()} == set(texts)
    page.get_by_role("link", name="Open").click()
    assert direction(page.locator(".judged .pre").get_by_text(HEBREW, exact=True)) == RTL


def test_a_finger_drags_on_a_tablet(sign_in, ada):
    make_task(texts=("One.", "Two.", "Three."))
    page = sign_in(ada, at="/work/", viewport={"width": 820, "height": 1180}, has_touch=True)
    begin(page)
    for letter in "ABC":
        article(page, letter).locator('[data-scale=rating] input[value="5"]').tap()
        if letter != "C":
            article(page, letter).get_by_role("button", name="Next completion").tap()
    page.locator("button[data-step=rank]").tap()
    expect(page.locator("main")).to_have_attribute("data-step", "rank")
    finger = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    def drag(letter: str, rank: int) -> None:
        start, end = (
            place.evaluate(
                "element => { element.scrollIntoView({ block: 'nearest' }); const { x, y, width, height } = "
                "element.getBoundingClientRect(); return [x + width / 2, y + height / 2]; }"
            )
            for place in (chip(page, letter), page.locator(f'[data-drop="{rank}"]'))
        )
        touch("touchStart", start)
        for part in (0.2, 0.6, 1):
            touch("touchMove", tuple(a + (b - a) * part for a, b in zip(start, end, strict=True)))
        # At rest before it lifts: after a flick Chromium takes the next tap for the one that stops the page.
        page.wait_for_timeout(150)
        touch("touchMove", end)
        touch("touchEnd")
        expect(
            page.locator(f'[data-drop="{rank}"]').locator(f'[data-chip][aria-label^="Completion {letter}."]')
        ).to_have_count(1)

    first, second, third = letters(page)
    drag(first, 2)
    drag(second, 1)
    drag(third, 2)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Submit").tap()
    left_for(page, "/work/")
    assert sorted(rank for _, rank, _ in stored()) == [1, 2, 2]


def test_nothing_moves_where_no_motion_is_wanted(sign_in, ada):
    make_task(texts=("One.", "Two."))
    page = sign_in(ada, at="/work/", reduced_motion="reduce")
    begin(page)
    press(page, "44")
    page.keyboard.press("c")
    assert page.evaluate("document.getAnimations().length") == 0
    moving = """[...document.querySelectorAll("*")].map((element) => getComputedStyle(element)).filter((style) =>
        style.animationName !== "none" || style.scrollBehavior === "smooth"
            || style.transitionDuration.split(", ").some((time) => parseFloat(time) > 0)).length"""
    assert page.evaluate(moving) == 0


def test_an_answer_after_hours_offline_is_surplus_once_its_seat_is_filled(sign_in, ada, bo, problems):
    task = make_task(texts=("One.", "Two."))
    page = sign_in(ada, at="/work/")
    begin(page)
    page.context.set_offline(True)
    finish(page)
    expect(page.locator("[data-outbox-count]")).to_have_text("Offline — 1 answer waiting")
    Lease.objects.update(expires_at=F("expires_at") - timedelta(hours=5))
    assert expire_leases() == 1
    make_ranking(task=task, labeler=bo)
    page.context.set_offline(False)
    left_for(page, "/work/")
    late = Ranking.objects.get(labeler=ada)
    assert late.surplus and sorted(judged.rank for judged in late.judgments.all()) == [1, 2]
    assert not Ranking.objects.get(labeler=bo).surplus
    problems.clear()


def test_going_back_shows_the_answer_and_stores_no_second(sign_in, ada):
    batch = make_batch()
    for number in (1, 2):
        make_task(batch=batch, prompt=make_prompt(f"Question {number}?"), texts=("One.", "Two."))
    page = sign_in(ada, at="/work/")
    begin(page)
    finish(page)
    expect(page.locator(".bench-prompt [data-prose]")).to_have_text("Question 2?")
    press(page, "7")
    expect(page.locator("[data-saved]")).to_have_text("Draft saved")
    page.go_back()
    # The answer that is there, open for a correction; without a reason it goes nowhere.
    expect(page.locator(".bench-prompt [data-prose]")).to_have_text("Question 1?")
    expect(page.get_by_role("heading", name="Correct your answer")).to_be_visible()
    page.wait_for_selector("main[data-live]")
    page.keyboard.press("Enter")
    expect(page.locator("[data-notice]")).to_contain_text("why you correct")
    page.go_forward()
    expect(page.locator(".bench-prompt [data-prose]")).to_have_text("Question 2?")
    page.wait_for_selector("main[data-live]")
    # What was begun there is there.
    expect(page.locator("[data-count=rate]")).to_have_text("1/2")
    press(page, "7")
    press(page, ranks(page, A=1, B=1))
    page.keyboard.press("Enter")
    left_for(page, "/work/")
    assert Ranking.objects.count() == 2
    assert sorted(Ranking.objects.values_list("revision", flat=True)) == [1, 1]
