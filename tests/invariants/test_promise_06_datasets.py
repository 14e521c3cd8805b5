"""6. A data set never changes once it has a hash. The same question asked of the same data gives the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from labeling.exports.services import create_dataset
from tests import factories

pytestmark = pytest.mark.django_db


def test_sql_changes_no_data_set_that_has_a_hash(world, refused):
    for statement in ("UPDATE labeling_dataset SET folder = 'elsewhere'", "DELETE FROM labeling_dataset"):
        assert "Cannot update or delete" in str(refused(statement))


def test_the_same_question_gives_the_same_bytes(ada, bo, tmp_path):
    batch = factories.make_batch(overlap=2)
    for _ in range(3):
        task = factories.make_task(batch=batch)
        for person in (ada, bo):
            factories.make_ranking(task=task, labeler=person)
    folders = [tmp_path / "one", tmp_path / "two"]
    hashes = {create_dataset(kind="comparisons", out=folder).content_hash for folder in folders}
    assert len(hashes) == 1
    first, second = ({path.name: path.read_bytes() for path in Path(folder).iterdir()} for folder in folders)
    assert first == second != {}
