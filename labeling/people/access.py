"""Who may see which page."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from labeling.people.models import User
from labeling.refusals import NotAllowed

EVERYONE = tuple(User.Role)
LABELERS = (User.Role.LABELER, User.Role.RESEARCHER)
STAFF = (User.Role.RESEARCHER, User.Role.ADMIN)
ADMINS = (User.Role.ADMIN,)


def only(*roles: str) -> Callable:
    """A view decorator: sign-in first, then one of `roles`, else a 403 with a sentence."""

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @login_required
        @wraps(view)
        def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
            if request.user.role not in roles:
                wanted = _(" or ").join(str(User.Role(role).label) for role in roles)
                raise NotAllowed(
                    _("This page is for the role {wanted}; you are signed in as {role}.").format(
                        wanted=wanted, role=request.user.get_role_display()
                    )
                )
            return view(request, *args, **kwargs)

        guarded.roles = roles
        return guarded

    return decorate
