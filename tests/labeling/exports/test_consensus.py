"""Consensus beside the answers and in their place, and what becomes of tasks that were adjudicated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from labeling.exports import reading
from labeling.exports import rows as export_rows
from labeling.exports.lines import Line
from labeling.exports.models import Dataset, DatasetRow
from labeling.exports.queries import row_origin
from labeling.exports.question import read_question
from labeling.exports.services import HeldOutInTraining, create_dataset, guard
from labeling.people.models import User
from labeling.rankings.models import Judgment, Ranking
from labeling.refusals import Refusal
from tests.factories import make_batch, make_prompt, make_ranking, make_task
from tests.labeling.exports.test_comparisons import correct, rows_of
from training.formats import FormatError, iter_rows, pairs_of, verify, with_consensus

pytestmark = pytest.mark.django_db


def decide(task, researcher, ranks) -> Ranking:
    """What a researcher decides about the task."""
    task.seats.create(batch=task.batch, number=99, groups=[], adjudicates=True)
    lease = make_lease_of_decision(task, researcher)
    ranking = Ranking.objects.create(
        lease=lease,
        task=task,
        labeler=researcher,
        group="researcher",
        adjudicates=True,
        idempotency_key="decision",
        payload_sha256="0" * 64,
        order_shown=lease.order_shown,
    )
    for completion, rank in zip(task.item.completions.order_by("created_at", "id"), ranks, strict=True):
        Judgment.objects.create(ranking=ranking, completion=completion, rank=rank)
    return ranking


def make_lease_of_decision(task, researcher):
    from datetime import timedelta

    from django.utils import timezone

    seat = task.seats.get(adjudicates=True)
    seat.state = "filled"
    seat.save()
    return task.leases.create(
        seat=seat,
        labeler=researcher,
        adjudicates=True,
        state="submitted",
        order_shown=[str(pk) for pk in task.item.completions.values_list("pk", flat=True)],
        expires_at=timezone.now() + timedelta(minutes=5),
        ended_at=timezone.now(),
    )


@pytest.fixture
def three(ada, bo):
    """A task with three answers: a > b > c twice, and once the other way round."""
    task = make_task(batch=make_batch(overlap=4), texts=("a", "b", "c"))
    di = User.objects.create_user("di")
    for person, ranks in ((ada, [1, 2, 3]), (bo, [1, 2, 3]), (di, [3, 2, 1])):
        make_ranking(task=task, labeler=person, ranks=ranks)
    return task


def by_text(row: dict, ranks: dict) -> dict:
    return {entry["text"]: ranks[entry["id"]] for entry in row["completions"]}


def test_older_questions_are_asked_as_before():
    plain = read_question(kind="comparisons", question={})
    assert read_question(kind="comparisons", question={"consensus": "none", "answers": "all"}) == plain
    assert not {"consensus", "answers"} & set(plain)


@pytest.mark.parametrize(
    ("kind", "question"),
    [
        ("comparisons", {"consensus": "mean"}),
        ("comparisons", {"consensus": 3}),
        ("comparisons", {"answers": "most"}),
        ("comparisons", {"answers": "consensus"}),
        ("demonstrations", {"consensus": "modal"}),
        ("prompts", {"answers": "adjudicated"}),
    ],
)
def test_what_makes_no_sense_is_refused(kind, question):
    with pytest.raises(Refusal):
        read_question(kind=kind, question=question)


def test_consensus_stands_beside_each_answer(three):
    plain = rows_of(create_dataset(kind="comparisons"))
    rows = rows_of(create_dataset(kind="comparisons", question={"consensus": "modal"}))
    assert len(rows) == 3
    for row in rows:
        found = row.pop("consensus")
        assert by_text(row, found.pop("ranks")) == {"a": 1, "b": 2, "c": 3}
        assert found == {"method": "modal", "version": 1, "answers": 3, "agreement": round(1 / 3, 4), "by": "mode"}
    # Beside, and nothing else is another.
    assert rows == plain


def test_strengths_are_those_of_bradley_and_terry(three):
    rows = rows_of(create_dataset(kind="comparisons", question={"consensus": "bradley-terry"}))
    found = rows[0]["consensus"]
    assert (found["method"], found["by"]) == ("bradley-terry", "strength")
    assert by_text(rows[0], found["ranks"]) == {"a": 1, "b": 2, "c": 3}
    strengths = by_text(rows[0], found["strengths"])
    assert strengths["a"] == -strengths["c"] > 0 == strengths["b"]


def test_same_question_gives_the_same_bytes(three, ada, bo, settings, tmp_path, monkeypatch):
    for number in range(6):
        task = make_task(batch=make_batch(overlap=2), prompt=make_prompt(user=f"u{number}"))
        for person, ranks in ((ada, [1, 2, 3, 4]), (bo, [2, 1, 4, 3])):
            make_ranking(task=task, labeler=person, ranks=ranks)
    for question in (
        {"consensus": "bradley-terry"},
        {"consensus": "modal", "answers": "consensus"},
        {"consensus": "bradley-terry", "answers": "consensus"},
    ):
        settings.DATASETS_FOLDER = tmp_path / "one"
        one = create_dataset(kind="comparisons", question=question)
        settings.DATASETS_FOLDER = tmp_path / "two"
        monkeypatch.setattr(reading, "CHUNK", 2)
        monkeypatch.setattr(export_rows, "TASKS_AT_ONCE", 2)
        two = create_dataset(kind="comparisons", question=question)
        monkeypatch.undo()
        assert one.content_hash == two.content_hash
        assert verify(tmp_path / "one" / one.content_hash) == verify(tmp_path / "two" / two.content_hash) == []


def test_answers_that_may_not_be_learned_from_enter_no_consensus(three, hal, sim):
    make_ranking(task=make_task(batch=three.batch, texts=("x", "y")), labeler=hal)
    three.seats.create(batch=three.batch, number=7, groups=["training"])
    three.seats.create(batch=three.batch, number=8, groups=["training"])
    held_out = make_ranking(task=three, labeler=hal, ranks=[3, 2, 1])
    make_ranking(task=three, labeler=sim, ranks=[3, 2, 1])
    for answers in ("all", "consensus"):
        dataset = create_dataset(kind="comparisons", question={"consensus": "modal", "answers": answers})
        assert {row["consensus"]["answers"] for row in rows_of(dataset)} == {3}
        assert not DatasetRow.objects.filter(dataset=dataset, ranking=held_out).exists()
        assert dataset.manifest["exclusions"]["held_out"] == 2


def test_last_guard_knows_who_is_behind_a_consensus():
    line = Line("train", {"id": "x", "group": "training"}, None, None, groups=frozenset({"training", "held_out"}))
    with pytest.raises(HeldOutInTraining):
        guard(line, {"purpose": "training"})
    guard(line, {"purpose": "evaluation"})


def test_corrections_count_as_things_stood(three, bo):
    until = Ranking.objects.order_by("created_at").last().created_at
    correct(Ranking.objects.get(labeler=bo), [3, 2, 1])
    ranks = {
        when: by_text(row, row["consensus"]["ranks"])["a"]
        for when in (None, until.isoformat())
        for row in rows_of(create_dataset(kind="comparisons", question={"consensus": "modal", "until": when}))
    }
    assert ranks == {None: 3, until.isoformat(): 1}


def test_policies_of_adjudicated_tasks(three, ada, rita):
    outcome = decide(three, rita, [2, 1, 3])
    alone = make_ranking(task=make_task(), labeler=ada)
    ids = {
        policy: {row["id"] for row in rows_of(create_dataset(kind="comparisons", question={"answers": policy}))}
        for policy in ("all", "prefer_adjudicated", "adjudicated")
    }
    labelers = {str(pk) for pk in Ranking.objects.filter(task=three, adjudicates=False).values_list("pk", flat=True)}
    assert ids["all"] == labelers | {str(outcome.pk), str(alone.pk)}
    assert ids["prefer_adjudicated"] == {str(outcome.pk), str(alone.pk)}
    assert ids["adjudicated"] == {str(outcome.pk)}
    (row,) = rows_of(
        dataset := create_dataset(kind="comparisons", question={"answers": "adjudicated", "consensus": "modal"})
    )
    assert row["adjudicates"] is True and row["group"] == "researcher"
    # The consensus is the labelers'; what decided stands beside it, and both can be followed.
    assert row["consensus"]["answers"] == 3 and by_text(row, row["consensus"]["ranks"])["a"] == 1
    behind = DatasetRow.objects.filter(dataset=dataset)
    assert {str(each.ranking_id) for each in behind} == labelers | {str(outcome.pk)}
    assert dataset.manifest["exclusions"]["not_adjudicated"] == 4


def test_consensus_alone_is_a_row_a_task(three, ada, rita, tmp_path):
    decide(three, rita, [3, 1, 2])
    make_ranking(task=make_task(), labeler=ada)
    circle = make_task(batch=make_batch(overlap=2), texts=("x", "y", "z"))
    for name, ranks in (("f1", [1, 1, 2]), ("f2", [1, 2, 2])):
        make_ranking(task=circle, labeler=User.objects.create_user(name), ranks=ranks)
    dataset = create_dataset(
        kind="comparisons", question={"answers": "consensus", "consensus": "modal", "formats": ["trl"]}
    )
    (row,) = rows_of(dataset)
    assert (row["id"], row["labeler"], row["group"], row["order_shown"]) == (str(three.pk), "consensus", "training", [])
    assert {entry["text"]: entry["rank"] for entry in row["completions"]} == {"a": 1, "b": 2, "c": 3}
    assert {entry["rating"] for entry in row["completions"]} == {None}
    assert dataset.manifest["exclusions"] == {"adjudicated": 1, "no_consensus": 1, "one_answer": 1}
    assert dataset.manifest["counts"]["rows"] == 1 and dataset.manifest["counts"]["labelers"] == 3
    # Each answer behind it can be followed to what learned from it.
    assert DatasetRow.objects.filter(dataset=dataset, ranking__task=three).count() == 3
    assert row_origin(dataset, row["id"]).ranking.task == three
    assert len(list(iter_rows(Path(dataset.folder), "train", pairs=True))) == 3


def test_completions_with_personal_data_are_in_no_consensus(ada, bo):
    task = make_task(
        batch=make_batch(overlap=2), texts=("Write to jane.doe@example.org or call 0171 2345678.", "Fine.", "Bad.")
    )
    for person in (ada, bo):
        make_ranking(task=task, labeler=person, ranks=[1, 2, 3])
    for answers in ("all", "consensus"):
        for row in rows_of(create_dataset(kind="comparisons", question={"consensus": "modal", "answers": answers})):
            assert by_text(row, row["consensus"]["ranks"]) == {"Fine.": 1, "Bad.": 2}


def test_reader_takes_the_consensus_for_the_ranks(three):
    (row, *_rest) = rows_of(create_dataset(kind="comparisons", question={"consensus": "modal"}))
    turned = with_consensus({**row, "completions": [{**entry, "rank": 1} for entry in row["completions"]]})
    assert len(list(pairs_of(turned))) == 3
    assert with_consensus({"completions": []}) is None
    with pytest.raises(FormatError, match="version 2"):
        with_consensus({**row, "consensus": {**row["consensus"], "version": 2}})


def test_question_by_command_form_and_api(three, page, api, rita, capsys):
    call_command("export", "comparisons", "--consensus", "modal", "--answers", "consensus", "--json")
    told = json.loads(capsys.readouterr().out)
    assert (told["question"]["consensus"], told["question"]["answers"]) == ("modal", "consensus")
    made = api(rita).post("/api/v1/exports/", {"kind": "comparisons", "consensus": "bradley-terry"}, format="json")
    assert made.status_code == 202 and made.json()["question"]["consensus"] == "bradley-terry"
    refused = api(rita).post("/api/v1/exports/", {"kind": "prompts", "consensus": "modal"}, format="json")
    assert refused.status_code == 400
    fields = {"kind": "comparisons", "purpose": "training", "consensus": "modal", "answers": "prefer_adjudicated"}
    sent = page(rita).post("/datasets/new/", fields)
    assert sent.status_code == 302
    assert Dataset.objects.get(pk=sent.headers["Location"].split("/")[2]).question["answers"] == "prefer_adjudicated"
    shown = page(rita).get(sent.headers["Location"]).content.decode()
    assert "prefer_adjudicated" in shown


def test_consensus_costs_two_statements_a_chunk(three, ada, bo):
    for _ in range(10):
        task = make_task(batch=make_batch(overlap=2))
        for person in (ada, bo):
            make_ranking(task=task, labeler=person)
    create_dataset(kind="comparisons", question={"splits": ["train"]})  # the detector has seen all
    with CaptureQueriesContext(connection) as plain:
        create_dataset(kind="comparisons")
    with CaptureQueriesContext(connection) as asked:
        create_dataset(kind="comparisons", question={"consensus": "bradley-terry"})
    assert len(asked) - len(plain) == 2
