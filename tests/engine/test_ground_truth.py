"""Scores against the truth: what a perfect result gets, that regions are kept apart, the baseline, and truths
that are none.
"""

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data.labels import CHANGED, GARMENT, KEPT
from data.viton import VITONDataset, create_loader
from engine import evaluate
from engine.evaluate import Evaluation, dress_all
from engine.ground_truth import Comparison, find_truths, resize_flow
from engine.metrics import WeightsUnavailable
from models.ops.flow import offset_to_flow, sample, sampled_pixels
from models.outputs import TryOn
from synthetic.dataset import write_dataset
from utils.errors import DataError, MissingFileError

SIZE = (64, 96)
CPU = torch.device('cpu')
PERFECT = {'SSIM': 1, 'PSNR': 100, 'LPIPS': 0}
REGIONS = ('whole', 'garment', 'unchanged')


def difference(first, second, region=None):
    """A stand-in for LPIPS, whose weights tests do not have."""
    distances = (first - second).abs().mean(dim=1, keepdim=True)
    return (distances if region is None else distances[region]).mean().item()


@pytest.fixture(scope='module')
def drawn(module_path) -> Path:
    """A test set of two pairs with their truths."""
    root = write_dataset(module_path / 'set', train=0, test=2, seed=2, size=SIZE, progress=False)
    return root / 'VITON_test'


@pytest.fixture
def root(drawn, tmp_path) -> Path:
    """A copy to spoil."""
    return shutil.copytree(drawn, tmp_path / 'set')


@pytest.fixture
def evaluation(monkeypatch) -> Evaluation:
    monkeypatch.setattr(evaluate, 'create_lpips', lambda **_: difference)
    return Evaluation(['lpips'], device=CPU)


def test_set(root: Path) -> VITONDataset:
    return VITONDataset(root, 'test', size=SIZE)


test_set.__test__ = False


def true_result(truths, batch) -> TryOn:
    """What a perfect student would make of a batch."""
    found = [truths(*pair) for pair in zip(batch['person_name'], batch['garment_name'], strict=True)]
    picture, flow, mask = (torch.stack(part) for part in zip(*found, strict=True))
    edge = (mask == GARMENT).float()
    return TryOn(picture, picture, edge, picture, edge, flow.nan_to_num(9))


def score(
    root: Path,
    evaluation: Evaluation,
    change=lambda result, masks: result,
    *,
    align_corners: bool = True,
    batch_size: int = 2,
    pictures: bool = True,
) -> dict:
    """Scores by label of a perfect result after `change(result, masks)`; those of `pictures` take most of the
    time.
    """
    dataset = test_set(root)
    truths = find_truths(dataset)
    comparison = Comparison(truths, evaluation, align_corners=align_corners)
    comparison.measures = comparison.measures if pictures else {}
    for batch in create_loader(dataset, batch_size=batch_size, workers=0):
        masks = torch.stack(
            [truths(*pair).mask for pair in zip(batch['person_name'], batch['garment_name'], strict=True)]
        )
        comparison(batch, change(true_result(truths, batch), masks))
    return {score.label: score for score in comparison.scores()}


def values(scores: dict) -> dict[str, float]:
    return {label: score.value for label, score in scores.items()}


def worse(picture: torch.Tensor, where: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """A picture with noise where a mask is true."""
    noise = torch.rand(picture.shape, generator=torch.Generator().manual_seed(seed)) - 0.5
    return torch.where(where, (picture + noise).clamp(-1, 1), picture)


def test_a_perfect_result_has_perfect_scores_and_beats_the_baseline(drawn, evaluation):
    found = score(drawn, evaluation)
    assert len(found) == 2 * (3 * 3 + 1)
    for measure, best in PERFECT.items():
        for region in REGIONS:
            mine, baseline = found[f'{measure} {region}'], found[f'{measure} {region} baseline']
            assert mine.value == pytest.approx(best, abs=1e-9)
            assert abs(baseline.value - best) > 0.01 and 'unwarped garment' in baseline.protocol
            assert 'before JPEG' in mine.protocol and mine.protocol.endswith('2 of 2 pairs')
    assert found['warp error'].value == 0 and found['warp error'].unit == 'px'
    assert found['warp error baseline'].value > 2


@pytest.mark.parametrize('align_corners', [True, False])
def test_places_are_where_a_flow_samples(align_corners):
    torch.manual_seed(0)
    flow = torch.rand(1, 2, 12, 20) * 1.6 - 0.8
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(20.0), indexing='ij')
    seen = sample(torch.stack([x, y])[None], flow, align_corners=align_corners)[0]
    torch.testing.assert_close(sampled_pixels(flow[0], align_corners=align_corners), seen, rtol=0, atol=1e-5)


