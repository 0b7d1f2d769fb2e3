"""The average of the weights: what it is, that it continues, and that it leaves the network as it was."""

import pytest
import torch
from torch import nn

from engine.averaging import Average
from engine.schedule import cosine_factor, warm_up_factor


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))


def steps(net: nn.Module, average: Average, values) -> None:
    for value in values:
        with torch.no_grad():
            net[0].bias.fill_(value)
            net[1].running_mean.fill_(-value)
            net[1].num_batches_tracked.fill_(int(value))
        average.update()


def test_the_average_follows_the_weights_slowly_and_quicker_in_the_beginning():
    net = network()
    average = Average({'net': net}, decay=0.9)
    start = net[0].bias[0].item()
    steps(net, average, [1.0])
    expected = start + 0.9 * (1 - start)  # of the first step a tenth stays
    assert average.averages['net']['0.bias'][0].item() == pytest.approx(expected)
    steps(net, average, [3.0])
    expected += (1 - 2 / 11) * (3 - expected)
    tensors = average.averages['net']
    assert (
        tensors['0.bias'][0].item() == pytest.approx(expected)
        and tensors['1.num_batches_tracked'].item() == 3
    )
    steps(net, average, [3.0] * 300)
    steps(net, average, [13.0])
    assert tensors['0.bias'][0].item() == pytest.approx(4.0, abs=1e-4)
    assert tensors['1.running_mean'][0].item() == pytest.approx(-4.0, abs=1e-4)


def test_a_network_is_lent_to_its_average_and_given_back():
    net = network()
    average = Average({'net': net}, decay=0.5)
    steps(net, average, [5.0])
    mean = average.averages['net']['0.bias'][0].item()
    with pytest.raises(RuntimeError), average.in_place('net') as lent:
        assert lent is net and net[0].bias[0].item() == mean != 5
        raise RuntimeError
    assert net[0].bias[0].item() == 5 and average.averages['net']['0.bias'][0].item() == mean


def test_an_average_continues_where_it_was_saved():
    net = network()
    first = Average({'net': net}, decay=0.9)
    steps(net, first, [1.0, 2.0])
    state = {
        'steps': first.steps,
        'averages': {'net': {key: x.clone() for key, x in first.averages['net'].items()}},
    }
    second = Average({'net': net}, decay=0.9)
    second.load_state_dict(state)
    steps(net, first, [3.0])
    net[0].bias.data.fill_(3.0)
    second.update()
    assert torch.equal(first.averages['net']['0.bias'], second.averages['net']['0.bias'])


def test_the_cosine_falls_from_one_to_nothing_and_the_warm_up_rises_to_one():
    factors = [cosine_factor(finished, niter=1, niter_decay=2) for finished in (0, 1, 1.5, 2, 3, 4)]
    assert factors == pytest.approx([1, 1, 0.853553, 0.5, 0, 0], abs=1e-6)
    assert cosine_factor(7, niter=3, niter_decay=0) == 1
    assert [warm_up_factor(step, 4) for step in (0, 1, 3, 9)] == [0.25, 0.5, 1, 1] and warm_up_factor(
        0, 0
    ) == 1
