"""A model server that says what it is told to, piece by piece, and notices who hangs up."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from labeling.leasing.models import Lease
from labeling.leasing.services import grant_lease
from tests import factories


class Teller:
    """`pieces` are streamed to whoever asks; then comes the end, unless `breaks_off`. Or it `refuses` with a status."""

    def __init__(self) -> None:
        self.pieces: list[str] = ["Blue ", "is ", "a ", "colour."]
        self.breaks_off = False
        self.refuses = 0
        self.requests: list[dict] = []
        self.hung_up = threading.Event()
        self.url = ""


@pytest.fixture
def teller() -> Iterator[Teller]:
    told = Teller()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            told.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(told.refuses or 200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            if told.refuses:
                self.wfile.write(b'{"error": {"message": "secret-model says no"}}')
                return
            for piece in told.pieces:
                self.tell({"content": piece})
            if not told.breaks_off:
                self.tell({}, "stop")
                self.wfile.write(b"data: [DONE]\n\n")

        def tell(self, delta: dict, reason: str | None = None) -> None:
            chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
            self.wfile.flush()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: told.hung_up.set()
    told.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield told
    server.shutdown()
    server.server_close()


@pytest.fixture
def lease(ada, teller) -> Lease:
    """Ada writes, and may ask for suggestions."""
    return writing(ada, teller, kind="demonstration")


@pytest.fixture
def dialogue(ada, teller) -> Lease:
    """Ada writes both sides of a dialogue, and may ask for the assistant's."""
    return writing(ada, teller, kind="dialogue")


def writing(labeler, teller: Teller, *, kind: str) -> Lease:
    endpoint = factories.make_endpoint("secret-endpoint", model="secret-model", base_url=teller.url)
    batch = factories.make_batch(kind=kind, suggestions=endpoint, name="secret-batch", temperature=0.7)
    factories.make_task(batch=batch, prompt=factories.make_prompt("Which colour?"), texts=())
    return grant_lease(labeler=labeler)
