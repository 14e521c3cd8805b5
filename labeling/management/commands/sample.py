"""`./manage.py sample BATCH --endpoint E --k K`: fill a batch with completions."""

from __future__ import annotations

import json
import signal
import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from labeling.forms.queries import form_named
from labeling.intake.models import Split
from labeling.leasing.services import open_tasks
from labeling.people.models import User
from labeling.refusals import NotFound, Refusal, TryLater
from labeling.sampling.choosing import ORDERS, USUAL_FLOOR, USUAL_SHARPNESS, Selection
from labeling.sampling.models import Batch, Endpoint
from labeling.sampling.services import create_batch, fill_batch

# With --wait: seconds between two tries of a model server that does not answer.
PAUSE = 10


class Stopped(Exception):
    """SIGTERM or Ctrl-C: what was sampled is kept."""


class Command(BaseCommand):
    help = (
        "Sample K completions for each prompt of a batch and open its tasks. A batch that is there already is gone "
        "on with; the options that describe a new one are then not looked at. Progress goes to stderr."
    )

    def add_arguments(self, parser) -> None:
        parser.add_argument("batch", metavar="BATCH", help="its name")
        parser.add_argument("--endpoint", action="append", default=[], metavar="NAME", help="repeat for several")
        parser.add_argument("--form", help="what is asked, by the form's name; default: instructgpt")
        parser.add_argument("--k", help="2 to 9 (2 for pairs), a range such as 4-9, or weights such as 4:3,9:1")
        parser.add_argument("--prompts-split", action="append", choices=Split.values, default=[], help="repeat")
        parser.add_argument("--source", action="append", default=[], help="only prompts of this source; repeat")
        parser.add_argument("--use-case", action="append", default=[], help="only prompts of this use case; repeat")
        parser.add_argument("--count", type=int, help="how many prompts; default: all that match")
        parser.add_argument("--order", choices=ORDERS, default="random", help="which ones, when not all")
        parser.add_argument("--floor", type=float, default=USUAL_FLOOR, help="share of the draw that all get alike")
        parser.add_argument("--sharpness", type=float, default=USUAL_SHARPNESS, help="smaller: more by the score")
        parser.add_argument("--reuse", choices=Batch.Reuse.values, default="", help="rank completions that are there")
        parser.add_argument("--suggested", action="store_true", help="count suggested use cases, where none is known")
        parser.add_argument("--fresh", action="store_true", help="only prompts that are in no batch yet")
        parser.add_argument("--overlap", type=int, default=1, help="labelers for each task")
        parser.add_argument("--groups", nargs="+", default=[User.Group.TRAINING.value], metavar="GROUP")
        parser.add_argument("--group-targets", default="", metavar="GROUP:N,…", help="answers of each group")
        parser.add_argument("--again", action="store_true", help="also for labelers who had these prompts before")
        parser.add_argument("--priority", type=int, default=0)
        parser.add_argument("--temperature", type=float, default=1.0)
        parser.add_argument("--top-p", type=float, default=1.0)
        parser.add_argument("--max-tokens", type=int, default=256)
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--evaluation", action="store_true", help="compare the endpoints; never trained on")
        parser.add_argument("--serve-named", action="store_true", help="also completions that name a model, unseen")
        parser.add_argument("--wait", action="store_true", help="keep trying while the model server does not answer")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *, wait: bool, json: bool = False, **options: Any) -> None:
        before = signal.signal(signal.SIGTERM, stop)
        try:
            batch = find_or_create(options)
            counts = fill(batch, wait=wait)
        except Refusal as refusal:
            raise CommandError(refusal.message, returncode=1) from None
        except (Stopped, KeyboardInterrupt):
            raise CommandError("Stopped; the same command goes on from here.", returncode=143) from None
        finally:
            signal.signal(signal.SIGTERM, before)
        tasks = batch.tasks.count()
        if json:
            self.stdout.write(dump({"batch": batch.name, "id": batch.pk, **counts, "tasks": tasks}))
        else:
            self.stdout.write(f"{batch.name}: {counts['filled']} filled, {counts['failed']} failed, {tasks} tasks.")
        if counts["items"] and not counts["filled"]:
            raise CommandError("No prompt could be filled; the batch's page says why.", returncode=1)


def find_or_create(options: dict[str, Any]) -> Batch:
    """The batch of this name, made now if there is none."""
    batch = Batch.objects.filter(name=options["batch"]).first()
    if batch is not None:
        return batch
    endpoints = []
    for name in options["endpoint"]:
        endpoint = Endpoint.objects.filter(name=name).first()
        if endpoint is None:
            known = ", ".join(Endpoint.objects.order_by("name").values_list("name", flat=True)[:20]) or "none yet"
            raise NotFound(f"There is no endpoint called {name}; there are: {known}.")
        endpoints.append(endpoint)
    selection = Selection(
        splits=tuple(options["prompts_split"]),
        sources=tuple(options["source"]),
        use_cases=tuple(options["use_case"]),
        count=options["count"],
        order=options["order"],
        fresh=options["fresh"],
        floor=options["floor"],
        sharpness=options["sharpness"],
        suggested=options["suggested"],
    )
    same = ("k", "overlap", "groups", "group_targets", "again", "priority")
    same += ("temperature", "top_p", "max_tokens", "seed", "evaluation", "reuse")
    given = {key: options[key] for key in same}
    given["hold_named"] = not options["serve_named"]
    given["form"] = form_named(options["form"]) if options["form"] else None
    return create_batch(name=options["batch"], endpoints=endpoints, prompts=selection, **given)


def fill(batch: Batch, *, wait: bool) -> dict:
    while True:
        try:
            return fill_batch(batch=batch, beat=say, stored=lambda: open_tasks(batch=batch))
        except TryLater as trouble:
            if not wait:
                raise
            print(f"\n{trouble.message} Trying again in {PAUSE} s.", file=sys.stderr, flush=True)
            time.sleep(PAUSE)


def say(*, done: int, total: int, note: str = "") -> None:
    end = "\r" if sys.stderr.isatty() and done < total else "\n"
    if end == "\r" or done % 10 == 0 or done == total:
        print(f"sampled {done} of {total}", end=end, file=sys.stderr, flush=True)


def stop(*_: object) -> None:
    raise Stopped


def dump(value: dict) -> str:
    return json.dumps(value)
