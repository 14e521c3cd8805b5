"""Content for a first look: accounts, prompts, ideal answers, and a batch that the model has just answered."""

from __future__ import annotations

from functools import partial

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from labeling.leasing.services import open_tasks
from labeling.management import content
from labeling.management.applying import bring_screening
from labeling.management.checking import bring_checks
from labeling.management.disagreement import bring_disagreement
from labeling.management.looking import bring_looks
from labeling.people.models import User
from labeling.refusals import Refusal
from labeling.sampling.briefs import create_prompt_batch
from labeling.sampling.choosing import Selection
from labeling.sampling.models import Batch, Completion, CompletionMark
from labeling.sampling.services import create_batch, fill_batch

RANKING, WRITING, TALKING, PROMPTS = "first-round", "first-answers", "first-dialogues", "first-prompts"
RANKED = Selection(sources=(content.SOURCE,), splits=("train",), count=12)
# Prompts that no packaged answer belongs to are among these: drawn by another seed than the ranked ones.
WRITTEN = Selection(sources=(content.SOURCE,), splits=("train",), count=4)
TALKED = Selection(sources=(content.SOURCE,), splits=("train",), count=2)


class Command(BaseCommand):
    help = (
        "Make the demo's content: three accounts, the packaged prompts and answers, and batches: to rank, to write for "
        "with suggestions and reviews, of dialogues, of prompts to write, of two tasks whose labelers disagree. Needs "
        "the model server. Can be run again; prints who may sign in."
    )

    def handle(self, **_: object) -> None:
        try:
            cast = content.make_cast()
            content.write_welcome()
            content.bring_prompts()
            content.bring_demonstrations()
            content.bring_pay()
            _, endpoint = content.bring_base(
                folder=settings.BASE_MODEL, name=settings.MODEL_SERVER_NAME, server=settings.MODEL_SERVER_URL
            )
            ranking = Batch.objects.filter(name=RANKING).first() or create_batch(
                name=RANKING,
                endpoints=[endpoint],
                prompts=RANKED,
                k=4,
                overlap=2,
                groups=["training", "held_out", "researcher"],
                again=True,
                # The small model wanders at 1; labelers should have something to tell apart.
                temperature=0.7,
                max_tokens=64,
                seed=1,
                # A first look must find something to rank. In a batch of one's own such completions wait for an admin.
                hold_named=False,
            )
            writing = Batch.objects.filter(name=WRITING).first() or create_batch(
                name=WRITING,
                kind=Batch.Kind.DEMONSTRATION,
                prompts=WRITTEN,
                groups=["training", "researcher"],
                priority=-1,
                temperature=0.7,
                seed=2,
                suggestions=endpoint,
                review=True,
            )
            talking = Batch.objects.filter(name=TALKING).first() or create_batch(
                name=TALKING,
                kind=Batch.Kind.DIALOGUE,
                prompts=TALKED,
                groups=["training", "researcher"],
                priority=-2,
                seed=3,
            )
            prompts = Batch.objects.filter(name=PROMPTS).first() or create_prompt_batch(
                name=PROMPTS,
                plain=1,
                few_shot=1,
                pairs=2,
                statements=["to plan the meals of a week, for two children and a grandmother"],
                groups=["training", "researcher"],
                priority=-3,
                seed=4,
                review=True,
            )
            for batch in (ranking, writing, talking, prompts):
                if batch.state == Batch.State.SAMPLING:
                    fill_batch(batch=batch, beat=lambda **_: None, stored=partial(open_tasks, batch=batch))
                open_tasks(batch=batch)
            bring_disagreement(actor=User.objects.get(username="amy"))
            bring_screening(flagged=ranking, ranked=bring_checks())
            bring_looks()
        except Refusal as refusal:
            raise CommandError(refusal.message) from None
        named = Completion.objects.filter(item__batch=ranking, pk__in=CompletionMark.objects.values("completion"))
        if count := named.count():
            self.stdout.write(f"{count} of the demo's completions name a model; this batch serves them all the same.")
        for entry in cast:
            password = entry["password"] or "(its password was set by somebody else)"
            self.stdout.write(f"  {entry['role']:<11}{entry['username']:<6}{password}")
        self.stdout.write(f"These passwords are also in {settings.KWISE_HOME / 'sign-ins.json'}.")
