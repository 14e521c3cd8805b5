"""Planted bugs, each of which must turn the tests red that are named with it: `make mutants`.

Each is one replacement in a copy of the trainers in a folder of its own; the named tests run there without Django and
without the project's own configuration. Exit status 0 when every bug was caught, 1 when one was not, or no longer fits
the code it was planted in.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Mutant:
    """A bug: `old` in `file` becomes `new`; the tests of tests/training that see it."""

    bug: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


LOSSES, PACKING, MODELS = "training/losses.py", "training/packing.py", "training/models.py"
DATA, PPO, RM, SFT, CHECKPOINTS = (f"training/{name}.py" for name in ("data", "ppo", "rm", "sft", "checkpoints"))
RLOO, FIGURES, BEST_OF = "training/rloo.py", "training/figures.py", "training/best_of.py"

MUTANTS = (
    Mutant(
        "sign of the KL penalty",
        LOSSES,
        "(-beta * (logprobs - reference))",
        "(beta * (logprobs - reference))",
        ("test_losses.py::test_score_falls_on_the_last_real_token_and_kl_costs",),
    ),
    Mutant(
        "KL penalty is a path of the gradient",
        LOSSES,
        "(-beta * (logprobs - reference)).detach() * mask",
        "(-beta * (logprobs - reference)) * mask",
        ("test_losses.py::test_kl_penalty_carries_no_gradient",),
    ),
    Mutant(
        "score at the wrong token: the end of the padded row",
        LOSSES,
        "rewards[rows, lengths - 1] += score.detach()",
        "rewards[rows, -1] += score.detach()",
        ("test_losses.py::test_score_falls_on_the_last_real_token_and_kl_costs",),
    ),
    Mutant(
        "score at the wrong token: before EOS",
        PACKING,
        "last[index] = start + length - 1",
        "last[index] = start + length - 2",
        ("test_packing.py::test_four_ways_to_the_reward_models_loss_agree",),
    ),
    Mutant(
        "answers are not ended by EOS",
        DATA,
        "return [*tokenizer(text, add_special_tokens=False).input_ids, tokenizer.eos_token_id]",
        "return [*tokenizer(text, add_special_tokens=False).input_ids]",
        ("test_data.py::test_tokens_never_merge_across_prompt_and_answer",),
    ),
    Mutant(
        "pad as EOS",
        MODELS,
        "if n in vocabulary and vocabulary[n] != tokenizer.eos_token_id",
        "if n in vocabulary",
        ("test_models.py::test_transformers_scores_the_same",),
    ),
    Mutant(
        "tie as win",
        LOSSES,
        "if ranks[a] < ranks[b]]",
        "if ranks[a] <= ranks[b] and a != b]",
        (
            "test_losses.py::test_tied_pairs_leave_loss_and_divisor",
            "test_data.py::test_ties_stay_in_the_data_and_make_no_pair",
        ),
    ),
    Mutant(
        "ties count in the divisor",
        LOSSES,
        "shares += [1 / len(pairs)] * len(pairs)",
        "shares += [2 / (len(own) * (len(own) - 1))] * len(pairs)",
        ("test_losses.py::test_tied_pairs_leave_loss_and_divisor",),
    ),
    Mutant(
        "divisor by tokens of a micro-batch, not of the batch",
        SFT,
        "loss = -logprobs.sum() / tokens",
        "loss = -logprobs.mean()",
        ("test_sft.py::test_accumulation_gives_the_gradient_of_the_whole_batch",),
    ),
    Mutant(
        "divisor by prompts of a micro-batch, not of the batch",
        RM,
        "for ranking in rankings]) / len(batch)",
        "for ranking in rankings]) / len(rankings)",
        ("test_rm.py::test_accumulation_gives_the_gradient_of_the_whole_batch",),
    ),
    Mutant(
        "advantage leaks over padding",
        LOSSES,
        "following = (delta + discount * lam * following) * mask[:, t]",
        "following = delta + discount * lam * following",
        ("test_losses.py::test_gae_equals_its_definition",),
    ),
    Mutant(
        "value target off by one",
        LOSSES,
        "next_value = values[:, t + 1] if",
        "next_value = values[:, t] if",
        ("test_losses.py::test_gae_equals_its_definition",),
    ),
    Mutant(
        "values read at the token, not before it",
        MODELS,
        "return scalars(model, read.states[read.before]) - ",
        "return scalars(model, read.states[(read.before + 1) % len(read.states)]) - ",
        ("test_models.py::test_values_are_read_one_token_to_the_left_without_the_bias",),
    ),
    Mutant(
        "whitening counts padding",
        LOSSES,
        "kept = values[mask]",
        "kept = values.flatten()",
        ("test_losses.py::test_whitening_ignores_padding",),
    ),
    Mutant(
        "clipped from the wrong side",
        LOSSES,
        "loss = -(torch.minimum(plain, clipped) * mask).sum()",
        "loss = -(torch.maximum(plain, clipped) * mask).sum()",
        ("test_losses.py::test_policy_loss_by_hand",),
    ),
    Mutant(
        "dropout left on",
        MODELS,
        "            setattr(config, name, 0.0)",
        "            pass",
        ("test_models.py::test_own_dropout_of_a_model_is_off",),
    ),
    Mutant(
        "temperature forgotten",
        MODELS,
        "head(states).float() / temperature",
        "head(states).float()",
        (
            "test_models.py::test_answer_logprobs_equal_full_logits_row_by_row",
            "test_ppo.py::test_rollout_log_probs_are_those_of_what_was_sampled",
        ),
    ),
    Mutant(
        "prompt and answer tokens merge",
        DATA,
        "return prompt_ids(tokenizer, messages), answer_ids(tokenizer, answer)",
        "first = prompt_ids(tokenizer, messages)\n"
        "    both = tokenizer(tokenizer.decode(first) + answer, add_special_tokens=False).input_ids\n"
        "    return both[: len(first)], [*both[len(first) :], tokenizer.eos_token_id]",
        ("test_data.py::test_a_tokenizer_that_would_merge_over_the_boundary_does_not",),
    ),
    Mutant(
        "reference drifts with the policy",
        PPO,
        "policy, reference = models.load_policy(args.model, device), models.load_policy(args.model, device)",
        "policy = reference = models.load_policy(args.model, device)",
        ("test_ppo.py::test_the_reference_stays_where_it_was",),
    ),
    Mutant(
        "the bias is added, not taken off",
        PPO,
        "scores -= reward.config.reward_bias",
        "scores += reward.config.reward_bias",
        ("test_ppo.py::test_scores_are_normalised_and_see_the_whole_answer",),
    ),
    Mutant(
        "EMA from the wrong side",
        CHECKPOINTS,
        "lerp_(parameter, 1 - self.decay)",
        "lerp_(parameter, self.decay)",
        ("test_checkpoints.py::test_average_follows_the_weights_from_where_they_began",),
    ),
    Mutant(
        "Adam's moments are forgotten on resume",
        CHECKPOINTS,
        'for key in ("step", "exp_avg", "exp_avg_sq") if',
        "for key in () if",
        ("test_checkpoints.py::test_training_goes_on_from_a_checkpoint_bit_for_bit",),
    ),
    Mutant(
        "log-probs are read at the token, not before it",
        PACKING,
        "before[index] = [begin + width - 1, *range(start, start + length - 1)]",
        "before[index] = [*range(start, start + length)]",
        ("test_models.py::test_answer_logprobs_equal_full_logits_row_by_row",),
    ),
    Mutant(
        "packed answers see the token they are to predict",
        PACKING,
        "<= limit[:, :, None]",
        "<= limit[:, :, None] + 1",
        ("test_packing.py::test_four_ways_to_the_reward_models_loss_agree",),
    ),
    Mutant(
        "packed answers go on counting from the answer before",
        PACKING,
        "positions.extend(range(width, width + length))",
        "positions.extend(range(start - begin, start - begin + length))",
        ("test_packing.py::test_four_ways_to_the_reward_models_loss_agree",),
    ),
    Mutant(
        "adaptive β falls where the KL is too high",
        LOSSES,
        "(kl - target) / target))",
        "(target - kl) / target))",
        ("test_losses.py::test_beta_follows_the_kl_by_at_most_a_fifth_of_its_gain",),
    ),
    Mutant(
        "adaptive β is forgotten on resume",
        PPO,
        'state.get("kl_beta", beta), state.get("validated", -1)',
        'beta, state.get("validated", -1)',
        ("test_ppo.py::test_a_stopped_run_gives_what_an_uninterrupted_one_gives",),
    ),
    Mutant(
        "the best policy may be far from the reference",
        PPO,
        'seen["score"] > best.score and not (max_kl and seen["kl"] > max_kl)',
        'seen["score"] > best.score',
        ("test_ppo.py::test_the_best_policy_within_the_kl_bound_is_saved",),
    ),
    Mutant(
        "the best policy is chosen and the last one saved",
        PPO,
        "put = average.swap if best is None else",
        "put = average.swap if True else",
        ("test_ppo.py::test_the_best_policy_within_the_kl_bound_is_saved",),
    ),
    Mutant(
        "an answer is in its own baseline",
        LOSSES,
        "rewards - (rewards.sum(1, keepdim=True) - rewards) / (k - 1)",
        "rewards - rewards.mean(1, keepdim=True)",
        ("test_rloo.py::test_an_answer_is_measured_by_the_others_alone",),
    ),
    Mutant(
        "RLOO pays for leaving the reference",
        RLOO,
        "answers.scores - kl_beta * answers.kl",
        "answers.scores + kl_beta * answers.kl",
        ("test_rloo.py::test_the_kl_of_the_whole_answer_costs",),
    ),
    Mutant(
        "RLOO's baseline is of other prompts",
        RLOO,
        "leave_one_out(rewards.view(-1, copies)).flatten()",
        "leave_one_out(rewards.view(copies, -1)).flatten()",
        ("test_rloo.py::test_the_kl_of_the_whole_answer_costs",),
    ),
    Mutant(
        "RLOO's mean is over tokens, not answers",
        RLOO,
        "loss = -(each * logprobs).sum() / count",
        "loss = -(each * logprobs).sum() / tokens",
        ("test_rloo.py::test_gradient_equals_a_slow_one",),
    ),
    Mutant(
        "best-of-n is estimated with replacement",
        FIGURES,
        "math.comb(place, n - 1) / subsets",
        "(((place + 1) / total) ** n - (place / total) ** n)",
        ("test_best_of.py::test_the_estimate_is_the_mean_over_all_subsets",),
    ),
    Mutant(
        "best-of-n picks the worst",
        BEST_OF,
        "best, worst = max(range(args.n), key=scores.__getitem__)",
        "best, worst = min(range(args.n), key=scores.__getitem__)",
        ("test_best_of.py::test_scores_are_of_the_answers_they_stand_with",),
    ),
)


def caught(mutant: Mutant) -> bool:
    """Whether the named tests fail on the mutant, in a process that is made from this one, torch already loaded."""
    with tempfile.TemporaryDirectory(prefix="kwise-mutant-") as name:
        copy = Path(name)
        for folder in ("training", "models_service", "tests/training"):
            shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
        (copy / "tests" / "__init__.py").touch()
        path = copy / mutant.file
        text = path.read_text("utf-8")
        if text.count(mutant.old) != 1:
            print(f"  {mutant.file} has {text.count(mutant.old)} × {mutant.old!r}; plant it anew")
            return False
        path.write_text(text.replace(mutant.old, mutant.new), "utf-8")
        child = os.fork()
        if not child:
            os._exit(run_tests(copy, mutant.tests))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != 1:
        print(f"  pytest ended with {status}, not with failed tests")
    return status == 1


def run_tests(copy: Path, tests: tuple[str, ...]) -> int:
    os.chdir(copy)
    sys.path.insert(0, str(copy))
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", "training", "models_service")]:
        del sys.modules[name]
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    import pytest

    plain = ["-q", "-x", "-c", os.devnull, f"--rootdir={copy}", "-p", "no:cacheprovider", "-p", "no:django"]
    return int(pytest.main([*plain, *(f"tests/training/{test}" for test in tests)]))


def main(words: list[str]) -> int:
    """Plant the bugs that have one of the words in their name, or all; 1 when one was not caught."""
    import torch

    # Loads once, for all children, what the tests will need; they throw away what is ours and may be mutated.
    from tests.training import test_models, test_packing, test_ppo  # noqa: F401

    torch.set_num_threads(1)  # threads do not survive a fork
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.bug for word in words)]
    alive = []
    for mutant in chosen:
        started = time.monotonic()
        if not caught(mutant):
            alive.append(mutant.bug)
        verdict = "NOT CAUGHT" if alive and alive[-1] == mutant.bug else "caught"
        print(f"{verdict:10}  {mutant.bug} ({time.monotonic() - started:.0f} s)", flush=True)
    print(f"{len(chosen) - len(alive)} of {len(chosen)} planted bugs were caught")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
