"""Prompts and answers in one row of tokens without padding, each prompt once however many answers it has.

All layers but attention act on each token alone, so they need no batch: the tokens of a whole micro-batch lie one
behind the other. Attention is split: a prompt's tokens look at their prompt, an answer's tokens at the prompt and at
themselves. Nothing else is seen, so sequences never meet, and what comes out is what each sequence alone would give, up
to float noise. With K answers to a prompt of P tokens this is P + ΣA tokens of work where one row per answer takes
K·P + ΣA; at K = 9, P = 256, A = 64 these are 832 and 2,880, and 23,040 for all pairs.

It is no key-value cache: nothing is kept between calls, gradients flow through the prompt once, with the sum of what
its answers send back, and activation checkpointing works. On CUDA in half precision attention is one call of the
variable length kernel; elsewhere segments of like length are padded together for attention alone.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import AttentionInterface

PACKED = "kwise_packed"
WASTE = 1.2  # padded over real queries of the segments that attention takes together on a CPU


@dataclass(frozen=True)
class Segment:
    """`length` tokens from `start` that see the `prefix_length` tokens from `prefix_start`, and themselves causally."""

    start: int
    length: int
    prefix_start: int = 0
    prefix_length: int = 0


@dataclass(frozen=True)
class Group:
    """Segments that attention takes together, padded behind each one's end."""

    queries: Tensor  # (n, Q) places in the row
    keys: Tensor  # (n, S) places in the row: prefix, then the segment itself
    mask: Tensor | None  # (n or 1, 1, Q, S) bool; None where there is no prefix: plain causal attention


@dataclass
class Plan:
    """How one packed row attends. Tensors are on the row's device."""

    segments: list[Segment]
    groups: list[Group]
    back: Tensor  # (N,) where each token's output stands among the groups' outputs, laid end to end
    varlen: dict = field(default_factory=dict)  # arguments of the variable length kernel; empty where it is not used


@dataclass(frozen=True)
class Packed:
    """A row of N tokens, and where the B answers lie in it. Lengths travel with the data: there is no padding."""

    ids: Tensor  # (1, N)
    positions: Tensor  # (1, N) each token's place in its own sequence
    plan: Plan
    before: Tensor  # (ΣA,) for each answer token, answer after answer, the token to its left, which predicts it
    targets: Tensor  # (ΣA,) ids of the answers' tokens
    last: Tensor  # (B,) the last token of each answer


def pack(prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], device: torch.device) -> Packed:
    """Lay out B prompts and answers; equal prompts are there once. Neither may be empty."""
    by_prompt: dict[tuple[int, ...], list[int]] = {}
    for index, prompt in enumerate(prompts):
        by_prompt.setdefault(tuple(prompt), []).append(index)
    ids: list[int] = []
    positions: list[int] = []
    segments: list[Segment] = []
    before: list[range | list[int]] = [[]] * len(prompts)
    last = [0] * len(prompts)
    for prompt, indices in by_prompt.items():
        begin, width = len(ids), len(prompt)
        ids.extend(prompt)
        positions.extend(range(width))
        if len(indices) > 1:
            segments.append(Segment(begin, width))
        for index in indices:
            start, length = len(ids), len(answers[index])
            ids.extend(answers[index])
            positions.extend(range(width, width + length))
            # An only answer goes on where its prompt ends: one plain sequence.
            alone = Segment(begin, width + length)
            segments.append(Segment(start, length, begin, width) if len(indices) > 1 else alone)
            before[index] = [begin + width - 1, *range(start, start + length - 1)]
            last[index] = start + length - 1
    order = [place for places in before for place in places]
    return Packed(
        ids=torch.tensor([ids], device=device),
        positions=torch.tensor([positions], device=device),
        plan=plan_of(segments, device),
        before=torch.tensor(order, device=device),
        targets=torch.tensor([token for answer in answers for token in answer], device=device),
        last=torch.tensor(last, device=device),
    )


