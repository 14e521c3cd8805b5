"""What a data set is asked for: one normal form, so that the same question always hashes the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from labeling.demos.models import Demonstration
from labeling.exports.models import Dataset
from labeling.fields import read_time
from labeling.intake.models import Source, Split, UseCase
from labeling.people.models import User
from labeling.rankings.models import Ranking
from labeling.refusals import NotFound, Refusal
from labeling.sampling.models import Batch
from labeling.text import check_text

TRAINING, EVALUATION = "training", "evaluation"
LISTS = ("splits", "sources", "use_cases", "batches", "groups", "origins")
KEYS = {*LISTS, "purpose", "include_simulated", "until"}
MOST_ENTRIES = 1000


def read_question(*, kind: str, question: dict[str, Any] | None) -> dict[str, Any]:
    """`question` with every key, its lists sorted and without repetition; Refusal, NotFound with a sentence.

    An empty list lets everything through. `purpose` "training" (the default) leaves held-out labelers and batches made
    for evaluation out, always; "evaluation" takes such batches alone. `until` keeps what was there at that time.
    """
    if kind not in Dataset.Kind.values:
        raise Refusal(f"There is no kind of data set {kind!r}; choose {', '.join(Dataset.Kind.values)}.")
    question = question or {}
    if unknown := sorted(set(question) - KEYS):
        raise Refusal(
            f"A data set cannot be asked for by {str(unknown[0])[:60]!r}; choose among {', '.join(sorted(KEYS))}."
        )
    normal: dict[str, Any] = {name: _names(name, question.get(name)) for name in LISTS}
    normal["purpose"] = question.get("purpose") or TRAINING
    normal["include_simulated"] = question.get("include_simulated", False)
    normal["until"] = _until(question.get("until"))
    if normal["purpose"] not in (TRAINING, EVALUATION):
        raise Refusal(f"The purpose is training or evaluation, not {str(normal['purpose'])[:60]!r}.")
    if not isinstance(normal["include_simulated"], bool):
        raise Refusal("include_simulated is true or false.")
    _known("split", normal["splits"], Split.values)
    _known("use case", normal["use_cases"], [*UseCase.values, ""])
    _known("labeler group", normal["groups"], User.Group.values)
    _known("origin", normal["origins"], {*Ranking.Origin.values, *Demonstration.Origin.values})
    _exist("batch", normal["batches"], Batch)
    _exist("source", normal["sources"], Source)
    if normal["purpose"] == TRAINING and User.Group.HELD_OUT in normal["groups"]:
        raise Refusal(
            "Held-out labelers never enter a training export: their answers measure models. Take the group out, or ask "
            "for the purpose evaluation."
        )
    if User.Group.SIMULATED in normal["groups"] and not normal["include_simulated"]:
        raise Refusal("The group simulated is there only with include_simulated; ask for it, or take the group out.")
    if kind == Dataset.Kind.PROMPTS:
        for name in ("groups", "origins"):
            if normal[name]:
                raise Refusal(f"Prompts have no {name}: nobody has answered them yet. Leave {name} out.")
        if normal["purpose"] != TRAINING:
            raise Refusal("Prompts are exported for training alone; leave the purpose out.")
    return normal


def _names(name: str, value: Any) -> list[str]:
    value = [] if value is None else value
    if not isinstance(value, list | tuple) or not all(isinstance(entry, str) for entry in value):
        raise Refusal(f"{name} must be a list of texts.")
    if len(value) > MOST_ENTRIES:
        raise Refusal(f"{name} lists {len(value)} entries; at most {MOST_ENTRIES} can be asked for.")
    return sorted({check_text(entry, where=name) for entry in value})


def _until(value: Any) -> str | None:
    if value is None or value == "":
        return None
    time = value if isinstance(value, datetime) else read_time(value, name="until")
    if time.tzinfo is None:
        raise Refusal("until must be a time with an offset.")
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def _known(what: str, asked: list[str], known: Any) -> None:
    if unknown := [entry for entry in asked if entry not in known]:
        listed = ", ".join(sorted(entry for entry in known if entry))
        raise Refusal(f"There is no {what} {unknown[0][:60]!r}; choose among {listed}.")


def _exist(what: str, names: list[str], model: type[Batch] | type[Source]) -> None:
    """A name with a typing error would else make an empty data set without a word."""
    missing = set(names) - set(model.objects.filter(name__in=names).values_list("name", flat=True))
    if missing:
        raise NotFound(f"There is no {what} called {sorted(missing)[0][:100]}; look at its list for the right name.")
