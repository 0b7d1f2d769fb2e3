"""One evaluation for test.py and for validation in training: dress all persons of a list, measure, report.

Protocols are those of DM-VTON (Nguyen-Ngoc et al., ISMAR 2023), section 4.
"""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

from data.viton import VITONDataset, create_loader
from engine.distributed import Process
from engine.metrics import WeightsUnavailable, check_file, create_inception, create_lpips, mean_over, ssim
from engine.profiling import GIGA, MEGA, Timed, count_parameters, measure_runtime, memory_bytes, multiply_adds
from models import TryOnPipeline
from models.baselines import BaselineTryOn
from models.outputs import TryOn
from utils.device import describe_device
from utils.errors import CheckpointError, DataError, UserError, first_line
from utils.log import format_table
from utils.paths import atomic_write
from utils.visual import contact_sheet, panel_row, save_picture, to_picture

METRICS = ('fid', 'kid', 'lpips', 'ssim', 'runtime', 'cost')
PANELS = ('person', 'garment', 'warped', 'try-on')
TRUTH = 'truth'
SHEET_ROWS = 8
# folder of the try-ons as the published test script stores them: Pillow's default JPEG quality
MEASURED = 'measured'
PUBLISHED_FORMAT = 'try-ons as the published test script stores them (JPEG quality 75)'
LONGEST_NAME = 255  # bytes that a disk takes


class Dressed(NamedTuple):
    """One pair of the list and the file name of its try-on."""

    person: str
    garment: str
    file: str


class Score(NamedTuple):
    """One number of the report, or the reason why there is none."""

    label: str
    value: float | None
    unit: str
    protocol: str
    reason: str | None = None


