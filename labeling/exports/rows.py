"""From answers to rows: which of them a question takes, in which order, and what each line of the data set says.

Nothing here writes. All of it is read inside the one snapshot that `services` opens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import groupby

import numpy as np
from django.db.models import Count, Exists, OuterRef

from labeling.adjudication.consensus import agreement_of
from labeling.demos.models import Admission, Demonstration
from labeling.exports.chosen import allowed, prompt_filter, that_count
from labeling.exports.consensus import Behind, answers_behind, with_consensus
from labeling.exports.lines import OF_COMPLETION, Line, Tally, pseudonym
from labeling.exports.models import Dataset
from labeling.exports.question import CONSENSUS, ONE, STRICT
from labeling.exports.reading import CHUNK, FIELDS, Answer, Given, Texts, chunks, read_answers, read_rankings, utc
from labeling.governance.outputs import NOTHING, OutputGate, known_words
from labeling.intake.models import Prompt
from labeling.rankings.models import Ranking
from labeling.reviews.models import Review
from labeling.sampling.models import BatchItem
from labeling.use_cases.queries import BY_PEOPLE, GIVEN

# Tasks with all their answers, of which consensus is made, at a time.
TASKS_AT_ONCE = 100
# Demonstrations that the detector of personal data looks at together.
DEMONSTRATIONS_AT_ONCE = 200


def lines_of(kind: str, question: dict, tally: Tally, gate: OutputGate) -> Iterator[Line]:
    """The rows of a data set in their order, by time and id. Fills `tally` as it goes."""
    readers: dict[str, Callable[[dict, Tally, OutputGate], Iterator[Line]]] = {
        Dataset.Kind.COMPARISONS: comparisons,
        Dataset.Kind.EVALUATIONS: comparisons,
        Dataset.Kind.RATINGS: ratings,
        Dataset.Kind.DEMONSTRATIONS: demonstrations,
        Dataset.Kind.PROMPTS: prompts,
    }
    return readers[kind](question, tally, gate)


def comparisons(question: dict, tally: Tally, gate: OutputGate) -> Iterator[Line]:
    texts = Texts(gate)
    if question.get("answers") == CONSENSUS:
        yield from _by_task(question, tally, texts)
        return
    for some in _rankings(question, tally, texts):
        behind = answers_behind(question, {given.task for given in some}) if "consensus" in question else {}
        lines = [line for given in some if (line := _compared(question, given, texts, tally)) is not None]
        if behind:
            tasks = {given.answer.id: given.task for given in some}
            lines = with_consensus(question, [(line, behind.get(tasks[line.answer], ())) for line in lines])
        yield from lines


def _rankings(question: dict, tally: Tally, texts: Texts, kind: str = "") -> Iterator[list[Given]]:
    """Chunks of the rankings that the question takes: by time, or by task where an answer depends on the others."""
    rankings = allowed(Ranking, question, kind)
    if question.get("answers") != ONE and "agreement" not in question:
        yield from read_rankings(rankings.order_by("created_at", "id"), texts, tally)
        return
    by_task = read_rankings(rankings.order_by("task", "created_at", "id"), texts, tally)
    for answers in _tasks(by_task):
        if "agreement" in question and (reason := _disagree(answers, question["agreement"])):
            tally.exclusions[reason] += len(answers)
        elif question.get("answers") == ONE:
            # What decided, else who was first.
            chosen = next((given for given in answers if given.said[-1]), answers[0])
            if len(answers) > 1:
                tally.exclusions["another_answer"] += len(answers) - 1
            yield [chosen]
        else:
            yield answers


def _tasks(some: Iterator[list[Given]]) -> Iterator[list[Given]]:
    """The answers of each task together, of rankings in the order of their tasks."""
    for _task, answers in groupby((given for chunk in some for given in chunk), key=lambda given: given.task):
        yield list(answers)


def _disagree(answers: list[Given], least: float) -> str:
    """Why a task is left out whose answers agree less than `least`, a share of untied pairs; empty where it is not."""
    labelers = [given for given in answers if not given.said[-1]]
    ranks = [{judged.completion: judged.rank for judged in given.judged if judged.rank} for given in labelers]
    shared = sorted(set.intersection(*map(set, ranks))) if ranks else []
    if len(ranks) < 2 or len(shared) < 2:
        return "one_answer"
    found = agreement_of(np.array([[each[one] for one in shared] for each in ranks], int))
    return "" if found is not None and found >= least else "agreement_too_low"


def _compared(question: dict, given: Given, texts: Texts, tally: Tally) -> Line | None:
    """The row of one ranking; None where personal data leave nothing to compare, or it ties and may not."""
    completions = texts.entries(given, tally)
    if len(completions) < 2:
        tally.exclusions["personal_data"] += 1
        return None
    all_bad = given.outcome == Ranking.Outcome.ALL_BAD
    if all_bad:
        # As it was sent it has an order or none; nothing in it is good, so it makes no pair.
        completions = [{**entry, "rank": 1} for entry in completions]
    if question.get("ties") == STRICT and len({entry["rank"] for entry in completions}) < len(completions):
        tally.exclusions["tied"] += 1
        return None
    tally.add_ranks(completions)
    if not given.said[-1]:
        tally.add_answer(given.task, {entry["id"]: entry["rank"] for entry in completions})
    line = _line(given.answer, tally, k=len(completions))
    line.row["order_shown"] = given.order_shown
    line.row["completions"] = completions
    line.row.update(given.besides())
    if all_bad:
        line.row["all_bad"] = True
    return line


def _by_task(question: dict, tally: Tally, texts: Texts) -> Iterator[Line]:
    """One row a task: the order that its labelers' answers make, where two or more make one."""
    rankings = allowed(Ranking, question).order_by("task", "created_at", "id")
    for some in chunks(_tasks(read_rankings(rankings, texts, tally)), TASKS_AT_ONCE):
        lines = []
        for answers in some:
            if len(answers) < 2:
                tally.exclusions["one_answer"] += 1
                continue
            if "agreement" in question and (reason := _disagree(answers, question["agreement"])):
                tally.exclusions[reason] += 1
                continue
            # Of texts alone: what a completion is called and says is the same in every answer that has it.
            completions = {
                entry["id"]: {**entry, "rating": None, "flags": []}
                for given in answers
                for entry in texts.entries(given, tally)
            }
            if len(completions) < 2:
                tally.exclusions["personal_data"] += 1
                continue
            row = {"completions": [entry for _id, entry in sorted(completions.items())]}
            behind = [
                Behind(
                    given.answer.id,
                    given.answer.group,
                    {judged.completion: judged.rank for judged in given.judged if judged.rank is not None},
                )
                for given in answers
            ]
            lines.append((Line("", row, None, answers[0].answer.prompt), behind, answers))
        made = with_consensus(question, [(line, behind) for line, behind, _answers in lines])
        for line, (_line_before, _behind, answers) in zip(made, lines, strict=True):
            ranks = line.row["consensus"]["ranks"]
            if ranks is None:
                tally.exclusions["no_consensus"] += 1
            elif question.get("ties") == STRICT and len(set(ranks.values())) < len(ranks):
                tally.exclusions["tied"] += 1
            else:
                yield _row_of_task(answers, line, ranks, tally)


