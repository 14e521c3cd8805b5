"""Admins change forms on pages; researchers look; labelers see neither. The API does the same."""

from __future__ import annotations

import pytest

from labeling.forms.built_in import BUILT_IN
from labeling.forms.models import Form
from labeling.forms.queries import form_named, newest_version
from tests.factories import make_batch, make_endpoint, make_prompt
from tests.labeling.forms.test_editing import EVERY_KIND, posted

pytestmark = pytest.mark.django_db
PAGES = ("/forms/", "/forms/pairs/", "/forms/pairs/1/")


def default():
    return newest_version(None)


def test_pages_are_for_staff_and_changes_for_admins(page, ada, rita, amy):
    for url in PAGES:
        assert [page(person).get(url).status_code for person in (ada, rita, amy)] == [403, 200, 200]
    for url in ("/forms/new/", "/forms/pairs/change/"):
        assert [page(person).get(url).status_code for person in (ada, rita, amy)] == [403, 403, 200]
        assert [page(person).post(url).status_code for person in (ada, rita)] == [403, 403]
    assert [page(person).post("/forms/pairs/archive/").status_code for person in (ada, rita)] == [403, 403]


@pytest.mark.parametrize(
    "url", ["/forms/nothing/", "/forms/pairs/2/", f"/forms/pairs/{2**70}/", "/forms/nothing/change/", "/forms/0-x/"]
)
def test_what_is_not_there_is_not_found(page, amy, url):
    assert page(amy).get(url).status_code == 404


def test_admin_publishes_the_next_version(page, amy):
    before = default()
    fields = posted(before.definition).dict()
    fields |= {"title": "Rate and rank", "based_on": "1", "do": "publish", "completion-1-label": "Ignores the task"}
    answer = page(amy).post("/forms/instructgpt/change/", fields)
    assert (answer.status_code, answer.url) == (302, "/forms/instructgpt/")
    after = default()
    assert (after.number, after.created_by, after.form.title) == (2, amy, "Rate and rank")
    assert after.definition["completion"][1]["label"] == "Ignores the task"
    before.refresh_from_db()
    assert before.definition["completion"][1]["label"] == "Fails to follow the instruction"
    assert "Ignores the task" in page(amy).get("/forms/instructgpt/").content.decode()
    assert "Ignores the task" not in page(amy).get("/forms/instructgpt/1/").content.decode()


@pytest.mark.parametrize("do", ["preview", "add-prompt-text", "up-completion-1", "remove-completion-0", ""])
def test_no_other_button_stores_anything(page, amy, do):
    fields = posted(default().definition).dict()
    fields |= {"title": "Rate and rank", "based_on": "1", "do": do}
    assert page(amy).post("/forms/instructgpt/change/", fields).status_code == 200
    assert default().number == 1


def test_what_was_typed_stays_and_what_is_wrong_is_said(page, amy):
    fields = posted(EVERY_KIND).dict()
    fields |= {"name": "kindness", "title": "<b>Kind</b>", "do": "publish", "completion-0-high": "lots"}
    answer = page(amy).post("/forms/new/", fields)
    shown = answer.content.decode()
    assert answer.status_code == 400
    assert "Field 1 of each completion, high, must be a whole number" in shown
    assert 'value="lots"' in shown
    assert "<b>Kind" not in shown
    assert not Form.objects.filter(name="kindness").exists()


def test_admin_makes_a_form_and_a_batch_with_it(page, amy):
    fields = posted(EVERY_KIND).dict()
    fields |= {"name": "kindness", "title": "Kindness", "do": "publish"}
    assert page(amy).post("/forms/new/", fields).url == "/forms/kindness/"
    assert newest_version(form_named("kindness").pk).definition == EVERY_KIND
    make_prompt()
    shown = page(amy).get("/batches/new/").content.decode()
    assert ">Kindness</option>" in shown
    batch = make_batch(form=form_named("kindness"))
    assert b'href="/forms/kindness/"' in page(amy).get(f"/batches/{batch.pk}/").content


def test_two_admins_at_once(page, amy):
    fields = posted(default().definition).dict()
    fields |= {"title": "Rate", "based_on": "1", "do": "publish", "completion-1-label": "One"}
    page(amy).post("/forms/instructgpt/change/", fields)
    fields["completion-1-label"] = "Two"
    answer = page(amy).post("/forms/instructgpt/change/", fields)
    assert answer.status_code == 409
    assert "Version 2 was published while you worked on 1" in answer.content.decode()
    assert default().number == 2


def test_order_of_a_form_stays(page, amy):
    fields = posted(default().definition).dict()
    fields |= {"title": "Rate", "based_on": "1", "do": "publish", "order": "none"}
    answer = page(amy).post("/forms/instructgpt/change/", fields)
    assert answer.status_code == 400
    assert "make a new form for none" in answer.content.decode()


def test_archived_form_is_offered_no_more(page, amy):
    page(amy).post("/forms/pairs/archive/", {"archived": "on"})
    assert Form.objects.get(name="pairs").archived
    assert "nine</option>" not in page(amy).get("/batches/new/").content.decode()
    page(amy).post("/forms/pairs/archive/")
    assert "nine</option>" in page(amy).get("/batches/new/").content.decode()


def test_api_reads_makes_and_publishes(api, amy, rita, ada):
    assert api(ada).get("/api/v1/forms/").status_code == 403
    listed = api(rita).get("/api/v1/forms/").json()["results"]
    assert {form["name"] for form in listed} == {*BUILT_IN}
    given = {"name": "kindness", "title": "Kindness", "definition": EVERY_KIND}
    assert api(rita).post("/api/v1/forms/", given, format="json").status_code == 403
    made = api(amy).post("/api/v1/forms/", given, format="json")
    assert (made.status_code, made.json()["number"]) == (201, 1)
    more = {"definition": {**EVERY_KIND, "prompt": []}, "based_on": 1}
    assert api(rita).post("/api/v1/forms/kindness/", more, format="json").status_code == 403
    assert api(amy).post("/api/v1/forms/kindness/", more, format="json").json()["number"] == 2
    assert api(rita).get("/api/v1/forms/kindness/").json()["definition"]["prompt"] == []
    assert api(rita).get("/api/v1/forms/kindness/?version=1").json()["definition"] == EVERY_KIND
    for url in ("/api/v1/forms/kindness/?version=9", "/api/v1/forms/kindness/?version=x", "/api/v1/forms/no/"):
        assert api(rita).get(url).status_code == 404
    bad = api(amy).post("/api/v1/forms/", {**given, "name": "other", "definition": {"order": 3}}, format="json")
    assert (bad.status_code, bad.json()["error"]["code"]) == (400, "bad_definition")


@pytest.mark.parametrize(("form", "k"), [("pairs", 2), ("likert", 1)])
def test_api_makes_a_batch_of_pairs_and_one_of_single_completions(api, rita, form, k):
    make_prompt()
    given = {"name": "round 1", "endpoints": [make_endpoint("smol").name], "form": form}
    made = api(rita).post("/api/v1/batches/", given, format="json")
    assert made.status_code in (201, 202), made.json()
    assert made.json()["form"] == form
    assert form_named(form).batches.get().items.get().k == k
    other = api(rita).post("/api/v1/batches/", {**given, "name": "x", "form": "nothing"}, format="json")
    assert (other.status_code, other.json()["error"]["message"][:22]) == (404, "There is no form calle")
