"""What is stored in English, said in the reader's language: values that pages show as they are stored.

Only what is listed here, so that a name which somebody gave to a batch never turns into another word.
"""

from __future__ import annotations

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

# Where one value stands for several things, its word has to fit all of them.
VALUES = frozenset(
    (
        # states: of jobs, prompts, batches and their items, invitations
        *(_("queued"), _("running"), _("done"), _("failed"), _("cancelled"), _("accepted"), _("held"), _("dropped")),
        *(_("erased"), _("person_erased"), _("prompt_erased")),
        *(_("sampling"), _("open"), _("closed"), _("waiting"), _("filled"), _("revoked"), _("expired")),
        *(_("submitted"), _("skipped"), _("allowed"), _("withheld"), _("stopped"), _("given_up")),
        # labeler groups, roles in a prompt, splits, origins
        *(
            _("training"),
            _("held_out"),
            _("researcher"),
            _("simulated"),
            _("applicant"),
            _("user"),
            _("assistant"),
            _("system"),
        ),
        *(_("train"), _("valid"), _("test"), _("workbench"), _("import")),
        # use cases
        *(_("generation"), _("open_qa"), _("brainstorming"), _("chat"), _("rewrite"), _("summarization")),
        *(_("classification"), _("other"), _("closed_qa"), _("extract")),
        # models, and what they are to each other
        *(_("policy"), _("reward"), _("itself"), _("base")),
        # what a job does, and where it is
        *(
            _("look_for_disagreement"),
            _("import_prompts"),
            _("look_for_maker"),
            _("export"),
            _("publish"),
            _("check_endpoint"),
            _("sample_batch"),
            _("rescan_prompts"),
            _("draw_blind_sample"),
        ),
        *(_("reading"), _("writing"), _("starting"), _("loading"), _("validating"), _("scoring"), _("saving")),
        *(_("scanning"),),
        *(_("validating before"), _("validating after"), _("ending an earlier trainer")),
        # why a line or an answer is left out
        *(_("duplicate"), _("external_id_conflict"), _("user_cap"), _("personal_data"), _("empty"), _("too_long")),
        *(_("too_many_tokens"), _("other_source")),
        *(_("not_utf8"), _("not_csv"), _("not_json"), _("unreadable"), _("wrong_type"), _("last_not_user")),
        *(_("unknown_role"), _("unknown_use_case"), _("unknown_category"), _("bad_text"), _("no_prompt")),
        *(_("empty_completion"), _("labeler_twice"), _("no_completions"), _("no_consent"), _("no_labeler")),
        *(_("no_rankings"), _("not_an_object"), _("prompt_rejected"), _("too_many_labelers"), _("wrong_k")),
        *(_("wrong_ranks"), _("evaluation_batch"), _("evaluation")),
        *(_("completions_with_personal_data"), _("prompt_held"), _("prompt_dropped"), _("prompt_not_accepted")),
        *(_("probation"), _("corrected"), _("all_bad"), _("cannot_rank"), _("no_order_asked"), _("adjudicated")),
        *(_("not_adjudicated"), _("no_consensus"), _("one_answer")),
        *(_("label_error"),),
        # hidden checks
        *(_("hidden_check"), _("gold"), _("anchor")),
        # what a data set was asked for, and what it counts
        *(_("splits"), _("sources"), _("use_cases"), _("batches"), _("groups"), _("origins"), _("purpose")),
        *(_("leave_out_errors"), _("find_label_errors"), _("comparing")),
        *(_("since"), _("agreement"), _("ties"), _("all_bad"), _("forms"), _("formats"), _("by_ties"), _("by_batch")),
        *(_("with ties"), _("without ties"), _("consensus")),
        *(_("include_simulated"), _("until"), _("rows"), _("pairs"), _("tied_pairs"), _("labelers")),
        *(_("include_probation"), _("consensus")),
        *(_("by_split"), _("by_source"), _("by_use_case"), _("by_group"), _("by_origin"), _("by_k"), _("by_language")),
        # steps of onboarding
        *(_("began"), _("trained"), _("answered"), _("passed"), _("extended"), _("ended")),
        # filters of the prompts
        *(_("state"), _("split"), _("source")),
        # fields of a form
        *(_("scale"), _("flag"), _("choice"), _("text")),
    )
)


def in_words(value: object) -> object:
    """`value` in the reader's language where it is one of VALUES, else itself."""
    return gettext(value) if isinstance(value, str) and value in VALUES else value
