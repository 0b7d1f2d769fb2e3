"""The layouts in which people have try-on data: where each file lies, and how a folder is recognised.

CP-VTON (Wang et al., ECCV 2018), VITON-HD (Choi et al., CVPR 2021), DressCode (Morelli et al., ECCV 2022).
"""

import os
import shlex
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from data.labels import ATR_PARSING, CIHP_PARSING, LIP_PARSING, Parsing

PARTS = ('train', 'test')
CATEGORIES = ('upper_body', 'dresses')
_NO_TOPS = 'lower_body'


@dataclass(frozen=True)
class Layout:
    """Layout of one published data set.

    `lists` and `files` hold path patterns below the source folder; the first that exists counts. `{part}` is
    train or test, `{stem}` a picture's name without suffix, `{number}` that without its last two characters.
    """

    title: str
    parsing: Mapping[int, Parsing]
    """From its parsing ids to ours."""
    lists: Mapping[str, tuple[str, ...]]
    files: Mapping[str, tuple[str, ...]]
    """By the kinds of our layout: img, color, edge, label, pose, densepose."""
    marks: tuple[str, ...]
    """Folders that no other layout has together."""
    own_suffix: str = '_1'
    """Replacement of _0 in a person's name for its own garment; empty: both have one name."""
    pose_frame: tuple[int, int] | None = None
    """(height, width) of the picture that its key points count in; None: the person's picture."""

    def list_file(self, source: Path, part: str) -> Path | None:
        """Return the pair list of a part, or None where there is none."""
        return _first(source / name for name in self.lists[part])

    def file(self, source: Path, part: str, kind: str, name: str) -> Path | None:
        """Return the file of a kind for the picture called `name`, or None where there is none."""
        return _first(self.candidates(source, part, kind, name))

    def candidates(self, source: Path, part: str, kind: str, name: str) -> list[Path]:
        """Return where the file of a kind for the picture `name` may lie, the preferred place first."""
        stem = Path(name).stem
        words = {'part': part, 'name': name, 'stem': stem, 'number': stem[:-2]}
        return [source / pattern.format(**words) for pattern in self.files[kind]]

    def own_garment(self, person: str) -> str:
        """Return the file name of the garment that a person wears."""
        stem, suffix = os.path.splitext(person)
        return f'{stem[:-2]}{self.own_suffix}{suffix}' if self.own_suffix and stem.endswith('_0') else person

    def recognises(self, root: Path) -> bool:
        """Return True if a folder has this layout."""
        return any(all(os.path.isdir(root / mark.format(part=part)) for mark in self.marks) for part in PARTS)


LAYOUTS = {
    'cp_vton': Layout(
        'CP-VTON',
        LIP_PARSING,
        {part: (f'{part}_pairs.txt',) for part in PARTS},
        {
            'img': ('{part}/image/{name}',),
            'color': ('{part}/cloth/{name}',),
            'edge': ('{part}/cloth-mask/{name}', '{part}/cloth-mask/{stem}.png'),
            'label': ('{part}/image-parse/{stem}.png',),
            'pose': ('{part}/pose/{stem}_keypoints.json',),
            'densepose': (),
        },
        ('{part}/image', '{part}/cloth', '{part}/image-parse', '{part}/pose'),
    ),
    'viton_hd': Layout(
        'VITON-HD',
        CIHP_PARSING,
        {part: (f'{part}_pairs.txt',) for part in PARTS},
        {
            'img': ('{part}/image/{name}',),
            'color': ('{part}/cloth/{name}',),
            'edge': ('{part}/cloth-mask/{name}', '{part}/cloth-mask/{stem}.png'),
            'label': ('{part}/image-parse-v3/{stem}.png', '{part}/image-parse/{stem}.png'),
            'pose': tuple(f'{{part}}/openpose{sign}json/{{stem}}_keypoints.json' for sign in '_-'),
            'densepose': tuple(f'{{part}}/image-densepose/{{stem}}.{end}' for end in ('npy', 'png', 'jpg')),
        },
        ('{part}/image', '{part}/cloth', '{part}/openpose_json'),
        own_suffix='',
    ),
    'dresscode': Layout(
        'DressCode',
        ATR_PARSING,
        {'train': ('train_pairs.txt',), 'test': ('test_pairs_unpaired.txt', 'test_pairs_paired.txt')},
        {
            'img': ('images/{name}',),
            'color': ('images/{name}',),
            'edge': (),
            'label': ('label_maps/{number}_4.png',),
            'pose': ('keypoints/{number}_2.json',),
            'densepose': ('dense/{number}_5.npy', 'dense/{number}_5.png'),
        },
        ('images', 'keypoints', 'label_maps'),
        pose_frame=(512, 384),
    ),
}


def recognise(root: Path) -> tuple[str, Path] | None:
    """Return the layout that a folder, or the one around it, has, and the folder to convert; or None."""
    for folder in (root, root.parent):
        for name, layout in LAYOUTS.items():
            if layout.recognises(folder):
                return name, folder
    for category in CATEGORIES:
        if LAYOUTS['dresscode'].recognises(root / category):
            return 'dresscode', root / category
    return None


def conversion_hint(root: Path) -> str | None:
    """Return what to say about a folder in a layout that has to be converted first, or None."""
    if not (found := recognise(root)):
        return None
    name, folder = found
    command = f'python -m data.convert {shlex.quote(str(folder))} TARGET --layout {name}'
    expected = 'expected that of VITON (<phase>_img, <phase>_color, ...)'
    return f'the layout of {LAYOUTS[name].title}, {expected}; run `{command}`'


def _first(paths) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def holds_lower_body(root: Path) -> bool:
    """Return True for DressCode's folder of trousers and skirts, which no network here puts on."""
    return root.name == _NO_TOPS and LAYOUTS['dresscode'].recognises(root)


def suggest_names(path: Path) -> list[str]:
    """Return the names beside a missing file that differ from its own in case, suffix, or the way that
    letters with accents are stored (macOS takes them apart).
    """
    try:
        changed = path.parent.stat().st_mtime_ns
    except OSError:  # without the folder there is nothing beside the file
        return []
    stems = _names_by_stem(path.parent, changed)
    return stems.get(_folded(path.name), [])


@lru_cache(maxsize=8)
def _names_by_stem(folder: Path, _changed: int) -> dict[str, list[str]]:
    """Names in a folder by their folded stems; read once, however many files of it are missing."""
    stems: dict[str, list[str]] = {}
    for name in sorted(os.listdir(folder)):
        stems.setdefault(_folded(name), []).append(name)
    return stems


def _folded(name: str) -> str:
    return unicodedata.normalize('NFC', Path(name).stem.casefold())
