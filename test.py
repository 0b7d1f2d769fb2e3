"""Dress the persons of a test list with a student or a compared method, and measure the result.

    python test.py --dataroot VITON_test \
        --pf_warp_checkpoint checkpoints/dmvton_pf_warp.pt --pf_gen_checkpoint checkpoints/dmvton_pf_gen.pt
    python test.py --dataroot VITON_test --family sdafn --checkpoint checkpoints/ckpt_viton.pt

Reads `test_pairs.txt` (or `--pairs`), `test_img`, `test_color`, `test_edge` and, where they are there,
`test_gt`, or `test_label` and `test_pairs_own.txt`, in the data root; for a compared method also
`test_label`, `test_pose`, `test_densepose`. Writes a run folder: `results/tryon`, `results/measured` (the
same pictures as the published script stores them), `results/visualize`, `results/contact_sheet.jpg`,
`results/metrics.json`, `log.txt`, `opt.yaml`.
"""

import sys
from logging import Logger
from typing import Any

from data.viton import create_loader
from engine.evaluate import Evaluation, Guarded, dress_all, result_names, write_report
from engine.ground_truth import Comparison, find_truths
from engine.profiling import Timed
from engine.real_scores import find_real_scores
from engine.subjects import Subject, create_subject
from models import TryOnPipeline
from opt.base_opt import write_settings
from opt.evaluation_opt import parse_test_options
from utils.device import select_device
from utils.errors import exit_cleanly
from utils.log import create_logger
from utils.paths import increment_path


@exit_cleanly
def main(arguments: list[str] | None = None) -> None:
    """Check everything, dress everybody, measure, report."""
    options = parse_test_options(arguments)
    device = select_device(options.device)
    files = options.checkpoint or [options.pf_warp_checkpoint, options.pf_gen_checkpoint]
    settings: dict[str, Any] = {
        'align_corners': options.align_corners,
        'size': options.size,
        'pairs': options.pairs,
    }
    settings['device'] = device
    subject = create_subject(options.dataroot, family=options.family, files=files, **settings)
    pipeline, dataset = subject.pipeline, subject.dataset
    options.size = dataset.size
    truths = find_truths(dataset, options.gt)
    weights = {'fid_weights': options.fid_weights, 'lpips_weights': options.lpips_weights}
    evaluation = Evaluation(options.metrics, device=device, **weights)
    comparison = Comparison(truths, evaluation, align_corners=pipeline.align_corners) if truths else None
    photographs = (
        find_real_scores(dataset, pipeline, options.real) if isinstance(pipeline, TryOnPipeline) else None
    )
    observer = Guarded(photographs, 'scores on photographs') if photographs else None

    names = result_names(dataset.pairs)
    run = increment_path(options.project, options.name)
    logger = create_logger(run)
    write_settings(run, vars(options))
    logger.info(
        f'{pipeline.family} on {device}, {len(dataset)} pairs ({dataset.list_kind}) of {options.dataroot}'
    )
    loader = create_loader(dataset, batch_size=options.batch_size, workers=min(options.workers, len(dataset)))
    results = run / 'results'
    timed = Timed(pipeline, device=device)
    outputs: dict[str, Any] = {
        'note': caption_of(subject, logger),
        'names': names,
        'compare': comparison,
        'observe': observer,
        'inputs': subject.inputs,
    }
    dressed = dress_all(timed, loader, dataset.pairs, results, **outputs)

    scores = comparison.scores() if comparison else []
    scores += observer.scores() if observer else []
    scores += evaluation.pictures(
        dressed, real=dataset.folder('img'), results=results, list_kind=dataset.list_kind
    )
    scores += evaluation.cost(pipeline, *subject.first(), listed=timed)
    about = {
        'family': pipeline.family,
        'device': str(device),
        'options': vars(options),
        'list': dataset.list_kind,
    }
    logger.info(write_report(results / 'metrics.json', scores, **about, **subject.about))
    logger.info(f'pictures: {results / "contact_sheet.jpg"}, {results / "tryon"}, {results / "visualize"}')


def caption_of(subject: Subject, logger: Logger) -> str:
    """The contact sheet's caption; logs what a user should know of the weights."""
    pipeline, (height, width) = subject.pipeline, subject.dataset.size
    caption = f'{pipeline.family}, {subject.dataset.list_kind} list, {height} x {width}'
    for remark in pipeline.notes:
        logger.info(f'note: {remark}')
    if (height, width) != tuple(pipeline.size):
        trained = f'{pipeline.size[0]} x {pipeline.size[1]}'
        caption += f' (weights trained at {trained})'
        logger.info(f'note: --size {height} {width}: these weights were trained at {trained} (H x W)')
    if not pipeline.is_trained:
        caption += ', UNTRAINED weights: the pictures mean nothing yet'
        logger.warning('these weights are UNTRAINED, as initialised: the pictures mean nothing yet')
    return caption


if __name__ == '__main__':
    main(sys.argv[1:])
