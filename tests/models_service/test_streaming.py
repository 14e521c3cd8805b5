"""Completions that come as they are written, from a real server: the same text, whole characters, an end to waste."""

from __future__ import annotations

import json
import random
import time

import httpx
import pytest
from transformers import AutoTokenizer

from models_service.client import ModelClient, ModelRefused
from models_service.generation import Row
from models_service.tokens import settled_text, written_text
from tests.models_service.serving import samples_running, wait_for

ASK = [{"role": "user", "content": "Name three colours."}]


def chunks(url: str, path: str, **body) -> list:
    """The data of each event, read from JSON; the last is "[DONE]"."""
    answer = httpx.post(f"{url}{path}", json={**body, "stream": True}, timeout=60, trust_env=False)
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/event-stream")
    parts = answer.text.split("\n\n")
    assert parts.pop() == "" and all(part.startswith("data: ") for part in parts)
    assert parts.pop() == "data: [DONE]"
    return [json.loads(part.removeprefix("data: ")) for part in parts]


@pytest.mark.parametrize("model", ["smol", "tiny"])  # tiny writes bytes at random: no end of broken characters
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_seed_says_the_same_streamed_or_not(client, model, seed):
    ask = {"seed": seed, "temperature": 1.2, "max_tokens": 30}
    [whole] = client.chat(model, ASK, **ask)
    pieces = list(client.stream_chat(model, ASK, **ask))
    assert "".join(pieces) == whole.text and all(pieces)
    assert len(pieces) > 3


def test_a_stop_string_is_never_shown_in_part(client):
    [whole] = client.chat("smol", ASK, temperature=0, max_tokens=30)
    stop = whole.text[9:14]
    assert "".join(client.stream_chat("smol", ASK, temperature=0, max_tokens=30, stop=[stop])) == whole.text[:9]


def test_chunks_have_the_shape_of_openai(server):
    ask = {"messages": ASK, "max_tokens": 6, "temperature": 0, "stream_options": {"include_usage": True}}
    said = chunks(server.url, "/v1/chat/completions", model="smol", **ask)
    first, last, usage = said[0], said[-2], said[-1]
    assert first["object"] == "chat.completion.chunk" and first["model"] == "smol"
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert last["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "length"}
    assert usage["choices"] == [] and usage["usage"]["completion_tokens"] == 6
    assert len({chunk["id"] for chunk in said}) == 1


def test_several_samples_of_several_prompts_in_one_stream(server, client):
    ask = {"model": "tiny", "prompt": ["the cat", "the dog"], "n": 2, "seed": 4, "max_tokens": 12}
    texts = ["", "", "", ""]
    for chunk in chunks(server.url, "/v1/completions", **ask):
        assert chunk["object"] == "text_completion"
        for choice in chunk["choices"]:
            texts[choice["index"]] += choice["text"]
    whole = client.call("POST", "/v1/completions", ask)["choices"]
    assert texts == [choice["text"] for choice in whole] and len(set(texts)) == 4


def test_text_comes_while_it_is_written(client):
    times = []
    for _piece in client.stream_chat("smol", ASK, temperature=0, max_tokens=12):
        times.append(time.monotonic())
    # In one piece at the end they would all come within a millisecond.
    assert times[-1] - times[0] > 0.02 and len(times) > 5


def test_who_hangs_up_is_not_written_for(server, client):
    pieces = client.stream_chat("smol", ASK, temperature=1.5, max_tokens=4000, seed=1)
    assert next(pieces)
    assert samples_running(server.url, "smol") == 1
    pieces.close()
    wait_for(lambda: samples_running(server.url, "smol") == 0, seconds=3)


def test_a_refusal_comes_before_the_stream(client):
    with pytest.raises(ModelRefused, match="no model"):
        next(client.stream_chat("absent", ASK))
    with pytest.raises(ModelRefused, match="9000.*8192"):
        next(client.stream_chat("smol", ASK, max_tokens=9000))


def test_the_time_of_a_stream_is_measured_to_its_end(server, client):
    def seconds() -> float:
        text = httpx.get(f"{server.url}/metrics", timeout=30, trust_env=False).text
        name = 'kwise_request_seconds_sum{route="/v1/chat/completions"}'
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    before, started = seconds(), time.monotonic()
    list(client.stream_chat("smol", ASK, temperature=0, max_tokens=20))
    took = time.monotonic() - started
    wait_for(lambda: seconds() - before > took / 2, seconds=3)


def test_a_stream_outlives_the_exchange_of_its_model(client, tiny):
    [whole] = client.chat("tiny", ASK, seed=5, max_tokens=300)
    pieces = client.stream_chat("tiny", ASK, seed=5, max_tokens=300)
    text = next(pieces)
    client.call("POST", "/admin/models", {"name": "tiny", "path": str(tiny)})
    assert text + "".join(pieces) == whole.text


def test_settled_text_is_never_taken_back(tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    chance = random.Random(1)
    for text in ("naïve 日本語 🙂👨‍👩‍👧 é\u0301 \u2028 end", "ab" * 9, ""):
        for stops in ((), ("ba b",), ("日本 ", "🙂x")):
            ids = tokenizer(text, add_special_tokens=False).input_ids
            ids += [chance.randrange(3, len(tokenizer)) for _ in range(40)]
            row = Row(len(ids), 1.0, 1.0, 1, frozenset([2]))
            shown = ""
            for token in ids:
                row.token_ids.append(token)
                settled = settled_text(written_text(tokenizer, row, stops), stops)
                assert settled.startswith(shown)
                shown = settled
            assert written_text(tokenizer, row, stops).startswith(shown)


def test_another_server_is_as_good_with_v1_in_its_address(server):
    with ModelClient(f"{server.url}/v1", tries=1) as client:
        assert "".join(client.stream_chat("tiny", ASK, max_tokens=3)) is not None
