"""Lists of prompts, sources and imports."""

from __future__ import annotations

import uuid

from django.db.models import Count, F, QuerySet, Sum
from django.utils.translation import gettext as _

from labeling.intake.models import (
    Import,
    ImportProblem,
    Prompt,
    Source,
    SourceKey,
    SourceUser,
    Split,
    UseCase,
)
from labeling.paging import Page, keyset_page
from labeling.refusals import NotFound, Refusal

# What a list may be narrowed to, and the values there are; sources are too many to list.
FILTERS = {
    "state": Prompt.State.values,
    "split": Split.values,
    "use_case": UseCase.values,
    "source": None,
    "language": None,
}


def prompts_page(
    *,
    state: str = "",
    split: str = "",
    use_case: str = "",
    source: str = "",
    language: str = "",
    after: str | None = None,
    size: int = 50,
) -> Page:
    """Prompts, newest first. Refusal for a state, split or use case that does not exist."""
    asked = {"state": state, "split": split, "use_case": use_case, "source": source, "language": language}
    for name, value in asked.items():
        if value and FILTERS[name] and value not in FILTERS[name]:
            raise Refusal(
                _("There is no {name} {value!r}; choose one of {filters}.").format(
                    name=name, value=value[:40], filters=", ".join(FILTERS[name])
                )
            )
    columns = {"state": "state", "split": "source_user__split", "use_case": "use_case"}
    # What a feature above this one says of a prompt.
    columns |= {"source": "source__name", "language": "language__code"}
    rows = Prompt.objects.select_related("source", "source_user", "language").filter(
        **{columns[name]: value for name, value in asked.items() if value}
    )
    return keyset_page(rows, order=("-created_at", "-id"), after=after, size=size)


def held_page(*, after: str | None = None, size: int = 20) -> Page:
    """Prompts that wait for a person's word, longest waiting first."""
    rows = Prompt.objects.select_related("source", "source_user").filter(state=Prompt.State.HELD)
    return keyset_page(rows, order=("created_at", "id"), after=after, size=size)


def get_prompt(prompt_id: uuid.UUID) -> Prompt:
    found = (
        Prompt.objects.select_related("source", "source_user", "imported_in", "language").filter(pk=prompt_id).first()
    )
    if found is None:
        raise NotFound(_("There is no prompt with this id."))
    return found


def sources_page(*, after: str | None = None, size: int = 50) -> Page:
    """Sources by name."""
    return keyset_page(Source.objects.all(), order=("name",), after=after, size=size)


def source_figures(source: Source) -> dict[str, dict[str, int]]:
    """Split → {"users", "prompts"} of the source, and both of all under "all"."""
    counted = SourceUser.objects.filter(source=source).order_by().values("split")
    found = {
        row["split"]: {"users": row["users"], "prompts": row["prompts"]}
        for row in counted.annotate(users=Count("pk"), prompts=Sum("prompt_count"))
    }
    figures = {split: found.get(split, {"users": 0, "prompts": 0}) for split in Split.values}
    return figures | {"all": {name: sum(each[name] for each in found.values()) for name in ("users", "prompts")}}


def keys_of(source: Source) -> QuerySet[SourceKey]:
    """Those that open something first, newest first."""
    return source.keys.select_related("created_by").order_by(F("revoked_at").desc(nulls_first=True), "-created_at")[
        :100
    ]


def imports_page(*, after: str | None = None, size: int = 25) -> Page:
    """Imports, newest first."""
    rows = Import.objects.select_related("created_by", "job")
    return keyset_page(rows, order=("-created_at", "-id"), after=after, size=size)


def problems_page(imported: Import, *, reason: str = "", after: str | None = None, size: int = 50) -> Page:
    """The lines of an import that did not go in, in the order of the file, of one reason or of all."""
    rows = ImportProblem.objects.filter(imported=imported)
    if reason:
        rows = rows.filter(reason=reason)
    return keyset_page(rows, order=("line", "id"), after=after, size=size)


def prompts_of_import(imported: Import, *, after: str | None = None, size: int = 50) -> Page:
    """The prompts that an import stored."""
    rows = Prompt.objects.select_related("source", "source_user").filter(imported_in=imported)
    return keyset_page(rows, order=("id",), after=after, size=size)


def source_names(*, limit: int = 100) -> list[str]:
    """The first `limit` sources by name, to choose from."""
    return list(Source.objects.order_by("name").values_list("name", flat=True)[:limit])
