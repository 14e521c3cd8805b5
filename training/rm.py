"""Reward model from ranked completions (Ouyang et al. 2022, section 3.5, equation 1 and appendix C.2).

1. Take a language model, put a scalar head on its last hidden state, drawn with std 1/√(d+1).
2. Reward of (prompt, completion) = the head at the last real token, which is the completion's EOS.
3. A prompt with its K ranked completions is one batch element; each completion is forwarded once.
4. Loss of a prompt = −mean over its pairs of log σ(r_better − r_worse); ties make no pair, and the mean is over what
   is left.
5. One epoch, cosine to 10 %; at the end a bias is stored that makes the demonstrations score 0 on average.

What differs from the paper: without --demonstrations the bias makes the training completions score 0 on average (the
report says which); the start is the model that is given, where the paper took a 6B model tuned on public NLP sets;
dropout is off.

    python -m training rm --data COMPARISONS --model MODEL --out RUN [--demonstrations DEMONSTRATIONS] [--preset demo]

writes RUN/model (AutoModelForSequenceClassification with one label and `config.reward_bias`), metrics.jsonl,
samples.jsonl and report.json.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from training import checkpoints, data, figures, models, ranks
from training.arguments import arg, check, required
from training.data import Limits, Ranking
from training.losses import cosine_rate, kwise_loss_sum
from training.runs import Clock, Refused, Stop, Stopped, open_run
from training.trunk import Trunk, attach


@dataclass(frozen=True)
class Args:
    data: str = required("data set folder of comparisons")
    model: str = required("model folder to start from")
    out: str = required("run folder to write")
    demonstrations: str = arg("", "data set folder of demonstrations, whose mean reward becomes 0")
    seed: int = arg(0, "of data order and head")
    epochs: int = arg(1, "passes over the rankings; more over-fit, completions come back in many pairs")
    batch_size: int = arg(64, "rankings (prompts with their K completions) per optimizer step")
    microbatch: int = arg(
        16, "completions per forward pass, whole rankings at a time; the result does not depend on it"
    )
    microbatch_tokens: int = arg(0, "tokens per forward pass instead, a prompt counted once; 0 goes by --microbatch")
    learning_rate: float = arg(9e-6, "peak")
    final_rate: float = arg(0.1, "learning rate at the end, as a share of the peak")
    max_grad_norm: float = arg(0.0, "global gradient norm above which gradients are scaled down; 0 is never")
    adam_epsilon: float = arg(1e-8, "of Adam")
    max_prompt_tokens: int = arg(1024, "rankings of longer prompts are left out, and counted")
    max_answer_tokens: int = arg(1024, "longer completions, EOS included, are left out of their ranking, and counted")
    unfrozen_layers: int = arg(0, "train only this many top blocks, the final norm and the head; 0 is everything")
    report_prompts: int = arg(1000, "training rankings scored at the end, for train accuracy and the bias; 0 is all")
    cache_trunk: bool = arg(
        False, "keep what the frozen blocks give for each sequence in memory: for small runs on CPU"
    )
    save_every: int = arg(50, "steps between checkpoints; 0 saves on SIGTERM only")
    samples: int = arg(4, "validation rankings whose completions are logged with their rewards at the end")
    precision: str = arg("float32", "of forward and backward: float32 or bfloat16; weights and Adam stay float32")
    checkpoint_activations: bool = arg(False, "compute blocks again in the backward pass, to hold less in memory")
    device: str = arg("auto", "cpu, cuda, or auto")
    threads: int = arg(0, "CPU threads; 0 leaves it to torch")

    def validate(self) -> None:
        """UsageError for values that make no sense."""
        for name in ("epochs", "batch_size", "microbatch", "max_prompt_tokens", "max_answer_tokens"):
            check(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in (
            "unfrozen_layers",
            "report_prompts",
            "save_every",
            "samples",
            "threads",
            "max_grad_norm",
            "microbatch_tokens",
        ):
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


def groups_of(rankings: Sequence[Ranking], rows: int, tokens: int = 0) -> Iterator[list[int]]:
    """Indices of rankings in groups, longest first: at most `rows` completions, or `tokens` tokens where it is given.

    A ranking is never divided. Tokens are counted as they are computed, a prompt once for all its completions.
    """
    sizes = [len(r.prompt) + sum(map(len, r.answers)) if tokens else len(r.answers) for r in rankings]
    widths = [len(r.prompt) + max(map(len, r.answers)) for r in rankings]
    group: list[int] = []
    for index in sorted(range(len(rankings)), key=lambda i: -widths[i]):
        if group and sum(sizes[i] for i in [*group, index]) > (tokens or rows):
            yield group
            group = []
        group.append(index)
    if group:
        yield group


def forward(model: PreTrainedModel, rankings: Sequence[Ranking]) -> Tensor:
    """(ΣK,) raw rewards, ranking after ranking; every prompt and completion goes through the model once."""
    prompts = [ranking.prompt for ranking in rankings for _ in ranking.answers]
    answers = [answer for ranking in rankings for answer in ranking.answers]
    return models.rewards_of(model, prompts, answers)


def accumulate(model: PreTrainedModel, batch: Sequence[Ranking], *, rows: int, tokens: int = 0) -> tuple[float, float]:
    """Add the gradient of the batch's mean loss per prompt, some rankings at a time (see `groups_of`), of several ranks

    each its share; loss (nats) and accuracy.
    """
    own = ranks.share(batch)
    total, right, pairs = 0.0, 0.0, 0
    for group in groups_of(own, rows, tokens):
        rankings = [own[i] for i in group]
        rewards = forward(model, rankings)
        loss = kwise_loss_sum(rewards, [ranking.ranks for ranking in rankings]) / len(batch)
        loss.backward()
        total += loss.item()
        for ranking, values in zip(rankings, by_ranking(rewards, rankings), strict=True):
            right += hits(values, ranking)
            pairs += len(ranking.pairs)
    ranks.add_gradients(p for p in model.parameters() if p.requires_grad)
    total, right, pairs = ranks.total([total, right, pairs], model.device)
    return total, right / pairs


def by_ranking(rewards: Tensor, rankings: Sequence[Ranking]) -> list[list[float]]:
    """The rewards of each ranking's completions."""
    values = iter(rewards.tolist())
    return [list(itertools.islice(values, len(ranking.answers))) for ranking in rankings]


