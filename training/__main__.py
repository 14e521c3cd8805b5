"""`python -m training ALGORITHM`: one run, from a data set folder and a model folder to a run folder.

Exit status: 0 done, 1 failed (run.json says why), 2 wrong usage, 143 stopped by SIGTERM after saving (130 by Ctrl-C).
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback

from training.formats import FormatError
from training.runs import Refused, Stop, Stopped, UsageError, sentence

ALGORITHMS = {
    "sft": "supervised fine-tuning on demonstrations",
    "rm": "reward model from ranked completions, K-wise",
    "ppo": "PPO, and PPO-ptx with --ptx, against a reward model",
    "rloo": "RLOO against a reward model: several answers to a prompt are each other's baseline, no value network",
    "best_of": "best of n answers by a reward model, and the curve of reward by n",
}


def usage() -> str:
    lines = "\n".join(f"  {name:8} {text}" for name, text in ALGORITHMS.items())
    more = "  estimate RECIPE   petaflop/s-days, memory and time of a recipe's runs, before any of them"
    return f"usage: python -m training ALGORITHM --help\n\nalgorithms:\n{lines}\n\nand:\n{more}"


def main(argv: list[str]) -> int:
    """Run one algorithm; returns the exit status."""
    if argv and argv[0] in ("-h", "--help"):
        print(usage())
        return 0
    if argv and argv[0] == "estimate":
        from training import estimate

        return estimate.main(argv[1:])
    if not argv or argv[0] not in ALGORITHMS:
        print(f"{usage()}\n\nerror: {f'no algorithm {argv[0]!r}' if argv else 'name an algorithm'}", file=sys.stderr)
        return 2
    # Waiting threads sleep instead of spinning: the demo shares its cores with a server and workers. Read once, when
    # torch loads its OpenMP.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with Stop() as stop:  # before torch is imported, which takes seconds: a signal in them is not lost
        from transformers.utils import logging

        from training import arguments, ranks

        logging.disable_progress_bar()  # run logs are read as text
        logging.set_verbosity_error()  # a new head is announced as missing weights
        algorithm = importlib.import_module(f"training.{argv[0]}")
        given = vars(arguments.parser_for(algorithm.Args, argv[0], algorithm.__doc__).parse_args(argv[1:]))
        preset, resume = given.pop("preset"), given.pop("resume")
        try:
            args = arguments.build(algorithm.Args, argv[0], given, preset=preset, resume=resume)
            args.validate()
            algorithm.train(args, resume=resume, stop=stop)
        except UsageError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except Stopped as stopped:
            print(f"stopped: {stopped}", flush=True)
            return 128 + (stop.signal or 15)
        except Exception as error:
            if not isinstance(error, Refused | FormatError):
                traceback.print_exc()
            print(f"error: {sentence(error)}", file=sys.stderr)
            return 1
        ranks.leave()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
