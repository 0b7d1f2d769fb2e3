"""A horizontal bar chart in groups, drawn with Pillow."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

COLOURS = ('#888888', '#1f6f8b', '#e07a3f', '#6a8f3c', '#9b5094', '#c9a227', '#4d6cc4', '#b23a48')
LABELS, BARS, NUMBERS = 300, 560, 110  # widths in pixels
LINE, GROUP, MARGIN = 22, 34, 16  # heights in pixels


class Bar(NamedTuple):
    """One bar: its name, its length, and a number that picks its colour."""

    label: str
    value: float
    colour: int = 0


def _short(value: float) -> str:
    """Three digits, or all before the point."""
    return f'{value:.0f}' if value >= 100 else f'{value:.3g}'


def bar_chart(groups: Mapping[str, Sequence[Bar]], *, title: str, note: str = '', unit: str = 'ms') -> Image.Image:
    """Draw groups of bars under one another, all to the same scale, which starts at zero."""
    longest = max(bar.value for bars in groups.values() for bar in bars)
    lines = sum(len(bars) for bars in groups.values())
    notes = note.splitlines()
    height = 2 * MARGIN + 30 + len(groups) * GROUP + lines * LINE + len(notes) * 18 + 10
    picture = Image.new('RGB', (LABELS + BARS + NUMBERS, height), 'white')
    draw = ImageDraw.Draw(picture)
    large, usual, small = (ImageFont.load_default(size=size) for size in (18, 14, 12))
    draw.text((MARGIN, MARGIN), title, fill='black', font=large)
    y = MARGIN + 30
    for name, bars in groups.items():
        draw.text((MARGIN, y + GROUP - 8), name, fill='black', font=usual, anchor='ls')
        y += GROUP
        for bar in bars:
            length = max(1, round(BARS * bar.value / longest))
            draw.text((LABELS - 8, y + LINE / 2), bar.label, fill='black', font=small, anchor='rm')
            draw.rectangle((LABELS, y + 3, LABELS + length, y + LINE - 4), fill=COLOURS[bar.colour % len(COLOURS)])
            draw.text((LABELS + length + 6, y + LINE / 2), f'{_short(bar.value)} {unit}', fill='black', font=small, anchor='lm')
            y += LINE
    for index, text in enumerate(notes):
        draw.text((MARGIN, y + 10 + 18 * index), text, fill='#444444', font=small)
    return picture
