"""The one way Kwise talks to a language or reward model: HTTP, to the embedded server or vLLM. Needs httpx, no torch.

    >>> with ModelClient("http://127.0.0.1:8001") as client:
    ...     choices = client.chat("smol", messages, n=4, temperature=1.0, top_p=1.0, max_tokens=128, seed=7)
    ...     text = "".join(client.stream_chat("smol", messages, max_tokens=128, seed=7))
    ...     scores = client.score("reward", [{"messages": messages, "completion": choices[0].text}])

What may pass (no connection, 429, 5xx) is tried again with growing pauses; then `ModelUnavailable`. What will never
work (4xx) is `ModelRefused` at once, with the server's own sentence. A time-out is not tried again: the work may still
run. Neither is a stream that broke off after it began.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

TIMEOUT_SECONDS = 300.0  # for one answer: n long samples on a CPU take minutes
CONNECT_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.5  # doubled at each further try
LONGEST_PAUSE_SECONDS = 30.0
EVENT_BYTES = 2**20  # of one event of a stream; they carry some words each
SCORE_ROWS = 32  # rows of one request for scores; one row too long fails its whole request in vLLM


class ModelUnavailable(Exception):
    """The model server did not answer, or not as a model server does; the same call may work later."""


class ModelRefused(Exception):
    """The model server understood and said no; the same call will not work later. `status` is the HTTP status."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Choice:
    """One sampled answer. `logprob_sum` in nats over its `tokens` tokens, EOS included; None where none were sent."""

    text: str
    finish_reason: str  # "stop" or "length"
    logprob_sum: float | None
    tokens: int


