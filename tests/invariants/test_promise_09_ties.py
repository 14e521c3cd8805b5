"""9. Ties stay in what is stored and exported; only a loss may leave them out."""

from __future__ import annotations

from pathlib import Path

import pytest

from labeling.exports.services import create_dataset
from labeling.leasing.services import grant_lease
from labeling.rankings.services import submit_ranking
from tests import factories
from training.formats import iter_rows

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("ranks", [(1, 1, 1, 1), (1, 2, 2, 4), (2, 2, 3, 3), (1, 1, 1, 2)])
def test_ranks_come_out_as_they_went_in(ada, ranks):
    factories.make_task()
    lease = grant_lease(labeler=ada)
    given = dict(zip(lease.order_shown, ranks, strict=True))
    judged = [{"id": shown, "rank": rank, "rating": 4} for shown, rank in given.items()]
    submit_ranking(lease_id=lease.pk, labeler=ada, answer={"completions": judged}, idempotency_key="k")
    folder = Path(create_dataset(kind="comparisons").folder)
    (row,) = iter_rows(folder, "train")
    assert {one["id"]: one["rank"] for one in row["completions"]} == given
