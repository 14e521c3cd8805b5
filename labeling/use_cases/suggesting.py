"""The classifier's versions and suggestions: jobs that train on what people said, and that tell all prompts."""

from __future__ import annotations

import hashlib
import importlib.metadata
import uuid
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.background import services as background
from labeling.background.models import Job
from labeling.governance.estimating import wilson
from labeling.intake.models import Prompt
from labeling.refusals import Refusal
from labeling.use_cases import learning
from labeling.use_cases.models import UseCaseAssignment, UseCaseModel, UseCaseStanding, UseCaseSuggestion

TRAIN = "train_use_cases"  # the job
LEAST_PROMPTS = 30
MOST_PROMPTS = 50_000  # the newest named; a linear model learns no more from more
CHUNK = 500

Beat = Callable[..., None]


def newest_model() -> UseCaseModel | None:
    return UseCaseModel.objects.defer("weights").order_by("-number").first()


def start_training(*, actor) -> Job:
    """The job that trains a version and lets it tell every prompt, or the one that does already. Refusal where people
    have named too few."""
    named = UseCaseStanding.objects.exclude(use_case="")
    count, kinds = named.count(), named.values("use_case").distinct().count()
    if count < LEAST_PROMPTS or kinds < 2:
        raise Refusal(
            _("People have named {count} prompts in {kinds} categories; it takes {least} in two or more.").format(
                count=count, kinds=kinds, least=LEAST_PROMPTS
            )
        )
    with transaction.atomic(durable=True):
        job = background.enqueue(kind=TRAIN, arguments={}, key=TRAIN, created_by=actor)
        record(actor=actor, action="use_cases.training_asked", subject=job)
    return job


def running_job() -> Job | None:
    return Job.objects.filter(kind=TRAIN).order_by("-created_at").first()


def train_and_tell(*, job: Job, beat: Beat) -> dict[str, Any]:
    """The job behind `start_training`. Run again it goes on: data that a version was trained on train no other."""
    model = train(actor=job.created_by, beat=beat)
    return {"version": model.number, "accuracy": model.accuracy, "told": tell(model=model, beat=beat)}


def train(*, actor, beat: Beat = lambda **_: None) -> UseCaseModel:
    """A new version from what people say now; the newest one where that was trained on the very same."""
    anchored = UseCaseAssignment.objects.filter(prompt=OuterRef("prompt"), person__isnull=False).exclude(saw="")
    named = UseCaseStanding.objects.exclude(use_case="").annotate(anchored=Exists(anchored))
    rows = list(
        named.order_by("prompt__text_sha256")[:MOST_PROMPTS].values_list(
            "prompt__text_sha256", "use_case", "anchored", "prompt__messages"
        )
    )
    digests, use_cases, anchored_ones, messages = ([row[column] for row in rows] for column in range(4))
    if len(rows) < LEAST_PROMPTS or len(set(use_cases)) < 2:
        raise Refusal(
            _("People have named {count} prompts in {kinds} categories; it takes {least} in two or more.").format(
                count=len(rows), kinds=len(set(use_cases)), least=LEAST_PROMPTS
            )
        )
    data = learning.hash_of(digests, use_cases)
    before = newest_model()
    if before is not None and before.data_sha256 == data:
        return before
    beat(note="training")
    texts = [learning.text_of(each) for each in messages]
    measured = learning.cross_validate(texts, use_cases, [not each for each in anchored_ones])
    kept = learning.fit(texts, use_cases).as_bytes()
    share = wilson(measured.right, measured.count)
    return UseCaseModel.objects.create(
        number=(before.number if before else 0) + 1,
        weights=kept,
        weights_sha256=hashlib.sha256(kept).hexdigest(),
        data_sha256=data,
        library=f"scikit-learn {importlib.metadata.version('scikit-learn')}",
        prompts=len(rows),
        measured=measured.count,
        accuracy=share.value or 0,
        accuracy_low=share.low or 0,
        accuracy_high=1 if share.high is None else share.high,
        majority=measured.right_majority / measured.count if measured.count else 0,
        chance=measured.chance,
        by_use_case=measured.by_use_case,
        created_by=actor,
    )


def tell(*, model: UseCaseModel, beat: Beat = lambda **_: None) -> int:
    """A suggestion of this version for every prompt that has none of it; how many. Stopped, it goes on from there."""
    kept = bytes(UseCaseModel.objects.values_list("weights", flat=True).get(pk=model.pk))
    learnt = learning.Model.from_bytes(kept)
    total, done, last = Prompt.objects.count(), 0, uuid.UUID(int=0)
    told = 0
    while True:
        rows = Prompt.objects.filter(pk__gt=last).order_by("pk")
        chunk = list(rows.values_list("pk", "messages", "use_case_suggestion__model")[:CHUNK])
        if not chunk:
            return told
        last, done = chunk[-1][0], done + len(chunk)
        new = [(pk, messages) for pk, messages, by in chunk if by != model.pk]
        if new:
            names, likely = learnt.predict([learning.text_of(messages) for _pk, messages in new])
            UseCaseSuggestion.objects.bulk_create(
                [
                    UseCaseSuggestion(prompt_id=pk, model=model, use_case=name, probability=float(each), made_at=Now())
                    for (pk, _messages), name, each in zip(new, names, likely, strict=True)
                ],
                update_conflicts=True,
                unique_fields=["prompt"],
                update_fields=["model", "use_case", "probability", "made_at"],
            )
            told += len(new)
        beat(done=done, total=total, note="suggesting")


def keep_up() -> Job | None:
    """A job where prompts came in that the newest version has not told; looks at the newest ones alone."""
    model = newest_model()
    if model is None:
        return None
    newest = list(Prompt.objects.order_by("-created_at", "-id").values_list("pk", flat=True)[:200])
    behind = Prompt.objects.filter(pk__in=newest).filter(
        Q(use_case_suggestion__isnull=True) | ~Q(use_case_suggestion__model=model)
    )
    last = running_job()
    if not behind.exists() or last is not None and last.state in (Job.State.FAILED, Job.State.CANCELLED):
        return None
    return background.enqueue(kind="suggest_use_cases", arguments={"model": model.pk}, key="suggest_use_cases")
