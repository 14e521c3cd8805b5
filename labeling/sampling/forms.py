"""Forms of the pages of endpoints and batches. They read fields; the services hold the rules."""

from __future__ import annotations

import secrets

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.forms.models import Form
from labeling.forms.queries import usable_forms
from labeling.forms.wording import in_language
from labeling.intake.models import Split, UseCase
from labeling.intake.queries import source_names
from labeling.people.models import WORKING_CHOICES
from labeling.sampling import briefs, queries
from labeling.sampling.choosing import USUAL_FLOOR, Selection
from labeling.sampling.models import Batch, BatchItem

STATEMENTS_BYTES = 5_000_000


class EndpointForm(forms.Form):
    name = forms.CharField(
        max_length=100, help_text=_("What your team calls it; labelers never see it."), label=_("Name")
    )
    base_url = forms.CharField(
        max_length=300, label=_("Address"), help_text=_("Of an OpenAI-compatible server, such as http://127.0.0.1:8001")
    )
    model = forms.CharField(max_length=200, help_text=_("The model's name on that server."), label=_("Model"))
    api_key_variable = forms.CharField(
        max_length=100,
        required=False,
        label=_("Variable with the key"),
        help_text=_(
            "If the server wants a key: the environment variable of the workers that holds it, "
            "MODEL_API_KEY or MODEL_API_KEY_SOMETHING. The key itself is never stored."
        ),
    )


class FormChoice(forms.ModelChoiceField):
    def label_from_instance(self, form: Form) -> str:
        return in_language(form.title)


class PromptBatchForm(forms.Form):
    name = forms.CharField(max_length=100, label=_("Name"))
    plain = forms.IntegerField(min_value=0, initial=0, label=_("Prompts of any task"))
    few_shot = forms.IntegerField(
        min_value=0,
        initial=0,
        label=_("Prompts with examples"),
        help_text=_("An instruction, several pairs of query and response, and one more query."),
    )
    pairs = forms.IntegerField(
        initial=briefs.USUAL_PAIRS, label=_("Pairs in each, at least"), help_text=_("From 2 to 20.")
    )
    use_cases = forms.MultipleChoiceField(
        choices=UseCase.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=_("Use cases to aim at"),
        help_text=_("Of these two forms. None ticked: all ten."),
    )
    spread = forms.ChoiceField(
        choices=[
            ("paper", _("as InstructGPT's customers used it (generation 45.6 %, open QA 12.4 % …)")),
            ("even", _("evenly")),
            ("none", _("not at all: labelers choose")),
        ],
        label=_("How they are spread"),
    )
    statements = forms.CharField(
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 6, "dir": "auto"}),
        label=_("Stated uses"),
        help_text=_(
            "What people said they would use an assistant for, such as in their applications; one on each line. "
            "Labelers read them."
        ),
    )
    statements_file = forms.FileField(
        required=False, label=_("Or a file of them"), help_text=_("Text in UTF-8, one on each line, up to 5 MB.")
    )
    user_based = forms.IntegerField(
        min_value=0,
        required=False,
        label=_("Prompts for stated uses"),
        help_text=_("In all, shared out over the lines. Empty: one for each."),
    )
    note = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "dir": "auto"}),
        label=_("A note to the labelers"),
        help_text=_("Stands in each brief."),
    )
    overlap = forms.IntegerField(initial=1, label=_("Overlap"), help_text=_("How many labelers write to each brief."))
    groups = forms.MultipleChoiceField(
        choices=[(group.value, group.label) for group in briefs.WRITERS],
        initial=["training"],
        widget=forms.CheckboxSelectMultiple,
        label=_("Labeler groups"),
        help_text=_("Held-out labelers write no prompts: nothing of theirs may train a model."),
    )
    priority = forms.IntegerField(initial=0, label=_("Priority"), help_text=_("Higher ones are served first."))
    seed = forms.IntegerField(label=_("Seed"), help_text=_("The same seed gives the same briefs in the same order."))
    review = forms.BooleanField(
        required=False,
        label=_("A second labeler reviews each written prompt"),
        help_text=_(
            "It goes into the pool once it is accepted or edited, by somebody else of these groups. This cannot be "
            "changed."
        ),
    )

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["seed"].initial = secrets.randbelow(2**31)

    def clean_statements_file(self) -> list[str]:
        """Its lines."""
        upload = self.cleaned_data["statements_file"]
        if upload is None:
            return []
        if upload.size > STATEMENTS_BYTES:
            raise forms.ValidationError(_("The file is larger than 5 MB; give the stated uses in smaller ones."))
        try:
            return upload.read().decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise forms.ValidationError(
                _("The file is not UTF-8: byte {byte} cannot be read. Save it as UTF-8.").format(byte=error.start)
            ) from None

    def batch(self) -> dict:
        """The arguments of `create_prompt_batch`."""
        given = dict(self.cleaned_data)
        lines = given.pop("statements").splitlines() + given.pop("statements_file")
        return {**given, "statements": lines}


