"""Sources and their keys: made, changed and revoked by admins."""

from __future__ import annotations

import secrets
import uuid
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from labeling.audit import services as audit
from labeling.intake.keys import BEGINNING, key_hash
from labeling.intake.models import Source, SourceKey, SourceUser
from labeling.refusals import Conflict, NotFound, Refusal
from labeling.text import check_text

KEYS_PER_SOURCE = 20  # that open something
MOST = 1_000_000  # prompts of a user, or a minute
SHARES = ("train_percent", "valid_percent", "test_percent")
FIELDS = ("name", "terms_version", "rate_per_minute", "prompts_per_user", *SHARES)


def get_source(source_id: int) -> Source:
    found = Source.objects.filter(pk=source_id).first()
    if found is None:
        raise NotFound(_("There is no source with this number."))
    return found


@transaction.atomic(durable=True)
def create_source(*, actor, **fields: Any) -> Source:
    """A new source. `fields` are of FIELDS; what is left out has its default. Refusal, Conflict for a name that is
    taken."""
    source = Source(created_by=actor)
    _set(source, {"name": "", **fields})
    try:
        with transaction.atomic():
            source.save(force_insert=True)
    except IntegrityError:
        raise Conflict(_("There is a source called {name} already.").format(name=source.name)) from None
    audit.record(actor=actor, action="source.created", subject=source, **_told(source))
    return source


@transaction.atomic(durable=True)
def change_source(*, source_id: int, actor, **fields: Any) -> Source:
    """The source with `fields` changed. What decides splits, its name and shares, is fixed once it has users:
    Conflict."""
    # Imports lock the row before they add users, so that none comes between the look and the change.
    source = Source.objects.select_for_update(no_key=True).filter(pk=source_id).first()
    if source is None:
        raise NotFound(_("There is no source with this number."))
    before = _told(source)
    _set(source, fields)
    changed = {name: value for name, value in _told(source).items() if value != before[name]}
    if not changed:
        return source
    if set(changed) & {"name", *SHARES} and has_users(source):
        raise Conflict(
            _("{name} has users already. Its name and shares decide their splits, so they stay as they are.").format(
                name=before["name"]
            )
        )
    try:
        with transaction.atomic():
            source.save(update_fields=[*changed])
    except IntegrityError:
        raise Conflict(_("There is a source called {name} already.").format(name=source.name)) from None
    audit.record(actor=actor, action="source.changed", subject=source, **changed)
    return source


def has_users(source: Source) -> bool:
    return SourceUser.objects.filter(source=source).exists()


def _told(source: Source) -> dict[str, Any]:
    told = {name: getattr(source, name) for name in FIELDS}
    return {name: float(value) if name in SHARES else value for name, value in told.items()}


def _set(source: Source, fields: dict[str, Any]) -> None:
    """`fields` into the row, not stored yet. Refusal for what no source can have."""
    for name, value in fields.items():
        if name in ("name", "terms_version"):
            value = check_text(str(value), where=f"`{name}`").strip()
            if len(value) > 100 or name == "name" and not value:
                raise Refusal(_("`{name}` has 1 to 100 characters.").format(name=name))
        elif name in SHARES:
            value = _percent(name, value)
        elif isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST:
            raise Refusal(_("`{name}` is a whole number from 1 to {most}.").format(name=name, most=MOST))
        setattr(source, name, value)
    if sum(Decimal(getattr(source, name)) for name in SHARES) != 100:
        raise Refusal(_("The shares of train, valid and test add up to 100 percent."))


def _percent(name: str, value: Any) -> Decimal:
    try:
        percent = Decimal(str(value)).quantize(Decimal("0.01"))
        if isinstance(value, bool) or not 0 <= percent <= 100 or percent != Decimal(str(value)):
            raise InvalidOperation
    except InvalidOperation:
        raise Refusal(
            _("`{name}` is a share in percent, from 0 to 100, with at most two decimals.").format(name=name)
        ) from None
    return percent


@transaction.atomic(durable=True)
def create_key(*, source_id: int, name: str, actor) -> tuple[SourceKey, str]:
    """A new key's row and the key, which is shown once and never stored."""
    name = check_text(name, where=_("the name")).strip()
    if not 1 <= len(name) <= 80:
        raise Refusal(_("Name the key in 1 to 80 characters, so that you know later what uses it."))
    # The row lock makes the count exact when the form is sent twice at once.
    source = Source.objects.select_for_update(no_key=True).filter(pk=source_id).first()
    if source is None:
        raise NotFound(_("There is no source with this number."))
    if source.keys.filter(revoked_at=None).count() >= KEYS_PER_SOURCE:
        raise Conflict(
            _("This source has {keys} keys; revoke one that nothing uses any more.").format(keys=KEYS_PER_SOURCE)
        )
    key = BEGINNING + secrets.token_urlsafe(32)
    row = SourceKey.objects.create(
        source=source, name=name, key_sha256=key_hash(key), ending=key[-4:], created_by=actor
    )
    audit.record(actor=actor, action="source_key.created", subject=row, name=name, source=source.name)
    return row, key


@transaction.atomic(durable=True)
def revoke_key(*, source_id: int, key_id: uuid.UUID, actor) -> SourceKey:
    """The key opens nothing any more."""
    row = SourceKey.objects.select_for_update(of=("self",)).filter(pk=key_id, source=source_id).first()
    if row is None:
        raise NotFound(_("This source has no such key."))
    if row.revoked_at is None:
        row.revoked_at = timezone.now()
        row.save(update_fields=["revoked_at"])
        audit.record(actor=actor, action="source_key.revoked", subject=row, name=row.name)
    return row
