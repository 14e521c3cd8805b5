"""`./manage.py create_user NAME --role admin`: an account without an invitation: the first admin's, a script's."""

from __future__ import annotations

import getpass
import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from labeling.people.models import WORKING_GROUPS, User
from labeling.people.services import GROUPS, create_user
from labeling.refusals import Refusal

PASSWORD_VARIABLE = "KWISE_PASSWORD"


class Command(BaseCommand):
    help = (
        f"Make an account. The password is asked for, or read from the environment variable {PASSWORD_VARIABLE}, or "
        "from standard input when that is not a terminal; never from an argument, which other users could see."
    )
    requires_system_checks = []

    def add_arguments(self, parser) -> None:
        parser.add_argument("username")
        parser.add_argument("--role", choices=User.Role.values, required=True)
        parser.add_argument(
            "--group", choices=[str(group) for group in WORKING_GROUPS], help="default: the first that fits the role"
        )
        parser.add_argument("--name", default="", help="the name that others see")

    def handle(self, *, username: str, role: str, group: str | None, name: str, **_: Any) -> None:
        try:
            user = create_user(
                username=username,
                password=read_password(username),
                role=role,
                group=group or GROUPS[role][0],
                display_name=name,
            )
        except Refusal as refusal:
            raise CommandError(refusal.message, returncode=1) from None
        self.stdout.write(f"{user.username} can sign in as {user.role}, group {user.group}.")


def read_password(username: str) -> str:
    if given := os.environ.get(PASSWORD_VARIABLE):
        return given
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass(f"Password for {username}: ")
    if password != getpass.getpass("Again: "):
        raise CommandError("The two passwords are not the same; start again.", returncode=1)
    return password
