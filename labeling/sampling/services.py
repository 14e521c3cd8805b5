"""Endpoints and batches: make them, fill them with completions, close and open them."""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from itertools import islice
from urllib.parse import urlsplit

from django.db import IntegrityError, transaction
from django.db.models import Count
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.background import services as background
from labeling.background.models import Job
from labeling.forms.models import Form
from labeling.forms.queries import newest_version
from labeling.intake.models import Prompt
from labeling.people.models import WORKING_GROUPS, User
from labeling.refusals import Conflict, NotFound, Refusal, TryLater
from labeling.sampling import choosing, drawing
from labeling.sampling.choosing import Selection
from labeling.sampling.marks import mark_completions
from labeling.sampling.models import Batch, BatchItem, Completion, Endpoint, Provenance
from labeling.sampling.queries import waits_for_a_look, withheld
from labeling.sampling.reusing import fill_by_reuse
from labeling.sampling.selecting import draw
from labeling.text import check_text, storable
from models_service.client import ModelClient, ModelRefused, ModelUnavailable

# Requests under way at once: enough that a server can batch them, few enough that a cancelled job ends soon.
IN_FLIGHT = 6
# Items read at a time.
CHUNK = 100
# Seconds between calls of `stored`: the first labelers can start while the batch is still being sampled.
TELL_EVERY = 5.0
# Seconds between signs of life while all requests are still being answered.
BEAT_EVERY = 5.0
# An address outage of some minutes is ridden out: the pauses between attempts grow from 5 s to 20 min.
ATTEMPTS = 6
# Keys are read from variables with this name alone: an endpoint must not be able to send SECRET_KEY to its address.
KEY_VARIABLE = re.compile(r"MODEL_API_KEY(_[A-Z0-9_]{1,60})?")
# As a hint to who writes.
MOST_WORDS = 20_000
NAME = re.compile(r"[^\s/][^/\n\r\t]{0,98}[^\s/]|[^\s/]")


# Endpoints


def add_endpoint(
    *, name: str, base_url: str, model: str, api_key_variable: str = "", created_by: User | None = None
) -> Endpoint:
    """A new endpoint. Nothing is asked of the server: see `ask_for_check`."""
    check_name(name, what=_("An endpoint"))
    check_text(model, where=_("the model's name"))
    check_text(base_url, where=_("the address"))
    try:
        address = urlsplit(base_url)
        good = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:
        good = False
    if not good or len(base_url) > 300 or any(character.isspace() for character in base_url):
        raise Refusal(
            _("The address must be like http://127.0.0.1:8001: a scheme, a host, and a port if it is not 80.")
        )
    if address.username or address.password:
        raise Refusal(
            _("The address holds a user name or password; put the server's key into an environment variable.")
        )
    if not 1 <= len(model) <= 200:
        raise Refusal(_("The model's name, as its server calls it, has from 1 to 200 characters."))
    if api_key_variable and not KEY_VARIABLE.fullmatch(api_key_variable):
        raise Refusal(
            _(
                "A key is read from an environment variable called MODEL_API_KEY or MODEL_API_KEY_SOMETHING, "
                "not {api_key_variable!r}."
            ).format(api_key_variable=api_key_variable[:60])
        )
    try:
        with transaction.atomic():
            endpoint = Endpoint.objects.create(
                name=name, base_url=base_url.rstrip("/"), model=model, api_key_variable=api_key_variable
            )
            record(actor=created_by, action="endpoint.added", subject=endpoint, base_url=base_url, model=model)
    except IntegrityError:
        raise Conflict(
            _("There is an endpoint called {name} already; choose another name.").format(name=name)
        ) from None
    return endpoint


def set_endpoint_active(*, endpoint: Endpoint, active: bool, actor: User | None) -> Endpoint:
    """Switch an endpoint on or off. What it wrote stays; an endpoint that is off fills no batch."""
    with transaction.atomic():
        Endpoint.objects.filter(pk=endpoint.pk).update(active=active)
        record(actor=actor, action="endpoint.switched_on" if active else "endpoint.switched_off", subject=endpoint)
    endpoint.refresh_from_db()
    return endpoint


