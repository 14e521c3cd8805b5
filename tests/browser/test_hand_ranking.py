"""Nine real completions of one prompt, read and ranked by a person, from the page to the export."""

from __future__ import annotations

import gzip
import io
import json

from django.core.management import call_command
from playwright.sync_api import expect

from labeling.exports.services import create_dataset
from labeling.rankings.models import Ranking
from tests.browser.test_ranking import begin, left_for
from training.formats import iter_rows

QUESTION = "Given that f(x) = 5x^3 - 2x + 3, find the value of f(2)."
# System → (rating, rank), by hand: f(2) is 39, which two show in steps. One slips in its last subtraction; three put 2
# in rightly and then reckon wrong; two say a wrong number and nothing else; the last does not even put 2 in.
JUDGED = {
    "gpt4": (7, 1),
    "claude-2": (7, 1),
    "llama-2-7b-chat-hf": (4, 2),
    "vicuna-13b": (2, 3),
    "oasst-sft-pythia-12b": (2, 3),
    "text_davinci_001": (2, 3),
    "text_davinci_003": (1, 4),
    "alpaca-7b": (1, 4),
    "falcon-7b-instruct": (1, 5),
}


def test_nine_real_completions_ranked_by_hand_come_out_unchanged(sign_in, ada, shared_data, tmp_path):
    with gzip.open(shared_data / "completions_alpacaeval_200.jsonl.gz", "rt", encoding="utf-8") as file:
        row = next(row for row in map(json.loads, file) if row["instruction"] == QUESTION)
    texts = row["completions"]
    assert set(texts) == set(JUDGED)
    lines = tmp_path / "nine.jsonl"
    lines.write_text(json.dumps({"prompt": QUESTION, "completions": texts}) + "\n")
    call_command("import_completions", str(lines), stdout=io.StringIO())
    said = {texts[system]: judged for system, judged in JUDGED.items()}

    page = sign_in(ada, at="/work/")
    begin(page)
    keys = 0

    for step, name in enumerate(("rate", "rank")):
        expect(page.locator("main")).to_have_attribute("data-step", name)
        for text in page.locator("[data-completion] [data-prose]").all_text_contents():
            page.keyboard.press(str(said[text][step]))
            keys += 1
    page.keyboard.press("Enter")
    left_for(page, "/work/")
    assert keys + 1 <= 2 * 9 + 2

    ranking = Ranking.objects.get()
    stored = {each.completion.text: (each.rating, each.rank) for each in ranking.judgments.select_related("completion")}
    assert stored == said
    page.get_by_role("link", name="Open").click()
    assert sorted(page.locator(".judged-rank").all_inner_texts()) == sorted(
        f"{rank}\nrank" for _, rank in said.values()
    )

    dataset = create_dataset(kind="comparisons", question={}, out=tmp_path / "out")
    split = ranking.task.item.prompt.source_user.split
    (exported,) = iter_rows(tmp_path / "out", split)
    assert {each["text"]: (each["rating"], each["rank"]) for each in exported["completions"]} == said
    assert dataset.manifest["counts"]["rows"] == 1
