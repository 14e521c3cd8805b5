"""From answers to rows: which of them a question takes, in which order, and what each line of the data set says.

Nothing here writes. All of it is read inside the one snapshot that `services` opens.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby, islice

import numpy as np
from django.conf import settings
from django.db.models import Case, CharField, Count, Exists, F, OuterRef, Prefetch, Q, QuerySet, Subquery, Value, When

from labeling.adjudication import consensus as orders
from labeling.checks.queries import hidden_check
from labeling.demos.models import Admission, Demonstration
from labeling.exports.models import Dataset
from labeling.exports.question import ADJUDICATED, ALL, BRADLEY_TERRY, CONSENSUS, PREFER, TRAINING
from labeling.governance import personal_data
from labeling.intake.models import Prompt
from labeling.label_errors.queries import errors_of_ranking
from labeling.people.models import User
from labeling.rankings.models import Judgment, Ranking
from labeling.reviews.models import Review
from labeling.sampling.models import BatchItem
from training.formats import CONSENSUS_VERSION

# Rows fetched from the server-side cursor at a time: what memory holds, whatever the size of the data set.
CHUNK = 500
# Tasks with all their answers, of which consensus is made, at a time.
TASKS_AT_ONCE = 100
# Texts whose scan is remembered: a completion comes back with each labeler that ranked it.
REMEMBERED = 20_000


@dataclass
class Tally:
    """What went in, by everything that one asks of a data set, and what did not, by reason."""

    counts: dict[str, Counter] = field(
        default_factory=lambda: {
            name: Counter() for name in ("split", "group", "batch", "source", "use_case", "k", "origin")
        }
    )
    labelers: set = field(default_factory=set)
    rows: int = 0
    pairs: int = 0  # of two completions that are not tied
    ties: int = 0  # of two completions that are
    exclusions: Counter = field(default_factory=Counter)

    def add(self, **values: object) -> None:
        self.rows += 1
        for name, value in values.items():
            self.counts[name][str(value)] += 1

    def as_counts(self) -> dict:
        """For the manifest: rows in all and by each dimension that has any."""
        counts: dict[str, object] = {"rows": self.rows}
        if self.counts["k"]:
            counts |= {"pairs": self.pairs, "tied_pairs": self.ties}
        if self.labelers:
            counts["labelers"] = len(self.labelers)
        return counts | {
            f"by_{name}": dict(sorted(counter.items())) for name, counter in self.counts.items() if counter
        }


@dataclass(frozen=True)
class Line:
    """One row of the data set, and what it comes from."""

    split: str
    row: dict
    answer: uuid.UUID | None  # the ranking or demonstration
    prompt: uuid.UUID
    review: uuid.UUID | None = None  # whose edit is in the row
    # What the row's consensus is made of besides, and their labelers' groups.
    behind: tuple[uuid.UUID, ...] = ()
    groups: frozenset[str] = frozenset()


class Scanner:
    """Whether a text holds personal data, remembered for texts that come again."""

    def __init__(self) -> None:
        self.known: dict[object, bool] = {}

    def finds(self, key: object, text: str) -> bool:
        if key not in self.known:
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            self.known[key] = any(span.score >= personal_data.HOLD_AT for span in personal_data.scan(text))
        return self.known[key]


def lines_of(kind: str, question: dict, tally: Tally) -> Iterator[Line]:
    """The rows of a data set in their order, by time and id. Fills `tally` as it goes."""
    readers: dict[str, Callable[[dict, Tally], Iterator[Line]]] = {
        Dataset.Kind.COMPARISONS: comparisons,
        Dataset.Kind.DEMONSTRATIONS: demonstrations,
        Dataset.Kind.PROMPTS: prompts,
    }
    return readers[kind](question, tally)


def comparisons(question: dict, tally: Tally) -> Iterator[Line]:
    if question.get("answers") == CONSENSUS:
        yield from _by_task(question, tally)
        return
    scanner = Scanner()
    rankings = _included(Ranking, question, tally).order_by("created_at", "id")
    for some in _chunks(_with_judgments(rankings), CHUNK):
        behind = _answers_behind(question, {ranking.task_id for ranking in some}) if "consensus" in question else {}
        lines = [line for ranking in some if (line := _compared(ranking, scanner, tally)) is not None]
        if behind:
            tasks = {ranking.pk: ranking.task_id for ranking in some}
            lines = _with_consensus(question, [(line, behind.get(tasks[line.answer], ())) for line in lines])
        yield from lines


def _compared(ranking: Ranking, scanner: Scanner, tally: Tally) -> Line | None:
    """The row of one ranking; None where personal data leave nothing to compare."""
    completions = _completions_of(ranking, scanner, tally)
    if len(completions) < 2:
        tally.exclusions["personal_data"] += 1
        return None
    _count_pairs(completions, tally)
    line = _line(ranking, tally, k=len(completions))
    line.row.update(order_shown=ranking.order_shown, completions=completions, **_said_besides(ranking))
    return line


def _by_task(question: dict, tally: Tally) -> Iterator[Line]:
    """One row a task: the order that its labelers' answers make, where two or more make one."""
    scanner = Scanner()
    rankings = _included(Ranking, question, tally).filter(adjudicates=False).order_by("task", "created_at", "id")
    tasks = (list(some) for _task, some in groupby(_with_judgments(rankings), key=lambda each: each.task_id))
    for some in _chunks(tasks, TASKS_AT_ONCE):
        lines = []
        for answers in some:
            if len(answers) < 2:
                tally.exclusions["one_answer"] += 1
                continue
            # Of texts alone: what a completion is called and says is the same in every answer that has it.
            completions = {
                entry["id"]: {**entry, "rating": None, "flags": []}
                for answer in answers
                for entry in _completions_of(answer, scanner, tally)
            }
            if len(completions) < 2:
                tally.exclusions["personal_data"] += 1
                continue
            row = {"completions": [entry for _id, entry in sorted(completions.items())]}
            behind = [
                Behind(
                    answer.pk,
                    answer.group,
                    {str(each.completion_id): each.rank for each in answer.judgments.all() if each.rank is not None},
                )
                for answer in answers
            ]
            lines.append((Line("", row, None, answers[0].task.item.prompt_id), behind, answers))
        made = _with_consensus(question, [(line, behind) for line, behind, _answers in lines])
        for line, (_line_before, _behind, answers) in zip(made, lines, strict=True):
            ranks = line.row["consensus"]["ranks"]
            if ranks is None:
                tally.exclusions["no_consensus"] += 1
                continue
            yield _row_of_task(answers, line, ranks, tally)


