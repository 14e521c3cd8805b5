"""One of everything in the database, for statements that try to break it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.db import Error, connection, transaction
from django.utils import timezone

from tests import factories


@pytest.fixture
def world(ada, bo, hal, amy) -> SimpleNamespace:
    """Ada has ranked and written, Bo is at a task with another behind it, and there is a job, a data set, a run …"""
    from labeling.models import (
        AdjudicationCase,
        AdjudicationLook,
        AdjudicationRequest,
        AdjudicationReveal,
        AdjudicationRule,
        AdjudicationTally,
        Admission,
        Assessment,
        AuditEvent,
        Break,
        Campaign,
        CheckCopy,
        Checkpoint,
        CompletionMark,
        CompletionScore,
        Dataset,
        DatasetRow,
        DemonstrationSuggestion,
        ErrorDraw,
        ErrorItem,
        ErrorVerdict,
        Finding,
        Guideline,
        GuidelineRead,
        Import,
        ImportProblem,
        Invitation,
        Job,
        Message,
        OnboardingSettings,
        PracticeAnswer,
        PracticeTour,
        QualityReport,
        QualityRun,
        QualityStanding,
        Question,
        Report,
        Run,
        SecondLook,
        Source,
        SourceKey,
        SurveyPart,
        Suspicion,
        SuspicionState,
        TeamSettings,
        Topic,
        TopicAnswer,
    )
    from labeling.onboarding.services import begin_onboarding

    now = timezone.now()
    prompt = factories.make_prompt("Why?", external_id="p1")
    brought = Import.objects.create(name="prompts.jsonl", file_sha256="0" * 64)
    Import.objects.create(name="API", sent_to=prompt.source, day=timezone.now().date())
    SourceKey.objects.create(source=prompt.source, name="site", key_sha256="0" * 64, ending="0000", created_by=amy)
    unused = Source.objects.create(name="unused")
    SourceKey.objects.create(source=unused, name="site", key_sha256="1" * 64, ending="0000", created_by=amy)
    ImportProblem.objects.create(imported=brought, line=1, reason="empty", detail="`prompt` is empty")
    endpoint = factories.make_endpoint("tuned")
    batch = factories.make_batch(overlap=2, name="first")
    task = factories.make_task(batch=batch, prompt=prompt)
    ranking = factories.make_ranking(task=task, labeler=ada)
    held = factories.make_lease(task=task, labeler=bo)
    factories.make_lease(task=factories.make_task(), labeler=bo, state="ahead")
    other = factories.make_task()
    demonstration = factories.make_demonstration(prompt=factories.make_prompt(), labeler=ada, text="Because.")
    factories.make_brief()
    turns = ["Since?", "Ever.", "Oh?"]
    factories.make_demonstration(prompt=factories.make_prompt(), labeler=ada, turns=turns, text="Yes.")
    writing = factories.make_task(batch=factories.make_batch(kind="demonstration", suggestions=endpoint), texts=())
    asked = factories.make_lease(task=writing, labeler=amy)
    suggestion = factories.make_suggestion(lease=asked)
    factories.make_suggestion(lease=asked, state="writing", text="")
    DemonstrationSuggestion.objects.create(
        demonstration=demonstration, suggestion=suggestion, similarity=0.5, kept=0.5, operations=[["keep", 1]]
    )
    written = factories.make_written_prompt(labeler=ada)
    Admission.objects.create(written=written, reason="other")
    reviewed = factories.make_demonstration(
        prompt=factories.make_prompt(), labeler=ada, text="So.", batch=factories.make_reviewed_batch()
    )
    review = factories.make_review(demonstration=reviewed, labeler=bo, verdict="edit", text="Thus.")
    factories.make_demonstration(
        prompt=factories.make_prompt(), labeler=hal, text="Otherwise.", batch=reviewed.task.batch
    )
    pair = {"query": "q", "response": "r"}
    prompts = factories.make_reviewed_batch(kind="prompt")
    few_shot = factories.make_written_prompt(
        labeler=ada,
        task=factories.make_brief(batch=prompts, form="few_shot"),
        form="few_shot",
        content={"instruction": "i", "pairs": [pair, pair], "query": "last"},
    )
    said = few_shot.turns
    prompt_review = factories.make_review(
        written_prompt=few_shot, labeler=bo, verdict="edit", turns=said, text="the last"
    )
    Job.objects.create(kind="export", key="k", state="running", heartbeat_at=now)
    Invitation.objects.create(token_sha256="0" * 64, role="labeler", group="training", created_by=amy, expires_at=now)
    Finding.objects.create(
        prompt=prompt, message_index=0, kind="email", start=1, end=2, score=0.5, recogniser="r", version="1"
    )
    make_personal_data(prompt, amy)
    make_use_cases(amy)
    CompletionMark.objects.create(completion=task.item.completions.first(), term="One", start=0, end=3)
    baseline = factories.make_endpoint("base")
    Campaign.objects.create(name="c", batch=batch, baseline=baseline, candidate=endpoint)
    dataset = Dataset.objects.create(kind="comparisons", content_hash="f" * 64)
    DatasetRow.objects.create(dataset=dataset, ranking=ranking, prompt=prompt)
    make_erasure(dataset, amy)
    base = Checkpoint.objects.create(
        name="base", kind="policy", folder="/base", weights_sha256="0" * 64, endpoint=baseline, published_at=now
    )
    Run.objects.create(name="run", algorithm="rm", dataset=dataset, base=base, folder="/run")
    guideline = Guideline.objects.create(number=1, title="How we work", text="Read first.")
    GuidelineRead.objects.create(guideline=guideline, labeler=ada)
    Break.objects.create(labeler=ada)
    Report.objects.create(kind="agreement", key="{}")
    TeamSettings.objects.create()
    question = Question.objects.create(lease=ranking.lease, labeler=ada)
    Message.objects.create(question=question, author=ada, text="Why?")
    tour = PracticeTour.objects.create(labeler=ada, number=1)
    PracticeAnswer.objects.create(
        tour=tour, task="photo", answer={"text": "I see none."}, idempotency_key="k", payload_sha256="0" * 64
    )
    QualityRun.objects.create(simulated=False, read_at=now, rankings=1, looks=1)
    for labeler in (ada, None):
        QualityReport.objects.create(
            simulated=False,
            labeler=labeler,
            kind="place",
            count=60,
            prompts=20,
            value=0.6,
            reference=0.5,
            effect=0.1,
            low=0.02,
            high=0.18,
            p=0.01,
            marked=labeler is not None,
        )
    QualityStanding.objects.create(
        simulated=False, labeler=ada, attention=20, marked=1, score=0, skill=0, speed=0, straight=0, spam=True
    )
    SurveyPart.objects.create(round=factories.make_survey_round(), person=ada, state="declined")
    rows = [{"options": ["agree"], "count": 12}, {"options": ["neither", "unsaid"], "count": None}]
    tables = [{"name": "clear", "rows": rows}]
    factories.make_survey_round(report={"asked": 14, "answered": 12, "withheld": "", "tables": tables})
    OnboardingSettings.objects.create()
    begin_onboarding(person=hal, actor=amy, always=True)
    factories.send_message(author=amy, title="World")
    factories.make_pay(person=ada, admin=amy)
    AdjudicationRule.objects.create(batch=batch, policy="researcher")
    AdjudicationCase.objects.create(task=task, batch=batch, disagreement=0.25)
    pairs = [{"first": 0, "second": 1, "apart": 1, "compared": 4, "disagreement": 0.25}]
    rule = {"policy": "researcher", "threshold": 40, "seats": 1, "most": 2}
    Assessment.objects.create(
        task=task, number=1, answers=[str(ranking.pk)] * 2, disagreement=0.25, pairs=pairs, rule=rule, state="agreed"
    )
    AdjudicationReveal.objects.create(lease=held, by=bo)
    AdjudicationRequest.objects.create(task=task, to="researcher", reason="Odd.", by=amy)
    AdjudicationTally.objects.create(batch=batch, looked=1)
    AdjudicationLook.objects.create()
    looked_at = factories.make_ranking(task=factories.make_task(), labeler=hal)
    reward = Checkpoint.objects.create(name="reward", kind="reward", folder="/reward", weights_sha256="1" * 64)
    CompletionScore.objects.create(checkpoint=reward, completion=task.item.completions.first(), score=0.5)
    SuspicionState.objects.create(checkpoint=reward)
    for each in (ranking, looked_at):
        Suspicion.objects.create(
            ranking=each, task=each.task, simulated=False, pairs=6, compared=6, contradicted=2, opposite=0.5, score=-0.5
        )
    draw = ErrorDraw.objects.create(size=2, share=50, seed=1, checkpoint=reward, created_by=amy)
    for position, (each, judged_at) in enumerate(((ranking, None), (looked_at, now))):
        item = ErrorItem.objects.create(
            draw=draw,
            position=position,
            ranking=each,
            suspicious=not position,
            random=bool(position),
            score=-0.5,
            pairs=[each.order_shown[:2]],
            claimed_by=amy,
            claimed_until=now,
            judged_at=judged_at,
        )
    ErrorVerdict.objects.create(item=item, reviewer=amy, verdict="error", note="The other way round.")
    SecondLook.objects.create(item=item, lease=looked_at.lease, asked_by=amy)
    screening = make_screening(amy)
    TopicAnswer.objects.create(person=ada, topic=Topic.objects.first(), able=True)
    checked = factories.make_check_result(ranking=ranking)
    CheckCopy.objects.create(item=checked.item, round=2, task=other)
    factories.make_check_alert(labeler=ada)
    spare = factories.make_task()
    AuditEvent.objects.create(action="did", subject_type="thing", subject_id="1")
    return SimpleNamespace(
        task=task,
        ranking=ranking,
        held=held,
        other=other,
        spare=spare,
        demonstration=demonstration,
        written=written,
        review=review,
        few_shot=few_shot,
        prompt_review=prompt_review,
        endpoint=endpoint,
        hal=hal,
        # A ranking that nobody was given to look at.
        unlooked=factories.make_ranking(task=factories.make_task(), labeler=hal),
        screening=screening,
    )


def make_use_cases(amy) -> None:
    """A mix aimed at, and a prompt that came with a use case and that somebody named otherwise."""
    from labeling.models import PromptLanguage, PromptSignal, UseCaseModel, UseCaseSuggestion
    from labeling.use_cases import services, targets

    targets.set_target(shares={"chat": 100}, suggestions="after", actor=amy)
    services.assign(prompt_id=factories.make_prompt(use_case="chat").pk, use_case="rewrite", person=amy)
    model = UseCaseModel.objects.create(
        number=1,
        weights=b"",
        weights_sha256="0" * 64,
        data_sha256="0" * 64,
        library="none",
        prompts=30,
        measured=30,
        accuracy=0.5,
        accuracy_low=0.3,
        accuracy_high=0.7,
        majority=0.4,
        chance=0.2,
    )
    prompt = factories.make_prompt()
    UseCaseSuggestion.objects.create(prompt=prompt, model=model, use_case="chat", probability=0.5)
    PromptLanguage.objects.create(prompt=prompt, code="en", probability=0.9, detector="d")
    PromptSignal.objects.create(prompt=prompt, kind="uncertainty", value=0.5, made_of="rm")


def make_personal_data(prompt, amy) -> None:
    """A policy and an earlier one, a prompt that is redacted and decided, a flag, a blind sample, a scanned text."""
    from datetime import timedelta

    from labeling.governance import deciding, policies
    from labeling.models import BlindItem, BlindSample, Decision, Flag, OutputScan, Policy

    gate, _rules = policies.current_gate()
    earlier = timezone.now() - timedelta(days=1)
    Policy.objects.create(number=0, preset="own", hold_at=0.5, created_at=earlier)
    redacted = factories.make_prompt("Ask Zorbax Quill.", gate=gate)
    deciding.redact_prompt(redacted, [(0, 4, 16, "person_name")])
    Decision.objects.create(prompt=redacted, outcome="redact", decided_by=amy, gate=gate)
    Flag.objects.create(prompt=prompt, by=amy, note="a name")
    sample = BlindSample.objects.create(gate=gate, wanted=1, seed=1)
    BlindItem.objects.create(sample=sample, prompt=prompt, place=0, passed=True)
    OutputScan.objects.create(detector=gate.detector, text_sha256=bytes(32))


def make_erasure(dataset, amy) -> None:
    """Somebody was erased who was in the data set, nothing more is taken in of them, and their source keeps nothing
    for long."""
    from labeling.erasure.services import erase_person
    from labeling.models import Retention, Taint

    gone = factories.make_prompt("Erase me.", user="gone", source="elsewhere")
    erasure = erase_person(
        source_user=gone.source_user, answers="keep", refuse=True, reason="They asked us to.", actor=amy
    )
    Taint.objects.create(dataset=dataset, erasure=erasure, prompts=1, rows=1)
    Retention.objects.create(source=gone.source, days=30)


def make_screening(amy):
    """A draft of a screening round with an item, and an open round with somebody in it whose demonstration is graded
    and who was put off; the open one."""
    from labeling.models import (
        Application,
        Grade,
        Invitation,
        ScreeningBatch,
        ScreeningDecision,
        ScreeningItem,
        ScreeningRound,
        User,
    )

    draft = ScreeningRound.objects.create(name="draft")
    ScreeningItem.objects.create(round=draft, gate=3, prompt=factories.make_prompt())
    held = ScreeningRound.objects.create(name="held")
    prompt = factories.make_prompt()
    item = ScreeningItem.objects.create(round=held, gate=3, prompt=prompt)
    batch = factories.make_batch(kind="demonstration", groups=["researcher"], screening=True)
    ScreeningBatch.objects.create(round=held, gate=3, batch=batch)
    nora = User.objects.create(username="nora", group="applicant")
    made = {"role": "labeler", "group": "applicant", "created_by": amy, "expires_at": timezone.now()}
    link = Invitation.objects.create(token_sha256="1" * 64, accepted_by=nora, accepted_at=timezone.now(), **made)
    application = Application.objects.create(round=held, invitation=link, code="7F3K")
    written = factories.make_demonstration(prompt=prompt, labeler=nora, text="Gently.", batch=batch)
    item.task = written.task
    item.save()
    held.state = "open"
    held.save()
    Grade.objects.create(demonstration=written, grader=amy, number=1, grade=6)
    ScreeningDecision.objects.create(application=application, outcome="put_off", reason="Later.", decided_by=amy)
    return held


@pytest.fixture
def refused() -> Callable[[str], Error]:
    """The error that PostgreSQL answers to a statement; fails when it does not refuse."""

    def run(statement: str, parameters: list | None = None) -> Error:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                changed = cursor.rowcount
        except Error as error:
            return error
        raise AssertionError(f"PostgreSQL took it ({changed} rows): {statement}")

    return run


def copy_of(table: str, where: str = "true", **changes: str) -> str:
    """An INSERT of one row that is there already, with `changes` (SQL expressions by column) and a new id."""
    with connection.cursor() as cursor:
        columns = [column.name for column in connection.introspection.get_table_description(cursor, table)]
    if "id" not in changes and "id" in columns:
        uuid_id = table.removeprefix("labeling_") in UUID_KEYS
        changes = {"id": "gen_random_uuid()" if uuid_id else "DEFAULT", **changes}
    columns = [column for column in columns if changes.get(column) != "DEFAULT"]
    names = ", ".join(f'"{column}"' for column in columns)
    values = ", ".join(changes.get(column, f'"{column}"') for column in columns)
    return f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} WHERE {where} LIMIT 1"


UUID_KEYS = {
    "blinditem",
    "application",
    "screeningdecision",
    "job",
    "checkalert",
    "surveyround",
    "surveypart",
    "payrequest",
    "erroritem",
    "errorverdict",
    "secondlook",
    "question",
    "import",
    "prompt",
    "apitoken",
    "completion",
    "campaign",
    "task",
    "lease",
    "demonstration",
    "writtenprompt",
    "ranking",
    "review",
    "erasure",
    "dataset",
    "checkpoint",
    "run",
}
