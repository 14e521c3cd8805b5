"""Labelers disagree, a researcher decides: blind at first, by keyboard, and what was decided is shown and exported."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from labeling.adjudication.models import AdjudicationCase, AdjudicationReveal
from labeling.adjudication.services import look
from labeling.exports.services import create_dataset
from labeling.jobs import run_now
from labeling.models import Job
from tests.browser.test_axe import faults
from tests.factories import make_batch, make_prompt, make_ranking, make_task
from training.formats import iter_rows

TEXTS = ("The longest of the answers by far.", "A short answer.", "Middling.")
HOSTILE = "<img src=x onerror=\"document.title = 'owned'\"> I liked the first."


def test_disagreement_is_decided_shown_and_exported(sign_in, ada, bo, rita):
    batch = make_batch(overlap=2, name="round one")
    task = make_task(batch=batch, prompt=make_prompt("Which answer is best?"), texts=TEXTS, models=("walrus-7b",) * 3)
    make_ranking(task=task, labeler=ada, ranks=[1, 2, 3], ratings=[7, 4, 2], note=HOSTILE)
    make_ranking(task=task, labeler=bo, ranks=[3, 2, 1], ratings=[1, 4, 6])

    page = sign_in(rita, at=f"/batches/{batch.pk}/")
    page.get_by_role("link", name="Change what happens where labelers disagree").click()
    page.get_by_label("Where labelers disagree").select_option("researcher")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("a researcher decides, above 40 %")).to_be_visible()
    run_now(Job.objects.get(kind="look_for_disagreement").pk)
    assert look() == {}

    page.goto("/adjudication/")
    found = faults(page, "list")
    expect(page.get_by_role("row", name="Which answer is best?")).to_contain_text("100.0 %")
    page.get_by_role("link", name="Which answer is best?").click()
    expect(page.get_by_text("Hidden from you while you may yet decide")).to_be_visible()
    found += faults(page, "task that waits")
    page.get_by_role("button", name="Decide").click()

    # Blind: nothing of what they said is on the page.
    page.wait_for_selector("main[data-live]")
    expect(page.get_by_role("heading", name="What labelers answered")).to_be_visible()
    assert "I liked the first" not in page.content() and "walrus" not in page.content()
    found += faults(page, "blind")
    for key in "555":
        page.keyboard.press(key)
    expect(page.locator("main")).to_have_attribute("data-step", "rank")
    page.keyboard.press("1")
    page.get_by_role("button", name="Show the labelers' answers").click()
    page.wait_for_selector("main[data-live]")
    expect(page.get_by_role("heading", name="Answer 2")).to_be_visible()
    expect(page.locator("[data-others]")).to_contain_text("I liked the first.")
    assert page.title().startswith("Rank") and AdjudicationReveal.objects.count() == 1
    found += faults(page, "revealed")
    # The draft is as it was left.
    expect(page.locator("main")).to_have_attribute("data-step", "rank")
    for key in "23":
        page.keyboard.press(key)
    page.keyboard.press("Enter")

    page.wait_for_url(f"**/adjudication/{task.pk}/")
    outcome = page.locator("[data-outcome-of-task]")
    expect(outcome).to_contain_text("in sight of the labelers' answers")
    expect(page.get_by_role("columnheader", name="Decision")).to_be_visible()
    found += faults(page, "decided")
    page.goto("/adjudication/?state=decided")
    expect(page.get_by_role("link", name="Which answer is best?")).to_be_visible()
    assert found == []

    case = AdjudicationCase.objects.get()
    question = {"answers": "prefer_adjudicated", "consensus": "bradley-terry"}
    (row,) = iter_rows(Path(create_dataset(kind="comparisons", question=question).folder), "train")
    assert row["id"] == str(case.outcome_id) and row["adjudicates"] is True
    assert row["consensus"]["answers"] == 2 and set(row["consensus"]["ranks"].values()) == {1}
