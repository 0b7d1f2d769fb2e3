"""Metrics with made-up weights in the real formats, found where the libraries look for them."""

import numpy as np
import pytest
import torch
from PIL import Image

from engine.metrics import (
    PSNR_CEILING,
    WeightsUnavailable,
    create_fid,
    create_lpips,
    load_picture,
    mean_over,
    picture_files,
    psnr,
    ssim,
)
from utils.errors import CheckpointError, MissingFileError

CPU = torch.device('cpu')


@pytest.fixture(scope='session')
def inception_file(tmp_path_factory):
    """Made-up Inception weights in pytorch-fid's format."""
    from pytorch_fid import inception

    torch.manual_seed(0)
    network = inception._inception_v3(num_classes=1008, aux_logits=False, weights=None)
    network.Mixed_5b = inception.FIDInceptionA(192, pool_features=32)
    network.Mixed_5c = inception.FIDInceptionA(256, pool_features=64)
    network.Mixed_5d = inception.FIDInceptionA(288, pool_features=64)
    network.Mixed_6b = inception.FIDInceptionC(768, channels_7x7=128)
    network.Mixed_6c = inception.FIDInceptionC(768, channels_7x7=160)
    network.Mixed_6d = inception.FIDInceptionC(768, channels_7x7=160)
    network.Mixed_6e = inception.FIDInceptionC(768, channels_7x7=192)
    network.Mixed_7b = inception.FIDInceptionE_1(1280)
    network.Mixed_7c = inception.FIDInceptionE_2(2048)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)  # signals that reach the end: distances that are not rounding
    path = tmp_path_factory.mktemp('weights') / 'inception.pth'
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope='session')
def vgg16_file(tmp_path_factory):
    """Made-up VGG16 weights in torchvision's format: the convs, and a small stand-in for the classifier, which nobody reads."""
    from torchvision.models import vgg16

    torch.manual_seed(0)
    state = {f'features.{key}': value for key, value in vgg16(weights=None).features.state_dict().items()}
    path = tmp_path_factory.mktemp('weights') / 'vgg16.pth'
    torch.save(state | {'classifier.0.weight': torch.zeros(1)}, path)
    return path


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """An empty cache, and no way out to fill it."""
    from urllib.error import URLError

    def refuse(*_, **__):
        raise URLError('no network in this test')

    monkeypatch.setattr('torch.hub.urlopen', refuse)
    monkeypatch.setattr('torch.hub._hub_dir', str(tmp_path / 'cache'))


def write_pictures(folder, seed, count=3, size=(64, 48)):
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for index in range(count):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(folder / f'{index}.png')
    return folder


def test_fid_is_the_distance_of_the_features_means_and_spreads(inception_file, tmp_path, monkeypatch):
    """A folder whose pictures differ in size, too. The matrix root of 2048 x 2048 takes half a minute, so it is replaced."""
    fid = create_fid(weights=inception_file, device=CPU)
    first, second = write_pictures(tmp_path / 'a', 0), write_pictures(tmp_path / 'b', 1)
    Image.new('RGB', (30, 40), 'red').save(second / '9.png')
    seen = []
    monkeypatch.setattr('pytorch_fid.fid_score.calculate_frechet_distance', lambda *four: seen.append(four) or 7)
    assert fid(first, second) == 7 and fid(first, first) == 7
    (real_mean, real_spread, made_mean, made_spread), (_, _, same_mean, same_spread) = seen
    assert real_mean.shape == (2048,) and real_spread.shape == (2048, 2048)
    np.testing.assert_allclose(real_mean, same_mean, rtol=1e-5)
    np.testing.assert_allclose(real_spread, same_spread, rtol=1e-3, atol=1e-5)
    assert np.abs(real_mean - made_mean).max() > 1e-2 * np.abs(real_mean).max()
    assert np.trace(made_spread) > 0


