"""The stage that the truth teaches: records in both directions, changes that move flows along, losses least
at the truth.
"""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchmetrics.functional.image import structural_similarity_index_measure

from data.labels import KEPT, Parsing
from data.training_inputs import derive_masks
from data.viton import VITONDataset, create_loader
from engine import augment as changes
from engine import truth_stages
from engine.augment import Affine, TruthInputs, move, move_flow, recompress, texture, truth_inputs
from engine.distributed import Process
from engine.preparation import prepare_stage
from engine.schedule import create_optimizer
from engine.stages import create_stage
from engine.truth_data import MixedDataset, TruthDataset
from engine.truth_losses import (
    WINDOW,
    bare_term,
    flow_distance,
    hidden_region,
    structural_distance,
    truth_mask_terms,
    truth_picture_terms,
    truth_warp_terms,
)
from models import create_warp
from models.ops.flow import offset_to_flow, rescale, sample
from models.outputs import TryOn, WarpLevel, WarpOutput
from opt.train_opt import parse_train_options
from scripts.dress_training_set import dress, dress_as_student
from synthetic.dataset import write_dataset
from utils.errors import DataError, MissingFileError

SIZE = (128, 96)


@pytest.fixture(scope='module', autouse=True)
def quiet_cores(one_thread):
    """Small maps on one thread."""


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """A tiny drawn training set with truths."""
    folder = tmp_path_factory.mktemp('drawn') / 'set'
    return write_dataset(folder, train=4, test=0, seed=4, size=SIZE, truths=True, progress=False)


@pytest.fixture(scope='module')
def batch(root):
    return next(
        iter(create_loader(TruthDataset(root / 'VITON_traindata', size=SIZE), batch_size=4, workers=0))
    )


def as_listed(batch) -> TruthInputs:
    return truth_inputs(batch, reversed_pairs=torch.zeros(4, dtype=torch.bool))


def through_truth(inputs: TruthInputs) -> tuple[float, float]:
    """Mean difference between the garment seen through the true flow and the target, and the share of the
    garment compared.
    """
    known = inputs.flow.isfinite().all(dim=1, keepdim=True)
    seen = sample(inputs.cloth, inputs.flow.nan_to_num(0), align_corners=True)
    difference = (seen - inputs.target).abs().mean(dim=1, keepdim=True)[known].mean().item()
    return difference, (known.sum() / inputs.garment.sum()).item()


def test_a_pair_is_used_in_both_directions(batch):
    listed, turned = as_listed(batch), truth_inputs(batch, reversed_pairs=torch.ones(4, dtype=torch.bool))
    assert torch.equal(listed.person, turned.target) and torch.equal(listed.target, turned.person)
    assert torch.equal(listed.body, turned.target_body) and torch.equal(listed.kept, turned.kept)
    assert torch.equal(listed.edge, (batch['edge_un'] > 0.5).float())
    assert torch.equal(turned.edge, (batch['edge'] > 0.5).float())
    for inputs in (listed, turned):
        difference, share = through_truth(inputs)
        assert (
            difference < 0.2 and share > 0.9
        )  # folds, shadow and JPEG; a flow of the other direction gives 0.5 and more
        assert (inputs.person - inputs.target).abs()[
            inputs.kept.expand(-1, 3, -1, -1) > 0
        ].mean() < 0.02  # JPEG of one of them


def test_records_of_another_size_are_resized_with_their_flows(root):
    small = TruthDataset(root / 'VITON_traindata', size=(64, 64))[0]
    small = {name: x[None] for name, x in small.items() if isinstance(x, torch.Tensor)}
    inputs = truth_inputs(small, reversed_pairs=torch.tensor([True]))
    difference, share = through_truth(inputs)
    assert inputs.flow.shape == (1, 2, 64, 64) and difference < 0.25 and share > 0.9


