"""Prompts are named by keyboard alone, in real Chromium."""

from __future__ import annotations

import time

from playwright.sync_api import expect

from labeling.use_cases.models import UseCaseAssignment
from tests.browser.test_axe import faults
from tests.factories import make_prompt


def said(count: int) -> list[str]:
    """What was said, once so much is written down: the page does not wait for it."""
    until = time.monotonic() + 30
    while UseCaseAssignment.objects.count() < count and time.monotonic() < until:
        time.sleep(0.05)
    return list(UseCaseAssignment.objects.order_by("id").values_list("use_case", flat=True))


def test_one_key_for_each_use_case(sign_in, amy, problems):
    prompts = sorted(
        (make_prompt(f"<img src=x onerror=alert(1)> number {n}") for n in range(4)), key=lambda each: each.text_sha256
    )
    texts = [prompt.messages[0]["content"] for prompt in prompts]
    page = sign_in(amy, at="/use-cases/assign/")
    item = page.locator("[data-item]")
    expect(item.locator(".pre")).to_have_text(texts[0])
    expect(item.locator("img")).to_have_count(0)
    expect(item).to_be_focused()
    found = faults(page, "naming")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing hangs over the edge"
    last = page.get_by_role("button", name="Extract").bounding_box()
    assert last["y"] + last["height"] <= page.viewport_size["height"], "all keys are in sight"

    page.keyboard.press("4")
    expect(item.locator(".pre")).to_have_text(texts[1])
    expect(page.locator("[data-last]")).to_have_text("You: Chat.")
    page.keyboard.press("0")
    expect(item.locator(".pre")).to_have_text(texts[2])
    assert sorted(said(2)) == ["chat", "extract"]  # of two prompts: which arrives first is all the same
    page.keyboard.press("u")
    expect(item.locator(".pre")).to_have_text(texts[1])
    assert sorted(said(3)) == ["", "chat", "extract"]
    page.keyboard.press("s")
    expect(item.locator(".pre")).to_have_text(texts[2])
    page.keyboard.press("1")
    expect(item.locator(".pre")).to_have_text(texts[3])
    page.keyboard.press("2")
    expect(page.get_by_text("You have named all prompts")).to_be_visible()
    assert sorted(said(5)[3:]) == ["generation", "open_qa"]
    assert not found and not problems, (found, problems)
