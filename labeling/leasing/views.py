"""The labeler's pages: the queue, a task, one's own answers. And the buttons that open and close a batch."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling.governance import personal_data
from labeling.leasing import following, queries, sensitive, services, standing
from labeling.leasing.answers import form_number
from labeling.leasing.api import task_body
from labeling.leasing.gates import Gate, GuidelineUnread, gate_before
from labeling.leasing.kinds import kind_of
from labeling.leasing.models import Lease
from labeling.paging import keyset_page
from labeling.people.access import ADMINS, LABELERS, STAFF, only
from labeling.people.models import User
from labeling.refusals import Refusal
from labeling.sampling import services as sampling
from labeling.sampling.models import Batch

RECENT = 5


@require_safe
@never_cache
@only(*LABELERS)
def work(request: HttpRequest) -> HttpResponse:
    recent = keyset_page(queries.answered_leases(request.user), order=("-granted_at", "-id"), after=None, size=RECENT)
    context = {
        # First: passing it may open other tasks.
        "gate": gate_before(request.user),
        "work": queries.work_of(request.user),
        "open_lease": queries.open_lease_of(request.user),
        "recent": recent.items,
    }
    return render(request, "leasing/work.html", context)


@require_POST
@only(*LABELERS)
def break_begin(request: HttpRequest) -> HttpResponse:
    standing.begin_break(labeler=request.user)
    return redirect("work")


@require_POST
@only(*LABELERS)
def break_end(request: HttpRequest) -> HttpResponse:
    standing.end_break(labeler=request.user)
    return redirect("work")


# A GET too: it changes nothing that a second one would change again, and a link is what follows a submit.
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@only(*LABELERS)
def take_next(request: HttpRequest) -> HttpResponse:
    try:
        lease = services.grant_lease(labeler=request.user)
    except GuidelineUnread:
        return redirect("guidelines")
    except Gate:
        # That page says which, and has the way out.
        return redirect("work")
    if lease is None:
        messages.info(request, _("Nothing waits for you at the moment. Thank you; come back later."))
        return redirect("work")
    return redirect("task", lease_id=lease.pk)


@require_safe
@never_cache
@only(*LABELERS)
def task(request: HttpRequest, lease_id: str) -> HttpResponse:
    lease = queries.get_lease(lease_id=lease_id, labeler=request.user)
    if lease.state == Lease.State.SKIPPED:
        messages.info(request, _("You skipped this task; it was given on."))
        return redirect("work")
    if services.is_taken_back(lease):
        messages.info(request, services.why_taken_back(lease).message)
        return redirect("work")
    return render(request, kind_of(lease).task_template, task_context(request, lease))


def task_context(request: HttpRequest, lease: Lease) -> dict:
    """What the page of a task shows. `payload` is the same for the page's script."""
    body = task_body(lease)
    always = {"ahead": reverse("api:task-ahead"), "next": reverse("work-next"), "work": reverse("work")}
    if lease.adjudicates:
        # No queue: from the decision to what was decided.
        case = reverse("adjudication-task", args=[lease.task_id])
        always = {"next": case, "work": case}
    return {
        "lease": lease,
        # Where the page's forms go; a practice task has other addresses.
        "form_urls": {name: reverse(f"task-{name}", args=[lease.pk]) for name in ("submit", "skip", "flag")},
        "kind": body["kind"],
        # The prompt's own messages; what Django would say under this name is in `page_messages` here.
        "messages": body["messages"],
        "page_messages": messages.get_messages(request),
        "completions": body["completions"],
        "written": body["written"],
        "draft": body["draft"] or {},
        "seconds_left": body["seconds_left"],
        "idempotency_key": body["idempotency_key"],
        "revision": body["revision"],
        "replaces": body["replaces"],
        "previous": body["answer"],
        "kinds_of_data": personal_data.KINDS,
        "payload": {**body, "urls": {**body["urls"], **always}},
        **kind_of(lease).context(lease),
    }


@require_POST
@only(*LABELERS)
def submit(request: HttpRequest, lease_id: str) -> HttpResponse:
    """The task's form without JavaScript. A refusal shows the form again as it was filled in."""
    lease = queries.get_lease(lease_id=lease_id, labeler=request.user)
    kind = kind_of(lease)
    answer = kind.read_form(request.POST, lease)
    key = request.POST.get("idempotency_key", "")
    try:
        own = services.get_own(lease_id=lease_id, labeler=request.user)
        kind.submit(lease=own, answer=answer, idempotency_key=key)
    except Refusal as refusal:
        context = task_context(request, lease) | {"draft": answer, "error": refusal.message, "idempotency_key": key}
        return render(request, kind.task_template, context, status=refusal.status)
    messages.success(request, _("Saved. Thank you."))
    return redirect("adjudication-task", own.task_id) if own.adjudicates else redirect("work-next")


