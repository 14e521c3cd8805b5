"""What a data set is asked for: one normal form, so that the same question always hashes the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from labeling.demos.models import Demonstration
from labeling.exports.models import Dataset
from labeling.fields import read_time
from labeling.intake.models import Source, Split, UseCase
from labeling.people.models import WORKING_GROUPS, User
from labeling.rankings.models import Ranking
from labeling.refusals import NotFound, Refusal
from labeling.sampling.models import Batch
from labeling.text import check_text
from training.formats import CONSENSUS_METHODS

TRAINING, EVALUATION = "training", "evaluation"
LISTS = ("splits", "sources", "use_cases", "batches", "groups", "origins")
# Of comparisons alone, and in the question only where they are not the first: older questions keep their hash.
NONE, MODAL, BRADLEY_TERRY = "none", *CONSENSUS_METHODS
ALL, PREFER, ADJUDICATED, CONSENSUS = "all", "prefer_adjudicated", "adjudicated", "consensus"
CHOICES = {"consensus": (NONE, MODAL, BRADLEY_TERRY), "answers": (ALL, PREFER, ADJUDICATED, CONSENSUS)}
# These, too, only where somebody wants them.
WISHES = ("include_probation", "leave_out_errors")
KEYS = {*LISTS, *CHOICES, *WISHES, "purpose", "include_simulated", "until"}
MOST_ENTRIES = 1000


def read_question(*, kind: str, question: dict[str, Any] | None) -> dict[str, Any]:
    """`question` with every key, its lists sorted and without repetition; Refusal, NotFound with a sentence.

    An empty list lets everything through. `purpose` "training" (the default) leaves held-out labelers and batches made
    for evaluation out, always, and answers of labelers whose probation is not passed unless `include_probation`;
    "evaluation" takes such batches alone. `until` keeps what was there at that time. `leave_out_errors` leaves rankings
    out in which somebody found an error (docs/label-errors.md).

    Of comparisons, `consensus` ("modal", "bradley-terry") adds to each answer the order that all of its task make.
    `answers` says which there are: "prefer_adjudicated" takes what decided about a task where something did, and
    "adjudicated" nothing else; "consensus" has one row a task in place of its answers.
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
    normal["purpose"] = question.get("purpose") or TRAINING
    normal["include_simulated"] = question.get("include_simulated", False)
    normal["until"] = _until(question.get("until"))
    normal |= _choices(question)
    if normal["purpose"] not in (TRAINING, EVALUATION):
        raise Refusal(
            _("The purpose is training or evaluation, not {purpose!r}.").format(purpose=str(normal["purpose"])[:60])
        )
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
    if kind != Dataset.Kind.COMPARISONS and (chosen := sorted(set(normal) & set(CHOICES))):
        raise Refusal(
            _("Only comparisons have {name}: there is nothing to agree on elsewhere. Leave it out.").format(
                name=chosen[0]
            )
        )
    if normal.get("answers") == CONSENSUS and "consensus" not in normal:
        raise Refusal(
            _("Say how the consensus is made: consensus is {methods}.").format(methods=", ".join(CONSENSUS_METHODS))
        )
    if "leave_out_errors" in normal and kind != Dataset.Kind.COMPARISONS:
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


def _until(value: Any) -> str | None:
    if value is None or value == "":
        return None
    time = value if isinstance(value, datetime) else read_time(value, name="until")
    if time.tzinfo is None:
        raise Refusal(_("until must be a time with an offset."))
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
