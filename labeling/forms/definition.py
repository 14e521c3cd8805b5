"""What a form may ask, and reading what was answered. Pure: no database.

A definition is `{"format": 1, "order": "ranks" | "strength" | "none", "completion": [field…], "prompt": [field…]}`; a
field is a scale, a flag, a choice or a text (docs/formats.md has them all).
"""

from __future__ import annotations

import re
from typing import Any

from django.utils.translation import gettext as _

from labeling.api import json_type
from labeling.refusals import Refusal
from labeling.text import check_text

FORMAT = 1
ORDERS = ("ranks", "strength", "none")
# The scale of this name is every ranking's overall quality; comparisons carry it as a column of their own.
RATING, LOWEST_RATING, BEST_RATING = "rating", 1, 7
MOST_FIELDS = 40
MOST_STEPS = 11  # of a scale: more is no choice that a person makes by a key
MOST_OPTIONS = 30
LABEL_CHARACTERS = 200
TEXT_CHARACTERS = 10_000
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
# Letters that are commands of the task pages (static/js/keys.js).
COMMAND_LETTERS = frozenset("bursctngqwyz")
FIELDS: dict[str, frozenset[str]] = {
    "scale": frozenset({"low", "high", "low_label", "high_label", "required"}),
    "flag": frozenset({"key"}),
    "choice": frozenset({"options", "required"}),
    "text": frozenset({"max_characters", "required"}),
}


class BadDefinition(Refusal):
    """The definition is none; the message names the field and says what to change."""

    code = "bad_definition"


def read_definition(value: Any) -> dict[str, Any]:
    """`value` as a definition in its normal form, every key there. Raises BadDefinition."""
    if not isinstance(value, dict):
        raise BadDefinition(_("A form must be a JSON object, not {value}.").format(value=json_type(value)))
    if unknown := sorted(set(value) - {"format", "order", "completion", "prompt"}):
        raise BadDefinition(
            _("A form has no {unknown!r}; it has format, order, completion and prompt.").format(unknown=unknown[0][:60])
        )
    if value.get("format", FORMAT) != FORMAT:
        raise BadDefinition(
            _("This form has the format {value!r}; this version of Kwise reads {format}.").format(
                value=value["format"], format=FORMAT
            )
        )
    order = value.get("order", "ranks")
    if order not in ORDERS:
        raise BadDefinition(_("`order` must be one of {orders}.").format(orders=", ".join(ORDERS)))
    definition = {
        "format": FORMAT,
        "order": order,
        "completion": _read_fields_of(value.get("completion", []), part="completion"),
        "prompt": _read_fields_of(value.get("prompt", []), part="prompt"),
    }
    if order == "none" and not definition["completion"]:
        raise BadDefinition(_("A form that asks for no order must ask something of each completion; add a field."))
    keys = [field["key"] for field in definition["completion"] if field.get("key")]
    if twice := {key for key in keys if keys.count(key) > 1}:
        raise BadDefinition(
            _("Two flags have the key {twice!r}; give each a letter of its own, or none.").format(
                twice=sorted(twice)[0]
            )
        )
    return definition


def _read_fields_of(fields: Any, *, part: str) -> list[dict]:
    if not isinstance(fields, list):
        raise BadDefinition(
            _("`{part}` must be a list of fields, not {fields}.").format(part=part, fields=json_type(fields))
        )
    if len(fields) > MOST_FIELDS:
        raise BadDefinition(
            _("`{part}` has {count} fields; at most {most_fields} fit on a page.").format(
                part=part, count=len(fields), most_fields=MOST_FIELDS
            )
        )
    read = [_read_field(field, where=f"{part}[{index}]", part=part) for index, field in enumerate(fields)]
    names = [field["name"] for field in read]
    if twice := {name for name in names if names.count(name) > 1}:
        raise BadDefinition(
            _("`{part}` has two fields called {twice!r}; a name says which answer is meant.").format(
                part=part, twice=sorted(twice)[0]
            )
        )
    return read


