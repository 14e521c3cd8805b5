"""What text may look like before it reaches PostgreSQL, and JSON before it reaches a service."""

from __future__ import annotations

import json
from typing import Any

from django.utils.translation import gettext as _

from labeling.refusals import Refusal

MAX_DEPTH = 64
INT64 = 2**63


class BadText(Refusal):
    code = "bad_text"


def check_text(value: str, *, where: str) -> str:
    """`value` itself, to the byte; BadText where PostgreSQL cannot store it (NUL) or UTF-8 not carry it."""
    if "\x00" in value:
        raise BadText(
            _("{where} contains a NUL character (U+0000), which cannot be stored; remove it and send again.").format(
                where=where
            )
        )
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        point = ord(value[error.start])
        raise BadText(
            _(
                "{where} contains a lone surrogate (U+{point:04X}) at character {start}, which is no text; "
                "send the whole character or leave it out."
            ).format(where=where, point=point, start=error.start)
        ) from None
    return value


def storable(text: str) -> str:
    """`text` that comes from a program, with another sign for each that `check_text` refuses."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def check_json(value: Any, *, where: str = "the body") -> Any:
    """`value` itself; Refusal where a string, an integer or the depth in it could not be stored. Without recursion."""
    stack: list[tuple[Any, str, int]] = [(value, where, 0)]
    while stack:
        item, path, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise Refusal(
                _("{path} is nested more than {max_depth} deep; flatten it and send again.").format(
                    path=path[:200], max_depth=MAX_DEPTH
                )
            )
        if isinstance(item, str):
            check_text(item, where=path)
        elif isinstance(item, bool) or item is None:
            continue
        elif isinstance(item, int):
            if not -INT64 <= item < INT64:
                raise Refusal(
                    _("{path} is an integer beyond 64 bits; send a number between -2^63 and 2^63 - 1.").format(
                        path=path
                    )
                )
        elif isinstance(item, float):
            if item != item or item in (float("inf"), float("-inf")):
                raise Refusal(_("{path} is not a finite number; send a finite one or null.").format(path=path))
        elif isinstance(item, dict):
            for key, entry in item.items():
                check_text(key, where=f"a key of {path}")
                stack.append((entry, f"{path}.{key}", depth + 1))
        elif isinstance(item, list):
            stack.extend((entry, f"{path}[{index}]", depth + 1) for index, entry in enumerate(item))
    return value


def parse_json(data: bytes | str, *, where: str = "the body") -> Any:
    """The JSON value in `data`; Refusal with a sentence for all that is not storable JSON, however deep or long."""
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        raise Refusal(
            _("{where} is not UTF-8: byte {start} cannot be read. Send UTF-8.").format(where=where, start=error.start)
        ) from None
    try:
        value = json.loads(text)
    except RecursionError:
        raise Refusal(
            _("{where} is nested too deep; at most {max_depth} levels can be read.").format(
                where=where, max_depth=MAX_DEPTH
            )
        ) from None
    except ValueError as error:
        # Also raised for integers of more digits than Python agrees to convert.
        raise Refusal(_("{where} is not valid JSON: {error}.").format(where=where, error=error)) from None
    return check_json(value, where=where)
