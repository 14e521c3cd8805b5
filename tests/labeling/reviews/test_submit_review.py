"""Accept, edit, send back: read strictly, stored once, never changed."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import Error, connection, transaction
from django.db.models import F

from labeling.leasing import services as leasing
from labeling.leasing.answers import BadAnswer
from labeling.leasing.models import Lease
from labeling.leasing.services import AnsweredAlready, grant_lease
from labeling.people.models import User
from labeling.refusals import Conflict, Refusal
from labeling.reviews.models import Review
from labeling.reviews.services import submit_review
from tests import factories
from tests.labeling.reviews.conftest import correct, review, write

pytestmark = pytest.mark.django_db


def test_accepted(lease, answer):
    given = review(lease)
    assert (given.demonstration, given.verdict, given.text, given.note) == (answer, "accept", "", "")
    assert (given.group, given.origin, given.surplus, given.revision) == ("training", "workbench", False, 1)
    lease.refresh_from_db()
    assert (lease.state, lease.seat.state) == ("submitted", "filled")


def test_edit_is_kept_to_the_byte(lease):
    text = " Because\tof the <b>air</b>.\n\n دفء \u202e"
    given = review(lease, "edit", text=text, note=" a word ", pasted=len(text) + 1)
    given.refresh_from_db()
    assert (given.text, given.note) == (text, "a word")
    assert (given.pasted, given.pasted_share) == (len(text), 1)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "verdict"),
        ({"verdict": "reject"}, "verdict"),
        ({"verdict": ["accept"]}, "verdict"),
        ({"verdict": None}, "verdict"),
        ({"verdict": "accept", "text": "x"}, "edit alone"),
        ({"verdict": "send_back", "text": "x", "note": "n"}, "edit alone"),
        ({"verdict": "edit"}, "null"),
        ({"verdict": "edit", "text": 5}, "number"),
        ({"verdict": "edit", "text": " \n"}, "leaves nothing"),
        ({"verdict": "edit", "text": "x" * 100_001}, "100001"),
        ({"verdict": "edit", "text": "Because of the air."}, "changed nothing"),
        ({"verdict": "edit", "text": "x", "pasted": -1}, "pasted"),
        ({"verdict": "edit", "text": "x", "pasted": "1"}, "pasted"),
        ({"verdict": "send_back"}, "what is to be changed"),
        ({"verdict": "send_back", "note": "  "}, "what is to be changed"),
        ({"verdict": "accept", "note": 5}, "note"),
        ({"verdict": "accept", "note": "x" * 1001}, "1001"),
        ({"verdict": "accept", "reviewer": "me"}, "no field"),
        ([], "object"),
    ],
)
def test_what_is_no_review_is_refused(lease, said, words):
    with pytest.raises(BadAnswer, match=words) as refused:
        submit_review(lease_id=lease.pk, labeler=lease.labeler, answer=said, idempotency_key="k")
    assert refused.value.message.endswith(".")
    assert not Review.objects.exists()


def test_other_line_ends_are_no_edit(ada, bo, batch):
    factories.make_task(batch=batch, texts=())
    write(grant_lease(labeler=ada), "one\r\ntwo")
    with pytest.raises(BadAnswer, match="changed nothing"):
        review(grant_lease(labeler=bo), "edit", text="one\ntwo")


def test_repeat_correction_and_conflict_are_as_for_other_answers(lease, bo):
    def send(key: str, **said):
        return submit_review(lease_id=lease.pk, labeler=bo, answer=said, idempotency_key=key)

    first, _ = send("k1", verdict="accept")
    assert send("k1", verdict="accept") == (first, False)
    with pytest.raises(Conflict):
        send("k1", verdict="edit", text="other")
    with pytest.raises(AnsweredAlready):
        send("k2", verdict="edit", text="other")
    with pytest.raises(BadAnswer, match="why you correct"):
        send("k2", verdict="edit", text="other", replaces=str(first.pk))
    second, created = send("k2", verdict="edit", text="other", replaces=str(first.pk), reason="a slip")
    assert (created, second.replaces, second.revision, second.correction_reason) == (True, first, 2, "a slip")


def test_late_review_is_surplus_and_decides_nothing(lease, answer, pass_time):
    pass_time(minutes=600)
    leasing.expire_leases()
    di = User.objects.create_user("di", password=None, role="labeler", group="training")
    accepted = review(grant_lease(labeler=di))
    late = review(Lease.objects.get(pk=lease.pk), "send_back", note="No.")
    assert (accepted.surplus, late.surplus) == (False, True)
    answer.lease.refresh_from_db()
    assert not answer.lease.sent_back


def test_nobody_elses_and_no_other_kind(lease, answer, ada, bo):
    with pytest.raises(Refusal, match="hold no task"):
        submit_review(lease_id=lease.pk, labeler=ada, answer={"verdict": "accept"}, idempotency_key="k")
    with pytest.raises(Refusal, match="no review"):
        submit_review(lease_id=answer.lease_id, labeler=ada, answer={"verdict": "accept"}, idempotency_key="k")
    with pytest.raises(Refusal, match="hold no task"):
        submit_review(lease_id=uuid.uuid4(), labeler=bo, answer={"verdict": "accept"}, idempotency_key="k")


def test_reviews_are_append_only(lease):
    given = review(lease)
    for statement in ("UPDATE labeling_review SET note = 'x'", "DELETE FROM labeling_review"):
        with pytest.raises(Error, match="labeling_review"), transaction.atomic():
            connection.cursor().execute(statement)
    assert Review.objects.get().pk == given.pk


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ("labeler_id = (SELECT labeler_id FROM labeling_demonstration)", "Nobody reviews their own"),
        ("verdict = 'edit', text = 'Because of the air.'", "changes something"),
    ],
)
def test_sql_refuses_ones_own_work_and_an_edit_without_a_change(lease, changes, words):
    given = review(lease)
    columns = [field.column for field in Review._meta.concrete_fields]
    new = {"id": "gen_random_uuid()", "revision": "2", "replaces_id": "id", "idempotency_key": "'second'"}
    new |= dict(change.split(" = ", 1) for change in changes.split(", "))
    values = ", ".join(new.get(column, f'"{column}"') for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    with pytest.raises(Error, match=words), transaction.atomic():
        connection.cursor().execute(f"INSERT INTO labeling_review ({names}) SELECT {values} FROM labeling_review")
    assert Review.objects.get() == given


class TestApi:
    def test_the_task_shows_what_was_written_and_not_by_whom(self, answer, bo, api):
        body = api(bo).post("/api/v1/tasks/next/").json()
        assert (body["kind"], body["written"], body["completions"]) == (
            "review",
            {"turns": [], "text": "Because of the air."},
            [],
        )
        assert "ada" not in str(body) and str(answer.pk) not in str(body)

    def test_other_kinds_are_about_nothing_written(self, ada, api):
        factories.make_task()
        assert api(ada).post("/api/v1/tasks/next/").json()["written"] is None

    def test_submit_and_refuse(self, lease, bo, api):
        client, address = api(bo), f"/api/v1/tasks/{lease.pk}/submit/"
        bad = client.post(address, {"verdict": "send_back"}, format="json", headers={"Idempotency-Key": "k"})
        assert bad.status_code == 400 and "note" in bad.json()["error"]["message"]
        sent = {"verdict": "send_back", "note": "Why?"}
        for status in (201, 200):
            good = client.post(address, sent, format="json", headers={"Idempotency-Key": "k"})
            assert good.status_code == status
        assert client.get(f"/api/v1/tasks/{lease.pk}/").json()["answer"] == {**sent, "text": None}


class TestSentBack:
    def test_waits_for_its_author_until_it_is_corrected(self, answer, sent_back, bo):
        sent_back()
        answer.lease.refresh_from_db()
        assert answer.lease.sent_back
        second = correct(answer, text="Because air scatters blue most.")
        answer.lease.refresh_from_db()
        assert (answer.lease.sent_back, second.revision) == (False, 2)
        assert review(grant_lease(labeler=bo)).demonstration == second

    def test_may_be_corrected_however_old_it_is(self, answer, sent_back, ada):
        Lease.objects.filter(pk=answer.lease_id).update(ended_at=F("ended_at") - timedelta(days=30))
        with pytest.raises(leasing.CorrectionClosed):
            correct(answer, text="too late")
        sent_back()
        second = correct(answer, text="in time")
        with pytest.raises(leasing.CorrectionClosed):
            correct(second, text="and once more")

    def test_a_corrected_review_lets_it_wait_or_no_more(self, answer, sent_back):
        given = sent_back()
        given = correct(given, verdict="accept")
        answer.lease.refresh_from_db()
        assert not answer.lease.sent_back
        correct(given, verdict="send_back", note="Hm.")
        answer.lease.refresh_from_db()
        assert answer.lease.sent_back

    def test_not_where_the_author_was_quicker(self, answer, lease, sent_back):
        correct(answer, text="Already better.")
        sent_back()
        answer.lease.refresh_from_db()
        assert not answer.lease.sent_back


class TestDialogue:
    TURNS = [
        {"role": "assistant", "content": "Beacuse."},
        {"role": "user", "content": "Why?"},
    ]

    @pytest.fixture
    def lease(self, ada, bo):
        factories.make_task(batch=factories.make_reviewed_batch(kind="dialogue", groups=["training"]), texts=())
        write(grant_lease(labeler=ada), "Look up.", turns=self.TURNS)
        return grant_lease(labeler=bo)

    def test_is_shown_with_its_turns_and_accepted(self, lease, bo, api):
        body = api(bo).get(f"/api/v1/tasks/{lease.pk}/").json()
        assert body["written"] == {"turns": self.TURNS, "text": "Look up."}
        assert review(lease).turns == []

    def test_each_turn_is_edited(self, lease):
        turns = [{"role": "assistant", "content": "Because."}, self.TURNS[1]]
        given = review(lease, "edit", turns=turns, text="Look up.")
        assert given.edits == [
            ("assistant", "Beacuse.", "Because."),
            ("user", "Why?", "Why?"),
            ("assistant", "Look up.", "Look up."),
        ]

    @pytest.mark.parametrize(
        ("turns", "words"),
        [
            (TURNS, "changed nothing"),
            ([], "at least"),
            (TURNS + TURNS, "keeps them all"),
            ([TURNS[1], TURNS[0]], "speak in turn"),
            ([{"role": "assistant", "content": " "}, TURNS[1]], "empty"),
            ("x", "list"),
        ],
    )
    def test_what_is_no_edit_is_refused(self, lease, turns, words):
        with pytest.raises(BadAnswer, match=words):
            review(lease, "edit", turns=turns, text="Look up.")

    def test_turns_belong_to_dialogues(self, ada, bo, batch):
        factories.make_task(batch=batch, texts=())
        write(grant_lease(labeler=ada), "one")
        with pytest.raises(BadAnswer, match="keeps them all"):
            review(grant_lease(labeler=bo), "edit", turns=self.TURNS, text="two")
