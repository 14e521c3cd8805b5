"""What clients may send: bytes in, checked requests out. Every refusal is a `BadRequest` with a sentence and the field.

Fields that this server does not know are ignored, as OpenAI's and vLLM's servers do; those that it knows but cannot
honour are refused, unless they ask for nothing.
"""

from __future__ import annotations

import json
import math
import secrets
from dataclasses import dataclass
from typing import Any

MAX_SAMPLES = 128  # n of one prompt
MAX_PROMPTS = 256  # prompts or score items of one request
MAX_MESSAGES = 1024
MAX_STOPS = 16
MAX_STOP_CHARACTERS = 256
MAX_NAME_CHARACTERS = 200
DEFAULT_TOKENS = 256
ROLES = ("system", "user", "assistant")
# Field → the value that asks for nothing.
UNSUPPORTED = {
    "echo": False,
    "suffix": None,
    "best_of": None,
    "top_k": -1,
    "min_p": 0,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "repetition_penalty": 1,
    "logit_bias": None,
    "tools": None,
    "functions": None,
    "response_format": None,
    "prompt_logprobs": None,
    "add_generation_prompt": True,
    "continue_final_message": False,
}


class BadRequest(Exception):
    """A request that is wrong in itself. `param` names the field, `status` is 4xx."""

    def __init__(self, message: str, *, param: str | None = None, status: int = 400, code: str | None = None) -> None:
        super().__init__(message)
        self.param, self.status, self.code = param, status, code


@dataclass(frozen=True)
class Sampling:
    """How to sample: checked values."""

    n: int
    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    stop: tuple[str, ...]
    logprobs: bool
    return_token_ids: bool
    stream: bool
    stream_usage: bool  # the counts of tokens at the end of the stream


