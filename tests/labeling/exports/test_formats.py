"""Other trainers read what was written, as it lies: `datasets`, TRL's conversational types, OpenRLHF's, Parquet."""

import json
from pathlib import Path

import pytest

from labeling.exports.services import create_dataset
from tests.factories import make_demonstration, make_prompt, make_ranking, make_task
from training.formats import FORMATS, iter_rows, verify

pytestmark = pytest.mark.django_db


@pytest.fixture
def load(tmp_path):
    datasets = pytest.importorskip("datasets")

    def read(dataset, name: str):
        kind = "parquet" if name.endswith("parquet") else "json"
        path = str(Path(dataset.folder) / name)
        return datasets.load_dataset(kind, data_files=path, split="train", cache_dir=str(tmp_path / "cache"))

    return read


def test_rankings_are_read_in_every_format(ada, base_model, load):
    trl_data = pytest.importorskip("trl.data_utils")
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base_model)
    tokenizer.chat_template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    prompt = make_prompt(messages=[{"role": "user", "content": 'Say it. \u2028 "quoted" é'}])
    task = make_task(prompt=prompt, texts=("Good.", "Fine.", "Bad."))
    make_ranking(task=task, labeler=ada, ranks=[1, 2, 2], flags=[["other"], [], []])
    dataset = create_dataset(kind="comparisons", question={"formats": list(FORMATS["comparisons"])})
    assert verify(Path(dataset.folder)) == []
    (row,) = iter_rows(Path(dataset.folder), "train")

    (read,) = load(dataset, "train-00000.jsonl.zst")
    assert (read["id"], len(read["completions"])) == (row["id"], 3)
    (flat,) = load(dataset, "train-00000.parquet")
    assert flat["messages"] == row["messages"] and flat["labeler"] == row["labeler"]
    assert [(one["id"], one["rank"], one["flags"]) for one in flat["completions"]] == [
        (one["id"], one["rank"], one["flags"]) for one in row["completions"]
    ]

    pairs = load(dataset, "pairs-train-00000.jsonl.zst")
    assert {pair["rejected"][0]["content"] for pair in pairs} == {"Fine.", "Bad."}
    assert trl_data.is_conversational(pairs[0])
    assert set(trl_data.apply_chat_template(pairs[0], tokenizer)) >= {"prompt", "chosen", "rejected"}

    unpaired = load(dataset, "kto-train-00000.jsonl.zst")
    assert {(one["completion"][0]["content"], one["label"]) for one in unpaired} == {
        ("Good.", True),
        ("Fine.", False),
        ("Bad.", False),
    }
    assert trl_data.is_conversational(unpaired[0])
    assert trl_data.apply_chat_template(unpaired[0], tokenizer)["label"] in (True, False)

    whole = load(dataset, "openrlhf-train-00000.jsonl.zst")[0]
    # As OpenRLHF's reward trainer does with a chat template and no prompt key.
    chosen, rejected = (tokenizer.apply_chat_template(whole[name], tokenize=False) for name in ("chosen", "rejected"))
    assert chosen.endswith("Good.") and chosen.startswith("<user>Say it.") and rejected != chosen


def test_demonstrations_and_prompts_are_read_in_every_format(ada, load):
    trl_data = pytest.importorskip("trl.data_utils")
    make_demonstration(prompt=make_prompt("Say hello."), labeler=ada, turns=["Hi.", "And?"], text="Hello.")
    for kind, keys in (("demonstrations", {"prompt", "completion"}), ("prompts", {"prompt"})):
        dataset = create_dataset(kind=kind, question={"formats": list(FORMATS[kind])})
        rows = load(dataset, "pairs-train-00000.jsonl.zst")
        assert keys <= set(rows[0]) and trl_data.is_conversational(rows[0])
        whole = load(dataset, "openrlhf-train-00000.jsonl.zst")[0]["messages"]
        assert whole[0] == {"role": "user", "content": "Say hello."}
        assert len(load(dataset, "train-00000.parquet")) == dataset.manifest["counts"]["rows"]


def test_what_has_no_fixed_shape_is_json_in_parquet(ada, bo, load):
    from tests.factories import make_batch

    task = make_task(batch=make_batch(overlap=2))
    for person in (ada, bo):
        make_ranking(task=task, labeler=person)
    dataset = create_dataset(kind="comparisons", question={"consensus": "modal", "formats": ["parquet"]})
    rows = list(iter_rows(Path(dataset.folder), "train"))
    flat = load(dataset, "train-00000.parquet")
    assert [json.loads(one["consensus"]) for one in flat] == [row["consensus"] for row in rows]
