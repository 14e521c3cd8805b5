"""Pages about prompts: the list, one prompt with what was found in it, bringing files in, and what waits."""

from __future__ import annotations

from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from labeling.governance import deciding, forms, importing, personal_data, policies, queries, scanning, triage
from labeling.intake import queries as intake
from labeling.intake.models import Prompt, Split
from labeling.people.access import ADMINS, STAFF, only
from labeling.refusals import Refusal
from labeling.wording import in_words

AHEAD = 4  # items that the page of triage fetches before they are needed


@require_GET
@only(*STAFF)
def prompts(request: HttpRequest) -> HttpResponse:
    asked = {name: request.GET.get(name, "")[:100] for name in intake.FILTERS}
    page = intake.prompts_page(**asked, after=request.GET.get("after"))
    context = {"page": page, "asked": asked, "filters": intake.FILTERS, "sources": intake.source_names()}
    return render(request, "governance/prompts.html", context)


@require_GET
@only(*STAFF)
def prompt(request: HttpRequest, prompt_id) -> HttpResponse:
    """A held prompt as it came in, with a line in the trail; a dropped one without what was found."""
    found = intake.get_prompt(prompt_id)
    findings = queries.findings_of([found])[found.pk]
    original = deciding.original_of(found)
    if found.state == Prompt.State.HELD:
        triage.record_reading([found], reader=request.user, where="prompt")
        shown = queries.marked_messages(found, findings)
    elif found.state == Prompt.State.DROPPED:
        shown = queries.marked(queries.redacted_view(found, findings), [])
    else:
        shown = queries.marked(found.messages, [] if original else findings)
    context = {
        "prompt": found,
        "messages_marked": shown,
        "redacted": original,
        "flags": found.flags.select_related("by").order_by("id"),
        "findings": findings,
        "gate": deciding.gate_of(found),
        "categories_form": forms.CategoriesForm(initial={"categories": found.categories}),
        "decisions": queries.decisions_about(found),
    }
    return render(request, "governance/prompt.html", context)


@require_POST
@never_cache
@only(*ADMINS)
def prompt_original(request: HttpRequest, prompt_id) -> HttpResponse:
    """The text as it came in, for admins, each time with a line in the trail."""
    found = intake.get_prompt(prompt_id)
    triage.record_reading([found], reader=request.user, where="original")
    findings = queries.findings_of([found])[found.pk]
    context = {"prompt": found, "messages_marked": queries.marked_messages(found, findings)}
    return render(request, "governance/original.html", context)


@require_http_methods(["GET", "POST"])
@only(*STAFF)
def imports(request: HttpRequest) -> HttpResponse:
    """Every import, newest first; a file in: kept, then imported by a job."""
    bound = (request.POST, request.FILES) if request.method == "POST" else ()
    form = forms.ImportForm(*bound)
    if form.is_valid():
        file = form.cleaned_data["file"]
        try:
            begun = importing.start_import(
                upload=file, name=file.name, source=form.cleaned_data["source"], created_by=request.user
            )
        except Refusal as refusal:
            form.add_error("file", refusal.message)
        else:
            return redirect("import", begun.pk)
    context = {
        "form": form,
        "page": intake.imports_page(after=request.GET.get("after")),
        "most_tokens": settings.PROMPT_MAX_TOKENS,
        "sources": intake.source_names(),
    }
    return render(request, "governance/imports.html", context, status=400 if request.method == "POST" else 200)


@require_GET
@only(*STAFF)
def one_import(request: HttpRequest, import_id) -> HttpResponse:
    """What came in of one import and what did not, and why; its progress as a fragment."""
    found = importing.get_import(import_id)
    if request.htmx:
        return render(request, "governance/_import.html", {"import": found})
    show, reason = request.GET.get("show", "")[:20], request.GET.get("reason", "")[:40]
    after = request.GET.get("after")
    if show == "prompts":
        page = intake.prompts_of_import(found, after=after)
    else:
        page = intake.problems_page(found, reason=reason, after=after)
    context = {"import": found, "page": page, "show": show, "reason": reason, "kept": settings.IMPORT_PROBLEMS_KEPT}
    return render(request, "governance/one_import.html", context)


@require_POST
@only(*STAFF)
def import_act(request: HttpRequest, import_id, act: str) -> HttpResponse:
    """Go on with an import that was stopped, or give it up."""
    if act == "resume":
        importing.resume_import(import_id=import_id, actor=request.user)
        messages.success(request, _("The import goes on where it was."))
    else:
        importing.give_up_import(import_id=import_id, actor=request.user)
        messages.success(request, _("The import is ended; what came in stays."))
    return redirect("import", import_id)


