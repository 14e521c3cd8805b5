"""Other tools' rankings: a small file of each shape goes in with its order, ties and people; what cannot is named."""

import gzip
import io
import json

import pyarrow
import pyarrow.parquet
import pytest
from django.core.management import CommandError, call_command

from labeling.intake.models import Prompt
from labeling.rankings.models import Ranking
from labeling.rankings.shapes import SHAPES, read_shaped

USER, ASSISTANT = "user", "assistant"


def turn(role: str, content: str) -> dict:
    return {"role": role, "content": content}


def ranker(ids, **columns) -> dict:
    return {"type": "ranker", "from_name": "rank", "to_name": "list", "value": {"ranker": columns or {"rank": ids}}}


def annotation(who, *results, at="2026-01-01T00:00:00Z", **more) -> dict:
    return {"id": 7, "completed_by": who, "result": list(results), "updated_at": at, "was_cancelled": False, **more}


LABEL_STUDIO = {
    "id": 12,
    "project": 3,
    "data": {
        "prompt": "Why is the sky blue?",
        "items": [
            {"id": "a", "title": "A", "body": "It scatters."},
            {"id": "b", "html": "Paint."},
            {"id": 3, "text": "?"},
        ],
    },
    "annotations": [
        annotation(1, ranker(["b", "a", "3"])),
        annotation(1, ranker(["a", "b", "3"]), at="2026-02-01T00:00:00Z"),
        annotation({"id": 2, "email": "x@example.org"}, ranker(None, rank_2=["a"], rank_10=["b"], rank_1=["3"])),
        annotation(4, ranker(["3", "a", "b"]), was_cancelled=True),
    ],
}
ARGILLA_2 = {
    "id": "r1",
    "status": "completed",
    "fields": {"instruction": "Name a colour.", "response-1": "Red.", "response-2": "Dog.", "response-3": "Blue."},
    "responses": {
        "order": [
            {"value": ["response-1", "response-3", "response-2"], "user_id": "u1"},
            {
                "value": [
                    {"value": "response-1", "rank": 1},
                    {"value": "response-3", "rank": 1},
                    {"value": "response-2", "rank": 2},
                ],
                "user_id": "u2",
                "status": "submitted",
            },
            {"value": ["response-2", "response-1", "response-3"], "user_id": "u3", "status": "draft"},
        ],
        "tone": [{"value": "kind", "user_id": "u1"}],
    },
}
ARGILLA_COLUMNS = {
    "id": "r2",
    "question": "Name a tree.",
    "reply_1": "Oak.",
    "reply_2": "Cat.",
    "order.responses": [["reply-2", "reply-1"], ["reply-1", "reply-2"]],
    "order.responses.users": ["u1", "u2"],
    "order.responses.status": ["discarded", "submitted"],
}
ARGILLA_1 = {
    "external_id": "r3",
    "text": "Name a bird.",
    "first": "Robin.",
    "second": "Rock.",
    "order": [{"user_id": "u9", "value": {"rank": [2, 1], "value": ["first", "second"]}, "status": "submitted"}],
}
HH = {
    "chosen": "\n\nHuman: Hi.\n\nAssistant: Hello.\n\nHuman: How?\n\nAssistant: Like this.",
    "rejected": "\n\nHuman: Hi.\n\nAssistant: Hello.\n\nHuman: How?\n\nAssistant: No.",
}
OASST = {
    "message_tree_id": "m0",
    "tree_state": "ready_for_export",
    "prompt": {
        "message_id": "m0",
        "text": "Tell a joke.",
        "role": "prompter",
        "replies": [
            {"message_id": "m1", "text": "A bad one.", "role": "assistant", "rank": 1, "replies": []},
            {
                "message_id": "m2",
                "text": "A good one.",
                "role": "assistant",
                "rank": 0,
                "synthetic": True,
                "model_name": "some-model",
                "replies": [
                    {
                        "message_id": "m3",
                        "text": "Another!",
                        "role": "prompter",
                        "replies": [
                            {"message_id": "m4", "text": "No.", "role": "assistant", "rank": 1},
                            {"message_id": "m5", "text": "Yes.", "role": "assistant", "rank": 0},
                            {"message_id": "m6", "text": "Gone.", "role": "assistant", "rank": 2, "deleted": True},
                        ],
                    }
                ],
            },
        ],
    },
}
SUMMARY = {
    "info": {"id": "t3_1", "post": "I lost my keys.", "title": "Keys", "subreddit": "help"},
    "summaries": [{"text": "Keys are lost.", "policy": "sup4"}, {"text": "Keys.", "policy": "ref"}],
    "choice": 1,
    "worker": "w1",
    "extra": {"confidence": 8},
}
ULTRA = {
    "source": "x",
    "instruction": "Add 1 and 1.",
    "completions": [
        {"model": "m-a", "response": "2", "overall_score": 9.0},
        {"model": "m-b", "response": "two", "overall_score": 9.0},
        {"model": "m-c", "response": "3", "overall_score": 1.5},
    ],
}
PAIR = {
    "prompt": "Say yes.",
    "chosen": [turn(USER, "Say yes."), turn(ASSISTANT, "Yes.")],
    "rejected": [turn(USER, "Say yes."), turn(ASSISTANT, "No.")],
}


