"""Rankings from elsewhere: two shapes of line, stored once, told apart from Kwise's own."""

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from labeling.exports.services import create_dataset
from labeling.intake.models import Prompt
from labeling.leasing.services import grant_lease
from labeling.rankings.models import Ranking
from labeling.sampling.models import Batch, BatchItem, Completion, Provenance
from tests.factories import make_batch
from training.formats import SPLITS, iter_rows

pytestmark = pytest.mark.django_db

LISTED = {
    "group_id": "g1",
    "messages": [{"role": "user", "content": "Why is the sky blue?"}],
    "completions": [{"text": "Light scatters.", "rank": 0}, {"text": "  It is paint.\r\n", "rank": 1}],
}
NAMED = {
    "group_id": "g2",
    "prompt": "What is the plot of the story?",
    "completions": {"bart": "A man walks.", "human": "A man leaves home.", "other": "No."},
    "rankings": [
        {
            "labeler": "3",
            "ranks": {"bart": 2, "human": 1, "other": 3},
            "ratings": {"bart": 40, "human": 90, "other": 2},
        },
        {"labeler": "5", "ranks": {"bart": 1.5, "human": 1.5, "other": 3}},
    ],
}


@pytest.fixture
def bring(tmp_path):
    def run(*lines, **options) -> dict:
        file = tmp_path / "given.jsonl"
        data = b"".join(
            (line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=False).encode()) + b"\n"
            for line in lines
        )
        file.write_bytes(data)
        out = io.StringIO()
        call_command("import_rankings", str(file), stdout=out, **options)
        return json.loads(out.getvalue())

    return run


def judged(ranking: Ranking) -> dict:
    return {entry.completion.text: entry.rank for entry in ranking.judgments.select_related("completion")}


def test_both_shapes_go_in(bring):
    summary = bring(LISTED, NAMED, name="given", source="story")
    assert {key: summary[key] for key in ("groups", "rankings", "completions", "rejected", "unchanged")} == {
        "groups": 2,
        "rankings": 3,
        "completions": 5,
        "rejected": {},
        "unchanged": 0,
    }
    first = Ranking.objects.get(labeler__username="import:story:consensus")
    assert judged(first) == {"Light scatters.": 1, "  It is paint.\r\n": 2}
    assert (first.origin, first.group, first.order_shown) == ("import", "training", [])
    third = Ranking.objects.get(labeler__username="import:story:3")
    assert judged(third) == {"A man leaves home.": 1, "A man walks.": 2, "No.": 3}
    assert '"human":90' in third.note
    assert all(entry.rating is None for entry in third.judgments.all())
    assert not third.labeler.has_usable_password()
    assert not third.labeler.is_active
    tied = Ranking.objects.get(labeler__username="import:story:5")
    assert judged(tied) == {"A man leaves home.": 1, "A man walks.": 1, "No.": 2}
    assert set(Provenance.objects.values_list("model", flat=True)) == {"human", "bart", "other"}


def test_second_import_makes_nothing_new(bring):
    bring(LISTED, NAMED)
    counts = [model.objects.count() for model in (Prompt, BatchItem, Completion, Ranking, Batch)]
    summary = bring(LISTED, NAMED)
    assert (summary["groups"], summary["unchanged"]) == (0, 2)
    assert [model.objects.count() for model in (Prompt, BatchItem, Completion, Ranking, Batch)] == counts


def test_groups_may_share_a_prompt(bring):
    bring(NAMED, {**NAMED, "group_id": "another story"})
    assert Prompt.objects.count() == 1
    assert BatchItem.objects.count() == 2
    assert Ranking.objects.count() == 4


def test_imported_tasks_are_handed_to_nobody(bring, ada):
    bring(LISTED)
    assert grant_lease(labeler=ada) is None


def test_bad_lines_are_named_and_the_rest_goes_in(bring):
    no_ranks = {**LISTED, "group_id": "a", "completions": [{"text": "x"}, {"text": "y"}]}
    one = {**LISTED, "group_id": "b", "completions": [{"text": "x", "rank": 0}]}
    empty = {**LISTED, "group_id": "c", "completions": [{"text": " ", "rank": 0}, {"text": "y", "rank": 1}]}
    partial = {**NAMED, "group_id": "d", "rankings": [{"labeler": "1", "ranks": {"bart": 1}}]}
    nobody = {**NAMED, "group_id": "e", "rankings": [{"ranks": {"bart": 1, "human": 2, "other": 3}}]}
    twice = {**NAMED, "group_id": "f", "rankings": [NAMED["rankings"][0]] * 2}
    clash = {**LISTED, "group_id": "g", "completions": [{"text": t, "rank": r} for t, r in ("x0", "x1", "y2")]}
    flag = {**LISTED, "group_id": "h", "completions": [{"text": "x", "rank": True}, {"text": "y", "rank": 1}]}
    nul = json.dumps({**LISTED, "group_id": "i", "messages": [{"role": "user", "content": "\x00"}]}).encode()
    lines = [b"{broken", b"[" * 100_000, no_ranks, one, empty, partial, nobody, twice, clash, flag, nul, b"7", LISTED]
    summary = bring(*lines)
    assert summary["groups"] == 1
    assert summary["rejected"] == {
        "bad_text": 1,
        "empty_completion": 1,
        "labeler_twice": 1,
        "no_labeler": 1,
        "not_an_object": 1,
        "not_json": 2,
        "wrong_k": 1,
        "wrong_ranks": 4,
    }
    assert [problem["line"] for problem in summary["problems"]] == list(range(1, 13))
    assert Prompt.objects.count() == 1


def test_two_systems_that_wrote_the_same_are_one_completion(bring):
    same = {
        "group_id": "s",
        "prompt": "?",
        "completions": {"a": "same", "b": "same", "c": "other"},
        "rankings": [{"labeler": "1", "ranks": {"a": 1, "b": 1, "c": 2}}],
    }
    bring(same)
    completion = Completion.objects.get(text="same")
    assert set(completion.provenance.values_list("model", flat=True)) == {"a", "b"}


def test_name_of_a_batch_of_ones_own_is_refused(bring):
    make_batch(name="mine")
    with pytest.raises(CommandError, match="another name"):
        bring(LISTED, name="mine")


def test_file_without_one_ranking_fails(bring, capsys):
    with pytest.raises(CommandError, match="No line"):
        bring(b"nothing")


@pytest.mark.parametrize(
    ("file", "groups", "rankings"), [("rankings_oasst.jsonl", 140, 140), ("multi_rankings_squality.jsonl", 60, 180)]
)
def test_real_rankings_go_in_and_come_out(shared_data, file, groups, rankings):
    out = io.StringIO()
    call_command("import_rankings", str(shared_data / file), stdout=out)
    summary = json.loads(out.getvalue())
    assert (summary["groups"], summary["rankings"], summary["rejected"]) == (groups, rankings, {})
    given = [json.loads(line) for line in (shared_data / file).read_bytes().split(b"\n") if line]
    wanted = {
        text if isinstance(text, str) else text["text"]
        for row in given
        for text in (row["completions"].values() if isinstance(row["completions"], dict) else row["completions"])
    }
    dataset = create_dataset(kind="comparisons", question={"origins": ["import"]})
    rows = [row for split in SPLITS for row in iter_rows(Path(dataset.folder), split)]
    found = {entry["text"] for row in rows for entry in row["completions"]}
    assert found <= wanted
    left_out = sum(dataset.manifest["exclusions"].values())
    assert len(rows) >= rankings - left_out
    assert len(rows) > rankings * 0.9
