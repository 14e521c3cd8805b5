"""Scores of a reward model: its scalar head on the last real token of each row."""

from __future__ import annotations

import torch

PASS_TOKENS = 4096  # tokens, with padding, in one forward pass: bounds its memory


@torch.inference_mode()
def score(model: torch.nn.Module, rows: list[list[int]], *, pad_id: int) -> list[float]:
    """The raw score of each row of token ids (prompt + answer + EOS), unitless; ValueError for an empty row.

    Lengths are known here, so the last token is the last token, even where padding and EOS share an id (transformers'
    own pooling then takes the one before). Rows are padded on the right: no real token sees the padding.
    """
    if not all(rows):
        raise ValueError(f"row {[bool(row) for row in rows].index(False)} has no tokens")
    scores = [0.0] * len(rows)
    for chosen in passes([len(row) for row in rows]):
        width = max(len(rows[at]) for at in chosen)
        ids = torch.tensor([rows[at] + [pad_id] * (width - len(rows[at])) for at in chosen], device=model.device)
        lengths = torch.tensor([len(rows[at]) for at in chosen], device=model.device)
        mask = torch.arange(width, device=model.device) < lengths[:, None]
        hidden = model.base_model(input_ids=ids, attention_mask=mask.long(), use_cache=False).last_hidden_state
        last = hidden[torch.arange(len(chosen), device=model.device), lengths - 1]  # (B, H)
        for at, value in zip(chosen, model.score(last)[:, 0].float().tolist(), strict=True):
            scores[at] = value
    return scores


def passes(lengths: list[int]) -> list[list[int]]:
    """Indexes of rows for each forward pass: sorted by length, so that little is padded."""
    groups: list[list[int]] = []
    for at in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        if groups and lengths[at] * (len(groups[-1]) + 1) <= PASS_TOKENS:
            groups[-1].append(at)
        else:
            groups.append([at])
    return groups
