"""The VITON layout on disk: where a record's files lie, and how one is read or refused with one clear line.

Pictures are taken as a viewer shows them: an EXIF orientation is applied (the published pictures have none),
since the tools that make parsing, DensePose and key points look at the upright picture as well.
"""

import json
import math
import os
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageOps

from data.labels import BODY_25, KEY_POINTS
from data.layouts import suggest_names
from utils.errors import DataError, UserError, first_line
from utils.paths import kind_of

FOLDERS = {'train': ('img', 'color', 'edge', 'label', 'densepose', 'pose'), 'test': ('img', 'color', 'edge')}
LABEL_SUFFIXES = ('.jpg', '.png')  # the published loader takes the JPEG where both are there
POSE_KEYS = ('pose_keypoints', 'pose_keypoints_2d')

PAIR_LIST, MISSING, DAMAGED = 'pair list', 'missing', 'damaged'
WRONG_FORMAT, WRONG_SIZE, UNKNOWN_IDS = 'wrong format', 'wrong size', 'unknown ids'

# Oddities that are read as the published loader reads them. `data.check` counts these.
EQUAL_CHANNELS = 'label maps of several equal channels (the first is read)'
FLOATS = 'DensePose maps of floating-point numbers (whole ones)'
ONE_CHANNEL = 'DensePose maps of shape [H, W, 1]'
BODY_25_POINTS = 'poses of 25 key points (the 18 of the COCO model are taken)'
NULLS = 'poses with null for a number (a null coordinate: a point that was not found)'
ZERO_ONE = 'edges of 0 and 1 instead of 0 and 255 (read as such)'
SLIGHTLY_OFF = 'maps a few pixels off the size of their picture (resized on their own)'

# Pillow's modes of one number a pixel; in a palette picture the number is the index.
_ID_MODES = ('1', 'L', 'P', 'I', 'I;16', 'I;16L', 'I;16B')
_EQUAL_MODES = {'LA': 1, 'RGB': 3, 'RGBA': 3}
_SLACK = 8  # pixels; the published loader rounds each side to a multiple of 16
_BODY_25_COUNT = 25
_LARGEST_ID = 2**31
_LONGEST_NAME, _LONGEST_REASON = 60, 160
_ALPHA_MODES = ('RGBA', 'RGBa', 'LA', 'La', 'PA')
_ORIENTATION, _FIRST_TURNED = 0x0112, 5  # EXIF's tag, and its first value for a picture on its side
_MULTIPLE, _LONGEST_SIDE = 32, 8192
_SMALLEST_SIDE = 8  # pixels; a picture of one is what some sites send in place of a missing one
# Those that Pillow decodes itself (MPO comes as JPEG); for others, such as EPS, it would run a program.
_PICTURE_FORMATS = ('JPEG', 'PNG', 'WEBP', 'BMP', 'GIF', 'TIFF', 'PPM')


class RecordError(DataError):
    """A file of the data set that cannot be used; `kind` groups it with others of its sort."""

    def __init__(self, message: str, *, kind: str = DAMAGED):
        super().__init__(message)
        self.kind = kind


def attempt(errors: list[RecordError], function: Callable, *arguments: Any, **options: Any) -> Any:
    """Return what the function returns for the arguments; or None, and its error goes to the list."""
    try:
        return function(*arguments, **options)
    except RecordError as error:
        errors.append(error)
        return None


def require_known_ids(path: Path, ids: ArrayLike, known: type[IntEnum], hint: str = '') -> None:
    """Raise `RecordError` for a map with other ids than those of `known`."""
    if unknown := sorted(set(np.unique(ids).tolist()) - set(known)):
        some = ', '.join(map(str, unknown[:5])) + (', ...' if len(unknown) > 5 else '')
        raise RecordError(f'{path}: ids {some}, expected 0 to {max(known)}{hint}', kind=UNKNOWN_IDS)


class Pair(NamedTuple):
    """One line of the pair list: file names of the person's picture and of the garment's."""

    person: str
    garment: str


def valid_size(size: Iterable[int]) -> tuple[int, int]:
    """Return (height, width) as given; raise `UserError` unless both are multiples of 32 up to 8192."""
    size = tuple(size)
    if len(size) != 2 or any(not _MULTIPLE <= side <= _LONGEST_SIDE or side % _MULTIPLE for side in size):
        raise UserError(
            f'size {size}: expected height and width, '
            f'multiples of {_MULTIPLE} up to {_LONGEST_SIDE}, like (256, 192)'
        )
    return int(size[0]), int(size[1])


