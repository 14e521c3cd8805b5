"""The frozen lower blocks of a model, run once per sequence for all networks that stand on them.

With few unfrozen layers nearly all of a forward pass is spent in blocks that never change: the policy, its reference,
and often the reward model and the value network share them, and every epoch repeats them. What they give is kept
here. Only the arithmetic is saved, the mathematics is the same. For small models and data on CPU: it holds one vector
a token.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from training import models
from training.runs import Refused

LIMIT_BYTES = 1 << 30  # half a million tokens of SmolLM2-135M


class Trunk:
    """Outputs of all blocks but the top ones, kept by sequence.

    Each sequence is run alone, so that its states do not depend on what it shares a batch with: a resumed run finds the
    same bits. All is forgotten when LIMIT_BYTES are reached.
    """

    def __init__(self, model: PreTrainedModel, unfrozen_layers: int) -> None:
        self.top_blocks = unfrozen_layers
        self._bottom = part_of(model, slice(None, -unfrozen_layers), finish=False)
        self._kept: dict[tuple[int, ...], Tensor] = {}
        self._bytes = 0

    @torch.no_grad()
    def states(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, d) states that enter the top blocks, zero after each row's end, of right-padded `ids` (B, T)."""
        if self._bytes > LIMIT_BYTES:
            self._kept.clear()
            self._bytes = 0
        rows = []
        for row, length in zip(ids.tolist(), lengths.tolist(), strict=True):
            key = tuple(row[:length])
            if key not in self._kept:
                alone = torch.tensor([key], device=ids.device)
                self._kept[key] = self._bottom(input_ids=alone, use_cache=False).last_hidden_state[0]
                self._bytes += self._kept[key].nbytes
            rows.append(self._kept[key])
        padded = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        return nn.functional.pad(padded, (0, 0, 0, ids.shape[1] - padded.shape[1]))

    def fits(self, model: PreTrainedModel) -> bool:
        """Whether the model's lower blocks and embeddings are this trunk's, number for number."""
        mine = dict(self._bottom.named_parameters())
        other = dict(part_of(model, slice(None, -self.top_blocks), finish=False).named_parameters())
        return mine.keys() == other.keys() and all(torch.equal(mine[name], other[name]) for name in mine)


def attach(model: PreTrainedModel, trunk: Trunk) -> None:
    """Let `models.hidden_states` of this model begin from the trunk. Refused where the two parts are not the whole."""
    top = part_of(model, slice(-trunk.top_blocks, None), finish=True)
    ids, lengths = torch.arange(8, device=model.device)[None], torch.tensor([8], device=model.device)
    with torch.no_grad():
        whole = models.hidden_states(model, ids, lengths)
        model.kwise_split = (trunk, top)  # in a tuple: an attribute would register the blocks twice
        parts = models.hidden_states(model, ids, lengths)
    if not torch.allclose(whole, parts, rtol=1e-3, atol=1e-4 * float(whole.abs().max())):
        raise Refused(f"{type(model).__name__} does not come apart between its blocks; use --no-cache-trunk")


def part_of(model: PreTrainedModel, which: slice, *, finish: bool) -> nn.Module:
    """The model's decoder with some of its blocks, sharing all weights; without what follows them unless `finish`."""
    base, blocks = model.base_model, models.blocks_of(model)
    kinds = set(getattr(model.config.get_text_config(), "layer_types", None) or ["full_attention"])
    if models.parent_of(model, blocks) is not base or len(kinds) > 1:
        raise Refused(f"{type(model).__name__} cannot be divided between its blocks; use --no-cache-trunk")
    part = copy.copy(base)
    part.__dict__["_modules"] = dict(base._modules)
    after = False
    for name, child in base.named_children():
        if after and not finish and any(True for _ in child.parameters()):
            part._modules[name] = nn.Identity()
        if child is blocks:
            part._modules[name], after = nn.ModuleList(list(blocks)[which]), True
    return part
