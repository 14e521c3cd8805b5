"""Mark what a completion says of its maker, in the transaction that stores it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from django.db import connection
from django.db.models.functions import Now

from labeling.intake.models import Prompt
from labeling.sampling.models import Batch, Completion, CompletionMark, MakerTerm
from labeling.sampling.naming import BUILT_IN, Finder, names_of_model, normal

# One number for the lock between those who store completions (any number at once) and who adds a term (alone): a
# completion that is not looked at with a new term is there before the term's own look at all completions begins.
LOCK = 0x6B776973
CHARACTERS = CompletionMark._meta.get_field("term").max_length


def lock_terms(*, alone: bool) -> None:
    """Held until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_xact_lock{'' if alone else '_shared'}(%s)", [LOCK])


def ensure_built_in() -> None:
    """The terms that are looked for from the start; one that somebody switched off stays off."""
    MakerTerm.objects.bulk_create(
        (MakerTerm(text=text, normal=normal(text), built_in=True) for text in BUILT_IN), ignore_conflicts=True
    )


def active_terms() -> tuple[str, ...]:
    return tuple(MakerTerm.objects.filter(active=True).order_by("id").values_list("text", flat=True))


# A batch is stored by one process with the same terms and models, over and over.
finder = lru_cache(maxsize=64)(Finder)


def names_to_hide(*, model: str, messages: list[dict]) -> Finder:
    """Finds what would tell whoever is shown an answer to `messages` that `model` wrote it. A name that stands in the
    messages gives nothing away."""
    names = finder((*names_of_model(model), *active_terms()))
    asked = {name.term for message in messages for name in names.find(message["content"])}
    return finder(tuple(term for term in names.terms.values() if term not in asked)) if asked else names


def marks_for(
    *, prompt: Prompt, batch: Batch, models: Mapping[Completion, Iterable[str]], terms: tuple[str, ...]
) -> list[CompletionMark]:
    """The marks, not stored yet, of completions by the names of the `models` that wrote them.

    A name that stands in the prompt gives nothing away. Where the batch holds nothing back they are allowed at once.
    """
    state = {} if batch.hold_named else {"state": CompletionMark.State.ALLOWED, "decided_at": Now()}
    asked = "\n".join(message["content"] for message in prompt.messages)
    made: list[CompletionMark] = []
    for completion, wrote in models.items():
        own = dict.fromkeys(name for model in wrote for name in names_of_model(model))
        names = finder((*own, *terms))
        found = names.find(completion.text)
        known = {name.term for name in names.find(asked)} if found else set()
        made += [
            CompletionMark(completion=completion, term=name.term[:CHARACTERS], start=name.start, end=name.end, **state)
            for name in found
            if name.term not in known
        ]
    return made


def mark_completions(*, prompt: Prompt, batch: Batch, models: Mapping[Completion, Iterable[str]]) -> int:
    """Store the marks of new completions; how many. In the caller's transaction."""
    lock_terms(alone=False)
    marks = marks_for(prompt=prompt, batch=batch, models=models, terms=active_terms())
    CompletionMark.objects.bulk_create(marks)
    return len(marks)
