"""Whatever is sent, the answer is 4xx in OpenAI's shape, and the server lives on."""

from __future__ import annotations

import json

import httpx
import pytest

CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "the cat"}], "max_tokens": 1}
SCORE = {"model": "reward", "items": [{"messages": CHAT["messages"], "completion": "sat"}]}
DEEP = 100_000


@pytest.fixture(scope="module")
def http(server):
    with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as http:
        yield http


def post(http, path: str, content: bytes | str, kind: str = "application/json") -> httpx.Response:
    return http.post(path, content=content, headers={"Content-Type": kind})


def assert_refused(response: httpx.Response, status: int = 400) -> dict:
    assert response.status_code == status, response.text[:300]
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["message"]
    return error


def chat(**changes) -> str:
    return json.dumps(CHAT | changes)


def message(content) -> list[dict]:
    return [{"role": "user", "content": content}]


BODIES = {
    "nothing": b"",
    "not JSON": b"{",
    "a list": b"[]",
    "a number": b"1",
    "null": b"null",
    "not UTF-8": b'{"model": "\xff"}',
    "UTF-16": '{"model": "tiny"}'.encode("utf-16"),
    "NaN": b'{"model": "tiny", "temperature": NaN}',
    "deep list": b'{"messages": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep object": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep and open": b"[" * DEEP,
    "integer of 5000 digits": b'{"model": "tiny", "n": ' + b"9" * 5000 + b"}",
    "NUL in a message": chat(messages=message("a\x00b")),
    "NUL in a model": chat(model="\x00"),
    "NUL in a stop": chat(stop="\x00"),
    "lone surrogate in a message": chat(messages=message("\ud800")),
    "lone surrogate in a model": chat(model="\udfff"),
    "lone surrogate in a role": chat(messages=[{"role": "\ud800", "content": "a"}]),
    "megabyte prompt": chat(messages=message("cat " * 250_000)),
    "many messages": chat(messages=message("a") * 5000),
    "no messages": chat(messages=[]),
    "messages of text": chat(messages="the cat"),
    "a message of text": chat(messages=["the cat"]),
    "content of a number": chat(messages=message(1)),
    "content of an image": chat(messages=message([{"type": "image_url", "image_url": "http://127.0.0.1/"}])),
    "no content": chat(messages=[{"role": "user"}]),
    "unknown role": chat(messages=[{"role": "tool", "content": "a"}]),
    "n beyond 64 bits": chat(n=2**70),
    "n too big": chat(n=1000),
    "n of zero": chat(n=0),
    "n negative": chat(n=-1),
    "n of text": chat(n="4"),
    "n of truth": chat(n=True),
    "n of a fraction": chat(n=1.5),
    "n at temperature 0": chat(n=2, temperature=0),
    "seed beyond 64 bits": chat(seed=2**64),
    "seed of text": chat(seed="1"),
    "temperature negative": chat(temperature=-0.1),
    "temperature of text": chat(temperature="hot"),
    "temperature beyond floats": chat(temperature=10**400),
    "top_p of zero": chat(top_p=0),
    "top_p above one": chat(top_p=1.01),
    "max_tokens beyond 64 bits": chat(max_tokens=2**80),
    "max_tokens of zero": chat(max_tokens=0),
    "more than the context": chat(max_tokens=5000),
    "stop of a number": chat(stop=1),
    "empty stop": chat(stop=[""]),
    "too many stops": chat(stop=["a"] * 100),
    "stop too long": chat(stop="a" * 10_000),
    "logprobs of text": chat(logprobs="yes"),
    "top_logprobs": chat(logprobs=True, top_logprobs=5),
    "stream of text": chat(stream="yes"),
    "logprobs of a stream": chat(stream=True, logprobs=True),
    "token ids of a stream": chat(stream=True, return_token_ids=True),
    "stream_options of a list": chat(stream=True, stream_options=[1]),
    "more than the context in a stream": chat(stream=True, max_tokens=5000),
    "a penalty": chat(presence_penalty=1),
    "model of a list": chat(model=[]),
    "model of great length": chat(model="m" * 10_000),
}


@pytest.mark.parametrize("name", BODIES)
def test_chat_refuses(http, name):
    assert_refused(post(http, "/v1/chat/completions", BODIES[name]))


@pytest.mark.parametrize("path", ["/v1/completions", "/score", "/tokenize", "/admin/models"])
@pytest.mark.parametrize("name", ["nothing", "a list", "not UTF-8", "deep list", "deep object", "NaN"])
def test_every_route_refuses_what_is_no_object(http, path, name):
    assert_refused(post(http, path, BODIES[name]))


PROMPTS = {
    "none": None, "empty text": "", "number": 5, "empty list": [], "nested": [[[1]]], "token too big": [300_000],
    "token negative": [-1], "token beyond 64 bits": [2**70], "token of truth": [True], "mixed": ["a", [1], 2],
    "surrogate": "\ud800", "NUL": ["a", "\x00"], "megabyte": "cat " * 250_000, "many": ["a"] * 1000,
}  # fmt: skip


@pytest.mark.parametrize("name", PROMPTS)
def test_completions_refuses(http, name):
    assert_refused(post(http, "/v1/completions", json.dumps({"model": "tiny", "prompt": PROMPTS[name]})))


ITEMS = {
    "none": None, "empty": [], "text": "a", "item of text": ["a"], "no completion": [{"messages": CHAT["messages"]}],
    "NUL": [{"messages": CHAT["messages"], "completion": "\x00"}],
    "surrogate": [{"messages": message("\ud800"), "completion": "a"}],
    "megabyte": [{"messages": CHAT["messages"], "completion": "a" * 2**20}],
    "many": SCORE["items"] * 1000,
}  # fmt: skip


@pytest.mark.parametrize("name", ITEMS)
def test_score_refuses(http, name):
    assert_refused(post(http, "/score", json.dumps({"model": "reward", "items": ITEMS[name]})))


def test_unknown_models_and_routes(http):
    error = assert_refused(post(http, "/v1/chat/completions", chat(model="gpt-5")), 404)
    assert error["code"] == "model_not_found" and "tiny" in error["message"]
    assert_refused(http.get("/v1/nothing"), 404)
    assert_refused(http.get("/v1/chat/completions"), 405)
    assert_refused(http.delete("/admin/models/nobody"), 404)
    assert_refused(http.delete("/admin/models/%00%ff..%2f.."), 404)


def test_a_form_of_a_foreign_page_is_refused(http):
    assert_refused(post(http, "/admin/models", json.dumps({"name": "a", "path": "/"}), "text/plain"), 415)
    assert http.get("/v1/models", headers={"Host": "evil.example"}).status_code == 400


def test_a_body_without_end_is_cut_off(http):
    def endless():
        for _ in range(40):
            yield b" " * 2**20

    response = http.post("/tokenize", content=endless(), headers={"Content-Type": "application/json"})
    assert_refused(response, 413)


def test_the_server_is_well_after_all_that(http):
    assert post(http, "/v1/chat/completions", chat()).status_code == 200
    assert post(http, "/score", json.dumps(SCORE)).status_code == 200
    figures = http.get("/metrics").text
    assert 'status="500"' not in figures and 'status="503"' not in figures
