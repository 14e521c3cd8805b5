"""Each constraint that the models name, broken once in SQL: the database says no, and by that constraint."""

from __future__ import annotations

import pytest
from django.apps import apps

from tests.invariants.conftest import copy_of

pytestmark = pytest.mark.django_db

JOB, LEASE, RANKING = "labeling_job", "labeling_lease", "labeling_ranking"
DEMONSTRATION, JUDGMENT, REVIEW = "labeling_demonstration", "labeling_judgment", "labeling_review"
SUGGESTION, ENDED = "labeling_suggestion", "state = 'done'"
WRITTEN = "labeling_writtenprompt"
SAID = "labeling_usecaseassignment"
SURVEY = "labeling_surveyround"
LEDGER, REQUEST, RATE = "labeling_ledgerentry", "labeling_payrequest", "labeling_payrate"
TIME, CORRECTED, PAID = "kind = 'time'", "kind = 'correction'", "kind = 'payment'"
ERROR_ITEM, LOOKED_AT = "labeling_erroritem", "judged_at IS NOT NULL"
SCREENING, ENTRY, GRADE = "labeling_screeninground", "labeling_screeningitem", "labeling_grade"
DRAFT = "round_id IN (SELECT id FROM labeling_screeninground WHERE state = 'draft')"
DECISION = "labeling_screeningdecision"
SUBMITTED, OPEN = "state = 'submitted' AND order_shown::text <> '[]'", "state = 'open'"
SECOND = {"revision": "2", "idempotency_key": "'second'"}
NEW = {"idempotency_key": "'new'"}


def update(table: str, change: str, where: str = "true") -> str:
    return f"UPDATE labeling_{table} SET {change} WHERE {where}"


AGAIN = {"request_id": "NULL", "key": "NULL"}


