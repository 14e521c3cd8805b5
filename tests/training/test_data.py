import json

import pytest
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers import models as bpe
from transformers import PreTrainedTokenizerFast

from tests.training.conftest import demonstration, question, ranking, write_dataset
from training import data
from training.data import Limits
from training.runs import Refused, UsageError

WIDE = Limits(400, 400)


def test_tokens_never_merge_across_prompt_and_answer(tokenizer):
    tokenizer_plain = type(tokenizer)(tokenizer_object=tokenizer.backend_tokenizer, eos_token="<|im_end|>")
    assert tokenizer_plain.chat_template is None
    prompt = data.prompt_ids(tokenizer_plain, [{"role": "system", "content": "a"}, *question("th")])
    assert tokenizer_plain.decode(prompt) == "a\n\nth\n\n"
    answer = data.answer_ids(tokenizer_plain, "e cat")
    merged = tokenizer_plain("the cat").input_ids
    assert answer[:-1] != merged[-len(answer[:-1]) :] or len(merged) < len(answer)
    assert answer == [*tokenizer_plain("e cat", add_special_tokens=False).input_ids, tokenizer_plain.eos_token_id]


def test_a_tokenizer_that_would_merge_over_the_boundary_does_not(tmp_path):
    """Byte pairs that do not stop at white space: the blank line and the answer's first word are one token to it."""
    core = Tokenizer(bpe.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=["<eos>"], initial_alphabet=alphabet)
    core.train_from_iterator(["x\n\nthe cat"] * 9, trainer)
    merging = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>")
    whole = merging("x\n\nthe cat").input_ids
    folder = write_dataset(tmp_path / "d", "demonstrations", [demonstration(1, "x", "the cat")])
    row = data.read_demonstrations(folder, "train", merging, WIDE)[0][0]
    assert merging.decode(row.prompt) == "x\n\n"
    assert merging.decode(row.answer) == "the cat<eos>"
    assert len(row.prompt) + len(row.answer) > len(whole) + 1  # it would have merged
    assert row.prompt == data.prompt_ids(merging, question("x"))  # as a policy sees it that samples


def test_chat_prompt_ends_where_the_assistant_begins(tokenizer):
    ids = data.prompt_ids(tokenizer, question("the cat"))
    assert tokenizer.decode(ids) == "<|im_start|>user\nthe cat<|im_end|>\n<|im_start|>assistant\n"


def test_ties_stay_in_the_data_and_make_no_pair(tmp_path, tokenizer):
    folder = write_dataset(
        tmp_path / "d",
        "comparisons",
        [ranking(1, "x", [("a", 2), ("b", 1), ("c", 2)]), ranking(2, "y", [("a", 1), ("b", 1)])],
    )
    kept, skipped = data.read_rankings(folder, "train", tokenizer, WIDE)
    assert kept[0].ranks == [2, 1, 2]
    assert kept[0].pairs == [(1, 0), (1, 2)]
    assert skipped == {"no pair: all tied": 1}


def test_what_is_too_long_or_alone_is_counted(tmp_path, tokenizer):
    long = "zq" * 60
    folder = write_dataset(
        tmp_path / "d",
        "comparisons",
        [
            ranking(1, "x", [("a", 1), (long, 2), ("b", 3)]),
            ranking(2, "x", [("a", 1), (long, 2)]),
            ranking(3, long, [("a", 1), ("b", 2)]),
            ranking(4, "x", [("", 1), ("b", 2)]),
        ],
    )
    kept, skipped = data.read_rankings(folder, "train", tokenizer, Limits(100, 40))
    assert [row.prompt_id for row in kept] == ["p1", "p4"]
    assert kept[0].ranks == [1, 3]
    assert kept[1].answers[0] == [tokenizer.eos_token_id]  # an empty completion is one too
    assert skipped == {
        "completion too long (its ranking may stay)": 2,
        "no pair: fewer than two completions": 1,
        "prompt too long": 1,
    }


