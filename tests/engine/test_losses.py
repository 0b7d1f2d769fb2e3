"""The losses against slow versions that go by the definitions, in NumPy and sample by sample; VGG19's file
and its errors.
"""

import os
import re
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torchvision.models import VGG19_Weights
from torchvision.models.vgg import cfgs, make_layers

from engine.losses import (
    VGGLoss,
    curvature,
    distillation_terms,
    generator_terms,
    is_closer,
    l1,
    skin_terms,
    total_variation,
    warp_terms,
)
from models import TryOn, WarpLevel
from utils.errors import CheckpointError, MissingFileError, UserError

BATCH, LEVELS = 3, 5


def distance(picture, target):
    """A perceptual distance that is no VGG: not symmetric, so that swapped arguments are noticed."""
    return (picture - 2 * target).square().mean()


def make_levels(generator: torch.Generator) -> tuple[WarpLevel, ...]:
    def draw(channels: int, n: int, scale: int = 1) -> torch.Tensor:
        shape = (BATCH, channels, 2 * 2**n * scale, 3 * 2**n * scale)
        return torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1

    return tuple(
        WarpLevel(
            draw(3, n, 2), draw(1, n, 2), draw(2, n, 2), draw(2, n), draw(2, n), draw(256, n), draw(256, n)
        )
        for n in range(LEVELS)
    )


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)


@pytest.fixture
def levels(generator):
    return make_levels(generator)


@pytest.fixture
def picture(generator):
    def draw(channels: int = 3) -> torch.Tensor:
        return torch.rand(BATCH, channels, 64, 96, generator=generator, dtype=torch.float64) * 2 - 1

    return draw


def slow_tv(x: np.ndarray) -> float:
    vertical = [
        abs(x[b, c, i + 1, j] - x[b, c, i, j]) for b, c, i, j in np.ndindex(*x.shape) if i + 1 < x.shape[2]
    ]
    horizontal = [
        abs(x[b, c, i, j + 1] - x[b, c, i, j]) for b, c, i, j in np.ndindex(*x.shape) if j + 1 < x.shape[3]
    ]
    return np.mean(vertical) + np.mean(horizontal)


def slow_curvature(flow: np.ndarray) -> float:
    penalties = [[], []]
    for b, c, i, j in np.ndindex(*flow.shape):
        if 0 < i < flow.shape[2] - 1 and 0 < j < flow.shape[3] - 1:
            for di, dj in ((0, 1), (1, 0), (1, 1), (1, -1)):
                d = flow[b, c, i - di, j - dj] - 2 * flow[b, c, i, j] + flow[b, c, i + di, j + dj]
                penalties[c].append((d**2 + 0.001**2) ** 0.45)
    return np.mean(penalties[0]) + np.mean(penalties[1])


def slow_shrink(x: np.ndarray, step: int) -> np.ndarray:
    """Bilinear without antialiasing, by a power of two: the mean of the four pixels around each centre."""
    if step == 1:
        return x
    first, second = step // 2 - 1, step // 2
    return sum(x[..., i::step, j::step] for i in (first, second) for j in (first, second)) / 4


def test_the_total_variation_is_the_mean_of_both_directions(levels):
    offset = levels[1].coarse_offset
    assert total_variation(offset).item() == pytest.approx(slow_tv(offset.numpy()), rel=1e-12)


def test_the_curvature_is_the_charbonnier_penalty_of_four_second_differences(levels):
    flow = levels[1].flow
    assert curvature(flow).item() == pytest.approx(slow_curvature(flow.numpy()), rel=1e-12)


