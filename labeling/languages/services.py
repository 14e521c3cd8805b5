"""A job names the language of every prompt that the present detector has not looked at."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.db.models import Q
from django.db.models.functions import Now

from labeling.background import services as background
from labeling.background.models import Job
from labeling.intake.models import Prompt
from labeling.languages.detecting import detect, detector
from labeling.languages.models import PromptLanguage

DETECT = "detect_languages"  # the job
CHUNK = 500
NEWEST = 200  # prompts that `keep_up` looks at
Beat = Callable[..., None]


def detect_all(*, beat: Beat = lambda **_: None) -> int:
    """How many prompts were named. Stopped, it goes on where it was: what is done is in rows."""
    now, named, done, last = detector(), 0, 0, uuid.UUID(int=0)
    total = Prompt.objects.count()
    while True:
        rows = Prompt.objects.filter(pk__gt=last).order_by("pk")
        ids = list(rows.values_list("pk", "language__detector")[:CHUNK])
        if not ids:
            return named
        last, done = ids[-1][0], done + len(ids)
        new = [pk for pk, by in ids if by != now]
        found = []
        for pk, messages in Prompt.objects.filter(pk__in=new).values_list("pk", "messages"):
            # What the user wrote: a system message may be in another language.
            code, likely = detect("\n".join(each["content"] for each in messages[::-1] if each["role"] == "user"))
            found.append(PromptLanguage(prompt_id=pk, code=code, probability=likely, detector=now, detected_at=Now()))
        PromptLanguage.objects.bulk_create(
            found,
            update_conflicts=True,
            unique_fields=["prompt"],
            update_fields=["code", "probability", "detector", "detected_at"],
        )
        named += len(found)
        beat(done=done, total=total, note="detecting")


def keep_up() -> Job | None:
    """A job where prompts came in that nobody has named; looks at the newest ones alone, which an import has added."""
    newest = list(Prompt.objects.order_by("-created_at", "-id").values_list("pk", flat=True)[:NEWEST])
    behind = Q(language__isnull=True) | ~Q(language__detector=detector())
    if not Prompt.objects.filter(behind, pk__in=newest).exists():
        return None
    last = Job.objects.filter(kind=DETECT).order_by("-created_at").first()
    if last is not None and last.state == Job.State.FAILED:
        return None
    return background.enqueue(kind=DETECT, arguments={}, key=DETECT)
