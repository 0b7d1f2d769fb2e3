"""Metrics with made-up weights in the real formats, found where the libraries look for them."""

import inspect

import numpy as np
import pytest
import torch
from PIL import Image

from engine.metrics import (
    PSNR_CEILING,
    Inception,
    WeightsUnavailable,
    _hub_file,
    create_inception,
    create_lpips,
    frechet_distance,
    kernel_distance,
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
    """Made-up Inception weights in pytorch-fid's format, their batch norm calibrated on some pictures."""
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
            torch.nn.init.kaiming_normal_(
                layer.weight
            )  # signals that reach the end: distances that are not rounding
        elif isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None  # running statistics are those of the one batch
    with torch.no_grad():
        coarse = torch.rand(4, 3, 12, 12) * 2 - 1
        network.train()(torch.nn.functional.interpolate(coarse, size=(299, 299), mode='bilinear'))
    path = tmp_path_factory.mktemp('weights') / 'inception.pth'
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope='session')
def vgg16_file(tmp_path_factory):
    """Made-up VGG16 weights in torchvision's format: the convs, and a small stand-in for the classifier,
    which nobody reads.
    """
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


def half_as_bright(folder, target):
    """The pictures of a folder at half the brightness."""
    target.mkdir()
    for file in folder.iterdir():
        Image.open(file).point(lambda level: level // 2).save(target / file.name)
    return target


def test_fid_equals_the_librarys_own(inception_file, tmp_path):
    """Batch norm by running statistics: pictures normalised by their own would be half as bright without a
    trace.
    """
    from pytorch_fid import fid_score, inception

    scipy_linalg = pytest.importorskip('scipy.linalg')
    if 'disp' not in inspect.signature(scipy_linalg.sqrtm).parameters:
        pytest.skip('pytorch-fid 0.3.0 does not run with this SciPy')
    first = write_pictures(tmp_path / 'a', 0)
    second = half_as_bright(first, tmp_path / 'b')
    create = create_inception(weights=inception_file, device=CPU)
    with _hub_file(inception.FID_WEIGHTS_URL, inception_file):
        expected = fid_score.calculate_fid_given_paths(
            [str(first), str(second)], 50, CPU, 2048, num_workers=0
        )
    assert expected > 1
    assert create.fid(first, second) == pytest.approx(expected, rel=1e-6)


def test_features_are_the_librarys_whatever_the_batch_and_the_mode(inception_file, tmp_path):
    inception = create_inception(weights=inception_file, device=CPU)
    folder = write_pictures(tmp_path / 'a', 0)
    alike = inception.features(folder).copy()
    Image.new('RGB', (30, 40), 'red').save(folder / '9.png')  # another size: one picture a batch from here on
    pictures = np.stack(
        [np.asarray(Image.open(file)) for file in sorted(folder.glob('?.png')) if file.stem != '9']
    )
    with torch.no_grad():
        expected = (
            inception.network.eval()(torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255)[0]
            .flatten(1)
            .numpy()
        )
    assert alike.shape == (3, 2048) and alike.std(axis=0).max() > 1e-3
    rounding = {'rtol': 1e-4, 'atol': 1e-3}  # float32 through 94 layers, in another layout of memory
    np.testing.assert_allclose(alike, expected, **rounding)
    inception.network.train()
    np.testing.assert_allclose(inception.features(folder)[:3], alike, **rounding)


def test_features_are_computed_once_for_a_folder_that_does_not_change(tmp_path, monkeypatch):
    passes = []
    monkeypatch.setattr(
        'pytorch_fid.fid_score.get_activations',
        lambda files, *_, **__: passes.append(files[0].parent.name) or np.eye(len(files)),
    )
    inception = Inception(torch.nn.Identity(), device=CPU)
    real, made = write_pictures(tmp_path / 'real', 0), write_pictures(tmp_path / 'made', 1)
    for epoch in range(3):
        Image.new('RGB', (64, 48), (epoch, 0, 0)).save(made / '0.png')
        inception.fid(real, made)
        inception.kid(real, made)
    assert passes == ['real', 'made', 'made', 'made']


@pytest.mark.parametrize('counts', [(50, 60), (5, 7)])
def test_the_frechet_distance_equals_the_librarys_and_needs_no_scipy(counts, monkeypatch):
    """SciPy 1.18 has dropped an argument that pytorch-fid 0.3.0 gives."""
    from pytorch_fid import fid_score

    rng = np.random.default_rng(0)
    real, made = (
        rng.normal(size=(counts[0], 16)),
        rng.normal(size=(counts[1], 16)) @ rng.normal(size=(16, 16)) + 1,
    )
    expected = None
    if 'disp' in inspect.signature(fid_score.linalg.sqrtm).parameters:
        moments = [
            part for sample in (real, made) for part in (sample.mean(axis=0), np.cov(sample, rowvar=False))
        ]
        expected = fid_score.calculate_frechet_distance(*moments)

    def without_disp(matrix):
        raise AssertionError('the matrix root of SciPy is not to be used')

    monkeypatch.setattr('scipy.linalg.sqrtm', without_disp)
    value = frechet_distance(real, made)
    assert value > 1 and frechet_distance(real, real) == pytest.approx(0, abs=1e-6)
    if expected is not None:
        assert value == pytest.approx(expected, rel=1e-6)


def test_kid_is_the_unbiased_discrepancy_of_a_cubic_kernel():
    """All pairs in plain sums, as the paper has it; samples of one distribution are at 0 on average."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(6, 8)), rng.normal(size=(6, 8)) + 1

    def kernel(x, y):
        return (x @ y / 8 + 1) ** 3

    own = [
        sum(kernel(x[i], x[j]) for i in range(6) for j in range(6) if i != j) / 30 for x in (first, second)
    ]
    cross = sum(kernel(x, y) for x in first for y in second) / 36
    assert kernel_distance(first, second) == pytest.approx(sum(own) - 2 * cross, rel=1e-9)
    before = torch.get_rng_state()
    halves = [kernel_distance(*rng.normal(size=(2, 40, 8))) for _ in range(20)]
    assert min(halves) < 0 < max(halves) and abs(np.mean(halves)) < 0.1
    assert kernel_distance(first, second[:4]) == kernel_distance(first, second[:4]), 'subsets are drawn anew'
    assert torch.equal(torch.get_rng_state(), before)


def test_a_distance_of_distributions_needs_two_pictures(inception_file, tmp_path):
    inception = create_inception(weights=inception_file, device=CPU)
    with pytest.raises(ValueError, match=r'has 1 picture\(s\); .* needs two'):
        inception.features(write_pictures(tmp_path / 'a', 0, count=1))


def test_networks_that_are_only_evaluated_are_in_eval_mode(
    inception_file, vgg16_file, small_checkpoints, monkeypatch
):
    """Inception, LPIPS with its trunk and dropout, VGG19, the frozen teacher, a loaded student."""
    from engine.losses import VGGLoss
    from engine.stages import create_stage
    from models import TryOnPipeline

    lpips = create_lpips(weights=vgg16_file, device=CPU)
    stage = create_stage('pf_e2e', teacher='dm_vton', perceptual=VGGLoss(None)).train()
    files = {'warp': small_checkpoints / 'pf_warp.pt', 'gen': small_checkpoints / 'pf_gen.pt'}
    networks = {
        'inception': create_inception(weights=inception_file, device=CPU).network,
        'lpips': inspect.getclosurevars(lpips).nonlocals['network'],
        'vgg19': stage.perceptual,
        'teacher': stage.teacher,
        'student': TryOnPipeline.from_checkpoints(**files),
        'untrained': TryOnPipeline.untrained('dm_vton'),
    }
    training = {
        name: [module for module in network.modules() if module.training]
        for name, network in networks.items()
    }
    assert training == {name: [] for name in networks}
    stage.train(True)
    assert not stage.teacher.training and not stage.perceptual.training and stage.networks['pf_gen'].training


def test_giving_a_file_leaves_the_cache_folder_as_it_was(inception_file):
    before = torch.hub.get_dir()
    create_inception(weights=inception_file, device=CPU)
    assert torch.hub.get_dir() == before


def test_weights_in_the_cache_are_used_without_a_network(inception_file, vgg16_file, no_network, tmp_path):
    cache = tmp_path / 'cache' / 'checkpoints'
    cache.mkdir(parents=True)
    (cache / 'pt_inception-2015-12-05-6726825d.pth').symlink_to(inception_file)
    (cache / 'vgg16-397923af.pth').symlink_to(vgg16_file)
    create_inception(device=CPU)
    create_lpips(device=CPU)


@pytest.mark.parametrize(
    'create, option', [(create_inception, '--fid_weights'), (create_lpips, '--lpips_weights')]
)
def test_without_a_network_the_reason_names_the_option_that_helps(create, option, no_network):
    with pytest.raises(WeightsUnavailable, match=f'cannot be downloaded .*no network.* {option} PATH'):
        create(device=CPU)


@pytest.mark.parametrize('create', [create_inception, create_lpips])
def test_a_wrong_file_is_refused_in_one_line(create, tmp_path, inception_file, vgg16_file):
    with pytest.raises(MissingFileError, match='no such file'):
        create(weights=tmp_path / 'nothing.pth', device=CPU)
    html = tmp_path / 'page.pth'
    html.write_text('<html>quota exceeded</html>')
    other = vgg16_file if create is create_inception else inception_file
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
    network.features.load_state_dict(
        {key.removeprefix('features.'): state[key] for key in state if 'features' in key}
    )
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
    pairs = [
        (tmp_path / 'photo.png', tmp_path / 'same.png'),
        (tmp_path / 'photo.png', tmp_path / 'black.png'),
    ]
    assert mean_over(pairs, lambda a, b: (a - b).abs().mean().item()) == pytest.approx((0 + 2 / 3) / 2)
    assert load_picture(tmp_path / 'photo.png').shape == (1, 3, 64, 48)


def test_weights_that_want_to_run_code_are_refused_and_run_nothing(tmp_path):
    class Malice:
        def __reduce__(self):
            return (type(tmp_path).touch, (tmp_path / 'ran',))

    torch.save({'x': Malice()}, tmp_path / 'evil.pth')
    for create in (create_inception, create_lpips):
        with pytest.raises(CheckpointError, match='not the weights that are needed'):
            create(weights=tmp_path / 'evil.pth', device=CPU)
    assert not (tmp_path / 'ran').exists()


def test_a_picture_is_read_as_the_pipeline_reads_it(tmp_path):
    """Turned as its camera says, and on white where it is transparent."""
    upright = np.zeros((12, 8, 3), np.uint8)
    upright[0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side
    Image.fromarray(np.rot90(upright).copy()).save(tmp_path / 'turned.png', exif=exif)
    np.testing.assert_array_equal(
        load_picture(tmp_path / 'turned.png')[0, 0].numpy() > 0, upright[..., 0] > 0
    )
    Image.new('RGBA', (8, 12), (0, 0, 0, 0)).save(tmp_path / 'clear.png')
    assert load_picture(tmp_path / 'clear.png').min() == 1


def test_hidden_files_and_folders_are_no_pictures_and_capital_suffixes_are(tmp_path):
    for name in ('a.JPG', '._a.jpg', 'b.txt'):
        (tmp_path / name).write_bytes(b'')
    (tmp_path / 'c.jpg').mkdir()
    assert [file.name for file in picture_files(tmp_path)] == ['a.JPG']