def test_the_librarys_distance_works_with_the_scipy_that_is_installed():
    from pytorch_fid.fid_score import calculate_frechet_distance

    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(50, 8)), rng.normal(size=(50, 8)) + 1
    moments = [part for sample in (first, second) for part in (sample.mean(axis=0), np.cov(sample, rowvar=False))]
    same = calculate_frechet_distance(*moments[:2], *moments[:2])
    assert same == pytest.approx(0, abs=1e-6) and 4 < calculate_frechet_distance(*moments) < 14  # 8 means apart by 1


def test_giving_a_file_leaves_the_cache_folder_as_it_was(inception_file):
    before = torch.hub.get_dir()
    create_fid(weights=inception_file, device=CPU)
    assert torch.hub.get_dir() == before


def test_weights_in_the_cache_are_used_without_a_network(inception_file, vgg16_file, no_network, tmp_path):
    cache = tmp_path / 'cache' / 'checkpoints'
    cache.mkdir(parents=True)
    (cache / 'pt_inception-2015-12-05-6726825d.pth').symlink_to(inception_file)
    (cache / 'vgg16-397923af.pth').symlink_to(vgg16_file)
    create_fid(device=CPU)
    create_lpips(device=CPU)


@pytest.mark.parametrize('create, option', [(create_fid, '--fid_weights'), (create_lpips, '--lpips_weights')])
def test_without_a_network_the_reason_names_the_option_that_helps(create, option, no_network):
    with pytest.raises(WeightsUnavailable, match=f'cannot be downloaded .*no network.* {option} PATH'):
        create(device=CPU)


@pytest.mark.parametrize('create', [create_fid, create_lpips])
def test_a_wrong_file_is_refused_in_one_line(create, tmp_path, inception_file, vgg16_file):
    with pytest.raises(MissingFileError, match='no such file'):
        create(weights=tmp_path / 'nothing.pth', device=CPU)
    html = tmp_path / 'page.pth'
    html.write_text('<html>quota exceeded</html>')
    other = vgg16_file if create is create_fid else inception_file
    for path in (html, other):
        with pytest.raises(CheckpointError, match='not the weights that are needed') as error:
            create(weights=path, device=CPU)
        assert '\n' not in str(error.value)


def test_lpips_is_zero_for_a_picture_with_itself_and_symmetric(vgg16_file):
    distance = create_lpips(weights=vgg16_file, device=CPU)
    torch.manual_seed(0)
    first, second = torch.rand(2, 1, 3, 64, 64) * 2 - 1
    assert distance(first, first) == 0
    assert distance(first, second) == pytest.approx(distance(second, first), rel=1e-4)
    assert distance(first, second) > 0


def test_lpips_equals_the_library_with_the_same_trunk(vgg16_file, monkeypatch):
    import lpips
    from torchvision.models import vgg16

    torch.manual_seed(0)
    first, second = torch.rand(2, 1, 3, 32, 32) * 2 - 1
    network = vgg16(weights=None)
    state = torch.load(vgg16_file, weights_only=True)
    network.features.load_state_dict({key.removeprefix('features.'): state[key] for key in state if 'features' in key})
    monkeypatch.setattr('lpips.pretrained_networks.tv.vgg16', lambda pretrained: network)
    expected = lpips.LPIPS(net='vgg', version='0.1', verbose=False)(first, second).item()
    assert create_lpips(weights=vgg16_file, device=CPU)(first, second) == pytest.approx(expected, rel=1e-5)


def test_ssim_is_one_for_the_same_picture_and_less_for_another():
    torch.manual_seed(0)
    first = torch.rand(1, 3, 32, 32) * 2 - 1
    assert ssim(first, first) == pytest.approx(1)
    assert ssim(first, -first) < 0.9