def test_demonstrations_that_are_blank_or_too_long_are_counted(tmp_path, tokenizer):
    rows = [demonstration(1, "x", "  \n"), demonstration(2, "x", "zq" * 60), demonstration(3, "x", "a cat")]
    folder = write_dataset(tmp_path / "d", "demonstrations", rows)
    kept, skipped = data.read_demonstrations(folder, "train", tokenizer, Limits(100, 40))
    assert [row.prompt_id for row in kept] == ["p3"]
    assert skipped == {"empty answer": 1, "answer too long": 1}
    assert kept[0].answer[-1] == tokenizer.eos_token_id


def test_nothing_left_is_refused_with_the_reasons():
    with pytest.raises(Refused, match="no ranking to train on in D: 3 × all tied"):
        data.refuse_empty([], data.Counter({"all tied": 3}), what="ranking", folder="D")


def test_wrong_or_damaged_data_sets_are_named(tmp_path, demonstrations):
    with pytest.raises(UsageError, match="holds demonstrations; this needs comparisons"):
        data.open_dataset(demonstrations, "comparisons")
    with pytest.raises(UsageError, match="manifest.json is missing"):
        data.open_dataset(str(tmp_path), "comparisons")
    folder = tmp_path / "d"
    write_dataset(folder, "demonstrations", [demonstration(1, "x", "a")])
    (folder / "train-00000.jsonl.zst").chmod(0o644)
    (folder / "train-00000.jsonl.zst").write_text("{}\n")
    with pytest.raises(Refused, match="damaged: train-00000.jsonl.zst has changed"):
        data.open_dataset(str(folder), "demonstrations")


def test_held_back_prompts_keep_their_rankings_together(tmp_path, tokenizer):
    rows = [ranking(i % 8, f"x{i % 8}", [("a", 1), ("b", 2)]) for i in range(16)]
    folder = write_dataset(tmp_path / "d", "comparisons", rows)
    kept, _ = data.read_rankings(folder, "train", tokenizer, WIDE)
    train, valid, said = data.split_validation(kept, [], seed=0)
    assert (len(train), len(valid)) == (14, 2)
    assert not {row.prompt_id for row in train} & {row.prompt_id for row in valid}
    assert "1 prompts held back" in said
    assert data.split_validation(kept, kept[:1], seed=0) == (kept, kept[:1], "validation split")
    assert data.split_validation(kept[:1], [], seed=0)[1] == []


def test_draws_go_on_where_they_were():
    whole = data.draw(7, wanted=20, start=0, seed=3)
    assert sorted(whole[:7]) == sorted(whole[7:14]) == list(range(7))
    assert whole[:7] != whole[7:14]
    assert data.draw(7, wanted=9, start=5, seed=3) == whole[5:14]


def test_pretraining_text_is_drawn_by_line(tmp_path, tokenizer):
    path = tmp_path / "text.jsonl"
    texts = ["the cat sat on the mat", "", "a dog ran to the red house near the old tree", "seven blue birds"]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    source = data.PretrainingText(str(path), tokenizer, tokens=8, seed=0)
    assert len(source) == 3
    assert source.skipped == {"empty text": 1}
    rows = source.draw(wanted=5, start=0)
    assert rows[3:] == source.draw(wanted=2, start=3)
    for prompt, answer in rows:
        assert len(prompt) == 1
        assert 1 <= len(answer) <= 8
        assert any(tokenizer.decode(prompt + answer).removesuffix("<|im_end|>") in text for text in texts)


def test_demonstrations_may_stand_in_for_pretraining_text(tokenizer, demonstrations):
    source = data.PretrainingText(demonstrations, tokenizer, tokens=64, seed=0)
    prompt, answer = source.draw(wanted=1, start=0)[0]
    assert tokenizer.decode(prompt).endswith("assistant\n")
    assert answer[-1] == tokenizer.eos_token_id


def test_bad_pretraining_text_is_named(tmp_path, tokenizer):
    path = tmp_path / "text.jsonl"
    path.write_text('{"text": "a b"}\n[1]\n')
    with pytest.raises(Refused, match="line 2 is not a JSON object"):
        data.PretrainingText(str(path), tokenizer, tokens=8, seed=0)
    with pytest.raises(UsageError, match="neither a file"):
        data.PretrainingText(str(tmp_path / "nowhere"), tokenizer, tokens=8, seed=0)
