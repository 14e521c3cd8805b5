"""Survey rounds: what is asked of whom and until when, who took part, and how often each answer was given.

No answer of a person is stored anywhere, only totals. docs/surveys.md says what follows from that and what does not.
"""

import uuid

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

# The pair that each of these triggers compares is one transaction's work, so they wait for its end.
COUNTED_ONCE = """
    IF (SELECT tally.answered FROM labeling_surveytally tally WHERE tally.round_id = NEW.round_id) IS DISTINCT FROM (
        SELECT count(*) FROM labeling_surveypart part WHERE part.round_id = NEW.round_id AND part.state = 'answered'
    ) AND EXISTS (SELECT FROM labeling_surveyround asked WHERE asked.id = NEW.round_id AND asked.closed_at IS NULL) THEN
        RAISE EXCEPTION 'Each answer is counted once: round %', NEW.round_id;
    END IF;
    RETURN NULL;
"""


class SurveyQuestionnaire(models.Model):
    """One version of a questionnaire, in English, as `built_in` has it. Append-only."""

    name = models.CharField(max_length=40)
    version = models.PositiveSmallIntegerField()
    definition = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "version"], name="survey_questionnaire_version_once"),
            models.CheckConstraint(condition=models.Q(version__gte=1), name="survey_questionnaire_version_from_1"),
        ]
        triggers = [
            pgtrigger.Protect(
                name="survey_questionnaire_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete
            ),
        ]


# No count in `report` lies between 0 and `minimum`, both left out.
NO_SMALL_CELL = models.Func(
    models.F("report"),
    models.Func(
        models.Value("$.tables[*].rows[*].count ? (@ > 0 && @ < $minimum)"), template="%(expressions)s::jsonpath"
    ),
    models.Func(
        models.Value("minimum"), models.F("minimum"), function="jsonb_build_object", output_field=models.JSONField()
    ),
    function="jsonb_path_exists",
    template="NOT %(function)s(%(expressions)s)",
    output_field=models.BooleanField(),
)


class SurveyRound(models.Model):
    """A questionnaire put to some groups until a date. While it is open its answers are counted in its tally; closing
    it makes the report, and the tally is gone."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    questionnaire = models.ForeignKey(SurveyQuestionnaire, on_delete=models.PROTECT, related_name="rounds")
    title = models.CharField(max_length=120)
    # Groups of people, of `User.Group`.
    groups = ArrayField(models.CharField(max_length=12))
    # Fewer people than this are shown as no number. Fixed when it was opened, as those who answer were told.
    minimum = models.PositiveSmallIntegerField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    closes_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    # As `services.report_of` makes it: all that will ever be known of the answers.
    report = models.JSONField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~models.Q(title=""), name="survey_round_has_a_title"),
            models.CheckConstraint(
                condition=models.Q(groups__contained_by=["training", "held_out", "researcher"], groups__len__gte=1),
                name="survey_round_asks_groups_of_people",
            ),
            models.CheckConstraint(
                condition=models.Q(minimum__gte=3, minimum__lte=100), name="survey_round_minimum_is_3_to_100"
            ),
            models.CheckConstraint(
                condition=models.Q(closes_at__gt=models.F("created_at")), name="survey_round_closes_after_it_opened"
            ),
            models.CheckConstraint(
                condition=models.Q(closed_at__isnull=True, report__isnull=True)
                | models.Q(closed_at__isnull=False, report__isnull=False),
                name="survey_round_has_its_report_once_closed",
            ),
            models.CheckConstraint(condition=NO_SMALL_CELL, name="survey_report_has_no_small_cell"),
        ]
        indexes = [
            models.Index(fields=["closes_at"], condition=models.Q(closed_at__isnull=True), name="survey_round_open"),
            models.Index(fields=["-created_at", "-id"], name="survey_round_newest_first"),
        ]
        triggers = [
            pgtrigger.Protect(name="survey_round_is_never_deleted", operation=pgtrigger.Delete),
            pgtrigger.Trigger(
                name="survey_round_changes_by_closing_alone",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                func="""
                    IF OLD.closed_at IS NOT NULL OR NEW.closed_at IS NULL
                        OR to_jsonb(OLD) - '{closed_at,report}'::text[]
                            <> to_jsonb(NEW) - '{closed_at,report}'::text[] THEN
                        RAISE EXCEPTION 'A survey round changes by being closed, once: round %', OLD.id;
                    END IF;
                    DELETE FROM labeling_surveytally WHERE round_id = OLD.id;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return self.title


