"""Who wrote a prompt, on its page, which belongs to a feature that knows nothing of writing."""

from __future__ import annotations

from django import template

from labeling.demos.queries import writing_of

register = template.Library()


@register.inclusion_tag("demos/_writer.html")
def written_by(prompt) -> dict:
    """The labeler who wrote the prompt, and where; nothing where it came from elsewhere. For the team alone."""
    admission = writing_of(prompt)
    return {"written": admission and admission.written, "review": admission and admission.review}