def ask_for_check(*, endpoint: Endpoint, actor: User | None) -> Job:
    """Queue a look at the endpoint's server; the page shows what it found."""
    with transaction.atomic():
        Endpoint.objects.filter(pk=endpoint.pk).update(check_asked_at=Now())
        record(actor=actor, action="endpoint.check_asked", subject=endpoint)
        return background.enqueue(
            kind="check_endpoint",
            arguments={"endpoint": endpoint.pk},
            key=f"check_endpoint:{endpoint.pk}",
            created_by=actor,
            max_attempts=1,
        )


def check_endpoint(*, endpoint: Endpoint) -> Endpoint:
    """Look whether the server answers within seconds and has the model, and write that down."""
    error = ""
    try:
        with drawing.client_for(endpoint, timeout=drawing.CHECK_TIMEOUT) as client:
            cards = client.call("GET", "/v1/models", timeout=drawing.CHECK_TIMEOUT, tries=1).get("data")
            names = [card.get("id") for card in cards if isinstance(card, dict)] if isinstance(cards, list) else []
        if endpoint.model not in names:
            served = ", ".join(sorted(str(name) for name in names)[:10]) or "none"
            error = f"The server answers, but has no model {endpoint.model}; it has: {served}."
    except (ModelUnavailable, ModelRefused) as trouble:
        error = str(trouble)
    except Refusal as refusal:
        error = refusal.message
    error = storable(error)[:300]
    Endpoint.objects.filter(pk=endpoint.pk).update(checked_at=Now(), check_error=error)
    endpoint.refresh_from_db()
    return endpoint


# Batches


