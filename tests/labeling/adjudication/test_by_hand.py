"""One task sent by hand, and all tasks of a batch looked at when it is closed."""

from __future__ import annotations

import pytest

from labeling import jobs
from labeling.adjudication import services
from labeling.adjudication.models import AdjudicationRequest, Assessment
from labeling.audit.models import AuditEvent
from labeling.background.models import Job
from labeling.leasing import services as leasing
from labeling.people.models import User
from labeling.rankings.services import submit_ranking
from labeling.refusals import Conflict, NotFound, Refusal
from tests import factories
from tests.labeling.adjudication.test_services import answer_of, case_of, disagreed, rule
from tests.labeling.exports.test_comparisons import correct

pytestmark = pytest.mark.django_db


def send(task, actor, to="researcher", **more):
    return services.send_by_hand(task_id=task.pk, to=to, reason="The prompt is odd.", actor=actor, **more)


def test_a_researcher_decides_what_was_sent_by_hand(ada, amy, rita):
    task = factories.make_task(batch=factories.make_batch(overlap=2))
    factories.make_ranking(task=task, labeler=ada)
    assert send(task, amy).state == "waiting"
    event = AuditEvent.objects.get(action="adjudication.sent")
    assert (event.actor, event.detail["to"], event.detail["reason"]) == (amy, "researcher", "The prompt is odd.")
    with pytest.raises(Conflict, match="waits for a researcher already"):
        send(task, amy)
    services.look()  # no rule, one answer: nothing to compare, and it still waits
    assert case_of(task).state == "waiting"
    lease = services.take_case(task_id=task.pk, researcher=rita)
    submit_ranking(lease_id=lease.pk, labeler=rita, answer=answer_of(lease), idempotency_key="decides")
    assert case_of(task).state == "decided"
    with pytest.raises(Conflict, match="has decided"):
        send(task, amy, to="labelers")


def test_who_was_asked_stays_asked_where_the_answers_agree(ada, bo, amy):
    batch = factories.make_batch(overlap=2)
    rule(batch)
    task = factories.make_task(batch=batch)
    answers = [factories.make_ranking(task=task, labeler=person) for person in (ada, bo)]
    services.look()
    assert case_of(task).state == "agreed"
    send(task, amy)
    correct(answers[0], list(range(1, 1 + answers[0].judgments.count())))
    services.look()
    assert case_of(task).state == "waiting"
    assert task.seats.filter(adjudicates=True, state="free").exists()


def test_more_labelers_come_by_the_queue_and_what_they_say_is_compared(ada, bo, hal, amy):
    batch = factories.make_batch(overlap=2, groups=["training", "held_out"])
    task = disagreed(batch, ada, bo)
    case = send(task, amy, to="labelers", seats=2)
    assert (case.state, case.opened) == ("more", 0)
    request = AdjudicationRequest.objects.get()
    assert task.seats.filter(pk__in=request.seats, state="free").count() == 2
    assert services.look() == {}
    lease = leasing.grant_lease(labeler=hal)
    assert lease.task == task
    submit_ranking(lease_id=lease.pk, labeler=hal, answer=answer_of(lease), idempotency_key="third")
    assert services.look() == {}, "one more is still wanted"
    assert case_of(task).state == "more"
    factories.make_ranking(task=task, labeler=User.objects.create(username="cem", group="training"))
    # The batch has no rule, so nothing more is asked; what was found is kept.
    assert services.look() == {"contested": 1}
    assert Assessment.objects.get().answers and case_of(task).disagreement > 0.4
    assert task.seats.count() == 4
    assert send(task, amy).state == "waiting"


def test_seats_opened_by_hand_stay_where_the_answers_agree(ada, bo, amy):
    batch = factories.make_batch(overlap=2)
    rule(batch, policy="labelers", seats=1, most=1)
    task = disagreed(batch, ada, bo)
    services.look()
    send(task, amy, to="labelers")
    assert task.seats.filter(state="free").count() == 2
    correct(task.rankings.get(labeler=bo), [1, 2, 3])
    services.look()
    by_hand = AdjudicationRequest.objects.get().seats
    assert set(by_hand) <= set(task.seats.filter(state="free").values_list("pk", flat=True))
    assert case_of(task).state == "more"


