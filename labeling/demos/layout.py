"""How a written prompt becomes messages. Pure. `static/js/written_prompt.js` shows the same while it is written.

A plain or user-based prompt is one user message, to the byte. So is a few-shot one, laid out as

    INSTRUCTION

    Query: QUERY
    Response: RESPONSE

    Query: QUERY
    Response: RESPONSE

    Query: QUERY
    Response:

with an empty line between its parts and nothing after the last colon, where the model goes on.
"""

from __future__ import annotations

from labeling.sampling.models import BriefForm

QUERY, RESPONSE = "Query: ", "Response: "


def messages_of(form: str, content: dict) -> list[dict[str, str]]:
    """The prompt that was written, as a model gets it: `content` is that of a `WrittenPrompt` of this form."""
    return [{"role": "user", "content": _few_shot(content) if form == BriefForm.FEW_SHOT else content["text"]}]


def _few_shot(content: dict) -> str:
    pairs = [f"{QUERY}{pair['query']}\n{RESPONSE}{pair['response']}" for pair in content["pairs"]]
    return "\n\n".join([content["instruction"], *pairs, f"{QUERY}{content['query']}\n{RESPONSE.rstrip()}"])
