"""RLOO against a reward model: REINFORCE with a leave-one-out baseline (Ahmadian et al. 2024).

1. Sample K answers to each prompt from the policy; the reward model scores each once, on its last real token.
2. The reward of an answer is its score − β × the sum of log π − log π_ref over its tokens: the answer is one action.
3. Its advantage is that reward minus the mean reward of the other K − 1 answers to the prompt. No value network.
4. One step on −mean over answers of advantage × log π(answer), a sum over its tokens, from the weights that sampled.
5. A moving average of the weights is what is evaluated and saved, if asked.

A light baseline beside PPO: half the networks to train, one gradient step a rollout batch, so that no ratio has to be
clipped: the estimator as it stands, without bias. Other trainers take several minibatch steps from a rollout batch,
which are off policy but for the first. Rollouts, checks, reference and validation are PPO's.

    python -m training rloo --data PROMPTS --model POLICY --reward RM --out RUN

writes RUN/model (AutoModelForCausalLM), metrics.jsonl, samples.jsonl (texts with score and KL) and report.json.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from training import checkpoints, data, models, ranks
from training.arguments import arg, check, required
from training.data import Limits, Prompt
from training.losses import leave_one_out, warmup_rate
from training.ppo import Answers, check_kl, compare, groups_of, sample_answers, summary, summary_by_prompt
from training.runs import Clock, Refused, Stop, Stopped, UsageError, open_run
from training.trunk import Trunk, attach


@dataclass(frozen=True)
class Args:
    data: str = required("data set folder of prompts")
    model: str = required("policy to start from; also the reference of the KL penalty")
    reward: str = required("reward model folder")
    out: str = required("run folder to write")
    seed: int = arg(0, "of prompt order and sampling")
    iterations: int = arg(500, "rollout batches, each an optimizer step")
    batch_size: int = arg(64, "episodes (answers) per iteration")
    samples_per_prompt: int = arg(4, "K, episodes of one prompt in an iteration; at least 2")
    microbatch: int = arg(16, "episodes per forward pass; the result does not depend on it")
    learning_rate: float = arg(8e-6, "of the policy, constant after the warm-up")
    warmup_iterations: int = arg(10, "iterations of linear rise from a tenth of the rate")
    kl_beta: float = arg(0.02, "penalty per nat of log π − log π_ref, in units of the reward")
    missing_eos_score: float | None = arg(None, "score of an answer that was cut before EOS; unset keeps the model's")
    temperature: float = arg(1.0, "of rollouts; logits are divided by it wherever log-probs are taken")
    ema_decay: float = arg(0.0, "of the moving average of the policy's weights, per step; 0 saves the last weights")
    max_grad_norm: float = arg(1.0, "gradient norm above which it is scaled down; 0 is never")
    adam_epsilon: float = arg(1e-5, "of Adam")
    max_prompt_tokens: int = arg(1024, "longer prompts are left out, and counted")
    max_answer_tokens: int = arg(1024, "tokens of an answer at most, EOS included")
    unfrozen_layers: int = arg(0, "train only this many top blocks, the final norm and an untied head; 0 is everything")
    cache_trunk: bool = arg(
        False, "keep what the frozen blocks give for each sequence in memory: for small runs on CPU"
    )
    eval_prompts: int = arg(256, "validation prompts answered before and after, at temperature 1; 0 is all")
    eval_samples: int = arg(1, "answers to each of them")
    save_every: int = arg(10, "iterations between checkpoints; 0 saves on SIGTERM only")
    samples: int = arg(4, "answers logged per iteration, and before and after")
    precision: str = arg("float32", "float32 or bfloat16")
    checkpoint_activations: bool = arg(False, "compute blocks again in the backward pass, to hold less in memory")
    device: str = arg("auto", "cpu, cuda, or auto")
    threads: int = arg(0, "CPU threads; 0 leaves it to torch")

    def validate(self) -> None:
        """UsageError for values that make no sense."""
        for name in ("iterations", "microbatch", "max_prompt_tokens", "max_answer_tokens", "eval_samples"):
            check(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("warmup_iterations", "kl_beta", "max_grad_norm", "unfrozen_layers", "eval_prompts", "save_every"):
            check(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        for name in ("samples", "threads"):
            check(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        for name in ("learning_rate", "temperature"):
            check(getattr(self, name) > 0, name, getattr(self, name), "above 0")
        several = self.samples_per_prompt >= 2
        check(several, "samples_per_prompt", self.samples_per_prompt, "at least 2: the others are the baseline")
        whole = self.batch_size >= 1 and self.batch_size % self.samples_per_prompt == 0
        check(whole, "batch_size", self.batch_size, "a multiple of --samples-per-prompt")
        check(not self.cache_trunk or self.unfrozen_layers >= 1, "cache_trunk", True, "with --unfrozen-layers")
        check(self.precision in ("float32", "bfloat16"), "precision", self.precision, "float32 or bfloat16")
        no_both = not (self.checkpoint_activations and self.cache_trunk)
        check(no_both, "checkpoint_activations", True, "without --cache-trunk")
        check(0 <= self.ema_decay < 1, "ema_decay", self.ema_decay, "at least 0 and below 1")


def advantages_of(answers: Answers, *, kl_beta: float, copies: int) -> Tensor:
    """(B,) advantage of each answer among the `copies` to its prompt, which stand side by side, in units of reward."""
    rewards = answers.scores - kl_beta * answers.kl  # (B,)
    return leave_one_out(rewards.view(-1, copies)).flatten()


def add_policy_gradient(args: Args, policy: PreTrainedModel, answers: Answers, advantages: Tensor) -> dict[str, float]:
    """Add the gradient of −mean over the B answers of advantage (B,) × log π(answer); means of what was seen."""
    count, tokens = len(answers.tokens), int(answers.lengths.sum())
    seen = {"loss_policy": 0.0, "entropy": 0.0, "logprob_gap": 0.0}
    for group in groups_of(answers, range(count), args.microbatch):
        prompts, texts = [answers.prompts[i].prompt for i in group], [answers.tokens[i] for i in group]
        logprobs, entropy = models.answer_logprobs(policy, prompts, texts, temperature=args.temperature, entropy=True)
        each = torch.repeat_interleave(advantages[group], answers.lengths[group])  # (N,) row after row
        loss = -(each * logprobs).sum() / count
        loss.backward()
        seen["loss_policy"] += loss.item()
        seen["entropy"] += entropy.sum().item() / tokens
        gap = logprobs.detach() - answers.logprobs[group][answers.mask[group]]
        seen["logprob_gap"] += gap.abs().sum().item() / tokens
    return seen


def train(args: Args, *, resume: bool = False, stop: Stop | None = None) -> dict:
    """Run it; returns the report. Raises Refused with a sentence, or Stopped after saving when `stop` was requested."""
    args.validate()
    if ranks.size() > 1:
        raise UsageError(f"rloo runs as one process, and {ranks.size()} were started; start it without a launcher")
    stop = stop or Stop()
    manifest = data.open_dataset(args.data, "prompts")
    parents = {"model": args.model, "reward": args.reward}
    with open_run("rloo", args, dataset=manifest, parents=parents, resume=resume) as (run, finished):
        if finished:
            return run.read_report() or {}
        if args.threads:
            torch.set_num_threads(args.threads)
        torch.manual_seed(args.seed)
        device = models.pick_device(args.device)

        tokenizer = models.load_tokenizer(args.model)
        reward_tokenizer = models.load_tokenizer(args.reward)
        models.check_same_tokens(tokenizer, reward_tokenizer, args.model, args.reward)
        limits = Limits(args.max_prompt_tokens, args.max_answer_tokens)
        prompts, skipped = data.read_prompts(args.data, "train", tokenizer, limits)
        valid, skipped_valid = data.read_prompts(args.data, "valid", tokenizer, limits)
        data.refuse_empty(prompts, skipped, what="prompt", folder=args.data)
        prompts, valid, valid_from = data.split_validation(prompts, valid, seed=args.seed)
        valid = valid[: args.eval_prompts or None]

        policy, reference = models.load_policy(args.model, device), models.load_policy(args.model, device)
        reward = models.load_reward(args.reward, reward_tokenizer, device, head_seed=None)
        for model in (policy, reward):
            models.check_context(model, limits)
        for model in (policy, reference, reward):
            again = args.checkpoint_activations and model is policy
            models.tune(model, precision=args.precision, checkpoint_activations=again)
        reference.requires_grad_(False)
        reward.requires_grad_(False)
        parameters = models.freeze(policy, args.unfrozen_layers)
        if args.cache_trunk:
            trunk = Trunk(reference, args.unfrozen_layers)
            attach(policy, trunk)
            attach(reference, trunk)
            attach(reward, trunk if trunk.fits(reward) else Trunk(reward, args.unfrozen_layers))
        optimizer = models.adam(parameters, args.adam_epsilon)
        average = checkpoints.MovingAverage(parameters, args.ema_decay)

        def answer(chosen: Sequence[Prompt], *, seeds: Sequence[int], copies: int, heat: float) -> Answers | None:
            networks = {"policy": policy, "reference": reference, "reward": reward, "tokenizer": tokenizer}
            return sample_answers(args, chosen, seeds=seeds, copies=copies, temperature=heat, stop=stop, **networks)

        def log_samples(answers: Answers, *, step: int, phase: str) -> None:
            for i, kl in enumerate(answers.kl[: args.samples].tolist()):
                text = {"prompt": answers.prompts[i].text, "completion": models.text_of(tokenizer, answers.tokens[i])}
                figures = {"score": answers.scores[i].item(), "kl": kl, "finished": answers.finished[i]}
                run.sample({"step": step, "phase": phase, **text, **figures})

        def evaluate(phase: str, step: int) -> dict | None:
            """Answers to the validation prompts at temperature 1, seeds that never change; None when asked to stop."""
            if not valid:
                return {"prompts": 0, "scores": []}
            run.progress(step=step, total=args.iterations, phase=f"validating {phase}")
            seeds = [(args.seed << 32) + (1 << 31) + index for index in range(len(valid))]
            answers = answer(valid, seeds=seeds, copies=args.eval_samples, heat=1.0)
            if answers is None:
                return None
            log_samples(answers, step=step, phase=phase)
            seen = summary_by_prompt(answers, args.kl_beta, prompts=len(valid))
            print(f"{phase}: score {seen['score']:.4f}  KL {seen['kl']:.3f}  ({len(valid)} prompts)", flush=True)
            return seen

        step, before, clock = 0, None, Clock()
        found = checkpoints.load_newest(run.checkpoints)
        if found:
            tensors, state = found
            checkpoints.unpack("policy", tensors, parameters, optimizer)
            average.unpack(tensors)
            checkpoints.restore_random_states(tensors)
            step, before, clock = state["step"], state["before"], Clock(state["seconds"])
            del tensors
        run.truncate_logs(step=step if found else -1)

        def save() -> None:
            tensors = {**checkpoints.pack("policy", parameters, optimizer), **average.pack()}
            tensors |= checkpoints.random_states()
            state = {"before": before, "seconds": clock.seconds()}
            checkpoints.save(run.checkpoints, step=step, tensors=tensors, state=state)

        def stopped() -> Stopped:
            if before is None:
                return Stopped("before the first iteration; --resume begins anew")
            save()
            return Stopped(f"saved after iteration {step} of {args.iterations}; --resume goes on")

        if before is None:
            before = evaluate("before", 0)
            if before is None:
                raise stopped()
        per_iteration = args.batch_size // args.samples_per_prompt  # prompts

        while step < args.iterations:
            places = data.draw(len(prompts), wanted=per_iteration, start=step * per_iteration, seed=args.seed)
            seeds = [(args.seed << 32) + step * per_iteration + index for index in range(per_iteration)]
            chosen = [prompts[i] for i in places]
            answers = answer(chosen, seeds=seeds, copies=args.samples_per_prompt, heat=args.temperature)
            if answers is None:
                raise stopped()
            check_kl(answers, step)

            advantages = advantages_of(answers, kl_beta=args.kl_beta, copies=args.samples_per_prompt)  # (B,)
            seen = add_policy_gradient(args, policy, answers, advantages)
            norm = nn.utils.clip_grad_norm_(parameters.values(), args.max_grad_norm or math.inf).item()
            if not all(math.isfinite(number) for number in [norm, *seen.values()]):
                raise Refused(
                    f"iteration {step + 1}: a loss or gradient is not finite ({seen}); the weights of the last "
                    "checkpoint are good, start again with a lower --learning-rate"
                )
            rate = warmup_rate(args.learning_rate, step, warmup=args.warmup_iterations)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            average.update()
            step += 1

            figures = {
                "step": step,
                "time": clock.seconds(),
                "episodes": step * args.batch_size,
                **summary(answers, args.kl_beta),
                **seen,
                "advantage_spread": advantages.std(correction=0).item(),  # 0 where all answers to a prompt score alike
                "sampler_gap": answers.sampler_gap,
                "grad_norm_policy": norm,
                "lr": rate,
            }
            run.log(figures)
            log_samples(answers, step=step, phase="training")
            run.progress(step=step, total=args.iterations, phase="training")
            print(
                f"iteration {step}/{args.iterations}  score {figures['score']:.4f}  KL {figures['kl']:.3f}  "
                f"entropy {figures['entropy']:.2f}  length {figures['length']:.1f}",
                flush=True,
            )
            if args.save_every and step % args.save_every == 0 and step < args.iterations:
                save()

        average.swap()  # from here the policy is its moving average, what is saved
        after = evaluate("after", step)
        if after is None:
            average.swap()
            raise stopped()
        models.save_model(policy, tokenizer, run.model)
        report = {
            "algorithm": "rloo",
            **compare(before, after),
            "valid_prompts": len(valid),
            "valid_answers": len(valid) * args.eval_samples,
            "valid_from": valid_from,
            "train_prompts": len(prompts),
            "iterations": args.iterations,
            "episodes": args.iterations * args.batch_size,
            "updates": args.iterations,
            "reward_bias": reward.config.reward_bias,
            "skipped": {"train": dict(skipped), "valid": dict(skipped_valid)},
            "trainable_parameters": sum(parameter.numel() for parameter in parameters.values()),
            "seconds": clock.seconds(),
        }
        run.report(report)
        checkpoints.remove_all(run.checkpoints)
        return report
