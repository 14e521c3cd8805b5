"""Take a picture of each page of a running demo, light and dark, into docs/screenshots/.

    .venv/bin/python docs/take_screenshots.py [http://127.0.0.1:8000]

Signs in with what `make demo` wrote to KWISE_HOME/sign-ins.json. Begins a ranking as the labeler and leaves a draft.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "screenshots"
HOME = Path(os.environ.get("KWISE_HOME", ROOT / ".kwise"))
TRIES = 60  # seconds until a new batch has its tasks
SIZE = {"width": 1280, "height": 720}  # pixels, a small laptop

LABELER = {
    "work": "/work/",
    "tour": "/tour/",
    "surveys": "/surveys/",
    "messages": "/messages/",
    "pay": "/pay/",
    "answers": "/answers/",
    "account": "/account/",
}
STAFF = {
    "overview": "/",
    "prompts": "/prompts/",
    "prompt-import": "/prompts/import/",
    "prompt-triage": "/prompts/triage/",
    "endpoints": "/endpoints/",
    "batches": "/batches/",
    "batch-new": "/batches/new/",
    "written": "/written/",
    "batch-new-written": "/batches/new/written/",
    "datasets": "/datasets/",
    "dataset-new": "/datasets/new/",
    "runs": "/runs/",
    "run-new": "/runs/new/",
    "models": "/models/",
    "campaigns": "/campaigns/",
    "campaign-new": "/campaigns/new/",
    "agreement": "/agreement/",
    "adjudication": "/adjudication/",
    "checks": "/checks/",
    "quality": "/quality/?simulated=1",
    "label-errors": "/label-errors/",
    "survey-rounds": "/survey-rounds/",
    "onboarding": "/onboarding/",
    "screening": "/screening/",
    "screening-coverage": "/screening/coverage/",
    "sent-messages": "/sent-messages/",
    "jobs": "/jobs/",
}
ADMIN = {
    "people": "/people/",
    "invitations": "/people/invitations/",
    "screening-round-new": "/screening/new/",
    "survey-round-new": "/survey-rounds/new/",
    "message-new": "/sent-messages/new/",
    "payroll": "/payroll/",
    "payroll-requests": "/payroll/requests/",
    "audit": "/audit/",
}
# The first row's own page of a list: page → (list, how its link begins).
FIRST = {
    "prompt": ("/prompts/", "/prompts/"),
    "batch": ("/batches/", "/batches/"),
    "written-one": ("/written/", "/written/"),
    "dataset": ("/datasets/", "/datasets/"),
    "run": ("/runs/", "/runs/"),
    "model": ("/models/", "/models/"),
    "campaign": ("/campaigns/", "/campaigns/"),
    "adjudication-task": ("/adjudication/", "/adjudication/"),
    "job": ("/jobs/", "/jobs/"),
    "person": ("/people/", "/people/"),
    "payroll-person": ("/payroll/", "/payroll/people/"),
}


def sign_in(browser: Browser, base: str, name: str, password: str, scheme: str) -> Page:
    page = browser.new_context(viewport=SIZE, color_scheme=scheme, base_url=base).new_page()
    page.goto("/sign-in/")
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", password)
    page.press("input[name=password]", "Enter")
    page.wait_for_load_state("networkidle")
    return page


def shoot(page: Page, name: str, scheme: str, *, whole: bool = True) -> None:
    page.wait_for_load_state("load")
    page.screenshot(path=OUT / f"{name}-{scheme}.png", full_page=whole)
    print(f"{name}-{scheme}.png")


def make_batch(page: Page, **batch: object) -> None:
    """Where it is there already, this is refused, and nothing waits any more."""
    token = next(cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "csrftoken")
    page.request.post("/api/v1/batches/", data=batch, headers={"X-CSRFToken": token})


def take(page: Page, kind: str) -> bool:
    """Whether the next task is one of this kind, once its batch is open."""
    for _ in range(TRIES):
        page.goto("/work/next/")
        if page.locator(f"[data-{kind}][data-live]").count():
            return True
        page.wait_for_timeout(1000)
    print(f"no task: {kind}")
    return False


def shoot_review(writer: Page, reviewer: Page) -> None:
    """A review, before its reviewer has another task: somebody else's answer, edited."""
    make_batch(
        writer,
        name="to review",
        kind="demonstration",
        groups=["researcher", "training"],
        count=1,
        priority=20,
        review=True,
    )
    if not take(writer, "demonstration"):
        return
    writer.keyboard.insert_text("The moon pulls on the see, and the see goes up. Twice a day it is high water.")
    writer.keyboard.press("Control+Enter")
    writer.wait_for_url("**/work/**")
    writer.wait_for_timeout(1000)
    if not take(reviewer, "review"):
        return
    shoot_both(reviewer, "review")
    reviewer.keyboard.press("2")
    reviewer.locator("[name=turn]").fill(
        "The moon pulls at the sea, and the sea goes up. Twice a day it is high water."
    )
    reviewer.keyboard.press("Escape")
    reviewer.keyboard.press("c")
    shoot_both(reviewer, "review-edit")
    reviewer.keyboard.press("Control+Enter")
    reviewer.wait_for_url("**/work/**")
    reviewer.wait_for_timeout(1000)


