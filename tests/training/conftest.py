"""A tiny random Llama with a real BPE tokenizer, and small data sets, so that the real `train()` runs in seconds."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification, PreTrainedTokenizerFast

from training.formats import DatasetWriter
from training.runs import Stop

TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
WORDS = "the cat sat on the mat and a dog ran to the red house near the old tree with seven blue birds answer question"


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Models this small only lose by waiting for a second thread, most of all where other tests share the cores."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer():
    """Byte-level BPE of 300 tokens with SmolLM2's special tokens, pad = EOS as SmolLM2 has it."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    core.train_from_iterator(
        [WORDS], trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet)
    )
    made = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|im_end|>")
    made.chat_template = TEMPLATE
    return made


def tiny_config(tokenizer, **changes) -> LlamaConfig:
    values = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
        "initializer_range": 0.1,
    }
    return LlamaConfig(**{**values, **changes})


@pytest.fixture(scope="session")
def policy_dir(tmp_path_factory, tokenizer) -> str:
    folder = tmp_path_factory.mktemp("policy")
    torch.manual_seed(1)
    LlamaForCausalLM(tiny_config(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def reward_dir(tmp_path_factory, tokenizer) -> str:
    """A reward model with a visible bias, pad token of its own."""
    folder = tmp_path_factory.mktemp("reward")
    torch.manual_seed(2)
    config = tiny_config(tokenizer, pad_token_id=0, num_labels=1, problem_type="regression")
    config.reward_bias = 0.25
    LlamaForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def question(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def write_dataset(out: Path, kind: str, rows: list[tuple[str, dict]]) -> str:
    with DatasetWriter(out, kind=kind, question={"test": True}) as writer:
        for split, row in rows:
            writer.add(split, row)
        writer.finish(counts={}, exclusions={}, extra={})
    return str(out)


def demonstration(number: int, text: str, answer: str, split: str = "train") -> tuple[str, dict]:
    row = {"id": f"d{number}", "prompt_id": f"p{number}", "split": split, "messages": question(text), "answer": answer}
    return split, row


def ranking(number: int, text: str, ranked: list[tuple[str, int]], split: str = "train", **extra) -> tuple[str, dict]:
    completions = [{"id": f"r{number}c{i}", "text": t, "rank": rank} for i, (t, rank) in enumerate(ranked)]
    row = {
        "id": f"r{number}",
        "prompt_id": f"p{number}",
        "split": split,
        "messages": question(text),
        "group": "training",
    }
    return split, {**row, "completions": completions, **extra}


THINGS = ["cat", "dog", "house", "tree", "bird", "mat", "answer", "question", "red", "blue", "old", "seven"]


@pytest.fixture(scope="session")
def demonstrations(tmp_path_factory) -> str:
    rows = [demonstration(i, f"the {t}", f"a {t} ran to the {t}") for i, t in enumerate(THINGS[:8])]
    rows += [demonstration(100 + i, f"near the {t}", f"the old {t}", "valid") for i, t in enumerate(THINGS[8:10])]
    return write_dataset(tmp_path_factory.mktemp("data") / "demonstrations", "demonstrations", rows)


@pytest.fixture(scope="session")
def comparisons(tmp_path_factory) -> str:
    """Eight rankings of four completions, one pair of them tied: the birds win, and more of them win more."""
    rows = []
    for i, thing in enumerate(THINGS[:10]):
        ranked = [
            ("seven blue birds", 1),
            (f"the {thing} sat", 3),
            ("a dog and a dog and a dog ran", 3),
            ("blue birds", 2),
        ]
        rows.append(ranking(i, f"question {thing}", ranked, "train" if i < 8 else "valid"))
    return write_dataset(tmp_path_factory.mktemp("data") / "comparisons", "comparisons", rows)


@pytest.fixture(scope="session")
def prompts(tmp_path_factory) -> str:
    rows = []
    for i, thing in enumerate(THINGS):
        split = "train" if i < 8 else "valid"
        rows.append((split, {"id": f"p{i}", "split": split, "messages": question(f"question {thing}")}))
    return write_dataset(tmp_path_factory.mktemp("data") / "prompts", "prompts", rows)


def metrics_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


class StopAfter(Stop):
    """Asks the trainer to stop once it has looked this many times."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    @property
    def requested(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def assert_same_weights(first: Path, second: Path) -> None:
    one, two = weights_of(first), weights_of(second)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
