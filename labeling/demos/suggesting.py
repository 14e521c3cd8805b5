"""Model suggestions for who writes: asked for by the labeler, written by a job as the model says it, stopped by either.

Every change of a suggestion is an UPDATE that says in which state it must be, so a stopped one stays stopped whoever
else is at it. The labeler's side never reads who wrote it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from labeling.background import services as background
from labeling.demos.models import Suggestion
from labeling.demos.services import TEXT_CHARACTERS, first_speaker, read_turns
from labeling.leasing.answers import BadAnswer
from labeling.leasing.models import Lease
from labeling.leasing.services import LeaseEnded, lock_lease
from labeling.people.models import User
from labeling.refusals import Conflict, Refusal
from labeling.sampling import drawing
from labeling.sampling.choosing import request_seed
from labeling.sampling.marks import names_to_hide
from labeling.sampling.models import Batch
from labeling.text import storable
from models_service.client import ModelClient, ModelRefused, ModelUnavailable

WRITE_EVERY = 0.25  # seconds between two UPDATEs of the text; the page asks about as often
BEAT_EVERY = 5.0  # seconds between looks whether the job was cancelled
PIECE_TIMEOUT = 60.0  # seconds without a word after which the server counts as gone
TRIES = 2  # somebody waits: a server that is down is told at once, not in minutes
JOB_ATTEMPTS = 2  # the second only finds that the first was lost
ERROR_CHARACTERS = Suggestion._meta.get_field("error").max_length


class NoSuggestions(Conflict):
    """None are to be had: for this task, or any more."""

    code = "no_suggestions"


# What the labeler reads of a failure.
FAILURES = {
    Suggestion.Failure.UNAVAILABLE: gettext_lazy("The model does not answer. Write on, or ask again later."),
    Suggestion.Failure.REFUSED: gettext_lazy("The model cannot answer this. Write on your own."),
    Suggestion.Failure.NAMED: gettext_lazy("This suggestion cannot be shown. Ask for another."),
    Suggestion.Failure.EMPTY: gettext_lazy("This suggestion came out empty. Ask for another."),
    Suggestion.Failure.LOST: gettext_lazy("This suggestion broke off. Ask for another."),
}


# The labeler asks and stops


@transaction.atomic(durable=True)
def ask_for_suggestion(*, lease_id: uuid.UUID | str, labeler: User, turns: Any = None) -> tuple[Suggestion, bool]:
    """A suggestion for the next message of the labeler's open task, and whether it is new; a job writes it.

    `turns` are the messages written so far, [{"role", "content"}, …], where it is a dialogue. While one for the same
    messages is being written, it is that one. Raises LeaseEnded once the task is not open, NoSuggestions where its
    batch has none or all are used up, Conflict while another is being written, BadAnswer for turns that are none.
    """
    lease = lock_lease(lease_id=lease_id, labeler=labeler)  # two tabs ask one after the other
    check_open(lease.state)
    batch, prompt = lease.task.batch, lease.task.item.prompt
    endpoint = batch.suggestions
    if endpoint is None or not endpoint.active:
        raise NoSuggestions(_("There are no suggestions for this task; write on your own."))
    messages = read_messages(lease, turns)
    given = list(Suggestion.objects.filter(lease=lease).order_by("number"))
    if given and given[-1].state in Suggestion.UNFINISHED:
        if given[-1].messages == messages:
            return given[-1], False
        raise Conflict(_("A suggestion is being written already; stop it first."), number=given[-1].number)
    if len(given) >= Suggestion.MOST:
        raise NoSuggestions(
            _("You have had all %(count)s suggestions for this task; write on.") % {"count": Suggestion.MOST}
        )
    number = len(given) + 1
    suggestion = Suggestion.objects.create(
        lease=lease,
        number=number,
        turn=len(messages),
        messages=messages,
        endpoint=endpoint,
        model=endpoint.model,
        # Another for each labeler too: who write about the same prompt must not all begin from one text.
        seed=request_seed(
            seed=batch.seed,
            prompt_sha256=prompt.text_sha256,
            endpoint=f"{endpoint.name}:{lease.pk}:{len(messages)}",
            attempt=number,
        ),
        parameters={"temperature": batch.temperature, "top_p": batch.top_p, "max_tokens": batch.max_tokens},
    )
    background.enqueue(
        kind="write_suggestion",
        arguments={"suggestion": suggestion.pk},
        key=f"suggestion:{suggestion.pk}",
        created_by=labeler,
        max_attempts=JOB_ATTEMPTS,
    )
    return suggestion, True


def read_messages(lease: Lease, turns: Any) -> list[dict]:
    """The conversation that a suggestion goes on with: the prompt's, and in a dialogue the `turns` after it."""
    messages = lease.task.item.messages
    if turns and lease.task.kind != Batch.Kind.DIALOGUE:
        raise BadAnswer(_("`turns` are for dialogues, and this task is none; leave them out."))
    read = read_turns(turns, first=first_speaker(messages)) if turns else []
    if sum(len(turn["content"]) for turn in read) > TEXT_CHARACTERS:
        raise BadAnswer(
            _("`turns` may have {text_characters} characters in all.").format(text_characters=TEXT_CHARACTERS)
        )
    if not read and messages[-1]["role"] != "user":
        raise BadAnswer(_("A suggestion answers a turn of the user; write one first."))
    return [*messages, *read]


