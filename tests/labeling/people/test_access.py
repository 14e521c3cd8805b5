"""Every page and every API call, as nobody and as each wrong role. A new one without a guard fails here."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver

from labeling.people.models import User

# The pages that nobody need sign in for; signing out is one of them, since it only ends what there is.
PUBLIC = {"sign-in/", "sign-out/", "language/", "join/<str:token>/", "healthz", "readyz"}
# Where a labeler may go; every other page is for researchers and admins, unless it is for admins alone.
LABELERS_TOO = (
    "account/",
    "work/",
    "answers/",
    "guide/",
    "guidelines/",
    "questions/",
    "tour/",
    "surveys/",
    "application/",
    "messages/",
    "pay/",
    "api/v1/pay/",
    "api/v1/tasks/",
    "api/v1/tour/",
    "api/v1/second-looks/",
    "api/v1/messages/",
    "api/v1/guidelines/",
    "api/v1/preview/",
    "api/v1/schema/",
)
ADMINS_ONLY = ("people/", "payroll/", "audit/", "settings/", "api/v1/people/", "api/v1/payroll/")
# Their own work: admins do not rank.
NOT_ADMINS = (
    *("work/", "answers/", "tour/", "surveys/", "application/", "pay/"),
    *("api/v1/tasks/", "api/v1/tour/", "api/v1/pay/", "api/v1/second-looks/"),
)
# What its prefix does not tell.
EXCEPTIONS = {
    "guidelines/versions/": ("researcher", "admin"),
    "guidelines/new/": ("admin",),
    "forms/new/": ("admin",),
    "survey-rounds/new/": ("admin",),
    "survey-rounds/<uuid:round_id>/close/": ("admin",),
    "api/v1/survey-rounds/<uuid:round_id>/close/": ("admin",),
    "sent-messages/new/": ("admin",),
    "api/v1/messages/sent/": ("researcher", "admin"),
    "api/v1/messages/sent/<int:notice_id>/": ("researcher", "admin"),
    "api/v1/messages/sent/<int:notice_id>/readers/": ("researcher", "admin"),
    "onboarding/settings/": ("admin",),
    "onboarding/<int:user_id>/begin/": ("admin",),
    "batches/<int:batch_id>/probation/": ("admin",),
    "api/v1/onboarding/mine/": ("labeler", "researcher"),
    "api/v1/onboarding/<int:user_id>/begin/": ("admin",),
    "screening/new/": ("admin",),
    "screening/grading/": ("researcher",),
    "screening/topics/add/": ("admin",),
    "screening/topics/<int:topic_id>/retire/": ("admin",),
    "screening/applicants/<uuid:application_id>/decide/": ("admin",),
    "screening/items/<int:chosen_id>/remove/": ("admin",),
    "screening/<int:screening_id>/open/": ("admin",),
    "screening/<int:screening_id>/close/": ("admin",),
    "screening/<int:screening_id>/cut-offs/": ("admin",),
    "screening/<int:screening_id>/invite/": ("admin",),
    "screening/<int:screening_id>/items/<int:gate>/": ("admin",),
    "api/v1/screening/rounds/<int:screening_id>/items/": ("admin",),
    "api/v1/screening/rounds/<int:screening_id>/open/": ("admin",),
    "api/v1/screening/rounds/<int:screening_id>/close/": ("admin",),
    "api/v1/screening/rounds/<int:screening_id>/invitations/": ("admin",),
    "api/v1/screening/applicants/<uuid:application_id>/decisions/": ("admin",),
    "checks/alerts/<uuid:alert_id>/acknowledge/": ("admin",),
    "api/v1/checks/alerts/<uuid:alert_id>/acknowledge/": ("admin",),
    "checks/alerts/<uuid:alert_id>/tell/": ("admin",),
    "api/v1/checks/alerts/<uuid:alert_id>/tell/": ("admin",),
    "blindness/serve/": ("admin",),
    "blindness/terms/add/": ("admin",),
    "blindness/terms/<int:term_id>/switch/": ("admin",),
    "blindness/completions/<uuid:completion_id>/decide/": ("admin",),
    "api/v1/maker-terms/<str:term_id>/": ("admin",),
    "api/v1/maker-marks/<str:completion_id>/": ("admin",),
    "adjudication/rule/": ("admin",),
    "work/adjudication/<uuid:task_id>/take/": ("researcher",),
    "work/adjudication/<uuid:lease_id>/reveal/": ("researcher",),
    "api/v1/adjudication/<uuid:task_id>/take/": ("researcher",),
    "api/v1/adjudication/<uuid:task_id>/reveal/": ("researcher",),
    "questions/inbox/": ("researcher", "admin"),
    "questions/<uuid:question_id>/share/": ("researcher", "admin"),
    "questions/<uuid:question_id>/unshare/": ("researcher", "admin"),
    "prompts/<uuid:prompt_id>/original/": ("admin",),
    "use-cases/target/": ("admin",),
    "api/v1/use-cases/target/": ("admin",),
    "use-cases/train/": ("admin",),
    "api/v1/use-cases/train/": ("admin",),
    "api/v1/prompts/<uuid:prompt_id>/original/": ("admin",),
    "sources/new/": ("admin",),
    "sources/<int:source_id>/keys/": ("admin",),
    "sources/<int:source_id>/keys/<uuid:key_id>/revoke/": ("admin",),
    "api/v1/sources/<int:source_id>/keys/": ("admin",),
    "api/v1/sources/<int:source_id>/keys/<uuid:key_id>/revoke/": ("admin",),
    "personal-data/policy/": ("admin",),
    "personal-data/rescan/": ("admin",),
    "personal-data/sample/": ("admin",),
    "api/v1/personal-data/policy/": ("admin",),
    "api/v1/personal-data/rescan/": ("admin",),
    "api/v1/personal-data/samples/": ("admin",),
    "api/v1/questions/<uuid:question_id>/": ("labeler", "researcher"),
    "guidelines/<int:number>/read/": ("labeler", "researcher"),
    "api/v1/guidelines/<int:number>/read/": ("labeler", "researcher"),
}
EXCEPTIONS |= {
    **{f"erasures/people/{rest}": ("admin",) for rest in ("", "<int:person_id>/", "<int:person_id>/export/")},
    **{f"erasures/people/<int:person_id>/{rest}/": ("admin",) for rest in ("erase", "allow")},
    "erasures/retention/": ("admin",),
    "api/v1/erasures/export/": ("admin",),
}
SAMPLES = {"int": "1", "uuid": str(uuid.uuid4()), "str": "some-text", "slug": "some-text", "path": "some/text"}


def walk(patterns: list, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from walk(pattern.url_patterns, route)
        else:
            yield route, pattern


def guarded() -> list[str]:
    return sorted({route for route, _ in walk(get_resolver().url_patterns)} - PUBLIC)


def sample(route: str) -> str:
    return "/" + re.sub(r"<(?:(\w+):)?\w+>", lambda match: SAMPLES[match[1] or "str"], route)


def allowed(route: str, role: str) -> bool:
    if route in EXCEPTIONS:
        return role in EXCEPTIONS[route]
    if route.startswith(NOT_ADMINS) and role == "admin":
        return False
    if route == "" or route.startswith(LABELERS_TOO):
        return True
    if route.startswith(ADMINS_ONLY):
        return role == "admin"
    return role in ("researcher", "admin")


def answers(client: Client, route: str) -> set[int]:
    """The statuses for GET and POST, less "there is no such method here"."""
    statuses = {client.get(sample(route)).status_code}
    statuses.add(client.post(sample(route), data="{}", content_type="application/json").status_code)
    return statuses - {405}


@pytest.mark.django_db
def test_nobody_gets_anywhere_without_signing_in(client):
    open_to_all = {
        route
        for route in guarded()
        if route != "api/v1/schema/" and (not (seen := answers(client, route)) or not seen <= {302, 401})
    }
    assert open_to_all == set()
    assert client.get("/prompts/").headers["Location"] == "/sign-in/?next=/prompts/"
    assert client.get("/api/v1/schema/").status_code in (200, 401)


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["labeler", "researcher", "admin"])
def test_each_role_is_refused_what_is_not_for_it(role, client):
    group = "training" if role == "labeler" else "researcher"
    client.force_login(User.objects.create_user("somebody", password=None, role=role, group=group))
    open_by_mistake = {route for route in guarded() if not allowed(route, role) and answers(client, route) - {403}}
    assert open_by_mistake == set()


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["labeler", "researcher", "admin"])
def test_each_role_gets_to_what_is_for_it(role, client):
    group = "training" if role == "labeler" else "researcher"
    client.force_login(User.objects.create_user("somebody", password=None, role=role, group=group))
    shut_by_mistake = {
        route
        for route in guarded()
        if allowed(route, role) and "<" not in route and client.get(sample(route)).status_code in (401, 403, 500)
    }
    assert shut_by_mistake == set()


def test_somebody_deactivated_gets_nowhere(page, api, cy):
    assert page(cy).get("/account/").status_code == 302
    assert api(cy).get("/api/v1/prompts/").status_code == 401
