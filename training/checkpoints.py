"""Everything a run needs to go on as if it had never stopped, in safetensors and JSON; nothing is pickled.

A checkpoint is a folder `step-N` with `tensors.safetensors` (trainable weights, Adam's moments, moving averages, random
states) and `state.json`. It is written aside, synced and renamed, so that a folder of that name is always whole. Frozen
weights are not in it: they come from the parents, whose hashes run.json keeps.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from training.formats import canonical_json, finite, sync_folder, write_atomic

Named = dict[str, nn.Parameter]


def save(folder: Path, *, step: int, tensors: dict[str, Tensor], state: dict, keep: int = 2) -> Path:
    """Write `folder`/step-N, then remove all but the newest `keep`.

    Raises OSError (disk full) with the old ones intact.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial, final = folder / f".step-{step}.partial", folder / f"step-{step}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        save_file(
            {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()},
            partial / "tensors.safetensors",
        )
        with (partial / "tensors.safetensors").open("rb") as file:
            os.fsync(file.fileno())
        write_atomic(partial / "state.json", canonical_json(finite({**state, "step": step})))
        shutil.rmtree(final, ignore_errors=True)
        os.replace(partial, final)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync_folder(folder)
    for old in steps(folder)[:-keep]:
        shutil.rmtree(folder / f"step-{old}")
    return final


def steps(folder: Path) -> list[int]:
    """Steps that have a whole checkpoint, ascending."""
    if not folder.exists():
        return []
    return sorted(int(path.name.removeprefix("step-")) for path in folder.glob("step-*"))


def remove_all(folder: Path) -> None:
    """Free the space once the result is saved: a run that is done does not resume."""
    for step in steps(folder):
        shutil.rmtree(folder / f"step-{step}")


def load_newest(folder: Path) -> tuple[dict[str, Tensor], dict] | None:
    """Tensors and state of the newest checkpoint; None where there is none."""
    found = steps(folder)
    if not found:
        return None
    newest = folder / f"step-{found[-1]}"
    return load_file(newest / "tensors.safetensors"), json.loads((newest / "state.json").read_text("utf-8"))


def pack(prefix: str, parameters: Named, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Weights and Adam state under names that begin with `prefix`."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in parameters.items():
        tensors[f"{prefix}/weight/{name}"] = parameter
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{prefix}/adam-{key}/{name}"] = value
    return tensors


def unpack(prefix: str, tensors: dict[str, Tensor], parameters: Named, optimizer: torch.optim.Optimizer) -> None:
    """Put back what `pack` took. Raises KeyError where the checkpoint is of another set of trainable weights."""
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[f"{prefix}/weight/{name}"])
            keys = [key for key in ("step", "exp_avg", "exp_avg_sq") if f"{prefix}/adam-{key}/{name}" in tensors]
            for key in keys:
                value = tensors[f"{prefix}/adam-{key}/{name}"].clone()
                optimizer.state[parameter][key] = value.to(parameter.device)


def random_states() -> dict[str, Tensor]:
    """torch's generators on CPU and GPU.

    Everything else that is random here is drawn from the seed and the step alone.
    """
    states = {"random/cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["random/cuda"] = torch.cuda.get_rng_state()
    return states


def restore_random_states(tensors: dict[str, Tensor]) -> None:
    torch.set_rng_state(tensors["random/cpu"])
    if "random/cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random/cuda"])


@torch.no_grad()
def exchange(parameters: Named, tensors: dict[str, Tensor]) -> None:
    """Exchange weights and tensors of the same names, in place; twice is as before."""
    for name, parameter in parameters.items():
        other = parameter.detach().clone()
        parameter.copy_(tensors[name])
        tensors[name].copy_(other)


class MovingAverage:
    """Moving average of trainable weights: after each update, average ← decay · average + (1 − decay) · weight.

    It begins at the initial weights. With decay 0 it is the weights themselves.
    """

    def __init__(self, parameters: Named, decay: float) -> None:
        self.decay, self._parameters = decay, parameters
        self.average = {name: parameter.detach().clone() for name, parameter in parameters.items()}

    @torch.no_grad()
    def update(self) -> None:
        for name, parameter in self._parameters.items():
            self.average[name].lerp_(parameter, 1 - self.decay)

    def swap(self) -> None:
        """Exchange average and weights, in place; twice is as before."""
        exchange(self._parameters, self.average)

    def pack(self) -> dict[str, Tensor]:
        return {f"average/{name}": tensor for name, tensor in self.average.items()}

    def unpack(self, tensors: dict[str, Tensor]) -> None:
        for name, tensor in self.average.items():
            tensor.copy_(tensors[f"average/{name}"])