# name → the statement that breaks it; a function of the world where it needs somebody in it.
BREAKERS = {
    "job_one_open_per_key": lambda w: copy_of(JOB),
    "job_state_is_known": update("job", "state = 'odd'"),
    "job_running_has_heartbeat": update("job", "heartbeat_at = NULL"),
    "source_user_once_per_source": lambda w: copy_of("labeling_sourceuser"),
    "split_is_known": lambda w: copy_of("labeling_sourceuser", split="'odd'", external_id="'new'"),
    "source_shares_add_up_to_100": "INSERT INTO labeling_source (name, train_percent, valid_percent, test_percent)"
    " VALUES ('odd', 80, 10, 5)",
    "source_cap_is_at_least_1": update("source", "prompts_per_user = 0"),
    "source_rate_is_at_least_1": update("source", "rate_per_minute = 0"),
    "import_one_per_source_and_day": lambda w: copy_of("labeling_import", "day IS NOT NULL"),
    "import_of_a_day_names_its_source": update("import", "day = NULL"),
    "import_one_unfinished_per_file": lambda w: copy_of("labeling_import", "file_sha256 <> ''"),
    "prompt_once_per_external_id": lambda w: copy_of("labeling_prompt", "external_id = 'p1'", text_sha256="'new'"),
    "prompt_state_is_known": update("prompt", "state = 'odd'"),
    "use_case_suggestions_are_shown": lambda w: copy_of("labeling_usecasetarget", number="9", suggestions="'odd'"),
    "use_case_assignment_is_known": lambda w: copy_of(SAID, "person_id IS NOT NULL", use_case="'odd'"),
    "use_case_assignment_is_a_persons_or_came_with_the_prompt": lambda w: copy_of(
        SAID, "person_id IS NULL", use_case="''"
    ),
    "use_case_came_with_the_prompt_once": lambda w: copy_of(SAID, "person_id IS NULL"),
    "use_case_standing_rests_on_people": update("usecasestanding", "votes = people + 1"),
    "use_case_model_says_how_good_it_is": lambda w: copy_of("labeling_usecasemodel", number="9", accuracy="1.1"),
    "use_case_suggestion_is_known": update("usecasesuggestion", "use_case = 'odd'"),
    "use_case_suggestion_has_a_probability": update("usecasesuggestion", "probability = 0"),
    "batch_item_probability_is_above_0_and_at_most_1": update("batchitem", "probability = 0, strategy = 'random'"),
    "batch_item_drawn_by_chance_says_how_likely": update("batchitem", "strategy = 'random'"),
    "batch_reuse_is_of_rankings": update("batch", "reuse = 'random', evaluation = true", "name = 'first'"),
    "completion_probability_is_above_0_and_at_most_1": lambda w: copy_of(
        "labeling_completion", text_sha256="'new'", probability="0"
    ),
    "prompt_signal_once_per_kind": lambda w: copy_of("labeling_promptsignal"),
    "prompt_signal_is_a_share_or_a_group": update("promptsignal", "value = 1.1, kind = 'uncertainty'"),
    "prompt_language_has_a_probability": update("promptlanguage", "probability = 0"),
    "prompt_language_is_a_code": update("promptlanguage", "code = 'DE!'"),
    "prompt_erased_says_nothing": update("prompt", "state = 'erased'", "state = 'accepted'"),
    "refused_person_is_a_hash": update("refusedperson", "key = 'ada'"),
    "lease_erased_is_over": update("lease", "erased = true", OPEN),
    "erasure_answers_are_known": lambda w: copy_of("labeling_erasure", answers="'odd'"),
    "erasure_of_a_person_says_why": lambda w: copy_of("labeling_erasure", reason="''"),
    "taint_once_per_dataset_and_erasure": lambda w: copy_of("labeling_taint"),
    "taint_is_of_something": lambda w: copy_of("labeling_taint", prompts="0", erasure_id="gen_random_uuid()"),
    "retention_of_1_to_36500": update("retention", "days = 0"),
    "retention_answers_are_known": update("retention", "answers = 'odd'"),
    "user_role_is_known": update("user", "role = 'odd'"),
    "user_group_is_known": update("user", "\"group\" = 'odd'"),
    "user_simulated_is_labeler": lambda w: copy_of(
        "labeling_user", "role = 'admin'", username="'new'", group="'simulated'"
    ),
    "user_opted_out_of_known_categories": update("user", "opted_out = '{odd}'"),
    "user_paused_says_why": update("user", "paused_at = now()"),
    "user_offboarded_is_off_and_says_why": update("user", "offboarded_at = now(), is_active = false"),
    "user_daily_quota_is_at_least_1": update("user", "daily_quota = 0"),
    "user_language_is_known": update("user", "language = 'xx'"),
    "break_one_open_per_labeler": lambda w: copy_of("labeling_break"),
    "break_ends_after_it_began": update("break", "ended_at = began_at - interval '1 second'"),
    "team_settings_are_one_row": lambda w: copy_of("labeling_teamsettings", id="2"),
    "team_settings_lease_is_a_minute_to_a_day": update("teamsettings", "lease_seconds = 59"),
    "team_settings_survey_minimum_is_3_to_100": update("teamsettings", "survey_minimum = 2"),
    "team_settings_checks_are_shares": update("teamsettings", "check_percent = 101"),
    "team_settings_anchors_wait_a_day": update("teamsettings", "check_anchor_days = 0"),
    "check_turn_once_per_task_and_labeler": lambda w: copy_of("labeling_checkturn"),
    "check_turn_kind_is_known": lambda w: copy_of("labeling_checkturn", kind="'odd'"),
    "check_set_has_a_name": update("checkset", "name = ''"),
    "check_set_is_for_groups_of_labelers": update("checkset", "groups = '{researcher}'"),
    "check_item_has_something_agreed": lambda w: copy_of("labeling_checkitem", pairs="'[]'", task_id=f"'{w.spare.pk}'"),
    "check_set_tolerance_0_to_3": lambda w: copy_of(
        "labeling_checkset", id="gen_random_uuid()", name="'new'", tolerance="4"
    ),
    "check_alert_of_leniency_has_its_points": update("checkalert", "measure = 'leniency'"),
    "check_copy_once_per_round": lambda w: copy_of("labeling_checkcopy", task_id=f"'{w.spare.pk}'"),
    "check_copy_is_a_later_round": update("checkcopy", "round = 1"),
    "check_result_agrees_in_what_it_compares": update("checkresult", "agreed = compared + 1"),
    "check_alert_once_per_labeler_and_dip": lambda w: copy_of("labeling_checkalert"),
    "check_alert_is_acknowledged_with_a_note": update("checkalert", "acknowledged_at = now()"),
    "check_alert_says_why": update("checkalert", "reasons = '{}'"),
    "notice_says_something": lambda w: copy_of("labeling_notice", key="'new'", text="''"),
    "notice_names_its_audience": lambda w: copy_of("labeling_notice", key="'new'", audience="'group'"),
    "notice_once_per_author_and_key": lambda w: copy_of("labeling_notice"),
    "notice_once_per_person": lambda w: copy_of("labeling_noticereceipt"),
    "notice_receipt_is_unread_or_says_when": update("noticereceipt", "unread = false"),
    "user_onboarding_says_since_when": update("user", "onboarding = 'passed'", "username = 'ada'"),
    "user_simulated_is_not_onboarded": lambda w: copy_of(
        "labeling_user", "onboarding = 'training'", username="'new'", group="'simulated'"
    ),
    "batch_probation_is_of_new_work": update("batch", "probation = true, evaluation = true", "name = 'first'"),
    "onboarding_settings_are_one_row": lambda w: copy_of("labeling_onboardingsettings", id="2"),
    "onboarding_answers_are_1_to_500": update("onboardingsettings", "answers = 0"),
    "onboarding_decision_says_who_and_why": lambda w: copy_of("labeling_onboardingevent", reason="'why'"),
    "survey_questionnaire_version_once": lambda w: copy_of("labeling_surveyquestionnaire"),
    "survey_questionnaire_version_from_1": lambda w: copy_of("labeling_surveyquestionnaire", version="0"),
    "survey_round_has_a_title": lambda w: copy_of(SURVEY, title="''"),
    "survey_round_asks_groups_of_people": lambda w: copy_of(SURVEY, groups="'{simulated}'"),
    "survey_round_minimum_is_3_to_100": lambda w: copy_of(SURVEY, minimum="2"),
    "survey_round_closes_after_it_opened": lambda w: copy_of(SURVEY, closes_at="created_at"),
    "survey_round_has_its_report_once_closed": lambda w: copy_of(SURVEY, "closed_at IS NULL", closed_at="now()"),
    "survey_report_has_no_small_cell": lambda w: copy_of(SURVEY, "closed_at IS NOT NULL", minimum="13"),
    "survey_one_answer_per_person_and_round": lambda w: copy_of("labeling_surveypart"),
    "survey_part_state_is_known": lambda w: copy_of("labeling_surveypart", state="'odd'"),
    "pay_settings_are_one_row": lambda w: copy_of("labeling_paysettings", id="2"),
    "pay_settings_currency_is_known": lambda w: "INSERT INTO labeling_paysettings VALUES (1, 'XXX', 0)",
    "pay_rate_one_from_each_day": lambda w: copy_of(RATE),
    "pay_rate_is_above_nothing": lambda w: copy_of(RATE, valid_from="valid_from + 1", per_hour="0"),
    "pay_day_once": lambda w: copy_of("labeling_payday", begins_at="ends_at"),
    "pay_days_never_overlap": lambda w: copy_of("labeling_payday", day="day + 1"),
    "pay_day_ends_after_it_begins": lambda w: copy_of("labeling_payday", day="day + 1", begins_at="ends_at + '1 s'"),
    "pay_request_is_a_question_or_a_correction": lambda w: copy_of(REQUEST, "kind = 'question'", minutes="5"),
    "pay_request_says_something": lambda w: copy_of(REQUEST, text="''"),
    "pay_request_is_decided_by_somebody_who_says_why": update("payrequest", "state = 'answered'", "state = 'open'"),
    "ledger_time_once_per_day": lambda w: copy_of(LEDGER, TIME),
    "ledger_payment_once": lambda w: copy_of(LEDGER, PAID),
    "ledger_entered_once_per_key": lambda w: copy_of(LEDGER, CORRECTED, request_id="NULL"),
    "ledger_entry_is_time_a_correction_or_a_payment": lambda w: copy_of(LEDGER, CORRECTED, **AGAIN, reason="''"),
    "ledger_amount_is_time_at_its_rate": lambda w: copy_of(LEDGER, TIME, number="2", amount="amount + 1"),
    "ledger_entry_changes_something": lambda w: copy_of(
        LEDGER, CORRECTED, **AGAIN, seconds="0", priced="0", amount="0", rate_id="NULL", per_hour="NULL"
    ),
    "ledger_payment_has_its_period_and_reference": lambda w: copy_of(LEDGER, PAID, reference="''"),
    "ledger_request_leads_to_a_correction": lambda w: copy_of(
        LEDGER, PAID, reference="'other'", request_id=f"(SELECT id FROM {REQUEST} WHERE state = 'open')"
    ),
    "completion_score_once_per_model": lambda w: copy_of("labeling_completionscore"),
    "completion_score_or_why_not": lambda w: copy_of("labeling_completionscore", refused="'no'"),
    "suspicion_state_is_one_row": lambda w: copy_of("labeling_suspicionstate", id="2"),
    "suspicion_contradicted_of_compared": update("suspicion", "contradicted = 7"),
    "suspicion_opposite_is_a_probability": update("suspicion", "opposite = 1.1"),
    "error_draw_of_1_to_1000": lambda w: copy_of("labeling_errordraw", size="1001"),
    "error_draw_share_of_a_hundred": lambda w: copy_of("labeling_errordraw", share="101"),
    "error_item_once_per_answer": lambda w: copy_of(ERROR_ITEM, LOOKED_AT, position="9"),
    "error_item_place_once_per_draw": lambda w: copy_of(ERROR_ITEM, LOOKED_AT, ranking_id=f"'{w.unlooked.pk}'::uuid"),
    "error_item_one_held_per_person": lambda w: copy_of(
        ERROR_ITEM, "judged_at IS NULL", position="9", ranking_id=f"'{w.unlooked.pk}'::uuid"
    ),
    "error_item_has_an_arm": lambda w: copy_of(ERROR_ITEM, LOOKED_AT, suspicious="false", random="false"),
    "error_item_is_held_until_some_time": update("erroritem", "claimed_until = NULL"),
    "error_verdict_one_per_person_and_revision": lambda w: copy_of("labeling_errorverdict"),
    "error_verdict_is_known": lambda w: copy_of("labeling_errorverdict", verdict="'odd'"),
    "error_verdict_revision_names_what_it_replaces": lambda w: copy_of("labeling_errorverdict", revision="2"),
    "notice_without_author_is_to_a_person": lambda w: copy_of("labeling_notice", author_id="NULL"),
    "adjudication_request_says_why": lambda w: copy_of("labeling_adjudicationrequest", reason="''"),
    "adjudication_request_opens_seats_for_labelers": lambda w: copy_of("labeling_adjudicationrequest", seats="'{1}'"),
    "second_look_once_per_answer": lambda w: copy_of("labeling_secondlook"),
    "second_look_ends_with_its_outcome": update("secondlook", "state = 'kept'"),
    "second_look_note_says_why_it_is_kept": update("secondlook", "note = 'I mean it.'"),
    "user_applicant_is_labeler": lambda w: copy_of(
        "labeling_user", "role = 'admin'", username="'new'", group="'applicant'"
    ),
    "batch_queue_is_not_for_applicants": update("batch", "groups = '{applicant}'"),
    "screening_round_has_a_name": lambda w: copy_of(SCREENING, name="''"),
    "screening_round_state_is_known": lambda w: copy_of(SCREENING, name="'new'", state="'odd'"),
    "screening_cutoffs_are_shares": lambda w: copy_of(SCREENING, name="'new'", flags_cutoff="75"),
    "screening_grade_cutoff_is_1_to_7": lambda w: copy_of(SCREENING, name="'new'", grade_cutoff="8"),
    "screening_researchers_are_1_to_5": lambda w: copy_of(SCREENING, name="'new'", researchers="6"),
    "screening_graders_are_2_to_5": lambda w: copy_of(SCREENING, name="'new'", graders="1"),
    "screening_item_once_per_gate": lambda w: copy_of(ENTRY, DRAFT),
    "screening_item_has_completions_or_wants_one": lambda w: copy_of(ENTRY, DRAFT, gate="1"),
    "screening_batch_once_per_gate": lambda w: copy_of("labeling_screeningbatch", batch_id=str(w.other.batch_id)),
    "application_has_a_code": lambda w: copy_of("labeling_application", code="'abcd'"),
    "grade_once_per_demonstration_and_grader": lambda w: copy_of(GRADE, number="2"),
    "grade_number_once_per_demonstration": lambda w: copy_of(GRADE, grader_id=str(w.hal.pk)),
    "grade_is_1_to_7": lambda w: copy_of(GRADE, number="2", grader_id=str(w.hal.pk), grade="8"),
    "grade_number_is_1_to_5": lambda w: copy_of(GRADE, number="0", grader_id=str(w.hal.pk)),
    "screening_outcome_is_known": lambda w: copy_of(DECISION, outcome="'odd'"),
    "screening_decision_says_why": lambda w: copy_of(DECISION, reason="''"),
    "screening_decided_once_without_revising": lambda w: copy_of(DECISION),
    "topic_has_a_name": lambda w: copy_of("labeling_topic", name="''"),
    "topic_answer_once_per_person": lambda w: copy_of("labeling_topicanswer"),
    "guideline_number_is_at_least_1": lambda w: copy_of("labeling_guideline", number="0"),
    "guideline_says_something": lambda w: copy_of("labeling_guideline", number="2", text="''"),
    "guideline_read_once_per_labeler": lambda w: copy_of("labeling_guidelineread"),
    "question_state_is_known": update("question", "state = 'odd'"),
    "question_is_shared_with_its_answer": update("question", "shared_at = now()"),
    "message_says_something": lambda w: copy_of("labeling_message", text="''"),
    "prompt_categories_are_known": update("prompt", "categories = '{odd}'"),
    "practice_tour_number_once_per_labeler": lambda w: copy_of("labeling_practicetour"),
    "practice_tour_number_from_1": lambda w: copy_of("labeling_practicetour", number="0"),
    "practice_tour_ends_after_it_began": update("practicetour", "finished_at = began_at - interval '1 second'"),
    "practice_answer_once_per_attempt": lambda w: copy_of("labeling_practiceanswer", **NEW),
    "practice_answer_once_per_idempotency_key": lambda w: copy_of("labeling_practiceanswer", attempt="2"),
    "practice_answer_attempt_from_1": lambda w: copy_of("labeling_practiceanswer", attempt="0", **NEW),
    "invitation_accepted_by_someone_at_some_time": update("invitation", "accepted_at = now()"),
    "batch_overlap_1_to_100": update("batch", "overlap = 101"),
    "batch_shares_a_fifth_of_its_rankings": update("batch", "shared_percent = 21"),
    "batch_temperature_0_to_2": update("batch", "temperature = 2.1"),
    "batch_top_p_0_to_1": update("batch", "top_p = 0"),
    "batch_max_tokens_1_to_4096": update("batch", "max_tokens = 4097"),
    "batch_words_low_to_high": update("batch", "words_low = 2, words_high = 1"),
    "batch_suggestions_are_for_writing": lambda w: update("batch", f"suggestions_id = {w.endpoint.pk}"),
    "batch_item_once_per_prompt": lambda w: copy_of("labeling_batchitem", "prompt_id IS NOT NULL"),
    "batch_item_k_0_to_26": update("batchitem", "k = 27", "brief IS NULL"),
    "batch_item_has_prompt_or_brief": update("batchitem", "brief = NULL", "prompt_id IS NULL"),
    "batch_item_brief_names_its_form": update("batchitem", "brief = 'null'", "prompt_id IS NULL"),
    "batch_review_is_of_what_is_written": lambda w: copy_of("labeling_batch", "kind = 'ranking'", review="true"),
    "batch_of_reviews_says_of_which": lambda w: copy_of("labeling_batch", "kind = 'review'", review_of_id="NULL"),
    "form_name_is_a_word": update("form", "name = 'Two words'", "name = 'pairs'"),
    "form_version_number_once": lambda w: copy_of("labeling_formversion"),
    "form_version_number_from_1": lambda w: copy_of("labeling_formversion", number="0"),
    "completion_once_per_text": lambda w: copy_of("labeling_completion"),
    "maker_term_once_however_written": lambda w: copy_of("labeling_makerterm"),
    "maker_term_says_something": lambda w: copy_of("labeling_makerterm", normal="''"),
    "mark_once_per_span": lambda w: copy_of("labeling_completionmark"),
    "mark_spans_something": update("completionmark", '"end" = start'),
    "mark_state_is_known": update("completionmark", "state = 'odd', decided_at = now()"),
    "mark_is_decided_at_some_time": update("completionmark", "state = 'allowed'"),
    "campaign_compares_two_endpoints": update("campaign", "baseline_id = candidate_id"),
    "seat_that_adjudicates_is_in_no_queue": lambda w: copy_of(
        "labeling_seat", "groups <> '{}'", number="50", adjudicates="true"
    ),
    "adjudication_rule_once_per_batch": lambda w: copy_of("labeling_adjudicationrule"),
    "adjudication_policy_is_known": update("adjudicationrule", "policy = 'odd'"),
    "adjudication_threshold_0_to_99": update("adjudicationrule", "threshold = 100"),
    "adjudication_seats_1_to_most": update("adjudicationrule", "seats = most + 1"),
    "adjudication_case_is_decided_by_its_outcome": update("adjudicationcase", "state = 'decided'"),
    "adjudication_disagreement_0_to_1": update("adjudicationcase", "disagreement = 1.5"),
    "adjudication_look_is_one_row": update("adjudicationlook", "id = 2"),
    "assessment_number_once_per_task": lambda w: copy_of("labeling_assessment"),
    "assessment_state_is_known": lambda w: copy_of("labeling_assessment", number="2", state="'odd'"),
    "seat_number_once_per_task": lambda w: copy_of("labeling_seat"),
    "seat_state_is_known": update("seat", "state = 'odd'"),
    "queue_position_once_per_labeler_and_batch": lambda w: (
        "INSERT INTO labeling_queueposition (labeler_id, batch_id, place) "
        f"VALUES ({w.hal.pk}, {w.other.batch_id}, 1), ({w.hal.pk}, {w.other.batch_id}, 2)"
    ),
    "lease_one_open_per_seat": lambda w: copy_of(LEASE, OPEN, labeler_id=str(w.hal.pk)),
    "lease_one_submitted_per_seat": lambda w: copy_of(LEASE, SUBMITTED, labeler_id=str(w.hal.pk)),
    "lease_once_per_task_and_labeler": lambda w: copy_of(LEASE, SUBMITTED, seat_id="NULL", state="'expired'"),
    "lease_one_open_per_labeler": lambda w: copy_of(
        LEASE, OPEN, task_id=f"'{w.other.pk}'::uuid", seat_id=str(w.other.seats.get().pk)
    ),
    "lease_one_ahead_per_labeler": lambda w: copy_of(
        LEASE, "state = 'ahead'", task_id=f"'{w.other.pk}'::uuid", seat_id=str(w.other.seats.get().pk)
    ),
    "lease_state_is_known": update("lease", "state = 'odd'"),
    "lease_open_has_seat": update("lease", "seat_id = NULL", OPEN),
    "lease_correction_is_of_an_answer": update("lease", "correction_opened_at = now()", "state = 'open'"),
    "lease_sent_back_has_an_answer": update("lease", "sent_back = true", OPEN),
    "demonstration_one_per_lease_and_revision": lambda w: copy_of(DEMONSTRATION, **NEW),
    "demonstration_once_per_idempotency_key": lambda w: copy_of(DEMONSTRATION, revision="2", replaces_id="id"),
    "demonstration_is_not_empty": lambda w: copy_of(DEMONSTRATION, **SECOND, replaces_id="id", text="''"),
    "demonstration_has_at_most_40_turns": lambda w: copy_of(
        DEMONSTRATION, "turns <> '[]'", **SECOND, replaces_id="id", turns="to_jsonb(array_fill(0, ARRAY[40]))"
    ),
    "demonstration_pasted_is_a_count": lambda w: copy_of(DEMONSTRATION, **SECOND, replaces_id="id", pasted="-1"),
    "demonstration_revision_names_what_it_replaces": lambda w: copy_of(DEMONSTRATION, **SECOND),
    "demonstration_simulated_is_marked": lambda w: copy_of(
        DEMONSTRATION, **SECOND, replaces_id="id", origin="'simulated'"
    ),
    "suggestion_number_once_per_lease": lambda w: copy_of(SUGGESTION, ENDED),
    "suggestion_one_unfinished_per_lease": lambda w: copy_of(SUGGESTION, "state = 'writing'", number="3"),
    "suggestion_number_is_1_to_10": lambda w: copy_of(SUGGESTION, ENDED, number="11"),
    "suggestion_state_is_known": lambda w: copy_of(SUGGESTION, ENDED, number="3", state="'odd'"),
    "suggestion_ended_at_some_time": lambda w: copy_of(SUGGESTION, ENDED, number="3", ended_at="NULL"),
    "suggestion_failed_for_a_reason": lambda w: copy_of(SUGGESTION, ENDED, number="3", state="'failed'"),
    "suggestion_done_says_something": lambda w: copy_of(SUGGESTION, ENDED, number="3", text="''"),
    "suggestion_once_per_demonstration": lambda w: copy_of("labeling_demonstrationsuggestion"),
    "suggestion_use_is_a_share": lambda w: copy_of(
        "labeling_demonstrationsuggestion",
        suggestion_id="(SELECT id FROM labeling_suggestion WHERE number = 2)",
        kept="1.1",
    ),
    "written_prompt_one_per_lease_and_revision": lambda w: copy_of(WRITTEN, **NEW),
    "written_prompt_once_per_idempotency_key": lambda w: copy_of(WRITTEN, revision="2", replaces_id="id"),
    "written_prompt_revision_names_what_it_replaces": lambda w: copy_of(WRITTEN, **SECOND),
    "written_prompt_simulated_is_marked": lambda w: copy_of(WRITTEN, **SECOND, replaces_id="id", origin="'simulated'"),
    "written_prompt_use_case_is_known": lambda w: copy_of(WRITTEN, **SECOND, replaces_id="id", use_case="'odd'"),
    "written_prompt_pasted_is_a_count": lambda w: copy_of(WRITTEN, **SECOND, replaces_id="id", pasted="-1"),
    "written_prompt_has_the_parts_of_its_form": lambda w: copy_of(
        WRITTEN, **SECOND, replaces_id="id", content="'[\"text\"]'"
    ),
    "admission_has_a_prompt_or_a_reason": lambda w: (
        f"INSERT INTO labeling_admission (written_id, reason, detail) VALUES ('{w.written.pk}', 'sent_back', '')"
    ),
    "admission_once_per_written_and_review": lambda w: copy_of("labeling_admission"),
    "ranking_one_per_lease_and_revision": lambda w: copy_of(RANKING, **NEW),
    "ranking_once_per_idempotency_key": lambda w: copy_of(RANKING, revision="2", replaces_id="id"),
    "ranking_revision_names_what_it_replaces": lambda w: copy_of(RANKING, **SECOND),
    "ranking_adjudicates_as_a_researcher": lambda w: copy_of(RANKING, **SECOND, replaces_id="id", adjudicates="true"),
    "ranking_group_is_known": lambda w: copy_of(RANKING, **SECOND, replaces_id="id", group="'odd'"),
    "ranking_simulated_is_marked": lambda w: copy_of(RANKING, **SECOND, replaces_id="id", group="'simulated'"),
    "ranking_outcome_is_known": lambda w: copy_of(RANKING, **SECOND, replaces_id="id", outcome="'odd'"),
    "report_once_per_question": lambda w: copy_of("labeling_report"),
    "report_has_content_since_it_was_made": update("report", "made_at = now()"),
    "ranking_strength_1_to_9": lambda w: copy_of(RANKING, **SECOND, replaces_id="id", strength="10"),
    "review_one_per_lease_and_revision": lambda w: copy_of(REVIEW, **NEW),
    "review_once_per_idempotency_key": lambda w: copy_of(REVIEW, revision="2", replaces_id="id"),
    "review_revision_names_what_it_replaces": lambda w: copy_of(REVIEW, **SECOND),
    "review_is_of_one_answer": lambda w: copy_of(
        REVIEW, "demonstration_id IS NOT NULL", **SECOND, replaces_id="id", written_prompt_id=f"'{w.few_shot.pk}'::uuid"
    ),
    "review_verdict_is_known": lambda w: copy_of(REVIEW, **SECOND, replaces_id="id", verdict="'odd'", text="''"),
    "review_has_a_text_where_it_edits": lambda w: copy_of(REVIEW, **SECOND, replaces_id="id", verdict="'accept'"),
    "review_pasted_is_a_count_of_an_edit": lambda w: copy_of(REVIEW, **SECOND, replaces_id="id", pasted="-1"),
    "review_sends_back_with_a_note": lambda w: copy_of(
        REVIEW, **SECOND, replaces_id="id", verdict="'send_back'", text="''"
    ),
    "review_simulated_is_marked": lambda w: copy_of(REVIEW, **SECOND, replaces_id="id", origin="'simulated'"),
    "judgment_once_per_completion": lambda w: copy_of(JUDGMENT),
    "judgment_rank_1_to_26": lambda w: copy_of(JUDGMENT, rank="27"),
    "judgment_rating_1_to_7": lambda w: copy_of(JUDGMENT, rating="8"),
    "quality_report_once_per_labeler_and_kind": lambda w: copy_of("labeling_qualityreport", "labeler_id IS NULL"),
    "quality_report_p_is_a_probability": update("qualityreport", "p = 1.1"),
    "quality_report_interval_from_low_to_high": update("qualityreport", "low = high + 1"),
    "quality_standing_once_per_labeler": lambda w: copy_of("labeling_qualitystanding"),
    "dataset_once_per_content_hash": lambda w: copy_of("labeling_dataset"),
    "finding_spans_something": update("finding", '"end" = start'),
    "finding_score_is_a_share": update("finding", "score = 1.5"),
    "detector_version_once": lambda w: copy_of("labeling_detectorversion"),
    "policy_threshold_is_a_share": lambda w: copy_of("labeling_policy", number="99", hold_at="0"),
    "policy_preset_is_known": lambda w: copy_of("labeling_policy", number="99", preset="'odd'"),
    "policy_rule_once_per_split_and_kind": lambda w: copy_of("labeling_policyrule"),
    "policy_rule_split_is_known": lambda w: copy_of("labeling_policyrule", split="'odd'"),
    "policy_rule_action_is_known": lambda w: copy_of("labeling_policyrule", kind="'new'", action="'odd'"),
    "gate_once_per_detector_and_policy": lambda w: copy_of("labeling_gate"),
    "decision_undo_says_what_it_undoes": lambda w: copy_of("labeling_decision", outcome="'undo'"),
    "flag_one_open_per_person": lambda w: copy_of("labeling_flag"),
    "flag_says_where_or_what": update("flag", "words = 0, note = ''"),
    "blind_sample_1_to_10000": update("blindsample", "wanted = 0"),
    "blind_sample_state_is_known": update("blindsample", "state = 'odd'"),
    "blind_item_once_per_sample": lambda w: copy_of("labeling_blinditem"),
    "blind_item_judged_says_who_and_what": update("blinditem", "judged_at = now()"),
    "output_scan_once_per_text": lambda w: copy_of("labeling_outputscan"),
    "checkpoint_served_was_published": update("checkpoint", "published_at = NULL"),
    "run_ppo_has_reward_model": lambda w: copy_of("labeling_run", algorithm="'ppo'", name="'new'"),
}


