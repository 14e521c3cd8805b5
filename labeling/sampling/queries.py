"""Reading endpoints, batches and completions. What labelers see comes from `completions_to_rank` alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db.models import Count, Exists, Max, Min, OuterRef, Prefetch, Q, QuerySet

from labeling.background.models import Job
from labeling.paging import Page, keyset_page
from labeling.sampling.models import Batch, BatchItem, Completion, CompletionMark, Endpoint, PromptSignal, Provenance

# More endpoints than this are a list that nobody reads; the newest come first.
MOST_ENDPOINTS = 200


def list_endpoints() -> list[Endpoint]:
    return list(Endpoint.objects.order_by("-active", "-created_at", "-id")[:MOST_ENDPOINTS])


def active_endpoints() -> QuerySet[Endpoint]:
    return Endpoint.objects.filter(active=True).order_by("name")


def page_of_batches(*, after: str | None = None, size: int = 30) -> Page:
    """Batches, newest first, each with `counts` of its items by state and `answers`, its filled seats."""
    page = keyset_page(
        Batch.objects.select_related("form", "suggestions"), order=("-created_at", "-id"), after=after, size=size
    )
    add_counts(page.items)
    return page


def add_counts(batches: Iterable[Batch]) -> None:
    """Give each batch `counts` ({"items", "waiting", "filled", "failed", "tasks", "seats", "answered"})."""
    found = {batch.pk: batch for batch in batches}
    items = {
        row["batch"]: row
        for row in BatchItem.objects.filter(batch__in=found)
        .order_by()
        .values("batch")
        .annotate(
            items=Count("pk"),
            waiting=Count("pk", filter=Q(state="waiting")),
            filled=Count("pk", filter=Q(state="filled")),
            failed=Count("pk", filter=Q(state="failed")),
        )
    }
    # Through the reverse relation: tasks and seats belong to a feature above this one.
    seats = {
        row["batch"]: row
        for row in BatchItem.objects.filter(batch__in=found, task__isnull=False)
        .order_by()
        .values("batch")
        .annotate(
            tasks=Count("task", distinct=True),
            seats=Count("task__seats"),
            answered=Count("task__seats", filter=Q(task__seats__state="filled")),
        )
    }
    empty = {"items": 0, "waiting": 0, "filled": 0, "failed": 0, "tasks": 0, "seats": 0, "answered": 0}
    for pk, batch in found.items():
        counts = {**empty, **items.get(pk, {}), **seats.get(pk, {})}
        batch.counts = {key: counts[key] for key in empty}
        batch.counts["settled"] = counts["filled"] + counts["failed"]


def k_distribution(batch: Batch) -> list[dict]:
    """How many prompts want how many completions, [{"k", "items"}] by K."""
    return list(batch.items.order_by("k").values("k").annotate(items=Count("pk")))


def merged_count(batch: Batch) -> int:
    """Items with a note: samples that were merged or left out."""
    return batch.items.exclude(note="").count()


def sampling_job(batch: Batch) -> Job | None:
    """The latest job that fills the batch."""
    return Job.objects.filter(kind="sample_batch", arguments={"batch": batch.pk}).order_by("-created_at").first()


def page_of_items(batch: Batch, *, show: str = "", after: str | None = None, size: int = 30) -> Page:
    """Items in order with their prompt; `show` is a state, "noted", or empty for all."""
    items = batch.items.select_related("prompt").annotate(found=Count("completions"))
    if show == "noted":
        items = items.exclude(note="")
    elif show in BatchItem.State.values:
        items = items.filter(state=show)
    return keyset_page(items, order=("id",), after=after, size=size)


def waits_for_a_look() -> Exists:
    """Of an item: one of its completions names its maker, and nobody has decided about it."""
    return Exists(CompletionMark.objects.filter(completion__item=OuterRef("pk"), state=CompletionMark.State.WAITING))


def withheld() -> Exists:
    """Of a completion: somebody decided that no labeler sees it."""
    return Exists(CompletionMark.objects.filter(completion=OuterRef("pk"), state=CompletionMark.State.WITHHELD))


def named_waiting(batch: Batch) -> int:
    """How many completions of the batch wait for a look since they name a model."""
    waiting = CompletionMark.objects.filter(state=CompletionMark.State.WAITING, completion__item__batch=batch)
    return waiting.aggregate(found=Count("completion", distinct=True))["found"]


def item_with_provenance(batch: Batch, item_id: int) -> BatchItem | None:
    """One item with its completions and who wrote them: for researchers, never for labelers."""
    provenance = Prefetch("provenance", Provenance.objects.select_related("endpoint", "author").order_by("id"))
    completions = Prefetch(
        "completions", Completion.objects.order_by("id").prefetch_related(provenance).annotate(left_out=withheld())
    )
    if not 0 < item_id < 2**63:
        return None
    return batch.items.filter(pk=item_id).select_related("prompt__source").prefetch_related(completions).first()


def completions_to_rank(item: BatchItem, order: list[str]) -> list[dict]:
    """`[{"id", "text"}]` in the order drawn for a labeler. Touches nothing that says who wrote what."""
    texts = {str(pk): text for pk, text in Completion.objects.filter(item=item).values_list("id", "text")}
    return [{"id": key, "text": texts[key]} for key in order if key in texts]


SIGNALS = "prompt_signals"  # the job, in `labeling.pipeline.signals`


def signals_known() -> list[dict]:
    """Of each kind of signal: prompts that have one, when the newest was made, and of what."""
    rows = PromptSignal.objects.order_by("kind").values("kind").annotate(known=Count("pk"), made_at=Max("made_at"))
    found = list(rows)
    for row in found:
        newest = PromptSignal.objects.filter(kind=row["kind"]).order_by("-made_at").values_list("made_of", flat=True)
        row["made_of"] = newest.first()
        row["label"] = SIGNAL_WORDS[row["kind"]]
    return found


SIGNAL_WORDS = {
    PromptSignal.Kind.DISAGREEMENT: BatchItem.Strategy.DISAGREEMENT.label,
    PromptSignal.Kind.UNCERTAINTY: BatchItem.Strategy.UNCERTAINTY.label,
    PromptSignal.Kind.GROUP: BatchItem.Strategy.COVERAGE.label,
}


def signals_job() -> Job | None:
    return Job.objects.filter(kind=SIGNALS).order_by("-created_at").first()


def drawn_how(items: Collection[int]) -> dict[int, tuple[str, float | None]]:
    """Item id → the strategy by which its prompt was chosen, and how likely that was; None where chance had no part.

    The inverse of the probability is the weight of whatever is measured on the item's task, in a mean over all prompts
    that the batch was drawn from: `labeling.intervals.weighted_mean`."""
    rows = BatchItem.objects.filter(pk__in=list(items)).values_list("pk", "strategy", "probability")
    return {pk: (strategy, probability) for pk, strategy, probability in rows}


def strategies_of(batch: Batch) -> list[dict]:
    """How the batch's prompts were chosen: items, the lowest and the highest probability of each strategy."""
    rows = batch.items.exclude(strategy="").order_by("strategy").values("strategy")
    found = list(rows.annotate(items=Count("pk"), least=Min("probability"), most=Max("probability")))
    for row in found:
        row["label"] = BatchItem.Strategy(row["strategy"]).label
    return found