def test_a_set_without_truths_is_refused_with_the_command_that_draws_one(root, tmp_path):
    other = write_dataset(tmp_path / 'plain', train=2, test=0, seed=1, size=(64, 64), progress=False)
    with pytest.raises(MissingFileError, match='python -m synthetic --truths'):
        TruthDataset(other / 'VITON_traindata', size=(64, 64))
    (other / 'VITON_traindata' / 'train_truths.txt').write_text('somebody.jpg\n')
    with pytest.raises(DataError, match='expected a person and a garment a line'):
        TruthDataset(other / 'VITON_traindata', size=(64, 64))


def test_a_batch_of_another_loader_is_refused_with_what_it_lacks(batch):
    with pytest.raises(ValueError, match='batch without truth, own_flow'):
        lacking = {name: x for name, x in batch.items() if name not in ('truth', 'own_flow')}
        truth_inputs(lacking, reversed_pairs=torch.ones(4))


def smooth(count: int, channels: int) -> torch.Tensor:
    return rescale(torch.randn(count, channels, 16, 12), 8.0).clamp(-1, 1)


def test_moving_pictures_and_flows_commutes_with_warping(monkeypatch):
    """A target made by a known flow is, after any move, still the moved garment seen through the moved
    flow.
    """
    monkeypatch.setattr(changes, 'PERSON_ZOOM', (0.9, 1.2))
    torch.manual_seed(3)
    mask, edge = torch.ones(6, 1, *SIZE), torch.zeros(6, 1, *SIZE)
    edge[:, :, 20:108] = 1  # low enough to be stretched
    cloth = smooth(6, 3) * edge
    flow = offset_to_flow(6 * smooth(6, 2))
    target = sample(cloth, flow, align_corners=True)
    flow[:, :, :8] = math.nan
    inputs = TruthInputs(target, cloth, edge, target, flow, mask, mask, mask, mask)
    moved = move(inputs)
    known = moved.flow.isfinite().all(dim=1, keepdim=True) & (
        moved.flow.abs().amax(dim=1, keepdim=True) < 0.95
    )
    seen = sample(moved.cloth, moved.flow.nan_to_num(0), align_corners=True)
    difference = (seen - moved.target).abs().mean(dim=1, keepdim=True)[known]
    assert known.float().mean() > 0.5
    assert (
        difference.mean() < 0.02
    )  # three bilinear samplings instead of one; 0.006 measured, a flow left behind gives 0.3
    assert not torch.allclose(moved.target, target, atol=0.1)


def test_an_affine_map_and_its_inverse_cancel():
    torch.manual_seed(0)
    picture = torch.zeros(5, 3, *SIZE)
    mirrored = torch.tensor([True, False, True, False, True])[:, None, None, None]
    affine = Affine.random(picture, zoom=(0.5, 2.0), shift=0.2, turn=0.5, mirrored=mirrored)
    places = torch.rand(5, 2, 7, 4) * 2 - 1
    torch.testing.assert_close(affine.invert(affine.apply(places)), places, rtol=0, atol=1e-5)
    assert (
        affine.matrix[0, 0, 0] * affine.matrix[0, 1, 1] < 0 < affine.matrix[1, 0, 0] * affine.matrix[1, 1, 1]
    )


def test_garments_get_higher_as_far_as_their_pictures_hold_them():
    torch.manual_seed(0)
    edge = torch.zeros(400, 1, *SIZE)
    edge[:200, :, 20:106, 30:60] = 1  # two thirds high
    edge[200:, :, 5:120, 30:60] = 1
    low, high = changes.draw_stretch(edge).flatten().chunk(2)
    assert low.min() == high.min() == 1 and 0.3 < (low == 1).float().mean() < 0.5
    assert 1.35 < low.max() <= 1.4 and 1.1 < high.max() <= 128 / 115
    changed = Affine.random(edge[:200], zoom=(1, 1), shift=0, turn=0, stretch=low[:, None, None, None])
    moved = sample(edge[:200], changed.grid(), align_corners=True, padding_mode='zeros') > 0.5
    rows, columns = (moved.any(dim=axis).float().sum(dim=(1, 2)) for axis in (3, 2))
    torch.testing.assert_close(rows, 86 * low, rtol=0, atol=2)
    assert (columns == 30).all()


