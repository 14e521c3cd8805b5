"""Hugging Face models as the recipe needs them: dropout off, right padding by lengths, no B × T × V logits.

Policies are AutoModelForCausalLM, reward models and value networks AutoModelForSequenceClassification with one label.
Only safetensors are read and written.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from models_service.generation import generate
from training import packing, ranks
from training.data import Limits
from training.formats import sync_folder
from training.runs import Refused, UsageError

LOGIT_ROWS = 1024  # tokens whose logits exist at once: 1,024 × 49,152 floats are 200 MB
PAD_NAMES = ("<|endoftext|>", "<|pad|>", "<pad>", "[PAD]", "<|finetune_right_pad_id|>")


def pick_device(name: str) -> torch.device:
    """ "auto" is the GPU where there is one, else the CPU. Of several processes each gets a GPU of its own."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and ranks.size() > 1:
        torch.cuda.set_device(ranks.local_rank())
        return torch.device("cuda", ranks.local_rank())
    return torch.device(name)


def tune(model: PreTrainedModel, *, precision: str, checkpoint_activations: bool) -> None:
    """Compute in `precision` ("float32" or "bfloat16", by autocast: weights, Adam and rewards stay float32), and hold

    only each block's input for the backward pass, if asked, which computes the rest again.
    """
    model.kwise_precision = precision
    if checkpoint_activations:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.train()  # transformers checkpoints in training mode alone; what it would drop out is at 0


@contextmanager
def computing(model: PreTrainedModel) -> Iterator[None]:
    """The model's own precision, for a forward pass."""
    precision = getattr(model, "kwise_precision", "float32")
    if precision == "float32":
        yield
        return
    with torch.autocast(model.device.type, getattr(torch, precision)):
        yield


def load_tokenizer(folder: str) -> PreTrainedTokenizerBase:
    """The model folder's tokenizer; Refused without an end-of-sequence token, which ends every answer."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise Refused(f"{folder} has no tokenizer that transformers can load: {first_line(error)}") from None
    if tokenizer.eos_token_id is None:
        raise Refused(f"the tokenizer in {folder} has no end-of-sequence token; answers could not be ended")
    return tokenizer


def load_policy(folder: str, device: torch.device) -> PreTrainedModel:
    """A language model in float32 and eval mode, all its own dropout off. Refused where its head is not a plain one."""
    model = _load(AutoModelForCausalLM, folder, quiet_config(folder), device)
    check_head(model, folder)
    return model


def load_reward(
    folder: str, tokenizer: PreTrainedTokenizerBase, device: torch.device, *, head_seed: int | None
) -> PreTrainedModel:
    """A model with one scalar head, in float32 and eval mode, all its own dropout off.

    From a language model the head is new, drawn with std 1/√(d+1) from `head_seed`; with `head_seed` None a folder
    without a head is refused. `config.reward_bias` is there afterwards (0.0 if it was not).
    """
    config = quiet_config(folder)
    config.num_labels = 1
    config.problem_type = "regression"  # servers would else put a sigmoid on the reward
    if not hasattr(config, "reward_bias"):
        config.reward_bias = 0.0
    model = _load(AutoModelForSequenceClassification, folder, config, device, fresh="score.weight")
    if not isinstance(getattr(model, "score", None), nn.Linear):
        raise Refused(f"{folder}: {type(model).__name__} has no linear head named 'score', so it cannot carry a reward")
    if model.kwise_fresh_head:
        if head_seed is None:
            raise Refused(f"{folder} is no reward model: it has no score.weight; `python -m training rm` makes one")
        generator = torch.Generator().manual_seed(head_seed)
        weight = torch.randn(model.score.weight.shape, generator=generator) / math.sqrt(model.score.in_features + 1)
        with torch.no_grad():
            model.score.weight.copy_(weight)
            if model.score.bias is not None:
                model.score.bias.zero_()
    own_pad_token(model, tokenizer)
    return model


def quiet_config(folder: str):
    """The model's config with every dropout at 0:

    reinforcement learning and scoring know none, and SFT adds its own.
    """
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder} is no model folder: {first_line(error)}") from None
    for name, value in config.to_dict().items():
        if "drop" in name and isinstance(value, float):
            setattr(config, name, 0.0)
    return config


def _load(kind, folder: str, config, device: torch.device, fresh: str = "") -> PreTrainedModel:
    try:
        model, info = kind.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            local_files_only=True,
            use_safetensors=True,  # never pickle
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise Refused(f"{folder} cannot be loaded as {kind.__name__}: {first_line(error)}") from None
    missing = {name for name in info["missing_keys"] if not name.endswith("score.bias")}
    model.kwise_fresh_head = fresh in missing
    if missing - {fresh}:
        raise Refused(f"{folder} lacks weights, e.g. {sorted(missing - {fresh})[0]}; its files are incomplete")
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            module.padding_idx = None  # where pad is EOS, torch would hide the EOS row from the gradient
    model = model.to(device).eval()
    model.kwise_packs = packing.let_pack(model)
    return model


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def check_head(model: PreTrainedModel, folder: str) -> None:
    """Refuse a model whose logits are more than output embedding times last hidden state (soft caps, scales)."""
    ids = torch.arange(4, device=model.device)[None]
    with torch.no_grad():
        theirs = model(input_ids=ids).logits.float()
        ours = model.get_output_embeddings()(hidden_states(model, ids, torch.tensor([4], device=model.device))).float()
    if (theirs - ours).abs().max() > 1e-3 * theirs.abs().max().clamp(min=1):
        raise Refused(f"{folder}: {type(model).__name__} changes its logits after the head, which is not supported")


def own_pad_token(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Give model and tokenizer a pad token that is not EOS, an existing unused one if there is, else a new row.

    Sequence-classification heads pool at the last token that is not padding: with pad = EOS they never see an answer
    end.
    """
    vocabulary = tokenizer.get_vocab()
    names = (tokenizer.pad_token, *PAD_NAMES, tokenizer.unk_token)
    name = next((n for n in names if n in vocabulary and vocabulary[n] != tokenizer.eos_token_id), None)
    tokenizer.pad_token = name or "<|pad|>"
    if name is None:
        tokenizer.add_special_tokens({"pad_token": "<|pad|>"})
    if tokenizer.pad_token_id >= model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(tokenizer.pad_token_id + 1, mean_resizing=False)
    model.config.pad_token_id = tokenizer.pad_token_id