@pytest.mark.parametrize('align_corners', [True, False])
def test_a_flow_that_is_three_and_four_pixels_off_has_an_error_of_five(align_corners, drawn, evaluation):
    def shift(result, masks):
        height, width = SIZE
        there = torch.stack([sampled_pixels(flow, align_corners=True) for flow in result.flow])
        there += torch.tensor([3.0, -4])[:, None, None]
        sides = torch.tensor([width, height])[:, None, None]
        flow = there / ((sides - 1) / 2) - 1 if align_corners else (2 * there + 1) / sides - 1
        return result._replace(flow=flow)

    found = score(drawn, evaluation, shift, align_corners=align_corners, pictures=False)
    assert found['warp error'].value == pytest.approx(5, abs=1e-4)


def test_flow_is_measured_only_where_the_garment_is_seen(drawn, evaluation):
    def spoil(result, masks):
        return result._replace(flow=torch.where(masks == GARMENT, result.flow, 99))

    assert score(drawn, evaluation, spoil, pictures=False)['warp error'].value == 0


@pytest.mark.parametrize('region, value', [('garment', GARMENT), ('unchanged', KEPT)])
def test_an_error_outside_a_region_does_not_change_its_score(region, value, drawn, evaluation):
    def inside(result, masks):
        return result._replace(image=worse(result.image, masks == value))

    def everywhere(result, masks):
        return inside(result, masks)._replace(
            image=worse(inside(result, masks).image, masks != value, seed=1)
        )

    def outside(result, masks):
        return result._replace(image=worse(result.image, masks != value))

    first, second, untouched = (
        values(score(drawn, evaluation, change)) for change in (inside, everywhere, outside)
    )
    other = ({*REGIONS} - {region, 'whole'}).pop()
    for measure, best in PERFECT.items():
        assert first[f'{measure} {region}'] == second[f'{measure} {region}'] != best
        assert untouched[f'{measure} {region}'] == pytest.approx(best, abs=1e-9)
        assert first[f'{measure} {other}'] == pytest.approx(best, abs=1e-9)
        assert first[f'{measure} whole'] != second[f'{measure} whole']


def test_what_came_out_from_under_the_old_garment_counts_for_the_whole_only(drawn, evaluation):
    found = values(
        score(
            drawn,
            evaluation,
            lambda result, masks: result._replace(image=worse(result.image, masks == CHANGED)),
        )
    )
    for measure, best in PERFECT.items():
        assert [found[f'{measure} {region}'] == pytest.approx(best, abs=1e-9) for region in REGIONS] == [
            False,
            True,
            True,
        ]


def test_the_baseline_is_the_garment_pasted_where_its_edge_is(drawn, evaluation):
    dataset = test_set(drawn)
    records = [dataset[index] for index in range(2)]
    pasted = [np.where(record['edge'] > 0.5, record['color'], record['image']) for record in records]
    still = offset_to_flow(torch.zeros(2, 2, *SIZE))

    found = values(
        score(
            drawn,
            evaluation,
            lambda result, _: result._replace(image=torch.tensor(np.stack(pasted)), flow=still),
        )
    )
    for label, value in found.items():
        if not label.endswith('baseline'):
            assert value == pytest.approx(found[f'{label} baseline'], rel=1e-9), label


def test_scores_are_means_over_pairs_whatever_the_batch(root, evaluation):
    def spoil(result, masks):
        return result._replace(image=-result.image, flow=-result.flow)

    together = values(score(root, evaluation, spoil))
    assert values(score(root, evaluation, spoil, batch_size=1)) == pytest.approx(together, rel=1e-6)
    pairs, alone = (root / 'test_pairs.txt').read_text().splitlines(), []
    for pair in pairs:
        (root / 'test_pairs.txt').write_text(pair)
        alone.append(values(score(root, evaluation, spoil)))
    assert {label: (alone[0][label] + alone[1][label]) / 2 for label in together} == pytest.approx(
        together, rel=1e-6
    )


