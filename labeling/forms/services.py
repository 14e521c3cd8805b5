"""Make forms and their versions."""

from __future__ import annotations

import re
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.forms.built_in import BUILT_IN
from labeling.forms.definition import read_definition
from labeling.forms.models import Form, FormVersion
from labeling.people.models import User
from labeling.refusals import Conflict, Refusal
from labeling.text import check_text

TITLE_CHARACTERS = 100


@transaction.atomic
def ensure_built_in() -> None:
    """Make the built-in forms that are not there. What an admin made of them since is left alone."""
    for name, (title, definition) in BUILT_IN.items():
        form, created = Form.objects.get_or_create(name=name, defaults={"title": title})
        if created:
            FormVersion.objects.create(form=form, number=1, definition=read_definition(definition))


@transaction.atomic(durable=True)
def create_form(*, name: str, title: str, definition: Any, actor: User | None) -> FormVersion:
    """The first version of a new form. BadDefinition, Refusal for a name or title that is none, Conflict where the
    name is taken."""
    # "new" is the address of the page that makes one.
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or name == "new":
        raise Refusal(_("The name of a form is small letters, digits and _, beginning with a letter, at most 40."))
    check_title(title)
    read = read_definition(definition)
    form, created = Form.objects.get_or_create(name=name, defaults={"title": title.strip()})
    if not created:
        raise Conflict(
            _("There is a form called {name} already; change that one, or choose another name.").format(name=name)
        )
    version = FormVersion.objects.create(form=form, number=1, definition=read, created_by=actor)
    record(actor=actor, action="form.created", subject=form, number=1)
    return version


@transaction.atomic(durable=True)
def publish_version(*, form: Form, title: str, definition: Any, based_on: int, actor: User | None) -> FormVersion:
    """The next version of `form`; the newest where nothing differs from it. Tasks handed out from now on have it.

    Raises Conflict where somebody published since version `based_on`, BadDefinition, Refusal.
    """
    check_title(title)
    read = read_definition(definition)
    form = Form.objects.select_for_update(no_key=True).get(pk=form.pk)
    newest = form.versions.latest("number")
    if newest.number != based_on:
        raise Conflict(
            _("Version {number} was published while you worked on {based_on}; look at that one first.").format(
                number=newest.number, based_on=based_on
            )
        )
    if read["order"] != newest.definition["order"]:
        # Batches of the form have as many completions a task as this order can take.
        raise Refusal(
            _("All versions of a form ask for the same order, here {definition}; make a new form for {read}.").format(
                definition=newest.definition["order"], read=read["order"]
            )
        )
    if form.title != title.strip():
        Form.objects.filter(pk=form.pk).update(title=title.strip())
        record(actor=actor, action="form.renamed", subject=form, before={"title": form.title}, title=title.strip())
    if read == newest.definition:
        return newest
    version = FormVersion.objects.create(form=form, number=newest.number + 1, definition=read, created_by=actor)
    record(actor=actor, action="form.published", subject=form, number=version.number)
    return version


@transaction.atomic(durable=True)
def archive_form(*, form: Form, archived: bool, actor: User | None) -> None:
    """Offer `form` for new batches no more, or again."""
    Form.objects.filter(pk=form.pk).update(archived=archived)
    record(actor=actor, action="form.archived" if archived else "form.restored", subject=form)


def check_title(title: Any) -> None:
    if not isinstance(title, str) or not title.strip():
        raise Refusal(_("Give the form a title; people choose it by that."))
    if len(title) > TITLE_CHARACTERS:
        raise Refusal(
            _("The title has {count} characters; at most {title_characters} fit.").format(
                count=len(title), title_characters=TITLE_CHARACTERS
            )
        )
    check_text(title, where=_("the title"))