def named() -> set[str]:
    models = apps.get_app_config("labeling").get_models()
    return {constraint.name for model in models for constraint in model._meta.constraints}


def test_every_constraint_is_tried():
    assert set(BREAKERS) == named()


@pytest.mark.parametrize("name", sorted(BREAKERS))
def test_constraint_refuses(world, refused, name):
    breaker = BREAKERS[name]
    error = refused(breaker if isinstance(breaker, str) else breaker(world))
    assert error.__cause__.diag.constraint_name == name


@pytest.mark.parametrize("which", ["turns = '[]'", "turns <> '[]'"])
def test_only_a_dialogue_has_turns(world, refused, which):
    turns = "'[{}]'" if which == "turns = '[]'" else "'[]'"
    error = refused(copy_of(DEMONSTRATION, which, **SECOND, replaces_id="id", turns=turns))
    assert error.__cause__.diag.constraint_name == "demonstration_has_turns_in_a_dialogue"


def test_ranks_and_ratings_below_one_are_refused_too(world, refused):
    for change in ({"rank": "0"}, {"rating": "0"}):
        assert refused(copy_of(JUDGMENT, **change)).__cause__.diag.constraint_name.startswith("judgment_ra")


def test_an_answer_is_replaced_once(world, refused):
    """Two corrections of one answer would leave two that are the latest."""
    from django.db import connection

    first = f"id = '{world.ranking.pk}'"
    with connection.cursor() as cursor:
        cursor.execute(copy_of(RANKING, first, **SECOND, replaces_id="id"))
    third = copy_of(RANKING, first, revision="3", idempotency_key="'third'", replaces_id="id")
    assert "replaces_id" in refused(third).__cause__.diag.constraint_name