def test_a_pair_without_a_region_is_left_out_and_said_so(root, evaluation):
    masks, flows = (sorted((root / 'test_gt' / kind).iterdir()) for kind in ('mask', 'flow'))
    Image.new('L', SIZE[::-1], CHANGED).save(masks[0])
    np.save(flows[0], np.full((2, *SIZE), np.nan, np.float16))
    found = score(root, evaluation)
    for label in ('SSIM garment', 'PSNR unchanged', 'warp error', 'warp error baseline'):
        assert found[label].value is not None and found[label].protocol.endswith('1 of 2 pairs'), label
    for mask, flow in zip(masks, flows, strict=True):
        Image.new('L', SIZE[::-1], CHANGED).save(mask)
        np.save(flow, np.full((2, *SIZE), np.nan, np.float16))
    found = score(root, evaluation)
    for label in ('SSIM garment', 'PSNR unchanged baseline', 'warp error'):
        assert found[label].value is None and found[label].reason.startswith('not applicable'), label
    assert found['SSIM whole'].value == pytest.approx(1)


def test_lpips_is_left_out_unless_asked_for_and_unavailable_with_its_reason(drawn, monkeypatch):
    assert not [
        label for label in score(drawn, Evaluation([], device=CPU), pictures=False) if 'LPIPS' in label
    ]

    def refuse(**_):
        raise WeightsUnavailable('no network in this test')

    monkeypatch.setattr(evaluate, 'create_lpips', refuse)
    found = score(drawn, Evaluation(['lpips'], device=CPU))
    for region in REGIONS:
        for label in (f'LPIPS {region}', f'LPIPS {region} baseline'):
            assert (
                found[label].value is None and found[label].reason == 'unavailable: no network in this test'
            )
    assert found['SSIM whole'].value == pytest.approx(1)


def test_try_ons_are_compared_before_jpeg_and_the_sheet_shows_the_truth(
    drawn, evaluation, tmp_path, monkeypatch
):
    titles = []
    draw = evaluate.contact_sheet
    monkeypatch.setattr(
        evaluate, 'contact_sheet', lambda rows, **words: titles.extend(words['titles']) or draw(rows, **words)
    )
    dataset = test_set(drawn)
    truths = find_truths(dataset)
    comparison = Comparison(truths, evaluation, align_corners=True)
    batches = list(create_loader(dataset, batch_size=1, workers=0))
    results = iter([true_result(truths, batch) for batch in batches])
    dress_all(lambda *_: next(results), batches, dataset.pairs, tmp_path, compare=comparison)
    assert {score.label: score.value for score in comparison.scores()}['PSNR whole'] == 100
    assert titles == ['person', 'garment', 'warped', 'try-on', 'truth']
    sheet = np.asarray(Image.open(tmp_path / 'contact_sheet.jpg')).astype(float)
    assert sheet.shape == (
        26 + 2 * (2 * SIZE[0]) + 4,
        2 * (5 * SIZE[1] + 4 * 4),
        3,
    )  # small pictures are shown twice as large
    true = Image.open(sorted((drawn / 'test_gt' / 'img').iterdir())[0]).resize((2 * SIZE[1], 2 * SIZE[0]))
    assert np.abs(sheet[26 : 26 + 2 * SIZE[0], -2 * SIZE[1] :] - np.asarray(true)).mean() < 5
    assert Image.open(next((tmp_path / 'visualize').iterdir())).size == (4 * SIZE[1] + 3 * 4, SIZE[0])


# ---- Truths that are none


