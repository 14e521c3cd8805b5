"""The sampling routes of a real server with the real SmolLM2, against transformers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from models_service.client import ModelClient, ModelRefused

ASK = [{"role": "user", "content": "Name three colours."}]


@pytest.fixture(scope="module")
def smol(base_model: Path):
    return AutoModelForCausalLM.from_pretrained(base_model, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def tokenizer(base_model: Path):
    return AutoTokenizer.from_pretrained(base_model)


def figure(client: ModelClient, name: str) -> float:
    lines = httpx.get(f"{client.base_url}/metrics", trust_env=False).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name) and 'model="smol"' in line)


def test_logprobs_and_tokens_are_those_of_transformers(client, smol, tokenizer):
    body = {"model": "smol", "messages": ASK, "n": 2, "seed": 3, "temperature": 0.8, "max_tokens": 10}
    answer = client.call("POST", "/v1/chat/completions", body | {"logprobs": True, "return_token_ids": True})
    prompt = tokenizer.apply_chat_template(ASK, add_generation_prompt=True, tokenize=True, return_dict=False)
    assert answer["prompt_token_ids"] == prompt
    for choice in answer["choices"]:
        ids = choice["token_ids"]
        with torch.no_grad():
            logits = smol(input_ids=torch.tensor([prompt + ids])).logits[0]
        expected = logits.log_softmax(-1)[len(prompt) - 1 : -1].gather(1, torch.tensor(ids)[:, None])[:, 0]
        listed = choice["logprobs"]["content"]
        assert [entry["logprob"] for entry in listed] == pytest.approx(expected.tolist(), abs=1e-4)
        kept = ids[:-1] if choice["finish_reason"] == "stop" else ids
        assert choice["message"]["content"] == tokenizer.decode(kept)
    written = sum(len(choice["token_ids"]) for choice in answer["choices"])
    assert answer["usage"] == {
        "prompt_tokens": len(prompt),
        "completion_tokens": written,
        "total_tokens": len(prompt) + written,
    }


def test_prompt_runs_through_the_model_once_for_n_samples(client, tokenizer):
    before = figure(client, "kwise_prefilled_tokens_total")
    client.chat("smol", ASK, n=5, max_tokens=2, seed=1)
    prompt = tokenizer.apply_chat_template(ASK, add_generation_prompt=True, tokenize=True, return_dict=False)
    assert figure(client, "kwise_prefilled_tokens_total") - before == len(prompt)


def test_a_seed_says_the_same_alone_and_among_others(client):
    questions = [[{"role": "user", "content": text}] for text in ("Hi", "Why is the sky blue?", "Sing " * 30)]
    alone = [client.chat("smol", ask, n=2, seed=at, max_tokens=8) for at, ask in enumerate(questions)]
    with ThreadPoolExecutor(6) as pool:
        futures = [
            pool.submit(client.chat, "smol", ask, n=2, seed=at, max_tokens=8, temperature=1.0)
            for at, ask in enumerate(questions)
        ]
        others = [pool.submit(client.chat, "smol", ASK, n=3, seed=9, max_tokens=5, temperature=0.7) for _ in range(3)]
        together = [future.result() for future in futures]
        assert others[0].result() is not None
    for one, other in zip(sum(alone, []), sum(together, []), strict=True):
        assert (one.text, one.finish_reason, one.tokens) == (other.text, other.finish_reason, other.tokens)
        assert one.logprob_sum == pytest.approx(other.logprob_sum, abs=1e-3)
    assert alone[0] != client.chat("smol", questions[0], n=2, seed=77, max_tokens=8)


def test_stop_string_ends_and_is_left_out(client):
    [whole] = client.complete("smol", "One, two, three, four,", temperature=0, max_tokens=10)
    stop = whole.text[4:7]
    [cut] = client.complete("smol", "One, two, three, four,", temperature=0, max_tokens=10, stop=["never said", stop])
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish_reason == "stop" and cut.tokens < whole.tokens


def test_completions_takes_texts_and_token_ids(client, tokenizer):
    text = "The capital of France is"
    [one] = client.complete("smol", text, temperature=0, max_tokens=3)
    [same] = client.complete("smol", tokenizer(text).input_ids, temperature=0, max_tokens=3)
    assert one == same and "Paris" in one.text
    both = client.call(
        "POST",
        "/v1/completions",
        {"model": "smol", "prompt": [text, "1 2 3"], "n": 2, "max_tokens": 2, "seed": 1, "logprobs": 1},
    )["choices"]
    assert [choice["index"] for choice in both] == [0, 1, 2, 3]
    assert all(len(choice["logprobs"]["tokens"]) == 2 for choice in both)


def test_text_of_every_kind_is_taken(client):
    for text in ("", "  leading and trailing  \n", "日本語 🙂 \u202e", "<|im_end|>", "{{ 7 * 7 }}", "\x1b[31m\x7f"):
        assert client.chat("smol", [{"role": "user", "content": text}], max_tokens=1)


def test_a_client_that_hangs_up_is_not_computed_for(client):
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{client.base_url}/v1/chat/completions",
            json={"model": "smol", "messages": ASK, "n": 8, "max_tokens": 4000},
            timeout=1,
            trust_env=False,
        )
    # 32,000 tokens would take many minutes; the next answer comes at once, and nothing else runs then.
    client.chat("smol", ASK, max_tokens=8, temperature=0)
    assert figure(client, "kwise_running_samples") == 0


def test_tokenize_is_what_the_model_sees(client, tokenizer):
    chat = client.call("POST", "/tokenize", {"model": "smol", "messages": ASK, "add_generation_prompt": True})
    assert chat["tokens"] == tokenizer.apply_chat_template(
        ASK, add_generation_prompt=True, tokenize=True, return_dict=False
    )
    plain = client.call("POST", "/tokenize", {"model": "smol", "prompt": "  a b\n", "add_special_tokens": False})
    assert plain["tokens"] == tokenizer("  a b\n").input_ids and plain["count"] == len(plain["tokens"])


def test_too_long_for_the_context_is_refused_with_the_numbers(client):
    with pytest.raises(ModelRefused, match="9000.*8192"):
        client.chat("smol", ASK, max_tokens=9000)
