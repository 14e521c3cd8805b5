"""A database that is searched for a word, and a person whose word is everywhere in it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.db import connection

from labeling.leasing.models import Lease
from tests import factories

MARKER = "Zorbaxquill"
USER = f"{MARKER}-the-person"
CHARACTERS = """
    SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = 'public' AND data_type IN ('text', 'character varying', 'jsonb', 'json', 'ARRAY', 'bytea')
    ORDER BY 1, 2
"""


def where_said(word: str) -> list[str]:
    """ "table.column" of each column of the whole database with `word` in it, however it is written."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute(CHARACTERS)
        for table, column in cursor.fetchall():
            cursor.execute(f'SELECT EXISTS (SELECT FROM "{table}" WHERE "{column}"::text ILIKE %s)', [f"%{word}%"])
            if cursor.fetchone()[0]:
                found.append(f"{table.removeprefix('labeling_')}.{column}")
    return found


@pytest.fixture
def said(ada, bo, rita, amy) -> SimpleNamespace:
    """Prompts of a person with all that can be written about them, each text with the marker in it; and a twin, by
    somebody else, that says another word."""
    from labeling.models import (
        Admission,
        CompletionMark,
        Decision,
        Flag,
        Import,
        ImportProblem,
        Job,
        Message,
        Question,
    )

    imported = Import.objects.create(name="file.jsonl")
    problem = {"line": 1, "reason": "user_cap", "detail": f"{USER!r} has 200 prompts"}
    ImportProblem.objects.create(imported=imported, **problem)
    result = {"import": str(imported.pk), "problems": [problem]}
    imported.job = Job.objects.create(kind="import_prompts", key="i", state="done", result=result)
    imported.save()
    prompt = factories.make_prompt(
        f"I am {MARKER}, why?", user=USER, external_id=f"{MARKER}-1", imported_in=imported, categories=["violence"]
    )
    ImportProblem.objects.create(imported=imported, line=2, reason="duplicate", detail=f"{MARKER} too", prompt=prompt)
    twin = factories.make_prompt("I am Untouched, why?", user="other", external_id="u-1")
    batch = factories.make_batch(overlap=3, name="first")
    task = factories.make_task(batch=batch, prompt=prompt, texts=(f"Dear {MARKER}.", f"Hello {MARKER}!"))
    values = {"why": f"{MARKER} is named"}
    ranking = factories.make_ranking(
        task=task, labeler=ada, ratings=[5, 2], note=f"on {MARKER}", prompt_fields={"flags": [], "values": values}
    )
    open_lease = factories.make_lease(task=task, labeler=bo)
    Lease.objects.filter(pk=open_lease.pk).update(draft={"note": f"about {MARKER}"}, draft_version=3)
    CompletionMark.objects.create(completion=task.item.completions.first(), term=MARKER, start=0, end=3)
    demonstration = factories.make_demonstration(
        prompt=prompt, labeler=ada, text=f"So, {MARKER}.", batch=factories.make_reviewed_batch()
    )
    review = factories.make_review(
        demonstration=demonstration, labeler=bo, verdict="edit", text=f"Thus, {MARKER}.", note=f"{MARKER}: shorter"
    )
    factories.make_demonstration(
        prompt=prompt, labeler=bo, turns=[f"Who is {MARKER}?", "You.", "Why?"], text=f"{MARKER} it is."
    )
    suggested = factories.make_suggestion(lease=demonstration.lease, text=f"Perhaps {MARKER}")
    question = Question.objects.create(
        lease=ranking.lease,
        labeler=ada,
        shared_question=f"Who is {MARKER}?",
        shared_answer=f"{MARKER} is none.",
        shared_at=ranking.created_at,
    )
    Message.objects.create(question=question, author=ada, text=f"What of {MARKER}?")
    Decision.objects.create(
        prompt=prompt,
        outcome="release",
        reason=f"{MARKER} is famous",
        decided_by=amy,
        findings=[{"message": 0, "start": 5, "end": 9, "kind": "person_name", "real": True}],
    )
    Flag.objects.create(prompt=prompt, by=ada, note=f"{MARKER} is a name")
    from labeling.audit.services import record

    record(actor=amy, action="prompt.released", subject=prompt, reason=f"{MARKER} is famous", kinds=["person_name"])
    written = factories.make_written_prompt(labeler=ada, text=f"Tell me of {MARKER}")
    Admission.objects.create(written=written, prompt=prompt)
    kept = factories.make_ranking(
        task=factories.make_task(batch=batch, prompt=twin, texts=("Untouched A", "Untouched B")),
        labeler=bo,
        note="Untouched",
    )
    return SimpleNamespace(
        prompt=prompt,
        twin=twin,
        task=task,
        ranking=ranking,
        lease=open_lease,
        demonstration=demonstration,
        review=review,
        suggested=suggested,
        written=written,
        kept=kept,
        imported=imported,
        question=question,
    )
