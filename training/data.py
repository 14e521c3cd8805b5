"""Data sets as lists of token ids, with a count of everything left out and why.

One definition of the boundary, for training, sampling and scoring: the prompt is tokenised through the chat template,
the answer on its own, EOS at its end, so that no token spans the two.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from transformers import PreTrainedTokenizerBase

from training import formats
from training.losses import better_pairs
from training.runs import Refused, UsageError


@dataclass(frozen=True)
class Demonstration:
    prompt_id: str
    text: str  # of the prompt's last message, for people to read
    prompt: list[int]  # token ids
    answer: list[int]  # token ids, EOS last


@dataclass(frozen=True)
class Ranking:
    prompt_id: str
    text: str  # of the prompt's last message, for people to read
    group: str  # of labelers
    prompt: list[int]  # token ids
    answers: list[list[int]]  # K lists of token ids, EOS last
    ranks: list[int]  # K, 1 is best, equal is a tie

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """(better, worse) indices; ties make none."""
        return better_pairs(self.ranks)


@dataclass(frozen=True)
class Prompt:
    prompt_id: str
    text: str  # of the prompt's last message, for people to read
    prompt: list[int]  # token ids


@dataclass(frozen=True)
class Limits:
    """Tokens; the answer's includes its EOS."""

    prompt: int
    answer: int


Example = TypeVar("Example", Demonstration, Ranking, Prompt)


def open_dataset(folder: str, kind: str) -> dict:
    """The manifest of an intact data set of this kind.

    UsageError where it is none or of another kind, Refused where its files are not what the manifest hashed.
    """
    try:
        manifest = formats.read_manifest(Path(folder))
    except formats.FormatError as error:
        raise UsageError(str(error)) from None
    if manifest["kind"] != kind:
        raise UsageError(f"{folder} holds {manifest['kind']}; this needs {kind}: `manage.py export {kind}` writes them")
    problems = formats.verify(Path(folder))
    if problems:
        raise Refused(f"{folder} is damaged: {problems[0]}; export it again")
    return manifest


def prompt_ids(tokenizer: PreTrainedTokenizerBase, messages: Sequence[dict]) -> list[int]:
    """Tokens of a prompt up to where the answer begins; plain text where the tokenizer has no chat template."""
    if tokenizer.chat_template:
        return list(
            tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, tokenize=True, return_dict=False)
        )
    return tokenizer("\n\n".join(message["content"] for message in messages) + "\n\n").input_ids


def answer_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Tokens of an answer with the EOS that ends it."""
    return [*tokenizer(text, add_special_tokens=False).input_ids, tokenizer.eos_token_id]


def read_demonstrations(
    folder: str, split: str, tokenizer: PreTrainedTokenizerBase, limits: Limits
) -> tuple[list[Demonstration], Counter]:
    """Demonstrations of a split, and how many were left out by reason."""
    kept, skipped = [], Counter()
    for row in formats.iter_rows(Path(folder), split):
        prompt, answer = _tokens(tokenizer, row, row.get("answer"))
        if not row["answer"].strip():
            skipped["empty answer"] += 1
        elif reason := _too_long(prompt, answer, limits):
            skipped[reason] += 1
        else:
            kept.append(Demonstration(row["prompt_id"], row["messages"][-1]["content"], prompt, answer))
    return kept, skipped


def read_rankings(
    folder: str, split: str, tokenizer: PreTrainedTokenizerBase, limits: Limits
) -> tuple[list[Ranking], Counter]:
    """Rankings of a split, and how many were left out by reason.

    A completion over the limit leaves its ranking, an empty one stays (a policy can answer with EOS at once). Rankings
    without a pair, because all is tied or one completion is left, are skipped: they would divide by nothing.
    """
    kept, skipped = [], Counter()
    for row in formats.iter_rows(Path(folder), split):
        prompt, _ = _tokens(tokenizer, row, "")
        if len(prompt) > limits.prompt:
            skipped["prompt too long"] += 1
            continue
        answers, ranks = [], []
        for completion in row["completions"]:
            text, rank = completion.get("text"), completion.get("rank")
            if not isinstance(text, str) or not isinstance(rank, int):
                raise formats.FormatError(f"ranking {row['id']}: a completion has no text or no rank; export it again")
            answer = answer_ids(tokenizer, text)
            if len(answer) > limits.answer:
                skipped["completion too long (its ranking may stay)"] += 1
                continue
            answers.append(answer)
            ranks.append(rank)
        ranking = Ranking(
            row["prompt_id"], row["messages"][-1]["content"], row.get("group", ""), prompt, answers, ranks
        )
        if ranking.pairs:
            kept.append(ranking)
        else:
            skipped["no pair: all tied" if len(ranks) > 1 else "no pair: fewer than two completions"] += 1
    return kept, skipped


def read_prompts(
    folder: str, split: str, tokenizer: PreTrainedTokenizerBase, limits: Limits
) -> tuple[list[Prompt], Counter]:
    """Prompts of a split, and how many were left out by reason."""
    kept, skipped = [], Counter()
    for row in formats.iter_rows(Path(folder), split):
        prompt, _ = _tokens(tokenizer, row, "")
        if len(prompt) > limits.prompt:
            skipped["prompt too long"] += 1
        else:
            kept.append(Prompt(row["id"], row["messages"][-1]["content"], prompt))
    return kept, skipped


def _tokens(tokenizer: PreTrainedTokenizerBase, row: dict, answer: object) -> tuple[list[int], list[int]]:
    messages = row.get("messages")
    well_formed = isinstance(messages, list) and messages and isinstance(answer, str)
    if not well_formed or not all(isinstance(m, dict) and isinstance(m.get("content"), str) for m in messages):
        raise formats.FormatError(f"row {row.get('id')}: it lacks messages with text, or an answer; export it again")
    return prompt_ids(tokenizer, messages), answer_ids(tokenizer, answer)


def _too_long(prompt: list[int], answer: list[int], limits: Limits) -> str | None:
    if len(prompt) > limits.prompt:
        return "prompt too long"
    return "answer too long" if len(answer) > limits.answer else None


def refuse_empty(kept: Sequence, skipped: Counter, *, what: str, folder: str) -> None:
    """Refused where nothing is left to train on, saying why."""
    if kept:
        return
    why = ", ".join(f"{count} × {reason}" for reason, count in skipped.most_common()) or "its train split has no rows"
    raise Refused(
        f"no {what} to train on in {folder}: {why}; export more, or raise --max-prompt-tokens / --max-answer-tokens"
    )


def split_validation(
    train: list[Example], valid: list[Example], *, seed: int, share: float = 0.125
) -> tuple[list[Example], list[Example], str]:
    """Training and validation examples, and in words where the latter are from.

    Without a validation split, a share of the training *prompts* is held back (at least one, never the last): several
    rankings of one prompt stay on one side.
    """
    if valid:
        return train, valid, "validation split"
    names = sorted({example.prompt_id for example in train})
    if len(names) < 2:
        return train, [], "none: the data set has one prompt only"
    drawn = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist()
    held = {names[index] for index in drawn[: max(1, round(len(names) * share))]}
    return (
        [example for example in train if example.prompt_id not in held],
        [example for example in train if example.prompt_id in held],
        f"{len(held)} prompts held back from the train split, as the data set has no validation split",
    )


def order_of_epoch(count: int, *, seed: int, epoch: int) -> list[int]:
    """A permutation that depends on seed and epoch alone, so that a resumed run needs no data position but its step."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % (1 << 63))
    return torch.randperm(count, generator=generator).tolist()