def create_batch(
    *,
    name: str,
    kind: str = Batch.Kind.RANKING,
    endpoints: Iterable[Endpoint] = (),
    prompts: Selection | Iterable[Prompt] | None = None,
    k: int | str | dict[int, float] | None = None,
    form: Form | None = None,
    overlap: int = 1,
    shared_percent: int = 0,
    groups: Iterable[str] = (User.Group.TRAINING,),
    group_targets: dict[str, int] | str = "",
    again: bool = False,
    priority: int = 0,
    temperature: float = 1.0,
    top_p: float = 1.0,
    max_tokens: int = 256,
    seed: int = 0,
    evaluation: bool = False,
    hold_named: bool = True,
    words_low: int | None = None,
    words_high: int | None = None,
    suggestions: Endpoint | None = None,
    review: bool = False,
    probation: bool = False,
    reuse: str = "",
    created_by: User | None = None,
) -> Batch:
    """A new batch with one waiting item per chosen prompt; nothing is sampled yet (`start_sampling`, `fill_batch`).

    `prompts` is a selection, or prompts themselves, of which only accepted ones go in. `form` says what is asked; None
    stands for that of InstructGPT. Each prompt's K is drawn from `k` by the batch's seed; what it may be, and what it
    is where `k` is None, depends on the form's order. `group_targets`, e.g. {"training": 2, "researcher": 1}, say how
    many answers each group gives, in place of `overlap` and `groups`. `again` shows prompts to labelers who had them in
    an earlier batch of the same kind. Of a batch of rankings about `shared_percent` in 100 tasks (0 to 20) are wanted
    from every labeler of the groups. In an evaluation every endpoint gives the same number of completions. With
    `hold_named` completions that name their maker wait for somebody's look; without it they are served at once.
    `words_low` and `words_high` tell who writes how many words are wanted; nothing is refused for its length.
    `suggestions` is the endpoint whose suggestions labelers may ask for while they write an answer, with this
    temperature, top-p and longest length. With `review` what is written counts once a second labeler has accepted or
    edited it, in a batch of its own that is made with this one.

    `reuse` takes completions that earlier batches have in place of new ones: see `reusing`.

    A `probation` batch is served to labelers on probation, and to researchers where `groups` name them. Raises Refusal
    with a sentence, Conflict where the name is taken.
    """
    endpoints, groups = list(dict.fromkeys(endpoints)), list(dict.fromkeys(groups))
    targets = choosing.read_targets(group_targets)
    if targets:
        groups, overlap = list(targets), sum(targets.values())
    check_name(name, what=_("A batch"))
    if kind not in Batch.Kind.values:
        raise Refusal(
            _("There is no kind of batch {kind!r}; choose among {values}.").format(
                kind=kind, values=", ".join(Batch.Kind.values)
            )
        )
    if kind == Batch.Kind.PROMPT:
        raise Refusal(_("A batch of prompts to be written holds no prompts yet; say what is wanted of whom instead."))
    if kind == Batch.Kind.REVIEW:
        raise Refusal(
            _("A batch of reviews is made with the batch whose answers are reviewed; ask there for `review`.")
        )
    if review and kind == Batch.Kind.RANKING:
        raise Refusal(_("Reviews are of what labelers write; how well rankings agree is measured. Leave `review` out."))
    if review:
        check_review_name(name)
    check_numbers(
        overlap=overlap, priority=priority, temperature=temperature, top_p=top_p, max_tokens=max_tokens, seed=seed
    )
    check_groups(groups)
    if not 0 <= shared_percent <= 20 or shared_percent and kind != Batch.Kind.RANKING:
        raise Refusal(_("From 0 to 20 percent of a batch of rankings can be for everybody; of any other batch 0."))
    weights: dict[int, float] = {}
    if kind == Batch.Kind.RANKING:
        check_form(form)
        weights = choosing.read_k(k, order=newest_version(form and form.pk).definition["order"])
        if not reuse:
            _check_endpoints(endpoints, weights, temperature=temperature, evaluation=evaluation)
    elif form is not None:
        raise Refusal(_("A form asks about completions; leave it out of a batch of ideal answers."))
    elif endpoints:
        raise Refusal(_("Demonstrations are written by people: leave the endpoints out."))
    elif evaluation:
        raise Refusal(_("An evaluation compares completions: it is a batch of kind ranking."))
    if reuse and reuse not in Batch.Reuse.values:
        raise Refusal(
            _("Completions that are there are chosen by {values}, not {reuse!r}.").format(
                values=", ".join(Batch.Reuse.values), reuse=str(reuse)[:20]
            )
        )
    if reuse and (kind != Batch.Kind.RANKING or evaluation or endpoints):
        raise Refusal(
            _(
                "Completions that are there are ranked again, and none are sampled: leave out the endpoints, and "
                "choose rankings that are no evaluation."
            )
        )
    if probation and evaluation:
        raise Refusal(_("An evaluation compares models, by labelers who are through with probation; choose one."))
    _check_words(words_low, words_high, kind=kind)
    if suggestions is not None and kind not in (Batch.Kind.DEMONSTRATION, Batch.Kind.DIALOGUE):
        raise Refusal(_("Suggestions are for who writes answers; leave them out of any other batch."))
    if suggestions is not None and not suggestions.active:
        raise Refusal(
            _("Endpoint {endpoint} is switched off; switch it on or choose another.").format(endpoint=suggestions.name)
        )

    if prompts is None:
        prompts = Selection()
    if reuse and isinstance(prompts, Selection):
        # Such prompts are all in batches.
        prompts = replace(prompts, fresh=False, completions=min(weights))
    if not isinstance(prompts, Selection):
        wanted = Prompt.objects.filter(pk__in=[prompt.pk for prompt in prompts], state=Prompt.State.ACCEPTED)
        named = wanted.order_by("created_at", "id").values_list("pk", "text_sha256")
    state = BatchItem.State.WAITING if kind == Batch.Kind.RANKING else BatchItem.State.FILLED
    try:
        with transaction.atomic(durable=True):
            batch = Batch.objects.create(
                name=name,
                kind=kind,
                form=form,
                overlap=overlap,
                shared_percent=shared_percent,
                groups=groups,
                group_targets=targets,
                again=again,
                priority=priority,
                temperature=temperature,
                top_p=top_p,
                max_tokens=max_tokens,
                seed=seed,
                evaluation=evaluation,
                hold_named=hold_named,
                words_low=words_low,
                words_high=words_high,
                suggestions=suggestions,
                review=review,
                probation=probation,
                reuse=reuse,
                created_by=created_by,
            )
            if review:
                make_review_batch(batch)
            batch.endpoints.set(endpoints)
            if isinstance(prompts, Selection):
                rows, batch.selection = draw(prompts, seed=seed)
                strategy = prompts.order
            else:
                rows, strategy = ((pk, digest, None) for pk, digest in named.iterator(chunk_size=1000)), ""
            count = 0
            while part := list(islice(rows, 1000)):
                BatchItem.objects.bulk_create(
                    BatchItem(
                        batch=batch,
                        prompt_id=pk,
                        k=choosing.draw_k(weights, seed=seed, prompt_sha256=sha256) if weights else 0,
                        state=state,
                        strategy=strategy,
                        probability=probability,
                    )
                    for pk, sha256, probability in part
                )
                count += len(part)
            batch.save(update_fields=["selection"])
            if not count:
                raise Refusal(_("No accepted prompt matches; import prompts, release held ones, or widen the filters."))
            record(actor=created_by, action="batch.created", subject=batch, name=name, items=count)
    except IntegrityError as error:
        if "name" not in str(error):
            raise
        raise name_taken(name, review=review) from None
    return batch


