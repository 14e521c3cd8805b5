"""Rankings that were made elsewhere: groups of completions with the ranks that people gave them.

Two shapes of line are read. `completions` as a list of {"text", "rank"} is one ranking (rank 0 or 1 is best); as an
object of system → text it comes with `rankings`, a list of {"labeler", "ranks": {system: rank}, "ratings"?}. Equal
ranks are ties; only the order of the numbers means something. `shapes` turns other tools' exports into these lines.

Ratings on another scale than 1 to 7 cannot be mapped honestly: the rating stays empty, and the numbers as they came
are kept in the ranking's note. In which order a labeler saw the completions is unknown too, and stays empty.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.intake.models import Prompt
from labeling.intake.reading import Problem
from labeling.intake.services import read_prompt
from labeling.leasing.models import Lease, Seat, Task
from labeling.people.models import User
from labeling.rankings.models import Judgment, Ranking
from labeling.refusals import Conflict, Refusal
from labeling.sampling.importing import (
    CHUNK,
    BadRow,
    Group,
    Imported,
    bring_prompts_in,
    merge,
    read_external_id,
    read_written,
    rows_of,
)
from labeling.sampling.models import Batch, BatchItem, Completion, Provenance
from labeling.sampling.services import check_name
from training.formats import canonical_json

LEAST_K, MOST_K = 2, 26
MOST_LABELERS = 100  # of one group: an overlap that a batch can have
# Where a group has one ranking and nobody's name on it: several people's, made one by its source.
CONSENSUS = "consensus"
GROUPS = (User.Group.TRAINING, User.Group.HELD_OUT, User.Group.RESEARCHER, User.Group.SIMULATED)


@dataclass(frozen=True)
class GivenRanking:
    """One labeler's order of a group: `ranks[i]` belongs to text i, 1 is best, equal is a tie."""

    labeler: str
    ranks: list[int]
    note: str


@dataclass(frozen=True)
class RankedGroup(Group):
    """One prompt with its completions and the rankings of them."""

    rankings: list[GivenRanking]


@dataclass
class ImportedRankings(Imported):
    """What became of a file."""

    rankings: int = 0


def import_rankings(
    *,
    rows: Iterable[tuple[int, Any]],
    name: str,
    source: str,
    group: str = User.Group.TRAINING,
    created_by: User | None = None,
) -> ImportedRankings:
    """Bring groups in, CHUNK of them a transaction; doing it twice stores nothing twice.

    `rows` are (line number, object or Problem). They land in the batch `name`, which nobody is served from, under
    labelers called import:SOURCE:ID of the labeler group `group`. Prompts go through the same gate as all others; each
    group counts as a source user of its own. Raises Conflict where `name` is a batch that was not imported.
    """
    check_name(name, what=_("A batch"))
    check_name(source, what=_("A source"))
    if group not in GROUPS:
        raise Refusal(
            _("Imported rankings belong to the labeler group {groups}, not to {group!r}.").format(
                groups=", ".join(GROUPS), group=group
            )
        )
    result, remaining = ImportedRankings(batch=name), iter(rows)
    chunk = list(islice(remaining, CHUNK))  # before anything is written: the file may turn out to be none
    batch = _imported_batch(name, created_by)
    while chunk:
        groups = list(_good_groups(chunk, result))
        fresh = _unknown(batch, groups)
        result.unchanged += len(groups) - len(fresh)
        if fresh:
            bring_prompts_in(fresh, name, source, created_by)
            _store(batch, fresh, source=source, group=group, result=result)
        chunk = list(islice(remaining, CHUNK))
    if result.rankings:
        counts = {"groups": result.groups, "rankings": result.rankings}
        record(actor=created_by, action="rankings.imported", subject=batch, source=source, **counts)
    return result


def _imported_batch(name: str, created_by: User | None) -> Batch:
    with transaction.atomic(durable=True):
        batch, _made = Batch.objects.get_or_create(
            name=name,
            defaults={"imported": True, "state": Batch.State.CLOSED, "groups": [], "created_by": created_by},
        )
    if not batch.imported:
        raise Conflict(
            _("The batch {name} is one of Kwise's own; give the imported one another name.").format(name=name)
        )
    return batch


