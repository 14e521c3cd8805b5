"""API tokens: `Authorization: Bearer <token>`."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from django.db.models import BooleanField, ExpressionWrapper, Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions

from labeling.people.models import ApiToken
from labeling.rows import Prepared

# Noting every use would write on each request; a minute is close enough for "last used".
NOTE_USE_EVERY = timedelta(minutes=1)
STALE = Q(last_used_at=None) | Q(last_used_at__lt=Now() - NOTE_USE_EVERY)


SOME_HASH = "of a token"
KNOWN = Prepared(
    ApiToken.objects.select_related("user")
    .annotate(stale=ExpressionWrapper(STALE, output_field=BooleanField()))
    .filter(token_sha256=SOME_HASH, revoked_at=None, user__is_active=True),
    SOME_HASH,
)


def token_hash(token: str) -> str:
    """SHA-256 suffices: a token is 256 random bits, so there is nothing to guess and no salt to want."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


class TokenAuthentication(authentication.BaseAuthentication):
    def authenticate(self, request):
        header = authentication.get_authorization_header(request).decode("latin-1")
        scheme, _space, token = header.partition(" ")
        if scheme.lower() != "bearer":
            return None
        found = KNOWN.first(token_hash(token.strip()))
        if found is None:
            raise exceptions.AuthenticationFailed(
                _("This token is unknown or was revoked; make a new one under Account.")
            )
        if found.stale:
            ApiToken.objects.filter(STALE, pk=found.pk).update(last_used_at=Now())
        return found.user, found

    def authenticate_header(self, request) -> str:
        return "Bearer"


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema) -> dict:
        return {"type": "http", "scheme": "bearer"}
