"""A newcomer's first steps and the decision about them, by keyboard alone."""

from __future__ import annotations

from playwright.sync_api import expect

from labeling.leasing.models import Lease
from labeling.onboarding.services import begin_onboarding, change_settings
from labeling.people.models import User
from labeling.rankings.services import submit_ranking
from tests.browser.test_axe import faults
from tests.browser.test_survey import tab_to
from tests.factories import make_batch, make_ranking, make_task


def test_steps_answers_and_the_decision(sign_in, ada, rita, amy):
    change_settings(switched_on=True, tour=False, answers=1, waits=True, actor=amy)
    begin_onboarding(person=ada)
    batch = make_batch(name="first-steps", probation=True, overlap=2)
    task = make_task(batch=batch, texts=("One.", "Two."))
    page = sign_in(ada, at="/work/")
    expect(page.get_by_text("Give your first answers: 0 of 1")).to_be_visible()
    found = faults(page, "steps")
    tab_to(page, "Begin", role="button")
    page.keyboard.press("Enter")
    page.wait_for_selector("main[data-live]")
    lease = Lease.objects.get(task=task, labeler=ada)
    ranked = sorted(lease.order_shown)
    said = {"completions": [{"id": one, "rank": rank, "rating": 8 - rank} for rank, one in enumerate(ranked, 1)]}
    page.goto("/work/")
    submit_ranking(lease_id=lease.pk, labeler=ada, answer=said, idempotency_key="k")
    # As ada, who followed no order but that of the ids.
    order = [str(one) for one in task.item.completions.order_by("created_at", "id").values_list("id", flat=True)]
    make_ranking(task=task, labeler=rita, ranks=[ranked.index(one) + 1 for one in order])
    page.goto("/work/")
    expect(page.get_by_role("heading", name="Your first answers are in")).to_be_visible()
    found += faults(page, "waiting")

    staff = sign_in(rita, at="/onboarding/")
    tab_to(staff, "ada", role="link")
    staff.keyboard.press("Enter")
    expect(staff.get_by_role("region", name="Answers on probation")).to_contain_text("100.0 %")
    found += faults(staff, "report")
    tab_to(staff, "Pass: they work as everybody", role="radio")
    staff.keyboard.press("Space")
    tab_to(staff, "Why", role="textbox")
    staff.keyboard.insert_text("Careful.")
    tab_to(staff, "Decide", role="button")
    staff.keyboard.press("Enter")
    expect(staff.get_by_role("row", name="passed rita Careful.")).to_be_visible()
    assert User.objects.get(pk=ada.pk).onboarding == "passed"
    page.goto("/work/")
    expect(page.get_by_role("heading", name="Your first steps")).to_have_count(0)
    assert found == []
