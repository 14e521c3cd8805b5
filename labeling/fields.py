"""Reading the fields of a JSON object one by one: the right type, or a sentence that names the field."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

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
            raise Refusal(_("`{name}` is missing.").format(name=name))
        return default

    def text(self, name: str, default: Any = MISSING, *, longest: int = 1000) -> Any:
        value = self._get(name, default)
        if name not in self.data:
            return value
        if not isinstance(value, str):
            raise Refusal(_("`{name}` must be text, not {value}.").format(name=name, value=json_type(value)))
        if len(value) > longest:
            raise Refusal(
                _("`{name}` has {count} characters; at most {longest} fit.").format(
                    name=name, count=len(value), longest=longest
                )
            )
        return value

    def integer(self, name: str, default: Any = MISSING, *, least: int, most: int) -> Any:
        value = self._get(name, default)
        if name not in self.data:
            return value
        if isinstance(value, bool) or not isinstance(value, int):
            raise Refusal(_("`{name}` must be a whole number, not {value}.").format(name=name, value=json_type(value)))
        if not least <= value <= most:
            raise Refusal(
                _("`{name}` is {value}; it must be from {least} to {most}.").format(
                    name=name, value=value, least=least, most=most
                )
            )
        return value

    def number(self, name: str, default: Any = MISSING) -> Any:
        value = self._get(name, default)
        if name not in self.data:
            return value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refusal(_("`{name}` must be a number, not {value}.").format(name=name, value=json_type(value)))
        return float(value)

    def flag(self, name: str, default: Any = MISSING) -> Any:
        value = self._get(name, default)
        if name in self.data and not isinstance(value, bool):
            raise Refusal(_("`{name}` must be true or false, not {value}.").format(name=name, value=json_type(value)))
        return value

    def texts(self, name: str, default: Any = MISSING, *, most: int = 1000) -> Any:
        value = self._get(name, default)
        if name not in self.data:
            return value
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise Refusal(_("`{name}` must be a list of texts.").format(name=name))
        if len(value) > most:
            raise Refusal(
                _("`{name}` lists {count} entries; at most {most} can be read.").format(
                    name=name, count=len(value), most=most
                )
            )
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
            raise Refusal(
                ngettext(
                    "{listed} is not known here; see /api/v1/schema/.",
                    "{listed} are not known here; see /api/v1/schema/.",
                    len(unknown),
                ).format(listed=listed)
            )


def read_time(value: Any, *, name: str) -> datetime:
    """The time in an ISO 8601 text with an offset; Refusal for anything else."""
    try:
        time = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise Refusal(_("`{name}` must be a time with an offset, such as 2026-01-31T12:00:00+00:00.").format(name=name))
    return time
