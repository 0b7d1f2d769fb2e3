"""The run that `--resume` continues, and the options that it was begun with."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from engine.base_stage import NETWORKS
from engine.published_runs import is_published, published_files
from engine.saving import STATE_FILE, has_state
from engine.settings import options_of
from engine.stages import STAGES
from models.checkpoint import SUFFIXES
from opt.base_opt import SETTINGS_FILE
from utils.cli import OptionParser, run_name
from utils.errors import MissingFileError, UserError
from utils.paths import expand

AUTO = 'auto'
# Options of one start only, which a resumed run does not inherit.
NOT_KEPT = ('max_steps', 'verbose')


def add_resume(parser) -> None:
    """Add `--resume`."""
    what = 'continue a run in its own folder, with its options where none are given: RUN, or the newest of '
    what += f'project/name; {AUTO}: the newest if it has saved something, else start anew, in its folder if '
    what += 'there is one'
    parser.add_argument('--resume', nargs='?', const=True, default=False, metavar=f'RUN|{AUTO}', help=what)


class Source(NamedTuple):
    """Source of a continued training: a run of ours in its folder, or published checkpoints in a new one.

    `place` is the folder of a run that ended before it saved anything, to start anew in.
    """

    run: Path | None = None
    begun: Mapping[str, Path] = {}
    place: Path | None = None


def find_source(arguments: list[str], stage: str) -> Source:
    """Find the source that `--resume` names; the other options take the run's settings as defaults.

    Raises `UserError` in one line for a run or file that cannot be continued.
    """
    defaults = {field.name: field.default for field in options_of()}
    parser = OptionParser(add_help=False)
    parser.add_argument('--project', default=defaults['project'])
    parser.add_argument('--name', default=defaults['name'], type=run_name)
    for name in STAGES[stage].lr_scale:
        parser.add_argument(f'--{name}_checkpoint', type=expand)
    add_resume(parser)
    options, _ = parser.parse_known_args(arguments)
    if options.resume is False:
        return Source()
    runs = runs_of(options.project, options.name)
    if options.resume == AUTO:
        own = [run for run in runs if stage_of(run) in (stage, None)]
        saved = [run for run in own if has_state(run)]
        return Source(run=saved[-1]) if saved else Source(place=own[-1] if own else None)
    if options.resume is True:
        given = {name: getattr(options, f'{name}_checkpoint') for name in STAGES[stage].lr_scale}
        if not runs and all(file and is_published(file) for file in given.values()):
            return Source(begun=given)
        return _source_of_run(newest_run(options.project, options.name), stage)
    return _source_of_path(expand(options.resume), stage)


def runs_of(project: str | Path, name: str) -> list[Path]:
    """The folders `project/name`, `project/name-1`, ..., oldest first."""
    numbers = {}
    for folder in Path(project).glob('*'):
        if folder.is_dir() and (match := re.fullmatch(rf'{re.escape(name)}(?:-([1-9]\d*))?', folder.name)):
            numbers[int(match[1] or 0)] = folder
    return [numbers[number] for number in sorted(numbers)]


def newest_run(project: str | Path, name: str) -> Path:
    """Return the newest of `project/name`, `project/name-1`, ...; raises `MissingFileError` for none."""
    runs = runs_of(project, name)
    if not runs:
        raise MissingFileError(
            f'--resume: there is no run {name} in {project}; give its folder by --resume PATH'
        )
    return runs[-1]


def _source_of_run(run: Path, stage: str) -> Source:
    """A run with a state, else the published checkpoints in it. Raises `UserError` with the way to go on."""
    if has_state(run):
        return Source(run)
    if begun := published_files(run, STAGES[stage].lr_scale):
        return Source(begun=begun)
    if (saved := stage_of(run)) not in (stage, None):
        raise of_another_stage(run, saved)
    files = {name: run / 'weights' / f'{name}_last.pt' for name in STAGES[stage].lr_scale}
    left = [f'--{name}_checkpoint {file}' for name, file in files.items() if file.is_file()]
    if left:
        raise MissingFileError(
            f'--resume: {run} has lost weights/{STATE_FILE}, and with it epoch and optimiser; go on from '
            f'its weights in a new run: leave --resume out and give {" ".join(left)}'
        )
    raise MissingFileError(
        f'--resume: {run} has no weights/{STATE_FILE}, so it ended before it saved anything; start anew'
    )


def _source_of_path(path: Path, stage: str) -> Source:
    """Find a path's source: a run, its weights folder, its last checkpoint, or a published checkpoint."""
    if path.is_dir():
        return _source_of_run(path.parent if path.name == 'weights' else path, stage)
    if not path.exists():
        raise MissingFileError(f'--resume {path}: there is no such run folder or file')
    in_run = path.parent.name == 'weights'
    if in_run and path.stem.endswith('_last') and (has_state(path.parent.parent) or not is_published(path)):
        return _source_of_run(path.parent.parent, stage)
    if path.suffix in SUFFIXES and path.stat().st_size and is_published(path):
        return Source(begun=_with_siblings(path, stage))
    if in_run:
        names = [name for name in NETWORKS if path.name.startswith(name)] or ['<network>']
        run = path.parent.parent
        raise UserError(
            f'--resume {path}: holds weights only; start from it by --{names[0]}_checkpoint, or resume {run}'
        )
    raise UserError(
        f'--resume {path}: expected a run folder, a file of its weights, or a published training checkpoint'
    )


def _with_siblings(path: Path, stage: str) -> dict[str, Path]:
    """A published checkpoint and those of the stage's other networks, which differ in its name alone."""
    names = list(STAGES[stage].lr_scale)
    own = next((name for name in names if name in path.name), names[0])
    files = {name: path.with_name(path.name.replace(own, name)) for name in names}
    for name, file in files.items():
        if not is_published(file) or (name != own and file == path):
            lacking = f'{stage} trains {name}, too'
            raise UserError(f'--resume {path}: {lacking}; put its checkpoint beside, as {file.name}')
    return files


def _read_settings(run: Path) -> dict[str, Any]:
    """Read a run's settings file; an empty dict where the file is lost."""
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
    return saved


def stage_of(run: Path) -> str | None:
    """The stage that a run's settings file names; None where it names none."""
    return _read_settings(run).get('stage')


def of_another_stage(run: Path, stage: str | None) -> UserError:
    """The refusal to continue a run of `stage` by another stage's script."""
    return UserError(f'{run} is a run of train_{stage}.py; continue it with that, or name another run')


def saved_options(run: Path, stage: str) -> dict[str, Any]:
    """The options in a run's settings file that this program knows; none where the file is lost.

    Raises `UserError` for a file that cannot be read and for a run of another stage.
    """
    saved = _read_settings(run)
    if saved.get('stage', stage) != stage:
        raise of_another_stage(run, saved['stage'])
    known = {field.name for field in options_of()} - set(NOT_KEPT)
    return {name: value for name, value in saved.items() if name in known}
