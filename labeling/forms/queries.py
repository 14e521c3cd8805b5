"""Forms as others read them."""

from __future__ import annotations

from functools import cache

from django.db.models import Count, Max, QuerySet
from django.utils.translation import gettext as _

from labeling.forms.built_in import BUILT_IN, DEFAULT
from labeling.forms.definition import read_definition
from labeling.forms.models import Form, FormVersion
from labeling.refusals import NotFound


@cache
def default_definition() -> dict:
    """What is asked where an answer names no version, as imported ones do."""
    return read_definition(BUILT_IN[DEFAULT][1])


def newest_version(form: int | None) -> FormVersion:
    """The newest version of the form with this id; of the default form for None."""
    chosen = {"form": form} if form is not None else {"form__name": DEFAULT}
    return FormVersion.objects.filter(**chosen).select_related("form").order_by("-number")[:1].get()


def usable_forms() -> QuerySet[Form]:
    """Forms that a new batch may have."""
    return Form.objects.filter(archived=False).order_by("title")


def form_named(name: str) -> Form:
    """The form called `name`; NotFound lists those there are."""
    form = Form.objects.filter(name=name).first()
    if form is None:
        known = ", ".join(Form.objects.filter(archived=False).order_by("name").values_list("name", flat=True))
        raise NotFound(_("There is no form called {name}; choose among {known}.").format(name=name[:40], known=known))
    return form


def all_forms() -> QuerySet[Form]:
    """Every form with `newest`, the number of its newest version, and `used`, how many batches have it."""
    forms = Form.objects.annotate(newest=Max("versions__number"), used=Count("batches", distinct=True))
    return forms.order_by("archived", "title")


def get_version(form: Form, number: int | str) -> FormVersion:
    """One version by its number; NotFound where there is none."""
    number = str(number)
    found = None
    if number.isascii() and number.isdigit() and len(number) < 10:
        found = form.versions.select_related("form", "created_by").filter(number=int(number)).first()
    if found is None:
        raise NotFound(_("{form} has no version {number}.").format(form=form.name, number=number[:20]))
    return found


def form_summary(form: Form) -> dict:
    """A form of `all_forms` as the API lists it."""
    return {
        "name": form.name,
        "title": form.title,
        "archived": form.archived,
        "newest": form.newest,
        "batches": form.used,
    }


def version_summary(version: FormVersion) -> dict:
    """A version as the API shows it."""
    return {
        "name": version.form.name,
        "title": version.form.title,
        "archived": version.form.archived,
        "number": version.number,
        "definition": version.definition,
        "created_at": version.created_at.isoformat(),
    }