def test_ssim_is_that_of_the_pictures_levels():
    """0 .. 255 and not -1 .. 1, whose means around 0 would make it another number."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    levels = torch.randint(0, 256, (2, 1, 3, 32, 48), generator=torch.Generator().manual_seed(0)).double()
    expected = structural_similarity_index_measure(*levels, data_range=255.0).item()
    assert ssim(*(levels / 127.5 - 1)) == pytest.approx(expected, rel=1e-6)


def test_psnr_is_that_of_the_mean_square_and_has_a_ceiling():
    torch.manual_seed(0)
    first = torch.rand(1, 3, 32, 32) * 2 - 1
    assert psnr(first, first + 0.02) == pytest.approx(40, abs=1e-3)  # a hundredth of the range
    assert psnr(first, first) == PSNR_CEILING


def test_the_score_of_a_region_is_the_mean_over_its_pixels(vgg16_file):
    torch.manual_seed(0)
    first = torch.rand(1, 3, 64, 64) * 2 - 1
    left = (torch.arange(64) < 32).expand(1, 1, 64, 64)
    second = torch.where(left, first, first * 0.5)
    lpips = create_lpips(weights=vgg16_file, device=CPU)
    assert psnr(first, second, left) == PSNR_CEILING and psnr(first, second, ~left) < psnr(first, second)
    for measure in (ssim, lpips):
        halves = [measure(first, second, region) for region in (left, ~left)]
        assert sum(halves) / 2 == pytest.approx(measure(first, second, torch.ones_like(left)), rel=1e-5)
        assert abs(halves[0] - measure(first, first)) < abs(halves[1] - measure(first, first))
    assert lpips(first, second, torch.ones_like(left)) == pytest.approx(lpips(first, second), rel=1e-4)
    assert ssim(first, second, left & (torch.arange(64) < 26)) == pytest.approx(1)  # beyond a window's reach


def test_a_mean_runs_over_all_pairs_and_resizes_the_photograph_to_the_try_on(tmp_path):
    Image.new('RGB', (48, 64), (255, 0, 0)).save(tmp_path / 'photo.png')
    Image.new('RGB', (24, 32), (255, 0, 0)).save(tmp_path / 'same.png')
    Image.new('RGB', (24, 32), (0, 0, 0)).save(tmp_path / 'black.png')
    pairs = [(tmp_path / 'photo.png', tmp_path / 'same.png'), (tmp_path / 'photo.png', tmp_path / 'black.png')]
    assert mean_over(pairs, lambda a, b: (a - b).abs().mean().item()) == pytest.approx((0 + 2 / 3) / 2)
    assert load_picture(tmp_path / 'photo.png').shape == (1, 3, 64, 48)


def test_weights_that_want_to_run_code_are_refused_and_run_nothing(tmp_path):
    class Malice:
        def __reduce__(self):
            return (type(tmp_path).touch, (tmp_path / 'ran',))

    torch.save({'x': Malice()}, tmp_path / 'evil.pth')
    for create in (create_fid, create_lpips):
        with pytest.raises(CheckpointError, match='not the weights that are needed'):
            create(weights=tmp_path / 'evil.pth', device=CPU)
    assert not (tmp_path / 'ran').exists()


def test_a_picture_is_read_as_the_pipeline_reads_it(tmp_path):
    """Turned as its camera says, and on white where it is transparent."""
    upright = np.zeros((6, 4, 3), np.uint8)
    upright[0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side
    Image.fromarray(np.rot90(upright).copy()).save(tmp_path / 'turned.png', exif=exif)
    np.testing.assert_array_equal(load_picture(tmp_path / 'turned.png')[0, 0].numpy() > 0, upright[..., 0] > 0)
    Image.new('RGBA', (4, 6), (0, 0, 0, 0)).save(tmp_path / 'clear.png')
    assert load_picture(tmp_path / 'clear.png').min() == 1


def test_hidden_files_and_folders_are_no_pictures_and_capital_suffixes_are(tmp_path):
    for name in ('a.JPG', '._a.jpg', 'b.txt'):
        (tmp_path / name).write_bytes(b'')
    (tmp_path / 'c.jpg').mkdir()
    assert [file.name for file in picture_files(tmp_path)] == ['a.JPG']
