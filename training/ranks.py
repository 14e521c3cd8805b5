"""Several processes on one run, as `accelerate launch` or `torchrun` start them: the gradient that one process gives.

Each rank takes its share of every batch, divides by the count over the *whole* batch, and gradients are summed. So
1 × 64 and 2 × 32 take the same step, up to the order of additions. Every rank holds the whole model. Rank 0 alone
writes files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn

Item = TypeVar("Item")
PATIENCE = timedelta(minutes=30)  # how long ranks wait for one that evaluates or has died


def rank() -> int:
    return int(os.environ.get("RANK", 0))


def size() -> int:
    return int(os.environ.get("WORLD_SIZE", 1))


def local_rank() -> int:
    return int(os.environ.get("LOCAL_RANK", 0))


def join(device: torch.device) -> None:
    """Meet the other ranks; nothing where there is one process."""
    if size() > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)


def leave() -> None:
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def share(items: Sequence[Item]) -> list[Item]:
    """What this rank works on; may be empty where there are fewer items than ranks."""
    return list(items[rank() :: size()])


def add_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Sum gradients over all ranks, in float32, in place."""
    if size() == 1:
        return
    for parameter in parameters:
        if parameter.grad is None:  # a rank without a share
            parameter.grad = torch.zeros_like(parameter)
        dist.all_reduce(parameter.grad)


def total(numbers: Sequence[float], device: torch.device) -> list[float]:
    """Each number summed over all ranks."""
    if size() == 1:
        return list(numbers)
    kind = torch.float32 if device.type == "mps" else torch.float64
    summed = torch.tensor(numbers, dtype=kind, device=device)
    dist.all_reduce(summed)
    return summed.tolist()


def anybody(flag: bool, device: torch.device) -> bool:
    """Whether any rank says so: what one was asked, such as to stop, all do."""
    return total([float(flag)], device)[0] > 0


def wait() -> None:
    """Until every rank is here."""
    if size() > 1:
        dist.barrier()
