"""Best-of-n with a reward model (WebGPT's rejection sampling; Gao et al. 2022): no training, more sampling.

1. Sample N answers to each prompt from the policy, at one temperature, each with a stream of its own.
2. The reward model scores each once, on its last real token; the best of the N is the prompt's answer.
3. For each n up to N the mean reward of a best-of-n policy, from all N samples by the unbiased estimator of order
   statistics: the i-th lowest of N is the highest of n with probability C(i − 1, n − 1) / C(N, n).
4. Beside it how far such a policy is from the one that sampled: at most log n − (n − 1)/n nats.

What to mind: the reward is the one that chose, so the curve says what the reward model thinks, not people. The KL is
the formula's, an upper bound, nothing is measured; it is reached where no two answers are likely to be the same.

    python -m training best_of --data PROMPTS --model POLICY --reward RM --out RUN

writes RUN/answers.jsonl (each prompt with its best answer and the scores of all), metrics.jsonl (the curve by n),
samples.jsonl (the worst and the best of some prompts) and report.json.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from models_service.generation import generate
from training import data, models, ranks
from training.arguments import arg, check, required
from training.data import Limits, Prompt
from training.figures import best_of_kl, best_of_mean, mean_and_error
from training.formats import SPLITS, canonical_json, write_atomic
from training.runs import Clock, Refused, Stop, Stopped, UsageError, open_run

AT_ONCE = 64  # answers sampled between two looks at whether to stop


@dataclass(frozen=True)
class Args:
    data: str = required("data set folder of prompts")
    model: str = required("policy that answers")
    reward: str = required("reward model folder")
    out: str = required("run folder to write")
    split: str = arg("valid", "prompts to answer: train, valid or test")
    seed: int = arg(0, "of sampling")
    n: int = arg(16, "N, answers to each prompt; the curve is for 1, 2, 4, … and N")
    prompts: int = arg(0, "answered at most; 0 is all")
    microbatch: int = arg(16, "answers scored per forward pass; the result does not depend on it")
    temperature: float = arg(1.0, "of sampling, without top-p")
    max_prompt_tokens: int = arg(1024, "longer prompts are left out, and counted")
    max_answer_tokens: int = arg(1024, "tokens of an answer at most, EOS included")
    samples: int = arg(4, "prompts whose worst and best answers are logged")
    precision: str = arg("float32", "float32 or bfloat16")
    device: str = arg("auto", "cpu, cuda, or auto")
    threads: int = arg(0, "CPU threads; 0 leaves it to torch")

    def validate(self) -> None:
        """UsageError for values that make no sense."""
        for name in ("n", "microbatch", "max_prompt_tokens", "max_answer_tokens"):
            check(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("prompts", "samples", "threads"):
            check(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        check(self.split in SPLITS, "split", self.split, f"one of {', '.join(SPLITS)}")
        check(self.temperature > 0, "temperature", self.temperature, "above 0")
        check(self.precision in ("float32", "bfloat16"), "precision", self.precision, "float32 or bfloat16")


def sizes(n: int) -> list[int]:
    """1, 2, 4, … below n, and n."""
    return [1 << power for power in range(n.bit_length()) if 1 << power < n] + [n]


def curve(scores: Sequence[Sequence[float]], n: int) -> list[dict]:
    """For each of `sizes(n)` the mean reward of best-of-n over prompts, its standard error, the bound on its KL.

    `scores` holds n rewards for each prompt. The gain is over one answer, paired by prompt.
    """
    rows = []
    alone = [best_of_mean(own, 1) for own in scores]
    for size in sizes(n):
        means = [best_of_mean(own, size) for own in scores]
        reward, error = mean_and_error(means)
        gain, gain_error = mean_and_error([mean - one for mean, one in zip(means, alone, strict=True)])
        row = {"n": size, "kl_bound": best_of_kl(size), "reward": reward, "reward_error": error}
        rows.append({**row, "gain": gain, "gain_error": gain_error})
    return rows


def train(args: Args, *, resume: bool = False, stop: Stop | None = None) -> dict:
    """Run it; returns the report. Raises Refused with a sentence, or Stopped when `stop` was requested.

    What has been answered stays: --resume goes on with the next prompts.
    """
    args.validate()
    if ranks.size() > 1:
        raise UsageError(f"best_of runs as one process, and {ranks.size()} were started; start it without a launcher")
    stop = stop or Stop()
    manifest = data.open_dataset(args.data, "prompts")
    parents = {"model": args.model, "reward": args.reward}
    with open_run("best_of", args, dataset=manifest, parents=parents, resume=resume) as (run, finished):
        if finished:
            return run.read_report() or {}
        if args.threads:
            torch.set_num_threads(args.threads)
        device = models.pick_device(args.device)

        tokenizer = models.load_tokenizer(args.model)
        reward_tokenizer = models.load_tokenizer(args.reward)
        models.check_same_tokens(tokenizer, reward_tokenizer, args.model, args.reward)
        limits = Limits(args.max_prompt_tokens, args.max_answer_tokens)
        prompts, skipped = data.read_prompts(args.data, args.split, tokenizer, limits)
        prompts = prompts[: args.prompts or None]
        if not prompts:
            why = ", ".join(f"{count} × {reason}" for reason, count in skipped.most_common()) or "it has no rows"
            raise Refused(
                f"no prompt to answer in the {args.split} split of {args.data}: {why}; choose another --split"
            )

        policy = models.load_policy(args.model, device)
        reward = models.load_reward(args.reward, reward_tokenizer, device, head_seed=None)
        for model in (policy, reward):
            models.check_context(model, limits)
            models.tune(model, precision=args.precision, checkpoint_activations=False)

        # Whole groups of prompts are written, so a resumed run samples the same groups again: the same bits.
        path, step = run.path / "answers.jsonl", max(1, AT_ONCE // args.n)
        rows = [json.loads(line) for line in path.open("rb") if line.endswith(b"\n")] if path.exists() else []
        done = len(rows) if len(rows) == len(prompts) else len(rows) // step * step
        scores, finished_rate = [row["scores"] for row in rows[:done]], [row["finished"] for row in rows[:done]]
        write_atomic(path, b"".join(canonical_json(row) + b"\n" for row in rows[:done]))
        run.truncate_logs(step=done if done else -1)
        clock = Clock()
        for start in range(done, len(prompts), step):
            if stop.requested:
                raise Stopped(f"{start} of {len(prompts)} prompts are answered; --resume goes on")
            part = prompts[start : start + step]
            seeds = [(args.seed << 32) + start + index for index in range(len(part))]
            answered = answer(args, part, seeds=seeds, policy=policy, reward=reward, tokenizer=tokenizer)
            with path.open("ab") as file:
                file.write(b"".join(canonical_json(row) + b"\n" for row, _ in answered))
                file.flush()
                os.fsync(file.fileno())
            for index, (row, worst) in enumerate(answered, start=start):
                scores.append(row["scores"])
                finished_rate.append(row["finished"])
                if index < args.samples:
                    text = {"prompt": row["prompt"], "completion": row["completion"], "score": row["score"]}
                    run.sample({"step": start + len(part), **text, **worst})
            run.progress(step=start + len(part), total=len(prompts), phase="sampling")
            print(f"{start + len(part)}/{len(prompts)} prompts", flush=True)

        found = curve(scores, args.n)
        for row in found:
            run.log({"step": row["n"], "time": clock.seconds(), **row})
            print(
                f"best of {row['n']:<4} reward {row['reward']:.4f} ± {row['reward_error']:.4f}  "
                f"KL at most {row['kl_bound']:.3f} nats",
                flush=True,
            )
        report = {
            "algorithm": "best_of",
            "split": args.split,
            "prompts": len(prompts),
            "answers": len(prompts) * args.n,
            "curve": found,
            "finished": sum(finished_rate) / len(finished_rate),
            "reward_bias": reward.config.reward_bias,
            "skipped": dict(skipped),
            "seconds": clock.seconds(),  # of this attempt
        }
        run.report(report)
        return report


@torch.no_grad()
def answer(args: Args, prompts: Sequence[Prompt], *, seeds, policy, reward, tokenizer) -> list[tuple[dict, dict]]:
    """For each prompt its row, with the best answer and all scores as they were sampled, and its worst answer.

    Of equal scores the one that was sampled first. Scores are normalised: the reward model's bias is taken off.
    """
    groups = generate(
        policy,
        [prompt.prompt for prompt in prompts],
        n=args.n,
        max_new_tokens=args.max_answer_tokens,
        temperature=args.temperature,
        top_p=1.0,  # the bound is for samples of the policy itself
        eos_ids={tokenizer.eos_token_id},
        pad_id=0,
        seeds=list(seeds),
        max_rows=AT_ONCE,
    )
    ids = [prompt.prompt for prompt, group in zip(prompts, groups, strict=True) for _ in group]
    tokens = [sample.token_ids for group in groups for sample in group]
    rewards = torch.empty(len(tokens))
    for group in models.by_length([len(p) + len(a) for p, a in zip(ids, tokens, strict=True)], args.microbatch):
        rewards[group] = models.rewards_of(reward, [ids[i] for i in group], [tokens[i] for i in group]).cpu()
    rewards -= reward.config.reward_bias
    if not all(map(math.isfinite, rewards.tolist())):
        raise Refused("the reward model gave a score that is not finite; look at its run's report")
    rows = []
    for place, prompt in enumerate(prompts):
        own = tokens[place * args.n : (place + 1) * args.n]
        scores = rewards[place * args.n : (place + 1) * args.n].tolist()
        best, worst = max(range(args.n), key=scores.__getitem__), min(range(args.n), key=scores.__getitem__)
        row = {
            "id": prompt.prompt_id,
            "prompt": prompt.text,
            "completion": models.text_of(tokenizer, own[best]),
            "score": scores[best],
            "scores": scores,  # N, in the order of sampling
            "finished": sum(answer[-1] == tokenizer.eos_token_id for answer in own) / args.n,
        }
        rows.append((row, {"worst": models.text_of(tokenizer, own[worst]), "worst_score": scores[worst]}))
    return rows
