"""Dialogues: the labeler writes both sides of what goes on from the prompt."""

from __future__ import annotations

import pytest

from labeling.demos.models import MOST_TURNS, Demonstration
from labeling.demos.services import TEXT_CHARACTERS, first_speaker, submit_demonstration
from labeling.leasing.models import Lease
from labeling.leasing.services import grant_lease
from labeling.refusals import Conflict, Refusal
from tests import factories

pytestmark = pytest.mark.django_db
ODD = "\t Ünï\u202e \r\n 👩‍👩‍👧 '\"<b>%s{{ }} \n "


@pytest.fixture
def lease(ada) -> Lease:
    factories.make_task(batch=factories.make_batch(kind="dialogue"), prompt=factories.make_prompt("Why?"), texts=())
    return grant_lease(labeler=ada)


def says(*texts: str, first: str = "assistant") -> list[dict]:
    roles = ("assistant", "user") if first == "assistant" else ("user", "assistant")
    return [{"role": roles[place % 2], "content": text} for place, text in enumerate(texts)]


def submit(lease: Lease, turns: object, text: object = "Last.", key: str = "key-1", **more):
    answer = {"turns": turns, "text": text, **more}
    return submit_demonstration(lease_id=lease.pk, labeler=lease.labeler, answer=answer, idempotency_key=key)


def test_turns_are_kept_to_the_byte(lease):
    turns = says(f"a{ODD}", f"u{ODD}")
    dialogue, created = submit(lease, turns, ODD + "end", pasted=9)
    dialogue.refresh_from_db()
    assert (created, dialogue.turns, dialogue.text, dialogue.pasted) == (True, turns, ODD + "end", 9)
    assert dialogue.conversation == [*turns, {"role": "assistant", "content": ODD + "end"}]


def test_repeat_is_one_answer_and_other_turns_are_another(lease):
    first, _ = submit(lease, says("a", "u"))
    assert submit(lease, says("a", "u")) == (first, False)
    with pytest.raises(Conflict):
        submit(lease, says("a", "other"))
    second, created = submit(lease, says("a", "other"), key="key-2", replaces=str(first.pk), reason="a slip")
    assert (created, second.revision) == (True, 2)


def test_pasted_is_at_most_all_that_was_written(lease):
    assert submit(lease, says("ab", "cd"), "ef", pasted=100)[0].pasted == 6


@pytest.mark.parametrize(
    ("turns", "sentence"),
    [
        (None, "must be the list"),
        ("x", "must be the list"),
        ([], "a turn of the user at least"),
        (says("a"), "must be the user's"),
        (says("a", "u", "b"), "must be the user's"),
        (says("u", first="user"), "must be 'assistant'"),
        ([*says("a"), *says("a")], "must be 'user'"),
        ([{"role": "system", "content": "a"}, *says("a", "u")[1:]], "must be 'assistant'"),
        ([{"role": {}, "content": "a"}], "must be 'assistant'"),
        (says("a", " \n "), "Turn 2 is empty"),
        ([*says("a"), {"role": "user", "content": 5}], "must be a text"),
        ([*says("a"), {"role": "user"}], "`role` and `content`"),
        ([*says("a"), {"role": "user", "content": "u", "pasted": 1}], "nothing else"),
        ([*says("a"), "u"], "must be an object"),
        (says(*"x" * MOST_TURNS), "at most 40"),
        (says("a", "x" * TEXT_CHARACTERS), "at most 100000"),
    ],
)
def test_what_is_no_dialogue_is_refused_with_a_sentence(lease, turns, sentence):
    with pytest.raises(Refusal, match=sentence):
        submit(lease, turns)
    lease.refresh_from_db()
    assert lease.state == "open"


@pytest.mark.parametrize("text", [None, "", " \n", 5])
def test_dialogue_ends_with_an_answer(lease, text):
    with pytest.raises(Refusal, match=r"\.$"):
        submit(lease, says("a", "u"), text)


def test_longest_dialogue_is_taken(lease):
    turns = says(*"x" * (MOST_TURNS - 2))
    assert submit(lease, turns, "y" * (TEXT_CHARACTERS - MOST_TURNS + 2))[1]


def test_ideal_answer_has_no_turns(ada):
    factories.make_task(batch=factories.make_batch(kind="demonstration"), texts=())
    with pytest.raises(Refusal, match="no field 'turns'"):
        submit(grant_lease(labeler=ada), says("a", "u"))


