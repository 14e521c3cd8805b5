"""What the rankings of a team say about each of its labelers. Pure: columns in, findings out. See docs/quality.md."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from labeling.quality import statistics as stats
from labeling.quality.statistics import Choices, Estimate, Fit, Team

LEAST_PROMPTS = 20  # of one labeler: with fewer, an interval promises too much
HURRY = 3  # times as fast as colleagues usually read: too fast to have read it
# Of those that one report marks, how many may be chance. Each report by itself: what is plain in one, such as pace,
# would else let chance pass in another.
FALSE_DISCOVERIES = 0.05
SPAM_SCORE = 6.0
MOST_Z = 8.0
MOST_MODELS = 12  # more than these are called one

# Features of a pair, the columns of Choices.x; those of models follow.
PLACE, PLACE_RANKED, LENGTH, MARKDOWN = range(4)
COLUMNS = {"place": PLACE, "place_ranked": PLACE_RANKED, "length": LENGTH, "markdown": MARKDOWN}


@dataclass(frozen=True)
class Kind:
    """One report. `unit` says what its figures are: "share" 0 to 1, "points" of the rating scale, or "times".

    An effect is worth a look from `least` on (of "times", its natural logarithm), on the side `side`: 1 above what is
    usual, −1 below, 0 on either.
    """

    name: str
    unit: str
    least: float
    side: int


KINDS = {
    kind.name: kind
    for kind in (
        Kind("skill", "share", 0.05, -1),
        Kind("place", "share", 0.05, 0),
        Kind("place_ranked", "share", 0.05, 0),
        Kind("length", "share", 0.05, 0),
        Kind("markdown", "share", 0.05, 0),
        Kind("model", "share", 0.05, 0),
        Kind("rating_spread", "points", 0.4, 0),
        Kind("rating_ceiling", "share", 0.15, 0),
        Kind("speed", "times", math.log(2), -1),
        Kind("hurry", "share", 0.10, 1),
        Kind("straight", "share", 0.05, 1),
        Kind("contradiction", "share", 0.05, 1),
        Kind("pasted", "share", 0.20, 1),
    )
}


@dataclass(frozen=True)
class Rankings:
    """Rankings as columns. Rows of `ranking` and what stands beside it are judgments; rankings are numbered from 0.

    labeler, prompt (R,)  numbers of who ranked what         seconds (R,)  of activity, NaN where not measured
    ranking, completion (J,)  whole numbers                  rank (J,)  1 is best, NaN where there is none
    rating (J,)  1 to 7, NaN                                 place, place_ranked (J,)  0 shown first … 1 last, NaN
    words (J,)  of the completion, NaN where not counted     markdown (J,)  1 where it has any, else 0
    model (J,)  number of what wrote it, −1 where nobody or several did; names are in `models`
    """

    labeler: np.ndarray
    prompt: np.ndarray
    seconds: np.ndarray
    ranking: np.ndarray
    completion: np.ndarray
    rank: np.ndarray
    rating: np.ndarray
    place: np.ndarray
    place_ranked: np.ndarray
    words: np.ndarray
    markdown: np.ndarray
    model: np.ndarray
    models: Sequence[str] = ()


@dataclass(frozen=True)
class Writing:
    """What was written by hand, (W,) each: characters, and of these how many were pasted."""

    labeler: np.ndarray
    prompt: np.ndarray
    characters: np.ndarray
    pasted: np.ndarray


@dataclass(frozen=True)
class Finding:
    """One report about one labeler (None: all of them).

    `value` beside `reference`, which it would have with no effect or has among colleagues; `effect` is the difference
    (of "times", the logarithm of the ratio) with its 95 % interval, None where there is too little to say. `count`
    answers, pairs or pieces went in, of `prompts` prompts.
    """

    labeler: int | None
    kind: str
    count: int
    prompts: int
    value: float | None = None
    reference: float | None = None
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    marked: bool = False
    detail: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """Whether somebody's answers look like clicking through: how far off they are in skill, speed and straight-lining
    together, in robust standard deviations, and the three parts of it."""

    labeler: int
    score: float
    skill: float
    speed: float
    straight: float
    spam: bool


@dataclass(frozen=True)
class Reports:
    findings: list[Finding]
    verdicts: list[Verdict]
    looks: int  # figures that were tested


def report(rankings: Rankings, writing: Writing | None = None) -> Reports:
    """All reports about everybody who ranked or wrote."""
    findings: list[Finding] = []
    pairs = pairs_of(rankings)
    findings += _choice_reports(pairs, rankings.models)
    findings += _skill(pairs)
    findings += _rating_reports(rankings)
    findings += _speed_reports(rankings)
    findings += _straight(rankings)
    findings += _contradictions(pairs)
    if writing is not None and len(writing.labeler):
        findings += _compared("pasted", writing.labeler, writing.prompt, writing.pasted, writing.characters)
    tested = [each for each in findings if each.labeler is not None and each.p is not None]
    believed = set()
    for kind in KINDS:
        looks = [each for each in tested if each.kind == kind]
        passed = stats.benjamini_hochberg([each.p for each in looks], FALSE_DISCOVERIES)
        believed |= {id(each) for each, passes in zip(looks, passed, strict=True) if passes}
    findings = [replace(each, marked=id(each) in believed and large(each)) for each in findings]
    return Reports(findings, _verdicts(findings), len(tested))


def large(finding: Finding) -> bool:
    """Whether the effect is one to look at, however certain it is."""
    kind = KINDS[finding.kind]
    if finding.effect is None or abs(finding.effect) < kind.least:
        return False
    return kind.side == 0 or kind.side * finding.effect > 0


# Pairs


@dataclass(frozen=True)
class Pairs:
    """Every two completions that a labeler ordered, rows by labeler. `rated` is which of the two has the better rating:
    1, 0, ½ for the same, NaN where one has none. `models` (P, 2) are numbers of what wrote them."""

    labeler: np.ndarray
    ranking: np.ndarray
    choices: Choices
    key: np.ndarray  # of the two completions, the same for whoever saw them
    rated: np.ndarray
    models: np.ndarray

    def groups(self) -> Iterator[tuple[int, slice]]:
        """Labeler and their rows."""
        labelers, starts = np.unique(self.labeler, return_index=True)
        for labeler, start, end in zip(labelers, starts, [*starts[1:], len(self.labeler)], strict=True):
            yield int(labeler), slice(start, end)


def pairs_of(rankings: Rankings) -> Pairs:
    """All pairs of completions with ranks; where none were asked for, ratings give the order."""
    has_rank = np.zeros(len(rankings.labeler), bool)
    np.logical_or.at(has_rank, rankings.ranking, np.isfinite(rankings.rank))
    worth = np.where(has_rank[rankings.ranking], -rankings.rank, rankings.rating)
    judged = np.nonzero(np.isfinite(worth))[0]
    judged = judged[np.lexsort((rankings.completion[judged], rankings.ranking[judged]))]
    # Completions in numbers from 0, so that two of them make one key.
    names, completion = np.unique(rankings.completion, return_inverse=True)
    counts = np.bincount(rankings.ranking[judged], minlength=len(rankings.labeler))
    starts = np.cumsum(counts) - counts
    firsts, seconds = [], []
    for k in np.unique(counts[counts >= 2]):
        rows = judged[starts[counts == k][:, None] + np.arange(k)]  # (R of this K, K)
        i, j = np.triu_indices(k, 1)
        firsts.append(rows[:, i].ravel())
        seconds.append(rows[:, j].ravel())
    empty = np.zeros(0, int)
    a, b = np.concatenate(firsts or [empty]), np.concatenate(seconds or [empty])
    order = np.argsort(rankings.labeler[rankings.ranking[a]], kind="stable")
    a, b = a[order], b[order]
    ranking = rankings.ranking[a]
    first = np.where(worth[a] > worth[b], 1.0, np.where(worth[a] < worth[b], 0.0, 0.5))
    key = completion[a].astype(np.int64) * max(len(names), 1) + completion[b]
    _, inverse = np.unique(key, return_inverse=True)
    wins = np.bincount(inverse, weights=first)[inverse] - first if len(first) else first
    seen = np.bincount(inverse)[inverse] - 1.0 if len(first) else first
    length = np.log2(rankings.words + 1)
    x = np.stack(
        [
            # Shown earlier is smaller: positive where the first of the pair came before.
            rankings.place[b] - rankings.place[a],
            rankings.place_ranked[b] - rankings.place_ranked[a],
            length[a] - length[b],
            rankings.markdown[a] - rankings.markdown[b],
        ],
        axis=1,
    )
    ra, rb = rankings.rating[a], rankings.rating[b]
    rated = np.where(ra > rb, 1.0, np.where(ra < rb, 0.0, np.where(ra == rb, 0.5, np.nan)))
    model = _common(rankings.model)
    return Pairs(
        labeler=rankings.labeler[ranking],
        ranking=ranking,
        choices=Choices(first, np.nan_to_num(x), wins, seen, rankings.prompt[ranking]),
        key=key,
        rated=np.where(has_rank[ranking], rated, np.nan),
        models=np.stack([model[a], model[b]], axis=1),
    )


def _common(model: np.ndarray) -> np.ndarray:
    """−1 for what is not among the models that wrote most."""
    names, counts = np.unique(model[model >= 0], return_counts=True)
    rare = names[np.argsort(-counts, kind="stable")[MOST_MODELS:]]
    return np.where(np.isin(model, rare), -1, model)


# What sways a choice


def _choice_reports(pairs: Pairs, names: Sequence[str]) -> Iterator[Finding]:
    choices, models = pairs.choices, np.unique(pairs.models[pairs.models >= 0])
    known = [int(model) for model in models]
    # One of the models is the one that the others are compared with; the figures do not depend on which.
    indicators = [(pairs.models[:, 0] == model).astype(float) - (pairs.models[:, 1] == model) for model in known[1:]]
    if len(known) >= 2:
        choices = replace(choices, x=np.concatenate([choices.x, np.stack(indicators, axis=1)], axis=1))
    shared = [LENGTH, MARKDOWN, *range(4, choices.x.shape[1])]
    team = fit_team_of(pairs, choices, shared)
    if team is None:
        return
    fits, unit = {}, np.eye(choices.x.shape[1])
    for labeler, rows in pairs.groups():
        own = choices.take(rows)
        prompts = len(np.unique(own.clusters))
        fit = stats.fit_choices(own, team, shared) if prompts >= LEAST_PROMPTS else None
        fits[labeler] = (fit, own, prompts)
        for kind, column in (
            ("place", PLACE),
            ("place_ranked", PLACE_RANKED),
            ("length", LENGTH),
            ("markdown", MARKDOWN),
        ):
            differing = int((own.x[:, column] != 0).sum())
            estimate = fit.estimate(unit[column]) if fit and differing else None
            yield _odds(labeler, kind, estimate, differing, prompts, attention=fit and fit.attention)
        if len(known) >= 2:
            contrasts = _contrasts(fit, known) if fit else None
            yield _favourite(labeler, contrasts, known, names, pairs.models[rows], prompts)
    # The team's: places, which are drawn anew for everybody, as the mean over labelers; what belongs to the
    # completions, as the team's choices go with it.
    count, prompts = len(choices), len(np.unique(choices.clusters))
    for kind, column in (("place", PLACE), ("place_ranked", PLACE_RANKED)):
        found = [
            (fit.estimate(unit[column]), len(own))
            for fit, own, _ in fits.values()
            if fit and np.isfinite(fit.effects[column])
        ]
        mean = stats.pooled(*zip(*found, strict=True)) if found else None
        yield replace(_odds(None, kind, mean, count, prompts), p=None)
    if prompts >= LEAST_PROMPTS:
        for kind, index in (("length", 0), ("markdown", 1)):
            varies = (choices.x[:, shared[index]] != 0).any()
            estimate = team.estimate(np.eye(len(shared))[index]) if varies else None
            yield replace(_odds(None, kind, estimate, count, prompts), p=None)
        if len(known) >= 2:
            contrasts = _contrasts(team, known)
            yield replace(_favourite(None, contrasts, known, names, pairs.models, prompts), p=None)


def fit_team_of(pairs: Pairs, choices: Choices, shared: Sequence[int]) -> Team | None:
    """The team's view from each pair of completions once; of very many, from those of the first prompts drawn."""
    if not len(choices):
        return None
    _, once = np.unique(pairs.key, return_index=True)
    whole = Choices(
        choices.first[once],
        choices.x[once],
        choices.wins[once] + choices.first[once],
        choices.seen[once] + 1,
        choices.clusters[once],
    )
    if len(whole) > stats.MOST_TEAM_PAIRS:
        # By a hash of the prompt's number: the same prompts each time, whoever ranks next.
        mixed = (whole.clusters.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
        limit = np.quantile(mixed, stats.MOST_TEAM_PAIRS / len(whole))
        whole = whole.take(np.nonzero(mixed <= limit)[0])
    return stats.fit_team(whole, shared)


def _odds(labeler, kind: str, estimate: Estimate | None, count: int, prompts: int, **detail) -> Finding:
    """A log-odds as the share of two equally good completions in which the one with the feature is preferred."""
    if estimate is None or not np.isfinite(estimate.error) or estimate.clusters < LEAST_PROMPTS:
        return Finding(labeler, kind, count, prompts)
    low, high = (_even(bound) for bound in estimate.interval())
    effect = _even(estimate.value)
    return Finding(
        labeler,
        kind,
        count,
        prompts,
        value=0.5 + effect,
        reference=0.5,
        effect=effect,
        low=low,
        high=high,
        p=estimate.p_of(0),
        detail={"log_odds": estimate.value, "error": estimate.error, **detail},
    )


def _even(log_odds: float) -> float:
    return 0.5 * math.tanh(0.5 * log_odds)


def _contrasts(fit: Fit | Team, known: list[int]) -> list[Estimate | None]:
    """Each model against the mean of the others; None of one that this labeler never saw. The last features of `fit`
    are the models but the first."""
    count = len(known)
    values = fit.effects if isinstance(fit, Fit) else fit.features
    seen = np.concatenate([[True], np.isfinite(values[len(values) - count + 1 :])])
    found: list[Estimate | None] = []
    for index in range(count):
        if not seen[index] or seen.sum() < 2:
            found.append(None)
            continue
        against = np.where(seen, -1 / (seen.sum() - 1), 0.0)
        against[index] = 1.0
        weights = np.zeros(len(values))
        weights[len(values) - count + 1 :] = against[1:]
        found.append(fit.estimate(weights))
    return found


def _favourite(labeler, contrasts, known: list[int], names: Sequence[str], models: np.ndarray, prompts: int) -> Finding:
    """The model whose completions are preferred or disliked most, its interval wide enough for looking at all."""
    count = int((models[:, 0] != models[:, 1]).sum())
    able = {model: each for model, each in zip(known, contrasts or [], strict=False) if each and each.error > 0}
    if not able:
        return Finding(labeler, "model", count, prompts)
    far = max(able, key=lambda model: abs(able[model].value) / able[model].error)
    chosen, looks = able[far], len(able)
    low, high = (_even(bound) for bound in chosen.interval(1 - (1 - stats.LEVEL) / looks))
    effect = _even(chosen.value)
    return Finding(
        labeler,
        "model",
        count,
        prompts,
        value=0.5 + effect,
        reference=0.5,
        effect=effect,
        low=low,
        high=high,
        p=min(1.0, looks * chosen.p_of(0)),
        detail={
            "model": names[far],
            "models": {names[model]: round(0.5 + _even(each.value), 4) for model, each in able.items()},
        },
    )


def _skill(pairs: Pairs) -> list[Finding]:
    """How often somebody orders two completions as most colleagues did, ties and draws left out."""
    choices = pairs.choices
    most = np.sign(choices.wins - (choices.seen - choices.wins))
    said = np.sign(choices.first - 0.5)
    counted = (most * said != 0).astype(float)
    return _compared("skill", pairs.labeler, choices.clusters, counted * (most == said), counted)


def _contradictions(pairs: Pairs) -> list[Finding]:
    """Of the pairs with an order and two different ratings, how many the ratings put the other way round."""
    rated = pairs.rated
    counted = (np.isfinite(rated) & (rated != 0.5) & (pairs.choices.first != 0.5)).astype(float)
    turned = counted * (rated != pairs.choices.first)
    return _compared("contradiction", pairs.labeler, pairs.choices.clusters, turned, counted)


# Compared with colleagues


def _compared(
    kind: str, labeler: np.ndarray, prompts: np.ndarray, sums: np.ndarray, counts: np.ndarray, **options
) -> list[Finding]:
    """A share of each labeler against that of all their colleagues together, each colleague counting alike.

    The share of a colleague who did a thousand times as much would else be the only one.
    """
    own = {}
    for one in np.unique(labeler):
        rows = labeler == one
        own[int(one)] = (stats.share(sums[rows], counts[rows], prompts[rows]), float(counts[rows].sum()))
    return _against_colleagues(kind, own, **options)


def _against_colleagues(kind: str, own: dict, *, ratio: bool = False, details: dict | None = None) -> list[Finding]:
    """`own` is labeler → (estimate or None, how much it is of). `ratio`: estimates are logarithms."""
    enough = {key: each for key, (each, _) in own.items() if each is not None and each.clusters >= LEAST_PROMPTS}
    shown = math.exp if ratio else float
    findings = []
    for labeler, (estimate, count) in own.items():
        detail = (details or {}).get(labeler, {})
        if labeler not in enough:
            clusters = estimate.clusters if estimate else 0
            findings.append(Finding(labeler, kind, int(count), clusters, detail=detail))
            continue
        low, high = estimate.interval()
        finding = Finding(
            labeler,
            kind,
            int(count),
            estimate.clusters,
            value=shown(estimate.value),
            detail={"value_low": shown(low), "value_high": shown(high), **detail},
        )
        colleagues = [each for key, each in enough.items() if key != labeler]
        if colleagues:
            others = stats.pooled(colleagues, [1.0] * len(colleagues))
            effect = stats.difference(estimate, others)
            low, high = effect.interval()
            finding = replace(
                finding, reference=shown(others.value), effect=effect.value, low=low, high=high, p=effect.p_of(0)
            )
        findings.append(finding)
    if enough:
        team = stats.pooled(list(enough.values()), [1.0] * len(enough))
        low, high = (shown(bound) for bound in team.interval())
        findings.append(
            Finding(
                None,
                kind,
                int(sum(count for _, count in own.values())),
                sum(each.clusters for each in enough.values()),
                value=shown(team.value),
                low=low,
                high=high,
                detail={"labelers": len(enough)},
            )
        )
    return findings


# Ratings, time, and answers that are all alike


def _rating_reports(rankings: Rankings) -> list[Finding]:
    rated = np.isfinite(rankings.rating)
    rating, ranking = rankings.rating[rated], rankings.ranking[rated]
    labeler, prompt = rankings.labeler[ranking], rankings.prompt[ranking]
    spreads, details = {}, {}
    for one in np.unique(labeler):
        rows = labeler == one
        spreads[int(one)] = (stats.deviation(rating[rows], prompt[rows]), float(rows.sum()))
        counts = np.bincount(rating[rows].astype(int), minlength=8)[1:8]
        details[int(one)] = {"histogram": counts.tolist(), "mean": float(rating[rows].mean())}
    top = (rating == 7).astype(float)
    return [
        *_against_colleagues("rating_spread", spreads, details=details),
        *_compared("rating_ceiling", labeler, prompt, top, np.ones(len(top))),
    ]


def _speed_reports(rankings: Rankings) -> list[Finding]:
    """Seconds for a hundred words of completions, and the share of rankings far too fast to have read them."""
    read = np.bincount(rankings.ranking, weights=np.nan_to_num(rankings.words), minlength=len(rankings.labeler))
    timed = np.nonzero(np.isfinite(rankings.seconds) & (rankings.seconds > 0) & (read > 0))[0]
    # Ten words more: the buttons take a moment, however short the texts.
    pace = np.log(100 * rankings.seconds[timed] / (read[timed] + 10))
    labeler, prompt = rankings.labeler[timed], rankings.prompt[timed]
    ones = np.ones(len(timed))
    usual = {int(one): float(np.median(pace[labeler == one])) for one in np.unique(labeler)}
    own = {}
    for one in usual:
        rows = labeler == one
        own[one] = (stats.share(pace[rows], ones[rows], prompt[rows]), float(rows.sum()))
    hurried = np.zeros(len(timed))
    for one in usual:
        colleagues = [median for key, median in usual.items() if key != one]
        if colleagues:
            rows = labeler == one
            hurried[rows] = pace[rows] < np.median(colleagues) - math.log(HURRY)
    return [
        *_against_colleagues("speed", own, ratio=True),
        *_compared("hurry", labeler, prompt, hurried, ones),
    ]


def _straight(rankings: Rankings) -> list[Finding]:
    """Rankings in which all ratings are the same, all ranks are, or the order is just the one shown (either of the
    two). Of two completions any answer is one of these, so three are the least."""
    count, ranking = len(rankings.labeler), rankings.ranking
    rated, ranked = (np.isfinite(each) for each in (rankings.rating, rankings.rank))
    size = np.bincount(ranking, minlength=count)

    def spread(values: np.ndarray, used: np.ndarray) -> np.ndarray:
        """Largest less smallest of each ranking; −1 where not all have one."""
        low, high = np.full(count, np.inf), np.full(count, -np.inf)
        np.minimum.at(low, ranking[used], values[used])
        np.maximum.at(high, ranking[used], values[used])
        whole = np.bincount(ranking[used], minlength=count) == size
        return np.where(whole & (size > 0), high - low, -1.0)

    same_ratings = spread(rankings.rating, rated) == 0
    same_ranks = spread(rankings.rank, ranked) == 0
    as_shown = np.zeros(count, bool)
    for place in (rankings.place, rankings.place_ranked):
        as_shown |= _follows(rankings, place, ranked, size)
    straight = same_ratings | same_ranks | as_shown
    counted = ((size >= 3) & (np.bincount(ranking[rated | ranked], minlength=count) == size)).astype(float)
    details = {}
    for one in np.unique(rankings.labeler):
        rows = (rankings.labeler == one) & (counted > 0)
        details[int(one)] = {
            "same_ratings": int(same_ratings[rows].sum()),
            "same_ranks": int(same_ranks[rows].sum()),
            "as_shown": int(as_shown[rows].sum()),
        }
    return _compared("straight", rankings.labeler, rankings.prompt, straight * counted, counted, details=details)


def _follows(rankings: Rankings, place: np.ndarray, ranked: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Which rankings put the completions exactly in the order of their places, without a tie."""
    order = np.lexsort((place, rankings.ranking))
    ranking, rank = rankings.ranking[order], rankings.rank[order]
    used = (ranked & np.isfinite(place))[order]
    same = ranking[1:] == ranking[:-1]
    rising = same & used[1:] & used[:-1] & (rank[1:] > rank[:-1])
    steps = np.bincount(ranking[1:][rising], minlength=len(size))
    return (size >= 2) & (steps == size - 1)


# Clicking through


def _verdicts(findings: list[Finding]) -> list[Verdict]:
    """Who is far off colleagues in agreement, pace and straight-lining together.

    Being fast is no fault of who agrees with colleagues: disagreement is needed, and one of the others or very much of
    it. So it is where somebody's agreement cannot be told from chance, which is one half.
    """
    by: dict[str, dict[int, Finding]] = {"skill": {}, "speed": {}, "straight": {}}
    for each in findings:
        if each.kind in by and each.labeler is not None:
            by[each.kind][each.labeler] = each
    labelers = sorted(set().union(*by.values()))
    if not labelers:
        return []

    def off(kind: str, sign: int, least: float, logarithm: bool = False) -> np.ndarray:
        values = [by[kind].get(one) for one in labelers]
        numbers = np.array([np.nan if each is None or each.value is None else each.value for each in values])
        z = stats.robust_z(np.log(numbers) if logarithm else numbers, least=least)
        return np.clip(np.nan_to_num(sign * z), 0, MOST_Z)

    parts = off("skill", -1, 0.02), off("speed", -1, 0.2, logarithm=True), off("straight", 1, 0.03)
    verdicts = []
    for index, one in enumerate(labelers):
        z = [float(part[index]) for part in parts]
        found = by["skill"].get(one)
        guesses = found is not None and found.value is not None and found.detail["value_low"] <= 0.5
        spam = sum(z) >= SPAM_SCORE and z[0] >= 2 or guesses and len(labelers) >= 3
        verdicts.append(Verdict(one, sum(z), *z, bool(spam)))
    return verdicts
