"""Train the generator of an end-to-end stage further, alone: garments are warped once, so a step costs little.

    python -m scripts.polish_generator pb_e2e --dataroot dataset/drawn/VITON_traindata --out pb_gen.pt \\
        --pb_warp_checkpoint runs/train/Teacher_e2e/weights/pb_warp_last.pt \\
        --pb_gen_checkpoint runs/train/Teacher_e2e/weights/pb_gen_last.pt

Not part of the published recipe. DM-VTON's warp network has sixty times the arithmetic of its generator, and both learn in every
step of an end-to-end stage, so on a small budget the generator gets too few of them. Here it goes on with the stage's own losses,
after the late weight of the skin, on inputs that are computed once a record with all networks in eval mode.
"""

import argparse
import math
import sys
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from data.viton import VITONDataset, create_loader
from engine.losses import generator_terms, skin_terms
from engine.saving import load_weights, network_writer
from engine.settings import TrainSettings
from engine.stages import NETWORKS, STAGES, Stage, create_stage
from models import FAMILIES, WarpOutput, compose
from opt.base_opt import add_device_option
from utils.cli import OptionParser, positive_number, whole_number
from utils.device import select_device
from utils.errors import UserError, exit_cleanly
from utils.paths import expand

END_TO_END = [name for name, recipe in STAGES.items() if len(recipe.lr_scale) > 1]
ADAM_BETAS = (0.9, 0.999)


def collect(stage: Stage, generator: torch.nn.Module, loader, device: torch.device) -> dict[str, Tensor]:
    """What the generator sees and should show, of all records: input [N, 7 or 8, H, W], person, and for a student skin."""
    found: dict[str, list[Tensor]] = {'input': [], 'person': [], 'skin': []}
    masks: list[Tensor] = []
    hooks = [generator.register_forward_pre_hook(lambda _, given: found['input'].append(given[0].half().cpu()))]
    if stage.teacher is not None:
        # The teacher also calls a generator, its own: only the student's is collected.
        hooks.append(stage.teacher.register_forward_hook(lambda _, given, said: masks.append(said.fake_edge)))
    stage.train(False)
    with torch.no_grad():
        for batch in tqdm(loader, 'warping', unit='batch'):
            moved = {name: x.to(device) if isinstance(x, Tensor) else x for name, x in batch.items()}
            stage.step(moved, epoch=1)
            found['person'].append(batch['image'].half())
            if masks:
                worn = stage.prepare(moved).person_cloth_mask
                found['skin'].append((masks.pop() * (1 - worn)).half().cpu())
    for hook in hooks:
        hook.remove()
    return {name: torch.cat(parts) for name, parts in found.items() if parts}


def polish(generator: torch.nn.Module, records: dict[str, Tensor], *, steps: int, batch_size: int, lr: float, seed: int) -> None:
    """Train on random batches, the learning rate falling to zero along half a cosine."""
    device = next(generator.parameters()).device
    optimizer = torch.optim.Adam(generator.parameters(), lr=lr, betas=ADAM_BETAS)
    stream = torch.Generator().manual_seed(seed)
    generator.train()
    with tqdm(range(steps), 'polishing', unit='step') as progress:
        for step in progress:
            for group in optimizer.param_groups:
                group['lr'] = lr * (1 + math.cos(math.pi * step / steps)) / 2
            chosen = torch.randint(len(records['person']), (batch_size,), generator=stream)
            batch = {name: x[chosen].float().to(device) for name, x in records.items()}
            warped = WarpOutput(batch['input'][:, 3:6], batch['input'][:, 6:7], None, ())
            tryon = compose(warped, generator(batch['input']))
            terms = generator_terms(tryon, batch['person'], None)
            if 'skin' in batch:
                terms |= skin_terms(tryon.rendered, batch['person'], batch['skin'], None, late=True)
            loss = sum(terms.values())
            if not loss.isfinite():
                raise UserError(f'step {step + 1}: the loss is {loss.item()}; try a lower --lr')
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            progress.set_postfix(loss=f'{loss.item():.3f}', refresh=False)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options; a wrong one raises `UserError` with one line."""
    parser = OptionParser(__doc__.splitlines()[0])
    parser.add_argument('stage', choices=END_TO_END)
    parser.add_argument('--dataroot', required=True, help='training set in the VITON layout')
    parser.add_argument('--out', type=expand, required=True, metavar='FILE', help='the polished generator, .pt')
    for name in NETWORKS:
        parser.add_argument(f'--{name}_checkpoint', metavar='FILE', help='trained weights')
    parser.add_argument('--teacher', choices=FAMILIES, default='fs_vton')
    parser.add_argument('--student', choices=FAMILIES, default='dm_vton')
    parser.add_argument('--size', nargs=2, type=whole_number(1), default=[256, 192], metavar=('H', 'W'))
    add_device_option(parser)
    parser.add_argument('--steps', type=whole_number(1), default=2000)
    parser.add_argument('--batch_size', type=whole_number(1), default=8)
    parser.add_argument('--workers', type=whole_number(0), default=2)
    parser.add_argument('--lr', type=positive_number, default=1e-3)
    parser.add_argument('--seed', type=whole_number(0), default=0)
    options = parser.parse_args(arguments)
    names = STAGES[options.stage].network_names()
    if missing := [f'--{name}_checkpoint' for name in names if not getattr(options, f'{name}_checkpoint')]:
        raise UserError(f'{" and ".join(missing)} needed: the stage {options.stage} is to be trained already')
    if options.out.suffix != '.pt' or not options.out.parent.is_dir():
        raise UserError(f'--out {options.out}: expected a file that ends in .pt, in a folder that exists')
    return options


@exit_cleanly
def main(arguments: list[str] | None = None) -> None:
    """Load, warp all records once, train, save."""
    options = parse(arguments)
    torch.manual_seed(options.seed)
    device, names = select_device(options.device), STAGES[options.stage].network_names()
    settings = TrainSettings(
        stage=options.stage,
        teacher=options.teacher,
        student=options.student,
        size=options.size,
        align_corners=True,
        **{f'{name}_checkpoint': getattr(options, f'{name}_checkpoint') for name in names},
    )
    stage = create_stage(options.stage, **settings.families)
    for note in load_weights(stage, settings):
        print(f'note: {note}')
    stage.to(device)
    name = names[-1]
    dataset = VITONDataset(options.dataroot, 'train', size=tuple(options.size), seed=options.seed)
    loader = create_loader(dataset, batch_size=options.batch_size, workers=options.workers)
    amount = {name: getattr(options, name) for name in ('steps', 'batch_size', 'lr', 'seed')}
    polish(stage.networks[name], collect(stage, stage.networks[name], loader, device), **amount)
    network_writer(stage, settings)(Path(options.out), name, {'polished': options.steps})
    print(options.out)


if __name__ == '__main__':
    main(sys.argv[1:])
