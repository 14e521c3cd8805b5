"""What a data set is asked for: one normal form, so that the same question always hashes the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from labeling.demos.models import Demonstration
from labeling.exports.models import Dataset
from labeling.fields import read_time
from labeling.forms.models import FormVersion
from labeling.intake.models import Source, Split, UseCase
from labeling.people.models import WORKING_GROUPS, User
from labeling.rankings.models import Ranking
from labeling.refusals import NotFound, Refusal
from labeling.sampling.models import Batch
from labeling.text import check_text
from training.formats import CONSENSUS_METHODS, FORMATS

TRAINING, EVALUATION = "training", "evaluation"
LISTS = ("splits", "sources", "use_cases", "batches", "groups", "origins")
# These are in the question only where somebody asks for them.
FURTHER = ("forms", "formats")
# Of comparisons alone, and in the question only where they are not the first: older questions keep their hash.
NONE, MODAL, BRADLEY_TERRY = "none", *CONSENSUS_METHODS
ALL, PREFER, ADJUDICATED, CONSENSUS, ONE = "all", "prefer_adjudicated", "adjudicated", "consensus", "one"
LEAVE_OUT, KEEP, STRICT = "leave_out", "keep", "strict"
CHOICES = {
    "consensus": (NONE, MODAL, BRADLEY_TERRY),
    "answers": (ALL, PREFER, ADJUDICATED, CONSENSUS, ONE),
    "ties": (KEEP, STRICT),
    "all_bad": (LEAVE_OUT, KEEP),
}
# These, too, only where somebody wants them.
WISHES = ("include_probation", "leave_out_errors")
KEYS = {*LISTS, *FURTHER, *CHOICES, *WISHES, "purpose", "include_simulated", "since", "until", "agreement"}
ORDERED = (Dataset.Kind.COMPARISONS, Dataset.Kind.EVALUATIONS)
RANKED = (*ORDERED, Dataset.Kind.RATINGS)
MOST_ENTRIES = 1000


def read_question(*, kind: str, question: dict[str, Any] | None) -> dict[str, Any]:
    """`question` with every key, its lists sorted and without repetition; Refusal, NotFound with a sentence.

    An empty list lets everything through. `purpose` "training" (the default) leaves held-out labelers and batches made
    for evaluation out, always, and answers of labelers whose probation is not passed unless `include_probation`;
    "evaluation" takes such batches alone. `until` keeps what was there at that time. `leave_out_errors` leaves rankings
    out in which somebody found an error (docs/label-errors.md).

    `since` keeps what came at that time or later. `forms` are names, "ranking", or versions, "ranking/3". `formats` are
    written beside the rows (`training.formats.FORMATS`).

    Of comparisons, `consensus` ("modal", "bradley-terry") adds to each answer the order that all of its task make.
    `answers` says which there are: "prefer_adjudicated" takes what decided about a task where something did, and
    "adjudicated" nothing else; "one" is what decided, else the first answer; "consensus" has one row a task in place of
    its answers. `agreement` (0 to 1) keeps tasks whose labelers agree on at least that share of pairs. `ties` "strict"
    leaves rankings out that tie anything, `all_bad` "keep" takes those that call all bad, as ties of all.
    """
    if kind not in Dataset.Kind.values:
        raise Refusal(
            _("There is no kind of data set {kind!r}; choose {values}.").format(
                kind=kind, values=", ".join(Dataset.Kind.values)
            )
        )
    question = question or {}
    if unknown := sorted(set(question) - KEYS):
        raise Refusal(
            _("A data set cannot be asked for by {unknown!r}; choose among {keys}.").format(
                unknown=str(unknown[0])[:60], keys=", ".join(sorted(KEYS))
            )
        )
    normal: dict[str, Any] = {name: _names(name, question.get(name)) for name in LISTS}
    normal |= {name: names for name in FURTHER if (names := _names(name, question.get(name)))}
    evaluates = kind == Dataset.Kind.EVALUATIONS
    normal["purpose"] = question.get("purpose") or (EVALUATION if evaluates else TRAINING)
    normal["include_simulated"] = question.get("include_simulated", False)
    normal["until"] = _time("until", question.get("until"))
    if since := _time("since", question.get("since")):
        normal["since"] = since
    if (agreement := _share(question.get("agreement"))) is not None:
        normal["agreement"] = agreement
    normal |= _choices(question)
    if normal["purpose"] not in (TRAINING, EVALUATION):
        raise Refusal(
            _("The purpose is training or evaluation, not {purpose!r}.").format(purpose=str(normal["purpose"])[:60])
        )
    if evaluates and normal["purpose"] != EVALUATION:
        raise Refusal(_("Evaluations compare models and train none; their purpose is evaluation."))
    if not isinstance(normal["include_simulated"], bool):
        raise Refusal(_("include_simulated is true or false."))
    for name in WISHES:
        if not isinstance(question.get(name, False), bool):
            raise Refusal(_("{name} is true or false.").format(name=name))
        if question.get(name):
            normal[name] = True
    _known(_("split"), normal["splits"], Split.values)
    _known(_("use case"), normal["use_cases"], [*UseCase.values, ""])
    _known(_("labeler group"), normal["groups"], [str(group) for group in WORKING_GROUPS])
    _known(_("origin"), normal["origins"], {*Ranking.Origin.values, *Demonstration.Origin.values})
    _known(_("format"), normal.get("formats", []), FORMATS[kind])
    _exist_forms(normal.get("forms", []))
    _exist(_("batch"), normal["batches"], Batch)
    _exist(_("source"), normal["sources"], Source)
    if normal["purpose"] == TRAINING and User.Group.HELD_OUT in normal["groups"]:
        raise Refusal(
            _(
                "Held-out labelers never enter a training export: their answers measure models. Take the "
                "group out, or ask for the purpose evaluation."
            )
        )
    if User.Group.SIMULATED in normal["groups"] and not normal["include_simulated"]:
        raise Refusal(_("The group simulated is there only with include_simulated; ask for it, or take the group out."))
    if kind not in ORDERED and (chosen := sorted({*normal} & {*CHOICES})) and not _of_ratings(kind, normal, chosen):
        raise Refusal(
            _("Only comparisons have {name}: there is nothing to agree on elsewhere. Leave it out.").format(
                name=chosen[0]
            )
        )
    for name in ("agreement", "forms"):
        if name in normal and kind not in RANKED:
            raise Refusal(_("Only rankings have {name}; leave it out.").format(name=name))
    if normal.get("answers") == CONSENSUS and "consensus" not in normal:
        raise Refusal(
            _("Say how the consensus is made: consensus is {methods}.").format(methods=", ".join(CONSENSUS_METHODS))
        )
    if "leave_out_errors" in normal and kind not in RANKED:
        raise Refusal(_("Errors are looked for in rankings alone; leave leave_out_errors out."))
    if kind == Dataset.Kind.PROMPTS:
        for name in ("groups", "origins"):
            if normal[name]:
                raise Refusal(
                    _("Prompts have no {name}: nobody has answered them yet. Leave {name} out.").format(name=name)
                )
        if normal["purpose"] != TRAINING:
            raise Refusal(_("Prompts are exported for training alone; leave the purpose out."))
    return normal


def _choices(question: dict[str, Any]) -> dict[str, str]:
    chosen = {}
    for name, values in CHOICES.items():
        value = question.get(name) or values[0]
        if value not in values:
            raise Refusal(
                _("{name} must be one of {values}, not {value!r}.").format(
                    name=name, values=", ".join(values), value=str(value)[:60]
                )
            )
        if value != values[0]:
            chosen[name] = value
    return chosen


def _names(name: str, value: Any) -> list[str]:
    value = [] if value is None else value
    if not isinstance(value, list | tuple) or not all(isinstance(entry, str) for entry in value):
        raise Refusal(_("{name} must be a list of texts.").format(name=name))
    if len(value) > MOST_ENTRIES:
        raise Refusal(
            _("{name} lists {count} entries; at most {most} can be asked for.").format(
                name=name, count=len(value), most=MOST_ENTRIES
            )
        )
    return sorted({check_text(entry, where=name) for entry in value})


def _of_ratings(kind: str, normal: dict[str, Any], chosen: list[str]) -> bool:
    """Ratings stand for themselves: one may ask for one labeler's, or what decided, and for nothing about an order."""
    return kind == Dataset.Kind.RATINGS and chosen == ["answers"] and normal["answers"] != CONSENSUS


