"""Pay: to those who earn it their own page, to admins everybody's, with what they enter and answer."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling.audit import queries as audit
from labeling.pay import drawings, forms, queries, services
from labeling.pay.models import PayRequest
from labeling.pay.money import plain, read_amount
from labeling.people.access import ADMINS, LABELERS, only
from labeling.people.models import User
from labeling.people.queries import team_settings
from labeling.plots import csv_response
from labeling.refusals import Refusal

ASKED = 20  # of somebody's questions, the latest
WEEK_COLUMNS = ("week_begins", "active_seconds")


def posted(request: HttpRequest):
    return request.POST if request.method == "POST" else None


# One's own


@require_safe
@never_cache
@only(*LABELERS)
def mine(request: HttpRequest) -> HttpResponse:
    context = {
        "standing": queries.standing_of(request.user),
        "payable": queries.is_payable(request.user),
        "page": queries.ledger_page(queries.ledger_of(request.user), after=request.GET.get("after")),
        "requests": list(queries.requests_of(request.user, limit=ASKED)),
        "plot": drawings.of_weeks(queries.hours_by_week(request.user)),
        "idle_seconds": team_settings().idle_seconds,
    }
    services.mark_seen(request.user)
    return render(request, "pay/mine.html", context)


@require_safe
@never_cache
@only(*LABELERS)
def mine_csv(request: HttpRequest) -> HttpResponse:
    return csv_response(queries.OWN_COLUMNS, queries.own_rows(request.user), name="my-pay")


@require_safe
@never_cache
@only(*LABELERS)
def mine_weeks_csv(request: HttpRequest) -> HttpResponse:
    return csv_response(WEEK_COLUMNS, queries.hours_by_week(request.user), name="my-hours-by-week")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@only(*LABELERS)
def ask(request: HttpRequest, entry_id: int | None = None) -> HttpResponse:
    entry = queries.own_entry(request.user, entry_id) if entry_id is not None else None
    form = forms.AskForm(posted(request), about_entry=entry is not None)
    if request.method == "POST" and form.is_valid():
        try:
            services.ask(person=request.user, entry_id=entry_id, **form.cleaned_data)
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(request, _("The admins of your team have it. Their answer comes to this page."))
            return redirect("pay")
    context = {"form": form, "entry": entry, "currency": queries.pay_settings().currency}
    return render(request, "pay/ask.html", context, status=400 if form.errors else 200)


# Everybody's


def payroll_page(request: HttpRequest, *, status: int = 200, **context: object) -> HttpResponse:
    form = forms.PeriodForm(request.GET)
    period = form.asked()
    held = queries.pay_settings()
    floor = plain(held.floor, held.currency) if held.floor else ""
    context = {
        "period": period,
        "form": forms.PeriodForm(initial={"since": period.since, "until": period.until}),
        "page": queries.earners_page(period, after=request.GET.get("after")),
        "currency": held.currency,
        "floor": held.floor,
        "settings_form": forms.SettingsForm(initial={"currency": held.currency, "floor": floor}),
        "waiting": queries.waiting(),
        "warned_days": queries.WARNED_DAYS,
        **context,
    }
    return render(request, "pay/payroll.html", context, status=status)


@require_safe
@only(*ADMINS)
def payroll(request: HttpRequest) -> HttpResponse:
    return payroll_page(request)


@require_safe
@only(*ADMINS)
def payroll_csv(request: HttpRequest) -> HttpResponse:
    period = forms.PeriodForm(request.GET).asked()
    return csv_response(queries.EARNER_COLUMNS, queries.earner_rows(period), name="pay")


@require_safe
@only(*ADMINS)
def ledger_csv(request: HttpRequest) -> HttpResponse:
    period = forms.PeriodForm(request.GET).asked()
    rows = queries.ledger_in(since=period.since, until=period.until)
    return csv_response(queries.LEDGER_COLUMNS, queries.ledger_rows(rows), name="ledger")


@require_POST
@only(*ADMINS)
def pay_settings(request: HttpRequest) -> HttpResponse:
    form = forms.SettingsForm(request.POST)
    if form.is_valid():
        currency, text = form.cleaned_data["currency"], form.cleaned_data["floor"]
        try:
            floor = read_amount(text, currency, name=_("The least for an hour")) if text.strip() else 0
            services.change_settings(currency=currency, floor=floor, actor=request.user)
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(request, _("Saved."))
            return redirect("payroll")
    return payroll_page(request, status=400, settings_form=form)


# One person's


def person_page(request: HttpRequest, someone: User, *, status: int = 200, **context: object) -> HttpResponse:
    period = forms.PeriodForm(request.GET).asked()
    today = queries.today()
    context = {
        "person": someone,
        "standing": queries.standing_of(someone),
        "period": period,
        "earner": queries.earner(someone, period),
        "form": forms.PeriodForm(initial={"since": period.since, "until": period.until}),
        "plot": drawings.of_weeks(queries.hours_by_week(someone)),
        "rates": queries.rates_of(someone),
        "page": queries.ledger_page(queries.ledger_of(someone), after=request.GET.get("after")),
        "requests": queries.requests_of(someone, limit=ASKED),
        "rate_form": forms.RateForm(prefix="rate", initial={"valid_from": today}),
        "correction_form": forms.CorrectionForm(prefix="correct", initial={"day": today, "key": forms.new_key()}),
        "payment_form": forms.PaymentForm(
            prefix="paid", initial={"paid_on": today, "period_from": period.since, "period_until": period.until}
        ),
        "today": today,
        "events": audit.events_about(someone, limit=5),
        **context,
    }
    return render(request, "pay/person.html", context, status=status)


@require_safe
@only(*ADMINS)
def person(request: HttpRequest, user_id: int) -> HttpResponse:
    return person_page(request, queries.get_payable(user_id))


@require_safe
@only(*ADMINS)
def person_csv(request: HttpRequest, user_id: int) -> HttpResponse:
    someone = queries.get_payable(user_id)
    rows = queries.ledger_in(since=None, until=None, person=someone.pk)
    return csv_response(queries.LEDGER_COLUMNS, queries.ledger_rows(rows), name=f"ledger-{someone.pk}")


@require_safe
@only(*ADMINS)
def person_weeks_csv(request: HttpRequest, user_id: int) -> HttpResponse:
    someone = queries.get_payable(user_id)
    return csv_response(WEEK_COLUMNS, queries.hours_by_week(someone), name=f"hours-by-week-{someone.pk}")


@require_POST
@only(*ADMINS)
def rate_set(request: HttpRequest, user_id: int) -> HttpResponse:
    someone = queries.get_payable(user_id)
    form = forms.RateForm(request.POST, prefix="rate")
    if form.is_valid():
        try:
            per_hour = form.rate(queries.pay_settings().currency)
            valid_from = form.cleaned_data["valid_from"]
            services.set_rate(user_id=user_id, valid_from=valid_from, per_hour=per_hour, actor=request.user)
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(request, _("Saved. What the ledger has an amount for keeps it."))
            return redirect("payroll-person", user_id)
    return person_page(request, someone, status=400, rate_form=form)


@require_POST
@only(*ADMINS)
def rate_take_back(request: HttpRequest, user_id: int, rate_id: int) -> HttpResponse:
    services.take_back_rate(rate_id=rate_id, user_id=user_id, actor=request.user)
    messages.success(request, _("The rate is taken back."))
    return redirect("payroll-person", user_id)


@require_POST
@only(*ADMINS)
def correct(request: HttpRequest, user_id: int) -> HttpResponse:
    someone = queries.get_payable(user_id)
    form = forms.CorrectionForm(request.POST, prefix="correct")
    if form.is_valid():
        given = form.cleaned_data
        try:
            change = form.change(queries.pay_settings().currency)
            said = {"day": given["day"], "reason": given["reason"], "key": given["key"]}
            services.correct(user_id=user_id, actor=request.user, **said, **change)
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(request, _("The correction is entered."))
            return redirect("payroll-person", user_id)
    return person_page(request, someone, status=400, correction_form=form)


@require_POST
@only(*ADMINS)
def payment(request: HttpRequest, user_id: int) -> HttpResponse:
    someone = queries.get_payable(user_id)
    form = forms.PaymentForm(request.POST, prefix="paid")
    if form.is_valid():
        try:
            paid = form.payment(queries.pay_settings().currency)
            services.enter_payment(user_id=user_id, actor=request.user, **paid)
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(request, _("The payment is entered."))
            return redirect("payroll-person", user_id)
    return person_page(request, someone, status=400, payment_form=form)


# What was asked


@require_safe
@only(*ADMINS)
def requests(request: HttpRequest) -> HttpResponse:
    show_all = request.GET.get("state") == "all"
    page = queries.inbox_page(open_only=not show_all, after=request.GET.get("after"))
    return render(request, "pay/requests.html", {"page": page, "show_all": show_all})


@require_http_methods(["GET", "HEAD", "POST"])
@only(*ADMINS)
def one_request(request: HttpRequest, request_id: uuid.UUID) -> HttpResponse:
    """POST decides it, by the field `do`: answer, accept or decline."""
    held = queries.get_request(request_id)
    do = request.POST.get("do")
    asked_for = {"minutes": held.minutes}
    answer_form = forms.AnswerForm(posted(request) if do == "answer" else None, prefix="answer")
    accept_form = forms.ChangeForm(posted(request) if do == "accept" else None, prefix="accept", initial=asked_for)
    decline_form = forms.DeclineForm(posted(request) if do == "decline" else None, prefix="decline")
    chosen = {"answer": answer_form, "accept": accept_form, "decline": decline_form}.get(do or "")
    status = 200
    if request.method == "POST":
        if chosen is None:
            raise Refusal(_("`do` must be answer, accept or decline."))
        if chosen.is_valid():
            try:
                _decide(held, do, chosen, actor=request.user)
            except Refusal as refusal:
                chosen.add_error(None, refusal.message)
                status = refusal.status
            else:
                messages.success(request, _("Done; they see it on their page “My pay”."))
                return redirect("payroll-requests")
        status = 400 if status == 200 else status
    context = {
        "held": held,
        "currency": queries.pay_settings().currency,
        "rate": queries.rate_on(held.person, held.day),
        "day_entries": queries.ledger_of(held.person).filter(day=held.day).order_by("id")[:50],
        **{"answer_form": answer_form, "accept_form": accept_form, "decline_form": decline_form},
    }
    return render(request, "pay/request.html", context, status=status)


def _decide(held: PayRequest, do: str | None, form, *, actor: User) -> None:
    given = form.cleaned_data
    if do == "answer":
        services.answer(request_id=held.pk, text=given["text"], actor=actor)
    elif do == "decline":
        services.decline(request_id=held.pk, reason=given["text"], actor=actor)
    else:
        change = form.change(queries.pay_settings().currency)
        services.accept(request_id=held.pk, reason=given["reason"], actor=actor, **change)
