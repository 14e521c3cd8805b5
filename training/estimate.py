"""What a recipe's runs take: petaflop/s-days, memory, and days on given devices. Nothing is run or measured.

1. A token costs 2 N operations forward and 4 N backward (Kaplan et al. 2020), N parameters; 2 N more where activations
   are computed again. What attention adds by length is left out.
2. SFT reads every demonstration once an epoch, the reward model a prompt once with its completions.
3. PPO samples an episode, reads it with policy, reference, reward model and value network, and learns from it with two
   of them; the ptx term learns from its texts.
4. In memory are 16 bytes for each trained parameter (weight, gradient, two moments, all float32), 4 for each other one
   or average; activations of a micro-batch, 34 bytes a token, layer and unit of width in half precision and twice that
   in float32 (Korthikanti et al. 2022, attention's own left out); keys and values of 64 answers while PPO samples.

    python -m training estimate instructgpt-175b [--devices 8 --memory 141 --teraflops 990 --utilisation 0.4]

Sizes come from the recipe's [estimate] table; "at most" there means that lengths are the context's.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from dataclasses import asdict, dataclass
from types import SimpleNamespace

from training.arguments import RECIPES, build, read_preset
from training.runs import UsageError

PETAFLOP_DAY = 1e15 * 86_400  # operations
KEYS = (
    *("parameters", "layers", "width", "kv_width", "reward_parameters", "reward_layers", "reward_width"),
    *("demonstrations", "demonstration_tokens", "rankings", "ranking_tokens", "episode_tokens"),
)
PAPER = ("paper_sft", "paper_ppo")  # petaflop/s-days that the paper gives


@dataclass(frozen=True)
class Estimate:
    """Of one trainer's run."""

    algorithm: str
    petaflop_days: float
    gigabytes: float  # 10⁹ bytes on each device: every process holds the whole of each model
    paper: float | None  # petaflop/s-days that the paper says it took
    days: float | None = None  # on the devices that were asked about
    fits: bool | None = None  # into their memory


def passes(args, *, backward: bool) -> int:
    """Operations a parameter and token: 2, or with the backward pass 6, or 8 where activations are computed again."""
    return (8 if args.checkpoint_activations else 6) if backward else 2


def activations(args, tokens: float, layers: float, width: float) -> float:
    """Bytes held for the backward pass of `tokens` tokens."""
    each = 4 if args.precision == "float32" else 2
    return tokens * layers * width * (each if args.checkpoint_activations else 17 * each)


def of_sft(args, size: SimpleNamespace) -> Estimate:
    tokens = size.demonstrations * size.demonstration_tokens * args.epochs
    at_once = args.microbatch_tokens or args.microbatch * size.demonstration_tokens
    held = 16 * size.parameters + activations(args, at_once, size.layers, size.width)
    return _of("sft", passes(args, backward=True) * size.parameters * tokens, held, size.paper_sft)


def of_rm(args, size: SimpleNamespace) -> Estimate:
    tokens = size.rankings * size.ranking_tokens * args.epochs
    at_once = args.microbatch_tokens or size.ranking_tokens
    held = 16 * size.reward_parameters + activations(args, at_once, size.reward_layers, size.reward_width)
    return _of("rm", passes(args, backward=True) * size.reward_parameters * tokens, held, None)


def of_ppo(args, size: SimpleNamespace) -> Estimate:
    episodes, tokens = args.iterations * args.batch_size, size.episode_tokens
    learns = passes(args, backward=True) * args.inner_epochs
    # Policy: sampled with, read, learns. Reference and reward model: read. Value network: read, learns.
    each = tokens * ((4 + 2 + learns) * size.parameters + (2 + 2 + learns) * size.reward_parameters)
    if args.ptx_coefficient:
        each += args.ptx_per_episode * args.ptx_tokens * learns * size.parameters
    kept = 16 + 4 + (4 if args.ema_decay else 0)  # policy, reference, moving average
    models = kept * size.parameters + (16 + 4) * size.reward_parameters
    policy = activations(args, args.microbatch * tokens, size.layers, size.width)
    store = 64 * tokens * size.layers * size.kv_width * 2 * 4
    return _of("ppo", each * episodes, models + max(policy, store), size.paper_ppo)


