"""Of a reviewed batch goes in what a second labeler accepted or edited, as they left it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from labeling.demos.models import Demonstration
from labeling.exports.lines import pseudonym
from labeling.exports.models import Dataset
from labeling.exports.services import create_dataset
from labeling.pipeline.queries import has_held_out
from labeling.reviews.models import Review
from tests.factories import make_demonstration, make_prompt, make_review, make_reviewed_batch
from training.formats import SPLITS, iter_rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def batch(db):
    return make_reviewed_batch()


@pytest.fixture
def written(ada, batch):
    return lambda text="Soft rain.": make_demonstration(prompt=make_prompt(), labeler=ada, text=text, batch=batch)


def export(**question) -> tuple[Dataset, list[dict]]:
    dataset = create_dataset(kind="demonstrations", question=question)
    return dataset, [row for split in SPLITS for row in iter_rows(Path(dataset.folder), split)]


def again(answer: Demonstration | Review, **changes) -> Demonstration | Review:
    """Its next revision."""
    model = type(answer)
    values = {field.name: getattr(answer, field.name) for field in model._meta.concrete_fields}
    values |= {"revision": answer.revision + 1, "replaces": answer, "idempotency_key": f"again-{answer.pk}"}
    for name in ("id", "created_at"):
        del values[name]
    return model.objects.create(**{**values, **changes})


def test_accepted_and_edited_go_in_as_they_were_left(written, bo):
    accepted, edited = written("Soft rain."), written("Hard rian.")
    make_review(demonstration=accepted, labeler=bo)
    change = make_review(demonstration=edited, labeler=bo, verdict="edit", text="Hard rain.")
    dataset, rows = export()
    assert {(row["answer"], row["reviewed"]) for row in rows} == {("Soft rain.", "accepted"), ("Hard rain.", "edited")}
    assert {(row["reviewer"], row["reviewer_group"]) for row in rows} == {(pseudonym(bo.pk), "training")}
    assert {row["id"] for row in rows} == {str(accepted.pk), str(edited.pk)}
    assert dict(dataset.rows.values_list("demonstration", "review")) == {accepted.pk: None, edited.pk: change.pk}
    assert dataset.manifest["counts"]["labelers"] == 2


def test_what_waits_and_what_was_sent_back_is_counted(written, bo):
    written()
    make_review(demonstration=written(), labeler=bo, verdict="send_back", note="No.")
    dataset, rows = export()
    assert rows == []
    assert dataset.manifest["exclusions"] == {"sent_back": 1, "waits_for_review": 1}


def test_other_batches_are_as_ever(ada):
    make_demonstration(prompt=make_prompt(), labeler=ada, text="Unreviewed.")
    _, (row,) = export()
    assert row["answer"] == "Unreviewed." and "reviewed" not in row


def test_only_the_latest_revision_and_its_latest_review_count(written, bo):
    first = written("Soft rian.")
    back = make_review(demonstration=first, labeler=bo, verdict="send_back", note="Spelling.")
    second = again(first, text="Soft rain.")
    dataset, rows = export()
    assert (rows, dataset.manifest["exclusions"]) == ([], {"corrected": 1, "waits_for_review": 1})
    # That of the revision before changes nothing any more.
    again(back, verdict="accept", note="")
    assert export()[1] == []
    review = make_review(demonstration=second, labeler=bo)
    assert [row["answer"] for row in export()[1]] == ["Soft rain."]
    again(review, verdict="edit", text="Soft, soft rain.")
    assert [(row["answer"], row["reviewed"]) for row in export()[1]] == [("Soft, soft rain.", "edited")]


def test_a_surplus_review_decides_nothing(written, bo):
    make_review(demonstration=written(), labeler=bo, surplus=True)
    assert export()[0].manifest["exclusions"] == {"waits_for_review": 1}


def test_as_things_stood_at_a_time(written, bo):
    review = make_review(demonstration=written(), labeler=bo, created_at=timezone.now() + timedelta(hours=1))
    before = (review.created_at - timedelta(minutes=1)).isoformat()
    dataset, rows = export(until=before)
    assert (rows, dataset.manifest["exclusions"]) == ([], {"waits_for_review": 1})
    assert len(export(until=review.created_at.isoformat())[1]) == 1


@pytest.mark.parametrize(("verdict", "text"), [("accept", ""), ("edit", "Held-out words.")])
def test_a_held_out_reviewer_lets_nothing_into_training(written, hal, verdict, text):
    make_review(demonstration=written(), labeler=hal, verdict=verdict, text=text)
    dataset, rows = export()
    assert (rows, dataset.manifest["exclusions"]) == ([], {"held_out": 1})


def test_a_programs_review_counts_where_programs_do(written, sim):
    make_review(demonstration=written(), labeler=sim)
    assert export()[0].manifest["exclusions"] == {"simulated": 1}
    assert [row["reviewer_group"] for row in export(include_simulated=True)[1]] == ["simulated"]


def test_personal_data_is_looked_for_in_what_goes_in(written, bo):
    private = "Call me: +1 415-555-2671, or jo.miller@gmail.com"
    make_review(demonstration=written(private), labeler=bo, verdict="edit", text="Call me.")
    make_review(demonstration=written(), labeler=bo, verdict="edit", text=private)
    dataset, rows = export()
    assert [row["answer"] for row in rows] == ["Call me."]
    assert dataset.manifest["exclusions"] == {"personal_data": 1}


def test_row_leads_back_to_its_edit(written, bo, rita, page):
    answer = written("Hard rian.")
    review = make_review(demonstration=answer, labeler=bo, verdict="edit", text="Hard rain.")
    dataset, _ = export()
    shown = page(rita).get(f"/datasets/{dataset.pk}/?row={answer.pk}").content.decode()
    assert "Hard rain." in shown and "Hard rian." not in shown and str(review.lease_id) in shown
    assert not has_held_out(dataset)


def test_of_an_edited_dialogue_each_turn_is_as_it_was_edited(ada, bo):
    dialogue = make_demonstration(
        prompt=make_prompt("Why?"),
        labeler=ada,
        turns=["Beacuse.", "Why?"],
        text="Look up.",
        batch=make_reviewed_batch(kind="dialogue"),
    )
    turns = [{"role": "assistant", "content": "Because."}, {"role": "user", "content": "Why is it?"}]
    make_review(demonstration=dialogue, labeler=bo, verdict="edit", turns=turns, text="Look up.")
    _, rows = export()
    assert [(row["turn"], row["answer"], row["reviewed"]) for row in rows] == [
        (1, "Because.", "edited"),
        (3, "Look up.", "edited"),
    ]
    assert [turn["content"] for turn in rows[1]["messages"]] == ["Why?", "Because.", "Why is it?"]
