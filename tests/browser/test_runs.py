"""A researcher trains a model from the pages, and watches."""

from __future__ import annotations

import re
import threading

from django.db import connection
from playwright.sync_api import expect

from labeling import jobs
from labeling.pipeline import services
from labeling.pipeline.models import Checkpoint, Run
from tests.labeling.conftest import tiny_policy  # noqa: F401  a fixture
from tests.labeling.pipeline.conftest import make_dataset  # noqa: F401  a fixture

TRAINED = 240_000  # ms a tiny run may take on a busy machine, most of it importing torch


def test_start_a_run_and_see_its_curves(sign_in, rita, make_dataset, tiny_policy):  # noqa: F811
    services.register_base(folder=tiny_policy, name="tiny")
    make_dataset("demonstrations", name="our answers")
    page = sign_in(rita, at="/runs/")
    page.get_by_role("link", name="Train SFT").click()
    expect(page.get_by_label("Data set")).to_have_text(re.compile("our answers"), timeout=TRAINED)
    page.get_by_label("Name").fill("from-the-page")
    page.get_by_label("Seed").fill("4")
    page.get_by_label("Other arguments").fill('{"epochs": 3, "batch_size": 2, "unfrozen_layers": 1}')
    page.get_by_role("button", name="Train").click()
    expect(page.get_by_role("heading", name="from-the-page")).to_be_visible(timeout=TRAINED)
    expect(page.get_by_text("queued", exact=True)).to_be_visible()

    run = Run.objects.get(name="from-the-page")
    worker = threading.Thread(target=work, args=[str(run.job_id)])
    worker.start()
    try:
        # Nobody reloads: the page asks by itself.
        expect(page.get_by_role("img", name=re.compile(r"^Loss: loss from"))).to_be_visible(timeout=TRAINED)
        expect(page.get_by_text("done", exact=True)).to_be_visible(timeout=TRAINED)
    finally:
        worker.join()
    expect(page.locator("dl.facts").get_by_text("valid_loss", exact=True)).to_be_visible()
    page.get_by_text("The curves as a table").click()
    expect(page.get_by_role("columnheader", name="loss", exact=True)).to_be_visible()

    page.get_by_role("link", name="The model from-the-page").click()
    expect(page.get_by_role("heading", name="Where it comes from")).to_be_visible()
    expect(page.get_by_role("cell", name="our answers")).to_be_visible()
    expect(page.get_by_role("button", name="Publish")).to_be_visible()
    assert Checkpoint.objects.get(run=run).name == "from-the-page"


def work(job_id: str) -> None:
    try:
        jobs.run_now(job_id)
    finally:
        connection.close()


def test_curves_read_on_dark_ground_and_small_screens(sign_in, rita, make_dataset, tiny_policy):  # noqa: F811
    from pathlib import Path

    from training.formats import RunFolder

    base = services.register_base(folder=tiny_policy, name="tiny")
    run = services.start_run(algorithm="sft", dataset=make_dataset("demonstrations"), base=base)
    folder = RunFolder(Path(run.folder))
    folder.create(algorithm="sft")
    for step in range(1, 30):
        folder.log({"step": step, "loss": 3.0 / step, "lr": 1e-4})
    page = sign_in(rita, at=f"/runs/{run.pk}/", color_scheme="dark", viewport={"width": 390, "height": 800})
    curve = page.get_by_role("img", name=re.compile("^Loss"))
    expect(curve).to_be_visible()
    assert curve.evaluate("image => image.complete && image.naturalWidth > 0")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "nothing is wider than the screen"
