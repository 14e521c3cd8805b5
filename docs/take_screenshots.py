"""Take a picture of each page of a running demo, light and dark, into docs/screenshots/.

    .venv/bin/python docs/take_screenshots.py [http://127.0.0.1:8000]

Wants a demo in which nobody has begun a task. Signs in with what `make demo` wrote to KWISE_HOME/sign-ins.json. Makes
batches of its own whose tasks come before the demo's, and answers them; makes an applicant and turns them down; begins
a ranking as the labeler and leaves a draft.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "screenshots"
HOME = Path(os.environ.get("KWISE_HOME", ROOT / ".kwise"))
PATIENCE = 60  # seconds until a new batch has its tasks
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
    "imports": "/intake/",
    "sources": "/sources/",
    "prompt-triage": "/prompts/triage/",
    "personal-data": "/personal-data/",
    "use-cases": "/use-cases/",
    "use-cases-assign": "/use-cases/assign/",
    "selection": "/selection/",
    "endpoints": "/endpoints/",
    "batches": "/batches/",
    "batch-new": "/batches/new/",
    "written": "/written/",
    "batch-new-written": "/batches/new/written/",
    "datasets": "/datasets/",
    "erasures": "/erasures/",
    "dataset-new": "/datasets/new/",
    "runs": "/runs/",
    "run-new": "/runs/new/",
    "models": "/models/",
    "campaigns": "/campaigns/",
    "campaign-new": "/campaigns/new/",
    "agreement": "/agreement/?simulated=1",
    "adjudication": "/adjudication/",
    "checks": "/checks/",
    "quality": "/quality/?simulated=1",
    "label-errors": "/label-errors/?simulated=1",
    "label-errors-judged": "/label-errors/judged/",
    "survey-rounds": "/survey-rounds/",
    "onboarding": "/onboarding/?step=training",
    "screening": "/screening/",
    "screening-coverage": "/screening/coverage/",
    "screening-grading": "/screening/grading/",
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
    "screening-round": ("/screening/", "/screening/"),
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


# What is made for the pages on which people write, in the order in which their tasks come. All draw the same prompt,
# which its author may have again.
BOTH, ALONE = ["researcher", "training"], ["researcher"]
EXAMPLES = {"few_shot": 1, "pairs": 2}
WORDS = {"words_low": 20, "words_high": 80}
BATCHES = (
    {"name": "to review", "kind": "demonstration", "groups": BOTH, "again": True, "count": 1, "review": True},
    {"name": "prompts to review", "kind": "prompt", "groups": BOTH, "review": True, **EXAMPLES},
    {"name": "answers to write", "kind": "demonstration", "groups": ALONE, "again": True, "count": 1, **WORDS},
    {"name": "dialogues to write", "kind": "dialogue", "groups": ALONE, "again": True, "count": 1, **WORDS},
    {"name": "prompts to write", "kind": "prompt", "groups": ALONE, **EXAMPLES},
)
ANSWER = "The swimming pool is closed on Friday for cleaning. It opens again on Saturday at 8 in the morning."
SLIPS = ANSWER.replace("swimming", "swiming").replace("opens again", "open agian")
MARKDOWN = (
    "# No swimming on Friday\n\nThe *swimming pool* is closed for cleaning on **Friday**:\n\n"
    "- it opens again on Saturday at 8\n- tickets for Friday are good until Sunday"
)


def make_batches(page: Page) -> None:
    """All of them, until their tasks are there: who asks for the next task earlier gets one of the demo's. Those that
    are there already are left alone, and nothing of them waits any more."""
    token = next(cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "csrftoken")
    for number, batch in enumerate(BATCHES):
        asked = {**batch, "priority": 100 - number}
        answer = page.request.post("/api/v1/batches/", data=asked, headers={"X-CSRFToken": token})
        if answer.status == 409:
            continue
        address = f"/api/v1/batches/{answer.json()['id']}/"
        for _ in range(PATIENCE):
            if page.request.get(address).json()["state"] == "open":
                break
            page.wait_for_timeout(1000)
        else:
            sys.exit(f"The batch “{batch['name']}” has no tasks after {PATIENCE} s; look at the demo's jobs.")


def take(page: Page, kind: str) -> bool:
    """Whether the next task is one of this kind."""
    page.goto("/work/next/")
    try:
        page.wait_for_selector(f"main[data-{kind}][data-live]", timeout=5000)
    except TimeoutError:
        print(f"no task: {kind}")
        return False
    return True


def hand_in(page: Page) -> None:
    with page.expect_response("**/submit/**"):
        page.keyboard.press("Control+Enter")
    page.wait_for_timeout(1000)  # the page goes on to the next by itself


def leave(page: Page) -> None:
    """Give back what came after the last answer."""
    page.goto("/work/")
    if (button := page.get_by_role("button", name="Give it back")).count():
        button.click()


def shoot_reviews(writer: Page, reviewer: Page) -> None:
    """An answer and a prompt with examples, written by somebody else, as their reviewer edits them."""
    if not take(writer, "demonstration"):
        return
    writer.keyboard.insert_text(SLIPS)
    hand_in(writer)
    if take(writer, "written-prompt"):
        write_few_shot(writer, instruction="Say how the massage sounds: glad, sad or neither.")
        hand_in(writer)
    if not take(reviewer, "review"):
        return
    shoot_both(reviewer, "review")
    reviewer.keyboard.press("2")
    reviewer.locator("[name=turn]").fill(ANSWER)
    reviewer.keyboard.press("Escape")
    reviewer.keyboard.press("c")
    shoot_both(reviewer, "review-edit")
    hand_in(reviewer)
    if not take(reviewer, "review"):
        return
    reviewer.keyboard.press("2")
    reviewer.locator("[name=turn]").first.fill("Say how the message sounds: glad, sad or neither.")
    shoot_both(reviewer, "review-prompt")
    hand_in(reviewer)
    leave(reviewer)


def shoot_writing(page: Page) -> None:
    """The pages on which people write, as a researcher; the answers are stored, so that they can be shown too."""
    if take(page, "demonstration"):
        page.keyboard.insert_text(MARKDOWN)
        shoot_both(page, "demonstration")
        page.keyboard.press("F9")
        page.locator("[data-preview] h1").wait_for()
        shoot_both(page, "demonstration-preview")
        hand_in(page)
    if take(page, "dialogue"):
        for text in ("The swimming pool is closed on Friday. See you soon!", "Say why, and when it opens again."):
            page.keyboard.insert_text(text)
            page.keyboard.press("Alt+Enter")
        page.keyboard.insert_text(ANSWER)
        shoot_both(page, "dialogue")
        hand_in(page)
    if take(page, "written-prompt"):
        write_few_shot(page, instruction="Say how the message feels: glad, sad or neither.")
        page.wait_for_timeout(1200)
        shoot_both(page, "written-prompt")
        hand_in(page)
    leave(page)


def write_few_shot(page: Page, *, instruction: str) -> None:
    page.get_by_label("Instruction").fill(instruction)
    for number, (query, response) in enumerate([("The sun is out!", "glad"), ("Rain again.", "sad")], 1):
        example = page.get_by_role("group", name=f"Example {number}")
        example.get_by_label("Query").fill(query)
        example.get_by_label("Response").fill(response)
    page.get_by_label("The last query").fill("It is Tuesday.")


def shoot_both(page: Page, name: str, *, whole: bool = False) -> None:
    """A page that can be reached once."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        shoot(page, name, scheme, whole=whole)


