"""The main navigation: groups that open and close by keyboard, and fit a laptop."""

from __future__ import annotations

from playwright.sync_api import expect


def test_groups_open_close_and_lead_on_by_keyboard(sign_in, amy):
    page = sign_in(amy, at="/audit/")
    navigation = page.get_by_role("navigation", name="Main")
    team, data = navigation.get_by_text("Team", exact=True), navigation.get_by_text("Data", exact=True)
    people = navigation.get_by_role("link", name="People")
    expect(people).to_be_hidden()
    team.focus()
    page.keyboard.press("Enter")
    expect(people).to_be_visible()
    expect(navigation.get_by_role("link", name="Audit")).to_have_attribute("aria-current", "page")
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(people).to_be_hidden()
    expect(team).to_be_focused()
    # One at a time, and none once the focus has gone elsewhere.
    page.keyboard.press("Enter")
    data.focus()
    expect(people).to_be_hidden()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Intake", level=1)).to_be_visible()


def test_head_is_one_line_on_a_small_laptop(sign_in, amy):
    page = sign_in(amy, at="/audit/", viewport={"width": 1280, "height": 720})
    assert page.locator(".site-head").bounding_box()["height"] < 60
    # A click elsewhere closes what is open.
    page.get_by_text("Quality", exact=True).click()
    expect(page.get_by_role("link", name="Agreement")).to_be_visible()
    page.locator("main h1").click()
    expect(page.get_by_role("link", name="Agreement")).to_be_hidden()
