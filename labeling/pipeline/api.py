"""runs/ and models/: what the pages do, for programs."""

from __future__ import annotations

from pathlib import Path

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsResearcher, object_body
from labeling.background.models import Job
from labeling.pipeline import files, queries, services, signals
from labeling.pipeline.models import Checkpoint, Run
from labeling.refusals import Refusal
from labeling.sampling import queries as sampling

OBJECT = OpenApiTypes.OBJECT
AFTER = OpenApiParameter("after", str, description="`next` of the page before this one")
METRICS = 50  # newest lines of metrics.jsonl in a run's answer
FIELDS = {"name", "algorithm", "dataset", "base", "reward", "auxiliary", "preset", "seed", "arguments"}


def run_json(run: Run) -> dict:
    job = run.job
    checkpoint = getattr(run, "checkpoint", None)
    return {
        "id": str(run.pk),
        "name": run.name,
        "algorithm": run.algorithm,
        "state": job.state if job else "done",
        "error": job.error if job else "",
        "done": job.done if job else 0,
        "total": job.total if job else 0,
        "dataset": {"id": str(run.dataset_id), "content_hash": run.dataset.content_hash},
        "base": run.base.name,
        "reward": run.reward.name if run.reward else None,
        "auxiliary": str(run.auxiliary_id) if run.auxiliary_id else None,
        "preset": run.preset,
        "arguments": run.arguments,
        "seed": run.seed,
        "folder": run.folder,
        "code_version": run.code_version,
        "report": run.report,
        "model": {"id": str(checkpoint.pk), "name": checkpoint.name} if checkpoint else None,
        "created_at": run.created_at.isoformat(),
    }


def model_json(checkpoint: Checkpoint) -> dict:
    return {
        "id": str(checkpoint.pk),
        "name": checkpoint.name,
        "kind": checkpoint.kind,
        "folder": checkpoint.folder,
        "weights_sha256": checkpoint.weights_sha256,
        "run": str(checkpoint.run_id) if checkpoint.run_id else None,
        "metrics": checkpoint.metrics,
        "endpoint": checkpoint.endpoint.name if checkpoint.endpoint else None,
        "published_at": checkpoint.published_at.isoformat() if checkpoint.published_at else None,
        "created_at": checkpoint.created_at.isoformat(),
    }


def job_json(job: Job) -> dict:
    return {"job": str(job.pk), "state": job.state, "error": job.error}


class Runs(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(parameters=[AFTER], responses=OBJECT)
    def get(self, request: Request) -> Response:
        """Runs, newest first, 50 at a time."""
        page = queries.runs_page(after=request.GET.get("after"))
        return Response({"results": [run_json(run) for run in page], "next": page.next})

    @extend_schema(request=OBJECT, responses={201: OBJECT})
    def post(self, request: Request) -> Response:
        """Start a run. Data sets, base and reward model by id or name; everything but `algorithm`, `dataset` and `base`
        has a default."""
        body = object_body(request.data)
        if unknown := set(body) - FIELDS:
            raise Refusal(
                _("Unknown field {unknown!r}; a run has {fields}.").format(
                    unknown=sorted(unknown)[0][:60], fields=", ".join(sorted(FIELDS))
                )
            )
        for name in ("algorithm", "dataset", "base"):
            if name not in body:
                raise Refusal(_("`{name}` is missing.").format(name=name))
        for name in ("algorithm", "name", "preset"):
            if not isinstance(body.get(name, ""), str):
                raise Refusal(_("`{name}` must be a string.").format(name=name))
        given = {key: body[key] for key in ("name", "preset", "seed", "arguments") if body.get(key) is not None}
        run = services.start_run(
            algorithm=body["algorithm"],
            dataset=queries.get_dataset(body["dataset"]),
            base=queries.get_checkpoint(body["base"]),
            reward=queries.get_checkpoint(body["reward"]) if body.get("reward") is not None else None,
            auxiliary=queries.get_dataset(body["auxiliary"]) if body.get("auxiliary") is not None else None,
            created_by=request.user,
            **given,
        )
        return Response(run_json(queries.get_run(run.pk)), status=201)


class OneRun(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(responses=OBJECT)
    def get(self, request: Request, reference: str) -> Response:
        """A run by id or name, with its progress and its newest measurements."""
        run = queries.get_run(reference)
        folder = Path(run.folder)
        live = {
            "progress": files.read_object(folder / "progress.json"),
            "metrics": files.tail_lines(folder / "metrics.jsonl", limit=METRICS),
        }
        return Response(run_json(run) | live)


class CancelRun(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(request=None, responses=OBJECT)
    def post(self, request: Request, reference: str) -> Response:
        """End a run after it saved a checkpoint. 409 when it has ended."""
        run = services.cancel_run(run=queries.get_run(reference), by=request.user)
        return Response(run_json(queries.get_run(run.pk)))


class RestartRun(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(request=None, responses=OBJECT)
    def post(self, request: Request, reference: str) -> Response:
        """Go on with a run that failed or was cancelled. 409 when it did neither."""
        run = services.restart_run(run=queries.get_run(reference), by=request.user)
        return Response(run_json(queries.get_run(run.pk)))


class Models(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(parameters=[AFTER], responses=OBJECT)
    def get(self, request: Request) -> Response:
        """The registry of models, newest first, 50 at a time."""
        page = queries.checkpoints_page(after=request.GET.get("after"))
        tainted = queries.tainted_checkpoints()
        results = [model_json(one) | {"tainted": one.pk in tainted} for one in page]
        return Response({"results": results, "next": page.next})


class OneModel(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(responses=OBJECT)
    def get(self, request: Request, reference: str) -> Response:
        """A model by id or name, with every model and data set that it comes from."""
        checkpoint = queries.get_checkpoint(reference)
        ancestry = [
            {
                "model": one.checkpoint.name,
                "relation": one.relation,
                "run": one.run.name if one.run else None,
                "seed": one.run.seed if one.run else None,
                "code_version": one.run.code_version if one.run else None,
                "datasets": [dataset.content_hash for dataset in one.datasets],
                "rankings": one.rankings,
                "demonstrations": one.demonstrations,
                "prompts": one.prompts,
            }
            for one in queries.lineage(checkpoint)
        ]
        marked = [dataset.content_hash for dataset in queries.tainted_datasets(checkpoint)]
        body = {"tainted": bool(marked), "tainted_datasets": marked, "lineage": ancestry}
        return Response(model_json(checkpoint) | body)


class PublishModel(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(request=None, responses={202: OBJECT})
    def post(self, request: Request, reference: str) -> Response:
        """Load a policy on the model server; from then on batches can be sampled from it."""
        job = services.publish_checkpoint(checkpoint=queries.get_checkpoint(reference), by=request.user)
        return Response(job_json(job), status=202)


class Signals(APIView):
    """What strategies of choosing prompts go by."""

    permission_classes = [IsResearcher]

    @extend_schema(operation_id="selection", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Of each kind of signal how many prompts have one, when it was made, and of what."""
        names = ("kind", "known", "made_at", "made_of")
        found = [{name: row[name] for name in names} for row in sampling.signals_known()]
        return Response({"signals": found})

    @extend_schema(operation_id="selection_compute", request=None, responses={202: OpenApiTypes.OBJECT})
    def post(self, request: Request) -> Response:
        """Compute all signals anew, in a job."""
        return Response({"job": str(signals.start(actor=request.user).pk)}, 202)
