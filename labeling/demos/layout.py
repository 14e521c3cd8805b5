"""How a written prompt becomes messages, and parts for a review. Pure. `static/js/written_prompt.js` shows the messages
while it is written.

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

from collections.abc import Sequence

from labeling.sampling.models import BriefForm

QUERY, RESPONSE = "Query: ", "Response: "


def messages_of(form: str, content: dict) -> list[dict[str, str]]:
    """The prompt that was written, as a model gets it: `content` is that of a `WrittenPrompt` of this form."""
    return [{"role": "user", "content": _few_shot(content) if form == BriefForm.FEW_SHOT else content["text"]}]


def parts_of(form: str, content: dict) -> list[dict[str, str]]:
    """The texts of a prompt of this form in their order, {"role", "content"} each: of a few-shot one the instruction,
    the query and the response of each example, and the last query; of another the prompt alone."""
    if form != BriefForm.FEW_SHOT:
        return [{"role": "prompt", "content": content["text"]}]
    pairs = [{"role": role, "content": pair[role]} for pair in content["pairs"] for role in ("query", "response")]
    instruction = {"role": "instruction", "content": content["instruction"]}
    return [instruction, *pairs, {"role": "query", "content": content["query"]}]


def content_of(form: str, texts: Sequence[str]) -> dict:
    """The content of a prompt of this form whose parts have these `texts`; the way back from `parts_of`."""
    if form != BriefForm.FEW_SHOT:
        (text,) = texts
        return {"text": text}
    instruction, *pairs, query = texts
    asked = zip(pairs[::2], pairs[1::2], strict=True)
    pairs = [{"query": query, "response": response} for query, response in asked]
    return {"instruction": instruction, "pairs": pairs, "query": query}


def _few_shot(content: dict) -> str:
    pairs = [f"{QUERY}{pair['query']}\n{RESPONSE}{pair['response']}" for pair in content["pairs"]]
    return "\n\n".join([content["instruction"], *pairs, f"{QUERY}{content['query']}\n{RESPONSE.rstrip()}"])
