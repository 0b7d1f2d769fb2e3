"""The derived masks against a NumPy version that goes by the definitions, one mask a line."""

import numpy as np
import pytest
import torch

from data.training_inputs import derive_masks


def slow_masks(batch: dict) -> dict[str, np.ndarray]:
    raw = {name: value.numpy() for name, value in batch.items()}
    label, part = raw['label'].copy(), raw['densepose']
    label[label == 7] = 4
    edge, unpaired_edge = (raw['edge'] > 0.5) * 1.0, (raw['edge_un'] > 0.5) * 1.0
    cloth_mask = (label == 4) * 1.0
    face, others = np.isin(label, [1, 12]) * 1.0, np.isin(label, [5, 6, 8, 9, 10]) * 1.0
    hand = (np.isin(label, [11, 13]) * 1.0) * (np.isin(part, [3, 4]) * 1.0)
    one_hot = np.eye(25)[part[:, 0].astype(int)].transpose(0, 3, 1, 2)
    return {
        'person': raw['image'],
        'cloth': raw['color'] * edge,
        'edge': edge,
        'unpaired_cloth': raw['color_un'] * unpaired_edge,
        'unpaired_edge': unpaired_edge,
        'person_cloth': raw['image'] * cloth_mask,
        'person_cloth_mask': cloth_mask,
        'face': face,
        'others': others,
        'hand': hand,
        'preserved': raw['image'] * (face + others + hand),
        'arms': ((part >= 15) & (part <= 22)) * 1.0,
        'condition': np.concatenate([face, others, one_hot, raw['pose']], axis=1),
    }


@pytest.fixture
def batch(weights):
    """A made-up batch, cut to 128 x 96 pixels for speed, with edges that have levels between 0 and 1."""
    batch = weights.train_batch(5)
    batch['edge'], batch['edge_un'] = (torch.cat([weights.image(seed, 1, 0, 1)] * 2) for seed in (1, 2))
    return {name: value[..., :128, :96] for name, value in batch.items()}


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_every_mask_is_what_its_definition_gives(batch, dtype):
    batch = {name: value.to(dtype) for name, value in batch.items()}
    masks, expected = derive_masks(batch)._asdict(), slow_masks(batch)
    assert masks.keys() == expected.keys()
    for name, value in masks.items():
        assert value.dtype == dtype, name
        np.testing.assert_array_equal(value.numpy(), expected[name].astype(value.numpy().dtype), err_msg=name)
        assert value.any(), f'{name} is empty, so the comparison says nothing'


def test_the_condition_has_45_channels_one_part_a_pixel(batch):
    condition = derive_masks(batch).condition
    assert condition.shape == (2, 45, 128, 96)
    assert (condition[:, 2:27].sum(1) == 1).all()


def test_an_edge_of_exactly_one_half_is_no_garment(batch):
    batch['edge'] = torch.full_like(batch['edge'], 0.5)
    masks = derive_masks(batch)
    assert not masks.edge.any() and not masks.cloth.any()


def test_ids_that_do_not_exist_are_in_no_mask(batch):
    batch['label'].fill_(99)
    batch['densepose'].fill_(99)
    masks = derive_masks(batch)
    for mask in (
        masks.face,
        masks.others,
        masks.hand,
        masks.person_cloth_mask,
        masks.arms,
        masks.condition[:, :27],
    ):
        assert not mask.any()


def test_the_batch_is_left_as_it_was_and_no_gradient_flows(batch):
    batch['image'].requires_grad_()
    before = {name: value.clone() for name, value in batch.items()}
    masks = derive_masks(batch | {'person_name': ['a.jpg', 'b.jpg']})
    assert not masks.preserved.requires_grad
    assert all(torch.equal(batch[name], before[name]) for name in batch)


def test_nothing_is_made_on_another_device(batch):
    masks = derive_masks({name: value.to('meta') for name, value in batch.items()})
    assert {mask.device.type for mask in masks} == {'meta'}


def test_a_batch_without_maps_is_refused_by_the_names_it_lacks(batch):
    del batch['label'], batch['pose']
    with pytest.raises(ValueError, match='label, pose'):
        derive_masks(batch)
