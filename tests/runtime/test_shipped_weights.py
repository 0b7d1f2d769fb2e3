"""Fast pictures with the weights in the box against plain ones in float32: drawn ones, and photographs if
there are some.
"""

from pathlib import Path

import pytest
import torch
from PIL import Image

import runtime
from data.transforms import edge_tensor, picture_tensor
from data.viton import VITONDataset
from models import TryOnPipeline
from runtime import find_problem
from synthetic.records import render_record

WEIGHTS = Path(__file__).parents[2] / 'checkpoints'
SMALLEST_PSNR = 40  # dB, of the picture, whose values span 2
DTYPES = (
    torch.bfloat16,
    torch.float16,
)  # 41.7 and 53.5 dB measured on the worst of seven pictures, four of them photographs


@pytest.fixture(scope='module')
def shipped():
    """The pipeline of the weights in the box."""
    names = {part: WEIGHTS / f'dm_vton_lite_drawn_{part}.safetensors' for part in ('warp', 'gen')}
    return TryOnPipeline.from_checkpoints(**names)


@pytest.fixture
def patience(request):
    """Skips where a picture of the usual size takes a quarter of a minute, unless --slow."""
    if not request.config.getoption('--slow') and torch.backends.cpu.get_cpu_capability() != 'AVX512':
        pytest.skip('this processor has no 16-bit arithmetic, which makes it slow; give --slow')


def drawn(index: int, size: tuple[int, int]) -> tuple[torch.Tensor, ...]:
    """A drawn person beside the next one's garment."""
    record, other = (render_record(0, 'test', i, size=size) for i in (index, index + 1))
    person, cloth, edge = (Image.fromarray(pixels) for pixels in (record.person, other.cloth, other.edge))
    return picture_tensor(person, size), picture_tensor(cloth, size), edge_tensor(edge, size)


def photographs(folder: Path, size: tuple[int, int]) -> list[tuple[torch.Tensor, ...]]:
    """The first pairs of a test set."""
    records = VITONDataset(folder, 'test', size=size)
    return [
        tuple(records[index][name] for name in ('image', 'color', 'edge'))
        for index in range(min(4, len(records)))
    ]


def check(pipeline: TryOnPipeline, pictures: tuple[torch.Tensor, ...], dtype: torch.dtype) -> None:
    """Compare one try-on in 16 bits with that in float32."""
    pictures = tuple(x[None] for x in pictures)
    expected, got = pipeline(*pictures), runtime.optimize(pipeline, 'fused', dtype=dtype)(*pictures)
    assert got.image.dtype is dtype and got.flow.dtype is torch.float32
    psnr = 10 * torch.log10(4 / (got.image.float() - expected.image).square().mean()).item()
    assert psnr >= SMALLEST_PSNR


@pytest.mark.parametrize('mode', ['fused', 'native'])
def test_float32_stays_float32(mode, request, shipped):
    if problem := find_problem(mode, torch.device('cpu')):
        pytest.skip(problem)
    pictures = [drawn(index, shipped.size) for index in (0, 2)]
    if request.config.getoption('--samples'):
        pictures += photographs(request.getfixturevalue('samples'), shipped.size)
    fast = runtime.optimize(shipped, mode)
    for arguments in pictures:
        arguments = tuple(x[None] for x in arguments)
        torch.testing.assert_close(
            fast(*arguments).image, shipped(*arguments).image, rtol=0, atol=1e-4
        )  # 4.5e-5 measured


@pytest.mark.parametrize('dtype', DTYPES)
def test_a_small_drawn_picture_keeps_40_db_in_16_bits(dtype, shipped):
    check(shipped, drawn(0, (64, 64)), dtype)


@pytest.mark.parametrize('dtype', DTYPES)
def test_drawn_pictures_keep_40_db_in_16_bits(dtype, shipped, patience):
    for index in (0, 2):
        check(shipped, drawn(index, shipped.size), dtype)


@pytest.mark.parametrize('dtype', DTYPES)
def test_photographs_keep_40_db_in_16_bits(dtype, shipped, patience, samples):
    for pictures in photographs(samples, shipped.size):
        check(shipped, pictures, dtype)
