"""Reviews on pages of features below, which know nothing of them."""

from __future__ import annotations

from django import template

from labeling.reviews import queries

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
def turns_to_edit(written: dict, draft: dict, previous: dict | None) -> list[dict]:
    """The turns of what is `written`, one where it is no dialogue, each with its `content` and, as the reviewer has it
    so far, `edited`."""
    before = _texts(written)
    after = next((texts for said in (draft, previous or {}) if len(texts := _texts(said)) == len(before)), before)
    roles = [*(turn["role"] for turn in written["turns"]), "assistant"]
    return [
        {"role": role, "content": content, "edited": edited}
        for role, content, edited in zip(roles, before, after, strict=True)
    ]


def _texts(said: dict) -> list[str]:
    if not said.get("text"):
        return []
    return [*(turn["content"] for turn in said.get("turns") or []), said["text"]]
