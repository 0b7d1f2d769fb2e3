"""The cost volume in PyTorch against a slow, obvious version and the reference numbers."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from models.ops.correlation import correlation
from models.ops.correlation_torch import TILE_HEIGHT, TILE_WIDTH

# Around the tile size, smaller than the 7 x 7 window, one tile and many, and a batch.
SHAPES = (
    (1, 1, 1, 1),
    (2, 3, 1, 23),
    (1, 2, 19, 1),
    (1, 5, TILE_HEIGHT, TILE_WIDTH),
    (3, 2, TILE_HEIGHT + 1, TILE_WIDTH - 1),
    (2, 7, 2 * TILE_HEIGHT - 1, 2 * TILE_WIDTH + 1),
    (1, 16, 8, 6),
    (1, 4, 21, 34),
)


def slow_correlation(first, second):
    height, width = first.shape[2:]
    padded = F.pad(second, (3, 3, 3, 3))
    shifted = [padded[:, :, dy : dy + height, dx : dx + width] for dy in range(7) for dx in range(7)]
    return torch.stack([(first * neighbour).mean(dim=1) for neighbour in shifted], dim=1)


def make_inputs(shape, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    make = lambda *size: torch.randn(*size, generator=generator, dtype=torch.float64).to(dtype)  # noqa: E731
    first, second = make(*shape).requires_grad_(), make(*shape).requires_grad_()
    return first, second, make(shape[0], 49, *shape[2:])


def volume_and_gradients(function, first, second, cotangent):
    volume = function(first, second)
    return volume.detach(), *torch.autograd.grad(volume, (first, second), cotangent)


def assert_all_close(got, expected, **tolerance):
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one.double(), other.double(), **tolerance)


@pytest.mark.parametrize('shape', SHAPES, ids=str)
def test_volume_and_gradients_equal_those_of_the_slow_version(shape):
    inputs = make_inputs(shape)
    expected = volume_and_gradients(slow_correlation, *inputs)
    assert_all_close(volume_and_gradients(correlation, *inputs), expected, rtol=1e-12, atol=1e-12)


def test_volume_and_gradients_equal_the_reference_numbers(forward_numbers):
    names = ('first', 'second', 'cotangent', 'out', 'grad_first', 'grad_second')
    first, second, cotangent, *expected = (
        torch.from_numpy(forward_numbers[f'correlation.{name}']) for name in names
    )
    got = volume_and_gradients(correlation, first.requires_grad_(), second.requires_grad_(), cotangent)
    assert_all_close(got, expected, rtol=1e-12, atol=1e-12)


def test_a_channel_shows_the_displacement_it_is_named_after():
    first, second = torch.zeros(1, 2, 9, 9), torch.zeros(1, 2, 9, 9)
    first[0, :, 4, 4] = 1
    second[0, :, 4 - 2, 4 + 3] = torch.tensor([2.0, 4.0])
    volume = correlation(first, second)
    assert volume[0, 7 * (-2 + 3) + (3 + 3), 4, 4] == 3
    assert volume.count_nonzero() == 1


def test_gradients_equal_finite_differences():
    first, second, _ = make_inputs((1, 1, 2, 5))
    assert gradcheck(correlation, (first, second))


def test_second_gradients_equal_finite_differences():
    first, second, _ = make_inputs((1, 1, 2, 3))
    assert gradgradcheck(correlation, (first, second))


def test_only_the_gradient_that_is_needed_is_computed():
    first, second, cotangent = make_inputs((1, 3, 5, 6))
    _, expected_first, expected_second = volume_and_gradients(slow_correlation, first, second, cotangent)
    (got,) = torch.autograd.grad(correlation(first, second.detach()), first, cotangent)
    torch.testing.assert_close(got, expected_first)
    (got,) = torch.autograd.grad(correlation(first.detach(), second), second, cotangent)
    torch.testing.assert_close(got, expected_second)


def test_the_backward_pass_keeps_only_the_two_inputs():
    first, second, _ = make_inputs((2, 3, 9, 17))
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor
    ):
        correlation(first, second)
    assert [tensor.data_ptr() for tensor in kept] == [first.data_ptr(), second.data_ptr()]


# Rounding the result is the only rounding there is: half a unit in the last of 11 or 8 bits, relative.
@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float16, 2**-11), (torch.bfloat16, 2**-8)], ids=str)
def test_16_bit_inputs_are_accumulated_in_float32(dtype, tolerance):
    inputs = make_inputs((2, 64, 9, 11), dtype)
    got = volume_and_gradients(correlation, *inputs)
    assert all(tensor.dtype == dtype for tensor in got)
    exact = [tensor.detach().double() for tensor in inputs]
    expected = volume_and_gradients(
        slow_correlation, exact[0].requires_grad_(), exact[1].requires_grad_(), exact[2]
    )
    assert_all_close(got, expected, rtol=tolerance, atol=1e-6)


def test_float32_stays_within_its_own_rounding():
    inputs = make_inputs((1, 64, 9, 11), torch.float32)
    got = volume_and_gradients(correlation, *inputs)
    assert all(tensor.dtype == torch.float32 for tensor in got)
    exact = [tensor.detach().double() for tensor in inputs]
    expected = volume_and_gradients(
        slow_correlation, exact[0].requires_grad_(), exact[1].requires_grad_(), exact[2]
    )
    assert_all_close(got, expected, rtol=1e-5, atol=1e-6)


def test_the_sum_over_channels_may_exceed_what_float16_can_hold():
    large = torch.full((1, 64, 3, 3), 100.0, dtype=torch.float16)
    assert correlation(large, large)[0, 24, 1, 1] == 10_000


@pytest.mark.parametrize('count', [1, 2])
def test_channels_last_inputs_give_the_same_numbers(count):
    first, second, cotangent = make_inputs((count, 5, 9, 18))
    expected = volume_and_gradients(slow_correlation, first, second, cotangent)
    turned = [
        tensor.detach().contiguous(memory_format=torch.channels_last).requires_grad_(tensor.requires_grad)
        for tensor in (first, second, cotangent)
    ]
    assert_all_close(volume_and_gradients(correlation, *turned), expected, rtol=1e-12, atol=1e-12)


def test_inputs_that_are_views_give_the_same_numbers():
    first, second, _ = make_inputs((2, 6, 9, 18))
    cut = [tensor.detach()[:, ::2, 1:, 3:].flip(3) for tensor in (first, second)]
    torch.testing.assert_close(correlation(*cut), slow_correlation(*cut))


def test_autocast_leaves_the_inputs_as_they_come():
    first, second, cotangent = make_inputs((1, 16, 9, 11), torch.float32)
    expected = volume_and_gradients(correlation, first, second, cotangent)
    with torch.autocast('cpu', torch.bfloat16):
        got = volume_and_gradients(correlation, first, second, cotangent)
    assert_all_close(got, expected, rtol=0, atol=0)


def test_meta_tensors_get_a_shape():
    image = torch.empty(2, 5, 9, 40, device='meta', requires_grad=True)
    volume = correlation(image, image)
    volume.sum().backward()
    assert volume.shape == (2, 49, 9, 40) and image.grad.shape == image.shape


class CostVolume(torch.nn.Module):
    """As in a network: what is compared depends on parameters, which want gradients."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, first, second):
        return correlation(first * self.scale, second, impl='torch')


