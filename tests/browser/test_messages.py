"""A message by keyboard alone: written by an admin, read by a labeler, seen as read."""

from __future__ import annotations

from playwright.sync_api import expect

from labeling.notices.models import NoticeReceipt
from tests.browser.test_axe import faults
from tests.browser.test_survey import tab_to


def test_from_the_admin_to_the_labeler_and_back(sign_in, ada, amy):
    staff = sign_in(amy, at="/people/")
    tab_to(staff, "Write a message", role="link")
    staff.keyboard.press("Enter")
    expect(staff.get_by_role("heading", name="Write a message")).to_be_visible()
    tab_to(staff, "Title", role="textbox")
    staff.keyboard.insert_text("New <i>hours</i>")
    staff.keyboard.press("Tab")
    staff.keyboard.insert_text("From Monday:\n\n- **nine** to five\n- a [link](https://example.org)\n")
    staff.keyboard.press("Tab")
    staff.keyboard.press("Space")
    tab_to(staff, "Preview", role="button")
    staff.keyboard.press("Enter")
    expect(staff.get_by_role("region", name="Preview").get_by_text("nine")).to_be_visible()
    found = faults(staff, "written")
    tab_to(staff, "Send", role="button")
    staff.keyboard.press("Enter")
    expect(staff.get_by_role("heading", name="Read by 0 of 1 person")).to_be_visible()

    page = sign_in(ada, at="/work/")
    expect(page.get_by_role("heading", name="New <i>hours</i>")).to_be_visible()
    found += faults(page, "work")
    tab_to(page, "Messages 1 unread", role="link")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Messages", exact=True)).to_be_visible()
    assert page.locator(".site-head").bounding_box()["height"] < 60
    found += faults(page, "messages")
    page.goto("/work/")
    tab_to(page, "I have read it", role="button")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="New <i>hours</i>")).to_have_count(0)
    assert NoticeReceipt.objects.get().read_at is not None
    staff.reload()
    expect(staff.get_by_role("heading", name="Read by 1 of 1 person")).to_be_visible()
    assert found + faults(staff, "readers") == []
