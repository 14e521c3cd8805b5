"""Completions that there are already, put before labelers again in other company: which K of them, and how likely each.

Of a prompt's completions in earlier batches those are preferred that reward models are unsure of, or differ about. As
with prompts, the choice is drawn with probabilities that are stored, and a share of it goes to all alike.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence

import numpy as np
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from labeling.intake.models import Prompt
from labeling.sampling.choosing import USUAL_FLOOR
from labeling.sampling.marks import mark_completions
from labeling.sampling.models import Batch, BatchItem, Completion, CompletionMark, Provenance
from labeling.sampling.queries import withheld

MODELS = 3  # the newest of those that scored a completion


def usable_completions() -> QuerySet[Completion]:
    """What may be ranked again: of ordinary rankings, and held back by nobody. Not of evaluations, whose completions
    never train a model, nor of repeats and screenings, which are copies."""
    waiting = CompletionMark.objects.filter(completion=OuterRef("pk"), state=CompletionMark.State.WAITING)
    batches = {"kind": Batch.Kind.RANKING, "evaluation": False, "screening": False, "repeat_of": None, "reuse": ""}
    rows = Completion.objects.filter(**{f"item__batch__{name}": value for name, value in batches.items()})
    return rows.exclude(withheld()).exclude(Exists(waiting))


def with_completions(prompts: QuerySet[Prompt], *, least: int) -> QuerySet[Prompt]:
    """Those that have `least` different completions to be ranked again."""
    found = usable_completions().filter(item__prompt=OuterRef("pk")).order_by().values("item__prompt")
    counts = found.annotate(texts=Count("text_sha256", distinct=True)).values("texts")
    return prompts.annotate(completions_there=Coalesce(Subquery(counts), 0)).filter(completions_there__gte=least)


def weights_of(scores: np.ndarray, *, strategy: str) -> np.ndarray:
    """(N,) weights of completions from (M, N) scores of M models, newest first; NaN where a model has none. Pure.

    Of each with each other: 4 p (1 - p) of the newest model, or four times the variance of p over models, p being the
    probability that the one is better (Bradley and Terry 1952); the mean of these. The usual weight where nothing is
    known, and all alike where nothing is known of any.
    """
    count = scores.shape[1]
    if strategy == "random" or not len(scores):
        return np.ones(count)
    better = 1 / (1 + np.exp(np.clip(scores[:, None, :] - scores[:, :, None], -500, 500)))  # (M, N, N)
    known = np.isfinite(better)
    if strategy == "uncertainty":
        pairs = 4 * better[0] * (1 - better[0])
    else:
        times = known.sum(0)
        mean = np.where(known, better, 0).sum(0) / np.maximum(times, 1)
        pairs = 4 * np.where(known, (better - mean) ** 2, 0).sum(0) / np.maximum(times, 1)
        pairs[times < 2] = np.nan
    np.fill_diagonal(pairs, np.nan)
    said = np.isfinite(pairs)
    found = np.where(said, pairs, 0).sum(1) / np.maximum(said.sum(1), 1)
    found[~said.any(1)] = np.nan
    usual = np.nanmean(found) if np.isfinite(found).any() else 1.0
    found = np.where(np.isfinite(found), found, usual)
    return found if found.sum() > 0 else np.ones(count)


def draw_some(weights: np.ndarray, count: int, *, floor: float, rng: random.Random) -> list[tuple[int, float]]:
    """(place, probability) of `count` of them: probabilities in proportion to the weights, none above 1, a share
    `floor` of the draw to all alike, and a systematic draw in random order (Madow 1949). Pure."""
    weights = (1 - floor) * weights / weights.sum() + floor / len(weights)
    likely = np.zeros(len(weights))
    certain = np.zeros(len(weights), bool)
    while count < len(weights):
        rest = weights[~certain].sum()
        likely = np.where(certain, 1.0, weights * (count - certain.sum()) / rest)
        if not (likely[~certain] >= 1).any():
            break
        certain |= likely >= 1
    else:
        likely[:] = 1.0
    order = list(range(len(weights)))
    rng.shuffle(order)
    start = rng.random()
    upto = np.floor(np.cumsum(likely[order]) + start).astype(int)
    taken = np.diff(upto, prepend=0) > 0
    return sorted((place, float(likely[place])) for place, is_taken in zip(order, taken, strict=True) if is_taken)


def fill_by_reuse(*, item: BatchItem, batch: Batch, least: int) -> bool:
    """Copies of K of the prompt's completions, with where they came from. False where another worker was first or
    there are not enough any more, which the item then says."""
    with transaction.atomic(durable=True):
        locked = BatchItem.objects.select_for_update().get(pk=item.pk)
        if locked.state != BatchItem.State.WAITING:
            return False
        rows = usable_completions().filter(item__prompt=item.prompt).order_by("text_sha256", "created_at", "id")
        there = list(rows.distinct("text_sha256").prefetch_related("provenance"))
        if len(there) < least:
            item.state = BatchItem.State.FAILED
            item.error = f"Only {len(there)} completions are there; {least} are needed."
            item.save(update_fields=["state", "error"])
            return False
        weights = weights_of(_scores([each.pk for each in there]), strategy=batch.reuse)
        rng = random.Random(f"{batch.seed}:reuse:{item.prompt.text_sha256}")
        floor = batch.selection.get("floor", USUAL_FLOOR)
        chosen = draw_some(weights, min(item.k, len(there)), floor=floor, rng=rng)
        wrote: dict[Completion, list[str]] = {}
        sources: list[Provenance] = []
        for place, likely in chosen:
            old = there[place]
            copy = Completion(item=item, text=old.text, text_sha256=old.text_sha256, probability=likely)
            wrote[copy] = []
            for source in old.provenance.all():
                wrote[copy].append(source.model)
                source.pk, source.completion = None, copy
                source._state.adding = True
                sources.append(source)
        Completion.objects.bulk_create(wrote)
        Provenance.objects.bulk_create(sources)
        mark_completions(prompt=item.prompt, batch=batch, models=wrote)
        item.state, item.error = BatchItem.State.FILLED, ""
        item.note = "" if len(chosen) == item.k else f"{item.k} wanted, {len(chosen)} there"
        item.save(update_fields=["state", "error", "note"])
    return True


def _scores(completions: Sequence[uuid.UUID]) -> np.ndarray:
    """(M, N) what the newest MODELS that scored any of them say of each."""
    rows = Completion.objects.filter(pk__in=completions, scores__score__isnull=False).values_list(
        "pk", "scores__checkpoint", "scores__score", "scores__checkpoint__created_at"
    )
    found = list(rows)
    models = sorted({(made, str(model)) for _pk, model, _score, made in found}, reverse=True)[:MODELS]
    row = {model: at for at, (_made, model) in enumerate(models)}
    column = {pk: at for at, pk in enumerate(completions)}
    scores = np.full((len(models), len(completions)), np.nan)
    for pk, model, score, _made in found:
        if str(model) in row:
            scores[row[str(model)], column[pk]] = score
    return scores
