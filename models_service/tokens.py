"""The one definition of a prompt's and an answer's token ids, for the server and whoever compares with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models_service.generation import Row

UNFINISHED = "\ufffd"  # what stands for a character of which not all bytes are there, or never come


def prompt_ids(tokenizer: Any, messages: list[dict]) -> list[int]:
    """Ids of `messages` with the opening of the assistant's turn, by the tokenizer's chat template.

    Without a template: the contents as plain text with an empty line after each. Raises what the template raises.
    """
    if getattr(tokenizer, "chat_template", None):
        return list(
            tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=False)
        )
    text = "".join(message["content"] + "\n\n" for message in messages)
    return list(tokenizer(text, add_special_tokens=False).input_ids)


def answer_ids(tokenizer: Any, text: str) -> list[int]:
    """Ids of an answer and the EOS that ends it. Never merged with the prompt's: append them."""
    return [*tokenizer(text, add_special_tokens=False).input_ids, tokenizer.eos_token_id]


def written_text(tokenizer: Any, row: Row, stops: tuple[str, ...] = ()) -> str:
    """What a sample says, up to the first stop string. Of one in the making: what it says so far."""
    ids = list(row.token_ids)  # the engine's thread may add one meanwhile
    if ids and ids[-1] in row.eos_ids:
        ids.pop()
    text = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    cuts = [at for at in (text.find(stop) for stop in stops) if at >= 0]
    return text[: min(cuts)] if cuts else text


def settled_text(text: str, stops: tuple[str, ...] = ()) -> str:
    """The beginning of a text in the making that no further token changes: without a character whose bytes have not
    all come, and without what may turn out to begin a stop string."""
    text = text.rstrip(UNFINISHED)
    longest = max(map(len, stops), default=0)
    for length in range(min(longest - 1, len(text)), 0, -1):
        if any(stop.startswith(text[-length:]) for stop in stops):
            return text[:-length]
    return text