def _read_field(field: Any, *, where: str, part: str) -> dict:
    if not isinstance(field, dict):
        raise BadDefinition(_("{where} must be an object, not {field}.").format(where=where, field=json_type(field)))
    kind = field.get("kind")
    if not isinstance(kind, str) or kind not in FIELDS:
        raise BadDefinition(_("{where}.kind must be one of {fields}.").format(where=where, fields=", ".join(FIELDS)))
    if unknown := sorted(set(field) - FIELDS[kind] - {"kind", "name", "label"}):
        raise BadDefinition(
            _("{where}, a {kind}, has no {unknown!r}.").format(where=where, kind=kind, unknown=unknown[0][:60])
        )
    name = field.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise BadDefinition(
            _("{where}.name must be small letters, digits and _, beginning with a letter, at most 40.").format(
                where=where
            )
        )
    read = {"kind": kind, "name": name, "label": _label(field.get("label"), where=f"{where}.label", empty=False)}
    if kind != "flag":
        required = field.get("required", False)
        if not isinstance(required, bool):
            raise BadDefinition(_("{where}.required must be true or false.").format(where=where))
        read["required"] = required
    read |= {
        "scale": _read_scale,
        "flag": _read_flag,
        "choice": _read_choice,
        "text": _read_text,
    }[kind](field, where)
    quality = part == "completion" and kind == "scale" and (read["low"], read["high"]) == (LOWEST_RATING, BEST_RATING)
    if name == RATING and not quality:
        raise BadDefinition(
            _(
                "{where} is called {rating!r}, which is the overall quality of a completion: a scale from "
                "{lowest_rating} to {best_rating}. Make it that, or call it something else."
            ).format(where=where, rating=RATING, lowest_rating=LOWEST_RATING, best_rating=BEST_RATING)
        )
    return read


def _label(value: Any, *, where: str, empty: bool) -> str:
    if not isinstance(value, str) or not (empty or value.strip()):
        raise BadDefinition(_("{where} must be the words that labelers read.").format(where=where))
    if len(value) > LABEL_CHARACTERS:
        raise BadDefinition(
            _("{where} has {count} characters; at most {label_characters} fit.").format(
                where=where, count=len(value), label_characters=LABEL_CHARACTERS
            )
        )
    return check_text(value.strip(), where=where)