def hits(rewards: Sequence[float], ranking: Ranking) -> float:
    """How many pairs of a ranking the rewards order as the labeler did; an equal reward counts half."""
    return sum(1.0 if rewards[a] > rewards[b] else 0.5 if rewards[a] == rewards[b] else 0.0 for a, b in ranking.pairs)


@torch.no_grad()
def score(model: PreTrainedModel, rankings: Sequence[Ranking], *, rows: int, tokens: int = 0) -> list[list[float]]:
    """Raw rewards of each ranking's completions, in the order given."""
    scores: list[list[float]] = [[] for _ in rankings]
    for group in groups_of(rankings, rows, tokens):
        of = [rankings[i] for i in group]
        for index, own in zip(group, by_ranking(forward(model, of), of), strict=True):
            scores[index] = own
    return scores


def measure(rankings: Sequence[Ranking], scores: Sequence[Sequence[float]], *, seed: int) -> dict:
    """Figures of a reward model on rankings it was not trained on; None for what cannot be measured. Pure."""
    if not rankings:
        return {"accuracy": None, "accuracy_ci95": None, "pairs": 0, "rankings": 0}

    def accuracy(of: Sequence[int], values: Sequence[Sequence[float]]):
        right = [hits(values[i], rankings[i]) for i in of]
        return figures.accuracy_interval(
            right, [len(rankings[i].pairs) for i in of], [rankings[i].prompt_id for i in of], seed=seed
        )

    everything = range(len(rankings))
    lengths = [[float(len(answer)) for answer in ranking.answers] for ranking in rankings]
    by_group, by_distance, margins = {}, defaultdict(lambda: [0.0, 0]), []
    for name in sorted({ranking.group for ranking in rankings}):
        of = [i for i in everything if rankings[i].group == name]
        rate, interval = accuracy(of, scores)
        by_group[name] = {"accuracy": rate, "ci95": interval, "pairs": sum(len(rankings[i].pairs) for i in of)}
    for ranking, values in zip(rankings, scores, strict=True):
        for better, worse in ranking.pairs:
            margins.append(values[better] - values[worse])
            cell = by_distance[ranking.ranks[worse] - ranking.ranks[better]]
            cell[0] += 1.0 if margins[-1] > 0 else 0.5 if margins[-1] == 0 else 0.0
            cell[1] += 1
    rate, interval = accuracy(everything, scores)
    return {
        "accuracy": rate,
        "accuracy_ci95": interval,
        "pairs": len(margins),
        "rankings": len(rankings),
        "by_group": by_group,
        "by_rank_distance": {str(d): {"accuracy": c[0] / c[1], "pairs": c[1]} for d, c in sorted(by_distance.items())},
        "calibration": figures.calibration(margins),
        "accuracy_longer_wins": accuracy(everything, lengths)[0],
        "length_correlation": figures.correlation(_flat(scores), _flat(lengths)),
        "length_correlation_within_prompts": figures.correlation(_centred(scores), _centred(lengths)),
    }


