"""What the pages of tasks to write need, which `labeling.leasing.views` renders; and what was written, for the team."""

from __future__ import annotations

from dataclasses import replace

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from labeling.demos import queries
from labeling.demos.layout import messages_of
from labeling.demos.models import MOST_TURNS, WrittenPrompt
from labeling.demos.services import TEXT_CHARACTERS, first_speaker, speaker, submit_demonstration
from labeling.demos.written import submit_written_prompt
from labeling.leasing.answers import form_head, form_number, form_text, form_texts
from labeling.leasing.kinds import Kind, by_id
from labeling.leasing.models import Lease
from labeling.people.access import STAFF, only
from labeling.people.queries import get_person
from labeling.refusals import Refusal
from labeling.sampling.briefs import LEAST_PAIRS, MOST_PAIRS
from labeling.sampling.models import Batch, BriefForm
from labeling.sampling.services import get_batch
from labeling.use_cases.queries import categories


def read_form(fields: QueryDict, lease: Lease) -> dict:
    """The submit body that the form's fields say: text, or a dialogue's turns. Without the script nobody counts what is
    pasted."""
    if lease.task.kind == Batch.Kind.DEMONSTRATION:
        return {**form_head(fields), "text": form_text(fields, "text")}
    written = form_texts(fields, "turn")
    while written and not written[-1].strip():
        written.pop()
    first = first_speaker(lease.task.item.prompt.messages)
    turns = [{"role": speaker(n, first=first), "content": text} for n, text in enumerate(written[:-1], start=1)]
    return {**form_head(fields), "turns": turns, "text": written[-1] if written else ""}


def context(lease: Lease) -> dict:
    more = {"text_characters": TEXT_CHARACTERS}
    if lease.task.kind == Batch.Kind.DIALOGUE:
        more |= {"most_turns": MOST_TURNS, "first_speaker": first_speaker(lease.task.item.prompt.messages)}
    return more


KIND = Kind(
    submit=by_id(submit_demonstration),
    answers=queries.demonstrations_of,
    content=queries.content_of,
    read_form=read_form,
    context=context,
    task_template="demos/task.html",
    answer_template="demos/answer.html",
    given_template="demos/_given.html",
)
DIALOGUE = replace(KIND, task_template="demos/dialogue.html")


def read_prompt_form(fields: QueryDict, lease: Lease) -> dict:
    """The submit body that the form's fields say. An example without a word is one that was not wanted."""
    body = {**form_head(fields), "use_case": fields.get("use_case", "")}
    if lease.task.item.brief["form"] != BriefForm.FEW_SHOT:
        return {**body, "text": form_text(fields, "text")}
    texts = zip(form_texts(fields, "pair_query"), form_texts(fields, "pair_response"), strict=False)
    pairs = [{"query": query, "response": response} for query, response in texts if query.strip() or response.strip()]
    return {**body, **{name: form_text(fields, name) for name in ("instruction", "query")}, "pairs": pairs}


def prompt_context(lease: Lease) -> dict:
    brief = lease.task.item.brief
    return {
        "brief": brief,
        "text_characters": TEXT_CHARACTERS,
        "use_cases": [(each["value"], each["label"], each["hint"], each["key"]) for each in categories()],
        "blank_pairs": [{"query": "", "response": ""}] * max(LEAST_PAIRS, brief["pairs"]),
        "spare_pairs": [{"query": "", "response": ""}] * 2,
        "least_pairs": max(LEAST_PAIRS, brief["pairs"]),
        "most_pairs": MOST_PAIRS,
    }


def prompt_answer_context(written: WrittenPrompt) -> dict:
    return {
        "written": written,
        "written_messages": messages_of(written.form, written.content),
        "admission": queries.admission_of(written),
    }


PROMPT_KIND = Kind(
    submit=by_id(submit_written_prompt),
    answers=queries.written_prompts_of,
    content=queries.content_of_prompt,
    read_form=read_prompt_form,
    context=prompt_context,
    task_template="demos/prompt.html",
    answer_template="demos/prompt_answer.html",
    given_template="demos/_prompt_given.html",
    answer_context=prompt_answer_context,
)


# Staff


@require_safe
@only(*STAFF)
def written(request: HttpRequest) -> HttpResponse:
    number = form_number(request.GET, "labeler")
    if isinstance(number, str):
        raise Refusal(_("`labeler` must be a person's number; take it out of the address for all."))
    labeler = None if number is None else get_person(number)
    page = queries.written_page(labeler=labeler, after=request.GET.get("after"))
    return render(request, "demos/written.html", {"page": page, "labeler": labeler})


@require_safe
@only(*STAFF)
def written_one(request: HttpRequest, demonstration_id) -> HttpResponse:
    return render(request, "demos/written_one.html", {"written": queries.get_written(demonstration_id)})


@require_safe
@only(*STAFF)
def batch_suggestions(request: HttpRequest, batch_id: int) -> HttpResponse:
    batch = get_batch(batch_id)
    page = queries.page_of_uses(batch, after=request.GET.get("after"))
    return render(request, "demos/suggestions.html", {"batch": batch, "page": page})


@require_safe
@only(*STAFF)
def written_prompts(request: HttpRequest, batch_id: int) -> HttpResponse:
    batch = get_batch(batch_id)
    page = queries.page_of_written_prompts(batch, after=request.GET.get("after"))
    rows = [(one, messages_of(one.form, one.content), queries.admission_of(one)) for one in page]
    return render(request, "demos/written_prompts.html", {"batch": batch, "page": page, "rows": rows})
