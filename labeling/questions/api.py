"""Questions over HTTP, for the task page and for programs."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsLabeler, object_body
from labeling.questions import queries, services
from labeling.questions.models import Question

TEXT = {"type": "string", "maxLength": services.TEXT_CHARACTERS}
QUESTION = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "state": {"enum": ["open", "answered"]},
        "messages": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "text": TEXT,
                    "mine": {"type": "boolean"},
                    "created_at": {"type": "string", "format": "date-time"},
                },
            },
        },
    },
}


def question_body(question: Question, reader) -> dict:
    said = queries.thread(question, reader=reader)
    return {
        "id": str(question.pk),
        "state": question.state,
        "messages": [
            {"text": one["text"], "mine": one["mine"], "created_at": one["created_at"].isoformat()} for one in said
        ],
    }


class AskAboutTask(APIView):
    permission_classes = [IsLabeler]

    @extend_schema(
        operation_id="task_question",
        request={"application/json": {"type": "object", "properties": {"text": TEXT}, "required": ["text"]}},
        responses={201: QUESTION},
    )
    def post(self, request, lease_id: str) -> Response:
        """Ask your team about this task. Asking again continues the thread."""
        text = object_body(request.data).get("text")
        question = services.ask(lease_id=lease_id, labeler=request.user, text=text)
        return Response(question_body(question, request.user), status=201)


class OneQuestion(APIView):
    permission_classes = [IsLabeler]

    @extend_schema(operation_id="question", responses={200: QUESTION})
    def get(self, request, question_id: str) -> Response:
        """One of your threads."""
        question = queries.get_question(question_id=question_id, reader=request.user)
        return Response(question_body(question, request.user))
