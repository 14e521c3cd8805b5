"""Where the loop stands, in a handful of counts that stay cheap however large the tables grow."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from labeling.background.models import Job
from labeling.blindness.queries import waiting_marks
from labeling.exports.models import Dataset
from labeling.intake.models import Prompt
from labeling.leasing.models import Lease, Seat
from labeling.people.models import User
from labeling.pipeline.models import Checkpoint, Run
from labeling.rankings.models import Ranking
from labeling.sampling.models import Batch, Endpoint

# Counting stops here: beyond it "10,000+" says as much, and an exact count would read the whole table.
LIMIT = 10_000


@dataclass(frozen=True)
class Stat:
    label: str
    count: int  # never more than LIMIT + 1
    page: str  # the name of the URL that shows them

    @property
    def figure(self) -> str:
        shown = number_format(min(self.count, LIMIT), force_grouping=True)
        return f"{shown}+" if self.count > LIMIT else shown


@dataclass(frozen=True)
class Step:
    """One step of the loop: what to do, and whether it was done once."""

    sentence: str
    page: str
    done: bool


def bounded_count(rows: QuerySet) -> int:
    """How many rows, counting no further than LIMIT + 1."""
    return rows.order_by()[: LIMIT + 1].count()


def stats() -> list[Stat]:
    return [
        Stat(_("prompts"), bounded_count(Prompt.objects.filter(state=Prompt.State.ACCEPTED)), "prompts"),
        Stat(_("held for a look"), bounded_count(Prompt.objects.filter(state=Prompt.State.HELD)), "prompt-triage"),
        Stat(_("names of models to look at"), bounded_count(waiting_marks()), "blindness"),
        Stat(_("batches"), bounded_count(Batch.objects.all()), "batches"),
        Stat(
            _("places free"),
            bounded_count(Seat.objects.filter(state=Seat.State.FREE).exclude(batch__state="closed")),
            "batches",
        ),
        Stat(_("being worked on"), bounded_count(Lease.objects.filter(state=Lease.State.OPEN)), "batches"),
        Stat(_("rankings"), bounded_count(Ranking.objects.all()), "agreement"),
        Stat(_("data sets"), bounded_count(Dataset.objects.all()), "datasets"),
        Stat(_("runs"), bounded_count(Run.objects.all()), "runs"),
        Stat(_("models"), bounded_count(Checkpoint.objects.all()), "models"),
    ]


def next_steps(*, for_admin: bool) -> list[Step]:
    """The loop in order, each step with a link; admins see inviting labelers among them."""
    people = User.objects.filter(role=User.Role.LABELER, is_active=True).exclude(
        group__in=[User.Group.SIMULATED, User.Group.APPLICANT]
    )
    invite = [Step(_("Invite labelers"), "invitations", people.exists())] if for_admin else []
    return [
        Step(_("Bring prompts in"), "imports", Prompt.objects.exists()),
        *invite,
        Step(_("Name an endpoint to sample from"), "endpoints", Endpoint.objects.exists()),
        Step(_("Make a batch: prompts with K completions each"), "batch-new", Batch.objects.exists()),
        Step(_("Have it ranked"), "work", Ranking.objects.exists()),
        Step(_("Freeze a data set"), "dataset-new", Dataset.objects.exists()),
        Step(pgettext("verb", "Train"), "run-new", Run.objects.exists()),
        # A base model is served from the start; the loop closes with one that a run made.
        Step(
            _("Publish a model and sample the next round from it"),
            "models",
            Checkpoint.objects.filter(run__isnull=False, published_at__isnull=False).exists(),
        ),
    ]


def failed_jobs(*, limit: int = 5) -> QuerySet[Job]:
    """The latest jobs that failed and wait for somebody to look."""
    return Job.objects.filter(state=Job.State.FAILED).order_by("-created_at")[:limit]
