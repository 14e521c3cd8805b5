"""The ranking page in real Chromium: by mouse, by keyboard, through reloads and a network that comes and goes."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from labeling.forms.models import Form
from labeling.leasing.models import Lease
from labeling.people.services import change_keys
from labeling.rankings.models import Ranking
from tests.browser.conftest import enter
from tests.factories import make_batch, make_prompt, make_task

TEXTS = ("A first answer.", "A second answer.", "A third answer.", "A fourth answer.")
MODELS = ("walrus-7b", "secret-model-b", "gpt-hidden", "walrus-7b")
HOSTILE = (
    "<script>document.title = 'owned'</script>",
    '<img src="x" onerror="document.title = \'owned\'"> and </div></form>',
    "bidi: \u202eevil\u202c \u2066isolate\u2069 " + "z\u0335\u0322\u0321\u0328" * 30,
    "</script><!-- {{ 7|add:7 }} {% now 'Y' %} &amp; &lt;b&gt;",
)


@pytest.fixture
def task():
    return make_task(prompt=make_prompt("Which answer is best?"), texts=TEXTS, models=MODELS)


def begin(page: Page) -> None:
    """From the queue to the first task, its script running."""
    page.get_by_role("button", name="Begin").click()
    page.wait_for_selector("main[data-live]")


def press(page: Page, keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def stored() -> list[tuple[str, int, int]]:
    """(text, rank, rating) of the one ranking that there must be."""
    judgments = Ranking.objects.get().judgments.select_related("completion")
    return sorted((judgment.completion.text, judgment.rank, judgment.rating) for judgment in judgments)


def shown(page: Page) -> list[str]:
    """The completions' texts in the order of this labeler."""
    return page.locator("[data-completion] [data-prose]").all_text_contents()


def left_for(page: Page, path: str) -> None:
    page.wait_for_url(f"**{path}")


def letters(page: Page) -> str:
    """The letters of the completions as they stand now, e.g. "BADC" in the second step."""
    return "".join(page.locator("[data-completion]").evaluate_all("all => all.map((one) => one.dataset.letter)"))


def ranks(page: Page, **by_letter: int) -> str:
    """The keys that give these ranks, in the order in which the second step asks for them."""
    expect(page.locator("main")).to_have_attribute("data-step", "rank")
    return "".join(str(by_letter[letter]) for letter in letters(page) if letter in by_letter)


def article(page: Page, letter: str):
    return page.locator(f'[data-completion][data-letter="{letter}"]')


def chip(page: Page, letter: str):
    return page.locator(f'[data-chip][aria-label^="Completion {letter}."]')


