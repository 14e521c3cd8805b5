"""The one definition of a prompt's and an answer's token ids, for the server and whoever compares with it."""

from __future__ import annotations

from typing import Any


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