# Reading


def _good_groups(chunk: list[tuple[int, Any]], result: ImportedRankings) -> Iterator[RankedGroup]:
    seen: set[str] = set()
    for line, row in chunk:
        found = read_group(row, line=line)
        if isinstance(found, Problem):
            result.reject(line, found)
        elif found.external_id in seen:
            result.unchanged += 1
        else:
            seen.add(found.external_id)
            yield found


def read_group(row: Any, *, line: int) -> RankedGroup | Problem:
    """The group in a line, or why there is none. Text stays to the byte."""
    prompt = read_prompt(row)
    if isinstance(prompt, Problem):
        return prompt
    try:
        texts, given = _read_completions(row)
        external_id = read_external_id(row)
    except BadRow as bad:
        return bad.problem
    return RankedGroup(line, external_id, prompt.messages, prompt.text_sha256, texts, given)


def _read_completions(row: dict) -> tuple[dict[str, list[str]], list[GivenRanking]]:
    written = read_written(row)
    completions = row["completions"]
    if isinstance(completions, list):
        ranks = [entry.get("rank") for entry in completions]
        rankings = [{"labeler": row.get("labeler", CONSENSUS), "ranks": ranks, "ratings": row.get("ratings")}]
    else:
        rankings = row.get("rankings")
        if not isinstance(rankings, list) or not rankings:
            raise BadRow("no_rankings", "`rankings` must be a list of at least one labeler's ranks")
        rankings = [_by_name(entry, list(completions)) for entry in rankings]
    texts = merge(written, least=LEAST_K, most=MOST_K)
    if len(rankings) > MOST_LABELERS:
        raise BadRow("too_many_labelers", f"{len(rankings)} labelers; at most {MOST_LABELERS} fit one group")
    given = [_read_ranking(entry, written, list(texts)) for entry in rankings]
    if len({ranking.labeler for ranking in given}) < len(given):
        raise BadRow("labeler_twice", "one labeler ranked the group twice")
    return texts, given


def _by_name(entry: Any, names: list[str]) -> dict:
    """A labeler's entry with its ranks in the order of `names`."""
    ranks = entry.get("ranks") if isinstance(entry, dict) else None
    if not isinstance(ranks, dict) or set(ranks) != set(names):
        raise BadRow("wrong_ranks", "each labeler's `ranks` must name every completion, and no other")
    return {**entry, "ranks": [ranks[name] for name in names]}


def _read_ranking(entry: dict, written: list[tuple[str, str]], texts: list[str]) -> GivenRanking:
    labeler = entry.get("labeler")
    if isinstance(labeler, int) and not isinstance(labeler, bool):
        labeler = str(labeler)
    if not isinstance(labeler, str) or not 1 <= len(labeler) <= 40:
        raise BadRow("no_labeler", "`labeler` must be text of 1 to 40 characters")
    ranks: dict[str, float] = {}
    for (text, _name), rank in zip(written, entry["ranks"], strict=True):
        if isinstance(rank, bool) or not isinstance(rank, int | float) or not math.isfinite(rank):
            raise BadRow("wrong_ranks", f"a rank is {str(rank)[:40]!r}; it must be a number, the smallest is best")
        if ranks.setdefault(text, rank) != rank:
            raise BadRow("wrong_ranks", "the same text has two ranks")
    dense = {value: place for place, value in enumerate(sorted(set(ranks.values())), start=1)}
    note = ""
    if entry.get("ratings"):
        note = "Ratings as imported: " + canonical_json(entry["ratings"]).decode()[:5000]
    return GivenRanking(labeler, [dense[ranks[text]] for text in texts], note)


# Storing


def _unknown(batch: Batch, groups: list[RankedGroup]) -> list[RankedGroup]:
    known = set(
        batch.items.filter(external_id__in=[group.external_id for group in groups]).values_list(
            "external_id", flat=True
        )
    )
    return [group for group in groups if group.external_id not in known]


