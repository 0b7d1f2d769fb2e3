"""Options of the training scripts, the run folder they go into, and what of them each part of the training is given."""

import argparse
import logging
import math
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from engine.distributed import Process
from engine.saving import STATE_FILE
from engine.schedule import OPTIMIZERS, SCHEDULES
from engine.trainer import AMP
from models.registry import FAMILIES
from opt.base_opt import Obsolete, add_align_corners, add_base_options, run_name, whole_number
from utils.cli import OptionParser
from utils.errors import MissingFileError, UserError
from utils.log import create_logger
from utils.paths import atomic_write, increment_path

PROJECT, NAME = 'runs/train', 'exp'
SETTINGS_FILE = 'opt.yaml'
# What each stage starts from: (networks that a run can be given, those it must be given because they stay frozen)
STARTS_FROM = {
    'pb_warp': (('pb_warp',), ()),
    'pb_e2e': (('pb_warp', 'pb_gen'), ()),
    'pf_warp': (('pb_warp', 'pb_gen', 'pf_warp'), ('pb_warp', 'pb_gen')),
    'pf_e2e': (('pb_warp', 'pb_gen', 'pf_warp', 'pf_gen'), ('pb_warp', 'pb_gen')),
    'pf_truth': (('pf_warp', 'pf_gen'), ()),
}
TRAINER_OPTIONS = (
    *('optimizer', 'lr', 'momentum', 'niter', 'niter_decay', 'schedule', 'warm_up', 'ema', 'accumulate'),
    *('grad_clip', 'max_steps', 'amp', 'channels_last'),
    *('print_step', 'sample_step', 'save_period', 'verbose'),
)
VALIDATED = 'pf_e2e'  # the one stage that trains what test.py tests
# Options that a resumed run does not inherit.
NOT_KEPT = ('resume', 'run', 'max_steps', 'verbose', 'local_rank', 'use_dropout', 'no_flip')


def positive_number(text: str) -> float:
    """An argparse type: a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f'{text!r} is not a number above 0')
    return value


def share(text: str) -> float:
    """An argparse type: a number from 0 to below 1."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a number from 0 to below 1')
    return value


def _families(role: str) -> list[str]:
    return [name for name, family in FAMILIES.items() if role in family.roles]


def _add_data_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('data and networks')
    group.add_argument('--dataroot', help='training set in the VITON layout (train_pairs.txt, train_img, ...)')
    group.add_argument('--valroot', help=f'test set in the VITON layout; {VALIDATED} measures FID on it after each epoch')
    group.add_argument(
        '--size', nargs=2, type=whole_number(1), default=[256, 192], metavar=('H', 'W'), help='pictures are resized to this'
    )
    group.add_argument('--teacher', choices=_families('teacher'), default='fs_vton', help='family of the parser-based networks')
    group.add_argument('--student', choices=_families('student'), default='dm_vton', help='family of the parser-free networks')
    add_align_corners(group, default=False, explanation='how flows sample; published weights were trained with it')
    for name in STARTS_FROM[VALIDATED][0]:
        what = 'warp network' if name.endswith('warp') else 'generator'
        whose = "teacher's" if name.startswith('pb') else "student's"
        group.add_argument(f'--{name}_checkpoint', metavar='PATH', help=f'weights of the {whose} {what} to start with')
    group.add_argument(
        '--vgg_weights',
        default='imagenet',
        metavar='imagenet|PATH|none',
        help="VGG19 of the perceptual terms: torchvision's, downloaded once; a file; or none, which trains without these terms",
    )
    group.add_argument('--fid_weights', metavar='PATH', help="pytorch-fid's Inception file; None: downloaded when first needed")


