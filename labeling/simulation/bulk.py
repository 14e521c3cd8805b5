"""Rankings of a population whose faults are known, straight into the database: for the reports that are to find them.

All of it is marked: the accounts, the rankings' origin and group. Its prompts are dropped, so that no batch takes them,
and its batch is an imported one that nobody is served from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models import Model
from django.db.models.functions import Now

from labeling.intake.models import Prompt, Source, SourceUser, Split
from labeling.leasing.models import Lease, Seat, Task
from labeling.people.models import User
from labeling.quality.reports import Rankings
from labeling.rankings.models import Judgment, Ranking
from labeling.refusals import Conflict, Refusal
from labeling.sampling.models import Batch, BatchItem, Completion, Provenance
from labeling.simulation.population import OVERLAP, K, Population, account_names, draw, population
from training.formats import canonical_json

SOURCE = "simulated population"
MOST_RANKINGS = 1_000_000
PART = 500  # tasks whose rows are made and stored together
WORDS = ("plain", "words", "of", "a", "made", "up", "answer")


def store_population(*, rankings: int, seed: int = 0) -> tuple[Batch, Population]:
    """`rankings` (rounded up to whole tasks) by the population of `seed`, in a batch of their own."""
    if not 1 <= rankings <= MOST_RANKINGS:
        raise Refusal(f"{rankings} rankings cannot be had; ask for 1 to {MOST_RANKINGS}.")
    name = f"simulated population, seed {seed}"
    if Batch.objects.filter(name=name).exists():
        raise Conflict(f"The batch {name} is there already; choose another seed.")
    people = population(seed)
    drawn = draw(people, seed, tasks=-(-rankings // OVERLAP))
    with transaction.atomic(durable=True):
        accounts = _accounts()
        batch = Batch.objects.create(
            name=name, imported=True, state=Batch.State.CLOSED, overlap=OVERLAP, groups=[User.Group.SIMULATED]
        )
        tasks = len(drawn.completion) // OVERLAP // K
        for start in range(0, tasks, PART):
            _store(batch, accounts, drawn, range(start, min(start + PART, tasks)), seed)
    return batch, people


def _accounts() -> list[User]:
    names = account_names()
    User.objects.bulk_create(
        [
            User(
                username=name,
                password=make_password(None),
                role=User.Role.LABELER,
                group=User.Group.SIMULATED,
                display_name=f"Simulated {number:02d}",
            )
            for number, name in enumerate(names)
        ],
        ignore_conflicts=True,
    )
    found = {user.username: user for user in User.objects.filter(username__in=names)}
    if odd := [name for name in names if not found[name].is_simulated]:
        raise Refusal(f"The account {odd[0]} is a person's; rename it before you simulate labelers.")
    return [found[name] for name in names]


def _store(batch: Batch, accounts: Sequence[User], drawn: Rankings, tasks: range, seed: int) -> None:
    rows: dict[type[Model], list] = {
        kind: [] for kind in (Prompt, BatchItem, Completion, Provenance, Task, Seat, Lease, Ranking, Judgment)
    }
    source, _made = Source.objects.get_or_create(name=SOURCE)
    writer: SourceUser | None = None
    for number in tasks:
        if writer is None or number % 200 == 0:
            writer, _made = SourceUser.objects.get_or_create(
                source=source, external_id=f"{seed}-{number // 200}", defaults={"split": Split.TRAIN}
            )
        _add_task(rows, batch, accounts, drawn, number, writer, seed)
    for kind, objects in rows.items():
        kind.objects.bulk_create(objects, batch_size=2000)


def _add_task(rows, batch: Batch, accounts, drawn: Rankings, number: int, writer: SourceUser, seed: int) -> None:
    messages = [{"role": "user", "content": f"Simulated prompt {number} of population {seed}."}]
    prompt = Prompt(
        source=writer.source,
        source_user=writer,
        messages=messages,
        text_sha256=hashlib.sha256(canonical_json(messages)).hexdigest(),
        state=Prompt.State.DROPPED,
    )
    item = BatchItem(batch=batch, prompt=prompt, k=K, state=BatchItem.State.FILLED)
    task = Task(item=item, batch=batch, kind=batch.kind)
    first = number * OVERLAP  # of its rankings
    judged = np.arange(first * K, first * K + K)
    completions = [
        _completion(item, place, int(drawn.words[row]), bool(drawn.markdown[row])) for place, row in enumerate(judged)
    ]
    rows[Prompt].append(prompt)
    rows[BatchItem].append(item)
    rows[Task].append(task)
    rows[Completion] += completions
    rows[Provenance] += [
        Provenance(completion=completion, model=drawn.models[drawn.model[row]])
        for completion, row in zip(completions, judged, strict=True)
    ]
    for seat_number, ranking_number in enumerate(range(first, first + OVERLAP)):
        labeler = accounts[drawn.labeler[ranking_number]]
        judgments = slice(ranking_number * K, ranking_number * K + K)
        seconds = int(drawn.seconds[ranking_number])
        shown, ranked = (
            [str(completions[place].pk) for place in np.argsort(places[judgments])]
            for places in (drawn.place, drawn.place_ranked)
        )
        seat = Seat(task=task, batch=batch, number=seat_number, state=Seat.State.FILLED, groups=batch.groups)
        lease = Lease(
            task=task,
            seat=seat,
            labeler=labeler,
            state=Lease.State.SUBMITTED,
            order_shown=shown,
            order_ranked=ranked,
            expires_at=Now(),
            ended_at=Now(),
            active_seconds=seconds,
        )
        ranking = Ranking(
            lease=lease,
            task=task,
            labeler=labeler,
            group=User.Group.SIMULATED,
            origin=Ranking.Origin.SIMULATED,
            idempotency_key=f"population-{seed}-{ranking_number}",
            payload_sha256=hashlib.sha256(f"{seed} {ranking_number}".encode()).hexdigest(),
            order_shown=shown,
            order_ranked=ranked,
            active_seconds=seconds,
        )
        rows[Seat].append(seat)
        rows[Lease].append(lease)
        rows[Ranking].append(ranking)
        rows[Judgment] += [
            Judgment(ranking=ranking, completion=completion, rank=int(rank), rating=int(rating))
            for completion, rank, rating in zip(
                completions, drawn.rank[judgments], drawn.rating[judgments], strict=True
            )
        ]


def _completion(item: BatchItem, place: int, words: int, markdown: bool) -> Completion:
    """A text of so many words, the first of which makes it another than those beside it."""
    said = [f"Answer{place}", *(WORDS[index % len(WORDS)] for index in range(words - 1))]
    if markdown:
        said[0] = f"**{said[0]}**"
    text = " ".join(said)
    return Completion(item=item, text=text, text_sha256=hashlib.sha256(text.encode()).hexdigest())