def _of(algorithm: str, operations: float, held: float, paper: float | None) -> Estimate:
    return Estimate(algorithm, operations / PETAFLOP_DAY, held / 1e9, paper)


def sizes_of(recipe: str) -> SimpleNamespace:
    """The recipe's [estimate] table; UsageError for a number that is missing, unknown or not above 0."""
    table = read_preset(recipe, "estimate")
    if wrong := [name for name in table if name not in (*KEYS, *PAPER)]:
        raise UsageError(f"preset {recipe}: [estimate] has no number {wrong[0]!r}; there are {', '.join(KEYS)}")
    if missing := [name for name in KEYS if name not in table]:
        raise UsageError(f"preset {recipe}: [estimate] lacks {', '.join(missing)}")
    for name, value in table.items():
        if type(value) not in (int, float) or not value > 0:
            raise UsageError(f"preset {recipe}: [estimate] {name} is {value!r}; it must be a number above 0")
    return SimpleNamespace(**{**dict.fromkeys(PAPER), **table})


def estimates(recipe: str) -> list[Estimate]:
    """Of each of the recipe's SFT, reward model and PPO."""
    from training import ppo, rm, sft

    size, found = sizes_of(recipe), []
    for algorithm, kind, of in (("sft", sft.Args, of_sft), ("rm", rm.Args, of_rm), ("ppo", ppo.Args, of_ppo)):
        given = {"data": "-", "model": "-", "out": "-", **({"reward": "-"} if algorithm == "ppo" else {})}
        args = build(kind, algorithm, given, preset=recipe, resume=False)
        args.validate()
        found.append(of(args, size))
    return found


def main(argv: list[str]) -> int:
    """Print them; returns the exit status."""
    names = ", ".join(sorted(path.stem for path in RECIPES.glob("*.toml") if "estimate" in _tables(path)))
    parser = argparse.ArgumentParser(
        prog="python -m training estimate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("recipe", help=f"{names}, or the path of a TOML file")
    parser.add_argument("--devices", type=int, default=1, help="that share SFT and RM; PPO runs on one (%(default)s)")
    parser.add_argument("--memory", type=float, help="10⁹ bytes of each: says what fits")
    parser.add_argument("--teraflops", type=float, help="10¹² operations a second of each at its best: gives days")
    parser.add_argument("--utilisation", type=float, default=0.4, help="share of them that is reached (%(default)s)")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    for name in ("devices", "memory", "teraflops", "utilisation"):
        value = getattr(args, name)
        if value is not None and not value > 0:
            parser.error(f"--{name} is {value}; it must be above 0")
    if args.utilisation > 1:
        parser.error(f"--utilisation is {args.utilisation}; it must be at most 1")
    try:
        found = [on_devices(one, args) for one in estimates(args.recipe)]
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps([asdict(one) for one in found]))
        return 0
    for one in found:
        line = f"{one.algorithm:4} {one.petaflop_days:10.4g} petaflop/s-days {one.gigabytes:10,.0f} GB a device"
        line += f"   paper {one.paper:g}, this {one.petaflop_days / one.paper:.2f} times that" if one.paper else ""
        line += f"   {one.days:.3g} days" if one.days is not None else ""
        print(line + ("" if one.fits is None else "   fits" if one.fits else "   DOES NOT FIT"))
    return 0


def on_devices(one: Estimate, asked: argparse.Namespace) -> Estimate:
    """With days and whether it fits, where speed and memory of the devices are given."""
    days = fits = None
    if asked.teraflops:
        count = 1 if one.algorithm == "ppo" else asked.devices
        days = one.petaflop_days * 1000 / (asked.teraflops * asked.utilisation * count)
    if asked.memory:
        fits = one.gigabytes <= asked.memory
    return Estimate(one.algorithm, one.petaflop_days, one.gigabytes, one.paper, days, fits)


def _tables(path) -> list[str]:
    return list(tomllib.loads(path.read_text("utf-8")))
