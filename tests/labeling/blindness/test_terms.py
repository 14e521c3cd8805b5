"""The list of names, its pages and its API; and the look at what was stored before a name was in the list."""

from __future__ import annotations

import pytest

from labeling.background.models import Job
from labeling.blindness.services import add_term, look_for_term, switch_term
from labeling.jobs import run_now
from labeling.leasing.models import Seat, Task
from labeling.leasing.services import grant_lease
from labeling.refusals import Conflict, Refusal
from labeling.sampling.models import CompletionMark, MakerTerm
from tests import factories

pytestmark = pytest.mark.django_db


def quiet(**_: object) -> None:
    pass


def test_a_new_term_takes_back_what_nobody_has_begun(ada, bo, amy):
    begun = factories.make_task(texts=("I am Zog.", "No."))
    factories.make_lease(task=begun, labeler=ada)
    waiting = factories.make_task(texts=("I am ZOG!", "No."), batch=factories.make_batch(overlap=2))
    factories.make_task(texts=("Nothing.", "No."))
    term, job = add_term(text="Zog", actor=amy)
    ended = run_now(str(job.pk))
    assert ended.state == "done", ended.error
    assert ended.result == {"looked_at": 3, "marked": 1, "taken_back": 1, "begun": 1}
    assert not Task.objects.filter(pk=waiting.pk).exists()
    assert Seat.objects.filter(batch=waiting.batch).count() == 0
    assert CompletionMark.objects.get().completion.text == "I am ZOG!"
    lease = grant_lease(labeler=bo)
    assert lease.task.item.completions.filter(text="Nothing.").exists()
    again = look_for_term(term=term, beat=quiet)
    assert (again["marked"], again["taken_back"]) == (0, 0)


def test_imported_and_closed_batches_are_left_alone(amy):
    for change in ({"imported": True}, {"state": "closed"}, {"hold_named": False}):
        factories.make_task(texts=("I am Zog.", "No."), batch=factories.make_batch(**change))
    term, _ = add_term(text="Zog", actor=amy)
    assert look_for_term(term=term, beat=quiet)["looked_at"] == 0
    assert Task.objects.count() == 3


def test_a_term_stands_once_however_it_is_written(amy):
    with pytest.raises(Conflict, match="OpenAI is looked for already"):
        add_term(text="ｏｐｅｎａｉ", actor=amy)
    for bad in ("", " - ", "x", "a" * 81, "a\x00b"):
        with pytest.raises(Refusal):
            add_term(text=bad, actor=amy)


def test_a_term_can_be_switched_off_and_on(amy):
    term = MakerTerm.objects.get(text="OpenAI")
    assert not switch_term(term_id=term.pk, active=False, actor=amy).active
    assert not Job.objects.exists()
    assert switch_term(term_id=term.pk, active=True, actor=amy).active
    assert Job.objects.get().kind == "look_for_maker"


def held(text: str = "<b>I am Zog</b>"):
    completion = factories.make_task(texts=(text, "No.")).item.completions.get(text=text)
    CompletionMark.objects.create(completion=completion, term="Zog", start=8, end=11)
    return completion


def test_the_page_shows_the_name_marked_and_escaped(amy, rita, page):
    completion = held()
    content = page(amy).get("/blindness/").content.decode()
    assert "&lt;b&gt;I am <mark>Zog</mark>&lt;/b&gt;" in content
    assert "secret-model" in content
    assert "Serve it as it is" not in page(rita).get("/blindness/").content.decode()
    batch = completion.item.batch_id
    assert "1 completion waits for a look" in page(amy).get(f"/batches/{batch}/").content.decode()
    assert page(amy).get("/blindness/?batch=x").status_code == 404


def test_the_buttons_decide(amy, page):
    completion = held()
    page(amy).post(f"/blindness/completions/{completion.pk}/decide/", {"outcome": "allowed"})
    assert CompletionMark.objects.get().state == "allowed"
    held("<b>I am Zog, too")
    page(amy).post("/blindness/serve/", {"term": "Zog"})
    assert not CompletionMark.objects.filter(state="waiting").exists()


def test_terms_and_marks_over_the_api(amy, ada, api):
    completion = held()
    client = api(amy)
    (found,) = client.get("/api/v1/maker-marks/").json()["results"]
    assert found["marks"] == [{"term": "Zog", "start": 8, "end": 11}]
    address = f"/api/v1/maker-marks/{completion.pk}/"
    assert client.post(address, {"outcome": "allowed"}, format="json").status_code == 200
    assert client.post(address, {"outcome": "withheld"}, format="json").status_code == 409
    made = client.post("/api/v1/maker-terms/", {"text": "Zog"}, format="json")
    assert made.status_code == 201
    off = client.patch(f"/api/v1/maker-terms/{made.json()['id']}/", {"active": False}, format="json")
    assert off.json()["active"] is False
    assert client.get("/api/v1/maker-terms/").json()["results"][0]["text"] == "Zog"
    assert api(ada).get("/api/v1/maker-terms/").status_code == 403


def test_the_api_is_described(amy, api):
    paths = api(amy).get("/api/v1/schema/?format=json").json()["paths"]
    assert set(paths["/api/v1/maker-terms/"]) == {"get", "post"}
    assert "post" in paths["/api/v1/maker-marks/{completion_id}/"]
