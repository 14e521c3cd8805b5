import math

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaForCausalLM,
    OPTConfig,
    OPTForCausalLM,
)

from tests.training.conftest import tiny_config
from training import models
from training.runs import Refused, UsageError

CPU = torch.device("cpu")
PROMPTS = [[1, 5, 9, 30], [1, 7], [1, 8, 40, 41, 42, 43]]
ANSWERS = [[50, 51, 2], [60, 61, 62, 63, 2], [70]]


@pytest.fixture
def policy(policy_dir):
    return models.load_policy(policy_dir, CPU)


@pytest.fixture
def reward(reward_dir, tokenizer):
    return models.load_reward(reward_dir, tokenizer, CPU, head_seed=None)


def slow_logprobs(model, temperature=1.0):
    """Each row alone, without padding, from full logits."""
    found = []
    for prompt, answer in zip(PROMPTS, ANSWERS, strict=True):
        logits = model(input_ids=torch.tensor([prompt + answer])).logits[0] / temperature
        table = torch.log_softmax(logits.double(), dim=-1)
        found += [table[len(prompt) - 1 + t, token] for t, token in enumerate(answer)]
    return torch.stack(found)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_answer_logprobs_equal_full_logits_row_by_row(policy, temperature):
    fast, _ = models.answer_logprobs(policy, PROMPTS, ANSWERS, temperature=temperature)
    assert torch.allclose(fast.double(), slow_logprobs(policy, temperature), atol=1e-5)


def test_chunks_change_neither_values_nor_gradients(policy, monkeypatch):
    def run():
        policy.zero_grad()
        logprobs, entropy = models.answer_logprobs(policy, PROMPTS, ANSWERS, entropy=True)
        (logprobs * torch.arange(len(logprobs))).sum().backward()
        return logprobs.detach(), entropy, [p.grad.clone() for p in policy.parameters()]

    whole = run()
    monkeypatch.setattr(models, "LOGIT_ROWS", 4)
    pieces = run()
    assert torch.allclose(whole[0], pieces[0], atol=1e-5)
    assert torch.allclose(whole[1], pieces[1], atol=1e-5)
    for a, b in zip(whole[2], pieces[2], strict=True):
        assert (a - b).norm() <= 1e-5 * a.norm()


def test_entropy_is_that_of_the_distribution(policy):
    _, entropy = models.answer_logprobs(policy, PROMPTS[:1], ANSWERS[:1], temperature=0.5, entropy=True)
    logits = policy(input_ids=torch.tensor([PROMPTS[0] + ANSWERS[0]])).logits[0, 3:6] / 0.5
    expected = torch.distributions.Categorical(logits=logits).entropy()
    assert torch.allclose(entropy, expected, atol=1e-4)