def test_the_warp_terms_are_those_of_the_definition(levels, picture):
    person_cloth, mask = picture(), (picture(1) > 0).double()
    terms = warp_terms(levels, person_cloth, mask, distance)
    expected = dict.fromkeys(('offset_tv', 'cloth_l1', 'cloth_vgg', 'edge_l1', 'flow_curvature'), 0.0)
    for n, level in enumerate(levels):
        cloth, edge, flow, coarse, refine, *_ = (x.numpy() for x in level)
        target, target_mask = (slow_shrink(x.numpy(), 2 ** (4 - n)) for x in (person_cloth, mask))
        expected['offset_tv'] += 0.01 * (slow_tv(coarse) + slow_tv(refine))
        expected['cloth_l1'] += (n + 1) * np.abs(cloth - target).mean()
        expected['cloth_vgg'] += (n + 1) * 0.2 * ((cloth - 2 * target) ** 2).mean()
        expected['edge_l1'] += (n + 1) * 2 * np.abs(edge - target_mask).mean()
        expected['flow_curvature'] += (n + 1) * 6 * slow_curvature(flow)
    assert {name: x.item() for name, x in terms.items()} == pytest.approx(expected, rel=1e-12)


def slow_distillation(teacher, student, gate) -> dict[str, float]:
    expected = {'distil_feature': 0.0, 'distil_flow': 0.0}
    open_samples = [b for b in range(BATCH) if gate[b]]
    m = max(1, len(open_samples))
    for n in range(LEVELS):
        for b in open_samples:
            for name in ('condition_feature', 'cloth_feature'):
                wanted, got = (getattr(levels[n], name)[b].numpy() for levels in (teacher, student))
                _, h, w = got.shape
                expected['distil_feature'] += (5 - n) * 0.04 * ((wanted - got) ** 2).sum() / (256 * h * w * m)
            wanted, got = (levels[n].flow[b].numpy() for levels in (teacher, student))
            _, h, w = got.shape
            length = sum(np.hypot(*(wanted - got)[:, i, j]) for i, j in np.ndindex(h, w))
            expected['distil_flow'] += (n + 1) * length / (h * w * m) if n >= 2 else 0
    return expected


@pytest.mark.parametrize('gate', [(1, 1, 1), (0, 1, 1), (0, 1, 0), (0, 0, 0)])
def test_the_distillation_counts_only_samples_with_an_open_gate(gate, levels, generator):
    teacher = make_levels(generator)
    terms = distillation_terms(teacher, levels, torch.tensor(gate, dtype=torch.float64))
    expected = slow_distillation(teacher, levels, gate)
    assert {name: x.item() for name, x in terms.items()} == pytest.approx(expected, rel=1e-12)


def test_a_closed_gate_lets_no_gradient_through(levels, generator):
    student = tuple(WarpLevel(*(x.requires_grad_() for x in level)) for level in levels)
    terms = distillation_terms(
        make_levels(generator), student, torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    )
    sum(terms.values()).backward()
    for level in student[2:]:
        for x in (level.flow, level.condition_feature, level.cloth_feature):
            assert [sample.any().item() for sample in x.grad] == [False, True, False]


def test_flows_that_agree_have_a_gradient_of_zero_and_not_nan(levels):
    student = tuple(level._replace(flow=level.flow.clone().requires_grad_()) for level in levels)
    distillation_terms(levels, student, torch.ones(BATCH, dtype=torch.float64))['distil_flow'].backward()
    assert all((level.flow.grad == 0).all() for level in student[2:])


def test_a_gate_opens_only_where_the_teacher_is_strictly_closer():
    target = torch.zeros(4, 3, 8, 8)
    student = torch.full_like(target, 0.5)
    teacher = torch.tensor([0.4, 0.5, 0.6, -0.4]).view(4, 1, 1, 1).expand_as(target)
    assert is_closer(teacher, student, target).tolist() == [1, 0, 0, 1]


def test_a_gate_does_not_depend_on_the_other_samples():
    target, student = torch.zeros(2, 3, 8, 8), torch.full((2, 3, 8, 8), 0.5)
    teacher = torch.stack([torch.full((3, 8, 8), 0.4), torch.full((3, 8, 8), 9.0)])
    assert is_closer(teacher, student, target).tolist() == [1, 0]