class SurveyTally(models.Model):
    """How often each answer was given in an open round, all in one row, which every answer writes anew: PostgreSQL
    keeps beside each row which transaction wrote it last, and this row says so of all answers alike."""

    round = models.OneToOneField(SurveyRound, primary_key=True, on_delete=models.PROTECT, related_name="tally")
    answered = models.PositiveIntegerField(default=0)
    # {question: {option: how many}}
    counts = models.JSONField()

    class Meta:
        triggers = [
            # One answer more than before, of the options that were offered; or none, when the round opens.
            pgtrigger.Trigger(
                name="survey_tally_takes_one_answer",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update,
                declare=[("held", "jsonb"), ("wrong", "text")],
                func="""
                    SELECT questionnaire.definition INTO held
                        FROM labeling_surveyround asked
                        JOIN labeling_surveyquestionnaire questionnaire ON questionnaire.id = asked.questionnaire_id
                        WHERE asked.id = NEW.round_id AND asked.closed_at IS NULL AND asked.closes_at > now();
                    IF held IS NULL THEN
                        RAISE EXCEPTION 'The survey round is closed: round %', NEW.round_id;
                    END IF;
                    WITH offered AS (
                        SELECT question ->> 'name' AS question, option ->> 0 AS option, question ->> 'kind' AS kind
                        FROM jsonb_array_elements(held -> 'questions') question,
                            jsonb_array_elements(question -> 'options') option
                    ), after AS (
                        SELECT question.key AS question, option.key AS option, option.value::int AS count
                        FROM jsonb_each(NEW.counts) question, jsonb_each(question.value) option
                    ), added AS (
                        SELECT question, option, kind, offered.option IS NOT NULL AND after.count IS NOT NULL AS known,
                            after.count - CASE WHEN TG_OP = 'INSERT' THEN 0
                                ELSE (OLD.counts -> question ->> option)::int END AS more
                        FROM offered FULL JOIN after USING (question, option)
                    )
                    SELECT question INTO wrong FROM added GROUP BY question
                    HAVING NOT bool_and(known AND more BETWEEN 0 AND 1)
                        OR sum(more) > CASE WHEN TG_OP = 'INSERT' THEN 0 WHEN min(kind) = 'several' THEN
                            CASE WHEN sum(more) FILTER (WHERE option = 'unsaid') > 0 THEN 1 ELSE count(*) END
                            ELSE 1 END
                        OR TG_OP = 'UPDATE' AND sum(more) < 1;
                    IF wrong IS NOT NULL OR NEW.answered <> (CASE TG_OP WHEN 'INSERT' THEN 0 ELSE OLD.answered + 1 END)
                        OR TG_OP = 'UPDATE' AND NEW.round_id <> OLD.round_id THEN
                        RAISE EXCEPTION 'That is not one answer to what was asked: round %, %', NEW.round_id, wrong;
                    END IF;
                    RETURN NEW;
                """,
            ),
            pgtrigger.Trigger(
                name="survey_tally_counts_who_answered",
                when=pgtrigger.After,
                operation=pgtrigger.Update,
                timing=pgtrigger.Deferred,
                func=COUNTED_ONCE,
            ),
            pgtrigger.Trigger(
                name="survey_tally_goes_with_its_round",
                when=pgtrigger.Before,
                operation=pgtrigger.Delete,
                # Within the trigger that closes the round, or never.
                func="""
                    IF pg_trigger_depth() < 2 THEN
                        RAISE EXCEPTION 'The counts of an open survey round stay: round %', OLD.round_id;
                    END IF;
                    RETURN OLD;
                """,
            ),
        ]


class SurveyPart(models.Model):
    """Somebody took part in a round, or would rather not. It says nothing of when, and nothing of what."""

    class State(models.TextChoices):
        ANSWERED = "answered"
        DECLINED = "declined"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    round = models.ForeignKey(SurveyRound, on_delete=models.PROTECT, related_name="parts", db_index=False)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="survey_parts")
    state = models.CharField(max_length=8, choices=State)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["round", "person"], name="survey_one_answer_per_person_and_round"),
            models.CheckConstraint(
                condition=models.Q(state__in=["answered", "declined"]), name="survey_part_state_is_known"
            ),
        ]
        triggers = [
            # Who declined may change their mind while the round is open.
            pgtrigger.Protect(
                name="survey_part_stays",
                operation=pgtrigger.Update,
                condition=~pgtrigger.Q(old__state="declined", new__state="answered"),
            ),
            pgtrigger.Protect(name="survey_part_is_never_deleted", operation=pgtrigger.Delete),
            pgtrigger.Trigger(
                name="survey_part_is_of_somebody_asked",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update,
                func="""
                    IF NOT EXISTS (
                        SELECT FROM labeling_surveyround asked JOIN labeling_user person ON person.id = NEW.person_id
                        WHERE asked.id = NEW.round_id AND asked.closed_at IS NULL AND asked.closes_at > now()
                            AND person."group" = ANY (asked.groups) AND person.role <> 'admin'
                    ) OR TG_OP = 'UPDATE' AND (NEW.round_id, NEW.person_id) <> (OLD.round_id, OLD.person_id) THEN
                        RAISE EXCEPTION 'This survey round is closed, or asks others: round %', NEW.round_id;
                    END IF;
                    RETURN NEW;
                """,
            ),
            pgtrigger.Trigger(
                name="survey_part_is_counted_once",
                when=pgtrigger.After,
                operation=pgtrigger.Insert | pgtrigger.Update,
                timing=pgtrigger.Deferred,
                func=COUNTED_ONCE,
            ),
        ]


class SurveyOptOut(models.Model):
    """Somebody wants no invitations to surveys."""

    person = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="survey_opt_out"
    )
