"""Numbers of the Python code for the tests of the JavaScript in web/: `python -m tests.web.make_numbers`
writes them anew.
"""

import base64
import json
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from models.ops.flow import sample
from models.outputs import TryOn
from photo.backdrop import disk, find_backdrop, to_lab
from photo.changes import change_weight
from photo.composition import Composition, GarmentPhoto, enlarging
from photo.framing import Box, Window, border_colour, frame_garment, frame_person
from photo.garment import garment_mask
from photo.loading import load_photo
from photo.paste import paste
from photo.person import plain_person, silhouette
from synthetic.records import render_record

FILE = Path(__file__).parents[2] / 'web' / 'test' / 'numbers.json'
SIZE = (32, 24)  # of the network's pictures here


def pack(array: np.ndarray) -> dict[str, Any]:
    """An array as text: little-endian bytes, deflated, in base64."""
    array = np.ascontiguousarray(array)
    array = array.astype(np.uint8) if array.dtype == bool else array
    kind = {'uint8': 'uint8', 'float32': 'float32'}[str(array.dtype)]
    return {
        'type': kind,
        'shape': list(array.shape),
        'data': base64.b64encode(zlib.compress(array.tobytes(), 9)).decode(),
    }


def unpack(packed: dict[str, Any]) -> np.ndarray:
    """The array that `pack` was given."""
    values = np.frombuffer(zlib.decompress(base64.b64decode(packed['data'])), packed['type'])
    return values.reshape(packed['shape'])


def garments() -> dict[str, np.ndarray]:
    """Pictures uint8 [H, W, 3] of garments on plain backgrounds, each with a difficulty of its own."""
    drawn = render_record(7, 'test', 9, size=(128, 96)).cloth
    shadow = np.full((400, 384, 3), 226, np.uint8)  # a soft shadow beside a dark shirt
    cv2.ellipse(shadow, (215, 215), (120, 140), 0, 0, 360, (190, 190, 190), -1)
    shadow = cv2.GaussianBlur(shadow, (0, 0), 12)
    cv2.rectangle(shadow, (100, 80), (290, 330), (40, 60, 120), -1)
    white = np.full((160, 120, 3), 236, np.uint8)  # pale cloth with a darker outline
    cv2.rectangle(white, (25, 25), (95, 135), (205, 206, 210), -1)
    cv2.rectangle(white, (28, 28), (92, 132), (242, 243, 246), -1)
    strap = np.full((150, 120, 3), (210, 225, 215), np.uint8)  # the background is seen through a hole aside
    cv2.rectangle(strap, (15, 15), (105, 135), (150, 40, 60), -1)
    cv2.rectangle(strap, (22, 60), (40, 110), (210, 225, 215), -1)
    noisy = np.random.default_rng(3).normal(0, 2, strap.shape) + strap
    return {
        'drawn': drawn,
        'shadow': shadow,
        'white': white,
        'strap': strap,
        'noisy': np.clip(noisy, 0, 255).astype(np.uint8),
    }


def mask_numbers() -> dict[str, Any]:
    """Masks of garments, and of a person before a wall."""
    result = {
        name: {'picture': pack(picture), 'mask': pack(np.asarray(garment_mask(load_photo(picture))))}
        for name, picture in garments().items()
    }
    wall = np.full((480, 300, 3), (205, 212, 220), np.uint8)
    cv2.ellipse(wall, (150, 110), (45, 60), 0, 0, 360, (190, 140, 110), -1)
    cv2.rectangle(wall, (75, 165), (225, 480), (60, 90, 70), -1)
    cv2.circle(wall, (150, 260), 9, (205, 212, 220), -1)  # a print of the wall's colour
    picture = Image.fromarray(wall)
    found = plain_person(picture, 'somebody')
    person = {
        'picture': pack(wall),
        'mask': pack(np.asarray(found)),
        'silhouette': pack(np.asarray(silhouette(found))),
    }
    backdrop = find_backdrop(to_lab(garments()['noisy']))
    plain = {
        'noise': backdrop.noise,
        'share': backdrop.share,
        'colour': [float(x) for x in backdrop.colour[0, 0]],
    }
    return {'garments': result, 'person': person, 'noisy_backdrop': plain}