@pytest.fixture
def read(tmp_path):
    def run(shape: str, *records) -> list:
        file = tmp_path / "given.jsonl"
        file.write_text("".join(json.dumps(record) + "\n" for record in records))
        return [found for _number, found in read_shaped(file, SHAPES[shape])]

    return run


def bring(file, shape: str, **options) -> dict:
    out = io.StringIO()
    call_command("import_rankings", str(file), shape=shape, stdout=out, **options)
    return json.loads(out.getvalue())


def stored() -> dict[tuple[str, str], dict[str, int]]:
    """(the user's last turn, who ranked) → completion → rank, as the database has them."""
    return {
        (ranking.task.item.prompt.messages[-1]["content"], ranking.labeler.username.split(":", 2)[2]): {
            entry.completion.text: entry.rank for entry in ranking.judgments.select_related("completion")
        }
        for ranking in Ranking.objects.select_related("task__item__prompt", "labeler")
    }


@pytest.mark.django_db
def test_label_studio_export_goes_in_with_the_newest_annotation_of_each_person(tmp_path):
    file = tmp_path / "export.json"
    file.write_text(json.dumps([LABEL_STUDIO, {**LABEL_STUDIO, "id": 13, "annotations": []}], indent=2))
    summary = bring(file, "label-studio")
    assert (summary["groups"], summary["rejected"]) == (1, {"no_rankings": 1})
    assert stored() == {
        ("Why is the sky blue?", "1"): {"It scatters.": 1, "Paint.": 2, "?": 3},
        ("Why is the sky blue?", "2"): {"?": 1, "It scatters.": 2, "Paint.": 3},
    }
    assert bring(file, "label-studio")["unchanged"] == 1


def test_label_studio_buckets_are_ties_when_their_names_have_numbers(read):
    task = {**LABEL_STUDIO, "annotations": [annotation(5, ranker(None, tier_2=["a"], tier_1=["3", "b"]))]}
    assert read("label-studio", task)[0]["rankings"] == [{"labeler": "5", "ranks": {"3": 1, "b": 1, "a": 2}}]
    unnamed = {**LABEL_STUDIO, "annotations": [annotation(5, ranker(None, good=["a"], bad=["3", "b"]))]}
    left = {**LABEL_STUDIO, "annotations": [annotation(5, ranker(["a", "b"]))]}
    nobody = {**LABEL_STUDIO, "annotations": [annotation(None, ranker(["a", "b", "3"]))]}
    found = read("label-studio", unnamed, left, nobody, {"id": 1, "data": 3, "annotations": []})
    assert [one.reason for one in found] == ["wrong_ranks", "wrong_ranks", "no_labeler", "wrong_type"]
    assert "'bad', 'good'" in found[0].detail


@pytest.mark.django_db
def test_argilla_records_of_each_version_go_in(tmp_path):
    file = tmp_path / "records.json"
    file.write_text(json.dumps([ARGILLA_2, ARGILLA_COLUMNS, ARGILLA_1]))
    assert bring(file, "argilla")["rejected"] == {}
    assert stored() == {
        ("Name a colour.", "u1"): {"Red.": 1, "Blue.": 2, "Dog.": 3},
        ("Name a colour.", "u2"): {"Red.": 1, "Blue.": 1, "Dog.": 2},
        ("Name a tree.", "u2"): {"Oak.": 1, "Cat.": 2},
        ("Name a bird.", "u9"): {"Rock.": 1, "Robin.": 2},
    }


def test_an_argilla_option_without_its_field_is_named(read):
    lost = {**ARGILLA_2, "fields": {"instruction": "Name a colour.", "response-1": "Red."}}
    unranked = {**ARGILLA_2, "responses": {}}
    found = read("argilla", lost, unranked)
    assert [(one.reason, one.detail) for one in found] == [
        ("no_completions", "no field holds the text of response-2, response-3"),
        ("no_rankings", "nothing in the record has been ranked"),
    ]


