"""Everything that dresses people keeps to one interface."""

import torch

from models import TryOnModel, TryOnPipeline
from models.outputs import TryOn
from photo.steady import SteadyPipeline
from runtime import optimize


def test_every_wrapper_is_a_model_that_takes_pictures_and_codes():
    torch.manual_seed(0)
    plain = TryOnPipeline.untrained('dm_vton')
    person, cloth = torch.rand(2, 1, 3, 64, 64) * 2 - 1
    edge = torch.ones(1, 1, 64, 64)
    expected = plain(person, cloth, edge).image
    for model in (
        plain,
        optimize(plain, 'fused'),
        SteadyPipeline(plain),
        SteadyPipeline(optimize(plain, 'fused')),
    ):
        assert isinstance(model, TryOnModel)
        assert (model.family, model.is_trained, model.size, model.align_corners) == (
            'dm_vton',
            False,
            (256, 192),
            True,
        )
        codes = model.encode_person(person), model.encode_garment(cloth, edge)
        for result in (model(person, cloth, edge), model(*codes)):
            assert isinstance(result, TryOn)
            torch.testing.assert_close(result.image, expected, rtol=0, atol=1e-4)
    assert [model.mode for model in (plain, optimize(plain, 'fused'), SteadyPipeline(plain))] == [
        'torch',
        'fused',
        'torch',
    ]
