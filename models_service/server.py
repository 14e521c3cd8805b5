"""The embedded model server: OpenAI's routes, scores, tokens, and the admin's routes over the engine.

Handlers check and tokenise, the engine's thread computes, futures bring the answer back; with `stream` the text comes
as it grows (`models_service/streaming.py`). Every refusal has OpenAI's shape: {"error": {"message", "type", "param",
"code"}}. Who hangs up is no longer computed for.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import math
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from jinja2.exceptions import TemplateError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from models_service import protocol
from models_service.engine import Engine, EngineBusy, EngineFailed, Group, Job
from models_service.folders import ModelFolderError
from models_service.generation import Row, row_seed
from models_service.loading import Served, describe, read_weights
from models_service.metrics import Metrics
from models_service.protocol import BadRequest, Sampling
from models_service.registry import Registry
from models_service.streaming import EventStream, chat_chunk, completion_chunk, events, usage_of
from models_service.tokens import answer_ids, prompt_ids, written_text

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 16 * 2**20
HANG_UP_SECONDS = 0.5  # how often a waiting handler looks whether its client is still there
CLIENT_CLOSED = 499  # nobody reads it; for the metrics


class Server:
    """The routes over one engine and one registry. `api_key` is asked for everywhere but at /health, where given.

    `admin` opens the routes that load any model folder this machine can read: for loopback, or behind a key.
    """

    def __init__(
        self, engine: Engine, registry: Registry, metrics: Metrics, *, api_key: str | None = None, admin: bool = True
    ) -> None:
        self.engine, self.registry, self.metrics = engine, registry, metrics
        self.api_key, self.admin = api_key, admin
        self.loading = asyncio.Lock()  # one model is read at a time: two would need the memory of both

    def app(self, *, hosts: list[str] | None = None) -> Starlette:
        """The ASGI application. `hosts` are the Host headers it answers to: a page on the web that has its own name
        resolve to loopback is refused."""
        routes = [
            self._route("/health", self.health, "GET", locked=False),
            self._route("/metrics", self.figures, "GET"),
            self._route("/v1/models", self.list_models, "GET"),
            self._route("/v1/completions", self.completions, "POST"),
            self._route("/v1/chat/completions", self.chat, "POST"),
            self._route("/score", self.score, "POST"),
            self._route("/tokenize", self.tokenize, "POST"),
            self._route("/admin/models", self.admin_list, "GET"),
            self._route("/admin/models", self.admin_load, "POST"),
            self._route("/admin/models/{name:path}", self.admin_unload, "DELETE"),
        ]
        app = Starlette(routes=routes, exception_handlers={HTTPException: _http_error, Exception: _unexpected})
        if hosts:
            app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)
        return app

    def _route(self, path: str, handler: Callable[[Request], Awaitable[Response]], method: str, locked: bool = True):
        async def endpoint(request: Request) -> Response:
            started = time.monotonic()
            response = await self._guarded(handler, request, locked=locked)
            self.metrics.requests.labels(path, str(response.status_code)).inc()

            def ended() -> None:
                self.metrics.request_seconds.labels(path).observe(time.monotonic() - started)

            if isinstance(response, EventStream):
                response.ended.append(ended)
            else:
                ended()
            return response

        return Route(path, endpoint, methods=[method])

    async def _guarded(self, handler: Callable, request: Request, *, locked: bool) -> Response:
        try:
            if locked and self.api_key and not _same_key(request, self.api_key):
                raise BadRequest("the API key is missing or wrong", status=401, code="invalid_api_key")
            return await handler(request)
        except BadRequest as error:
            return _error(error.status, str(error), param=error.param, code=error.code)
        except EngineBusy as error:
            return _error(429, str(error), kind="server_busy", headers={"Retry-After": "1"})
        except EngineFailed as error:
            return _error(503, str(error), kind="server_error")
        except ClientDisconnect:
            return _error(CLIENT_CLOSED, "the client hung up")

    # The server itself

    async def health(self, _request: Request) -> Response:
        if not self.engine.alive:
            return _json({"status": "stopping"}, status=503)
        return _json({"status": "ok", "models": len(self.registry.all())})

    async def figures(self, _request: Request) -> Response:
        return Response(generate_latest(self.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def list_models(self, _request: Request) -> Response:
        cards = [
            {
                "id": served.name,
                "object": "model",
                "created": served.created,
                "owned_by": "kwise",
                "root": str(served.folder.path),
                "max_model_len": served.context,
                "kind": served.kind,
            }
            for served in self.registry.all()
        ]
        return _json({"object": "list", "data": cards})

    # Sampling

    async def chat(self, request: Request) -> Response:
        body = await _body(request)
        sampling, conversation = protocol.sampling(body, chat=True), protocol.messages(body.get("messages"))
        served = self._model(body, "generate")
        prompt = await run_in_threadpool(_conversation_ids, served, conversation, "messages")
        job = self._sampling_job(served, [prompt], sampling)
        if sampling.stream:
            return self._stream(job, sampling, _head("chatcmpl", "chat.completion.chunk", served), chat_chunk)
        [group] = await self._wait(request, job)
        choices = []
        for index, row in enumerate(group.rows):
            choice = {
                "index": index,
                "message": {"role": "assistant", "content": written_text(served.tokenizer, row, sampling.stop)},
                "finish_reason": row.finish_reason,
                "logprobs": {"content": _chat_logprobs(served, row)} if sampling.logprobs else None,
            }
            choices.append(choice | ({"token_ids": row.token_ids} if sampling.return_token_ids else {}))
        answer = _answer("chatcmpl", "chat.completion", served, choices, [group])
        return _json(answer | ({"prompt_token_ids": prompt} if sampling.return_token_ids else {}))

    async def completions(self, request: Request) -> Response:
        body = await _body(request)
        sampling, given = protocol.sampling(body, chat=False), protocol.prompts(body.get("prompt"))
        if len(given) * sampling.n > self.engine.max_waiting:
            raise BadRequest(f"{len(given)} prompts × n {sampling.n} is too much for one request", param="n")
        served = self._model(body, "generate")
        prompts = await run_in_threadpool(lambda: [_plain_ids(served, prompt) for prompt in given])
        job = self._sampling_job(served, prompts, sampling)
        if sampling.stream:
            return self._stream(job, sampling, _head("cmpl", "text_completion", served), completion_chunk)
        groups = await self._wait(request, job)
        choices = []
        for group in groups:
            for row in group.rows:
                choice = {
                    "index": len(choices),
                    "text": written_text(served.tokenizer, row, sampling.stop),
                    "finish_reason": row.finish_reason,
                    "logprobs": _completion_logprobs(served, row) if sampling.logprobs else None,
                }
                if sampling.return_token_ids:
                    choice |= {"token_ids": row.token_ids, "prompt_token_ids": group.prompt}
                choices.append(choice)
        return _json(_answer("cmpl", "text_completion", served, choices, groups))

    def _sampling_job(self, served: Served, prompts: list[list[int]], sampling: Sampling) -> Job:
        groups = []
        for prompt in prompts:
            if not prompt:
                raise BadRequest("the prompt has no tokens", param="prompt")
            if len(prompt) + sampling.max_tokens > served.context:
                raise BadRequest(
                    f"the prompt has {len(prompt)} tokens and max_tokens is {sampling.max_tokens}; "
                    f"model {served.name!r} holds {served.context} in all",
                    param="max_tokens",
                    code="context_length_exceeded",
                )
            rows = [
                Row(
                    sampling.max_tokens,
                    sampling.temperature,
                    sampling.top_p,
                    row_seed(sampling.seed, at),
                    served.eos_ids,
                )
                for at in range(sampling.n)
            ]
            groups.append(Group(prompt, rows, sampling.stop))
        return Job(served, groups=groups)

    def _stream(self, job: Job, sampling: Sampling, head: dict, chunk: Callable[..., dict]) -> Response:
        """The answer as it grows. What the engine refuses at once is refused before anything is sent."""
        grown, loop = asyncio.Event(), asyncio.get_running_loop()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(grown.set)

        job.advanced = tell
        future = self.engine.submit(job)
        future.add_done_callback(lambda _future: tell())
        return EventStream(events(job, grown, head=head, chunk=chunk, usage=sampling.stream_usage), job)

    # Scores and tokens

    async def score(self, request: Request) -> Response:
        body = await _body(request)
        items = protocol.score_items(body.get("items"))
        served = self._model(body, "score")
        rows = await run_in_threadpool(lambda: [_score_ids(served, *item, at) for at, item in enumerate(items)])
        scores = await self._wait(request, Job(served, texts=rows))
        if not all(map(math.isfinite, scores)):
            raise EngineFailed(f"model {served.name!r} gave a score that is no number; its weights are broken")
        bias = served.folder.reward_bias
        return _json({"model": served.name, "scores": scores, "normalised": [value - bias for value in scores]})

    async def tokenize(self, request: Request) -> Response:
        body = await _body(request)
        served = self._model(body, None)
        if body.get("messages") is not None:
            conversation = protocol.messages(body["messages"])
            tokens = await run_in_threadpool(_conversation_ids, served, conversation, "messages", fit=False)
        else:
            prompt = protocol.text(body.get("prompt"), "prompt")
            tokens = await run_in_threadpool(_plain_ids, served, prompt, fit=False)
        return _json({"tokens": tokens, "count": len(tokens), "max_model_len": served.context})

    # Models

    async def admin_list(self, _request: Request) -> Response:
        self._admit_admin()
        models = [
            {
                "name": served.name,
                "path": str(served.folder.path),
                "kind": served.kind,
                "loaded": served.weights is not None,
                "published": served.published,
            }
            for served in self.registry.all()
        ]
        return _json({"models": models, "missing": self.registry.missing})

    async def admin_load(self, request: Request) -> Response:
        """Serve the model in a folder under a name, in place of the one that had it. The folder is read whole first."""
        self._admit_admin()
        body = await _body(request)
        name = protocol.model_name(body, "name")
        path = protocol.text(body.get("path"), "path", longest=4096, empty=False)
        if not Path(path).is_absolute():
            raise BadRequest(f"path must be absolute, not {path!r}", param="path")
        async with self.loading:
            try:
                served = await run_in_threadpool(describe, name, Path(path), created=int(time.time()), published=True)
                served.weights = await run_in_threadpool(
                    read_weights, served, device=self.engine.device, dtype=self.engine.dtype
                )
            except ModelFolderError as error:
                raise BadRequest(str(error), param="path") from None
            try:
                await asyncio.wrap_future(self.engine.submit(Job(served)))
                old = await run_in_threadpool(self.registry.put, served)
            except OSError as error:
                served.retired = True
                raise EngineFailed(f"the registry cannot be written: {error}") from None
        log.info("serving %s as %s", path, name)
        return _json({"name": name, "path": path, "kind": served.kind, "replaced": old is not None})

    async def admin_unload(self, request: Request) -> Response:
        self._admit_admin()
        name = request.path_params["name"]
        if name in self.registry.missing or self.registry.get(name) is not None:
            old = await run_in_threadpool(self.registry.remove, name)
            if old is not None:
                self.engine.wake()
            return _json({"name": name, "removed": True})
        raise BadRequest(f"there is no model {ascii(name)}", param="name", status=404, code="model_not_found")

    def _admit_admin(self) -> None:
        if not self.admin:
            raise BadRequest(
                "the admin routes are closed: this server listens beyond loopback without an API key", status=403
            )

    # Shared

    def _model(self, body: dict, kind: str | None) -> Served:
        name = protocol.model_name(body)
        served = self.registry.get(name)
        if served is None:
            known = ", ".join(model.name for model in self.registry.all()) or "none"
            message = f"there is no model {name!r}; there are: {known}"
            raise BadRequest(message, param="model", status=404, code="model_not_found")
        if kind is not None and served.kind != kind:
            does = "scores answers, it writes none" if served.kind == "score" else "writes answers, it scores none"
            raise BadRequest(f"model {name!r} {does}", param="model")
        return served

    async def _wait(self, request: Request, job: Job) -> Any:
        """The job's result. When the client hangs up, or this handler is cancelled, the job is dropped."""
        future = asyncio.wrap_future(self.engine.submit(job))
        try:
            while not (await asyncio.wait([future], timeout=HANG_UP_SECONDS))[0]:
                if await request.is_disconnected():
                    raise ClientDisconnect
            return future.result()
        finally:
            if not future.done():
                future.cancel()


