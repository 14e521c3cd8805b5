import errno

import pytest
import torch
from torch import nn

from training import checkpoints


def small():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    return model, dict(model.named_parameters()), optimizer


def one_step(model, optimizer):
    optimizer.zero_grad()
    model(torch.ones(1, 3)).square().sum().backward()
    optimizer.step()


def test_training_goes_on_from_a_checkpoint_bit_for_bit(tmp_path):
    model, parameters, optimizer = small()
    one_step(model, optimizer)
    checkpoints.save(
        tmp_path, step=1, tensors=checkpoints.pack("p", parameters, optimizer), state={"loss": float("nan")}
    )
    one_step(model, optimizer)

    other, other_parameters, other_optimizer = small()
    tensors, state = checkpoints.load_newest(tmp_path)
    checkpoints.unpack("p", tensors, other_parameters, other_optimizer)
    one_step(other, other_optimizer)
    assert state == {"step": 1, "loss": None}
    assert all(torch.equal(parameters[name], other_parameters[name]) for name in parameters)


def test_random_states_come_back():
    states = checkpoints.random_states()
    first = torch.rand(3)
    checkpoints.restore_random_states(states)
    assert torch.equal(torch.rand(3), first)


def test_only_the_newest_are_kept_and_nothing_is_pickled(tmp_path):
    for step in (2, 10, 9):
        checkpoints.save(tmp_path, step=step, tensors={"a": torch.ones(1)}, state={})
    assert checkpoints.steps(tmp_path) == [9, 10]
    assert {path.name for path in (tmp_path / "step-10").iterdir()} == {"tensors.safetensors", "state.json"}


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path, monkeypatch):
    checkpoints.save(tmp_path, step=1, tensors={"a": torch.ones(1)}, state={})

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints, "write_atomic", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(tmp_path, step=2, tensors={"a": torch.zeros(1)}, state={})
    monkeypatch.undo()
    assert checkpoints.steps(tmp_path) == [1]
    assert checkpoints.load_newest(tmp_path)[0]["a"].item() == 1
    assert [path.name for path in tmp_path.iterdir()] == ["step-1"]


def test_average_follows_the_weights_from_where_they_began():
    model, parameters, _ = small()
    with torch.no_grad():
        model.bias.fill_(1.0)
    average = checkpoints.MovingAverage(parameters, 0.9)
    with torch.no_grad():
        model.bias.fill_(2.0)
    average.update()
    average.update()
    assert average.average["bias"].tolist() == pytest.approx([2 - 0.81] * 2)  # not 2 · .81 from the wrong side
    average.swap()
    assert model.bias.tolist() == pytest.approx([1.19] * 2)
    average.swap()
    assert model.bias.tolist() == [2.0, 2.0]


def test_average_without_decay_is_the_weights():
    model, parameters, _ = small()
    average = checkpoints.MovingAverage(parameters, 0.0)
    with torch.no_grad():
        model.bias.fill_(0.3)
    average.update()
    assert torch.equal(average.average["bias"], model.bias)