def plan_of(segments: list[Segment], device: torch.device) -> Plan:
    """The plan of segments that lie one behind the other and fill the row."""
    plain = [segment for segment in segments if not segment.prefix_length]
    shared: dict[int, list[Segment]] = {}
    for segment in segments:
        if segment.prefix_length:
            shared.setdefault(segment.prefix_start, []).append(segment)
    if device.type == "cuda":  # few large calls
        batches = [plain, [one for group in shared.values() for one in group]]
    else:  # little padding
        batches = [*_alike(plain), *shared.values()]
    groups, places = [], []
    for batch in filter(None, batches):
        group = _group(batch, device)
        width = group.queries.shape[1]
        offset = sum(g.queries.numel() for g in groups)
        for row, segment in enumerate(batch):
            places.append((segment.start, range(offset + row * width, offset + row * width + segment.length)))
        groups.append(group)
    back = [place for _, span in sorted(places, key=lambda one: one[0]) for place in span]
    plan = Plan(segments, groups, torch.tensor(back, device=device))
    if device.type == "cuda" and variable_length_works(device):
        plan.varlen = _varlen_arguments(segments, device)
    return plan


def _alike(segments: list[Segment]) -> list[list[Segment]]:
    batches: list[list[Segment]] = []
    for segment in sorted(segments, key=lambda one: -one.length):
        batch = batches[-1] if batches else []
        padded = (len(batch) + 1) * batch[0].length if batch else 0
        if batch and padded <= WASTE * (sum(one.length for one in batch) + segment.length):
            batch.append(segment)
        else:
            batches.append([segment])
    return batches


def _group(segments: list[Segment], device: torch.device) -> Group:
    rows, keys = [], []
    width = max(segment.length for segment in segments)
    reach = max(segment.prefix_length + segment.length for segment in segments)
    for one in segments:
        own = list(range(one.start, one.start + one.length))
        seen = [*range(one.prefix_start, one.prefix_start + one.prefix_length), *own]
        # What pads is any place that exists: no real query looks beyond its own segment.
        rows.append(own + own[-1:] * (width - len(own)))
        keys.append(seen + own[-1:] * (reach - len(seen)))
    prefixes = [segment.prefix_length for segment in segments]
    mask = None
    if any(prefixes):
        lengths = torch.tensor(prefixes[:1] if len(set(prefixes)) == 1 else prefixes, device=device)
        limit = lengths[:, None] + torch.arange(width, device=device)[None, :]  # (n or 1, Q)
        mask = (torch.arange(reach, device=device)[None, None, :] <= limit[:, :, None])[:, None]
    return Group(torch.tensor(rows, device=device), torch.tensor(keys, device=device), mask)


def _varlen_arguments(segments: list[Segment], device: torch.device) -> dict:
    keys: list[int] = []
    lengths, reaches = [0], [0]
    for one in segments:
        keys += range(one.prefix_start, one.prefix_start + one.prefix_length)
        keys += range(one.start, one.start + one.length)
        lengths.append(one.length)
        reaches.append(one.prefix_length + one.length)
    return {
        "keys": torch.tensor(keys, device=device),
        "cu_seq_q": torch.tensor(lengths, device=device).cumsum(0).to(torch.int32),
        "cu_seq_k": torch.tensor(reaches, device=device).cumsum(0).to(torch.int32),
        "max_q": max(lengths),
        "max_k": max(reaches),
    }


# Attention


def attend(module, query, key, value, attention_mask, dropout=0.0, scaling=None, kwise_plan=None, **kwargs):
    """transformers' attention function: split by the plan where one is given, else torch's as ever."""
    if kwise_plan is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    if kwargs.get("softcap") is not None or kwargs.get("position_bias") is not None or dropout:
        raise NotImplementedError("packed attention knows no soft cap, no position bias and no dropout")
    q, k, v = (tensor[0].transpose(0, 1) for tensor in (query, key, value))  # (N, heads, size)
    half = half_precision(q)
    if kwise_plan.varlen and half:
        return variable_length(q.to(half), k.to(half), v.to(half), kwise_plan.varlen, scaling)[None], None
    return split_attention(q, k, v, kwise_plan, scaling)[None], None


def split_attention(q: Tensor, k: Tensor, v: Tensor, plan: Plan, scale: float | None) -> Tensor:
    """(N, H, D) of queries (N, H, D), keys and values (N, H or fewer, D): each group's segments padded together."""
    repeats = q.shape[1] // k.shape[1]
    outputs = []
    for group in plan.groups:
        queries, keys, values = (tensor.transpose(1, 2) for tensor in (q[group.queries], k[group.keys], v[group.keys]))
        if repeats > 1:
            keys, values = keys.repeat_interleave(repeats, 1), values.repeat_interleave(repeats, 1)
        output = F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=group.mask, is_causal=group.mask is None, scale=scale
        )
        outputs.append(output.transpose(1, 2).flatten(0, 1))
    return torch.cat(outputs)[plan.back]


