"""A labeler's agreement falls: an admin is told, looks at the items behind it, and takes note."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone
from playwright.sync_api import expect

from labeling.checks import services
from labeling.checks.models import CheckAlert
from labeling.leasing.models import CheckTurn
from tests.browser.test_axe import faults
from tests.factories import make_batch, make_prompt, make_ranking, make_task


def test_a_dip_on_gold_is_seen_and_looked_into(sign_in, ada, bo, rita, amy):
    gold = make_batch(groups=["researcher"], state="closed")
    for number in range(12):
        make_ranking(task=make_task(batch=gold, prompt=make_prompt(f"Question {number}?")), labeler=rita)
    held = services.make_set(name="Gold", batch=gold, groups=["training"], actor=rita)
    for number, item in enumerate(held.items.order_by("id")):
        for person in (ada, bo):
            given = timezone.now() - timedelta(days=14 if number < 6 else 0)
            CheckTurn.objects.create(task=item.task, labeler=person, kind="gold", served_at=given)
            item.task.seats.create(batch=gold, number=item.task.seats.count(), groups=[])
            ranks = [4, 3, 2, 1] if number >= 6 and person == ada else [1, 2, 3, 4]
            make_ranking(task=item.task, labeler=person, ranks=ranks, created_at=given)
    assert services.keep_up()["alerts"] == 1

    page = sign_in(amy, at="/")
    told = page.get_by_role("region", name="Hidden checks that changed")
    expect(told).to_contain_text("ada")
    expect(told).not_to_contain_text("bo:")
    found = faults(page, "overview")
    told.get_by_role("link", name="ada").click()
    expect(page.get_by_role("img", name="Agreement with researchers by week")).to_be_visible()
    found += faults(page, "chart")
    page.get_by_role("link", name="The items behind it").click()
    rows = page.get_by_role("table", name="Checks in the week").get_by_role("row")
    expect(rows).to_have_count(7)
    rows.nth(1).get_by_role("link").click()
    expect(page.get_by_role("columnheader")).to_have_text(["Completion", "ada", "rita"])
    expect(page.get_by_role("row", name="One.").get_by_role("cell")).to_have_text(["4", "1"])
    found += faults(page, "answer")
    page.get_by_role("link", name="All of their checks").click()
    page.get_by_label("What you found or did").fill("We read the guidelines <b>together</b>.")
    page.keyboard.press("Enter")
    expect(page.get_by_text("We read the guidelines <b>together</b>.")).to_be_visible()
    assert CheckAlert.objects.get().acknowledged_by == amy
    page.goto("/")
    expect(told).to_have_count(0)
    assert found == []
