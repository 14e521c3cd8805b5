"""One packed row gives what each sequence alone gives; the four ways to compute the reward model's loss agree."""

import pytest
import torch
from torch.nn import functional as F
from transformers import DynamicCache, LlamaForCausalLM

from tests.training.conftest import tiny_config
from tests.training.test_models import small_models
from training import data, models, packing, rm
from training.losses import better_pairs, kwise_loss

CPU = torch.device("cpu")
PROMPTS = [[1, 5, 9, 30, 31, 32, 33], [1, 7, 8]]
RANKINGS = [
    data.Ranking("a", "", "", PROMPTS[0], [[50, 51, 2], [60, 61, 62, 63, 2], [2], [9] * 11 + [2]], [2, 1, 2, 3]),
    data.Ranking("b", "", "", PROMPTS[1], [[70, 2], [71, 72, 73, 2]], [1, 2]),
    data.Ranking("c", "", "", PROMPTS[0], [[80, 81, 2], [82, 2], [83, 84, 85, 86, 2]], [1, 2, 3]),
]


@pytest.fixture
def model(policy_dir, tokenizer):
    return models.load_reward(policy_dir, tokenizer, CPU, head_seed=0)


def pair_by_pair(model):
    """Each completion alone, again for each pair it is in."""
    total = 0.0
    for ranking in RANKINGS:
        pairs = better_pairs(ranking.ranks)
        for better, worse in pairs:
            rewards = []
            for index in (better, worse):
                ids = torch.tensor([ranking.prompt + ranking.answers[index]])
                rewards.append(model.score(model.model(input_ids=ids, use_cache=False).last_hidden_state[0, -1]))
            total = total - F.logsigmoid(rewards[0] - rewards[1]).sum() / len(pairs)
    return total / len(RANKINGS)


def padded(model):
    """K-wise: one padded row for each completion."""
    model.kwise_packs = False
    rewards = rm.forward(model, RANKINGS)
    model.kwise_packs = True
    split = rewards.split([len(ranking.answers) for ranking in RANKINGS])
    return sum(
        kwise_loss(own, torch.tensor(ranking.ranks)) for own, ranking in zip(split, RANKINGS, strict=True)
    ) / len(RANKINGS)


def cached(model):
    """The prompt once, its keys and values kept in the graph and repeated for each completion."""
    total = 0.0
    for ranking in RANKINGS:
        cache, count, width = DynamicCache(), len(ranking.answers), len(ranking.prompt)
        model.model(input_ids=torch.tensor([ranking.prompt]), past_key_values=cache, use_cache=True)
        cache.batch_repeat_interleave(count)
        ids, lengths = models.pad_rows(ranking.answers, CPU)
        mask = torch.cat([torch.ones(count, width), torch.arange(ids.shape[1]) < lengths[:, None]], 1).long()
        positions = torch.arange(width, width + ids.shape[1])[None].expand(count, -1)
        states = model.model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
        ).last_hidden_state
        rewards = model.score(states[torch.arange(count), lengths - 1])[:, 0]
        total = total + kwise_loss(rewards, torch.tensor(ranking.ranks))
    return total / len(RANKINGS)


def packed(model):
    rewards = rm.forward(model, RANKINGS)
    split = rewards.split([len(ranking.answers) for ranking in RANKINGS])
    return sum(
        kwise_loss(own, torch.tensor(ranking.ranks)) for own, ranking in zip(split, RANKINGS, strict=True)
    ) / len(RANKINGS)


def test_four_ways_to_the_reward_models_loss_agree(model):
    assert model.kwise_packs
    losses, gradients = [], []
    for way in (pair_by_pair, padded, cached, packed):
        model.zero_grad()
        loss = way(model)
        loss.backward()
        losses.append(loss.item())
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    model.zero_grad()
    losses.append(rm.accumulate(model, RANKINGS, rows=64)[0])  # the trainer's own
    gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    assert losses == pytest.approx([losses[0]] * 5, abs=1e-5)
    for other in gradients[1:]:
        for a, b in zip(gradients[0], other, strict=True):
            assert (a - b).norm() <= 1e-4 * a.norm() + 1e-7


