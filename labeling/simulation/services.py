"""Accounts for simulated labelers, and letting them work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import httpx
from django.core.wsgi import get_wsgi_application
from django.db import connections, transaction
from django.utils import timezone

from labeling.people.models import ApiToken, User
from labeling.people.services import create_token
from labeling.refusals import Refusal
from labeling.simulation.labeler import Crew, Work

MOST_LABELERS = 500
TOKEN = "simulation"


def hire(*, count: int) -> dict[str, str]:
    """`count` simulated labelers, username → a new API token each. The tokens of an earlier simulation end."""
    if not 1 <= count <= MOST_LABELERS:
        raise Refusal(f"{count} simulated labelers cannot be had; ask for 1 to {MOST_LABELERS}.")
    tokens = {}
    for number in range(1, count + 1):
        user = account(number)
        ApiToken.objects.filter(user=user, name=TOKEN, revoked_at=None).update(revoked_at=timezone.now())
        _, tokens[user.username] = create_token(user=user, name=TOKEN)
    return tokens


def account(number: int) -> User:
    """The account of a simulated labeler; nobody can sign in to it with a password."""
    name = f"sim-{number:03d}"
    with transaction.atomic(durable=True):
        user = User.objects.filter(username=name).first()
        if user is None:
            user = User(username=name, role=User.Role.LABELER, group=User.Group.SIMULATED)
            user.set_unusable_password()
            user.save()
    if not user.is_simulated:
        raise Refusal(f"The account {name} is a person's; rename it before you simulate labelers.")
    return user


def dismiss(*, tokens: dict[str, str]) -> None:
    """End the tokens that `hire` made."""
    users = User.objects.filter(username__in=tokens)
    ApiToken.objects.filter(user__in=users, name=TOKEN, revoked_at=None).update(revoked_at=timezone.now())


def simulate(*, url: str, labelers: int, tasks: int, progress: Callable[[int], None] | None = None) -> Work:
    """Let `labelers` simulated labelers answer up to `tasks` tasks over the HTTP API at `url`; what they did."""
    if tasks < 1:
        raise Refusal(f"{tasks} tasks are nothing to do; ask for at least 1.")
    tokens = hire(count=labelers)
    try:
        return Crew(url=url, tokens=tokens, tasks=tasks, progress=progress).run()
    finally:
        dismiss(tokens=tokens)


def answers(url: str) -> bool:
    """Whether a Kwise answers at `url`."""
    try:
        return httpx.get(f"{url.rstrip('/')}/healthz", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Requests are counted by who sends them."""


@contextmanager
def own_web() -> Iterator[str]:
    """The address of this very process serving Kwise on a free port of this machine, for as long as the block lasts."""
    server = _Server(("127.0.0.1", 0), _Quiet)
    server.set_app(_closing(get_wsgi_application()))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _closing(application: Callable) -> Callable:
    """Threads of the server come and go; each gives its database connection back."""

    def wrapped(environ, start_response):
        try:
            return application(environ, start_response)
        finally:
            connections.close_all()

    return wrapped
