"""Completions as server-sent events, in OpenAI's shape: chunks while the text grows, then `data: [DONE]`.

The pieces of a sample joined are the text it would have had in one answer. Once the first byte is out an error can only
be told inside the stream: a chunk {"error": …}, and no [DONE] after it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from models_service.engine import Group, Job
from models_service.tokens import settled_text, written_text

DONE = b"data: [DONE]\n\n"


class EventStream(StreamingResponse):
    """However it ends, by its end, an error or a client that hung up: its job is dropped and `ended` are called."""

    media_type = "text/event-stream"

    def __init__(self, content: AsyncIterator[bytes], job: Job) -> None:
        super().__init__(content, headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        self.job = job
        self.ended: list[Callable[[], None]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.job.future.cancel()
            for call in self.ended:
                call()


async def events(
    job: Job, grown: asyncio.Event, *, head: dict, chunk: Callable[..., dict], usage: bool
) -> AsyncIterator[bytes]:
    """The events of a job that the engine has: `grown` is set after each of its tokens and at its end."""
    samples = [(group, row) for group in job.groups for row in group.rows]
    sent = [0] * len(samples)  # characters
    for index in range(len(samples)):
        if opening := chunk(index, opening=True):
            yield _event(head | {"choices": [opening]})
    done = False
    while not done:
        await grown.wait()
        grown.clear()
        done = job.future.done()
        if done and (error := job.future.exception()) is not None:
            yield _event({"error": {"message": str(error), "type": "server_error", "param": None, "code": 503}})
            return
        for index, (group, row) in enumerate(samples):
            text = written_text(job.served.tokenizer, row, group.stops)
            if not done:
                text = settled_text(text, group.stops)
            if piece := text[sent[index] :]:
                sent[index] = len(text)
                yield _event(head | {"choices": [chunk(index, piece=piece)]})
    for index, (_group, row) in enumerate(samples):
        yield _event(head | {"choices": [chunk(index, finish_reason=row.finish_reason)]})
    if usage:
        yield _event(head | {"choices": [], "usage": usage_of(job.groups)})
    yield DONE


def chat_chunk(index: int, *, piece: str = "", finish_reason: str | None = None, opening: bool = False) -> dict:
    delta = {"role": "assistant", "content": ""} if opening else {"content": piece} if piece else {}
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def completion_chunk(index: int, *, piece: str = "", finish_reason: str | None = None, opening: bool = False) -> dict:
    return {} if opening else {"index": index, "text": piece, "logprobs": None, "finish_reason": finish_reason}


def usage_of(groups: list[Group]) -> dict:
    asked = sum(len(group.prompt) for group in groups)
    written = sum(len(row.token_ids) for group in groups for row in group.rows)
    return {"prompt_tokens": asked, "completion_tokens": written, "total_tokens": asked + written}


def _event(value: dict) -> bytes:
    return b"data: " + json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n\n"
