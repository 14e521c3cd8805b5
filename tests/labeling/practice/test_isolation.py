"""Practice is no work: what is answered on the tour reaches nothing that counts, exports or compares answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection

from labeling.agreement.queries import agreement
from labeling.exports.models import DatasetRow
from labeling.exports.services import create_dataset
from labeling.leasing.gates import gate_before
from labeling.leasing.queries import answered_leases, open_lease_of, work_of
from labeling.overview.queries import stats
from labeling.people.models import User
from labeling.practice.models import PracticeAnswer, PracticeTour
from labeling.practice.services import skip_practice
from tests import factories
from tests.labeling.practice.answering import take_tour
from training.formats import SPLITS, iter_rows

pytestmark = pytest.mark.django_db
OWN = {PracticeAnswer, PracticeTour}


def rows_by_table() -> dict[str, str]:
    """A fingerprint of every table of ours but the tour's."""
    found = {}
    with connection.cursor() as cursor:
        for model in apps.get_app_config("labeling").get_models(include_auto_created=True):
            if model not in OWN:
                table = model._meta.db_table
                cursor.execute(f"SELECT md5(string_agg(row::text, '' ORDER BY row::text)) FROM {table} row")
                found[table] = cursor.fetchone()[0]
    return found


def test_a_whole_tour_changes_no_other_table(ada, bo):
    factories.make_ranking(task=factories.make_task(), labeler=ada)
    factories.make_lease(task=factories.make_task(), labeler=ada)
    before = rows_by_table()
    tour = take_tour(ada)
    take_tour(bo)
    skip_practice(labeler=ada, number=tour.number, name="dog", reason="Other")
    assert PracticeAnswer.objects.count() > 10
    assert rows_by_table() == before


def test_nothing_but_its_own_rows_refers_to_a_tour():
    """Not even by mistake could an export follow a key to it."""
    to = {
        (model, field.related_model)
        for model in apps.get_app_config("labeling").get_models()
        for field in model._meta.get_fields()
        if field.is_relation and field.concrete and (model in OWN or field.related_model in OWN)
    }
    assert to == {(PracticeTour, User), (PracticeAnswer, PracticeTour)}


def test_practice_is_in_no_export(ada):
    take_tour(ada)
    for kind in ("comparisons", "demonstrations", "prompts"):
        dataset = create_dataset(kind=kind)
        assert [row for split in SPLITS for row in iter_rows(Path(dataset.folder), split)] == []
    assert not DatasetRow.objects.exists()


def test_practice_is_in_no_agreement_and_no_figure_of_the_overview(ada, bo):
    before = [stat.count for stat in stats()]
    take_tour(ada)
    take_tour(bo)
    assert agreement()["pairwise"]["pairs"] == 0
    assert [stat.count for stat in stats()] == before


def test_practice_is_in_no_count_and_no_quota(ada):
    User.objects.filter(pk=ada.pk).update(daily_quota=1)
    ada.refresh_from_db()
    before = work_of(ada)
    take_tour(ada)
    assert work_of(ada) == before
    assert (before.today, before.week, before.active_week) == (0, 0, 0)
    assert gate_before(ada) is None
    assert open_lease_of(ada) is None and not answered_leases(ada).exists()
