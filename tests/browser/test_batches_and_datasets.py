"""A researcher samples a batch from the real model and exports what labelers made of it, in real Chromium."""

from __future__ import annotations

import json

import zstandard
from playwright.sync_api import expect

from labeling import jobs
from labeling.background.models import Job
from labeling.exports.services import create_dataset
from labeling.sampling.models import Batch, Completion
from tests.browser.test_axe import faults
from tests.factories import make_prompt, make_ranking, make_task

# A look at a server, and eight short completions on a busy CPU, ms.
MODEL_PATIENCE = 120_000


def run_queued() -> None:
    """What a worker does, here: the browser's server has none beside it."""
    for job in Job.objects.filter(state="queued").order_by("created_at"):
        assert jobs.run_now(str(job.pk)).state == "done"


def test_researcher_adds_an_endpoint_and_samples_a_batch(sign_in, rita, model_server):
    make_prompt("Name a yellow fruit.")
    make_prompt("Name a blue thing.")
    page = sign_in(rita, at="/endpoints/")
    page.get_by_label("Name", exact=True).fill("smol")
    page.get_by_label("Address").fill(model_server.url)
    page.get_by_label("Model", exact=True).fill(model_server.model)
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("looking…")).to_be_visible()
    run_queued()
    # The row asks for itself; nobody reloads.
    expect(page.get_by_text("answers", exact=True)).to_be_visible(timeout=MODEL_PATIENCE)

    page.goto("/batches/new/")
    page.get_by_label("Name", exact=True).fill("round 1")
    page.get_by_role("checkbox", name="smol").check()
    page.get_by_label("Longest completion").fill("8")
    page.get_by_role("button", name="Make the batch").click()
    expect(page.get_by_role("heading", name="round 1")).to_be_visible()
    expect(page.get_by_text("sampling", exact=True)).to_be_visible()
    run_queued()
    expect(page.get_by_text("open", exact=True)).to_be_visible(timeout=MODEL_PATIENCE)
    assert Batch.objects.get().items.filter(state="filled").count() == 2

    page.reload()
    page.get_by_role("link", name="Name a yellow fruit.").click()
    written = Completion.objects.filter(item__prompt__messages__0__content="Name a yellow fruit.")
    expect(page.locator("article .pre")).to_have_count(written.count())
    expect(page.get_by_text(model_server.model).first).to_be_visible()


def test_form_keeps_what_was_typed_and_says_what_is_wrong(sign_in, rita, problems):
    make_prompt()
    page = sign_in(rita, at="/batches/new/")
    page.get_by_label("Name", exact=True).fill("round 1")
    page.get_by_label("K, completions a prompt").fill("2-30")
    with page.expect_response("**/batches/new/") as answer:
        page.get_by_label("Longest completion").fill("8")
        page.evaluate("document.querySelector('main form').requestSubmit()")
    assert answer.value.status == 400
    expect(page.get_by_role("alert")).to_contain_text("from 2 to 9")
    expect(page.get_by_label("Name", exact=True)).to_have_value("round 1")
    problems.clear()  # Chromium logs the 400


def test_researcher_exports_comparisons_and_follows_a_row(sign_in, rita, ada):
    ranking = make_ranking(task=make_task(texts=("Good.", "<i>Bad.</i>")), labeler=ada)
    page = sign_in(rita, at="/datasets/new/")
    page.get_by_label("Kind").select_option("comparisons")
    page.get_by_label("Name", exact=True).fill("first comparisons")
    page.get_by_role("button", name="Export").click()
    expect(page.get_by_text("queued")).to_be_visible()
    run_queued()
    expect(page.get_by_role("link", name="manifest.json")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="train-00000.jsonl.zst", exact=True).click()
    with zstandard.open(download.value.path(), "rb") as file:
        (line,) = file.read().splitlines()
    assert json.loads(line)["id"] == str(ranking.pk)
    page.reload()
    page.get_by_label("The row's id").fill(str(ranking.pk))
    page.get_by_role("button", name="Look it up").click()
    expect(page.get_by_text("<i>Bad.</i>")).to_be_visible()
    expect(page.get_by_text("secret-model").first).to_be_visible()


def test_researcher_searches_a_data_set_and_compares_it(sign_in, rita, ada):
    make_ranking(task=make_task(prompt=make_prompt("Why is the sky blue?")), labeler=ada)
    older = create_dataset(kind="comparisons", name="older")
    make_ranking(task=make_task(prompt=make_prompt("<script>alert(1)</script> blue whales")), labeler=ada)
    newer = create_dataset(kind="comparisons", name="newer")
    page = sign_in(rita, at=f"/datasets/{newer.pk}/")
    page.get_by_role("link", name="Look into it").press("Enter")
    expect(page.get_by_role("heading", name="Rows of newer")).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(3)
    page.get_by_label("Words of the prompt").fill("blue -sky")
    page.keyboard.press("Enter")
    expect(page.get_by_role("row")).to_have_count(2)
    found = faults(page, "found")
    row = page.get_by_role("link", name="<script>alert(1)</script> blue whales")
    row.press("Enter")
    expect(page.get_by_text("secret-model").first).to_be_visible()

    page.get_by_role("link", name="Compare").press("Enter")
    expect(page.get_by_label("With")).to_have_value(str(older.pk))
    page.get_by_role("button", name="Compare").press("Enter")
    expect(page.get_by_role("heading", name="newer beside older")).to_be_visible()
    expect(page.get_by_role("row", name="Answers 1 1 0")).to_be_visible()
    expect(page.get_by_role("heading", name="Only in newer")).to_be_visible()
    expect(page.get_by_role("link", name="<script>alert(1)</script> blue whales")).to_be_visible()
    assert found + faults(page, "compared") == []
    page.get_by_role("link", name="The data set").press("Enter")
    page.get_by_role("link", name="Train a reward model").press("Enter")
    page.wait_for_url(f"**/runs/new/?algorithm=rm&dataset={newer.pk}")
