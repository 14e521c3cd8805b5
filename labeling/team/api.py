"""People over the API, for admins' programs: who there is, who leaves, who comes back."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsAdmin
from labeling.fields import Fields
from labeling.people.services import activate_user
from labeling.team import queries, services
from labeling.team.forms import PeopleFilter

OBJECT = OpenApiTypes.OBJECT
REASON = {"application/json": {"type": "object", "properties": {"reason": {"type": "string"}}, "required": ["reason"]}}
ASKED = [
    OpenApiParameter("search", str, description="How the user name or the name begins."),
    OpenApiParameter("role", str, enum=["labeler", "researcher", "admin"]),
    OpenApiParameter("group", str, enum=["training", "held_out", "researcher", "simulated"]),
    OpenApiParameter("standing", str, enum=["active", "paused", "offboarded"]),
    OpenApiParameter("unseen_days", int, enum=[3, 7, 30], description="Not seen for so many days."),
    OpenApiParameter(
        "sort", str, enum=[sort for sort in queries.SORTS if sort], description="By user name without it."
    ),
    OpenApiParameter("after", str, description="`next` of the page before."),
]


def person_body(member: queries.Member) -> dict:
    person = member.person
    return {
        "id": person.pk,
        "user_name": person.username,
        "name": person.display_name,
        "role": person.role,
        "group": person.group,
        "standing": queries.standing_of(person),
        "on_break": member.on_break,
        "last_seen": member.seen_at,
        "answers_this_week": member.answers,
        "active_seconds_this_week": member.active_seconds,
        "corrections_this_week": member.corrections,
        "quota": person.daily_quota,
        "joined": person.date_joined,
        "agreement_with_others": member.agreement,
        "reports_that_stand_out": member.marked,
    }


class People(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(operation_id="people_list", parameters=ASKED, responses=OBJECT)
    def get(self, request) -> Response:
        """Whom the filters leave: `results`, and `next`, the value of `after` for more. Weeks begin on Monday."""
        asked = PeopleFilter(request.query_params).asked()
        page = queries.people_page(asked, after=request.query_params.get("after"))
        return Response({"results": [person_body(member) for member in page], "next": page.next})


class Offboard(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(operation_id="person_offboard", request=REASON, responses=OBJECT)
    def post(self, request, user_id: int) -> Response:
        """End the person's sessions, tokens and tasks at once; their answers stay. 409 for the only active admin."""
        body = Fields(request.data)
        reason = body.text("reason")
        body.done()
        person = services.offboard(user_id=user_id, reason=reason, actor=request.user)
        return Response(person_body(queries.member(person)))


class Activate(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(operation_id="person_activate", request=None, responses=OBJECT)
    def post(self, request, user_id: int) -> Response:
        """The account can sign in again; sessions and tokens stay over."""
        person = activate_user(user_id=user_id, actor=request.user)
        return Response(person_body(queries.member(person)))
