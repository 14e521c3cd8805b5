"""PPO and PPO-ptx against a reward model (Ouyang et al. 2022, section 3.5, equation 2 and appendix C.4).

1. Sample an answer to each prompt from the policy; the reward model scores it once, on its last real token.
2. Each token costs β (log π − log π_ref) of itself, detached; the reference is the policy as it was given.
3. Advantages by GAE (λ .95, no discount) from a value network that began as the reward model, whitened over the batch.
4. One epoch over minibatches: clipped ratio for the policy, clipped error for the values, a rate for each network.
5. PPO-ptx adds γ × the loss on pretraining text to the gradient in every minibatch. A moving average is what is saved.

What differs from the paper, or is not in it: policy, value and ptx losses are means over the minibatch's valid tokens
(the paper does not say; both gradient norms and their cosine are logged); the moving average is taken after every
update; λ, value weight and value clip are lm-human-preferences'; a demonstrations data set may stand in for
pretraining text, with the loss on its answers.

    python -m training ppo --data PROMPTS --model POLICY --reward RM --out RUN [--ptx FILE_OR_DEMONSTRATIONS]

writes RUN/model (AutoModelForCausalLM), metrics.jsonl, samples.jsonl (texts with score and KL) and report.json.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from models_service.generation import generate
from training import checkpoints, data, models, ranks
from training.arguments import arg, check, required
from training.data import Limits, Prompt
from training.figures import mean_and_error
from training.losses import (
    adapted_beta,
    gae,
    kl_penalised_rewards,
    policy_loss_sum,
    token_mask,
    value_loss_sum,
    warmup_rate,
    whiten,
)
from training.runs import Clock, Refused, Stop, Stopped, UsageError, open_run
from training.trunk import Trunk, attach

ROLLOUT_ROWS = 64  # answers sampled between two looks at whether to stop


@dataclass(frozen=True)
class Args:
    data: str = required("data set folder of prompts")
    model: str = required("policy to start from; also the reference of the KL penalty")
    reward: str = required("reward model folder; the value network starts from it too")
    out: str = required("run folder to write")
    ptx: str = arg("", "text for the ptx term: a file of JSON lines with `text`, or a demonstrations data set folder")
    seed: int = arg(0, "of prompt order, sampling and minibatches")
    iterations: int = arg(500, "rollout batches")
    batch_size: int = arg(512, "episodes (answers) per iteration")
    samples_per_prompt: int = arg(1, "episodes of one prompt in an iteration; more share its prefill")
    minibatch_size: int = arg(64, "episodes per optimizer step")
    inner_epochs: int = arg(1, "passes over each rollout batch")
    microbatch: int = arg(16, "episodes per forward pass; the result does not depend on it")
    learning_rate: float = arg(8e-6, "of the policy, constant after the warm-up")
    value_learning_rate: float = arg(9e-6, "of the value network, constant after the warm-up")
    warmup_iterations: int = arg(10, "iterations of linear rise from a tenth of the rates")
    kl_beta: float = arg(0.02, "penalty per nat of log π − log π_ref, in units of the reward")
    kl_target: float = arg(0.0, "nats per answer that an adaptive β steers for; 0 leaves β as it is")
    kl_gain: float = arg(0.1, "most that β changes by in an iteration is a fifth of this share of it")
    ptx_coefficient: float = arg(27.8, "γ, the weight of the ptx loss; without --ptx there is none")
    ptx_per_episode: float = arg(8.0, "pretraining texts per episode of a minibatch")
    ptx_tokens: int = arg(1024, "tokens of each such text")
    clip: float = arg(0.2, "how far the ratio may move from 1 before its gradient ends")
    value_clip: float = arg(0.2, "how far a value may move from the rollout's before its gradient ends")
    value_weight: float = arg(0.1, "of the value loss")
    discount: float = arg(1.0, "of later rewards")
    gae_lambda: float = arg(0.95, "of generalised advantage estimation")
    whiten_advantages: bool = arg(True, "to mean 0 and variance 1 over the valid tokens of the rollout batch")
    whiten_rewards: bool = arg(False, "to variance 1, without moving the mean")
    missing_eos_score: float | None = arg(None, "score of an answer that was cut before EOS; unset keeps the model's")
    temperature: float = arg(1.0, "of rollouts; logits are divided by it wherever log-probs are taken")
    ema_decay: float = arg(0.992, "of the moving average of the policy's weights, per update; 0 saves the last weights")
    max_grad_norm: float = arg(0.0, "gradient norm of each network above which it is scaled down; 0 is never")
    adam_epsilon: float = arg(1e-5, "of Adam")
    ratio_tolerance: float = arg(1e-4, "how far the first minibatch's mean |ratio − 1| may be from 0")
    max_prompt_tokens: int = arg(1024, "longer prompts are left out, and counted")
    max_answer_tokens: int = arg(1024, "tokens of an answer at most, EOS included")
    unfrozen_layers: int = arg(0, "train only this many top blocks, the final norm and an untied head; 0 is everything")
    cache_trunk: bool = arg(
        False, "keep what the frozen blocks give for each sequence in memory: for small runs on CPU"
    )
    eval_prompts: int = arg(256, "validation prompts answered before and after, at temperature 1; 0 is all")
    eval_samples: int = arg(1, "answers to each of them")
    validate_every: int = arg(0, "iterations between validations, of which the best policy is saved; 0 saves the last")
    max_kl: float = arg(0.0, "nats per answer on validation prompts above which no policy is the best; 0 is no bound")
    patience: int = arg(0, "validations in a row without a better one after which the run ends; 0 is never")
    save_every: int = arg(10, "iterations between checkpoints; 0 saves on SIGTERM only")
    samples: int = arg(4, "answers logged per iteration, and before and after")
    precision: str = arg("float32", "float32 or bfloat16; in the latter --ratio-tolerance has to be about 0.02")
    checkpoint_activations: bool = arg(False, "compute blocks again in the backward pass, to hold less in memory")
    device: str = arg("auto", "cpu, cuda, or auto")
    threads: int = arg(0, "CPU threads; 0 leaves it to torch")

    def validate(self) -> None:
        """UsageError for values that make no sense."""
        for name in ("iterations", "batch_size", "samples_per_prompt", "minibatch_size", "inner_epochs", "microbatch"):
            check(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("max_prompt_tokens", "max_answer_tokens", "eval_samples"):
            check(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in (
            "warmup_iterations",
            "kl_beta",
            "kl_target",
            "kl_gain",
            "max_kl",
            "ptx_coefficient",
            "value_weight",
            "max_grad_norm",
            "unfrozen_layers",
        ):
            check(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        for name in ("eval_prompts", "validate_every", "patience", "save_every", "samples", "threads"):
            check(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        for name in ("learning_rate", "value_learning_rate", "clip", "value_clip", "temperature", "ptx_per_episode"):
            check(getattr(self, name) > 0, name, getattr(self, name), "above 0")
        for name in ("discount", "gae_lambda"):
            check(0 <= getattr(self, name) <= 1, name, getattr(self, name), "between 0 and 1")
        check(not self.cache_trunk or self.unfrozen_layers >= 1, "cache_trunk", True, "with --unfrozen-layers")
        check(self.precision in ("float32", "bfloat16"), "precision", self.precision, "float32 or bfloat16")
        no_both = not (self.checkpoint_activations and self.cache_trunk)
        check(no_both, "checkpoint_activations", True, "without --cache-trunk")
        for name in ("max_kl", "patience"):
            check(not getattr(self, name) or self.validate_every, name, getattr(self, name), "with --validate-every")
        check(self.kl_gain < 5, "kl_gain", self.kl_gain, "below 5: β would change its sign")
        check(self.ptx_tokens >= 2, "ptx_tokens", self.ptx_tokens, "at least 2")
        check(0 <= self.ema_decay < 1, "ema_decay", self.ema_decay, "at least 0 and below 1")
        whole = self.batch_size % self.minibatch_size == 0 and self.batch_size % self.samples_per_prompt == 0
        check(whole, "batch_size", self.batch_size, "a multiple of --minibatch-size and of --samples-per-prompt")


@dataclass(frozen=True)
class Best:
    """The best validated policy so far, and how long ago that was."""

    step: int  # iterations done then
    score: float  # normalised, on validation prompts
    kl: float  # nats per answer
    since: int = 0  # validations after it


def is_better(seen: dict, best: Best | None, max_kl: float) -> bool:
    """Whether a validation's score is the highest yet at a KL within bounds; the first one always is."""
    return best is None or (seen["score"] > best.score and not (max_kl and seen["kl"] > max_kl))


