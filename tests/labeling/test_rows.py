"""Queries that are compiled once and kept prepared: the same rows as from the ORM, and errors as Django names them."""

from __future__ import annotations

import uuid

import pytest
from django.db import IntegrityError, connection, transaction

from labeling.leasing import services
from labeling.leasing.models import Lease
from labeling.leasing.services import LOADED, READ_OWN, grant_lease
from labeling.rows import all_rows, first_row
from tests import factories

pytestmark = pytest.mark.django_db


def fields_of(row) -> dict:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def test_a_prepared_queryset_gives_what_the_orm_gives(ada, bo):
    factories.make_task(prompt=factories.make_prompt("¿Por qué?", categories=["violence"]))
    lease = grant_lease(labeler=ada)
    for prepared, queryset in ((LOADED, services.loaded(ada)), (READ_OWN, services.OWN.filter(labeler=ada))):
        quick, usual = prepared.first(lease.pk, ada.pk), queryset.get(pk=lease.pk)
        assert fields_of(quick) == fields_of(usual)
        assert fields_of(quick.task.item.prompt) == fields_of(usual.task.item.prompt)
        assert set(quick._state.fields_cache) == set(usual._state.fields_cache)
        assert not quick._state.adding
    assert READ_OWN.first(lease.pk, ada.pk).labeler == ada
    assert LOADED.first(lease.pk, ada.pk).time_left.total_seconds() > 800
    assert LOADED.first(lease.pk, bo.pk) is None
    assert LOADED.first(uuid.uuid4(), ada.pk) is None
    assert LOADED.first(None, ada.pk) is None


def test_statements_are_prepared_once(ada):
    for _ in range(3):
        assert all_rows("SELECT 40 + %s::int", [2]) == [(42,)]
    assert first_row("SELECT 1 WHERE %s::int = 0", [1]) is None
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT 40 + %%'")
        assert cursor.fetchone() == (1,)


def test_errors_are_djangos_and_spare_the_connection(ada):
    factories.make_task()
    lease = grant_lease(labeler=ada)
    copy = "INSERT INTO labeling_seat (task_id, batch_id, number, state, groups) SELECT task_id, batch_id, number, "
    with pytest.raises(IntegrityError, match="seat_number_once_per_task"), transaction.atomic():
        first_row(copy + "'free', '{}' FROM labeling_seat WHERE id = %s RETURNING id", [lease.seat_id])
    assert Lease.objects.filter(pk=lease.pk).exists()


def test_a_prepared_statement_is_planned_once_and_not_for_each_value():
    asked = "SELECT count(*) FROM labeling_seat WHERE batch_id = %s AND state = 'free'"
    for batch in range(10):
        first_row(asked, [batch])
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE %s",
            ["%count(*) FROM labeling_seat WHERE batch_id = $1%"],
        )
        assert cursor.fetchall() == [(10, 0)]