def batch_summary(batch: Batch) -> dict:
    """A batch as the API shows it. Expects `counts` (see add_counts)."""
    return {
        "id": batch.pk,
        "name": batch.name,
        "kind": batch.kind,
        "state": batch.state,
        "form": batch.form.name if batch.form else None,
        "overlap": batch.overlap,
        "shared_percent": batch.shared_percent,
        "priority": batch.priority,
        "groups": batch.groups,
        "group_targets": batch.group_targets,
        "again": batch.again,
        "repeat_of": batch.repeat_of_id,
        "temperature": batch.temperature,
        "top_p": batch.top_p,
        "max_tokens": batch.max_tokens,
        "seed": batch.seed,
        "imported": batch.imported,
        "evaluation": batch.evaluation,
        "hold_named": batch.hold_named,
        "words_low": batch.words_low,
        "words_high": batch.words_high,
        "suggestions": batch.suggestions and batch.suggestions.name,
        "review": batch.review,
        "probation": batch.probation,
        "review_of": batch.review_of_id,
        "reuse": batch.reuse,
        "selection": batch.selection,
        "created_at": batch.created_at.isoformat(),
        "counts": batch.counts,
    }


def endpoint_summary(endpoint: Endpoint) -> dict:
    """An endpoint as the API shows it; `reachable` is null before the first look at it."""
    return {
        "id": endpoint.pk,
        "name": endpoint.name,
        "base_url": endpoint.base_url,
        "model": endpoint.model,
        "active": endpoint.active,
        "checking": endpoint.checking,
        "reachable": None if endpoint.checked_at is None else not endpoint.check_error,
        "check_error": endpoint.check_error,
        "checked_at": endpoint.checked_at and endpoint.checked_at.isoformat(),
    }
