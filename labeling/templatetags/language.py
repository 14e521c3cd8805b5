"""The form that chooses the language, and what is stored in English said in the reader's."""

from __future__ import annotations

from django import template
from django.conf import settings
from django.templatetags.static import static
from django.utils.translation import get_language

from labeling.forms.wording import in_language
from labeling.wording import in_words

register = template.Library()


@register.inclusion_tag("people/_language.html", takes_context=True)
def language_form(context) -> dict:
    """The form, set to what the person or, before signing in, this browser has chosen; it leads back to this page."""
    request = context["request"]
    chosen = getattr(request.user, "language", None)
    if chosen is None:
        chosen = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
    return {
        "languages": settings.LANGUAGES,
        "chosen": chosen,
        "back": request.get_full_path(),
        "csrf_token": context["csrf_token"],
    }


@register.simple_tag
def words_script() -> str:
    """The address of the words that the scripts say; empty in English, whose words are their own names."""
    language = get_language()
    return "" if language == settings.LANGUAGE_CODE else static(f"js/words.{language}.js")


@register.filter
def translated(value: object) -> object:
    """A stored value such as `queued` in the reader's language; what is none of Kwise's own stays as it is."""
    return in_words(value)


@register.filter
def form_words(text: str) -> str:
    """A form's title or label in the reader's language, where the form came with Kwise."""
    return in_language(text)
