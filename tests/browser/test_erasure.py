"""An admin erases a person in a real browser, by keyboard, and follows the taint report to a rebuilt data set."""

from __future__ import annotations

from labeling.exports import services as exports
from labeling.exports.models import Dataset
from labeling.jobs import run_now
from labeling.pipeline.models import Checkpoint, Run
from tests.factories import make_prompt


def test_admin_erases_a_person_and_rebuilds_what_had_them(sign_in, amy):
    make_prompt("What is a fjord?", user="other", source="support")
    make_prompt("I am Zorbaxquill.", user="zorbax", source="support")
    dataset = exports.create_dataset(kind="prompts", name="pool")
    base = Checkpoint.objects.create(name="base", kind="policy", folder="/b", weights_sha256="0" * 64)
    reward = Checkpoint.objects.create(name="reward", kind="reward", folder="/r", weights_sha256="2" * 64)
    run = Run.objects.create(name="first", algorithm="ppo", dataset=dataset, base=base, reward=reward, folder="/1")
    Checkpoint.objects.create(name="tuned", kind="policy", folder="/t", weights_sha256="1" * 64, run=run)
    page = sign_in(amy, at="/erasures/")
    page.locator("#find_source").fill("support")
    page.get_by_label("Their id there").fill("zorbax")
    page.keyboard.press("Enter")
    page.wait_for_url("**/erasures/people/*/")
    with page.expect_download() as given:
        page.get_by_role("button", name="Download all of it").click()
    assert "Zorbaxquill" in given.value.path().read_text("utf-8")
    page.get_by_label("Reason").fill("Asked by letter.")
    page.get_by_label("I know that this cannot be undone").check()
    page.get_by_label("I know that this cannot be undone").press("Enter")
    page.get_by_role("heading", name="What has or learned it").wait_for()
    row = page.get_by_role("row").filter(has_text="pool")
    for name in ("first", "tuned", "tainted"):
        assert row.get_by_text(name, exact=True).is_visible()
    row.get_by_role("button", name="Rebuild").click()
    page.wait_for_url("**/datasets/*/")
    made = Dataset.objects.get(rebuilds=dataset)
    run_now(str(made.job_id))
    page.get_by_text("complete", exact=True).or_(page.get_by_role("heading", name="Contents")).first.wait_for()
    page.goto(f"/datasets/{dataset.pk}/")
    page.get_by_role("link", name="Rebuilt without it: pool rebuilt").click()
    page.get_by_role("heading", name="pool rebuilt").wait_for()
    assert page.get_by_role("link", name="Train PPO").is_visible()
    page.goto("/models/")
    assert page.get_by_role("row").filter(has_text="tuned").get_by_text("tainted").is_visible()
