"""No page has a fault that axe finds, light and dark. The pages come from the addresses, so that none is forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import axe_playwright_python
import pytest
from django.apps import apps
from django.test import Client
from django.urls import URLPattern, get_resolver
from playwright.sync_api import Page, expect

from labeling.leasing.models import Lease
from tests.factories import make_batch, make_endpoint, make_prompt, make_ranking, make_suggestion, make_task
from tests.invariants.conftest import world  # noqa: F401, a fixture

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
# What a page's address may name, by the parameter's name: the model whose rows are tried, and the field.
NAMED = {
    "job_id": ("job", "pk"),
    "user_id": ("user", "pk"),
    "number": ("guideline", "number"),
    "erasure_id": ("erasure", "pk"),
    "person_id": ("sourceuser", "pk"),
    "prompt_id": ("prompt", "pk"),
    "import_id": ("import", "pk"),
    "source_id": ("source", "pk"),
    "key_id": ("sourcekey", "pk"),
    "endpoint_id": ("endpoint", "pk"),
    "batch_id": ("batch", "pk"),
    "item_id": ("batchitem", "pk"),
    "lease_id": ("lease", "pk"),
    "question_id": ("question", "pk"),
    "dataset_id": ("dataset", "pk"),
    "run_id": ("run", "pk"),
    "checkpoint_id": ("checkpoint", "pk"),
    "campaign_id": ("campaign", "pk"),
    "name": ("form", "name"),
    "tour_number": ("practicetour", "number"),
    "task_name": ("practiceanswer", "task"),
    "term_id": ("makerterm", "pk"),
    "completion_id": ("completion", "pk"),
    "demonstration_id": ("demonstration", "pk"),
    "notice_id": ("notice", "pk"),
    "set_id": ("checkset", "pk"),
    "turn_id": ("checkresult", "pk"),
    "alert_id": ("checkalert", "pk"),
    "round_id": ("surveyround", "pk"),
    "request_id": ("payrequest", "pk"),
    "entry_id": ("ledgerentry", "pk"),
    "rate_id": ("payrate", "pk"),
    "task_id": ("adjudicationcase", "task"),
    "error_id": ("erroritem", "pk"),
    "table": ("form", "name"),
    "screening_id": ("screeninground", "pk"),
    "chosen_id": ("screeningitem", "pk"),
    "application_id": ("application", "pk"),
    "topic_id": ("topic", "pk"),
    "gate": ("screeningitem", "gate"),
}
# These are no pages, or need what only the page before them has.
NO_PAGES = {"dataset-file", "invitation-accept", "work-next"}
# What these do, they do on POST alone.
ACTIONS = ("-revoke", "-cancel", "-retry", "-restart", "-publish", "-switch", "-check", "-take-back")
MOST_TRIED = 12  # rows of a model
WORDS = """async (rules) => {
    const found = await axe.run(document, rules ? { runOnly: { type: "rule", values: rules } } : {});
    const say = (node) => `${node.target} ${node.failureSummary}`;
    return found.violations.map((one) => `${one.id} (${one.impact}): ${one.nodes.slice(0, 3).map(say).join(" | ")}`);
}"""


def routes(patterns: list | None = None, prefix: str = "") -> Iterator[tuple[str, str]]:
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from routes(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern) and pattern.name and not route.startswith("api/"):
            yield route, pattern.name


def addresses(route: str) -> Iterator[str]:
    parameters = re.findall(r"<(?:\w+:)?(\w+)>", route)
    rows = []
    for parameter in parameters:
        assert parameter in NAMED, f"{route}: say in NAMED which rows {parameter} names"
        model, field = NAMED[parameter]
        rows.append(apps.get_model("labeling", model).objects.values_list(field, flat=True)[:MOST_TRIED])
    for values in product(*rows):
        yield "/" + re.sub(r"<[^>]+>", "{}", route).format(*values)


def pages_of(person) -> Iterator[str]:
    """The address of each page that `person` gets to, one for each route."""
    client = Client()
    client.force_login(person)
    for route, name in routes():
        if name in NO_PAGES or name.endswith(ACTIONS):
            continue
        for address in addresses(route):
            answer = client.get(address)
            if answer.status_code in (403, 405):
                break
            if answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/html"):
                yield address
                break


def faults(page: Page, where: str) -> list[str]:
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.evaluate(AXE)
    found = [f"{where}: {fault}" for fault in page.evaluate(WORDS, None)]
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    return found + [f"{where}, dark: {fault}" for fault in page.evaluate(WORDS, ["color-contrast"])]


def look_at(page: Page, person) -> list[str]:
    found = []
    for address in pages_of(person):
        page.goto(address)
        live = "[data-ranking], [data-demonstration], [data-dialogue], [data-written-prompt], [data-review]"
        if page.locator(live).count():
            page.wait_for_selector("main[data-live]")
        found += faults(page, address)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{address}: something hangs over the edge of a laptop's screen")
    return found


@pytest.mark.parametrize("who", ["bo", "ada", "amy", "rita"])
def test_no_page_has_a_fault(world, sign_in, request, who, problems):  # noqa: F811
    person = request.getfixturevalue(who)
    found = look_at(sign_in(person, at="/account/"), person)
    problems.clear()
    assert found == []


def test_what_is_open_to_all_has_no_fault(new_context):
    page = new_context().new_page()
    page.goto("/sign-in/")
    assert faults(page, "sign-in") == []


def test_no_plot_has_a_fault(sign_in, ada, bo, rita, problems):
    for number in range(4):
        task = make_task(batch=make_batch(overlap=2), prompt=make_prompt(use_case="chat"), texts=("a", "b"))
        for person in (ada, bo):
            make_ranking(task=task, labeler=person, ranks=[1, 2] if number else [2, 1], ratings=[number + 1, 3])
    page = sign_in(rita, at="/agreement/")
    plots = page.get_by_role("img")
    expect(plots.first).to_have_accessible_name("Who agrees with whom")
    assert plots.count() > 3
    drawn = plots.first.locator("path").last.evaluate("path => getComputedStyle(path).stroke")
    for table in page.locator(".plot summary").all():
        table.click()
    expect(page.locator(".plot table").first).to_be_visible()
    assert faults(page, "plots") == []
    page.emulate_media(color_scheme="dark")
    assert plots.first.locator("path").last.evaluate("path => getComputedStyle(path).stroke") != drawn
    with page.expect_download() as file:
        page.get_by_role("link", name="Download as CSV Who agrees with whom").click()
    assert file.value.suggested_filename == "agreement-cuts.csv"


def test_no_state_of_the_writing_page_has_a_fault(sign_in, ada):
    batch = make_batch(kind="demonstration", words_low=1, words_high=2)
    make_task(batch=batch, prompt=make_prompt("Which?"), texts=())
    page = sign_in(ada, at="/work/")
    page.get_by_role("button", name="Begin").click()
    page.wait_for_selector("main[data-live]")
    page.keyboard.insert_text(f"# One\n\n- two\n\n{'| wide ' * 40}|\n{'|-' * 40}|\n\n```\n{'code ' * 99}\n```\n")
    found = faults(page, "writing")
    page.keyboard.press("F9")
    expect(page.get_by_role("heading", name="One")).to_be_visible()
    found += faults(page, "preview")
    page.keyboard.press("F9")
    for key, dialog in (("?", "Keys"), ("s", "Skip this task?")):
        page.keyboard.press("Escape")
        page.keyboard.press(key)
        expect(page.get_by_role("dialog", name=dialog)).to_be_visible()
        found += faults(page, dialog)
        page.keyboard.press("Escape")
    assert found == []


def test_no_state_of_a_suggestion_has_a_fault(sign_in, ada):
    batch = make_batch(kind="demonstration", suggestions=make_endpoint())
    make_task(batch=batch, prompt=make_prompt("Which?"), texts=())
    page = sign_in(ada, at="/work/")
    page.get_by_role("button", name="Begin").click()
    page.wait_for_selector("main[data-live]")
    found = faults(page, "before it is asked for")
    lease = Lease.objects.get()
    make_suggestion(lease=lease, text="Words, words. " * 200)
    page.reload()
    expect(page.get_by_role("button", name="Use it")).to_be_enabled()
    found += faults(page, "done")
    make_suggestion(lease=lease, text="", state="failed", failure="named")
    page.reload()
    expect(page.get_by_text("cannot be shown")).to_be_visible()
    assert found + faults(page, "failed") == []


def test_no_state_of_the_dialogue_page_has_a_fault(sign_in, ada):
    make_task(batch=make_batch(kind="dialogue"), prompt=make_prompt("Which?"), texts=())
    page = sign_in(ada, at="/work/")
    page.get_by_role("button", name="Begin").click()
    page.wait_for_selector("main[data-live]")
    found = faults(page, "begun")
    for text in ("```\ncode\n```\n" * 30, "Oh?", "Yes."):
        page.keyboard.insert_text(text)
        page.keyboard.press("Alt+Enter")
    found += faults(page, "written")
    page.get_by_role("button", name="Edit turn 2").click()
    found += faults(page, "a turn opened again")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    assert found + faults(page, "keys") == []


def test_no_state_of_the_ranking_page_has_a_fault(sign_in, ada):
    make_task(
        batch=make_batch(), prompt=make_prompt("Which?"), texts=[f"Answer {number}. " * 30 for number in range(6)]
    )
    page = sign_in(ada, at="/work/")
    page.get_by_role("button", name="Begin").click()
    page.wait_for_selector("main[data-live]")
    found = faults(page, "rating")
    for key, dialog in (("?", "Keys"), ("s", "Skip this task?"), ("q", "Ask about this task"), ("c", "Side by side")):
        page.keyboard.press(key)
        expect(page.get_by_role("dialog", name=dialog)).to_be_visible()
        found += faults(page, dialog)
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
    for key in "t666666112":
        page.keyboard.press("Escape" if key == "t" else key)
    expect(page.locator("main")).to_have_attribute("data-step", "rank")
    assert found + faults(page, "ranking") == []
    assert Lease.objects.get().state == "open"
