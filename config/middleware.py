"""Rules for every request."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.middleware.locale import LocaleMiddleware
from django.shortcuts import render
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from labeling.api import refusal_response
from labeling.audit import reading
from labeling.refusals import Refusal
from labeling.text import check_text

log = structlog.get_logger(__name__)

# Lazy: it is named in every request, and said hardly ever.
THE_ADDRESS = gettext_lazy("the address")
# Only our own files run: text from prompts and models that slipped through escaping still could not.
POLICY = "; ".join(
    [
        "default-src 'self'",
        "img-src 'self' data:",
        "style-src 'self' 'unsafe-inline'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)


class ContentSecurityPolicy:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response


class Language(LocaleMiddleware):
    """The language that the person chose, else the one chosen in this browser, else what the browser asks for.

    Asks the database nothing of its own: who is signed in is looked up once for a request, and here is the first to
    ask. Without a session there is nobody to look up, as with an API token: a program says by a header what it wants.
    """

    def process_request(self, request: HttpRequest) -> None:
        chosen = ""
        if settings.SESSION_COOKIE_NAME in request.COOKIES:
            chosen = getattr(request.user, "language", "")
        if not chosen:
            return super().process_request(request)
        translation.activate(chosen)
        request.LANGUAGE_CODE = chosen
        return None


class RefuseBadInput:
    """The one place where a page's refusal becomes an answer, and where text that cannot be stored is turned away."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            check_text(request.path_info, where=THE_ADDRESS)
            # A POST's fields are looked at in process_view, after CSRF has had its say.
            for key, values in request.GET.lists():
                check_text(key, where=_("a query parameter's name"))
                for value in values:
                    check_text(value, where=_("the query parameter {key}").format(key=key))
        except Refusal as refusal:
            return answer(request, refusal)
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view, args, kwargs) -> HttpResponse | None:
        if request.method != "POST" or request.content_type == "application/json":
            return None
        try:
            for key, values in request.POST.lists():
                check_text(key, where=_("a field's name"))
                for value in values:
                    check_text(value, where=_("the field {key}").format(key=key))
        except Refusal as refusal:
            return answer(request, refusal)
        except BadRequest:
            return answer(request, Refusal(_("The form could not be read; reload the page and send it again.")))
        return None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return answer(request, error) if isinstance(error, Refusal) else None


def answer(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    """The refusal as JSON for the API, else as a page (or, for HTMX, its fragment) that says it in words."""
    if request.path_info.startswith("/api/"):
        return refusal_response(refusal)
    name = "_refusal.html" if getattr(request, "htmx", False) else "refusal.html"
    return render(request, name, {"refusal": refusal}, status=refusal.status)


class WriteDownReading:
    """Whoever of the team is shown raw texts of others leaves a line in the audit trail, one for each page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.method == "GET" and response.status_code == 200 and request.resolver_match is not None:
            reading.write_down(reader=request.user, match=request.resolver_match, live="HX-Request" in request.headers)
        return response
