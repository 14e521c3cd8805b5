"""Lists of prompts, sources and imports."""

from __future__ import annotations

import uuid

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from labeling.intake.models import Import, Prompt, Source, Split, UseCase
from labeling.paging import Page, keyset_page
from labeling.refusals import NotFound, Refusal

# What a list may be narrowed to, and the values there are; sources are too many to list.
FILTERS = {"state": Prompt.State.values, "split": Split.values, "use_case": UseCase.values, "source": None}


def prompts_page(
    *, state: str = "", split: str = "", use_case: str = "", source: str = "", after: str | None = None, size: int = 50
) -> Page:
    """Prompts, newest first. Refusal for a state, split or use case that does not exist."""
    asked = {"state": state, "split": split, "use_case": use_case, "source": source}
    for name, value in asked.items():
        if value and FILTERS[name] and value not in FILTERS[name]:
            raise Refusal(
                _("There is no {name} {value!r}; choose one of {filters}.").format(
                    name=name, value=value[:40], filters=", ".join(FILTERS[name])
                )
            )
    columns = {"state": "state", "split": "source_user__split", "use_case": "use_case", "source": "source__name"}
    rows = Prompt.objects.select_related("source", "source_user").filter(
        **{columns[name]: value for name, value in asked.items() if value}
    )
    return keyset_page(rows, order=("-created_at", "-id"), after=after, size=size)


def held_page(*, after: str | None = None, size: int = 20) -> Page:
    """Prompts that wait for a person's word, longest waiting first."""
    rows = Prompt.objects.select_related("source", "source_user").filter(state=Prompt.State.HELD)
    return keyset_page(rows, order=("created_at", "id"), after=after, size=size)


def get_prompt(prompt_id: uuid.UUID) -> Prompt:
    found = Prompt.objects.select_related("source", "source_user", "imported_in").filter(pk=prompt_id).first()
    if found is None:
        raise NotFound(_("There is no prompt with this id."))
    return found


def latest_imports(*, limit: int = 10) -> QuerySet[Import]:
    return Import.objects.select_related("created_by").order_by("-created_at")[:limit]


def source_names(*, limit: int = 100) -> list[str]:
    """The first `limit` sources by name, to choose from."""
    return list(Source.objects.order_by("name").values_list("name", flat=True)[:limit])