def check_open(state: str) -> None:
    """Raises LeaseEnded for a lease in any other state than open."""
    if state != Lease.State.OPEN:
        raise LeaseEnded(_("This task is not open any more; suggestions are for while you write."))


@transaction.atomic(durable=True)
def stop_suggestion(*, lease_id: uuid.UUID | str, labeler: User, number: int) -> None:
    """It stays as far as it came. Stopping what has ended, or never was, changes nothing."""
    lease = lock_lease(lease_id=lease_id, labeler=labeler)
    check_open(lease.state)
    _end(Q(lease=lease, number=number), Suggestion.State.STOPPED)


def stop_all(leases: Sequence[Lease]) -> int:
    """How many suggestions are stopped, since their tasks were given back, in the caller's transaction."""
    return _end(Q(lease__in=[lease.pk for lease in leases]), Suggestion.State.STOPPED)


# The job writes


def write_suggestion(
    *, suggestion_id: int, beat: Callable[[], None], clock: Callable[[], float] = time.monotonic
) -> Suggestion:
    """Have the endpoint write it, the text so far stored now and then; the suggestion as it ended.

    It ends early when it was stopped, when its task is not open any more, and when it names who wrote it: what is shown
    never has such a name, nor the beginning of one. `beat` may raise to end it. What goes wrong is the suggestion's
    failure and not the job's: asking again is the labeler's choice.
    """
    this = Q(pk=suggestion_id)
    mine = Suggestion.objects.filter(this)
    open_ones = mine.filter(state=Suggestion.State.WAITING, lease__state=Lease.State.OPEN)
    begun = open_ones.update(state=Suggestion.State.WRITING, started_at=Now())
    suggestion = mine.select_related("endpoint").get()
    if not begun:
        if suggestion.state == Suggestion.State.WRITING:
            _fail(this, Suggestion.Failure.LOST, "The worker that wrote it stopped without a word.")
        else:
            _end(this, Suggestion.State.STOPPED)
        return mine.get()
    try:
        with drawing.client_for(suggestion.endpoint, timeout=PIECE_TIMEOUT, tries=TRIES) as client:
            _write(suggestion, client, beat, clock)
    except (ModelUnavailable, Refusal) as trouble:
        _fail(this, Suggestion.Failure.UNAVAILABLE, str(trouble))
    except ModelRefused as trouble:
        _fail(this, Suggestion.Failure.REFUSED, str(trouble))
    except background.JobCancelled:
        _end(this, Suggestion.State.STOPPED)
        raise
    return mine.get()


def _write(suggestion: Suggestion, client: ModelClient, beat: Callable[[], None], clock: Callable[[], float]) -> None:
    this = Q(pk=suggestion.pk)
    names = names_to_hide(model=suggestion.model, messages=suggestion.messages)
    going = Suggestion.objects.filter(this, state=Suggestion.State.WRITING, lease__state=Lease.State.OPEN)
    pieces = client.stream_chat(suggestion.model, suggestion.messages, seed=suggestion.seed, **suggestion.parameters)
    text, written_at, beaten_at = "", clock(), clock()
    for piece in pieces:
        text += storable(piece)
        now = clock()
        if now - beaten_at >= BEAT_EVERY:
            beat()
            beaten_at = now
        if now - written_at < WRITE_EVERY:
            continue
        written_at = now
        # A name at the very end may yet turn out to be part of another word.
        if any(name.end < len(text) for name in names.find(text)):
            break
        if not going.update(text=text[: names.open_from(text)]):
            _end(this, Suggestion.State.STOPPED)
            break
    pieces.close()  # where it was broken off: hangs up, and the server stops
    if found := names.find(text):
        _fail(this, Suggestion.Failure.NAMED, f"It named {found[0].term}.", text="")
    elif not text.strip():
        _fail(this, Suggestion.Failure.EMPTY, "It had no text.", text="")
    else:
        _end(this, Suggestion.State.DONE, text=text)


def _fail(which: Q, failure: str, error: str, **changes: Any) -> None:
    """`error` is for staff: it may name the endpoint and the model."""
    _end(which, Suggestion.State.FAILED, failure=failure, error=storable(error)[:ERROR_CHARACTERS], **changes)


def _end(which: Q, state: str, **changes: Any) -> int:
    """End it, unless it has ended; how many that were."""
    unfinished = Suggestion.objects.filter(which, state__in=Suggestion.UNFINISHED)
    return unfinished.update(state=state, ended_at=Now(), **changes)