class ModelClient:
    """A client of one server; threads may share it. `timeout` is for one answer, in seconds.

    `eos_token_id` is needed only to score through a vLLM whose model folder this machine cannot read.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        *,
        tries: int = 5,
        eos_token_id: int | None = None,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/").removesuffix("/v1")
        self.tries, self.eos_token_id, self._sleep = max(1, tries), eos_token_id, sleep
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        limits = httpx.Timeout(timeout, connect=CONNECT_SECONDS)
        self._http = httpx.Client(
            base_url=self.base_url, headers=headers, timeout=limits, transport=transport, trust_env=False
        )
        self._cards: dict[str, dict] = {}

    def __enter__(self) -> ModelClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # Sampling

    def chat(
        self,
        model: str,
        messages: list[dict],
        *,
        n: int = 1,
        temperature: float = 1.0,
        top_p: float = 1.0,
        max_tokens: int = 256,
        seed: int | None = None,
        stop: Sequence[str] = (),
    ) -> list[Choice]:
        """`n` answers to `messages`, in the server's order. Raises ModelRefused, ModelUnavailable."""
        body = {"messages": messages, "logprobs": True, "top_logprobs": 0}
        body |= _sampling(model, n, temperature, top_p, max_tokens, seed, stop)
        answer = self.call("POST", "/v1/chat/completions", body)

        def choice(item: dict) -> Choice:
            listed = (item.get("logprobs") or {}).get("content")
            return _choice(item["message"]["content"], item, None if listed is None else [t["logprob"] for t in listed])

        return self._choices(answer, n, choice)

    def stream_chat(
        self,
        model: str,
        messages: list[dict],
        *,
        temperature: float = 1.0,
        top_p: float = 1.0,
        max_tokens: int = 256,
        seed: int | None = None,
        stop: Sequence[str] = (),
    ) -> Iterator[str]:
        """Pieces of one answer to `messages` as they are written; joined they are the answer. None is empty.

        Nothing is asked before the first piece is taken. Closing the iterator hangs up, and the server stops writing.
        The client's `timeout` is for each piece. Raises ModelRefused, ModelUnavailable, also between two pieces.
        """
        body = {"messages": messages, "stream": True}
        body |= _sampling(model, 1, temperature, top_p, max_tokens, seed, stop)
        response = self._send("POST", "/v1/chat/completions", body, stream=True)
        finish_reason = None
        try:
            for event in _events(response):
                if event == "[DONE]":
                    break
                piece, reason = self._piece(event)
                finish_reason = reason or finish_reason
                if piece:
                    yield piece
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise ModelUnavailable(f"{self.base_url} broke off: {str(error) or type(error).__name__}") from None
        finally:
            response.close()
        if finish_reason not in ("stop", "length"):
            raise ModelUnavailable(f"{self.base_url} broke a completion off ({finish_reason or 'no end'}); ask again")

    def _piece(self, event: str) -> tuple[str, str | None]:
        """The text and the finish reason in an event of a stream; either may be missing."""
        try:
            chunk = json.loads(event)
            if chunk.get("error"):
                raise ModelUnavailable(f"{self.base_url} broke off: {_told(chunk)}")
            for choice in chunk["choices"]:  # none in the one that counts tokens
                piece = choice["delta"].get("content") or ""
                if not isinstance(piece, str):
                    raise ValueError("a piece that is no text")
                return piece, choice.get("finish_reason")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ModelUnavailable(f"{self.base_url} sent no completion: {type(error).__name__} {error}") from None
        return "", None

    def complete(
        self,
        model: str,
        prompt: str | list[int],
        *,
        n: int = 1,
        temperature: float = 1.0,
        top_p: float = 1.0,
        max_tokens: int = 256,
        seed: int | None = None,
        stop: Sequence[str] = (),
    ) -> list[Choice]:
        """`n` continuations of a text, or of token ids."""
        body = {"prompt": prompt, "logprobs": 1}
        body |= _sampling(model, n, temperature, top_p, max_tokens, seed, stop)
        answer = self.call("POST", "/v1/completions", body)

        def choice(item: dict) -> Choice:
            return _choice(item["text"], item, (item.get("logprobs") or {}).get("token_logprobs"))

        return self._choices(answer, n, choice)

    def _choices(self, answer: dict, n: int, read: Callable[[dict], Choice]) -> list[Choice]:
        try:
            items = sorted(answer["choices"], key=lambda item: item["index"])
            choices = [read(item) for item in items]
        except (KeyError, TypeError, ValueError) as error:
            raise ModelUnavailable(f"{self.base_url} sent no completion: {type(error).__name__} {error}") from None
        if len(choices) != n:
            raise ModelUnavailable(f"{self.base_url} sent {len(choices)} completions, {n} were asked for")
        # vLLM answers 200 with a cut text when its weights are exchanged the hard way.
        if any(choice.finish_reason not in ("stop", "length") for choice in choices):
            reasons = sorted({choice.finish_reason for choice in choices})
            raise ModelUnavailable(f"{self.base_url} broke a completion off ({', '.join(reasons)}); ask again")
        return choices

    # Scores

    def score(self, model: str, items: list[dict]) -> list[float]:
        """The reward model's raw score of each {"messages": …, "completion": text}; unitless, higher is better.

        Prompt, answer and EOS are tokenised apart and never merge. From vLLM the number is the logit itself, whatever
        activation its configuration names.
        """
        if not items:
            return []
        if self.owner(model) == "kwise":
            scores: list[float] = []
            for start in range(0, len(items), SCORE_ROWS):
                answer = self.call("POST", "/score", {"model": model, "items": items[start : start + SCORE_ROWS]})
                scores += self._floats(answer, "scores", len(items[start : start + SCORE_ROWS]))
            return scores
        eos = self._eos_token_id(model)
        prompts: dict[str, list[int]] = {}
        rows = []
        for item in items:
            key = json.dumps(item["messages"])
            if key not in prompts:
                prompts[key] = self._tokenize(model, messages=item["messages"], add_generation_prompt=True)
            answer_ids = self._tokenize(model, prompt=item["completion"], add_special_tokens=False)
            rows.append(prompts[key] + answer_ids + [eos])
        scores = []
        for start in range(0, len(rows), SCORE_ROWS):
            part = rows[start : start + SCORE_ROWS]
            answer = self.call("POST", "/classify", {"model": model, "input": part, "use_activation": False})
            try:
                data = sorted(answer["data"], key=lambda entry: entry["index"])
                numbers = {"scores": [entry["probs"][0] for entry in data]}
            except (KeyError, TypeError, IndexError) as error:
                raise ModelUnavailable(f"{self.base_url} sent no scores: {type(error).__name__} {error}") from None
            scores += self._floats(numbers, "scores", len(part))
        return scores

    def _floats(self, answer: dict, key: str, count: int) -> list[float]:
        numbers = answer.get(key)
        good = isinstance(numbers, list) and len(numbers) == count
        if not good or not all(isinstance(number, int | float) for number in numbers):
            raise ModelUnavailable(f"{self.base_url} did not send the {count} scores that were asked for")
        return [float(number) for number in numbers]

    def _tokenize(self, model: str, **body: Any) -> list[int]:
        tokens = self.call("POST", "/tokenize", {"model": model, **body}).get("tokens")
        if not isinstance(tokens, list):
            raise ModelUnavailable(f"{self.base_url} sent no tokens")
        return tokens

    def _eos_token_id(self, model: str) -> int:
        """vLLM does not tell its EOS token, so it is read from the model's folder, whose path it does tell."""
        if self.eos_token_id is None:
            config = Path(self.root(model)) / "config.json"
            try:
                found = json.loads(config.read_text("utf-8"))["eos_token_id"]
            except (OSError, ValueError, KeyError, TypeError):
                raise ModelRefused(
                    f"cannot score with {model!r}: its EOS token is unknown, for {config} cannot be read here; "
                    "share the model folder with this machine or give ModelClient an eos_token_id"
                ) from None
            self.eos_token_id = found[0] if isinstance(found, list) else found
        return self.eos_token_id

    # The server itself

    def models(self) -> list[str]:
        """Names that the server answers to."""
        self._refresh()
        return sorted(self._cards)

    def owner(self, model: str) -> str:
        """Which kind of server has `model`: "kwise" (the embedded one) or "vllm". ModelRefused where there is none."""
        return str(self._card(model).get("owned_by", ""))

    def root(self, model: str) -> str:
        """The folder that the server says it started `model` from, as the server sees it."""
        return str(self._card(model).get("root") or "")

    def ready(self) -> bool:
        """Whether the server answers; False at once when not. Never raises."""
        try:
            return self._http.get("/health", timeout=CONNECT_SECONDS).status_code == 200
        except (httpx.HTTPError, httpx.InvalidURL):
            return False

    def _card(self, model: str) -> dict:
        if model not in self._cards:
            self._refresh()
        if model not in self._cards:
            known = ", ".join(sorted(self._cards)) or "none"
            raise ModelRefused(f"{self.base_url} has no model {model!r}; it has: {known}", status=404)
        return self._cards[model]

    def _refresh(self) -> None:
        answer = self.call("GET", "/v1/models")
        try:
            self._cards = {card["id"]: card for card in answer["data"]}
        except (KeyError, TypeError):
            raise ModelUnavailable(f"{self.base_url} sent no list of models") from None

    def call(
        self,
        method: str,
        path: str,
        body: dict | None = None,
        *,
        timeout: float | None = None,
        tries: int | None = None,
    ) -> dict:
        """One request and its JSON object; retried as the module says. The server's other routes are reached by it."""
        return self._object(self._send(method, path, body, timeout=timeout, tries=tries))

    def _send(
        self,
        method: str,
        path: str,
        body: dict | None,
        *,
        timeout: float | None = None,
        tries: int | None = None,
        stream: bool = False,
    ) -> httpx.Response:
        """A good response, to be closed by the caller where it is a stream."""
        # ASCII only: a lone surrogate travels as its escape, and the server says what is wrong with it.
        content = None if body is None else json.dumps(body, ensure_ascii=True).encode("ascii")
        headers = {"Content-Type": "application/json"} if body is not None else {}
        extra = {} if timeout is None else {"timeout": httpx.Timeout(timeout, connect=CONNECT_SECONDS)}
        tries = self.tries if tries is None else tries
        for attempt in range(tries):
            wait = FIRST_PAUSE_SECONDS * 2**attempt
            try:
                request = self._http.build_request(method, path, content=content, headers=headers, **extra)
                response = self._http.send(request, stream=stream)
                if stream and response.status_code >= 400:
                    response.read()
            except httpx.ReadTimeout:
                raise ModelUnavailable(f"{self.base_url}{path} did not answer in time") from None
            except (httpx.TransportError, httpx.InvalidURL) as error:
                trouble = f"{self.base_url} cannot be reached: {str(error) or type(error).__name__}"
            else:
                if response.status_code < 400:
                    return response
                trouble = f"{self.base_url}{path} answered {response.status_code}: {_sentence(response)}"
                if response.status_code != 429 and response.status_code < 500:
                    raise ModelRefused(_sentence(response), status=response.status_code)
                wait = max(wait, _retry_after(response))
            if attempt + 1 < tries:
                # Drawn between half and the whole: clients that failed together must not return together.
                self._sleep(min(wait, LONGEST_PAUSE_SECONDS) * random.uniform(0.5, 1.0))
        raise ModelUnavailable(f"{trouble} ({tries} tries)" if tries > 1 else trouble)

    def _object(self, response: httpx.Response) -> dict:
        if not response.content:
            return {}
        try:
            value = response.json()
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise ModelUnavailable(f"{response.url} did not answer with a JSON object; is it a model server?")
        return value


