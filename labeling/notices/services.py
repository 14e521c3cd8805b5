"""Send a message, and note that somebody has read it."""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.notices.models import Notice, NoticeReceipt
from labeling.people.models import User
from labeling.refusals import Conflict, NotFound, Refusal
from labeling.text import check_text

TITLE_CHARACTERS = 120
TEXT_CHARACTERS = 20_000
KEY_CHARACTERS = 100
GROUPS = (User.Group.TRAINING, User.Group.HELD_OUT, User.Group.RESEARCHER)
# Whom the message means: people who work on tasks and may sign in, as they are at this moment. Kwise itself writes to
# admins, too.
ADDRESS = """
    INSERT INTO labeling_noticereceipt (notice_id, person_id, important, unread)
    SELECT sent.id, person.id, sent.important, true
    FROM labeling_notice sent
    JOIN labeling_user person ON person.is_active AND person."group" <> 'simulated'
        AND (person.role <> 'admin' OR sent.author_id IS NULL) AND (
        sent.audience = 'all' AND person."group" <> 'applicant'
        OR sent.audience = 'group' AND person."group" = sent."group"
        OR sent.audience = 'person' AND person.id = sent.person_id
    )
    WHERE sent.id = %s
    ORDER BY person.id
"""


@transaction.atomic(durable=True)
def send_notice(
    *,
    title: Any,
    text: Any,
    important: bool,
    audience: str,
    group: str = "",
    person_id: int | None = None,
    key: str,
    author: User,
) -> Notice:
    """The message, sent to whom `audience` means now; who joins later does not get it. The same `key` sends once.

    `audience` is "person" with `person_id`, "group" with `group`, or "all". Refusal for what says nothing or reaches
    nobody, Conflict for a key under which something else was sent.
    """
    said = {
        "title": _read(title, where=_("the title"), most=TITLE_CHARACTERS),
        "text": _read(text, where=_("the message"), most=TEXT_CHARACTERS),
        "important": bool(important),
        **_read_audience(audience, group=group, person_id=person_id),
    }
    key = _read(key, where=_("the key"), most=KEY_CHARACTERS)
    # A form that is sent twice at once: the second waits here and finds what the first sent.
    User.objects.select_for_update(no_key=True).get(pk=author.pk)
    earlier = Notice.objects.filter(author=author.pk, key=key).first()
    if earlier is not None:
        if any(getattr(earlier, name) != value for name, value in said.items()):
            raise Conflict(_("Another message was sent under this key; open the form anew to send one more."))
        return earlier
    notice = Notice.objects.create(**said, key=key, author_id=author.pk)
    with connection.cursor() as cursor:
        cursor.execute(ADDRESS, [notice.pk])
        recipients = cursor.rowcount
    if not recipients:
        raise Refusal(_("This reaches nobody who works here; choose others."))
    record(
        actor=author,
        action="message.sent",
        subject=notice,
        audience=notice.audience,
        group=notice.group,
        person=notice.person_id,
        important=notice.important,
        recipients=recipients,
    )
    return notice


def tell(*, person: User, title: str, text: str, key: str, author: User | None = None) -> Notice:
    """A message to one person that follows from what `author` did, or that Kwise itself has to say, in the caller's
    transaction and once for each `key`. Nothing goes to who may not sign in."""
    notice, made = Notice.objects.get_or_create(
        author=author,
        key=key,
        defaults={"title": title, "text": text, "audience": Notice.Audience.PERSON, "person_id": person.pk},
    )
    if made:
        with connection.cursor() as cursor:
            cursor.execute(ADDRESS, [notice.pk])
    return notice


@transaction.atomic(durable=True)
def read_notice(*, notice_id: int, person: User) -> NoticeReceipt:
    """Note that `person` says they have read it, and when. Saying so twice is saying it once; NotFound for a message
    that did not go to them."""
    own = NoticeReceipt.objects.filter(notice=notice_id, person=person.pk)
    own.filter(unread=True).update(unread=False, read_at=Now())
    found = own.select_related("notice").first()
    if found is None:
        raise NotFound(_("There is no such message to you."))
    return found


def _read(text: Any, *, where: str, most: int) -> str:
    if not isinstance(text, str):
        raise Refusal(_("{where} must be text.").format(where=where))
    text = check_text(text, where=where).replace("\r\n", "\n").strip()
    if not 1 <= len(text) <= most:
        raise Refusal(
            _("{where} needs 1 to {most} characters; it has {count}.").format(where=where, most=most, count=len(text))
        )
    return text


def _read_audience(audience: str, *, group: str, person_id: int | None) -> dict[str, Any]:
    """The fields of a Notice that say to whom it goes."""
    if audience == Notice.Audience.ALL:
        return {"audience": audience, "group": "", "person_id": None}
    if audience == Notice.Audience.GROUP:
        if group not in GROUPS:
            raise Refusal(
                _("There is no group {group!r} to write to; choose one of {groups}.").format(
                    group=str(group)[:40], groups=", ".join(GROUPS)
                )
            )
        return {"audience": audience, "group": group, "person_id": None}
    if audience == Notice.Audience.PERSON:
        if person_id is None or not User.objects.filter(pk=person_id).exists():
            raise Refusal(_("There is no such person to write to."))
        return {"audience": audience, "group": "", "person_id": person_id}
    raise Refusal(
        _("A message goes to {audiences}; this is {audience!r}.").format(
            audiences=", ".join(Notice.Audience.values), audience=str(audience)[:40]
        )
    )
