"""Which answers a question asks for, and why it may not have some of them. Querysets alone; nothing is read here."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Case, CharField, Exists, F, OuterRef, Q, QuerySet, Subquery, Value, When

from labeling.checks.queries import hidden_check
from labeling.demos.models import Demonstration
from labeling.exports.models import Dataset
from labeling.exports.question import ADJUDICATED, ALL, CONSENSUS, KEEP, PREFER, TRAINING
from labeling.intake.models import Prompt
from labeling.label_errors.queries import errors_of_ranking
from labeling.people.models import User
from labeling.people.queries import not_proven
from labeling.rankings.models import Ranking
from labeling.reviews.models import Review


def allowed(model: type[Ranking] | type[Demonstration], question: dict, kind: str = "") -> QuerySet:
    """The answers that the question asks for, each with the `reason` why it may not have it, empty where it may."""
    answers = model.objects.filter(prompt_filter(question, "task__item__prompt__"))
    newer = model.objects.filter(replaces=OuterRef("pk"))
    if question["until"]:
        until = datetime.fromisoformat(question["until"])
        answers, newer = answers.filter(created_at__lte=until), newer.filter(created_at__lte=until)
    if question.get("since"):
        answers = answers.filter(created_at__gte=datetime.fromisoformat(question["since"]))
    if question["batches"]:
        answers = answers.filter(task__batch__name__in=question["batches"])
    if question.get("forms"):
        answers = answers.filter(_forms(question["forms"]))
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
            reasons.append(When(not_proven(), then=Value("probation")))
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
        in_force = that_count(question).filter(demonstration=OuterRef("pk"))
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
                unproven = Case(When(not_proven(), then=Value(True)), default=Value(False))
                answers = answers.annotate(unproven=Subquery(in_force.annotate(it=unproven).values("it")[:1]))
                reasons.append(When(unproven=True, then=Value("probation")))
        if not question["include_simulated"]:
            reasons.append(When(reviewer_group=User.Group.SIMULATED, then=Value("simulated")))
    if model is Ranking:
        if kind != Dataset.Kind.RATINGS:
            # Kept and counted; an answer without an order compares nothing.
            unranked = ~Q(outcome=Ranking.Outcome.RANKED)
            if question.get("all_bad") == KEEP:
                unranked &= ~Q(outcome=Ranking.Outcome.ALL_BAD)
            reasons += [
                When(unranked, then=F("outcome")),
                When(form_version__definition__order="none", then=Value("no_order_asked")),
            ]
        if question.get("leave_out_errors"):
            until = datetime.fromisoformat(question["until"]) if question["until"] else None
            reasons.append(When(Exists(errors_of_ranking(until=until)), then=Value("label_error")))
        reasons += not_wanted(question, answers)
    return answers.annotate(reason=Case(*reasons, default=Value(""), output_field=CharField()))


def not_wanted(question: dict, asked: QuerySet) -> list[When]:
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


def _forms(wanted: list[str]) -> Q:
    """Rankings given under one of these forms: its name, in any version, or "name/3"."""
    condition = Q()
    for entry in wanted:
        name, _slash, number = entry.partition("/")
        version = {"form_version__number": int(number)} if number else {}
        condition |= Q(form_version__form__name=name, **version)
    return condition


def prompt_filter(question: dict, path: str) -> Q:
    condition = Q()
    if question["splits"]:
        condition &= Q(**{f"{path}source_user__split__in": question["splits"]})
    if question["sources"]:
        condition &= Q(**{f"{path}source__name__in": question["sources"]})
    if question["use_cases"]:
        condition &= Q(**{f"{path}use_case__in": question["use_cases"]})
    return condition


def that_count(question: dict) -> QuerySet[Review]:
    """Reviews that count as things stood at the question's time, the one in force of each answer first."""
    reviews = Review.objects.filter(surplus=False).order_by("-revision")
    return reviews.filter(created_at__lte=datetime.fromisoformat(question["until"])) if question["until"] else reviews
