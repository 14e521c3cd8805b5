"""Rows for tests, made through the models so that each feature's tests stand on their own."""

from __future__ import annotations

import hashlib
import itertools
import uuid
from datetime import datetime, timedelta

from django.db.models.functions import Now
from django.utils import timezone

from labeling.checks.models import CheckAlert, CheckItem, CheckResult, CheckSet
from labeling.demos.models import Demonstration, Suggestion, WrittenPrompt
from labeling.intake.models import Prompt, Source, SourceUser
from labeling.leasing.models import CheckTurn, Lease, Seat, Task
from labeling.leasing.services import seat_groups
from labeling.pay.models import LedgerEntry, PayDay, PayRate, PayRequest, PaySettings
from labeling.rankings.models import Judgment, Ranking
from labeling.reviews.models import Review
from labeling.sampling.models import Batch, BatchItem, Completion, Endpoint, Provenance
from labeling.surveys.models import SurveyQuestionnaire, SurveyRound, SurveyTally
from training.formats import canonical_json

_number = itertools.count(1)


def make_prompt(text: str = "", *, user: str = "user-1", split: str = "train", source: str = "api", **extra) -> Prompt:
    origin, _ = Source.objects.get_or_create(name=source)
    writer, _ = SourceUser.objects.get_or_create(source=origin, external_id=user, defaults={"split": split})
    messages = extra.pop("messages", None) or [{"role": "user", "content": text or f"Prompt number {next(_number)}?"}]
    digest = hashlib.sha256(canonical_json(messages)).hexdigest()
    return Prompt.objects.create(source=origin, source_user=writer, messages=messages, text_sha256=digest, **extra)


def make_endpoint(name: str = "", model: str = "smollm2-135m", base_url: str = "http://127.0.0.1:8001") -> Endpoint:
    return Endpoint.objects.create(name=name or f"endpoint-{next(_number)}", base_url=base_url, model=model)


def make_batch(**extra) -> Batch:
    extra = {
        "name": f"batch-{next(_number)}",
        "state": "open",
        "groups": ["training", "held_out", "researcher"],
        **extra,
    }
    return Batch.objects.create(**extra)


def make_reviewed_batch(**extra) -> Batch:
    """A batch of ideal answers, or of another kind, that are reviewed, and its batch of reviews."""
    batch = make_batch(**{"kind": "demonstration", "review": True, **extra})
    make_batch(
        name=f"{batch.name} · review", kind="review", review_of=batch, groups=batch.groups, again=True, priority=1
    )
    return batch


def make_task(
    *, batch: Batch | None = None, prompt: Prompt | None = None, texts=("One.", "Two.", "Three.", "Four."), models=()
) -> Task:
    """An open task whose completions are `texts`, by `models` (all by one model where none are named)."""
    batch = batch or make_batch()
    item = BatchItem.objects.create(batch=batch, prompt=prompt or make_prompt(), k=len(texts), state="filled")
    for index, text in enumerate(texts):
        completion = Completion.objects.create(
            item=item, text=text, text_sha256=hashlib.sha256(text.encode()).hexdigest()
        )
        Provenance.objects.create(completion=completion, model=models[index] if models else "secret-model", seed=index)
    task = Task.objects.create(item=item, batch=batch, kind=batch.kind)
    for number, groups in enumerate(seat_groups(batch)):
        Seat.objects.create(task=task, batch=batch, number=number, groups=groups, categories=item.categories)
    return task


def make_brief(*, batch: Batch | None = None, form: str = "plain", **brief) -> Task:
    """An open task that asks for a prompt."""
    batch = batch or make_batch(kind="prompt", groups=["training", "researcher"])
    brief = {
        "form": form,
        "use_case": "",
        "statement": "",
        "pairs": 3 if form == "few_shot" else 0,
        "note": "",
        **brief,
    }
    item = BatchItem.objects.create(batch=batch, brief=brief, k=0, state="filled")
    task = Task.objects.create(item=item, batch=batch, kind=batch.kind)
    for number, groups in enumerate(seat_groups(batch)):
        Seat.objects.create(task=task, batch=batch, number=number, groups=groups)
    return task


