"""A form while it is changed: what was typed, one button at a time. Pure."""

from __future__ import annotations

import pytest
from django.http import QueryDict

from labeling.forms.built_in import BUILT_IN
from labeling.forms.definition import BadDefinition, read_definition
from labeling.forms.editing import BLANK, definition_in, draft_of, read_draft, step, where_on_page

EVERY_KIND = read_definition(
    {
        "order": "ranks",
        "completion": [
            {"kind": "scale", "name": "tone", "label": "How kind?", "low": -1, "high": 1, "low_label": "not at all"},
            {"kind": "flag", "name": "odd", "label": "Odd", "key": "o"},
        ],
        "prompt": [
            {
                "kind": "choice",
                "name": "topic",
                "label": "About: what?",
                "required": True,
                "options": [{"value": "art", "label": "Art: all of it"}, {"value": "law", "label": "Law"}],
            },
            {"kind": "text", "name": "why", "label": "Why", "max_characters": 5},
        ],
    }
)


def posted(definition: dict) -> QueryDict:
    """What the page sends for `definition` when nothing was changed."""
    fields = QueryDict(mutable=True)
    fields["order"] = definition["order"]
    draft = draft_of(definition)
    for part in ("completion", "prompt"):
        rows = getattr(draft, part)
        fields[f"{part}-count"] = str(len(rows))
        for index, row in enumerate(rows):
            for name, value in vars(row).items():
                if name != "required":
                    fields[f"{part}-{index}-{name}"] = value.replace("\n", "\r\n")
                elif value:
                    fields[f"{part}-{index}-required"] = "on"
    return fields


@pytest.mark.parametrize("definition", [EVERY_KIND, *(read_definition(each) for _title, each in BUILT_IN.values())])
def test_what_nobody_changed_comes_back_the_same(definition):
    assert read_definition(definition_in(read_draft(posted(definition)))) == definition


def names(draft, part: str = "completion") -> list[str]:
    return [row.name for row in getattr(draft, part)]


def test_each_button_does_one_thing():
    draft = draft_of(EVERY_KIND)
    assert names(step(draft, "down-completion-0")) == ["odd", "tone"]
    assert names(step(draft, "up-completion-1")) == ["odd", "tone"]
    assert names(step(draft, "remove-completion-0")) == ["odd"]
    added = step(draft, "add-prompt-flag")
    assert ([row.kind for row in added.prompt], added.touched) == (["choice", "text", "flag"], ("prompt", 2))


@pytest.mark.parametrize(
    "do", ["", "preview", "up-completion-7", "remove-order-0", "add-completion-0", "up-prompt-flag", "add-prompt-x"]
)
def test_a_button_that_is_none_changes_nothing(do):
    draft = draft_of(EVERY_KIND)
    assert step(draft, do) == draft


def test_ends_stay_where_they_are():
    draft = draft_of(EVERY_KIND)
    assert names(step(draft, "up-completion-0")) == names(step(draft, "down-completion-1")) == ["tone", "odd"]


def test_a_page_has_room_for_forty_fields():
    draft = BLANK
    for _ in range(60):
        draft = step(draft, "add-completion-flag")
    assert len(draft.completion) == 40


def test_a_name_is_made_from_the_words():
    fields = QueryDict(
        "order=none&completion-count=3&completion-0-kind=flag&completion-0-label=Too long!"
        "&completion-1-kind=flag&completion-1-label=too LONG&completion-2-kind=choice&completion-2-label=7 %C3%A4"
        "&completion-2-options=Red wine%0D%0Arest:%20All the rest%0D%0A"
    )
    made = read_definition(definition_in(read_draft(fields)))["completion"]
    assert [each["name"] for each in made] == ["too_long", "too_long_2", "field"]
    assert made[2]["options"] == [
        {"value": "red_wine", "label": "Red wine"},
        {"value": "rest", "label": "All the rest"},
    ]


def test_what_is_wrong_is_named_as_the_page_counts():
    fields = posted(EVERY_KIND)
    fields["completion-0-low"] = "few"
    with pytest.raises(BadDefinition) as refused:
        read_definition(definition_in(read_draft(fields)))
    said = where_on_page(refused.value.message)
    assert said == "Field 1 of each completion, low, must be a whole number from -100 to 100."


@pytest.mark.parametrize("count", ["", "-1", "x", "²", "9" * 30])
def test_counts_that_are_none_are_no_fields(count):
    fields = posted(EVERY_KIND)
    fields["completion-count"] = count
    assert read_draft(fields).completion == []