def _add_optimisation_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('optimisation')
    switch = {'action': argparse.BooleanOptionalAction, 'default': False}
    group.add_argument('--optimizer', choices=OPTIMIZERS, default='Adam', help='AdamW has no weight decay, SGD is Nesterov')
    group.add_argument('--lr', type=positive_number, default=5e-5, help='learning rate; a fine-tuned warp network gets a fifth')
    group.add_argument('--momentum', type=share, default=0.5, help='beta1 of Adam and AdamW, momentum of SGD')
    group.add_argument('--niter', type=whole_number(0), default=50, help='epochs at the full learning rate')
    group.add_argument('--niter_decay', type=whole_number(0), default=50, help='epochs after them, while it decays towards 0')
    group.add_argument('--schedule', choices=SCHEDULES, default='linear', help='how it decays: each epoch, or each step')
    group.add_argument('--warm_up', type=whole_number(0), default=0, metavar='N', help='steps in which it rises to the full one')
    group.add_argument('--ema', type=share, metavar='DECAY', help='also keep the average of the weights; None: do not')
    group.add_argument('--accumulate', type=whole_number(1), default=1, metavar='K', help='average gradients of K batches a step')
    group.add_argument('--grad_clip', type=positive_number, metavar='NORM', help="cut the gradient's norm to this; None: never")
    group.add_argument('--max_steps', type=whole_number(1), metavar='N', help='save and stop after N optimiser steps in all')
    group.add_argument('--seed', type=whole_number(0), default=0, help='of new weights, the order of records, drawn garments')
    group.add_argument('--amp', choices=list(AMP), default='off', help='mixed precision; fp16 scales the loss')
    group.add_argument('--compile', **switch, help='run the trained networks through torch.compile')
    group.add_argument('--channels_last', **switch, help='keep channels last in memory, which suits tensor cores')
    group.add_argument('--sync_bn', **switch, help='share batch norm statistics among processes (CUDA, torchrun)')


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('run')
    _add_resume(group)
    group.add_argument('--print_step', type=whole_number(0), default=100, metavar='N', help='log every N steps; 0: epochs only')
    group.add_argument('--sample_step', type=whole_number(0), default=100, metavar='N', help='pictures every N steps; 0: never')
    group.add_argument('--save_period', type=whole_number(1), default=20, metavar='N', help='keep weights of every Nth epoch')
    group.add_argument('--verbose', action='store_true', help='also log all options and the layers of the networks')
    group.add_argument('--use_dropout', action=Obsolete, why='no published network has dropout')
    group.add_argument('--local_rank', '--local-rank', action=Obsolete, nargs=1, why='torchrun tells each process its number')


def _add_resume(parser) -> None:
    parser.add_argument(
        '--resume',
        nargs='?',
        const=True,
        default=False,
        metavar='RUN',
        help='continue a run in its own folder, with its options where none are given: RUN, or the newest of project/name',
    )


