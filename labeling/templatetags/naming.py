"""What people said that a prompt is for, and what is suggested, on its page."""

from django import template

from labeling.intake.models import Prompt
from labeling.use_cases import queries

register = template.Library()


@register.inclusion_tag("use_cases/_said.html")
def use_case_said(prompt: Prompt) -> dict:
    return {
        "said": queries.said_of(prompt),
        "suggested": queries.suggestions_of([prompt.pk]).get(prompt.pk),
    }
