"""The pairs are what TRL's RewardTrainer reads, as they lie."""

from pathlib import Path

import pytest

from labeling.exports.services import create_dataset
from tests.factories import make_prompt, make_ranking, make_task

pytestmark = pytest.mark.django_db


def test_pairs_train_a_reward_model_with_trl(ada, base_model, tmp_path):
    datasets = pytest.importorskip("datasets")
    trl = pytest.importorskip("trl")
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForSequenceClassification

    for number in range(2):
        prompt = make_prompt(messages=[{"role": "user", "content": f'Say {number}. \u2028 "quoted" é'}])
        make_ranking(task=make_task(prompt=prompt, texts=("Good.", "Fine.", "Bad.")), labeler=ada, ranks=[1, 2, 2])
    dataset = create_dataset(kind="comparisons", question={"formats": ["trl"]})
    pairs = datasets.load_dataset(
        "json",
        data_files=str(Path(dataset.folder) / "pairs-train-00000.jsonl.zst"),
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    assert len(pairs) == 4
    assert pairs[0]["chosen"] == [{"role": "assistant", "content": "Good."}]

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(base_model)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    tiny = LlamaForSequenceClassification(
        LlamaConfig(vocab_size=len(tokenizer), num_labels=1, pad_token_id=tokenizer.pad_token_id, **shape)
    )
    trainer = trl.RewardTrainer(
        model=tiny,
        args=trl.RewardConfig(
            output_dir=str(tmp_path / "out"),
            max_steps=1,
            per_device_train_batch_size=2,
            report_to=[],
            use_cpu=True,
            bf16=False,
            save_strategy="no",
        ),
        train_dataset=pairs,
        processing_class=tokenizer,
    )
    assert trainer.train().training_loss == pytest.approx(0.69, abs=0.2)
