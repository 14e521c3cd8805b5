"""An admin's first hour in a real browser: invite somebody, bring prompts in, look at what is held."""

from __future__ import annotations

import json

from labeling.background.models import Job
from labeling.intake.models import Prompt
from labeling.jobs import run_now
from labeling.people.models import User


def test_admin_invites_and_somebody_joins(sign_in, new_context, amy):
    page = sign_in(amy, at="/people/invitations/")
    page.get_by_label("Group").select_option("held_out")
    page.get_by_label("Note").fill("Dee from the office")
    page.get_by_role("button", name="Make a link").click()
    link = page.locator("#invitation-link").inner_text()
    guest = new_context().new_page()
    guest.goto(link)
    guest.get_by_label("User name").fill("dee")
    guest.get_by_label("Password").fill("correct horse battery")
    guest.get_by_role("button", name="Make my account").click()
    guest.wait_for_url("**/work/")
    assert User.objects.get(username="dee").group == "held_out"
    assert guest.goto(link).status == 410
    page.reload()
    page.goto("/people/")
    page.get_by_role("table").get_by_role("link", name="dee").click()
    # By keyboard alone, with a reason and a tick.
    page.get_by_label("Why they leave").focus()
    page.keyboard.type("Moves away")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("offboarded", exact=True).first.wait_for()
    guest.goto("/account/")
    assert "/sign-in/" in guest.url
    assert page.get_by_role("button", name="Activate").is_visible()


def test_researcher_imports_watches_and_releases(sign_in, rita, tmp_path):
    file = tmp_path / "prompts.jsonl"
    rows = [{"prompt": "Why is the sky blue?"}, {"prompt": "Mail <b>me</b> at bob@example.com"}, {"prompt": ""}]
    file.write_text("\n".join(map(json.dumps, rows)))
    page = sign_in(rita, at="/intake/")
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Import").click()
    page.wait_for_url("**/intake/*/")
    page.get_by_text("queued", exact=True).wait_for()
    run_now(str(Job.objects.get().pk))
    # Nobody reloads: the page asks by itself.
    page.get_by_text("accepted.").wait_for()
    page.get_by_role("link", name="Look at what is held").click()
    assert page.locator("mark").inner_text() == "bob@example.com"
    assert "<b>me</b>" in page.locator("[data-text]").inner_text()
    page.get_by_role("button", name="Keep").click()
    page.get_by_text("Nothing waits").wait_for()
    page.goto("/prompts/?state=accepted")
    assert page.get_by_role("link", name="Why is the sky blue?").is_visible()
    assert Prompt.objects.filter(state="accepted").count() == 2


def test_token_is_shown_once_and_opens_the_api(sign_in, new_context, rita):
    page = sign_in(rita, at="/account/")
    page.get_by_label("What will use it").fill("a script")
    page.get_by_role("button", name="Make a token").click()
    token = page.locator("#new-token").inner_text()
    asked = new_context().request.get("/api/v1/prompts/", headers={"Authorization": f"Bearer {token}"})
    assert asked.ok and asked.json() == {"prompts": [], "next": None}
    page.goto("/account/")
    assert page.locator("#new-token").count() == 0
