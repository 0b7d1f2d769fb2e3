"""The results table as Markdown, as JSON and as a picture of runtime against quality, beside what the paper
published.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from utils.errors import UserError
from utils.paths import atomic_write

QUALITY = ('FID', 'KID', 'LPIPS', 'SSIM')
# A method's name goes below its disk where another one lies so near above it.
CROWDED_FID, CROWDED_TIMES = 3.0, 1.4


class Published(NamedTuple):
    """A row of the paper: FID on 416 unpaired pairs of VITON-Clean, batch 1 on a T4 GPU, size of the
    checkpoint files.
    """

    fid: float
    runtime_ms: float
    memory_mb: float


# Table 1 of DM-VTON (Nguyen-Ngoc et al., ISMAR 2023).
PUBLISHED = {
    'acgpn': Published(33.3, 153.6, 565.9),
    'cvton': Published(37.1, 66.9, 168.6),
    'sdafn': Published(30.2, 83.4, 150.9),
    'pf_afn': Published(27.3, 35.8, 293.3),
    'fs_vton': Published(26.5, 37.5, 309.3),
    'dm_vton': Published(28.2, 23.3, 37.8),
}
PUBLISHED_REFERENCE = PUBLISHED['dm_vton'].runtime_ms


class Result(NamedTuple):
    """Measurements of one method."""

    method: str
    inputs: tuple[
        str, ...
    ]  # what the method must know of the person beside the picture, or the picture alone
    parameters_m: float
    memory_mb: float  # of its checkpoint files, 10^6 bytes
    multiply_adds_g: float  # of the convolutions, one person
    median_ms: float
    p95_ms: float
    ratio: float | None  # of the medians, to DM-VTON's in the same run; None where that was left out
    calls: int
    weights: tuple[str, ...]  # names of the files whose quality was measured; empty where none were at hand
    quality: dict[str, float]  # by name, what could be had


def _number(value: float | None, form: str = '.1f') -> str:
    return '-' if value is None else format(value, form)


def _rows(results: Sequence[Result]) -> tuple[list[str], list[list[str]]]:
    measured = [name for name in _qualities(results) if any(name in result.quality for result in results)]
    header = ['method', 'sees', 'parameters, M', 'memory, MB (paper)', 'multiply-adds, G', 'runtime, ms (T4)']
    header += ['to DM-VTON (paper)', *measured, 'FID of the paper']
    rows = []
    for result in results:
        known = PUBLISHED.get(result.method)
        ratio = None if known is None else known.runtime_ms / PUBLISHED_REFERENCE
        rows.append(
            [
                result.method,
                ', '.join(result.inputs),
                _number(result.parameters_m),
                f'{result.memory_mb:.1f} ({_number(known and known.memory_mb)})',
                _number(result.multiply_adds_g),
                f'{result.median_ms:.0f} ({_number(known and known.runtime_ms)})',
                f'{_number(result.ratio, ".2f")} ({_number(ratio, ".2f")})',
                *(_number(result.quality.get(name), '.4g') for name in measured),
                _number(known and known.fid),
            ]
        )
    return header, rows


def _qualities(results: Sequence[Result]) -> list[str]:
    """The usual names first, then comparisons with the truth of whole pictures."""
    found = dict.fromkeys(name for result in results for name in result.quality)
    return [name for name in found if name in QUALITY or name.endswith(' whole')]


def as_markdown(results: Sequence[Result], about: Mapping[str, Any]) -> str:
    """The table, and below it what it was measured on."""
    header, rows = _rows(results)
    lines = [' | '.join(line) for line in (header, ['---'] * len(header), *rows)]
    calls = max(result.calls for result in results)
    notes = [
        f'{about["processor"]}, {about["device"]}, torch {about["torch"]}, batch 1, 256 x 192, float32.',
        f'Runtime: networks alone, median of {calls} calls, all methods in turns; in brackets the paper, '
        'on a T4 GPU.',
        'Memory: size of the checkpoint files, 10^6 bytes. Multiply-adds: of the convolutions.',
    ]
    if about.get('dataroot'):
        weights = '; '.join(
            f'{result.method}: {", ".join(result.weights)}' for result in results if result.weights
        )
        notes.append(f'Quality: on {Path(about["dataroot"]).name}, weights of {weights or "no method"}.')
    return '\n'.join([*(f'| {line} |' for line in lines), '', *notes])


def draw_table(results: Sequence[Result], about: Mapping[str, Any]):
    """Runtime, as a multiple of DM-VTON's, against FID: a matplotlib figure. Disks are as large as the
    memory; a method whose FID nobody knows is a line at its runtime.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(
            'matplotlib is missing, which draws the picture: pip install matplotlib, or leave --out out'
        ) from None
    figure = Figure(figsize=(12, 7), layout='constrained')
    axes = figure.add_subplot()
    shown = {number: _fid(result) for number, result in enumerate(results)}
    for number, result in enumerate(results):
        known, fid, colour = PUBLISHED.get(result.method), shown[number], f'C{number}'
        if known:
            axes.scatter(known.runtime_ms / PUBLISHED_REFERENCE, known.fid, marker='x', s=60, color=colour)
        if result.ratio is None:
            continue
        if fid is None:
            _draw_line(axes, result, colour)
            continue
        area = 3 * result.memory_mb  # points^2
        filled = colour if 'FID' in result.quality else 'none'
        style: dict[str, Any] = {'facecolors': filled, 'edgecolors': colour, 'linewidths': 1.5, 'alpha': 0.8}
        axes.scatter(result.ratio, fid, s=area, **style)
        higher = [
            other.ratio
            for place, other in enumerate(results)
            if other.ratio and place != number and fid < (shown[place] or 0) < fid + CROWDED_FID
        ]
        below = any(1 / CROWDED_TIMES < ratio / result.ratio < CROWDED_TIMES for ratio in higher)
        away = (area / math.pi) ** 0.5 + 4
        axes.annotate(
            _caption(result, '\n'),
            (result.ratio, fid),
            xytext=(0, -away if below else away),
            textcoords='offset points',
            ha='center',
            va='top' if below else 'bottom',
            fontsize=9,
            bbox={'facecolor': 'white', 'edgecolor': 'none', 'alpha': 0.8, 'pad': 1},
        )
    axes.set(
        xscale='log', xlabel="runtime, as a multiple of DM-VTON's (log scale)", ylabel='FID (lower is better)'
    )
    ticks = [2.0**power for power in range(-5, 6)]
    axes.set_xticks(ticks, labels=[f'1/{1 / tick:g}' if tick < 1 else f'{tick:g}' for tick in ticks])
    axes.minorticks_off()
    axes.margins(0.1, 0.25)
    axes.grid(alpha=0.3)
    measured = any('FID' in result.quality for result in results)
    how = 'filled: FID measured in this run, hollow: FID of the paper' if measured else 'FID of the paper'
    title = (
        f'{about["processor"]}, {about["device"]}, batch 1\ndisk: this run, area = memory; {how}; '
        'dashed: no FID known; cross: the paper, T4'
    )
    axes.set_title(title, fontsize=9)
    return figure