@pytest.mark.parametrize(("last", "first"), [("user", "assistant"), ("assistant", "user"), ("system", "user")])
def test_the_prompts_last_role_decides_who_speaks_first(ada, last, first):
    messages = [{"role": "user", "content": "Hello"}, {"role": last, "content": "x"}]
    assert first_speaker(messages) == first
    prompt = factories.make_prompt(messages=messages)
    factories.make_task(batch=factories.make_batch(kind="dialogue"), prompt=prompt, texts=())
    turns = says("a", "u") if first == "assistant" else says("u", first="user")
    assert submit(grant_lease(labeler=ada), turns)[1]


def test_dialogue_over_the_api_and_its_correction(ada, api):
    factories.make_task(batch=factories.make_batch(kind="dialogue"), texts=())
    client = api(ada)
    task = client.post("/api/v1/tasks/next/").json()
    assert (task["kind"], task["form"], task["completions"]) == ("dialogue", None, [])
    url, body = f"/api/v1/tasks/{task['id']}/", {"turns": says("a", "u"), "text": "b", "pasted": 1}
    assert client.post(f"{url}submit/", body, format="json", headers={"Idempotency-Key": "k"}).status_code == 201
    assert client.get(url).json()["answer"] == body
    nul = client.post(f"{url}submit/", {**body, "turns": says("a", "\x00")}, format="json")
    assert nul.status_code == 400


def test_dialogue_by_form_without_a_script(ada, page):
    """A field for each turn; those left empty at the end are none. A refusal gives back what was written."""
    factories.make_task(batch=factories.make_batch(kind="dialogue"), texts=())
    lease = grant_lease(labeler=ada)
    client, url = page(ada), f"/work/{lease.pk}/"
    html = client.get(url).content.decode()
    assert html.count('name="turn"') == 8
    refused = client.post(f"{url}submit/", {"idempotency_key": "k", "turn": ["\r\n<b>a", "u", "", ""]})
    assert refused.status_code == 400
    assert "&lt;b&gt;a" in refused.content.decode()
    sent = client.post(f"{url}submit/", {"idempotency_key": "k", "turn": ["\r\n<b>a", "u", "b\r\n", " "]})
    assert sent.status_code == 302
    dialogue = Demonstration.objects.get()
    assert (dialogue.turns, dialogue.text) == (says("\n<b>a", "u"), "b\n")
    own = client.get(f"/answers/{lease.pk}/").content.decode()
    assert "&lt;b&gt;a" in own and "<b>a" not in own
    assert ">u</textarea>" in client.get(url).content.decode().replace("\n", "")


def test_draft_of_any_shape_shows_the_page(ada, api, page):
    factories.make_task(batch=factories.make_batch(kind="dialogue"), texts=())
    lease = grant_lease(labeler=ada)
    drafts = [{"turns": 5}, {"turns": [5, {"content": 5}], "text": []}, {"turns": [{"content": "kept"}], "at": 0}]
    for version, draft in enumerate(drafts, start=1):
        body = {"version": version, "draft": draft}
        assert api(ada).post(f"/api/v1/tasks/{lease.pk}/draft/", body, format="json").status_code == 200
        shown = page(ada).get(f"/work/{lease.pk}/")
        assert shown.status_code == 200
    assert ">kept</textarea>" in shown.content.decode().replace("\n", "")


def test_batch_of_dialogues_is_made_and_served(rita, ada, api, page):
    factories.make_prompt("Why?")
    made = api(rita).post("/api/v1/batches/", {"name": "talks", "kind": "dialogue"}, format="json")
    assert (made.status_code, made.json()["kind"]) == (201, "dialogue")
    assert b"Dialogue" in page(rita).get(f"/batches/{made.json()['id']}/").content
    for wrong in ({"form": "pairs"}, {"evaluation": True}, {"k": 4, "endpoints": ["nobody"]}):
        assert api(rita).post(
            "/api/v1/batches/", {"name": "x", "kind": "dialogue", **wrong}, format="json"
        ).status_code in (400, 404)
    factories.make_task(batch=factories.make_batch(kind="dialogue"), texts=())
    assert "to write as a dialogue" in page(ada).get("/work/").content.decode()
