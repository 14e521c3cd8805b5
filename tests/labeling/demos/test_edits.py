from __future__ import annotations

import random
import time

import pytest

from labeling.demos.edits import cut_up, edit_between, shown


def test_words_that_stayed_went_and_came():
    edit = edit_between("The cat sat on the mat.", "The big cat lay on the mat!")
    assert list(shown("The cat sat on the mat.", "The big cat lay on the mat!", edit.operations)) == [
        ("keep", "The "),
        ("add", "big "),
        ("keep", "cat "),
        ("cut", "sat"),
        ("add", "lay"),
        ("keep", " on the mat"),
        ("cut", "."),
        ("add", "!"),
    ]
    # Of 18 and 21 signs that are no space: The, cat, on, the, mat are 14.
    assert edit.kept == pytest.approx(14 / 18) and edit.similarity == pytest.approx(28 / 39)


@pytest.mark.parametrize(
    ("suggested", "written", "kept", "similarity"),
    [
        ("same", "same", 1, 1),
        ("", "", 1, 1),
        (" ", "", 1, 1),
        ("", "new", 1, 0),
        ("gone", "", 0, 0),
        ("one two", "three four", 0, 0),
        ("ab", "ab and cdefg", 1, 2 * 2 / 12),
        ("日本 語", "日本 人", 2 / 3, 2 / 3),
    ],
)
def test_shares(suggested, written, kept, similarity):
    edit = edit_between(suggested, written)
    assert (edit.kept, edit.similarity) == (pytest.approx(kept), pytest.approx(similarity))


def longest_in_common(before: list[str], after: list[str]) -> int:
    table = [[0] * (len(after) + 1) for _ in range(len(before) + 1)]
    for i, one in enumerate(before):
        for j, other in enumerate(after):
            table[i + 1][j + 1] = table[i][j] + 1 if one == other else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


def test_an_edit_leads_from_the_one_text_to_the_other_and_keeps_as_much_as_can_be():
    chance = random.Random(7)
    for _ in range(500):
        one, other = ("".join(chance.choices(", aé\n", k=chance.randrange(14))) for _ in range(2))
        edit = edit_between(one, other)
        pieces = list(shown(one, other, edit.operations))
        assert "".join(text for operation, text in pieces if operation != "add") == one
        assert "".join(text for operation, text in pieces if operation != "cut") == other
        assert all(count > 0 for _operation, count in edit.operations)
        kept = sum(count for operation, count in edit.operations if operation == "keep")
        assert kept == longest_in_common(cut_up(one), cut_up(other))


def test_the_longest_texts_take_no_time():
    chance = random.Random(7)
    one, other = (" ".join(chance.choices(["a", "b", "c", "d"], k=4000)) for _ in range(2))
    began = time.process_time()
    assert 0.5 < edit_between(one, other).similarity < 1
    # Too long and too unlike to be compared: written anew, but for the beginning and the end.
    edit = edit_between("so " + "x " * 49_000 + "end", "so " + "y " * 49_000 + "end")
    assert [operation for operation, _count in edit.operations] == ["keep", "cut", "add", "keep"]
    assert time.process_time() - began < 2
