"""Statements of the busiest requests: prepared once by each connection to the database, querysets compiled once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import psycopg
from django.db import connection
from django.db.models import Model, QuerySet
from django.db.models.query import get_related_populators


def all_rows(statement: str, asked: dict | Sequence) -> list[tuple]:
    """The rows of a statement that is kept prepared: planning these costs more than carrying them out."""
    if connection.queries_logged:
        connection.queries_log.append({"sql": statement, "time": ""})
    numbered, names = _numbered(statement)
    values = [asked[name] for name in names] if names else asked
    with (
        connection.cursor(),  # connects, if need be
        connection.wrap_database_errors,
        psycopg.RawCursor(connection.connection) as cursor,
    ):
        return cursor.execute(numbered, values, prepare=True).fetchall()


@lru_cache(maxsize=256)
def _numbered(statement: str) -> tuple[str, tuple[str, ...]]:
    """`statement` with PostgreSQL's own $1 for psycopg's %s or %(name)s, and the names in the order of their numbers.

    psycopg does the same, for long statements each time anew: 0.3 ms for a grant and an answer.
    """
    names: list[str] = []

    def number(found: re.Match) -> str:
        if found[0] == "%%":
            return "%"
        name = found["name"]
        if name is None or name not in names:
            names.append(name)
            return f"${len(names)}"
        return f"${names.index(name) + 1}"

    numbered = re.sub(r"%%|%s|%\((?P<name>\w+)\)s", number, statement)
    return numbered, tuple(name for name in names if name is not None)


def first_row(statement: str, asked: dict | Sequence) -> tuple | None:
    rows = all_rows(statement, asked)
    return rows[0] if rows else None


class Prepared:
    """A queryset that is asked often: compiled at its first use, then asked with other values in place of the samples.

    Compiling takes longer than all the rest of such a query. `samples` are values that the queryset was filtered by,
    each of which stands nowhere else in it.
    """

    def __init__(self, queryset: QuerySet, *samples: Any) -> None:
        self.queryset, self.samples = queryset, samples

    @cached_property
    def compiled(self) -> tuple:
        compiler = self.queryset.query.get_compiler(self.queryset.db)
        statement, parameters = compiler.as_sql()
        related = get_related_populators(compiler.klass_info, compiler.select, self.queryset.db)
        converters = compiler.get_converters([column for column, *_ in compiler.select])
        return compiler, statement, parameters, related, converters

    def first(self, *values: Any) -> Model | None:
        """The first row with `values` for the samples, with what select_related and annotate add."""
        compiler, statement, parameters, related, converters = self.compiled
        given = dict(zip(self.samples, values, strict=True))
        row = first_row(statement, [given.get(parameter, parameter) for parameter in parameters])
        if row is None:
            return None
        (row,) = compiler.apply_converters([row], converters)
        fields = compiler.klass_info["select_fields"]
        names = [compiler.select[index][0].target.attname for index in fields]
        found = compiler.klass_info["model"].from_db(self.queryset.db, names, row[fields[0] : fields[-1] + 1])
        for each in related:
            each.populate(row, found)
        for name, index in compiler.annotation_col_map.items():
            setattr(found, name, row[index])
        return found
