"""Which prompts of a pool go into a batch, and how likely each was to: strategies as weights, one way of drawing.

Every strategy gives each prompt of the pool a weight. From the weights come inclusion probabilities that add up to the
number wanted, and a systematic draw in random order takes each prompt with exactly its probability (Madow 1949;
Tillé 2006, Sampling Algorithms, section 7.1). The probability is stored with what was drawn, so that later analysis can
weight by its inverse (Horvitz and Thompson 1952). docs/selection.md explains the strategies.

All of it happens in the database, in a temporary table: memory does not grow with the pool.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from labeling.refusals import Refusal
from labeling.sampling.choosing import Selection, pool_of, selected_prompts
from labeling.sampling.models import DRAWN, BatchItem, PromptSignal
from labeling.use_cases import targets

Chosen = tuple[uuid.UUID, str, float | None]  # prompt, digest of its text, probability
CHUNK = 1000
# How often the largest weights are cut to a probability of 1 before the rest is shared out.
CUTS = 100


def draw(selection: Selection, *, seed: int) -> tuple[Iterator[Chosen], dict[str, Any]]:
    """The chosen prompts in an order that the same seed and prompts repeat, and what is to be known of the draw.

    Runs in the caller's transaction. Raises Refusal where the strategy has nothing to go by.
    """
    selection.check()
    if selection.order not in DRAWN:
        return _first(selection, seed=seed), {"order": selection.order}
    if selection.order == BatchItem.Strategy.RANDOM:
        return _at_random(selection, seed=seed)
    with connection.cursor() as cursor:
        pool = _make_pool(cursor, selection, seed=seed)
        count = min(selection.count if selection.count is not None else pool, pool)
        if not count:
            return iter(()), {"order": selection.order, "pool": 0}
        more = _weigh(cursor, selection, count)
        cursor.execute("SELECT count(*), sum(weight) FROM kwise_weighed")
        reached, whole = cursor.fetchone()
        # Of the draw a share `floor` goes to all prompts alike: none has the probability 0.
        floor = 0.0 if selection.order == BatchItem.Strategy.MIX else selection.floor
        share = {"slope": (1 - floor) / whole, "floor": floor / reached}
        count = min(count, reached)
        share |= _scale(cursor, count, share) if count < reached else {"cut": 0.0, "scale": 0.0}
    chance = random.Random(f"{seed}:draw").random()
    said = {"order": selection.order, "pool": pool, "reached": reached, "count": count, "floor": floor}
    return _drawn({**share, "chance": chance}), {**said, **more}


def _first(selection: Selection, *, seed: int) -> Iterator[Chosen]:
    rows = selected_prompts(selection, seed=seed).values_list("pk", "text_sha256")
    return ((pk, digest, None) for pk, digest in rows.iterator(chunk_size=CHUNK))


def _at_random(selection: Selection, *, seed: int) -> tuple[Iterator[Chosen], dict[str, Any]]:
    """The first of an order that is a draw: each as likely as any other."""
    pool = pool_of(selection).count()
    count = min(pool, selection.count if selection.count is not None else pool)
    rows = selected_prompts(selection, seed=seed).values_list("pk", "text_sha256")
    likely = count / pool if pool else None
    said = {"order": selection.order, "pool": pool, "count": count}
    return ((pk, digest, likely) for pk, digest in rows.iterator(chunk_size=CHUNK)), said


# The pool, one row a prompt: its place in a random order, its use case, its signal if the strategy goes by one.
LABEL = "pool.use_case"
SUGGESTED_TOO = "coalesce(nullif(pool.use_case, ''), suggestion.use_case, '')"
MAKE_POOL = """
    CREATE TEMPORARY TABLE kwise_pool ON COMMIT DROP AS
    SELECT pool.id, pool.text_sha256, md5(concat(%s::text, ':', pool.text_sha256)) AS place,
        {label} AS stratum, signal.value
    FROM ({rows}) pool {join} LEFT JOIN labeling_promptsignal signal ON signal.prompt_id = pool.id AND signal.kind = %s