@transaction.atomic(durable=True)
def _store(batch: Batch, groups: list[RankedGroup], *, source: str, group: str, result: ImportedRankings) -> None:
    # One import at a time for a batch: another one of the same file finds these groups when it gets the lock.
    batch = Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)
    fresh = _unknown(batch, groups)
    result.unchanged += len(groups) - len(fresh)
    digests = [each.text_sha256 for each in fresh]
    prompts = {prompt.text_sha256: prompt for prompt in Prompt.objects.filter(text_sha256__in=digests)}
    people = _labelers({given.labeler for each in fresh for given in each.rankings}, source=source, group=group)
    rows: dict[type, list] = {
        kind: [] for kind in (BatchItem, Completion, Provenance, Task, Seat, Lease, Ranking, Judgment)
    }
    for each in fresh:
        prompt = prompts.get(each.text_sha256)
        if prompt is None:
            result.reject(each.line, Problem("prompt_rejected", "its prompt did not pass the gate for prompts"))
            continue
        result.prompts[prompt.state] += 1
        result.groups += 1
        result.completions += len(each.texts)
        result.rankings += len(each.rankings)
        _add_rows(rows, batch, each, prompt, people)
    for kind, objects in rows.items():
        kind.objects.bulk_create(objects, batch_size=1000)
    overlap = max([batch.overlap, *(len(each.rankings) for each in fresh)])
    groups_now = sorted({*batch.groups, *(person.group for person in people.values())})
    Batch.objects.filter(pk=batch.pk).update(overlap=overlap, groups=groups_now)


def _add_rows(rows: dict[type, list], batch: Batch, each: RankedGroup, prompt: Prompt, people: dict[str, User]) -> None:
    item = BatchItem(
        batch=batch,
        prompt=prompt,
        external_id=each.external_id,
        k=len(each.texts),
        state=BatchItem.State.FILLED,
    )
    completions, provenance = rows_of(item, each.texts)
    task = Task(item=item, batch=batch, kind=batch.kind)
    rows[BatchItem].append(item)
    rows[Completion] += completions
    rows[Provenance] += provenance
    rows[Task].append(task)
    for number, given in enumerate(each.rankings):
        person = people[given.labeler]
        seat = Seat(task=task, batch=task.batch, number=number, state=Seat.State.FILLED, groups=[person.group])
        lease = Lease(
            task=task, seat=seat, labeler=person, state=Lease.State.SUBMITTED, expires_at=Now(), ended_at=Now()
        )
        body = canonical_json({"group": each.external_id, "labeler": given.labeler, "ranks": given.ranks})
        digest = hashlib.sha256(body).hexdigest()
        ranking = Ranking(
            lease=lease,
            task=task,
            labeler=person,
            group=person.group,
            origin=_origin(person),
            idempotency_key=f"import-{digest}",
            payload_sha256=digest,
            order_shown=[],
            note=given.note,
        )
        rows[Seat].append(seat)
        rows[Lease].append(lease)
        rows[Ranking].append(ranking)
        rows[Judgment] += [
            Judgment(ranking=ranking, completion=completion, rank=rank)
            for completion, rank in zip(completions, given.ranks, strict=True)
        ]


def _origin(person: User) -> str:
    """What a model ranked is marked as all simulated answers are, and so stays out of exports unless asked for."""
    return Ranking.Origin.SIMULATED if person.group == User.Group.SIMULATED else Ranking.Origin.IMPORT


def _labelers(ids: set[str], *, source: str, group: str) -> dict[str, User]:
    """An account for each labeler of the source, which nobody can sign in to."""
    names = {key: f"import:{source}:{key}" for key in ids}
    User.objects.bulk_create(
        [
            User(username=name, password=make_password(None), group=group, is_active=False, display_name=name[:80])
            for name in sorted(names.values())
        ],
        ignore_conflicts=True,
    )
    people = {person.username: person for person in User.objects.filter(username__in=names.values())}
    return {key: people[name] for key, name in names.items()}