def test_a_brief_has_no_prompt_no_completions_and_a_known_form(world, refused):
    for change in ('brief = \'{"form": "odd"}\'', "brief = '{}'", "brief = '\"plain\"'", "k = 2"):
        error = refused(update("batchitem", change, "prompt_id IS NULL"))
        assert error.__cause__.diag.constraint_name == "batch_item_brief_names_its_form"
    both = update("batchitem", "prompt_id = (SELECT id FROM labeling_prompt LIMIT 1)", "prompt_id IS NULL")
    assert refused(both).__cause__.diag.constraint_name == "batch_item_has_prompt_or_brief"


def test_a_brief_stands_where_prompts_are_written_alone(world, refused):
    for kind in ("ranking", "demonstration"):
        there = f"(SELECT id FROM labeling_batch WHERE kind = '{kind}' LIMIT 1)"
        error = refused(copy_of("labeling_batchitem", "brief IS NOT NULL", batch_id=there))
        assert "no prompts are written" in str(error)


def test_a_written_prompt_has_the_parts_of_its_form(world, refused):
    pair = '{"query": "q", "response": "r"}'
    for form, content in (
        ("plain", "{}"),
        ("plain", '{"text": ""}'),
        ("user_based", "null"),
        ("odd", '{"text": "x"}'),
        ("few_shot", '{"text": "x"}'),
        ("few_shot", f'{{"instruction": "i", "query": "q", "pairs": [{pair}]}}'),
        ("few_shot", f'{{"instruction": "i", "query": "q", "pairs": [{", ".join([pair] * 21)}]}}'),
        ("few_shot", f'{{"instruction": "", "query": "q", "pairs": [{pair}, {pair}]}}'),
        ("few_shot", f'{{"instruction": "i", "pairs": [{pair}, {pair}]}}'),
    ):
        error = refused(copy_of(WRITTEN, **SECOND, replaces_id="id", form=f"'{form}'", content=f"'{content}'"))
        assert error.__cause__.diag.constraint_name == "written_prompt_has_the_parts_of_its_form", content


