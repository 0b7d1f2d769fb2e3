"""The page as a folder: where it may go, what it needs, and how small its weights are."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from runtime.export.web_graphs import halve_weights
from utils.errors import UserError
from webapp import static_page


@pytest.fixture
def quick(monkeypatch):
    """A page of two files in place of minutes of bundling and exporting."""

    def bundle(out):
        (out / 'index.html').write_text('new')
        (out / 'engines.json').write_text('{"wasm": {"wasm": "w"}, "jspi": {"wasm": "index.html"}}')

    monkeypatch.setattr(static_page, 'check_node', lambda: None)
    monkeypatch.setattr(static_page, 'bundle', bundle)
    monkeypatch.setattr(
        static_page, 'write_networks', lambda pipeline, folder, size: {'garment': {'bytes': 3_000_000}}
    )
    monkeypatch.setattr(static_page, 'check_networks', lambda pipeline, folder, pictures: 50.0)
    monkeypatch.setattr(static_page, 'load_pictures', lambda dataroot, size: ())
    monkeypatch.setattr(
        static_page, 'write_samples', lambda folder, people, garments: {'people': [], 'garments': []}
    )
    monkeypatch.setattr(
        static_page, 'fill_wardrobe', lambda folder: type('Choice', (), {'people': [], 'garments': []})
    )
    pipeline = type('Pipeline', (), {'align_corners': True, 'family': 'toy', 'is_trained': True})
    return lambda out: static_page.write_site(pipeline, out, size=(64, 48), about='toy weights')


def test_a_page_takes_the_place_of_an_earlier_one_and_of_nothing_else(quick, tmp_path):
    out = tmp_path / 'new' / 'page'
    written = quick(out)
    assert written.network_megabytes == 3 and written.psnr_db == 50 and written.files == 2
    (out / 'left.txt').write_text('from the last export')
    quick(out)
    assert sorted(path.name for path in out.iterdir()) == ['index.html', 'networks', 'samples', 'site.json']
    assert [path.name for path in out.parent.iterdir()] == ['page']
    other = tmp_path / 'other'
    other.mkdir()
    (other / 'thesis.txt').write_text('dear')
    with pytest.raises(UserError, match='a folder with other files'):
        quick(other)
    with pytest.raises(UserError, match='a file; give a folder'):
        quick(other / 'thesis.txt')
    assert (other / 'thesis.txt').read_text() == 'dear'


def test_an_export_that_fails_leaves_the_earlier_page(quick, tmp_path, monkeypatch):
    quick(tmp_path / 'page')

    def fail(pipeline, folder, pictures):
        raise UserError('off')

    monkeypatch.setattr(static_page, 'check_networks', fail)
    (tmp_path / 'page' / 'index.html').write_text('old')
    with pytest.raises(UserError, match='off'):
        quick(tmp_path / 'page')
    assert (tmp_path / 'page' / 'index.html').read_text() == 'old'
    assert [path.name for path in tmp_path.iterdir()] == ['page']


def test_a_missing_node_is_one_line(monkeypatch):
    monkeypatch.setattr(shutil, 'which', lambda program: None if program == 'npm' else '/bin/node')
    with pytest.raises(UserError, match='needs npm, which is not installed; install Node.js 20'):
        static_page.check_node()


def test_an_npm_that_fails_says_its_last_words(tmp_path):
    if shutil.which('npm') is None:
        pytest.skip('npm is not installed')
    with pytest.raises(UserError, match='npm could not bundle the page'):
        static_page.run_npm(['run', '--silent', 'bundle'], tmp_path, 'bundle the page')


def test_sample_garments_bring_their_masks(tmp_path):
    picture = np.full((96, 96, 3), 230, np.uint8)
    picture[20:80, 25:70] = (30, 60, 120)
    Image.fromarray(picture).save(tmp_path / 'shirt.png')
    (tmp_path / 'out').mkdir()
    names = static_page.write_samples(tmp_path / 'out', [tmp_path / 'shirt.png'], [tmp_path / 'shirt.png'])
    assert names == {'people': ['person-0.webp'], 'garments': ['garment-0.webp']}
    alpha = np.array(Image.open(tmp_path / 'out' / 'garment-0.webp'))[..., 3]
    assert alpha[50, 50] == 255 and alpha[5, 5] == 0
    assert Image.open(tmp_path / 'out' / 'person-0.webp').mode == 'RGB'


def test_halved_weights_are_half_as_large_and_give_nearly_the_same(tmp_path):
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(package, reason=f'{package} is not installed')
    import onnxruntime

    from runtime.export.onnx_file import write_network

    torch.manual_seed(0)
    network, x = nn.Conv2d(16, 64, 3), torch.rand(1, 16, 8, 8)
    path = tmp_path / 'conv.onnx'
    write_network(network, (x,), path, names=('x',), output_names=('y',))
    whole = path.stat().st_size
    halve_weights(path)
    assert path.stat().st_size < 0.6 * whole
    got = onnxruntime.InferenceSession(path).run(None, {'x': x.numpy()})[0]
    torch.testing.assert_close(torch.from_numpy(got), network(x).detach(), atol=2e-3, rtol=0)
    with torch.no_grad():
        network.weight[0, 0, 0, 0] = 1e6
    write_network(network, (x,), path, names=('x',), output_names=('y',))
    with pytest.raises(UserError, match='beyond float16'):
        halve_weights(path)