@require_POST
@only(*LABELERS)
def skip(request: HttpRequest, lease_id: str) -> HttpResponse:
    said = [request.POST.get(name, "").strip() for name in ("reason", "detail")]
    services.skip_lease(lease_id=lease_id, labeler=request.user, reason=": ".join(filter(None, said)))
    return redirect("work-next")


@require_POST
@only(*LABELERS)
def flag(request: HttpRequest, lease_id: str) -> HttpResponse:
    words, kind = request.POST.get("words", "").strip(), request.POST.get("kind", "")
    marks = [{"words": words, "kind": kind}] if words else []
    following.flag_prompt(lease_id=lease_id, labeler=request.user, marks=marks, note=request.POST.get("note", ""))
    messages.success(request, _("Thank you. The prompt is taken back, and your team looks at it."))
    return redirect("work-next")


@require_POST
@only(*LABELERS)
def give_back(request: HttpRequest, lease_id: str) -> HttpResponse:
    services.return_lease(lease_id=lease_id, labeler=request.user)
    messages.info(request, _("The task is given back, and your draft is kept."))
    return redirect("work")


@require_safe
@never_cache
@only(*LABELERS)
def answers(request: HttpRequest) -> HttpResponse:
    page = keyset_page(
        queries.answered_leases(request.user), order=("-granted_at", "-id"), after=request.GET.get("after"), size=50
    )
    return render(request, "leasing/answers.html", {"leases": page.items, "next": page.next})


@require_safe
@never_cache
@only(*LABELERS)
def answer(request: HttpRequest, lease_id: str) -> HttpResponse:
    lease = queries.get_lease(lease_id=lease_id, labeler=request.user)
    given = kind_of(lease).answers(lease)
    if not given:
        return redirect("task", lease_id=lease.pk)
    kind = kind_of(lease)
    context = task_context(request, lease) | {
        "answer": given[-1],
        "revisions": given,
        "correctable": queries.may_be_corrected(lease),
        **kind.answer_context(given[-1]),
    }
    return render(request, kind.answer_template, context)


@receiver(user_logged_out)
def signed_out(sender: type, user: User | None, **_: object) -> None:
    """Signing out is a page of people's, who know nothing of tasks."""
    if user is not None:
        services.return_ahead(labeler=user)


# Staff


@require_POST
@only(*STAFF)
def close_batch(request: HttpRequest, batch_id: int) -> HttpResponse:
    batch = get_object_or_404(Batch, pk=batch_id)
    services.close_batch(batch=batch, actor=request.user)
    return redirect("batch", batch.pk)


@require_POST
@only(*STAFF)
def reopen_batch(request: HttpRequest, batch_id: int) -> HttpResponse:
    batch = get_object_or_404(Batch, pk=batch_id)
    services.reopen_batch(batch=batch, actor=request.user)
    return redirect("batch", batch.pk)


@require_POST
@only(*STAFF)
def prioritise_batch(request: HttpRequest, batch_id: int) -> HttpResponse:
    batch = get_object_or_404(Batch, pk=batch_id)
    services.set_priority(batch=batch, priority=form_number(request.POST, "priority"), actor=request.user)
    return redirect("batch", batch.pk)


@require_POST
@only(*ADMINS)
def batch_probation(request: HttpRequest, batch_id: int) -> HttpResponse:
    batch = get_object_or_404(Batch, pk=batch_id)
    services.set_probation(batch=batch, probation=request.POST.get("probation") == "on", actor=request.user)
    return redirect("batch", batch.pk)


@require_POST
@only(*ADMINS)
def person_pause(request: HttpRequest, user_id: int) -> HttpResponse:
    standing.pause_labeler(user_id=user_id, reason=request.POST.get("reason", ""), actor=request.user)
    messages.success(request, _("Paused: what they held is free for others, and they are told why."))
    return redirect("person", user_id)


@require_POST
@only(*ADMINS)
def person_resume(request: HttpRequest, user_id: int) -> HttpResponse:
    standing.resume_labeler(user_id=user_id, actor=request.user)
    messages.success(request, _("Tasks come again."))
    return redirect("person", user_id)


@require_POST
@only(*STAFF)
def repeat_batch(request: HttpRequest, batch_id: int) -> HttpResponse:
    batch = get_object_or_404(Batch, pk=batch_id)
    name = request.POST.get("name", "").strip()
    count = form_number(request.POST, "count")
    if not isinstance(count, int | None):
        raise Refusal(_("The number of prompts must be a whole number; leave it empty for all."))
    repeat = sampling.repeat_batch(batch=batch, name=name, count=count, actor=request.user)
    services.open_tasks(batch=repeat)
    return redirect("batch", repeat.pk)


@require_POST
@only(*STAFF)
def prompt_categories(request: HttpRequest, prompt_id) -> HttpResponse:
    named = request.POST.getlist("categories")
    sensitive.set_categories(prompt_id=prompt_id, categories=named, actor=request.user)
    messages.success(request, _("Saved."))
    return redirect("prompt", prompt_id)