def read_json(body: bytes) -> dict:
    """The request's JSON object; BadRequest for anything else."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is not UTF-8: {error.reason} at byte {error.start}") from None
    except RecursionError:
        raise BadRequest("the body is nested too deep") from None
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {str(error)[:200]}") from None
    if not isinstance(value, dict):
        raise BadRequest("the body must be a JSON object")
    return value


def model_name(body: dict, field: str = "model") -> str:
    return text(body.get(field), field, longest=MAX_NAME_CHARACTERS, empty=False)


def sampling(body: dict, *, chat: bool) -> Sampling:
    """The sampling parameters of a completions or chat completions request."""
    for field, nothing in UNSUPPORTED.items():
        value = body.get(field)
        if value not in (None, nothing, [], {}) and not (field == "top_k" and value == 0):
            raise BadRequest(f"{field} is not supported by this server", param=field)
    temperature = number(body, "temperature", default=1.0, low=0.0, high=100.0)
    top_p = number(body, "top_p", default=1.0, low=0.0, high=1.0)
    if top_p == 0:
        raise BadRequest("top_p must be above 0", param="top_p")
    n = integer(body, "n", default=1, low=1, high=MAX_SAMPLES)
    if n > 1 and temperature == 0:
        raise BadRequest("n must be 1 at temperature 0: all samples would be the same", param="n")
    stream, logprobs, token_ids = _flag(body, "stream"), _logprobs(body, chat=chat), _flag(body, "return_token_ids")
    if stream and (logprobs or token_ids):
        asked = "logprobs" if logprobs else "return_token_ids"
        raise BadRequest(f"{asked} cannot be streamed by this server; leave it out or ask without stream", param=asked)
    limit = "max_completion_tokens" if body.get("max_completion_tokens") is not None else "max_tokens"
    return Sampling(
        n=n,
        temperature=temperature,
        top_p=top_p,
        max_tokens=integer(body, limit, default=DEFAULT_TOKENS, low=1, high=2**31),
        seed=integer(body, "seed", default=secrets.randbits(62), low=-(2**63), high=2**63 - 1),
        stop=_stops(body.get("stop")),
        logprobs=logprobs,
        return_token_ids=token_ids,
        stream=stream,
        stream_usage=stream and _stream_usage(body.get("stream_options")),
    )


def messages(value: Any, field: str = "messages") -> list[dict]:
    """A conversation as the chat template takes it: role and content, nothing else."""
    if not isinstance(value, list) or not value:
        raise BadRequest(f"{field} must be a list of at least one message", param=field)
    if len(value) > MAX_MESSAGES:
        raise BadRequest(f"{field} may hold {MAX_MESSAGES} messages, not {len(value)}", param=field)
    checked = []
    for at, message in enumerate(value):
        where = f"{field}[{at}]"
        if not isinstance(message, dict):
            raise BadRequest(f"{where} must be an object with role and content", param=where)
        role = message.get("role")
        if not isinstance(role, str) or role not in ROLES:
            raise BadRequest(f"{where}.role must be one of {', '.join(ROLES)}", param=f"{where}.role")
        checked.append({"role": role, "content": _content(message.get("content"), f"{where}.content")})
    return checked


def prompts(value: Any) -> list[str | list[int]]:
    """The prompts of a completions request: a text, token ids, or a list of either."""
    field = "prompt"
    if isinstance(value, str):
        return [text(value, field)]
    if not isinstance(value, list) or not value:
        raise BadRequest("prompt must be a text, a list of token ids, or a list of those", param=field)
    if all(_is_integer(item) for item in value):
        return [list(value)]
    if len(value) > MAX_PROMPTS:
        raise BadRequest(f"a request may hold {MAX_PROMPTS} prompts, not {len(value)}", param=field)
    checked: list[str | list[int]] = []
    for at, item in enumerate(value):
        if isinstance(item, list) and item and all(_is_integer(token) for token in item):
            checked.append(item)
        elif isinstance(item, str):
            checked.append(text(item, f"{field}[{at}]"))
        else:
            raise BadRequest(f"{field}[{at}] must be a text or a list of token ids", param=f"{field}[{at}]")
    return checked


def score_items(value: Any) -> list[tuple[list[dict], str]]:
    """(messages, completion) of each item of a score request."""
    if not isinstance(value, list) or not value:
        raise BadRequest("items must be a list of at least one {messages, completion}", param="items")
    if len(value) > MAX_PROMPTS:
        raise BadRequest(f"a request may hold {MAX_PROMPTS} items, not {len(value)}", param="items")
    checked = []
    for at, item in enumerate(value):
        where = f"items[{at}]"
        if not isinstance(item, dict):
            raise BadRequest(f"{where} must be an object with messages and completion", param=where)
        completion = text(item.get("completion"), f"{where}.completion")
        checked.append((messages(item.get("messages"), f"{where}.messages"), completion))
    return checked


def text(value: Any, field: str, *, longest: int | None = None, empty: bool = True) -> str:
    """A string that UTF-8 can carry and that holds no NUL."""
    if not isinstance(value, str):
        raise BadRequest(f"{field} must be a string", param=field)
    if "\x00" in value:
        raise BadRequest(f"{field} holds a NUL character, which no text has", param=field)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadRequest(f"{field} holds a lone surrogate at character {error.start}", param=field) from None
    if not empty and not value:
        raise BadRequest(f"{field} must not be empty", param=field)
    if longest is not None and len(value) > longest:
        raise BadRequest(f"{field} may hold {longest} characters, not {len(value)}", param=field)
    return value


def integer(body: dict, field: str, *, default: int, low: int, high: int) -> int:
    value = body.get(field)
    if value is None:
        return default
    if not _is_integer(value):
        raise BadRequest(f"{field} must be an integer", param=field)
    if not low <= value <= high:
        raise BadRequest(f"{field} must be between {low} and {high}", param=field)
    return value


def number(body: dict, field: str, *, default: float, low: float, high: float) -> float:
    value = body.get(field)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRequest(f"{field} must be a number", param=field)
    if not low <= value <= high or not math.isfinite(value):
        raise BadRequest(f"{field} must be between {low:g} and {high:g}", param=field)
    return float(value)


def _content(value: Any, field: str) -> str:
    if isinstance(value, list):
        parts = []
        for at, part in enumerate(value):
            if not isinstance(part, dict) or part.get("type") != "text":
                raise BadRequest(f"{field}[{at}] must be a part of type text", param=f"{field}[{at}]")
            parts.append(text(part.get("text"), f"{field}[{at}].text"))
        return "".join(parts)
    return text(value, field)


def _stops(value: Any) -> tuple[str, ...]:
    stops = [value] if isinstance(value, str) else value
    if stops is None:
        return ()
    if not isinstance(stops, list) or len(stops) > MAX_STOPS:
        raise BadRequest(f"stop must be a string or a list of at most {MAX_STOPS} strings", param="stop")
    return tuple(text(stop, "stop", longest=MAX_STOP_CHARACTERS, empty=False) for stop in stops)


def _logprobs(body: dict, *, chat: bool) -> bool:
    value = body.get("logprobs")
    if chat:
        if integer(body, "top_logprobs", default=0, low=0, high=20):
            raise BadRequest("top_logprobs above 0 is not supported by this server", param="top_logprobs")
        return _flag(body, "logprobs")
    if value is True or value is False:
        return value
    return value is not None and integer(body, "logprobs", default=0, low=0, high=1) >= 0


def _stream_usage(options: Any) -> bool:
    if options is not None and not isinstance(options, dict):
        raise BadRequest("stream_options must be an object", param="stream_options")
    return _flag(options or {}, "include_usage")


def _flag(body: dict, field: str) -> bool:
    value = body.get(field)
    if value is not None and not isinstance(value, bool):
        raise BadRequest(f"{field} must be true or false", param=field)
    return bool(value)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
