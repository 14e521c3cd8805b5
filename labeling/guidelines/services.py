"""Publish guidelines, and note who has read them."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.guidelines.models import Guideline, GuidelineRead
from labeling.guidelines.queries import get_guideline
from labeling.people.models import User
from labeling.refusals import Conflict, Refusal
from labeling.text import check_text

TITLE_CHARACTERS = 120
TEXT_CHARACTERS = 100_000


@transaction.atomic(durable=True)
def publish_guideline(*, title: str, text: str, actor: User) -> Guideline:
    """The next version, which holds from now on: every labeler reads it before their next task."""
    title = check_text(title, where=_("the title")).strip()
    text = check_text(text, where=_("the text")).replace("\r\n", "\n").strip()
    if not 1 <= len(title) <= TITLE_CHARACTERS:
        raise Refusal(
            _("The title needs 1 to {title_characters} characters.").format(title_characters=TITLE_CHARACTERS)
        )
    if not 1 <= len(text) <= TEXT_CHARACTERS:
        raise Refusal(
            _("The text needs 1 to {text_characters} characters; it has {count}.").format(
                text_characters=TEXT_CHARACTERS, count=len(text)
            )
        )
    # Two admins who publish at once get two numbers: the second waits here, for rows that are always there.
    list(User.objects.select_for_update().filter(role=User.Role.ADMIN).order_by("pk").values_list("pk"))
    before = Guideline.objects.order_by("-number").first()
    if before is not None and (before.title, before.text) == (title, text):
        raise Conflict(_("These are the guidelines that hold already; nobody needs to read them again."))
    number = before.number + 1 if before else 1
    guideline = Guideline.objects.create(number=number, title=title, text=text, created_by=actor)
    record(actor=actor, action="guideline.published", subject=guideline, number=number, title=title)
    return guideline


@transaction.atomic(durable=True)
def read_guideline(*, labeler: User, number: int) -> Guideline:
    """Note that `labeler` says they have read it. Saying so twice is saying it once."""
    guideline = get_guideline(number)
    GuidelineRead.objects.bulk_create([GuidelineRead(guideline=guideline, labeler=labeler)], ignore_conflicts=True)
    return guideline