def result_names(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """File names of the try-ons: the person's own, as published, unless the person is in several pairs.

    Then `person__garment.jpg`, and where that is taken a longer name, so that nothing is overwritten, also
    where a disk takes capital and small letters for the same. A suffix that is no picture format to write
    becomes .png. Raises `DataError` for a name that no disk takes.
    """
    persons = Counter(person for person, _ in pairs)
    names: list[str] = []
    taken: set[str] = set()
    for person, garment in pairs:
        path = Path(person)
        suffix = path.suffix if path.suffix.lower() in ('.jpg', '.jpeg', '.png') else '.png'
        whole = f'{person}__{garment}'
        choices = itertools.chain(
            [path.stem + suffix] if persons[person] == 1 else [],
            [f'{path.stem}__{Path(garment).stem}{suffix}', whole + suffix],
            (f'{whole}-{number}{suffix}' for number in itertools.count(1)),
        )
        name = next(choice for choice in choices if choice.casefold() not in taken)
        if len(name.encode()) > LONGEST_NAME:
            raise DataError(
                f'the try-on of {person} would be called {name[:40]}...: too long, shorten the file names'
            )
        taken.add(name.casefold())
        names.append(name)
    return names


class Guarded:
    """An observer of `dress_all` that is not called again after its first failure; the run goes on.

    `observe` has a method `scores()`. After a failure the only score is `label`, with the reason.
    """

    def __init__(self, observe: Any, label: str):
        self.observe, self.label = observe, label
        self.reason: str | None = None

    def __call__(self, batch: dict[str, Any], result: TryOn) -> None:
        """Pass a batch and its result on."""
        if self.reason is None:
            try:
                self.observe(batch, result)
            except Exception as error:  # whatever it is, the pictures must not be lost
                self.reason = f'unavailable: {first_line(error)}'

    def scores(self) -> list[Score]:
        """The observer's scores, or the reason why there are none."""
        if self.reason is None:
            return self.observe.scores()
        return [Score(self.label, None, '', '', self.reason)]


def student_inputs(batch: dict[str, Any]) -> tuple:
    """Inputs of a student's pipeline from a batch of the loader: person, cloth and edge."""
    return batch['image'], batch['color'], batch['edge']


def dress_all(
    pipeline: Callable[..., TryOn | BaselineTryOn],
    batches: Iterable[dict[str, Any]],
    pairs: Sequence[tuple[str, str]],
    folder: Path,
    *,
    note: str = '',
    names: Sequence[str] | None = None,
    compare: Callable[[dict[str, Any], TryOn | BaselineTryOn], Tensor] | None = None,
    observe: Callable[[dict[str, Any], Any], None] | None = None,
    inputs: Callable[[dict[str, Any]], tuple[Tensor, ...]] = student_inputs,
) -> list[Dressed]:
    """Run the pipeline over `batches` (from the loader, in the order of `pairs`), write pictures to `folder`.

    `tryon/` gets the try-ons, `measured/` the same as the published test script stores them, which FID, KID
    and LPIPS measure, `visualize/` rows of person | garment | warped | try-on, `contact_sheet.jpg` the first
    of those rows with `note` below. `names` are the try-ons' file names; they must be given where `pairs` are
    a part of a longer list. `compare` is called with each batch and its result, and returns true pictures [N,
    3, H, W]: a fifth column of the sheet. `observe` is called with the same and returns nothing. `inputs`
    says what the pipeline takes of a batch.
    """
    for name in ('tryon', MEASURED, 'visualize'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    names = names or result_names(pairs)
    done: list[Dressed] = []
    rows: list[Image.Image] = []
    with tqdm(total=len(pairs), desc='try-on', unit='picture') as progress:
        for batch in batches:
            result = pipeline(*inputs(batch))
            if not all(x is None or x.isfinite().all() for x in (result.image, result.flow)):
                raise CheckpointError(
                    'the pictures are not finite numbers: the weights are damaged, or their training diverged'
                )
            if observe:
                observe(batch, result)
            columns = [batch['image'], batch['color'], result.warped_on_white, result.image]
            columns += [compare(batch, result)] if compare else []
            for pictures in zip(*columns, strict=True):
                person, garment = pairs[len(done)]
                dressed = Dressed(person, garment, names[len(done)])
                panels = [to_picture(picture) for picture in pictures]
                tryon = panels[PANELS.index('try-on')]
                save_picture(tryon, folder / 'tryon' / dressed.file)
                tryon.save(folder / MEASURED / dressed.file)
                save_picture(panel_row(panels[: len(PANELS)]), folder / 'visualize' / dressed.file)
                rows += [panel_row(panels)] if len(rows) < SHEET_ROWS else []
                done.append(dressed)
            progress.update(len(batch['image']))
    titles = (*PANELS, TRUTH) if compare else PANELS
    save_picture(contact_sheet(rows, titles=titles, note=note), folder / 'contact_sheet.jpg')
    return done


class Evaluation:
    """Measures a student; made before any work, so that a wrong weights file is refused early.

    `metrics` are some of `METRICS`. A metric whose network cannot be fetched, or whose computation fails, is
    reported as unavailable, with the reason; nothing else is lost.
    """

    def __init__(
        self,
        metrics: Sequence[str],
        *,
        device: torch.device,
        fid_weights: str | None = None,
        lpips_weights: str | None = None,
    ):
        self.metrics = tuple(metrics)
        self.device = device
        self.reasons: dict[str, str] = {}
        for option, path in (('--fid_weights', fid_weights), ('--lpips_weights', lpips_weights)):
            if path is not None:
                check_file(path, option)  # before the other one is downloaded
        self.inception = self._prepare(('fid', 'kid'), create_inception, fid_weights)
        self.lpips = self._prepare(('lpips',), create_lpips, lpips_weights)

    def _prepare(self, names: Sequence[str], create: Callable, weights: str | None) -> Any | None:
        if not set(names) & set(self.metrics):
            return None
        try:
            return create(weights=weights, device=self.device)
        except WeightsUnavailable as error:
            self.reasons |= dict.fromkeys(names, f'unavailable: {error}')
            return None

    def pictures(
        self, dressed: Sequence[Dressed], *, real: Path, results: Path, list_kind: str
    ) -> list[Score]:
        """Compare the try-ons that `dress_all` has left in `results` with the photographs in `real`.

        `list_kind` is 'paired', 'unpaired' or 'mixed'.
        """
        made = results / MEASURED
        what = f'{list_kind} list, {len(dressed)} pairs'
        scores = []
        for name, library in (('fid', 'pytorch-fid'), ('kid', 'torchmetrics, cubic kernel')):
            if name in self.metrics:
                protocol = f'{library}, Inception 2048, all of {real.name} against {PUBLISHED_FORMAT}, {what}'
                distance = partial(self._distance, name, real, made)
                scores.append(self._score(name.upper(), name, protocol, distance))
        if 'lpips' in self.metrics:
            caution = '' if list_kind == 'paired' else ': not a reconstruction error, the garment is another'
            protocol = f"lpips, VGG, v0.1, person's picture against {PUBLISHED_FORMAT}, {what}{caution}"
            files = [(real / pair.person, made / pair.file) for pair in dressed]
            lpips = cast(Callable, self.lpips)
            scores.append(self._score('LPIPS', 'lpips', protocol, partial(mean_over, files, lpips)))
        if 'ssim' in self.metrics:
            if list_kind != 'paired':
                why = f"the list is {list_kind}, so the person's picture does not show what should come out"
                self.reasons['ssim'] = f'not applicable: {why}'
            protocol = f"torchmetrics, person's picture against try-on, {what}"
            files = [(real / pair.person, results / 'tryon' / pair.file) for pair in dressed]
            scores.append(self._score('SSIM', 'ssim', protocol, partial(mean_over, files, ssim)))
        return scores

    def _distance(self, name: str, real: Path, made: Path) -> float:
        return getattr(self.inception, name)(real, made)

    def _score(
        self, label: str, name: str, protocol: str, compute: Callable[[], float], unit: str = ''
    ) -> Score:
        if name in self.reasons:
            return Score(label, None, unit, protocol, self.reasons[name])
        try:
            return Score(label, compute(), unit, protocol)
        except Exception as error:  # whatever a library raises, what is measured already must not be lost
            return Score(label, None, unit, protocol, f'unavailable: {first_line(error)}')

    def cost(self, pipeline: nn.Module, *inputs: Tensor, listed: Timed | None = None) -> list[Score]:
        """Time one pair [1, C, H, W] and count bytes and multiply-adds of the networks, loading excluded.

        `listed` has timed the whole list, which is the published protocol of the runtime.
        """
        size = ' x '.join(map(str, inputs[0].shape[2:]))
        inputs = tuple(x.to(self.device) for x in inputs)
        scores = []
        if 'runtime' in self.metrics:
            scores += self._runtime(pipeline, inputs, size)
            if listed is not None and listed.pictures:
                how = f'published protocol: mean over {listed.pictures} pairs in batches of {listed.largest}'
                protocol = f'{how}, {size}, float32, without loading and preprocessing, no warm-up, '
                protocol += describe_device(self.device)
                scores.append(Score('runtime, list', listed.milliseconds, 'ms', protocol))
        if 'cost' in self.metrics:
            counted = 'convolutions alone (no linear layers, cost volume or sampling), 2 FLOPs each, '
            counted += f'batch 1, {size}'
            for label, unit, protocol, compute in (
                ('memory', 'MB', 'parameters and buffers, 10^6 bytes', lambda: memory_bytes(pipeline) / MEGA),
                ('parameters', 'M', 'shared ones once', lambda: count_parameters(pipeline) / MEGA),
                ('multiply-adds', 'G', counted, lambda: multiply_adds(pipeline, *inputs) / GIGA),
            ):
                scores.append(self._score(label, 'cost', protocol, compute, unit))
        return scores

    def _runtime(self, pipeline: nn.Module, inputs: Sequence[Tensor], size: str) -> list[Score]:
        try:
            time = measure_runtime(pipeline, *inputs, device=self.device)
        except Exception as error:  # as in `_score`
            return [Score('runtime', None, 'ms', f'batch 1, {size}', f'unavailable: {first_line(error)}')]
        how = f'networks only, 10 warm-up calls, mean of {time.calls}'
        protocol = f'batch 1, {size}, float32, {how}, {describe_device(self.device)}'
        return [
            Score('runtime', time.mean, 'ms', protocol),
            Score('FPS', 1000 / time.mean, '', 'from the runtime'),
        ]


class Validation:
    """FID of a student in training over the persons of a test list.

    Made and called by all processes that train: each dresses its share of the persons, the first one
    compares. `reason` says why there is no FID, where there is none.
    """

    name = 'FID'

    def __init__(
        self,
        pipeline: TryOnPipeline,
        dataset: VITONDataset,
        *,
        process: Process | None = None,
        batch_size: int,
        workers: int,
        fid_weights: str | None = None,
    ):
        self.pipeline, self.dataset, self.process = pipeline, dataset, process or Process()
        self.batch_size, self.workers = batch_size, workers
        reason = None
        if self.process.is_first:
            self.evaluation = Evaluation(['fid'], device=self.process.device, fid_weights=fid_weights)
            reason = self.evaluation.reasons.get('fid')
            if reason is None and len(dataset) < 2:
                reason = 'FID compares distributions and needs two pictures or more'
        self.reason: str | None = self.process.from_first(reason)

    def __call__(self, folder: Path) -> float | None:
        """Dress everybody with the networks as they are; return the FID, or None and set `reason`.

        The networks are left in eval mode, the pictures in `folder`, in place of those of the last time. A
        full disk raises OSError, as a full disk does wherever a run writes.
        """
        reasons = self.process.from_all(self._dress(folder))
        self.reason = next((reason for reason in reasons if reason), None)
        score = None
        if self.process.is_first and self.reason is None:
            photographs, kind = self.dataset.folder('img'), self.dataset.list_kind
            (fid,) = self.evaluation.pictures((), real=photographs, results=folder, list_kind=kind)
            score, self.reason = fid.value, fid.reason
        score, self.reason = self.process.from_first((score, self.reason))
        return score

    def _dress(self, folder: Path) -> str | None:
        """Dress this process's share of the persons; returns why that failed, if it did."""
        mine = range(self.process.rank, len(self.dataset), self.process.world)
        if not mine:
            return None
        all_names = result_names(self.dataset.pairs)
        pairs, names = [self.dataset.pairs[index] for index in mine], [all_names[index] for index in mine]
        workers = min(self.workers, len(mine))
        try:
            loader = create_loader(self.dataset, batch_size=self.batch_size, workers=workers, sampler=mine)
            dress_all(self.pipeline.eval(), loader, pairs, folder, names=names)
        except UserError as error:  # diverged weights, a lost picture: no reason to stop training
            return first_line(error)
        return None


def _shown(value: float, unit: str) -> str:
    """Four digits that count, and no exponent for a large number."""
    return f'{value:.0f} {unit}'.strip() if abs(value) >= 1000 else f'{value:.4g} {unit}'.strip()


def write_report(path: Path, scores: Sequence[Score], **about: Any) -> str:
    """Write all numbers with protocols as JSON; return them as a table, with reasons for gaps."""
    report = {**about, 'metrics': {score.label: score._asdict() for score in scores}}
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + '\n', encoding='utf-8')
    rows: list[list[str]] = []
    missing: dict[str, list[str]] = {}
    for score in scores:
        if score.value is None:
            missing.setdefault(score.reason or 'no reason known', []).append(score.label)
        else:
            rows.append([score.label, _shown(score.value, score.unit), score.protocol])
    lines = [f'no {", ".join(labels)}: {reason}' for reason, labels in missing.items()]
    return '\n'.join([format_table(['metric', 'value', 'protocol'], rows), *lines])
