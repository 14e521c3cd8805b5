"""The labelers' guide: docs/labelers.md as a page, so that what labelers read stands once."""

from __future__ import annotations

from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from labeling.markdown import to_html
from labeling.people.access import EVERYONE, only

GUIDE = settings.ROOT / "docs" / "labelers.md"


@require_safe
@only(*EVERYONE)
def guide(request: HttpRequest) -> HttpResponse:
    return render(request, "leasing/guide.html", {"guide": guide_html()})


@cache
def guide_html() -> SafeString:
    return to_html(GUIDE.read_text(encoding="utf-8"))