def test_the_generator_terms_are_those_of_the_definition(picture):
    image, rendered, person, mask = picture(), picture(), picture(), picture(1)
    terms = generator_terms(TryOn(image, rendered, mask, None, None, None), person, distance)
    x, r, p, m = (t.numpy() for t in (image, rendered, person, mask))
    expected = {
        'tryon_l1': 5 * np.abs(x - p).mean(),
        'tryon_vgg': ((x - 2 * p) ** 2).mean(),
        'rendered_l1': 5 * np.abs(r - p).mean(),
        'rendered_vgg': ((r - 2 * p) ** 2).mean(),
        'mask_l1': np.abs(1 - m).mean(),
    }
    assert {name: t.item() for name, t in terms.items()} == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize('late, l1_weight, vgg_weight', [(False, 30, 2), (True, 60, 4)])
def test_the_skin_terms_see_the_skin_alone(late, l1_weight, vgg_weight, picture):
    rendered, person, skin = picture(), picture(), (picture(1) > 0.5).double()
    terms = skin_terms(rendered, person, skin, distance, late=late)
    r, p = (x.numpy() * skin.numpy() for x in (rendered, person))
    expected = {
        'skin_l1': l1_weight * np.abs(r - p).mean(),
        'skin_vgg': vgg_weight * ((r - 2 * p) ** 2).mean(),
    }
    assert {name: x.item() for name, x in terms.items()} == pytest.approx(expected, rel=1e-12)


def test_without_a_perceptual_distance_its_terms_are_missing_and_the_others_stay(levels, picture):
    person, mask, tryon = picture(), picture(1), TryOn(picture(), picture(), picture(1), None, None, None)
    for function, arguments, options in (
        (warp_terms, (levels, person, mask), {}),
        (generator_terms, (tryon, person), {}),
        (skin_terms, (tryon.rendered, person, mask), {'late': False}),
    ):
        full, bare = function(*arguments, distance, **options), function(*arguments, None, **options)
        assert bare == {name: x for name, x in full.items() if not name.endswith('_vgg')} != full


def test_sixteen_bits_are_widened_before_they_overflow():
    features = torch.full((BATCH, 256, 8, 8), 300.0, dtype=torch.float16)  # its square is beyond 65504
    level = WarpLevel(None, None, features[:, :2], None, None, features, features)
    terms = distillation_terms((level,), (level._replace(cloth_feature=-features),), torch.ones(BATCH))
    assert terms['distil_feature'].dtype == torch.float32
    assert terms['distil_feature'].item() == pytest.approx(0.04 * 600**2)
    for x in (l1(features, -features), total_variation(features), curvature(features[:, :2])):
        assert x.dtype == torch.float32 and x.isfinite()


# ---- VGG19


@pytest.fixture(scope='module')
def torchvision_features():
    """torchvision's own `vgg19().features` with a random weight, pools rounding up."""
    torch.manual_seed(5)
    features = make_layers(cfgs['E']).eval()
    for layer in features:
        layer.ceil_mode = True
    return features


def whole(features) -> dict[str, torch.Tensor]:
    """The state dict of a whole VGG19 around its features, with a classifier that is small."""
    return {f'features.{name}': x for name, x in features.state_dict().items()} | {
        'classifier.0.bias': torch.zeros(2)
    }


@pytest.fixture
def vgg_file(torchvision_features, tmp_path):
    torch.save(whole(torchvision_features), tmp_path / 'vgg19.pth')
    return tmp_path / 'vgg19.pth'


def test_vgg_has_the_names_of_torchvision_up_to_relu5_1(torchvision_features):
    names = [name for name, _ in VGGLoss(None).vgg.named_parameters()]
    expected = [name for name, _ in torchvision_features.named_parameters()]
    assert names == expected[: expected.index('28.bias') + 1]


def test_the_perceptual_distance_is_that_of_torchvisions_features(torchvision_features, vgg_file, picture):
    loss = VGGLoss(vgg_file)
    a, b = (
        picture()[:1, :, :32, :24].float(),
        picture()[:1, :, :32, :24].float(),
    )  # 24 / 16 is odd: pools round up
    expected, x, y = 0.0, a, b
    with torch.no_grad():
        for place, layer in enumerate(torchvision_features):
            x, y = layer(x), layer(y)
            expected += {1: 1 / 32, 6: 1 / 16, 11: 1 / 8, 20: 1 / 4, 29: 1}.get(place, 0) * (
                x - y
            ).abs().mean().item()
    assert loss(a, b).item() == pytest.approx(expected, rel=1e-5)