def half_precision(tensor: Tensor) -> torch.dtype | None:
    """bfloat16 or float16 where attention computes in it, also through autocast; None for float32."""
    kind = tensor.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else tensor.dtype
    return dtype if dtype in (torch.bfloat16, torch.float16) else None


def variable_length(q: Tensor, k: Tensor, v: Tensor, arguments: dict, scale: float | None) -> Tensor:
    """(N, H, D): every segment in one call of torch's variable length kernel, causal from the lower right corner."""
    from torch.nn.attention.varlen import varlen_attn

    named = inspect.signature(varlen_attn).parameters
    causal = {"window_size": (-1, 0)} if "window_size" in named else {"is_causal": True}
    if scale is not None and "scale" in named:
        causal["scale"] = scale
    elif scale is not None and not math.isclose(scale, q.shape[-1] ** -0.5):
        q = q * (scale * q.shape[-1] ** 0.5)
    repeats = q.shape[1] // k.shape[1]
    keys = arguments["keys"]
    return varlen_attn(
        q.contiguous(),
        k[keys].repeat_interleave(repeats, 1),
        v[keys].repeat_interleave(repeats, 1),
        **{name: arguments[name] for name in ("cu_seq_q", "cu_seq_k", "max_q", "max_k")},
        **causal,
    )


@functools.cache
def variable_length_works(device: torch.device) -> bool:
    """Whether torch's variable length kernel is there, and gives what split attention gives, gradients too."""
    segments = [Segment(0, 40), Segment(40, 9, 0, 40), Segment(49, 17, 0, 40), Segment(66, 31)]
    try:
        generator = torch.Generator().manual_seed(0)
        q, k, v, push = (
            torch.randn(97, heads, 64, generator=generator).to(device, torch.bfloat16) for heads in (6, 2, 2, 6)
        )
        found = []
        groups = [_group([one], device) for one in segments]
        plan = Plan(segments, groups, torch.arange(97, device=device))
        for way in (
            lambda: split_attention(q, k, v, plan, None),
            lambda: variable_length(q, k, v, _varlen_arguments(segments, device), None),
        ):
            for tensor in (q, k, v):
                tensor.requires_grad_().grad = None
            output = way()
            output.backward(push)
            found.append([output.detach(), *(tensor.grad for tensor in (q, k, v))])
        return all(((a - b).float().norm() <= 0.02 * a.float().norm()).item() for a, b in zip(*found, strict=True))
    except (ImportError, RuntimeError, TypeError, ValueError):
        return False


AttentionInterface.register(PACKED, attend)
AttentionMaskInterface.register(PACKED, sdpa_mask)


# Models


def states(model: torch.nn.Module, packed: Packed) -> Tensor:
    """(N, d) last hidden states, after the final norm, of a packed row."""
    nothing = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=packed.ids.device)  # 4-D: taken as it is
    return model.base_model(
        input_ids=packed.ids,
        position_ids=packed.positions,
        attention_mask=nothing,
        use_cache=False,
        kwise_plan=packed.plan,
    ).last_hidden_state[0]


def let_pack(model: torch.nn.Module) -> bool:
    """Let the model run packed rows, if it gives the same as each sequence alone; whether it does.

    Kept from it are models whose attention is not torch's, or looks back a limited way, or is not all there is between
    tokens.
    """
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if model.config._attn_implementation != "sdpa" or kinds != {"full_attention"}:
        return False
    if getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True):
        return False
    size = model.get_input_embeddings().num_embeddings
    prompts = [[n % size for n in range(1, 6)]] * 2 + [[n % size for n in range(7, 10)]]
    answers = [[3 % size, 2 % size], [n % size for n in range(11, 16)], [5 % size]]
    with torch.no_grad():
        rows = [torch.tensor([p + a], device=model.device) for p, a in zip(prompts, answers, strict=True)]
        alone = torch.cat([model.base_model(input_ids=row, use_cache=False).last_hidden_state[0, -1:] for row in rows])
        model.config._attn_implementation = PACKED
        packed = pack(prompts, answers, model.device)
        try:
            together = states(model, packed)[packed.last]
            same = torch.allclose(alone, together, rtol=1e-3, atol=1e-4 * float(alone.abs().max()))
        except (NotImplementedError, RuntimeError, TypeError, ValueError):
            same = False
    if not same:
        model.config._attn_implementation = "sdpa"
    return same
