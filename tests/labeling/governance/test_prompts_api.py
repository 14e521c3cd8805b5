from __future__ import annotations

import json

import pytest

from labeling.intake.models import Import, Prompt
from labeling.people.services import create_token
from tests.factories import make_prompt

URL = "/api/v1/prompts/"


@pytest.fixture
def client(api, rita):
    return api(rita)


def post(client, body):
    data = body if isinstance(body, bytes) else json.dumps(body)
    return client.post(URL, data=data, content_type="application/json")


def test_one_prompt_goes_in(client):
    answer = post(client, {"prompt": "Why?", "user_id": "u", "external_id": "7", "use_case": "open_qa"})
    assert answer.status_code == 201
    body = answer.json()
    assert (body["accepted"], body["rejected"]) == (1, {})
    stored = Prompt.objects.get()
    assert body["prompts"] == [{"line": 1, "id": str(stored.pk), "state": "accepted"}]
    assert stored.source.name == "api" and Import.objects.get().created_by.username == "rita"


def test_many_go_in_and_the_bad_are_named(client):
    answer = post(client, {"prompts": [{"prompt": "a"}, 7, {"prompt": "b"}, {"prompt": "a"}, {"prompt": "a@b.io"}]})
    body = answer.json()
    assert answer.status_code == 201
    assert (body["accepted"], body["rejected"]) == (2, {"duplicate": 1, "not_an_object": 1, "personal_data": 1})
    assert [(row["line"], row["state"]) for row in body["prompts"]] == [(1, "accepted"), (3, "accepted"), (5, "held")]


def test_token_may_post(api, rita, ada):
    client = api()
    for person, status in ((rita, 201), (ada, 403)):
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {create_token(user=person, name='t')[1]}")
        assert post(client, {"prompt": f"by {person.username}"}).status_code == status


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"prompt": ""}, "empty"),
        ({}, "no_prompt"),
        ({"prompt": 1}, "wrong_type"),
        ({"messages": [{"role": "user"}]}, "wrong_type"),
        ({"prompt": "a", "consent": False}, "no_consent"),
        ([], "invalid"),
        ("text", "invalid"),
        (None, "invalid"),
        ({"prompts": "a"}, "invalid"),
        ({"prompts": []}, "invalid"),
        ({"prompts": [{}] * 1001}, "invalid"),
        ({"prompt": "a\x00b"}, "bad_text"),
        (b'{"prompt": "\\ud800"}', "bad_text"),
        (b'{"prompt": "a", "user_id": 18446744073709551616}', "invalid"),
        (b'{"prompt": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "invalid"),
        (b"\xff\xfe", "invalid"),
        (b"{", "invalid"),
        (b'{"prompt": 1e999}', "invalid"),
        (b'{"prompt": ' + b"9" * 100_000 + b"}", "invalid"),
        ({"prompt": "x" * 1_000_000}, "too_long"),
    ],
)
def test_hostile_body_is_refused_in_words(client, body, code):
    answer = post(client, body)
    assert answer.status_code == 400, answer.content[:300]
    error = answer.json()["error"]
    assert error["code"] == code and len(error["message"]) > 20
    assert not Import.objects.exists()


def test_body_beyond_the_limit_is_refused(client):
    answer = post(client, b'{"prompt": "' + b"x" * (9 * 2**20) + b'"}')
    assert answer.status_code in (400, 413)


def test_duplicate_is_a_conflict_that_names_the_first(client):
    first = post(client, {"prompt": "a", "external_id": "1"}).json()["prompts"][0]["id"]
    for again in ({"prompt": "a"}, {"prompt": "b", "external_id": "1"}):
        answer = post(client, again)
        assert answer.status_code == 409 and answer.json()["error"]["prompt"] == first


def test_full_user_is_a_conflict(client, settings):
    post(client, {"prompts": [{"prompt": str(n), "user_id": "u"} for n in range(200)]})
    answer = post(client, {"prompt": "more", "user_id": "u"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "user_cap")


def test_list_turns_pages_without_losing_any(client):
    for number in range(105):
        make_prompt(f"p{number}", user=str(number))
    first = client.get(URL).json()
    second = client.get(URL, {"after": first["next"]}).json()
    assert len(first["prompts"]) == 100 and second["next"] is None
    assert len({prompt["id"] for prompt in first["prompts"] + second["prompts"]}) == 105


def test_list_narrows(client):
    make_prompt("a", source="one", user="a", split="train")
    make_prompt("b", source="two", user="b", split="test", state="held", use_case="chat")
    for name, value in (("source", "two"), ("split", "test"), ("state", "held"), ("use_case", "chat")):
        # Held texts are in no list.
        listed = client.get(URL, {name: value}).json()["prompts"]
        assert [p["messages"][0]["content"] for p in listed] == ["[held for a look]"]
    for query in ({"state": "x"}, {"split": "x"}, {"after": "x"}, {"after": "WzFd"}, {"source": "\x00"}):
        assert client.get(URL, query).status_code == 400


def test_one_prompt_with_its_findings(client):
    made = post(client, {"prompt": "I am a@b.io"}).json()["prompts"][0]
    body = client.get(f"{URL}{made['id']}/").json()
    assert body["state"] == "held"
    (finding,) = body["findings"]
    assert {name: finding[name] for name in ("message", "start", "end", "kind")} == {
        "message": 0,
        "start": 5,
        "end": 11,
        "kind": "email",
    }
    assert body["messages"][0]["content"] == "I am a@b.io" and not body["redacted"]
    assert client.get(f"{URL}00000000-0000-0000-0000-000000000000/").status_code == 404
    assert client.get(f"{URL}7/").status_code == 404


def test_naughty_strings_come_back_to_the_byte(client, shared_data):
    """Each string as a prompt of its own, and again inside a conversation."""
    strings = [text for text in json.loads((shared_data / "blns.json").read_text()) if text]
    unique = list(dict.fromkeys(strings))
    rows = [{"prompt": text, "user_id": f"u{index // 100}"} for index, text in enumerate(unique)]
    body = post(client, {"prompts": rows}).json()
    assert body["accepted"] == len(unique), body["rejected"]
    stored = {str(prompt.pk): prompt.last_message for prompt in Prompt.objects.all()}
    assert [stored[row["id"]].encode() for row in body["prompts"]] == [text.encode() for text in unique]
    heard, after = {}, None
    while after is not None or not heard:
        answer = client.get(URL, {"after": after} if after else {}).json()
        heard |= {prompt["id"]: prompt["messages"][0]["content"] for prompt in answer["prompts"]}
        after = answer["next"]
        if after is None:
            break
    assert heard == stored