def make_lease(*, task: Task, labeler, state: str = "open") -> Lease:
    seat = task.seats.filter(state="free", adjudicates=False).order_by("number").first()
    Seat.objects.filter(pk=seat.pk).update(state="filled" if state == "submitted" else "taken")
    order = [str(pk) for pk in task.item.completions.order_by("id").values_list("id", flat=True)]
    return Lease.objects.create(
        task=task,
        seat=seat,
        labeler=labeler,
        state=state,
        order_shown=order,
        expires_at=timezone.now() + timedelta(minutes=15),
        ended_at=None if state in ("open", "ahead") else Now(),
    )


def make_ranking(*, task: Task, labeler, ranks=None, ratings=None, flags=None, **extra) -> Ranking:
    """A submitted ranking; `ranks` in the order the completions were made, 1, 2, 3 … where not given."""
    lease = make_lease(task=task, labeler=labeler, state="submitted")
    ranking = Ranking.objects.create(
        lease=lease,
        task=task,
        labeler=labeler,
        group=labeler.group,
        origin="simulated" if labeler.is_simulated else "workbench",
        idempotency_key=f"key-{next(_number)}",
        payload_sha256="0" * 64,
        order_shown=lease.order_shown,
        **extra,
    )
    completions = list(task.item.completions.order_by("created_at", "id"))
    for given in (ranks, ratings, flags):
        assert given is None or len(given) == len(completions), "one for each completion"
    for index, completion in enumerate(completions):
        Judgment.objects.create(
            ranking=ranking,
            completion=completion,
            rank=ranks[index] if ranks else index + 1,
            rating=ratings[index] if ratings else None,
            flags=flags[index] if flags else [],
        )
    return ranking


def make_check_set(**extra) -> CheckSet:
    return CheckSet.objects.create(**{"name": f"checks-{next(_number)}", "groups": ["training"], **extra})


def make_check_alert(*, labeler, **extra) -> CheckAlert:
    """The labeler's agreement fell this week."""
    figures = {"reasons": ["limit"], "agreed": 3, "compared": 30, "usual": 0.8, "limit": 0.55}
    return CheckAlert.objects.create(labeler=labeler, **{"week": timezone.now().date(), **figures, **extra})


def make_check_result(*, ranking: Ranking) -> CheckResult:
    """A ranking as an answer to a check that agrees in two pairs of three, an item of a set of its own."""
    task = ranking.task
    item = CheckItem.objects.create(check_set=make_check_set(), task=task, pairs=[["a", "b"]], rankings=[ranking.pk])
    turn = CheckTurn.objects.create(task=task, labeler=ranking.labeler, kind="gold", served_at=timezone.now())
    return CheckResult.objects.create(
        turn=turn,
        item=item,
        labeler=ranking.labeler,
        ranking=ranking,
        agreed=2,
        compared=3,
        answered_at=ranking.created_at or timezone.now(),
    )


def make_demonstration(
    *, prompt: Prompt, labeler, text: str, batch: Batch | None = None, turns=(), **extra
) -> Demonstration:
    """A written answer; a dialogue where it has `turns` before `text`, by user and assistant, the user's last."""
    batch = batch or make_batch(kind="dialogue" if turns else "demonstration")
    task = make_task(batch=batch, prompt=prompt, texts=())
    lease = make_lease(task=task, labeler=labeler, state="submitted")
    return Demonstration.objects.create(
        lease=lease,
        task=task,
        labeler=labeler,
        group=labeler.group,
        origin="simulated" if labeler.is_simulated else "workbench",
        idempotency_key=f"key-{next(_number)}",
        payload_sha256="0" * 64,
        turns=turns_of(turns),
        text=text,
        **extra,
    )


