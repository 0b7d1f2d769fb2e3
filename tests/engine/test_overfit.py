"""Each stage learns four records by heart: its loss falls, and the warped garment and the try-on come closer
to the picture.
"""

from statistics import mean

import pytest
import torch

from data.viton import VITONDataset, create_loader
from engine.schedule import create_optimizer
from engine.stages import STAGES, create_stage
from synthetic.dataset import write_dataset

PUBLISHED = [name for name in STAGES if not name.endswith('truth')]  # the others: tests/engine/test_truths.py
LEARNING_RATE, WARM_UP = (
    1e-3,
    10,
)  # steps that the learning rate takes to rise; without them the flow leaves the picture
# Below 128 x 96 the curvature of the coarse flows, a pixel of which is large, is half of the loss and stays.
BRIEF = {'size': (64, 64), 'steps': 8, 'falls_to': 0.95}
WHOLE = {'size': (128, 96), 'steps': 150, 'falls_to': 0.5}  # by --slow: ten minutes a stage


@pytest.mark.parametrize('name', PUBLISHED)
def test_a_stage_overfits_four_records(name, request, tmp_path):
    way = WHOLE if request.config.getoption('--slow') else BRIEF
    root = write_dataset(tmp_path / 'drawn', train=4, test=0, seed=4, size=way['size'], progress=False)
    dataset = VITONDataset(root / 'VITON_traindata', 'train', size=way['size'])
    batch = next(iter(create_loader(dataset, batch_size=4, workers=0)))
    torch.manual_seed(0)
    stage = create_stage(name, teacher='dm_vton', student='dm_vton', niter=1)
    trained = {network: stage.networks[network] for network in stage.lr_scale}
    optimizer = create_optimizer('Adam', trained, lr=LEARNING_RATE, momentum=0.9, lr_scale=stage.lr_scale)
    steps = []
    for number in range(1, way['steps'] + 1):
        for group in optimizer.param_groups:
            group['lr'] = group['full_lr'] * min(1, number / WARM_UP, 2 * (1 - (number - 1) / way['steps']))
        optimizer.zero_grad()
        result = stage.step(batch, epoch=1)
        result.loss.backward()
        optimizer.step()
        steps.append(
            {'loss': result.loss.item()} | {term: value.item() for term, value in result.terms.items()}
        )

    last = {term: mean(step[term] for step in steps[-3:]) for term in steps[0]}
    fitted = {'gen', 'tryon_l1', 'rendered_l1'} if name.endswith('e2e') else {'loss', 'edge_l1'}
    for term in fitted | ({'loss'} if way is WHOLE else set()):
        assert last[term] < way['falls_to'] * steps[0][term], (term, steps[0], last)
