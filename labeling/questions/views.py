"""Questions and answers: the labelers' page, a thread, and the team's list."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from labeling.people.access import EVERYONE, LABELERS, STAFF, only
from labeling.questions import queries, services
from labeling.questions.models import Question

OWN = 50


@require_safe
@never_cache
@only(*EVERYONE)
def questions(request: HttpRequest) -> HttpResponse:
    context = {
        "own": queries.own_questions(request.user, limit=OWN),
        "page": queries.shared_page(after=request.GET.get("after")),
    }
    return render(request, "questions/questions.html", context)


@require_POST
@only(*LABELERS)
def ask(request: HttpRequest, lease_id: str) -> HttpResponse:
    services.ask(lease_id=lease_id, labeler=request.user, text=request.POST.get("text"))
    messages.success(request, _("Your question is with your team. The answer comes to your queue page."))
    return redirect("task", lease_id=lease_id)


@require_safe
@never_cache
@only(*EVERYONE)
def question(request: HttpRequest, question_id) -> HttpResponse:
    found = queries.get_question(question_id=question_id, reader=request.user)
    if found.labeler_id == request.user.pk:
        services.mark_seen(question=found)
    said = queries.thread(found, reader=request.user)
    context = {
        "question": found,
        "thread": said,
        "first": said[0]["text"],
        "answer": next((one["text"] for one in reversed(said) if not one["by_labeler"]), ""),
        "staff": request.user.role in STAFF,
    }
    return render(request, "questions/question.html", context)


@require_POST
@only(*EVERYONE)
def reply(request: HttpRequest, question_id) -> HttpResponse:
    services.reply(question_id=question_id, author=request.user, text=request.POST.get("text"))
    return redirect("question", question_id)


@require_safe
@never_cache
@only(*STAFF)
def inbox(request: HttpRequest) -> HttpResponse:
    state = request.GET.get("state", Question.State.OPEN)
    page = queries.inbox_page(state=state, after=request.GET.get("after"))
    return render(request, "questions/inbox.html", {"page": page, "state": state})


@require_POST
@only(*STAFF)
def share(request: HttpRequest, question_id) -> HttpResponse:
    services.share(
        question_id=question_id,
        question_text=request.POST.get("question"),
        answer_text=request.POST.get("answer"),
        actor=request.user,
    )
    messages.success(request, _("All labelers can read it now."))
    return redirect("question", question_id)


@require_POST
@only(*STAFF)
def unshare(request: HttpRequest, question_id) -> HttpResponse:
    services.unshare(question_id=question_id, actor=request.user)
    messages.success(request, _("It is between the two of you again."))
    return redirect("question", question_id)
