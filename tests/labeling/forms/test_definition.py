"""What is a form, and what an answer to one: pure."""

from __future__ import annotations

from copy import deepcopy

import pytest

from labeling.forms.built_in import BUILT_IN
from labeling.forms.definition import (
    COMMAND_LETTERS,
    BadAnswer,
    BadDefinition,
    read_definition,
    read_flags,
    read_values,
)

SCALE = {"kind": "scale", "name": "tone", "label": "How kind?", "low": -1, "high": 1, "required": True}
FLAG = {"kind": "flag", "name": "odd", "label": "Odd", "key": "o"}
CHOICE = {
    "kind": "choice",
    "name": "topic",
    "label": "About",
    "options": [{"value": "art", "label": "Art"}, {"value": "law", "label": "Law"}],
}
TEXT = {"kind": "text", "name": "why", "label": "Why", "max_characters": 5}
FORM = {"order": "ranks", "completion": [SCALE, FLAG, CHOICE, TEXT], "prompt": [FLAG]}


def changed(path: list, value: object) -> dict:
    form = deepcopy(FORM)
    target = form
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return form


def test_the_normal_form_has_every_key():
    read = read_definition(FORM)
    assert read == {
        "format": 1,
        "order": "ranks",
        "completion": [
            {**SCALE, "low_label": "", "high_label": ""},
            FLAG,
            {**CHOICE, "required": False},
            {**TEXT, "required": False},
        ],
        "prompt": [FLAG],
    }
    assert read_definition(read) == read


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_forms_are_forms(name):
    definition = read_definition(BUILT_IN[name][1])
    keys = {field["key"] for field in definition["completion"] if field["kind"] == "flag"} - {""}
    assert not keys & COMMAND_LETTERS


def test_the_default_asks_what_the_paper_asked():
    definition = read_definition(BUILT_IN["instructgpt"][1])
    flags = {part: sum(field["kind"] == "flag" for field in definition[part]) for part in ("completion", "prompt")}
    assert flags == {"completion": 11, "prompt": 11}


@pytest.mark.parametrize(
    ("form", "says"),
    [
        (None, "must be a JSON object"),
        ([], "must be a JSON object"),
        (changed(["format"], 2), "reads 1"),
        (changed(["order"], "best"), "`order` must be one of"),
        (changed(["colour"], 1), "no 'colour'"),
        ({"order": "none", "completion": [], "prompt": []}, "add a field"),
        (changed(["completion"], {}), "must be a list"),
        (changed(["completion"], [FLAG] * 41), "at most 40"),
        (changed(["completion", 0], "tone"), r"completion\[0\] must be an object"),
        (changed(["completion", 0, "kind"], "slider"), r"completion\[0\]\.kind"),
        (changed(["completion", 0, "name"], "Tone"), r"completion\[0\]\.name"),
        (changed(["completion", 0, "name"], "rating"), "overall quality"),
        (changed(["completion", 1, "name"], "tone"), "two fields called 'tone'"),
        (changed(["completion", 0, "label"], " "), r"completion\[0\]\.label"),
        (changed(["completion", 0, "label"], "x" * 201), "at most 200"),
        (changed(["completion", 0, "low"], 1), "2 to 11 steps"),
        (changed(["completion", 0, "high"], 20), "2 to 11 steps"),
        (changed(["completion", 0, "low"], True), "whole number"),
        (changed(["completion", 0, "key"], "a"), "has no 'key'"),
        (changed(["completion", 0, "required"], "yes"), "true or false"),
        (changed(["completion", 1, "key"], "u"), "command of the page"),
        (changed(["completion", 1, "key"], "ab"), "one small letter"),
        (changed(["completion", 2, "options"], [CHOICE["options"][0]]), "2 to 30 options"),
        (changed(["completion", 2, "options"], CHOICE["options"][:1] * 2), "two options of one value"),
        (changed(["completion", 2, "options", 0], "art"), r"options\[0\] must be"),
        (changed(["completion", 3, "max_characters"], 0), "from 1 to 10000"),
        (changed(["completion"], [FLAG, {**FLAG, "name": "other"}]), "key 'o'"),
        (changed(["prompt", 0, "label"], "nul \x00"), "NUL"),
    ],
)
def test_what_is_no_form_is_refused_with_a_sentence(form, says):
    with pytest.raises(Exception, match=says) as refused:
        read_definition(form)
    assert isinstance(refused.value, BadDefinition) or refused.value.code == "bad_text"


FIELDS = read_definition(FORM)["completion"]


def test_values_are_read_in_the_order_of_the_form():
    given = {"why": "so", "topic": "law", "tone": -1}
    assert list(read_values(FIELDS, given, where="x", complete=True).items()) == [
        ("tone", -1),
        ("topic", "law"),
        ("why", "so"),
    ]
    assert read_flags(FIELDS, ["odd", "odd"], where="flags") == ["odd"]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([], "must be an object"),
        ({}, r"x has no tone \(How kind\?\)"),
        ({"tone": None}, "has no tone"),
        ({"tone": 2}, r"x\.tone is 2; it must be from -1 to 1"),
        ({"tone": True}, "not a boolean"),
        ({"tone": 1.0}, "not a fraction"),
        ({"tone": "1"}, "not a string"),
        ({"tone": 0, "odd": True}, "no field 'odd'"),
        ({"tone": 0, "topic": "sea"}, "one of art, law"),
        ({"tone": 0, "topic": 1}, "must be text"),
        ({"tone": 0, "why": "longer"}, "at most 5"),
        ({"tone": 0, "why": "\ud800"}, "surrogate"),
    ],
)
def test_values_that_do_not_fit_are_refused_with_a_sentence(values, says):
    with pytest.raises(Exception, match=says) as refused:
        read_values(FIELDS, values, where="x", complete=True)
    assert isinstance(refused.value, BadAnswer) or refused.value.code == "bad_text"


def test_what_is_not_complete_may_lack_what_is_required():
    assert read_values(FIELDS, {"tone": None, "why": ""}, where="x", complete=False) == {}
