"""The tour's pages, without JavaScript."""

from __future__ import annotations

import json
import re

import pytest
from django.utils import translation

from labeling.people.services import change_keys
from labeling.practice.content import practice_task, practice_tasks
from labeling.practice.models import PracticeAnswer, PracticeTour
from labeling.practice.seats import seat_at
from labeling.practice.services import begin_tour
from tests.labeling.practice.answering import answer_as_we, our_answer, take_tour

pytestmark = pytest.mark.django_db


def fields_of(tour: PracticeTour, name: str, **more) -> dict:
    answer = our_answer(practice_task(name), tour)
    fields = {"idempotency_key": "practice:1", "revision": "1", "replaces": "", "note": ""}
    if "text" in answer:
        return {**fields, "text": answer["text"], **more}
    for one in answer["completions"]:
        if one["rank"]:
            fields |= {f"rank-{one['id']}": one["rank"], f"rating-{one['id']}": one["rating"]}
            fields[f"flag-{one['id']}"] = one["flags"]
    if "strength" in answer:
        fields["strength"] = answer["strength"]
    return {**fields, **more}


def test_the_whole_tour_by_plain_forms(ada, page):
    client = page(ada)
    assert "Take the tour" in client.get("/work/").content.decode()
    assert "Begin the tour" in client.get("/tour/").content.decode()
    at = client.post("/tour/begin/").url
    tour = PracticeTour.objects.get()
    for place, task in enumerate(practice_tasks(), start=1):
        assert at == f"/tour/1/{task.name}/"
        shown = client.get(at).content.decode()
        assert f"Practice {place} of {len(practice_tasks())}" in shown
        assert f'action="{at}submit/"' in shown and f'action="{at}skip/"' in shown
        sent = client.post(f"{at}submit/", fields_of(tour, task.name))
        assert (sent.status_code, sent.url) == (302, f"{at}feedback/")
        said = client.get(sent.url)
        assert said.status_code == 200
        at = f"/tour/1/{said.context['next'].name}/" if said.context["next"] else "/tour/"
    assert "That was the tour" in client.get(at).content.decode()
    assert "You took the tour on" in client.get("/work/").content.decode()
    assert client.post("/tour/begin/").url == f"/tour/2/{practice_tasks()[0].name}/"


def test_feedback_says_yours_ours_and_why(ada, page):
    answer_as_we(ada, "dog")
    shown = page(ada).get("/tour/1/dog/feedback/").content.decode()
    for one in practice_task("dog").completions:
        assert f"you {one.rating}, we {one.rating}" in shown
        assert one.why.replace("'", "&#x27;") in shown
    assert "Gives harmful advice" in shown
    assert "You and we put them in the same order." in shown


def test_what_was_written_is_shown_harmless_beside_ours(ada, page):
    begin_tour(labeler=ada)
    client = page(ada)
    client.post("/tour/1/photo/submit/", {"idempotency_key": "k", "text": "<script>alert(1)</script>"})
    shown = client.get("/tour/1/photo/feedback/").content.decode()
    assert "&lt;script&gt;alert" in shown and "<script>alert" not in shown
    assert "What we might write" in shown


def test_refused_form_comes_back_filled_in(ada, page):
    tour = begin_tour(labeler=ada)
    fields = fields_of(tour, "basil", note="my words")
    del fields[next(name for name in fields if name.startswith("rank-"))]
    refused = page(ada).post("/tour/1/basil/submit/", fields)
    assert refused.status_code == 400
    assert "have no rank" in refused.context["error"]
    assert refused.context["draft"]["note"] == "my words"
    assert not PracticeAnswer.objects.exists()


def test_skip_by_form(ada, page):
    begin_tour(labeler=ada)
    client = page(ada)
    assert client.post("/tour/1/dog/skip/", {"reason": ""}).status_code == 400
    sent = client.post("/tour/1/dog/skip/", {"reason": "Other", "detail": "no <b>"})
    shown = client.get(sent.url).content.decode()
    assert "You skipped it:" in shown and "Other: no &lt;b&gt;" in shown
    assert practice_task("dog").completions[0].why in shown


