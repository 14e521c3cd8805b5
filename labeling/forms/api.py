"""Forms over HTTP: read them; admins make them and publish versions."""

from __future__ import annotations

from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsResearcher
from labeling.fields import Fields
from labeling.forms import queries, services
from labeling.people.models import User
from labeling.refusals import NotAllowed

OBJECT = OpenApiTypes.OBJECT


def for_admins(user: User) -> User:
    if user.role != User.Role.ADMIN:
        raise NotAllowed(_("Forms are made and changed by admins; you are signed in as {role}.").format(role=user.role))
    return user


class Forms(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="forms_list", responses=OBJECT)
    def get(self, request: Request) -> Response:
        return Response({"results": [queries.form_summary(form) for form in queries.all_forms()]})

    @extend_schema(operation_id="forms_add", request=OBJECT, responses={201: OBJECT})
    def post(self, request: Request) -> Response:
        """A new form: `name`, `title` and its `definition`."""
        actor, body = for_admins(request.user), Fields(request.data)
        given = {"name": body.text("name"), "title": body.text("title"), "definition": body.any("definition")}
        body.done()
        return Response(queries.version_summary(services.create_form(**given, actor=actor)), status=201)


class OneForm(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="form", responses=OBJECT)
    def get(self, request: Request, name: str) -> Response:
        """The newest version, or the one that ?version= names."""
        form = queries.form_named(name)
        number = request.query_params.get("version", "")
        if number:
            return Response(queries.version_summary(queries.get_version(form, number)))
        return Response(queries.version_summary(queries.newest_version(form.pk)))

    @extend_schema(operation_id="form_publish", request=OBJECT, responses={201: OBJECT})
    def post(self, request: Request, name: str) -> Response:
        """The next version: `definition`, the version that it is `based_on`, and a new `title` if there is one."""
        actor, form, body = for_admins(request.user), queries.form_named(name), Fields(request.data)
        given = {
            "definition": body.any("definition"),
            "based_on": body.integer("based_on", least=1, most=2**31 - 1),
            "title": body.text("title", form.title),
        }
        body.done()
        version = services.publish_version(form=form, **given, actor=actor)
        return Response(queries.version_summary(version), status=201)
