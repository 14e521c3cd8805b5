"""What became of suggestions: which went into an answer, and the edit from each to what stands there."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from labeling.api import json_type
from labeling.demos.edits import edit_between
from labeling.demos.models import Demonstration, DemonstrationSuggestion, Suggestion
from labeling.leasing.answers import BadAnswer, whole_number


def read_used(answer: dict[str, Any]) -> tuple[int, ...]:
    """The numbers in `suggestions` of a submit body: those that went into the answer, in order, each once."""
    numbers = answer.get("suggestions") or []
    if not isinstance(numbers, list):
        raise BadAnswer(
            _("`suggestions` must be a list of the numbers of those you used, not {numbers}.").format(
                numbers=json_type(numbers)
            )
        )
    read = (
        whole_number(number, where=f"`suggestions[{index}]`", low=1, high=Suggestion.MOST)
        for index, number in enumerate(numbers)
    )
    return tuple(dict.fromkeys(read))


def keep_uses(*, demonstration: Demonstration, numbers: tuple[int, ...]) -> None:
    """Store what was made of the suggestions that went into a demonstration, in the transaction that stores it.

    One whose turn the writer took out again was not used in the end. Raises BadAnswer for one that the task has not.
    """
    if not numbers:
        return
    asked = {each.number: each for each in Suggestion.objects.filter(lease=demonstration.lease, number__in=numbers)}
    uses = []
    for number in numbers:
        suggestion = asked.get(number)
        if suggestion is None or suggestion.state in Suggestion.UNFINISHED:
            raise BadAnswer(
                _("`suggestions` names {number}, and this task has no such suggestion that has ended.").format(
                    number=number
                )
            )
        written = message_at(demonstration, suggestion.turn)
        if written is not None:
            edit = edit_between(suggestion.text, written)
            uses.append(
                DemonstrationSuggestion(
                    demonstration=demonstration,
                    suggestion=suggestion,
                    similarity=edit.similarity,
                    kept=edit.kept,
                    operations=edit.operations,
                )
            )
    DemonstrationSuggestion.objects.bulk_create(uses)


def message_at(demonstration: Demonstration, turn: int) -> str | None:
    """What its writer wrote as the assistant's message number `turn` of the conversation, counted from 0 and the
    prompt's among them; None where there is no such message in the end."""
    written = demonstration.conversation[turn - len(demonstration.task.item.messages) :]
    return written[0]["content"] if written and written[0]["role"] == "assistant" else None
