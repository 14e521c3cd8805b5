"""Rounds, what applicants are served, grades, decisions, and what they leave out of everything else."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.utils import DatabaseError

from labeling.agreement.queries import chosen_rankings
from labeling.audit.models import AuditEvent
from labeling.demos.models import Demonstration
from labeling.leasing import queries as leasing
from labeling.leasing.models import Lease, Task
from labeling.leasing.services import LeaseEnded, fetch_ahead, grant_lease
from labeling.models import Invitation, Ranking, Seat, User
from labeling.onboarding.models import OnboardingSettings
from labeling.people import services as people
from labeling.refusals import Conflict, NotAllowed, NotFound, Refusal
from labeling.screening import queries, services
from labeling.screening.models import Application, Grade, ScreeningDecision, ScreeningItem
from labeling.team import services as team
from tests import factories
from tests.labeling.screening.working import answer, work_through

pytestmark = pytest.mark.django_db


@pytest.fixture
def ray(db):
    return User.objects.create_user("ray", password=None, role="researcher", group="researcher")


@pytest.fixture
def w(amy, rita, ray) -> SimpleNamespace:
    held = factories.make_screening_round(actor=amy)
    application, person = factories.make_applicant(held, actor=amy, username="nora")
    return SimpleNamespace(round=held, application=application, person=person)


def decide(w, outcome, *, actor, revises=None, **said):
    return services.decide(
        application_id=w.application.pk, outcome=outcome, reason="Says why.", revises=revises, actor=actor, **said
    )


# Rounds


def test_a_round_needs_items_in_each_gate_and_then_every_applicant_has_the_same(amy):
    held = services.create_round(name="Spring", actor=amy)
    with pytest.raises(Refusal, match="Gate 1 has no items"):
        services.open_round(round_id=held.pk, actor=amy)
    held = factories.make_screening_round(actor=amy, name="Autumn")
    prompt = factories.make_prompt()
    with pytest.raises(Conflict, match="same items"):
        services.add_items(round_id=held.pk, gate=3, ids=[str(prompt.pk)], actor=amy)
    with pytest.raises(DatabaseError, match="same items"), transaction.atomic():
        ScreeningItem.objects.create(round=held, gate=3, prompt=prompt)
    with pytest.raises(DatabaseError, match="same items"), transaction.atomic():
        ScreeningItem.objects.filter(round=held).delete()
    assert Task.objects.filter(screening_item__round=held).count() == 6


def test_items_are_real_ones_and_stand_once_in_a_gate(amy):
    held = services.create_round(name="Spring", actor=amy)
    source = factories.make_task().item_id
    assert len(services.add_items(round_id=held.pk, gate=2, ids=[source, str(source)], actor=amy)) == 1
    assert services.add_items(round_id=held.pk, gate=2, ids=[source], actor=amy) == []
    for ids in (["nonsense"], [10**30], ["²"], [source + 1000]):
        with pytest.raises(NotFound):
            services.add_items(round_id=held.pk, gate=2, ids=ids, actor=amy)
    with pytest.raises(NotFound):
        services.add_items(round_id=held.pk, gate=3, ids=[factories.make_prompt(state="held").pk], actor=amy)
    services.remove_item(item_id=held.items.get().pk, actor=amy)
    assert not held.items.exists()


def test_cutoffs_are_settings_that_mark_and_change(amy):
    held = services.create_round(name="Spring", actor=amy)
    assert (held.flags_cutoff, held.rankings_cutoff, held.grade_cutoff) == (0.75, 0.75, 6.0)
    services.set_cutoffs(round_id=held.pk, actor=amy, grade_cutoff=5.5)
    assert queries.get_round(held.pk).grade_cutoff == 5.5
    for wrong in ({"grade_cutoff": 8}, {"flags_cutoff": float("nan")}, {"rankings_cutoff": 75}):
        with pytest.raises(Refusal, match="must be from"):
            services.set_cutoffs(round_id=held.pk, actor=amy, **wrong)
    with pytest.raises(Conflict):
        services.create_round(name="Spring", actor=amy)


# What applicants are served


def test_applicants_get_screening_tasks_alone_in_the_order_of_the_gates(w, ada):
    factories.make_task()
    served = work_through(w.person)
    items = ScreeningItem.objects.order_by("gate", "id")
    assert [one.task_id for one in served] == [item.task_id for item in items]
    assert {one.group for one in served} == {"applicant"}
    assert grant_lease(labeler=w.person) is None
    assert Seat.objects.filter(state="filled").values_list("groups", flat=True).distinct().get() == ["applicant"]


def test_others_do_not_get_them_but_researchers(w, ada, hal, rita):
    Lease.objects.all()
    assert grant_lease(labeler=ada).task.batch.screening is False
    assert not [one for one in work_through(hal) if one.task.batch.screening]
    assert grant_lease(labeler=rita) is not None
    own = ScreeningItem.objects.values("task")
    assert {one.task_id for one in work_through(rita)} >= set(own.values_list("task", flat=True)) - {
        lease.task_id for lease in Lease.objects.filter(labeler=rita, state="open")
    }


def test_each_applicant_has_seats_of_their_own(w, amy):
    _other, second = factories.make_applicant(w.round, actor=amy)
    one, two = grant_lease(labeler=w.person), grant_lease(labeler=second)
    assert one.task_id == two.task_id and one.seat_id != two.seat_id
    ahead = fetch_ahead(labeler=w.person)
    assert ahead.state == "ahead" and ahead.task_id != one.task_id
    assert grant_lease(labeler=w.person).pk == one.pk


def test_what_was_given_back_comes_first_again(w):
    from labeling.leasing.services import return_lease

    lease = grant_lease(labeler=w.person)
    return_lease(lease_id=lease.pk, labeler=w.person)
    again = grant_lease(labeler=w.person)
    assert (again.pk, again.state) == (lease.pk, "open")
    assert lease.task.seats.filter(groups=["applicant"]).count() == 1


def test_applicants_of_another_round_and_of_a_closed_one_get_none_of_it(w, amy):
    other = factories.make_screening_round(actor=amy)
    _application, person = factories.make_applicant(other, actor=amy)
    assert {one.task.screening_item.round_id for one in work_through(person)} == {other.pk}
    services.close_round(round_id=w.round.pk, actor=amy)
    assert grant_lease(labeler=w.person) is None
    services.open_round(round_id=w.round.pk, actor=amy)
    assert grant_lease(labeler=w.person) is not None


def test_what_somebody_opted_out_of_is_not_served(w):
    people.opt_out(user=w.person, categories=["violence"])
    assert {one.task.kind for one in work_through(User.objects.get(pk=w.person.pk))} == {"ranking"}


def test_the_work_page_counts_what_waits(w):
    assert leasing.work_of(w.person).waiting == 6
    answer(grant_lease(labeler=w.person), person=w.person)
    assert leasing.work_of(w.person).by_kind == {"demonstration": 2, "ranking": 3}


def test_no_queue_is_for_applicants(amy):
    with pytest.raises(IntegrityError, match="batch_queue_is_not_for_applicants"), transaction.atomic():
        factories.make_batch(groups=["applicant"])
    from labeling.sampling.services import create_batch

    factories.make_prompt()
    with pytest.raises(Refusal, match="Applicants"):
        create_batch(name="x", kind="demonstration", groups=["applicant"])


# Groups


def test_applicants_come_by_a_link_to_a_round_and_leave_the_group_by_decision_alone(w, amy):
    with pytest.raises(Refusal, match="screening round"):
        people.create_invitation(role="labeler", group="applicant", days=3, created_by=amy)
    for role, group in (("labeler", "training"), ("researcher", "researcher")):
        with pytest.raises(Refusal, match="decided in their screening"):
            team.change_role(user_id=w.person.pk, role=role, group=group, reason="x", actor=amy)
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=w.person.pk).update(role="researcher")
    assert w.person.group == "applicant"


def test_answers_of_applicants_are_in_no_agreement_and_no_export(w, amy, rita):
    work_through(w.person)
    assert Ranking.objects.count() == 4
    assert not chosen_rankings().exists()
    from labeling.exports.chosen import allowed
    from labeling.exports.question import read_question

    for model in (Ranking, Demonstration):
        for group in ([], ["training"]):
            question = read_question(kind="comparisons", question={"groups": group})
            assert not allowed(model, question).filter(reason="").exists()
    decide(w, "training", actor=amy)
    question = read_question(kind="demonstrations", question={})
    assert not allowed(Demonstration, question).filter(reason="").exists()


# Grading


def written(w) -> list[Demonstration]:
    return [one for one in work_through(w.person) if isinstance(one, Demonstration)]


def test_two_researchers_grade_each_once_and_the_mean_shows_after_both(w, rita, ray, amy):
    one, _two = written(w)
    first, new = services.grade(demonstration_id=one.pk, value=6, note="Kind.", grader=rita)
    assert new and first.number == 1
    assert AuditEvent.objects.filter(actor=rita, action="demonstration.graded").count() == 1
    assert services.grade(demonstration_id=one.pk, value=6, note="Kind.", grader=rita) == (first, False)
    with pytest.raises(services.GradedAlready):
        services.grade(demonstration_id=one.pk, value=7, grader=rita)
    gate = queries.report_on(w.application).gates[2]
    assert gate.figure.value is None and gate.items[0].grades == []
    services.grade(demonstration_id=one.pk, value=5, grader=ray)
    gate = queries.report_on(w.application).gates[2]
    assert gate.figure.value == pytest.approx(5.5) and not gate.reached
    kim = User.objects.create_user("kim", password=None, role="researcher", group="researcher")
    with pytest.raises(services.GradedAlready, match="as many as are asked"):
        services.grade(demonstration_id=one.pk, value=5, grader=kim)
    assert list(queries.to_grade(kim)) != [] and one.pk not in {each.pk for each in queries.to_grade(kim)}


def test_only_researchers_grade_and_only_from_1_to_7(w, rita, amy, ada):
    (one, _two) = written(w)
    for grader in (amy, ada, w.person):
        with pytest.raises(NotAllowed):
            services.grade(demonstration_id=one.pk, value=6, grader=grader)
    for value in (0, 8, True, "6", 6.0, None):
        with pytest.raises(Refusal):
            services.grade(demonstration_id=one.pk, value=value, grader=rita)
    with pytest.raises(NotFound):
        services.grade(demonstration_id="nonsense", value=6, grader=rita)


def test_the_database_takes_no_grade_twice_by_its_author_or_beyond_the_number(w, rita, ray):
    (one, two) = written(w)
    Grade.objects.create(demonstration=one, grader=rita, number=1, grade=6)
    for wrong in (
        {"demonstration": one, "grader": rita, "number": 2, "grade": 6},
        {"demonstration": one, "grader": ray, "number": 1, "grade": 6},
        {"demonstration": one, "grader": ray, "number": 3, "grade": 6},
        {"demonstration": two, "grader": w.person, "number": 1, "grade": 6},
        {"demonstration": two, "grader": rita, "number": 1, "grade": 8},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Grade.objects.create(**wrong)
    with pytest.raises(DatabaseError), transaction.atomic():
        Grade.objects.update(grade=1)


# Decisions


def test_hiring_changes_the_group_and_begins_onboarding_in_the_same_transaction(w, amy, monkeypatch):
    work_through(w.person)
    OnboardingSettings.objects.update_or_create(id=1, defaults={"switched_on": True})
    decision = decide(w, "training", actor=amy, message="Welcome.")
    person = User.objects.get(pk=w.person.pk)
    assert (person.group, person.onboarding, decision.reason) == ("training", "training", "Says why.")
    assert Application.objects.get(pk=w.application.pk).outcome == "training"
    actions = AuditEvent.objects.values_list("action", flat=True)
    assert {"screening.decided", "user.role_changed", "onboarding.began"} <= set(actions)

    def breaks(**said):
        raise Conflict("no")

    monkeypatch.setattr(services, "begin_onboarding", breaks)
    with pytest.raises(Conflict):
        decide(w, "held_out", actor=amy, revises=decision.pk)
    assert User.objects.get(pk=w.person.pk).group == "training"
    assert ScreeningDecision.objects.count() == 1


def test_applicants_may_be_hired_as_held_out_and_stay_so(w, amy):
    work_through(w.person)
    decision = decide(w, "held_out", actor=amy)
    assert User.objects.get(pk=w.person.pk).group == "held_out"
    for outcome in ("training", "reject"):
        with pytest.raises(Conflict, match="stays so"):
            decide(w, outcome, actor=amy, revises=decision.pk)


def test_a_decision_is_revised_by_naming_it(w, amy):
    first = decide(w, "put_off", actor=amy)
    assert grant_lease(labeler=w.person) is not None
    with pytest.raises(services.DecidedMeanwhile):
        decide(w, "reject", actor=amy)
    second = decide(w, "reject", actor=amy, revises=first.pk)
    assert decide(w, "reject", actor=amy, revises=first.pk) == second
    assert grant_lease(labeler=w.person) is None
    third = decide(w, "training", actor=amy, revises=second.pk)
    assert [one.pk for one in queries.decisions_of(w.application)] == [third.pk, second.pk, first.pk]
    fourth = decide(w, "reject", actor=amy, revises=third.pk)
    assert User.objects.get(pk=w.person.pk).group == "applicant"
    with pytest.raises(DatabaseError), transaction.atomic():
        ScreeningDecision.objects.filter(pk=fourth.pk).update(reason="other")


def test_who_has_answered_ordinary_tasks_is_not_moved_back(w, amy):
    first = decide(w, "training", actor=amy)
    factories.make_ranking(task=factories.make_task(), labeler=User.objects.get(pk=w.person.pk))
    for outcome in ("reject", "held_out"):
        with pytest.raises(Conflict, match="works here already"):
            decide(w, outcome, actor=amy, revises=first.pk)
    with pytest.raises(IntegrityError, match="learned from their answers"), transaction.atomic():
        User.objects.filter(pk=w.person.pk).update(group="applicant")


def test_no_answer_comes_after_the_decision(w, amy):
    lease = grant_lease(labeler=w.person)
    decide(w, "training", actor=amy)
    with pytest.raises(LeaseEnded):
        answer(lease, person=User.objects.get(pk=w.person.pk))


def test_nobody_is_decided_on_before_they_come(w, amy):
    application, _token = services.invite(round_id=w.round.pk, days=3, note="", actor=amy)
    with pytest.raises(Conflict, match="has not come"):
        services.decide(application_id=application.pk, outcome="reject", reason="x", actor=amy)
    for wrong in ({"outcome": "fire"}, {"reason": " "}, {"message": 3}):
        with pytest.raises(Refusal):
            services.decide(
                **{"application_id": w.application.pk, "outcome": "reject", "reason": "x", "actor": amy, **wrong}
            )


# Reports


def test_a_report_measures_agreement_with_researchers(w, amy, rita, ray):
    work_through(rita, flag="violent")
    work_through(ray, flag="violent")
    work_through(w.person, order="bad")
    flags, rankings, _demonstrations = queries.report_on(w.application).gates
    # Of three texts and the prompt "Two." alone is sensitive, and the applicant flags nothing.
    assert (flags.figure.value, flags.figure.count, flags.figure.items) == (0.75, 16, 2)
    assert flags.reached and flags.figure.method == "wilson"
    assert (rankings.figure.value, rankings.figure.count) == (0.0, 12) and not rankings.reached
    assert any(row["theirs"] != [row["mine"]] * 2 for row in rankings.items[0].rows)


def test_rankings_by_researchers_of_where_an_item_was_taken_from_count(amy, rita):
    task = factories.make_task(texts=("One.", "Two.", "Three."))
    factories.make_ranking(task=task, labeler=rita, ranks=[1, 2, 3])
    held = factories.make_screening_round(actor=amy, items=1, opened=False)
    services.add_items(round_id=held.pk, gate=2, ids=[task.item_id], actor=amy)
    held = services.open_round(round_id=held.pk, actor=amy)
    application, person = factories.make_applicant(held, actor=amy)
    work_through(person)
    figure = queries.report_on(application).gates[1].figure
    assert (figure.value, figure.count) == (1.0, 3)


def test_answers_after_the_first_decision_do_not_count(w, amy, rita):
    made = next(one for one in work_through(w.person) if isinstance(one, Demonstration))
    decide(w, "reject", actor=amy)
    from labeling.demos.services import submit_demonstration

    said = {"text": "As I have read since.", "replaces": str(made.pk), "reason": "better"}
    submit_demonstration(lease_id=made.lease_id, labeler=w.person, answer=said, idempotency_key="late")
    assert queries.report_on(w.application).gates[2].items[0].demonstration.text == "A careful answer."


# Topics


def test_the_team_sees_what_nobody_covers(w, amy, ada, rita):
    topics = list(queries.uncovered())
    assert len(topics) == len(queries.BUILT_IN_TOPICS)
    services.answer_topics(person=ada, able={topics[0].pk: True, topics[1].pk: False})
    # An applicant covers nothing yet.
    services.answer_topics(person=w.person, able={topics[2].pk: True})
    assert [topic.pk for topic in queries.uncovered()] == [topic.pk for topic in topics[1:]]
    rows = {person.username: person.cells for person in queries.coverage_page(topics, after=None)}
    assert rows["ada"][:3] == [True, False, None] and "nora" not in rows
    lines = list(queries.coverage_rows())
    assert lines[1][:4] == ["nobody covers", "", "x", "x"]
    decide(w, "training", actor=amy)
    assert topics[2].pk not in {topic.pk for topic in queries.uncovered()}


def test_topics_are_added_and_retired(amy, ada):
    topic = services.add_topic(name="  Regional   dialects ", actor=amy)
    assert topic.name == "Regional dialects"
    services.retire_topic(topic_id=topic.pk, actor=amy)
    with pytest.raises(Refusal, match="asked about no more"):
        services.answer_topics(person=ada, able={topic.pk: True})
    assert services.add_topic(name="Regional dialects", actor=amy).active


def test_codes_say_nothing_of_the_link(w, amy):
    with connection.cursor() as cursor:
        cursor.execute("SELECT detail::text FROM labeling_auditevent WHERE action = 'screening.invited'")
        assert all(w.application.code not in detail for (detail,) in cursor)
    assert Invitation.objects.get(application=w.application).note == ""
    assert len(w.application.code) == 4