def parse_list(path: Path) -> tuple[list[Pair], list[RecordError]]:
    """Return the pairs of a list, `person.jpg garment.jpg` a line, and one error for each bad line.

    Blank lines count for nothing, and so does ./ before a name. A list without any line is an error too.
    """
    with reading(path):
        try:
            text = path.read_bytes().decode('utf-8-sig')
        except UnicodeDecodeError:
            text = '\0'
        if '\0' in text:  # which UTF-16 puts beside each letter
            raise RecordError(f'{path}: not in UTF-8, save the list as UTF-8', kind=PAIR_LIST)
    pairs, errors = [], []
    for number, line in enumerate(text.splitlines(), 1):
        names = [name.removeprefix('./') for name in line.split()]
        if not names:
            continue
        if wrong := _wrong_names(names):
            errors.append(RecordError(f'{path}: line {number}: {wrong}', kind=PAIR_LIST))
        else:
            pairs.append(Pair(*names))
    if not pairs and not errors:
        errors.append(RecordError(f'{path}: empty, expected `person.jpg garment.jpg` a line', kind=PAIR_LIST))
    return pairs, errors


def read_list(path: Path) -> list[Pair]:
    """Return the pairs of a list, or raise the first error of `parse_list`."""
    pairs, errors = parse_list(path)
    if errors:
        raise errors[0]
    return pairs


def require_other_garments(root: Path, pairs: Iterable[Pair]) -> None:
    """Raise `RecordError` if some person has no garment to be dressed in but those that the list gives to it.

    Training dresses each person in a garment that is not its own.
    """
    own: dict[str, set[str]] = {}
    for person, garment in pairs:
        own.setdefault(person, set()).add(garment)
    garments = set().union(*own.values())
    for person, worn in own.items():
        if worn == garments:
            raise RecordError(
                f'{root / "train_pairs.txt"}: {len(garments)} distinct garment(s), all beside {person}; '
                'training needs another one to dress the person in, add pairs',
                kind=PAIR_LIST,
            )


def wears(person: str, garment: str) -> bool:
    """Tell from the file names whether the garment is the person's own.

    So it is where the stems are equal, or share all but the last part, which is 0 for the person and 1 for
    the garment: in VITON 000066_0.jpg wears 000066_1.jpg.
    """
    person, garment = Path(person).stem, Path(garment).stem
    person_number, _, person_view = person.rpartition('_')
    garment_number, _, garment_view = garment.rpartition('_')
    numbered = person_number and person_number == garment_number and (person_view, garment_view) == ('0', '1')
    return person == garment or bool(numbered)


def list_kind(pairs: Iterable[Pair]) -> str:
    """Return 'paired' if every person already wears the listed garment, 'unpaired' if none, else 'mixed'."""
    own = [wears(person, garment) for person, garment in pairs]
    if all(own):
        return 'paired'
    return 'mixed' if any(own) else 'unpaired'


def file_of(root: Path, phase: str, kind: str, name: str, *, suffix: str | None = None) -> Path:
    """Return the path of a name's file of a kind: 'img', 'color', 'edge', 'label', 'densepose' or 'pose'.

    A label map may be JPEG or PNG: the first existing of `LABEL_SUFFIXES`, unless `suffix` chooses one.
    """
    folder = root / f'{phase}_{kind}'
    if kind == 'label' and suffix is None:
        candidates = [folder / f'{Path(name).stem}{suffix}' for suffix in LABEL_SUFFIXES]
        return next((path for path in candidates if os.path.exists(path)), candidates[-1])
    suffix = suffix or {'densepose': '.npy', 'pose': '.json'}.get(kind)
    return folder / (f'{Path(name).stem}{suffix}' if suffix else name)


def read_picture(path: Path) -> Image.Image:
    """Read a person's or garment's picture as upright 8-bit RGB; what is transparent becomes white."""
    with reading(path):
        picture = _flat(path, 'RGB', background='white')
    if min(picture.size) < _SMALLEST_SIDE:
        size = f'{picture.height} x {picture.width} pixels (height x width)'
        raise RecordError(f'{path}: {size}, no photograph; replace the file', kind=WRONG_SIZE)
    return picture


