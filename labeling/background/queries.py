"""Lists of jobs."""

from __future__ import annotations

from django.utils.translation import gettext as _

from labeling.background.models import Job
from labeling.paging import Page, keyset_page
from labeling.refusals import Refusal


def jobs_page(*, state: str = "", kind: str = "", after: str | None = None) -> Page:
    """Jobs, newest first. Refusal for a state that jobs are never in."""
    rows = Job.objects.select_related("created_by")
    if state:
        if state not in Job.State.values:
            raise Refusal(
                _("Jobs are {values}, never {state!r}.").format(values=", ".join(Job.State.values), state=state)
            )
        rows = rows.filter(state=state)
    if kind:
        rows = rows.filter(kind=kind)
    return keyset_page(rows, order=("-created_at", "-id"), after=after)
