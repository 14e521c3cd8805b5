"""Take rankings: read them strictly, store them once, never change them."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass, replace
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.api import json_type
from labeling.forms.definition import RATING, read_flags, read_values
from labeling.forms.queries import default_definition
from labeling.leasing.answers import BadAnswer, Head, check_key, digest_of, read_head, whole_number
from labeling.leasing.models import Lease
from labeling.leasing.services import first_answer, get_own, lock_lease, settle_at_once, settle_lease
from labeling.people.models import User
from labeling.rankings.models import Judgment, Ranking
from labeling.refusals import Refusal
from labeling.sampling.models import Batch

NOTE_CHARACTERS = 10_000
STRENGTHS = range(1, 10)  # of a pair: 1 the first shown is much better, 9 the second is
EVEN = 5
FIELDS = ("completions", "note", "outcome", "strength", "same", "by_ratings", "prompt")


@dataclass(frozen=True)
class Verdict:
    """What was said of one completion."""

    id: str
    rank: int | None
    rating: int | None
    flags: list[str]
    values: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """A ranking as it was sent and found good; its verdicts in the order shown."""

    head: Head
    outcome: str
    verdicts: list[Verdict]
    strength: int | None
    same: list[list[str]]
    by_ratings: bool
    prompt: dict[str, Any]
    note: str

    def digest(self) -> str:
        said = asdict(self)
        del said["head"]
        return digest_of({**said, "replaces": self.head.replaces})


def submit_ranking(
    *, lease_id: uuid.UUID | str, labeler: User, answer: Any, idempotency_key: str
) -> tuple[Ranking, bool]:
    """The stored ranking, and whether it is new: the same key with the same answer gets the first one again.

    `answer` is the submit body. Raises BadAnswer for what is no complete ranking, NotFound for another person's lease,
    AnsweredAlready or Conflict where it clashes with what is stored, LeaseEnded after a skip.
    """
    return submit_to(lease=get_own(lease_id=lease_id, labeler=labeler), answer=answer, idempotency_key=idempotency_key)


def submit_to(*, lease: Lease, answer: Any, idempotency_key: str) -> tuple[Ranking, bool]:
    """`submit_ranking`, where `get_own` has read the lease."""
    key = check_key(idempotency_key)
    if lease.task.kind != Batch.Kind.RANKING:
        raise Refusal(_("This task asks for a written answer, not for a ranking; send `text`."))
    # What is shown and asked never changes, so that an answer can be read before anything is locked.
    read = read_answer(answer, shown=lease.order_shown, form=form_of(lease))
    fields = first_answer(lease, idempotency_key=key, digest=read.digest(), head=read.head)
    # That statement leaves `adjudicates` as the database has it, which is false.
    if fields is not None and not lease.adjudicates:
        ranking, judgments = _rows(fields, read, lease)
        if settle_at_once(lease=lease, answer=ranking, parts=judgments):
            return ranking, True
    return _submit(lease, key, read)


@transaction.atomic(durable=True)
def _submit(lease: Lease, key: str, read: Answer) -> tuple[Ranking, bool]:
    lease = lock_lease(lease_id=lease.pk, labeler=lease.labeler)
    place = settle_lease(
        lease=lease, answers=Ranking.objects.all(), idempotency_key=key, digest=read.digest(), head=read.head
    )
    if place.earlier is not None:
        return place.earlier, False
    ranking, judgments = _rows(place.fields, read, lease)
    ranking.save(force_insert=True)
    Judgment.objects.bulk_create(judgments)
    return ranking, True


def _rows(fields: dict, read: Answer, lease: Lease) -> tuple[Ranking, list[Judgment]]:
    """What is stored, unsaved."""
    ranking = Ranking(
        **fields,
        adjudicates=lease.adjudicates,
        form_version=lease.form_version,
        order_shown=lease.order_shown,
        order_ranked=lease.order_ranked,
        outcome=read.outcome,
        strength=read.strength,
        same=read.same,
        by_ratings=read.by_ratings,
        prompt_fields=read.prompt,
        note=read.note,
    )
    judgments = [
        Judgment(
            ranking=ranking,
            completion_id=verdict.id,
            rank=verdict.rank,
            rating=verdict.rating,
            flags=verdict.flags,
            values=verdict.values,
        )
        for verdict in read.verdicts
    ]
    return ranking, judgments


def form_of(lease: Lease) -> dict:
    """The definition of what is asked in this lease."""
    return lease.form_version.definition if lease.form_version else default_definition()


def read_answer(answer: Any, *, shown: list[str], form: dict) -> Answer:
    """`answer` as a complete answer to `form` about all the completions in `shown` and no others. Raises BadAnswer.

    Ranks are kept as they are given, from 1 (best) to K; equal ranks are a tie, gaps mean nothing. Every completion
    needs a rank of its own where the form asks for an order, and a value for each required field: there is no default,
    so an order that nobody touched is no answer. Of a pair the ranks follow from its strength. "all_bad" needs an order
    of all or of none, "cannot_rank" has none, and neither needs the fields.
    """
    head = read_head(answer, fields=FIELDS)
    outcome = answer.get("outcome", Ranking.Outcome.RANKED)
    if outcome not in Ranking.Outcome.values:
        raise BadAnswer(_("`outcome` must be one of {values}.").format(values=", ".join(Ranking.Outcome.values)))
    ranked = outcome == Ranking.Outcome.RANKED
    verdicts = _read_verdicts(answer.get("completions"), shown=shown, form=form, complete=ranked)
    strength = _read_strength(answer.get("strength"), form=form, ranked=ranked)
    if strength is not None:
        ranks = (1, 1) if strength == EVEN else (1, 2) if strength < EVEN else (2, 1)
        verdicts = [replace(verdict, rank=rank) for verdict, rank in zip(verdicts, ranks, strict=True)]
    else:
        _check_ranks(verdicts, form=form, outcome=outcome)
    by_ratings = answer.get("by_ratings", False)
    if not isinstance(by_ratings, bool):
        raise BadAnswer(_("`by_ratings` must be true or false: whether the order was made from the ratings."))
    return Answer(
        head=head,
        outcome=outcome,
        verdicts=verdicts,
        strength=strength,
        same=_read_same(answer.get("same", []), verdicts),
        by_ratings=by_ratings,
        prompt=_read_prompt(answer.get("prompt", {}), form=form, complete=ranked),
        note=_read_note(answer.get("note", "")),
    )


def _read_note(note: Any) -> str:
    if not isinstance(note, str):
        raise BadAnswer(_("`note` must be text, not {note}.").format(note=json_type(note)))
    if len(note) > NOTE_CHARACTERS:
        raise BadAnswer(
            _("`note` has {count} characters; at most {note_characters} are kept. Shorten it.").format(
                count=len(note), note_characters=NOTE_CHARACTERS
            )
        )
    return note


def _read_verdicts(given: Any, *, shown: list[str], form: dict, complete: bool) -> list[Verdict]:
    """One verdict a completion, in the order shown. What is not ranked may leave completions out."""
    if not isinstance(given, list):
        raise BadAnswer(
            _("`completions` must be a list with an entry for each completion, not {given}.").format(
                given=json_type(given)
            )
        )
    verdicts: dict[str, Verdict] = {}
    for index, entry in enumerate(given[: len(shown) + 1]):
        verdict = _read_verdict(entry, where=f"completions[{index}]", shown=shown, form=form, complete=complete)
        if verdict.id in verdicts:
            raise BadAnswer(
                _("completions[{index}] names {verdict} a second time; answer once for each completion.").format(
                    index=index, verdict=verdict.id
                )
            )
        verdicts[verdict.id] = verdict
    missing = [shown_id for shown_id in shown if shown_id not in verdicts]
    if missing and complete:
        raise BadAnswer(
            _("{count} of {total} completions are missing: {missing}. Answer for all of them.").format(
                count=len(missing), total=len(shown), missing=", ".join(missing)
            )
        )
    empty = {"rank": None, "rating": None, "flags": [], "values": {}}
    return [verdicts.get(shown_id) or Verdict(id=shown_id, **empty) for shown_id in shown]


def _read_verdict(entry: Any, *, where: str, shown: list[str], form: dict, complete: bool) -> Verdict:
    if not isinstance(entry, dict):
        raise BadAnswer(
            _("{where} must be an object with id, rank and rating, not {entry}.").format(
                where=where, entry=json_type(entry)
            )
        )
    for name in entry:
        if name not in ("id", "rank", "rating", "flags", "values"):
            raise BadAnswer(
                _("{where} has no field {name!r}; it may have id, rank, rating, flags and values.").format(
                    where=where, name=name[:80]
                )
            )
    completion = entry.get("id")
    if not isinstance(completion, str) or completion not in shown:
        raise BadAnswer(
            _("{where}.id must be the id of one of the completions of this task, as it was shown.").format(where=where)
        )
    rank = entry.get("rank")
    if rank is not None:
        rank = whole_number(rank, where=f"{where}.rank", low=1, high=len(shown))
    values = entry.get("values", {})
    if not isinstance(values, dict):
        raise BadAnswer(
            _("{where}.values must be an object with a value for each field, not {values}.").format(
                where=where, values=json_type(values)
            )
        )
    if RATING in values:
        raise BadAnswer(
            _("{where}.values has a {rating}; it stands beside the rank, not among the values.").format(
                where=where, rating=RATING
            )
        )
    if entry.get(RATING) is not None:
        values = {**values, RATING: entry[RATING]}
    read = read_values(form["completion"], values, where=where, complete=complete)
    return Verdict(
        id=completion,
        rank=rank,
        rating=read.pop(RATING, None),
        flags=read_flags(form["completion"], entry.get("flags", []), where=f"{where}.flags"),
        values=read,
    )


def _check_ranks(verdicts: list[Verdict], *, form: dict, outcome: str) -> None:
    given = [verdict.id for verdict in verdicts if verdict.rank is not None]
    if outcome == Ranking.Outcome.CANNOT_RANK or form["order"] != "ranks":
        if given:
            why = _("they cannot be ranked") if form["order"] == "ranks" else _("this form asks for none")
            raise BadAnswer(_("{given} has a rank, and {why}; leave all ranks null.").format(given=given[0], why=why))
    elif outcome == Ranking.Outcome.RANKED or given:
        missing = [verdict.id for verdict in verdicts if verdict.rank is None]
        if missing:
            raise BadAnswer(
                _(
                    "{count} of {total} completions have no rank: {missing}. Rank all of them; equal ranks are a tie."
                ).format(count=len(missing), total=len(verdicts), missing=", ".join(missing))
            )


def _read_strength(strength: Any, *, form: dict, ranked: bool) -> int | None:
    if form["order"] != "strength" or not ranked:
        if strength is not None:
            raise BadAnswer(_("`strength` belongs to a pair that was compared; leave it null."))
        return None
    if strength is None:
        raise BadAnswer(_("`strength` is missing: from 1, the first is much better, over 5 to 9, the second is."))
    return whole_number(strength, where="`strength`", low=STRENGTHS[0], high=STRENGTHS[-1])


def _read_same(same: Any, verdicts: list[Verdict]) -> list[list[str]]:
    """Pairs, each in the order shown and once."""
    if not isinstance(same, list):
        raise BadAnswer(_("`same` must be a list of pairs of completion ids, not {same}.").format(same=json_type(same)))
    ranks = {verdict.id: verdict.rank for verdict in verdicts}
    places = {verdict.id: place for place, verdict in enumerate(verdicts)}
    pairs = set()
    for index, pair in enumerate(same):
        known = isinstance(pair, list) and len(pair) == 2 and all(isinstance(one, str) and one in ranks for one in pair)
        if not known or pair[0] == pair[1]:
            raise BadAnswer(_("same[{index}] must be two different completion ids of this task.").format(index=index))
        if ranks[pair[0]] != ranks[pair[1]]:
            raise BadAnswer(
                _("same[{index}] calls two completions the same that have different ranks; tie them.").format(
                    index=index
                )
            )
        pairs.add(tuple(sorted(pair, key=places.__getitem__)))
    return sorted((list(pair) for pair in pairs), key=lambda pair: [places[one] for one in pair])


def _read_prompt(prompt: Any, *, form: dict, complete: bool) -> dict:
    if not isinstance(prompt, dict) or set(prompt) - {"flags", "values"}:
        raise BadAnswer(_("`prompt` must be an object with flags and values, and nothing else."))
    return {
        "flags": read_flags(form["prompt"], prompt.get("flags", []), where="prompt.flags"),
        "values": read_values(form["prompt"], prompt.get("values", {}), where="prompt", complete=complete),
    }