def test_some_are_not_sent(ada, bo, amy):
    closed = disagreed(factories.make_batch(overlap=2, state="closed"), ada, bo)
    measures = disagreed(factories.make_batch(overlap=2, probation=True), ada, bo)
    for task, words in ((closed, "closed"), (measures, "measured")):
        with pytest.raises(Conflict, match=words):
            send(task, amy, to="labelers")
        assert send(task, amy).state == "waiting", "a researcher may decide all the same"
    task = factories.make_task()
    with pytest.raises(Refusal, match="Say why"):
        services.send_by_hand(task_id=task.pk, to="researcher", reason=" ", actor=amy)
    with pytest.raises(Refusal, match="researcher, labelers"):
        send(task, amy, to="somebody")
    with pytest.raises(Refusal, match="number of labelers"):
        send(task, amy, to="labelers", seats=21)
    send(task, amy, to="labelers", seats=20)
    with pytest.raises(Conflict, match="0 more"):
        send(task, amy, to="labelers")
    with pytest.raises(NotFound):
        send(factories.make_brief(), amy)
    prompt = task.item.prompt
    type(prompt).objects.filter(pk=prompt.pk).update(state="held")
    with pytest.raises(Conflict, match="taken back"):
        send(task, amy)


def test_closing_a_batch_looks_at_all_its_tasks_once_more(ada, bo, amy):
    batch = factories.make_batch(overlap=3)
    rule(batch)
    task = disagreed(batch, ada, bo)
    alone = factories.make_task(batch=batch)
    factories.make_ranking(task=alone, labeler=ada)
    assert services.look() == {}, "a third answer is still to come"
    leasing.close_batch(batch=batch, actor=amy)
    job = Job.objects.get(kind="look_for_disagreement")
    assert (job.arguments, job.created_by) == ({"batch": batch.pk}, amy)
    assert jobs.run_now(str(job.pk)).result == {"waiting": 1}
    assert case_of(task).state == "waiting" and case_of(alone) is None
    # Looking again changes nothing; an answer that comes late is looked at.
    assert services.look_through(batch=batch) == {}
    factories.make_ranking(task=task, labeler=User.objects.create(username="late", group="training"))
    assert services.look() == {"waiting": 1}
    assert len(Assessment.objects.order_by("-number").first().answers) == 3


def test_what_waits_for_labelers_in_vain_is_looked_at_when_its_batch_is_closed(ada, bo, amy):
    batch = factories.make_batch(overlap=2)
    rule(batch, policy="labelers_then_researcher")
    task = disagreed(batch, ada, bo)
    services.look()
    assert case_of(task).state == "more"
    leasing.close_batch(batch=batch, actor=amy)
    assert services.look_through(batch=batch) == {"waiting": 1}
    assert services.look_through(batch=batch) == {}


def test_a_batch_without_a_rule_is_closed_without_a_job(ada, bo, amy):
    batch = factories.make_batch(overlap=2)
    task = disagreed(batch, ada, bo)
    leasing.close_batch(batch=batch, actor=amy)
    assert not Job.objects.exists()
    send(task, amy)
    leasing.reopen_batch(batch=batch, actor=amy)
    leasing.close_batch(batch=batch, actor=amy)
    assert Job.objects.filter(kind="look_for_disagreement").count() == 1


def test_from_the_page_of_the_task(page, api, ada, bo, rita, amy):
    task = disagreed(factories.make_batch(overlap=2), ada, bo)
    client = page(rita)
    address = f"/adjudication/{task.pk}/send/"
    item = client.get(f"/batches/{task.batch_id}/items/{task.item_id}/").content.decode()
    assert address in item
    assert client.post(address, {"to": "labelers", "seats": "2"}).status_code == 400
    said = {"to": "researcher", "reason": "<b>Odd</b>"}
    assert client.post(address, said).headers["Location"] == f"/adjudication/{task.pk}/"
    assert client.post(address, said).status_code == 400
    blind = client.get(f"/adjudication/{task.pk}/").content.decode()
    assert "Sent to a researcher by hand" in blind and "Odd" not in blind, "whoever may decide reads nothing of it"
    assert "&lt;b&gt;Odd&lt;/b&gt;" in page(amy).get(f"/adjudication/{task.pk}/").content.decode()
    assert "waits for a researcher already" in client.get(address).content.decode()
    assert "Send it by hand" not in client.get(f"/batches/{task.batch_id}/items/{task.item_id}/").content.decode()
    other = disagreed(factories.make_batch(overlap=2), ada, bo)
    body = {"to": "labelers", "seats": 1, "reason": "One more."}
    sent = api(rita).post(f"/api/v1/adjudication/{other.pk}/send/", body, format="json").json()
    assert (sent["state"], sent["task"]) == ("more", str(other.pk))
    assert (
        api(rita).post(f"/api/v1/adjudication/{other.pk}/send/", {"to": "labelers"}, format="json").status_code == 400
    )