def turns_of(texts) -> list[dict]:
    """The turns of a dialogue with these texts, the user's last."""
    roles = itertools.cycle(("user", "assistant"))
    return [{"role": role, "content": text} for text, role in zip(reversed(texts), roles, strict=False)][::-1]


def make_suggestion(*, lease: Lease, text: str = "A suggestion.", state: str = "done", **extra) -> Suggestion:
    """What an endpoint suggested for the first answer of `lease`."""
    messages = lease.task.item.messages
    given = {
        "number": Suggestion.objects.filter(lease=lease).count() + 1,
        "turn": len(messages),
        "messages": messages,
        "endpoint": lease.task.batch.suggestions or make_endpoint(),
        "model": "secret-model",
        "seed": 1,
        "ended_at": None if state in Suggestion.UNFINISHED else Now(),
        **extra,
    }
    return Suggestion.objects.create(lease=lease, text=text, state=state, **given)


def make_written_prompt(*, labeler, text: str = "", task: Task | None = None, **extra) -> WrittenPrompt:
    content = {"text": text or f"Written prompt {next(_number)}."}
    lease = make_lease(task=task or make_brief(), labeler=labeler, state="submitted")
    return WrittenPrompt.objects.create(
        lease=lease,
        task=lease.task,
        labeler=labeler,
        group=labeler.group,
        origin="simulated" if labeler.is_simulated else "workbench",
        idempotency_key=f"key-{next(_number)}",
        payload_sha256="0" * 64,
        **{"form": "plain", "content": content, "use_case": "chat", **extra},
    )


def make_review(
    *,
    labeler,
    demonstration: Demonstration | None = None,
    written_prompt: WrittenPrompt | None = None,
    verdict: str = "accept",
    **extra,
) -> Review:
    """A submitted review of what was written in a batch of `make_reviewed_batch`."""
    answer = demonstration or written_prompt
    batch, about = answer.task.batch.review_batch, answer.task.item
    item = BatchItem.objects.create(
        batch=batch, prompt=about.prompt, brief=about.brief, external_id=str(answer.pk), k=0, state="filled"
    )
    task = Task.objects.create(item=item, batch=batch, kind=batch.kind)
    Seat.objects.create(task=task, batch=batch, number=0, groups=batch.groups, author=answer.labeler)
    return Review.objects.create(
        lease=make_lease(task=task, labeler=labeler, state="submitted"),
        task=task,
        labeler=labeler,
        group=labeler.group,
        origin="simulated" if labeler.is_simulated else "workbench",
        idempotency_key=f"key-{next(_number)}",
        payload_sha256="0" * 64,
        demonstration=demonstration,
        written_prompt=written_prompt,
        verdict=verdict,
        **extra,
    )


def make_survey_round(*, questionnaire: str = "satisfaction", **extra) -> SurveyRound:
    """An open round of a built-in questionnaire; a closed one where it comes with its `report`."""
    asked = SurveyQuestionnaire.objects.get(name=questionnaire)
    extra = {"title": "How is it?", "groups": ["training"], "minimum": 3, **extra}
    if "report" in extra:
        extra["closed_at"] = timezone.now()
    made = SurveyRound.objects.create(questionnaire=asked, closes_at=timezone.now() + timedelta(days=1), **extra)
    if "report" not in extra:
        zero = {
            question["name"]: {value: 0 for value, _label in question["options"]}
            for question in asked.definition["questions"]
        }
        SurveyTally.objects.create(round=made, counts=zero)
    return made


def send_message(*, author, **said: object):
    """A message from `author`; to all, unless said otherwise."""
    from labeling.notices.services import send_notice

    usual = {"title": "Holiday", "text": "We are closed on **Monday**.", "important": False, "audience": "all"}
    return send_notice(**{**usual, "key": uuid.uuid4().hex, **said}, author=author)


