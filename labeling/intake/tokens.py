"""How many tokens a prompt has, by a rule that needs no model: the same for every model that it may be sampled from.

The text is cut as byte-level BPE tokenizers cut it before they merge. Of the pieces a run of letters counts one token
per 8 bytes begun (per 3 where it is not ASCII), a digit one, other signs one per 2 bytes begun, white space one unless
it is the single space before a word, which belongs to the word.
"""

from __future__ import annotations

import re

_PIECE = re.compile(r"[^\W\d_]+|\d|\s+|(?:[^\w\s]|_)+")
ASCII_LETTERS, OTHER_LETTERS, SIGNS = 8, 3, 2  # bytes a token


def count_tokens(messages: list[dict[str, str]], *, until: int = 0) -> int:
    """Tokens in the contents of `messages`. No more than `until` where the bytes alone say so: no token is empty."""
    texts = [message["content"] for message in messages]
    size = sum(len(text) if text.isascii() else len(text.encode()) for text in texts)
    return size if size <= until else sum(_count(text) for text in texts)


def _count(text: str) -> int:
    return sum(_tokens_in(piece) for piece in _PIECE.findall(text))


def _tokens_in(piece: str) -> int:
    first = piece[0]
    if first.isspace():
        return piece != " "
    if first.isdigit():
        return 1
    size = len(piece.encode())
    if first.isalpha():
        return -(-size // (ASCII_LETTERS if piece.isascii() else OTHER_LETTERS))
    return -(-size // SIGNS)
