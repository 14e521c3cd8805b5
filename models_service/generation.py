"""Sampling from a causal language model: one prefill per prompt, many samples, rows come and go.

The prompt runs through the model once; its keys and values are then copied for each of its n samples. Samples of any
prompts, with any parameters, advance together, one token per forward pass; a sample that ends leaves at once and
another may take its room. Rows are padded on the left by zeros that are masked; positions count real tokens only.

A sample draws from a stream of its own, made of its seed and its index alone, and its next token is the winner of a
race between all tokens (Gumbel-max). So what it says does not depend on what else is in the batch, up to float noise:
two tokens change places only where they end within about 1e-5 nats of each other. (Looking a number up in the
cumulative probabilities is cheaper, but there the noise of 50,000 borders adds up, and draws do fall beside.)

`generate` is for trainers and tests; the server drives `Batch` itself, so that requests may join while others run.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from transformers import DynamicCache
from transformers.cache_utils import Cache, DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import AttentionInterface

GROW_TOKENS = 64  # room added to the key-value store at a time; larger copies less often and holds more unused
PREFILL_TOKENS = 4096  # tokens, with padding, in one prefill pass: bounds its memory
PREFILL_WASTE = 1.1  # padded over real tokens in one prefill pass


@dataclass(frozen=True)
class Sample:
    """One answer. `token_ids` ends with the EOS token when `finish_reason` is "stop" by EOS.

    `logprobs` are those of the model itself, in nats, one per token: temperature 1, no top-p, as vLLM reports them.
    """

    token_ids: list[int]
    logprobs: list[float]
    finish_reason: str  # "stop" or "length"


@dataclass(eq=False)
class Row:
    """A sample in the making. `finish_reason` is None while it runs."""

    max_new_tokens: int
    temperature: float
    top_p: float
    seed: int  # of this row alone: see `row_seed`
    eos_ids: frozenset[int]
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish_reason: str | None = None
    _generator: torch.Generator | None = field(default=None, repr=False)

    def noise(self, out: torch.Tensor) -> None:
        """Fill `out` (V,) with the exponential numbers that decide the next token. In order, once per token."""
        if self._generator is None:
            self._generator = torch.Generator(out.device).manual_seed(self.seed)
        out.exponential_(generator=self._generator)

    def take(self, token: int, logprob: float) -> None:
        self.token_ids.append(token)
        self.logprobs.append(logprob)
        if token in self.eos_ids:
            self.finish_reason = "stop"
        elif len(self.token_ids) >= self.max_new_tokens:
            self.finish_reason = "length"

    def sample(self) -> Sample:
        return Sample(self.token_ids, self.logprobs, self.finish_reason or "length")


@dataclass
class Prefix:
    """A prompt that went through the model: what its samples start from."""

    length: int
    layers: list[tuple[torch.Tensor, torch.Tensor]]  # per layer: keys and values, (1, heads, length, size)
    logits: torch.Tensor  # (V,) of the first new token


def row_seed(seed: int, index: int) -> int:
    """The seed of a request's sample number `index`: 63 bits, unrelated for neighbouring seeds and indexes."""
    digest = hashlib.sha256(f"{seed}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generate(
    model: torch.nn.Module,
    prompts: list[list[int]],
    *,
    n: int | list[int] = 1,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    eos_ids: set[int],
    pad_id: int,
    seeds: list[int] | None = None,
    generator: torch.Generator | None = None,
    max_rows: int = 64,
) -> list[list[Sample]]:
    """For each prompt (token ids, not empty) its n samples, in order. Raises ValueError on nonsense.

    `n` and `seeds` may be given per prompt. Without seeds they are drawn from `generator`, or from torch's global one.
    Temperature 0 takes the likeliest token. The model is put into eval mode for the time and no gradient is kept.
    `max_rows` samples are in memory at once. Lengths are known, never inferred from `pad_id`.
    """
    counts = [n] * len(prompts) if isinstance(n, int) else list(n)
    if len(counts) != len(prompts) or any(count < 1 for count in counts):
        raise ValueError(f"n must be at least 1 for each of the {len(prompts)} prompts, not {n}")
    if max_new_tokens < 1 or max_rows < 1:
        raise ValueError("max_new_tokens and max_rows must be at least 1")
    if seeds is None:
        seeds = torch.randint(2**62, (len(prompts),), generator=generator, device=_device_of(generator)).tolist()
    if len(seeds) != len(prompts):
        raise ValueError(f"{len(seeds)} seeds for {len(prompts)} prompts")
    eos = frozenset(eos_ids)
    rows = [
        [Row(max_new_tokens, temperature, top_p, row_seed(seed, index), eos) for index in range(count)]
        for seed, count in zip(seeds, counts, strict=True)
    ]
    for row in (row for group in rows for row in group):
        check_sampling(row.temperature, row.top_p)
    batch, waiting = Batch(model, pad_id=pad_id), deque(range(len(prompts)))
    open_prefix: tuple[Prefix, list[Row]] | None = None  # a prompt of which some samples still wait for room
    with sampling_mode(model):
        while waiting or open_prefix or batch.rows:
            room = max_rows - len(batch.rows)
            # Each joining copies the store once, so wait until a quarter is free.
            if (waiting or open_prefix) and room >= max(1, max_rows // 4):
                joining: list[tuple[Prefix, list[Row]]] = []
                if open_prefix:
                    prefix, group = open_prefix
                    joining.append((prefix, group[:room]))
                    open_prefix = (prefix, group[room:]) if group[room:] else None
                    room -= len(joining[0][1])
                fresh: list[int] = []
                while waiting and room > 0 and open_prefix is None:
                    fresh.append(waiting.popleft())
                    room -= counts[fresh[-1]]
                for which, prefix in zip(
                    fresh, prefill(model, [prompts[i] for i in fresh], pad_id=pad_id), strict=True
                ):
                    group = rows[which]
                    if which == fresh[-1] and room < 0:
                        group, open_prefix = group[:room], (prefix, group[room:])
                    joining.append((prefix, group))
                batch.join(joining)
            batch.step()
    return [[row.sample() for row in group] for group in rows]


def check_sampling(temperature: float, top_p: float) -> None:
    """Raises ValueError unless temperature ≥ 0 and 0 < top_p ≤ 1."""
    if not 0 <= temperature <= 100:
        raise ValueError(f"temperature must be between 0 and 100, not {temperature}")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, not {top_p}")


@torch.inference_mode()
def prefill(model: torch.nn.Module, prompts: list[list[int]], *, pad_id: int) -> list[Prefix]:
    """Run each prompt through the model once. Prompts of about one length share a pass, padded on the right."""
    prefixes: list[Prefix | None] = [None] * len(prompts)
    for chosen in _similar(prompts):
        ids, lengths = _right_padded([prompts[i] for i in chosen], pad_id, model.device)
        last = sorted({length - 1 for length in lengths})
        cache = DynamicCache()  # without a config: every layer keeps all tokens, sliding windows come by mask
        mask = torch.arange(ids.shape[1], device=ids.device) < torch.tensor(lengths, device=ids.device)[:, None]
        output = model(
            input_ids=ids,
            attention_mask=None if len(last) == 1 else mask.long(),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=torch.tensor(last, device=ids.device),
        )
        for at, which in enumerate(chosen):
            length = lengths[at]
            layers = [
                (layer.keys[at : at + 1, :, :length], layer.values[at : at + 1, :, :length]) for layer in cache.layers
            ]
            prefixes[which] = Prefix(length, layers, output.logits[at, last.index(length - 1)].float())
    return prefixes  # type: ignore[return-value]


class Batch:
    """Samples that advance together. For a model in `sampling_mode`; not for several threads at once."""

    def __init__(self, model: torch.nn.Module, *, pad_id: int) -> None:
        self.model, self.pad_id = model, pad_id
        self.rows: list[Row] = []
        self._cache: Cache | None = None
        self._lengths = torch.zeros(0, dtype=torch.long)  # (R,) real tokens of each row in the store

    @torch.inference_mode()
    def join(self, joining: list[tuple[Prefix, list[Row]]]) -> None:
        """Add the samples of each prompt. Each gets its first token here, from the prompt's own logits."""
        joining = [(prefix, rows) for prefix, rows in joining if rows]
        if not joining:
            return
        first = [row for _prefix, rows in joining for row in rows]
        logits = torch.cat([prefix.logits.expand(len(rows), -1) for prefix, rows in joining])
        _advance(first, logits)
        running = [(prefix, [row for row in rows if row.finish_reason is None]) for prefix, rows in joining]
        joining = [(prefix, rows) for prefix, rows in running if rows]
        if not joining:
            return
        old = self._cache.layers if self._cache else None
        width = max([prefix.length for prefix, _rows in joining] + ([old[0].length] if old else []))
        layers = []
        for number in range(len(joining[0][0].layers)):
            kept = [(old[number].keys, old[number].values, len(self.rows))] if old else []
            parts = kept + [(*prefix.layers[number], len(rows)) for prefix, rows in joining]
            layers.append(_Layer.stacked(parts, width))
        self._cache = Cache(layers=layers)
        lengths = [prefix.length for prefix, rows in joining for _row in rows]
        self._lengths = torch.cat([self._lengths, torch.tensor(lengths, dtype=torch.long)])
        self.rows += [row for _prefix, rows in joining for row in rows]

    @torch.inference_mode()
    def step(self) -> None:
        """One more token for every row; those that end (or were ended from outside) leave."""
        self._compact()
        if not self.rows:
            return
        device = self.model.device
        held = self._cache.get_seq_length()
        lengths = self._lengths.to(device)
        mask = None
        if int(self._lengths.min()) < held:
            mask = torch.arange(held + 1, device=device) >= (held - lengths)[:, None]  # (R, held + 1)
        output = self.model(
            input_ids=torch.tensor([[row.token_ids[-1]] for row in self.rows], device=device),
            attention_mask=None if mask is None else mask.long(),
            position_ids=lengths[:, None],
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._lengths += 1
        _advance(self.rows, output.logits[:, -1].float())
        self._compact()

    def _compact(self) -> None:
        kept = [at for at, row in enumerate(self.rows) if row.finish_reason is None]
        if len(kept) == len(self.rows):
            return
        self.rows = [self.rows[at] for at in kept]
        self._lengths = self._lengths[kept]
        if not kept:
            self._cache = None
            return
        unused = self._cache.get_seq_length() - int(self._lengths.max())  # columns that no row has anything in
        for layer in self._cache.layers:
            layer.keep(kept, unused)


class _Layer(DynamicLayer):
    """Keys and values of one layer in a store with room to spare: a new token is written, no old one is copied."""

    @classmethod
    def stacked(cls, parts: list[tuple[torch.Tensor, torch.Tensor, int]], width: int) -> _Layer:
        """Parts of (rows or 1, heads, length, size) each repeated to its count, set flush right in `width` columns."""
        layer, count = cls(), sum(part[2] for part in parts)
        layer.dtype, layer.device = parts[0][0].dtype, parts[0][0].device
        layer.is_initialized, layer.length = True, width
        layer.stores = []
        for which in (0, 1):
            example = parts[0][which]
            store = example.new_zeros((count, example.shape[1], width + GROW_TOKENS, example.shape[3]))
            start = 0
            for part in parts:
                tensor, rows = part[which], part[2]
                store[start : start + rows, :, width - tensor.shape[2] : width] = tensor
                start += rows
            layer.stores.append(store)
        layer._expose()
        return layer

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: object, **__: object):
        """Append one token per row; returns all keys and values, as views."""
        new = key_states.shape[2]
        if self.length + new > self.stores[0].shape[2]:
            more = max(GROW_TOKENS, new)
            self.stores = [torch.nn.functional.pad(store, (0, 0, 0, more)) for store in self.stores]
        for store, states in zip(self.stores, (key_states, value_states), strict=True):
            store[:, :, self.length : self.length + new] = states
        self.length += new
        self._expose()
        return self.keys, self.values

    def keep(self, rows: list[int], unused: int) -> None:
        """Drop the other rows and the first `unused` columns."""
        self.stores = [store[rows, :, unused:] for store in self.stores]
        self.length -= unused
        self._expose()

    def _expose(self) -> None:
        self.keys, self.values = (store[:, :, : self.length] for store in self.stores)


def prepare_for_sampling(model: torch.nn.Module) -> None:
    """Eval mode and, where the model uses torch's attention, the one below. For good; see `sampling_mode`."""
    model.eval()
    # What the trainers put in its place is torch's too, but for packed rows.
    if model.config._attn_implementation in ("sdpa", "kwise_packed"):
        model.config._attn_implementation = GROUPED


@contextmanager
def sampling_mode(model: torch.nn.Module) -> Iterator[None]:
    """`prepare_for_sampling`, undone afterwards."""
    was_training, was = model.training, model.config._attn_implementation
    prepare_for_sampling(model)
    try:
        yield
    finally:
        model.config._attn_implementation = was
        model.train(was_training)


GROUPED = "kwise_grouped_sdpa"


def _grouped_attention(module, query, key, value, attention_mask, dropout=0.0, scaling=None, **kwargs):
    """torch's attention, but for one new token the query heads that share a key head become its query positions.

    The usual way repeats keys and values for each of them, at every step: on a CPU more work than all the rest.
    """
    rows, heads, new, size = query.shape
    groups = heads // key.shape[1]
    if new > 1 or groups == 1 or dropout or kwargs.get("position_bias") is not None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    output = torch.nn.functional.scaled_dot_product_attention(
        query.reshape(rows, key.shape[1], groups, size), key, value, attn_mask=attention_mask, scale=scaling
    )
    return output.reshape(rows, 1, heads, value.shape[-1]), None


AttentionInterface.register(GROUPED, _grouped_attention)
AttentionMaskInterface.register(GROUPED, sdpa_mask)


def _advance(rows: list[Row], logits: torch.Tensor) -> None:
    """Give each row its next token, drawn from logits (R, V) with the row's own parameters."""
    tokens = pick_tokens(logits, rows)
    chosen = logits.gather(1, tokens[:, None])[:, 0] - logits.logsumexp(1)  # (R,) nats
    for row, token, logprob in zip(rows, tokens.tolist(), chosen.tolist(), strict=True):
        row.take(token, logprob)


def pick_tokens(logits: torch.Tensor, rows: list[Row]) -> torch.Tensor:
    """(R,) token ids drawn from logits (R, V): argmax of logits / T − log E with E exponential; greedy where T is 0.

    Top-p keeps the fewest likeliest tokens that reach p together, at temperature T.
    """
    heat = torch.tensor([row.temperature for row in rows], device=logits.device)
    if not heat.any():
        return logits.argmax(1)
    scaled = logits / heat.where(heat > 0, torch.ones_like(heat))[:, None]
    limit = torch.tensor([row.top_p for row in rows], device=logits.device)
    if (limit < 1).any():
        ordered, order = torch.softmax(scaled, dim=1).sort(dim=1, descending=True, stable=True)
        likelier = ordered.cumsum(1) - ordered  # (R, V) what the tokens before hold together
        dropped = (likelier >= limit[:, None]) & (limit < 1)[:, None]
        dropped[:, 0] = False
        scaled = scaled.masked_fill(torch.zeros_like(dropped).scatter_(1, order, dropped), -torch.inf)
    times = torch.ones_like(scaled)
    for row, out in zip(rows, times, strict=True):
        if row.temperature > 0:
            row.noise(out)
    return (scaled - times.clamp_(min=torch.finfo(times.dtype).tiny).log_()).argmax(1)


def _similar(prompts: list[list[int]]) -> Iterator[list[int]]:
    """Indexes of prompts that may share a prefill: lengths alike, not too many tokens."""
    chosen: list[int] = []
    real = 0
    for at in sorted(range(len(prompts)), key=lambda index: len(prompts[index])):
        length = len(prompts[at])
        if length == 0:
            raise ValueError(f"prompt {at} has no tokens")
        padded = length * (len(chosen) + 1)
        if chosen and (padded > PREFILL_TOKENS or padded > PREFILL_WASTE * (real + length)):
            yield chosen
            chosen, real = [], 0
        chosen.append(at)
        real += length
    if chosen:
        yield chosen


def _right_padded(rows: list[list[int]], pad_id: int, device: torch.device) -> tuple[torch.Tensor, list[int]]:
    lengths = [len(row) for row in rows]
    ids = torch.full((len(rows), max(lengths)), pad_id, dtype=torch.long)
    for at, row in enumerate(rows):
        ids[at, : len(row)] = torch.tensor(row, dtype=torch.long)
    return ids.to(device), lengths


def _device_of(generator: torch.Generator | None) -> torch.device | str:
    return generator.device if generator is not None else "cpu"