"""
KINDS = {
    BatchItem.Strategy.COVERAGE: PromptSignal.Kind.GROUP,
    BatchItem.Strategy.DISAGREEMENT: PromptSignal.Kind.DISAGREEMENT,
    BatchItem.Strategy.UNCERTAINTY: PromptSignal.Kind.UNCERTAINTY,
}


def _make_pool(cursor, selection: Selection, *, seed: int) -> int:
    rows, parameters = _sql(pool_of(selection).values("id", "text_sha256", "use_case"))
    label, join = LABEL, ""
    if selection.suggested:
        label, join = SUGGESTED_TOO, "LEFT JOIN labeling_usecasesuggestion suggestion ON suggestion.prompt_id = pool.id"
    cursor.execute("DROP TABLE IF EXISTS kwise_pool, kwise_weighed")
    kind = KINDS.get(selection.order, "")
    cursor.execute(MAKE_POOL.format(label=label, rows=rows, join=join), [str(seed), *parameters, kind])
    cursor.execute("SELECT count(*) FROM kwise_pool")
    return cursor.fetchone()[0]


def _sql(rows: QuerySet) -> tuple[str, tuple]:
    return rows.query.sql_with_params()


def _weigh(cursor, selection: Selection, count: int) -> dict[str, Any]:
    """Make kwise_weighed, the prompts that can be drawn with their weights; what is to be known of these."""
    if selection.order == BatchItem.Strategy.MIX:
        return _weigh_by_mix(cursor, count)
    if selection.order == BatchItem.Strategy.DEFICIT:
        return _weigh_by_deficit(cursor, count)
    if selection.order == BatchItem.Strategy.COVERAGE:
        return _weigh_by_coverage(cursor)
    return _weigh_by_score(cursor, selection)


MAKE_WEIGHED = """
    CREATE TEMPORARY TABLE kwise_weighed ON COMMIT DROP AS
    SELECT pool.id, pool.text_sha256, pool.place, pool.stratum, ({weight})::double precision AS weight
    FROM kwise_pool pool {join}
"""


def _strata(cursor) -> dict[str, int]:
    cursor.execute("SELECT stratum, count(*) FROM kwise_pool GROUP BY stratum")
    return dict(cursor.fetchall())


def _weigh_strata(cursor, numbers: dict[str, float], sizes: dict[str, int], *, others: bool) -> None:
    """Each stratum's number shared out over its prompts. `others`: those of no such stratum come too, with weight 0."""
    named = [name for name in sizes if numbers.get(name)]
    join = f"{'LEFT' if others else ''} JOIN unnest(%s::text[], %s::float8[]) given (name, weight) ON name = stratum"
    weights = [numbers[name] / sizes[name] for name in named]
    cursor.execute(MAKE_WEIGHED.format(weight="coalesce(given.weight, 0)", join=join), [named, weights])


def _weigh_by_mix(cursor, count: int) -> dict[str, Any]:
    target, sizes = targets.current(), _strata(cursor)
    numbers = share_out_to_mix(count, target.shares, sizes)
    if not numbers:
        raise Refusal(_("No prompt that matches has a use case of the target mix; name some first."))
    _weigh_strata(cursor, numbers, sizes, others=False)
    return {"target": target.number, "numbers": numbers}


def share_out_to_mix(count: int, shares: dict[str, float], sizes: dict[str, int]) -> dict[str, int]:
    """How many of `count` each use case gets, by largest remainder, none more than there are; what one lacks goes to
    the others by their shares. Fewer than `count` in all where there are not enough. Pure."""
    numbers = dict.fromkeys((name for name, share in shares.items() if share > 0 and sizes.get(name)), 0)
    left = min(count, sum(sizes[name] for name in numbers))
    while left:
        open_ = {name: shares[name] for name in numbers if numbers[name] < sizes[name]}
        whole = sum(open_.values())
        wanted = {name: left * share / whole for name, share in open_.items()}
        more = {name: int(number) for name, number in wanted.items()}
        for name in sorted(wanted, key=lambda name: (more[name] - wanted[name], name))[: left - sum(more.values())]:
            more[name] += 1
        for name, number in more.items():
            taken = min(number, sizes[name] - numbers[name])
            numbers[name] += taken
            left -= taken
    return numbers


def _weigh_by_deficit(cursor, count: int) -> dict[str, Any]:
    """What is missing, had the batches so far and this one the target's mix, shared out over the prompts there are."""
    target, sizes = targets.current(), _strata(cursor)
    cursor.execute(
        """
        SELECT prompt.use_case, count(*) FROM labeling_prompt prompt
        WHERE prompt.use_case <> '' AND EXISTS (
            SELECT FROM labeling_batchitem item JOIN labeling_batch batch ON batch.id = item.batch_id
            WHERE item.prompt_id = prompt.id AND NOT batch.evaluation
        ) GROUP BY 1
        """
    )
    before = dict(cursor.fetchall())
    whole = sum(before.values()) + count
    missing = {name: whole * share / 100 - before.get(name, 0) for name, share in target.shares.items()}
    missing = {name: number for name, number in missing.items() if number > 0 and sizes.get(name)}
    if missing:
        _weigh_strata(cursor, missing, sizes, others=True)
    else:
        cursor.execute(MAKE_WEIGHED.format(weight="1", join=""))
    return {"target": target.number, "missing": {name: round(number, 1) for name, number in missing.items()}}


