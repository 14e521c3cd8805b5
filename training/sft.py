"""Supervised fine-tuning on demonstrations (Ouyang et al. 2022, section 3.5 and appendix C.1).

1. Tokenise each prompt through the chat template and each answer on its own, EOS at its end.
2. Minimise the cross-entropy of the answers' tokens, a mean over all answer tokens of the batch.
3. Drop 20 % of each sub-layer's output before it joins the residual stream, whatever the architecture.
4. Let the learning rate fall on a cosine to 10 % over all epochs, without warm-up; Adam with β .9 and .95.
5. Log the loss on validation prompts before the first step and after each epoch.

What differs from the paper: the last epoch is kept, where the paper picks one by reward-model score; the mean is over
tokens (the paper does not say); a gradient norm over --max-grad-norm is cut, as GPT-3's was.

    python -m training sft --data DEMONSTRATIONS --model MODEL --out RUN [--preset demo]

writes RUN/model (AutoModelForCausalLM), metrics.jsonl, samples.jsonl and report.json.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel

from training import checkpoints, data, models, ranks
from training.arguments import arg, check, required
from training.data import Demonstration, Limits
from training.losses import cosine_rate
from training.runs import Clock, Refused, Stop, Stopped, open_run
from training.trunk import Trunk, attach


@dataclass(frozen=True)
class Args:
    data: str = required("data set folder of demonstrations")
    model: str = required("model folder to start from")
    out: str = required("run folder to write")
    seed: int = arg(0, "of data order and dropout")
    epochs: int = arg(16, "passes over the demonstrations")
    batch_size: int = arg(32, "demonstrations per optimizer step")
    microbatch: int = arg(8, "demonstrations per forward pass; the result does not depend on it")
    microbatch_tokens: int = arg(0, "tokens per forward pass instead; 0 goes by --microbatch")
    learning_rate: float = arg(9.65e-6, "peak")
    final_rate: float = arg(0.1, "learning rate at the end, as a share of the peak")
    residual_dropout: float = arg(0.2, "share of each sub-layer's output that is dropped")
    max_grad_norm: float = arg(1.0, "global gradient norm above which gradients are scaled down; 0 is never")
    adam_epsilon: float = arg(1e-8, "of Adam")
    max_prompt_tokens: int = arg(1024, "longer prompts are left out, and counted")
    max_answer_tokens: int = arg(1024, "longer answers, EOS included, are left out, and counted")
    unfrozen_layers: int = arg(0, "train only this many top blocks, the final norm and an untied head; 0 is everything")
    cache_trunk: bool = arg(
        False, "keep what the frozen blocks give for each sequence in memory: for small runs on CPU"
    )
    save_every: int = arg(100, "steps between checkpoints; 0 saves on SIGTERM only")
    samples: int = arg(4, "validation prompts whose greedy answers are logged at the end")
    sample_tokens: int = arg(64, "tokens of each such answer at most")
    precision: str = arg("float32", "of forward and backward: float32 or bfloat16; weights and Adam stay float32")
    checkpoint_activations: bool = arg(False, "compute blocks again in the backward pass, to hold less in memory")
    device: str = arg("auto", "cpu, cuda, or auto")
    threads: int = arg(0, "CPU threads; 0 leaves it to torch")

    def validate(self) -> None:
        """UsageError for values that make no sense."""
        for name in ("epochs", "batch_size", "microbatch", "max_prompt_tokens", "max_answer_tokens"):
            check(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        check(self.sample_tokens >= 1, "sample_tokens", self.sample_tokens, "at least 1; --samples 0 logs none")
        for name in ("unfrozen_layers", "save_every", "samples", "threads", "max_grad_norm", "microbatch_tokens"):
            check(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        check(not self.cache_trunk or self.unfrozen_layers >= 1, "cache_trunk", True, "with --unfrozen-layers")
        check(self.precision in ("float32", "bfloat16"), "precision", self.precision, "float32 or bfloat16")
        check(
            not (self.checkpoint_activations and self.cache_trunk),
            "checkpoint_activations",
            True,
            "without --cache-trunk",
        )
        check(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
        check(0 <= self.final_rate <= 1, "final_rate", self.final_rate, "between 0 and 1")
        check(0 <= self.residual_dropout < 1, "residual_dropout", self.residual_dropout, "at least 0 and below 1")
        dropped = self.cache_trunk and self.residual_dropout > 0
        check(
            not dropped, "residual_dropout", self.residual_dropout, "0 with --cache-trunk: it acts in frozen blocks too"
        )


def accumulate(model: PreTrainedModel, batch: Sequence[Demonstration], *, rows: int, at_once: int = 0) -> float:
    """Add the gradient of the batch's mean loss per answer token; the loss in nats. Of several ranks each its share.

    `rows` demonstrations at a time, or `at_once` tokens where it is given, without padding.
    """
    tokens = sum(len(example.answer) for example in batch)  # of all ranks
    own = ranks.share(batch)
    total = 0.0
    for group in models.by_length([len(e.prompt) + len(e.answer) for e in own], rows, at_once):
        prompts, answers = [own[i].prompt for i in group], [own[i].answer for i in group]
        logprobs, _ = models.answer_logprobs(model, prompts, answers)  # (N,) nats
        loss = -logprobs.sum() / tokens
        loss.backward()
        total += loss.item()
    ranks.add_gradients(p for p in model.parameters() if p.requires_grad)
    return ranks.total([total], model.device)[0]


@torch.no_grad()
def mean_loss(
    model: PreTrainedModel, examples: Sequence[Demonstration], *, rows: int, at_once: int = 0
) -> float | None:
    """Mean cross-entropy per answer token, nats, without dropout; None for no examples."""
    if not examples:
        return None
    model.eval()
    total = 0.0
    for group in models.by_length([len(e.prompt) + len(e.answer) for e in examples], rows, at_once):
        logprobs, _ = models.answer_logprobs(
            model, [examples[i].prompt for i in group], [examples[i].answer for i in group]
        )
        total -= logprobs.sum().item()
    return total / sum(len(example.answer) for example in examples)


def train(args: Args, *, resume: bool = False, stop: Stop | None = None) -> dict:
    """Run it; returns the report. Raises Refused with a sentence, or Stopped after saving when `stop` was requested."""
    args.validate()
    stop = stop or Stop()
    device = models.pick_device(args.device)
    ranks.join(device)
    manifest = data.open_dataset(args.data, "demonstrations")
    with open_run("sft", args, dataset=manifest, parents={"model": args.model}, resume=resume) as (run, finished):
        if finished:
            return run.read_report() or {}
        if args.threads:
            torch.set_num_threads(args.threads)
        torch.manual_seed(args.seed)

        tokenizer = models.load_tokenizer(args.model)
        limits = Limits(args.max_prompt_tokens, args.max_answer_tokens)
        train_set, skipped = data.read_demonstrations(args.data, "train", tokenizer, limits)
        valid_set, skipped_valid = data.read_demonstrations(args.data, "valid", tokenizer, limits)
        data.refuse_empty(train_set, skipped, what="demonstration", folder=args.data)
        train_set, valid_set, valid_from = data.split_validation(train_set, valid_set, seed=args.seed)

        model = models.load_policy(args.model, device)
        models.check_context(model, limits)
        parameters = models.freeze(model, args.unfrozen_layers)
        models.add_residual_dropout(model, args.residual_dropout)
        if args.cache_trunk:
            attach(model, Trunk(model, args.unfrozen_layers))
        models.tune(model, precision=args.precision, checkpoint_activations=args.checkpoint_activations)
        optimizer = models.adam(parameters, args.adam_epsilon)
        per_epoch = math.ceil(len(train_set) / args.batch_size)
        total = per_epoch * args.epochs

        pieces = {"rows": args.microbatch, "at_once": args.microbatch_tokens}

        step, loss, clock = 0, None, Clock()
        found = checkpoints.load_newest(run.checkpoints)
        if found:
            tensors, state = found
            checkpoints.unpack("policy", tensors, parameters, optimizer)
            step, loss, clock = state["step"], state["loss"], Clock(state["seconds"])
            valid_before = valid_loss = state["valid_loss"]
            valid_before = state["valid_loss_before"]
            checkpoints.restore_random_states(tensors)
            del tensors
        run.truncate_logs(step=step if found else -1)
        if not found:
            run.progress(step=0, total=total, phase="validating")
            valid_before = valid_loss = mean_loss(model, valid_set, **pieces)
            run.log({"step": 0, "time": clock.seconds(), "valid_loss": valid_before})

        def save() -> None:
            if ranks.rank() > 0:
                return
            tensors = {**checkpoints.pack("policy", parameters, optimizer), **checkpoints.random_states()}
            state = {
                "loss": loss,
                "valid_loss": valid_loss,
                "valid_loss_before": valid_before,
                "seconds": clock.seconds(),
            }
            checkpoints.save(run.checkpoints, step=step, tensors=tensors, state=state)

        while True:
            stopped = ranks.anybody(stop.requested, device)
            if step >= total and not stopped:
                break
            if stopped:
                save()
                raise Stopped(f"saved after step {step} of {total}; --resume goes on")
            epoch, place = divmod(step, per_epoch)
            order = data.order_of_epoch(len(train_set), seed=args.seed, epoch=epoch)
            chosen = order[place * args.batch_size : (place + 1) * args.batch_size]

            model.train()
            if ranks.size() > 1:  # each rank drops other things, and a resumed one the same again
                torch.manual_seed(args.seed * 1_000_003 + step * ranks.size() + ranks.rank())
            loss = accumulate(model, [train_set[i] for i in chosen], **pieces)
            grad_norm = nn.utils.clip_grad_norm_(parameters.values(), args.max_grad_norm or math.inf).item()
            if not math.isfinite(loss) or not math.isfinite(grad_norm):
                raise Refused(
                    f"step {step + 1}: loss {loss}, gradient norm {grad_norm}; the weights of the last checkpoint are "
                    "good, start again with a lower --learning-rate"
                )
            rate = cosine_rate(args.learning_rate, step, total, floor=args.final_rate)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1

            row = {"step": step, "time": clock.seconds(), "loss": loss, "lr": rate, "grad_norm": grad_norm}
            if step % per_epoch == 0:
                valid_loss = row["valid_loss"] = mean_loss(model, valid_set, **pieces)
            run.log({**row, "epoch": step / per_epoch})
            run.progress(step=step, total=total, phase="training")
            if ranks.rank() == 0:
                print(f"step {step}/{total}  loss {loss:.4f}  valid {valid_loss}", flush=True)
            if args.save_every and step % args.save_every == 0 and step < total:
                save()

        run.progress(step=total, total=total, phase="saving")
        model.eval()
        shown = valid_set[: args.samples]
        texts = models.greedy_answers(model, tokenizer, [example.prompt for example in shown], args.sample_tokens)
        for example, text in zip(shown, texts, strict=True):
            run.sample({"step": step, "prompt": example.text, "completion": text})
        if ranks.rank() == 0:
            models.save_model(model, tokenizer, run.model)
        report = {
            "algorithm": "sft",
            "valid_loss_before": valid_before,
            "valid_loss": valid_loss,
            "train_loss": loss,
            "valid_from": valid_from,
            "valid_demonstrations": len(valid_set),
            "train_demonstrations": len(train_set),
            "answer_tokens": sum(len(example.answer) for example in train_set),
            "epochs": args.epochs,
            "steps": total,
            "skipped": {"train": dict(skipped), "valid": dict(skipped_valid)},
            "trainable_parameters": sum(parameter.numel() for parameter in parameters.values()),
            "seconds": clock.seconds(),
        }
        run.report(report)
        if ranks.rank() == 0:
            checkpoints.remove_all(run.checkpoints)
        return report
