"""Writes a synthetic data set in VITON's layout: drawn people and garments, and true try-ons of test pairs.

Not part of any paper: it stands in for VITON where that is missing, and it has the truth. The folder:

    VITON_traindata/  train_pairs.txt  train_img/ train_color/ train_edge/
                      train_label/ train_densepose/ train_pose/
    VITON_test/       test_pairs.txt   test_img/  test_color/  test_edge/
                      test_label/  test_densepose/  test_pose/  test_gt/{img,flow,mask}/
    synthetic.json    version, seed, size and counts

With `--varied` people and garments have more of the variety of photographs: tucked and half tucked tops,
turned torsos, hair in front, more cuts and cloths. Both kinds have the same truth, to the pixel.

With `--truths` training people have the truth in a neighbour's garment, too: `train_truths.txt` lists who
tries on what, and `train_gt/{img,flow,mask,label,own_flow}/` has the files.

Record i is the person `<i>_0.jpg` and that person's garment `<i>_1.jpg`. Training pairs are people and their
own garments, test pairs people and a neighbour's garment. For each of those `test_gt` holds, under `<person
stem>__<garment stem>`,

- `img/*.png`: the same picture with that garment on, before any JPEG;
- `flow/*.npy`: float16 [2, H, W], the sampling grid in normalised (x, y) that leads from each pixel to the
flat garment, `pixel / ((size - 1) / 2) - 1` as the networks use it with `align_corners`; NaN where no garment
is seen;
- `mask/*.png`: 255 where the new garment is seen (in at least half of the pixel); 128 on the other pixels
that the old garment covered or whose colour changed: skin and clothes that came out from under it, and the
soft rim, a few pixels wide, of either garment with its shadow; 0 elsewhere, where the two pictures are equal
bit by bit;
- in training `label/*.png`: the parsing of that picture, and `own_flow/*.npy`: the flow of the person's
picture to the person's own garment, so that a pair can be used in both directions.

Record i depends on (seed, split, i) alone, not on counts or workers. Who swaps garments with whom is fixed
too, but for the last three of a test set of odd size.
"""

import io
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from data.records import valid_size
from synthetic.records import SPLITS, partner, render_record
from utils.errors import UserError
from utils.paths import expand

VERSION = 1
"""Of the drawings: another version draws other pictures from the same seed."""

MORE_IN_TRAINING = {'truth_parsing': 'label', 'own_flow': 'own_flow'}
"""Parts of the truth of a training pair beside image, flow and mask, with their folders."""

JPEG_QUALITY, EDGE_QUALITY = 95, 100
MANIFEST, PARTIAL = 'synthetic.json', '.partial'
SMALLEST_SIDE = 64
MOST_RECORDS, MOST_WORKERS = 1_000_000, 256  # names have six digits; processes
ATTEMPTS = 5  # to write a file