def shoot_screening(browser: Browser, base: str, admin: Page) -> None:
    """The report on an applicant who is through; then one more is invited, joins, flags the texts of the first gate,
    and reads what came of it."""
    held = first_link(admin, "/screening/", "/screening/")
    admin.goto(held)
    through = admin.locator("tr", has=admin.get_by_text("4 of 4").nth(2)).get_by_role("link")
    if through.count():
        admin.goto(through.first.get_attribute("href"))
        shoot_both(admin, "screening-applicant", whole=True)
    admin.goto(held)
    admin.get_by_role("button", name="Make a link").click()
    page = browser.new_context(viewport=SIZE, base_url=base).new_page()
    page.goto(admin.locator("#invitation-link").inner_text())
    shoot_both(page, "join")
    page.get_by_label("User name").fill(f"applicant-{secrets.token_hex(3)}")
    page.get_by_label("Password").fill(secrets.token_urlsafe(12))
    page.get_by_role("button", name="Make my account").click()
    page.wait_for_url("**/work/")
    pictured = False
    while take(page, "ranking") and page.locator("main[data-order=none]").count():
        page.keyboard.press("v")
        for _ in range(page.locator("[data-completion]").count() - 1):
            page.keyboard.press("Enter")
        if not pictured:
            shoot_both(page, "screening-flags")
        pictured = True
        hand_in(page)
    leave(page)
    page.goto("/application/")
    shoot_both(page, "application", whole=True)
    code = page.locator(".page-head").inner_text().split("“")[1].split("”")[0]
    admin.goto(held)
    admin.get_by_role("link", name=code).click()
    admin.get_by_label("Turn down").check()
    admin.get_by_label("Why").fill("Was there for a picture.")
    admin.get_by_label("A word to the applicant").fill("Thank you for your work.")
    admin.get_by_role("button", name="Decide").click()
    page.goto("/application/feedback/")
    shoot_both(page, "application-feedback")


def shoot_label_error(page: Page) -> None:
    page.goto("/label-errors/")
    if (button := page.get_by_role("button", name="Look at the next")).count():
        button.click()
        shoot_both(page, "label-error", whole=True)


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
        make_batches(pair[0])
        shoot_reviews(*pair)
        shoot_writing(pair[0])
        shoot_label_error(pair[0])
        shoot_screening(browser, base, sign_in(browser, base, "amy", accounts["amy"], "light"))
        for scheme in ("light", "dark"):
            page = browser.new_context(viewport=SIZE, color_scheme=scheme, base_url=base).new_page()
            page.goto("/sign-in/")
            shoot(page, "sign-in", scheme)
            for name, role in (("ada", "labeler"), ("rita", "researcher"), ("amy", "admin")):
                page = sign_in(browser, base, name, accounts[name], scheme)
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
