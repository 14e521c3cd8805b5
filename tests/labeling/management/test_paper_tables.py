import csv
import gzip
import json
import math

import pytest
from django.core.management import CommandError, call_command

from labeling.management.paper import Bleu, rouge_l


def test_bleu_by_hand():
    """Papineni's kind of example: 5 of 6 words, 3 of 5 pairs, 2 of 4 triples, 1 of 3 fours; no brevity penalty."""
    bleu = Bleu()
    bleu.add("the cat sat on the mat", "the cat sat on a mat")
    assert bleu.value == pytest.approx(100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)


def test_bleu_punishes_what_is_too_short():
    bleu = Bleu()
    bleu.add("the cat sat on", "the cat sat on the mat")
    assert bleu.value == pytest.approx(100 * math.exp(1 - 6 / 4))


def test_bleu_without_a_common_four_is_zero():
    bleu = Bleu()
    bleu.add("a b c d", "d c b a")
    assert bleu.value == 0


def test_rouge_l_by_hand():
    # Longest common subsequence: police the gunman, 3 of 4 and 4 words.
    assert rouge_l("police kill the gunman", "Police ended the gunman") == pytest.approx(3 / 4)
    assert rouge_l("", "something") == 0


def test_tables_of_the_released_samples(shared_data, capsys):
    call_command("paper_tables", str(shared_data), "--json")
    tables = json.loads(capsys.readouterr().out)
    toxic = {(row["model"], row["prompt"]): row for row in tables["real_toxicity_prompts"]}
    assert len(toxic) == 12 * 3
    assert sum(row["samples"] for row in toxic.values()) == 3600
    # The paper's finding: told to be respectful, PPO-ptx is less toxic than GPT-3.
    respectful = "respectful prompt"
    assert toxic["ppo-ptx-175b", respectful]["toxicity"] < toxic["gpt-175b", respectful]["toxicity"]
    with gzip.open(
        shared_data / "instructgpt_real_toxicity_samples.csv.gz", "rt", newline="", encoding="utf-8"
    ) as file:
        own = [
            float(row["toxicity"])
            for row in csv.DictReader(file)
            if (row["model_type"], row["prompt_type"]) == ("gpt-xl", "basic prompt")
        ]
    assert toxic["gpt-xl", "basic prompt"]["toxicity"] == pytest.approx(sum(own) / len(own))
    true = {(row["model"], row["prompt"]): row for row in tables["truthful_qa"]}
    assert all(row["true_and_informative"] <= row["true"] for row in true.values())
    assert {row["model"] for row in tables["tldr"]} == {model for model, _ in true}
    bleu = {(row["model"], row["prompt"]): row["bleu"] for row in tables["french_to_english"]}
    assert bleu["gpt-175b", "fewshot"] > bleu["gpt-xl", "zeroshot"]


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(CommandError, match="no folder"):
        call_command("paper_tables", str(tmp_path / "nowhere"))
    with pytest.raises(CommandError, match="is missing"):
        call_command("paper_tables", str(tmp_path))
    broken = tmp_path / "instructgpt_real_toxicity_samples.csv.gz"
    broken.write_bytes(b"no gzip")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("paper_tables", str(tmp_path))
    broken.write_bytes(gzip.compress(b"model_type,prompt_type,sample,toxicity\ngpt,basic,hello,much\n"))
    with pytest.raises(CommandError, match="toxicity is 'much'"):
        call_command("paper_tables", str(tmp_path))
