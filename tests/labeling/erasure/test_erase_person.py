"""After an erasure nothing of the person is anywhere in the database, and all that was not theirs is as it was."""

from __future__ import annotations

import json

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import Error, connection, models, transaction

from labeling.erasure.blanking import KEPT, RULES
from labeling.erasure.services import ErasedAlready, erase_person, get_source_user
from labeling.intake.models import ERASED, Prompt, RefusedPerson, SourceUser
from labeling.leasing.models import Lease, Seat
from labeling.rankings.models import Judgment, Ranking
from labeling.refusals import NotFound, Refusal
from tests.labeling.erasure.conftest import MARKER, USER, where_said

pytestmark = pytest.mark.django_db


def erase(actor=None, **changed):
    asked = {"answers": "keep", "refuse": False, "reason": "They asked us to.", **changed}
    return erase_person(source_user=get_source_user(source="api", user_id=USER), actor=actor, **asked)


@pytest.mark.parametrize("answers", ["keep", "erase"])
def test_nothing_of_the_person_is_left_in_any_column_of_any_table(said, amy, answers):
    said_before = where_said(MARKER)
    assert {rule.table.removeprefix("labeling_") for rule in RULES} & {place.split(".")[0] for place in said_before}
    assert len(said_before) > 20, "the person is hardly anywhere; the test would prove nothing"
    untouched = where_said("Untouched")
    erase(amy, answers=answers)
    assert where_said(MARKER) == []
    assert where_said("Untouched") == untouched


def test_what_stays_is_a_tombstone(said, amy):
    erasure = erase(amy)
    prompt = Prompt.objects.get(pk=said.prompt.pk)
    assert (prompt.state, prompt.messages) == ("erased", [{"role": "user", "content": ERASED}])
    assert (prompt.external_id, prompt.categories) == ("", [])
    assert (erasure.counts["prompt"], erasure.counts["completion"]) == (1, 2)
    assert erasure.prompts.get().prompt_id == prompt.pk
    assert USER not in erasure.person_key and len(erasure.person_key) == 64
    assert prompt.source_user.external_id.startswith(f"{ERASED}:{erasure.person_key}")
    with pytest.raises(NotFound):
        erase()
    with pytest.raises(ErasedAlready):
        erase_person(
            source_user=SourceUser.objects.get(pk=prompt.source_user_id),
            answers="keep",
            refuse=False,
            reason="Again.",
            actor=amy,
        )


def test_answers_are_kept_without_their_texts(said):
    erase(answers="keep")
    ranking = Ranking.objects.get(pk=said.ranking.pk)
    assert (ranking.outcome, ranking.note) == ("ranked", ERASED)
    said_of = list(Judgment.objects.filter(ranking=ranking).order_by("rank").values_list("rank", "rating"))
    assert said_of == [(1, 5), (2, 2)]


def test_answers_are_erased_where_that_was_chosen(said):
    erase(answers="erase")
    ranking = Ranking.objects.get(pk=said.ranking.pk)
    assert (ranking.outcome, ranking.labeler.username) == ("cannot_rank", "ada")
    assert not Judgment.objects.filter(ranking=ranking).exclude(rank=None, rating=None, flags=[]).exists()
    assert Judgment.objects.filter(ranking=said.kept, rank=1).exists()


def test_open_leases_end_and_seats_are_offered_to_nobody(said):
    erase()
    lease = Lease.objects.get(pk=said.lease.pk)
    assert (lease.state, lease.draft, lease.seat_id, lease.erased) == ("returned", {}, None, True)
    assert set(Seat.objects.filter(task=said.task).values_list("state", flat=True)) == {"withheld", "filled"}
    assert Seat.objects.filter(task=said.kept.task, state="free").exists()


def test_an_ordinary_update_still_fails_within_the_same_transaction_and_after(said):
    for _when in ("before", "after"):
        with pytest.raises(Error, match="Cannot update"), transaction.atomic():
            Ranking.objects.filter(pk=said.ranking.pk).update(note="changed")
        if said.prompt.state != "erased":
            erase()
            said.prompt.refresh_from_db()
    with pytest.raises(Error, match="Cannot update"), transaction.atomic():
        Prompt.objects.filter(pk=said.prompt.pk).update(state="accepted")
    with pytest.raises(Error, match="Cannot update"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE labeling_erasure SET reason = 'another'")


def test_reason_and_policy_are_asked_for(said):
    for wrong in ({"reason": ""}, {"reason": "x" * 301}, {"answers": "some"}):
        with pytest.raises(Refusal):
            erase(**wrong)
    assert Prompt.objects.get(pk=said.prompt.pk).state == "accepted"


def test_command_erases_and_prints_what_it_did(said, capsys):
    call_command("erase_person", "api", USER, reason="They asked us to.", refuse=True)
    report = json.loads(capsys.readouterr().out)
    assert (report["counts"]["prompt"], report["datasets"]) == (1, [])
    assert RefusedPerson.objects.get().key == report["person"]
    assert where_said(MARKER) == []


def test_every_column_of_text_is_blanked_or_kept_for_a_reason():
    """A new column that can have text in it fails here until somebody says what becomes of it."""
    blanked = {
        f"{rule.table.removeprefix('labeling_')}.{column}" for rule in RULES for column in (*rule.sets, *rule.answers)
    }
    unknown = []
    for model in apps.get_app_config("labeling").get_models():
        name = model._meta.model_name
        for field in model._meta.concrete_fields:
            free = isinstance(field, models.CharField | models.TextField | models.JSONField)
            fixed = field.choices or field.column.endswith("sha256") or field.name in ("key", "state", "kind", "group")
            if (
                free
                and not fixed
                and f"{name}.{field.column}" not in blanked
                and not {name, f"{name}.{field.column}"} & KEPT.keys()
            ):
                unknown.append(f"{name}.{field.column}")
    assert not unknown
    known = {model._meta.model_name for model in apps.get_app_config("labeling").get_models()}
    assert {name.split(".")[0] for name in KEPT} <= known