def parse_train_options(stage: str, arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line of `train_<stage>.py`; a wrong option raises `UserError` with one line.

    Beside the options the result has `stage`, and `run`: the folder of the run to be continued, or None.
    """
    parser = OptionParser(f'Training, stage {stage}; torchrun --nproc_per_node=N trains on N GPUs, each with its own batches.')
    add_base_options(parser, project=PROJECT)
    _add_data_options(parser)
    _add_optimisation_options(parser)
    _add_run_options(parser)
    parser.set_defaults(stage=stage, run=None)
    run = _run_to_resume(sys.argv[1:] if arguments is None else arguments)
    if run is not None:
        parser.set_defaults(**_saved_options(run, stage, parser), run=run)
    options = parser.parse_args(arguments)
    _check(options)
    return options


def _run_to_resume(arguments: list[str]) -> Path | None:
    """The folder that `--resume` means, found before the other options are read, since they take its settings as defaults."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument('--project', default=PROJECT)
    parser.add_argument('--name', default=NAME, type=run_name)
    _add_resume(parser)
    try:
        options, _ = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise UserError(f'{error}; see --help') from error
    if options.resume is False:
        return None
    run = newest_run(options.project, options.name) if options.resume is True else _run_of(Path(options.resume))
    if not (run / 'weights' / STATE_FILE).is_file():
        raise MissingFileError(f'--resume: {run} has no weights/{STATE_FILE}, so it ended before it saved anything; start anew')
    return run


def newest_run(project: str | Path, name: str) -> Path:
    """Return the folder `project/name`, `project/name-1`, ... with the highest number; raises `MissingFileError` without any."""
    numbers = {}
    for folder in Path(project).glob('*'):
        if folder.is_dir() and (match := re.fullmatch(rf'{re.escape(name)}(?:-([1-9]\d*))?', folder.name)):
            numbers[int(match[1] or 0)] = folder
    if not numbers:
        raise MissingFileError(f'--resume: there is no run {name} in {project}; give its folder by --resume PATH')
    return numbers[max(numbers)]


def _run_of(path: Path) -> Path:
    """The run folder that is meant by a path to it, to its weights folder or to what it saved last."""
    if path.is_file() and path.parent.name == 'weights':
        if not path.stem.endswith('_last'):
            option = f'--{path.name[:7].rstrip("_")}_checkpoint'
            raise UserError(f'--resume {path}: holds weights only; start from it by {option}, or resume {path.parent.parent}')
        return path.parent.parent
    if path.is_dir():
        return path.parent if path.name == 'weights' else path
    if path.exists():
        raise UserError(f'--resume {path}: expected a run folder or a file in its weights folder')
    raise MissingFileError(f'--resume {path}: there is no such run folder or file')


def _saved_options(run: Path, stage: str, parser: argparse.ArgumentParser) -> dict[str, Any]:
    """The options in a run's settings file that this program knows; none where the file is lost."""
    path = run / SETTINGS_FILE
    if not path.is_file():
        return {}
    try:
        saved = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        reason = ' '.join(str(error).split())[:120]
        raise UserError(f'{path} cannot be read ({reason}); delete it and give all options again') from error
    if not isinstance(saved, dict):
        raise UserError(f'{path} holds no options; delete it and give all options again')
    if saved.get('stage', stage) != stage:
        raise UserError(f'{run} is a run of train_{saved["stage"]}.py; continue it with that, or name another run')
    known = {action.dest for action in parser._actions} - set(NOT_KEPT)
    return {name: value for name, value in saved.items() if name in known}


def _check(options: argparse.Namespace) -> None:
    """Raise `UserError` for options that do not fit each other."""
    stage, (_, frozen) = options.stage, STARTS_FROM[options.stage]
    if options.dataroot is None:
        raise UserError('--dataroot is needed: the folder of the training set; see --help')
    if missing := [f'--{name}_checkpoint' for name in frozen if not getattr(options, f'{name}_checkpoint')]:
        raise UserError(f'{" and ".join(missing)} needed: {stage} learns from a trained teacher, whose weights stay as they are')
    if options.niter + options.niter_decay == 0:
        raise UserError('--niter 0 --niter_decay 0: no epoch to train; give at least one of them')
    if options.optimizer == 'SGD' and not options.momentum:
        raise UserError("--momentum 0: SGD is Nesterov's and needs a momentum above 0")


def remarks(options: argparse.Namespace, process: Process) -> list[str]:
    """What a user may want to know about options that change nothing, or more than it seems."""
    texts, (used, _) = [], STARTS_FROM[options.stage]
    for name in STARTS_FROM[VALIDATED][0]:
        if name not in used and getattr(options, f'{name}_checkpoint'):
            texts.append(f'--{name}_checkpoint changes nothing: {options.stage} has no {name}')
    if options.valroot and options.stage != VALIDATED:
        texts.append(f'--valroot changes nothing: only {VALIDATED} is validated')
    if options.vgg_weights == 'none':
        texts.append('--vgg_weights none: training without the perceptual terms, which is not the published recipe')
    if process.world == 1 and options.sync_bn:
        texts.append('--sync_bn changes nothing: there is one process')
    if process.world == 1 and ',' in options.device:
        texts.append(f'--device {options.device}: one process uses one GPU; torchrun --nproc_per_node=N uses N')
    if process.world > 1:
        texts.append(f'{process.world} processes with {options.batch_size} records a step each')
    return texts


def open_run(options: argparse.Namespace, process: Process, notes: Iterable[str] = ()) -> Path:
    """Make the run folder, or take that of the run to be continued, with log.txt and the options; returns it in all processes.

    `notes` are logged together with the `remarks` on the options.
    """
    folder = options.run
    if process.is_first:
        folder = folder or increment_path(options.project, options.name)
        logger = create_logger(folder)
        settings = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
        with atomic_write(folder / SETTINGS_FILE) as temporary:
            temporary.write_text(yaml.safe_dump(settings, sort_keys=False), encoding='utf-8')
        logger.info(f'{options.stage} on {process.device} into {folder}')
        for text in (*remarks(options, process), *notes):
            logger.info(f'note: {text}')
        if options.verbose:
            logger.info('\n'.join(f'--{name} {value}' for name, value in settings.items()))
    else:
        create_logger().setLevel(logging.WARNING)
    return process.from_first(folder)


def network_settings(options: argparse.Namespace) -> dict[str, Any]:
    """What decides on the networks: families and `align_corners`."""
    return {'teacher': options.teacher, 'student': options.student, 'align_corners': options.align_corners}


def weight_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `load_weights` beside the stage."""
    paths = {name: getattr(options, f'{name}_checkpoint') for name in STARTS_FROM[options.stage][0]}
    return {'paths': paths, 'size': options.size, 'resumed': options.run is not None, **network_settings(options)}


def loader_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments of `create_training_loader` that are options."""
    return {name: getattr(options, name) for name in ('dataroot', 'size', 'seed', 'batch_size', 'workers')}


def validation_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments of `Validation` that are options."""
    return {name: getattr(options, name) for name in ('batch_size', 'workers', 'fid_weights')}


def trainer_settings(options: argparse.Namespace, process: Process) -> dict[str, Any]:
    """The keyword arguments of `Trainer` that are options. Raises `UserError` for those that the device cannot do."""
    sync_bn = options.sync_bn and process.world > 1
    if sync_bn and process.device.type != 'cuda':
        raise UserError(f'--sync_bn: PyTorch synchronises batch norm on CUDA devices only, not on {process.device}; leave it out')
    launcher = 'python' if process.world == 1 else f'torchrun --nproc_per_node={process.world}'
    return {name: getattr(options, name) for name in TRAINER_OPTIONS} | {
        'compile_networks': options.compile,
        'sync_bn': sync_bn,
        'resume': options.run is not None,
        'launcher': f'{launcher} train_{options.stage}.py',
        'process': process,
    }