def read_size(path: Path) -> tuple[int, int]:
    """Return (height, width) of a picture as a viewer shows it, without decoding it."""
    with reading(path), Image.open(path, formats=_PICTURE_FORMATS) as picture:
        turned = picture.getexif().get(_ORIENTATION, 1) >= _FIRST_TURNED
        return (picture.width, picture.height) if turned else (picture.height, picture.width)


def read_edge(path: Path, *, notes: list[str] | None = None) -> Image.Image:
    """Read a garment's mask as upright 8-bit grey; what is transparent becomes black, that is: no garment.

    A mask of 0 and 1 becomes one of 0 and 255. Oddities are added to `notes`, as by the other readers.
    """
    with reading(path):
        edge = _flat(path, 'L', background='black')
    if edge.getextrema()[1] != 1:
        return edge
    _note(notes, ZERO_ONE)
    return edge.point(lambda value: 255 * value)


def read_label(path: Path, *, notes: list[str] | None = None) -> np.ndarray:
    """Read a parsing map: ids [H, W], integers. A palette picture gives its indices, not its colours."""
    with reading(path):
        picture = _open(path)
        if picture.mode in _EQUAL_MODES:
            channels = np.asarray(picture)[..., : _EQUAL_MODES[picture.mode]]
            if (channels == channels[..., :1]).all():
                _note(notes, EQUAL_CHANNELS)
                return channels[..., 0].astype(np.int32)
        if picture.mode not in _ID_MODES:
            raise RecordError(
                f'{path}: colours (mode {picture.mode}), expected one channel of parsing ids',
                kind=WRONG_FORMAT,
            )
        return np.asarray(picture).astype(np.int32)


def read_densepose(path: Path, *, notes: list[str] | None = None) -> np.ndarray:
    """Read a DensePose map: part ids [H, W], integers."""
    with reading(path):
        parts = np.load(path, mmap_mode='r', allow_pickle=False)
        if not isinstance(parts, np.ndarray):
            raise RecordError(f'{path}: an archive of arrays, expected one array [H, W]', kind=WRONG_FORMAT)
        if parts.ndim == 3 and parts.shape[2] == 1:
            _note(notes, ONE_CHANNEL)
            parts = parts[..., 0]
        if parts.ndim != 2 or 0 in parts.shape:
            raise RecordError(
                f'{path}: shape {list(parts.shape)}, expected part ids [H, W]', kind=WRONG_FORMAT
            )
        if parts.dtype.kind == 'f' and (np.floor(parts) == parts).all() and (abs(parts) < _LARGEST_ID).all():
            _note(notes, FLOATS)
            return np.array(parts, dtype=np.int32)
        if parts.dtype.kind not in 'ui':
            raise RecordError(
                f'{path}: dtype {parts.dtype} with broken numbers, expected part ids, like uint8',
                kind=WRONG_FORMAT,
            )
        return np.array(parts)


def read_pose(path: Path, *, notes: list[str] | None = None) -> np.ndarray:
    """Read the key points of the first person in an OpenPose file: x, y in pixels, float64 [18, 2].

    A point that OpenPose has not found, and each point of a file without people, is (0, 0). Of the model of
    25 points those of the COCO model are taken.
    """
    return read_key_points(path, notes=notes)[:, :2]


def read_key_points(path: Path, *, notes: list[str] | None = None) -> np.ndarray:
    """Read what `read_pose` reads, with the score of each point: x, y, score, float64 [18, 3]."""
    with reading(path):
        content = json.loads(path.read_text(encoding='utf-8'))
        people = content.get('people') if isinstance(content, dict) else None
        if not isinstance(people, list):
            raise RecordError(
                f'{path}: no list `people`, expected the JSON that OpenPose writes', kind=WRONG_FORMAT
            )
        if not people:
            return np.zeros((KEY_POINTS, 3))
        person = people[0] if isinstance(people[0], dict) else {}
        values = next((person[key] for key in POSE_KEYS if key in person), None)
        if not isinstance(values, list):
            raise RecordError(f'{path}: people[0] has no list {" or ".join(POSE_KEYS)}', kind=WRONG_FORMAT)
        if len(values) not in (3 * KEY_POINTS, 3 * _BODY_25_COUNT):
            raise RecordError(
                f'{path}: {len(values)} numbers, expected x, y, score of {KEY_POINTS} or {_BODY_25_COUNT} '
                "key points (OpenPose's COCO or BODY_25 model)",
                kind=WRONG_FORMAT,
            )
        if None in values:
            _note(notes, NULLS)
            values = [0 if value is None else value for value in values]
        if not all(isinstance(value, (int, float)) and math.isfinite(value) for value in values):
            raise RecordError(f'{path}: a key point that is no finite number', kind=WRONG_FORMAT)
        points = np.array(values, dtype=np.float64).reshape(-1, 3)
        if len(points) == KEY_POINTS:
            return points
        _note(notes, BODY_25_POINTS)
        return points[list(BODY_25)]


