"""Questions about a task: between the labeler and the team, and shared without a trace of who asked."""

from __future__ import annotations

import uuid

import pytest

from labeling.audit.models import AuditEvent
from labeling.leasing.services import grant_lease
from labeling.questions.models import Message, Question
from labeling.questions.services import MESSAGES, ask, reply, share
from labeling.refusals import NotFound, Refusal, TooMany
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def lease(ada):
    factories.make_task(batch=factories.make_batch(overlap=2))
    return grant_lease(labeler=ada)


def test_a_thread_opens_and_is_answered(lease, ada, amy):
    question = ask(lease_id=lease.pk, labeler=ada, text=" What is\r\nmeant? ")
    # A click too many says nothing twice, and a second question goes on in the thread.
    assert ask(lease_id=lease.pk, labeler=ada, text="What is\nmeant?") == question
    assert Message.objects.get().text == "What is\nmeant?"
    question = reply(question_id=question.pk, author=amy, text="The second one.")
    assert (question.state, question.unseen) == ("answered", True)
    question = ask(lease_id=lease.pk, labeler=ada, text="Both?")
    assert (question.state, question.unseen, question.messages.count()) == ("open", False, 3)


@pytest.mark.parametrize("text", [None, 5, "", " \n", "x" * 4001, "a\x00"])
def test_what_is_no_question(lease, ada, text):
    with pytest.raises(Refusal):
        ask(lease_id=lease.pk, labeler=ada, text=text)
    assert not Question.objects.exists()


def test_a_thread_is_theirs_alone(lease, ada, bo, amy, page, api):
    with pytest.raises(NotFound):
        ask(lease_id=lease.pk, labeler=bo, text="Mine?")
    question = ask(lease_id=lease.pk, labeler=ada, text="Mine?")
    with pytest.raises(NotFound):
        reply(question_id=question.pk, author=bo, text="Mine!")
    assert page(bo).get(f"/questions/{question.pk}/").status_code == 404
    assert api(bo).get(f"/api/v1/questions/{question.pk}/").status_code == 404
    assert api(bo).post(f"/api/v1/tasks/{lease.pk}/question/", {"text": "x"}, format="json").status_code == 404
    assert page(bo).get("/questions/").content.decode().count("Mine?") == 0
    for who in (page(ada), page(amy)):
        assert who.get(f"/questions/{question.pk}/").status_code == 200
        assert who.get(f"/questions/{uuid.uuid4()}/").status_code == 404


def test_a_thread_ends_somewhere(lease, ada):
    question = ask(lease_id=lease.pk, labeler=ada, text="0")
    Message.objects.bulk_create(Message(question=question, author=ada, text=str(n)) for n in range(1, MESSAGES))
    with pytest.raises(TooMany):
        reply(question_id=question.pk, author=ada, text="again")


def test_over_the_api(lease, ada, amy, api):
    address = f"/api/v1/tasks/{lease.pk}/question/"
    client = api(ada)
    assert client.post(address, {}, format="json").status_code == 400
    asked = client.post(address, {"text": "<b>Why?</b>"}, format="json")
    assert (asked.status_code, asked.json()["state"]) == (201, "open")
    reply(question_id=asked.json()["id"], author=amy, text="Because.")
    seen = client.get(f"/api/v1/questions/{asked.json()['id']}/")
    said = [(one["text"], one["mine"]) for one in seen.json()["messages"]]
    assert said == [("<b>Why?</b>", True), ("Because.", False)]
    assert "amy" not in seen.content.decode()


def test_from_the_task_to_the_answer_by_pages(lease, ada, bo, amy, rita, page):
    labeler, staff = page(ada), page(amy)
    shown = labeler.get(f"/work/{lease.pk}/").content.decode()
    assert f'action="/work/{lease.pk}/question/"' in shown
    sent = labeler.post(f"/work/{lease.pk}/question/", {"text": "I am Ada. <i>Which</i> language?"})
    assert sent.url == f"/work/{lease.pk}/"
    question = Question.objects.get()
    assert "&lt;i&gt;Which" in staff.get("/questions/inbox/").content.decode()
    assert staff.post(f"/questions/{question.pk}/reply/", {"text": "The prompt's."}).status_code == 302
    assert "&lt;i&gt;Which" in page(rita).get("/questions/inbox/?state=answered").content.decode()
    assert "new answer" in labeler.get("/work/").content.decode()
    read = labeler.get(f"/questions/{question.pk}/").content.decode()
    assert "The prompt&#x27;s." in read and "Your team" in read and "amy" not in read
    assert "new answer" not in labeler.get("/work/").content.decode()
    # Shared in the team's own words: the labeler's name was in the question, and is not in what others read.
    assert "Which" not in page(bo).get("/questions/").content.decode()
    words = {"question": "Which language?", "answer": "The prompt's."}
    assert staff.post(f"/questions/{question.pk}/share/", {**words, "answer": ""}).status_code == 400
    assert staff.post(f"/questions/{question.pk}/share/", words).status_code == 302
    read = page(bo).get("/questions/").content.decode()
    assert "Which language?" in read and "Ada" not in read and "ada" not in read and str(lease.pk) not in read
    assert staff.post(f"/questions/{question.pk}/unshare/").status_code == 302
    assert "Which" not in page(bo).get("/questions/").content.decode()
    actions = ["question.answered", "question.shared", "question.unshared"]
    kept = AuditEvent.objects.exclude(action="text.read").order_by("id")
    assert list(kept.values_list("action", flat=True)) == actions


def test_the_shared_are_listed_page_by_page_and_bad_filters_are_harmless(ada, amy, page):
    for number in range(3):
        factories.make_task()
        lease = factories.make_lease(task=factories.make_task(), labeler=ada, state="submitted")
        question = ask(lease_id=lease.pk, labeler=ada, text=f"question {number}")
        share(question_id=question.pk, question_text=f"question {number}", answer_text="a", actor=amy)
    shown = page(ada).get("/questions/").content.decode()
    assert shown.index("question 2") < shown.index("question 0")
    assert page(ada).get("/questions/?after=nonsense").status_code == 400
    assert page(amy).get("/questions/inbox/?state=odd").status_code == 200