@require_GET
@never_cache
@only(*STAFF)
def prompt_triage(request: HttpRequest) -> HttpResponse:
    """The next prompt to decide; to the page's script, the next few as fragments."""
    fragment = "HX-Request" in request.headers
    size = AHEAD if fragment else 1
    turn = triage.turn(reader=request.user, after=request.GET.get("after"), size=size)
    context = {"turn": turn, "after": request.GET.get("after", ""), "kinds": personal_data.KINDS}
    if fragment:
        return render(request, "governance/_turn.html", context)
    waiting, more = triage.waiting_count()
    return render(request, "governance/triage.html", context | {"waiting": waiting, "more": more})


@require_POST
@only(*STAFF)
def prompt_decide(request: HttpRequest, prompt_id) -> HttpResponse:
    form = forms.DecisionForm(request.POST)
    in_triage = request.POST.get("next") == "prompt-triage"
    if not form.is_valid() or (not in_triage and not form.cleaned_data["reason"].strip()):
        raise Refusal(_("Choose keep, redact or drop, and say why in 1 to 300 characters."))
    said = form.cleaned_data
    pairs = zip(request.POST.getlist("words"), request.POST.getlist("kind"), strict=False)
    deciding.decide(
        prompt_id=prompt_id,
        outcome=said["outcome"],
        reason=said["reason"],
        decided_by=request.user,
        real=said["real"] if said["chosen"] else None,
        marks=deciding.read_marks([{"words": words, "kind": kind} for words, kind in pairs if words.strip()]),
        blind=said["blind"],
    )
    if in_triage:
        messages.success(request, _("Written down."), extra_tags=str(prompt_id))
        query = {"after": said["after"]} if said["after"] else {}
        return redirect(f"{reverse('prompt-triage')}?{urlencode(query)}" if query else reverse("prompt-triage"))
    decided = intake.get_prompt(prompt_id)
    messages.success(request, _("The prompt is {decided}.").format(decided=in_words(decided.state)))
    return redirect("prompt", prompt_id)


@require_POST
@only(*STAFF)
def prompt_undo(request: HttpRequest, prompt_id) -> HttpResponse:
    deciding.undo(prompt_id=prompt_id, decided_by=request.user)
    messages.success(request, _("Undone: the prompt is as it was before."))
    return redirect("prompt", prompt_id)


@require_GET
@only(*STAFF)
def personal_data_page(request: HttpRequest) -> HttpResponse:
    """The policy in force, what an older filter let pass, and how much the filter finds."""
    sample, estimates = triage.latest_sample(), triage.estimates()
    context = {
        "detector": personal_data.detector(),
        "rules": policies.current_rules(),
        "policy": policies.newest_policy(),
        "rows": queries.rules_table(policies.current_rules()),
        "splits": Split,
        "versions": queries.policy_versions(),
        "pending": scanning.pending(),
        "gates": scanning.by_gate(),
        "rescan": scanning.running_rescan(),
        "estimates": estimates,
        "by_kind": [(queries.kind_in_words(each.kind), each) for each in estimates.kinds],
        "sample": sample,
        "progress": triage.sample_progress(sample) if sample else None,
        "sample_form": forms.SampleForm(),
        "waiting": triage.waiting_count(),
    }
    return render(request, "governance/personal_data.html", context)


@require_http_methods(["GET", "POST"])
@only(*ADMINS)
def personal_data_policy(request: HttpRequest) -> HttpResponse:
    rules = policies.current_rules()
    initial = {"preset": rules.preset, "hold_at": rules.hold_at, "replaces": rules.number}
    initial |= {f"{split}:{kind}": action for (split, kind), action in rules.by.items()}
    form = forms.PolicyForm(request.POST or None, initial=initial)
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                policies.set_policy(
                    preset=form.cleaned_data["preset"],
                    rules=form.rules(),
                    hold_at=form.cleaned_data["hold_at"],
                    note=form.cleaned_data["note"],
                    replaces=form.cleaned_data["replaces"],
                    actor=request.user,
                )
            except Refusal as refusal:
                form.add_error(None, refusal.message)
                status = refusal.status
            else:
                messages.success(request, _("The policy holds from now on. Scan again what is here already."))
                return redirect("personal-data")
    return render(request, "governance/policy.html", {"form": form, "splits": Split, "rules": rules}, status=status)


@require_POST
@only(*ADMINS)
def personal_data_rescan(request: HttpRequest) -> HttpResponse:
    job = scanning.start_rescan(actor=request.user)
    return redirect("job", job.pk)


@require_POST
@only(*ADMINS)
def personal_data_sample(request: HttpRequest) -> HttpResponse:
    form = forms.SampleForm(request.POST)
    if not form.is_valid():
        raise Refusal(_("Draw {least} to {most} prompts.").format(least=triage.LEAST, most=triage.MOST))
    triage.start_sample(wanted=form.cleaned_data["wanted"], actor=request.user)
    messages.success(request, _("The sample is being drawn; it comes mixed into triage."))
    return redirect("personal-data")
