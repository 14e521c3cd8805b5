"""Reading what every answer has, of whatever kind. Pure: no database, no clock."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _

from labeling.api import json_type
from labeling.forms.definition import BadAnswer
from training.formats import canonical_json

KEY_CHARACTERS = 100
REASON_CHARACTERS = 300
SMALLINT = 2**15 - 1
INT = 2**31 - 1


@dataclass(frozen=True)
class Head:
    """The part of an answer that says which one it is. `active_seconds` is the browser's count of time at work.

    `reason` says why a correction was made; empty for a first answer.
    """

    revision: int | None
    replaces: str | None
    active_seconds: int
    reason: str = ""


def read_head(answer: Any, *, fields: Collection[str]) -> Head:
    """The head of `answer`, which may have `fields` besides and nothing else. Raises BadAnswer."""
    if not isinstance(answer, dict):
        raise BadAnswer(_("The answer must be a JSON object, not {answer}.").format(answer=json_type(answer)))
    known = {"revision", "replaces", "reason", "active_seconds", *fields}
    for name in answer:
        if name not in known:
            raise BadAnswer(
                _("The answer has no field {name!r}; it may have {known}.").format(
                    name=name[:80], known=", ".join(sorted(known))
                )
            )
    revision, replaces = answer.get("revision"), answer.get("replaces")
    if revision is not None:
        revision = whole_number(revision, where="`revision`", low=1, high=SMALLINT)
    if replaces is not None and not isinstance(replaces, str):
        raise BadAnswer(
            _("`replaces` must be the id of the answer to correct, or null, not {replaces}.").format(
                replaces=json_type(replaces)
            )
        )
    seconds = whole_number(answer.get("active_seconds", 0), where="`active_seconds`", low=0, high=INT)
    reason = read_reason(answer.get("reason") or "")
    return Head(revision=revision, replaces=replaces, active_seconds=seconds, reason=reason)


def read_reason(reason: Any) -> str:
    if not isinstance(reason, str):
        raise BadAnswer(
            _("`reason` must be text that says why you correct your answer, not {reason}.").format(
                reason=json_type(reason)
            )
        )
    if len(reason) > REASON_CHARACTERS:
        raise BadAnswer(
            _("`reason` has {count} characters; at most {reason_characters} are kept. Shorten it.").format(
                count=len(reason), reason_characters=REASON_CHARACTERS
            )
        )
    return reason.strip()


def whole_number(value: Any, *, where: str, low: int, high: int) -> int:
    """`value` itself, a whole number from `low` to `high`. A boolean is none, neither is 1.0. Raises BadAnswer."""
    if isinstance(value, bool) or not isinstance(value, int):
        got = json_type(value) if not isinstance(value, float) else "a fraction"
        raise BadAnswer(
            _("{where} must be a whole number from {low} to {high}, not {got}.").format(
                where=where, low=low, high=high, got=got
            )
        )
    if not low <= value <= high:
        raise BadAnswer(
            _("{where} is {value}; it must be from {low} to {high}.").format(
                where=where, value=value, low=low, high=high
            )
        )
    return value


def check_key(key: Any) -> str:
    """The idempotency key itself. Raises BadAnswer where it is missing or could not be stored."""
    if not isinstance(key, str) or not key.strip():
        raise BadAnswer(
            _("Send the header Idempotency-Key: a value of your own for this answer, the same on every retry.")
        )
    if len(key) > KEY_CHARACTERS or not (key.isascii() and key.isprintable()):
        raise BadAnswer(
            _("The Idempotency-Key must be at most {key_characters} printable ASCII characters.").format(
                key_characters=KEY_CHARACTERS
            )
        )
    return key


def digest_of(content: Any) -> str:
    """SHA-256 of an answer's content. The time spent is no part of it: a retry a second later is the same answer."""
    return hashlib.sha256(canonical_json(content)).hexdigest()


# The same from a form, where everything is text. What is no number stays as it is, for the reader above to refuse.


def form_head(fields: QueryDict) -> dict:
    """The head of a submit body from a form's hidden fields."""
    return {
        "revision": form_number(fields, "revision"),
        "replaces": fields.get("replaces") or None,
        "reason": form_text(fields, "reason"),
        "active_seconds": form_number(fields, "active_seconds") or 0,
    }


def form_number(fields: QueryDict, name: str) -> int | str | None:
    """The whole number in the field `name`; None where it is empty or absent, its text where it holds no number."""
    text = fields.get(name, "").strip()
    if text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 10:
        return int(text)
    return text or None


def form_text(fields: QueryDict, name: str) -> str:
    """The text of a field with the line ends that were typed: browsers send every line end of a form as CR LF."""
    return fields.get(name, "").replace("\r\n", "\n")


def form_texts(fields: QueryDict, name: str) -> list[str]:
    """The same of each field called `name`."""
    return [text.replace("\r\n", "\n") for text in fields.getlist(name)]
