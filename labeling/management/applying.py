"""The demo's screening: a round of real items, somebody who is part-way through its gates, somebody who is through and
waits for grades and a decision, and somebody who was hired and is being trained."""

from __future__ import annotations

import secrets
from itertools import islice

from labeling.demos.services import submit_demonstration
from labeling.guidelines.models import Guideline
from labeling.guidelines.services import read_guideline
from labeling.intake.models import Prompt
from labeling.leasing.models import Lease
from labeling.leasing.services import grant_lease
from labeling.management.checking import GOOD, NEARLY, best_first
from labeling.management.content import packaged_answers
from labeling.onboarding.services import begin_onboarding
from labeling.people.models import User
from labeling.people.services import accept_invitation
from labeling.rankings.services import submit_ranking
from labeling.sampling.models import Batch
from labeling.screening import services as screening
from labeling.screening.models import Gate, ScreeningRound, Topic
from labeling.screening.queries import candidate_items

ROUND = "First applicants"
BEGUN, THROUGH, HIRED = "noah", "mia", "zoe"
ITEMS = 4  # of a gate
# Of the built-in topics; the team covers what its people can judge, and nobody the rest.
ABLE = {
    "ada": (0, 1, 6, 7, 12),
    "rita": (0, 1, 2, 5, 12),
    BEGUN: (0, 2, 4),
    THROUGH: (1, 3, 5, 8, 10, 13),
    HIRED: (2, 4),
}
WHY = "What is whole comes before what is cut: it says all that was asked for. Saying nothing comes last."


def bring_screening(*, flagged: Batch, ranked: Batch) -> None:
    """A round whose texts to flag are of the first batch and whose completions to rank of the second, which its
    researcher has ranked. Made once."""
    people = User.objects.filter(username__in=[BEGUN, THROUGH, HIRED])
    if ScreeningRound.objects.filter(name=ROUND).exists() or people.exists():
        return
    amy, rita = (User.objects.get(username=name) for name in ("amy", "rita"))
    held = screening.create_round(name=ROUND, researchers=1, actor=amy)
    for gate, batch in ((Gate.FLAGS, flagged), (Gate.RANKINGS, ranked)):
        items = candidate_items(gate).filter(batch=batch).order_by("id")[:ITEMS]
        made = screening.add_items(round_id=held.pk, gate=gate, ids=[item.pk for item in items], actor=amy)
        if gate == Gate.RANKINGS:
            for item in made:
                screening.set_note(item_id=item.pk, note=WHY, actor=rita)
    # Not those whose ideal answer is among what is ranked, nor any that comes twice.
    shown = {*ranked.items.values_list("prompt", flat=True), *held.items.values_list("prompt", flat=True)}
    written = dict(islice(((prompt, text) for prompt, text in packaged_answers() if prompt.pk not in shown), ITEMS))
    screening.add_items(round_id=held.pk, gate=Gate.DEMONSTRATIONS, ids=[prompt.pk for prompt in written], actor=amy)
    screening.open_round(round_id=held.pk, actor=amy)
    for name, tasks in ((BEGUN, ITEMS // 2), (THROUGH, 3 * ITEMS), (HIRED, 0)):
        application, token = screening.invite(round_id=held.pk, days=14, note="the demo's", actor=amy)
        person = accept_invitation(token=token, username=name, password=secrets.token_urlsafe(12))
        guideline = Guideline.objects.order_by("-number").first()
        if guideline is not None:
            read_guideline(number=guideline.number, labeler=person)
        for _ in range(tasks):
            _answer(grant_lease(labeler=person), person, written)
        if name == HIRED:
            screening.decide(application_id=application.pk, outcome="training", reason="Known to us.", actor=amy)
            begin_onboarding(person=person, actor=amy, always=True)
    topics = list(Topic.objects.filter(active=True).order_by("id"))
    for name, able in ABLE.items():
        said = {topic.pk: number in able for number, topic in enumerate(topics)}
        screening.answer_topics(person=User.objects.get(username=name), able=said)


def _answer(lease: Lease, person: User, written: dict[Prompt, str]) -> None:
    """Nothing flagged; the whole answer first, but once; what the packaged answers say."""
    key = secrets.token_hex(8)
    if lease.task.kind == Batch.Kind.DEMONSTRATION:
        text = next(text for prompt, text in written.items() if prompt.pk == lease.task.item.prompt_id)
        submit_demonstration(lease_id=lease.pk, labeler=person, answer={"text": text}, idempotency_key=key)
        return
    given = [{"id": shown, "flags": []} for shown in lease.order_shown]
    if lease.form_version.definition["order"] == "ranks":
        first = not person.rankings.filter(form_version=lease.form_version).exists()
        places = [str(one.pk) for one in best_first(lease.task.item.completions.all())]
        for one in given:
            rank = (NEARLY if first else GOOD)[places.index(one["id"])]
            one |= {"rank": rank, "rating": 9 - 2 * rank}
    submit_ranking(lease_id=lease.pk, labeler=person, answer={"completions": given}, idempotency_key=key)