def _same_key(request: Request, api_key: str) -> bool:
    given = request.headers.get("Authorization", "")
    return hmac.compare_digest(given.encode("utf-8", "replace"), f"Bearer {api_key}".encode())


async def _body(request: Request) -> dict:
    # A form on a foreign page can post text/plain to loopback without asking; it cannot post this.
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise BadRequest("Content-Type must be application/json", status=415)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise BadRequest(f"the body may hold {MAX_BODY_BYTES} bytes", status=413)
        parts.append(part)
    return await run_in_threadpool(protocol.read_json, b"".join(parts))


def _conversation_ids(served: Served, conversation: list[dict], field: str, fit: bool = True) -> list[int]:
    if fit:
        _may_fit(served, sum(len(message["content"]) for message in conversation), field)
    try:
        with served.encoding:
            ids = prompt_ids(served.tokenizer, conversation)
    except TemplateError as error:
        raise BadRequest(f"the chat template of {served.name!r} refuses: {str(error)[:200]}", param=field) from None
    return ids


def _plain_ids(served: Served, prompt: str | list[int], fit: bool = True) -> list[int]:
    if isinstance(prompt, list):
        vocabulary = served.folder.config.get("vocab_size") or len(served.tokenizer)
        if any(not 0 <= token < vocabulary for token in prompt):
            raise BadRequest(f"token ids must be between 0 and {vocabulary - 1}", param="prompt")
        return prompt
    if fit:
        _may_fit(served, len(prompt), "prompt")
    with served.encoding:
        return list(served.tokenizer(prompt, add_special_tokens=False).input_ids)