def check_form(form: Form | None) -> None:
    """Refusal where nobody is to be asked by `form` any more; None is the default form."""
    if form is not None and form.archived:
        raise Refusal(
            _("The form {form} is archived; choose another, or have an admin bring it back.").format(form=form.name)
        )


def name_taken(name: str, *, review: bool) -> Conflict:
    """For whoever made a batch `name`, and one of reviews with it."""
    called = f"{name} / {review_name(name)}" if review else name
    return Conflict(_("There is a batch called {name} already; choose another name.").format(name=called))


def review_name(name: str) -> str:
    """What the batch of reviews of the batch `name` is called."""
    return f"{name} · review"


def check_review_name(name: str) -> None:
    check_name(review_name(name), what=_("A batch of reviews, which is called after the batch that it is about,"))


def make_review_batch(batch: Batch) -> Batch:
    """Empty: what is written in `batch` opens a task in it. Who wrote or had a prompt there may review others'."""
    return Batch.objects.create(
        name=review_name(batch.name),
        kind=Batch.Kind.REVIEW,
        state=Batch.State.OPEN,
        review_of=batch,
        groups=batch.groups,
        priority=batch.priority,
        again=True,
        created_by=batch.created_by,
    )


@transaction.atomic(durable=True)
def repeat_batch(*, batch: Batch, name: str, count: int | None, actor: User | None) -> Batch:
    """A batch of the very same prompts and completions, for the labelers who answered them in `batch`: do they still
    think so? Of `count` prompts drawn at random, or of all. Its answers never train a model, or these prompts would
    count twice. Raises Refusal, Conflict where the name is taken.
    """
    check_name(name, what=_("A batch"))
    if batch.imported or batch.repeat_of_id or batch.review_of_id:
        raise Refusal(_("Only a batch that labelers worked on, and no repeat or review itself, can be repeated."))
    if batch.kind == Batch.Kind.PROMPT:
        raise Refusal(_("Nobody writes the same prompt again; ask for more prompts in a new batch."))
    if count is not None and count < 1:
        raise Refusal(_("{count} prompts are nothing to repeat; ask for at least 1.").format(count=count))
    if batch.review:
        check_review_name(name)
    if taken := Batch.objects.filter(name__in=[name, *([review_name(name)] if batch.review else [])]).first():
        raise Conflict(_("There is a batch called {name} already; choose another name.").format(name=taken.name))
    endpoints = list(batch.endpoints.all())
    filled = batch.items.filter(state=BatchItem.State.FILLED, prompt__state=Prompt.State.ACCEPTED)
    filled = filled.exclude(waits_for_a_look())
    chosen = list(filled.order_by("?")[:count])
    if not chosen:
        raise Refusal(_("No prompt of this batch has been filled yet; there is nothing to repeat."))
    same = (
        "kind",
        "form",
        "overlap",
        "groups",
        "group_targets",
        "priority",
        "temperature",
        "top_p",
        "max_tokens",
        "seed",
        "words_low",
        "words_high",
        "suggestions",
        "review",
    )
    again = Batch.objects.create(
        name=name,
        state=Batch.State.OPEN,
        repeat_of=batch,
        evaluation=batch.kind == Batch.Kind.RANKING,
        created_by=actor,
        **{field: getattr(batch, field) for field in same},
    )
    if again.review:
        make_review_batch(again)
    again.endpoints.set(endpoints)
    for old in chosen:
        item = BatchItem.objects.create(
            batch=again, prompt_id=old.prompt_id, k=old.k, state=BatchItem.State.FILLED, note=old.note
        )
        for completion in old.completions.exclude(withheld()).order_by("id"):
            provenance = list(completion.provenance.order_by("id"))
            completion.pk, completion.item = uuid.uuid4(), item
            completion.save(force_insert=True)
            for source in provenance:
                source.pk, source.completion = None, completion
                source.save(force_insert=True)
    record(actor=actor, action="batch.repeated", subject=batch, repeat=again.pk, items=len(chosen))
    return again


