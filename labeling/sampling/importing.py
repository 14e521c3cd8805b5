"""Completions that were written elsewhere: read from a file's lines, and put into a batch to be judged here.

A line has `prompt` or `messages`, and `completions`: an object of system → text, or a list of {"text", "model"}. The
same text of several systems is one completion that all of them wrote. Who wrote what is provenance, which no labeler
sees.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.forms.models import Form
from labeling.forms.queries import newest_version
from labeling.governance.services import import_prompts
from labeling.intake.models import Prompt
from labeling.intake.reading import Problem
from labeling.intake.services import read_prompt
from labeling.people.models import User
from labeling.refusals import Conflict
from labeling.sampling.choosing import K_OF_ORDER
from labeling.sampling.marks import mark_completions
from labeling.sampling.models import Batch, BatchItem, Completion, Provenance
from labeling.sampling.services import check_form, check_groups, check_name, check_numbers
from labeling.text import BadText, check_text
from training.formats import canonical_json

CHUNK = 200  # lines a transaction
MOST_PROBLEMS = 100  # lines that the summary names
NOBODY_NAMED = "human"  # the writer of a completion that names none


class BadRow(Exception):
    """A line that cannot go in; `problem` says why."""

    def __init__(self, reason: str, detail: str) -> None:
        self.problem = Problem(reason, detail)


@dataclass(frozen=True)
class Group:
    """One prompt with its completions: each text once → the names of those that wrote it."""

    line: int
    external_id: str
    messages: list[dict[str, str]]
    text_sha256: str
    texts: dict[str, list[str]]


@dataclass
class Imported:
    """What became of a file."""

    batch: str
    groups: int = 0
    completions: int = 0
    unchanged: int = 0  # groups that were in the batch already
    prompts: Counter = field(default_factory=Counter)  # of new groups, by state
    rejected: Counter = field(default_factory=Counter)
    problems: list[dict] = field(default_factory=list)

    def reject(self, line: int, problem: Problem) -> None:
        self.rejected[problem.reason] += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append({"line": line, "reason": problem.reason, "detail": problem.detail})

    def as_dict(self) -> dict:
        counted = {"prompts": dict(sorted(self.prompts.items())), "rejected": dict(sorted(self.rejected.items()))}
        return {**vars(self), **counted}


# Reading


def read_written(row: dict) -> list[tuple[str, str]]:
    """The completions of a line as (text, name of what wrote it), texts to the byte. Raises BadRow."""
    completions = row.get("completions")
    if isinstance(completions, list):
        written = [_read_entry(entry, index) for index, entry in enumerate(completions)]
    elif isinstance(completions, dict):
        written = [(_read_text(text, f"completion {name[:60]!r}"), name) for name, text in completions.items()]
    else:
        raise BadRow("no_completions", "`completions` must be a list of completions, or an object of system → text")
    if any(not name or len(name) > 200 for _text, name in written):
        raise BadRow("wrong_type", "the name of a model must have from 1 to 200 characters")
    return written


def _read_entry(entry: Any, index: int) -> tuple[str, str]:
    if not isinstance(entry, dict):
        raise BadRow("wrong_type", f"completion {index} must be an object with `text`")
    model = entry.get("model", NOBODY_NAMED)
    if not isinstance(model, str):
        raise BadRow("wrong_type", f"the model of completion {index} must be text")
    return _read_text(entry.get("text"), f"completion {index}"), model


def _read_text(text: Any, where: str) -> str:
    if not isinstance(text, str):
        raise BadRow("wrong_type", f"the text of {where} must be text")
    if not text.strip():
        raise BadRow("empty_completion", f"{where} is empty")
    try:
        return check_text(text, where=where)
    except BadText as bad:
        raise BadRow("bad_text", bad.message) from None


def merge(written: Sequence[tuple[str, str]], *, least: int, most: int) -> dict[str, list[str]]:
    """Each text once → who wrote it. Raises BadRow unless there are from `least` to `most` different ones."""
    texts: dict[str, list[str]] = {}
    for text, name in written:
        texts.setdefault(text, []).append(name)
    if not least <= len(texts) <= most:
        raise BadRow("wrong_k", f"{len(texts)} different completions; a task of this form has from {least} to {most}")
    return texts


def read_external_id(row: dict) -> str:
    """The line's `group_id`, or the digest of the line. Raises BadRow."""
    external_id = row.get("group_id")
    if external_id is None:
        return hashlib.sha256(canonical_json(row)).hexdigest()
    if not isinstance(external_id, str) or not 1 <= len(external_id) <= 200:
        raise BadRow("wrong_type", "`group_id` must be text of 1 to 200 characters")
    return external_id


def read_group(row: Any, *, line: int, least: int, most: int) -> Group | Problem:
    """The group in a line, or why there is none."""
    prompt = read_prompt(row)
    if isinstance(prompt, Problem):
        return prompt
    try:
        texts = merge(read_written(row), least=least, most=most)
        return Group(line, read_external_id(row), prompt.messages, prompt.text_sha256, texts)
    except BadRow as bad:
        return bad.problem


