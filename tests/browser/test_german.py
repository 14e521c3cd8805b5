"""A labeler who chose German works in German, by keyboard, and hears German."""

from __future__ import annotations

from playwright.sync_api import expect

from labeling.rankings.models import Ranking
from tests.browser.test_axe import faults
from tests.browser.test_ranking import press, ranks
from tests.factories import make_prompt, make_task


def test_a_task_is_rated_and_ranked_in_german_by_keyboard(sign_in, ada):
    make_task(prompt=make_prompt("Welche ist die beste?"), texts=["Die erste.", "Die zweite.", "Die dritte."])
    page = sign_in(ada, at="/account/")
    page.get_by_label("Language").select_option("de")
    page.get_by_role("button", name="Change the language").press("Enter")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_label("Sprache")).to_have_value("de")
    page.goto("/work/")
    expect(page.get_by_role("heading", name="1 Aufgabe wartet auf Sie")).to_be_visible()
    expect(page.get_by_role("button", name="Beginnen")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_selector("main[data-live]")
    said = page.locator("[data-announce]")
    expect(page.get_by_role("heading", name="3 Antworten ordnen")).to_be_visible()
    expect(page.get_by_text("Wie gut ist sie, für sich genommen?").first).to_be_visible()
    press(page, "6")
    expect(said).to_contain_text("A mit 6 bewertet. Antwort B, 2 von 3. Nicht bewertet, ohne Rang.")
    press(page, "h")
    expect(said).to_have_text("B: Halluzination, gesetzt.")
    found = faults(page, "rating")
    press(page, "42")
    expect(said).to_contain_text("Alle sind bewertet.")
    press(page, ranks(page, A=1, B=2, C=2))
    expect(said).to_contain_text("Alle sind bewertet und haben einen Rang. Die Eingabetaste gibt ab.")
    expect(page.locator("[data-missing]")).to_have_text("Alle bewertet und geordnet.")
    expect(page.get_by_role("button", name="Abgeben")).to_be_enabled()
    assert found + faults(page, "ranking") == []
    page.keyboard.press("Enter")
    page.wait_for_url("**/work/")
    expect(page.get_by_role("heading", name="Letzte Abgaben")).to_be_visible()
    # What is stored knows no language.
    ranking = Ranking.objects.get()
    assert sorted(judgment.rank for judgment in ranking.judgments.all()) == [1, 2, 2]
    assert [judgment.flags for judgment in ranking.judgments.all() if judgment.flags] == [["hallucination"]]