def check_groups(groups: Collection[str]) -> None:
    """Refusal where one of the labeler groups is not known, or there is none."""
    if User.Group.APPLICANT in groups:
        raise Refusal(_("Applicants are given the tasks of their screening round alone; leave their group out."))
    if unknown := set(groups) - set(WORKING_GROUPS):
        raise Refusal(
            _("There is no labeler group {unknown!r}; choose among {values}.").format(
                unknown=sorted(unknown)[0], values=", ".join(WORKING_GROUPS)
            )
        )
    if not groups:
        raise Refusal(_("Say which labeler groups may work on the batch; with none, nobody would see it."))


def check_numbers(
    *,
    overlap: int,
    priority: int = 0,
    temperature: float = 1.0,
    top_p: float = 1.0,
    max_tokens: int = 256,
    seed: int = 0,
) -> None:
    """Refusal where one of the batch's numbers is out of its range."""
    if not -(2**63) <= seed < 2**63:
        raise Refusal(_("The seed {seed} does not fit 64 bits.").format(seed=seed))
    if not 1 <= overlap <= 100:
        raise Refusal(
            _("The overlap is {overlap}; from 1 to 100 labelers can answer the same task.").format(overlap=overlap)
        )
    if not -1000 <= priority <= 1000:
        raise Refusal(
            _("The priority is {priority}; it goes from -1000 to 1000, higher ones are served first.").format(
                priority=priority
            )
        )
    if not 0 <= temperature <= 2:
        raise Refusal(
            _("The temperature is {temperature}; it goes from 0 (always the likeliest token) to 2.").format(
                temperature=temperature
            )
        )
    if not 0 < top_p <= 1:
        raise Refusal(_("Top-p is {top_p}; it is a share above 0 and up to 1.").format(top_p=top_p))
    if not 1 <= max_tokens <= 4096:
        raise Refusal(
            _("The longest completion is {max_tokens} tokens; it goes from 1 to 4096.").format(max_tokens=max_tokens)
        )


def _check_words(low: int | None, high: int | None, *, kind: str) -> None:
    if kind == Batch.Kind.RANKING and (low, high) != (None, None):
        raise Refusal(_("The words that are wanted are a hint to who writes; leave them out of a batch to rank."))
    for number in (low, high):
        if number is not None and not 1 <= number <= MOST_WORDS:
            raise Refusal(
                _("{number} words cannot be wanted; ask for 1 to {most_words}, or leave it out.").format(
                    number=number, most_words=MOST_WORDS
                )
            )
    if low is not None and high is not None and low > high:
        raise Refusal(
            _("From {low} to {high} words is an empty range; put the smaller number first.").format(low=low, high=high)
        )