def spoiled_truth(kind: str, folder: Path) -> Path:
    """Break one file of a folder of truths; returns its path."""
    picture, flow, mask = (sorted((folder / part).iterdir())[1] for part in ('img', 'flow', 'mask'))
    height, width = SIZE
    grey = np.zeros(SIZE, np.uint8)
    changes = {
        'no picture': (picture, picture.unlink),
        'no flow': (flow, flow.unlink),
        'no mask': (mask, mask.unlink),
        'half a picture': (picture, lambda: picture.write_bytes(picture.read_bytes()[:600])),
        'half a flow': (flow, lambda: flow.write_bytes(flow.read_bytes()[:600])),
        'an empty flow': (flow, lambda: flow.write_bytes(b'')),
        'a flow of objects': (flow, lambda: np.save(flow, np.array([{}], dtype=object), allow_pickle=True)),
        'a flow of whole numbers': (flow, lambda: np.save(flow, np.zeros((2, *SIZE), np.int16))),
        'a flow with its axes in another order': (
            flow,
            lambda: np.save(flow, np.zeros((*SIZE, 2), np.float16)),
        ),
        'a picture of another size': (picture, lambda: Image.new('RGB', (width, height + 32)).save(picture)),
        'a flow of another size': (
            flow,
            lambda: np.save(flow, np.zeros((2, height, width + 32), np.float16)),
        ),
        'a mask of another size': (mask, lambda: Image.new('L', (width // 2, height)).save(mask)),
        'a mask of colours': (mask, lambda: Image.new('RGB', (width, height), 'red').save(mask)),
        'a mask with another value': (mask, lambda: Image.fromarray(grey + 127).save(mask)),
    }
    path, change = changes[kind]
    change()
    return path


WORDS = {
    'no picture': 'no such file',
    'no flow': 'no such file',
    'no mask': 'no such file',
    'half a picture': 'cannot be read',
    'half a flow': 'cannot be read',
    'an empty flow': 'cannot be read',
    'a flow of objects': 'cannot be read',
    'a flow of whole numbers': r'int16 \[2, 64, 96\], expected a flow',
    'a flow with its axes in another order': r'float16 \[64, 96, 2\], expected a flow',
    'a picture of another size': '96 x 96 .* expected 64 x 96 like',
    'a flow of another size': '64 x 128 .* expected 64 x 96 like',
    'a mask of another size': '64 x 48 .* expected 64 x 96 like',
    'a mask of colours': 'RGB',
    'a mask with another value': 'value 127, expected only 0, 128 and 255',
}


@pytest.mark.parametrize('kind', WORDS)
def test_a_bad_truth_is_refused_in_one_line_before_any_work(kind, root):
    path = spoiled_truth(kind, root / 'test_gt')
    with pytest.raises(DataError, match=WORDS[kind]) as refusal:
        find_truths(test_set(root))
    line = str(refusal.value)
    assert (
        '1 problem(s)' in line
        and f'{path.parent.name}/{path.name}' in line
        and '--no-gt' in line
        and '\n' not in line
    )
    assert find_truths(test_set(root), wanted=False) is None


def test_many_bad_truths_are_counted_and_the_first_are_named(root):
    for kind in ('flow', 'mask'):
        shutil.rmtree(root / 'test_gt' / kind)
    with pytest.raises(
        DataError, match=r'4 problem\(s\): flow/000000.*; mask/000000.*; flow/000001.*; and 1 more'
    ) as refusal:
        find_truths(test_set(root))
    assert 'mask/000001' not in str(refusal.value)


def test_truths_of_another_size_are_resized_with_the_pictures(tmp_path):
    """At half the size the true picture still equals the person's in what is kept, and the flow leads to the
    same places.
    """
    root = (
        write_dataset(tmp_path / 'set', train=0, test=2, seed=2, size=(256, 192), progress=False)
        / 'VITON_test'
    )
    full, half = (VITONDataset(root, 'test', size=size) for size in ((256, 192), (128, 96)))
    (person, garment), truths = half.pairs[0], find_truths(half)
    truth, large = truths(person, garment), find_truths(full)(person, garment)
    assert truth.picture.shape[1:] == truth.flow.shape[1:] == truth.mask.shape[1:] == half.size
    kept = (truth.mask == KEPT).expand(3, -1, -1)
    # The person's picture is a JPEG, the truth is not.
    assert kept.float().mean() > 0.2 and (truth.picture - half[0]['image'])[kept].abs().mean() < 0.03
    assert ((large.mask == GARMENT).float().mean() - (truth.mask == GARMENT).float().mean()).abs() < 0.03
    seen = truth.flow.isfinite().all(dim=0)
    coarse = (sampled_pixels(truth.flow, align_corners=True) + 0.5) * 2 - 0.5
    fine = torch.nn.functional.avg_pool2d(sampled_pixels(large.flow, align_corners=True), 2)
    torch.testing.assert_close(coarse[:, seen], fine[:, seen], atol=1e-3, rtol=0)


@pytest.mark.parametrize('size, gaps', [((128, 96), 1), ((64, 48), 0), ((512, 384), 2)])
def test_a_resized_flow_leads_to_the_same_places(size, gaps):
    """A flow that is affine in places of the picture is the same function of them at any size, and a fold
    stays a gap.
    """

    def affine(height: int, width: int) -> np.ndarray:
        """Pixels of the garment, where it is twice as large as worn, for the pixels of a picture."""
        x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
        places = np.stack([2 * x - 0.5 + 0.1 * y, 2 * y - 0.6])  # shares of the sides
        pixels = places * np.array([width, height])[:, None, None] - 0.5
        return (pixels / (np.array([width, height]) - 1)[:, None, None] * 2 - 1).astype(np.float32)

    flow = affine(256, 192)
    inner = (slice(None), *(slice(2, side - 2) for side in size))
    np.testing.assert_allclose(resize_flow(flow, size)[inner], affine(*size)[inner], atol=1e-5)
    flow[:, 101:] += 0.5
    rows = np.flatnonzero(np.isnan(resize_flow(flow, size)[0, :, size[1] // 2]))
    assert len(rows) == gaps and all(abs((row + 0.5) / size[0] * 256 - 101) < 1 for row in rows)


def test_truths_are_taken_where_they_are_unless_told_otherwise(root):
    assert find_truths(test_set(root)) and find_truths(test_set(root), wanted=True)
    shutil.rmtree(root / 'test_gt')
    assert find_truths(test_set(root)) is None and find_truths(test_set(root), wanted=False) is None
    with pytest.raises(MissingFileError, match='--gt: no folder .*test_gt; leave --gt out') as refusal:
        find_truths(test_set(root), wanted=True)
    assert '\n' not in str(refusal.value)


# ---- The script


@pytest.fixture(scope='module')
def run_script():
    """test.py's main function. Its name is also that of a package of Python's own, so it is loaded by its
    path.
    """
    spec = importlib.util.spec_from_file_location('try_on_script', Path(__file__).parents[2] / 'test.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture(scope='module')
def weights(module_path) -> list[str]:
    """Options that name the weights of an untrained student."""
    from models.checkpoint.command import main as checkpoint_command

    checkpoint_command(['init', '--family', 'dm_vton', '--out', str(module_path)])
    files = (module_path / 'dm_vton_student_warp.pt', module_path / 'dm_vton_student_gen.pt')
    return ['--pf_warp_checkpoint', str(files[0]), '--pf_gen_checkpoint', str(files[1])]


def arguments(root: Path, weights: list[str], project: Path, *more) -> list[str]:
    size = [str(side) for side in SIZE]
    line = [
        '--dataroot',
        str(root),
        *weights,
        '--project',
        str(project),
        '--device',
        'cpu',
        '--workers',
        '0',
        '--size',
        *size,
    ]
    return [*line, *more]


def test_the_script_reports_every_score_beside_its_baseline(run_script, weights, drawn, tmp_path, capsys):
    run_script(arguments(drawn, weights, tmp_path, '--metrics', 'ssim'))
    metrics = json.loads((tmp_path / 'exp' / 'results' / 'metrics.json').read_text())['metrics']
    for label in [f'{measure} {region}' for measure in ('SSIM', 'PSNR') for region in REGIONS] + [
        'warp error'
    ]:
        for each in (label, f'{label} baseline'):
            assert np.isfinite(metrics[each]['value']) and '2 of 2 pairs' in metrics[each]['protocol'], each
    assert metrics['SSIM whole']['value'] < 0.9 and 1 < metrics['warp error']['value'] < 50
    assert 'LPIPS whole' not in metrics and metrics['SSIM']['value'] is None
    assert 'warp error baseline' in capsys.readouterr().out
    assert Image.open(tmp_path / 'exp' / 'results' / 'contact_sheet.jpg').width == 2 * (5 * SIZE[1] + 4 * 4)


def test_the_script_goes_without_truths_where_told_to(run_script, weights, drawn, tmp_path):
    run_script(arguments(drawn, weights, tmp_path, '--metrics', 'ssim', '--no-gt', '--no-real'))
    assert list(json.loads((tmp_path / 'exp' / 'results' / 'metrics.json').read_text())['metrics']) == [
        'SSIM'
    ]
    assert Image.open(tmp_path / 'exp' / 'results' / 'contact_sheet.jpg').width == 2 * (4 * SIZE[1] + 3 * 4)


def test_the_script_refuses_missing_truths_with_a_status(run_script, weights, root, tmp_path, capsys):
    next((root / 'test_gt' / 'flow').iterdir()).unlink()
    for status, more in ((1, []), (2, ['--gt'])):
        with pytest.raises(SystemExit) as exit_info:
            run_script(arguments(root, weights, tmp_path / 'runs', *more))
        error = capsys.readouterr().err
        assert exit_info.value.code == status and error.startswith('error: ') and error.count('\n') == 1
        shutil.rmtree(root / 'test_gt', ignore_errors=True)
    assert not (tmp_path / 'runs').exists()
