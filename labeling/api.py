"""What every API view shares: saying no in one shape, who may call."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions, permissions
from rest_framework.authentication import CSRFCheck
from rest_framework.response import Response
from rest_framework.views import exception_handler

from labeling.people.api_auth import TokenAuthentication
from labeling.people.models import User
from labeling.refusals import Refusal
from labeling.text import parse_json

log = structlog.get_logger(__name__)


def refusal_body(refusal: Refusal) -> dict:
    return {"error": {"code": refusal.code, "message": refusal.message, **refusal.detail}}


def refusal_response(refusal: Refusal) -> JsonResponse:
    return JsonResponse(refusal_body(refusal), status=refusal.status)


def explain_exception(error: Exception, context: dict) -> Response | None:
    """DRF's exception handler: every refusal is `{"error": {"code", "message", …}}`."""
    if isinstance(error, Refusal):
        wait = error.detail.get("retry_after")
        return Response(
            refusal_body(error), status=error.status, headers={"Retry-After": str(wait)} if wait is not None else None
        )
    if isinstance(error, Http404):
        return Response({"error": {"code": "not_found", "message": _("There is no such thing here.")}}, status=404)
    if isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    response = exception_handler(error, context)
    if response is not None and isinstance(error, exceptions.APIException):
        codes = error.get_codes()
        code = codes if isinstance(codes, str) else "invalid"
        message = str(error.detail) if isinstance(codes, str) else _("Some fields are not right; see `fields`.")
        body: dict[str, Any] = {"code": code, "message": message}
        if not isinstance(codes, str):
            body["fields"] = error.detail
        response.data = {"error": body}
    return response


def object_body(data: Any) -> dict:
    """The request's JSON object; Refusal where it is a list or a bare value."""
    if not isinstance(data, dict):
        raise Refusal(_("The body must be a JSON object, not {data}.").format(data=json_type(data)))
    return data


def json_type(value: Any) -> str:
    """What JSON calls the type of `value`, with its article."""
    names = {
        dict: _("an object"),
        list: _("a list"),
        str: _("a string"),
        bool: _("a boolean"),
        type(None): "null",
    }
    return names.get(type(value), _("a number"))


LABELERS = (User.Role.LABELER, User.Role.RESEARCHER)


class IsLabeler(permissions.IsAuthenticated):
    """Everyone who may work on tasks: labelers, and researchers, whose answers are a group of their own."""

    def has_permission(self, request, view) -> bool:
        return super().has_permission(request, view) and request.user.role in LABELERS


class IsResearcher(permissions.IsAuthenticated):
    """Researchers and admins."""

    def has_permission(self, request, view) -> bool:
        return super().has_permission(request, view) and request.user.role in (User.Role.RESEARCHER, User.Role.ADMIN)


class IsAdmin(permissions.IsAuthenticated):
    def has_permission(self, request, view) -> bool:
        return super().has_permission(request, view) and request.user.role == User.Role.ADMIN


def lean(view: type) -> Callable[..., HttpResponse]:
    """The POST of an API view for labelers without REST framework's 3 ms, by the view's `answer(request, user, data)`.

    Takes what nearly every request is: a labeler who is signed in or has a token, and a JSON body where the view
    `reads` one. All else goes to the view itself, which refuses it in the words that all of the API has.
    """
    complete = view.as_view()

    @csrf_exempt  # looked at below, where it applies: a token is no cookie
    def answer(request: HttpRequest, **named: str) -> HttpResponse:
        body_is_read = not view.reads or request.content_type == "application/json"
        user = _signed_in(request) if request.method == "POST" and body_is_read else None
        if user is None or user.role not in LABELERS:
            return complete(request, **named)
        data: Any = {}
        if view.reads and (body := request.read()).strip():
            data = parse_json(body)
        return view.answer(request, user, data, **named)

    # OpenAPI's generator looks here.
    answer.cls, answer.initkwargs = view, {}
    return answer


def _signed_in(request: HttpRequest) -> User | None:
    """Who sends the request, by token or session; None where it is nobody, or cannot be told without a refusal."""
    try:
        if "HTTP_AUTHORIZATION" in request.META and (found := TokenAuthentication().authenticate(request)):
            return found[0]
    except exceptions.AuthenticationFailed:
        return None
    check = CSRFCheck(lambda _request: None)
    check.process_request(request)
    if not request.user.is_authenticated or check.process_view(request, None, (), {}):
        return None
    return request.user


def json_response(body: dict, *, status: int = 200) -> HttpResponse:
    """As REST framework writes it: text as it is, no spaces."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return HttpResponse(text, content_type="application/json", status=status)
