"""From the link to the feedback, all of it on pages: invited, four gates at the workbench, two grades by keyboard, a
decision on a report without a name."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from labeling.people.models import User
from labeling.screening.models import Application, Grade, Topic
from tests.browser.test_axe import faults
from tests.browser.test_ranking import press
from tests.factories import make_screening_round
from tests.labeling.screening.working import work_through

ANSWER = "I would rather not say how; here is whom you can talk to."


def rank_as_written(page: Page) -> None:
    """Rated alike, then "One." before "Two." before "Three.", in whatever order the page asks for them."""
    page.wait_for_selector('main[data-ranking][data-live][data-order="ranks"]')
    press(page, "555")
    expect(page.locator("main")).to_have_attribute("data-step", "rank")
    place = {"One.": "1", "Two.": "2", "Three.": "3"}
    press(page, "".join(place[text] for text in page.locator("[data-completion] [data-prose]").all_text_contents()))


def test_from_the_link_to_the_feedback(sign_in, new_context, problems, amy, rita):
    ray = User.objects.create_user("ray", password="a long password", role="researcher", group="researcher")
    held = make_screening_round(actor=amy, items=1, name="Spring")
    work_through(rita, flag="violent")
    admin = sign_in(amy, at=f"/screening/{held.pk}/")
    found = faults(admin, "round")
    admin.get_by_role("button", name="Make a link").click()
    link = admin.locator("#invitation-link").inner_text()

    # The applicant comes, and goes through the gates.
    page = new_context().new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(link)
    page.get_by_label("User name").fill("nora")
    page.get_by_label("Name to show").fill("Nora Secret")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Make my account").click()
    page.wait_for_url(lambda address: "join" not in address)
    page.goto("/application/")
    expect(page.get_by_role("heading", name="The four gates")).to_be_visible()
    found += faults(page, "application")
    page.get_by_role("button", name="Go on with the tasks").click()
    # Gate 1: one of three texts, each of which has to be looked at, is flagged.
    page.wait_for_selector('main[data-ranking][data-live][data-order="none"]')
    submit = page.get_by_role("button", name="Submit")
    for left in ("look at B, C", "look at C", ""):
        shown = page.locator("[data-completion][data-current]")
        if shown.locator("[data-prose]").text_content() == "Two.":
            shown.get_by_label("Violent content").check()
        expect(page.locator("[data-missing]")).to_have_text(f"Still to do: {left}." if left else "All looked at.")
        if left:
            expect(submit).to_be_disabled()
            page.keyboard.press("Enter")
    submit.click()
    # Gate 2, by keyboard.
    rank_as_written(page)
    page.keyboard.press("Enter")
    # Gate 3: about something that is veiled until one looks.
    page.wait_for_selector("main[data-demonstration][data-live]")
    page.get_by_label("Show it").check()
    page.get_by_label("Your answer").fill(ANSWER)
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/work/")
    expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    # Gate 4: able to judge one topic, not the next.
    page.goto("/application/")
    expect(page.get_by_text("1 of 1")).to_have_count(3)
    for topic, able in zip(Topic.objects.order_by("id"), ("Yes", "No"), strict=False):
        page.get_by_role("group", name=topic.name, exact=True).get_by_label(able).check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved. You may change it")).to_be_visible()
    expect(page.get_by_text(f"2 of {Topic.objects.count()}")).to_be_visible()

    # Two researchers grade by keyboard, neither seeing whose it is.
    for grader, grade in ((rita, "6"), (ray, "7")):
        grading = sign_in(grader, at="/screening/grading/")
        expect(grading.get_by_text(ANSWER)).to_be_visible()
        assert "Secret" not in grading.content()
        found += faults(grading, "grading")
        grading.keyboard.press(grade)
        grading.keyboard.press("Enter")
        expect(grading.get_by_role("heading", name="Nothing waits for your grade")).to_be_visible()
    assert sorted(Grade.objects.values_list("grade", flat=True)) == [6, 7]

    # Decided without a name.
    application = Application.objects.get()
    admin.goto(f"/screening/{held.pk}/")
    admin.get_by_role("link", name=application.name).click()
    results = admin.get_by_role("region", name="The four gates").locator("tbody tr")
    said = f"2 of {Topic.objects.count()}"
    expect(results).to_contain_text(["1 of 1 100.0 %", "1 of 1 100.0 %", "1 of 1 6.50", said])
    assert "Secret" not in admin.content()
    found += faults(admin, "applicant")
    admin.get_by_label("Hire: their answers train models").check()
    admin.get_by_label("Why").fill("Careful.")
    admin.get_by_label("A word to the applicant").fill("Welcome.")
    admin.get_by_role("button", name="Decide").click()
    expect(admin.get_by_text("Decided, and written down")).to_be_visible()
    assert User.objects.get(username="nora").group == "training"

    # The applicant reads what came of it.
    page.goto("/application/")
    page.get_by_role("link", name="Read what came of it").click()
    expect(page.get_by_text("You are hired. Your answers will train models.")).to_be_visible()
    expect(page.get_by_text("Welcome.")).to_be_visible()
    expect(page.get_by_text("Violent content").first).to_be_visible()
    assert "Careful." not in page.content()
    found += faults(page, "feedback")
    assert found == []