def _fid(result: Result) -> float | None:
    known = PUBLISHED.get(result.method)
    return result.quality.get('FID', known and known.fid)


def _caption(result: Result, between: str) -> str:
    return f'{result.method}{between}{result.median_ms:.0f} ms, {result.memory_mb:.0f} MB'


def _draw_line(axes: Any, result: Result, colour: str) -> None:
    axes.axvline(result.ratio, color=colour, linestyle='--', linewidth=1)
    axes.annotate(
        _caption(result, ', '),
        (result.ratio, 0.98),
        xycoords=('data', 'axes fraction'),
        xytext=(-4, 0),
        textcoords='offset points',
        rotation=90,
        ha='right',
        va='top',
        fontsize=9,
    )


def write_table(prefix: Path, results: Sequence[Result], about: Mapping[str, Any]) -> None:
    """Write `prefix`.md, .json and .png."""
    figure = draw_table(results, about)
    prefix.parent.mkdir(parents=True, exist_ok=True)
    report = {
        'machine': dict(about),
        'published': {name: row._asdict() for name, row in PUBLISHED.items()},
        'rows': [result._asdict() for result in results],
    }
    for suffix, text in (('.md', as_markdown(results, about)), ('.json', json.dumps(report, indent=2))):
        with atomic_write(prefix.with_name(prefix.name + suffix)) as temporary:
            temporary.write_text(text + '\n', encoding='utf-8')
    with atomic_write(prefix.with_name(prefix.name + '.png')) as temporary:
        figure.savefig(temporary, dpi=110)
