from __future__ import annotations

import csv
from datetime import datetime, timedelta

import pytest
from django.db import ProgrammingError, connection, transaction
from django.utils import timezone

from labeling.audit.models import AuditEvent
from labeling.audit.queries import known_actions, known_kinds
from labeling.audit.services import record


def test_trail_filters_and_turns_pages(page, amy, ada):
    for number in range(60):
        record(actor=amy, action="user.role_changed", subject=ada, number=number)
    record(actor=None, action="token.created", subject=amy)
    client = page(amy)
    first = client.get("/audit/?action=user.role_changed").context["page"]
    second = client.get("/audit/", {"action": "user.role_changed", "after": first.next}).context["page"]
    assert [event.detail["number"] for event in [*first, *second]] == list(reversed(range(60)))
    assert (known_actions(), known_kinds()) == (["token.created", "user.role_changed"], ["user"])


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, {"user.paused", "user.quota_set", "batch.closed", "swept"}),
        ({"actor": "AMY"}, {"user.paused", "user.quota_set"}),
        ({"actor": "amy", "action": "user.paused"}, {"user.paused"}),
        ({"actor": "Kwise"}, {"swept"}),
        ({"subject_type": "user"}, {"user.paused", "user.quota_set", "swept"}),
        ({"until": "2026-01-31"}, {"batch.closed"}),
        ({"since": "2026-02-01"}, {"user.paused", "user.quota_set", "swept"}),
        ({"since": "2026-01-31", "until": "2026-01-31"}, {"batch.closed"}),
    ],
)
def test_filters_of_person_action_subject_and_date(page, amy, rita, ada, asked, expected):
    record(actor=amy, action="user.paused", subject=ada)
    record(actor=amy, action="user.quota_set", subject=ada)
    record(actor=None, action="swept", subject=ada)
    late = datetime(2026, 1, 31, 23, 59, tzinfo=timezone.get_default_timezone())
    AuditEvent.objects.create(at=late, actor=rita, action="batch.closed", subject_type="batch", subject_id="1")
    client = page(amy)
    assert {event.action for event in client.get("/audit/", asked).context["page"]} == expected
    sent = client.get("/audit/table.csv", asked)
    rows = list(csv.DictReader(b"".join(sent.streaming_content).decode().splitlines()))
    assert {row["action"] for row in rows} == expected
    assert all(row["actor"] for row in rows)


def test_one_thing_and_what_it_was_before(page, amy, ada):
    record(actor=amy, action="user.quota_set", subject=ada, before={"quota": None}, quota=20)
    record(actor=amy, action="user.quota_set", subject=amy, before={"quota": 20}, quota=5)
    client = page(amy)
    shown = client.get(f"/audit/?subject_type=user&subject_id={ada.pk}")
    assert len(shown.context["page"]) == 1
    assert "quota: – → 20" in shown.content.decode() and f'href="/people/{ada.pk}/"' in shown.content.decode()


def test_filters_that_are_none_are_refused(page, amy):
    client = page(amy)
    for query in ("actor=nobody", "since=yesterday", "until=2026-02-30", "since=9999-12-31", "after=x"):
        assert client.get(f"/audit/?{query}").status_code == 400, query
    assert client.get("/audit/table.csv?since=x").status_code == 400


def test_text_of_others_is_escaped_and_no_formula(page, amy, ada):
    record(actor=amy, action="user.paused", subject=ada, reason="<b>x</b>")
    client = page(amy)
    assert "&lt;b&gt;x" in client.get("/audit/").content.decode()


def test_each_filter_has_an_index_that_is_newest_first(amy):
    """However long the trail is, a page reads its own rows: no sort, no scan of the table."""
    at = timezone.now()
    AuditEvent.objects.bulk_create(
        AuditEvent(
            **{"at": at - timedelta(seconds=n), "actor_id": amy.pk if n % 50 == 0 else None},
            **{"action": f"a.{n % 40}", "subject_type": f"t{n % 20}", "subject_id": str(n % 500)},
        )
        for n in range(20_000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE labeling_auditevent")
        for asked in (
            "true",
            f"actor_id = {amy.pk}",
            "actor_id IS NULL",
            f"actor_id = {amy.pk} AND action = 'a.0'",
            "action = 'a.3'",
            "subject_type = 't3'",
            "subject_type = 't3' AND subject_id = '3'",
            "at < now() - interval '1 hour'",
        ):
            cursor.execute(
                f"EXPLAIN SELECT * FROM labeling_auditevent WHERE {asked} ORDER BY at DESC, id DESC LIMIT 51"
            )
            plan = "\n".join(line for (line,) in cursor)
            assert "Index Scan" in plan and "Seq Scan" not in plan, f"{asked}\n{plan}"


def test_trail_cannot_be_rewritten(amy):
    event = record(actor=amy, action="a", subject=amy)
    for change in (lambda: event.delete(), lambda: AuditEvent.objects.update(action="b")):
        with pytest.raises(ProgrammingError, match="Cannot update or delete"), transaction.atomic():
            change()
