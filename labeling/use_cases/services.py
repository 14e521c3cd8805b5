"""A person's word on what a prompt is used for, and what follows from all of them."""

from __future__ import annotations

import uuid
from collections import Counter

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.intake.models import Prompt, UseCase
from labeling.refusals import Conflict, NotFound, Refusal
from labeling.use_cases.models import UseCaseAssignment, UseCaseStanding


@transaction.atomic(durable=True)
def assign(*, prompt_id: uuid.UUID, use_case: str, person, saw: str = "") -> UseCaseStanding:
    """Write down that `person` says the prompt is for `use_case`; "" takes back what they said. The standing then.

    Said twice it is stored once. `saw` is the suggestion that they had in sight. Raises NotFound, Refusal for what is
    no use case, Conflict where the prompt is held or dropped.
    """
    for value in (use_case, saw):
        if value and value not in UseCase.values:
            raise Refusal(
                _("There is no use case {unknown!r}; choose among {values}.").format(
                    unknown=str(value)[:40], values=", ".join(UseCase.values)
                )
            )
    prompt = Prompt.objects.select_for_update(no_key=True).filter(pk=prompt_id).first()
    if prompt is None:
        raise NotFound(_("There is no prompt with this id."))
    if use_case and prompt.state != Prompt.State.ACCEPTED:
        raise Conflict(_("This prompt is held or dropped; nobody works with it at the moment."))
    said = UseCaseAssignment.objects.filter(prompt=prompt)
    mine = said.filter(person=person).order_by("-id").values_list("use_case", flat=True).first() or ""
    if mine != use_case:
        if prompt.use_case and not said.exists():
            # What it came with stands again if everybody takes back what they said.
            UseCaseAssignment.objects.create(prompt=prompt, person=None, use_case=prompt.use_case)
        UseCaseAssignment.objects.create(prompt=prompt, person=person, use_case=use_case, saw=saw)
        record(actor=person, action="prompt.use_case_said", subject=prompt, use_case=use_case)
    return _stand(prompt)


def _stand(prompt: Prompt) -> UseCaseStanding:
    """The locked prompt's standing made anew, and its use case after it."""
    rows = UseCaseAssignment.objects.filter(prompt=prompt).order_by("person", "-id").distinct("person")
    words = list(rows.values_list("person", "use_case", "id"))
    given = next((use_case for person, use_case, _id in words if person is None), "")
    said = [(use_case, pk) for person, use_case, pk in words if person is not None and use_case]
    use_case, votes = majority(said)
    standing, _made = UseCaseStanding.objects.update_or_create(
        prompt=prompt, defaults={"use_case": use_case, "people": len(said), "votes": votes}
    )
    if words and prompt.use_case != (use_case or given):
        prompt.use_case = use_case or given
        prompt.save(update_fields=["use_case"])
    return standing


def majority(said: list[tuple[str, int]]) -> tuple[str, int]:
    """(use case, votes) that most people say, of (use case, when) of each; of several the one said last. Pure."""
    votes = Counter(use_case for use_case, _when in said)
    last = {use_case: when for use_case, when in sorted(said, key=lambda each: each[1])}
    if not votes:
        return "", 0
    use_case = max(votes, key=lambda name: (votes[name], last[name]))
    return use_case, votes[use_case]
