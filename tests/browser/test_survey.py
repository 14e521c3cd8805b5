"""A survey, by keyboard alone: from the invitation to a thank-you, through a reload; and the report."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from labeling.people.models import User
from labeling.surveys.models import SurveyPart, SurveyTally
from labeling.surveys.services import answer_round, close_round
from tests.browser.test_axe import faults
from tests.factories import make_survey_round


def tab_to(page: Page, name: str, *, role: str) -> None:
    """Press Tab until the focus is on the control with this name."""
    wanted = page.get_by_role(role, name=name).first
    for _ in range(80):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never reaches {name}")


def answers(page: Page) -> dict[str, str]:
    return dict(page.evaluate("[...new FormData(document.querySelector('form[data-survey]'))].slice(1)"))


def test_answering_by_keyboard_through_a_reload(sign_in, ada):
    held = make_survey_round(title="How was <i>May</i>?")
    page = sign_in(ada, at="/work/")
    tab_to(page, "Take part", role="link")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="How was <i>May</i>?")).to_be_visible()
    found = faults(page, "survey")
    tab_to(page, "I strongly agree", role="radio")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    chosen = {"clear": "agree", "enjoyed": "strongly_agree"}
    assert answers(page) == chosen
    page.reload()
    assert answers(page) == chosen
    tab_to(page, "Send my answers", role="button")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Thank you. Your answers are counted")).to_be_visible()
    counts = SurveyTally.objects.get(round=held).counts
    assert (counts["clear"]["agree"], counts["enjoyed"]["strongly_agree"], counts["glad"]["unsaid"]) == (1, 1, 1)
    # Nothing of it stays in the browser, for who sits here next.
    assert page.evaluate("Object.keys(sessionStorage).filter((key) => key.includes('survey'))") == []
    assert found == []


def test_the_invitation_is_declined_for_good(sign_in, ada):
    make_survey_round()
    page = sign_in(ada, at="/work/")
    tab_to(page, "No, thank you", role="button")
    page.keyboard.press("Enter")
    expect(page.get_by_text("You are not invited to this survey again.")).to_be_visible()
    page.goto("/work/")
    expect(page.get_by_text("A survey, if you like")).to_have_count(0)
    assert SurveyPart.objects.get().state == "declined"


def test_the_report_has_no_fault(sign_in, rita, ada):
    held = make_survey_round(questionnaire="demographics")
    page = sign_in(ada, at=f"/surveys/{held.pk}/")
    found = faults(page, "demographics")
    for number in range(8):
        person = User.objects.create(username=f"one-{number}", group="training")
        said = {"gender": ["woman" if number < 5 else "man"], "ethnicity": ["white"], "nationality": ["PH"]}
        answer_round(round_id=held.pk, person=person, answers=said)
    close_round(round_id=held.pk, actor=None)
    staff = sign_in(rita, at=f"/survey-rounds/{held.pk}/")
    expect(staff.get_by_role("row", name="Woman 62.5 % 5")).to_be_visible()
    assert found + faults(staff, "report") == []
