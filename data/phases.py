"""The phases of a data set, training and test, and the folder that holds their lists."""

import os
from pathlib import Path

from data.layouts import conversion_hint
from utils.errors import DataError, MissingFileError, UserError, first_line
from utils.paths import kind_of

PHASES = ('train', 'test')


def find_phases(root: Path, phase: str | None = None) -> tuple[str, ...]:
    """Return the phases whose list `<phase>_pairs.txt` lies in the folder `root`, or `phase` if it is given.

    Raises `UserError` (`MissingFileError`, `DataError`), with a hint where the data set lies if it is near.
    """
    if phase is not None and phase not in PHASES:
        raise UserError(f'phase {phase!r}: expected one of {", ".join(PHASES)}')
    lists = [f'{phase}_pairs.txt'] if phase else [f'{name}_pairs.txt' for name in PHASES]
    wanted = ' or '.join(lists)
    if not any(os.path.isdir(root / f'{name}_img') for name in PHASES) and (hint := conversion_hint(root)):
        raise DataError(f'{root}: {hint}')
    try:
        kind = kind_of(root)
    except FileNotFoundError:
        raise MissingFileError(f'{root}: no such folder; give the folder that holds {wanted}') from None
    except (OSError, ValueError) as error:
        reason = f'{root}: cannot be read ({first_line(error)})'
        raise UserError(f'{reason}; give the folder that holds {wanted}') from error
    if kind != 'folder':
        is_list = root.name.endswith('_pairs.txt')
        folder = f'its folder {root.parent}' if is_list else f'the folder that holds {wanted}'
        raise UserError(f'{root}: a file, expected the folder of a data set; give {folder}')
    if not os.access(root, os.R_OK | os.X_OK):
        raise UserError(f'{root}: cannot be read (Permission denied); allow yourself to read the folder')
    found = [name for name in lists if os.path.exists(root / name)]
    if found:
        return tuple(name.removesuffix('_pairs.txt') for name in found)
    deeper = [path.parent for name in lists for path in sorted(root.glob(f'*/{name}'))]
    if deeper:
        raise DataError(f'{root}: {wanted} lies one level deeper; give {deeper[0]}')
    if any(os.path.exists(root.parent / name) for name in lists):
        raise DataError(f'{root}: {wanted} lies one level higher; give {root.parent}')
    for other in PHASES:
        if os.path.exists(root / f'{other}_pairs.txt'):
            raise DataError(
                f'{root}: {wanted} is missing, only {other}_pairs.txt is here; give a {phase} set'
            )
    beside = f'{phase or "train"}_img/'
    raise DataError(f'{root}: {wanted} is missing; give the folder that holds it beside {beside}')
