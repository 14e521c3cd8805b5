"""A server that answers as it is told: real HTTP, for what a real model does not do on request."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class ScriptedServer:
    """`answer(body)` gives the texts of a chat request, or (status, message) for a refusal."""

    def __init__(self) -> None:
        self.answer: Callable[[dict], list[str] | tuple[int, str]] = lambda body: [
            f"{body['seed']}-{index}" for index in range(body["n"])
        ]
        self.requests: list[dict] = []
        self.url = ""


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    script = ScriptedServer()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def reply(self, status: int, value: dict) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self.reply(200, {"object": "list", "data": [{"id": "scripted", "owned_by": "kwise"}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            script.requests.append(body)
            answer = script.answer(body)
            if isinstance(answer, tuple):
                return self.reply(
                    answer[0], {"error": {"message": answer[1], "type": "x", "param": None, "code": None}}
                )
            choices = [
                {
                    "index": index,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": text},
                    "logprobs": {"content": [{"token": "x", "logprob": -0.5}, {"token": "y", "logprob": -1.0}]},
                }
                for index, text in enumerate(answer)
            ]
            return self.reply(200, {"object": "chat.completion", "choices": choices})

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
