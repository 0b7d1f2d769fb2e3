"""Dress people on their own photographs: any size, any format, everything but the clothes stays as it is.

    python tryon.py --person me.jpg --garment shirt.jpg --out out.png
    python tryon.py --person me.jpg you.jpg --garment shirts/ --out results/
    python tryon.py --video clip.mp4 --garment shirt.jpg --out out.mp4

Reads photographs of people, or a video of one, and photographs of garments on a plain background or with
masks of their own. Writes a picture of the photograph's size for each person and garment, and a sheet that
shows them side by side; of a video, a video of its size and length for each garment.
"""

import sys
from argparse import Namespace
from itertools import chain

import torch

from models import TryOnModel, TryOnPipeline
from models.checkpoint.defaults import Weights
from opt.network_opt import load_pipeline, on_backend
from opt.tryon_opt import parse_tryon_options
from photo.clip import WRITABLE, open_clip
from photo.combinations import Task, about, dress_every_pair, end, look_at_all, report_faults
from photo.files import check_results, find_pictures, match_masks, name_results, sheet_path
from photo.video import ClipTask, dress_clip
from utils.errors import exit_cleanly
from utils.paths import expand


@exit_cleanly
def main(arguments: list[str] | None = None) -> None:
    """Check everything, then dress everybody in everything."""
    options = parse_tryon_options(arguments)
    if options.video is None:
        dress_photographs(options)
    else:
        dress_video(options)


def dress_photographs(options: Namespace) -> None:
    """Every person in every garment."""
    persons, garments = find_pictures(options.person, '--person'), find_pictures(options.garment, '--garment')
    masks = [match_masks(persons, options.person_mask, '--person_mask')]
    masks += [match_masks(garments, options.garment_mask, '--garment_mask')]
    task = Task(persons, masks[0], garments, masks[1], name_results(options.out, persons, garments))
    sheet = sheet_path(task.results, options.out)
    check_results([sheet, *chain(*task.results)], [*persons, *garments, *chain(*masks)])

    weights, pipeline, size = load_networks(options)
    looked = look_at_all(task, size=size, background=options.background)
    report_faults(looked, task, skip_bad=options.skip_bad)
    runner = choose_backend(options, weights, pipeline, size)
    remark, remarks = about(pipeline, size)
    notes, faults = dress_every_pair(
        runner, task, looked, size=size, skip_bad=options.skip_bad, sheet=sheet, remark=remark
    )
    for note in (*remarks, *notes):
        print(f'note: {note}')
    end(task, looked, faults, out=options.out, sheet=sheet)


def dress_video(options: Namespace) -> None:
    """The person of a video in every garment."""
    clip, garments = expand(options.video), find_pictures(options.garment, '--garment')
    masks = match_masks(garments, options.garment_mask, '--garment_mask')
    results = name_results(options.out, [clip], garments, suffixes=WRITABLE)[0]
    sheet = expand(options.out) / f'side_by_side{WRITABLE[0]}' if len(results) > 1 else None
    task = ClipTask(clip, garments, masks, results, sheet)
    check_results(task.files, [clip, *garments, *masks])
    open_clip(clip).close()

    weights, pipeline, size = load_networks(options)
    runner = choose_backend(options, weights, pipeline, size)
    notes = dress_clip(runner, task, size=size, background=options.background)
    for note in (*about(pipeline, size)[1], *notes):
        print(f'note: {note}')
    print(f'results: {", ".join(str(path) for path in task.files)}')


def load_networks(options: Namespace) -> tuple[Weights, TryOnPipeline, tuple[int, int]]:
    """Load the weights; return their files, the pipeline, and the size (H, W) of its pictures."""
    weights, pipeline = load_pipeline(options)
    size = options.size or pipeline.size
    pipeline.warp.check_size('--size', torch.empty(1, 3, *size, device='meta'))
    return weights, pipeline, size


def choose_backend(
    options: Namespace, weights: Weights, pipeline: TryOnPipeline, size: tuple[int, int]
) -> TryOnModel:
    """The pipeline on the backend of the options; prints which weights run, and where."""
    runner = on_backend(pipeline, options.backend, size=size)
    about = f'{pipeline.family}, {size[0]} x {size[1]}, {runner.mode} on {pipeline.device}'
    print(f'weights: {weights.about} ({about})')
    return runner


if __name__ == '__main__':
    main(sys.argv[1:])
