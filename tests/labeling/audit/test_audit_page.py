from __future__ import annotations

import pytest
from django.db import ProgrammingError, transaction

from labeling.audit.models import AuditEvent
from labeling.audit.services import record


def test_trail_filters_and_turns_pages(page, amy, ada):
    for number in range(60):
        record(actor=amy, action="user.role_changed", subject=ada, number=number)
    record(actor=None, action="token.created", subject=amy)
    client = page(amy)
    first = client.get("/audit/?action=user.").context["page"]
    second = client.get("/audit/", {"action": "user.", "after": first.next}).context["page"]
    assert [event.detail["number"] for event in [*first, *second]] == list(reversed(range(60)))
    assert [e.action for e in client.get(f"/audit/?subject_type=user&subject_id={amy.pk}").context["page"]] == [
        "token.created"
    ]


def test_trail_cannot_be_rewritten(amy):
    event = record(actor=amy, action="a", subject=amy)
    for change in (lambda: event.delete(), lambda: AuditEvent.objects.update(action="b")):
        with pytest.raises(ProgrammingError, match="Cannot update or delete"), transaction.atomic():
            change()
