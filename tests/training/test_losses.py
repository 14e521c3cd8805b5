"""Numbers worked out by hand in float64, and slow references."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from training.losses import (
    adapted_beta,
    cosine_rate,
    gae,
    kl_penalised_rewards,
    kwise_loss,
    policy_loss_sum,
    value_loss_sum,
    warmup_rate,
    whiten,
)


def f64(*values):
    return torch.tensor(values, dtype=torch.float64)


def log_sigmoid(x: float) -> float:
    return -math.log(1 + math.exp(-x))


def test_kwise_loss_by_hand():
    # r = 2, 1, 0 ranked as they are: margins 1, 2, 1.
    expected = -(log_sigmoid(1) + log_sigmoid(2) + log_sigmoid(1)) / 3
    assert kwise_loss(f64(2, 1, 0), torch.tensor([1, 2, 3])).item() == pytest.approx(expected, abs=1e-14)
    assert expected == pytest.approx(0.2511505, abs=1e-6)


def test_kwise_loss_falls_as_the_better_one_gains():
    ranks = torch.tensor([2, 1])
    assert kwise_loss(f64(0.0, 3.0), ranks) < kwise_loss(f64(0.0, 1.0), ranks) < kwise_loss(f64(1.0, 0.0), ranks)


def test_tied_pairs_leave_loss_and_divisor():
    rewards = f64(0.3, -1.2, 0.8, 2.0)  # ranks 1, 2, 2, 3: five pairs count, not six
    pairs = [(0, 1), (0, 2), (0, 3), (1, 3), (2, 3)]
    expected = -sum(log_sigmoid((rewards[a] - rewards[b]).item()) for a, b in pairs) / 5
    assert kwise_loss(rewards, torch.tensor([1, 2, 2, 3])).item() == pytest.approx(expected, abs=1e-14)


def test_kwise_loss_refuses_a_prompt_that_is_all_tied():
    with pytest.raises(ValueError, match="tied"):
        kwise_loss(f64(1, 2), torch.tensor([1, 1]))


def test_kwise_loss_equals_all_pairs_forwarded_one_by_one():
    torch.manual_seed(0)
    rewards, ranks = torch.randn(9, dtype=torch.float64), torch.randint(1, 6, (9,))
    slow = [-log_sigmoid((rewards[i] - rewards[j]).item()) for i in range(9) for j in range(9) if ranks[i] < ranks[j]]
    assert kwise_loss(rewards, ranks).item() == pytest.approx(sum(slow) / len(slow), abs=1e-13)


def test_kwise_gradient_by_hand_and_by_finite_differences():
    rewards = f64(0.5, -0.5).requires_grad_()
    kwise_loss(rewards, torch.tensor([1, 2])).backward()
    push = 1 / (1 + math.exp(1.0))  # σ(−margin)
    assert rewards.grad.tolist() == pytest.approx([-push, push], abs=1e-14)
    ranks = torch.tensor([2, 1, 2, 3])
    assert gradcheck(lambda r: kwise_loss(r, ranks), (torch.randn(4, dtype=torch.float64, requires_grad=True),))


def test_score_falls_on_the_last_real_token_and_kl_costs():
    logprobs = f64([-1.0, -2.0, -3.0], [-1.0, -9.0, -9.0])
    reference = f64([-1.5, -2.0, -2.0], [-3.0, -9.0, -1.0])
    rewards = kl_penalised_rewards(f64(5.0, 7.0), logprobs, reference, torch.tensor([3, 1]), beta=0.1)
    assert rewards.tolist() == [
        pytest.approx([-0.05, 0.0, 5.0 + 0.1]),  # more likely than the reference is paid for, less likely is refunded
        pytest.approx([7.0 - 0.2, 0.0, 0.0]),  # nothing after the end
    ]


def test_kl_penalty_carries_no_gradient():
    logprobs = f64([-1.0, -2.0]).requires_grad_()
    rewards = kl_penalised_rewards(f64(1.0), logprobs, f64([-1.0, -1.0]), torch.tensor([2]), beta=0.5)
    assert not rewards.requires_grad


@pytest.mark.parametrize(("discount", "lam"), [(1.0, 0.95), (0.9, 0.5), (1.0, 1.0), (1.0, 0.0)])
def test_gae_equals_its_definition(discount, lam):
    torch.manual_seed(1)
    rewards, values = torch.randn(5, 7, dtype=torch.float64), torch.randn(5, 7, dtype=torch.float64)
    lengths = torch.tensor([7, 1, 4, 6, 2])  # what is behind them must not leak in
    advantages, returns = gae(rewards, values, lengths, discount=discount, lam=lam)
    for row, length in enumerate(lengths.tolist()):
        for t in range(7):
            expected = 0.0
            for k in range(t, length):
                following = values[row, k + 1].item() if k + 1 < length else 0.0
                delta = rewards[row, k].item() + discount * following - values[row, k].item()
                expected += (discount * lam) ** (k - t) * delta
            assert advantages[row, t].item() == pytest.approx(expected, abs=1e-12)
            value = values[row, t].item() if t < length else 0.0
            assert returns[row, t].item() == pytest.approx(expected + value, abs=1e-12)


def test_gae_by_hand():
    # δ = 0 + 2 − 1, 4 + 0 − 2 = 1, 2; A = 1 + .5 · 2, 2
    advantages, returns = gae(f64([0.0, 4.0]), f64([1.0, 2.0]), torch.tensor([2]), discount=1.0, lam=0.5)
    assert advantages.tolist() == [[2.0, 2.0]]
    assert returns.tolist() == [[3.0, 4.0]]


def test_whitening_ignores_padding():
    values = f64([1.0, 3.0, 1000.0], [5.0, -1000.0, 1000.0])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    white = whiten(values, mask)
    assert white[mask].mean().item() == pytest.approx(0, abs=1e-9)
    assert white[mask].std(correction=0).item() == pytest.approx(1, abs=1e-6)
    assert not white[~mask].any()
    assert whiten(values, mask, shift_mean=False)[mask].mean().item() == pytest.approx(3.0, abs=1e-6)


def test_policy_loss_by_hand():
    old = f64([0.0, 0.0, 0.0, 0.0, 0.0])
    logprobs = f64([math.log(1.5), math.log(1.5), math.log(0.5), math.log(0.5), 3.0])
    advantages, mask = f64([1.0, -1.0, 1.0, -1.0, 99.0]), torch.tensor([[True, True, True, True, False]])
    loss, ratio, clipped = policy_loss_sum(logprobs, old, advantages, mask, 0.2)
    # min(1.5, 1.2), min(−1.5, −1.2), min(.5, .8), min(−.5, −.8); what is masked counts nothing
    assert loss.item() == pytest.approx(-(1.2 - 1.5 + 0.5 - 0.8), abs=1e-12)
    assert ratio.tolist() == [pytest.approx([1.5, 1.5, 0.5, 0.5, 1.0])]
    assert clipped.item() == 2


def test_policy_gradient_at_ratio_one_is_advantage_times_score_function():
    logprobs = f64([-1.0, -2.0]).requires_grad_()
    mask = torch.ones(1, 2, dtype=torch.bool)
    loss, _, _ = policy_loss_sum(logprobs, logprobs.detach(), f64([3.0, -4.0]), mask, 0.2)
    loss.backward()
    assert logprobs.grad.tolist() == [pytest.approx([-3.0, 4.0])]


def test_value_loss_by_hand():
    values, old, returns = f64([1.0, 0.0]), f64([0.0, 0.0]), f64([2.0, 5.0])
    mask = torch.tensor([[True, False]])
    # clipped to .2: ½ max((1 − 2)², (.2 − 2)²)
    assert value_loss_sum(values, old, returns, mask, 0.2).item() == pytest.approx(0.5 * 1.8**2)
    assert value_loss_sum(values, old, returns, mask, 9.0).item() == pytest.approx(0.5)


def test_value_gradient_ends_where_the_clip_holds():
    values = f64([1.0]).requires_grad_()
    mask = torch.ones(1, dtype=torch.bool)
    value_loss_sum(values, f64([0.0]), f64([2.0]), mask, 0.2).backward()
    assert values.grad.item() == 0
    assert gradcheck(lambda v: value_loss_sum(v, f64([0.0]), f64([2.0]), mask, 0.2), (f64([0.1]).requires_grad_(),))


def test_cosine_falls_from_the_peak_to_a_tenth():
    rates = [cosine_rate(2.0, step, 11, floor=0.1) for step in range(11)]
    assert rates[0] == 2.0
    assert rates[5] == pytest.approx(1.1)
    assert rates[-1] == pytest.approx(0.2)
    assert rates == sorted(rates, reverse=True)
    assert cosine_rate(2.0, 0, 1, floor=0.1) == 2.0


def test_warmup_rises_from_a_tenth_and_stays():
    assert [warmup_rate(1.0, i, warmup=10) for i in (0, 5, 10, 400)] == pytest.approx([0.1, 0.55, 1.0, 1.0])
    assert warmup_rate(1.0, 0, warmup=0) == 1.0


def test_beta_follows_the_kl_by_at_most_a_fifth_of_its_gain():
    # 6 nats for 5 are 20 % too many: the most that counts. 5.5 are 10 %, 4.9 are −2 %.
    assert adapted_beta(0.1, 6.0, target=5.0, gain=0.1) == pytest.approx(0.1 * 1.02)
    assert adapted_beta(0.1, 60.0, target=5.0, gain=0.1) == pytest.approx(0.1 * 1.02)
    assert adapted_beta(0.1, 5.5, target=5.0, gain=0.1) == pytest.approx(0.1 * 1.01)
    assert adapted_beta(0.1, 4.9, target=5.0, gain=0.5) == pytest.approx(0.1 * 0.99)
    assert adapted_beta(0.1, 0.0, target=5.0, gain=0.1) == pytest.approx(0.1 * 0.98)
