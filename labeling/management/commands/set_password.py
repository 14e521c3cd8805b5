"""`./manage.py set_password NAME`: another password for an account; whoever was signed in with the old one is out."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from labeling.management.commands.create_user import PASSWORD_VARIABLE, read_password
from labeling.people.models import User
from labeling.people.services import set_password
from labeling.refusals import Refusal


class Command(BaseCommand):
    help = f"Set an account's password: asked for, or from {PASSWORD_VARIABLE}, or from standard input."
    requires_system_checks = []

    def add_arguments(self, parser) -> None:
        parser.add_argument("username")

    def handle(self, *, username: str, **_: Any) -> None:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no account {username!r}.", returncode=1)
        try:
            set_password(user=user, password=read_password(username), actor=None)
        except Refusal as refusal:
            raise CommandError(refusal.message, returncode=1) from None
        self.stdout.write(f"{user.username} has a new password.")
