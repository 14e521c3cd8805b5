"""Rankings as their own labeler may read them."""

from __future__ import annotations

from labeling.leasing.models import Lease
from labeling.rankings.models import Ranking


def rankings_of(lease: Lease) -> list[Ranking]:
    """The labeler's answers to this lease, oldest revision first."""
    return list(lease.rankings.order_by("revision").select_related("form_version").prefetch_related("judgments"))


def content_of(ranking: Ranking) -> dict:
    """What the ranking said, in the shape in which it was sent and the order in which it was shown."""
    said = {str(judgment.completion_id): judgment for judgment in ranking.judgments.all()}
    return {
        "outcome": ranking.outcome,
        "completions": [
            {
                "id": shown,
                "rank": said[shown].rank,
                "rating": said[shown].rating,
                "flags": said[shown].flags,
                "values": said[shown].values,
            }
            for shown in ranking.order_shown
        ],
        "strength": ranking.strength,
        "same": ranking.same,
        "by_ratings": ranking.by_ratings,
        "prompt": ranking.prompt_fields or {"flags": [], "values": {}},
        "note": ranking.note,
    }