def test_score_alone_is_score_in_batch(reward):
    together = models.rewards_of(reward, PROMPTS, ANSWERS)
    alone = torch.cat([models.rewards_of(reward, [p], [a]) for p, a in zip(PROMPTS, ANSWERS, strict=True)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_reward_sees_the_eos(reward):
    with_eos, without = models.rewards_of(reward, [PROMPTS[0]] * 2, [[50, 51, 2], [50, 51]])
    assert abs(with_eos - without) > 1e-3
    # A padded neighbour takes nothing away: EOS is found by length, also when it is the padding of the tokenizer.
    again = models.rewards_of(reward, [PROMPTS[0], PROMPTS[2]], [[50, 51, 2], [70] * 9])[0]
    assert again.item() == pytest.approx(with_eos.item(), abs=1e-5)


def test_transformers_scores_the_same(reward, tmp_path, tokenizer):
    models.save_model(reward, tokenizer, tmp_path / "model")
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model", num_labels=1)
    pad = loaded.config.pad_token_id
    assert pad != tokenizer.eos_token_id
    rows = [p + a for p, a in zip(PROMPTS, ANSWERS, strict=True)]
    width = max(map(len, rows))
    ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    with torch.no_grad():
        theirs = loaded(input_ids=ids, attention_mask=mask).logits[:, 0]
    assert torch.allclose(theirs, models.rewards_of(reward, PROMPTS, ANSWERS), atol=1e-4)
    assert loaded.config.problem_type == "regression"
    assert loaded.config.reward_bias == 0.25


def test_values_are_read_one_token_to_the_left_without_the_bias(reward):
    values = models.answer_values(reward, PROMPTS, ANSWERS)
    hidden = reward.model(input_ids=torch.tensor([PROMPTS[1] + ANSWERS[1]])).last_hidden_state[0]
    expected = reward.score(hidden)[1:6, 0] - 0.25  # the prompt's last token sees the first answer token coming
    assert torch.allclose(values[3:8], expected, atol=1e-5)


def test_fresh_head_is_drawn_by_the_lineages_width(policy_dir, tokenizer):
    model = models.load_reward(policy_dir, tokenizer, CPU, head_seed=3)
    assert model.score.weight.std().item() == pytest.approx(1 / math.sqrt(65), rel=0.3)
    again = models.load_reward(policy_dir, tokenizer, CPU, head_seed=3)
    assert torch.equal(model.score.weight, again.score.weight)
    with pytest.raises(Refused, match="no reward model"):
        models.load_reward(policy_dir, tokenizer, CPU, head_seed=None)


def test_eos_embedding_learns_though_it_is_the_pad_token(policy):
    policy.zero_grad()
    hidden = models.hidden_states(policy, torch.tensor([[2, 5]]), torch.tensor([2]))
    hidden.square().sum().backward()  # no head: only the lookup carries gradient
    assert policy.get_input_embeddings().weight.grad[2].abs().sum() > 0


def test_freezing_leaves_the_top_trainable(policy, reward):
    names = set(models.freeze(policy, 1))
    assert {name.split(".")[1] for name in names} == {"layers", "norm"}
    assert all(".layers.1." in name for name in names if ".layers." in name)
    assert "score.weight" in models.freeze(reward, 1)
    assert len(models.freeze(policy, 0)) == len(list(policy.parameters()))
    with pytest.raises(UsageError, match="2 blocks"):
        models.freeze(policy, 3)


def test_untied_head_is_trained(tokenizer):
    model = LlamaForCausalLM(tiny_config(tokenizer, tie_word_embeddings=False))
    assert "lm_head.weight" in models.freeze(model, 1)


def small_models(tokenizer):
    size = {"vocab_size": 64, "num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2}
    return [
        LlamaForCausalLM(tiny_config(tokenizer)),
        GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=2)),
        GPTNeoXForCausalLM(GPTNeoXConfig(intermediate_size=64, **size)),
        OPTForCausalLM(OPTConfig(ffn_dim=64, word_embed_proj_dim=32, max_position_embeddings=64, **size)),
    ]


def test_residual_dropout_works_on_any_architecture(tokenizer):
    ids, lengths = torch.tensor([[5, 6, 7, 8]]), torch.tensor([4])
    for model in small_models(tokenizer):
        name = type(model).__name__
        for module in model.modules():  # what load_policy does through the config
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
            if isinstance(getattr(module, "dropout", None), float):
                module.dropout = 0.0
        model.train()
        plain = models.hidden_states(model, ids, lengths)
        handles = models.add_residual_dropout(model, 0.2)
        assert len(handles) == 4, name  # two sub-layers in each of two blocks
        dropped = models.hidden_states(model, ids, lengths)
        assert not torch.allclose(plain, dropped, atol=1e-4), name
        model.eval()
        assert torch.allclose(models.hidden_states(model, ids, lengths), plain, atol=1e-5), name


def test_residual_dropout_drops_the_share_and_keeps_the_mean(policy):
    seen = []
    models.add_residual_dropout(policy, 0.2)
    policy.model.layers[0].mlp.register_forward_hook(lambda _m, _i, output: seen.append(output))
    policy.train()
    models.hidden_states(policy, torch.randint(3, 300, (8, 64)), torch.full((8,), 64))
    assert (seen[0] == 0).float().mean().item() == pytest.approx(0.2, abs=0.02)


def test_own_dropout_of_a_model_is_off(tmp_path, tokenizer):
    config = GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=2, eos_token_id=2)
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    model = models.load_policy(str(tmp_path), CPU).train()
    ids, lengths = torch.tensor([[5, 6, 7]]), torch.tensor([3])
    assert torch.equal(models.hidden_states(model, ids, lengths), models.hidden_states(model, ids, lengths))


def test_pickled_weights_are_refused(tmp_path, policy, tokenizer):
    policy.config.save_pretrained(tmp_path)
    torch.save(policy.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(Refused, match="cannot be loaded"):
        models.load_policy(str(tmp_path), CPU)


def test_tokenizers_must_agree(tokenizer):
    other = type(tokenizer)(tokenizer_object=tokenizer.backend_tokenizer, eos_token="<|endoftext|>")
    with pytest.raises(Refused, match="different tokenizers"):
        models.check_same_tokens(tokenizer, other, "a", "b")
