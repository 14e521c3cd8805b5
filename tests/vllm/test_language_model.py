"""Our client and publishing against a real vLLM server with SmolLM2: sampling, seeds, refusals, new weights."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import httpx
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from models_service import publishing
from models_service.client import ModelClient, ModelRefused
from tests.vllm.running import Vllm, running_vllm

ASK = [{"role": "user", "content": "Name three colours."}]


@pytest.fixture(scope="module")
def vllm(base_model: Path, tmp_path_factory):
    with running_vllm(tmp_path_factory.mktemp("vllm-language"), base_model) as server:
        yield server


@pytest.fixture(scope="module")
def client(vllm: Vllm):
    with ModelClient(vllm.url, tries=2) as client:
        yield client


@pytest.fixture(scope="module")
def changed(base_model: Path, tmp_path_factory) -> Path:
    """SmolLM2 with its weights moved a little, as training does."""
    folder = tmp_path_factory.mktemp("changed") / "model"
    model = AutoModelForCausalLM.from_pretrained(base_model, dtype=torch.float32)
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.model.layers.parameters():
            weight += 0.02 * weight.abs().mean() * torch.randn_like(weight)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base_model).save_pretrained(folder)
    return folder


def greedy(client: ModelClient) -> dict:
    body = {"model": "served", "messages": ASK, "temperature": 0, "max_tokens": 8, "logprobs": True}
    answer = client.call("POST", "/v1/chat/completions", body | {"return_token_ids": True})
    [choice] = answer["choices"]
    logprobs = [entry["logprob"] for entry in choice["logprobs"]["content"]]
    return {"prompt": answer["prompt_token_ids"], "ids": choice["token_ids"], "logprobs": logprobs}


def assert_says_what(folder: Path, said: dict) -> None:
    """vLLM's tokens and their log-probs are those of the model in `folder`."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([said["prompt"] + said["ids"]])).logits[0]
    logprobs = logits.log_softmax(-1)[len(said["prompt"]) - 1 : -1]
    expected = logprobs.gather(1, torch.tensor(said["ids"])[:, None])[:, 0]
    assert said["logprobs"] == pytest.approx(expected.tolist(), abs=1e-4)


def test_the_client_knows_it_for_what_it_is(client, base_model):
    assert client.ready() and client.models() == ["served"]
    assert client.owner("served") == "vllm" and client.root("served") == str(base_model)


def test_four_seeded_samples_that_differ_and_repeat(client):
    ask = {"n": 4, "seed": 7, "temperature": 1.0, "top_p": 1.0, "max_tokens": 16}
    first, second = client.chat("served", ASK, **ask), client.chat("served", ASK, **ask)
    assert [choice.text for choice in first] == [choice.text for choice in second]
    assert len({choice.text for choice in first}) > 1
    for choice in first:
        assert choice.finish_reason in ("stop", "length") and 0 < choice.tokens <= 16 and choice.logprob_sum < 0


def test_a_stream_says_what_one_answer_says(client):
    ask = {"seed": 7, "temperature": 1.0, "top_p": 1.0, "max_tokens": 24}
    [whole] = client.chat("served", ASK, **ask)
    pieces = list(client.stream_chat("served", ASK, **ask))
    assert "".join(pieces) == whole.text and all(pieces)
    assert len(pieces) > 3


def test_a_stream_keeps_characters_of_several_tokens_whole(client):
    ask = [{"role": "user", "content": "Say this again: 日本語 🙂 naïve"}]
    [whole] = client.chat("served", ask, temperature=0, max_tokens=24)
    assert "".join(client.stream_chat("served", ask, temperature=0, max_tokens=24)) == whole.text


def test_a_stream_is_refused_before_it_begins(client):
    with pytest.raises(ModelRefused) as refusal:
        next(client.stream_chat("served", ASK, temperature=-1.0))
    assert refusal.value.status == 400
    with pytest.raises(ModelRefused):
        next(client.stream_chat("absent", ASK))


def test_who_hangs_up_is_not_written_for(client):
    pieces = client.stream_chat("served", ASK, temperature=1.0, seed=1, max_tokens=400)
    assert next(pieces)
    pieces.close()
    end = time.monotonic() + 10  # 400 tokens take 20 s on two cores
    while running_requests(client) and time.monotonic() < end:
        time.sleep(0.2)
    assert running_requests(client) == 0


def running_requests(client: ModelClient) -> float:
    text = httpx.get(f"{client.base_url}/metrics", timeout=30, trust_env=False).text
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("vllm:num_requests_running"))


def test_long_seeded_prompts_at_once_do_not_stop_it(client):
    """With vLLM's own defaults this ends a CPU server."""
    asks = [[{"role": "user", "content": f"{word} " * 300}] for word in ("sea", "sky", "sun")]
    failures = []

    def ask(messages: list[dict]) -> None:
        try:
            client.chat("served", messages, n=2, seed=1, max_tokens=2)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=ask, args=(messages,)) for messages in asks]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not failures and client.ready()


def test_completions_stop_strings_and_tokens(client):
    [whole] = client.complete("served", "One, two, three, four,", temperature=0, max_tokens=8)
    [cut] = client.complete("served", "One, two, three, four,", temperature=0, max_tokens=8, stop=[whole.text[4:7]])
    assert cut.finish_reason == "stop" and cut.text == whole.text[: whole.text.index(whole.text[4:7])]


@pytest.mark.parametrize("changes", [{"n": 0}, {"temperature": -1.0}, {"n": 2, "temperature": 0.0}])
def test_a_refusal_is_one_of_ours(client, changes):
    with pytest.raises(ModelRefused) as refusal:
        client.chat("served", ASK, **changes)
    assert refusal.value.status == 400
    with pytest.raises(ModelRefused):
        client.chat("absent", ASK)


def test_what_does_not_fit_is_refused_before_it_breaks_anything(client, vllm, tiny_policy, base_model, tmp_path):
    cut = Path(shutil.copytree(base_model, tmp_path / "cut"))
    with (cut / "model.safetensors").open("r+b") as file:
        file.truncate(1000)
    before = greedy(client)
    for path in (tmp_path / "absent", cut, tiny_policy):
        with pytest.raises(ModelRefused):
            publishing.publish(vllm.url, "new", path)
    with pytest.raises(ModelRefused, match="one model"):
        publishing.withdraw(vllm.url, "served")
    assert greedy(client)["ids"] == before["ids"]


def test_published_weights_answer_from_now_on(client, vllm, base_model, changed):
    before = greedy(client)
    assert_says_what(base_model, before)
    assert publishing.publish(vllm.url, "new", changed) == "served"
    after = greedy(client)
    assert_says_what(changed, after)
    assert after["logprobs"] != pytest.approx(before["logprobs"], abs=1e-3)
    publishing.publish(vllm.url, "old", base_model)
    assert greedy(client)["ids"] == before["ids"]


def test_a_reload_that_breaks_half_way_gets_the_old_weights_back(client, vllm, base_model, changed, monkeypatch):
    """The folder vanishes between our look and vLLM's."""
    before = greedy(client)
    reload = publishing._reload

    def vanish(client: ModelClient, path: Path, **rest) -> None:
        reload(client, path / "gone" if path == changed else path, **rest)

    monkeypatch.setattr(publishing, "_reload", vanish)
    with pytest.raises(publishing.PublishFailed, match="old ones back"):
        publishing.publish(vllm.url, "new", changed)
    after = greedy(client)
    assert after["ids"] == before["ids"] and after["logprobs"] == pytest.approx(before["logprobs"], abs=1e-4)
