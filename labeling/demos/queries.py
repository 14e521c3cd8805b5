"""Demonstrations as their own author may read them."""

from __future__ import annotations

from labeling.demos.models import Demonstration
from labeling.leasing.models import Lease


def demonstrations_of(lease: Lease) -> list[Demonstration]:
    """The labeler's answers to this lease, oldest revision first."""
    return list(lease.demonstrations.order_by("revision"))


def content_of(demonstration: Demonstration) -> dict:
    """What was written, in the shape in which it was sent."""
    said = {"text": demonstration.text, "pasted": demonstration.pasted}
    return said | {"turns": demonstration.turns} if demonstration.turns else said