def shoot_prompt_review(writer: Page, reviewer: Page) -> None:
    """The same of a prompt with examples."""
    make_batch(
        writer,
        name="prompts to review",
        kind="prompt",
        groups=["researcher", "training"],
        few_shot=1,
        pairs=2,
        priority=20,
        review=True,
    )
    if not take(writer, "written-prompt"):
        return
    write_few_shot(writer, instruction="Say how the massage sounds: glad, sad or neither.")
    writer.keyboard.press("Control+Enter")
    writer.wait_for_url("**/work/**")
    writer.wait_for_timeout(1000)
    if not take(reviewer, "review"):
        return
    reviewer.keyboard.press("2")
    reviewer.locator("[name=turn]").first.fill("Say how the message sounds: glad, sad or neither.")
    shoot_both(reviewer, "review-prompt")
    reviewer.keyboard.press("Control+Enter")
    reviewer.wait_for_url("**/work/**")
    reviewer.wait_for_timeout(1000)


def shoot_writing(page: Page) -> None:
    """The pages on which people write, as a researcher, who has tasks of their own: a batch is made for each, and the
    answer is stored, so that what was written can be shown too."""
    for kind in ("demonstration", "dialogue"):
        batch = {"name": f"to write, {kind}", "kind": kind, "groups": ["researcher"], "count": 1, "priority": 10}
        make_batch(page, **batch, words_low=20, words_high=80)
        if not take(page, kind):
            continue
        if kind == "demonstration":
            page.keyboard.insert_text(
                "# Tides\n\nThe *moon* pulls at the sea:\n\n- high water near it\n- low water between"
            )
            shoot_both(page, "demonstration")
            page.keyboard.press("F9")
            page.locator("[data-preview] h1").wait_for()
            shoot_both(page, "demonstration-preview")
        else:
            for text in ("The moon pulls at the sea, and the sea goes up.", "Does it pull at me too?"):
                page.keyboard.insert_text(text)
                page.keyboard.press("Alt+Enter")
            page.keyboard.insert_text("It does, only far too little for you to feel it.")
            shoot_both(page, "dialogue")
        page.keyboard.press("Control+Enter")
        page.wait_for_url("**/work/**")
        page.wait_for_timeout(1000)


