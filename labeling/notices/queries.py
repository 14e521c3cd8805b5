"""Messages as those who got them see them, and as the team that sent them does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Count, F, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from labeling.notices.models import Notice, NoticeReceipt
from labeling.paging import Page, keyset_page
from labeling.people.models import User
from labeling.refusals import NotFound
from labeling.rows import first_row

PAGE = 20
COUNTED = 99  # unread messages that are counted one by one
# Two steps down an index each, whatever somebody got: pages of labelers ask it.
STANDING = """
    SELECT
        (
            SELECT count(*) FROM (
                SELECT FROM labeling_noticereceipt WHERE person_id = %(person)s AND unread LIMIT %(most)s
            ) waiting
        ),
        (
            SELECT notice_id FROM labeling_noticereceipt
            WHERE person_id = %(person)s AND unread AND important ORDER BY id LIMIT 1
        )
"""


@dataclass(frozen=True)
class Standing:
    """How many messages wait for somebody, COUNTED + 1 for more, and the oldest important one of them."""

    unread: int
    important: int | None


def standing_of(person: User) -> Standing:
    """Asked once of each `User` object: the navigation and the page "Work" share what it says."""
    if not hasattr(person, "notices_standing"):
        person.notices_standing = Standing(*first_row(STANDING, {"person": person.pk, "most": COUNTED + 1}))
    return person.notices_standing


def important_for(person: User) -> Notice | None:
    """The oldest important message that `person` has not read."""
    pk = standing_of(person).important
    return None if pk is None else Notice.objects.get(pk=pk)


def own_page(person: User, *, after: str | None) -> Page:
    """`NoticeReceipt`s of `person` with their notices, unread first, each newest first."""
    rows = NoticeReceipt.objects.filter(person=person.pk).select_related("notice")
    return keyset_page(rows, order=("-unread", "-id"), after=after, size=PAGE)


def sent() -> QuerySet[Notice]:
    """What people wrote, each with how many people it went to and how many of them have `read` it."""
    receipts = NoticeReceipt.objects.filter(notice=OuterRef("pk")).order_by().values("notice")

    def number(of: Count) -> Coalesce:
        return Coalesce(Subquery(receipts.annotate(number=of).values("number")), 0, output_field=IntegerField())

    written = Notice.objects.filter(author__isnull=False).select_related("author", "person")
    return written.annotate(recipients=number(Count("pk")), read=number(Count("pk", filter=Q(unread=False))))


def sent_page(*, after: str | None) -> Page:
    """Newest first."""
    return keyset_page(sent(), order=("-id",), after=after, size=PAGE)


def get_sent(notice_id: int) -> Notice:
    notice = sent().filter(pk=notice_id).first()
    if notice is None:
        raise NotFound(_("There is no such message."))
    return notice


def receipts_page(notice: Notice, *, after: str | None, size: int = 50) -> Page:
    """Who has not read it, then who has."""
    rows = NoticeReceipt.objects.filter(notice=notice).select_related("person")
    return keyset_page(rows, order=("-unread", "id"), after=after, size=size)


COLUMNS = ("user_name", "name", "read_at")


def receipt_rows(notice: Notice) -> Iterator[tuple[str, str, str]]:
    """A line for each person, as `receipts_page` orders them."""
    rows = NoticeReceipt.objects.filter(notice=notice).order_by("-unread", "id")
    for name, shown, read_at in rows.values_list(
        F("person__username"), F("person__display_name"), "read_at"
    ).iterator():
        yield name, shown, read_at.isoformat() if read_at else ""
