"""8. Held-out labelers' answers never enter a training export, were their group ever to change."""

from __future__ import annotations

from pathlib import Path

import pgtrigger
import pytest

from labeling.demos.written import admit_written_prompt
from labeling.exports.services import create_dataset
from tests import factories
from training.formats import iter_lines

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("moved", [False, True])
def test_answers_and_edits_of_the_held_out_stay_out(ada, hal, moved):
    batch = factories.make_batch(overlap=2)
    task = factories.make_task(batch=batch)
    ours = factories.make_ranking(task=task, labeler=ada)
    theirs = factories.make_ranking(task=task, labeler=hal)
    written = factories.make_demonstration(prompt=factories.make_prompt(), labeler=hal, text="Held-out words.")
    prompt = factories.make_written_prompt(labeler=hal, text="Held-out prompt.")
    ada_wrote = factories.make_demonstration(
        prompt=factories.make_prompt(), labeler=ada, text="Mine.", batch=factories.make_reviewed_batch()
    )
    factories.make_review(demonstration=ada_wrote, labeler=hal, verdict="edit", text="Held-out words too.")
    if moved:
        # The database forbids it; what was exported must not depend on that.
        with pgtrigger.ignore("labeling.User:user_group_keeps_apart"):
            type(hal).objects.filter(pk=hal.pk).update(group="training")
    text = ""
    admit_written_prompt(written=prompt)
    for kind in ("comparisons", "demonstrations", "prompts"):
        folder = Path(create_dataset(kind=kind).folder)
        text += "".join(line.decode() for path in folder.glob("*.zst") for line in iter_lines(path))
    assert str(ours.pk) in text
    assert str(theirs.pk) not in text
    assert str(written.pk) not in text
    assert "Held-out prompt." not in text
    assert "Held-out words" not in text