def shoot_written_prompt(page: Page) -> None:
    """The page on which prompts are written, with examples; its batch is made like those above."""
    make_batch(page, name="prompts to write", kind="prompt", groups=["researcher"], priority=10, few_shot=1, pairs=2)
    if not take(page, "written-prompt"):
        return
    write_few_shot(page, instruction="Say how the message feels: glad, sad or neither.")
    page.wait_for_timeout(1200)
    shoot_both(page, "written-prompt")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/work/**")


def write_few_shot(page: Page, *, instruction: str) -> None:
    page.get_by_label("Instruction").fill(instruction)
    for number, (query, response) in enumerate([("The sun is out!", "glad"), ("Rain again.", "sad")], 1):
        example = page.get_by_role("group", name=f"Example {number}")
        example.get_by_label("Query").fill(query)
        example.get_by_label("Response").fill(response)
    page.get_by_label("The last query").fill("It is Tuesday.")


def shoot_both(page: Page, name: str) -> None:
    """A page that can be reached once."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        shoot(page, name, scheme, whole=False)


def shoot_ranking(page: Page, scheme: str) -> None:
    """The ranking page in its two steps, by keyboard, as a labeler works."""
    page.goto("/work/next/")
    page.wait_for_load_state("networkidle")
    shoot(page, "rating", scheme, whole=False)
    count = page.locator("[data-completion]").count() or 4
    for rating in [5, 3, 6, 3, 4, 2, 5, 3, 4][:count]:
        page.keyboard.press(str(rating))
    page.wait_for_timeout(300)
    for rank in [2, 3, 1][: count - 1]:
        page.keyboard.press(str(rank))
    page.wait_for_timeout(1200)
    shoot(page, "ranking", scheme, whole=False)


def shoot_tour(page: Page, scheme: str) -> None:
    """A practice task with its note, and what is said to an answer."""
    page.goto("/tour/")
    page.locator("form[action='/tour/begin/'] button").click()
    page.wait_for_selector("main[data-live]")
    shoot(page, "practice", scheme, whole=False)
    count = page.locator("[data-completion]").count()
    for key in ["6", "4", "2"][:count] + ["1", "2", "2"][:count]:
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    page.wait_for_url("**/feedback/")
    shoot(page, "practice-feedback", scheme)


def first_link(page: Page, listing: str, start: str) -> str | None:
    """Where the first link of the list's table leads."""
    page.goto(listing)
    for link in page.locator("main table a").all():
        target = link.get_attribute("href") or ""
        if target.startswith(start) and target.rstrip("/") not in (listing.rstrip("/"), f"{listing}new"):
            return target
    return None


def main() -> None:
    base = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
    accounts = {row["username"]: row["password"] for row in json.loads((HOME / "sign-ins.json").read_text())}
    OUT.mkdir(parents=True, exist_ok=True)
    chromium = next(path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking", "--disable-sync"]
        )
        pair = [sign_in(browser, base, name, accounts[name], "light") for name in ("rita", "ada")]
        shoot_review(*pair)
        shoot_prompt_review(*pair)
        for scheme in ("light", "dark"):
            page = browser.new_context(viewport=SIZE, color_scheme=scheme, base_url=base).new_page()
            page.goto("/sign-in/")
            shoot(page, "sign-in", scheme)
            for name, role in (("ada", "labeler"), ("rita", "researcher"), ("amy", "admin")):
                page = sign_in(browser, base, name, accounts[name], scheme)
                if role == "researcher" and scheme == "light":
                    shoot_writing(page)
                    shoot_written_prompt(page)
                    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                pages = {"labeler": LABELER, "researcher": STAFF, "admin": ADMIN}[role]
                for title, path in pages.items():
                    page.goto(path)
                    shoot(page, title, scheme)
                if role == "labeler":
                    shoot_ranking(page, scheme)
                    shoot_tour(page, scheme)
                for title, (listing, start) in FIRST.items():
                    wanted = "admin" if title == "person" else "researcher"
                    target = first_link(page, listing, start) if role == wanted else None
                    if target:
                        page.goto(target)
                        shoot(page, title, scheme)
        browser.close()


if __name__ == "__main__":
    main()