def _score_ids(served: Served, conversation: list[dict], completion: str, at: int) -> list[int]:
    _may_fit(served, len(completion), f"items[{at}].completion")
    ids = _conversation_ids(served, conversation, f"items[{at}].messages")
    with served.encoding:
        ids = ids + answer_ids(served.tokenizer, completion)
    if len(ids) > served.context:
        raise BadRequest(
            f"items[{at}] has {len(ids)} tokens; model {served.name!r} holds {served.context}",
            param=f"items[{at}]",
            code="context_length_exceeded",
        )
    return ids


def _may_fit(served: Served, characters: int, field: str) -> None:
    """Refuse at once what no tokenizer could make fit, rather than tokenise megabytes to find out."""
    if characters > served.context * served.longest_token:
        raise BadRequest(
            f"{field} has {characters} characters, more than model {served.name!r} can hold in {served.context} tokens",
            param=field,
            code="context_length_exceeded",
        )


def _chat_logprobs(served: Served, row: Row) -> list[dict]:
    entries = []
    for token, logprob in zip(row.token_ids, row.logprobs, strict=True):
        shown = served.tokenizer.decode([token])
        entries.append({"token": shown, "logprob": logprob, "bytes": list(shown.encode()), "top_logprobs": []})
    return entries


def _completion_logprobs(served: Served, row: Row) -> dict:
    shown = [served.tokenizer.decode([token]) for token in row.token_ids]
    offsets = [sum(map(len, shown[:at])) for at in range(len(shown))]
    return {"tokens": shown, "token_logprobs": row.logprobs, "top_logprobs": None, "text_offset": offsets}


def _answer(prefix: str, kind: str, served: Served, choices: list[dict], groups: list[Group]) -> dict:
    return {**_head(prefix, kind, served), "choices": choices, "usage": usage_of(groups)}


def _head(prefix: str, kind: str, served: Served) -> dict:
    return {"id": f"{prefix}-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": served.name}


def _json(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    body = json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def _error(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    error = {"message": message, "type": kind, "param": param, "code": code if code is not None else status}
    return _json({"error": error}, status=status, headers=headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = {404: f"there is no route {ascii(request.url.path)}", 405: f"{request.method} is not allowed here"}
    return _error(error.status_code, message.get(error.status_code, str(error.detail)), headers=error.headers)


async def _unexpected(_request: Request, error: Exception) -> Response:
    log.error("a handler failed", exc_info=error)
    return _error(500, "the model server failed; its log says why", kind="server_error")