def _sampling(
    model: str, n: int, temperature: float, top_p: float, max_tokens: int, seed: int | None, stop: Sequence[str]
) -> dict:
    body: dict[str, Any] = {
        "model": model,
        "n": n,
        "temperature": temperature,
        "top_p": top_p,
        "max_tokens": max_tokens,
    }
    if seed is not None:
        body["seed"] = seed
    if stop:
        body["stop"] = list(stop)
    return body


def _choice(text: Any, item: dict, logprobs: list | None) -> Choice:
    if not isinstance(text, str):
        raise ValueError("a choice has no text")
    known = logprobs is not None and all(isinstance(value, int | float) for value in logprobs)
    return Choice(
        text=text,
        finish_reason=str(item.get("finish_reason")),
        logprob_sum=float(sum(logprobs)) if known else None,
        tokens=len(logprobs) if logprobs is not None else 0,
    )


def _events(response: httpx.Response) -> Iterator[str]:
    """The data of each event of a stream. Lines end in LF or CR LF and nowhere else: a text may hold U+2028."""
    rest = b""
    for part in response.iter_bytes():
        *lines, rest = (rest + part).split(b"\n")
        if len(rest) > EVENT_BYTES:
            raise ModelUnavailable(f"{response.url} sent an event of more than {EVENT_BYTES} bytes")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].decode("utf-8", "replace").strip()


def _sentence(response: httpx.Response) -> str:
    """The server's own words, cut to a readable length."""
    try:
        value = response.json()
    except (ValueError, RecursionError):
        value = response.text
    return _told(value) or f"HTTP {response.status_code}"


def _told(value: Any) -> str:
    """What went wrong, in any of the shapes servers use."""
    if isinstance(value, dict):
        value = value.get("error", value.get("detail", value))
    if isinstance(value, dict):
        value = value.get("message", value)
    return str(value)[:1000]


def _retry_after(response: httpx.Response) -> float:
    try:
        return max(0.0, float(response.headers.get("Retry-After", "0")))
    except ValueError:
        return 0.0
