"""The try-on as a folder for any static web server: the page of web/, its networks, and pictures to begin with.

npm gets ONNX Runtime Web and bundles the page; nothing is fetched from elsewhere once the folder is written.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from models.pipeline import TryOnPipeline
from photo.garment import garment_mask
from photo.loading import load_photo
from runtime.export_web import write_networks
from utils.errors import UserError

SOURCES = Path(__file__).parents[1] / 'web'
SITE, ENGINES = 'site.json', 'engines.json'
LEAST_NODE = 20
MEGA = 1e6
WEBP = {'quality': 92, 'method': 6, 'exact': True}


class Site(NamedTuple):
    """What was written."""

    network_megabytes: float  # both graphs
    first_visit_megabytes: float  # all that a visitor loads who computes on the processor
    files: int


def check_node() -> None:
    """Raise `UserError` unless Node and npm, which bundle the page, are there and new enough."""
    for program in ('node', 'npm'):
        if shutil.which(program) is None:
            raise UserError(
                f'--format web needs {program}, which is not installed; install Node.js {LEAST_NODE} or newer (it brings npm)'
            )
    version = subprocess.run(['node', '--version'], capture_output=True, text=True).stdout.strip()
    major = re.match(r'v(\d+)\.', version)
    if major is None or int(major[1]) < LEAST_NODE:
        raise UserError(f'--format web needs Node.js {LEAST_NODE} or newer, found {version}; install a newer one')


def bundle(out: Path, *, sources: Path = SOURCES) -> None:
    """Write the page and ONNX Runtime Web into `out` by npm, which gets the packages of web/package-lock.json if need be.

    Raises `UserError` with npm's last words where that fails.
    """
    installed = sources / 'node_modules' / '.package-lock.json'
    lock = sources / 'package-lock.json'
    if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
        run_npm(['ci', '--no-audit', '--no-fund', '--ignore-scripts'], sources, 'get the packages of web/package-lock.json')
        os.utime(installed)
    run_npm(['run', '--silent', 'bundle', '--', str(out.resolve())], sources, 'bundle the page')


def run_npm(arguments: list[str], sources: Path, purpose: str) -> None:
    """Run npm in `sources`; raises `UserError` with the last line of what it said where it fails."""
    done = subprocess.run(['npm', *arguments], cwd=sources, capture_output=True, text=True)
    if done.returncode:
        lines = [line.strip() for line in f'{done.stdout}\n{done.stderr}'.splitlines() if line.strip()]
        raise UserError(f'npm could not {purpose} ({lines[-1] if lines else "no message"}); look at it in {sources}')


def write_samples(folder: Path, people: Sequence[Path], garments: Sequence[Path]) -> dict[str, list[str]]:
    """Write pictures of people, and of garments with their masks as transparency, into `folder`; returns their names."""
    names: dict[str, list[str]] = {'people': [], 'garments': []}
    for number, path in enumerate(people):
        picture = load_photo(path).picture
        names['people'].append(_save(picture, folder / f'person-{number}.webp'))
    for number, path in enumerate(garments):
        photo = load_photo(path)
        picture = photo.picture.copy()
        picture.putalpha(garment_mask(photo, name=str(path)))
        names['garments'].append(_save(picture, folder / f'garment-{number}.webp'))
    return names


def _save(picture: Image.Image, path: Path) -> str:
    picture.save(path, **WEBP)
    return path.name


def write_site(
    pipeline: TryOnPipeline, out: Path, *, size: tuple[int, int], people: Sequence[Path], garments: Sequence[Path], about: str
) -> Site:
    """Write the whole page into the folder `out`, which is there and empty; `about` is its last line, on whose weights they are.

    `people` and `garments` are pictures to begin with. Raises `UserError` where npm fails, and as `write_networks` and
    `photo.garment_mask` do.
    """
    bundle(out)
    networks, samples = out / 'networks', out / 'samples'
    networks.mkdir()
    samples.mkdir()
    engines = json.loads((out / ENGINES).read_text(encoding='utf-8'))
    (out / ENGINES).unlink()
    site = {
        'size': {'width': size[1], 'height': size[0]},
        'align_corners': pipeline.align_corners,
        'family': pipeline.family,
        'trained': pipeline.is_trained,
        'about': about,
        'engines': engines,
        'graphs': write_networks(pipeline, networks, size=size),
        'samples': write_samples(samples, people, garments),
    }
    site['version'] = _digest(out)
    (out / SITE).write_text(json.dumps(site, indent=1) + '\n', encoding='utf-8')
    files = [path for path in out.rglob('*') if path.is_file()]
    total = sum(graph['bytes'] for graph in site['graphs'].values())
    other = {path for name, engine in engines.items() if name != 'wasm' for path in engine.values()}
    visit = sum(path.stat().st_size for path in files if path.relative_to(out).as_posix() not in other)
    return Site(total / MEGA, visit / MEGA, len(files))


def _digest(folder: Path) -> str:
    """A name for the contents of a folder, by which browsers tell a new export from what they have kept."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob('*') if path.is_file()):
        total.update(path.relative_to(folder).as_posix().encode())
        total.update(path.read_bytes())
    return total.hexdigest()[:12]