def _integer(value: Any, *, where: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadDefinition(
            _("{where} must be a whole number from {low} to {high}.").format(where=where, low=low, high=high)
        )
    return value


def _read_scale(field: dict, where: str) -> dict:
    low = _integer(field.get("low"), where=f"{where}.low", low=-100, high=100)
    high = _integer(field.get("high"), where=f"{where}.high", low=-100, high=100)
    if not low < high < low + MOST_STEPS:
        raise BadDefinition(
            _("{where} must have 2 to {most_steps} steps, and goes from {low} to {high}.").format(
                where=where, most_steps=MOST_STEPS, low=low, high=high
            )
        )
    ends = {end: _label(field.get(end, ""), where=f"{where}.{end}", empty=True) for end in ("low_label", "high_label")}
    return {"low": low, "high": high, **ends}


def _read_flag(field: dict, where: str) -> dict:
    key = field.get("key", "")
    if not isinstance(key, str) or not re.fullmatch(r"[a-z]?", key):
        raise BadDefinition(_("{where}.key must be one small letter, or empty for none.").format(where=where))
    if key and key in COMMAND_LETTERS:
        raise BadDefinition(
            _("{where}.key is {key!r}, which is a command of the page; choose another letter.").format(
                where=where, key=key
            )
        )
    return {"key": key}


def _read_choice(field: dict, where: str) -> dict:
    options = field.get("options")
    if not isinstance(options, list) or not 2 <= len(options) <= MOST_OPTIONS:
        raise BadDefinition(
            _("{where}.options must be a list of 2 to {most_options} options.").format(
                where=where, most_options=MOST_OPTIONS
            )
        )
    read = []
    for index, option in enumerate(options):
        place = f"{where}.options[{index}]"
        if not isinstance(option, dict) or set(option) != {"value", "label"}:
            raise BadDefinition(_("{place} must be an object with value and label.").format(place=place))
        if not isinstance(option["value"], str) or not NAME.fullmatch(option["value"]):
            raise BadDefinition(
                _("{place}.value must be small letters, digits and _, beginning with a letter.").format(place=place)
            )
        read.append({"value": option["value"], "label": _label(option["label"], where=f"{place}.label", empty=False)})
    if len({option["value"] for option in read}) < len(read):
        raise BadDefinition(
            _("{where} has two options of one value; a value says which option is meant.").format(where=where)
        )
    return {"options": read}


def _read_text(field: dict, where: str) -> dict:
    most = field.get("max_characters", 1000)
    return {"max_characters": _integer(most, where=f"{where}.max_characters", low=1, high=TEXT_CHARACTERS)}


# Answers


class BadAnswer(Refusal):
    """The answer is not one; the message names the field and what to send instead."""

    code = "bad_answer"


def read_flags(fields: list[dict], flags: Any, *, where: str) -> list[str]:
    """The flags, each once and in one order, so that two ways to say the same are stored the same. Raises BadAnswer."""
    known = [field["name"] for field in fields if field["kind"] == "flag"]
    if not isinstance(flags, list):
        raise BadAnswer(_("{where} must be a list of flags, not {flags}.").format(where=where, flags=json_type(flags)))
    for flag in flags:
        if not isinstance(flag, str) or flag not in known:
            listed = ", ".join(known) or "none in this form"
            raise BadAnswer(
                _("{where} has an unknown flag {flag!r}; the flags are {listed}.").format(
                    where=where, flag=str(flag)[:80], listed=listed
                )
            )
    return sorted(set(flags))


def read_values(fields: list[dict], values: Any, *, where: str, complete: bool) -> dict[str, Any]:
    """The values of the fields that are no flags, those left out or null left out; `complete` asks for the required
    ones. Raises BadAnswer."""
    asked = {field["name"]: field for field in fields if field["kind"] != "flag"}
    if not isinstance(values, dict):
        raise BadAnswer(
            _("{where} must be an object with a value for each field, not {values}.").format(
                where=where, values=json_type(values)
            )
        )
    if unknown := sorted(set(values) - set(asked)):
        listed = ", ".join(asked) or "none in this form"
        raise BadAnswer(
            _("{where} has no field {unknown!r}; the fields are {listed}.").format(
                where=where, unknown=unknown[0][:80], listed=listed
            )
        )
    given = {name: value for name, value in values.items() if value is not None and value != ""}
    if complete:
        for name, field in asked.items():
            if field["required"] and name not in given:
                raise BadAnswer(
                    _("{where} has no {name} ({field}); it must have one.").format(
                        where=where, name=name, field=field["label"]
                    )
                )
    return {name: _read_value(asked[name], given[name], where=f"{where}.{name}") for name in asked if name in given}


def _read_value(field: dict, value: Any, *, where: str) -> Any:
    if field["kind"] == "scale":
        if isinstance(value, bool) or not isinstance(value, int):
            got = "a fraction" if isinstance(value, float) else json_type(value)
            raise BadAnswer(
                _("{where} must be a whole number from {low} to {high}, not {got}.").format(
                    where=where, low=field["low"], high=field["high"], got=got
                )
            )
        if not field["low"] <= value <= field["high"]:
            raise BadAnswer(
                _("{where} is {value}; it must be from {low} to {high}.").format(
                    where=where, value=value, low=field["low"], high=field["high"]
                )
            )
        return value
    if not isinstance(value, str):
        raise BadAnswer(_("{where} must be text, not {value}.").format(where=where, value=json_type(value)))
    if field["kind"] == "choice":
        options = [option["value"] for option in field["options"]]
        if value not in options:
            raise BadAnswer(
                _("{where} is {value!r}; it must be one of {options}.").format(
                    where=where, value=value[:80], options=", ".join(options)
                )
            )
        return value
    if len(value) > field["max_characters"]:
        raise BadAnswer(
            _("{where} has {count} characters; at most {field} are kept. Shorten it.").format(
                where=where, count=len(value), field=field["max_characters"]
            )
        )
    return check_text(value, where=where)
