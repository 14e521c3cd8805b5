"""Rankings in which somebody found an error stay in a data set, or are left out where that was asked for."""

from __future__ import annotations

import pytest

from labeling.exports.services import create_dataset
from labeling.label_errors import services
from labeling.refusals import Refusal
from tests.labeling.label_errors.conftest import colleagues, ranked  # noqa: F401, fixtures
from tests.labeling.label_errors.test_looking import draw

pytestmark = pytest.mark.django_db


def test_errors_are_left_out_of_exports_where_asked(ranked, rita):  # noqa: F811
    bad = ranked((1, 2, 3), (1, 2, 3), (3, 2, 1))[2]
    services.refresh()
    draw(rita, size=1, share=100)
    before = create_dataset(kind="comparisons", question={})
    item = services.claim_next(reviewer=rita)
    assert item.ranking == bad
    error = services.judge(item_id=item.pk, reviewer=rita, verdict="error")
    assert create_dataset(kind="comparisons", question={}) == before, "nobody asked for it"
    without = create_dataset(kind="comparisons", question={"leave_out_errors": True})
    assert without.manifest["counts"]["rows"] == before.manifest["counts"]["rows"] - 1
    assert without.manifest["exclusions"] == {"label_error": 1}
    services.judge(item_id=item.pk, reviewer=rita, verdict="fine")
    assert create_dataset(kind="comparisons", question={"leave_out_errors": True}).manifest["exclusions"] == {}
    then = {"leave_out_errors": True, "until": error.created_at.isoformat()}
    assert create_dataset(kind="comparisons", question=then).manifest["exclusions"] == {"label_error": 1}
    with pytest.raises(Refusal, match="true or false"):
        create_dataset(kind="comparisons", question={"leave_out_errors": "yes"})
    with pytest.raises(Refusal, match="rankings alone"):
        create_dataset(kind="demonstrations", question={"leave_out_errors": True})