# What is trained


def blocks_of(model: PreTrainedModel) -> nn.ModuleList:
    """The transformer blocks, bottom first."""
    count = model.config.get_text_config().num_hidden_layers
    for module in model.base_model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return module
    raise Refused(f"{type(model).__name__} has no list of {count} blocks, so layers cannot be frozen or dropped out")


def freeze(model: PreTrainedModel, unfrozen_layers: int) -> dict[str, nn.Parameter]:
    """Leave only the top blocks, final norm and head trainable (0 = everything); the trainable parameters by name.

    A head tied to the input embedding stays frozen: it would carry the gradient through every block again.
    """
    if unfrozen_layers == 0:
        model.requires_grad_(True)
        return dict(model.named_parameters())
    blocks = blocks_of(model)
    if unfrozen_layers > len(blocks):
        raise UsageError(f"--unfrozen-layers {unfrozen_layers}: the model has {len(blocks)} blocks; 0 trains all")
    model.requires_grad_(False)
    blocks[-unfrozen_layers:].requires_grad_(True)
    above = False  # children of the decoder that come after its blocks: the final norm
    for module in parent_of(model, blocks).children():
        if above:
            module.requires_grad_(True)
        above = above or module is blocks
    head = getattr(model, "score", None) or model.get_output_embeddings()
    if head.weight is not model.get_input_embeddings().weight:
        head.requires_grad_(True)
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def adam(parameters: dict[str, nn.Parameter], epsilon: float) -> torch.optim.Adam:
    """Adam with the paper's β .9 and .95, one pass over memory a step."""
    return torch.optim.Adam(parameters.values(), betas=(0.9, 0.95), eps=epsilon, fused=True)


def parent_of(model: nn.Module, child: nn.Module) -> nn.Module:
    """The module that holds `child` directly."""
    return next(module for module in model.modules() if any(sub is child for sub in module.children()))


def add_residual_dropout(model: PreTrainedModel, rate: float) -> list[torch.utils.hooks.RemovableHandle]:
    """Drop `rate` of each sub-layer's output before it joins the residual stream, in training mode only, by hooks.

    Works on any block of two sub-layers; Refused where a block does not look like one. Remove the handles to take it
    off.
    """
    if rate == 0:
        return []

    def drop(module: nn.Module, _inputs: tuple, output):
        if isinstance(output, tuple):
            return (F.dropout(output[0], rate, training=module.training), *output[1:])
        return F.dropout(output, rate, training=module.training)

    return [part.register_forward_hook(drop) for block in blocks_of(model) for part in sub_layers(block)]


