"""Reviews on pages of features below, which know nothing of them."""

from __future__ import annotations

from collections.abc import Sequence

from django import template
from django.utils.translation import gettext as _

from labeling.demos.models import WrittenPrompt
from labeling.reviews import queries
from labeling.reviews.models import Review

register = template.Library()


@register.inclusion_tag("reviews/_sent_back.html")
def my_sent_back(user) -> dict:
    """What waits to be corrected by `user`; nothing where nothing does."""
    return {"sent_back": queries.sent_back_to(user)}


@register.inclusion_tag("reviews/_why.html")
def why_sent_back(lease) -> dict:
    """Why the answer under `lease` is to be corrected; nothing where nobody sent it back."""
    # A practice task has no lease.
    return {"review": queries.why_sent_back(lease) if getattr(lease, "sent_back", False) else None}


@register.inclusion_tag("reviews/_received.html")
def reviews_received(revisions) -> dict:
    """What reviewers said of the `revisions` of a written answer; nothing where none did."""
    said = queries.reviews_of(revisions)
    return {"received": [(answer, said[answer]) for answer in reversed(revisions) if answer in said]}


@register.inclusion_tag("reviews/_progress.html")
def review_progress(batch) -> dict:
    """How the reviews of a batch whose answers are reviewed stand."""
    return {"batch": batch, "progress": queries.progress_of(batch)}


@register.simple_tag
def review_of(written: WrittenPrompt) -> Review | None:
    """The review that counts of what is `written`, among its `reviews`, which the page has fetched. For the team."""
    return max(
        (review for review in written.reviews.all() if not review.surplus),
        key=lambda review: review.revision,
        default=None,
    )


@register.filter
def edits(review: Review) -> list[tuple[str, str, str]]:
    """Of an edit (name, before, after) of each turn or part."""
    said = review.edits
    names = part_names([role for role, _before, _after in said])
    return [(name, before, after) for name, (_role, before, after) in zip(names, said, strict=True)]


@register.filter
def parts(written: WrittenPrompt) -> list[tuple[str, str]]:
    """(name, text) of each part of a written prompt."""
    conversation = written.conversation
    names = part_names([part["role"] for part in conversation])
    return [(name, part["content"]) for name, part in zip(names, conversation, strict=True)]


@register.simple_tag
def turns_to_edit(written: dict, draft: dict, previous: dict | None) -> list[dict]:
    """The turns or parts of what is `written`, each with its `name`, the `label` of the field in which it is edited,
    its `content` and, as the reviewer has it so far, `edited`."""
    before = _texts(written)
    after = next((texts for said in (draft, previous or {}) if len(texts := _texts(said)) == len(before)), before)
    is_prompt = "use_case" in written
    last = "assistant" if not is_prompt else "query" if written["turns"] else "prompt"
    roles = [*(turn["role"] for turn in written["turns"]), last]
    names = part_names(roles)
    labels = names if is_prompt else _labels_of_turns(roles)
    return [
        {"name": name, "label": label, "content": content, "edited": edited}
        for name, label, content, edited in zip(names, labels, before, after, strict=True)
    ]


def part_names(roles: Sequence[str]) -> list[str]:
    """What stands above each turn of a dialogue, or each part of a written prompt, of these roles."""
    names = {
        "user": _("User"),
        "assistant": _("Assistant"),
        "prompt": _("The prompt as you would have it"),
        "instruction": _("Instruction"),
    }
    example = {"query": _("Query of example {number}"), "response": _("Response of example {number}")}
    # An example is a query and its response, after the instruction; the last query has none.
    return [
        names.get(role)
        or (_("The last query") if place == len(roles) - 1 else example[role].format(number=(place + 1) // 2))
        for place, role in enumerate(roles)
    ]


def _labels_of_turns(roles: Sequence[str]) -> list[str]:
    if len(roles) == 1:
        return [_("The answer as you would have it")]
    said = {"user": _("Turn {number}, as the user"), "assistant": _("Turn {number}, as the assistant")}
    return [said[role].format(number=number) for number, role in enumerate(roles, start=1)]


def _texts(said: dict) -> list[str]:
    if not said.get("text"):
        return []
    return [*(turn["content"] for turn in said.get("turns") or []), said["text"]]