def test_what_was_written_and_admitted_stays(world, refused):
    for table, column in (("writtenprompt", "use_case"), ("admission", "detail")):
        for statement in (update(table, f"{column} = 'other'"), f"DELETE FROM labeling_{table}"):
            assert f"labeling_{table}" in str(refused(statement))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labeler_id": "(SELECT labeler_id FROM labeling_writtenprompt WHERE id = written_prompt_id)"}, "their own"),
        ({"text": "'last'"}, "changes something"),
        ({"turns": "turns - 1"}, "keeps the number of turns"),
        ({"turns": "jsonb_set(turns, '{0, role}', '\"query\"')"}, "keeps the number of turns"),
    ],
)
def test_a_review_of_a_prompt_is_of_another_ones_and_keeps_its_parts(world, refused, changes, words):
    error = refused(copy_of(REVIEW, "written_prompt_id IS NOT NULL", **SECOND, replaces_id="id", **changes))
    assert words in str(error)


def test_a_reviewed_prompt_is_admitted_by_its_own_review_alone(world, refused):
    pool = "(SELECT id FROM labeling_prompt LIMIT 1)"
    for written, review, prompt in (
        (world.few_shot, None, pool),
        (world.few_shot, world.review, pool),
        (world.written, world.prompt_review, "NULL"),
    ):
        reason = "''" if prompt == pool else "'other'"
        named = f"'{review.pk}'" if review else "NULL"
        insert = (
            "INSERT INTO labeling_admission (written_id, review_id, prompt_id, reason, detail) "
            f"VALUES ('{written.pk}', {named}, {prompt}, {reason}, '')"
        )
        assert "follows the review" in str(refused(insert))


