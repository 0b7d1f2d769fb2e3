"""Dresses every person of a training set in another garment, as truths for `train_pf_truth.py`.

    python -m scripts.dress_training_set --dataroot VITON_traindata \
        --pb_warp_checkpoint runs/train/Teacher_truth/weights/pb_warp_ema_last.pt \
        --pb_gen_checkpoint runs/train/Teacher_truth/weights/pb_gen_ema_last.pt

A trained student can take the teacher's place (`--pf_warp_checkpoint`, `--pf_gen_checkpoint`): it then draws
anew all that the parsing calls the old garment, so that nothing of it stays in the picture.

Writes `train_truths.txt` and `train_gt` into the data root, in the layout of `synthetic.dataset`, with
`made.json` beside them: students start from the made pictures and must arrive at the photographs.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

from data.labels import CHANGED, GARMENT, KEPT, Parsing
from data.training_inputs import TrainingInputs, derive_keepable, derive_masks
from data.viton import VITONDataset, create_loader
from engine.truth_data import FOLDER, LIST, MADE
from engine.truth_losses import dilate
from models import WarpOutput, compose
from models.checkpoint import load_network
from models.composition import blend
from models.outputs import TryOn
from utils.cli import OptionParser
from utils.device import move_batch, select_device
from utils.errors import UserError, exit_cleanly
from utils.visual import to_picture

SAME = 8 / 127.5  # largest difference of a channel, in [-1, 1], that counts as equal
BEHIND = 3  # pixels, of pictures 256 high, between the background and all that the parsing names


def unchanged(result: TryOn, person: Tensor) -> Tensor:
    """Where a try-on equals the photograph, two pixels around included: [N, 1, H, W] in {0, 1}."""
    differs = ((result.image - person).abs().amax(dim=1, keepdim=True) > SAME).to(person.dtype)
    return 1 - dilate(differs, 2)


def show_background(result: TryOn, person: Tensor, label: Tensor) -> TryOn:
    """A teacher's try-on with the photograph's own background around the person and the new garment.

    Teachers draw a rim of the background anew, a shade off (`derive_keepable`). By that rim students would
    learn to see what was changed in a picture, and photographs have none.
    """
    reach = max(1, round(BEHIND * label.shape[2] / 256))
    behind = 1 - dilate((label != Parsing.BACKGROUND).to(person.dtype), reach)
    rendered = result.rendered + behind * (person - result.rendered)
    return result._replace(image=blend(result.warped_cloth, rendered, result.mask), rendered=rendered)


def dress(
    warp: nn.Module, generator: nn.Module, inputs: TrainingInputs, label: Tensor
) -> tuple[TryOn, WarpOutput]:
    """A teacher's try-on of the other garment, and the own garment warped."""
    kept = inputs.person * derive_keepable(label, inputs.hand)
    fake = warp(inputs.condition, inputs.unpaired_cloth, inputs.unpaired_edge)
    bare_arms = inputs.arms * (1 - fake.edge)
    result = compose(fake, generator(torch.cat([kept, fake.cloth, fake.edge, bare_arms], dim=1)), kept)
    result = show_background(result, inputs.person, label)
    return result, warp(inputs.condition, inputs.cloth, inputs.edge)


def dress_as_student(warp: nn.Module, generator: nn.Module, inputs: TrainingInputs) -> TryOn:
    """A student's try-on of the other garment; its keep mask is closed where the old garment is worn."""
    fake = warp(inputs.person, inputs.unpaired_cloth, inputs.unpaired_edge)
    generated = generator(torch.cat([inputs.person, fake.cloth, fake.edge], dim=1))
    worn = dilate(inputs.person_cloth_mask, 1) > 0
    generated = torch.cat([generated[:, :4], generated[:, 4:].masked_fill(worn, -torch.inf)], dim=1)
    return compose(fake, generated, inputs.person)


def known(flow: Tensor, where: Tensor) -> np.ndarray:
    """A flow [2, H, W] with NaN where the garment is not seen, as it is stored."""
    return torch.where(where, flow, torch.nan).cpu().numpy().astype(np.float16)


def write(folder: Path, stem: str, parts: dict[str, Image.Image | np.ndarray]) -> None:
    """Write the files of one truth."""
    for kind, part in parts.items():
        (folder / kind).mkdir(exist_ok=True)
        if isinstance(part, Image.Image):
            part.save(folder / kind / f'{stem}.png')
        else:
            np.save(folder / kind / f'{stem}.npy', part)