@pytest.mark.parametrize('strict', [False, True], ids=['traced', 'strict'])
def test_an_exported_program_has_plain_operators_and_any_batch_size(strict):
    batch = torch.export.Dim('batch', min=1, max=1024)
    example = tuple(tensor.detach() for tensor in make_inputs((3, 4, 8, 12), torch.float32)[:2])
    program = torch.export.export(
        CostVolume(), example, dynamic_shapes=({0: batch}, {0: batch}), strict=strict
    )
    names = {str(node.target) for node in program.graph.nodes if node.op == 'call_function'}
    assert all(name.startswith('aten.') for name in names if '<built-in' not in name)
    assert not any('as_strided' in name for name in names)
    other = tuple(tensor.detach() for tensor in make_inputs((1, 4, 8, 12), torch.float32, seed=1)[:2])
    torch.testing.assert_close(program.module()(*other), slow_correlation(*other))


def test_it_compiles_into_one_graph_forward_and_backward():
    inputs = make_inputs((1, 4, 8, 12))
    compiled = torch.compile(
        lambda first, second: correlation(first, second), fullgraph=True, backend='aot_eager'
    )
    expected = volume_and_gradients(slow_correlation, *inputs)
    assert_all_close(volume_and_gradients(compiled, *inputs), expected, rtol=1e-12, atol=1e-12)


def test_an_unknown_implementation_is_refused_with_the_list_of_those_there_are():
    image = torch.zeros(1, 1, 2, 2)
    with pytest.raises(ValueError, match="'cupy'.*auto, cuda, torch"):
        correlation(image, image, impl='cupy')


@pytest.mark.parametrize(
    ('first', 'second', 'message'),
    [
        (torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 5), r'\[1, 2, 4, 4\].*\[1, 2, 4, 5\]'),
        (torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4).half(), r'float32.*float16'),
        (torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4, device='meta'), r'cpu.*meta'),
        (torch.zeros(2, 4, 4), torch.zeros(2, 4, 4), r'\[N, C, H, W\].*\[2, 4, 4\]'),
        (torch.zeros(1, 2, 4, 4).int(), torch.zeros(1, 2, 4, 4).int(), r'floating.*int32'),
        (torch.zeros(1, 0, 4, 4), torch.zeros(1, 0, 4, 4), r'at least one element.*\[1, 0, 4, 4\]'),
    ],
    ids=['shape', 'dtype', 'device', 'rank', 'integers', 'empty'],
)
def test_inputs_that_do_not_fit_are_refused_with_expected_and_got(first, second, message):
    with pytest.raises(ValueError, match=message):
        correlation(first, second)