def test_practice_tells_no_more_than_a_real_task(ada, page):
    """No name, rank, rating or reason of the reference is on the page before the answer."""
    begin_tour(labeler=ada)
    shown = page(ada).get("/tour/1/library/").content.decode()
    payload = json.loads(re.search(r'id="task-data" type="application/json">(.*?)</script>', shown, re.S)[1])
    assert payload["practice"] is True
    assert {tuple(one) for one in payload["completions"]} == {("id", "text")}
    assert "invented" not in shown
    assert not any(one.why in shown for one in practice_task("library").completions)


def test_a_tour_is_its_labelers_alone(ada, bo, page):
    answer_as_we(ada, "basil")
    client = page(bo)
    for address in ("/tour/1/basil/", "/tour/1/basil/feedback/", f"/tour/{10**20}/basil/"):
        assert client.get(address).status_code == 404
    assert client.post("/tour/1/basil/submit/", {}).status_code == 404
    assert page(ada).get("/tour/1/no-such/").status_code == 404
    assert page(ada).get("/tour/1/eggs/feedback/").url == "/tour/1/eggs/"


def test_submit_and_skip_over_http(ada, api):
    tour = begin_tour(labeler=ada)
    client = api(ada)
    answer = our_answer(practice_task("basil"), tour)
    sent = {"format": "json", "headers": {"Idempotency-Key": "k"}}
    for status in (201, 200):
        assert client.post("/api/v1/tour/1/basil/submit/", answer, **sent).status_code == status
    assert client.post("/api/v1/tour/1/basil/submit/", {**answer, "note": "x"}, **sent).status_code == 409
    assert client.post("/api/v1/tour/1/basil/submit/", answer, format="json").status_code == 400
    assert client.post("/api/v1/tour/1/basil/submit/", [], **sent).status_code == 400
    assert client.post("/api/v1/tour/1/dog/skip/", {"reason": "Other"}, format="json").status_code == 200
    assert client.post("/api/v1/tour/1/dog/skip/", {"reason": 3}, format="json").status_code == 400
    assert client.post("/api/v1/tour/9/dog/skip/", {"reason": "Other"}, format="json").status_code == 404


def test_admins_see_whether_the_tour_was_taken(ada, amy, page):
    admin = page(amy)

    def said() -> str:
        shown = admin.get(f"/people/{ada.pk}/").content.decode()
        return re.sub(r"\s+", " ", shown[shown.index("Tour:") : shown.index("Pause because")])

    assert "not taken" in said()
    answer_as_we(ada, "basil")
    assert f"1 of {len(practice_tasks())} practice tasks done" in said()
    take_tour(ada)
    assert "finished" in said() and "begun 2 times" in said()


def test_pages_cost_the_same_however_much_was_practised(ada, page, django_assert_max_num_queries):
    for _ in range(3):
        take_tour(ada)
    client = page(ada)
    client.get("/tour/")
    with django_assert_max_num_queries(5):
        client.get("/tour/")


def test_notes_name_the_keys_that_the_page_fills_in(ada, page):
    change_keys(user=ada, keys={"by_ratings": "j"}, letter_keys=True)
    begin_tour(labeler=ada)
    shown = page(ada).get("/tour/1/spiders/").content.decode()
    assert '<kbd data-key="by_ratings">' in shown and "<kbd>Enter</kbd>" in shown
    assert '<kbd data-flag-key="harmful_advice">' in page(ada).get("/tour/1/dog/").content.decode()


def test_a_seat_is_never_stored(ada):
    seat = seat_at(practice_task("basil"), tour=begin_tour(labeler=ada), attempt=1)
    assert seat._state.adding
    with pytest.raises(ValueError):
        seat.save()


def test_in_another_language_what_is_not_translated_is_english(ada, page, request):
    request.addfinalizer(lambda: translation.activate("en"))
    answer_as_we(ada, "dog")
    client = page(ada)
    for address in ("/tour/", "/tour/1/dog/", "/tour/1/dog/feedback/", "/work/"):
        shown = client.get(address, headers={"accept-language": "de"})
        assert shown.status_code == 200 and '<html lang="de"' in shown.content.decode()
