"""Dress people on their own photographs: any size, any format, everything but the clothes stays as it is.

    python tryon.py --person me.jpg --garment shirt.jpg --out out.png
    python tryon.py --person me.jpg you.jpg --garment shirts/ --out results/

Reads photographs of people, and of garments on a plain background or with masks of their own. Writes a picture of the
photograph's size for each person and garment, and a sheet that shows them side by side.
"""

import sys
from itertools import chain

import torch

import runtime
from models import TryOnPipeline
from models.checkpoint.defaults import choose_weights
from opt.network_opt import EAGER
from opt.tryon_opt import parse_tryon_options
from photo.files import check_results, find_pictures, match_masks, name_results, sheet_path
from photo.lists import Task, about, dress_every_pair, end, look_at_all, report_faults
from utils.device import select_device
from utils.errors import exit_cleanly


@exit_cleanly
def main(arguments: list[str] | None = None) -> None:
    """Check everything, then dress everybody in everything."""
    options = parse_tryon_options(arguments)
    device = select_device(options.device)
    persons, garments = find_pictures(options.person, '--person'), find_pictures(options.garment, '--garment')
    masks = [match_masks(persons, options.person_mask, '--person_mask')]
    masks += [match_masks(garments, options.garment_mask, '--garment_mask')]
    task = Task(persons, masks[0], garments, masks[1], name_results(options.out, persons, garments))
    sheet = sheet_path(task.results, options.out)
    check_results([sheet, *chain(*task.results)], [*persons, *garments, *chain(*masks)])

    weights = choose_weights(options.checkpoint)
    pipeline = TryOnPipeline.from_checkpoints(warp=weights.warp, gen=weights.gen, device=device)
    size = options.size or pipeline.size
    pipeline.warp.check_size('--size', torch.empty(1, 3, *size, device='meta'))
    looked = look_at_all(task, size=size, background=options.background)
    report_faults(looked, task, skip_bad=options.skip_bad)
    runner = pipeline if options.backend == EAGER else runtime.optimize(pipeline, options.backend, size=size)
    print(f'weights: {weights.about} ({pipeline.family}, {size[0]} x {size[1]}, {runner.mode} on {device})')
    remark, remarks = about(pipeline, size)
    notes, faults = dress_every_pair(runner, task, looked, size=size, skip_bad=options.skip_bad, sheet=sheet, remark=remark)
    for note in (*remarks, *notes):
        print(f'note: {note}')
    end(task, looked, faults, out=options.out, sheet=sheet)


if __name__ == '__main__':
    main(sys.argv[1:])
