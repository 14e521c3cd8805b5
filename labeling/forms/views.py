"""The admins' pages of forms: what is asked, its versions, and changing it. Every change is a new version."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling.forms import queries, services
from labeling.forms.definition import COMMAND_LETTERS, ORDERS, read_definition
from labeling.forms.editing import (
    BLANK,
    KINDS,
    PARTS,
    Draft,
    definition_in,
    draft_of,
    read_draft,
    step,
    where_on_page,
    with_steps,
)
from labeling.forms.models import FormVersion
from labeling.people.access import ADMINS, STAFF, only
from labeling.refusals import Refusal

ORDER_WORDS = dict(
    zip(
        ORDERS,
        (
            gettext_lazy("ranks, with ties"),
            gettext_lazy("a pair, on nine points"),
            gettext_lazy("no order: each is judged alone"),
        ),
        strict=True,
    )
)


@require_safe
@only(*STAFF)
def forms(request: HttpRequest) -> HttpResponse:
    return render(request, "forms/forms.html", {"forms": queries.all_forms()})


@require_safe
@only(*STAFF)
def form(request: HttpRequest, name: str) -> HttpResponse:
    return show(request, queries.newest_version(queries.form_named(name).pk))


@require_safe
@only(*STAFF)
def version(request: HttpRequest, name: str, number: int) -> HttpResponse:
    return show(request, queries.get_version(queries.form_named(name), number))


def show(request: HttpRequest, version: FormVersion) -> HttpResponse:
    context = {
        "form": version.form,
        "version": version,
        "versions": version.form.versions.select_related("created_by").order_by("-number"),
        "shown": with_steps(version.definition),
        "order": ORDER_WORDS[version.definition["order"]],
        "batches": version.form.batches.count(),
    }
    return render(request, "forms/form.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@only(*ADMINS)
def new(request: HttpRequest) -> HttpResponse:
    """A new form, from nothing or as a copy of ?copy=NAME. Each button but "Publish" shows the page again, changed."""
    if request.method != "POST":
        copied = request.GET.get("copy")
        definition = queries.newest_version(queries.form_named(copied).pk).definition if copied else None
        return edit(request, draft_of(definition) if definition else BLANK)
    draft, given = read_draft(request.POST), {key: request.POST.get(key, "") for key in ("name", "title")}
    if request.POST.get("do") != "publish":
        return edit(request, step(draft, request.POST.get("do", "")), given=given)
    try:
        made = services.create_form(**given, definition=definition_in(draft), actor=request.user)
    except Refusal as refusal:
        return edit(request, draft, given=given, refusal=refusal)
    messages.success(request, _("Published. Choose it when you make a batch."))
    return redirect("form", made.form.name)


@require_http_methods(["GET", "HEAD", "POST"])
@only(*ADMINS)
def change(request: HttpRequest, name: str) -> HttpResponse:
    """The next version of a form, begun from the newest."""
    found = queries.form_named(name)
    newest = queries.newest_version(found.pk)
    if request.method != "POST":
        return edit(request, draft_of(newest.definition), newest=newest, given={"title": found.title})
    # The order is the form's for good; `publish_version` refuses another.
    draft, given = read_draft(request.POST), {"title": request.POST.get("title", "")}
    based_on = request.POST.get("based_on", "")
    if request.POST.get("do") != "publish":
        return edit(request, step(draft, request.POST.get("do", "")), newest=newest, given=given, based_on=based_on)
    try:
        made = services.publish_version(
            form=found,
            **given,
            definition=definition_in(draft),
            based_on=int(based_on) if based_on.isascii() and based_on.isdigit() and len(based_on) < 10 else 0,
            actor=request.user,
        )
    except Refusal as refusal:
        return edit(request, draft, newest=newest, given=given, based_on=based_on, refusal=refusal)
    if made.pk == newest.pk:
        messages.info(
            request, _("It asks what version {number} asks; there is no new version.").format(number=made.number)
        )
    else:
        messages.success(
            request, _("Published as version {number}. Tasks handed out from now on ask it.").format(number=made.number)
        )
    return redirect("form", found.name)


def edit(
    request: HttpRequest,
    draft: Draft,
    *,
    newest: FormVersion | None = None,
    given: dict | None = None,
    based_on: str = "",
    refusal: Refusal | None = None,
) -> HttpResponse:
    """The page on which a form is changed. It shows what labelers will see, too, or why they cannot yet."""
    shown, problem = None, refusal
    if problem is None:
        try:
            shown = with_steps(read_definition(definition_in(draft)))
        except Refusal as found:
            # Nothing is wrong with a field that was just added; say so only when the page is looked at or sent.
            problem = found if request.POST.get("do") == "preview" else None
    parts = [
        {"name": part, "title": _("Asked {part}").format(part=words), "rows": list(enumerate(getattr(draft, part)))}
        for part, words in PARTS.items()
    ]
    context = {
        "form": newest.form if newest else None,
        "newest": newest,
        "based_on": based_on or (newest.number if newest else ""),
        "given": given or {},
        "draft": draft,
        "parts": parts,
        "kinds": KINDS.items(),
        "orders": ORDER_WORDS.items(),
        "order_words": ORDER_WORDS.get(draft.order, ""),
        "reserved": " ".join(sorted(COMMAND_LETTERS)),
        "shown": shown,
        "problem": where_on_page(problem.message) if problem else "",
    }
    return render(request, "forms/edit.html", context, status=refusal.status if refusal else 200)


@require_POST
@only(*ADMINS)
def archive(request: HttpRequest, name: str) -> HttpResponse:
    found = queries.form_named(name)
    services.archive_form(form=found, archived=request.POST.get("archived") == "on", actor=request.user)
    return redirect("form", found.name)
