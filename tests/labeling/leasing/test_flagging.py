"""A prompt that a labeler flags is nobody's task from then on, and comes back with everybody's work."""

from __future__ import annotations

import pytest

from labeling.audit.models import AuditEvent
from labeling.governance import deciding
from labeling.leasing import following, services
from labeling.leasing.models import Lease, Seat
from labeling.refusals import NotFound, Refusal
from tests import factories

pytestmark = pytest.mark.django_db
NAME = "Zorbax Quill"


@pytest.fixture
def task():
    batch = factories.make_batch(overlap=3)
    return factories.make_task(batch=batch, prompt=factories.make_prompt(f"Who is {NAME}?"))


def flag(lease, labeler, **said):
    return following.flag_prompt(lease_id=lease.pk, labeler=labeler, **(said or {"marks": [{"words": NAME}]}))


def states(model, **of) -> list[str]:
    return sorted(model.objects.filter(**of).values_list("state", flat=True))


def test_a_flag_takes_the_task_back_from_all(ada, bo, task):
    lease, other = (services.grant_lease(labeler=who) for who in (ada, bo))
    services.save_draft(lease_id=other.pk, labeler=bo, draft={"note": "half"}, version=1)
    flag(lease, ada)
    task.item.prompt.refresh_from_db()
    assert task.item.prompt.state == "held"
    assert states(Lease) == ["returned", "returned"] and set(states(Seat)) == {"withheld"}
    assert Lease.objects.get(labeler=bo).draft == {"note": "half"}
    for who in (ada, bo):
        assert services.grant_lease(labeler=who) is None
    assert AuditEvent.objects.get(action="prompt.flagged").actor == ada


def test_who_was_at_work_is_told_kindly_and_loses_nothing(ada, bo, task, api):
    lease, other = (services.grant_lease(labeler=who) for who in (ada, bo))
    flag(lease, ada)
    client, at = api(bo), f"/api/v1/tasks/{other.pk}/"
    for answer in (client.get(at), client.post(f"{at}heartbeat/", {}, format="json")):
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (409, "prompt_taken_back") and "Nothing of yours is" in error[
            "message"
        ]
    saved = client.post(f"{at}draft/", {"version": 1, "draft": {"note": "late"}}, format="json").json()
    assert saved["saved"] and "taken back" in saved["taken_back"]
    ids = Lease.objects.get(pk=other.pk).order_shown
    said = {"completions": [{"id": each, "rank": n + 1, "rating": 4} for n, each in enumerate(ids)]}
    answer = client.post(f"{at}submit/", said, format="json", HTTP_IDEMPOTENCY_KEY="k")
    # Sent all the same, it has its place.
    assert (answer.status_code, answer.json()["surplus"]) == (201, False)
    assert "[held for a look]" in client.get(at).content.decode()
    assert NAME not in client.get(at).content.decode()


def test_a_prompt_that_is_kept_comes_back_to_who_had_it(ada, bo, rita, task, django_capture_on_commit_callbacks):
    lease = services.grant_lease(labeler=ada)
    services.save_draft(lease_id=lease.pk, labeler=ada, draft={"note": "half"}, version=1)
    flag(lease, ada)
    with django_capture_on_commit_callbacks(execute=True):
        deciding.decide(prompt_id=task.item.prompt_id, outcome="redact", decided_by=rita)
    assert set(states(Seat)) == {"free"}
    again = services.grant_lease(labeler=ada)
    assert (again.pk, again.draft) == (lease.pk, {"note": "half"})
    assert again.task.item.messages[0]["content"] == "Who is [PERSONAL_1]?"
    assert services.grant_lease(labeler=bo).task_id == task.pk


def test_dropping_a_prompt_takes_its_tasks_back(ada, rita, task, django_capture_on_commit_callbacks):
    services.grant_lease(labeler=ada)
    with django_capture_on_commit_callbacks(execute=True):
        deciding.decide(prompt_id=task.item.prompt_id, outcome="drop", decided_by=rita)
    assert states(Lease) == ["returned"] and set(states(Seat)) == {"withheld"}


def test_the_sweep_takes_back_what_a_crash_left(ada, rita, task):
    lease = services.grant_lease(labeler=ada)
    # No commit, so nobody followed it.
    deciding.decide(prompt_id=task.item.prompt_id, outcome="drop", decided_by=rita)
    assert Lease.objects.get(pk=lease.pk).state == "open"
    assert following.take_back_leases() == 1
    assert following.take_back_leases() == 0
    assert Seat.objects.filter(state="withheld").count() == 3


def test_a_seat_that_became_free_in_the_very_moment_is_offered_to_nobody(ada, bo, task):
    flag(services.grant_lease(labeler=ada), ada)
    Seat.objects.update(state="free")
    assert services.grant_lease(labeler=bo) is None and services.grant_lease(labeler=ada) is None


def test_other_tasks_go_on(ada, task):
    other = factories.make_task(batch=task.batch)
    lease = services.grant_lease(labeler=ada)
    assert services.fetch_ahead(labeler=ada).task_id == other.pk
    flag(lease, ada)
    assert services.grant_lease(labeler=ada).task_id == other.pk


def test_a_flag_must_say_what_is_meant_and_be_ones_own(ada, bo, task):
    lease = services.grant_lease(labeler=ada)
    for said in ({"marks": []}, {"marks": [{"words": "not there"}]}, {"marks": "x"}, {"note": 5}):
        with pytest.raises(Refusal):
            flag(lease, ada, **said)
    with pytest.raises(NotFound):
        flag(lease, bo)
    brief = factories.make_lease(task=factories.make_brief(), labeler=bo)
    with pytest.raises(Refusal, match="no prompt"):
        flag(brief, bo, note="x")


def test_the_page_has_a_button_and_works_without_a_script(ada, task, page):
    client = page(ada)
    lease = services.grant_lease(labeler=ada)
    shown = client.get(f"/work/{lease.pk}/").content.decode()
    assert 'data-open="flag"' in shown and f'action="/work/{lease.pk}/flag/"' in shown
    answer = client.post(f"/work/{lease.pk}/flag/", {"words": NAME, "kind": "person_name"})
    assert answer.headers["Location"] == "/work/next/"
    assert task.item.prompt.findings.get().kind == "person_name"
    # Nobody reads it again, by its address either.
    assert client.get(f"/work/{lease.pk}/").headers["Location"] == "/work/"