def match_size(
    path: Path,
    size: tuple[int, int],
    expected: tuple[int, int],
    owner: Path,
    *,
    notes: list[str] | None = None,
) -> None:
    """Raise `RecordError` unless a map's (height, width) is, or nearly is, that of its picture `owner`.

    Up to 8 pixels are a note: once resized to the size of the records they fit, as in the published loader.
    """
    off = max(abs(side - other) for side, other in zip(size, expected, strict=True))
    if off > _SLACK:
        raise RecordError(
            f'{path}: {size[0]} x {size[1]} pixels (height x width), '
            f'expected {expected[0]} x {expected[1]} like {owner.parent.name}/{owner.name}',
            kind=WRONG_SIZE,
        )
    if off:
        _note(notes, SLIGHTLY_OFF)


def _note(notes: list[str] | None, text: str) -> None:
    if notes is not None:
        notes.append(text)


def _wrong_names(names: list[str]) -> str | None:
    if names[0].endswith(',') or (len(names) != 2 and any(',' in name for name in names)):
        return 'a comma between the names; separate `person.jpg garment.jpg` by a space'
    if len(names) != 2:
        return f'{len(names)} name(s), expected two: `person.jpg garment.jpg` (no spaces within a name)'
    for name in names:
        if '/' in name or '\\' in name or ':' in name or name in ('.', '..') or not name.isprintable():
            return f'{name[:_LONGEST_NAME]!r} is no plain file name; write the name without its folder'
    return None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn any error of a reader into a `RecordError` that names the file."""
    try:
        if kind_of(path) != 'file':
            raise RecordError(f'{path}: cannot be read (a folder, pipe or device), expected a file')
        yield
    except RecordError:
        raise
    except FileNotFoundError:
        if os.path.islink(path):
            raise RecordError(
                f'{path}: a link to {os.readlink(path)}, which is not there; mend the link', kind=MISSING
            ) from None
        hint = ''
        if others := suggest_names(path):
            other = _told_apart(others[0], path.name)
            hint = f'; {other} lies there: rename it, or write that name in the list'
        raise RecordError(f'{path}: no such file{hint}', kind=MISSING) from None
    except Image.UnidentifiedImageError:
        text = f'not a picture ({", ".join(_PICTURE_FORMATS)})' if path.stat().st_size else 'an empty file'
        raise RecordError(f'{path}: {text}, replace the file') from None
    except Exception as error:
        # On damaged bytes Pillow, NumPy and json raise nearly anything: SyntaxError, struct.error, ...
        of_the_system = isinstance(error, OSError) and error.strerror
        fix = 'check its name, its permissions and the disk' if of_the_system else 'replace the file'
        reason = first_line(error)[:_LONGEST_REASON]
        reason = reason if reason.isprintable() else repr(reason)
        raise RecordError(f'{path}: cannot be read ({reason}), {fix}') from error


def _told_apart(other: str, name: str) -> str:
    """A name, and where its letters look as those of `name` and are stored another way, how."""
    same = unicodedata.normalize('NFC', other) == unicodedata.normalize('NFC', name)
    return f'{other} (stored as {ascii(other)})' if same else other


def _open(path: Path) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', Image.DecompressionBombWarning)  # at twice its limit Pillow refuses
        with Image.open(path, formats=_PICTURE_FORMATS) as picture:
            return ImageOps.exif_transpose(picture)


def _flat(path: Path, mode: str, *, background: str) -> Image.Image:
    picture = _open(path)
    if picture.mode.startswith(('I', 'F')):
        # Pillow would clip 16-bit values to white instead of scaling them.
        raise RecordError(
            f'{path}: pixels of mode {picture.mode}, expected 8 bits a channel; save it as 8 bits',
            kind=WRONG_FORMAT,
        )
    if picture.mode in _ALPHA_MODES or 'transparency' in picture.info:
        picture = picture.convert('RGBA')
        canvas = Image.new('RGBA', picture.size, background)
        picture = Image.alpha_composite(canvas, picture)
    return picture.convert(mode)