def test_groups_that_must_not_mix_are_kept_apart(world, refused, sim, rita):
    for change, where in (
        ("training", "held_out"),  # what models are measured by has trained one
        ("researcher", "held_out"),
        ("training", "simulated"),
        ("simulated", "training"),
    ):
        error = refused(update("user", f"\"group\" = '{change}'", f"\"group\" = '{where}'"))
        assert error.__cause__.diag.constraint_name == "user_group_keeps_apart", (change, where)
    # Ada has answered, Rita has not.
    refused(update("user", "\"group\" = 'held_out'", "username = 'ada'"))
    assert type(rita).objects.filter(pk=rita.pk).update(group="held_out") == 1


def test_a_decision_about_a_completion_stays(world, refused):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(update("completionmark", "state = 'withheld', decided_at = now()"))
    for statement in (update("completionmark", "state = 'allowed'"), "DELETE FROM labeling_completionmark"):
        assert "labeling_completionmark" in str(refused(statement))


def test_a_suggestion_is_frozen_once_it_ended_and_what_was_made_of_it_always(world, refused):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(update("suggestion", "text = 'more'", "state = 'writing'"))
        assert cursor.rowcount == 1
    for statement in (
        update("suggestion", "text = 'other'", "state = 'done'"),
        update("suggestion", "state = 'writing', ended_at = NULL", "number = 1"),
        "DELETE FROM labeling_suggestion WHERE state = 'writing'",
        update("demonstrationsuggestion", "kept = 1"),
        "DELETE FROM labeling_demonstrationsuggestion",
    ):
        assert "suggestion" in str(refused(statement))


