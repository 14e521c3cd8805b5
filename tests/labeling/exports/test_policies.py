"""Kinds of data sets, and what becomes of ties, of all that is bad, of several labelers, of what they disagree on."""

from pathlib import Path

import pytest
from django.utils import timezone

from labeling.exports.models import DatasetRow
from labeling.exports.services import create_dataset
from labeling.people.models import User
from labeling.rankings.models import Ranking
from labeling.refusals import NotFound, Refusal
from tests.factories import make_batch, make_ranking, make_task
from training.formats import SPLITS, iter_rows

pytestmark = pytest.mark.django_db


def export(kind: str = "comparisons", **question):
    dataset = create_dataset(kind=kind, question=question)
    return dataset, [row for split in SPLITS for row in iter_rows(Path(dataset.folder), split)]


def test_several_labelers_agree_enough_or_their_task_stays_out(ada, bo):
    agreed, torn = (make_task(batch=make_batch(overlap=2), texts=("a", "b", "c")) for _ in range(2))
    for person, ranks in ((ada, [1, 2, 3]), (bo, [1, 2, 3])):
        make_ranking(task=agreed, labeler=person, ranks=ranks)
    for person, ranks in ((ada, [1, 2, 3]), (bo, [3, 2, 1])):
        make_ranking(task=torn, labeler=person, ranks=ranks)
    make_ranking(task=make_task(), labeler=ada)
    dataset, rows = export(agreement=0.5)
    assert {row["prompt_id"] for row in rows} == {str(agreed.item.prompt_id)}
    assert dataset.manifest["exclusions"] == {"agreement_too_low": 2, "one_answer": 1}
    whole, _rows = export()
    assert whole.manifest["agreement"] == {"rate": 0.5, "pairs": 6, "tasks": 2}


def test_one_labeler_a_task_is_the_first(ada, bo):
    task = make_task(batch=make_batch(overlap=2))
    first = make_ranking(task=task, labeler=ada)
    make_ranking(task=task, labeler=bo)
    dataset, rows = export(answers="one")
    assert [row["id"] for row in rows] == [str(first.pk)]
    assert dataset.manifest["exclusions"] == {"another_answer": 1}
    assert [row.ranking_id for row in DatasetRow.objects.filter(dataset=dataset)] == [first.pk]


def test_strict_leaves_out_what_ties_and_counts_it(ada):
    make_ranking(task=make_task(texts=("a", "b")), labeler=ada, ranks=[1, 1])
    kept = make_ranking(task=make_task(texts=("a", "b")), labeler=ada, ranks=[2, 1])
    dataset, rows = export(ties="strict")
    assert [row["id"] for row in rows] == [str(kept.pk)]
    assert dataset.manifest["exclusions"] == {"tied": 1}


def test_all_bad_is_left_out_or_a_tie_of_all(ada):
    made = make_ranking(task=make_task(texts=("a", "b")), labeler=ada, ranks=[1, 2], outcome=Ranking.Outcome.ALL_BAD)
    dataset, rows = export()
    assert rows == [] and dataset.manifest["exclusions"] == {"all_bad": 1}
    dataset, (row,) = export(all_bad="keep", formats=["trl", "kto"])
    assert (row["id"], row["all_bad"], [entry["rank"] for entry in row["completions"]]) == (str(made.pk), True, [1, 1])
    assert [file["path"] for file in dataset.manifest["files"] if file["rows"]] == ["train-00000.jsonl.zst"]


def test_since_and_until_are_a_range(ada):
    make_ranking(task=make_task(), labeler=ada)
    then = timezone.now()
    later = make_ranking(task=make_task(), labeler=ada)
    _dataset, rows = export(since=then)
    assert [row["id"] for row in rows] == [str(later.pk)]
    assert export(since=then, until=then)[1] == []


def test_forms_are_chosen_by_name_and_version(ada):
    with_form = make_ranking(task=make_task(), labeler=ada)
    version = with_form.form_version or with_form.lease.form_version
    if version is None:
        with pytest.raises(NotFound, match="no form nothing"):
            export(forms=["nothing"])
        return
    assert len(export(forms=[version.form.name])[1]) == len(export(forms=[f"{version.form.name}/{version.number}"])[1])


@pytest.mark.parametrize(
    ("kind", "question", "words"),
    [
        ("prompts", {"agreement": 0.5}, "Only rankings"),
        ("comparisons", {"agreement": 2}, "share"),
        ("comparisons", {"formats": ["csv"]}, "csv"),
        ("ratings", {"formats": ["kto"]}, "kto"),
        ("demonstrations", {"ties": "strict"}, "ties"),
        ("comparisons", {"ties": "coin"}, "coin"),
        ("comparisons", {"forms": ["ranking/x"]}, "no form"),
        ("evaluations", {"purpose": "training"}, "train none"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(kind, question, words):
    with pytest.raises(Refusal, match=words):
        create_dataset(kind=kind, question=question)


def test_ratings_have_a_row_for_each_completion_that_something_was_said_of(ada):
    ranking = make_ranking(task=make_task(texts=("a", "b", "c")), labeler=ada, ratings=[7, None, 2])
    dataset, rows = export("ratings")
    assert {(row["completion"]["text"], row["rating"]) for row in rows} == {("a", 7), ("c", 2)}
    assert {row["ranking_id"] for row in rows} == {str(ranking.pk)}
    assert dataset.manifest["counts"]["rows"] == 2


def test_evaluations_are_the_batches_that_compare_models_with_held_out_labelers(ada, hal):
    make_ranking(task=make_task(), labeler=ada)
    task = make_task(batch=make_batch(evaluation=True, overlap=2))
    judged = {str(make_ranking(task=task, labeler=person).pk) for person in (ada, hal)}
    dataset, rows = export("evaluations")
    assert {row["id"] for row in rows} == judged
    assert dataset.question["purpose"] == "evaluation"


def test_card_and_manifest_say_what_is_in_and_what_was_done(ada):
    batch = make_batch(name="a | <b>batch</b>")
    make_ranking(task=make_task(batch=batch, texts=("a", "b", "Write to jane.doe@example.org")), labeler=ada)
    dataset, _rows = export()
    manifest, card = dataset.manifest, (Path(dataset.folder) / "README.md").read_text()
    assert manifest["personal_data"]["detector"]["name"] and manifest["personal_data"]["policy"]["number"]
    assert manifest["personal_data"]["counts"] and sum(manifest["labelers"].values()) == 1
    assert manifest["snapshot_at"] and manifest["snapshot_at"] not in card
    assert dataset.content_hash in card and "K = 2" in card
    assert "<b>" not in card and "a \\| \\<b\\>" in card
    assert User.objects.get(pk=ada.pk).username not in card.split()
