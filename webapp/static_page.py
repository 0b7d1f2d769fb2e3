"""The try-on as a folder for any static web server: the page of web/, its networks, and pictures to begin
with.

npm gets ONNX Runtime Web and bundles the page; nothing is fetched from elsewhere once the folder is written.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from models.pipeline import TryOnPipeline
from photo.garment import garment_mask
from photo.loading import load_photo
from runtime.export.parity import load_pictures
from runtime.export.web_graphs import check_networks, write_networks
from utils.errors import UserError
from utils.paths import check_folder
from webapp.wardrobe import fill_wardrobe

SOURCES = Path(__file__).parents[1] / 'web'
SITE, ENGINES = 'site.json', 'engines.json'
LEAST_NODE = 20
MEGA = 1e6
WEBP: dict[str, Any] = {'quality': 92, 'method': 6, 'exact': True}


class Site(NamedTuple):
    """What was written."""

    network_megabytes: float  # both graphs
    psnr_db: float  # of the graphs' pictures beside the pipeline's, the worst of a few
    visit_megabytes: float  # all that a visitor loads who computes on the processor
    files: int


def check_node() -> None:
    """Raise `UserError` unless Node and npm, which bundle the page, are there and new enough."""
    for program in ('node', 'npm'):
        if shutil.which(program) is None:
            raise UserError(
                f'--format web needs {program}, which is not installed; install Node.js {LEAST_NODE} or '
                'newer (it brings npm)'
            )
    version = subprocess.run(['node', '--version'], capture_output=True, text=True).stdout.strip()
    major = re.match(r'v(\d+)\.', version)
    if major is None or int(major[1]) < LEAST_NODE:
        raise UserError(
            f'--format web needs Node.js {LEAST_NODE} or newer, found {version}; install a newer one'
        )


def bundle(out: Path, *, sources: Path = SOURCES) -> None:
    """Write the page and ONNX Runtime Web into `out` by npm, which gets the packages of web/package-lock.json
    if need be.

    Raises `UserError` with npm's last words where that fails.
    """
    installed = sources / 'node_modules' / '.package-lock.json'
    lock = sources / 'package-lock.json'
    if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
        run_npm(
            ['ci', '--no-audit', '--no-fund', '--ignore-scripts'],
            sources,
            'get the packages of web/package-lock.json',
        )
        os.utime(installed)
    run_npm(['run', '--silent', 'bundle', '--', str(out.resolve())], sources, 'bundle the page')


def run_npm(arguments: list[str], sources: Path, purpose: str) -> None:
    """Run npm in `sources`; raises `UserError` with the last line of what it said where it fails."""
    done = subprocess.run(['npm', *arguments], cwd=sources, capture_output=True, text=True)
    if done.returncode:
        lines = [line.strip() for line in f'{done.stdout}\n{done.stderr}'.splitlines() if line.strip()]
        raise UserError(
            f'npm could not {purpose} ({lines[-1] if lines else "no message"}); look at it in {sources}'
        )


def write_samples(folder: Path, people: Sequence[Path], garments: Sequence[Path]) -> dict[str, list[str]]:
    """Write pictures of people, and of garments with their masks as transparency, into `folder`; returns
    their names.
    """
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


def write_site(pipeline: TryOnPipeline, out: Path, *, size: tuple[int, int], about: str) -> Site:
    """Write the page into `out`: a new or empty folder, or an earlier page, which is replaced as a whole.

    `about` is the page's last line, on whose weights they are. Raises `UserError` for a folder that holds
    anything else, where Node or npm is missing or fails, and as `write_networks` and `check_networks` do; the
    folder then is as it was.
    """
    check_node()
    with _replaced(out) as stage:
        bundle(stage)
        engines = json.loads((stage / ENGINES).read_text(encoding='utf-8'))
        (stage / ENGINES).unlink()
        networks, samples = stage / 'networks', stage / 'samples'
        networks.mkdir()
        samples.mkdir()
        graphs = write_networks(pipeline, networks, size=size)
        psnr = check_networks(pipeline, networks, load_pictures(None, size))
        site = {
            'size': {'width': size[1], 'height': size[0]},
            'align_corners': pipeline.align_corners,
            'family': pipeline.family,
            'trained': pipeline.is_trained,
            'about': about,
            'engines': engines,
            'graphs': graphs,
        }
        with tempfile.TemporaryDirectory() as folder:
            choice = fill_wardrobe(Path(folder))
            site['samples'] = write_samples(samples, choice.people, choice.garments)
        site['version'] = _digest(stage)
        (stage / SITE).write_text(json.dumps(site, indent=1) + '\n', encoding='utf-8')
        files = [path for path in stage.rglob('*') if path.is_file()]
        others = {path for name, engine in engines.items() if name != 'wasm' for path in engine.values()}
        visit = sum(path.stat().st_size for path in files if path.relative_to(stage).as_posix() not in others)
    return Site(sum(graph['bytes'] for graph in graphs.values()) / MEGA, psnr, visit / MEGA, len(files))


@contextmanager
def _replaced(out: Path) -> Iterator[Path]:
    """Yield a new folder beside `out` that takes its place when the block ends well.

    Raises `UserError` where something else is.
    """
    check_folder(out, '--out')
    if out.is_dir() and any(out.iterdir()) and not (out / SITE).is_file():
        raise UserError(
            f'--out {out}: a folder with other files in it, which a page would replace; give a new one'
        )
    stage = out.with_name(f'.{out.name}.{secrets.token_hex(8)}.tmp')
    stage.mkdir(parents=True)
    old = stage.with_suffix('.old')
    try:
        yield stage
        if out.exists():
            os.replace(out, old)
        os.replace(stage, out)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _digest(folder: Path) -> str:
    """A name for the contents of a folder, by which browsers tell a new export from what they have kept."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob('*') if path.is_file()):
        total.update(path.relative_to(folder).as_posix().encode())
        total.update(path.read_bytes())
    return total.hexdigest()[:12]
