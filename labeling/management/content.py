"""The packaged content and accounts that the demo and the loop begin with. Everything here can be done again."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from labeling.demos.importing import import_demonstrations
from labeling.governance.services import import_prompts
from labeling.intake.models import Import, Prompt
from labeling.intake.reading import read_rows
from labeling.notices.services import send_notice
from labeling.pay import queries as pay
from labeling.pay.services import ask, correct, enter_payment, set_rate
from labeling.people.models import User
from labeling.people.services import create_user
from labeling.pipeline.models import Checkpoint
from labeling.pipeline.services import register_base
from labeling.sampling.models import Endpoint
from training.formats import write_atomic

CONTENT = Path(__file__).resolve().parent.parent / "content"
SOURCE = "kwise-seed"
WRITER = "seed-writer"
DEMONSTRATIONS = "packaged answers"
WELCOME = "Welcome to the demo"
WELCOME_TEXT = """Thank you for helping. Three things to begin with:

- the **tour** on your page *Work* shows how a task goes
- `q` asks us about the task in front of you
- take a break whenever you like
"""
CAST = (("ada", "labeler", "training"), ("rita", "researcher", "researcher"), ("amy", "admin", "researcher"))


def make_cast() -> list[dict[str, str]]:
    """Ada, Rita and Amy, with passwords that KWISE_HOME/sign-ins.json keeps for whoever may read it (mode 0600).

    An account that is there keeps its password, and one whose password nobody noted down is listed without.
    """
    path = Path(settings.KWISE_HOME) / "sign-ins.json"
    try:
        known = {entry["username"]: entry for entry in json.loads(path.read_text())}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        known = {}
    entries = []
    for username, role, group in CAST:
        entry = known.get(username, {"username": username, "role": role, "password": ""})
        if not User.objects.filter(username=username).exists():
            entry = {"username": username, "role": role, "password": secrets.token_urlsafe(12)}
            create_user(
                username=username,
                password=entry["password"],
                role=role,
                group=group,
                display_name=username.capitalize(),
            )
        entries.append(entry)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)  # private before anything is in it
    os.close(descriptor)
    write_atomic(path, json.dumps(entries, indent=2).encode())
    os.chmod(path, 0o600)
    return entries


def write_welcome() -> None:
    """Amy's first message to all, sent once."""
    amy = User.objects.filter(username="amy").first()
    if amy is not None:
        send_notice(title=WELCOME, text=WELCOME_TEXT, important=False, audience="all", key="demo-welcome", author=amy)


def bring_prompts() -> Import:
    """The packaged prompts; those that are there already count as duplicates."""
    return import_prompts(rows=read_rows(CONTENT / "prompts.jsonl"), name="packaged prompts", source=SOURCE)


def bring_demonstrations() -> int:
    """The packaged ideal answers, as written by an account that nobody can sign in to; how many are new."""
    with transaction.atomic(durable=True):
        writer, created = User.objects.get_or_create(
            username=WRITER, defaults={"role": "labeler", "group": "training", "display_name": "Packaged answers"}
        )
        if created:
            writer.set_unusable_password()
            writer.save()
    return import_demonstrations(batch_name=DEMONSTRATIONS, rows=packaged_answers(), writer=writer)


def packaged_answers() -> Iterator[tuple[Prompt, str]]:
    """Each packaged ideal answer whose prompt is there."""
    with (CONTENT / "demonstrations.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    wanted = [row["external_id"] for row in rows]
    prompts = Prompt.objects.filter(source__name=SOURCE, external_id__in=wanted, state=Prompt.State.ACCEPTED)
    found = {prompt.external_id: prompt for prompt in prompts}
    for row in rows:
        if row["external_id"] in found:
            yield found[row["external_id"]], row["answer"]


def bring_pay() -> None:
    """A rate for Ada, some days in her ledger, a payment, and a question that waits. Nothing where she has a rate.

    The days are corrections: the job that enters time would find no tasks behind them, and take them away again.
    """
    ada, amy = User.objects.get(username="ada"), User.objects.get(username="amy")
    if ada.pay_rates.exists():
        return
    today = pay.today()
    days = [today - timedelta(days=back) for back in (17, 16, 15, 10, 9, 8, 3, 2)]
    set_rate(user_id=ada.pk, valid_from=today - timedelta(days=20), per_hour=1800, actor=amy)
    set_rate(user_id=ada.pk, valid_from=today - timedelta(days=6), per_hour=1950, actor=amy)
    for number, day in enumerate(days):
        seconds = 60 * (95 + 23 * number % 70)
        correct(user_id=ada.pk, day=day, seconds=seconds, reason="Worked before this demo.", actor=amy)
    first_week = {"period_from": days[0], "period_until": days[2], "paid_on": today - timedelta(days=7)}
    enter_payment(user_id=ada.pk, amount=9000, reference="DEMO-1", actor=amy, **first_week)
    ask(person=ada, text="I wrote to the team about the guidelines for a while.", minutes=15, day=days[-1])


def bring_base(*, folder: Path, name: str, server: str) -> tuple[Checkpoint | None, Endpoint]:
    """The base model in the registry, if this machine has its folder, and the endpoint that serves it."""
    endpoint, _ = Endpoint.objects.update_or_create(
        name=name, defaults={"base_url": server, "model": name, "active": True}
    )
    # Published models moved with the server when it got another port.
    Endpoint.objects.filter(checkpoints__isnull=False).exclude(base_url=server).update(base_url=server)
    if not (folder / "config.json").exists():
        return None, endpoint
    checkpoint = register_base(folder=folder, name=name)
    if checkpoint.endpoint_id != endpoint.pk:
        Checkpoint.objects.filter(pk=checkpoint.pk).update(endpoint=endpoint, published_at=Now())
        checkpoint.refresh_from_db()
    return checkpoint, endpoint