@torch.no_grad()
def dress_set(
    dataset: VITONDataset,
    warp: nn.Module,
    generator: nn.Module,
    *,
    role: str,
    batch_size: int,
    device: torch.device,
) -> None:
    """Dress everybody by networks of a role, then write the list and that the pictures were made."""
    folder, lines = dataset.root / FOLDER, []
    folder.mkdir(exist_ok=True)
    (folder / MADE).write_text(json.dumps({'size': list(dataset.size)}))
    for batch in tqdm(create_loader(dataset, batch_size=batch_size, workers=0), unit='batch'):
        on_device = move_batch(batch, device)
        inputs = derive_masks(on_device)
        worn = inputs.person_cloth_mask > 0
        if role == 'teacher':
            result, own = dress(warp, generator, inputs, on_device['label'])
            assert own.edge is not None, 'the own garment has an edge'
            own_flow, own_seen = own.flow, worn & (own.edge > 0.5)
        else:
            result = dress_as_student(warp, generator, inputs)
            own_flow, own_seen = result.flow, torch.zeros_like(worn)  # nobody knows it
        same = unchanged(result, inputs.person)
        shown = (result.mask > 0.5) & (result.warped_edge > 0.5)
        for i, (person, garment) in enumerate(zip(batch['person_name'], batch['unpaired_name'], strict=True)):
            mask = torch.where(shown[i], GARMENT, torch.where(same[i] > 0, KEPT, CHANGED))[0].byte()
            bare = torch.where(worn[i].cpu(), float(Parsing.BACKGROUND), batch['label'][i])
            label = torch.where(shown[i].cpu(), float(Parsing.UPPER_CLOTHES), bare)[0].byte().numpy()
            parts: dict[str, Image.Image | np.ndarray] = {
                'img': to_picture(result.image[i]),
                'mask': Image.fromarray(mask.cpu().numpy()),
                'label': Image.fromarray(label),
                'flow': known(result.flow[i], shown[i]),
                'own_flow': known(own_flow[i], own_seen[i]),
            }
            write(folder, f'{Path(person).stem}__{Path(garment).stem}', parts)
            lines.append(f'{person} {garment}\n')
    (dataset.root / LIST).write_text(''.join(lines))


@exit_cleanly
def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = OptionParser(__doc__.splitlines()[0], prog='python -m scripts.dress_training_set')
    parser.add_argument('--dataroot', required=True, help='training set in the VITON layout')
    for name, role in (('pb', 'teacher'), ('pf', 'student')):
        for part, what in (('warp', 'warp network'), ('gen', 'generator')):
            parser.add_argument(f'--{name}_{part}_checkpoint', metavar='PATH', help=f"the {role}'s {what}")
    parser.add_argument('--size', nargs=2, type=int, default=[256, 192], metavar=('H', 'W'), help='in pixels')
    parser.add_argument('--batch_size', type=int, default=16, help='pictures a step')
    parser.add_argument('--seed', type=int, default=0, help='another seed, other garments')
    parser.add_argument('--device', type=str, default='', help="'' = first GPU if there is one, else CPU")
    options: argparse.Namespace = parser.parse_args(arguments)
    teacher = options.pb_warp_checkpoint, options.pb_gen_checkpoint
    student = options.pf_warp_checkpoint, options.pf_gen_checkpoint
    if (all(teacher), any(student)) != (True, False) and (any(teacher), all(student)) != (False, True):
        raise UserError('give --pb_warp_checkpoint and --pb_gen_checkpoint, or both of --pf_..., no mixture')
    role, (warp_file, generator_file) = ('teacher', teacher) if all(teacher) else ('student', student)
    device = select_device(options.device)
    warp, _ = load_network(warp_file, part='warp', role=role, device=device)
    generator, _ = load_network(generator_file, part='generator', role=role, device=device)
    dataset = VITONDataset(options.dataroot, 'train', size=tuple(options.size), seed=options.seed)
    if (dataset.root / LIST).is_file() and not (dataset.root / FOLDER / MADE).is_file():
        raise UserError(f'--dataroot {dataset.root}: has true results already ({LIST}); give a set without')
    dress_set(dataset, warp, generator, role=role, batch_size=options.batch_size, device=device)
    print(f'{len(dataset)} people dressed: {dataset.root / FOLDER}')


if __name__ == '__main__':
    main()
