"""Pages of a list by key, not by number: page one thousand costs as much as page one, and nothing slips between two."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext as _

from labeling.refusals import Refusal


@dataclass(frozen=True)
class Page:
    """At most `size` rows, and the cursor to ask for the next ones with (None at the end)."""

    items: list
    next: str | None

    def __iter__(self):
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def keyset_page(rows: QuerySet, *, order: tuple[str, ...], after: str | None, size: int = 50) -> Page:
    """The `size` rows after the cursor `after`, ordered by the fields `order` ("-name" for descending).

    The fields must together be unique and never empty. Raises Refusal for a cursor that is none.
    """
    if after:
        rows = rows.filter(_beyond(rows.model, order, _read_cursor(rows.model, order, after)))
    found = list(rows.order_by(*order)[: size + 1])
    more = len(found) > size
    return Page(items=found[:size], next=_write_cursor(found[size - 1], order) if more else None)


def _beyond(model: type[Model], order: tuple[str, ...], values: list[Any]) -> Q:
    """(a, b) > (x, y) spelled out as a > x or (a = x and b > y), with a >= x in front for the index to start at."""
    condition, equal = Q(), Q()
    for term, value in zip(order, values, strict=True):
        name, side = term.lstrip("-"), "lt" if term.startswith("-") else "gt"
        condition |= equal & Q(**{f"{name}__{side}": value})
        equal &= Q(**{name: value})
    first, side = order[0].lstrip("-"), "lte" if order[0].startswith("-") else "gte"
    return Q(**{f"{first}__{side}": values[0]}) & condition


def _write_cursor(row: Model, order: tuple[str, ...]) -> str:
    return write_cursor([row._meta.get_field(term.lstrip("-")).value_to_string(row) for term in order])


def _read_cursor(model: type[Model], order: tuple[str, ...], cursor: str) -> list[Any]:
    return read_cursor(cursor, [model._meta.get_field(term.lstrip("-")).to_python for term in order])


def write_cursor(values: Sequence[str]) -> str:
    """The key of a page's last row, as it stands in the address of the next page."""
    return base64.urlsafe_b64encode(json.dumps(list(values)).encode()).decode().rstrip("=")


def read_cursor(cursor: str, readers: Sequence[Callable[[str], Any]]) -> list[Any]:
    """The values that `write_cursor` was given, each through its reader. Refusal for what is no cursor of these."""
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(values, list) or not all(isinstance(value, str) and "\x00" not in value for value in values):
            raise ValueError(cursor)
        return [read(value) for read, value in zip(readers, values, strict=True)]
    except (ValueError, ValidationError, RecursionError):
        raise Refusal(_("`after` is not a place in this list; start again from its first page.")) from None
