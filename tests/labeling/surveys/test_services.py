"""Rounds from opening to report: who may answer, how often, and what is left of it in the database."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta

import pgtrigger
import pytest
from django.db import Error, connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from labeling.audit.models import AuditEvent
from labeling.people.models import TeamSettings, User
from labeling.refusals import Conflict, NotFound, Refusal
from labeling.surveys import queries, services
from labeling.surveys.models import SurveyOptOut, SurveyPart, SurveyQuestionnaire, SurveyRound, SurveyTally

pytestmark = pytest.mark.django_db

TODAY = timezone.now().date()


@pytest.fixture
def team(db) -> list[User]:
    return [User.objects.create(username=f"one-{number}", role="labeler", group="training") for number in range(12)]


def opened(amy, **changes) -> SurveyRound:
    asked = {"questionnaire": "demographics", "title": "Who we are", "groups": ["training"], "closes_on": TODAY}
    return services.open_round(**{**asked, **changes}, actor=amy)


def answer(held: SurveyRound, people: list[User], **answers: str) -> None:
    for person in people:
        said = {name: value.split() for name, value in answers.items()}
        services.answer_round(round_id=held.pk, person=person, answers=said)


def earlier(**times) -> None:
    with pgtrigger.ignore("labeling.SurveyRound:survey_round_changes_by_closing_alone"):
        SurveyRound.objects.update(**times)


def rows_of(held: SurveyRound, name: str) -> list[tuple]:
    return next(
        [(row.label, row.count) for row in table.rows] for table in queries.tables_of(held) if table.name == name
    )


def test_a_round_ends_in_tables_and_nothing_finer(amy, team):
    held = opened(amy)
    answer(held, team[:6], gender="woman", ethnicity="white east_asian", nationality="PH", age="25_34")
    answer(held, team[6:11], gender="man", ethnicity="black", nationality="PH")
    answer(held, team[11:], gender="another")
    assert (queries.answers_so_far(held), queries.tables_of(held)) == (12, [])
    held = services.close_round(round_id=held.pk, actor=amy)
    assert rows_of(held, "gender") == [("Woman", 6), ("Man / Non-binary, or another gender / Prefer not to say", 6)]
    # Rather than that nobody gave them, it is left open who of the others did.
    assert rows_of(held, "age") == [("25 to 34", 6), ("All other answers", 6)]
    assert rows_of(held, "nationality") == [("All answers together", 12)]
    assert ("White, of European descent", 6) in rows_of(held, "ethnicity")
    assert not SurveyTally.objects.exists()
    assert services.close_round(round_id=held.pk, actor=amy).report == held.report
    actions = list(AuditEvent.objects.order_by("id").values_list("action", "actor"))
    assert actions == [("survey.opened", amy.pk), ("survey.closed", amy.pk)]


def test_of_a_long_list_what_nobody_chose_is_one_row(amy, team):
    held = opened(amy)
    answer(held, team[:6], nationality="PH")
    answer(held, team[6:], nationality="BD")
    held = services.close_round(round_id=held.pk, actor=amy)
    assert rows_of(held, "nationality") == [("Bangladesh", 6), ("Philippines", 6), ("All other answers", 0)]


def test_nothing_in_the_database_leads_from_an_answer_to_a_person(amy, team):
    """Of one answer the whole database holds: that somebody took part. All counts stand in one row, which says of all
    of them alike which transaction wrote it; and nothing but that row holds any option."""
    held = opened(amy)
    answer(held, team[:3], gender="woman")
    answer(held, team[3:4], gender="another", nationality="PH")
    answer(held, team[4:6], gender="woman")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM labeling_surveytally")
        assert cursor.fetchone() == (1,)
        cursor.execute("SELECT to_jsonb(part) FROM labeling_surveypart part")
        parts = [json.loads(row) if isinstance(row, str) else row for (row,) in cursor.fetchall()]
        assert all(set(part) == {"id", "round_id", "person_id", "state"} for part in parts)
        # Random ids: sorted by them, nothing tells who came first.
        assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f-]+", part["id"]) for part in parts)
        cursor.execute(
            """SELECT table_name, column_name FROM information_schema.columns
            WHERE table_name LIKE 'labeling_survey%' AND table_name NOT LIKE '%questionnaire'
                AND (data_type LIKE 'timestamp%' OR column_default LIKE 'nextval%')"""
        )
        assert sorted(cursor.fetchall()) == [
            ("labeling_surveyround", "closed_at"),
            ("labeling_surveyround", "closes_at"),
            ("labeling_surveyround", "created_at"),
        ]
    assert not AuditEvent.objects.filter(actor__in=team).exists()


def test_the_counts_reach_postgresql_as_a_parameter(amy, team, monkeypatch):
    """A statement with its values in it would stand in logs and in pg_stat_activity."""
    held = opened(amy)
    seen = []

    def spy(execute, statement, parameters, many, context):
        seen.append(f"{statement} {parameters}")
        return execute(statement, parameters, many, context)

    with connection.execute_wrapper(spy):
        answer(held, team[:1], gender="another")
    assert seen and not any("another" in statement for statement in seen)
    assert SurveyTally.objects.get().counts["gender"] == {"woman": 0, "man": 0, "another": 1, "unsaid": 0}


def test_each_person_answers_once_and_may_leave_all_out(amy, ada, hal, rita):
    TeamSettings.objects.create(survey_minimum=3)
    for number in range(3):
        User.objects.create(username=f"more-{number}", group="training")
    held = opened(amy)
    services.answer_round(round_id=held.pk, person=ada, answers={})
    with pytest.raises(services.AnsweredAlready):
        services.answer_round(round_id=held.pk, person=ada, answers={"gender": ["man"]})
    tally = SurveyTally.objects.get()
    assert tally.answered == 1 and all(counts["unsaid"] == 1 for counts in tally.counts.values())
    for stranger in (hal, rita, amy):
        with pytest.raises(NotFound):
            services.answer_round(round_id=held.pk, person=stranger, answers={})
    assert SurveyPart.objects.count() == 1


@pytest.mark.parametrize(
    "answers",
    [{"odd": ["man"]}, {"gender": ["odd"]}, {"gender": ["man", "woman"]}, {"nationality": ["Philippines"]}],
)
def test_what_was_not_offered_is_refused_and_changes_nothing(amy, team, answers):
    held = opened(amy)
    with pytest.raises(Refusal):
        services.answer_round(round_id=held.pk, person=team[0], answers=answers)
    assert (SurveyPart.objects.count(), SurveyTally.objects.get().answered) == (0, 0)


def test_who_would_rather_not_say_is_counted_as_that_whatever_else_is_ticked(amy, team):
    held = opened(amy)
    answer(held, team[:1], ethnicity="white unsaid")
    counts = SurveyTally.objects.get().counts["ethnicity"]
    assert (counts["unsaid"], counts["white"]) == (1, 0)


def test_an_invitation_is_declined_for_good_and_a_mind_may_change(amy, team):
    held, (one, other) = opened(amy), team[:2]
    assert queries.invited_to(one) == held
    services.decline_round(round_id=held.pk, person=one)
    services.decline_round(round_id=held.pk, person=one)
    assert queries.invited_to(one) is None and queries.rounds_for(one).get().mine == "declined"
    answer(held, [one], gender="man")
    assert SurveyPart.objects.get().state == "answered"
    services.decline_round(round_id=held.pk, person=one)
    assert SurveyPart.objects.get().state == "answered"
    services.set_invitations(person=other, wanted=False)
    services.set_invitations(person=other, wanted=False)
    assert queries.invited_to(other) is None and queries.rounds_for(other).get() == held
    services.set_invitations(person=other, wanted=True)
    assert queries.invited_to(other) == held and not SurveyOptOut.objects.exists()


def test_too_few_are_shown_as_nothing(amy, team):
    held = opened(amy)
    answer(held, team[:4], gender="woman")
    assert queries.answers_so_far(held) is None
    held = services.close_round(round_id=held.pk, actor=amy)
    assert held.report == {"asked": 12, "answered": None, "tables": [], "withheld": "too_few"}
    assert not SurveyTally.objects.exists()


def test_a_round_of_nearly_the_same_people_shows_nothing(amy, team):
    def closed(people: list[User], **changes) -> str:
        held = opened(amy, **changes)
        answer(held, people)
        return services.close_round(round_id=held.pk, actor=amy).report["withheld"]

    assert closed(team[:6]) == ""
    # One more; the same with one less; four others instead. The same people again, or five others, tell of nobody.
    assert [closed(people) for people in (team[:7], team[:5], team[4:10])] == ["too_alike"] * 3
    assert [closed(people) for people in (team[:6], team[6:12])] == ["", ""]
    # How people find the work changes, so that rounds are compared for four weeks.
    satisfaction = {"questionnaire": "satisfaction"}
    assert [closed(people, **satisfaction) for people in (team[:6], team[:7])] == ["", "too_alike"]
    earlier(closed_at=F("closed_at") - timedelta(days=29))
    assert closed(team[:7], **satisfaction) == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"questionnaire": "odd"},
        {"title": " "},
        {"title": "x" * 121},
        {"title": "a\x00"},
        {"groups": []},
        {"groups": ["simulated"]},
        {"groups": ["held_out"]},
        {"closes_on": TODAY - timedelta(days=2)},
        {"closes_on": date(9999, 12, 31)},
    ],
)
def test_what_is_no_round(amy, team, changes):
    with pytest.raises(Refusal):
        opened(amy, **changes)
    assert not SurveyRound.objects.exists()


def test_a_group_is_asked_the_same_once_at_a_time(amy, team):
    opened(amy)
    with pytest.raises(Conflict):
        opened(amy, groups=["training", "researcher"])
    assert opened(amy, questionnaire="satisfaction").minimum == 5


def test_a_round_closes_when_its_time_is_over(amy, team):
    held = opened(amy)
    assert services.close_due() == 0
    answer(held, team[:5])
    earlier(created_at=Now() - timedelta(days=2), closes_at=Now())
    with pytest.raises(services.RoundClosed):
        answer(held, team[5:6])
    assert (services.close_due(), services.close_due()) == (1, 0)
    assert SurveyRound.objects.get().report["answered"] == 5
    with pytest.raises(services.RoundClosed):
        answer(held, team[5:6])


def test_the_minimum_is_the_one_that_people_were_told(amy, team):
    held = opened(amy)
    TeamSettings.objects.create(survey_minimum=3)
    answer(held, team[:4])
    assert services.close_round(round_id=held.pk, actor=amy).report["withheld"] == "too_few"


BROKEN = {
    "a second answer of one person": "INSERT INTO labeling_surveypart (id, round_id, person_id, state) "
    "SELECT gen_random_uuid(), round_id, person_id, state FROM labeling_surveypart LIMIT 1",
    "an answer taken back": "DELETE FROM labeling_surveypart",
    "an answer made a refusal": "UPDATE labeling_surveypart SET state = 'declined'",
    "a person who answered and was not counted": "INSERT INTO labeling_surveypart (id, round_id, person_id, state) "
    "SELECT gen_random_uuid(), (SELECT id FROM labeling_surveyround), id, 'answered' FROM labeling_user "
    "WHERE username = 'one-7'",
    "somebody who was not asked": "INSERT INTO labeling_surveypart (id, round_id, person_id, state) "
    "SELECT gen_random_uuid(), (SELECT id FROM labeling_surveyround), id, 'declined' FROM labeling_user "
    "WHERE username = 'amy'",
    "counts without an answer": "UPDATE labeling_surveytally SET answered = answered + 1",
    "two answers at once": "UPDATE labeling_surveytally SET answered = answered + 2, "
    "counts = jsonb_set(counts, '{gender,man}', '2')",
    "an option that was not offered": "UPDATE labeling_surveytally SET answered = answered + 1, "
    "counts = jsonb_set(counts, '{gender,odd}', '1')",
    "one option less": "UPDATE labeling_surveytally SET answered = answered + 1, counts = counts #- '{gender,man}'",
    "counts deleted": "DELETE FROM labeling_surveytally",
    "a round deleted": "DELETE FROM labeling_surveyround",
    "a minimum lowered": "UPDATE labeling_surveyround SET minimum = 3",
    "a small number shown": "UPDATE labeling_surveyround SET closed_at = now(), report = "
    '\'{"tables": [{"name": "gender", "rows": [{"options": ["man"], "count": 4}]}]}\'',
}


@pytest.mark.parametrize("what", BROKEN)
def test_the_database_refuses(amy, team, what):
    held = opened(amy)
    answer(held, team[:6], gender="woman")
    before = SurveyTally.objects.get().counts
    with pytest.raises(Error), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(BROKEN[what])
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert SurveyTally.objects.get().counts == before


def test_a_closed_round_stays_as_it_is(amy, team):
    held = opened(amy)
    services.close_round(round_id=held.pk, actor=amy)
    for change in ("closed_at = NULL, report = NULL", "report = '{}'", "title = 'other'"):
        with pytest.raises(Error), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE labeling_surveyround SET {change}")


def test_the_questionnaires_are_stored_as_they_are_built_in():
    stored = {(row.name, row.version): row.definition for row in SurveyQuestionnaire.objects.all()}
    built_in = {
        (name, version): json.loads(json.dumps(definition))
        for name, (_title, _purpose, versions) in services.BUILT_IN.items()
        for version, definition in enumerate(versions, start=1)
    }
    # One that is changed needs the next number: rounds name what they asked.
    assert stored == built_in
