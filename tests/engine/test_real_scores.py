"""Scores on photographs: hand-made pictures with known answers, the two trivial networks, and test.py's
tables.
"""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from data.labels import Parsing
from data.viton import VITONDataset
from engine.metrics import ssim
from engine.real_scores import (
    PROTOCOLS,
    Dressing,
    RealScores,
    around,
    find_real_scores,
    regions,
    score_left_over,
    score_photographs,
    score_round_trip,
    score_worn,
)
from models.outputs import TryOn
from utils.errors import DataError, MissingFileError

SIZE = (64, 64)
BODY = (slice(16, 48), slice(16, 48))


def write_set(root, *, own_list=True, labels=True):
    """Three persons in squares of their own garment's colour on grey; garments are the same squares on
    white.
    """
    for kind in ('img', 'color', 'edge', 'label'):
        (root / f'test_{kind}').mkdir(parents=True)
    for number, colour in enumerate([(200, 30, 30), (30, 200, 30), (30, 30, 200)]):
        stem = f'{number:06}'
        for kind, ground, name in (('img', 128, f'{stem}_0.png'), ('color', 255, f'{stem}_1.png')):
            pixels = np.full((*SIZE, 3), ground, np.uint8)
            pixels[BODY] = colour
            Image.fromarray(pixels).save(root / f'test_{kind}' / name)
        mask = np.zeros(SIZE, np.uint8)
        mask[BODY] = 1
        Image.fromarray(mask * 255).save(root / 'test_edge' / f'{stem}_1.png')
        Image.fromarray(mask * np.uint8(Parsing.UPPER_CLOTHES)).save(root / 'test_label' / f'{stem}_0.png')
    lists = {'test_pairs.txt': [(0, 1), (1, 2), (2, 0)]}
    if own_list:
        lists['test_pairs_own.txt'] = [(0, 0), (1, 1), (2, 2)]
    if not labels:
        for path in (root / 'test_label').iterdir():
            path.unlink()
        (root / 'test_label').rmdir()
    for name, pairs in lists.items():
        (root / name).write_text(
            ''.join(f'{person:06}_0.png {garment:06}_1.png\n' for person, garment in pairs)
        )
    return root


def perfect(person, cloth, edge):
    """Replaces the garment exactly: in this set it lies where the garment's picture has it."""
    image = torch.where(edge > 0.5, cloth, person)
    return TryOn(image, image, edge, cloth * edge, edge, torch.zeros(len(person), 2, *SIZE))


def idle(person, cloth, edge):
    """Does nothing: shows no garment and gives the person back."""
    nothing = torch.zeros_like(edge)
    return TryOn(person, person, nothing, cloth * edge, edge, torch.zeros(len(person), 2, *SIZE))


def square(rows, columns) -> torch.Tensor:
    mask = torch.zeros(1, 1, *SIZE, dtype=torch.bool)
    mask[..., rows, columns] = True
    return mask


def test_the_perfect_network_gets_the_perfect_scores(tmp_path):
    scores = score_photographs(perfect, write_set(tmp_path / 'set'), size=SIZE, batch_size=2)
    assert scores['worn garment SSIM'] == pytest.approx(1) and scores['worn garment L1'] == 0
    assert scores['worn garment IoU'] == 1
    assert scores['round trip SSIM'] == pytest.approx(1) and scores['round trip PSNR'] == 100
    assert scores['round trip PSNR unchanged'] == 100 and scores['round trip changed'] == 1
    assert 'left over' not in scores, 'the new garment covers all of the old one'


def test_who_does_nothing_brings_all_back_and_is_told_by_what_changed_and_what_is_left(tmp_path):
    scores = score_photographs(idle, write_set(tmp_path / 'set'), size=SIZE)
    assert scores['round trip SSIM'] == pytest.approx(1)
    assert scores['round trip changed'] == 0 and scores['left over'] == 1 and scores['worn garment IoU'] == 0


def test_l1_and_iou_of_a_shifted_garment_by_hand():
    person = torch.zeros(1, 3, *SIZE)
    worn, edge = square(slice(16, 48), slice(16, 48)), square(slice(16, 48), slice(32, 64))
    dressing = Dressing(person, person + 0.25, edge.float(), edge)
    scores = score_worn(person, worn, dressing)
    assert scores['worn garment IoU'] == pytest.approx(16 / 48) and scores[
        'worn garment L1'
    ] == pytest.approx(0.25)
    outside = score_worn(
        person, worn, dressing._replace(edge=torch.zeros_like(edge).float(), shown=edge & False)
    )
    assert outside == {'worn garment IoU': 0}


def test_worn_garment_sees_nothing_outside_the_mask():
    torch.manual_seed(0)
    person = torch.rand(1, 3, *SIZE)
    worn = square(slice(16, 48), slice(16, 48))
    cloth = torch.where(worn, person, -person)
    scores = score_worn(person, worn, Dressing(person, cloth, torch.ones(1, 1, *SIZE), worn))
    assert scores == {'worn garment IoU': 1, 'worn garment SSIM': pytest.approx(1), 'worn garment L1': 0}