def sub_layers(block: nn.Module) -> list[nn.Module]:
    """The two modules whose outputs join the residual stream of a block: attention and feed-forward."""
    children = dict(block.named_children())
    if "post_feedforward_layernorm" in children and "post_attention_layernorm" in children:
        # Gemma 2, OLMo 2 and their kin normalise what a sub-layer gives before they add it.
        return [children["post_attention_layernorm"], children["post_feedforward_layernorm"]]
    heavy = [child for child in children.values() if any(p.dim() > 1 for p in child.parameters())]
    linear = [child for child in heavy if isinstance(child, nn.Linear)]
    # OPT keeps its two feed-forward matrices in the block itself: only the second one's output joins the stream.
    parts = [child for child in heavy if not isinstance(child, nn.Linear)] + linear[-1:]
    if len(parts) != 2:
        raise Refused(f"{type(block).__name__} has {len(parts)} sub-layers, not 2; use --residual-dropout 0")
    return parts


# Forward passes


def pad_rows(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids (B, T), right-padded with 0, and lengths (B,). Only the lengths say what is real."""
    lengths = torch.tensor([len(row) for row in rows], device=device)
    ids = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
    return ids.to(device), lengths


def hidden_states(model: PreTrainedModel, ids: Tensor, lengths: Tensor) -> Tensor:
    """(B, T, d) last hidden states, after the final norm, of right-padded `ids` (B, T)."""
    mask = (torch.arange(ids.shape[1], device=ids.device)[None, :] < lengths[:, None]).long()
    split = getattr(model, "kwise_split", None)
    if split:
        trunk, top = split
        return top(inputs_embeds=trunk.states(ids, lengths), attention_mask=mask, use_cache=False).last_hidden_state
    return model.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state


def answer_positions(prompt_lengths: Tensor, answer_lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column, each (N,), of the hidden states that predict the answers' tokens:

    one to the left of each token.
    """
    rows = torch.repeat_interleave(torch.arange(len(answer_lengths), device=answer_lengths.device), answer_lengths)
    starts = torch.repeat_interleave(answer_lengths.cumsum(0) - answer_lengths, answer_lengths)
    inside = torch.arange(len(rows), device=rows.device) - starts  # position in the answer
    return rows, prompt_lengths[rows] - 1 + inside


@dataclass(frozen=True)
class Read:
    """Hidden states of prompts and answers, in whatever order, and where the answers' are among them."""

    states: Tensor  # (M, d)
    before: Tensor  # (N,) for each answer token, answer after answer, the state that predicts it
    last: Tensor  # (B,) the state of each answer's last token
    targets: Tensor  # (N,) ids of the answers' tokens


def read_answers(model: PreTrainedModel, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> Read:
    """Run B prompts with their answers: packed, equal prompts once, where the model can; else padded, row by row."""
    if getattr(model, "kwise_packs", False) and not getattr(model, "kwise_split", None):
        packed = packing.pack(prompts, answers, model.device)
        with computing(model):
            states = packing.states(model, packed)
        return Read(states, packed.before, packed.last, packed.targets)
    ids, lengths = pad_rows([[*p, *a] for p, a in zip(prompts, answers, strict=True)], model.device)
    answer_lengths = torch.tensor([len(answer) for answer in answers], device=model.device)
    rows, columns = answer_positions(lengths - answer_lengths, answer_lengths)
    width = ids.shape[1]
    last = torch.arange(len(lengths), device=lengths.device) * width + lengths - 1
    return Read(hidden_states(model, ids, lengths).flatten(0, 1), rows * width + columns, last, ids[rows, columns + 1])


def answer_logprobs(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[int]],
    *,
    temperature: float = 1.0,
    entropy: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """(N,) log-probs in nats of all answers' tokens, row after row, at `temperature`; and their entropies if asked.

    The gradient flows through the first; the second is detached. Logits exist for LOGIT_ROWS tokens at a time and are
    computed again in the backward pass when there are more.
    """
    read = read_answers(model, prompts, answers)
    hidden, targets = read.states[read.before], read.targets  # (N, d), (N,)
    head = model.get_output_embeddings()

    def piece(states: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        with computing(model):
            logits = head(states).float() / temperature  # (chunk, V)
        total = torch.logsumexp(logits, dim=-1)
        with torch.no_grad():
            spread = total - ((logits - total[:, None]).exp() * logits).sum(-1) if entropy else total
        return logits.gather(1, wanted[:, None])[:, 0] - total, spread

    pieces = []
    for start in range(0, len(targets), LOGIT_ROWS):
        part = hidden[start : start + LOGIT_ROWS], targets[start : start + LOGIT_ROWS]
        again = torch.is_grad_enabled() and len(targets) > LOGIT_ROWS
        pieces.append(checkpoint(piece, *part, use_reentrant=False) if again else piece(*part))
    logprobs = torch.cat([first for first, _ in pieces])
    return logprobs, torch.cat([second for _, second in pieces]).detach() if entropy else None


def rewards_of(model: PreTrainedModel, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> Tensor:
    """(B,) raw rewards: the head on the last real token, found by length; what transformers gives as logits."""
    read = read_answers(model, prompts, answers)
    return scalars(model, read.states[read.last])


def answer_values(model: PreTrainedModel, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> Tensor:
    """(N,) values before each answer token, row after row: what is still to come, seen from the token to its left.

    The reward model's bias is taken off, so that a fresh value network speaks the unit of normalised scores.
    """
    read = read_answers(model, prompts, answers)
    return scalars(model, read.states[read.before]) - model.config.reward_bias


def scalars(model: PreTrainedModel, states: Tensor) -> Tensor:
    """(N,) of the head, in float32 also under autocast: half precision would round rewards of 5 to steps of .03."""
    with torch.autocast(states.device.type, enabled=False):
        return model.score(states.to(model.score.weight.dtype))[:, 0].float()


def by_length(lengths: Sequence[int], size: int, tokens: int = 0) -> Iterator[list[int]]:
    """Indices in groups of at most `size`, or of at most `tokens` in all where it is given, longest first.

    Sums over a batch do not change by it; the longest group first shows at once whether memory suffices.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    group: list[int] = []
    filled = 0
    for index in order:
        if group and (filled + lengths[index] > tokens if tokens else len(group) >= size):
            yield group
            group, filled = [], 0
        group.append(index)
        filled += lengths[index]
    if group:
        yield group


# Files


def save_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write model and tokenizer in the Hugging Face layout, beside `folder` first, then renamed over it."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    for path in partial.iterdir():
        path.chmod(0o644)  # a server under another user reads it
        with path.open("rb") as file:
            os.fsync(file.fileno())
    sync_folder(partial)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    sync_folder(folder.parent)


def context_of(model: PreTrainedModel) -> int:
    """Tokens the model can look back on; a very large number where its config does not say."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None) or 1 << 30


def check_context(model: PreTrainedModel, limits: Limits) -> None:
    """Refused where prompt and answer at their limits do not fit into what the model can look back on."""
    context = context_of(model)
    if limits.prompt + limits.answer > context:
        raise Refused(
            f"--max-prompt-tokens {limits.prompt} and --max-answer-tokens {limits.answer} together exceed the model's "
            f"context of {context} tokens; lower one of them"
        )


def text_of(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """Text for people to read, without special tokens."""
    return tokenizer.decode(list(ids), skip_special_tokens=True).strip()


def greedy_answers(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[list[int]], max_new_tokens: int
) -> list[str]:
    """The text of each prompt's answer at temperature 0."""
    if not prompts:
        return []
    groups = generate(
        model,
        list(prompts),
        n=1,
        max_new_tokens=max_new_tokens,
        temperature=0.0,
        eos_ids={tokenizer.eos_token_id},
        pad_id=0,
        seeds=[0] * len(prompts),
    )
    return [text_of(tokenizer, group[0].token_ids) for group in groups]


def check_same_tokens(
    policy: PreTrainedTokenizerBase, reward: PreTrainedTokenizerBase, policy_folder: str, reward_folder: str
) -> None:
    """Refused where the reward model would read the policy's token ids as other text."""
    same = policy.get_vocab().items() <= reward.get_vocab().items() and policy.eos_token_id == reward.eos_token_id
    if not same:
        raise Refused(
            f"the policy in {policy_folder} and the reward model in {reward_folder} have different tokenizers; train "
            "the reward model from a model of the same family"
        )
