"""Folded networks compute what they did before."""

import pytest
import torch
from torch import nn

from engine.profiling import multiply_adds
from models import create_generator, create_warp
from models.registry import GENERATOR_CHANNELS, GENERATORS, WARPS
from models.warp_modules.style_afwm import STYLE_CHANNELS, ModulatedConv
from runtime.fold import ConstantModulatedConv, folded, replace


def filled(network, weights):
    network.load_state_dict(weights.fill(network.state_dict(), 11))
    return network.eval()


# style_afwm takes 256 x 192 only, which is slow in float64: its own folding is tested by itself below
@pytest.mark.parametrize('name', [name for name in WARPS if name != 'style_afwm'])
def test_a_folded_warp_network_gives_the_same_flow(name, weights):
    network = filled(create_warp(name, 'student'), weights).double()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    arguments = weights.image(1, 3, size=(64, 96)), weights.image(2, 3, size=(64, 96))
    quick = folded(network)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    with torch.no_grad():
        got, expected = (net(*(x.double() for x in arguments)) for net in (quick, network))
    torch.testing.assert_close(got.flow, expected.flow, rtol=0, atol=1e-7)


def test_a_constant_modulated_conv_equals_the_modulated_one():
    torch.manual_seed(0)
    modulated = ModulatedConv(6, 5).double().requires_grad_(False)
    modulated.bias.normal_()
    x, style = (
        torch.randn(3, 6, 7, 8, dtype=torch.float64),
        torch.randn(3, STYLE_CHANNELS, dtype=torch.float64),
    )
    torch.testing.assert_close(
        ConstantModulatedConv(modulated)(x, style), modulated(x, style), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize('name', GENERATORS)
def test_a_folded_generator_gives_the_same_output(name, weights):
    network = filled(create_generator(name, 'student'), weights)
    x = weights.image(1, GENERATOR_CHANNELS['student'], size=(64, 96))
    with torch.no_grad():
        torch.testing.assert_close(folded(network)(x), network(x), rtol=0, atol=1e-4)


@pytest.mark.parametrize('name', [*WARPS, *GENERATORS])
def test_no_norm_is_left_that_could_go_into_a_convolution(name):
    network = folded((create_warp if name in WARPS else create_generator)(name, 'student'))
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            for first, second in zip(module[:-1], module[1:], strict=True):
                assert not (isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d))
        assert not hasattr(module, 'weight_u')
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_folding_keeps_the_shared_conv_shared_and_adds_no_arithmetic():
    network = create_warp('mobile_afwm', 'student').eval()
    fold = folded(network)
    assert len({id(conv) for conv in fold.image_mobile.smooth_layers}) == 1
    x = torch.zeros(1, 3, 64, 64)
    assert multiply_adds(fold, x, x) == multiply_adds(network, x, x)


def test_a_module_under_two_names_is_replaced_by_one():
    conv = nn.Conv2d(1, 1, 1)
    network = nn.ModuleDict({'a': conv, 'b': nn.Sequential(conv, nn.ReLU())})
    replace(network, nn.Conv2d, lambda conv: nn.Sequential(conv))
    assert network['a'] is network['b'][0] and network['a'][0] is conv