def _weigh_by_coverage(cursor) -> dict[str, Any]:
    """Each group of similar prompts as likely as any other, those that batches have less so; a prompt of no group is as
    likely as one of an average group."""
    said = _known(cursor, PromptSignal.Kind.GROUP)
    cursor.execute("SELECT 1.0 * count(DISTINCT value) / count(value) FROM kwise_pool")
    usual = float(cursor.fetchone()[0])
    weight = "CASE WHEN pool.value IS NULL THEN %s ELSE groups.weight END"
    join = """
        LEFT JOIN (
            SELECT sizes.value, 1.0 / (sizes.size * (1 + coalesce(batched.size, 0))) AS weight
            FROM (SELECT value, count(*) AS size FROM kwise_pool WHERE value IS NOT NULL GROUP BY value) sizes
            LEFT JOIN (
                SELECT signal.value, count(*) AS size FROM labeling_promptsignal signal
                WHERE signal.kind = %s AND EXISTS (
                    SELECT FROM labeling_batchitem item WHERE item.prompt_id = signal.prompt_id
                ) GROUP BY 1
            ) batched USING (value)
        ) groups ON groups.value = pool.value
    """
    cursor.execute(MAKE_WEIGHED.format(weight=weight, join=join), [usual, PromptSignal.Kind.GROUP])
    return said


def _weigh_by_score(cursor, selection: Selection) -> dict[str, Any]:
    """exp(z / temperature), z the score in standard deviations from its mean; without one a prompt is average."""
    said = _known(cursor, selection.order)
    cursor.execute("SELECT avg(value), stddev_pop(value) FROM kwise_pool")
    mean, spread = cursor.fetchone()
    weight = "exp(least(coalesce((pool.value - %s) / %s, 0), 50))"
    cursor.execute(MAKE_WEIGHED.format(weight=weight, join=""), [mean, (spread or 1.0) * selection.sharpness])
    return {**said, "temperature": selection.sharpness}


def _known(cursor, kind: str) -> dict[str, Any]:
    """How many have a signal of this kind, of which models and when. Refusal where no prompt of the pool has one."""
    cursor.execute("SELECT count(value) FROM kwise_pool")
    known = cursor.fetchone()[0]
    newest = PromptSignal.objects.filter(kind=kind).order_by("-made_at").values_list("made_at", "made_of").first()
    if not known or newest is None:
        raise Refusal(
            _(
                "No prompt that matches has a value for {strategy} yet; compute them on the page “What to label next” "
                "first, or choose another order."
            ).format(strategy=BatchItem.Strategy(kind if kind != PromptSignal.Kind.GROUP else "coverage").label)
        )
    return {"known": known, "made_at": newest[0].isoformat(), "made_of": newest[1]}


def _scale(cursor, count: int, share: dict[str, float]) -> dict[str, float]:
    """{"cut", "scale"}: prompts whose part of the draw is `cut` or more are certain, the others have their part times
    `scale`, and all together make `count`."""
    cut, scale = float("inf"), 0.0
    for _time in range(CUTS):
        cursor.execute(
            f"""
            SELECT count(*) FILTER (WHERE {PART} >= %(cut)s), coalesce(sum({PART}) FILTER (WHERE {PART} < %(cut)s), 0),
                coalesce(max({PART}) FILTER (WHERE {PART} < %(cut)s), 0)
            FROM kwise_weighed
            """,
            {**share, "cut": cut},
        )
        certain, rest, largest = cursor.fetchone()
        scale = (count - certain) / rest if rest > 0 else 0.0
        if largest * scale < 1:
            break
        cut = 1 / scale
    return {"cut": cut, "scale": scale}


# A prompt's part of the draw, its share for all alike within it.
PART = "(weight * %(slope)s + %(floor)s)"
# A point in every whole number of the running sum: those prompts in which one falls.
DRAW = f"""
    SELECT id, text_sha256, likely FROM (
        SELECT *, coalesce(lag(upto) OVER w, 0) AS before FROM (
            SELECT id, text_sha256, stratum, place, likely,
                sum(likely) OVER (ORDER BY stratum, place, id ROWS UNBOUNDED PRECEDING) AS upto FROM (
                SELECT *, CASE WHEN {PART} >= %(cut)s THEN 1.0::float8 ELSE {PART} * %(scale)s END AS likely
                FROM kwise_weighed
            ) weighed
        ) summed WINDOW w AS (ORDER BY stratum, place, id)
    ) placed
    WHERE floor(upto + %(chance)s) > floor(before + %(chance)s) ORDER BY place, id
"""


def _drawn(share: dict[str, float]) -> Iterator[Chosen]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(DRAW, share)
        while rows := cursor.fetchmany(CHUNK):
            for pk, digest, likely in rows:
                yield pk, digest, min(1.0, likely)
