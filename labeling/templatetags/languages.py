"""The language of a prompt in the reader's."""

from django import template
from django.utils.translation import get_language_info
from django.utils.translation import gettext as _

from labeling.languages import queries

register = template.Library()


@register.filter
def language_name(code: str) -> str:
    """de → German; the code itself where no name is known."""
    if not code:
        return ""
    if code == "und":
        return _("not clear")
    try:
        return get_language_info(code)["name_translated"]
    except KeyError:
        return code


@register.simple_tag
def languages_known() -> list[tuple[str, int]]:
    return queries.languages_known()
