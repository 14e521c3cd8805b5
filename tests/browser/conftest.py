"""Real Chromium against a real server. `sign_in(person)` gives a page; no page may log an error."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.urls import get_resolver
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

# Playwright keeps an event loop in this thread, and Django would take it for asynchronous code.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PASSWORD = "a long password"  # as the cast's
LAPTOP = {"width": 1280, "height": 720}
PATIENCE = 45_000  # ms: what a page may take on a busy machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            # The server is another thread with connections of its own: it sees only what is committed.
            item.add_marker(pytest.mark.django_db(transaction=True))


def chromium_path() -> str | None:
    """Chromium of the machine, or None for Playwright's own."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    # The first request would import every view, which takes longer than a page has.
    get_resolver().url_patterns  # noqa: B018
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def new_context(browser: Browser, live_server) -> Iterator[Callable[..., BrowserContext]]:
    """A maker of browsers, each with cookies and storage of its own."""
    contexts = []

    def make(**options) -> BrowserContext:
        context = browser.new_context(**{"base_url": live_server.url, "viewport": LAPTOP, **options})
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()
    wait_for_quiet()


def wait_for_quiet() -> None:
    """Until the server has no request at work: a page that closes sends its draft, and emptying the tables under that
    request would end one of the two in a deadlock."""
    busy = """SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"""
    quiet, until = 0, time.monotonic() + PATIENCE / 1000
    while quiet < 3 and time.monotonic() < until:
        with connection.cursor() as cursor:
            cursor.execute(busy)
            quiet = quiet + 1 if cursor.fetchone()[0] == 0 else 0
        time.sleep(0.03)


@pytest.fixture
def problems() -> list[str]:
    """Errors that pages logged. A test that provokes one empties this list."""
    return []


@pytest.fixture
def sign_in(new_context, live_server, problems: list[str]) -> Iterator[Callable[..., Page]]:
    """A maker of pages on which somebody of the cast has signed in: by a session made here, as most tests are about
    something else, or with `form=True` through the real form."""

    def open_page(person, *, at: str = "/", form: bool = False, **options) -> Page:
        context = new_context(**options)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: message.type == "error" and problems.append(message.text))
        if form:
            page.goto(f"/sign-in/?next={at}")
            enter(page, person)
        else:
            context.add_cookies([session_of(person, url=live_server.url)])
            page.goto(at)
        return page

    yield open_page
    assert problems == []


def session_of(person, *, url: str) -> dict:
    """The cookie of a session in which `person` has signed in."""
    client = Client()
    client.force_login(person)
    return {
        "name": settings.SESSION_COOKIE_NAME,
        "value": client.cookies[settings.SESSION_COOKIE_NAME].value,
        "url": url,
    }


def enter(page: Page, person) -> None:
    """Fill in the sign-in form that `page` shows."""
    page.get_by_label("Username").fill(person.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/sign-in/" not in url)
