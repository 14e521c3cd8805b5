"""From joining to the decision: which tasks a newcomer gets, what stands before them, who decides."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import Error, transaction
from django.db.models.functions import Now
from django.utils import timezone

from labeling.audit.models import AuditEvent
from labeling.guidelines.models import Guideline, GuidelineRead
from labeling.leasing.gates import GuidelineUnread, check_gates, gate_before
from labeling.leasing.queries import work_of
from labeling.leasing.services import fetch_ahead, grant_lease, renew_lease, return_lease, set_probation
from labeling.onboarding import queries
from labeling.onboarding.models import OnboardingEvent
from labeling.onboarding.reports import report_of
from labeling.onboarding.services import (
    DecidedAlready,
    OnboardingOver,
    ProbationWaits,
    TourWanted,
    begin_onboarding,
    change_settings,
    decide,
)
from labeling.people.models import User
from labeling.people.services import accept_invitation, create_invitation, create_user
from labeling.practice.content import practice_task
from labeling.practice.feedback import Compared, compare
from labeling.practice.models import PracticeTour
from labeling.practice.queries import tried_by
from labeling.practice.services import skip_practice
from labeling.rankings.services import submit_ranking
from labeling.refusals import Refusal
from tests.factories import make_batch, make_ranking, make_task
from tests.labeling.practice.answering import take_tour

pytestmark = pytest.mark.django_db
GOOD = "correct horse battery"


def switch(amy, **changes: object) -> None:
    change_settings(**{"switched_on": True, "tour": True, "answers": 2, "waits": True, **changes}, actor=amy)


def finish_tour(person) -> None:
    PracticeTour.objects.create(labeler=person, number=1, finished_at=Now())


def on_probation(person, amy, **changes: object) -> User:
    switch(amy, **{"tour": False, **changes})
    begin_onboarding(person=person, always=True)
    person.refresh_from_db()
    check_gates(person)
    assert person.onboarding == "probation"
    return person


def answer(person) -> None:
    lease = grant_lease(labeler=person)
    said = {"completions": [{"id": one, "rank": n, "rating": 8 - n} for n, one in enumerate(lease.order_shown, 1)]}
    submit_ranking(lease_id=lease.pk, labeler=person, answer=said, idempotency_key=str(lease.pk))


def kinds(person) -> list[str]:
    return [event.kind for event in queries.events_of(person)]


def test_who_joins_once_it_is_on_begins_and_who_was_there_does_not(ada, amy):
    create_user(username="before", password=GOOD, role="labeler", group="training")
    switch(amy)
    _link, token = create_invitation(role="labeler", group="held_out", days=3, created_by=amy)
    new = accept_invitation(token=token, username="new", password=GOOD)
    for person, step in ((new, "training"), (ada, ""), (User.objects.get(username="before"), "")):
        person.refresh_from_db()
        assert person.onboarding == step
    create_user(username="colleague", password=GOOD, role="researcher", group="researcher")
    create_user(username="program", password=GOOD, role="labeler", group="simulated")
    assert list(User.objects.exclude(onboarding="")) == [new]
    assert begin_onboarding(person=new) is False and kinds(new) == ["began"]


def test_nobody_begins_while_it_is_off_unless_an_admin_says_so(ada, rita, sim, amy):
    assert begin_onboarding(person=ada) is False
    assert begin_onboarding(person=ada, actor=amy, always=True) is True
    assert begin_onboarding(person=ada, actor=amy, always=True) is False
    for person in (rita, sim):
        with pytest.raises(Refusal, match="Onboarding is for labelers"):
            begin_onboarding(person=person, actor=amy, always=True)
    event = AuditEvent.objects.get(action="onboarding.began")
    assert (event.actor, event.detail["before"]) == (amy, {"onboarding": ""})


def test_guidelines_then_tour_then_probation(ada, amy):
    guideline = Guideline.objects.create(number=1, title="How", text="So.")
    task = make_task(batch=make_batch(probation=True))
    switch(amy)
    begin_onboarding(person=ada)
    ada.refresh_from_db()
    with pytest.raises(GuidelineUnread):
        grant_lease(labeler=ada)
    assert queries.progress_of(ada) == queries.Progress("training", False, False, 0, 2, True)
    GuidelineRead.objects.create(guideline=guideline, labeler=ada)
    with pytest.raises(TourWanted, match="Take the tour"):
        grant_lease(labeler=ada)
    finish_tour(ada)
    assert grant_lease(labeler=ada).task == task
    ada.refresh_from_db()
    assert ada.onboarding == "probation" and kinds(ada) == ["began", "trained"]


def test_probation_batches_are_for_who_is_on_probation_alone(ada, bo, rita, amy):
    proving = make_task(batch=make_batch(probation=True, overlap=2, priority=-5))
    usual = make_task(batch=make_batch(priority=5))
    on_probation(ada, amy)
    assert work_of(ada).waiting == 1 == work_of(bo).waiting
    lease = grant_lease(labeler=ada)
    assert lease.task == proving and fetch_ahead(labeler=ada) is None
    assert grant_lease(labeler=bo).task == usual
    assert grant_lease(labeler=rita).task == proving
    # Given back it comes again to her, and to nobody who is through.
    return_lease(lease_id=lease.pk, labeler=ada)
    assert grant_lease(labeler=ada) == lease
    return_lease(lease_id=lease.pk, labeler=ada)
    decide(user_id=ada.pk, decision="pass", reason="Known.", seen="probation", actor=amy)
    assert grant_lease(labeler=User.objects.get(pk=ada.pk)) is None


def test_a_batch_is_made_one_for_probation_and_back(ada, bo, amy):
    batch = make_batch()
    make_task(batch=batch)
    on_probation(ada, amy)
    assert grant_lease(labeler=ada) is None
    set_probation(batch=batch, probation=True, actor=amy)
    assert grant_lease(labeler=bo) is None and grant_lease(labeler=ada).task.batch == batch
    set_probation(batch=batch, probation=False, actor=amy)
    for odd in ({"imported": True}, {"evaluation": True}, {"repeat_of": batch}):
        with pytest.raises(Refusal, match="new tasks"):
            set_probation(batch=make_batch(**odd), probation=True, actor=amy)


def test_after_the_answers_they_wait_and_then_work_as_everybody(ada, amy):
    for _ in range(3):
        make_task(batch=make_batch(probation=True))
    usual = make_task()
    on_probation(ada, amy)
    answer(ada)
    assert gate_before(ada) is None
    answer(ada)
    for step in ("waiting", "waiting"):
        with pytest.raises(ProbationWaits, match="Your first answers are in"):
            grant_lease(labeler=ada)
        ada.refresh_from_db()
        assert ada.onboarding == step
    assert kinds(ada) == ["began", "trained", "answered"]
    decide(user_id=ada.pk, decision="extend", more=1, reason="Once more.", seen="waiting", actor=amy)
    ada.refresh_from_db()
    assert (ada.onboarding, ada.probation_answers) == ("probation", 3)
    answer(ada)
    assert gate_before(ada).code == "probation_waits"
    decide(user_id=ada.pk, decision="pass", reason="Good.", seen="waiting", actor=amy)
    ada.refresh_from_db()
    assert queries.progress_of(ada) is None and grant_lease(labeler=ada).task == usual
    assert kinds(ada)[-3:] == ["extended", "answered", "passed"]
    line = AuditEvent.objects.get(action="onboarding.passed")
    assert (line.actor, line.subject_id, line.detail["reason"]) == (amy, str(ada.pk), "Good.")


def test_where_nobody_waits_they_go_on_with_usual_tasks(ada, amy):
    make_task(batch=make_batch(probation=True))
    usual = make_task()
    on_probation(ada, amy, answers=1, waits=False)
    answer(ada)
    assert grant_lease(labeler=ada).task == usual
    ada.refresh_from_db()
    assert ada.onboarding == "waiting"


def test_who_is_ended_gets_nothing_until_they_begin_anew(ada, amy):
    make_task(batch=make_batch(probation=True))
    lease = grant_lease(labeler=on_probation(ada, amy))
    return_lease(lease_id=lease.pk, labeler=ada)
    decide(user_id=ada.pk, decision="end", reason="Guesses.", seen="probation", actor=amy)
    ada.refresh_from_db()
    for ask in (lambda: grant_lease(labeler=ada), lambda: renew_lease(lease_id=lease.pk, labeler=ada)):
        with pytest.raises(OnboardingOver) as over:
            ask()
        assert "Guesses" not in str(over.value)
    assert begin_onboarding(person=ada, actor=amy, always=True)
    assert grant_lease(labeler=User.objects.get(pk=ada.pk)) == lease


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"decision": "promote"}, "pass, extend or end"),
        ({"reason": " "}, "Say why"),
        ({"decision": "extend"}, "by how many"),
        ({"decision": "extend", "more": 0}, "by how many"),
        ({"decision": "extend", "more": 500}, "500 answers at most"),
        ({"seen": "waiting"}, "another step by now: On probation"),
    ],
)
def test_what_is_no_decision_is_refused(ada, amy, change, says):
    on_probation(ada, amy)
    said = {"decision": "pass", "reason": "Good.", "seen": "probation", **change}
    with pytest.raises(Refusal, match=says):
        decide(user_id=ada.pk, actor=amy, **said)
    assert kinds(ada) == ["began", "trained"]


def test_it_is_decided_once(ada, bo, amy, rita):
    on_probation(ada, amy)
    decide(user_id=ada.pk, decision="pass", reason="Good.", seen="probation", actor=rita)
    with pytest.raises(DecidedAlready):
        decide(user_id=ada.pk, decision="end", reason="Bad.", seen="probation", actor=amy)
    with pytest.raises(DecidedAlready, match="none"):
        decide(user_id=bo.pk, decision="end", reason="Bad.", seen="", actor=amy)


def test_the_database_lets_no_labeler_decide(ada, bo):
    for actor in (ada, bo):
        with pytest.raises(Error, match="decide about somebody else"), transaction.atomic():
            OnboardingEvent.objects.create(person=ada, kind="passed", answers=1, reason="So.", actor=actor)


def test_the_report_compares_with_researchers_at_the_same_tasks(ada, bo, rita, amy):
    batch = make_batch(probation=True, overlap=3)
    tasks = [make_task(batch=batch, texts=("a", "b", "c")) for _ in range(3)]
    make_ranking(task=tasks[0], labeler=bo, ranks=[3, 2, 1])  # a labeler's is no yardstick
    on_probation(ada, amy)
    make_ranking(task=make_task(), labeler=ada, ratings=[7, 7, 7, 7])  # not on probation
    make_ranking(task=tasks[0], labeler=ada, ranks=[1, 2, 3], ratings=[7, 4, 1])
    make_ranking(task=tasks[1], labeler=ada, ranks=[1, 2, 3], ratings=[7, 6, 5])
    make_ranking(task=tasks[2], labeler=ada, ranks=[1, 2, 3])
    make_ranking(task=tasks[0], labeler=rita, ranks=[1, 2, 3], ratings=[6, 4, 2])
    make_ranking(task=tasks[1], labeler=rita, ranks=[2, 1, 2])
    report = report_of(ada)
    # All three pairs of the first task; of the second the tie is left out, and one of the others is turned round.
    assert (report.answers, report.compared_tasks, report.agree, report.pairs) == (3, 2, 4, 5)
    assert report.rate == 0.8 and report.interval[0] <= 0.8 <= report.interval[1]
    assert dict((rating, (own, theirs)) for rating, own, theirs in report.ratings)[7] == (2, 0)
    assert [theirs for _rating, _own, theirs in report.ratings] == [0, 1, 0, 1, 0, 1, 0]


def test_the_report_has_each_day_and_practice_beside_the_reference(ada, rita, amy):
    batch = make_batch(probation=True, overlap=2)
    tasks = [make_task(batch=batch, texts=("a", "b", "c")) for _ in range(3)]
    on_probation(ada, amy)
    assert report_of(ada).days == []
    for task in tasks:
        make_ranking(task=task, labeler=ada, ranks=[1, 2, 3], active_seconds=5)
    make_ranking(task=tasks[0], labeler=rita, ranks=[1, 2, 3])
    make_ranking(task=tasks[1], labeler=rita, ranks=[3, 2, 1])
    now = timezone.now()
    begun = now - timedelta(days=3)
    User.objects.filter(pk=ada.pk).update(onboarding_at=begun)
    ada.refresh_from_db()
    for task, days, seconds in zip(tasks, (2, 0, 0), (30, 10, 20), strict=True):
        ada.leases.filter(task=task).update(ended_at=now - timedelta(days=days), active_seconds=seconds)
    first, second = report_of(ada).days
    assert (first.answers, first.agree, first.pairs, first.rate, first.median_seconds) == (1, 3, 3, 1.0, 30)
    assert (second.answers, second.agree, second.pairs, second.rate, second.median_seconds) == (2, 0, 3, 0.0, 15)
    assert (second.day - first.day).days == 2
    tour = take_tour(ada)
    skip_practice(labeler=ada, number=tour.number, name="dog", reason="Once more, without an answer.")
    tried = tried_by(ada)
    assert [row.attempt for row, _compared in tried][-1] == 2
    assert tried[-1][1] is None
    compared = [compared for _row, compared in tried if compared is not None]
    assert all((one.agreed, one.fair) == (one.pairs, one.ratings) for one in compared)
    assert sum(one.pairs for one in compared) > 5 and sum(one.ratings for one in compared) > 5


def test_practice_turned_round_agrees_in_no_pair_that_is_not_open():
    task = practice_task("spiders")
    answer = {"completions": [{"id": one.id, "rank": 4 - one.rank, "rating": 1} for one in task.completions]}
    # Of its three pairs the second and third are open; a rating of 1 is fair for these two.
    assert compare(task, answer) == Compared(agreed=0, pairs=2, fair=2, ratings=3)


def test_who_is_not_onboarded_is_asked_nothing_more(ada, django_assert_num_queries):
    make_task()
    with django_assert_num_queries(1):
        check_gates(ada)
    with django_assert_num_queries(0):
        assert queries.progress_of(ada) is None