def _row_of_task(answers: list[Given], line: Line, ranks: dict[str, int], tally: Tally) -> Line:
    completions = [
        {key: value for key, value in entry.items() if key != "values"} | {"rank": ranks[entry["id"]]}
        for entry in line.row["completions"]
        if entry["id"] in ranks
    ]
    tally.add_ranks(completions)
    newest = max(answers, key=lambda given: given.answer.created_at)
    for given in answers:
        if given is not newest:
            tally.labelers[given.answer.labeler] += 1
    groups = sorted({given.answer.group for given in answers})
    made = _line(newest.answer, tally, k=len(completions))
    guidelines = {given.answer.guideline for given in answers}
    made.row.update(
        id=newest.task,
        labeler="consensus",
        group=groups[0] if len(groups) == 1 else "mixed",
        simulated=any(given.answer.origin == "simulated" for given in answers),
        guideline=guidelines.pop() if len(guidelines) == 1 else None,
        order_shown=[],
        completions=completions,
        consensus=line.row["consensus"],
    )
    return replace(made, answer=None, behind=line.behind, groups=line.groups)


def ratings(question: dict, tally: Tally, gate: OutputGate) -> Iterator[Line]:
    """A row for each completion that somebody gave a rating, a flag or another value, ordered or not."""
    texts = Texts(gate)
    for some in _rankings(question, tally, texts, Dataset.Kind.RATINGS):
        for given in some:
            besides = given.besides()
            form = {"form": besides["form"]} if "form" in besides else {}
            rated = [entry for entry in texts.entries(given, tally) if _says_something(entry)]
            if not rated:
                tally.exclusions["nothing_rated"] += 1
            for entry in rated:
                line = _line(given.answer, tally)
                line.row.update(
                    id=f"{given.answer.id}:{entry['id']}",
                    ranking_id=given.answer.id,
                    outcome=given.outcome,
                    completion={name: entry[name] for name in OF_COMPLETION if name in entry},
                    rating=entry["rating"],
                    flags=entry["flags"],
                    **({"values": entry["values"]} if "values" in entry else {}),
                    **form,
                )
                yield line


def _says_something(entry: dict) -> bool:
    return entry["rating"] is not None or bool(entry["flags"]) or "values" in entry


