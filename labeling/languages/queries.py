"""Which languages prompts are in."""

from __future__ import annotations

from django.db.models import Count

from labeling.languages.models import PromptLanguage


def languages_known(*, limit: int = 60) -> list[tuple[str, int]]:
    """(code, prompts), most frequent first."""
    rows = PromptLanguage.objects.order_by().values_list("code").annotate(found=Count("pk"))
    return list(rows.order_by("-found", "code")[:limit])
