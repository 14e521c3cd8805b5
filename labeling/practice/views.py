"""The tour: its own page, the practice tasks on the pages of real ones, and what we say to an answer."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from labeling.forms.wording import form_in_language
from labeling.leasing.kinds import KINDS
from labeling.people.access import LABELERS, only
from labeling.people.queries import team_settings
from labeling.practice import queries, services
from labeling.practice.content import PracticeTask, practice_task, practice_tasks
from labeling.practice.feedback import feedback_on
from labeling.practice.models import PracticeTour
from labeling.practice.seats import seat_at
from labeling.refusals import Refusal


@require_safe
@never_cache
@only(*LABELERS)
def tour(request: HttpRequest) -> HttpResponse:
    return render(request, "practice/tour.html", {"standing": queries.standing_of(request.user)})


@require_POST
@only(*LABELERS)
def begin(request: HttpRequest) -> HttpResponse:
    begun = services.begin_tour(labeler=request.user)
    return redirect("tour-task", begun.number, practice_tasks()[0].name)


@require_safe
@never_cache
@only(*LABELERS)
def task(request: HttpRequest, tour_number: int, task_name: str) -> HttpResponse:
    held = queries.get_tour(labeler=request.user, number=tour_number)
    wanted = practice_task(task_name)
    return render(request, KINDS[wanted.kind].task_template, task_context(request, held, wanted))


def task_context(request: HttpRequest, held: PracticeTour, wanted: PracticeTask) -> dict:
    """As the page of a real task has it (labeling/leasing/views.py), and `practice` for the notes beside it."""
    attempt = queries.next_attempt(held, wanted)
    seat = seat_at(wanted, tour=held, attempt=attempt)
    names = [one.name for one in practice_tasks()]
    payload = task_body(held, wanted, seat, attempt)
    form = {name: reverse(f"tour-{name}", args=[held.number, wanted.name]) for name in ("submit", "skip")}
    return {
        "lease": seat,
        "kind": wanted.kind,
        "messages": payload["messages"],
        "page_messages": messages.get_messages(request),
        "completions": payload["completions"],
        "draft": {},
        "seconds_left": payload["seconds_left"],
        "idempotency_key": payload["idempotency_key"],
        "revision": 1,
        "replaces": None,
        "previous": None,
        "payload": payload,
        "form_urls": form,
        "practice": {"place": names.index(wanted.name) + 1, "count": len(names), "task": wanted},
        **KINDS[wanted.kind].context(seat),
    }


def task_body(held: PracticeTour, wanted: PracticeTask, seat, attempt: int) -> dict:
    """A practice task in the shape of a real one (leasing's `task_body`), so that the same scripts take it."""
    form = form_in_language(wanted.definition) if wanted.definition else None
    texts = {completion.id: completion.text for completion in wanted.completions}
    at = {"tour_number": held.number, "task_name": wanted.name}
    figures = team_settings()
    return {
        "id": f"practice-{held.pk}-{wanted.name}-{attempt}",
        "practice": True,
        "kind": wanted.kind,
        "state": "open",
        "seconds_left": figures.lease_seconds,
        "grace_seconds": figures.lease_grace_seconds,
        "revision": 1,
        "replaces": None,
        "idempotency_key": f"practice:{attempt}",
        "messages": seat.task.item.prompt.messages,
        "completions": [{"id": shown, "text": texts[shown]} for shown in seat.order_shown],
        "order_ranked": seat.order_ranked,
        "brief": None,
        "words": None,
        "suggestions": False,
        "form": {"id": None, "number": None, "definition": form} if form else None,
        "draft": None,
        "draft_version": 0,
        "answer": None,
        "urls": {
            "submit": reverse("api:tour-submit", kwargs=at),
            "skip": reverse("api:tour-skip", kwargs=at),
            "page": reverse("tour-task", kwargs=at),
            "next": reverse("tour-feedback", kwargs=at),
            "work": reverse("tour"),
        },
        "idle_seconds": figures.idle_seconds,
        "categories": [],
        "guideline": None,
    }


@require_POST
@only(*LABELERS)
def submit(request: HttpRequest, tour_number: int, task_name: str) -> HttpResponse:
    """The task's form without JavaScript. A refusal shows the form again as it was filled in."""
    held = queries.get_tour(labeler=request.user, number=tour_number)
    wanted = practice_task(task_name)
    context = task_context(request, held, wanted)
    answer = KINDS[wanted.kind].read_form(request.POST, context["lease"])
    key = request.POST.get("idempotency_key", "")
    try:
        services.submit_practice(
            labeler=request.user, number=tour_number, name=task_name, answer=answer, idempotency_key=key
        )
    except Refusal as refusal:
        context |= {"draft": answer, "error": refusal.message, "idempotency_key": key}
        return render(request, KINDS[wanted.kind].task_template, context, status=refusal.status)
    return redirect("tour-feedback", tour_number, task_name)


@require_POST
@only(*LABELERS)
def skip(request: HttpRequest, tour_number: int, task_name: str) -> HttpResponse:
    said = [request.POST.get(name, "").strip() for name in ("reason", "detail")]
    services.skip_practice(
        labeler=request.user, number=tour_number, name=task_name, reason=": ".join(filter(None, said))
    )
    return redirect("tour-feedback", tour_number, task_name)


@require_safe
@never_cache
@only(*LABELERS)
def feedback(request: HttpRequest, tour_number: int, task_name: str) -> HttpResponse:
    held = queries.get_tour(labeler=request.user, number=tour_number)
    wanted = practice_task(task_name)
    stops = queries.stops_of(held)
    row = next(stop.answer for stop in stops if stop.task == wanted)
    if row is None:
        messages.info(request, _("You have not answered this one yet."))
        return redirect("tour-task", tour_number, task_name)
    skipped = row.answer.get(services.SKIPPED)
    ranked = wanted.definition is not None and skipped is None
    context = {
        "tour": held,
        "task": wanted,
        "answer": row.answer,
        "skipped": skipped,
        "said": feedback_on(wanted, answer=row.answer, order_shown=row.order_shown) if ranked else None,
        "place": [stop.task for stop in stops].index(wanted) + 1,
        "count": len(stops),
        "next": next((stop.task for stop in stops if stop.answer is None), None),
    }
    return render(request, "practice/feedback.html", context)