def _row_of_task(answers: list[Ranking], line: Line, ranks: dict[str, int], tally: Tally) -> Line:
    completions = [
        {key: value for key, value in entry.items() if key != "values"} | {"rank": ranks[entry["id"]]}
        for entry in line.row["completions"]
        if entry["id"] in ranks
    ]
    _count_pairs(completions, tally)
    for answer in answers:
        tally.labelers.add(answer.labeler_id)
    newest = max(answers, key=lambda answer: answer.created_at)
    groups = sorted({answer.group for answer in answers})
    made = _line(newest, tally, k=len(completions))
    guidelines = {answer.lease.guideline.number if answer.lease.guideline else None for answer in answers}
    made.row.update(
        id=str(newest.task_id),
        labeler="consensus",
        group=groups[0] if len(groups) == 1 else "mixed",
        simulated=any(answer.origin == "simulated" for answer in answers),
        guideline=guidelines.pop() if len(guidelines) == 1 else None,
        order_shown=[],
        completions=completions,
        consensus=line.row["consensus"],
    )
    return replace(made, answer=None, behind=line.behind, groups=line.groups)


def _with_judgments(rankings: QuerySet[Ranking]) -> Iterator[Ranking]:
    """The rankings, streamed, each with what it said of its completions."""
    judgments = Prefetch(
        "judgments",
        Judgment.objects.select_related("completion")
        .prefetch_related("completion__provenance")
        .order_by("completion_id"),
    )
    chosen = rankings.select_related("form_version__form").prefetch_related(judgments)
    return chosen.iterator(chunk_size=CHUNK)


