"""Tensors as pictures: single ones, rows of panels, contact sheets."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from utils.paths import atomic_write

GAP = 4  # pixels between the panels of a row and between rows
SHEET_COLUMN = 192  # a sheet of narrower pictures is enlarged to about this, a whole number of times
JPEG_QUALITY = 95


def to_picture(tensor: Tensor) -> Image.Image:
    """[3 or 1, H, W] in [-1, 1] -> an RGB picture of 8 bits, rounded; values outside are clipped."""
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3):
        raise ValueError(f'a picture tensor is [3, H, W] or [1, H, W], got {list(tensor.shape)}')
    levels = ((tensor.detach().float().clamp(-1, 1) + 1) * 127.5).round().byte().cpu().numpy()
    return Image.fromarray(
        np.ascontiguousarray(np.broadcast_to(levels.transpose(1, 2, 0), (*levels.shape[1:], 3)))
    )


def save_picture(picture: Image.Image, path: Path, **options) -> None:
    """Write a picture whole or not at all; `options` are those of Pillow, JPEG has little loss by default."""
    with atomic_write(path) as temporary:
        picture.save(temporary, **{'quality': JPEG_QUALITY} | options)


def panel_row(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures of one height side by side on white, a gap between them."""
    width = sum(picture.width for picture in pictures) + GAP * (len(pictures) - 1)
    row = Image.new('RGB', (width, max(picture.height for picture in pictures)), 'white')
    x = 0
    for picture in pictures:
        row.paste(picture, (x, 0))
        x += picture.width + GAP
    return row


def contact_sheet(rows: Sequence[Image.Image], *, titles: Sequence[str], note: str = '') -> Image.Image:
    """Rows of equally wide panels under one another, a title above each column, a note below.

    Small pictures are enlarged, so that titles fit and details are visible.
    """
    scale = max(1, round(SHEET_COLUMN * len(titles) / max(row.width for row in rows)))
    if scale > 1:
        rows = [row.resize((row.width * scale, row.height * scale), Image.Resampling.BICUBIC) for row in rows]
    font = ImageFont.load_default(size=16)
    head, foot = 26, 26 if note else 0
    width = max(row.width for row in rows)
    height = head + sum(row.height + GAP for row in rows) - GAP + foot
    sheet = Image.new('RGB', (width, height), 'white')
    draw = ImageDraw.Draw(sheet)
    column = (width + GAP) / len(titles)
    for index, title in enumerate(titles):
        draw.text(
            (column * index + (column - GAP) / 2, head / 2), title, fill='black', font=font, anchor='mm'
        )
    y = head
    for row in rows:
        sheet.paste(row, (0, y))
        y += row.height + GAP
    if note:
        draw.text(
            (4, height - foot / 2), note, fill='black', font=ImageFont.load_default(size=12), anchor='lm'
        )
    return sheet