def _flat(rows: Sequence[Sequence[float]]) -> list[float]:
    return [value for row in rows for value in row]


def _centred(rows: Sequence[Sequence[float]]) -> list[float]:
    return [value - sum(row) / len(row) for row in rows for value in row]


@torch.no_grad()
def demonstrations_mean(model: PreTrainedModel, examples: Sequence[data.Demonstration], *, rows: int) -> float:
    """Mean raw reward of people's own answers."""
    total = 0.0
    for group in models.by_length([len(e.prompt) + len(e.answer) for e in examples], rows):
        total += (
            models.rewards_of(model, [examples[i].prompt for i in group], [examples[i].answer for i in group])
            .sum()
            .item()
        )
    return total / len(examples)


def train(args: Args, *, resume: bool = False, stop: Stop | None = None) -> dict:
    """Run it; returns the report. Raises Refused with a sentence, or Stopped after saving when `stop` was requested."""
    args.validate()
    stop = stop or Stop()
    device = models.pick_device(args.device)
    ranks.join(device)
    manifest = data.open_dataset(args.data, "comparisons")
    if args.demonstrations:
        data.open_dataset(args.demonstrations, "demonstrations")
    with open_run("rm", args, dataset=manifest, parents={"model": args.model}, resume=resume) as (run, finished):
        if finished:
            return run.read_report() or {}
        if args.threads:
            torch.set_num_threads(args.threads)
        torch.manual_seed(args.seed)

        tokenizer = models.load_tokenizer(args.model)
        limits = Limits(args.max_prompt_tokens, args.max_answer_tokens)
        train_set, skipped = data.read_rankings(args.data, "train", tokenizer, limits)
        valid_set, skipped_valid = data.read_rankings(args.data, "valid", tokenizer, limits)
        data.refuse_empty(train_set, skipped, what="ranking with a pair", folder=args.data)
        train_set, valid_set, valid_from = data.split_validation(train_set, valid_set, seed=args.seed)
        examples, skipped_examples = [], {}
        if args.demonstrations:
            examples, skipped_examples = data.read_demonstrations(args.demonstrations, "train", tokenizer, limits)
            data.refuse_empty(examples, skipped_examples, what="demonstration", folder=args.demonstrations)

        model = models.load_reward(args.model, tokenizer, device, head_seed=args.seed)
        models.check_context(model, limits)
        parameters = models.freeze(model, args.unfrozen_layers)
        if args.cache_trunk:
            attach(model, Trunk(model, args.unfrozen_layers))
        models.tune(model, precision=args.precision, checkpoint_activations=args.checkpoint_activations)
        optimizer = models.adam(parameters, args.adam_epsilon)
        per_epoch = math.ceil(len(train_set) / args.batch_size)
        total = per_epoch * args.epochs

        pieces = {"rows": args.microbatch, "tokens": args.microbatch_tokens}

        step, valid_accuracy, valid_scores, clock = 0, None, None, Clock()
        found = checkpoints.load_newest(run.checkpoints)
        if found:
            tensors, state = found
            checkpoints.unpack("reward", tensors, parameters, optimizer)
            step, clock = state["step"], Clock(state["seconds"])
            checkpoints.restore_random_states(tensors)
            del tensors
        run.truncate_logs(step=step if found else -1)

        def save() -> None:
            if ranks.rank() > 0:
                return
            tensors = {**checkpoints.pack("reward", parameters, optimizer), **checkpoints.random_states()}
            checkpoints.save(run.checkpoints, step=step, tensors=tensors, state={"seconds": clock.seconds()})

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

            loss, accuracy = accumulate(model, [train_set[i] for i in chosen], **pieces)
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

            row = {"step": step, "time": clock.seconds(), "loss": loss, "accuracy": accuracy, "lr": rate}
            run.progress(step=step, total=total, phase="training")
            if step % per_epoch == 0 and valid_set:
                valid_scores = score(model, valid_set, **pieces)
                valid_accuracy = measure(valid_set, valid_scores, seed=args.seed)["accuracy"]
                row["valid_accuracy"] = valid_accuracy
            run.log({**row, "grad_norm": grad_norm, "epoch": step / per_epoch})
            if ranks.rank() == 0:
                print(
                    f"step {step}/{total}  loss {loss:.4f}  accuracy {accuracy:.3f}  valid {valid_accuracy}", flush=True
                )
            if args.save_every and step % args.save_every == 0 and step < total:
                save()

        run.progress(step=total, total=total, phase="scoring")
        seen = data.order_of_epoch(len(train_set), seed=args.seed, epoch=0)[: args.report_prompts or None]
        seen = [train_set[i] for i in seen]
        train_scores = score(model, seen, **pieces)
        if valid_scores is None:  # resumed after the last step
            valid_scores = score(model, valid_set, **pieces)
        if examples:
            bias = demonstrations_mean(model, examples, rows=args.microbatch)
            bias_from = f"mean reward of {len(examples)} demonstrations"
        else:
            bias = sum(_flat(train_scores)) / len(_flat(train_scores))
            bias_from = f"mean reward of {len(_flat(train_scores))} training completions: no demonstrations were given"
        model.config.reward_bias = bias

        for ranking, values in list(zip(valid_set, valid_scores, strict=True))[: args.samples]:
            for answer, rank, value in zip(ranking.answers, ranking.ranks, values, strict=True):
                text = {"prompt": ranking.text, "completion": models.text_of(tokenizer, answer)}
                run.sample({"step": step, **text, "score": value - bias, "rank": rank})
        if ranks.rank() == 0:
            models.save_model(model, tokenizer, run.model)
        valid, fitted = measure(valid_set, valid_scores, seed=args.seed), measure(seen, train_scores, seed=args.seed)
        report = {
            "algorithm": "rm",
            **{f"valid_{name}": value for name, value in valid.items()},
            "valid_from": valid_from,
            "length_correlation": valid.get("length_correlation"),
            "train_accuracy": fitted["accuracy"],
            "train_accuracy_ci95": fitted["accuracy_ci95"],
            "train_pairs": sum(len(ranking.pairs) for ranking in train_set),
            "train_rankings": len(train_set),
            "train_accuracy_measured_on": len(seen),
            "bias": bias,
            "bias_from": bias_from,
            "epochs": args.epochs,
            "steps": total,
            "skipped": {"train": dict(skipped), "valid": dict(skipped_valid), "demonstrations": dict(skipped_examples)},
            "trainable_parameters": sum(parameter.numel() for parameter in parameters.values()),
            "seconds": clock.seconds(),
        }
        run.report(report)
        if ranks.rank() == 0:
            checkpoints.remove_all(run.checkpoints)
        return report