class BatchForm(forms.Form):
    name = forms.CharField(max_length=100, label=_("Name"))
    kind = forms.ChoiceField(
        choices=[
            ("ranking", _("Rank completions")),
            ("demonstration", _("Write the ideal answer")),
            ("dialogue", _("Write a dialogue, both sides")),
        ],
        label=_("Labelers"),
    )
    endpoints = forms.ModelMultipleChoiceField(
        queryset=None,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("K is shared out evenly over those you tick. None for ideal answers."),
        label=_("Endpoints"),
    )
    form = FormChoice(
        queryset=None,
        required=False,
        empty_label=_("The usual one: rate each, then rank all"),
        label=_("Form"),
        help_text=_("What is asked of each completion and of its prompt. Ideal answers have none."),
    )
    reuse = forms.ChoiceField(
        choices=[("", _("sampled anew, by the endpoints")), *Batch.Reuse.choices],
        required=False,
        label=_("Completions"),
        help_text=_("Those there are come from earlier rankings of the prompts; then no endpoint is ticked."),
    )
    k = forms.CharField(
        max_length=60,
        required=False,
        label=_("K, completions a prompt"),
        help_text=_(
            "2 to 9 to be ranked, 2 for pairs, 1 to 9 to be rated alone; empty: 4, 2 or 1. A range such "
            "as 4-9 draws each prompt's K; 4:3,9:1 draws 4 three times as often as 9."
        ),
    )
    splits = forms.MultipleChoiceField(
        choices=Split.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None: every split."),
        label=_("Splits"),
    )
    sources = forms.MultipleChoiceField(
        choices=[], required=False, widget=forms.CheckboxSelectMultiple, label=_("Sources")
    )
    use_cases = forms.MultipleChoiceField(
        choices=UseCase.choices, required=False, widget=forms.CheckboxSelectMultiple, label=_("Use cases")
    )
    count = forms.IntegerField(min_value=1, required=False, label=_("Prompts"), help_text=_("Empty: all that match."))
    order = forms.ChoiceField(
        choices=BatchItem.Strategy.choices,
        label=_("Order"),
        help_text=_("Which ones, when not all. How likely each was to be drawn is stored with its task."),
    )
    floor = forms.IntegerField(
        min_value=1,
        max_value=100,
        initial=round(100 * USUAL_FLOOR),
        required=False,
        label=_("Drawn at random anyway, in percent"),
        help_text=_("Where some prompts are preferred: so much of the draw goes to all alike."),
    )
    suggested = forms.BooleanField(
        required=False, label=_("By use case: count suggested ones too, where people have said none")
    )
    fresh = forms.BooleanField(required=False, initial=True, label=_("Only prompts that are in no batch yet"))
    overlap = forms.IntegerField(initial=1, help_text=_("How many labelers answer each task."), label=_("Overlap"))
    shared_percent = forms.IntegerField(
        min_value=0,
        max_value=20,
        required=False,
        initial=10,
        label=_("Shared by all, in percent"),
        help_text=_("Of rankings: so many in 100 tasks every labeler of these groups answers. They measure agreement."),
    )
    groups = forms.MultipleChoiceField(
        choices=WORKING_CHOICES,
        initial=["training"],
        widget=forms.CheckboxSelectMultiple,
        label=_("Labeler groups"),
        help_text=_("Who is offered the tasks. Answers of held-out labelers never enter a training export."),
    )
    group_targets = forms.CharField(
        max_length=100,
        required=False,
        label=_("Answers of each group"),
        help_text=_("Such as training:2,researcher:1, in place of overlap and groups. Empty: whoever comes first."),
    )
    again = forms.BooleanField(
        required=False, label=_("A later round: also for labelers who had these prompts in another batch")
    )
    priority = forms.IntegerField(initial=0, help_text=_("Higher ones are served first."), label=_("Priority"))
    temperature = forms.FloatField(initial=1.0, label=_("Temperature"))
    top_p = forms.FloatField(initial=1.0, label=_("Top-p"))
    max_tokens = forms.IntegerField(initial=256, label=_("Longest completion, tokens"))
    seed = forms.IntegerField(
        help_text=_("The same seed chooses the same prompts and asks for the same samples."), label=_("Seed")
    )
    evaluation = forms.BooleanField(
        required=False, label=_("For evaluation: compares the endpoints, and is never trained on")
    )
    review = forms.BooleanField(
        required=False,
        label=_("A second labeler reviews each written answer"),
        help_text=_(
            "It counts once it is accepted or edited, by somebody else of these groups. This cannot be changed."
        ),
    )
    probation = forms.BooleanField(
        required=False,
        label=_("For labelers on probation"),
        help_text=_("Served to them before anything else, and to nobody else but researchers of these groups."),
    )
    hold_named = forms.BooleanField(
        required=False,
        initial=True,
        label=_("Hold completions that name their maker"),
        help_text=_("They are served once an admin has looked at them; else at once, to labelers who then know."),
    )

    words_low = forms.IntegerField(
        required=False,
        label=_("Words, at least"),
        help_text=_("For ideal answers: a hint beside the word count. Nothing is refused for its length."),
    )
    words_high = forms.IntegerField(required=False, label=_("Words, at most"))
    suggestions = forms.ModelChoiceField(
        queryset=None,
        required=False,
        empty_label=_("Nobody: labelers write on their own"),
        label=_("Suggestions by"),
        help_text=_(
            "For ideal answers: whom labelers may ask for a text to begin from. They are never told who wrote it, and "
            "what they make of it is kept."
        ),
    )

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["endpoints"].queryset = queries.active_endpoints()
        self.fields["suggestions"].queryset = queries.active_endpoints()
        self.fields["form"].queryset = usable_forms()
        self.fields["sources"].choices = [(name, name) for name in source_names()]
        self.fields["seed"].initial = secrets.randbelow(2**31)

    def batch(self) -> dict:
        """The arguments of `create_batch`."""
        given = dict(self.cleaned_data)
        chosen = {name: tuple(given.pop(name)) for name in ("splits", "sources", "use_cases")}
        same = {name: given.pop(name) for name in ("count", "order", "fresh", "suggested")}
        floor = given.pop("floor")
        selection = Selection(floor=USUAL_FLOOR if floor is None else floor / 100, **same, **chosen)
        given["shared_percent"] = given["shared_percent"] or 0
        if given["kind"] != Batch.Kind.RANKING:
            given |= {"endpoints": [], "form": None, "shared_percent": 0, "reuse": ""}
        return {**given, "prompts": selection}