def test_hh_rlhf_pairs_share_all_turns_but_the_last(read):
    other = {**HH, "rejected": HH["rejected"].replace("Hello", "Hey")}
    pair, differs, cut = read("hh-rlhf", HH, other, {**HH, "chosen": "\n\nHuman: Hi."})
    assert pair["messages"] == [turn(USER, "Hi."), turn(ASSISTANT, "Hello."), turn(USER, "How?")]
    assert pair["completions"] == [{"text": "Like this.", "rank": 1}, {"text": "No.", "rank": 2}]
    assert (differs.reason, cut.reason) == ("different_prompts", "different_prompts")


@pytest.mark.django_db
def test_a_tree_of_open_assistant_gives_a_group_for_each_message_with_ranked_replies(tmp_path):
    file = tmp_path / "some.trees.jsonl.gz"
    with gzip.open(file, "wt") as opened:
        opened.write(json.dumps(OASST) + "\n")
    assert bring(file, "oasst")["groups"] == 2
    assert stored() == {
        ("Tell a joke.", "consensus"): {"A good one.": 1, "A bad one.": 2},
        ("Another!", "consensus"): {"Yes.": 1, "No.": 2},
    }
    deep = Prompt.objects.get(messages__2__content="Another!")
    assert [one["content"] for one in deep.messages] == ["Tell a joke.", "A good one.", "Another!"]


@pytest.mark.django_db
def test_summaries_keep_who_chose_and_how_sure(tmp_path):
    file = tmp_path / "comparisons.jsonl"
    news = {**SUMMARY, "info": {"id": "c", "article": "It rained."}, "choice": 0, "worker": "w2"}
    file.write_text(f"{json.dumps(SUMMARY)}\n{json.dumps(news)}\n{json.dumps({**SUMMARY, 'choice': None})}\n")
    assert bring(file, "summarize-from-feedback")["rejected"] == {"wrong_ranks": 1}
    post = "SUBREDDIT: r/help\n\nTITLE: Keys\n\nPOST: I lost my keys.\n\nTL;DR:"
    assert stored() == {
        (post, "w1"): {"Keys.": 1, "Keys are lost.": 2},
        ("Article:\nIt rained.\n\nTL;DR:", "w2"): {"Keys are lost.": 1, "Keys.": 2},
    }
    assert '"confidence":8' in Ranking.objects.get(labeler__username__endswith="w1").note


@pytest.mark.django_db
def test_a_models_scores_are_marked_simulated_and_equal_ones_are_ties(tmp_path):
    file = tmp_path / "ultra.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([ULTRA]), file)
    assert bring(file, "ultrafeedback")["groups"] == 1
    ranking = Ranking.objects.get()
    assert (ranking.origin, ranking.group) == ("simulated", "simulated")
    assert stored() == {("Add 1 and 1.", "gpt-4"): {"2": 1, "two": 1, "3": 2}}


def test_pairs_come_as_text_or_messages(read):
    text = {"prompt": "Say yes.", "chosen": "Yes.", "rejected": "No."}
    apart = {"prompt": PAIR["chosen"][:1], "chosen": PAIR["chosen"][1:], "rejected": PAIR["rejected"][1:]}
    one, two, three = read("chosen-rejected", text, PAIR, apart)
    assert one == two == three
    assert one["messages"] == [turn(USER, "Say yes.")]


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize(
    "record", [{}, {"prompt": 3}, {"data": []}, {"completions": [[]]}, {"chosen": "", "rejected": ""}]
)
def test_a_record_of_another_shape_is_named_and_ends_nothing(read, shape, record):
    first, second = read(shape, record, record)
    assert first == second
    assert first.reason


@pytest.mark.django_db
def test_a_broken_file_keeps_what_came_before_and_names_the_break(tmp_path):
    file = tmp_path / "export.json"
    whole = json.dumps([LABEL_STUDIO, 3, LABEL_STUDIO])
    file.write_text(whole[: whole.rindex("annotations")])
    summary = bring(file, "label-studio")
    assert (summary["groups"], summary["rejected"]) == (1, {"not_an_object": 1, "unreadable": 1})
    file.write_text("[nothing")
    with pytest.raises(CommandError, match="cannot be read"):
        bring(file, "label-studio", name="other")
    (tmp_path / "bad.parquet").write_text("PAR")
    with pytest.raises(CommandError, match="cannot be read"):
        bring(tmp_path / "bad.parquet", "ultrafeedback")


def test_real_transcripts_are_read(shared_data):
    found = [row for _number, row in read_shaped(shared_data / "comparisons_hh_harmless.jsonl.gz", SHAPES["hh-rlhf"])]
    groups = [row for row in found if isinstance(row, dict)]
    assert len(found) == 1500
    assert len(groups) > 1450
    assert all(row["messages"][-1]["role"] == USER and len(row["completions"]) == 2 for row in groups)
