"""The tour on practice tasks in real Chromium: by keyboard alone, with its notes, left and taken up again."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from labeling.leasing.models import Lease
from labeling.people.services import change_keys
from labeling.practice.content import practice_task, practice_tasks
from labeling.practice.models import PracticeAnswer, PracticeTour
from labeling.practice.services import begin_tour
from labeling.rankings.models import Ranking
from tests.browser.test_axe import faults


def live(page: Page) -> None:
    page.wait_for_selector("main[data-live]")


def note(page: Page):
    return page.locator("[data-note]:visible")


def press(page: Page, keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def in_order(page: Page, name: str, field: str) -> list[int]:
    """What the reference says of the completions, in the order in which the page asks for it."""
    ours = {one.id: getattr(one, field) for one in practice_task(name).completions}
    shown = page.locator("[data-completion]").evaluate_all("all => all.map((one) => one.dataset.completion)")
    return [ours[one] for one in shown]


def rate(page: Page, name: str) -> None:
    press(page, "".join(str(rating) for rating in in_order(page, name, "rating")))
    expect(page.locator("main")).to_have_attribute("data-step", "rank")


def rank(page: Page, name: str) -> None:
    press(page, "".join(str(rank) for rank in in_order(page, name, "rank")))


def submitted(page: Page, name: str) -> None:
    page.wait_for_url(f"**/{name}/feedback/")
    for one in practice_task(name).completions:
        expect(page.get_by_text(one.why)).to_be_visible()


def to_next(page: Page) -> None:
    """The way on has the focus, so that Enter is enough."""
    expect(page.get_by_role("link", name="Next practice task")).to_be_focused()
    page.keyboard.press("Enter")
    live(page)


def test_the_whole_tour_by_keyboard_alone(sign_in, ada):
    page = sign_in(ada, at="/tour/")
    expect(page.get_by_role("button", name="Begin the tour")).to_be_focused()
    page.keyboard.press("Enter")
    live(page)

    expect(note(page)).to_contain_text("The next one follows")
    press(page, str(in_order(page, "basil", "rating")[0]))
    expect(note(page)).to_contain_text("Rate the others")
    expect(page.locator("[data-coach-live]")).to_contain_text("Rate the others")
    expect(page.locator("[data-clock]")).to_contain_text(":")
    press(page, "".join(str(rating) for rating in in_order(page, "basil", "rating")[1:]))
    expect(note(page)).to_contain_text("Now rank them")
    rank(page, "basil")
    expect(note(page)).to_contain_text("submits. Then you see")
    page.keyboard.press("Enter")
    submitted(page, "basil")
    expect(page.get_by_text("You and we put them in the same order.")).to_be_visible()

    to_next(page)
    rate(page, "library")
    expect(note(page)).to_contain_text("give both the same digit")
    rank(page, "library")
    expect(note(page)).to_contain_text("also say outright")
    # Side by side with the one that says the same, found by the arrows.
    twins = [one.id for one in practice_task("library").completions if one.rank == 1]
    page.locator(f'[data-chip="{twins[0]}"]').focus()
    page.keyboard.press("Enter")
    page.keyboard.press("c")
    dialog = page.get_by_role("dialog", name="Side by side")
    second = page.locator(f'[data-completion="{twins[1]}"]').get_attribute("data-letter")
    for _ in range(4):
        if dialog.locator("[data-pane-title]").nth(1).text_content().startswith(second):
            break
        page.keyboard.press("ArrowRight")
    page.keyboard.press("z")
    page.keyboard.press("Escape")
    expect(note(page)).to_have_text("Enter submits.")
    page.keyboard.press("Enter")
    submitted(page, "library")
    assert PracticeAnswer.objects.get(task="library").answer["same"]

    to_next(page)
    rate(page, "spiders")
    page.keyboard.press("b")
    expect(note(page)).to_contain_text("When none is any good")
    page.keyboard.press("w")
    expect(note(page)).to_contain_text("shows every key")
    page.keyboard.press("Enter")
    submitted(page, "spiders")
    expect(page.get_by_text("You called all of them bad, and so do we.")).to_be_visible()

    to_next(page)
    expect(note(page)).to_contain_text("harmful advice is a")
    page.keyboard.press("a")
    expect(note(page)).to_contain_text("Rate them all")
    rate(page, "dog")
    expect(note(page)).to_contain_text("skips a task, and asks why")
    page.keyboard.press("s")
    expect(page.get_by_role("dialog", name="Skip this task?")).to_be_visible()
    page.keyboard.press("Escape")
    expect(note(page)).to_contain_text("Rank them")
    rank(page, "dog")
    page.keyboard.press("Enter")
    submitted(page, "dog")

    to_next(page)
    expect(note(page)).to_contain_text("one scale")
    press(page, "5")
    expect(note(page)).to_contain_text("Another digit changes it")
    page.keyboard.press("Enter")
    submitted(page, "eggs")
    expect(page.get_by_text("You said 5, both are equally good.")).to_be_visible()
    expect(page.locator("table.prose")).to_be_visible()

    to_next(page)
    expect(page.get_by_label("Your answer")).to_be_focused()
    page.keyboard.type("I see no photo here; tell me what the leaves look like.")
    expect(note(page)).to_contain_text("Read it once more")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/photo/feedback/")
    expect(page.get_by_text("What we might write")).to_be_visible()
    expect(page.get_by_role("link", name="End of the tour")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="That was the tour")).to_be_visible()
    expect(page.get_by_role("link", name="To your work")).to_be_focused()

    assert PracticeTour.objects.get().finished_at
    assert set(PracticeAnswer.objects.values_list("task", "attempt")) == {(task.name, 1) for task in practice_tasks()}
    assert not Lease.objects.exists() and not Ranking.objects.exists()


def test_left_and_taken_up_again_with_its_draft(sign_in, ada):
    begin_tour(labeler=ada)
    page = sign_in(ada, at="/tour/1/basil/")
    live(page)
    press(page, "64")
    expect(page.locator("[data-saved]")).to_have_text("Kept in this browser")
    page.get_by_role("link", name="Leave the tour").click()
    page.get_by_role("link", name="Your work").click()
    page.goto("/tour/1/basil/")
    live(page)
    expect(page.locator('[data-count="rate"]')).to_have_text("2/3")
    # The notes go on where the work does.
    expect(note(page)).to_contain_text("Rate the others")
    # Back, forth and closed by hand; what was closed stays closed.
    page.get_by_role("button", name="Previous note").click()
    expect(note(page)).to_contain_text("The next one follows")
    page.locator("[data-coach] summary").click()
    page.reload()
    live(page)
    expect(note(page)).to_have_count(0)
    press(page, "2")
    expect(page.locator("[data-coach-live]")).to_have_text("")


def test_skipping_and_trying_again(sign_in, ada):
    begin_tour(labeler=ada)
    page = sign_in(ada, at="/tour/1/eggs/")
    live(page)
    page.keyboard.press("s")
    page.get_by_label("The prompt makes no sense").check()
    page.get_by_role("button", name="Skip this task").click()
    page.wait_for_url("**/feedback/")
    expect(page.get_by_text("You skipped it:")).to_be_visible()
    page.get_by_role("link", name="Try it again").click()
    live(page)
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    submitted(page, "eggs")
    assert list(PracticeAnswer.objects.order_by("attempt").values_list("attempt", flat=True)) == [1, 2]


def test_an_answer_given_offline_arrives_once(sign_in, ada, problems):
    begin_tour(labeler=ada)
    page = sign_in(ada, at="/tour/1/eggs/")
    live(page)
    page.keyboard.press("2")
    page.context.set_offline(True)
    page.keyboard.press("Enter")
    expect(page.locator("[data-saved]")).to_have_text("Offline — answer waits")
    page.context.set_offline(False)
    page.wait_for_url("**/eggs/feedback/")
    assert PracticeAnswer.objects.count() == 1
    problems.clear()


@pytest.mark.parametrize("size", [(1280, 720), (820, 1180), (640, 360)], ids=str)
def test_the_notes_cover_nothing(sign_in, ada, size):
    begin_tour(labeler=ada)
    page = sign_in(ada, at="/tour/1/dog/", viewport={"width": size[0], "height": size[1]})
    live(page)
    for step in ("rate", "rank"):
        if step == "rank":
            rate(page, "dog")
        overlaps = page.evaluate("""() => {
            const boxes = (list) => [...document.querySelectorAll(list)].map((one) => one.getBoundingClientRect());
            const [coach] = boxes("[data-coach]");
            const met = ({ top, bottom, left, right }) =>
                right > left && left < coach.right && right > coach.left && top < coach.bottom && bottom > coach.top;
            return boxes(".bench-bar, .bench-work, .completion, .board-list, .board-foot").filter(met).length;
        }""")
        assert overlaps == 0, step
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(note(page)).to_be_visible()


def test_notes_name_the_labelers_own_keys(sign_in, ada):
    change_keys(user=ada, keys={"skip": "F2", "compare": ""}, letter_keys=False)
    begin_tour(labeler=ada)
    page = sign_in(ada, at="/tour/1/dog/")
    live(page)
    page.get_by_role("button", name="Next note").click()
    page.get_by_role("button", name="Next note").click()
    expect(note(page).locator("kbd").first).to_have_text("F2")
    page.keyboard.press("F2")
    expect(page.get_by_role("dialog", name="Skip this task?")).to_be_visible()


def test_no_state_of_the_tour_has_a_fault(sign_in, ada):
    begin_tour(labeler=ada)
    page = sign_in(ada, at="/tour/")
    found = faults(page, "begin")
    page.goto("/tour/1/library/")
    live(page)
    found += faults(page, "rating")
    rate(page, "library")
    found += faults(page, "ranking")
    press(page, "1121" + "1111")
    page.keyboard.press("Enter")
    submitted(page, "library")
    found += faults(page, "feedback")
    page.goto("/tour/")
    found += faults(page, "under way")
    page.goto("/work/")
    assert found + faults(page, "queue") == []


def test_without_javascript_the_form_is_enough(sign_in, ada):
    begin_tour(labeler=ada)
    page = sign_in(ada, at="/tour/1/eggs/", java_script_enabled=False)
    expect(page.get_by_text("Practice 5 of 6: Longer is not better")).to_be_visible()
    expect(page.locator("[data-coach]")).to_be_hidden()
    page.locator('[name="strength"][value="3"]').check()
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/eggs/feedback/")
    expect(page.get_by_text("You said 3")).to_be_visible()
