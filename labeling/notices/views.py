"""Messages: to those who got them a page to read, to the team one that sends them and says who has read."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling.markdown import to_html
from labeling.notices import forms, queries, services
from labeling.people.access import ADMINS, EVERYONE, STAFF, only
from labeling.people.queries import get_person
from labeling.plots import csv_response
from labeling.refusals import Refusal


@require_safe
@never_cache
@only(*EVERYONE)
def own(request: HttpRequest) -> HttpResponse:
    page = queries.own_page(request.user, after=request.GET.get("after"))
    received = [(receipt, to_html(receipt.notice.text)) for receipt in page]
    return render(request, "notices/own.html", {"page": page, "received": received})


@require_POST
@only(*EVERYONE)
def read(request: HttpRequest, notice_id: int) -> HttpResponse:
    services.read_notice(notice_id=notice_id, person=request.user)
    return redirect("work" if request.POST.get("back") == "work" else "messages")


@require_safe
@never_cache
@only(*STAFF)
def sent(request: HttpRequest) -> HttpResponse:
    return render(request, "notices/sent.html", {"page": queries.sent_page(after=request.GET.get("after"))})


@require_http_methods(["GET", "HEAD", "POST"])
@only(*ADMINS)
def new(request: HttpRequest) -> HttpResponse:
    """A message to write. "Preview" shows it and sends nothing."""
    form = forms.NoticeForm(request.POST if request.method == "POST" else None)
    preview = ""
    if form.is_bound and form.is_valid():
        if "preview" in request.POST:
            preview = to_html(form.cleaned_data["text"])
        else:
            try:
                notice = services.send_notice(**form.asked(), author=request.user)
            except Refusal as refusal:
                form.add_error(None, refusal.message)
            else:
                messages.success(request, _("Sent."))
                return redirect("message-sent", notice.pk)
    to = form.cleaned_data.get("to") if form.is_bound else None
    context = {"form": form, "preview": preview, "to": get_person(to) if to else None}
    return render(request, "notices/new.html", context, status=400 if form.errors else 200)


@require_safe
@never_cache
@only(*STAFF)
def one_sent(request: HttpRequest, notice_id: int) -> HttpResponse:
    notice = queries.get_sent(notice_id)
    context = {
        "notice": notice,
        "html": to_html(notice.text),
        "page": queries.receipts_page(notice, after=request.GET.get("after")),
    }
    return render(request, "notices/one_sent.html", context)


@require_safe
@only(*STAFF)
def receipts_csv(request: HttpRequest, notice_id: int) -> HttpResponse:
    notice = queries.get_sent(notice_id)
    return csv_response(queries.COLUMNS, queries.receipt_rows(notice), name=f"message-{notice.pk}")
