"""The command line of the training scripts, made from the fields of `TrainSettings`; the run folder."""

import argparse
import dataclasses
import logging
import sys
from collections.abc import Iterable
from pathlib import Path

from engine.base_stage import NETWORKS
from engine.claim import claim, release
from engine.distributed import Process
from engine.settings import TrainSettings, options_of
from engine.stages import STAGES
from engine.truth_losses import WARPED_STRUCTURE
from models.registry import FAMILIES, find_family
from opt.base_opt import Obsolete, add_align_corners, write_settings
from opt.resuming import add_resume, find_source, saved_options
from utils.cli import OptionParser
from utils.errors import UserError
from utils.log import create_logger
from utils.paths import increment_path


def create_parser(stage: str) -> OptionParser:
    """The parser of `train_<stage>.py`: an option for each field with a help text, in its group."""
    gpus = 'torchrun --nproc_per_node=N trains on N GPUs, each with its own batches'
    parser = OptionParser(f'Training, stage {stage}; {gpus}.')
    groups: dict[str | None, argparse._ActionsContainer] = {None: parser}
    for field in options_of():
        parsing = dict(field.metadata)
        title = parsing.pop('group')
        if title not in groups:
            groups[title] = parser.add_argument_group(title)
        if field.name == 'align_corners':
            add_align_corners(groups[title], default=bool(field.default), explanation=parsing['help'])
            continue
        if parsing.pop('switch', False):
            parsing['action'] = argparse.BooleanOptionalAction
        groups[title].add_argument(f'--{field.name}', default=field.default, **parsing)
    add_resume(groups['run'])
    parser.add_argument('--no_flip', action=Obsolete, why='pictures are never mirrored')
    parser.add_argument('--use_dropout', action=Obsolete, why='no published network has dropout')
    why = 'torchrun tells each process its number'
    parser.add_argument('--local_rank', '--local-rank', action=Obsolete, nargs=1, why=why)
    return parser


def parse_train_options(stage: str, arguments: list[str] | None = None) -> TrainSettings:
    """Read the command line of `train_<stage>.py`; a wrong option raises `UserError` with one line."""
    parser = create_parser(stage)
    source = find_source(sys.argv[1:] if arguments is None else arguments, stage)
    if source.run is not None:
        parser.set_defaults(**saved_options(source.run, stage))
    given = vars(parser.parse_args(arguments))
    values = {field.name: given[field.name] for field in options_of()}
    begun = {name: str(file) for name, file in source.begun.items()}
    run, place = (None if folder is None else str(folder) for folder in (source.run, source.place))
    settings = TrainSettings(stage=stage, run=run, place=place, begun=begun, **values)
    _check(settings)
    return settings


def _check(settings: TrainSettings) -> None:
    """Raise `UserError` for options that do not fit each other."""
    if settings.dataroot is None:
        raise UserError('--dataroot is needed: the folder of the training set; see --help')
    for role in ('teacher', 'student'):
        try:
            find_family(settings.families[role], role)
        except ValueError as error:
            raise UserError(f'--{role}: invalid choice, {error}') from error
    frozen = settings.recipe.frozen
    if missing := [f'--{name}_checkpoint' for name in frozen if not settings.checkpoint(name)]:
        raise UserError(f'{" and ".join(missing)} needed: {settings.stage} learns from a trained teacher')
    if settings.mix_dataroot and not 0 < settings.mix_share < 1:
        raise UserError(f'--mix_share {settings.mix_share:g}: expected a share between 0 and 1')
    follows = settings.stage == 'pf_truth' and settings.part == 'generator' and not settings.continues
    if follows and not settings.checkpoint('pf_warp'):
        raise UserError('--part generator: needs --pf_warp_checkpoint, the trained network that it follows')
    if settings.epochs == 0:
        raise UserError('--niter 0 --niter_decay 0: no epoch to train; give at least one of them')
    if settings.optimizer == 'SGD' and not settings.momentum:
        raise UserError("--momentum 0: SGD is Nesterov's and needs a momentum above 0")


def remarks(settings: TrainSettings, process: Process) -> list[str]:
    """Notes on options that change nothing, or more than they seem to."""
    texts, used = [], settings.recipe.network_names()
    for name in NETWORKS:
        if name not in used and settings.checkpoint(name):
            texts.append(f'--{name}_checkpoint changes nothing: {settings.stage} has no {name}')
    if settings.valroot and not settings.recipe.validated:
        validated = ' and '.join(name for name, recipe in STAGES.items() if recipe.validated)
        texts.append(f'--valroot changes nothing: only {validated} is validated')
    with_truths = ' and '.join(name for name, recipe in STAGES.items() if recipe.takes_truths)
    if settings.mix_dataroot and not settings.recipe.takes_truths:
        texts.append(f'--mix_dataroot changes nothing: only {with_truths} mix sets')
    if settings.part != 'both' and settings.stage != 'pf_truth':
        texts.append(f'--part {settings.part} changes nothing: only pf_truth trains a part alone')
    if settings.warped_structure != WARPED_STRUCTURE and not settings.recipe.takes_truths:
        texts.append(f'--warped_structure changes nothing: only {with_truths} have that term')
    for role in {NETWORKS[name].role for name in used}:
        if settings.families[role] not in FAMILIES:
            texts.append(f'{role} {settings.families[role]}: this pair of networks is no published method')
    if settings.begun:
        texts.append(f'continuing a run of the published code: {", ".join(settings.begun.values())}')
    if settings.recipe.has_perceptual_terms and settings.vgg_weights == 'none':
        texts.append('--vgg_weights none: training without perceptual terms, unlike the published recipe')
    if settings.amp == 'fp16' and process.device.type == 'cpu':
        texts.append('--amp fp16: a CPU is many times slower in 16 bits than in 32; --amp off is faster')
    if process.world == 1 and settings.sync_bn:
        texts.append('--sync_bn changes nothing: there is one process')
    new = [f'--{name}_checkpoint' for name in settings.recipe.lr_scale if not settings.checkpoint(name)]
    if settings.freeze_bn and new and not settings.continues:
        texts.append(f'--freeze_bn: new networks have no statistics to keep; give {" and ".join(new)}')
    if process.world == 1 and ',' in settings.device:
        texts.append(f'--device {settings.device}: one process uses one; torchrun --nproc_per_node=N uses N')
    if process.world > 1:
        texts.append(f'{process.world} processes with {settings.batch_size} records a step each')
    return texts


def open_run(settings: TrainSettings, process: Process, notes: Iterable[str] = ()) -> Path:
    """Make the run folder, or take the continued run's, with log.txt and options; same in all processes.

    `notes` are logged together with the `remarks` on the options. Raises `UserError` where another process
    trains in the folder.
    """
    folder = None
    if process.is_first:
        known = settings.run or settings.place
        folder = increment_path(settings.project, settings.name) if known is None else Path(known)
        lock = claim(folder)  # before the options and the log of a training in it are touched
        logger = create_logger(folder)
        stored = dataclasses.asdict(settings)
        write_settings(folder, stored)
        logger.info(f'{settings.stage} on {process.device} into {folder}')
        for text in (*remarks(settings, process), *notes):
            logger.info(f'note: {text}')
        if settings.verbose:
            logger.info('\n'.join(f'--{name} {value}' for name, value in stored.items()))
        release(lock)
    else:
        create_logger().setLevel(logging.WARNING)
    return process.from_first(folder)
