"""Why somebody gets no task at the moment though they may work: each gate is a refusal that names the way out."""

from __future__ import annotations

from collections.abc import Callable

from django.utils.translation import gettext as _

from labeling.people.models import User
from labeling.refusals import NotAllowed
from labeling.rows import first_row


class Gate(NotAllowed):
    """No task now. `code` says which gate, the message what opens it."""


class Paused(Gate):
    code = "paused"


class OnBreak(Gate):
    code = "on_break"


class GuidelineUnread(Gate):
    code = "guideline_unread"


class QuotaReached(Gate):
    code = "quota_reached"


# Gates of features above for who is being onboarded, which add themselves (apps.py): (person, guidelines_read) raises
# its Gate. Nobody else is asked, so that a grant costs them nothing.
ONBOARDING: list[Callable[..., None]] = []

# One statement of index look-ups, whatever somebody has done: it is part of every grant.
# "Today" begins at midnight where the team is.
STANDING = """
    SELECT newest.id,
        EXISTS (
            SELECT FROM labeling_guidelineread done
            WHERE done.labeler_id = %(labeler)s AND done.guideline_id = newest.id
        ),
        EXISTS (SELECT FROM labeling_break rest WHERE rest.labeler_id = %(labeler)s AND rest.ended_at IS NULL),
        %(quota)s::int <= (
            SELECT count(*) FROM labeling_lease done
            WHERE done.labeler_id = %(labeler)s AND done.state = 'submitted'
                AND done.ended_at >= date_trunc(
                    'day', now(), coalesce((SELECT time_zone FROM labeling_teamsettings), 'UTC')
                )
        ),
        EXISTS (
            SELECT FROM labeling_checkturn turn WHERE turn.labeler_id = %(labeler)s AND turn.served_at IS NULL
        )
    FROM (SELECT) one
    LEFT JOIN LATERAL (SELECT id FROM labeling_guideline ORDER BY number DESC LIMIT 1) newest ON true
"""


def check_gates(person: User) -> int | None:
    """The id of the guidelines that hold, None where there are none. Raises a Gate where no task may be given now.

    `person` is as it is stored. Simulated labelers are programs: they are not asked to read. In passing `check_waits`
    is set on it, for the grant: whether a hidden check waits for them.
    """
    row = first_row(STANDING, {"labeler": person.pk, "quota": person.daily_quota})
    guideline, was_read, on_break, quota_reached, person.check_waits = row
    if person.paused_at is not None:
        words = _("Your admin has paused your work: {reason} Your answers so far are safe. Ask them what comes next.")
        raise Paused(words.format(reason=_sentence(person.pause_reason)))
    if on_break:
        raise OnBreak(_("You are on a break. End it on the page “Work”, and tasks come again."))
    if person.is_onboarding:
        for gate in ONBOARDING:
            gate(person, guidelines_read=guideline is None or was_read)
    if guideline is not None and not was_read and not person.is_simulated:
        raise GuidelineUnread(
            _("The guidelines have changed. Read them and say so at their end; then tasks come again.")
        )
    if quota_reached:
        words = _("You have given {number} answers today, as many as were agreed. Tasks come again tomorrow.")
        raise QuotaReached(words.format(number=person.daily_quota))
    return guideline


def gate_before(person: User) -> Gate | None:
    """The gate that stands before `person` at the moment, if one does."""
    try:
        check_gates(person)
    except Gate as gate:
        return gate
    return None


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
