"""Which pages and addresses of the API show staff what others wrote, and the line that says who read them.

One line for each page that was looked at, however many texts it shows. Pages that write lines of their own (triage,
held prompts, originals, a person's export) are not here. Who works at a task is known by its lease.
"""

from __future__ import annotations

from django.urls import ResolverMatch

from labeling.audit.models import AuditEvent

READ = "text.read"
# Name of the address, as in urls.py, and what kind of thing its first argument names; the API's alike.
SHOWS_TEXT = {
    "prompts": "",
    "prompt": "prompt",
    "use-cases-assign": "",
    "use-cases-next": "",
    "batch-item": "batchitem",
    "written": "",
    "written-one": "demonstration",
    "written-prompts": "batch",
    "batch-suggestions": "batch",
    "given-answer": "lease",
    "adjudication-task": "task",
    "adjudication-case": "task",
    "blindness": "",
    "maker-marks": "",
    "label-errors": "",
    "label-error": "erroritem",
    "label-errors-judged": "",
    "label-errors-suspicious": "",
    "check-set": "checkset",
    "check-answer": "checkturn",
    "screening-items": "screeninground",
    "screening-grading": "",
    "screening-applicant": "application",
    "question-inbox": "",
    "person-answers": "user",
    "person-skips": "user",
    "person-corrections": "user",
    "person-questions": "user",
    "dataset": "dataset",
    "dataset-rows": "dataset",
    "dataset-compare": "dataset",
    "dataset-file": "dataset",
    "export-rows": "dataset",
    "export-compare": "dataset",
    "export-file": "dataset",
    "run": "run",
}
# These ask by themselves for what is new, every few seconds; that somebody reads them was written down at first.
POLLED = {"run", "dataset", "batch-item"}
ARGUMENT = {"batch-item": "item_id", "screening-items": "screening_id"}


def write_down(*, reader, match: ResolverMatch, live: bool) -> None:
    """A line where the address shows texts and the reader is staff. `live`: its script asks for a part of the page."""
    name = (match.view_name or "").removeprefix("api:")
    if name not in SHOWS_TEXT or live and name in POLLED or getattr(reader, "role", "labeler") == "labeler":
        return
    argument = ARGUMENT.get(name)
    named = match.kwargs.get(argument) if argument else next(iter(match.kwargs.values()), "")
    AuditEvent.objects.create(
        actor=reader,
        action=READ,
        subject_type=SHOWS_TEXT[name] or "page",
        subject_id=str(named or name)[:64],
        detail={"page": name} | ({"file": match.kwargs["name"]} if name.endswith("-file") else {}),
    )