@dataclass(frozen=True)
class Answers:
    """B sampled answers and what the models say of them. Per-token tensors are (B, T), zero after each answer's end."""

    prompts: list[Prompt]
    tokens: list[list[int]]  # B lists of ids, EOS last where one was sampled
    finished: list[bool]  # B, whether EOS was sampled
    lengths: Tensor  # (B,) tokens
    scores: Tensor  # (B,) reward, the reward model's bias taken off
    logprobs: Tensor  # (B, T) nats, of the policy that sampled, recomputed here
    reference: Tensor  # (B, T) nats
    sampler_gap: float  # mean |recomputed − sampler's log-prob|, nats per token

    @property
    def kl(self) -> Tensor:
        """(B,) log π − log π_ref of each answer, nats: one sample's estimate of the KL, which may be negative."""
        return (self.logprobs - self.reference).sum(1)

    @property
    def mask(self) -> Tensor:
        return token_mask(self.lengths, self.logprobs.shape[1])


def to_rows(flat: Tensor, lengths: Tensor) -> Tensor:
    """(B, T) of (N,) values, row after row; zero after each row's end."""
    return nn.utils.rnn.pad_sequence(flat.split(lengths.tolist()), batch_first=True)


@torch.no_grad()
def per_token(
    compute: Callable[[list[list[int]], list[list[int]]], Tensor],
    prompts: Sequence[list[int]],
    answers: Sequence[list[int]],
    rows: int,
) -> Tensor:
    """(B, T) of what `compute` gives as (N,) for a few answers at a time."""
    pieces: list[Tensor] = [torch.empty(0)] * len(answers)
    for group in models.by_length([len(p) + len(a) for p, a in zip(prompts, answers, strict=True)], rows):
        flat = compute([prompts[i] for i in group], [answers[i] for i in group])
        for index, piece in zip(group, flat.split([len(answers[i]) for i in group]), strict=True):
            pieces[index] = piece
    return nn.utils.rnn.pad_sequence(pieces, batch_first=True)