def test_a_prompt_is_there_once():
    prompts = [ranking.prompt for ranking in RANKINGS for _ in ranking.answers]
    answers = [answer for ranking in RANKINGS for answer in ranking.answers]
    row = packing.pack(prompts, answers, CPU)
    assert row.ids.shape[1] == sum(map(len, PROMPTS)) + sum(map(len, answers))  # a and c ask the same
    assert row.targets.tolist() == [token for answer in answers for token in answer]
    assert row.ids[0, row.last].tolist() == [answer[-1] for answer in answers]
    assert row.before[0] == len(PROMPTS[0]) - 1


def test_packed_sequences_do_not_see_each_other(model):
    """Another neighbour, in the row and under the same prompt, changes nothing, not even the last bit of a gradient."""

    def reward(answers, prompts):
        return models.rewards_of(model, prompts, answers)[0]

    one = reward([[50, 51, 2], [60, 61, 2], [70, 2]], [PROMPTS[0], PROMPTS[0], PROMPTS[1]])
    two = reward([[50, 51, 2], [99, 98, 2], [97, 2]], [PROMPTS[0], PROMPTS[0], PROMPTS[1]])
    assert one.item() == pytest.approx(two.item(), abs=1e-6)
    embedding = model.get_input_embeddings().weight
    (grad,) = torch.autograd.grad(two, embedding)
    assert not grad[[97, 98, 99]].any()
    assert grad[[50, 51]].any(dim=1).all()


def test_log_probs_and_values_packed_are_those_of_padded_rows(policy_dir, reward_dir, tokenizer):
    prompts, answers = [PROMPTS[0], PROMPTS[1], PROMPTS[0]], [[50, 51, 2], [60, 2], [70, 71, 72, 73, 2]]
    policy = models.load_policy(policy_dir, CPU)
    value = models.load_reward(reward_dir, tokenizer, CPU, head_seed=None)
    for model, compute in (
        (policy, lambda m: models.answer_logprobs(m, prompts, answers)[0]),
        (value, lambda m: models.answer_values(m, prompts, answers)),
    ):
        assert model.kwise_packs
        one = compute(model)
        model.kwise_packs = False
        assert torch.allclose(one, compute(model), atol=1e-5)


def test_activation_checkpointing_leaves_a_packed_gradient_as_it_is(model):
    gradients = []
    for checkpointed in (False, True):
        if checkpointed:
            model.gradient_checkpointing_enable({"use_reentrant": False})
            model.train()
        model.zero_grad()
        rm.accumulate(model, RANKINGS, rows=64)
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*gradients, strict=True))


def test_any_architecture_packs_or_is_left_alone(tokenizer):
    for model in small_models(tokenizer):
        if packing.let_pack(model.eval()):
            continue  # it was compared with each sequence alone
        assert model.config._attn_implementation != packing.PACKED, type(model).__name__
    assert packing.let_pack(small_models(tokenizer)[0].eval())
    windowed = LlamaForCausalLM(tiny_config(tokenizer)).eval()
    windowed.config.sliding_window = 4
    assert not packing.let_pack(windowed)


def test_a_saved_model_does_not_name_our_attention(model, tmp_path, tokenizer):
    models.save_model(model, tokenizer, tmp_path / "model")
    assert packing.PACKED not in (tmp_path / "model" / "config.json").read_text()


def test_a_token_budget_divides_rankings_into_groups_of_that_size():
    assert list(rm.groups_of(RANKINGS, rows=1, tokens=1)) == [[0], [2], [1]]  # longest first, none divided
    assert list(rm.groups_of(RANKINGS, rows=1, tokens=28 + 17)) == [[0, 2], [1]]
    assert list(rm.groups_of(RANKINGS, rows=100)) == [[0, 2, 1]]
