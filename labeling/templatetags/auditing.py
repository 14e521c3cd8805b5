"""The audit trail on pages: where the thing that an event is about has its page."""

from __future__ import annotations

from django import template
from django.urls import NoReverseMatch, reverse

from labeling.audit.models import AuditEvent

register = template.Library()

# Kind of thing → name of its page's address, which takes its id.
PAGES = {
    "batch": "batch",
    "campaign": "campaign",
    "checkpoint": "model",
    "dataset": "dataset",
    "endpoint": "endpoint",
    "erasure": "erasure",
    "job": "job",
    "notice": "message-sent",
    "prompt": "prompt",
    "question": "question",
    "run": "run",
    "user": "person",
}


@register.filter
def subject_page(event: AuditEvent) -> str:
    """The address of the page; empty where the thing has none."""
    try:
        return reverse(PAGES[event.subject_type], args=[event.subject_id]) if event.subject_type in PAGES else ""
    except NoReverseMatch:
        return ""
