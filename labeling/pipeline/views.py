"""Pages of runs and of the registry of models."""

from __future__ import annotations

from pathlib import Path

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from labeling.exports import taint
from labeling.people.access import STAFF, only
from labeling.pipeline import charts, files, forms, processes, queries, services, signals
from labeling.pipeline.models import Run
from labeling.refusals import Refusal
from labeling.sampling import queries as sampling

SAMPLES = 20  # newest sample texts on a run's page
TABLE = 100  # rows of the table under the curves
ALGORITHMS = (
    ("sft", "SFT", gettext_lazy("Fine-tune a policy on demonstrations.")),
    ("rm", gettext_lazy("Reward model"), gettext_lazy("Learn from comparisons which answer people prefer.")),
    ("ppo", "PPO-ptx", gettext_lazy("Optimise a policy against a reward model.")),
)


@require_GET
@only(*STAFF)
def run_list(request: HttpRequest) -> HttpResponse:
    page = queries.runs_page(after=request.GET.get("after"))
    return render(request, "pipeline/runs.html", {"page": page, "algorithms": ALGORITHMS})


@require_http_methods(["GET", "POST"])
@only(*STAFF)
def run_new(request: HttpRequest) -> HttpResponse:
    algorithm = request.GET.get("algorithm", "sft")
    if algorithm not in queries.DATASET_FOR:
        raise Refusal(_("Choose what to train: sft, rm or ppo."))
    initial = {"dataset": request.GET["dataset"]} if "dataset" in request.GET else {}
    form = forms.NewRunForm(request.POST or None, algorithm=algorithm, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            run = services.start_run(algorithm=algorithm, created_by=request.user, **form.cleaned_data)
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(request, _("{run} is queued.").format(run=run.name))
            return redirect("run", run.pk)
    context = {
        "form": form,
        "algorithm": algorithm,
        "algorithms": ALGORITHMS,
        "kind": queries.DATASET_FOR[algorithm],
        "has_data": form.fields["dataset"].queryset.exists(),
        "has_base": form.fields["base"].queryset.exists(),
        "has_reward": "reward" not in form.fields or form.fields["reward"].queryset.exists(),
    }
    return render(request, "pipeline/run_new.html", context, status=400 if form.errors else 200)


@require_GET
@only(*STAFF)
def run_detail(request: HttpRequest, run_id) -> HttpResponse:
    """The page; for HTMX only what changes while the run goes."""
    watched = queries.watch(queries.get_run(run_id))
    run, folder = watched.run, Path(watched.run.folder)
    context = {
        "watched": watched,
        "run": run,
        "checkpoint": getattr(run, "checkpoint", None),
        "tainted": taint.tainted_ids(pk for pk in (run.dataset_id, run.auxiliary_id) if pk),
        "charts": charts.charts_of(run.algorithm, watched.series),
        "log": files.log_tail(folder / processes.LOG),
        "report": flatten(watched.report),
        "samples": files.tail_lines(folder / "samples.jsonl", limit=SAMPLES)[::-1],
    }
    return render(request, "pipeline/_run_live.html" if request.htmx else "pipeline/run.html", context)


@require_GET
@only(*STAFF)
def run_metrics(request: HttpRequest, run_id) -> HttpResponse:
    """The newest measurements as a table: the curves for whoever wants the numbers."""
    run = queries.get_run(run_id)
    rows = files.tail_lines(Path(run.folder) / "metrics.jsonl", limit=TABLE)[::-1]
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = [[row.get(name) for name in names] for row in rows]
    context = {"run": run, "names": names, "table": table}
    return render(request, "pipeline/_metrics.html" if request.htmx else "pipeline/metrics.html", context)


@require_POST
@only(*STAFF)
def run_cancel(request: HttpRequest, run_id) -> HttpResponse:
    services.cancel_run(run=queries.get_run(run_id), by=request.user)
    messages.success(request, _("The run ends after saving a checkpoint; it can go on from there later."))
    return redirect("run", run_id)


@require_POST
@only(*STAFF)
def run_restart(request: HttpRequest, run_id) -> HttpResponse:
    services.restart_run(run=queries.get_run(run_id), by=request.user)
    messages.success(request, _("The run goes on from its last checkpoint."))
    return redirect("run", run_id)


@require_GET
@only(*STAFF)
def model_list(request: HttpRequest) -> HttpResponse:
    page = queries.checkpoints_page(after=request.GET.get("after"))
    return render(request, "pipeline/models.html", {"page": page, "tainted": queries.tainted_checkpoints()})


@require_GET
@only(*STAFF)
def model_detail(request: HttpRequest, checkpoint_id) -> HttpResponse:
    checkpoint = queries.get_checkpoint(checkpoint_id)
    context = {
        "checkpoint": checkpoint,
        "lineage": queries.lineage(checkpoint),
        "tainted": queries.tainted_datasets(checkpoint),
        "children": Run.objects.filter(base=checkpoint).order_by("-created_at")[:50],
        "rewarded": Run.objects.filter(reward=checkpoint).order_by("-created_at")[:50],
        "metrics": flatten(checkpoint.metrics),
        "publishing": queries.publishing_job(checkpoint),
    }
    return render(request, "pipeline/model.html", context)


@require_POST
@only(*STAFF)
def model_publish(request: HttpRequest, checkpoint_id) -> HttpResponse:
    services.publish_checkpoint(checkpoint=queries.get_checkpoint(checkpoint_id), by=request.user)
    messages.success(request, _("Publishing has begun. Once it is served, the next batch can be sampled from it."))
    return redirect("model", checkpoint_id)


def flatten(report: dict, prefix: str = "") -> list[tuple[str, object]]:
    """A report's figures as (name, value), nested names joined by a dot; long lists are left to the file."""
    rows: list[tuple[str, object]] = []
    for name, value in report.items():
        if isinstance(value, dict):
            rows += flatten(value, f"{prefix}{name}.")
        elif not isinstance(value, list) or len(value) <= 8:
            rows.append((f"{prefix}{name}", value))
    return rows


@require_GET
@only(*STAFF)
def selection(request: HttpRequest) -> HttpResponse:
    """What the strategies go by, and since when."""
    context = {"signals": sampling.signals_known(), "job": sampling.signals_job()}
    return render(request, "pipeline/selection.html", context)


@require_POST
@only(*STAFF)
def selection_compute(request: HttpRequest) -> HttpResponse:
    return redirect("job", signals.start(actor=request.user).pk)