def test_what_was_decided_about_personal_data_stays(world, refused):
    for statement in (
        update("policy", "hold_at = 0.9"),
        "DELETE FROM labeling_policy",
        update("policyrule", "action = 'allow'"),
        "DELETE FROM labeling_policyrule",
        update("gate", "policy_id = policy_id + 1"),
        update("detectorversion", "version = '9'"),
        update("decision", "reason = 'other'"),
    ):
        assert "Cannot" in str(refused(statement)), statement
    # A rule comes with its policy: nothing is added to one that was made before.
    earlier = "(SELECT id FROM labeling_policy WHERE number = 0)"
    assert "made already" in str(refused(copy_of("labeling_policyrule", policy_id=earlier)))


def test_a_prompt_changes_by_redaction_alone(world, refused):
    changed = 'messages = \'[{"role": "user", "content": "Other."}]\''
    kept = "(SELECT prompt_id FROM labeling_original)"
    assert "original is not kept" in str(refused(update("prompt", changed, f"id NOT IN {kept}")))
    # With its original kept, it keeps its turns.
    assert "original is not kept" in str(refused(update("prompt", "messages = '[]'", f"id IN {kept}")))
    assert "labeling_original" in str(refused(update("original", "messages = '[]'")))
    other = f"(SELECT id FROM labeling_prompt WHERE id NOT IN {kept} LIMIT 1)"
    assert "another text" in str(refused(copy_of("labeling_original", prompt_id=other)))


