"""Ask endpoints for the completions of one prompt. HTTP alone: no row is touched, so threads may run it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from labeling.refusals import Refusal
from labeling.sampling.choosing import request_seed
from labeling.sampling.models import Endpoint
from labeling.text import check_text
from models_service.client import ModelClient

# How often one prompt is asked for again when samples came out the same or empty, after the first time.
FURTHER_ROUNDS = 3
# A request of K long completions on a busy CPU server; beyond this it counts as not answered, seconds.
REQUEST_TIMEOUT = 600.0
# The last some seconds after the first.
TRIES = 5
# Somebody looks at the page: a server that needs longer than this is as good as down, seconds.
CHECK_TIMEOUT = 5.0


@dataclass(frozen=True)
class Wish:
    """The K completions wanted of one prompt, and of whom."""

    messages: list[dict]
    prompt_sha256: str
    shares: tuple[tuple[Endpoint, int], ...]
    temperature: float
    top_p: float
    max_tokens: int
    seed: int  # the batch's
    evaluation: bool


@dataclass(frozen=True)
class Sample:
    """One completion as an endpoint gave it, with all that is needed to ask for it again."""

    text: str
    endpoint: Endpoint
    seed: int
    parameters: dict
    finish_reason: str
    tokens: int | None
    logprob: float | None  # sum over its tokens, nats


@dataclass
class Drawn:
    """All usable samples of one prompt in the order they came, equal texts included, and how many could not be used."""

    samples: list[Sample] = field(default_factory=list)
    unusable: int = 0
    rounds: int = 0  # requests beyond the first of each endpoint


def client_for(endpoint: Endpoint, *, timeout: float = REQUEST_TIMEOUT, tries: int = TRIES) -> ModelClient:
    """A client with the key from the environment variable that the endpoint names; Refusal where that is unset."""
    key = None
    if endpoint.api_key_variable:
        key = os.environ.get(endpoint.api_key_variable)
        if not key:
            raise Refusal(
                _(
                    "Endpoint {endpoint} wants the key in {api_key_variable}, which is not set where this "
                    "process runs; set it and try again."
                ).format(endpoint=endpoint.name, api_key_variable=endpoint.api_key_variable)
            )
    return ModelClient(endpoint.base_url, api_key=key, timeout=timeout, tries=tries)


def draw(wish: Wish, clients: dict[int, ModelClient]) -> Drawn:
    """Sample until each endpoint gave as many different texts as its share, or the rounds are used up.

    Texts that were drawn before are asked for again with a new seed. In an evaluation two models may give the same
    text: it is a tie between them, and asking again would bias the comparison. Raises ModelUnavailable, ModelRefused.
    """
    drawn, taken = Drawn(), set()
    for endpoint, share in wish.shares:
        own: set[str] = set()
        for attempt in range(1 + FURTHER_ROUNDS):
            missing = share - len(own)
            # Without chance, asking again gives the same answer again.
            if missing <= 0 or (attempt and wish.temperature == 0):
                break
            drawn.rounds += attempt > 0
            for sample in ask(wish, endpoint, clients[endpoint.pk], n=missing, attempt=attempt):
                if not usable(sample.text):
                    drawn.unusable += 1
                    continue
                drawn.samples.append(sample)
                if wish.evaluation or sample.text not in taken:
                    own.add(sample.text)
        taken |= own
    return drawn


def ask(wish: Wish, endpoint: Endpoint, client: ModelClient, *, n: int, attempt: int) -> Sequence[Sample]:
    """One request for `n` samples."""
    seed = request_seed(seed=wish.seed, prompt_sha256=wish.prompt_sha256, endpoint=endpoint.name, attempt=attempt)
    parameters = {"temperature": wish.temperature, "top_p": wish.top_p, "max_tokens": wish.max_tokens, "n": n}
    choices = client.chat(
        endpoint.model,
        wish.messages,
        n=n,
        temperature=wish.temperature,
        top_p=wish.top_p,
        max_tokens=wish.max_tokens,
        seed=seed,
    )
    return [
        Sample(
            text=choice.text,
            endpoint=endpoint,
            seed=seed,
            parameters={**parameters, "index": index},
            finish_reason=choice.finish_reason or "",
            tokens=choice.tokens,
            logprob=choice.logprob_sum,
        )
        for index, choice in enumerate(choices)
    ]


def usable(text: str) -> bool:
    """Whether a labeler can be shown this text: not blank, and such that the database can keep it to the byte."""
    try:
        check_text(text, where=_("a completion"))
    except Refusal:
        return False
    return bool(text.strip())