def _check_endpoints(
    endpoints: list[Endpoint], weights: dict[int, float], *, temperature: float, evaluation: bool
) -> None:
    """Refusal where these endpoints cannot give each K completions that differ, or an even number each."""
    if not endpoints:
        raise Refusal(_("A ranking batch needs an endpoint to sample from; add one under Endpoints."))
    for endpoint in endpoints:
        if not endpoint.active:
            raise Refusal(
                _("Endpoint {endpoint} is switched off; switch it on or choose another.").format(endpoint=endpoint.name)
            )
    count = len(endpoints)
    for number in weights:
        if number < count:
            raise Refusal(
                _("K is {number}, with {count} endpoints: each must give at least one completion.").format(
                    number=number, count=count
                )
            )
        if evaluation and number % count:
            raise Refusal(
                _(
                    "K is {number}, which cannot be split evenly over {count} endpoints; an evaluation asks as "
                    "much of each, or the comparison would lean to one side."
                ).format(number=number, count=count)
            )
        if temperature == 0 and number > count:
            raise Refusal(
                _(
                    "At temperature 0 an endpoint always writes the same completion; raise the temperature, or "
                    "ask for one completion of each endpoint."
                )
            )


def check_name(name: str, *, what: str) -> None:
    """Refusal where `name` could not stand in a list, an address or a command line."""
    check_text(name, where=_("the name"))
    if not NAME.fullmatch(name):
        raise Refusal(
            _(
                "{what} is called by 1 to 100 characters on one line, without a slash and without spaces at either end."
            ).format(what=what)
        )


def start_sampling(*, batch: Batch, actor: User | None) -> Job:
    """Queue the job that fills the batch and opens its tasks. One at a time for a batch."""
    with transaction.atomic():
        record(actor=actor, action="batch.sampling_started", subject=batch)
        return background.enqueue(
            kind="sample_batch",
            arguments={"batch": batch.pk},
            key=f"sample:{batch.pk}",
            created_by=actor,
            max_attempts=ATTEMPTS,
        )


def fill_batch(
    *,
    batch: Batch,
    beat: Callable[..., None],
    stored: Callable[[], None] | None = None,
) -> dict:
    """Sample every waiting item of the batch; counts by state, when no item waits any more.

    Each item is stored in a transaction of its own, so that what is done stays done: killed or cancelled, it goes on
    where it was. `beat(done=, total=, note=)` is told of progress and may raise to end it; `stored` is called now and
    then after items were stored. Raises TryLater when an endpoint does not answer, Refusal when one is switched off or
    the batch is closed, also while this runs.
    """
    endpoints = list(batch.endpoints.order_by("id"))
    waiting = BatchItem.objects.filter(batch=batch, state=BatchItem.State.WAITING)
    total = batch.items.count()
    done = total - waiting.count()
    beat(done=done, total=total, note=f"sampling for {batch.name}")
    if done < total:
        for endpoint in endpoints:
            if not endpoint.active:
                raise Refusal(
                    _("Endpoint {endpoint} is switched off; switch it on, then start the batch again.").format(
                        endpoint=endpoint.name
                    )
                )
        clients = {endpoint.pk: drawing.client_for(endpoint) for endpoint in endpoints}
        told = time.monotonic()

        def look() -> None:
            beat(done=done, total=total)
            if Batch.objects.filter(pk=batch.pk, state=Batch.State.CLOSED).exists():
                raise Refusal(_("{batch} is closed; reopen it, then let the rest be sampled.").format(batch=batch.name))

        look()
        try:
            filling = _reuse_all(batch, beat=look) if batch.reuse else _draw_all(batch, endpoints, clients, beat=look)
            for _item in filling:
                done += 1
                if stored and time.monotonic() - told > TELL_EVERY:
                    stored()
                    told = time.monotonic()
        finally:
            for client in clients.values():
                client.close()
    states = dict(batch.items.order_by().values_list("state").annotate(Count("pk")))
    Batch.objects.filter(pk=batch.pk, state=Batch.State.SAMPLING).update(state=Batch.State.OPEN)
    batch.refresh_from_db()
    if stored:
        stored()
    beat(done=total, total=total)
    return {"items": total, "filled": states.get("filled", 0), "failed": states.get("failed", 0)}


