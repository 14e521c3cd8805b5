"""Which column of which table loses what when a prompt is erased.

`RULES` is the whole of it: a test holds it against every column of the database that can have text, and fails for one
that stands neither there nor, with a reason, in `KEPT`. Rows stay where others refer to them, so that what was counted,
paid and learned can still be followed; their texts become `[erased]`.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field

from django.apps import apps
from django.db import connection

from labeling.erasure.models import Answers
from labeling.intake.models import ERASED

WORD = f"'{ERASED}'"


def text(column: str) -> str:
    """Empty stays empty: whether there was one is no secret."""
    return f"CASE WHEN {column} = '' THEN '' ELSE {WORD} END"


def turns(column: str) -> str:
    """A list of {"role", "content"}: the roles stay."""
    return f"""coalesce((
        SELECT jsonb_agg(jsonb_set(turn, '{{content}}', to_jsonb({WORD}::text)) ORDER BY place)
        FROM jsonb_array_elements({column}) WITH ORDINALITY one (turn, place)
    ), '[]')"""


WRITTEN = f"""CASE WHEN form = 'few_shot' THEN jsonb_build_object(
        'instruction', {WORD}, 'query', {WORD}, 'pairs', (
            SELECT jsonb_agg(jsonb_build_object('query', {WORD}, 'response', {WORD}))
            FROM jsonb_array_elements(content -> 'pairs')
        )
    ) ELSE jsonb_build_object('text', {WORD}) END"""


PROMPT_VALUES = "prompt_fields -> 'values'"


def values(column: str) -> str:
    """Of {field: value} figures, and what was chosen from a list; what else is text somebody wrote goes."""
    return f"""coalesce((
        SELECT jsonb_object_agg(key, value) FROM jsonb_each({column})
        WHERE jsonb_typeof(value) IN ('number', 'boolean', 'null') OR key = ANY(%(choices)s::text[])
    ), '{{}}')"""


def problems(column: str) -> str:
    """Lines of an import that did not go in: what was said of them may name the person, or a text of theirs."""
    return f"""coalesce((
        SELECT jsonb_agg(jsonb_set(line, '{{detail}}', to_jsonb({WORD}::text)) ORDER BY place)
        FROM jsonb_array_elements({column}) WITH ORDINALITY one (line, place)
    ), '[]')"""


# Where findings lay: the kinds stay, of which estimates are made.
PLACES = """coalesce((
        SELECT jsonb_agg(part || '{"start": 0, "end": 0}' ORDER BY place)
        FROM jsonb_array_elements(findings) WITH ORDINALITY one (part, place)
    ), '[]')"""
# What of an audit line says nothing that somebody wrote.
TELLS_NOTHING = (
    *("kinds", "by", "where", "real", "marked", "state", "words", "kind", "batch", "completion", "revision", "grade"),
    *("verdict", "outcome", "rows", "number", "seats", "score"),
)
DETAIL = f"""coalesce((
        SELECT jsonb_object_agg(key, CASE WHEN key = ANY(ARRAY{list(TELLS_NOTHING)}) THEN value
            ELSE to_jsonb({WORD}::text) END)
        FROM jsonb_each(detail)
    ), '{{}}')"""
HASH_OF_ID = "encode(sha256(convert_to(id::text, 'UTF8')), 'hex')"
NO_HASH = "repeat('0', 64)"


@dataclass(frozen=True)
class Rule:
    """In rows of `table` whose `by` is among the ids of `scope`: `sets`, column → SQL; or the rows go. `answers` is for
    where answers go too. `where` narrows it; `past` are the triggers that let nobody else through."""

    table: str
    scope: str
    by: str = "id"
    sets: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    past: tuple[str, ...] = ()
    # What else of the row the person is told who asks what there is of theirs.
    tells: tuple[str, ...] = ()
    # Rows that are about others too are told to nobody.
    told: bool = True
    where: str = "true"
    delete: bool = False


# scope → the ids in it, from those of scopes above it.
SCOPES = {
    # Also what its writer wrote before, or corrected it to.
    "written": """
        SELECT mine.id FROM labeling_admission admission
        JOIN labeling_writtenprompt written ON written.id = admission.written_id
        JOIN labeling_writtenprompt mine ON mine.lease_id = written.lease_id
        WHERE admission.prompt_id = ANY(%(prompt)s)
    """,
    "import": "SELECT DISTINCT imported_in_id FROM labeling_prompt "
    "WHERE id = ANY(%(prompt)s) AND imported_in_id IS NOT NULL",
    "item": """
        SELECT id FROM labeling_batchitem WHERE prompt_id = ANY(%(prompt)s)
        UNION
        SELECT review.id FROM labeling_writtenprompt written
        JOIN labeling_task task ON task.id = written.task_id
        JOIN labeling_batch reviews ON reviews.review_of_id = task.batch_id
        JOIN labeling_batchitem review ON review.batch_id = reviews.id AND review.external_id = written.id::text
        WHERE written.id = ANY(%(written)s)
    """,
    "task": "SELECT id FROM labeling_task WHERE item_id = ANY(%(item)s)",
    "lease": """
        SELECT id FROM labeling_lease WHERE task_id = ANY(%(task)s)
        UNION SELECT lease_id FROM labeling_writtenprompt WHERE id = ANY(%(written)s)
    """,
    "completion": "SELECT id FROM labeling_completion WHERE item_id = ANY(%(item)s)",
    "ranking": "SELECT id FROM labeling_ranking WHERE task_id = ANY(%(task)s)",
    "demonstration": "SELECT id FROM labeling_demonstration WHERE task_id = ANY(%(task)s)",
    "review": """
        SELECT id FROM labeling_review
        WHERE task_id = ANY(%(task)s) OR written_prompt_id = ANY(%(written)s)
    """,
    "question": "SELECT id FROM labeling_question WHERE lease_id = ANY(%(lease)s)",
    "erroritem": "SELECT id FROM labeling_erroritem WHERE ranking_id = ANY(%(ranking)s)",
    "screened": """
        SELECT id FROM labeling_screeningitem
        WHERE prompt_id = ANY(%(prompt)s) OR source_id = ANY(%(item)s) OR task_id = ANY(%(task)s)
    """,
    "import_job": """
        SELECT job_id FROM labeling_import WHERE id = ANY(%(import)s) AND job_id IS NOT NULL
    """,
    "suggestion": "SELECT id FROM labeling_suggestion WHERE lease_id = ANY(%(lease)s)",
}
# What lines of the audit trail are about, by the kind that they name it by.
AUDITED = {
    "prompt": "prompt",
    "ranking": "ranking",
    "demonstration": "demonstration",
    "writtenprompt": "written",
    "review": "review",
    "lease": "lease",
    "task": "task",
    "question": "question",
    "completion": "completion",
    "erroritem": "erroritem",
    "screeningitem": "screened",
}

RULES = [
    # The prompt itself is the service's: it has a key in place of its text's hash.
    Rule("labeling_original", "prompt", by="prompt_id", delete=True, tells=("messages",)),
    Rule("labeling_finding", "prompt", by="prompt_id", delete=True, tells=("message_index", "kind", "start", "end")),
    Rule(
        "labeling_decision",
        "prompt",
        by="prompt_id",
        sets={"reason": text("reason"), "findings": PLACES},
        past=("decision_is_never_altered",),
    ),
    Rule("labeling_flag", "prompt", by="prompt_id", sets={"note": text("note")}),
    # What was said of lines that are the prompt, or repeat it. The service looks for the person's id in all others.
    Rule("labeling_importproblem", "prompt", by="prompt_id", sets={"detail": WORD}),
    Rule(
        "labeling_job",
        "import_job",
        sets={
            "result": "jsonb_set(result, '{problems}', " + problems("result -> 'problems'") + ")",
            "error": text("error"),
            "note": text("note"),
        },
        where="jsonb_typeof(result -> 'problems') = 'array'",
        told=False,
    ),
    # An imported group's name may be the person's own; that of a review is the answer's id.
    Rule(
        "labeling_batchitem",
        "item",
        sets={
            "external_id": "CASE WHEN external_id = '' OR EXISTS (SELECT FROM labeling_batch batch WHERE "
            "batch.id = batch_id AND batch.kind = 'review') THEN external_id ELSE 'erased:' || id END",
            "error": f"CASE WHEN state = 'waiting' THEN {WORD} ELSE {text('error')} END",
            "note": text("note"),
            "state": "CASE WHEN state = 'waiting' THEN 'failed' ELSE state END",
        },
    ),
    Rule(
        "labeling_completion",
        "item",
        by="item_id",
        sets={"text": WORD, "text_sha256": HASH_OF_ID},
        past=("completion_is_append_only",),
    ),
    Rule("labeling_completionmark", "completion", by="completion_id", sets={"term": text("term")}),
    Rule(
        "labeling_completionscore",
        "completion",
        by="completion_id",
        sets={"refused": text("refused")},
        past=("completion_score_is_append_only",),
    ),
    Rule(
        "labeling_provenance",
        "completion",
        by="completion_id",
        sets={"parameters": "parameters - 'messages' - 'prompt' - 'system'"},
        past=("provenance_is_append_only",),
    ),
    # Over, with nothing on it, in whatever state it ended; what was answered stays answered, for it was paid.
    Rule(
        "labeling_lease",
        "lease",
        sets={
            "erased": "true",
            "draft": "'{}'",
            "skip_reason": text("skip_reason"),
            "sent_back": "false",
            "state": "CASE WHEN state IN ('open', 'ahead') THEN 'returned' ELSE state END",
            "ended_at": "CASE WHEN state IN ('open', 'ahead') THEN now() ELSE ended_at END",
            "seat_id": "CASE WHEN state IN ('open', 'ahead') THEN NULL ELSE seat_id END",
        },
    ),
    Rule("labeling_seat", "task", by="task_id", sets={"state": "'withheld'"}, where="state IN ('free', 'taken')"),
    Rule(
        "labeling_ranking",
        "task",
        by="task_id",
        sets={
            "note": text("note"),
            "correction_reason": text("correction_reason"),
            "prompt_fields": "CASE WHEN jsonb_typeof(prompt_fields -> 'values') = 'object' THEN "
            f"jsonb_set(prompt_fields, '{{values}}', {values(PROMPT_VALUES)}) "
            "ELSE prompt_fields END",
            "payload_sha256": NO_HASH,
        },
        answers={"outcome": "'cannot_rank'", "strength": "NULL", "same": "'[]'", "prompt_fields": "'{}'"},
        past=("ranking_is_append_only",),
    ),
    Rule(
        "labeling_judgment",
        "ranking",
        by="ranking_id",
        sets={"values": values("values")},
        answers={"rank": "NULL", "rating": "NULL", "flags": "'[]'", "values": "'{}'"},
        past=("judgment_is_append_only",),
    ),
    Rule(
        "labeling_demonstration",
        "task",
        by="task_id",
        sets={
            "text": WORD,
            "turns": turns("turns"),
            "correction_reason": text("correction_reason"),
            "payload_sha256": NO_HASH,
        },
        past=("demonstration_is_append_only",),
    ),
    # Ended first, so that whoever writes it finds that it is over.
    Rule(
        "labeling_suggestion",
        "suggestion",
        sets={
            "messages": turns("messages"),
            "text": text("text"),
            "error": text("error"),
            "state": "CASE WHEN state IN ('waiting', 'writing') THEN 'stopped' ELSE state END",
            "ended_at": "coalesce(ended_at, now())",
        },
        past=("suggestion_is_frozen_once_ended",),
    ),
    # Of the texts' own length, which nobody can tell any more.
    Rule(
        "labeling_demonstrationsuggestion",
        "suggestion",
        by="suggestion_id",
        sets={"operations": "'[]'"},
        past=("suggestion_use_is_append_only",),
    ),
    Rule(
        "labeling_writtenprompt",
        "written",
        sets={"content": WRITTEN, "correction_reason": text("correction_reason"), "payload_sha256": NO_HASH},
        past=("written_prompt_is_append_only",),
    ),
    Rule(
        "labeling_admission",
        "written",
        by="written_id",
        sets={"detail": text("detail")},
        past=("admission_is_append_only",),
    ),
    Rule(
        "labeling_review",
        "review",
        sets={
            "text": text("text"),
            "turns": turns("turns"),
            "note": text("note"),
            "correction_reason": text("correction_reason"),
            "payload_sha256": NO_HASH,
        },
        past=("review_is_append_only",),
    ),
    Rule(
        "labeling_question",
        "question",
        sets={"shared_question": text("shared_question"), "shared_answer": text("shared_answer")},
    ),
    Rule(
        "labeling_message",
        "question",
        by="question_id",
        sets={"text": WORD},
        past=("message_is_append_only",),
    ),
    Rule(
        "labeling_errorverdict",
        "erroritem",
        by="item_id",
        sets={"note": text("note")},
        past=("error_verdict_is_append_only",),
    ),
    Rule(
        "labeling_secondlook",
        "erroritem",
        by="item_id",
        sets={
            "note": text("note"),
            "state": "CASE WHEN state = 'waiting' THEN 'withdrawn' ELSE state END",
            "ended_at": "coalesce(ended_at, now())",
        },
        past=("second_look_ends_once",),
    ),
    Rule(
        "labeling_adjudicationrequest",
        "task",
        by="task_id",
        sets={"reason": WORD},
        past=("adjudication_request_is_append_only",),
    ),
    Rule("labeling_screeningitem", "screened", sets={"note": text("note")}),
    Rule(
        "labeling_grade",
        "demonstration",
        by="demonstration_id",
        sets={"note": text("note")},
        past=("grade_is_append_only",),
    ),
]
# Columns of text that nobody's prompt is in, and why: a table, or a column of one. What has a fixed set of values, a
# hash of ours or an id in it needs no word here.
KEPT = {
    "apitoken": "the team's own",
    "application": "the team's own",
    "assessment": "ids and figures",
    "auditevent": "what is about an erased thing is blanked by what it is about",
    "batch": "the team's own",
    "batchitem.brief": "written by the team, for prompts that were not there yet",
    "blindsample": "figures",
    "campaign": "the team's own",
    "checkalert": "about labelers",
    "checkitem": "ids",
    "checkpoint": "names of models and their figures",
    "checkset": "the team's own",
    "completiontraits": "figures",
    "dataset": "questions and counts; its files are followed by their marks",
    "decision.state_before": "a state",
    "detectorversion": "the program's own",
    "endpoint": "the team's own",
    "erasure": "what is left",
    "erroritem": "ids",
    "errordraw": "figures",
    "finding": "the rows go",
    "form": "the team's own",
    "formversion": "the team's own",
    "guideline": "the team's own",
    "import": "names of files, and counts",
    "importproblem.reason": "one of the gate's words",
    "invitation": "the team's own",
    "job.arguments": "ids, settings and names of files",
    "ledgerentry": "pay",
    "lease.order_shown": "ids",
    "lease.order_ranked": "ids",
    "judgment.flags": "names of the form's own flags",
    "makerterm": "names of models",
    "notice": "the team's own",
    "onboardingevent": "about labelers",
    "original": "the rows go",
    "outputscan": "places in texts, by their hash; the rows of erased texts go",
    "paysettings": "pay",
    "payrequest": "pay",
    "policy": "the team's own",
    "policyrule": "the team's own",
    "practiceanswer": "practice has texts of its own",
    "prompt.external_id": "the service empties it",
    "prompt.messages": "the service blanks it",
    "prompt.consent": "the version of the terms that were agreed to",
    "promptlanguage": "a code",
    "promptsignal": "figures",
    "provenance.model": "the name of a model",
    "provenance.finish_reason": "the model server's",
    "qualityreport": "figures",
    "qualityrun": "figures",
    "ranking.idempotency_key": "the browser's",
    "ranking.order_shown": "ids",
    "ranking.order_ranked": "ids",
    "ranking.same": "ids",
    "demonstration.idempotency_key": "the browser's",
    "writtenprompt.idempotency_key": "the browser's",
    "review.idempotency_key": "the browser's",
    "report": "figures",
    "run": "figures, names and folders; its files are followed by their marks",
    "screeningdecision": "about applicants",
    "screeninground": "the team's own",
    "source": "the name of a source",
    "sourcekey": "the team's own",
    "sourceuser.external_id": "the service puts a number in its place",
    "suggestion.model": "the name of a model",
    "suggestion.parameters": "figures",
    "surveyquestionnaire": "the team's own",
    "surveyround": "the team's own",
    "surveytally": "counts",
    "suspicionstate": "figures",
    "teamsettings": "the team's own",
    "topic": "the team's own",
    "usecasemodel": "figures",
    "usecasetarget": "the team's own",
    "user": "people of the team",
}


class Blanking:
    """What belongs to some prompts, and the statements that blank it. In one transaction; `lock` first."""

    def __init__(self, prompts: Collection[uuid.UUID]) -> None:
        self.ids: dict[str, list] = {"prompt": list(prompts)}
        self.look()

    def look(self) -> None:
        """Read anew what belongs to the prompts."""
        self.ids = {"prompt": self.ids["prompt"]}
        with connection.cursor() as cursor:
            for scope, statement in SCOPES.items():
                cursor.execute(statement, self.ids)
                self.ids[scope] = [row[0] for row in cursor.fetchall()]

    def lock(self, table: str, scope: str, *, order: str = "id") -> None:
        """The rows of a scope until the commit, and what others are inserting below them this moment is waited for."""
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM {table} WHERE id = ANY(%s) ORDER BY {order} FOR UPDATE", [self.ids[scope]])

    def blank(self, *, answers: str) -> dict[str, int]:
        """Carry the rules out; how many rows of each table lost something."""
        asked = {**self.ids, "choices": self._choices()}
        counts = {}
        with connection.cursor() as cursor, past(trigger for rule in RULES for trigger in rule.past):
            cursor.execute(SCANS, asked)
            for rule in RULES:
                cursor.execute(statement_of(rule, answers), {**asked, "ids": self.ids[rule.scope]})
                counts[rule.table.removeprefix("labeling_")] = cursor.rowcount
            for kind, scope in AUDITED.items():
                cursor.execute(AUDIT, {"kind": kind, "ids": [str(pk) for pk in self.ids[scope]]})
        return {table: count for table, count in counts.items() if count}

    def _choices(self) -> list[str]:
        """Names of the fields of the forms answered by whose values come from a list of the form's own."""
        with connection.cursor() as cursor:
            cursor.execute(CHOICES, self.ids)
            return [row[0] for row in cursor.fetchall()]


