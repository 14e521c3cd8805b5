"""Keys of sources: `Authorization: Bearer kws_…`, with which a program sends prompts and does nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions

from labeling.intake.models import Source, SourceKey

BEGINNING = "kws_"
# As for people's tokens: noting every use would write on each request.
NOTE_USE_EVERY = timedelta(minutes=1)


def key_hash(key: str) -> str:
    """SHA-256 suffices: a key is 256 random bits."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


@dataclass(frozen=True)
class Program:
    """Who sends a request with a key: nobody of the team."""

    source: Source
    is_authenticated: bool = True
    is_active: bool = True
    role: str = "source"
    pk: None = None


class SourceKeyAuthentication(authentication.BaseAuthentication):
    """None for what does not look like a key, so that people's tokens are tried next."""

    def authenticate(self, request):
        header = authentication.get_authorization_header(request).decode("latin-1")
        scheme, _space, key = header.partition(" ")
        if scheme.lower() != "bearer" or not key.strip().startswith(BEGINNING):
            return None
        found = SourceKey.objects.select_related("source").filter(key_sha256=key_hash(key.strip())).first()
        if found is None or found.revoked_at is not None:
            raise exceptions.AuthenticationFailed(_("This key is unknown or was revoked; ask for a new one."))
        stale = Q(last_used_at=None) | Q(last_used_at__lt=Now() - NOTE_USE_EVERY)
        SourceKey.objects.filter(stale, pk=found.pk).update(last_used_at=Now())
        return Program(found.source), found

    def authenticate_header(self, request) -> str:
        return "Bearer"


class SourceKeyScheme(OpenApiAuthenticationExtension):
    target_class = SourceKeyAuthentication
    name = "source key"

    def get_security_definition(self, auto_schema) -> dict:
        return {"type": "http", "scheme": "bearer"}