class Sampling(Protocol):
    """What of a trainer's arguments sampling and scoring ask for."""

    max_answer_tokens: int
    microbatch: int
    missing_eos_score: float | None


def sample_answers(
    args: Sampling,
    prompts: Sequence[Prompt],
    *,
    seeds: Sequence[int],
    copies: int,
    temperature: float,
    policy: PreTrainedModel,
    reference: PreTrainedModel,
    reward: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    stop: Stop,
) -> Answers | None:
    """`copies` answers to each prompt with scores and log-probs; None when asked to stop meanwhile."""
    chosen: list[Prompt] = []
    tokens, sampled, finished = [], [], []
    at_once = max(1, ROLLOUT_ROWS // copies)
    for start in range(0, len(prompts), at_once):
        if stop.requested:
            return None
        part = prompts[start : start + at_once]
        groups = generate(
            policy,
            [prompt.prompt for prompt in part],
            n=copies,
            max_new_tokens=args.max_answer_tokens,
            temperature=temperature,
            top_p=1.0,  # what is sampled must be what the log-probs are of
            eos_ids={tokenizer.eos_token_id},
            pad_id=0,
            seeds=list(seeds[start : start + at_once]),
            max_rows=ROLLOUT_ROWS,
        )
        for prompt, group in zip(part, groups, strict=True):
            for sample in group:
                chosen.append(prompt)
                tokens.append(sample.token_ids)
                sampled.append(sample.logprobs)
                finished.append(sample.token_ids[-1] == tokenizer.eos_token_id)
    if stop.requested:
        return None

    device, rows = policy.device, args.microbatch
    ids = [prompt.prompt for prompt in chosen]
    lengths = torch.tensor([len(answer) for answer in tokens], device=device)
    scores = torch.empty(len(tokens), device=device)
    with torch.no_grad():
        for group in models.by_length([len(p) + len(a) for p, a in zip(ids, tokens, strict=True)], rows):
            scores[group] = models.rewards_of(reward, [ids[i] for i in group], [tokens[i] for i in group])
    scores -= reward.config.reward_bias
    if args.missing_eos_score is not None:
        scores[~torch.tensor(finished, device=device)] = args.missing_eos_score

    def logprobs_by(model: PreTrainedModel, heat: float) -> Tensor:
        return per_token(lambda p, a: models.answer_logprobs(model, p, a, temperature=heat)[0], ids, tokens, rows)

    logprobs = logprobs_by(policy, temperature)
    # The sampler reports log-probs at temperature 1, whatever it samples at.
    raw = logprobs if temperature == 1 else logprobs_by(policy, 1.0)
    theirs = nn.utils.rnn.pad_sequence([torch.tensor(row) for row in sampled], batch_first=True).to(device)
    return Answers(
        prompts=chosen,
        tokens=tokens,
        finished=finished,
        lengths=lengths,
        scores=scores,
        logprobs=logprobs,
        reference=logprobs_by(reference, temperature),
        sampler_gap=((raw - theirs).abs().sum() / lengths.sum()).item(),
    )


def summary(answers: Answers, kl_beta: float) -> dict:
    """Mean score, KL and objective of answers, with standard errors."""
    score, score_error = mean_and_error(answers.scores.tolist())
    kl, kl_error = mean_and_error(answers.kl.tolist())
    return {
        "score": score,
        "score_error": score_error,
        "kl": kl,  # nats per answer
        "kl_error": kl_error,
        "reward": score - kl_beta * kl,
        "length": answers.lengths.float().mean().item(),  # tokens
        "finished": sum(answers.finished) / len(answers.finished),
    }


def summary_by_prompt(answers: Answers, kl_beta: float, *, prompts: int) -> dict:
    """The same with the mean score of each prompt, and errors over prompts, as answers to one prompt are alike."""
    found = {"prompts": prompts, **summary(answers, kl_beta)}
    found["scores"] = answers.scores.view(prompts, -1).mean(1).tolist()
    _, found["score_error"] = mean_and_error(found["scores"])
    _, found["kl_error"] = mean_and_error(answers.kl.view(prompts, -1).mean(1).tolist())
    return found


def check_kl(answers: Answers, iteration: int) -> None:
    """Refused where the batch's KL cannot be one: not 0 before any update, or below 0 by more than 3 standard errors.

    The .01 nats keep small batches near KL 0, whose error is itself uncertain, from stopping a good run.
    """
    kl, error = mean_and_error(answers.kl.tolist())
    if iteration == 0 and abs(kl) > 1e-3:
        raise Refused(f"KL to the reference is {kl:.4f} nats before any update; policy and reference must start as one")
    if kl < -3 * error - 0.01:
        raise Refused(
            f"iteration {iteration + 1}: mean KL is {kl:.3f} nats, over 3 standard errors ({error:.3f}) below 0. A "
            "KL cannot be negative: the answers do not come from the distribution their log-probs are taken of "
            "(temperature, top-p, another model or tokenizer)"
        )


def add_policy_gradient(
    args: Args, policy: PreTrainedModel, answers: Answers, advantages: Tensor, chosen: Sequence[int]
) -> dict[str, float]:
    """Add the gradient of the clipped loss of the `chosen` answers, a mean over their tokens;

    means of what was seen.
    """
    tokens = int(answers.lengths[list(chosen)].sum())
    seen = {"loss_policy": 0.0, "clip_fraction": 0.0, "entropy": 0.0, "ratio_gap": 0.0, "ratio": 0.0}
    for group in groups_of(answers, chosen, args.microbatch):
        prompts, texts = [answers.prompts[i].prompt for i in group], [answers.tokens[i] for i in group]
        logprobs, entropy = models.answer_logprobs(policy, prompts, texts, temperature=args.temperature, entropy=True)
        mask = answers.mask[group]
        old, gain = answers.logprobs[group][mask], advantages[group][mask]  # (N,) each, row after row
        loss, ratio, clipped = policy_loss_sum(logprobs, old, gain, torch.ones_like(old, dtype=torch.bool), args.clip)
        (loss / tokens).backward()
        seen["loss_policy"] += loss.item() / tokens
        seen["clip_fraction"] += clipped.item() / tokens
        seen["entropy"] += entropy.sum().item() / tokens
        seen["ratio"] += ratio.sum().item() / tokens
        seen["ratio_gap"] += (ratio - 1).abs().sum().item() / tokens
    return seen


def add_value_gradient(
    args: Args, value: PreTrainedModel, answers: Answers, old: Tensor, returns: Tensor, chosen: Sequence[int]
) -> float:
    """Add the gradient of the weighted, clipped value loss of the `chosen` answers; the loss without its weight."""
    tokens, total = int(answers.lengths[list(chosen)].sum()), 0.0
    for group in groups_of(answers, chosen, args.microbatch):
        prompts, texts = [answers.prompts[i].prompt for i in group], [answers.tokens[i] for i in group]
        values, mask = models.answer_values(value, prompts, texts), answers.mask[group]
        everywhere = torch.ones_like(values, dtype=torch.bool)
        loss = value_loss_sum(values, old[group][mask], returns[group][mask], everywhere, args.value_clip)
        (args.value_weight * loss / tokens).backward()
        total += loss.item() / tokens
    return total


def add_ptx_gradient(
    policy: PreTrainedModel, texts: Sequence[tuple[list[int], list[int]]], *, coefficient: float, rows: int
) -> float:
    """Add `coefficient` × the gradient of the mean loss per token of pretraining text; the loss in nats, unweighted."""
    tokens, total = sum(len(answer) for _, answer in texts), 0.0
    for group in models.by_length([len(p) + len(a) for p, a in texts], rows):
        logprobs, _ = models.answer_logprobs(policy, [texts[i][0] for i in group], [texts[i][1] for i in group])
        loss = -logprobs.sum() / tokens
        if coefficient:
            (coefficient * loss).backward()
        total += loss.item()
    return total


def groups_of(answers: Answers, chosen: Sequence[int], rows: int) -> list[list[int]]:
    """The chosen answers' indices, a few of like length at a time."""
    widths = [len(answers.prompts[i].prompt) + len(answers.tokens[i]) for i in chosen]
    return [[chosen[i] for i in group] for group in models.by_length(widths, rows)]


def flat_gradient(parameters: checkpoints.Named) -> Tensor:
    """All gradients as one vector; zeros where there is none yet."""
    return torch.cat([(p.grad if p.grad is not None else torch.zeros_like(p)).flatten() for p in parameters.values()])


def train(args: Args, *, resume: bool = False, stop: Stop | None = None) -> dict:
    """Run it; returns the report. Raises Refused with a sentence, or Stopped after saving when `stop` was requested."""
    args.validate()
    if ranks.size() > 1:
        raise UsageError(f"ppo runs as one process, and {ranks.size()} were started; start it without a launcher")
    stop = stop or Stop()
    manifest = data.open_dataset(args.data, "prompts")
    parents = {"model": args.model, "reward": args.reward}
    with open_run("ppo", args, dataset=manifest, parents=parents, resume=resume) as (run, finished):
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
        ptx = None
        if args.ptx and args.ptx_coefficient:
            ptx = data.PretrainingText(args.ptx, tokenizer, tokens=args.ptx_tokens, seed=args.seed)

        policy, reference = models.load_policy(args.model, device), models.load_policy(args.model, device)
        reward = models.load_reward(args.reward, reward_tokenizer, device, head_seed=None)
        value = models.load_reward(args.reward, reward_tokenizer, device, head_seed=None)
        for model in (policy, reward):
            models.check_context(model, limits)
        for model in (policy, reference, reward, value):
            trained = model is policy or model is value
            models.tune(
                model,
                precision=args.precision,
                checkpoint_activations=args.checkpoint_activations and trained,
            )
        reference.requires_grad_(False)
        reward.requires_grad_(False)
        parameters = models.freeze(policy, args.unfrozen_layers)
        value_parameters = models.freeze(value, args.unfrozen_layers)
        if args.cache_trunk:
            trunk = Trunk(reference, args.unfrozen_layers)
            shared = trunk.fits(reward)
            print(f"reward model and policy {'share' if shared else 'do not share'} their frozen blocks", flush=True)
            attach(policy, trunk)
            attach(reference, trunk)
            trunk = trunk if shared else Trunk(reward, args.unfrozen_layers)
            attach(reward, trunk)
            attach(value, trunk)
        optimizer = models.adam(parameters, args.adam_epsilon)
        value_optimizer = models.adam(value_parameters, args.adam_epsilon)
        average = checkpoints.MovingAverage(parameters, args.ema_decay)

        def answer(chosen: Sequence[Prompt], *, seeds: Sequence[int], copies: int, heat: float) -> Answers | None:
            return sample_answers(
                args,
                chosen,
                seeds=seeds,
                copies=copies,
                temperature=heat,
                policy=policy,
                reference=reference,
                reward=reward,
                tokenizer=tokenizer,
                stop=stop,
            )

        def log_samples(answers: Answers, *, step: int, phase: str) -> None:
            for i, kl in enumerate(answers.kl[: args.samples].tolist()):
                text = {"prompt": answers.prompts[i].text, "completion": models.text_of(tokenizer, answers.tokens[i])}
                figures = {"score": answers.scores[i].item(), "kl": kl, "finished": answers.finished[i]}
                run.sample({"step": step, "phase": phase, **text, **figures})

        def evaluate(phase: str, step: int) -> dict | None:
            """Answers to the validation prompts at temperature 1, by seeds that never change;

            None when asked to stop. The choice of the best has seeds of its own: what the report says is no maximum.
            """
            if not valid:
                return {"prompts": 0, "scores": []}
            run.progress(step=step, total=args.iterations, phase=f"validating {phase}")
            apart = (3 << 30) if phase == "meanwhile" else (1 << 31)
            seeds = [(args.seed << 32) + apart + index for index in range(len(valid))]
            answers = answer(valid, seeds=seeds, copies=args.eval_samples, heat=1.0)
            if answers is None:
                return None
            log_samples(answers, step=step, phase=phase)
            found = summary_by_prompt(answers, beta, prompts=len(valid))
            if ptx:
                with torch.no_grad():
                    texts = ptx.draw(wanted=16, start=1 << 40)  # far from what training draws, the same each time
                    found["ptx_loss"] = add_ptx_gradient(policy, texts, coefficient=0, rows=args.microbatch)
            print(f"{phase}: score {found['score']:.4f}  KL {found['kl']:.3f}  ({len(valid)} prompts)", flush=True)
            return found

        if args.validate_every and not valid:
            raise Refused("--validate-every needs validation prompts, and the data set has one prompt only")
        step, before, clock, beta = 0, None, Clock(), args.kl_beta
        validated, best, best_weights = -1, None, {}  # the weights are there as soon as there is a best
        found = checkpoints.load_newest(run.checkpoints)
        if found:
            tensors, state = found
            checkpoints.unpack("policy", tensors, parameters, optimizer)
            checkpoints.unpack("value", tensors, value_parameters, value_optimizer)
            average.unpack(tensors)
            checkpoints.restore_random_states(tensors)
            step, before, clock = state["step"], state["before"], Clock(state["seconds"])
            beta, validated = state.get("kl_beta", beta), state.get("validated", -1)
            best = Best(**state["best"]) if state.get("best") else None
            if best:
                best_weights = {name: tensors[f"best/{name}"].to(device) for name in parameters}
            del tensors
        run.truncate_logs(step=step if found else -1)

        def save() -> None:
            tensors = {
                **checkpoints.pack("policy", parameters, optimizer),
                **checkpoints.pack("value", value_parameters, value_optimizer),
                **average.pack(),
                **{f"best/{name}": tensor for name, tensor in best_weights.items()},
                **checkpoints.random_states(),
            }
            state = {"before": before, "seconds": clock.seconds(), "kl_beta": beta}
            state |= {"validated": validated, "best": asdict(best) if best else None}
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
        per_iteration = args.batch_size // args.samples_per_prompt
        updates = args.batch_size // args.minibatch_size * args.inner_epochs  # optimizer steps per iteration

        while True:
            due = args.validate_every and (step % args.validate_every == 0 or step == args.iterations)
            if due and validated < step:
                average.swap()
                seen = evaluate("meanwhile", step)
                if seen is not None and is_better(seen, best, args.max_kl):
                    best = Best(step=step, score=seen["score"], kl=seen["kl"])
                    best_weights = {name: parameter.detach().clone() for name, parameter in parameters.items()}
                elif seen is not None:
                    best = replace(best, since=best.since + 1)
                average.swap()
                if seen is None:
                    raise stopped()
                validated = step
                run.log({"step": step, "time": clock.seconds(), "valid_score": seen["score"], "valid_kl": seen["kl"]})
            ended_early = bool(args.patience and best and best.since >= args.patience and step < args.iterations)
            if ended_early or step == args.iterations:
                break
            if (
                args.save_every
                and step
                and step % args.save_every == 0
                and step not in checkpoints.steps(run.checkpoints)
            ):
                save()

            # Rollouts change no weights, so a run that is stopped among them saves what the iteration began with.
            places = data.draw(len(prompts), wanted=per_iteration, start=step * per_iteration, seed=args.seed)
            seeds = [(args.seed << 32) + step * per_iteration + index for index in range(per_iteration)]
            answers = answer(
                [prompts[i] for i in places], seeds=seeds, copies=args.samples_per_prompt, heat=args.temperature
            )
            if answers is None:
                raise stopped()
            check_kl(answers, step)

            mask, prompt_ids = answers.mask, [prompt.prompt for prompt in answers.prompts]
            values = per_token(
                lambda p, a: models.answer_values(value, p, a), prompt_ids, answers.tokens, args.microbatch
            )  # (B, T) reward still to come
            rewards = kl_penalised_rewards(
                answers.scores, answers.logprobs, answers.reference, answers.lengths, beta
            )  # (B, T)
            if args.whiten_rewards:
                rewards = whiten(rewards, mask, shift_mean=False)
            advantages, returns = gae(
                rewards, values, answers.lengths, discount=args.discount, lam=args.gae_lambda
            )  # (B, T) each
            if args.whiten_advantages:
                advantages = whiten(advantages, mask)

            rate = warmup_rate(args.learning_rate, step, warmup=args.warmup_iterations)
            value_rate = warmup_rate(args.value_learning_rate, step, warmup=args.warmup_iterations)
            for one, its_rate in ((optimizer, rate), (value_optimizer, value_rate)):
                for group in one.param_groups:
                    group["lr"] = its_rate
            sums: dict[str, float] = {}
            first: dict[str, float] = {}
            for update in range(updates):
                epoch, place = divmod(update, updates // args.inner_epochs)
                order = data.order_of_epoch(args.batch_size, seed=args.seed + 1, epoch=step * args.inner_epochs + epoch)
                chosen = order[place * args.minibatch_size : (place + 1) * args.minibatch_size]
                seen = add_policy_gradient(args, policy, answers, advantages, chosen)
                first = first or seen
                if update == 0 and not first["ratio_gap"] <= args.ratio_tolerance:
                    raise Refused(
                        f"iteration {step + 1}: the first minibatch's ratio is off 1 by {first['ratio_gap']:.2e} on "
                        f"average, more than --ratio-tolerance {args.ratio_tolerance:.0e}: old and new log-probs of "
                        "the same weights differ"
                    )
                rl_gradient = flat_gradient(parameters) if ptx else None
                if ptx:
                    wanted = max(1, round(args.ptx_per_episode * len(chosen)))
                    texts = ptx.draw(wanted=wanted, start=(step * updates + update) * wanted)
                    seen["loss_ptx"] = add_ptx_gradient(
                        policy, texts, coefficient=args.ptx_coefficient, rows=args.microbatch
                    )
                    both = flat_gradient(parameters)
                    ptx_gradient = both - rl_gradient
                    seen["grad_norm_policy"] = rl_gradient.norm().item()
                    seen["grad_norm_ptx"] = ptx_gradient.norm().item()
                    seen["grad_cosine"] = nn.functional.cosine_similarity(rl_gradient, ptx_gradient, dim=0).item()
                    del rl_gradient, ptx_gradient, both
                seen["loss_value"] = add_value_gradient(args, value, answers, values, returns, chosen)
                limit = args.max_grad_norm or math.inf
                total_norm = nn.utils.clip_grad_norm_(parameters.values(), limit).item()
                seen.setdefault("grad_norm_policy", total_norm)
                seen["grad_norm_value"] = nn.utils.clip_grad_norm_(value_parameters.values(), limit).item()
                if not all(math.isfinite(number) for number in [total_norm, *seen.values()]):
                    raise Refused(
                        f"iteration {step + 1}: a loss or gradient is not finite ({seen}); the weights of the last "
                        "checkpoint are good, start again with a lower --learning-rate"
                    )
                optimizer.step()
                value_optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                value_optimizer.zero_grad(set_to_none=True)
                average.update()
                for name, number in seen.items():
                    sums[name] = sums.get(name, 0.0) + number / updates
            step += 1

            error = (returns - values)[mask]
            spread = returns[mask].var(correction=0).item()
            figures = {
                "step": step,
                "time": clock.seconds(),
                "episodes": step * args.batch_size,
                **summary(answers, beta),
                "kl_beta": beta,
                **{name: number for name, number in sums.items() if name not in ("ratio", "ratio_gap")},
                "ratio_first": first["ratio"],
                "ratio_first_gap": first["ratio_gap"],
                "explained_variance": 1 - error.var(correction=0).item() / spread if spread else None,
                "sampler_gap": answers.sampler_gap,
                "lr": rate,
                "value_lr": value_rate,
            }
            run.log(figures)
            if args.kl_target:
                beta = adapted_beta(beta, figures["kl"], target=args.kl_target, gain=args.kl_gain)
            log_samples(answers, step=step, phase="training")
            run.progress(step=step, total=args.iterations, phase="training")
            print(
                f"iteration {step}/{args.iterations}  score {figures['score']:.4f}  KL {figures['kl']:.3f}  "
                f"entropy {figures['entropy']:.2f}  length {figures['length']:.1f}",
                flush=True,
            )

        # From here the policy is what is saved: the best moving average, or the last one.
        put = average.swap if best is None else partial(checkpoints.exchange, parameters, best_weights)
        put()
        after = evaluate("after", step)
        if after is None:
            put()
            raise stopped()
        models.save_model(policy, tokenizer, run.model)
        report = {
            "algorithm": "ppo-ptx" if ptx else "ppo",
            **compare(before, after),
            "valid_prompts": len(valid),
            "valid_answers": len(valid) * args.eval_samples,
            "valid_from": valid_from,
            "train_prompts": len(prompts),
            "iterations": step,
            "episodes": step * args.batch_size,
            "updates": step * updates,
            "ended_early": ended_early,
            "kl_beta": beta,  # that a further iteration would have
            "best": asdict(best) if best else None,
            "reward_bias": reward.config.reward_bias,
            "skipped": {"train": dict(skipped), "valid": dict(skipped_valid), "ptx": dict(ptx.skipped) if ptx else {}},
            "trainable_parameters": sum(parameter.numel() for parameter in parameters.values()),
            "seconds": clock.seconds(),
        }
        run.report(report)
        checkpoints.remove_all(run.checkpoints)
        return report


def compare(before: dict, after: dict) -> dict:
    """Figures of the report: each before and after, and the gain in score with its paired standard error.

    `reward_…` is the normalised score of the reward model, without the KL penalty.
    """
    if not before["prompts"]:
        return {"reward_before": None, "reward_after": None, "kl_before": None, "kl_after": None}
    gains = [b - a for a, b in zip(before["scores"], after["scores"], strict=True)]
    gain, gain_error = mean_and_error(gains)
    figures = {"reward_gain": gain, "reward_gain_error": gain_error}
    names = {"score": "reward", "score_error": "reward_error", "ptx_loss": "ptx_loss"}
    for name in ("score", "score_error", "kl", "kl_error", "length", "finished", "ptx_loss"):
        if name in before:
            figures[f"{names.get(name, name)}_before"] = before[name]
            figures[f"{names.get(name, name)}_after"] = after[name]
    return figures