def test_a_moved_flow_is_unknown_beside_gaps_and_folds():
    flow = offset_to_flow(torch.zeros(1, 2, 64, 64))
    flow[:, :, :, 40:] += 0.5  # a fold
    flow[:, :, 0] = math.nan
    between = offset_to_flow(torch.full((1, 2, 64, 64), 0.5))
    known = move_flow(flow, between).isfinite().all(dim=1)[0]
    assert not known[0].any() and not known[:, 39].any()
    assert known[1:60, :39].all() and known[1:60, 40:60].all()


def test_nothing_is_lost_at_the_best_quality_and_much_at_the_worst():
    torch.manual_seed(0)
    picture = smooth(2, 3)
    best, worst = (recompress(picture, torch.full((2, 1, 1, 1), quality)) for quality in (99.0, 5.0))
    assert (best - picture).abs().max() < 0.05 < (worst - picture).abs().max()


def test_textures_are_pictures_that_differ():
    torch.manual_seed(0)
    made = texture(torch.zeros(3, 3, *SIZE))
    assert made.shape == (3, 3, *SIZE) and made.abs().max() <= 1
    assert (made[0] - made[1]).abs().mean() > 0.05


def test_the_true_flow_has_no_distance_at_any_size_and_a_pixel_counts_as_one():
    torch.manual_seed(0)
    truth = offset_to_flow(torch.full((1, 2, *SIZE), 2.0))
    least = 0.01**0.8
    assert flow_distance(truth, truth).item() == pytest.approx(least, rel=1e-2)
    coarse = offset_to_flow(torch.full((1, 2, SIZE[0] // 8, SIZE[1] // 8), 0.25))  # 2 of 8 pixels
    assert flow_distance(coarse, truth).item() == pytest.approx(least, abs=2e-3)
    shifted = offset_to_flow(torch.tensor([5.0, 2.0])[None, :, None, None].expand(1, 2, *SIZE))
    assert flow_distance(shifted, truth).item() == pytest.approx(3.01**0.8, rel=1e-3)
    large = [F.interpolate(x, scale_factor=2) for x in (shifted, truth)]
    assert flow_distance(*large).item() == pytest.approx(
        3.01**0.8, rel=2e-2
    )  # the same part of a larger picture


def test_unknown_places_do_not_count():
    truth = offset_to_flow(torch.zeros(1, 2, *SIZE))
    guess = truth.clone()
    guess[:, :, :64] += 1
    truth[:, :, :64] = math.nan
    assert flow_distance(guess, truth).item() == pytest.approx(0.01**0.8, rel=1e-2)
    assert flow_distance(guess, torch.full_like(truth, math.nan)).item() == 0


def test_an_arms_width_of_garment_may_be_hidden_but_not_what_lies_beside_it():
    garment = torch.zeros(1, 1, *SIZE)
    garment[..., 20:100, 20:80] = 1
    garment[..., 50:62, :] = 0  # an arm
    hidden = hidden_region(garment)
    assert hidden[..., 50:62, 30:70].min() == 1
    assert hidden[..., :20, :].max() == hidden[..., :, :20].max() == 0 and (hidden * garment).max() == 0


def test_the_structural_distance_is_that_of_the_library_in_even_windows():
    """Away from the border, where the library mirrors the picture and ours cuts the windows off."""
    torch.manual_seed(0)
    first, second = smooth(2, 3), smooth(2, 3)
    region = torch.zeros(2, 1, *SIZE)
    region[..., WINDOW : SIZE[0] - WINDOW, WINDOW : SIZE[1] - WINDOW] = 1
    expected = structural_similarity_index_measure(
        *((torch.where(region > 0, x, second) + 1) / 2 for x in (first, second)),
        gaussian_kernel=False,
        kernel_size=WINDOW,
        data_range=1.0,
        return_full_image=True,
    )[1][region.expand(-1, 3, -1, -1) > 0]
    distance = structural_distance(first, second, region).item()
    assert distance == pytest.approx((1 - expected.mean().item()) / 2, rel=1e-3) and distance > 0.1
    assert structural_distance(first, first, region).item() == pytest.approx(0, abs=1e-5)
    assert structural_distance(first, second, torch.zeros_like(region)).item() == 0
    near, far = (structural_distance(first.roll(shift, 3), first, region) for shift in (2, 6))
    assert near < far


def test_the_truth_itself_costs_next_to_nothing(batch):
    inputs = as_listed(batch)
    flow = torch.where(inputs.flow.isfinite(), inputs.flow, 0)
    level = WarpLevel(inputs.target, inputs.garment, flow, *[None] * 4)
    warped = WarpOutput(inputs.target, inputs.garment, flow, (level,))
    logits = torch.cat(
        [inputs.target.clamp(-0.999, 0.999).atanh(), 40 * inputs.garment - 20, 40 * inputs.kept - 20], dim=1
    )
    tryon = TryOn(
        inputs.target, inputs.target, inputs.garment, inputs.target, inputs.garment, flow, inputs.kept
    )
    terms = truth_warp_terms(warped, inputs) | truth_picture_terms(tryon, logits, inputs)
    terms |= truth_mask_terms(logits, inputs)
    assert terms.keys() >= {
        'flow',
        'cloth_l1',
        'cloth_structure',
        'edge_l1',
        'tryon_l1',
        'rendered_l1',
        'garment_mask',
        'keep_mask',
    }
    assert all(-1e-6 < value.item() < 3e-3 for value in terms.values()), terms
    wrong = tryon._replace(image=inputs.person)
    assert truth_picture_terms(wrong, logits, inputs)['tryon_l1'] > 0.02
    assert 'keep_mask' not in truth_mask_terms(logits[:, :4], inputs)


def test_the_stage_learns_four_records(batch):
    torch.manual_seed(0)
    stage = create_stage('pf_truth', student='dm_vton_lite')
    stage.augments = False
    optimizer = create_optimizer('Adam', dict(stage.networks), lr=1e-3, momentum=0.9, lr_scale=stage.lr_scale)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        result = stage.step(batch, 1)
        result.loss.backward()
        optimizer.step()
        losses.append(result.loss.item())
    assert losses[-1] < 0.85 * losses[0], losses
    assert list(result.panels) == ['person', 'cloth', 'warped_cloth', 'rendered', 'tryon', 'truth']
    assert (result.terms['warp'] + result.terms['gen']).item() == pytest.approx(result.loss.item(), rel=1e-5)


def test_a_published_family_can_begin_here_too(batch):
    torch.manual_seed(0)
    stage = create_stage('pf_truth', student='dm_vton')
    result = stage.step({name: x[:1] for name, x in batch.items()}, 1)
    result.loss.backward()
    assert result.loss.isfinite() and 'keep_mask' not in result.terms
    assert all(x.grad is not None for network in stage.networks.values() for x in network.parameters())


def test_the_teacher_learns_from_flows_where_there_are_some_and_from_photographs(batch):
    torch.manual_seed(0)
    stage = create_stage('pb_truth', teacher='dm_vton_lite')
    drawn = stage.step(batch, 1)
    drawn.loss.backward()
    assert drawn.loss.isfinite() and drawn.terms['flow'] > 0 and drawn.terms['curvature'] > 0
    assert all(x.grad is not None for network in stage.networks.values() for x in network.parameters())
    photographs = stage.step({name: x for name, x in batch.items() if name != 'own_flow'}, 1)
    assert photographs.loss.isfinite() and photographs.terms['flow'] == 0
    hidden = batch['label'] == Parsing.UPPER_CLOTHES
    assert drawn.panels['kept'][hidden.expand(-1, 3, -1, -1)].abs().max() == 0  # the worn garment is not seen
    assert torch.equal(drawn.panels['kept'][..., 0, 0], batch['image'][..., 0, 0])  # the background is


def test_pictures_that_a_teacher_made_are_never_a_target(root, tmp_path):
    from models import create_generator, create_warp
    from models.checkpoint import save_checkpoint
    from scripts import dress_training_set

    about = {'role': 'teacher', 'size': (64, 64), 'family': 'dm_vton_lite'}
    plain = (
        write_dataset(tmp_path / 'plain', train=3, test=0, seed=6, size=(64, 64), progress=False)
        / 'VITON_traindata'
    )
    for name, part, network, create in (
        ('warp', 'warp', 'lite_afwm', create_warp),
        ('gen', 'generator', 'lite_unet', create_generator),
    ):
        save_checkpoint(
            tmp_path / f'{name}.pt', create(network, 'teacher'), part=part, network=network, **about
        )
    weights = [
        '--pb_warp_checkpoint',
        str(tmp_path / 'warp.pt'),
        '--pb_gen_checkpoint',
        str(tmp_path / 'gen.pt'),
    ]
    options = ['--size', '64', '64', '--device', 'cpu', '--batch_size', '2']
    dress_training_set.main(['--dataroot', str(plain), *weights, *options])
    made = next(iter(create_loader(TruthDataset(plain, size=(64, 64)), batch_size=3, workers=0)))
    assert made['is_made'].tolist() == [1, 1, 1]
    stage = create_stage('pf_truth', student='dm_vton_lite')
    stage.augments = False
    panels = stage.step(made, 1).panels
    assert torch.equal(panels['truth'], made['image']) and torch.equal(panels['person'], made['truth'])
    with pytest.raises(SystemExit):
        dress_training_set.main(['--dataroot', str(root / 'VITON_traindata'), *weights, *options])
    with pytest.raises(SystemExit):  # half a teacher and half a student
        mixture = ['--pb_warp_checkpoint', str(tmp_path / 'warp.pt'), '--pf_gen_checkpoint', 'gen.pt']
        dress_training_set.main(['--dataroot', str(plain), *mixture, *options])


def test_changes_leave_a_batch_that_the_stage_can_take(batch):
    torch.manual_seed(0)
    inputs = changes.augment(as_listed(batch))
    for picture in (inputs.person, inputs.target, inputs.cloth):
        assert picture.shape == (4, 3, *SIZE) and picture.abs().max() <= 1
    for mask in (inputs.garment, inputs.kept, inputs.edge):
        assert set(np.unique(mask.numpy())) <= {0.0, 1.0}
    same = inputs.kept.expand(-1, 3, -1, -1) > 0
    assert (inputs.person - inputs.target).abs()[
        same
    ].mean() < 0.03  # JPEG of blocks that reach into what differs
    assert KEPT == 0 and (batch['truth_mask'] == KEPT).float().mean() > 0.3


def test_a_second_set_is_mixed_in_and_goes_on_where_the_epoch_before_stopped(root, tmp_path):
    other = write_dataset(tmp_path / 'other', train=6, test=0, seed=9, size=SIZE, truths=True, progress=False)
    first, second = (TruthDataset(x / 'VITON_traindata', size=SIZE) for x in (root, other))
    mixed = MixedDataset(first, second, share=0.5)
    assert len(mixed) == 8
    for epoch, places in ((1, (0, 1, 2, 3)), (2, (4, 5, 0, 1))):
        mixed.set_epoch(epoch)
        assert [
            torch.equal(mixed[4 + i]['image'], second[place]['image']) for i, place in enumerate(places)
        ] == [True] * 4
        assert torch.equal(mixed[1]['truth'], first[1]['truth'])
    batch = next(iter(create_loader(mixed, batch_size=8, workers=0)))
    assert truth_inputs(batch, reversed_pairs=torch.zeros(8, dtype=torch.bool)).person.shape == (8, 3, *SIZE)


def test_photographs_without_truths_are_mixed_with_flows_that_nobody_knows(root, tmp_path):
    plain = write_dataset(tmp_path / 'plain', train=2, test=0, seed=1, size=SIZE, progress=False)
    photographs = VITONDataset(plain / 'VITON_traindata', 'train', size=SIZE)
    mixed = MixedDataset(photographs, TruthDataset(root / 'VITON_traindata', size=SIZE), share=0.5)
    batch = next(iter(create_loader(mixed, batch_size=4, workers=0)))
    known = batch['own_flow'].isfinite().flatten(1).any(dim=1)
    assert known.tolist() == [False, False, True, True] and 'truth' not in batch


@pytest.mark.parametrize(
    ('part', 'learns', 'rests'), [('warp', 'pf_warp', 'pf_gen'), ('generator', 'pf_gen', 'pf_warp')]
)
def test_a_part_learns_alone_and_the_other_stays_to_the_bit(batch, part, learns, rests):
    torch.manual_seed(2)
    stage = create_stage('pf_truth', student='dm_vton_lite')
    stage.learn_alone(part)
    stage.train()
    before = {
        name: {key: x.clone() for key, x in network.state_dict().items()}
        for name, network in stage.networks.items()
    }
    optimizer = create_optimizer('AdamW', stage.networks, lr=1e-3, momentum=0.9, lr_scale=stage.lr_scale)
    result = stage.step(batch | {'is_made': torch.tensor([1.0, 0, 0, 0])}, 1)
    result.loss.backward()
    optimizer.step()
    changed = {
        name: [key for key, x in network.state_dict().items() if not torch.equal(x, before[name][key])]
        for name, network in stage.networks.items()
    }
    assert changed[rests] == []
    assert any('running_mean' in key for key in changed[learns])
    assert any(key.endswith('weight') for key in changed[learns])
    assert ('gen' in result.terms) == (part == 'generator')


@pytest.mark.parametrize(('stage', 'role'), [('pf_truth', 'student'), ('pb_truth', 'teacher')])
def test_the_weight_of_the_structural_term_is_an_option(batch, stage, role):
    terms = []
    for words in ([], ['--warped_structure', '1.2']):
        options = ['--dataroot', 'VITON_traindata', f'--{role}', 'dm_vton_lite', *words]
        prepared, _ = prepare_stage(parse_train_options(stage, options), Process())
        torch.manual_seed(3)
        terms.append(prepared.step(batch, 1).terms)
    plain, weighted = terms
    assert weighted['cloth_structure'].item() == pytest.approx(3 * plain['cloth_structure'].item())
    assert weighted['cloth_l1'].item() == pytest.approx(plain['cloth_l1'].item())
    more = weighted['warp'] - plain['warp']
    assert more.item() == pytest.approx(2 * plain['cloth_structure'].item(), rel=1e-4)


def test_frozen_batch_norms_normalise_as_in_eval_mode_and_their_weights_learn(batch):
    torch.manual_seed(2)
    stage = create_stage('pf_truth', student='dm_vton_lite')
    warp = stage.networks['pf_warp']
    inputs = as_listed(batch)
    arguments = inputs.person, inputs.cloth, inputs.edge
    stage.freeze_bn = True
    stage.train()
    flow = warp(*arguments).flow
    flow.square().mean().backward()
    norms = [layer for layer in warp.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    assert norms and all(layer.num_batches_tracked == 0 for layer in norms)
    assert any(layer.weight.grad.abs().sum() > 0 for layer in norms)
    torch.testing.assert_close(flow, warp.eval()(*arguments).flow)
    stage.train()
    assert warp.training and not norms[0].training
    stage.freeze_bn = False
    assert stage.train().networks['pf_warp'] is warp and norms[0].training


def test_made_pictures_teach_a_generator_that_sees_the_photograph_its_masks_alone(batch, monkeypatch):
    made = {**batch, 'is_made': torch.ones(4)}
    stage = create_stage('pf_truth', student='dm_vton_lite')
    stage.learn_alone('generator')
    monkeypatch.setattr(truth_stages, 'AS_THEY_COME', 1.0)
    seen: list[TruthInputs] = []
    shown: list[list[bool]] = []

    def picture_terms(tryon, generated, inputs):
        seen.append(inputs)
        assert len(generated) == len(inputs.person) == len(tryon.image)
        return truth_picture_terms(tryon, generated, inputs)

    def mask_terms(generated, inputs):
        assert len(generated) == len(inputs.person) == 4
        starts = [
            torch.equal(one, photograph) for one, photograph in zip(inputs.person, made['image'], strict=True)
        ]
        shown.append(starts)
        return truth_mask_terms(generated, inputs)

    monkeypatch.setattr(truth_stages, 'truth_picture_terms', picture_terms)
    monkeypatch.setattr(truth_stages, 'truth_mask_terms', mask_terms)
    torch.manual_seed(0)
    for _ in range(6):
        assert stage.step(made, 1).loss.isfinite()
    photographs = [sum(starts) for starts in shown]
    assert 0 < sum(photographs) < 24
    for inputs, starts in zip(seen, shown, strict=True):
        assert len(inputs.target) == starts.count(False) > 0
        assert all(any(torch.equal(one, photograph) for photograph in made['image']) for one in inputs.target)
    monkeypatch.setattr(truth_stages, 'MASKS_FROM_PHOTOGRAPHS', 1.0)
    terms = stage.step(made, 1).terms
    assert shown[-1].count(False) == 1 == len(seen[-1].target), 'one picture to learn from stays'
    assert terms['bare_l1'] > 0, 'and three photographs tell what was drawn where the old garment came off'


def test_what_the_teacher_drew_of_a_photograph_counts_where_the_old_garment_came_off(batch):
    inputs = as_listed(batch)
    bare = (inputs.kept == 0) & (inputs.garment == 0)
    assert bare.any() and not bare.all()
    drawn = torch.cat([torch.atanh(0.999 * inputs.target), torch.zeros(4, 2, *SIZE)], dim=1)
    off = torch.cat([(torch.rand_like(inputs.target) - 0.5), torch.zeros(4, 2, *SIZE)], dim=1)
    assert bare_term(drawn, inputs) < 0.01 < bare_term(off, inputs)
    assert bare_term(torch.where(bare, drawn, off), inputs) == bare_term(drawn, inputs)


def test_a_pixel_that_was_kept_wrongly_costs_more_than_one_that_was_changed_wrongly(batch):
    inputs = as_listed(batch)
    said = torch.zeros(4, 5, *SIZE)
    kept, changed = said.clone(), said.clone()
    kept[:, 4:], changed[:, 4:] = 2.0, -2.0
    wrong = {'kept': kept, 'changed': changed}
    half = inputs._replace(kept=(torch.arange(SIZE[1]) % 2).float().expand(4, 1, *SIZE))
    terms = {name: truth_mask_terms(x, half)['keep_mask'] for name, x in wrong.items()}
    assert terms['kept'] > 1.5 * terms['changed']


def test_a_teacher_that_makes_pictures_shows_the_photographs_background(batch):
    inputs, label = derive_masks(batch), batch['label']

    def draws_grey(x):  # and keeps nothing
        return torch.cat([torch.zeros(len(x), 4, *SIZE), torch.full((len(x), 1, *SIZE), -30.0)], dim=1)

    result, _ = dress(create_warp('lite_afwm', 'teacher').eval(), draws_grey, inputs, label)
    named = label != Parsing.BACKGROUND
    behind = (F.max_pool2d(named.float(), 5, 1, 2) == 0) & (result.warped_edge == 0)
    differs = (result.image - inputs.person).abs().amax(dim=1, keepdim=True)
    assert behind.float().mean() > 0.1 and differs[behind].max() < 1e-6
    assert differs[named].median() > 0.05  # the person is drawn by the teacher


def test_a_student_that_makes_pictures_keeps_nothing_of_the_old_garment(batch):
    inputs = derive_masks(batch)

    def keeps_all(x):
        return torch.cat([torch.zeros(len(x), 3, *SIZE), torch.full((len(x), 2, *SIZE), 9.0)], dim=1)

    result = dress_as_student(create_warp('lite_afwm', 'student').eval(), keeps_all, inputs)
    worn = inputs.person_cloth_mask > 0
    beside = (F.max_pool2d(inputs.person_cloth_mask, 3, 1, 1) == 0) & (result.warped_edge == 0)
    assert result.keep is not None and result.keep[worn].max() == 0 and worn.any()
    difference = (result.image - inputs.person).abs()
    assert difference[beside.expand(-1, 3, -1, -1)].max() < 1e-3
