"""What is a ranking, and what is none: pure, without a database."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.forms.queries import default_definition
from labeling.leasing.answers import BadAnswer
from labeling.rankings.services import read_answer
from labeling.refusals import Refusal

SHOWN = ["a", "b", "c"]
FORM = default_definition()
GOOD = {
    "revision": 1,
    "replaces": None,
    "completions": [
        {"id": "c", "rank": 3, "rating": 1, "flags": ["hallucination"]},
        {"id": "a", "rank": 1, "rating": 7, "flags": []},
        {"id": "b", "rank": 1, "rating": 7},
    ],
    "note": " kept \r\n to the byte\t",
    "active_seconds": 12,
}


def changed(path: list, value: object) -> dict:
    answer = deepcopy(GOOD)
    target = answer
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return answer


def test_ranks_ties_and_gaps_are_kept_in_the_order_shown():
    read = read_answer(GOOD, shown=SHOWN, form=FORM)
    assert [(v.id, v.rank, v.rating, v.flags) for v in read.verdicts] == [
        ("a", 1, 7, []),
        ("b", 1, 7, []),
        ("c", 3, 1, ["hallucination"]),
    ]
    assert read.note == " kept \r\n to the byte\t"


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (["completions"], None, "must be a list"),
        (["completions"], {}, "must be a list"),
        (["completions"], [], "3 of 3 completions are missing"),
        (["completions"], [GOOD["completions"][0]] * 3, "second time"),
        (["completions"], GOOD["completions"][:2], "1 of 3 completions are missing: b"),
        (["completions"], GOOD["completions"] + [GOOD["completions"][0]], "second time"),
        (["completions", 0], "a", "must be an object"),
        (["completions", 0], None, "must be an object"),
        (["completions", 0, "id"], "z", "one of the completions"),
        (["completions", 0, "id"], 1, "one of the completions"),
        (["completions", 0, "rank"], None, "have no rank: c"),
        (["completions", 0, "rank"], 0, "must be from 1 to 3"),
        (["completions", 0, "rank"], 4, "must be from 1 to 3"),
        (["completions", 0, "rank"], True, "not a boolean"),
        (["completions", 0, "rank"], 1.0, "not a fraction"),
        (["completions", 0, "rank"], "1", "not a string"),
        (["completions", 0, "rank"], 2**63 - 1, "must be from 1 to 3"),
        (["completions", 0, "rating"], None, "has no rating"),
        (["completions", 0, "rating"], 0, "must be from 1 to 7"),
        (["completions", 0, "rating"], 8, "must be from 1 to 7"),
        (["completions", 0, "rating"], False, "not a boolean"),
        (["completions", 0, "flags"], None, "must be a list"),
        (["completions", 0, "flags"], "sexual", "must be a list"),
        (["completions", 0, "flags"], ["nice"], "unknown flag"),
        (["completions", 0, "flags"], [1], "unknown flag"),
        (["completions", 0, "flags"], [["sexual"]], "unknown flag"),
        (["completions", 0, "model"], "x", "no field 'model'"),
        (["note"], None, "must be text"),
        (["note"], 5, "must be text"),
        (["note"], "x" * 10_001, "at most 10000"),
        (["revision"], 0, "from 1"),
        (["revision"], "1", "whole number"),
        (["revision"], 2**40, "from 1"),
        (["replaces"], 5, "id of the answer"),
        (["active_seconds"], -1, "from 0"),
        (["active_seconds"], None, "whole number"),
        (["active_seconds"], 2**40, "from 0"),
        (["labeler"], "bo", "no field 'labeler'"),
    ],
)
def test_what_is_no_ranking_is_refused_with_a_sentence(path, value, says):
    with pytest.raises(BadAnswer, match=says):
        read_answer(changed(path, value), shown=SHOWN, form=FORM)


@pytest.mark.parametrize("answer", [None, [], "text", 3, True])
def test_an_answer_is_an_object(answer):
    with pytest.raises(BadAnswer, match="JSON object"):
        read_answer(answer, shown=SHOWN, form=FORM)


def test_flags_are_kept_once_and_in_one_order():
    answer = changed(["completions", 0, "flags"], ["violent", "sexual", "violent"])
    assert read_answer(answer, shown=SHOWN, form=FORM).verdicts[2].flags == ["sexual", "violent"]


def test_digest_sees_what_was_said_and_not_how_long_it_took():
    digest = read_answer(GOOD, shown=SHOWN, form=FORM).digest()
    same = changed(["completions"], GOOD["completions"][::-1])
    assert read_answer(same, shown=SHOWN, form=FORM).digest() == digest
    assert read_answer(changed(["active_seconds"], 99), shown=SHOWN, form=FORM).digest() == digest
    others = [(["note"], ""), (["completions", 0, "rank"], 2), (["completions", 0, "rating"], 2), (["replaces"], "x")]
    for path, value in [*others, (["completions", 0, "flags"], [])]:
        assert read_answer(changed(path, value), shown=SHOWN, form=FORM).digest() != digest


def test_flags_are_those_of_the_paper():
    assert sum(field["kind"] == "flag" for field in FORM["completion"]) == 11


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "rank", "rating", "flags", "completions", "note"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_json_value_breaks_the_reader(answer):
    try:
        read = read_answer(answer, shown=SHOWN, form=FORM)
    except Refusal as refusal:
        assert refusal.message.endswith((".", "is.", "tie."))
    else:
        assert len(read.verdicts) == 3