def _share(value: Any) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise Refusal(_("agreement is a share, from 0 to 1, not {value!r}.").format(value=str(value)[:60]))
    return float(value)


def _exist_forms(wanted: list[str]) -> None:
    for entry in wanted:
        name, slash, number = entry.partition("/")
        if slash and not (number.isascii() and number.isdecimal() and len(number) < 8):
            raise Refusal(
                _("{entry!r} is no form; give its name, or name/3 for its version 3.").format(entry=entry[:60])
            )
        version = {"number": int(number)} if slash else {}
        if not FormVersion.objects.filter(form__name=name, **version).exists():
            raise NotFound(_("There is no form {entry}; look at the list of forms.").format(entry=entry[:60]))


def _time(name: str, value: Any) -> str | None:
    if value is None or value == "":
        return None
    time = value if isinstance(value, datetime) else read_time(value, name=name)
    if time.tzinfo is None:
        raise Refusal(_("{name} must be a time with an offset.").format(name=name))
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def _known(what: str, asked: list[str], known: Any) -> None:
    if unknown := [entry for entry in asked if entry not in known]:
        listed = ", ".join(sorted(entry for entry in known if entry))
        raise Refusal(
            _("There is no {what} {unknown!r}; choose among {listed}.").format(
                what=what, unknown=unknown[0][:60], listed=listed
            )
        )


def _exist(what: str, names: list[str], model: type[Batch] | type[Source]) -> None:
    """A name with a typing error would else make an empty data set without a word."""
    missing = set(names) - set(model.objects.filter(name__in=names).values_list("name", flat=True))
    if missing:
        raise NotFound(
            _("There is no {what} called {missing}; look at its list for the right name.").format(
                what=what, missing=sorted(missing)[0][:100]
            )
        )
