"""Reading the fields of a JSON object one by one: the right type, or a sentence that names the field."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from labeling.api import json_type, object_body
from labeling.refusals import Refusal

MISSING = object()


class Fields:
    """A JSON object being read. Text is kept to the byte; nothing is converted between types.

    Each reader takes a default for a field that is absent; without one the field is required. `done` refuses what
    nobody read, so that a misspelt filter cannot silently widen an answer.
    """

    def __init__(self, data: Any) -> None:
        self.data = object_body(data)
        self.read: set[str] = set()

    def _get(self, name: str, default: Any) -> Any:
        self.read.add(name)
        if name in self.data:
            return self.data[name]
        if default is MISSING:
            raise Refusal(f"`{name}` is missing.")
        return default

    def text(self, name: str, default: Any = MISSING, *, longest: int = 1000) -> Any:
        value = self._get(name, default)
        if name not in self.data:
            return value
        if not isinstance(value, str):
            raise Refusal(f"`{name}` must be text, not {json_type(value)}.")
        if len(value) > longest:
            raise Refusal(f"`{name}` has {len(value)} characters; at most {longest} fit.")
        return value

    def integer(self, name: str, default: Any = MISSING, *, least: int, most: int) -> Any:
        value = self._get(name, default)
        if name not in self.data:
            return value
        if isinstance(value, bool) or not isinstance(value, int):
            raise Refusal(f"`{name}` must be a whole number, not {json_type(value)}.")
        if not least <= value <= most:
            raise Refusal(f"`{name}` is {value}; it must be from {least} to {most}.")
        return value

    def number(self, name: str, default: Any = MISSING) -> Any:
        value = self._get(name, default)
        if name not in self.data:
            return value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refusal(f"`{name}` must be a number, not {json_type(value)}.")
        return float(value)

    def flag(self, name: str, default: Any = MISSING) -> Any:
        value = self._get(name, default)
        if name in self.data and not isinstance(value, bool):
            raise Refusal(f"`{name}` must be true or false, not {json_type(value)}.")
        return value

    def texts(self, name: str, default: Any = MISSING, *, most: int = 1000) -> Any:
        value = self._get(name, default)
        if name not in self.data:
            return value
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise Refusal(f"`{name}` must be a list of texts.")
        if len(value) > most:
            raise Refusal(f"`{name}` lists {len(value)} entries; at most {most} can be read.")
        return value

    def time(self, name: str, default: Any = MISSING) -> datetime | None:
        """A time with an offset; null and absence give the default."""
        value = self._get(name, default)
        if name not in self.data or value is None:
            return None
        return read_time(value, name=name)

    def any(self, name: str, default: Any = MISSING) -> Any:
        """The value as it is, for a service that looks at it itself."""
        return self._get(name, default)

    def done(self) -> None:
        unknown = sorted(set(self.data) - self.read)
        if unknown:
            listed = ", ".join(f"`{name[:60]}`" for name in unknown[:5])
            raise Refusal(f"{listed} {'is' if len(unknown) == 1 else 'are'} not known here; see /api/v1/schema/.")


def read_time(value: Any, *, name: str) -> datetime:
    """The time in an ISO 8601 text with an offset; Refusal for anything else."""
    try:
        time = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise Refusal(f"`{name}` must be a time with an offset, such as 2026-01-31T12:00:00+00:00.")
    return time
