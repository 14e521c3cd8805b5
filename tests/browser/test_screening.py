"""From the link to the feedback: invited, four gates, two grades by keyboard, a decision on a report without a name."""

from __future__ import annotations

from playwright.sync_api import expect

from labeling.people.models import User
from labeling.screening.models import Application, Grade, Topic
from tests.browser.test_axe import faults
from tests.factories import make_screening_round
from tests.labeling.screening.working import work_through


def test_from_the_link_to_the_feedback(sign_in, new_context, amy, rita):
    ray = User.objects.create_user("ray", password="a long password", role="researcher", group="researcher")
    held = make_screening_round(actor=amy, items=1, name="Spring")
    work_through(rita, flag="violent")
    admin = sign_in(amy, at=f"/screening/{held.pk}/")
    found = faults(admin, "round")
    admin.get_by_role("button", name="Make a link").click()
    link = admin.locator("#invitation-link").inner_text()

    # The applicant comes, and goes through the gates.
    page = new_context().new_page()
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
    # Gate 1: nothing is flagged.
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.goto("/application/")
    nora = User.objects.get(username="nora")
    work_through(nora)
    page.goto("/application/")
    expect(page.get_by_text("1 of 1").first).to_be_visible()
    topic = Topic.objects.order_by("id").first()
    page.get_by_role("group", name=topic.name, exact=True).get_by_label("Yes").check()
    page.locator("form", has=page.get_by_role("group", name=topic.name, exact=True)).get_by_role(
        "button", name="Save"
    ).click()
    expect(page.get_by_text("Saved. You may change it")).to_be_visible()

    # Two researchers grade by keyboard, neither seeing whose it is.
    for grader, grade in ((rita, "6"), (ray, "7")):
        grading = sign_in(grader, at="/screening/grading/")
        expect(grading.get_by_text("A careful answer.")).to_be_visible()
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
    expect(admin.get_by_text("6.50").first).to_be_visible()
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
