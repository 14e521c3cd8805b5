"""Whatever admins and researchers change leaves a line that says who did what to what. A new address fails here."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from labeling.audit.models import AuditEvent
from labeling.background import services as background
from labeling.blindness import services as blindness
from labeling.exports.models import Dataset
from labeling.forms.queries import newest_version
from labeling.governance import importing
from labeling.intake import sources
from labeling.label_errors import services as label_errors
from labeling.models import Checkpoint, Job, Question, Topic
from labeling.pay import services as pay
from labeling.people import services as people
from labeling.people.models import User
from labeling.pipeline import services as pipeline
from labeling.questions import services as questions
from labeling.sampling.models import Batch, CompletionMark, MakerTerm
from labeling.use_cases.models import UseCaseStanding
from labeling.use_cases.targets import PAPER_SHARES
from tests import factories
from tests.labeling.forms.test_editing import EVERY_KIND, posted
from tests.labeling.people.test_access import allowed, guarded, sample

METHODS = ("POST", "PUT", "PATCH", "DELETE")
# What is no act of an admin, and why it leaves no line. An address, or how some begin.
NOT_ACTS = {
    "work/": "work on tasks; answers, skips and drafts are kept themselves",
    "api/v1/tasks/": "work on tasks",
    "messages/": "that somebody read one is in its receipt",
    "api/v1/messages/<int:notice_id>/read/": "that somebody read one is in its receipt",
    "pay/": "questions about one's own pay, which are rows of their own",
    "api/v1/pay/": "questions about one's own pay",
    "api/v1/exports/<str:dataset_id>/verify/": "hashes files again and changes nothing",
    "api/v1/adjudication/<uuid:task_id>/": "work on tasks",
    "api/v1/adjudication/<uuid:task_id>/take/": "a researcher's; tests/labeling/adjudication looks for the line",
    "api/v1/adjudication/<uuid:task_id>/reveal/": "a researcher's; tests/labeling/adjudication looks for the line",
    "surveys/": "answers of one's own, which are anonymous",
    "tour/": "practice",
    "api/v1/tour/": "practice",
    "guidelines/<int:number>/read/": "that somebody read them is a row of its own",
    "api/v1/guidelines/<int:number>/read/": "that somebody read them is a row of its own",
    "api/v1/preview/": "shows a text and stores nothing",
    "application/": "what somebody says they can judge is theirs",
    "screening/grading/": "no admin grades; tests/labeling/screening looks for the line of who does",
    "api/v1/screening/grading/": "no admin grades",
    "account/opt-out/": "one's own choice, and nobody else's business",
    "account/keys/": "one's own keys",
    "account/": "one's own name to show",
    "erasures/people/": "looks somebody up, and says where their page is",
    "label-errors/next/": "takes an answer to look at, for ten minutes; the verdict has its line",
    "api/v1/label-errors/next/": "takes an answer to look at",
}
EXACT = ("account/", "erasures/people/", "api/v1/adjudication/<uuid:task_id>/")  # what begins alike is an act
GOOD = "correct horse battery"
PASSWORDS = {"old_password": "a long password", "new_password1": GOOD, "new_password2": GOOD}
BATCH = {
    **{"kind": "ranking", "k": "4", "order": "random", "overlap": "2", "groups": ["training"], "priority": "0"},
    **{"temperature": "1.0", "top_p": "1.0", "max_tokens": "64", "seed": "7"},
}
WRITTEN = {
    **{"plain": 2, "few_shot": 0, "pairs": 3, "spread": "none", "overlap": 1, "seed": 4, "statements": ""},
    **{"groups": ["training"], "priority": 0},
}
FIGURES = {
    **{"lease_seconds": 600, "lease_grace_seconds": 30, "ahead_seconds": 60, "idle_seconds": 45},
    **{"correction_hours": 48, "survey_minimum": 7, "time_zone": "Europe/Berlin"},
    **{"check_percent": 8, "check_anchor_days": 60, "check_alert_percent": 50},
}
SURVEY = {"title": "May", "groups": ["training"], "closes_on": (timezone.now() + timedelta(days=2)).date().isoformat()}
TODAY = timezone.now().date()
NEXT_WEEK = TODAY + timedelta(days=7)
PAID = {"paid-amount": "9", "paid-reference": "MAY", "paid-paid_on": TODAY}
PAID |= {"paid-period_from": TODAY, "paid-period_until": TODAY}
PAYMENT = {"amount": 900, "reference": "JUNE", "period_from": str(TODAY), "period_until": str(TODAY)}
CORRECTION = {"correct-day": TODAY, "correct-minutes": "5", "correct-reason": "A call."}
RULE = {"policy": "researcher", "threshold": 30, "seats": 1, "most": 2}
SCREENING = {
    **{"flags_cutoff": 80, "rankings_cutoff": 70, "grade_cutoff": 5, "researchers": 1, "graders": 2},
}
SHARES = {"flags_cutoff": 0.8, "rankings_cutoff": 0.7, "grade_cutoff": 5.5}
CHECKS = {"researchers": 1, "groups": ["training"]}
SOURCE = {
    **{"terms_version": "3", "rate_per_minute": 60, "prompts_per_user": 100},
    **{"train_percent": 80, "valid_percent": 10, "test_percent": 10},
}
CAMPAIGN = {
    **{"splits": ["train"], "count": 5, "each": 1, "overlap": 1, "groups": ["training"], "temperature": 1},
    **{"max_tokens": 32, "seed": 0},
}


def covers(exception: str, route: str) -> bool:
    return route == exception or exception not in EXACT and route.startswith(exception)


def staff_acts() -> set[tuple[str, str]]:
    """(method, route) of everything that takes more than a look, and that staff get to: the addresses of the access
    tests."""
    found = set()
    for role in ("admin", "researcher"):
        client = Client()
        client.force_login(User.objects.create_user(f"some-{role}", password=None, role=role, group="researcher"))
        for route in guarded():
            if allowed(route, role) and not any(covers(exception, route) for exception in NOT_ACTS):
                for method in METHODS:
                    if client.generic(method, sample(route), "{}", "application/json").status_code not in (403, 405):
                        found.add((method, route))
    return found


@pytest.fixture
def w(ada, bo, hal, rita, amy) -> SimpleNamespace:
    """What there is to act on."""
    errors = errors_of(amy, User.objects.create(username="erring", group="training"))  # while only theirs can be drawn
    prompt = factories.make_prompt("Why?")
    for _ in range(3):
        factories.make_prompt()
    for number in range(9):
        User.objects.create(username=f"asked-{number}", group="training")
    old, new = factories.make_endpoint("old"), factories.make_endpoint("new")
    for number in range(30):
        named = factories.make_prompt(user=f"named-{number}")
        UseCaseStanding.objects.create(prompt=named, use_case=("chat", "other")[number % 2], people=1, votes=1)
    held = factories.make_prompt("Ring 555", state="held")
    other_held = factories.make_prompt("Ring 556", state="held")
    task = factories.make_task(batch=factories.make_batch(overlap=2), prompt=prompt)
    ranking = factories.make_ranking(task=task, labeler=ada)
    marked = {}
    for name in ("One", "Two", "Three"):
        completion = factories.make_task(texts=(name, "b", "c", "d", "e", "f")).item.completions.get(text=name)
        CompletionMark.objects.create(completion=completion, term=name, start=0, end=3)
        marked[name] = completion.pk
    dataset = Dataset.objects.create(
        kind="demonstrations", content_hash="f" * 64, name="d", folder="/d", completed_at=prompt.created_at
    )
    base = Checkpoint.objects.create(name="base", kind="policy", folder="/base", weights_sha256="0" * 64)
    made = {"algorithm": "sft", "dataset": dataset, "base": base, "created_by": rita}
    asked = questions.ask(lease_id=ranking.lease_id, labeler=ada, text="Why?")
    link, _token = people.create_invitation(role="labeler", group="training", days=3, created_by=amy)
    token, _ = people.create_token(user=amy, name="mine")
    source = sources.create_source(name="mail", actor=amy)
    term, _ = blindness.add_term(text="Zogwort", actor=amy)
    return SimpleNamespace(
        **{"ada": ada, "bo": bo, "hal": hal, "amy": amy, "prompt": prompt, "held": held, "batch": task.batch},
        other_held=other_held,
        **{"old": old, "new": new, "marked": marked, "dataset": dataset, "base": base, "question": asked},
        **{"checks": factories.make_check_set(), "checks_off": factories.make_check_set(active=False)},
        **{"link": link, "token": token, "term": term},
        jobs=[Job.objects.create(kind="export", key=f"k{n}", arguments={}) for n in range(2)],
        run=pipeline.start_run(name="one", **made),
        other_run=pipeline.start_run(name="two", **made),
        failed=factories.make_batch(),
        source=source,
        source_keys=[sources.create_key(source_id=source.pk, name=n, actor=amy)[0].pk for n in "ab"],
        imports=[stopped_import(amy, str(number)) for number in range(4)],
        errors=errors,
        odd=[factories.make_task().pk for _ in range(2)],
        screening=make_screenings(amy),
        gold=[ranked_by(rita).pk for _ in range(3)],
        alerts=[factories.make_check_alert(labeler=labeler).pk for labeler in (ada, bo)],
        surveys=[factories.make_survey_round(groups=["researcher"]).pk for _ in range(2)],
        typos=[pay.set_rate(user_id=who.pk, valid_from=NEXT_WEEK, per_hour=1, actor=amy) for who in (ada, bo)],
        tainted=erased_from(amy),
        gone=[factories.make_prompt(user=user, source="gone").source_user_id for user in ("p1", "p2")][1],
        pay_asked=[pay.ask(person=who, text="Paid when?", day=TODAY).pk for who in (ada, bo)],
    )


def stopped_import(actor, name: str) -> uuid.UUID:
    """An import whose job was cancelled before it began."""
    file = SimpleUploadedFile(f"{name}.jsonl", name.encode())
    begun = importing.start_import(upload=file, name=file.name, source="", created_by=actor)
    background.cancel(job=begun.job)
    return begun.pk


def errors_of(reviewer, labeler) -> list:
    """The ids of an answer that `reviewer` found fine, one that they hold, and one in which they found an error; two
    more were never drawn."""
    for _ in range(5):
        factories.make_ranking(task=factories.make_task(), labeler=labeler)
    label_errors.refresh()
    label_errors.draw_answers(size=3, share=0, actor=reviewer)
    done = []
    for verdict in ("fine", "error"):
        done.append(label_errors.claim_next(reviewer=reviewer).pk)
        label_errors.judge(item_id=done[-1], reviewer=reviewer, verdict=verdict)
    return [done[0], label_errors.claim_next(reviewer=reviewer).pk, done[1]]


def make_screenings(amy: User) -> SimpleNamespace:
    """Twice what screening acts on: once for the pages, once for programs."""
    drafts = [factories.make_screening_round(actor=amy, items=2, opened=False) for _ in range(2)]
    opened = [factories.make_screening_round(actor=amy, items=1) for _ in range(2)]
    return SimpleNamespace(
        drafts=drafts,
        opened=opened,
        applications=[factories.make_applicant(held, actor=amy)[0].pk for held in opened],
        items=[factories.make_task().item_id for _ in drafts],
        topic=Topic.objects.first(),
    )


def screening_acts(w: SimpleNamespace) -> list[tuple[str, list, object]]:
    draft, opened, held = w.screening.drafts[0].pk, w.screening.opened[0].pk, "screening/<int:screening_id>/"
    entry = w.screening.drafts[0].items.first().pk
    applicant = "screening/applicants/<uuid:application_id>/"
    decision = {"outcome": "put_off", "reason": "Later."}
    return [
        ("screening/new/", [], {**SCREENING, "name": "By page"}),
        (f"{held}items/<int:gate>/", [draft, 2], {"item": [w.screening.items[0]]}),
        ("screening/items/<int:chosen_id>/note/", [entry], {"note": "So."}),
        ("screening/items/<int:chosen_id>/remove/", [entry], {}),
        (f"{held}cut-offs/", [draft], SCREENING),
        (f"{held}open/", [draft], {}),
        (f"{held}invite/", [opened], {"days": 3}),
        (f"{applicant}decide/", [w.screening.applications[0]], decision),
        (f"{held}close/", [opened], {}),
        ("screening/topics/add/", [], {"name": "Dialects"}),
        ("screening/topics/<int:topic_id>/retire/", [w.screening.topic.pk], {}),
    ]


def screening_calls(w: SimpleNamespace) -> list[tuple[str, list, object]]:
    draft, opened, held = w.screening.drafts[1].pk, w.screening.opened[1].pk, "rounds/<int:screening_id>/"
    decision = {"outcome": "put_off", "reason": "Later."}
    calls = [
        ("POST", "rounds/", [], {"name": "By program"}),
        ("POST", f"{held}items/", [draft], {"gate": 2, "ids": [str(w.screening.items[1])]}),
        ("PATCH", held, [draft], SHARES),
        ("POST", f"{held}open/", [draft], {}),
        ("POST", f"{held}invitations/", [opened], {"days": 3}),
        ("POST", "applicants/<uuid:application_id>/decisions/", [w.screening.applications[1]], decision),
        ("POST", f"{held}close/", [opened], {}),
    ]
    return [(f"{method} api/v1/screening/{route}", values, body) for method, route, values, body in calls]


def ranked_by(person) -> Batch:
    """A batch that may become a check set."""
    return factories.make_ranking(task=factories.make_task(), labeler=person).task.batch


def erasure_acts(w: SimpleNamespace) -> list[tuple[str, list, object]]:
    person, sure = (
        "erasures/people/<int:person_id>/",
        {"answers": "keep", "reason": "Asked.", "refuse": "on", "sure": "on"},
    )
    return [
        (f"{person}export/", [w.gone], {}),
        (f"{person}erase/", [w.gone], sure),
        (f"{person}allow/", [w.gone], {}),
        ("erasures/retention/", [], {"source": "gone", "days": "", "answers": "keep"}),
    ]


def erased_from(actor) -> list[Dataset]:
    """Two data sets with somebody in them who was erased since."""
    from labeling.erasure.services import erase_person
    from labeling.models import Taint

    person = factories.make_prompt(user="p0", source="gone").source_user
    erasure = erase_person(source_user=person, answers="keep", refuse=False, reason="Asked.", actor=actor)
    made = [Dataset.objects.create(kind="prompts", content_hash=digit * 64, folder="/d") for digit in "ab"]
    for dataset in made:
        Taint.objects.create(dataset=dataset, erasure=erasure, prompts=1, rows=1)
    return made


def page_acts(w: SimpleNamespace) -> list[tuple[str, list, object]]:
    """(route, what stands in it, fields), in an order in which each finds what it needs."""
    person = "people/<int:user_id>/"
    batch, run, paid = "batches/<int:batch_id>/", "runs/<uuid:run_id>/", "payroll/people/<int:user_id>/"
    question, job = "questions/<uuid:question_id>/", "jobs/<uuid:job_id>/"
    endpoint, term = "endpoints/<int:endpoint_id>/", "blindness/terms/<int:term_id>/switch/"
    form = newest_version(None)
    changed = {"title": "Rate and rank", "based_on": "1", "do": "publish", "completion-1-label": "Ignores the task"}
    decision = {"outcome": "release", "reason": "no number"}
    run_form = {"name": "by-form", "dataset": w.dataset.pk, "base": w.base.pk, "preset": "demo", "seed": 5}
    both = {"baseline": w.old.pk, "candidate": w.new.pk}
    leaving = {"offboard-reason": "Moves away.", "offboard-confirmed": "on"}
    return [
        ("account/tokens/", [], {"name": "script"}),
        ("account/tokens/<uuid:token_id>/revoke/", [w.token.pk], {}),
        ("settings/", [], FIGURES),
        ("checks/new/", [], {**CHECKS, "name": "by page", "batch": w.gold[0], "tolerance": 1}),
        ("checks/sets/<uuid:set_id>/switch/", [w.checks.pk], {"active": "no"}),
        ("checks/alerts/<uuid:alert_id>/acknowledge/", [w.alerts[0]], {"note": "Looked at it."}),
        ("checks/alerts/<uuid:alert_id>/tell/", [w.alerts[0]], {"text": "Thank you."}),
        (person, [w.bo.pk], {"role": "researcher", "group": "researcher", "reason": "Hired."}),
        (f"{person}pause/", [w.bo.pk], {"reason": "Let us talk."}),
        (f"{person}resume/", [w.bo.pk], {}),
        (f"{person}quota/", [w.bo.pk], {"quota": 20}),
        (f"{person}offboard/", [w.bo.pk], leaving),
        (f"{person}activate/", [w.bo.pk], {}),
        ("people/invitations/", [], {"role": "labeler", "group": "held_out", "days": 3}),
        ("people/invitations/<int:invitation_id>/revoke/", [w.link.pk], {}),
        ("guidelines/new/", [], {"title": "How we work", "text": "Read first."}),
        ("forms/new/", [], {**posted(EVERY_KIND).dict(), "name": "kindness", "title": "Kindness", "do": "publish"}),
        ("forms/<slug:name>/change/", ["instructgpt"], {**posted(form.definition).dict(), **changed}),
        ("forms/<slug:name>/archive/", ["pairs"], {"archived": "on"}),
        ("intake/", [], {"file": SimpleUploadedFile("p.jsonl", b'{"prompt": "Why?"}'), "source": "s"}),
        ("sources/new/", [], {**SOURCE, "name": "by page"}),
        ("sources/<int:source_id>/", [w.source.pk], {**SOURCE, "name": "mail", "rate_per_minute": 7}),
        ("sources/<int:source_id>/keys/", [w.source.pk], {"name": "site"}),
        ("sources/<int:source_id>/keys/<uuid:key_id>/revoke/", [w.source.pk, w.source_keys[0]], {}),
        ("intake/<uuid:import_id>/resume/", [w.imports[0]], {}),
        ("intake/<uuid:import_id>/give-up/", [w.imports[1]], {}),
        ("prompts/<uuid:prompt_id>/decide/", [w.held.pk], decision),
        ("prompts/<uuid:prompt_id>/undo/", [w.held.pk], {}),
        ("prompts/<uuid:prompt_id>/original/", [w.prompt.pk], {}),
        ("personal-data/rescan/", [], {}),
        ("use-cases/target/", [], {**PAPER_SHARES, "suggestions": "after"}),
        ("use-cases/train/", [], {}),
        ("selection/compute/", [], {}),
        ("use-cases/assign/<uuid:prompt_id>/", [w.prompt.pk], {"use_case": "chat"}),
        ("personal-data/sample/", [], {"wanted": 5}),
        ("personal-data/policy/", [], {"preset": "instructgpt", "hold_at": 0.5}),
        ("prompts/<uuid:prompt_id>/categories/", [w.prompt.pk], {"categories": ["violence"]}),
        ("endpoints/", [], {"name": "smol", "base_url": "http://127.0.0.1:9", "model": "m"}),
        (f"{endpoint}check/", [w.old.pk], {}),
        (f"{endpoint}switch/", [w.old.pk], {"active": "on"}),
        ("batches/new/", [], {**BATCH, "name": "by page", "endpoints": [w.old.pk]}),
        ("batches/new/written/", [], {**WRITTEN, "name": "written by page"}),
        (f"{batch}sample/", [w.batch.pk], {}),
        (f"{batch}repeat/", [w.batch.pk], {"name": "again", "count": ""}),
        (f"{batch}priority/", [w.batch.pk], {"priority": 3}),
        (f"{batch}close/", [w.batch.pk], {}),
        (f"{batch}reopen/", [w.batch.pk], {}),
        ("adjudication/rule/", [], RULE),
        ("adjudication/batches/<int:batch_id>/", [w.batch.pk], RULE),
        ("blindness/serve/", [], {"term": "One"}),
        ("blindness/completions/<uuid:completion_id>/decide/", [w.marked["Two"]], {"outcome": "allowed"}),
        ("blindness/terms/add/", [], {"text": "Qwortz"}),
        (term, [w.term.pk], {"active": "on"}),
        (f"{job}cancel/", [w.jobs[0].pk], {}),
        (f"{job}retry/", [w.jobs[0].pk], {}),
        (f"{question}reply/", [w.question.pk], {"text": "Because."}),
        (f"{question}share/", [w.question.pk], {"question": "Why?", "answer": "Because."}),
        (f"{question}unshare/", [w.question.pk], {}),
        ("sent-messages/new/", [], {"audience": "all", "title": "Hi", "text": "Hello.", "key": "page"}),
        ("onboarding/settings/", [], {"switched_on": "on", "tour": "on", "answers": 20, "waits": "on"}),
        ("onboarding/<int:user_id>/begin/", [w.hal.pk], {}),
        ("onboarding/<int:user_id>/", [w.hal.pk], {"decision": "end", "reason": "No.", "seen": "training"}),
        ("batches/<int:batch_id>/probation/", [w.batch.pk], {"probation": "on"}),
        *screening_acts(w),
        ("survey-rounds/new/", [], {**SURVEY, "questionnaire": "demographics"}),
        ("survey-rounds/<uuid:round_id>/close/", [w.surveys[0]], {}),
        ("payroll/settings/", [], {"currency": "USD", "floor": "9"}),
        (f"{paid}rates/", [w.ada.pk], {"rate-valid_from": TODAY, "rate-per_hour": "18.50"}),
        (f"{paid}rates/<int:rate_id>/take-back/", [w.ada.pk, w.typos[0].pk], {}),
        (f"{paid}corrections/", [w.ada.pk], CORRECTION),
        (f"{paid}payments/", [w.ada.pk], PAID),
        ("payroll/requests/<uuid:request_id>/", [w.pay_asked[0]], {"do": "answer", "answer-text": "On Friday."}),
        ("adjudication/<uuid:task_id>/send/", [w.odd[0]], {"to": "researcher", "reason": "Odd."}),
        ("label-errors/look/", [], {}),
        ("label-errors/draw/", [], {"size": 1, "share": 0}),
        ("label-errors/<uuid:error_id>/", [w.errors[1]], {"verdict": "error"}),
        ("label-errors/<uuid:error_id>/second-look/", [w.errors[1]], {}),
        ("datasets/new/", [], {"kind": "comparisons", "purpose": "training", "name": "first"}),
        ("runs/new/", [], run_form),
        ("datasets/<uuid:dataset_id>/rebuild/", [w.tainted[0].pk], {}),
        *erasure_acts(w),
        (f"{run}cancel/", [w.run.pk], {}),
        (f"{run}restart/", [w.run.pk], {}),
        ("models/<uuid:checkpoint_id>/publish/", [w.base.pk], {}),
        ("campaigns/new/", [], {**CAMPAIGN, **both, "name": "campaign by page"}),
        # Last: whoever is signed in stays so, with another password.
        (
            "account/password/",
            [],
            PASSWORDS,
        ),
    ]


def pay_calls(w: SimpleNamespace) -> list[tuple[str, list, dict]]:
    person = "api/v1/payroll/people/<int:user_id>/"
    return [
        ("PATCH api/v1/payroll/settings/", [], {"floor": 800}),
        (f"POST {person}rates/", [w.bo.pk], {"valid_from": str(TODAY), "per_hour": 1800}),
        (f"DELETE {person}rates/<int:rate_id>/", [w.bo.pk, w.typos[1].pk], {}),
        (f"POST {person}corrections/", [w.bo.pk], {"day": str(TODAY), "seconds": 300, "reason": "A call."}),
        (f"POST {person}payments/", [w.bo.pk], PAYMENT),
        ("POST api/v1/payroll/requests/<uuid:request_id>/", [w.pay_asked[1]], {"do": "answer", "text": "On Friday."}),
    ]


def api_acts(w: SimpleNamespace) -> list[tuple[str, list, dict]]:
    endpoint, job = "api/v1/endpoints/<str:endpoint_id>/", "api/v1/jobs/<uuid:job_id>/"
    run, model = "api/v1/runs/<str:reference>/", "api/v1/models/<str:reference>/"
    form = {"name": "by_api", "title": "By API", "definition": EVERY_KIND}
    more = {"title": "Renamed", "definition": EVERY_KIND, "based_on": 1}
    start = {"algorithm": "sft", "dataset": str(w.dataset.pk), "base": "base", "name": "by-api"}
    return [
        ("POST api/v1/people/<int:user_id>/offboard/", [w.hal.pk], {"reason": "Moves away."}),
        ("POST api/v1/people/<int:user_id>/activate/", [w.hal.pk], {}),
        ("POST api/v1/checks/", [], {**CHECKS, "name": "by api", "batch": w.gold[1]}),
        ("PATCH api/v1/checks/sets/<uuid:set_id>/", [w.checks_off.pk], {"active": True}),
        ("POST api/v1/checks/alerts/<uuid:alert_id>/acknowledge/", [w.alerts[1]], {"note": "Looked at it."}),
        ("POST api/v1/checks/alerts/<uuid:alert_id>/tell/", [w.alerts[1]], {}),
        ("POST api/v1/sources/", [], {"name": "by api"}),
        ("PATCH api/v1/sources/<int:source_id>/", [w.source.pk], {"prompts_per_user": 50}),
        ("POST api/v1/sources/<int:source_id>/keys/", [w.source.pk], {"name": "program"}),
        ("POST api/v1/sources/<int:source_id>/keys/<uuid:key_id>/revoke/", [w.source.pk, w.source_keys[1]], {}),
        ("POST api/v1/imports/", [], {"file": SimpleUploadedFile("q.jsonl", b'{"prompt": "Who?"}')}),
        ("POST api/v1/imports/<uuid:import_id>/resume/", [w.imports[2]], {}),
        ("POST api/v1/imports/<uuid:import_id>/give-up/", [w.imports[3]], {}),
        ("POST api/v1/prompts/", [], {"prompt": "Why not?"}),
        ("POST api/v1/prompts/<uuid:prompt_id>/decide/", [w.other_held.pk], {"outcome": "release"}),
        ("POST api/v1/prompts/<uuid:prompt_id>/undo/", [w.other_held.pk], {}),
        ("POST api/v1/prompts/<uuid:prompt_id>/original/", [w.prompt.pk], {}),
        ("POST api/v1/personal-data/policy/", [], {"preset": "all_splits"}),
        ("POST api/v1/personal-data/rescan/", [], {}),
        ("POST api/v1/use-cases/target/", [], {"shares": {"chat": 100}}),
        ("POST api/v1/use-cases/train/", [], {}),
        ("POST api/v1/selection/", [], {}),
        ("POST api/v1/prompts/<uuid:prompt_id>/use-case/", [w.prompt.pk], {"use_case": "other"}),
        ("POST api/v1/personal-data/samples/", [], {"wanted": 5}),
        ("POST api/v1/endpoints/", [], {"name": "api", "base_url": "http://127.0.0.1:9", "model": "m"}),
        (f"PATCH {endpoint}", [w.new.pk], {"active": True}),
        (f"POST {endpoint}check/", [w.new.pk], {}),
        ("POST api/v1/batches/", [], {"name": "by api", "kind": "demonstration"}),
        ("POST api/v1/batches/<str:batch_id>/sample/", [w.batch.pk], {}),
        ("POST api/v1/adjudication/rule/", [], RULE),
        ("POST api/v1/adjudication/batches/<str:batch_id>/rule/", [w.batch.pk], RULE),
        ("POST api/v1/runs/", [], start),
        (f"POST {run}cancel/", [w.other_run.pk], {}),
        (f"POST {run}restart/", [w.other_run.pk], {}),
        (f"POST {model}publish/", [w.base.pk], {}),
        ("POST api/v1/exports/", [], {"kind": "comparisons"}),
        ("POST api/v1/exports/<str:dataset_id>/rebuild/", [w.tainted[1].pk], {}),
        ("POST api/v1/erasures/export/", [], {"source": "gone", "user_id": "p1"}),
        ("POST api/v1/erasures/", [], {"source": "gone", "user_id": "p1", "reason": "Asked."}),
        ("POST api/v1/erasures/retention/", [], {"source": "gone", "days": 30}),
        ("POST api/v1/campaigns/", [], {"name": "by-api", "baseline": "old", "candidate": "new", "each": 1}),
        (f"POST {job}cancel/", [w.jobs[1].pk], {}),
        (f"POST {job}retry/", [w.jobs[1].pk], {}),
        ("POST api/v1/forms/", [], form),
        ("POST api/v1/forms/<slug:name>/", ["by_api"], more),
        ("POST api/v1/messages/sent/", [], {"audience": "all", "title": "Hi", "text": "Hello.", "key": "program"}),
        ("POST api/v1/onboarding/<int:user_id>/begin/", [w.ada.pk], {}),
        (
            "POST api/v1/onboarding/<int:user_id>/",
            [w.ada.pk],
            {"decision": "pass", "reason": "Known.", "seen": "training"},
        ),
        *screening_calls(w),
        *pay_calls(w),
        ("POST api/v1/survey-rounds/", [], {**SURVEY, "questionnaire": "satisfaction"}),
        ("POST api/v1/survey-rounds/<uuid:round_id>/close/", [w.surveys[1]], {}),
        ("POST api/v1/adjudication/<uuid:task_id>/send/", [w.odd[1]], {"to": "researcher", "reason": "Odd."}),
        ("POST api/v1/label-errors/look/", [], {}),
        ("POST api/v1/label-errors/draws/", [], {"size": 1}),
        ("POST api/v1/label-errors/<uuid:error_id>/verdict/", [w.errors[0]], {"verdict": "unclear"}),
        ("POST api/v1/label-errors/<uuid:error_id>/second-look/", [w.errors[2]], {}),
        ("POST api/v1/maker-terms/", [], {"text": "Wortzog"}),
        ("PATCH api/v1/maker-terms/<str:term_id>/", [w.term.pk], {"active": False}),
        ("POST api/v1/maker-marks/<str:completion_id>/", [w.marked["Three"]], {"outcome": "withheld"}),
    ]


def filled(route: str, values: list) -> str:
    for value in values:
        before, rest = route.split("<", 1)
        route = f"{before}{value}{rest.split('>', 1)[1]}"
    return f"/{route}"


@pytest.mark.django_db
def test_every_act_is_tried(w):
    tried = {("POST", route) for route, _values, _fields in page_acts(w)}
    tried |= {tuple(named.split(" ")) for named, _values, _body in api_acts(w)}
    # Django's own view takes it for a POST, whose form it reads.
    found = staff_acts() - {("PUT", "account/password/")}
    untried, unknown = sorted(found - tried), sorted(tried - found)
    assert not untried, "\n".join(map(" ".join, untried))
    assert not unknown, "\n".join(map(" ".join, unknown))


@pytest.mark.django_db
def test_every_act_leaves_a_line(w):
    page, program = Client(), APIClient()
    page.force_login(w.amy)
    program.force_login(w.amy)

    def leaves_a_line(act: Callable) -> str:
        before = AuditEvent.objects.filter(actor=w.amy).count()
        answer = act()
        context = answer.context or {}
        if answer.status_code >= 400 or answer.status_code == 200 and "form" in context and "new_key" not in context:
            said = answer.content.decode()
            why = re.findall('class="error"[^>]*>([^<]*)', said)
            return f"{answer.status_code}: {why or said[:500]}"
        return "" if AuditEvent.objects.filter(actor=w.amy).count() > before else "no line"

    silent = {}
    for named, values, body in api_acts(w):
        method, route = named.split(" ")
        call = getattr(program, method.lower())
        shape = "multipart" if "file" in body else "json"
        silent[named] = leaves_a_line(lambda: call(filled(route, values), body, format=shape))  # noqa: B023
    for route, values, fields in page_acts(w):
        address = filled(route, values) + ("?algorithm=sft" if route == "runs/new/" else "")
        silent[route] = leaves_a_line(lambda: page.post(address, fields))  # noqa: B023
    assert {name: why for name, why in silent.items() if why} == {}


@pytest.mark.django_db
def test_secrets_and_texts_are_in_no_line(w):
    page = Client()
    page.force_login(w.amy)
    made = page.post("/account/tokens/", {"name": "script"}).context["new_token"]
    page.post("/account/password/", PASSWORDS)
    page.post(f"/questions/{w.question.pk}/reply/", {"text": "A private word."})
    page.post(f"/prompts/{w.held.pk}/decide/", {"outcome": "release", "reason": "no number"})
    trail = str(list(AuditEvent.objects.values_list("detail", flat=True)))
    assert not [secret for secret in (made, GOOD, "A private word.", "Ring 555") if secret in trail]
    assert Question.objects.get().state == "answered" and MakerTerm.objects.filter(text="Zogwort").exists()
