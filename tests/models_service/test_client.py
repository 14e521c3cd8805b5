"""The client against a server of faults: what is tried again, what is not, and what is made of a strange answer."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from models_service.client import Choice, ModelClient, ModelRefused, ModelUnavailable

ASK = [{"role": "user", "content": "Hi"}]
GOOD = {
    "choices": [
        {"index": 1, "message": {"content": "b"}, "finish_reason": "length", "logprobs": None},
        {
            "index": 0,
            "message": {"content": "a "},
            "finish_reason": "stop",
            "logprobs": {"content": [{"logprob": -1.0}, {"logprob": -0.5}]},
        },
    ]
}


class Faults:
    """A real HTTP server that answers with the next of `script`: (status, body, headers), or a function to do it."""

    def __init__(self) -> None:
        self.script: list = []
        self.seen: list[tuple[str, str, object]] = []
        faults = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                faults.seen.append((self.path, self.headers.get("Authorization", ""), body))
                step = faults.script.pop(0)
                if callable(step):
                    return step(self)
                status, answer, headers = step
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()


@pytest.fixture
def faults():
    faults = Faults()
    yield faults
    faults.server.shutdown()
    faults.server.server_close()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def client(faults, pauses):
    with ModelClient(faults.url, "secret", timeout=5, tries=4, sleep=pauses.append) as client:
        yield client


def hang_up(handler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def test_choices_come_in_order_to_the_byte(faults, client):
    faults.script = [(200, GOOD, {})]
    assert client.chat("m", ASK, n=2, seed=3, stop=["x"]) == [
        Choice("a ", "stop", -1.5, 2),
        Choice("b", "length", None, 0),
    ]
    path, authorization, body = faults.seen[0]
    assert path == "/v1/chat/completions" and authorization == "Bearer secret"
    sent = json.loads(body)
    assert sent["n"] == 2 and sent["seed"] == 3 and sent["stop"] == ["x"] and sent["logprobs"] is True


def test_what_may_pass_is_tried_again_with_growing_pauses(faults, client, pauses):
    faults.script = [(503, {}, {}), hang_up, (429, {"error": "busy"}, {"Retry-After": "7"}), (200, GOOD, {})]
    assert len(client.chat("m", ASK, n=2)) == 2
    assert len(pauses) == 3 and 0.25 <= pauses[0] <= 0.5 <= pauses[1] <= 1.0 and 3.5 <= pauses[2] <= 7


def test_it_gives_up_with_the_servers_words(faults, client, pauses):
    faults.script = [(500, {"error": {"message": "EngineCore died"}}, {})] * 4
    with pytest.raises(ModelUnavailable, match="EngineCore died.*4 tries"):
        client.chat("m", ASK)
    assert len(faults.seen) == 4 and len(pauses) == 3


@pytest.mark.parametrize("body", [{"error": {"message": "no such n"}}, {"detail": "no such n"}, b"no such n"])
def test_a_refusal_is_final_and_told(faults, client, pauses, body):
    faults.script = [(400, body, {})]
    with pytest.raises(ModelRefused, match="no such n") as refusal:
        client.chat("m", ASK)
    assert refusal.value.status == 400 and not pauses


@pytest.mark.parametrize(
    "answer",
    [b"<html>", b"[]", {}, {"choices": None}, {"choices": [{}]}, {"choices": []}, b"[" * 100_000,
     {"choices": [{"index": 0, "message": {"content": None}, "finish_reason": "stop"}]}],
)  # fmt: skip
def test_what_is_no_completion_is_said(faults, client, answer):
    faults.script = [(200, answer, {})]
    with pytest.raises(ModelUnavailable):
        client.chat("m", ASK)


def test_a_broken_off_completion_is_not_taken_for_one(faults, client):
    cut = {"choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "abort"}]}
    faults.script = [(200, cut, {})]
    with pytest.raises(ModelUnavailable, match="abort"):
        client.chat("m", ASK)


def stream(*events: bytes, pause: float = 0.0, size: int = 0):
    """An answer of server-sent events, in parts of `size` bytes; it ends when all are sent."""

    def answer(handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        data = b"".join(events)
        for at in range(0, len(data), size or len(data)):
            handler.wfile.write(data[at : at + (size or len(data))])
            handler.wfile.flush()
        time.sleep(pause)

    return answer


def chunk(text: str | None = None, reason: str | None = None, end: str = "\n\n") -> bytes:
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": reason}
    return f"data: {json.dumps({'choices': [choice]}, ensure_ascii=False)}{end}".encode()


DONE = b"data: [DONE]\n\n"


def test_a_stream_comes_in_pieces_to_the_byte(faults, client):
    opening = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
    usage = b'data: {"choices":[],"usage":{"completion_tokens":3}}\n\n'
    # Line separators that are none in a stream, and comments; both are cut anywhere on their way.
    parts = (
        b": hello\n\n",
        opening,
        chunk("a\u2028b\x85"),
        chunk("日本🙂", end="\r\n\r\n"),
        chunk(" ", "stop"),
        usage,
        DONE,
    )
    faults.script = [stream(*parts, size=3)]
    assert list(client.stream_chat("m", ASK, seed=3, stop=["x"])) == ["a\u2028b\x85", "日本🙂", " "]
    sent = json.loads(faults.seen[0][2])
    assert sent["stream"] is True and sent["n"] == 1 and sent["seed"] == 3 and sent["stop"] == ["x"]


@pytest.mark.parametrize(
    "events",
    [
        (),
        (chunk("b"),),
        (chunk("b"), DONE),
        (chunk("b"), chunk(None, "abort"), DONE),
        (chunk("b"), b'data: {"error": {"message": "EngineCore died"}}\n\n', DONE),
        (chunk("b"), b"data: {nonsense\n\n", DONE),
        (chunk("b"), b'data: {"choices": [{"delta": {"content": 5}}]}\n\n', DONE),
        (chunk("b"), b"data: " + b"[" * 100_000 + b"\n\n", DONE),
        (chunk("b"), b"data: " + b"a" * 2**21),
    ],
)
def test_a_stream_that_breaks_off_says_so(faults, client, pauses, events):
    faults.script = [stream(*events)]
    with pytest.raises(ModelUnavailable):
        list(client.stream_chat("m", ASK))
    assert len(faults.seen) == 1 and not pauses


def test_a_stream_is_tried_again_before_it_begins(faults, client, pauses):
    faults.script = [(503, {}, {}), hang_up, stream(chunk("a", "stop"), DONE)]
    assert list(client.stream_chat("m", ASK)) == ["a"] and len(pauses) == 2
    faults.script = [(400, {"error": {"message": "no such n"}}, {})]
    with pytest.raises(ModelRefused, match="no such n"):
        list(client.stream_chat("m", ASK))


def test_a_stream_that_falls_silent_is_given_up(faults):
    faults.script = [stream(chunk("a"), pause=1.5)]
    with ModelClient(faults.url, timeout=0.5) as client:
        pieces = client.stream_chat("m", ASK)
        assert next(pieces) == "a"
        with pytest.raises(ModelUnavailable, match="broke off"):
            next(pieces)


def test_a_time_out_is_not_tried_again(faults, pauses):
    faults.script = [lambda _handler: time.sleep(1.5)]
    with ModelClient(faults.url, timeout=0.5, sleep=pauses.append) as client, pytest.raises(ModelUnavailable):
        client.chat("m", ASK)
    assert len(faults.seen) == 1 and not pauses


def test_nobody_there(pauses):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with ModelClient(url, tries=3, sleep=pauses.append) as client:
        assert client.ready() is False
        with pytest.raises(ModelUnavailable, match="cannot be reached"):
            client.models()
    assert len(pauses) == 2


def test_lone_surrogates_reach_the_server_as_escapes(faults, client):
    faults.script = [(400, {"error": {"message": "surrogate"}}, {})]
    with pytest.raises(ModelRefused, match="surrogate"):
        client.chat("m", [{"role": "user", "content": "\ud800"}])
    assert b"\\ud800" in faults.seen[0][2]


def test_v1_in_the_address_is_as_good(faults):
    faults.script = [(200, {"data": [{"id": "m"}]}, {})]
    with ModelClient(f"{faults.url}/v1/") as client:
        assert client.models() == ["m"]
    assert faults.seen[0][0] == "/v1/models"


def test_client_and_publishing_need_no_torch():
    code = "import sys, models_service.client, models_service.publishing; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'httpx'" in loaded
    assert "'torch'" not in loaded and "'transformers'" not in loaded and "'starlette'" not in loaded
