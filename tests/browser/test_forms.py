"""An admin changes what labelers are asked, in real Chromium; answers keep the version they were given under."""

from __future__ import annotations

from playwright.sync_api import expect

from labeling.forms.queries import newest_version
from labeling.leasing.services import grant_lease
from tests.factories import make_task


def test_admin_changes_a_form_and_labelers_are_asked_that(sign_in, amy, ada):
    make_task(texts=("One.", "Two."))
    page = sign_in(amy, at="/forms/")
    page.get_by_role("link", name="Rate and rank, as for InstructGPT").click()
    page.get_by_role("link", name="Change").click()
    page.get_by_role("button", name="Add about each completion: Text").click()
    added = page.get_by_role("group", name="Field 13: text")
    # The new field has the focus: words can be typed at once. Enter shows the page again and stores nothing.
    expect(added.get_by_label("Words that labelers read")).to_be_focused()
    page.keyboard.type("What would make it better?")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="What labelers will see")).to_contain_text("What would make it better?")
    assert newest_version(None).number == 1

    page.get_by_role("button", name="Move field 13 up").click()
    expect(page.get_by_role("group", name="Field 12: What would make it better?")).to_be_visible()
    page.get_by_role("button", name="Remove field 13").click()
    expect(page.get_by_role("group", name="Field 13")).to_have_count(0)
    page.get_by_role("button", name="Publish as the next version").click()
    expect(page.get_by_role("heading", name="Version 2 asks")).to_be_visible()
    assert [field["name"] for field in newest_version(None).definition["completion"]][-2:] == [
        "opinion",
        "what_would_make_it_better",
    ]

    lease = grant_lease(labeler=ada)
    assert lease.form_version.number == 2
    work = sign_in(ada, at=f"/work/{lease.pk}/")
    expect(work.get_by_label("What would make it better?").first).to_be_attached()


def test_a_wrong_field_is_named_and_nothing_typed_is_lost(sign_in, amy, problems):
    page = sign_in(amy, at="/forms/new/")
    page.get_by_label("Title").fill("Kindness")
    page.get_by_label("Name", exact=True).fill("kindness")
    page.get_by_role("button", name="Add about the prompt: Choice").click()
    page.get_by_label("Options, one a line").fill("Only one")
    page.get_by_label("Words that labelers read").last.fill("What is it about?")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("alert")).to_contain_text("Field 1 of the prompt, options, must be a list of 2 to 30")
    expect(page.get_by_label("Title")).to_have_value("Kindness")
    page.get_by_label("Options, one a line").fill("Art\nLaw")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("heading", name="Version 1 asks")).to_be_visible()
    problems.clear()  # Chromium logs the 400