def make_work(*, labeler, at: datetime, seconds: int, page_seconds: int | None = None) -> Lease:
    """A task that was answered `at`, after `seconds` of active time and `page_seconds` on its page."""
    lease = make_ranking(task=make_task(), labeler=labeler, active_seconds=seconds).lease
    begun = at - timedelta(seconds=seconds if page_seconds is None else page_seconds)
    times = {"granted_at": begun, "ended_at": at, "expires_at": at + timedelta(minutes=15)}
    Lease.objects.filter(pk=lease.pk).update(active_seconds=seconds, **times)
    lease.refresh_from_db()
    return lease


def make_pay(*, person, admin) -> None:
    """A row of each kind that pay has: a rate, a day of two hours, a correction that was asked for, a payment, and a
    question that waits."""
    day = timezone.now() - timedelta(days=1)
    PaySettings.objects.create()
    PayDay.objects.create(day=day.date(), begins_at=day, ends_at=timezone.now())
    rate = PayRate.objects.create(person=person, valid_from=day.date(), per_hour=1850, created_by=admin)
    common = {"person": person, "day": day.date()}
    priced = {"rate": rate, "per_hour": rate.per_hour}
    time = LedgerEntry.objects.create(
        **common, **priced, kind="time", number=1, seconds=7200, page_seconds=9000, priced=7200, amount=3700
    )
    asked = PayRequest.objects.create(
        **{"person": person, "kind": "correction", "day": day.date(), "entry": time, "minutes": 2, "text": "I read."},
        **{"state": "accepted", "answer": "So it was.", "decided_by": admin, "decided_at": timezone.now()},
    )
    entered = {"created_by": admin, "reason": "So it was.", "key": "k", "request": asked}
    LedgerEntry.objects.create(**common, **priced, **entered, kind="correction", seconds=120, priced=120, amount=62)
    paid = {"reference": "MAY", "period_from": day.date(), "period_until": day.date(), "created_by": admin}
    LedgerEntry.objects.create(**common, **paid, kind="payment", amount=-3000)
    PayRequest.objects.create(person=person, kind="question", day=day.date(), text="When is it paid?")


def make_screening_round(*, actor, name: str = "", items: int = 2, opened: bool = True, **extra):
    """A round with `items` items in each gate, of texts and prompts made for it."""
    from labeling.screening import services as screening

    held = screening.create_round(name=name or f"screening-{next(_number)}", actor=actor, **extra)
    for gate in (1, 2):
        sources = [make_task(texts=("One.", "Two.", "Three.")).item_id for _item in range(items)]
        screening.add_items(round_id=held.pk, gate=gate, ids=sources, actor=actor)
    prompts = [make_prompt(categories=["violence"]).pk for _item in range(items)]
    screening.add_items(round_id=held.pk, gate=3, ids=prompts, actor=actor)
    return screening.open_round(round_id=held.pk, actor=actor) if opened else held


def make_applicant(held, *, actor, username: str = ""):
    """Somebody who has come by a link to the round; their application and account."""
    from labeling.people import services as people
    from labeling.screening import services as screening

    application, token = screening.invite(round_id=held.pk, days=7, note="", actor=actor)
    name = username or f"applicant-{next(_number)}"
    return application, people.accept_invitation(token=token, username=name, password="a long password")


def make_held(text: str = "", *, user: str = "writer", source: str = "mail", **row) -> Prompt:
    """A prompt as the gate stored it: held, where the filter finds something in `text`."""
    from labeling.governance.services import import_prompts

    text = text or f"Prompt number {next(_number)}, from jane.roe@example-mail.org"
    ids = []
    import_prompts(
        rows=[(1, {"prompt": text, "user_id": user, "source": source, **row})],
        name="made",
        notice=lambda outcomes: ids.extend(outcome.prompt_id for outcome in outcomes),
    )
    return Prompt.objects.get(pk=ids[0])
