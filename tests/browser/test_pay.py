"""A correction of pay, by keyboard alone: the labeler asks, an admin accepts, the labeler sees it."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone
from playwright.sync_api import Page, expect

from labeling.pay import services
from labeling.pay.models import LedgerEntry
from tests.browser.test_axe import faults
from tests.factories import make_work


def tab_to(page: Page, name: str, *, role: str) -> None:
    """Press Tab until the focus is on the control with this name."""
    wanted = page.get_by_role(role, name=name).first
    for _ in range(120):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never reaches {name}")


def press(page: Page, name: str, *, role: str) -> None:
    tab_to(page, name, role=role)
    page.keyboard.press("Enter")


def test_a_correction_from_asking_to_the_ledger(sign_in, ada, amy):
    yesterday = timezone.now() - timedelta(days=1)
    services.set_rate(user_id=ada.pk, valid_from=yesterday.date(), per_hour=1800, actor=amy)
    make_work(labeler=ada, at=yesterday, seconds=3600)
    services.enter_time()

    labeler = sign_in(ada, at="/work/")
    press(labeler, "My pay", role="link")
    expect(labeler.get_by_role("heading", name="My pay")).to_be_visible()
    expect(labeler.get_by_text("18.00 USD an hour")).to_be_visible()
    found = faults(labeler, "pay")
    press(labeler, "Ask about it", role="link")
    tab_to(labeler, "Minutes that are missing", role="spinbutton")
    labeler.keyboard.type("20")
    tab_to(labeler, "Your question, or what happened", role="textbox")
    labeler.keyboard.insert_text("I read the <guidelines> anew.")
    found += faults(labeler, "ask")
    press(labeler, "Send", role="button")
    expect(labeler.get_by_role("row", name="20 minutes more").get_by_text("waits")).to_be_visible()

    staff = sign_in(amy, at="/people/")
    press(staff, "1 question about pay waits", role="link")
    press(staff, "I read the <guidelines> anew.", role="link")
    expect(staff.get_by_label("Minutes")).to_have_value("20")
    found += faults(staff, "request")
    tab_to(staff, "Why", role="textbox")
    staff.keyboard.type("Reading counts.")
    press(staff, "Accept and enter it", role="button")
    expect(staff.get_by_text("Nothing waits.")).to_be_visible()

    labeler.goto("/work/")
    press(labeler, "Your team answered what you asked about your pay.", role="link")
    row = labeler.get_by_role("row", name="20 minutes more")
    expect(row.get_by_text("accepted")).to_be_visible()
    expect(row.get_by_text("Reading counts.")).to_be_visible()
    expect(labeler.get_by_role("row", name="Correction").get_by_text("6.00 USD")).to_be_visible()
    assert LedgerEntry.objects.get(kind="correction").amount == 600
    staff.goto(f"/payroll/people/{ada.pk}/")
    found += faults(labeler, "pay, answered") + faults(staff, "a person's pay")
    staff.goto(f"/people/{ada.pk}/")
    expect(staff.get_by_role("img", name="Hours in the ledger by week")).to_be_visible()
    assert found == []
