"""A place at a practice task. The pages of real tasks show it, made from a lease that is never stored."""

from __future__ import annotations

from random import Random

from labeling.forms.models import FormVersion
from labeling.intake.models import Prompt
from labeling.leasing.models import Lease, Task
from labeling.practice.content import PracticeTask
from labeling.practice.models import PracticeTour
from labeling.sampling.models import Batch, BatchItem


def seat_at(task: PracticeTask, *, tour: PracticeTour, attempt: int) -> Lease:
    """What the pages of `task.kind` and the readers of answers need, unsaved and with nothing behind it.

    The order in which completions are shown is drawn anew for each labeler and attempt, the same at every look.
    """
    ids = [completion.id for completion in task.completions]
    draw = Random(f"{tour.pk}:{task.name}:{attempt}")
    batch = Batch(kind=task.kind)
    item = BatchItem(batch=batch, prompt=Prompt(messages=[{"role": "user", "content": task.prompt}]))
    return Lease(
        task=Task(item=item, batch=batch, kind=task.kind),
        labeler=tour.labeler,
        form_version=FormVersion(definition=task.definition) if task.definition else None,
        order_shown=draw.sample(ids, len(ids)),
        order_ranked=draw.sample(ids, len(ids)),
    )