@pytest.mark.parametrize(('offset', 'expected'), [(0.05, 1.0), (0.07, 0.0)])
def test_left_over_counts_pixels_that_look_as_before(offset, expected):
    person, worn = torch.zeros(1, 3, *SIZE), square(slice(0, 32), slice(0, 64))
    shown = square(slice(0, 16), slice(0, 64))
    image = person.clone()
    image[:, 1] += offset  # one channel is enough
    assert score_left_over(person, worn, Dressing(image, person, shown.float(), shown)) == {
        'left over': expected
    }


def test_few_bare_pixels_do_not_count():
    # 60 pixels of 256 x 192 are 5 of 64 x 64.
    person, worn = torch.zeros(1, 3, *SIZE), square(slice(0, 32), slice(0, 64))
    for bare, counts in ((5, False), (6, True)):
        shown = worn.clone()
        shown[..., 0, :bare] = False
        assert bool(score_left_over(person, worn, Dressing(person, person, shown.float(), shown))) == counts


def test_changes_near_the_garment_are_allowed_and_those_far_away_are_not():
    label = torch.zeros(1, 1, 256, 64)
    label[..., 100:120, :] = Parsing.UPPER_CLOTHES
    label[..., 200:, :] = Parsing.OTHER_CLOTHES_8
    worn, stays = regions(label)
    assert worn.sum() == 20 * 64
    rows = stays[0, 0, :, 0].nonzero().flatten()
    assert rows.tolist() == [*range(80), *range(140, 200)]
    person = torch.zeros(1, 3, 256, 64)
    back = person.clone()
    back[..., 90:130, :] = 1
    scores = score_round_trip(person, back, back, worn=worn, stays=stays)
    assert scores['round trip PSNR unchanged'] == 100 and scores['round trip SSIM unchanged'] > 0.99
    assert scores['round trip PSNR'] < 20 and scores['round trip changed'] == 1


def test_what_a_list_lacks_is_not_scored(tmp_path):
    whole = {'worn garment IoU', 'round trip SSIM', 'left over'}
    root = write_set(tmp_path / 'a', own_list=False)
    assert whole & set(score_photographs(idle, root, size=SIZE)) == {'left over'}
    dataset = VITONDataset(
        write_set(tmp_path / 'b'), 'test', size=SIZE, pairs=tmp_path / 'b' / 'test_pairs_own.txt'
    )
    collect = RealScores(dataset, idle)
    batch = {
        key: value[None] if isinstance(value, torch.Tensor) else [value] for key, value in dataset[0].items()
    }
    collect(batch, idle(*(batch[key] for key in ('image', 'color', 'edge'))))
    labels = {score.label for score in collect.scores()}
    assert whole & labels == {'worn garment IoU'} and 'worn garment IoU baseline' in labels


def test_scores_come_only_with_parsing_and_a_missing_map_is_told_before_work(tmp_path):
    plain = VITONDataset(write_set(tmp_path / 'a', labels=False), 'test', size=SIZE)
    assert find_real_scores(plain, idle) is None
    with pytest.raises(MissingFileError, match='--real: no folder'):
        find_real_scores(plain, idle, True)
    root = write_set(tmp_path / 'b')
    dataset = VITONDataset(root, 'test', size=SIZE)
    assert find_real_scores(dataset, idle, False) is None and find_real_scores(dataset, idle)
    (root / 'test_label/000001_0.png').unlink()
    with pytest.raises(DataError, match=r'test_label.000001_0\.png: no such file'):
        find_real_scores(dataset, idle)


def test_each_score_says_its_protocol_and_has_a_baseline(tmp_path):
    dataset = VITONDataset(write_set(tmp_path / 'set'), 'test', size=SIZE)
    collect = RealScores(dataset, idle)
    batch = {
        key: value[None] if isinstance(value, torch.Tensor) else [value] for key, value in dataset[0].items()
    }
    collect(batch, idle(*(batch[key] for key in ('image', 'color', 'edge'))))
    scores = {score.label: score for score in collect.scores()}
    assert set(PROTOCOLS) <= set(scores)
    for label in set(PROTOCOLS) - {'left over'}:
        assert 'pasted' in scores[f'{label} baseline'].protocol and '1 of 1 records' in scores[label].protocol
    assert json.dumps({label: score.value for label, score in scores.items()})


@pytest.mark.parametrize(
    'box', [(slice(20, 40), slice(10, 30)), (slice(0, 25), slice(30, 64)), (slice(40, 41), slice(3, 4))]
)
def test_ssim_of_a_region_is_the_same_on_the_cut_pictures(box):
    torch.manual_seed(0)
    first, second = torch.rand(2, 1, 3, *SIZE) * 2 - 1
    region = square(*box)
    shown = torch.where(region, second, first)
    expected = ssim(first, shown, region)
    cut = around(region, first, shown, region)
    assert ssim(*cut) == pytest.approx(expected, abs=1e-12) and cut[0].numel() < first.numel()