def _draw_all(
    batch: Batch, endpoints: list[Endpoint], clients: dict[int, ModelClient], *, beat: Callable[[], None]
) -> Iterator[BatchItem]:
    """Items, each after it was stored. A few requests run ahead in threads; rows are touched by this thread alone."""
    items = _waiting_items(batch)
    running: dict[Future, BatchItem] = {}
    trouble: str | None = None
    pool = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="sampling")
    try:
        while True:
            while trouble is None and len(running) < IN_FLIGHT and (item := next(items, None)):
                if item.prompt.state != Prompt.State.ACCEPTED:
                    fail_item(item=item, error=f"The prompt is {item.prompt.state} now and is not sent to a model.")
                    yield item
                    continue
                running[pool.submit(drawing.draw, wish_of(batch, item, endpoints), clients)] = item
            if not running:
                break
            ready, _not_yet = wait(running, timeout=BEAT_EVERY, return_when=FIRST_COMPLETED)
            beat()
            for future in ready:
                item = running.pop(future)
                try:
                    store_samples(item=item, batch=batch, endpoints=endpoints, drawn=future.result())
                except ModelRefused as refused:
                    if refused.status in (401, 403, 404):
                        # Not this prompt's fault: the next one would fare no better.
                        trouble = str(refused)
                        continue
                    fail_item(item=item, error=f"The model server refused: {refused}")
                except ModelUnavailable as error:
                    # What other requests bring is kept; then the whole waits for the server.
                    trouble = str(error)
                    continue
                yield item
    finally:
        # Requests under way end by themselves or by their time-out.
        pool.shutdown(wait=True, cancel_futures=True)
    if trouble is not None:
        raise TryLater(_("{trouble} What was sampled is kept; sampling goes on from there.").format(trouble=trouble))


def _reuse_all(batch: Batch, *, beat: Callable[[], None]) -> Iterator[BatchItem]:
    order = newest_version(batch.form_id).definition["order"]
    for number, item in enumerate(_waiting_items(batch)):
        if number % IN_FLIGHT == 0:
            beat()
        if item.prompt.state != Prompt.State.ACCEPTED:
            fail_item(item=item, error=f"The prompt is {item.prompt.state} now and is shown to nobody.")
        else:
            fill_by_reuse(item=item, batch=batch, least=choosing.K_OF_ORDER[order][0])
        yield item


def _waiting_items(batch: Batch) -> Iterator[BatchItem]:
    """Waiting items by id, read in parts so that no cursor stays open over the requests."""
    last = 0
    while True:
        waiting = BatchItem.objects.filter(batch=batch, state=BatchItem.State.WAITING, pk__gt=last)
        part = list(waiting.select_related("prompt").order_by("pk")[:CHUNK])
        if not part:
            return
        yield from part
        last = part[-1].pk


def wish_of(batch: Batch, item: BatchItem, endpoints: list[Endpoint]) -> drawing.Wish:
    """What is asked of the endpoints for one item; the same whenever it is asked."""
    sha256 = item.prompt.text_sha256
    shares = choosing.share_out(item.k, len(endpoints), seed=batch.seed, prompt_sha256=sha256)
    return drawing.Wish(
        messages=item.prompt.messages,
        prompt_sha256=sha256,
        shares=tuple((endpoint, share) for endpoint, share in zip(endpoints, shares, strict=True) if share),
        temperature=batch.temperature,
        top_p=batch.top_p,
        max_tokens=batch.max_tokens,
        seed=batch.seed,
        evaluation=batch.evaluation,
    )