def statement_of(rule: Rule, answers: str) -> str:
    where = f"WHERE {rule.by} = ANY(%(ids)s) AND {rule.where}"
    if rule.delete:
        return f"DELETE FROM {rule.table} {where}"
    sets = {**rule.sets, **(rule.answers if answers == Answers.ERASE else {})}
    changes = ", ".join(f'"{name}" = {value}' for name, value in sets.items())
    return f"UPDATE {rule.table} SET {changes} {where}"


CHOICES = """
    SELECT field ->> 'name'
    FROM (
        SELECT form_version_id AS id FROM labeling_ranking WHERE id = ANY(%(ranking)s)
    ) used JOIN labeling_formversion version USING (id),
    LATERAL (
        SELECT jsonb_path_query(version.definition, '$.completion[*]')
        UNION ALL SELECT jsonb_path_query(version.definition, '$.prompt[*]')
    ) of_form (field)
    GROUP BY 1 HAVING bool_and(field ->> 'kind' = 'choice')
"""
AUDIT = f"""
    UPDATE labeling_auditevent SET detail = {DETAIL}
    WHERE subject_type = %(kind)s AND subject_id = ANY(%(ids)s) AND detail <> '{{}}'
"""
# What was found in texts that go, while they can still be hashed.
SCANS = """
    DELETE FROM labeling_outputscan USING (
        SELECT sha256(convert_to(said.text, 'UTF8')) AS digest FROM (
            SELECT text FROM labeling_completion WHERE id = ANY(%(completion)s)
            UNION SELECT text FROM labeling_demonstration WHERE id = ANY(%(demonstration)s)
            UNION SELECT turn ->> 'content' FROM labeling_demonstration, jsonb_array_elements(turns) turn
                WHERE id = ANY(%(demonstration)s)
            UNION SELECT text FROM labeling_review WHERE id = ANY(%(review)s)
            UNION SELECT turn ->> 'content' FROM labeling_review, jsonb_array_elements(turns) turn
                WHERE id = ANY(%(review)s)
            UNION SELECT note FROM labeling_ranking WHERE id = ANY(%(ranking)s)
        ) said
    ) gone, labeling_detectorversion detector
    WHERE labeling_outputscan.detector_id = detector.id AND labeling_outputscan.text_sha256 = gone.digest
"""


class past:  # noqa: N801  (reads as a word where it is used)
    """Within it the named triggers let this transaction through, and no other."""

    def __init__(self, triggers) -> None:
        wanted = {*triggers, "audit_is_append_only"}
        known = {
            trigger.name: trigger.get_pgid(model)
            for model in apps.get_app_config("labeling").get_models()
            for trigger in getattr(model._meta, "triggers", [])
        }
        self.names = sorted(known[name] for name in wanted)

    def __enter__(self) -> None:
        self._set("{" + ",".join(self.names) + "}")

    def __exit__(self, *failed: object) -> None:
        # Where a statement failed the transaction is over, and the setting with it.
        if failed[0] is None:
            self._set("{}")

    def _set(self, names: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('pgtrigger.ignore', %s, true)", [names])
