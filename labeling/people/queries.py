"""People, invitations, tokens, and the team's figures."""

from __future__ import annotations

import time

from django.conf import settings
from django.db.models import Case, CharField, F, Q, QuerySet, Value, When
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from labeling.paging import Page, keyset_page
from labeling.people.models import ApiToken, Invitation, TeamSettings, User
from labeling.refusals import NotFound


def get_person(user_id: int) -> User:
    person = User.objects.filter(pk=user_id).first()
    if person is None:
        raise NotFound(_("There is no person with this number."))
    return person


def not_proven(labeler: str = "labeler", given: str = "created_at") -> Q:
    """Whether an answer is one of somebody whose onboarding had begun by then and is not passed: no answer of the
    team's until it is. `labeler` and `given` are where the answer has its labeler and its time."""
    pending = [step for step in User.Onboarding.values if step != User.Onboarding.PASSED]
    began = F(f"{labeler}__onboarding_at")
    return Q(**{f"{labeler}__onboarding__in": pending, f"{given}__gte": began})


def invitations_page(*, after: str | None = None) -> Page:
    """Newest first, each with `standing`: open, accepted, revoked or expired, by the database's clock."""
    standing = Case(
        When(accepted_at__isnull=False, then=Value("accepted")),
        When(revoked_at__isnull=False, then=Value("revoked")),
        When(expires_at__lte=Now(), then=Value("expired")),
        default=Value("open"),
        output_field=CharField(),
    )
    rows = Invitation.objects.select_related("created_by", "accepted_by").annotate(standing=standing)
    return keyset_page(rows, order=("-id",), after=after)


def has_simulated() -> bool:
    """Whether there is any simulated labeler."""
    return User.objects.filter(group=User.Group.SIMULATED).exists()


def tokens_of(user: User) -> QuerySet[ApiToken]:
    """The person's live tokens, newest first; services.TOKENS_PER_PERSON bounds them."""
    return ApiToken.objects.filter(user=user, revoked_at=None).order_by(F("created_at").desc())


_read: tuple[float, TeamSettings] | None = None  # when, and what


def team_settings() -> TeamSettings:
    """The team's figures; while no admin changed any, those of the environment.

    A request asks several times, so a process believes what it read for settings.TEAM_SETTINGS_KEPT seconds.
    """
    global _read
    now = time.monotonic()
    if _read is None or now - _read[0] >= settings.TEAM_SETTINGS_KEPT:
        _read = now, TeamSettings.objects.first() or unchanged_settings()
    return _read[1]


def unchanged_settings() -> TeamSettings:
    return TeamSettings(
        lease_seconds=settings.LEASE_SECONDS,
        lease_grace_seconds=settings.LEASE_GRACE_SECONDS,
        ahead_seconds=settings.AHEAD_SECONDS,
        time_zone=settings.TIME_ZONE,
    )
