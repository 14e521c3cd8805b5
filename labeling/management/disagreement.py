"""Two tasks of the demo whose labelers disagree: written completions, simulated labelers of opposite opinions.

What simulated labelers answer is marked, and no export has it unless it is asked for.
"""

from __future__ import annotations

from labeling.adjudication.models import AdjudicationRule
from labeling.adjudication.services import look_through, set_rule
from labeling.leasing.services import grant_lease, open_tasks
from labeling.people.models import User
from labeling.rankings.services import submit_ranking
from labeling.sampling.importing import import_completions
from labeling.sampling.models import Batch

BATCH = "first-disagreement"
SOURCE = "kwise-demo"
# By what each of the two goes: the longest answer first, or the shortest.
LABELERS = ("sim-thorough", "sim-brief")
NOTES = ("The longest has most in it.", "The shortest says it all.")
GROUPS = (
    {
        "prompt": "How do I keep basil alive on a windowsill?",
        "completions": {
            "demo-a": "Water it from below when the soil feels dry, and pick the tips often.",
            "demo-b": "Give it six hours of light, a pot with holes, and water in the saucer, not on the leaves. "
            "Pick the tips every week, so that it grows bushy, and keep it away from cold glass at night.",
            "demo-c": "Light, water, warmth.",
        },
    },
    {
        "prompt": "Explain to a child why the moon changes its shape.",
        "completions": {
            "demo-a": "The sun lights one half of the moon, and we see it from another side each night.",
            "demo-b": "The moon is a ball that the sun always lights on one side. It walks around us once a month, so "
            "sometimes we look at its bright side and sometimes at its dark one. The moon itself never changes.",
            "demo-c": "It does not; we see a different part of its bright side.",
        },
    },
)


def bring_disagreement(*, actor: User) -> Batch:
    """The batch with both tasks, each waiting for a researcher. Can be run again."""
    import_completions(
        rows=enumerate(GROUPS, start=1),
        name=BATCH,
        source=SOURCE,
        overlap=len(LABELERS),
        groups=[User.Group.SIMULATED],
        created_by=actor,
    )
    batch = Batch.objects.get(name=BATCH)
    open_tasks(batch=batch)
    for place, (username, note) in enumerate(zip(LABELERS, NOTES, strict=True)):
        person, created = User.objects.get_or_create(
            username=username, defaults={"role": User.Role.LABELER, "group": User.Group.SIMULATED}
        )
        if created:
            person.set_unusable_password()
            person.save()
        while (lease := grant_lease(labeler=person)) is not None and lease.task.batch_id == batch.pk:
            _answer(lease, person, longest_first=place == 0, note=note)
    if not AdjudicationRule.objects.filter(batch=batch).exists():
        set_rule(batch=batch, policy=AdjudicationRule.Policy.RESEARCHER, threshold=40, seats=1, most=2, actor=actor)
    look_through(batch=batch)
    return batch


def _answer(lease, person: User, *, longest_first: bool, note: str) -> None:
    texts = {str(each.pk): each.text for each in lease.task.item.completions.all()}
    order = sorted(lease.order_shown, key=lambda shown: len(texts[shown]), reverse=longest_first)
    completions = [
        {"id": shown, "rank": order.index(shown) + 1, "rating": 6 - order.index(shown)} for shown in lease.order_shown
    ]
    submit_ranking(
        lease_id=lease.pk,
        labeler=person,
        answer={"completions": completions, "note": note},
        idempotency_key=f"demo:{lease.pk}",
    )
