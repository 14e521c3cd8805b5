"""The equations of the recipe, as pure functions of tensors. Nothing here knows a model, a file or a device.

Sums, not means, come back wherever a batch may be split: the caller divides by the count over the whole batch, so that
1 × 64 and 8 × 8 give the same gradient. Sources: Ouyang et al. 2022 (eq. 1 and 2), Schulman et al. 2016 (GAE, eq. 16)
and 2017 (PPO, eq. 7), Ziegler et al. 2019 (adaptive β), Ahmadian et al. 2024 (RLOO); value clipping and the λ of .95
are those of lm-human-preferences.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def better_pairs(ranks: Sequence[int]) -> list[tuple[int, int]]:
    """(better, worse) indices of all pairs. 1 is the best rank; equal ranks are ties and make no pair."""
    indices = range(len(ranks))
    return [(a, b) for a in indices for b in indices if ranks[a] < ranks[b]]


def kwise_loss_sum(rewards: Tensor, ranks: Sequence[Sequence[int]]) -> Tensor:
    """Eq. 1 summed over prompts: of each −mean over its pairs of log σ(r_better − r_worse), in nats, a scalar.

    `rewards` (ΣK,) unitless, prompt after prompt; `ranks` holds K integers for each. The divisor of a prompt is the
    number of its pairs that count, so ties leave it too. Raises ValueError for a prompt without any pair: whoever reads
    the data skips and counts those.
    """
    better: list[int] = []
    worse: list[int] = []
    shares: list[float] = []
    start = 0
    for own in ranks:
        pairs = better_pairs(own)
        if not pairs:
            raise ValueError("all completions of this prompt are tied: it has no pair to learn from")
        better += [start + a for a, _ in pairs]
        worse += [start + b for _, b in pairs]
        shares += [1 / len(pairs)] * len(pairs)
        start += len(own)
    margins = rewards[torch.tensor(better, device=rewards.device)] - rewards[torch.tensor(worse, device=rewards.device)]
    return -(F.logsigmoid(margins) * torch.tensor(shares, dtype=rewards.dtype, device=rewards.device)).sum()


def kwise_loss(rewards: Tensor, ranks: Tensor) -> Tensor:
    """Eq. 1 for one prompt: `rewards` (K,) unitless, `ranks` (K,) integers; a scalar, nats."""
    return kwise_loss_sum(rewards, [ranks.tolist()])


def kl_penalised_rewards(score: Tensor, logprobs: Tensor, reference: Tensor, lengths: Tensor, beta: float) -> Tensor:
    """(B, T) reward of each token: −β (log π − log π_ref), and the score on the answer's last real token (eq. 2).

    `score` (B,) unitless; `logprobs` and `reference` (B, T) nats of the sampled tokens; `lengths` (B,) tokens, at
    least 1. Zero after the end. Detached: the penalty is a reward, no path of the gradient.
    """
    mask = token_mask(lengths, logprobs.shape[1])
    rewards = (-beta * (logprobs - reference)).detach() * mask
    rows = torch.arange(len(lengths), device=lengths.device)
    rewards[rows, lengths - 1] += score.detach()
    return rewards


def adapted_beta(beta: float, kl: float, *, target: float, gain: float) -> float:
    """β of the next iteration: larger where `kl` was above `target`, both nats per answer (Ziegler et al. 2019, §2.2).

    β ← β (1 + K e) with e = clip((KL − target) / target, −.2, .2); their K, `gain`, is .1.
    """
    error = min(0.2, max(-0.2, (kl - target) / target))
    return beta * (1 + gain * error)


def token_mask(lengths: Tensor, width: int) -> Tensor:
    """(B, width) bool: true at the first `lengths` positions of each row."""
    return torch.arange(width, device=lengths.device)[None, :] < lengths[:, None]


def gae(rewards: Tensor, values: Tensor, lengths: Tensor, *, discount: float, lam: float) -> tuple[Tensor, Tensor]:
    """Generalised advantages and returns, both (B, T), zero after each row's end. The value after the last token is 0.

    A_t = Σ_k (γλ)^k δ_{t+k} with δ_t = r_t + γ V_{t+1} − V_t; return = A + V. Also an answer that was cut ends there:
    the score is all that a bandit will ever pay.
    """
    mask = token_mask(lengths, rewards.shape[1])
    values = values.detach() * mask
    advantages = torch.zeros_like(rewards)
    following = torch.zeros_like(rewards[:, 0])  # (B,) advantage of the next token
    for t in reversed(range(rewards.shape[1])):
        next_value = values[:, t + 1] if t + 1 < rewards.shape[1] else torch.zeros_like(following)
        delta = rewards[:, t] + discount * next_value - values[:, t]
        following = (delta + discount * lam * following) * mask[:, t]
        advantages[:, t] = following
    return advantages, (advantages + values) * mask


def whiten(values: Tensor, mask: Tensor, *, shift_mean: bool = True) -> Tensor:
    """`values` scaled to unit variance over the true positions of `mask`, and moved to mean 0 if asked; 0 elsewhere.

    The variance is the population's. A single valid position has none: it becomes 0 (or stays itself without the
    shift).
    """
    kept = values[mask]
    mean, deviation = kept.mean(), kept.std(correction=0)
    result = (values - mean) / (deviation + 1e-8)
    if not shift_mean:
        result = result + mean
    return result * mask


def leave_one_out(rewards: Tensor) -> Tensor:
    """(P, K) advantage of each answer: its reward minus the mean of the other K − 1 of its prompt. Detached.

    The baseline of RLOO (Ahmadian et al. 2024, after Kool et al. 2019). Rows sum to 0. ValueError for K < 2.
    """
    k = rewards.shape[1]
    if k < 2:
        raise ValueError("leave-one-out needs at least two answers to a prompt: alone there is no baseline")
    rewards = rewards.detach()
    return rewards - (rewards.sum(1, keepdim=True) - rewards) / (k - 1)


def policy_loss_sum(
    logprobs: Tensor, old: Tensor, advantages: Tensor, mask: Tensor, clip: float
) -> tuple[Tensor, Tensor, Tensor]:
    """PPO's clipped objective as a loss, summed over valid tokens; the (B, T) ratio; the count of tokens it clipped.

    −Σ min(ρ A, clip(ρ, 1 − ε, 1 + ε) A) with ρ = exp(log π − log π_old). Divide by the tokens of the whole minibatch.
    """
    ratio = torch.exp((logprobs - old.detach()) * mask)  # (B, T) unitless, 1 where nothing counts
    advantages = advantages.detach()
    plain, clipped = ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages
    loss = -(torch.minimum(plain, clipped) * mask).sum()
    return loss, ratio.detach(), ((clipped < plain) & mask).sum()


def value_loss_sum(values: Tensor, old: Tensor, returns: Tensor, mask: Tensor, clip: float) -> Tensor:
    """½ Σ max((V − R)², (clip(V, V_old ± ε) − R)²) over valid tokens. Divide by the tokens of the whole minibatch."""
    old, returns = old.detach(), returns.detach()
    kept_near = old + (values - old).clamp(-clip, clip)
    return 0.5 * (torch.maximum((values - returns) ** 2, (kept_near - returns) ** 2) * mask).sum()


def cosine_rate(peak: float, step: int, total: int, *, floor: float) -> float:
    """Learning rate of optimizer step `step` (from 0):

    a half cosine from `peak` at the first to `floor`·peak at the last.
    """
    done = step / max(1, total - 1)
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def warmup_rate(peak: float, iteration: int, *, warmup: int) -> float:
    """Constant `peak` after a linear rise over the first `warmup` iterations that starts at a tenth of it."""
    return peak * (0.1 + 0.9 * min(1.0, iteration / warmup)) if warmup else peak
