"""What a row must be to become a prompt, and which split its writer belongs to."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from labeling.intake.models import Split, UseCase
from labeling.intake.reading import Problem
from labeling.intake.tokens import count_tokens
from labeling.people.models import Sensitive
from labeling.refusals import Refusal
from labeling.text import BadText, check_json
from training.formats import canonical_json

ROLES = ("system", "user", "assistant")
MAX_MESSAGES = 200
DEFAULT_SOURCE = "unnamed"
# That somebody agreed, to the terms that their source has.
AGREED = "yes"
# What each split gets of the users of a source that nobody set up, in percent.
SHARES = {"train": 80, "valid": 10, "test": 10}
# The writer of all prompts of a source that come without a user_id. They may all be one person's, so they share one
# split and one cap: whoever wrote them, no person is in two splits or beyond the cap.
NOBODY_NAMED = ""


@dataclass(frozen=True)
class NewPrompt:
    """A row that can become a prompt. `text_sha256` is over the messages' canonical JSON."""

    messages: list[dict[str, str]]
    text_sha256: str
    source: str
    user_id: str
    external_id: str
    consent: str  # the version of the terms agreed to; AGREED for whichever holds
    consented_at: datetime | None
    written_at: datetime | None
    use_case: str
    categories: list[str]


class _Bad(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        self.problem = Problem(reason, detail)


def read_prompt(row: Any, *, source: str = "", most_tokens: int = 0) -> NewPrompt | Problem:
    """The prompt in `row`, or why there is none. `source` is for rows that name none. Text stays to the byte.

    With `most_tokens` a prompt of more tokens is a Problem; tokens are counted as `tokens.count_tokens` does.
    """
    if isinstance(row, Problem):
        return row
    try:
        found = _read_prompt(row, source or DEFAULT_SOURCE)
        tokens = count_tokens(found.messages, until=most_tokens) if most_tokens else 0
        if tokens > most_tokens:
            raise _Bad("too_many_tokens", f"about {tokens:,} tokens; at most {most_tokens:,} go in")
        return found
    except _Bad as bad:
        return bad.problem
    except BadText as refusal:
        return Problem("bad_text", refusal.message)
    except Refusal as refusal:
        return Problem("wrong_type", refusal.message)


def _read_prompt(row: Any, source: str) -> NewPrompt:
    if not isinstance(row, dict):
        raise _Bad("not_an_object", "a prompt is a JSON object with `prompt` or `messages`")
    check_json({name: row.get(name) for name in ("prompt", "messages")}, where=_("the row"))
    messages = _read_messages(row)
    length = sum(len(message["content"]) for message in messages)
    if length > settings.PROMPT_MAX_CHARACTERS:
        raise _Bad("too_long", f"{length:,} characters; at most {settings.PROMPT_MAX_CHARACTERS:,} go in")
    return NewPrompt(
        messages=messages,
        text_sha256=text_key(messages),
        source=_short(row, "source", 100).strip() or source,
        user_id=_short(row, "user_id", 200) or NOBODY_NAMED,
        external_id=_short(row, "external_id", 200),
        consent=_read_consent(row),
        consented_at=_read_time(row, "consented_at"),
        written_at=_read_time(row, "time"),
        use_case=_read_use_case(row),
        categories=_read_categories(row),
    )


def text_key(messages: list[dict[str, str]]) -> str:
    """SHA-256 (hex) of the messages' canonical JSON, by which the same text is known again."""
    return hashlib.sha256(canonical_json(messages)).hexdigest()


def erased_key(text_sha256: str) -> str:
    """What an erased prompt has for its `text_sha256`: without this installation's salt nobody can find out by it
    whether a text was here, and intake still knows the same text again."""
    return hmac.new(settings.PROJECT_SALT.encode(), f"erased:{text_sha256}".encode(), hashlib.sha256).hexdigest()


def person_key(*, source: str, user_id: str) -> str:
    """A source user, known again and named to nobody: a keyed hash, 64 hex digits."""
    who = f"person:{len(source)}:{source}{user_id}".encode()
    return hmac.new(settings.PROJECT_SALT.encode(), who, hashlib.sha256).hexdigest()


def _read_messages(row: dict) -> list[dict[str, str]]:
    prompt, messages = row.get("prompt"), row.get("messages")
    if prompt is None and messages is None:
        raise _Bad("no_prompt", "the row has neither `prompt` nor `messages`")
    if prompt is not None and messages is not None:
        raise _Bad("wrong_type", "the row has both `prompt` and `messages`; give one")
    if messages is None:
        if not isinstance(prompt, str):
            raise _Bad("wrong_type", "`prompt` must be a string")
        if not prompt:
            raise _Bad("empty", "`prompt` is empty")
        return [{"role": "user", "content": prompt}]
    if not isinstance(messages, list):
        raise _Bad("wrong_type", '`messages` must be a list of {"role", "content"}')
    if not messages:
        raise _Bad("empty", "`messages` is empty")
    if len(messages) > MAX_MESSAGES:
        raise _Bad("too_long", f"{len(messages)} messages; at most {MAX_MESSAGES} go in")
    read = [_read_message(message, index) for index, message in enumerate(messages)]
    if read[-1]["role"] != "user":
        raise _Bad("last_not_user", f"the last message is by {read[-1]['role']}; a prompt ends with the user's turn")
    return read


def _read_message(message: Any, index: int) -> dict[str, str]:
    if not isinstance(message, dict):
        raise _Bad("wrong_type", f'message {index} must be an object with "role" and "content"')
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or role not in ROLES:
        raise _Bad("unknown_role", f"message {index} has the role {str(role)[:40]!r}; known are {', '.join(ROLES)}")
    if not isinstance(content, str):
        raise _Bad("wrong_type", f"the content of message {index} must be a string")
    if not content:
        raise _Bad("empty", f"message {index} is empty")
    return {"role": role, "content": content}


def _short(row: dict, name: str, limit: int) -> str:
    """A short string field, "" where it is not given. Whole numbers count as their digits: ids often are."""
    value = row.get(name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _Bad("wrong_type", f"`{name}` must be a string")
    check_json(value, where=f"`{name}`")
    value = str(value)
    if len(value) > limit:
        raise _Bad("too_long", f"`{name}` has {len(value):,} characters; at most {limit} go in")
    return value


def _read_consent(row: dict) -> str:
    """The version of the terms agreed to, by `consent` or, beside it, `terms_version`; `true` alone is kept as AGREED,
    and `false` keeps the prompt out."""
    consent, terms = row.get("consent"), _short(row, "terms_version", 100).strip()
    if isinstance(consent, str) and consent.strip().lower() in ("true", "yes", "false", "no"):
        consent = consent.strip().lower() in ("true", "yes")
    if consent is False:
        raise _Bad("no_consent", "the writer did not agree to this use")
    if consent is True:
        return terms or AGREED
    consent = _short(row, "consent", 100).strip()
    if consent and terms and consent != terms:
        raise _Bad("wrong_type", "`consent` and `terms_version` name two versions of the terms")
    return consent or terms


def _read_time(row: dict, name: str) -> datetime | None:
    """A time with its offset, as ISO 8601 has it, or a datetime of Parquet's; None where it is not given."""
    value = row.get(name)
    if value is None or value == "":
        return None
    try:
        time = parse_datetime(value) if isinstance(value, str) else value
    except ValueError:
        time = None
    if not isinstance(time, datetime) or time.tzinfo is None:
        raise _Bad("wrong_type", f"`{name}` must be a time with its offset, such as 2026-01-31T12:00:00+00:00")
    return time


def _read_use_case(row: dict) -> str:
    given = _short(row, "use_case", 100)
    name = given.strip().lower().replace(" ", "_")
    if name and name not in UseCase.values:
        raise _Bad("unknown_use_case", f"{given!r} is no use case; known are {', '.join(UseCase.values)}")
    return name


def _read_categories(row: dict) -> list[str]:
    """What of `Sensitive` the row says it is about: a list, or a text with commas, as a cell of a table has it."""
    given = row.get("categories")
    if given is None:
        return []
    if isinstance(given, str):
        given = given.split(",")
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise _Bad("wrong_type", "`categories` must be a list of strings, or one string with commas")
    names = {name.strip().lower() for name in given} - {""}
    for name in sorted(names - set(Sensitive.values)):
        raise _Bad("unknown_category", f"{name[:40]!r} is no category; known are {', '.join(Sensitive.values)}")
    return sorted(names)


def split_of(*, source: str, user_id: str, shares: Mapping[str, Any] = SHARES) -> str:
    """The split of everything that this person wrote: a keyed hash of who they are, so it never depends on order.

    `shares` is what each split gets of the users, in percent.
    """
    who = f"{len(source)}:{source}{user_id}".encode()
    digest = hmac.new(settings.PROJECT_SALT.encode(), who, hashlib.sha256).digest()
    share = int.from_bytes(digest[:8]) / 2**64  # uniform in [0, 1)
    place = share * 100
    for split, percent in shares.items():
        place -= float(percent)
        if place < 0:
            return split
    return next(split for split in reversed(Split.values) if shares[split])  # what rounding left over


def salt_fingerprint() -> str:
    """By which another salt than the one that shared a source's users out is noticed; it does not tell the salt."""
    return hmac.new(settings.PROJECT_SALT.encode(), b"fingerprint of the salt", hashlib.sha256).hexdigest()
