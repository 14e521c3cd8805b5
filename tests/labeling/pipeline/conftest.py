"""A base model in the registry, and data sets as exports leave them."""

from __future__ import annotations

import itertools

import pytest
from django.utils import timezone

from labeling.exports.models import Dataset, DatasetRow
from labeling.pipeline import services
from labeling.pipeline.models import Checkpoint
from training.formats import DatasetWriter

number = itertools.count(1)


@pytest.fixture
def base(db, tiny_policy) -> Checkpoint:
    return services.register_base(folder=tiny_policy, name="tiny")


def question(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def demonstration_rows() -> list[dict]:
    words = ["cat", "dog", "mat", "house", "red", "the", "and", "ran"]
    return [
        {
            "id": f"d{i}",
            "prompt_id": f"q{i}",
            "split": "valid" if i > 5 else "train",
            "messages": question(f"the {w}?"),
            "answer": f"{w} {w}",
        }
        for i, w in enumerate(words)
    ]


def comparison_rows() -> list[dict]:
    """Longer is better, with a tie in each."""
    rows = []
    for i in range(8):
        texts = ["cat", "cat sat on the mat", "the cat sat", "the dog ran"]
        completions = [
            {"id": f"c{i}{j}", "text": text, "rank": rank, "rating": None, "flags": [], "model": "m", "duplicates": 0}
            for j, (text, rank) in enumerate(zip(texts, [3, 1, 2, 2], strict=True))
        ]
        split = "valid" if i > 5 else "train"
        rows.append(
            {
                "id": f"r{i}",
                "prompt_id": f"q{i}",
                "split": split,
                "messages": question(f"say {i}"),
                "completions": completions,
            }
        )
    return rows


def prompt_rows() -> list[dict]:
    return [{"id": f"p{i}", "split": "valid" if i > 5 else "train", "messages": question(f"the {i}")} for i in range(8)]


ROWS = {"demonstrations": demonstration_rows, "comparisons": comparison_rows, "prompts": prompt_rows}


@pytest.fixture
def make_dataset(db, home):
    """A maker of complete data sets of a kind; `rankings`, `demonstrations`, `prompts` are what stands behind them."""

    def make(kind: str, *, rankings=(), demonstrations=(), prompts=(), name: str = "") -> Dataset:
        count = next(number)
        folder = home / "datasets" / f"{kind}-{count}"
        with DatasetWriter(folder, kind=kind, question={"test": count}) as writer:
            for row in ROWS[kind]():
                writer.add(row["split"], row)
            manifest = writer.finish(counts={}, exclusions={}, extra={})
        dataset = Dataset.objects.create(kind=kind, name=name or f"{kind}-{count}", folder=str(folder))
        for ranking in rankings:
            DatasetRow.objects.create(dataset=dataset, ranking=ranking, prompt=ranking.task.item.prompt)
        for demonstration in demonstrations:
            prompt = demonstration.task.item.prompt
            DatasetRow.objects.create(dataset=dataset, demonstration=demonstration, prompt=prompt)
        for prompt in prompts:
            DatasetRow.objects.create(dataset=dataset, prompt=prompt)
        dataset.content_hash, dataset.manifest = manifest["content_hash"], manifest
        dataset.completed_at = timezone.now()
        dataset.save()
        return dataset

    return make


@pytest.fixture
def make_checkpoint(db, home):
    """A maker of checkpoints without files, for what only looks at rows."""

    def make(name: str, *, kind: str = "policy", run=None) -> Checkpoint:
        return Checkpoint.objects.create(
            name=name, kind=kind, folder=f"/nowhere/{name}", weights_sha256="0" * 64, run=run
        )

    return make


QUICK = {
    "sft": {"epochs": 1, "batch_size": 2, "unfrozen_layers": 1, "samples": 0},
    "rm": {"epochs": 1, "batch_size": 2, "unfrozen_layers": 1},
    "ppo": {
        "iterations": 2,
        "batch_size": 4,
        "samples_per_prompt": 1,
        "minibatch_size": 4,
        "max_answer_tokens": 6,
        "eval_prompts": 2,
        "unfrozen_layers": 1,
        "samples": 2,
        "kl_beta": 0.0,
    },
}