def _chunks(things: Iterable, size: int) -> Iterator[list]:
    remaining = iter(things)
    while some := list(islice(remaining, size)):
        yield some


def _completions_of(ranking: Ranking, scanner: Scanner, tally: Tally) -> list[dict]:
    """What a row says of each completion that holds no personal data."""
    completions = []
    for judgment in ranking.judgments.all():
        completion = judgment.completion
        if scanner.finds(completion.pk, completion.text):
            tally.exclusions["completions_with_personal_data"] += 1
            continue
        provenance = sorted(completion.provenance.all(), key=lambda entry: entry.pk)
        completions.append(
            {
                "id": str(completion.pk),
                "text": completion.text,
                "rank": judgment.rank,
                "rating": judgment.rating,
                "flags": judgment.flags,
                **({"values": judgment.values} if judgment.values else {}),
                # Two models may have written the same text; both are named.
                "model": ", ".join(dict.fromkeys(entry.model for entry in provenance)),
                "duplicates": max(0, len(provenance) - 1),
            }
        )
    return completions


def _count_pairs(completions: list[dict], tally: Tally) -> None:
    ranks = Counter(entry["rank"] for entry in completions)
    ties = sum(number * (number - 1) // 2 for number in ranks.values())
    tally.ties += ties
    tally.pairs += len(completions) * (len(completions) - 1) // 2 - ties


# Consensus


@dataclass(frozen=True)
class Behind:
    """One answer that a consensus is made of: the rank of each of its completions."""

    answer: uuid.UUID
    group: str
    ranks: dict[str, int]


def _answers_behind(question: dict, tasks: set[uuid.UUID]) -> dict[uuid.UUID, list[Behind]]:
    """Of each task the labelers' answers that the question lets in, in one order."""
    allowed = _allowed(Ranking, question | {"answers": ALL}).filter(reason="", adjudicates=False, task__in=tasks)
    found: dict[uuid.UUID, Behind] = {}
    by_task: dict[uuid.UUID, list[Behind]] = defaultdict(list)
    for pk, task, group in allowed.order_by("task", "created_at", "id").values_list("pk", "task_id", "group"):
        found[pk] = Behind(pk, group, {})
        by_task[task].append(found[pk])
    judged = Judgment.objects.filter(ranking__in=list(found), rank__isnull=False)
    for ranking, completion, rank in judged.values_list("ranking_id", "completion_id", "rank"):
        found[ranking].ranks[str(completion)] = rank
    return by_task


def _with_consensus(question: dict, lines: Sequence[tuple[Line, Sequence[Behind]]]) -> list[Line]:
    """Each line with the order that the answers behind it make of the completions that its row has and all of them
    ranked, and with where that came from. Strengths of all lines of one K are found together."""
    # Rows of one task have one consensus, unless a completion is left out of some.
    places: list[tuple] = []
    ready: dict[tuple, tuple[list[str], np.ndarray]] = {}
    for line, behind in lines:
        ids = [entry["id"] for entry in line.row["completions"]]
        shared = [one for one in ids if all(one in answer.ranks for answer in behind)] if behind else []
        places.append((id(behind), *shared))
        if places[-1] not in ready:
            ranks = np.array([[answer.ranks[one] for one in shared] for answer in behind], int)
            ready[places[-1]] = shared, ranks.reshape(len(behind), len(shared))
    method = question["consensus"]
    found = _strongest(list(ready.values())) if method == BRADLEY_TERRY else [_modal(*each) for each in ready.values()]
    said = {
        place: _as_json(method, ids, ranks, order)
        for (place, (ids, ranks)), order in zip(ready.items(), found, strict=True)
    }
    made = []
    for (line, behind), place in zip(lines, places, strict=True):
        line.row["consensus"] = said[place]
        made.append(
            replace(
                line,
                # With all answers each is in a row of its own.
                behind=() if question.get("answers", ALL) == ALL else tuple(each.answer for each in behind),
                groups=frozenset(each.group for each in behind),
            )
        )
    return made


def _as_json(method: str, ids: list[str], ranks: np.ndarray, order: orders.Order) -> dict:
    strengths = {} if order.strengths is None else dict(zip(ids, map(_rounded, order.strengths), strict=True))
    return {
        "method": method,
        "version": CONSENSUS_VERSION,
        "answers": len(ranks),
        "agreement": _rounded(orders.agreement_of(ranks)) if len(ids) > 1 else None,
        "by": order.by,
        "ranks": None if order.ranks is None else dict(zip(ids, map(int, order.ranks), strict=True)),
        **({"strengths": strengths} if strengths else {}),
    }


NOTHING = orders.Order(None, "nothing")


def _modal(ids: list[str], ranks: np.ndarray) -> orders.Order:
    return orders.modal(ranks) if len(ids) > 1 else NOTHING


def _strongest(ready: list[tuple[list[str], np.ndarray]]) -> list[orders.Order]:
    found = [NOTHING] * len(ready)
    by_size: dict[int, list[int]] = defaultdict(list)
    for place, (ids, _ranks) in enumerate(ready):
        if len(ids) > 1:
            by_size[len(ids)].append(place)
    for places in by_size.values():
        wins = np.stack([orders.wins_of(ready[place][1]) for place in places])
        for place, strengths in zip(places, orders.strengths_of(wins), strict=True):
            found[place] = orders.Order(orders.order_of(strengths), "strength", strengths)
    return found


def _rounded(number: float | None) -> float | None:
    """As the file has it: what is beyond differs between machines. 0.0 has no sign."""
    return None if number is None else round(float(number), 4) + 0.0


def _said_besides(ranking: Ranking) -> dict:
    """What a ranking says beyond ranks and flags, where it says it."""
    version = ranking.form_version
    besides = {
        "order_ranked": ranking.order_ranked,
        "strength": ranking.strength,
        "same": ranking.same,
        "by_ratings": ranking.by_ratings,
        "prompt_flags": ranking.prompt_fields.get("flags"),
        "prompt_values": ranking.prompt_fields.get("values"),
        "form": {"name": version.form.name, "number": version.number} if version else None,
        "adjudicates": ranking.adjudicates,
    }
    return {name: value for name, value in besides.items() if value}


def demonstrations(question: dict, tally: Tally) -> Iterator[Line]:
    scanner = Scanner()
    included = _included(Demonstration, question, tally).prefetch_related(Prefetch("reviews", _that_count(question)))
    for demonstration in included.iterator(chunk_size=CHUNK):
        # The one in force. Answers of batches without reviews have none.
        review = next(iter(demonstration.reviews.all()), None)
        edited = review is not None and review.verdict == Review.Verdict.EDIT
        said = review.conversation if edited else demonstration.conversation
        key = review.pk if edited else demonstration.pk
        if any(scanner.finds((key, place), turn["content"]) for place, turn in enumerate(said)):
            tally.exclusions["personal_data"] += 1
            continue
        # Of a dialogue each turn of the assistant is an answer to what stands before it.
        for place, turn in enumerate(said):
            if turn["role"] != "assistant":
                continue
            line = _line(demonstration, tally)
            line.row["messages"] = line.row["messages"] + said[:place]
            line.row["answer"] = turn["content"]
            if demonstration.turns:
                line.row["turn"] = place + 1
            if review is not None:
                tally.labelers.add(review.labeler_id)
                line.row.update(
                    reviewed="edited" if edited else "accepted",
                    reviewer=pseudonym(review.labeler_id),
                    reviewer_group=review.group,
                )
            yield replace(line, review=review.pk if edited else None)


def _that_count(question: dict) -> QuerySet[Review]:
    """Reviews that count as things stood at the question's time, the one in force of each answer first."""
    reviews = Review.objects.filter(surplus=False).order_by("-revision")
    return reviews.filter(created_at__lte=datetime.fromisoformat(question["until"])) if question["until"] else reviews


def prompts(question: dict, tally: Tally) -> Iterator[Line]:
    found = Prompt.objects.select_related("source", "source_user").filter(_prompt_filter(question, ""))
    if question["until"]:
        found = found.filter(created_at__lte=datetime.fromisoformat(question["until"]))
    if question["batches"]:
        # Prompts that stand in one of these, or were written in one.
        items = BatchItem.objects.filter(prompt=OuterRef("pk"), batch__name__in=question["batches"])
        written = Admission.objects.filter(prompt=OuterRef("pk"), written__task__batch__name__in=question["batches"])
        found = found.filter(Exists(items) | Exists(written))
    refused = found.exclude(state=Prompt.State.ACCEPTED).order_by().values_list("state").annotate(Count("pk"))
    tally.exclusions.update({f"prompt_{state}": count for state, count in refused})
    accepted = found.filter(state=Prompt.State.ACCEPTED).order_by("created_at", "id")
    for prompt in accepted.iterator(chunk_size=CHUNK):
        tally.add(split=prompt.source_user.split, source=prompt.source.name, use_case=prompt.use_case)
        yield Line(prompt.source_user.split, _about(prompt) | {"id": str(prompt.pk)}, None, prompt.pk)


# Given since somebody's onboarding began, which they have not passed.
ON_PROBATION = Q(
    labeler__onboarding__in=[state for state in User.Onboarding.values if state != User.Onboarding.PASSED],
    created_at__gte=F("labeler__onboarding_at"),
)


def _included(model: type[Ranking] | type[Demonstration], question: dict, tally: Tally) -> QuerySet:
    """The answers that the question takes; those it asks for and may not have are counted by the first reason."""
    answers = _allowed(model, question)
    refused = answers.exclude(reason="").order_by().values_list("reason").annotate(Count("pk"))
    tally.exclusions.update(dict(refused))
    joined = ("lease__guideline", "task__batch", "task__item__prompt__source", "task__item__prompt__source_user")
    return answers.filter(reason="").select_related(*joined).order_by("created_at", "id")


def _allowed(model: type[Ranking] | type[Demonstration], question: dict) -> QuerySet:
    """The answers that the question asks for, each with the `reason` why it may not have it, empty where it may."""
    answers = model.objects.filter(_prompt_filter(question, "task__item__prompt__"))
    newer = model.objects.filter(replaces=OuterRef("pk"))
    if question["until"]:
        until = datetime.fromisoformat(question["until"])
        answers, newer = answers.filter(created_at__lte=until), newer.filter(created_at__lte=until)
    if question["batches"]:
        answers = answers.filter(task__batch__name__in=question["batches"])
    if question["groups"]:
        answers = answers.filter(group__in=question["groups"])
    if question["origins"]:
        answers = answers.filter(origin__in=question["origins"])
    # Answers of applicants, and to what applicants are tried with, teach and measure nothing.
    reasons = [When(Q(group=User.Group.APPLICANT) | Q(task__batch__screening=True), then=Value("screening"))]
    if question["purpose"] == TRAINING:
        reasons += [
            When(group=User.Group.HELD_OUT, then=Value("held_out")),
            When(task__batch__evaluation=True, then=Value("evaluation_batch")),
        ]
        if not question.get("include_probation"):
            reasons.append(When(ON_PROBATION, then=Value("probation")))
    else:
        answers = answers.filter(task__batch__evaluation=True)
    if not question["include_simulated"]:
        reasons.append(When(Q(group=User.Group.SIMULATED) | Q(origin="simulated"), then=Value("simulated")))
    reasons += [
        When(~Q(task__item__prompt__state=Prompt.State.ACCEPTED), then=Value("prompt_not_accepted")),
        When(Exists(newer), then=Value("corrected")),
    ]
    if model is Ranking:
        # What labelers answered to measure them; their researchers' answers are ordinary ones.
        reasons.append(
            When(hidden_check(task=OuterRef("task"), labeler=OuterRef("labeler")), then=Value("hidden_check"))
        )
    if model is Demonstration:
        in_force = _that_count(question).filter(demonstration=OuterRef("pk"))
        answers = answers.annotate(
            verdict=Subquery(in_force.values("verdict")[:1]), reviewer_group=Subquery(in_force.values("group")[:1])
        )
        reviewed = Q(task__batch__review=True)
        reasons += [
            When(reviewed & Q(verdict=None), then=Value("waits_for_review")),
            When(reviewed & Q(verdict=Review.Verdict.SEND_BACK), then=Value("sent_back")),
        ]
        # What a review lets in has two hands in it, and what keeps either out keeps it out.
        if question["purpose"] == TRAINING:
            reasons.append(When(reviewer_group=User.Group.HELD_OUT, then=Value("held_out")))
            if not question.get("include_probation"):
                unproven = Case(When(ON_PROBATION, then=Value(True)), default=Value(False))
                answers = answers.annotate(unproven=Subquery(in_force.annotate(it=unproven).values("it")[:1]))
                reasons.append(When(unproven=True, then=Value("probation")))
        if not question["include_simulated"]:
            reasons.append(When(reviewer_group=User.Group.SIMULATED, then=Value("simulated")))
    if model is Ranking:
        # Kept and counted; an answer without an order compares nothing.
        reasons += [
            When(~Q(outcome=Ranking.Outcome.RANKED), then=F("outcome")),
            When(form_version__definition__order="none", then=Value("no_order_asked")),
        ]
        if question.get("leave_out_errors"):
            until = datetime.fromisoformat(question["until"]) if question["until"] else None
            reasons.append(When(Exists(errors_of_ranking(until=until)), then=Value("label_error")))
        reasons += _not_wanted(question, answers)
    return answers.annotate(reason=Case(*reasons, default=Value(""), output_field=CharField()))


def _not_wanted(question: dict, asked: QuerySet) -> list[When]:
    """Why an answer is left out for the sake of one that decided about its task."""
    policy = question.get("answers", ALL)
    if policy == ADJUDICATED:
        return [When(Q(adjudicates=False) | Q(surplus=True), then=Value("not_adjudicated"))]
    if policy == CONSENSUS:
        return [When(adjudicates=True, then=Value("adjudicated"))]
    if policy == PREFER:
        # Also one that says that nothing can be ranked.
        decided = asked.filter(task=OuterRef("task"), adjudicates=True, surplus=False)
        return [When(Q(Exists(decided), adjudicates=False), then=Value("adjudicated"))]
    return []


def _prompt_filter(question: dict, path: str) -> Q:
    condition = Q()
    if question["splits"]:
        condition &= Q(**{f"{path}source_user__split__in": question["splits"]})
    if question["sources"]:
        condition &= Q(**{f"{path}source__name__in": question["sources"]})
    if question["use_cases"]:
        condition &= Q(**{f"{path}use_case__in": question["use_cases"]})
    return condition


def _line(answer: Ranking | Demonstration, tally: Tally, **counted: object) -> Line:
    prompt, batch = answer.task.item.prompt, answer.task.batch
    split = prompt.source_user.split
    tally.labelers.add(answer.labeler_id)
    tally.add(
        split=split,
        group=answer.group,
        batch=batch.name,
        source=prompt.source.name,
        use_case=prompt.use_case,
        origin=answer.origin,
        **counted,
    )
    row = {
        **_about(prompt),
        "id": str(answer.pk),
        "prompt_id": str(prompt.pk),
        "labeler": pseudonym(answer.labeler_id),
        "group": answer.group,
        "simulated": answer.origin == "simulated",
        "batch": batch.name,
        # The version of the team's guidelines that held when the task was handed out.
        "guideline": answer.lease.guideline.number if answer.lease.guideline else None,
        "created_at": answer.created_at.astimezone(UTC).isoformat(timespec="microseconds"),
    }
    return Line(split, row, answer.pk, prompt.pk)


def _about(prompt: Prompt) -> dict:
    return {
        "split": prompt.source_user.split,
        "messages": prompt.messages,
        "source": prompt.source.name,
        "use_case": prompt.use_case,
    }


def pseudonym(labeler_id: int) -> str:
    """The same for one person in every export of this installation; nobody gets back to them without its salt."""
    digest = hmac.new(settings.PROJECT_SALT.encode(), f"labeler:{labeler_id}".encode(), hashlib.sha256)
    return f"labeler-{digest.hexdigest()[:16]}"
