"""C-VTON against the reference numbers, in float64 and float32: matcher, generator, and the whole."""

import numpy as np
import pytest
import torch

from models.baselines.cvton import CVTON, correlate
from models.ops.flow import sample

SEED = 11
NORMS_AND_CONVS = ('norm_0', 'norm_1', 'norm_s', 'conv_0', 'conv_1', 'conv_s')


@pytest.fixture(scope='module')
def network(rules):
    network = CVTON()
    network.load_state_dict(rules.fill_cvton(network.state_dict(), SEED))
    return network.eval()


@pytest.fixture(scope='module')
def given(rules, weights):
    return {
        'agnostic': weights.image(12, 3),
        'cloth': weights.image(13, 3),
        'parts': rules.one_hot(rules.densepose_ids(15)),
    }


def cast(tensors, dtype):
    return {name: tensor.to(dtype) for name, tensor in tensors.items()}


def inner_names(network):
    names = [f'body.{i}{end}' for i in range(6) for end in ('', *(f'.{part}' for part in NORMS_AND_CONVS))]
    present = {name for name, _ in network.oasis.named_modules()}
    return ['fc', 'conv_img', *(name for name in names if name in present)]


def test_the_random_streams_are_those_of_the_reference(network, rules, weights, numbers):
    ids = rules.densepose_ids(15)[0, 0]
    np.testing.assert_array_equal(ids[::4, ::4].numpy(), numbers['input.ids'])
    first, second = weights.image(12, 3)[0, :, ::32, ::32], weights.image(16, 9)[0, :, ::64, ::64]
    np.testing.assert_array_equal(
        torch.cat([first.flatten(), second.flatten()]).numpy(), numbers['input.canary']
    )
    state = rules.fill_cvton(network.state_dict(), SEED)
    canary = [
        state['bpgm.extractionB.model.0.weight'].flatten()[:48],
        state['oasis.body.5.conv_s.weight_u'],
        state['oasis.body.0.norm_0.first_norm.running_var'][:8],
    ]
    np.testing.assert_array_equal(torch.cat(canary).numpy(), numbers['weights.canary'])


def test_names_and_shapes_are_the_published_ones(published_shapes):
    network = CVTON()
    for name, module in (('cvton', network), ('cvton.bpgm', network.bpgm), ('cvton.oasis', network.oasis)):
        assert {key: list(value.shape) for key, value in module.state_dict().items()} == published_shapes[
            name
        ], name


def test_spectral_norms_use_the_stored_vectors_as_they_are(network, given, numbers):
    network.double()
    network(**cast(given, torch.float64))  # sets the weights
    sigmas = []
    for block in network.oasis.body:
        for name in ('conv_0', 'conv_1', 'conv_s'):
            if hasattr(block, name):
                conv = getattr(block, name)
                sigmas.append(
                    (conv.weight_orig.flatten() @ conv.weight.flatten() / conv.weight.square().sum()).item()
                )
    np.testing.assert_allclose(sigmas, numbers['weights.sigma'], rtol=1e-12)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_the_matcher_computes_the_published_warp(dtype, network, given, numbers, outputs_of):
    matcher, tensors = network.to(dtype).bpgm, cast(given, dtype)
    names = [
        'extractionA',
        'extractionB',
        'extractionA.model',
        'extractionB.model',
        'regression',
        'regression.conv',
    ]
    out = outputs_of(matcher, names)
    with torch.no_grad():
        grid = matcher(tensors['parts'], tensors['cloth'])
    warped = sample(tensors['cloth'], grid, align_corners=True)
    correlation = correlate(out['extractionA'], out['extractionB'])
    numbers.check('bpgm.cond_feat', out['extractionA'], channels=8)
    numbers.check('bpgm.cloth_feat', out['extractionB'], channels=8)
    numbers.check('bpgm.correlation', correlation)
    numbers.check('bpgm.theta', out['regression'], every=1)
    numbers.check('bpgm.grid', grid)
    numbers.check('bpgm.warped', warped)
    if dtype is torch.float64:
        tensors = {
            'cond_raw': out['extractionA.model'],
            'cloth_raw': out['extractionB.model'],
            'cond_feat': out['extractionA'],
            'cloth_feat': out['extractionB'],
            'correlation': correlation,
            'conv': out['regression.conv'],
            'grid': grid,
            'warped': warped,
        }
        for name, tensor in tensors.items():
            numbers.check_statistics(f'bpgm.{name}.stat', tensor)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_the_generator_computes_the_published_picture(dtype, network, given, weights, numbers, outputs_of):
    generator = network.to(dtype).oasis
    names = inner_names(network)
    out = outputs_of(generator, names)
    with torch.no_grad():
        picture = generator(given['parts'].to(dtype), weights.image(16, 9).to(dtype))
    numbers.check('oasis.image', picture)
    for i in range(6):
        numbers.check(f'oasis.body.{i}', out[f'body.{i}'], channels=8)
    if dtype is torch.float64:
        numbers.check_statistics('oasis.stat', picture)
        for name in names:
            numbers.check_statistics(f'oasis.{name}.stat', out[name])


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_the_whole_computes_the_published_try_on(dtype, network, given, numbers):
    result = network.to(dtype)(**cast(given, dtype))
    numbers.check('tryon.image', result.image)
    if dtype is torch.float64:
        numbers.check_statistics('tryon.stat', result.image)


def test_the_grid_is_exact_however_often_the_network_was_cast(network):
    theta = torch.linspace(-0.3, 0.3, 18, dtype=torch.float64)[None]
    expected = CVTON().double().bpgm.grid(theta)
    torch.testing.assert_close(network.half().float().double().bpgm.grid(theta), expected, rtol=0, atol=0)
    assert network.half().bpgm.grid.matrix.dtype is torch.float32


def test_no_array_is_left_out(numbers):
    """Last in the file: every stored array has been compared by a test above."""
    assert numbers.arrays.keys() == numbers.compared
