"""Pipelines whose weights make every part matter, and pictures for them."""

import pytest
import torch

from models import FAMILIES, TryOnPipeline
from models.checkpoint.defaults import DEFAULTS, FOLDER


@pytest.fixture(scope='session')
def make_pipeline(weights):
    """A pipeline of a family with deterministic weights: as initialised, a mobile pyramid would vanish in rounding."""

    def make(family: str) -> TryOnPipeline:
        if family == 'dm_vton_lite':  # with the weights in the box: without norms, random estimators throw the flow about
            names = DEFAULTS['drawn']
            return TryOnPipeline.from_checkpoints(warp=FOLDER / names[0], gen=FOLDER / names[1])
        pipeline = TryOnPipeline.untrained(family)
        for network in (pipeline.warp, pipeline.generator):
            network.load_state_dict(weights.fill(network.state_dict(), 11))
        return pipeline

    return make


@pytest.fixture(scope='session')
def pipeline(make_pipeline):
    """DM-VTON's."""
    return make_pipeline('dm_vton')


@pytest.fixture(scope='session', params=FAMILIES)
def any_pipeline(request, make_pipeline):
    """Each family's."""
    return make_pipeline(request.param)


@pytest.fixture(scope='session')
def pictures(weights):
    """Make person, cloth and edge for a pipeline: small ones where its networks can take them."""

    def make(pipeline: TryOnPipeline, *, n: int = 1) -> tuple[torch.Tensor, ...]:
        size = pipeline.warp.fixed_size or (64, 96)
        person, cloth = (torch.cat([weights.image(seed + 10 * i, 3, size=size) for i in range(n)]) for seed in (1, 2))
        edge = torch.cat([weights.image(3 + 10 * i, 1, 0, 1, size=size) for i in range(n)])
        return person, cloth, (edge > 0.5).float()

    return make


@pytest.fixture(scope='session')
def plain(any_pipeline, pictures):
    """Each family's pictures, and what the plain pipeline makes of them."""
    arguments = pictures(any_pipeline)
    return arguments, any_pipeline(*arguments)


@pytest.fixture(scope='session')
def tolerance():
    """How far an optimised pipeline may be from the plain one: both round in float32, each in its own order."""

    def tolerance(pipeline: TryOnPipeline) -> float:
        # rmgn: with these weights the plain one is 1.2e-4 from float64; the small model's flow is enlarged eight times
        return 3e-4 if pipeline.family in ('rmgn', 'dm_vton_lite') else 1e-4

    return tolerance