def draw(count: int, *, wanted: int, start: int, seed: int) -> list[int]:
    """`wanted` indices below `count` that follow the first `start` of an endless pass: each epoch in a new order."""
    drawn: list[int] = []
    while len(drawn) < wanted:
        epoch, place = divmod(start + len(drawn), count)
        drawn += order_of_epoch(count, seed=seed, epoch=epoch)[place : place + wanted - len(drawn)]
    return drawn


class PretrainingText:
    """Text for the ptx term: JSON lines with `text`, read by line when drawn; or demonstrations, as prompt and answer.

    Each draw gives (prompt ids, answer ids): of plain text the first token and the rest of a window of `tokens`; of a
    demonstration the prompt, cut to its last `tokens`, and the answer, cut to `tokens`. The loss is on the second.
    """

    def __init__(self, source: str, tokenizer: PreTrainedTokenizerBase, *, tokens: int, seed: int) -> None:
        self.source, self._tokenizer, self._tokens, self._seed = Path(source), tokenizer, tokens, seed
        self.skipped: Counter = Counter()
        self._offsets, self._demonstrations = array("Q"), []
        if self.source.is_dir():
            open_dataset(source, "demonstrations")
            everything = Limits(1 << 30, 1 << 30)
            self._demonstrations, self.skipped = read_demonstrations(source, "train", tokenizer, everything)
        elif self.source.is_file():
            self._index()
        else:
            raise UsageError(
                f"--ptx {source} is neither a file of JSON lines with `text` nor a demonstrations data set"
            )
        if not len(self):
            raise Refused(f"--ptx {source} has no usable text: {dict(self.skipped) or 'it is empty'}")

    def __len__(self) -> int:
        return len(self._offsets) or len(self._demonstrations)

    def _index(self) -> None:
        """Remember where the usable lines begin; only offsets stay in memory."""
        offset = 0
        with self.source.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    text = json.loads(line)["text"]
                except (ValueError, KeyError, TypeError):
                    raise Refused(f"--ptx {self.source} line {number} is not a JSON object with `text`") from None
                if isinstance(text, str) and len(text) >= 2:
                    self._offsets.append(offset)
                else:
                    self.skipped["empty text"] += 1
                offset += len(line)

    def draw(self, *, wanted: int, start: int) -> list[tuple[list[int], list[int]]]:
        """`wanted` texts after the first `start` of an endless pass."""
        places = draw(len(self), wanted=wanted, start=start, seed=self._seed)
        if self._demonstrations:
            rows = [self._demonstrations[place] for place in places]
            return [(row.prompt[-self._tokens :], row.answer[: self._tokens]) for row in rows]
        with self.source.open("rb") as file:
            return [self._window(file, self._offsets[place], start + n) for n, place in enumerate(places)]

    def _window(self, file, offset: int, number: int) -> tuple[list[int], list[int]]:
        file.seek(offset)
        ids = [*self._tokenizer(json.loads(file.readline())["text"], add_special_tokens=False).input_ids]
        ids.append(self._tokenizer.eos_token_id)
        generator = torch.Generator().manual_seed((self._seed * 1_000_003 + number) % (1 << 63))
        first = int(torch.randint(max(1, len(ids) - self._tokens), (1,), generator=generator))
        return ids[first : first + 1], ids[first + 1 : first + self._tokens + 1]