def test_rank_by_keyboard_alone_with_a_tie(sign_in, ada, task):
    page = sign_in(ada, at="/work/", form=True)
    expect(page.get_by_role("button", name="Begin")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_selector("main[data-live]")
    order = shown(page)
    # 2K + 1 presses: K ratings, K ranks, submit.
    press(page, "6427")
    press(page, ranks(page, A=2, B=2, C=3, D=1))
    expect(page.locator("[data-announce]")).to_contain_text("All are rated and ranked")
    page.keyboard.press("Enter")
    left_for(page, "/work/")
    assert stored() == sorted(zip(order, (2, 2, 3, 1), (6, 4, 2, 7), strict=True))


def test_rank_by_mouse(sign_in, ada, task):
    page = sign_in(ada, at="/work/")
    begin(page)
    order = shown(page)
    for letter, rating in zip("ABCD", (5, 3, 3, 1), strict=True):
        article(page, letter).locator(f'[name^="rating-"][value="{rating}"]').check()
        if letter == "A":
            article(page, letter).get_by_label("Hallucination").check()
        if letter != "D":
            article(page, letter).get_by_role("button", name="Next completion").click()
    page.get_by_role("button", name="Rank all").click()
    # Drag three onto ranks, two of them onto the same, and rank one by its buttons.
    chip(page, "A").drag_to(page.locator('[data-drop="1"]'))
    chip(page, "B").drag_to(page.locator('[data-drop="2"]'))
    chip(page, "C").drag_to(page.locator('[data-drop="2"]'))
    article(page, "D").locator('[name^="rank-"][value="4"]').check()
    page.get_by_role("button", name="Submit").click()
    left_for(page, "/work/")
    assert stored() == sorted(zip(order, (1, 2, 2, 4), (5, 3, 3, 1), strict=True))
    flagged = Ranking.objects.get().judgments.get(completion__text=order[0])
    assert flagged.flags == ["hallucination"]


def test_an_untouched_order_cannot_be_submitted(sign_in, ada, task):
    page = sign_in(ada, at="/work/")
    begin(page)
    press(page, "4444")
    submit = page.get_by_role("button", name="Submit")
    expect(submit).to_be_disabled()
    expect(page.locator("[data-missing]")).to_have_text("Still to do: rank all 4.")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+Enter")
    last = letters(page)[-1]
    press(page, "123")
    expect(submit).to_be_disabled()
    expect(page.locator("[data-missing]")).to_have_text(f"Still to do: rank {last}.")
    page.keyboard.press("4")
    expect(submit).to_be_enabled()
    assert not Ranking.objects.exists()


def test_order_by_ratings_is_asked_for_and_undone(sign_in, ada, task):
    page = sign_in(ada, at="/work/")
    begin(page)
    press(page, "3757")
    expect(page.locator('[data-drop="0"] [data-chip]')).to_have_count(4)
    page.keyboard.press("b")
    expect(page.locator('[data-drop="1"] [data-chip]')).to_have_count(2)
    expect(page.locator('[data-drop="3"] [data-chip]')).to_have_count(1)
    page.keyboard.press("u")
    expect(page.locator('[data-drop="0"] [data-chip]')).to_have_count(4)


def test_shift_and_a_digit_put_one_between_others(sign_in, ada, task):
    page = sign_in(ada, at="/work/")
    begin(page)
    press(page, "4444")
    expect(page.locator("main")).to_have_attribute("data-step", "rank")
    first, second, third, _ = letters(page)
    press(page, "12")
    page.keyboard.press("Shift+Digit1")  # the third before the first two
    for rank, letter in enumerate((third, first, second), start=1):
        expect(page.locator(f'[data-drop="{rank}"] .letter')).to_have_text(letter)


def test_draft_survives_a_reload_and_another_browser(sign_in, ada, task):
    page = sign_in(ada, at="/work/")
    begin(page)
    press(page, "6427")
    left = " ".join(f"{letter}," for letter in letters(page) if letter in "CD").rstrip(",")
    for letter in "AB":
        chip(page, letter).click()
        page.keyboard.press(str("BA".index(letter) + 1))
    expect(page.locator("[data-missing]")).to_have_text(f"Still to do: rank {left}.")
    page.locator("details.note summary").click()
    page.get_by_label("Note on this task").fill("  two are alike \U0001f642")
    expect(page.locator("[data-saved]")).to_have_text("Draft saved")
    page.reload()
    expect(page.locator("[data-missing]")).to_have_text(f"Still to do: rank {left}.")
    expect(page.get_by_label("Note on this task")).to_have_value("  two are alike \U0001f642")
    other = sign_in(ada, at=page.url.removeprefix(page.url.split("/work/")[0]))
    expect(other.locator("[data-missing]")).to_have_text(f"Still to do: rank {left}.")
    expect(other.locator('[data-drop="1"] .letter')).to_have_text("B")


def test_draft_survives_a_crash_while_offline(sign_in, ada, task, problems):
    page = sign_in(ada, at="/work/")
    begin(page)
    page.context.set_offline(True)
    press(page, "64")
    expect(page.locator("[data-saved]")).to_contain_text("kept in this browser")
    address = page.url
    page.close()
    assert Lease.objects.get().draft == {}
    page = new_tab(page, address)
    expect(page.locator("[data-missing]")).to_have_text("Still to do: rate C, D; rank all 4.")
    expect(page.locator("[data-saved]")).to_have_text("Draft saved")
    problems.clear()  # Chromium logs each request that found no network


def new_tab(closed: Page, address: str) -> Page:
    """Another page of the same browser, back online."""
    closed.context.set_offline(False)
    page = closed.context.new_page()
    page.goto(address)
    return page


def test_double_click_stores_one(sign_in, ada, task):
    page = sign_in(ada, at="/work/")
    sent = []
    page.on("request", lambda request: "/submit/" in request.url and sent.append(request))
    begin(page)
    press(page, "4444" + "1234")
    page.get_by_role("button", name="Submit").dblclick()
    left_for(page, "/work/")
    assert Ranking.objects.count() == 1
    assert len(sent) == 1


def test_answer_waits_for_the_network_and_is_stored_once(sign_in, ada, task, problems):
    page = sign_in(ada, at="/work/")
    begin(page)
    press(page, "4444" + "1234")
    page.context.set_offline(True)
    page.keyboard.press("Enter")
    expect(page.locator("[data-saved]")).to_have_text("Offline — answer waits")
    expect(page.locator("[data-outbox-count]")).to_have_text("Offline — 1 answer waiting")
    assert not Ranking.objects.exists()
    page.context.set_offline(False)
    left_for(page, "/work/")
    assert Ranking.objects.count() == 1
    problems.clear()


def test_lost_acknowledgement_is_asked_for_again_after_a_reload(sign_in, ada, task, problems):
    page = sign_in(ada, at="/work/")

    def deliver_and_lose_the_answer(route):
        route.fetch()
        route.abort("connectionreset")

    # Every acknowledgement is lost until the reload: the page tries again by itself within seconds. The route stands
    # before the task's page does, which a request that follows at once may otherwise pass by.
    page.route("**/submit/*", deliver_and_lose_the_answer)
    begin(page)
    press(page, "4444" + "1234")
    page.keyboard.press("Enter")
    expect(page.locator("[data-saved]")).to_have_text("Offline — answer waits")
    assert Ranking.objects.count() == 1
    page.unroute("**/submit/*")
    page.reload()
    left_for(page, "/work/")
    expect(page.locator("[data-outbox-count]")).to_be_hidden()
    assert Ranking.objects.count() == 1
    problems.clear()


def test_expired_sign_in_loses_nothing(sign_in, ada, task, problems):
    page = sign_in(ada, at="/work/")
    begin(page)
    press(page, "4444" + "1234")
    page.context.clear_cookies()
    page.keyboard.press("Enter")
    notice = page.locator("[data-notice]")
    expect(notice).to_contain_text("You are signed out. Your answer is kept in this browser")
    notice.get_by_role("link", name="Sign in").click()
    enter(page, ada)
    left_for(page, "/work/")
    assert Ranking.objects.count() == 1
    problems.clear()  # the refused request is logged


def test_work_renews_the_lease_and_the_clock_warns(sign_in, ada, task):
    page = sign_in(ada, at="/work/")
    page.clock.install()
    begin(page)
    clock = page.locator("[data-clock]")
    page.clock.fast_forward(13 * 60_000)
    expect(clock).to_contain_class("warn")
    expect(clock).to_contain_text("1:")
    with page.expect_response("**/heartbeat/") as answer:
        page.keyboard.press("ArrowRight")
    assert answer.value.json()["seconds_left"] > 800
    expect(clock).not_to_contain_class("warn")
    expect(clock).to_contain_text("14:")


def test_answer_of_one_person_never_goes_out_as_another(sign_in, ada, bo, task, problems):
    page = sign_in(ada, at="/work/")
    begin(page)
    press(page, "4444" + "1234")
    page.context.set_offline(True)
    page.keyboard.press("Enter")
    expect(page.locator("[data-outbox-count]")).to_be_visible()
    page.context.clear_cookies()
    page.close()
    page = new_tab(page, "/sign-in/?next=/work/")
    enter(page, bo)
    expect(page.get_by_role("heading", name="Your work")).to_be_visible()
    expect(page.locator("[data-outbox-count]")).to_be_hidden()
    assert not Ranking.objects.exists()
    page.get_by_role("button", name="Sign out").click()
    page.goto("/sign-in/?next=/work/")
    with page.expect_response("**/submit/*") as answer:
        enter(page, ada)
    assert answer.value.status == 201
    assert Ranking.objects.get().labeler == ada
    problems.clear()


def test_skip_with_a_reason(sign_in, ada, task):
    page = sign_in(ada, at="/work/")
    begin(page)
    page.keyboard.press("s")
    page.get_by_label("The prompt makes no sense").check()
    page.get_by_label("In your words").fill("half a sentence")
    page.get_by_role("button", name="Skip this task").click()
    left_for(page, "/work/")
    lease = Lease.objects.get()
    assert (lease.state, lease.skip_reason) == ("skipped", "The prompt makes no sense: half a sentence")


def test_hostile_text_is_text(sign_in, ada):
    make_task(prompt=make_prompt(HOSTILE[0]), texts=HOSTILE)
    page = sign_in(ada, at="/work/")
    begin(page)
    assert sorted(shown(page)) == sorted(HOSTILE)
    assert page.locator(".bench-prompt [data-prose]").text_content() == HOSTILE[0]
    assert page.locator("[data-prose] :is(script, img, b)").count() == 0
    press(page, "4444" + "1234")
    page.keyboard.press("Enter")
    left_for(page, "/work/")
    page.goto(f"/answers/{Lease.objects.get().pk}/")
    assert "owned" not in page.title()
    assert HOSTILE[2] in page.locator("main").text_content()


def test_code_is_set_apart_and_unchanged(sign_in, ada):
    code = "Try:\n\n```python\nif x < 1:\n\treturn  None\n```\n\nThat is all.\n"
    make_task(texts=(code, "No."))
    page = sign_in(ada, at="/work/")
    begin(page)
    block = page.locator("code.block")
    assert block.text_content() == "```python\nif x < 1:\n\treturn  None\n```"
    assert block.get_attribute("dir") == "ltr"


def test_no_page_of_a_labeler_names_a_model(sign_in, ada, task):
    page = sign_in(ada, at="/work/")
    bodies = []

    def keep(response) -> None:
        if "/static/" not in response.url and response.status == 200:
            bodies.append(response.text())

    begin(page)
    page.on("response", keep)
    page.reload()
    press(page, "4444" + "1234")
    expect(page.locator("[data-saved]")).to_have_text("Draft saved")
    page.keyboard.press("Enter")
    left_for(page, "/work/")
    page.goto("/answers/")
    page.get_by_role("link", name="Open").click()
    page.get_by_role("link", name="Correct it").click()
    page.wait_for_selector("main[data-live]")
    assert len(bodies) >= 5
    everything = json.dumps(bodies) + page.content()
    assert TEXTS[0] in everything
    for model in {*MODELS, "127.0.0.1:8001"}:
        assert model not in everything


def test_correction_begins_with_the_answer_and_keeps_both(sign_in, ada, task):
    page = sign_in(ada, at="/work/")
    begin(page)
    press(page, "4444" + "1234")
    page.keyboard.press("Enter")
    left_for(page, "/work/")
    page.get_by_role("link", name="Open").click()
    page.get_by_role("link", name="Correct it").click()
    expect(page.locator("[data-missing]")).to_have_text("All rated and ranked.")
    chip(page, letters(page)[0]).click()
    press(page, "4")
    page.get_by_label("Why do you correct it?").fill("A slip")
    page.get_by_role("button", name="Submit").click()
    left_for(page, "/work/")
    first, second = Ranking.objects.order_by("revision")
    assert (second.replaces, second.correction_reason) == (first, "A slip")
    assert {judgment.rank for judgment in second.judgments.all()} == {2, 3, 4}


def test_two_tabs_show_the_same_and_store_one(sign_in, ada, task, problems):
    page = sign_in(ada, at="/work/")
    begin(page)
    other = page.context.new_page()
    other.goto(page.url)
    press(page, "4444")
    expect(page.locator("main")).to_have_attribute("data-step", "rank")
    left = ", ".join(letters(page)[2:])
    press(page, "12")
    expect(other.locator("[data-missing]")).to_have_text(f"Still to do: rank {left}.")
    other.locator("main").focus()
    press(other, "34")
    other.keyboard.press("Enter")
    left_for(other, "/work/")
    expect(page.locator("[data-notice]")).to_contain_text("finished in another tab")
    assert Ranking.objects.count() == 1
    problems.clear()  # a draft on its way when the answer was stored is refused, and Chromium logs it


def test_page_fits_a_zoomed_window_and_nine_completions(sign_in, ada):
    make_task(batch=make_batch(), texts=[f"Answer {number}. " * 40 for number in range(9)])
    page = sign_in(ada, at="/work/")
    begin(page)
    press(page, "1234567" + "12")
    for size in ({"width": 1280, "height": 720}, {"width": 640, "height": 360}, {"width": 820, "height": 1100}):
        page.set_viewport_size(size)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        submit = page.get_by_role("button", name="Submit")
        submit.scroll_into_view_if_needed()
        expect(submit).to_be_in_viewport()
        article(page, "I").scroll_into_view_if_needed()
        expect(page.locator(".bench-prompt")).to_be_in_viewport()


def test_form_works_without_javascript(sign_in, ada, task):
    page = sign_in(ada, at="/work/", java_script_enabled=False)
    page.get_by_role("button", name="Begin").click()
    for number, letter in enumerate("ABCD", start=1):
        article(page, letter).locator(f'[name^="rating-"][value="{number}"]').check(force=True)
        article(page, letter).locator('[name^="rank-"][value="1"]').check(force=True)
    page.get_by_role("button", name="Submit").click()
    left_for(page, "/work/")
    assert [(rank, rating) for _, rank, rating in stored()].count((1, 1)) == 1
    assert {rank for _, rank, _ in stored()} == {1}


def test_the_next_task_takes_the_place_of_this_one_without_a_page_load(sign_in, ada):
    for number in range(3):
        texts = [f"Answer {letter}{number}." for letter in "abcd"[: 3 + number % 2]]
        make_task(prompt=make_prompt(f"Question {number}?"), texts=texts)
    page = sign_in(ada, at="/work/")
    begin(page)
    loads = []
    page.on("request", lambda request: request.is_navigation_request() and loads.append(request.url))
    for number in range(3):
        expect(page.locator(".bench-prompt [data-prose]")).to_have_text(f"Question {number}?")
        expect(page.locator("[data-completion]")).to_have_count(3 + number % 2)
        assert all(text.endswith(f"{number}.") for text in shown(page))
        count = 3 + number % 2
        press(page, "4" * count)
        expect(page.locator("main")).to_have_attribute("data-step", "rank")
        press(page, "1234"[:count])
        if number < 2:
            page.keyboard.press("Enter")
            expect(page.locator("h1")).to_have_text(f"Rank {3 + (number + 1) % 2} completions")
    assert loads == []
    page.keyboard.press("Enter")
    left_for(page, "/work/")
    assert Ranking.objects.count() == 3
    assert Lease.objects.filter(state="submitted").count() == 3
    for ranking in Ranking.objects.prefetch_related("judgments__completion", "task__item__prompt"):
        number = ranking.task.item.prompt.messages[0]["content"].removeprefix("Question ").removesuffix("?")
        assert all(judged.completion.text.endswith(f"{number}.") for judged in ranking.judgments.all())


def test_answers_given_offline_wait_and_the_next_task_goes_on(sign_in, ada, problems):
    for number in range(3):
        make_task(prompt=make_prompt(f"Question {number}?"))
    page = sign_in(ada, at="/work/")
    with page.expect_response("**/tasks/ahead/"):
        begin(page)
    page.context.set_offline(True)
    for number in range(2):
        expect(page.locator(".bench-prompt [data-prose]")).to_have_text(f"Question {number}?")
        press(page, "4444")
        expect(page.locator("main")).to_have_attribute("data-step", "rank")
        press(page, "1234")
        page.keyboard.press("Enter")
    expect(page.locator("[data-outbox-count]")).to_have_text("Offline — 2 answers waiting")
    assert not Ranking.objects.exists()
    page.context.set_offline(False)
    expect(page.locator("[data-outbox-count]")).to_be_hidden()
    expect(page.locator(".bench-prompt [data-prose]")).to_have_text("Question 2?")
    assert Ranking.objects.count() == 2
    assert not Ranking.objects.filter(surplus=True).exists()
    problems.clear()


def test_two_side_by_side_with_their_differences(sign_in, ada):
    make_task(texts=("The cat sat on the mat.", "The cat lay on the red mat."))
    page = sign_in(ada, at="/work/")
    begin(page)
    first = shown(page)[0]
    page.keyboard.press("c")
    dialog = page.get_by_role("dialog", name="Side by side")
    expect(dialog.locator("[data-pane-text]").first).to_have_text(first)
    page.keyboard.press("d")
    marked = [mark.text_content() for mark in dialog.locator("ins, del").all()]
    assert sorted(word for mark in marked for word in mark.split()) == ["lay", "red", "sat"]
    assert sorted(dialog.locator("[data-pane-text]").all_text_contents()) == [
        "The cat lay on the red mat.",
        "The cat sat on the mat.",
    ]
    page.keyboard.press("z")
    expect(dialog.get_by_role("button", name="These two are the same")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    press(page, "44")
    expect(page.locator("main")).to_have_attribute("data-step", "rank")
    page.keyboard.press("1")  # the other one follows
    expect(page.locator('[data-drop="1"] [data-chip]')).to_have_count(2)
    page.keyboard.press("Enter")
    left_for(page, "/work/")
    assert len(Ranking.objects.get().same) == 1


def test_letters_set_flags_and_the_prompt_has_fields(sign_in, ada, task):
    page = sign_in(ada, at="/work/")
    begin(page)
    press(page, "hx")
    expect(article(page, "A").get_by_label("Hallucination")).to_be_checked()
    press(page, "x4444")
    page.keyboard.press("t")
    page.get_by_label("Ambiguous").check()
    page.keyboard.press("Escape")
    press(page, ranks(page, A=1, B=2, C=3, D=4))
    page.keyboard.press("Enter")
    left_for(page, "/work/")
    ranking = Ranking.objects.get()
    flagged = {judged.completion.text: judged.flags for judged in ranking.judgments.select_related("completion")}
    assert sorted(flagged.values()) == [[], [], [], ["hallucination"]]
    assert ranking.prompt_fields == {"flags": ["ambiguous"], "values": {}}
    assert ranking.form_version.form.name == "instructgpt"


@pytest.mark.parametrize(("key", "outcome"), [("w", "all_bad"), ("y", "cannot_rank")])
def test_all_bad_and_cannot_be_ranked_are_answers(sign_in, ada, task, key, outcome):
    page = sign_in(ada, at="/work/")
    begin(page)
    page.keyboard.press(key)
    expect(page.get_by_role("button", name="Submit")).to_be_enabled()
    page.keyboard.press("Enter")
    left_for(page, "/work/")
    ranking = Ranking.objects.get()
    assert ranking.outcome == outcome
    assert {judged.rank for judged in ranking.judgments.all()} == {None}


def test_a_pair_is_compared_on_a_scale_of_nine(sign_in, ada):
    make_task(batch=make_batch(form=Form.objects.get(name="pairs")), texts=TEXTS[:2])
    page = sign_in(ada, at="/work/")
    begin(page)
    order = shown(page)
    expect(page.get_by_role("button", name="Submit")).to_be_disabled()
    page.keyboard.press("8")
    page.keyboard.press("Enter")
    left_for(page, "/work/")
    ranking = Ranking.objects.get()
    assert ranking.strength == 8
    assert [ranking.judgments.get(completion__text=text).rank for text in order] == [2, 1]


def test_one_completion_is_judged_on_scales_of_its_own(sign_in, ada):
    make_task(batch=make_batch(form=Form.objects.get(name="realtoxicityprompts")), texts=TEXTS[:1])
    page = sign_in(ada, at="/work/")
    begin(page)
    press(page, "0")  # toxicity 0
    press(page, "3")  # the third step of −1, 0, 1
    press(page, "6")
    expect(page.get_by_role("button", name="Submit")).to_be_enabled()
    page.keyboard.press("Enter")
    left_for(page, "/work/")
    (judged,) = Ranking.objects.get().judgments.all()
    assert judged.values == {"toxicity": 0, "relative": 1, "continuity": 6}
    assert judged.rank is None


def test_the_page_speaks_and_contradictions_are_pointed_out(sign_in, ada, task):
    page = sign_in(ada, at="/work/")
    begin(page)
    page.keyboard.press("7")
    expect(page.locator("[data-announce]")).to_contain_text("A rated 7. Completion B, 2 of 4.")
    press(page, "111")
    press(page, ranks(page, A=4, B=1, C=2, D=3))
    expect(page.locator("[data-contradiction]")).to_contain_text("You rated A higher than")
    expect(page.get_by_role("button", name="Submit")).to_be_enabled()


def test_own_keys_are_shown_and_obeyed(sign_in, ada, task):
    change_keys(user=ada, keys={"skip": "F2"}, letter_keys=False)
    page = sign_in(ada, at="/work/")
    begin(page)
    press(page, "sh")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(article(page, "A").get_by_label("Hallucination")).not_to_be_checked()
    expect(page.locator(".bench-tools [data-key=skip]")).to_have_text("F2")
    page.keyboard.press("F2")
    expect(page.get_by_role("dialog", name="Skip this task?")).to_be_visible()
