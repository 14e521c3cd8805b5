"""The practice tasks as they are packaged (labeling/content/practice.*.toml), in the language of their reader."""

from __future__ import annotations

import re
import tomllib
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from labeling.forms.built_in import BUILT_IN
from labeling.forms.definition import read_definition
from labeling.markdown import to_html
from labeling.people.keys import COMMANDS
from labeling.refusals import NotFound
from labeling.sampling.models import Batch

CONTENT = Path(__file__).resolve().parent.parent / "content"
SOURCE = "en"
# Completions are named in the files; their names tell which is the good one, and never reach a page.
IDS = uuid.UUID("5d0b7f0e-6c1c-4d53-9a62-5f3a0c1b2f77")
KEY = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Completion:
    """An answer to judge, and how we judge it: `rating` where its form asks for one, `fair` the ratings as good."""

    id: str
    text: str
    why: str
    rank: int
    rating: int | None
    fair: tuple[int, ...]
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Note:
    """What stands beside the work until `done` has happened (static/js/coach.js knows what can); empty for the last."""

    text: SafeString
    done: str


@dataclass(frozen=True)
class PracticeTask:
    """One practice task with its reference.

    `definition` is what is asked of the completions, None where an answer is written. `open` are the pairs of ids of
    which either order is good, `margin` how many steps of the scale of nine the better one of a pair is better.
    """

    name: str
    kind: str
    title: str
    prompt: str
    lesson: SafeString
    definition: dict | None
    completions: tuple[Completion, ...]
    open: frozenset[frozenset[str]]
    all_bad: bool
    margin: int
    answer: str
    notes: tuple[Note, ...]


def practice_tasks(language: str | None = None) -> tuple[PracticeTask, ...]:
    """All of them in their order; in the language of the request where none is named."""
    return _tasks(language or get_language() or SOURCE)


def practice_task(name: str) -> PracticeTask:
    for task in practice_tasks():
        if task.name == name:
            return task
    raise NotFound(_("The tour has no such task; begin it again from its own page."))


@cache
def _tasks(language: str) -> tuple[PracticeTask, ...]:
    tables = read_file(SOURCE)
    # "pt-br" takes what "pt" has, and its own.
    for name in (language.split("-")[0], language):
        if name != SOURCE:
            tables = merged(tables, read_file(name))
    return tuple(_task(name, table) for name, table in tables.items())


def read_file(language: str) -> dict[str, Any]:
    """The tables of one language; none where there is no such file. A language tag is checked by Django."""
    path = CONTENT / f"practice.{language}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def merged(tables: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`tables` with the texts of `over` in place of its own. What only `over` has stays out."""
    return {
        name: merged(value, over.get(name, {})) if isinstance(value, dict) else over.get(name, value)
        for name, value in tables.items()
    }


def _task(name: str, table: dict[str, Any]) -> PracticeTask:
    def id_of(completion: str) -> str:
        return str(uuid.uuid5(IDS, f"{name}:{completion}"))

    completions = table.get("completions", {})
    ranked = table["kind"] == Batch.Kind.RANKING
    return PracticeTask(
        name=name,
        kind=table["kind"],
        title=table["title"],
        prompt=table["prompt"],
        lesson=to_html(table["lesson"]),
        definition=read_definition(BUILT_IN[table["form"]][1]) if ranked else None,
        completions=tuple(
            Completion(
                id=id_of(completion),
                text=said["text"],
                why=said["why"],
                rank=said["rank"],
                rating=said.get("rating"),
                fair=tuple(said.get("fair", ())),
                flags=tuple(said.get("flags", ())),
            )
            for completion, said in completions.items()
        ),
        open=frozenset(frozenset(map(id_of, pair)) for pair in table.get("open", ())),
        all_bad=table.get("all_bad", False),
        margin=table.get("margin", 0),
        answer=table.get("answer", ""),
        notes=tuple(Note(text=_with_keys(note["text"]), done=note.get("done", "")) for note in table["notes"].values()),
    )


def _with_keys(text: str) -> SafeString:
    """The text with its {keys} as <kbd>; of commands and flags the page's script writes the reader's own."""

    def kbd(match: re.Match) -> str:
        name = match[1]
        if name in COMMANDS:
            return f'<kbd data-key="{name}">{COMMANDS[name][0]}</kbd>'
        if name.startswith("flag:"):
            return f'<kbd data-flag-key="{name.removeprefix("flag:")}"></kbd>'
        return f"<kbd>{name}</kbd>"

    return mark_safe(KEY.sub(kbd, escape(text)))