def jpeg_bytes(image: np.ndarray, quality: int = JPEG_QUALITY) -> bytes:
    """A picture uint8, RGB [H, W, 3] or grey [H, W], as a JPEG file."""
    image = image[..., ::-1] if image.ndim == 3 else image
    return cv2.imencode('.jpg', np.ascontiguousarray(image), [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def png_bytes(image: np.ndarray) -> bytes:
    """A picture uint8, RGB [H, W, 3] or grey [H, W], as a PNG file."""
    image = image[..., ::-1] if image.ndim == 3 else image
    settings = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
    return cv2.imencode('.png', np.ascontiguousarray(image), settings)[1].tobytes()


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def record_paths(split: str, index: int, other: int | None) -> dict[str, str]:
    """Paths of the parts of a record by name, relative to the root."""
    folder, stem, person, cloth = SPLITS[split][0], f'{index:06d}', f'{index:06d}_0', f'{index:06d}_1'
    paths = {
        'person': f'{folder}/{split}_img/{person}.jpg',
        'cloth': f'{folder}/{split}_color/{cloth}.jpg',
        'edge': f'{folder}/{split}_edge/{cloth}.jpg',
        'parsing': f'{folder}/{split}_label/{person}.png',
        'densepose': f'{folder}/{split}_densepose/{person}.npy',
        'pose': f'{folder}/{split}_pose/{person}.json',
    }
    if other is not None:
        pair = f'{stem}_0__{other:06d}_1'
        kinds = {'truth': 'img', 'flow': 'flow', 'mask': 'mask'}
        kinds |= MORE_IN_TRAINING if split == 'train' else {}
        for name, kind in kinds.items():
            paths[name] = f'{folder}/{split}_gt/{kind}/{pair}.{"npy" if "flow" in kind else "png"}'
    return paths


def _write_record(
    task: tuple[str, int, int | None], *, root: Path, seed: int, size: tuple[int, int], varied: bool
) -> None:
    split, index, other = task
    record = render_record(seed, split, index, size=size, other=other, varied=varied)
    pose = [round(value, 3) for value in record.pose.flatten().tolist()]
    parts = {
        'person': jpeg_bytes(record.person),
        'cloth': jpeg_bytes(record.cloth),
        'edge': jpeg_bytes(record.edge, EDGE_QUALITY),
        'parsing': png_bytes(record.parsing),
        'densepose': _npy(record.densepose),
        'pose': json.dumps({'version': 1.0, 'people': [{'pose_keypoints': pose}]}).encode(),
    }
    if truth := record.truth:
        parts |= {
            'truth': png_bytes(truth.image),
            'flow': _npy(truth.flow.astype(np.float16)),
            'mask': png_bytes(truth.mask),
            'truth_parsing': png_bytes(truth.parsing),
            'own_flow': _npy(record.flow.astype(np.float16)),
        }
    for name, path in record_paths(split, index, other).items():
        _write(root, path, parts[name])


def _write(root: Path, path: str, content: bytes) -> None:
    """Write a file as a whole or not at all, also where another run in this folder tidies up meanwhile."""
    partial_file = root / PARTIAL / f'{os.getpid()}-{Path(path).name}'
    for attempt in range(ATTEMPTS):
        try:
            partial_file.write_bytes(content)
            os.replace(partial_file, root / path)
            return
        except FileNotFoundError:
            if attempt == ATTEMPTS - 1 or not root.is_dir():
                raise
            partial_file.parent.mkdir(exist_ok=True)


@contextmanager
def using(option: str, path: Path) -> Iterator[None]:
    """Turn what the system refuses, a full disk for instance, into one line that names the option."""
    try:
        yield
    except (UserError, BrokenPipeError):  # who stopped reading our output did not refuse the folder
        raise
    except OSError as error:
        where = f' at {error.filename}' if error.filename else ''
        raise UserError(
            f'{option} {path}: cannot be written ({error.strerror or error}{where}); '
            'check its permissions and the space on its disk, or give another'
        ) from error


def check_drawing(seed: int, size: tuple[int, int]) -> None:
    """Raise `UserError` for a seed or a size (H, W) that cannot be drawn."""
    if seed < 0:
        raise UserError(f'--seed {seed}: expected 0 or more')
    if min(valid_size(size)) < SMALLEST_SIDE:
        raise UserError(
            f'--size {size[0]} {size[1]}: expected height and width, multiples of 32 from {SMALLEST_SIDE} on'
        )


def _check(
    root: Path, train: int, test: int, seed: int, size: tuple[int, int], workers: int, truths: bool
) -> None:
    if train < 0 or test < 0 or train + test == 0:
        raise UserError(f'--train {train} --test {test}: expected counts of 0 and more, not both 0')
    if max(train, test) > MOST_RECORDS:
        raise UserError(
            f'--train {train} --test {test}: at most {MOST_RECORDS} each; use another seed for more'
        )
    if test == 1:
        raise UserError('--test 1: a person tries on the garment of another one; give 0, or 2 and more')
    if truths and train < 2:
        raise UserError(
            f'--truths --train {train}: a person tries on the garment of another one; give 2 and more'
        )
    check_drawing(seed, size)
    if not 1 <= workers <= MOST_WORKERS:
        raise UserError(f'--workers {workers}: expected 1 to {MOST_WORKERS}')
    if os.path.exists(root) and not os.path.isdir(root):
        raise UserError(f'--root {root}: is a file; give a folder that is new, empty or made by this command')


def _read_manifest(root: Path) -> dict | None:
    """Description left by an earlier run; None if the folder is new or empty."""
    content = sorted(item.name for item in root.iterdir()) if os.path.isdir(root) else []
    if not content:
        return None
    if MANIFEST not in content:
        raise UserError(
            f'--root {root}: holds something else ({content[0]}); '
            'give one that is new, empty or made by this command'
        )
    refusal = UserError(f'{root / MANIFEST}: not a manifest of this command; give another folder')
    if not os.path.isfile(root / MANIFEST):
        raise refusal
    try:
        manifest = json.loads((root / MANIFEST).read_text(encoding='utf-8'))
        flags = {key: key in manifest and manifest[key] is True for key in ('truths', 'varied')}
        manifest = {key: manifest[key] for key in ('version', 'seed', 'size', 'train', 'test')}
        numbers = [manifest[key] for key in manifest if key != 'size'] + [*manifest['size']]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise refusal from error
    if len(numbers) != 6 or any(type(number) is not int or number < 0 for number in numbers):
        raise refusal
    return manifest | flags


def _agree(root: Path, old: dict, new: dict) -> None:
    """Refuse to mix records that were drawn differently, and to leave records that no list names."""
    for key in ('version', 'seed', 'size'):
        if old[key] != new[key]:
            raise UserError(
                f'--root {root}: was made with {key} {old[key]}, asked for {new[key]}; give another folder'
            )
    if old['varied'] != new['varied']:
        way = 'with' if old['varied'] else 'without'
        raise UserError(f'--root {root}: was made {way} --varied; ask for the same, or give another folder')
    if old['truths'] and not new['truths']:
        raise UserError(f'--root {root}: was made with --truths; give it again, or another folder')
    for split in SPLITS:
        if new[split] < old[split]:
            counts = f'has {old[split]} {split} records, asked for {new[split]}'
            raise UserError(f'--root {root}: {counts}; ask for as many or more')


def _complete(root: Path, task: tuple[str, int, int | None]) -> bool:
    # A file of no bytes is what a crash of the system leaves of one that was never flushed.
    paths = [root / path for path in record_paths(*task).values()]
    return all(os.path.isfile(path) and os.path.getsize(path) > 0 for path in paths)


def _run(tasks: list, work: partial, workers: int, bar: tqdm) -> None:
    """Do the tasks in this process or in several; neighbours stay together, as they share garments."""
    if workers == 1:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            for task in tasks:
                work(task)
                bar.update()
        finally:
            cv2.setNumThreads(threads)
        return
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(workers, context, cv2.setNumThreads, (1,)) as pool:
        for _ in pool.map(work, tasks, chunksize=8):
            bar.update()


def write_dataset(
    root: str | Path,
    *,
    train: int,
    test: int,
    seed: int,
    size: tuple[int, int] = (256, 192),
    truths: bool = False,
    varied: bool = False,
    workers: int = 1,
    progress: bool = True,
) -> Path:
    """Write the data set, or what is missing of it, and return its folder; `truths`: in training, too;
    `varied`: with the variety of photographs.

    Files appear whole or not at all and the lists of pairs come last, so an interrupted run can be repeated.
    Raises `UserError` for a folder that holds something else or cannot be written, and for counts, seed or
    size that do not go with what it holds.
    """
    root, size = expand(root), (int(size[0]), int(size[1]))
    _check(root, train, test, seed, size, workers, truths)
    counts = {'train': train, 'test': test, 'truths': truths, 'varied': varied}
    manifest = {'version': VERSION, 'seed': seed, 'size': list(size), **counts}
    with using('--root', root):
        _write_missing(root, manifest, workers=workers, progress=progress)
    return root


def _write_missing(root: Path, manifest: dict, *, workers: int, progress: bool) -> None:
    seed, size = manifest['seed'], tuple(manifest['size'])
    old = _read_manifest(root)
    if old:
        _agree(root, old, manifest)
    train, test, truths = (manifest[key] for key in ('train', 'test', 'truths'))
    tasks: list[tuple[str, int, int | None]] = [('test', i, partner(i, test)) for i in range(test)]
    tasks = [('train', i, partner(i, train) if truths else None) for i in range(train)] + tasks
    paths = [path for task in tasks[:1] + tasks[-1:] for path in record_paths(*task).values()]
    for folder in {PARTIAL, *(os.path.dirname(path) for path in paths)}:
        (root / folder).mkdir(parents=True, exist_ok=True)
    _write(root, MANIFEST, json.dumps(manifest).encode())
    missing = [task for task in tasks if not _complete(root, task)]
    begin = time.perf_counter()
    done = len(tasks) - len(missing)
    with tqdm(total=len(tasks), initial=done, unit='record', disable=not progress) as bar:
        work = partial(_write_record, root=root, seed=seed, size=size, varied=manifest['varied'])
        _run(missing, work, workers, bar)
    if progress and missing:
        rate = len(missing) / (time.perf_counter() - begin) / workers
        print(f'{len(missing)} records written to {root}, {rate:.1f} a second and worker')
    lists: dict[str, list[str]] = {}
    for split, i, other in tasks:
        for path, garment in listed_in(split, i, other).items():
            lists.setdefault(path, []).append(f'{i:06d}_0.jpg {garment:06d}_1.jpg\n')
    for path, lines in lists.items():
        _write(root, path, ''.join(lines).encode())
    _drop_stale_truths(root, tasks)
    shutil.rmtree(root / PARTIAL, ignore_errors=True)


def listed_in(split: str, index: int, other: int | None) -> dict[str, int]:
    """The lists that name a person, relative to the root, each with the garment beside the person."""
    folder = SPLITS[split][0]
    if split == 'test':
        return {f'{folder}/test_pairs.txt': index if other is None else other}
    tried_on = {} if other is None else {f'{folder}/train_truths.txt': other}
    return {f'{folder}/train_pairs.txt': index} | tried_on


def _drop_stale_truths(root: Path, tasks: list) -> None:
    """Remove the truths of partners that a grown set of odd size has given up."""
    wanted = {root / path for task in tasks for path in record_paths(*task).values()}
    for split, (folder, _) in SPLITS.items():
        for file in (root / folder / f'{split}_gt').glob('*/*'):
            if file not in wanted:
                file.unlink()
