"""The field in which people write, in real Chromium: preview, words that are wanted, and what was pasted."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from labeling.demos.models import Demonstration
from labeling.leasing.models import Lease
from tests.factories import make_batch, make_prompt, make_task

HOSTILE = (
    """# Head

<img src=x onerror="window.hit = 1"><script>window.hit = 1</script>
[run](javascript:window.hit=1) [data](data:text/html,<script>window.hit=1</script>) [ok](https://example.com/)

| a | b |
| --- | --- |
| `x` | **y** |

![i](https://example.com/i.png)

    """
    + "wide " * 60
    + "\n\nlong" * 30
)


@pytest.fixture
def task():
    batch = make_batch(kind="demonstration", words_low=3, words_high=5)
    return make_task(batch=batch, prompt=make_prompt("Write a haiku about rain."), texts=())


@pytest.fixture
def page(sign_in, ada, task) -> Page:
    page = sign_in(ada, at="/work/", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Begin").click()
    page.wait_for_selector("main[data-live]")
    return page


def test_preview_is_harmless_and_loses_neither_text_nor_caret(page, problems):
    answer = page.get_by_label("Your answer")
    answer.fill(HOSTILE)
    answer.evaluate("field => { field.setSelectionRange(5, 9); field.scrollTop = 40; }")
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.keyboard.press("F9")
    preview = page.get_by_role("region", name="Preview")
    expect(preview.get_by_role("heading", name="Head")).to_be_visible()
    expect(preview).to_be_focused()
    expect(answer).to_be_hidden()
    expect(preview.locator("table strong")).to_have_text("y")
    assert preview.locator("img, script").count() == 0
    # Two links that open beside the page: the picture is no more than one.
    links = preview.locator("a").evaluate_all("links => links.map((a) => [a.href, a.target])")
    assert links == [["https://example.com/", "_blank"], ["https://example.com/i.png", "_blank"]]
    assert page.evaluate("window.hit") is None
    assert [url for url in requests if "example.com" in url] == []
    expect(page.get_by_role("button", name="Preview")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="Preview")).to_have_attribute("aria-keyshortcuts", "F9")
    page.keyboard.press("F9")
    expect(answer).to_be_focused()
    expect(answer).to_have_value(HOSTILE)
    at = answer.evaluate("field => [field.selectionStart, field.selectionEnd, field.scrollTop]")
    assert at[:2] == [5, 9]
    assert at[2] > 0
    # Offline it says what it needs; the text is there, and can go from the preview as well.
    page.context.set_offline(True)
    page.get_by_role("button", name="Preview").click()
    expect(preview).to_contain_text("needs the connection")
    page.context.set_offline(False)
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/work/")
    assert Demonstration.objects.get().text == HOSTILE
    problems.clear()  # Chromium logs each request that found no network


def test_words_that_are_wanted_are_a_hint(page):
    count, said = page.locator("[data-count]"), page.locator("[data-announce]")
    expect(count).to_have_text("0 words; 3 to 5 are wanted")
    page.keyboard.type("One two")
    expect(said).to_have_text("")
    page.keyboard.type(" three")
    expect(said).to_have_text("As long as wanted: 3 words.")
    page.keyboard.type(" four")
    expect(count).to_have_text("4 words; 3 to 5 are wanted")
    expect(said).to_have_text("As long as wanted: 3 words.")
    page.keyboard.type(" five six")
    expect(said).to_have_text("Longer than wanted: 6 words.")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/work/")
    assert Demonstration.objects.get().text == "One two three four five six"


def test_pasting_is_counted_and_moving_ones_own_text_is_not(page):
    answer = page.get_by_label("Your answer")
    page.evaluate("navigator.clipboard.writeText('pasted\\r\\n😀')")
    page.keyboard.type("Mine ")
    page.keyboard.press("Control+v")
    expect(answer).to_have_value("Mine pasted\n😀")
    expect(page.locator("[data-saved]")).to_have_text("Draft saved")
    assert Lease.objects.get().draft["pasted"] == 8
    # Cut out and put back, it is as much as before; what one wrote oneself is none.
    page.keyboard.press("Control+a")
    page.keyboard.press("Control+x")
    page.keyboard.press("Control+v")
    page.keyboard.press("Control+Home")
    for _ in range(5):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Control+c")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Control+v")
    expect(answer).to_have_value("Mine Mine pasted\n😀")
    expect(page.locator("[data-saved]")).to_have_text("Draft saved")
    page.reload()
    page.wait_for_selector("main[data-live]")
    expect(answer).to_have_value("Mine Mine pasted\n😀")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/work/")
    first = Demonstration.objects.get()
    assert (first.text, first.pasted) == ("Mine Mine pasted\n😀", 8)
    # The correction begins with the count of what it corrects. What is dropped in counts; what is gone does not.
    page.get_by_role("link", name="Open").click()
    page.get_by_role("link", name="Correct it").click()
    page.wait_for_selector("main[data-live]")
    answer.evaluate("""field => {
        const dataTransfer = new DataTransfer();
        dataTransfer.setData("text/plain", "+ dropped");
        field.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));
    }""")
    page.keyboard.press("Control+End")
    page.keyboard.type("+ dropped")
    page.get_by_label("Why do you correct it?").fill("more")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/work/")
    assert list(Demonstration.objects.order_by("revision").values_list("pasted", flat=True)) == [8, 17]
