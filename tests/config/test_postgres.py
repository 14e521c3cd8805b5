"""A kept connection to the database is known to be dead or alive without asking."""

from __future__ import annotations

import time

import psycopg
import pytest
from django.db import connection, connections


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_the_server_ended_is_noticed_and_made_anew(monkeypatch):
    kept = connections.create_connection("default")
    kept.settings_dict = {**kept.settings_dict, "OPTIONS": {**kept.settings_dict["OPTIONS"]}}
    kept.settings_dict["OPTIONS"].pop("pool", None)
    kept.settings_dict |= {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}
    with kept.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (first,) = cursor.fetchone()
    with monkeypatch.context() as deaf:
        deaf.setattr(psycopg.Cursor, "execute", lambda *_: pytest.fail("asked the server"))
        assert kept.is_usable()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [first])
    until = time.monotonic() + 10
    while kept.is_usable() and time.monotonic() < until:
        time.sleep(0.01)
    # What Django does between two requests.
    kept.close_if_unusable_or_obsolete()
    with kept.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        assert cursor.fetchone()[0] != first
    kept.close()