def demonstrations(question: dict, tally: Tally, gate: OutputGate) -> Iterator[Line]:
    answers = allowed(Demonstration, question).order_by("created_at", "id")
    for some in chunks(read_answers(answers, ("turns", "text"), tally), DEMONSTRATIONS_AT_ONCE):
        given = [(Answer._make(fields[: len(FIELDS)]), *fields[len(FIELDS) :]) for fields in some]
        reviews = _reviews_of(question, [answer.id for answer, _turns, _text in given])
        words = known_words({answer.prompt for answer, _turns, _text in given})
        whole = []
        for answer, turns, text in given:
            # The one in force. Answers of batches without reviews have none.
            review = reviews.get(answer.id)
            edited = review is not None and review.verdict == Review.Verdict.EDIT
            said = review.conversation if edited else [*turns, {"role": "assistant", "content": text}]
            whole.append((answer, review, edited, bool(turns), said))
        gate.look([turn["content"] for *_, said in whole for turn in said])
        for answer, review, edited, dialogue, said in whole:
            passed = gate.pass_texts(
                [turn["content"] for turn in said], split=answer.split, known=words.get(answer.prompt, NOTHING)
            )
            if passed is None:
                tally.exclusions["personal_data"] += 1
                continue
            said = [{**turn, "content": text} for turn, text in zip(said, passed, strict=True)]
            yield from _turns(answer, review, edited, dialogue, said, tally)


def _turns(
    answer: Answer, review: Review | None, edited: bool, dialogue: bool, said: list[dict], tally: Tally
) -> Iterator[Line]:
    """Of a dialogue each turn of the assistant is an answer to what stands before it."""
    for place, turn in enumerate(said):
        if turn["role"] != "assistant":
            continue
        line = _line(answer, tally)
        line.row["messages"] = line.row["messages"] + said[:place]
        line.row["answer"] = turn["content"]
        if dialogue:
            line.row["turn"] = place + 1
        if review is not None:
            tally.labelers[review.labeler_id] += 1
            line.row.update(
                reviewed="edited" if edited else "accepted",
                reviewer=pseudonym(review.labeler_id),
                reviewer_group=review.group,
            )
        line.review = review.pk if edited and review else None
        yield line


def _reviews_of(question: dict, answers: list) -> dict:
    """Of each answer that was reviewed the review in force."""
    found: dict = {}
    for review in that_count(question).filter(demonstration__in=answers):
        found.setdefault(str(review.demonstration_id), review)
    return found


def prompts(question: dict, tally: Tally, gate: OutputGate) -> Iterator[Line]:
    found = Prompt.objects.filter(prompt_filter(question, ""))
    if question["until"]:
        found = found.filter(created_at__lte=datetime.fromisoformat(question["until"]))
    if question.get("since"):
        found = found.filter(created_at__gte=datetime.fromisoformat(question["since"]))
    if question["batches"]:
        # Prompts that stand in one of these, or were written in one.
        items = BatchItem.objects.filter(prompt=OuterRef("pk"), batch__name__in=question["batches"])
        written = Admission.objects.filter(prompt=OuterRef("pk"), written__task__batch__name__in=question["batches"])
        found = found.filter(Exists(items) | Exists(written))
    refused = found.exclude(state=Prompt.State.ACCEPTED).order_by().values_list("state").annotate(Count("pk"))
    tally.exclusions.update({f"prompt_{state}": count for state, count in refused})
    accepted = found.filter(state=Prompt.State.ACCEPTED).order_by("created_at", "id")
    fields = ("pk", "messages", "use_case", "use_case_standing__use_case", "source__name", "source_user__split")
    for pk, messages, use_case, of_people, source, split in accepted.values_list(*fields).iterator(chunk_size=CHUNK):
        tally.add(split=split, source=source, use_case=use_case)
        tally.words[sum([len(message["content"].split()) for message in messages])] += 1
        row = {
            "id": str(pk),
            "split": split,
            "messages": messages,
            "source": source,
            "use_case": use_case,
            "use_case_by": _said_by(use_case, of_people),
        }
        yield Line(split, row, None, str(pk))


def _line(answer: Answer, tally: Tally, **counted: object) -> Line:
    tally.labelers[answer.labeler] += 1
    messages = answer.messages
    tally.words[sum([len(message["content"].split()) for message in messages])] += 1
    tally.add(
        split=answer.split,
        group=answer.group,
        batch=answer.batch,
        source=answer.source,
        use_case=answer.use_case,
        origin=answer.origin,
        **counted,
    )
    row = {
        "split": answer.split,
        "messages": messages,
        "source": answer.source,
        "use_case": answer.use_case,
        "use_case_by": _said_by(answer.use_case, answer.use_case_of_people),
        "id": answer.id,
        "prompt_id": answer.prompt,
        "labeler": pseudonym(answer.labeler),
        "group": answer.group,
        "simulated": answer.origin == "simulated",
        "batch": answer.batch,
        # The version of the team's guidelines that held when the task was handed out.
        "guideline": answer.guideline,
        "created_at": utc(answer.created_at),
    }
    if answer.strategy:
        row["selection"] = {"strategy": answer.strategy, "probability": answer.probability}
    return Line(answer.split, row, answer.id, answer.prompt)


def _said_by(use_case: str, of_people: str | None) -> str:
    """Who says what the prompt is used for; empty where nobody does. A classifier's guess is never in a row."""
    return (BY_PEOPLE if of_people else GIVEN) if use_case else ""