def raster_numbers() -> dict[str, Any]:
    """Resizing, colours and brushes."""
    picture = np.random.default_rng(1).integers(0, 256, (13, 17, 3), dtype=np.uint8)
    resized = []
    for name in ('box', 'bilinear', 'bicubic'):
        for size in ((7, 5), (17, 40), (23, 13), (4, 31)):
            values = Image.fromarray(picture).resize(size, Image.Resampling[name.upper()])
            resized.append({'filter': name, 'size': size, 'values': pack(np.asarray(values))})
    colours = np.random.default_rng(2).integers(0, 256, (1, 64, 3), dtype=np.uint8)
    brushes = {radius: [int(row.sum() - 1) // 2 for row in disk(radius)] for radius in range(1, 13)}
    lab = {'colours': pack(colours), 'values': pack(to_lab(colours))}
    return {'picture': pack(picture), 'resized': resized, 'lab': lab, 'brushes': brushes}


def framing_numbers() -> list[dict[str, Any]]:
    """Windows of people and garments."""
    size, cases = (256, 192), []
    for photo in ((300, 400), (400, 300), (1000, 700), (777, 1403), (192, 256)):
        boxes = [
            None,
            Box(photo[0] // 3, photo[1] // 5, photo[0] // 2, photo[1]),
            Box(5, 7, photo[0] // 4, photo[1] // 2),
        ]
        for box in boxes:
            cases.append(
                {'kind': 'person', 'photo': photo, 'box': box, 'window': frame_person(photo, size, box)}
            )
    for box in (Box(10, 20, 110, 151), Box(0, 0, 333, 100), Box(7, 3, 90, 300)):
        cases.append({'kind': 'garment', 'box': box, 'window': frame_garment(box, size)})
    return cases


def made_up_result(generator: torch.Generator) -> tuple[torch.Tensor, TryOn]:
    """A person's tensor and what a network may have made of it: smooth maps at SIZE."""
    height, width = SIZE
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing='ij')
    flow = torch.stack([1.3 * x + 0.1 * torch.sin(3 * y), 1.2 * y - 0.15 + 0.08 * torch.cos(4 * x)])[None]
    edge = torch.sigmoid(20 * (0.6 - (x**2 + (1.1 * y - 0.1) ** 2).sqrt()))[None, None]
    mask = edge * torch.sigmoid(8 * (0.5 + x))
    person = torch.rand(1, 3, height // 8, width // 8, generator=generator) * 2 - 1
    person = torch.nn.functional.interpolate(person, SIZE, mode='bicubic').clamp(-1, 1)
    rendered = (0.9 * person + 0.05 + 0.6 * mask).clamp(-1, 1)
    cloth = sample(torch.rand(1, 3, height, width, generator=generator) * 2 - 1, flow, align_corners=True)
    image = cloth * mask + rendered * (1 - mask)
    return person, TryOn(image, rendered, mask, cloth, edge, flow)


def with_keep(result: TryOn, keep: torch.Tensor) -> SimpleNamespace:
    """A result with a keep mask [1, 1, h, w], whichever fields `TryOn` has."""
    return SimpleNamespace(**(result._asdict() | {'keep': keep}))


def composition_numbers() -> dict[str, Any]:
    """Layers, weights and a picture that a made-up result gives."""
    generator = torch.Generator().manual_seed(4)
    person, result = made_up_result(generator)
    picture = render_record(7, 'test', 9, size=(128, 96))
    garment = GarmentPhoto(
        Image.fromarray(picture.cloth), garment_mask(load_photo(picture.cloth)), Window(-6, 0, 108, 144)
    )
    photo = Image.fromarray(render_record(7, 'test', 7, size=(192, 160)).person)
    window, box = Window(-2, -8, 165, 220), Box(30, 40, 70, 52)
    composition = Composition(result, garment, window, align_corners=True)
    keep = torch.sigmoid(6 * torch.linspace(-1, 1, SIZE[1])).expand(1, 1, *SIZE)
    kept = Composition(with_keep(result, keep), garment, window, align_corners=True, person=person)
    layers = composition(box)
    outline = np.zeros((photo.height, photo.width), np.uint8)
    outline[30:, 20:140] = 255
    weight = change_weight(person, result)
    pasted, _ = paste(photo, composition, weight, silhouette=Image.fromarray(outline))
    pasted_kept, _ = paste(photo, kept, weight, silhouette=Image.fromarray(outline))
    maps = {
        name: pack(getattr(result, name)[0].numpy())
        for name in ('image', 'rendered', 'mask', 'warped_edge', 'flow')
    }
    return {
        'size': SIZE,
        'maps': maps | {'person': pack(person[0].numpy()), 'keep': pack(keep[0].numpy())},
        'garment': {
            'picture': pack(picture.cloth),
            'mask': pack(np.asarray(garment.mask)),
            'window': garment.window,
        },
        'tile': pack(composition.tile[0].permute(1, 2, 0).contiguous().numpy()),
        'photo': pack(np.asarray(photo)),
        'border': border_colour(photo),
        'window': window,
        'box': box,
        'layers': {name: pack(getattr(layers, name)) for name in ('garment', 'cover', 'drawn')},
        'weight': pack(weight),
        'silhouette': pack(outline),
        'pasted': pack(np.asarray(pasted)),
        'pasted_kept': pack(np.asarray(pasted_kept)),
        'enlarging': {
            'cubic': pack(enlarging(6, 2.5, -1, 16).numpy()),
            'linear': pack(enlarging(6, 2.5, 2, 9, cubic=False).numpy()),
        },
    }


def compute() -> dict[str, Any]:
    """All numbers, as JSON takes them."""
    numbers = {
        'raster': raster_numbers(),
        'framing': framing_numbers(),
        'mask': mask_numbers(),
        'composition': composition_numbers(),
    }
    return json.loads(json.dumps(numbers))


if __name__ == '__main__':
    FILE.write_text(json.dumps(compute(), indent=1) + '\n', encoding='utf-8')
    print(f'{FILE}: {FILE.stat().st_size / 1e3:.0f} kB')
