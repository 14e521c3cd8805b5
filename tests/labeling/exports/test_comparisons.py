"""Comparisons: which rankings go in, and what a row says."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from django.utils import timezone

from labeling.exports.lines import pseudonym
from labeling.exports.models import Dataset, DatasetRow
from labeling.exports.queries import datasets_of_ranking
from labeling.exports.services import HeldOutInTraining, create_dataset, guard
from labeling.guidelines.models import Guideline
from labeling.rankings.models import Judgment, Ranking
from labeling.refusals import NotFound, Refusal
from labeling.sampling.models import BatchItem, Completion
from labeling.use_cases.services import assign
from tests.factories import make_batch, make_prompt, make_ranking, make_task
from training.formats import SPLITS, iter_rows, verify

pytestmark = pytest.mark.django_db


def rows_of(dataset: Dataset, *, pairs: bool = False) -> list[dict]:
    return [row for split in SPLITS for row in iter_rows(Path(dataset.folder), split, pairs=pairs)]


def correct(ranking: Ranking, ranks: list[int]) -> Ranking:
    newer = Ranking.objects.create(
        lease=ranking.lease,
        task=ranking.task,
        labeler=ranking.labeler,
        group=ranking.group,
        origin=ranking.origin,
        revision=ranking.revision + 1,
        replaces=ranking,
        idempotency_key=f"correction-{ranking.pk}",
        payload_sha256="1" * 64,
        order_shown=ranking.order_shown,
    )
    for old, rank in zip(ranking.judgments.order_by("id"), ranks, strict=True):
        Judgment.objects.create(ranking=newer, completion=old.completion, rank=rank)
    return newer


def test_row_says_who_ranked_what_how(ada):
    task = make_task(
        texts=("Good.", "Fine.", "Bad."), models=("one", "one", "two"), prompt=make_prompt("Why?", use_case="open_qa")
    )
    ranking = make_ranking(task=task, labeler=ada, ranks=[1, 1, 2], ratings=[7, 6, None])
    dataset = create_dataset(kind="comparisons")
    (row,) = rows_of(dataset)
    assert row["id"] == str(ranking.pk)
    assert row["guideline"] is None
    assert row["messages"] == [{"role": "user", "content": "Why?"}]
    assert (row["group"], row["simulated"], row["split"]) == ("training", False, "train")
    assert row["labeler"] == pseudonym(ada.pk)
    # The name, in no word of the row: an id in hex may have its letters.
    assert "ada" not in re.findall(r"\w+", json.dumps(row))
    assert row["order_shown"] == ranking.order_shown
    by_text = {entry["text"]: entry for entry in row["completions"]}
    assert {text: entry["rank"] for text, entry in by_text.items()} == {"Good.": 1, "Fine.": 1, "Bad.": 2}
    assert {text: entry["rating"] for text, entry in by_text.items()} == {"Good.": 7, "Fine.": 6, "Bad.": None}
    assert by_text["Bad."]["model"] == "two"
    assert by_text["Bad."]["duplicates"] == 0


def test_ties_stay_in_the_row_and_make_no_pair(ada):
    make_ranking(task=make_task(texts=("a", "b", "c")), labeler=ada, ranks=[1, 1, 2])
    dataset = create_dataset(kind="comparisons", question={"formats": ["trl"]})
    assert sorted(entry["rank"] for entry in rows_of(dataset)[0]["completions"]) == [1, 1, 2]
    pairs = {(pair["chosen"][0]["content"], pair["rejected"][0]["content"]) for pair in rows_of(dataset, pairs=True)}
    assert pairs == {("a", "c"), ("b", "c")}
    assert (dataset.manifest["counts"]["pairs"], dataset.manifest["counts"]["tied_pairs"]) == (2, 1)


def test_only_the_newest_revision_is_taken(ada):
    first = make_ranking(task=make_task(texts=("a", "b")), labeler=ada, ranks=[1, 2])
    second = correct(first, [2, 1])
    dataset = create_dataset(kind="comparisons")
    assert [row["id"] for row in rows_of(dataset)] == [str(second.pk)]
    assert dataset.manifest["exclusions"] == {"corrected": 1}


def test_until_takes_what_was_there_then(ada):
    first = make_ranking(task=make_task(texts=("a", "b")), labeler=ada, ranks=[1, 2])
    then = timezone.now()
    correct(first, [2, 1])
    dataset = create_dataset(kind="comparisons", question={"until": then})
    assert [row["id"] for row in rows_of(dataset)] == [str(first.pk)]
    early = create_dataset(kind="comparisons", question={"until": (then - timedelta(days=1)).isoformat()})
    assert rows_of(early) == []


def test_held_out_labelers_never_enter_a_training_export(ada, hal):
    task = make_task(batch=make_batch(overlap=2))
    mine = make_ranking(task=task, labeler=ada)
    make_ranking(task=task, labeler=hal)
    dataset = create_dataset(kind="comparisons", question={"include_simulated": True})
    assert [row["id"] for row in rows_of(dataset)] == [str(mine.pk)]
    assert dataset.manifest["exclusions"] == {"held_out": 1}
    with pytest.raises(Refusal, match="Held-out"):
        create_dataset(kind="comparisons", question={"groups": ["held_out"]})


def test_held_out_row_that_slipped_past_the_query_ends_the_export(hal):
    from labeling.exports.lines import Line

    line = Line("train", {"id": "x", "group": "held_out"}, None, None)
    with pytest.raises(HeldOutInTraining):
        guard(line, {"purpose": "training"})
    guard(line, {"purpose": "evaluation"})


def test_evaluation_batches_are_for_the_purpose_evaluation_alone(ada, hal):
    plain = make_ranking(task=make_task(), labeler=ada)
    task = make_task(batch=make_batch(evaluation=True, overlap=2))
    judged = {str(make_ranking(task=task, labeler=person).pk) for person in (ada, hal)}
    training = create_dataset(kind="comparisons")
    assert [row["id"] for row in rows_of(training)] == [str(plain.pk)]
    assert training.manifest["exclusions"] == {"evaluation_batch": 1, "held_out": 1}
    evaluation = create_dataset(kind="comparisons", question={"purpose": "evaluation"})
    assert {row["id"] for row in rows_of(evaluation)} == judged


def test_simulated_answers_are_there_only_when_asked_for(ada, sim):
    task = make_task(batch=make_batch(overlap=2, groups=["training", "simulated"]))
    make_ranking(task=task, labeler=ada)
    made = make_ranking(task=task, labeler=sim)
    without = create_dataset(kind="comparisons")
    assert len(rows_of(without)) == 1
    assert without.manifest["exclusions"] == {"simulated": 1}
    whole = create_dataset(kind="comparisons", question={"include_simulated": True})
    assert {row["id"]: row["simulated"] for row in rows_of(whole)}[str(made.pk)] is True


def test_prompts_that_are_held_or_dropped_are_left_out(ada):
    for state in ("held", "dropped"):
        make_ranking(task=make_task(prompt=make_prompt(state=state)), labeler=ada)
    dataset = create_dataset(kind="comparisons")
    assert rows_of(dataset) == []
    assert dataset.manifest["exclusions"] == {"prompt_not_accepted": 2}


def test_completions_with_personal_data_are_left_out_and_counted(ada):
    personal = "Write to jane.doe@somewhere-else.com, she answers."
    make_ranking(task=make_task(texts=("a", "b", personal)), labeler=ada, ranks=[1, 2, 3])
    make_ranking(task=make_task(texts=("c", personal)), labeler=ada, ranks=[2, 1])
    dataset = create_dataset(kind="comparisons")
    assert [[entry["text"] for entry in row["completions"]] for row in rows_of(dataset)] in (
        [["a", "b"]],
        [["b", "a"]],
    )
    assert dataset.manifest["exclusions"] == {"completions_with_personal_data": 2, "personal_data": 1}


def test_filters_take_what_they_name(ada):
    wanted = make_ranking(
        task=make_task(
            batch=make_batch(name="round 1"),
            prompt=make_prompt(user="v", split="valid", source="seeds", use_case="chat"),
        ),
        labeler=ada,
    )
    make_ranking(task=make_task(), labeler=ada)
    for question in (
        {"splits": ["valid"]},
        {"sources": ["seeds"]},
        {"use_cases": ["chat"]},
        {"batches": ["round 1"]},
    ):
        assert [row["id"] for row in rows_of(create_dataset(kind="comparisons", question=question))] == [str(wanted.pk)]
    assert len(rows_of(create_dataset(kind="comparisons", question={"origins": ["workbench"]}))) == 2
    assert rows_of(create_dataset(kind="comparisons", question={"origins": ["import"]})) == []


@pytest.mark.parametrize(
    ("question", "refusal"),
    [
        ({"splits": ["dev"]}, "no split"),
        ({"splits": "train"}, "list"),
        ({"batches": ["nothing"]}, "no batch called nothing"),
        ({"sources": ["nowhere"]}, "no source called nowhere"),
        ({"groups": ["friends"]}, "no labeler group"),
        ({"groups": ["simulated"]}, "include_simulated"),
        ({"include_simulated": "yes"}, "true or false"),
        ({"until": "yesterday"}, "time with an offset"),
        ({"purpose": "fun"}, "purpose"),
        ({"split": ["train"]}, "cannot be asked for by"),
    ],
)
def test_questions_that_make_no_sense_are_refused(question, refusal):
    with pytest.raises((Refusal, NotFound), match=refusal):
        create_dataset(kind="comparisons", question=question)
    assert not Dataset.objects.exists()


def test_every_row_leads_back_to_its_ranking_and_on_to_its_data_sets(ada):
    rankings = [make_ranking(task=make_task(), labeler=ada) for _ in range(3)]
    dataset = create_dataset(kind="comparisons")
    assert set(DatasetRow.objects.filter(dataset=dataset).values_list("ranking_id", flat=True)) == {
        ranking.pk for ranking in rankings
    }
    assert list(datasets_of_ranking(rankings[0])) == [dataset]


def test_counts_say_what_went_in(ada, bo):
    task = make_task(batch=make_batch(name="b", overlap=2), prompt=make_prompt(use_case="chat"))
    make_ranking(task=task, labeler=ada)
    make_ranking(task=task, labeler=bo)
    counts = create_dataset(kind="comparisons").manifest["counts"]
    assert counts == {
        "rows": 2,
        "labelers": 2,
        "pairs": 12,
        "tied_pairs": 0,
        "by_split": {"train": 2},
        "by_group": {"training": 2},
        "by_batch": {"b": 2},
        "by_source": {"api": 2},
        "by_use_case": {"chat": 2},
        "by_k": {"4": 2},
        "by_ties": {"without ties": 2},
        "by_origin": {"workbench": 2},
    }


def test_folder_is_what_its_manifest_says(ada):
    make_ranking(task=make_task(), labeler=ada)
    dataset = create_dataset(kind="comparisons")
    folder = Path(dataset.folder)
    assert folder.name == dataset.content_hash
    assert verify(folder) == []
    assert dataset.manifest == json.loads((folder / "manifest.json").read_bytes())


def test_row_says_under_which_guidelines_it_was_made(ada):
    ranking = make_ranking(task=make_task(), labeler=ada)
    Guideline.objects.create(number=3, title="How", text="Read.")
    ranking.lease.guideline = Guideline.objects.get()
    ranking.lease.save()
    (row,) = rows_of(create_dataset(kind="comparisons"))
    assert row["guideline"] == 3


def test_row_says_how_it_was_chosen_and_who_named_its_use_case(ada, rita):
    named, given, guessed = make_prompt(), make_prompt(use_case="chat"), make_prompt()
    assign(prompt_id=named.pk, use_case="extract", person=rita)
    for prompt, chosen in (
        (named, {"strategy": "uncertainty", "probability": 0.25}),
        (given, {"strategy": "newest", "probability": None}),
        (guessed, {}),
    ):
        task = make_task(prompt=prompt, texts=("Good.", "Bad."))
        BatchItem.objects.filter(pk=task.item_id).update(**chosen)
        Completion.objects.create(
            item=task.item, text="Drawn.", text_sha256="2" * 64, probability=0.5 if prompt == named else None
        )
        make_ranking(task=task, labeler=ada, ratings=[6, 2, 4])

    dataset = create_dataset(kind="comparisons", question={"formats": ["parquet"]})
    rows = {row["prompt_id"]: row for row in rows_of(dataset)}
    said = [
        (rows[str(prompt.pk)]["use_case"], rows[str(prompt.pk)]["use_case_by"]) for prompt in (named, given, guessed)
    ]
    assert said == [("extract", "people"), ("chat", "given"), ("", "")]
    assert rows[str(named.pk)]["selection"] == {"strategy": "uncertainty", "probability": 0.25}
    assert rows[str(given.pk)]["selection"] == {"strategy": "newest", "probability": None}
    assert "selection" not in rows[str(guessed.pk)]
    entries = {entry["text"]: entry for entry in rows[str(named.pk)]["completions"]}
    assert entries["Drawn."]["probability"] == 0.5 and "probability" not in entries["Good."]

    flat = {row["prompt_id"]: row for row in pq.read_table(Path(dataset.folder) / "train-00000.parquet").to_pylist()}
    assert flat[str(named.pk)]["selection"] == rows[str(named.pk)]["selection"]
    assert flat[str(guessed.pk)]["selection"] is None
    assert {entry["probability"] for entry in flat[str(named.pk)]["completions"]} == {0.5, None}

    ratings = [row["completion"] for row in rows_of(create_dataset(kind="ratings"))]
    assert [one["text"] for one in ratings if one.get("probability") == 0.5] == ["Drawn."]
    listed = {row["id"]: row for row in rows_of(create_dataset(kind="prompts"))}
    assert listed[str(named.pk)]["use_case_by"] == "people"
