"""Messages: whom they go to is settled at sending, and reading is written down once."""

from __future__ import annotations

import pytest
from django.db import Error, connection, transaction

from labeling.audit.models import AuditEvent
from labeling.notices import queries
from labeling.notices.models import Notice, NoticeReceipt
from labeling.notices.services import read_notice, send_notice
from labeling.people.models import User
from labeling.refusals import Conflict, NotFound, Refusal
from tests.factories import send_message

pytestmark = pytest.mark.django_db


def names(notice: Notice) -> list[str]:
    return sorted(receipt.person.username for receipt in notice.receipts.select_related("person"))


def test_all_are_those_who_work_here_now(ada, bo, cy, hal, sim, rita, amy):
    notice = send_message(author=amy)
    assert names(notice) == ["ada", "bo", "hal", "rita"]
    late = User.objects.create(username="late", group="training")
    assert queries.own_page(late, after=None).items == []
    event = AuditEvent.objects.get(action="message.sent")
    assert (event.actor, event.subject_id, event.detail["recipients"]) == (amy, str(notice.pk), 4)
    assert "Holiday" not in str(event.detail)


def test_a_group_and_a_person(ada, bo, hal, rita, amy):
    assert names(send_message(author=amy, audience="group", group="held_out")) == ["hal"]
    assert names(send_message(author=amy, audience="person", person_id=bo.pk)) == ["bo"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"title": " "}, "1 to 120"),
        ({"title": "t" * 121}, "it has 121"),
        ({"text": "\n"}, "1 to 20000"),
        ({"text": "a\x00"}, "NUL"),
        ({"text": 7}, "must be text"),
        ({"key": ""}, "key"),
        ({"audience": "some"}, "'some'"),
        ({"audience": "group", "group": "simulated"}, "no group 'simulated'"),
        ({"audience": "person"}, "no such person"),
        ({"audience": "person", "person_id": 10**30}, "no such person"),
    ],
)
def test_what_is_no_message_is_refused(ada, amy, change, says):
    with pytest.raises(Refusal, match=says):
        send_message(author=amy, **change)
    assert not Notice.objects.exists()


def test_a_message_to_nobody_is_not_sent(cy, amy):
    for where in (
        {"audience": "group", "group": "held_out"},
        *({"audience": "person", "person_id": p.pk} for p in (cy, amy)),
    ):
        with pytest.raises(Refusal, match="reaches nobody"):
            send_message(author=amy, **where)
    assert not Notice.objects.exists() and not AuditEvent.objects.exists()


def test_one_key_sends_once(ada, amy):
    first = send_message(author=amy, key="k")
    assert send_message(author=amy, key="k").pk == first.pk
    with pytest.raises(Conflict, match="open the form anew"):
        send_message(author=amy, key="k", text="Something else.")
    assert (Notice.objects.count(), NoticeReceipt.objects.count()) == (1, 1)


def test_reading_is_written_down_once(ada, bo, amy):
    notice = send_message(author=amy, important=True)
    assert queries.standing_of(User.objects.get(pk=ada.pk)) == queries.Standing(1, notice.pk)
    first = read_notice(notice_id=notice.pk, person=ada).read_at
    assert first is not None and read_notice(notice_id=notice.pk, person=ada).read_at == first
    assert queries.standing_of(User.objects.get(pk=ada.pk)) == queries.Standing(0, None)
    seen = queries.get_sent(notice.pk)
    assert (seen.recipients, seen.read) == (2, 1)
    assert [receipt.person for receipt in queries.receipts_page(seen, after=None)] == [bo, ada]
    for stranger, number in ((amy, notice.pk), (ada, notice.pk + 1), (ada, 10**30)):
        with pytest.raises(NotFound):
            read_notice(notice_id=number, person=stranger)


def test_unread_first_then_newest_by_pages(ada, amy):
    sent = [send_message(author=amy, title=f"Message {number}") for number in range(25)]
    for number in (24, 3):
        read_notice(notice_id=sent[number].pk, person=ada)
    first = queries.own_page(ada, after=None)
    second = queries.own_page(ada, after=first.next)
    titles = [receipt.notice.title for receipt in (*first, *second)]
    unread = [f"Message {number}" for number in range(24, -1, -1) if number not in (24, 3)]
    assert titles == [*unread, "Message 24", "Message 3"] and second.next is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE labeling_noticereceipt SET unread = true, read_at = NULL WHERE NOT unread",
        "UPDATE labeling_noticereceipt SET important = true WHERE unread",
        "UPDATE labeling_noticereceipt SET person_id = (SELECT min(id) FROM labeling_user) WHERE unread",
        "DELETE FROM labeling_noticereceipt",
    ],
)
def test_sql_changes_no_receipt(ada, bo, amy, statement):
    read_notice(notice_id=send_message(author=amy).pk, person=ada)
    with pytest.raises(Error, match="read once|Cannot delete"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.django_db(transaction=True)
def test_nobody_is_added_to_what_was_sent(ada, amy):
    notice = send_message(author=amy)
    late = User.objects.create(username="late", group="training")
    with pytest.raises(Error, match="settled when it is sent"), transaction.atomic():
        NoticeReceipt.objects.create(notice=notice, person=late, important=False)


def test_sending_costs_the_same_however_many_read(ada, amy, django_assert_num_queries):
    User.objects.bulk_create(User(username=f"one-{number}") for number in range(200))
    with django_assert_num_queries(7) as asked:
        send_notice(title="T", text="T", important=False, audience="all", key="k", author=amy)
    assert NoticeReceipt.objects.count() == 201, asked
