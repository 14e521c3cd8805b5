"""Signing in, one's own account, the team's settings, quotas and invitations."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, update_session_auth_hash
from django.contrib.auth.views import LoginView, LogoutView, PasswordChangeView
from django.forms import model_to_dict
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from labeling.audit import queries as audit
from labeling.people import forms, queries, services
from labeling.people.access import ADMINS, EVERYONE, only
from labeling.refusals import Conflict, Refusal


class SignIn(LoginView):
    template_name = "people/sign_in.html"
    form_class = forms.SignInForm
    redirect_authenticated_user = True


class SignOut(LogoutView):
    pass


@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Public: another language, for the person where one is signed in, and for this browser where nobody is."""
    chosen = services.check_language(request.POST.get("language", ""))
    if request.user.is_authenticated:
        services.change_language(user=request.user, language=chosen)
    back = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(
        back, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    response = redirect(back if is_ours else "home")
    if not chosen:
        response.delete_cookie(settings.LANGUAGE_COOKIE_NAME)
        return response
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        chosen,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        secure=settings.LANGUAGE_COOKIE_SECURE,
        httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
        samesite=settings.LANGUAGE_COOKIE_SAMESITE,
    )
    return response


@method_decorator(only(*EVERYONE), name="dispatch")
class ChangePassword(PasswordChangeView):
    template_name = "people/password.html"
    success_url = reverse_lazy("account")

    def form_valid(self, form) -> HttpResponse:
        user = services.set_password(
            user=form.user, password=form.cleaned_data["new_password1"], actor=self.request.user
        )
        update_session_auth_hash(self.request, user)
        messages.success(self.request, _("Your password is changed; other browsers that were signed in are out."))
        return redirect(self.success_url)


def posted(request: HttpRequest) -> QueryDict | None:
    """What a form is bound to: also an empty POST is one, and shows what is missing."""
    return request.POST if request.method == "POST" else None


def account_page(request: HttpRequest, *, status: int = 200, **context: object) -> HttpResponse:
    context = {
        "tokens": queries.tokens_of(request.user),
        "token_form": forms.TokenForm(),
        "name_form": forms.DisplayNameForm(initial={"display_name": request.user.display_name}),
        "opt_out_form": forms.OptOutForm(initial={"categories": request.user.opted_out}),
        **context,
    }
    return render(request, "people/account.html", context, status=status)


@require_http_methods(["GET", "POST"])
@only(*EVERYONE)
def account(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return account_page(request)
    form = forms.DisplayNameForm(request.POST)
    if not form.is_valid():
        return account_page(request, name_form=form, status=400)
    services.change_display_name(user=request.user, display_name=form.cleaned_data["display_name"])
    messages.success(request, _("Saved."))
    return redirect("account")


@require_POST
@only(*EVERYONE)
def opt_out(request: HttpRequest) -> HttpResponse:
    services.opt_out(user=request.user, categories=request.POST.getlist("categories"))
    messages.success(request, _("Saved. It holds from your next task on, and costs you nothing."))
    return redirect("account")


@require_http_methods(["GET", "POST"])
@only(*EVERYONE)
def keys(request: HttpRequest) -> HttpResponse:
    if "usual" in request.POST:
        services.change_keys(user=request.user, keys={}, letter_keys=True)
        messages.success(request, _("The keys are as they came."))
        return redirect("keys")
    form = forms.KeysForm(posted(request), initial=forms.KeysForm.of(request.user))
    if request.method == "POST" and form.is_valid():
        try:
            services.change_keys(user=request.user, keys=form.chosen(), letter_keys=form.cleaned_data["letter_keys"])
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(request, _("Saved. The keys hold from the next page on."))
            return redirect("keys")
    return render(request, "people/keys.html", {"form": form}, status=400 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@only(*ADMINS)
def team_settings(request: HttpRequest) -> HttpResponse:
    held = queries.team_settings()
    form = forms.TeamSettingsForm(posted(request), initial=model_to_dict(held))
    if request.method == "POST" and form.is_valid():
        try:
            services.change_team_settings(actor=request.user, **form.cleaned_data)
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(request, _("Saved; it holds from now on."))
            return redirect("settings")
    context = {"form": form, "events": audit.events_about(held)}
    return render(request, "people/settings.html", context, status=400 if form.errors else 200)


@require_POST
@never_cache
@only(*EVERYONE)
def token_new(request: HttpRequest) -> HttpResponse:
    """The page with the new token on it, once: no redirect, since nothing could show it afterwards."""
    form = forms.TokenForm(request.POST)
    if not form.is_valid():
        return account_page(request, token_form=form, status=400)
    row, token = services.create_token(user=request.user, name=form.cleaned_data["name"])
    return account_page(request, new_token=token, new_token_name=row.name, status=201)


@require_POST
@only(*EVERYONE)
def token_revoke(request: HttpRequest, token_id) -> HttpResponse:
    services.revoke_token(token_id=token_id, user=request.user)
    messages.success(request, _("The token is revoked."))
    return redirect("account")


@require_POST
@only(*ADMINS)
def person_quota(request: HttpRequest, user_id: int) -> HttpResponse:
    form = forms.QuotaForm(request.POST)
    if not form.is_valid():
        raise Refusal(
            _("A quota is from 1 to {most_a_day} answers a day, or empty for none.").format(
                most_a_day=services.MOST_A_DAY
            )
        )
    services.set_daily_quota(user_id=user_id, quota=form.cleaned_data["quota"], actor=request.user)
    messages.success(request, _("Saved."))
    return redirect("person", user_id)


@never_cache
@require_http_methods(["GET", "POST"])
@only(*ADMINS)
def invitations(request: HttpRequest) -> HttpResponse:
    form = forms.InvitationForm(posted(request))
    link = None
    if request.method == "POST" and form.is_valid():
        try:
            _, token = services.create_invitation(created_by=request.user, **form.cleaned_data)
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            # Shown on this answer and never again, so there is no redirect to another page.
            link = request.build_absolute_uri(reverse("invitation-accept", args=[token]))
            form = forms.InvitationForm()
    page = queries.invitations_page(after=request.GET.get("after"))
    status = 201 if link else 400 if form.errors else 200
    return render(request, "people/invitations.html", {"page": page, "form": form, "link": link}, status=status)


@require_POST
@only(*ADMINS)
def invitation_revoke(request: HttpRequest, invitation_id: int) -> HttpResponse:
    services.revoke_invitation(invitation_id=invitation_id, actor=request.user)
    messages.success(request, _("The link opens nothing any more."))
    return redirect("invitations")


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "POST"])
def invitation_accept(request: HttpRequest, token: str) -> HttpResponse:
    """Public: the token is the permission. A wrong one is a 404, one that is over a 410."""
    offer = services.find_invitation(token=token)
    form = forms.JoinForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            user = services.accept_invitation(token=token, **form.cleaned_data)
        except services.InvitationGone:
            raise
        except Conflict as refusal:
            form.add_error("username", refusal.message)
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            login(request, user)
            return redirect("home")
    context = {"form": form, "offer": offer}
    return render(request, "people/join.html", context, status=400 if form.errors else 200)
