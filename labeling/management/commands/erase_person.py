"""`./manage.py erase_person SOURCE USER_ID --reason …`: erase a source user's data, everywhere."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from labeling.erasure.models import Answers
from labeling.erasure.queries import report_of
from labeling.erasure.services import erase_person, get_source_user
from labeling.refusals import Refusal


class Command(BaseCommand):
    help = (
        "Erase what a source user wrote, with everything that was written about it, and mark the data sets and "
        "checkpoints that have it. Cannot be undone. Prints one JSON object: what was blanked, and what is marked."
    )

    def add_arguments(self, parser) -> None:
        parser.add_argument("source", help="the name of the source")
        parser.add_argument("user_id", help="the source's id of its user")
        parser.add_argument("--reason", required=True, help="why; stays, so it names nobody")
        parser.add_argument(
            "--answers", choices=Answers.values, default=Answers.KEEP, help="to their prompts, without texts (keep)"
        )
        parser.add_argument("--refuse", action="store_true", help="take nothing more of them in")
        parser.add_argument("--json", action="store_true", help="accepted for likeness; the output is always JSON")

    def handle(self, *, source: str, user_id: str, reason: str, answers: str, refuse: bool, **_: Any) -> None:
        try:
            erasure = erase_person(
                source_user=get_source_user(source=source, user_id=user_id),
                answers=answers,
                refuse=refuse,
                reason=reason,
                actor=None,
            )
        except Refusal as refusal:
            raise CommandError(refusal.message, returncode=1) from None
        self.stdout.write(json.dumps(report_of(erasure)))