def test_the_features_alone_and_the_whole_network_are_read_alike(torchvision_features, vgg_file, tmp_path):
    torch.save(torchvision_features.state_dict(), tmp_path / 'features.pth')
    first, second = VGGLoss(vgg_file), VGGLoss(str(tmp_path / 'features.pth'))
    for (name, x), (other, y) in zip(first.state_dict().items(), second.state_dict().items(), strict=True):
        assert name == other and torch.equal(x, y)
    assert torch.equal(first.vgg[28].weight, torchvision_features[28].weight)


def test_vgg_is_frozen_and_its_target_carries_no_gradient(picture):
    loss = VGGLoss(None).train()
    assert not loss.training and not any(layer.training for layer in loss.vgg)
    assert not any(parameter.requires_grad for parameter in loss.parameters())
    a, b = (picture()[:1, :, :32, :32].float().requires_grad_() for _ in range(2))
    loss(a, b).backward()
    assert a.grad.any() and b.grad is None


def test_the_pictures_given_to_vgg_are_left_as_they_are(picture):
    a = picture()[:1, :, :32, :32].float()
    before = a.clone()
    VGGLoss(None)(a, a.flip(3))
    assert torch.equal(a, before)


def test_imagenet_weights_come_by_torchvisions_own_way(monkeypatch, torchvision_features):
    monkeypatch.setattr(VGG19_Weights, 'get_state_dict', lambda *_, **options: whole(torchvision_features))
    assert torch.equal(VGGLoss().vgg[28].weight, torchvision_features[28].weight)


@pytest.mark.parametrize(
    'failure', [URLError('no route'), RuntimeError('invalid hash value\nsecond line'), OSError()]
)
def test_a_failed_download_says_in_one_line_which_option_helps(monkeypatch, failure):
    def fail(*_, **options):
        raise failure

    monkeypatch.setattr(VGG19_Weights, 'get_state_dict', fail)
    with pytest.raises(UserError) as caught:
        VGGLoss('imagenet')
    message = str(caught.value)
    assert '--vgg_weights PATH' in message and '--vgg_weights none' in message and '\n' not in message


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=re.escape(str(tmp_path / 'no.pth'))):
        VGGLoss(tmp_path / 'no.pth')


def spoil(kind: str, path, state: dict[str, torch.Tensor]) -> None:
    if kind == 'cut short':
        path.write_bytes(path.read_bytes()[:1000])
    elif kind == 'empty':
        path.write_bytes(b'')
    elif kind == 'a picture':
        path.write_bytes(b'\xff\xd8\xff\xe0' + bytes(100))
    elif kind == 'a training checkpoint':
        torch.save({'model': state, 'epoch': 3}, path)
    elif kind == 'a list':
        torch.save([torch.zeros(2)], path)
    elif kind == 'another network':
        torch.save({'features.0.weight': torch.zeros(64, 3, 3, 3), 'features.3.weight': torch.zeros(2)}, path)
    elif kind == 'a layer missing':
        torch.save({name: x for name, x in state.items() if name != 'features.28.bias'}, path)
    elif kind == 'a layer of another shape':
        torch.save(state | {'features.28.bias': torch.zeros(3)}, path)


@pytest.mark.parametrize(
    'kind',
    [
        'cut short',
        'empty',
        'a picture',
        'a training checkpoint',
        'a list',
        'another network',
        'a layer missing',
        'a layer of another shape',
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_line(kind, vgg_file, torchvision_features):
    spoil(kind, vgg_file, whole(torchvision_features))
    with pytest.raises(CheckpointError, match=re.escape(str(vgg_file))) as caught:
        VGGLoss(vgg_file)
    assert '\n' not in str(caught.value) and 'vgg19' in str(caught.value).removeprefix(str(vgg_file))


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_no_code_in_a_file_is_run(vgg_file, tmp_path):
    torch.save({'features.0.weight': Trap(tmp_path / 'trap')}, vgg_file)
    with pytest.raises(CheckpointError, match=re.escape(str(vgg_file))):
        VGGLoss(vgg_file)
    assert not (tmp_path / 'trap').exists()
