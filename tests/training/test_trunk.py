import pytest
import torch
from transformers import OPTConfig, OPTForCausalLM

from training import models
from training.runs import Refused
from training.trunk import Trunk, attach

CPU = torch.device("cpu")
PROMPTS = [[1, 5, 9, 30], [1, 7], [1, 8, 40, 41, 42, 43]]
ANSWERS = [[50, 51, 2], [60, 61, 62, 63, 2], [70]]


def gradients(model, parameters):
    model.zero_grad()
    logprobs, _ = models.answer_logprobs(model, PROMPTS, ANSWERS)
    (logprobs * torch.arange(len(logprobs))).sum().backward()
    return logprobs.detach(), [parameter.grad.clone() for parameter in parameters.values()]


def test_a_trunk_changes_neither_values_nor_gradients(policy_dir):
    model = models.load_policy(policy_dir, CPU)
    parameters = models.freeze(model, 1)
    whole = gradients(model, parameters)
    names = list(model.state_dict())
    attach(model, Trunk(model, 1))
    for _ in range(2):  # the second time from what was kept
        split = gradients(model, parameters)
        assert torch.allclose(whole[0], split[0], atol=1e-5)
        assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(whole[1], split[1], strict=True))
    assert list(model.state_dict()) == names


def test_states_do_not_depend_on_the_batch(policy_dir):
    model = models.load_policy(policy_dir, CPU)
    together, alone = Trunk(model, 1), Trunk(model, 1)
    ids, lengths = models.pad_rows(PROMPTS, CPU)
    padded = together.states(ids, lengths)
    for i, row in enumerate(PROMPTS):
        assert torch.equal(padded[i, : len(row)], alone.states(torch.tensor([row]), torch.tensor([len(row)]))[0])
        assert not padded[i, len(row) :].any()


def test_networks_share_a_trunk_only_when_it_is_theirs(policy_dir, reward_dir, tokenizer):
    policy = models.load_policy(policy_dir, CPU)
    stands_on_it = models.load_reward(policy_dir, tokenizer, CPU, head_seed=0)
    stranger = models.load_reward(reward_dir, tokenizer, CPU, head_seed=None)
    trunk = Trunk(policy, 1)
    assert trunk.fits(stands_on_it)
    assert not trunk.fits(stranger)
    with pytest.raises(Refused, match="does not come apart"):
        attach(stranger, trunk)


def test_architectures_that_do_not_come_apart_are_refused():
    size = {"vocab_size": 64, "num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2}
    model = OPTForCausalLM(OPTConfig(ffn_dim=64, word_embed_proj_dim=32, max_position_embeddings=64, **size)).eval()
    with pytest.raises(Refused, match="cannot be divided"):
        Trunk(model, 1)


def test_memory_is_bounded(policy_dir, monkeypatch):
    trunk = Trunk(models.load_policy(policy_dir, CPU), 1)
    monkeypatch.setattr("training.trunk.LIMIT_BYTES", 3000)
    for number in range(10):
        trunk.states(torch.tensor([[5, 6, 7, number]]), torch.tensor([4]))  # 4 × 64 floats: 1,024 bytes
        assert len(trunk._kept) <= 4
