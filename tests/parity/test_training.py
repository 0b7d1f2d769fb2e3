"""One training step of each stage against the reference numbers, in float64: losses, gradients, running
statistics.
"""

import functools
import json
from pathlib import Path

import pytest
import torch

from engine.base_stage import Stage
from engine.losses import VGGLoss
from engine.stages import create_stage

SEED, BATCH_SEED, NITER = 11, 1011, 50
NUMBERS = json.loads((Path(__file__).parent / 'training_seed11.json').read_text())
CASES = {
    'pb_warp': ('pb_warp', {}),
    'pb_e2e': ('pb_e2e', {}),
    'pb_e2e_dm_align0': ('pb_e2e', {'teacher': 'dm_vton', 'align_corners': False}),
    'pf_warp': ('pf_warp', {}),
    'pf_e2e': ('pf_e2e', {}),
    'pf_e2e_decay': ('pf_e2e', {}),
    'pf_e2e_rmgn_align0': ('pf_e2e', {'student': 'rmgn', 'align_corners': False}),
}
# A minute or two of float64 convs each, so by default on the CPU only the one that has every loss in it.
USUAL_CASE = 'pf_e2e'
RUNS = [
    (case, device)
    for device in ('cpu', 'cuda')
    for case in CASES
    if device == 'cpu' or torch.cuda.is_available()
]


@pytest.fixture(scope='module')
def perceptual(weights) -> VGGLoss:
    """The perceptual distance with VGG19's weights filled under their names in the whole network."""
    loss = VGGLoss(None)
    state = weights.fill({f'features.{name}': x for name, x in loss.vgg.state_dict().items()}, SEED)
    loss.vgg.load_state_dict({name.removeprefix('features.'): x for name, x in state.items()})
    return loss


@pytest.fixture(scope='module')
def filled(weights):
    """Fills a network; what was drawn is kept, since drawing takes seconds."""

    @functools.cache
    def draw(names_and_shapes) -> dict[str, torch.Tensor]:
        return weights.fill(
            {name: torch.empty(shape, dtype=dtype) for name, shape, dtype in names_and_shapes}, SEED
        )

    def fill(network: torch.nn.Module) -> None:
        state = network.state_dict()
        network.load_state_dict(draw(tuple((name, x.shape, x.dtype) for name, x in state.items())))

    return fill


def differences(stage: Stage, part: str, numbers: dict) -> list[str]:
    """What departs from the numbers in the trained network that is the stage's `part`."""
    [network] = [network for name, network in stage.modules.items() if name.endswith(part)]
    gradients = {name: parameter.grad.norm().item() for name, parameter in network.named_parameters()}
    statistics = {
        name: x.abs().sum().item() for name, x in network.state_dict().items() if 'running_' in name
    }
    total = sum(norm**2 for norm in gradients.values()) ** 0.5
    assert gradients.keys() == numbers['per_param'].keys()
    assert statistics.keys() == numbers['bn'].keys()
    pairs = [('grad_norm', total, numbers['grad_norm'])]
    pairs += [
        (f'gradient of {name}', gradients[name], expected) for name, expected in numbers['per_param'].items()
    ]
    pairs += [(name, statistics[name], expected) for name, expected in numbers['bn'].items()]
    # 5e-9 relative measured, the numbers have nine digits; a bias before a batch norm has a gradient of
    # rounding noise.
    noise = 1e-9 * numbers['grad_norm']
    return [
        f'{part} {what}: {value}, expected {expected}'
        for what, value, expected in pairs
        if not abs(value - expected) <= 1e-6 * abs(expected) + noise
    ]


@pytest.mark.parametrize('case, device', RUNS)
def test_a_training_step_computes_the_published_losses_and_gradients(
    case, device, perceptual, filled, weights, request
):
    if device == 'cpu' and case != USUAL_CASE and not request.config.getoption('--slow'):
        pytest.skip('takes minutes; give --slow')
    name, options = CASES[case]
    stage = create_stage(name, **options, niter=NITER, perceptual=perceptual)
    for network in stage.networks.values():
        filled(network)
    stage.to(device, torch.float64)
    batch = {key: value.to(device, torch.float64) for key, value in weights.train_batch(BATCH_SEED).items()}

    result = stage.step(batch, epoch=NITER + 1 if case.endswith('decay') else NITER)
    result.loss.backward()

    numbers = dict(NUMBERS[case])
    losses = {
        key: result.loss.item() if key == 'all' else result.terms[key].item() for key in numbers['losses']
    }
    assert losses == pytest.approx(numbers.pop('losses'), rel=1e-7)  # 4e-9 measured
    faults = [fault for part, expected in numbers.items() for fault in differences(stage, part, expected)]
    assert not faults, '\n'.join(faults[:20])
