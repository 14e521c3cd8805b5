"""The labelers' guide: docs/labelers.md, or its German, as a page, so that what labelers read stands once."""

from __future__ import annotations

from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from labeling.markdown import to_html
from labeling.people.access import EVERYONE, only

GUIDES = {"en": "labelers.md", "de": "labelers.de.md"}


@require_safe
@only(*EVERYONE)
def guide(request: HttpRequest) -> HttpResponse:
    return render(request, "leasing/guide.html", {"guide": guide_html(get_language())})


@cache
def guide_html(language: str) -> SafeString:
    return to_html((settings.ROOT / "docs" / GUIDES[language]).read_text(encoding="utf-8"))