# Storing


def import_completions(
    *,
    rows: Iterable[tuple[int, Any]],
    name: str,
    source: str,
    form: Form | None = None,
    overlap: int = 1,
    groups: Sequence[str] = (User.Group.TRAINING,),
    evaluation: bool = False,
    hold_named: bool = True,
    created_by: User | None = None,
) -> Imported:
    """Bring completions into the batch `name`, to be judged as sampled ones are; doing it twice stores nothing twice.

    `rows` are (line number, object or Problem). Prompts go through the gate that all prompts pass, each group as a
    source user of its own. Tasks are opened by the caller (`leasing.services.open_tasks`). The options describe a new
    batch; one that is there keeps its own. Raises Refusal, Conflict where `name` is a batch of another kind.
    """
    check_name(name, what=_("A batch"))
    check_name(source, what=_("A source"))
    result, remaining = Imported(batch=name), iter(rows)
    chunk = list(islice(remaining, CHUNK))  # before anything is written: the file may turn out to be none
    batch = _batch(
        name,
        form=form,
        overlap=overlap,
        groups=list(groups),
        evaluation=evaluation,
        hold_named=hold_named,
        created_by=created_by,
    )
    least, most = K_OF_ORDER[newest_version(batch.form_id).definition["order"]]
    while chunk:
        found = [(line, read_group(row, line=line, least=least, most=most)) for line, row in chunk]
        for line, problem in found:
            if isinstance(problem, Problem):
                result.reject(line, problem)
        bring_prompts_in([each for _line, each in found if isinstance(each, Group)], name, source, created_by)
        for _line, each in found:
            if isinstance(each, Group):
                _store(batch, each, result)
        chunk = list(islice(remaining, CHUNK))
    if result.groups:
        record(actor=created_by, action="completions.imported", subject=batch, source=source, groups=result.groups)
    return result


def _batch(name: str, *, overlap: int, groups: list[str], created_by: User | None, **fields: Any) -> Batch:
    check_numbers(overlap=overlap)
    check_groups(groups)
    if not Batch.objects.filter(name=name).exists():
        check_form(fields["form"])
    with transaction.atomic(durable=True):
        batch, made = Batch.objects.get_or_create(
            name=name,
            defaults={
                "state": Batch.State.OPEN,
                "overlap": overlap,
                "groups": groups,
                "created_by": created_by,
                **fields,
            },
        )
        if made:
            record(actor=created_by, action="batch.created", subject=batch, name=name, items=0)
    if batch.kind != Batch.Kind.RANKING or batch.imported or batch.repeat_of_id or batch.endpoints.exists():
        raise Conflict(
            _("The batch {name} does not hold imported completions; give this one another name.").format(name=name)
        )
    return batch


def bring_prompts_in(groups: Sequence[Any], name: str, source: str, created_by: User | None) -> None:
    """The prompts of `groups` through the gate that all prompts pass; what is there already stays whose it is."""
    rows = [
        (group.line, {"messages": group.messages, "user_id": group.external_id, "external_id": group.external_id})
        for group in groups
    ]
    if rows:
        # What people judged elsewhere goes in whatever its length.
        import_prompts(rows=rows, name=name, source=source, created_by=created_by, most_tokens=0)


def rows_of(item: BatchItem, texts: dict[str, list[str]]) -> tuple[list[Completion], list[Provenance]]:
    """Completions of `item` and whence each came, not stored yet."""
    completions = [
        Completion(item=item, text=text, text_sha256=hashlib.sha256(text.encode()).hexdigest()) for text in texts
    ]
    provenance = [
        Provenance(completion=completion, model=name) for completion in completions for name in texts[completion.text]
    ]
    return completions, provenance


@transaction.atomic(durable=True)
def _store(batch: Batch, group: Group, result: Imported) -> None:
    # One import at a time for a batch: another one of the same file finds this group when it gets the lock.
    batch = Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)
    if batch.items.filter(external_id=group.external_id).exists():
        result.unchanged += 1
        return
    prompt = Prompt.objects.filter(text_sha256=group.text_sha256).first()
    if prompt is None:
        result.reject(group.line, Problem("prompt_rejected", "its prompt did not pass the gate for prompts"))
        return
    item = BatchItem.objects.create(
        batch=batch,
        prompt=prompt,
        external_id=group.external_id,
        k=len(group.texts),
        state=BatchItem.State.FILLED,
    )
    completions, provenance = rows_of(item, group.texts)
    Completion.objects.bulk_create(completions)
    Provenance.objects.bulk_create(provenance)
    wrote = {completion: group.texts[completion.text] for completion in completions}
    mark_completions(prompt=prompt, batch=batch, models=wrote)
    result.prompts[prompt.state] += 1
    result.groups += 1
    result.completions += len(completions)