def store_samples(*, item: BatchItem, batch: Batch, endpoints: list[Endpoint], drawn: drawing.Drawn) -> bool:
    """Keep what was drawn: each text once, each sample's provenance, marks where a text names its maker. False where
    another worker was first.

    An item that cannot be ranked (fewer than two texts, or in an evaluation a model without any) fails with a reason.
    """
    texts = list(dict.fromkeys(sample.text for sample in drawn.samples))
    silent = {endpoint.name for endpoint in endpoints} - {sample.endpoint.name for sample in drawn.samples}
    if len(texts) < 2:
        return fail_item(
            item=item,
            error=f"Only {len(texts)} different completion{'' if len(texts) == 1 else 's'} came of "
            f"{len(drawn.samples) + drawn.unusable} samples ({drawn.unusable} empty or unreadable); a ranking needs 2. "
            "Raise the temperature or the longest length.",
        )
    if batch.evaluation and silent:
        return fail_item(
            item=item, error=f"No usable completion came of {', '.join(sorted(silent))}; nothing can be compared."
        )
    with transaction.atomic(durable=True):
        # The lock decides between two workers that sampled the same item.
        locked = BatchItem.objects.select_for_update().get(pk=item.pk)
        if locked.state != BatchItem.State.WAITING:
            return False
        completions = {
            text: Completion(item=item, text=text, text_sha256=hashlib.sha256(text.encode()).hexdigest())
            for text in texts
        }
        Completion.objects.bulk_create(completions.values())
        Provenance.objects.bulk_create(
            Provenance(
                completion=completions[sample.text],
                endpoint=sample.endpoint,
                model=sample.endpoint.model,
                seed=sample.seed,
                parameters=sample.parameters,
                finish_reason=sample.finish_reason[:20],
                tokens=sample.tokens or None,
                logprob=sample.logprob,
            )
            for sample in drawn.samples
        )
        wrote: dict[Completion, list[str]] = {}
        for sample in drawn.samples:
            wrote.setdefault(completions[sample.text], []).append(sample.endpoint.model)
        mark_completions(prompt=item.prompt, batch=batch, models=wrote)
        item.state, item.error, item.note = BatchItem.State.FILLED, "", merge_note(item.k, len(texts), drawn)
        item.save(update_fields=["state", "error", "note"])
    return True


def merge_note(k: int, differ: int, drawn: drawing.Drawn) -> str:
    """What happened beyond K samples that all differ; empty when nothing did."""
    merged = len(drawn.samples) - differ
    parts = []
    if merged:
        parts.append(f"{merged} came out the same as another and {'was' if merged == 1 else 'were'} merged")
    if drawn.unusable:
        parts.append(f"{drawn.unusable} empty or unreadable left out")
    if differ != k:
        parts.insert(0, f"{k} wanted, {differ} differ")
    return "; ".join(parts)


def fail_item(*, item: BatchItem, error: str) -> bool:
    """Note that an item will not be filled, unless another worker filled it."""
    error = storable(error)[:500]
    waiting = BatchItem.objects.filter(pk=item.pk, state=BatchItem.State.WAITING)
    return bool(waiting.update(state=BatchItem.State.FAILED, error=error))


def retry_failed(*, batch: Batch, actor: User | None) -> Job:
    """Let failed items wait again and queue the sampling; refused where none failed."""
    with transaction.atomic(durable=True):
        # What failed with completions failed by a decision about them, and the same seed would draw the same texts.
        failed = BatchItem.objects.filter(batch=batch, state=BatchItem.State.FAILED, completions=None)
        count = BatchItem.objects.filter(pk__in=failed).update(state=BatchItem.State.WAITING, error="")
        if not count:
            raise Refusal(
                _(
                    "No prompt of {batch} failed in sampling; there is nothing to try again. Where completions "
                    "were left out, put the prompt into another batch."
                ).format(batch=batch.name)
            )
        record(actor=actor, action="batch.retried", subject=batch, items=count)
        return start_sampling(batch=batch, actor=actor)


def get_endpoint(endpoint_id: int | str) -> Endpoint:
    """NotFound for an unknown id."""
    return _get(Endpoint, endpoint_id, _("endpoint"))


def get_batch(batch_id: int | str) -> Batch:
    """NotFound for an unknown id."""
    return _get(Batch, batch_id, _("batch"))


def _get(model, key: int | str, what: str):
    try:
        number = int(key)
    except (TypeError, ValueError):
        number = 0
    found = model.objects.filter(pk=number).first() if 0 < number < 2**63 else None
    if found is None:
        raise NotFound(_("There is no {what} with this id.").format(what=what))
    return found
