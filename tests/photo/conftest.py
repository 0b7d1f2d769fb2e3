"""Photographs without networks: drawn people and garments, and a pipeline that knows the answer."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from models.ops.flow import offset_to_flow, sample
from models.outputs import GarmentCode, PersonCode, TryOn
from synthetic.records import flat_garment, render_record

SIZE = (128, 96)


class TorsoPipeline:
    """Puts every garment, made smaller, where VITON's torsos are; counts what it is asked to do."""

    family, is_trained, mode = 'torso', True, 'test'
    size = SIZE
    align_corners = True

    def __init__(self):
        self.calls = {'person': 0, 'garment': 0, 'dress': 0}

    def encode_person(self, person):
        self.calls['person'] += 1
        return PersonCode(person, ())

    def encode_garment(self, cloth, edge):
        self.calls['garment'] += 1
        edge = (edge > 0.5).float()
        return GarmentCode(cloth * edge, edge, ())

    def __call__(self, person, garment, edge=None):
        self.calls['dress'] += 1
        person, height, width = person.person, *person.person.shape[2:]
        y, x = torch.meshgrid(torch.arange(height) / height, torch.arange(width) / width, indexing='ij')
        # the garment's picture lies between these shares of the person's
        places = torch.stack([(x - 0.2) / 0.6 * width, (y - 0.25) / 0.5 * height])
        flow = offset_to_flow((places - torch.stack([x * width, y * height]))[None])
        cloth = sample(garment.cloth, flow, align_corners=True)
        edge = sample(garment.edge, flow, align_corners=True, padding_mode='zeros')
        rendered = (person + 0.01).clamp(-1, 1)  # a generator is a little off everywhere
        return TryOn(cloth * edge + rendered * (1 - edge), rendered, edge, cloth, edge, flow)


@pytest.fixture
def pipeline():
    return TorsoPipeline()


@pytest.fixture(scope='session')
def drawn():
    """A drawn person and another's garment: uint8 [512, 384, 3] both, and the garment's mask [512, 384]."""
    record = render_record(5, 'test', 2, size=(512, 384))
    garment = flat_garment(5, 'test', 3, (512, 384))
    return record.person, garment.picture, garment.edge


@pytest.fixture
def save(tmp_path):
    """Saves a picture or an array under a name; returns the path."""

    def write(picture, name, **options):
        picture = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
        picture.save(tmp_path / name, **options)
        return tmp_path / name

    return write


def jpeg(array: np.ndarray, quality: int = 95) -> np.ndarray:
    """What is left of an array after JPEG."""
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, 'JPEG', quality=quality)
    return np.array(Image.open(stream).convert('RGB'))


@pytest.fixture(scope='session')
def through_jpeg():
    return jpeg
