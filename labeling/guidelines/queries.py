"""The guidelines that hold, those before them, and who has read them."""

from __future__ import annotations

from django.db.models import Count, Exists, OuterRef, QuerySet
from django.utils.translation import gettext as _

from labeling.guidelines.models import Guideline, GuidelineRead
from labeling.paging import Page, keyset_page
from labeling.people.models import User
from labeling.refusals import NotFound

NAMED = 100  # labelers that the list of who has not read names at most


def newest_guideline() -> Guideline | None:
    return Guideline.objects.order_by("-number").first()


def get_guideline(number: int) -> Guideline:
    guideline = Guideline.objects.filter(number=number).first()
    if guideline is None:
        raise NotFound(_("There are no guidelines with this number."))
    return guideline


def has_read(*, labeler: User, guideline: Guideline) -> bool:
    return GuidelineRead.objects.filter(labeler=labeler, guideline=guideline).exists()


def guidelines_page(*, after: str | None) -> Page:
    """Newest first, each with `readers`: how many said that they have read it."""
    rows = Guideline.objects.select_related("created_by").annotate(readers=Count("reads"))
    return keyset_page(rows, order=("-number",), after=after)


def not_read_by(guideline: Guideline) -> QuerySet[User]:
    """Active labelers, people all, who have not read it yet; the first hundred by name."""
    read = GuidelineRead.objects.filter(guideline=guideline, labeler=OuterRef("pk"))
    people = User.objects.filter(role=User.Role.LABELER, is_active=True).exclude(
        group__in=[User.Group.SIMULATED, User.Group.APPLICANT]
    )
    return people.filter(~Exists(read)).order_by("username")[:NAMED]
