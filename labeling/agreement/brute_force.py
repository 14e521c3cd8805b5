"""Agreement counted the slow way, as one would by hand: each two labelers over each two completions, one by one.

Shares no code with what it checks but the choice of rankings.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

from django.db.models import QuerySet

from labeling.rankings.models import Judgment, Ranking


def count(rankings: QuerySet[Ranking]) -> dict:
    """Agreeing and counted pairs of all tasks that two of the rankings are about. Every judgment is in memory."""
    ranks: dict = defaultdict(lambda: defaultdict(dict))  # task → labeler → completion → rank
    judgments = Judgment.objects.filter(ranking__in=rankings, ranking__outcome=Ranking.Outcome.RANKED)
    for task, labeler, completion, rank in judgments.exclude(rank=None).values_list(
        "ranking__task", "ranking__labeler", "completion", "rank"
    ):
        ranks[task][labeler][completion] = rank
    agree = pairs = half_pairs = 0
    half_agree = 0.0
    for task in ranks.values():
        for one, two in combinations(task.values(), 2):
            for left, right in combinations(sorted(set(one) & set(two)), 2):
                first = (one[left] > one[right]) - (one[left] < one[right])
                second = (two[left] > two[right]) - (two[left] < two[right])
                half_pairs += 1
                if first == second:
                    half_agree += 1
                elif 0 in (first, second):
                    half_agree += 0.5
                if first and second:
                    pairs += 1
                    agree += first == second
    return {
        "pairwise": {"agree": agree, "pairs": pairs, "rate": agree / pairs if pairs else None},
        "ties_half": {
            "agree": half_agree,
            "pairs": half_pairs,
            "rate": half_agree / half_pairs if half_pairs else None,
        },
    }