def test_a_mix_of_use_cases_is_a_whole(world, refused):
    for shares in ("'{100}'", "'{50,40,0,0,0,0,0,0,0,0}'", "'{110,-10,0,0,0,0,0,0,0,0}'"):
        assert "together 100" in str(refused(copy_of("labeling_usecasetarget", number="9", shares=shares)))


def test_a_practice_answer_stays(world, refused):
    for statement in (update("practiceanswer", "attempt = 2"), "DELETE FROM labeling_practiceanswer"):
        assert "labeling_practiceanswer" in str(refused(statement))


def test_programs_and_imported_labelers_are_never_paid(world, refused, sim, ada):
    ada.username = "import:source:1"
    ada.save()
    for person in (sim, ada):
        assert "never paid" in str(refused(copy_of(RATE, person_id=str(person.pk), valid_from="valid_from + 1")))
        assert "never paid" in str(refused(copy_of(LEDGER, TIME, person_id=str(person.pk), number="9")))


def test_rates_the_currency_and_what_was_decided_about_pay_stay(world, refused):
    assert "Cannot update" in str(refused(update("payrate", "per_hour = 1")))
    assert "payrate" in str(refused("DELETE FROM labeling_payrate; SET CONSTRAINTS ALL IMMEDIATE"))
    assert "stays the currency" in str(refused(update("paysettings", "currency = 'EUR'")))
    for change, where in (
        ("state = 'declined'", "state = 'accepted'"),
        ("answer = 'Other.'", "state = 'accepted'"),
        ("text = 'Other.'", "state = 'open'"),
        ("minutes = 500", "state = 'accepted'"),
    ):
        assert "decided once" in str(refused(update("payrequest", change, where)))
    assert "Cannot delete" in str(refused("DELETE FROM labeling_payrequest"))


def test_amounts_are_rounded_as_the_code_rounds(world, refused):
    """Seconds around each half, both ways: PostgreSQL takes the amount of `amount_of` and no neighbour."""
    from django.db import connection, transaction

    from labeling.pay.money import amount_of

    number = 10
    for per_hour in (1, 1799, 1800, 1850, 99_999_999):
        for seconds in (1, 2, 59, 1799, 1800, 1801, 86_399, -1, -2, -1800, -3601):
            right = amount_of(seconds, per_hour)
            for amount in (right - 1, right, right + 1):
                number += 1
                given = {"seconds": str(seconds), "priced": str(seconds), "per_hour": str(per_hour)}
                statement = copy_of(LEDGER, TIME, **given, number=str(number), amount=str(amount))
                if amount != right:
                    assert "ledger_amount_is_time_at_its_rate" in str(refused(statement))
                else:
                    with transaction.atomic(), connection.cursor() as cursor:
                        cursor.execute(statement)


def test_what_was_erased_stays_erased(world, refused):
    """Neither its texts nor its state come back, whoever asks; that a newer filter went over it is no harm."""
    from django.db import connection

    for change in ("state = 'accepted'", "messages = '[]'", "external_id = 'p9'", "text_sha256 = 'x'"):
        assert "labeling_prompt" in str(refused(update("prompt", change, "state = 'erased'"))), change
    with connection.cursor() as cursor:
        cursor.execute(update("prompt", "gate_id = gate_id", "state = 'erased'"))
        assert cursor.rowcount == 1
