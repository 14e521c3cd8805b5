"""1. A ranking that was acknowledged is never lost or altered; submitting twice with one key stores one."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import ProgrammingError, transaction

from labeling.rankings.models import Judgment, Ranking
from tests import factories

pytestmark = pytest.mark.django_db

APPEND_ONLY = [
    "ranking",
    "judgment",
    "review",
    "demonstration",
    "writtenprompt",
    "admission",
    "completion",
    "provenance",
    "auditevent",
    "datasetrow",
    "guideline",
    "message",
    "formversion",
    "demonstrationsuggestion",
    "practiceanswer",
    "surveyquestionnaire",
    "notice",
    "onboardingevent",
    "payday",
    "ledgerentry",
    "assessment",
    "adjudicationreveal",
    "adjudicationrequest",
    "completionscore",
    "errordraw",
    "errorverdict",
    "grade",
    "screeningdecision",
    "checkitem",
    "detectorversion",
    "usecasetarget",
    "usecaseassignment",
    "usecasemodel",
    "policy",
    "policyrule",
    "gate",
    "erasure",
    "erasedprompt",
    "taint",
]


def test_all_that_is_append_only_is_tried():
    protected = {
        model._meta.model_name
        for model in apps.get_app_config("labeling").get_models()
        for trigger in getattr(model._meta, "triggers", [])
        if trigger.name.endswith("_is_append_only")
    }
    assert protected == set(APPEND_ONLY)


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_sql_changes_and_deletes_nothing(world, refused, table):
    for statement in (f"UPDATE labeling_{table} SET id = id", f"DELETE FROM labeling_{table}"):
        assert "Cannot update or delete" in str(refused(statement))


def test_code_changes_nothing_either(world):
    for change in (
        lambda: Ranking.objects.update(note="changed"),
        lambda: Judgment.objects.update(rank=1),
        lambda: Judgment.objects.all().delete(),
        world.ranking.save,
    ):
        with pytest.raises(ProgrammingError, match="Cannot"), transaction.atomic():
            change()


@pytest.mark.parametrize("kind", ["ranking", "demonstration", "prompt"])
def test_one_key_stores_one_answer_and_another_key_is_a_conflict(ada, api, kind):
    texts = ("a", "b") if kind == "ranking" else ()
    if kind == "prompt":
        factories.make_brief()
    else:
        factories.make_task(batch=factories.make_batch(kind=kind), texts=texts)
    client = api(ada)
    task = client.post("/api/v1/tasks/next/").json()
    body = {"completions": [{"id": one["id"], "rank": 1, "rating": 2} for one in task["completions"]]}
    body = body if kind == "ranking" else {"text": "mine"}
    body |= {"use_case": "other"} if kind == "prompt" else {}

    def submit(key: str, **more):
        address = f"/api/v1/tasks/{task['id']}/submit/"
        return client.post(address, {**body, **more}, format="json", headers={"Idempotency-Key": key})

    first = submit("k")
    assert (first.status_code, submit("k").status_code, submit("other").status_code) == (201, 200, 409)
    assert submit("k").json() == first.json()
    second = submit("other", replaces=first.json()["id"], reason="a slip")
    assert (second.status_code, second.json()["revision"]) == (201, 2)
    assert submit("k").json() == first.json()
