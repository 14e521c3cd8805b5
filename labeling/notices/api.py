"""Messages over HTTP: for labelers their own, for staff those that were sent; admins send."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsAdmin, IsResearcher
from labeling.fields import Fields
from labeling.notices import queries, services
from labeling.notices.models import Notice, NoticeReceipt

AFTER = OpenApiParameter("after", str, description="`next` of the page before")
TIME = {"type": "string", "format": "date-time"}
NULLABLE_TIME = {"type": ["string", "null"], "format": "date-time"}
WORDS = {
    "id": {"type": "integer"},
    "title": {"type": "string", "maxLength": services.TITLE_CHARACTERS},
    "text": {"type": "string", "maxLength": services.TEXT_CHARACTERS, "description": "Markdown"},
    "important": {"type": "boolean"},
    "created_at": TIME,
}
OWN = {"type": "object", "properties": {**WORDS, "read_at": NULLABLE_TIME}}
AUDIENCE = {
    "audience": {"enum": list(Notice.Audience.values)},
    "group": {"enum": ["", *(group.value for group in services.GROUPS)]},
    "person": {"type": ["integer", "null"]},
}
SENT = {
    "type": "object",
    "properties": {
        **WORDS,
        **AUDIENCE,
        "author": {"type": "string"},
        "recipients": {"type": "integer"},
        "read": {"type": "integer", "description": "how many of them have read it"},
    },
}


def words_of(notice: Notice) -> dict:
    return {
        "id": notice.pk,
        "title": notice.title,
        "text": notice.text,
        "important": notice.important,
        "created_at": notice.created_at.isoformat(),
    }


def own_body(receipt: NoticeReceipt) -> dict:
    return {**words_of(receipt.notice), "read_at": receipt.read_at.isoformat() if receipt.read_at else None}


def sent_body(notice: Notice) -> dict:
    return {
        **words_of(notice),
        "audience": notice.audience,
        "group": notice.group,
        "person": notice.person_id,
        "author": notice.author.username,
        "recipients": notice.recipients,
        "read": notice.read,
    }


class Messages(APIView):
    permission_classes = [IsAuthenticated]

    @extend_schema(operation_id="messages", parameters=[AFTER], responses=OpenApiTypes.OBJECT)
    def get(self, request) -> Response:
        """Messages to you, unread first, then newest first: `{"messages": […], "unread": …, "next": …}`.

        `unread` counts up to 100.
        """
        page = queries.own_page(request.user, after=request.GET.get("after"))
        body = {"messages": [own_body(receipt) for receipt in page], "unread": queries.standing_of(request.user).unread}
        return Response({**body, "next": page.next})


class ReadMessage(APIView):
    permission_classes = [IsAuthenticated]

    @extend_schema(operation_id="message_read", request=None, responses={200: OWN})
    def post(self, request, notice_id: int) -> Response:
        """Say that you have read it. Saying so again changes nothing."""
        return Response(own_body(services.read_notice(notice_id=notice_id, person=request.user)))


class SentMessages(APIView):
    def get_permissions(self) -> list:
        return [IsAdmin() if self.request.method == "POST" else IsResearcher()]

    @extend_schema(operation_id="messages_sent", parameters=[AFTER], responses=OpenApiTypes.OBJECT)
    def get(self, request) -> Response:
        """Messages that were sent, newest first: `{"messages": […], "next": …}`."""
        page = queries.sent_page(after=request.GET.get("after"))
        return Response({"messages": [sent_body(notice) for notice in page], "next": page.next})

    @extend_schema(
        operation_id="message_send",
        request={
            "application/json": {
                "type": "object",
                "properties": {
                    **{name: WORDS[name] for name in ("title", "text", "important")},
                    **AUDIENCE,
                    "key": {
                        "type": "string",
                        "maxLength": services.KEY_CHARACTERS,
                        "description": "any text of your own; what is sent again under it is sent once",
                    },
                },
                "required": ["title", "text", "audience", "key"],
            }
        },
        responses={201: SENT},
    )
    def post(self, request) -> Response:
        """Send one."""
        fields = Fields(request.data)
        said = {
            "title": fields.text("title"),
            "text": fields.text("text", longest=services.TEXT_CHARACTERS),
            "important": fields.flag("important", False),
            "audience": fields.text("audience"),
            "group": fields.text("group", ""),
            "key": fields.text("key"),
        }
        if fields.any("person", None) is not None:
            said["person_id"] = fields.integer("person", least=1, most=2**31 - 1)
        fields.done()
        notice = services.send_notice(**said, author=request.user)
        return Response(sent_body(queries.get_sent(notice.pk)), status=201)


class SentMessage(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="message_sent", responses={200: SENT})
    def get(self, request, notice_id: int) -> Response:
        """One message, and how many have read it."""
        return Response(sent_body(queries.get_sent(notice_id)))


class Readers(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="message_readers", parameters=[AFTER], responses=OpenApiTypes.OBJECT)
    def get(self, request, notice_id: int) -> Response:
        """Who has not read it, then who has: `{"people": [{"person", "user_name", "read_at"}], "next": …}`."""
        page = queries.receipts_page(queries.get_sent(notice_id), after=request.GET.get("after"))
        people = [
            {
                "person": receipt.person_id,
                "user_name": receipt.person.username,
                "read_at": receipt.read_at.isoformat() if receipt.read_at else None,
            }
            for receipt in page
        ]
        return Response({"people": people, "next": page.next})
