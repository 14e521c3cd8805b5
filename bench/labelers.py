"""Simulated labelers over HTTP. Needs nothing but the standard library: clients that are killed begin again at once."""

from __future__ import annotations

import gzip
import http.client
import json
import random
import socket
import time


class Labeler:
    """One labeler's connection. Every request is sent again until it is answered, the same each time."""

    def __init__(self, port: int, headers: dict[str, str], draw: random.Random) -> None:
        self.port, self.draw = port, draw
        self.headers = {"Content-Type": "application/json", **headers}
        self.connection: http.client.HTTPConnection | None = None
        self.retries = 0

    def post(self, path: str, body: object = None, key: str = "") -> tuple[int, dict | None]:
        for _ in range(400):
            try:
                self.send(path, body, key)
                answer = self.connection.getresponse()
                content = answer.read()
                if answer.headers.get("Content-Encoding") == "gzip":
                    content = gzip.decompress(content)
                if answer.status < 500:
                    return answer.status, json.loads(content) if content else None
            except (OSError, http.client.HTTPException):
                pass
            self.drop()
            self.retries += 1
            time.sleep(0.05)
        raise SystemExit("The web server answers no more.")

    def send(self, path: str, body: object = None, key: str = "") -> None:
        """Send the request and wait for no answer. Raises OSError where nobody listens."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            self.connection.connect()
            self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        headers = self.headers | ({"Idempotency-Key": key} if key else {})
        self.connection.request("POST", path, json.dumps(body) if body else "", headers)

    def drop(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def body(self, task: dict) -> dict:
        count = len(task["completions"])
        judged = [
            {"id": shown["id"], "rank": self.draw.randint(1, count), "rating": self.draw.randint(1, 7), "flags": []}
            for shown in task["completions"]
        ]
        return {"revision": 1, "replaces": None, "completions": judged, "note": "", "active_seconds": 1}


def by_token(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def by_session(session: str) -> dict[str, str]:
    """As a browser sends it: the session's cookie, the CSRF token, and that compressed answers are welcome."""
    csrf = "c" * 32
    return {
        "Cookie": f"sessionid={session}; csrftoken={csrf}",
        "X-CSRFToken": csrf,
        "Accept": "application/json",
        "Accept-Encoding": "gzip, deflate, br",
    }
