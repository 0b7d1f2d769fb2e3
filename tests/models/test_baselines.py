"""Compared methods beyond the numbers: batches, precision, inputs that do not fit, and their registry."""

import pytest
import torch
from torch import nn

from models.baselines import BASELINES, PARTS, create_baseline
from models.baselines.acgpn import ACGPN, WarpedGarment, dilate
from models.baselines.base import BaselineNetwork
from models.baselines.cvton import CVTON
from models.baselines.pipeline import BaselinePipeline
from models.baselines.sdafn import SDAFN
from models.checkpoint.identity import without_draws
from utils.errors import UserError


class SmallWarp(nn.Module):
    """In the place of ACGPN's warp: any function of each sample alone."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(5, 4, 3, padding=1)
        self.align_corners = False

    def forward(self, mask, region, cloth):
        raw = self.conv(torch.cat([mask, region, cloth], dim=1))
        return WarpedGarment(raw, cloth.flip(3), raw[:, :2])


@pytest.fixture(scope='module')
def small_acgpn():
    """ACGPN with one convolution in the place of each network: all that is between them is as it is."""
    torch.manual_seed(0)
    with without_draws():
        network = ACGPN()
    network.G1, network.G2, network.G = nn.Conv2d(37, 14, 1), nn.Conv2d(37, 1, 1), nn.Conv2d(24, 3, 1)
    network.U = SmallWarp()
    return network.eval()


def random_inputs(network, batch, size):
    return network.made_up(batch, size, seed=5)


def alone(network, inputs, n):
    return network(**{name: x[n : n + 1] for name, x in inputs.items()})


def check_batch(network, inputs, **tolerance):
    together = network(**inputs)
    for n in range(len(together.image)):
        single = alone(network, inputs, n)
        torch.testing.assert_close(together.image[n : n + 1], single.image, **tolerance)
        torch.testing.assert_close(together.warped_cloth[n : n + 1], single.warped_cloth, **tolerance)
    assert not torch.equal(together.image[0], together.image[1])


def test_each_sample_of_an_acgpn_batch_is_treated_alone(small_acgpn):
    inputs = random_inputs(small_acgpn, 4, (256, 192))
    inputs['parsing'][1] = 0  # nobody, and so no skin
    check_batch(small_acgpn, inputs, rtol=0, atol=1e-5)


def test_each_sample_of_an_sdafn_batch_is_treated_alone():
    torch.manual_seed(0)
    network = SDAFN().eval().double()
    inputs = {name: x.double() for name, x in random_inputs(network, 2, (64, 64)).items()}
    check_batch(network, inputs, rtol=0, atol=1e-12)


def test_each_sample_of_a_cvton_batch_is_treated_alone():
    torch.manual_seed(0)
    # Untrained, its output is saturated: in float32 a rounding turns a pixel over on some processors.
    network = CVTON().eval().double()
    inputs = {name: x.double() for name, x in random_inputs(network, 2, (256, 192)).items()}
    check_batch(network, inputs, rtol=0, atol=1e-6)


def test_skin_is_the_mean_colour_of_the_arms_and_zero_without_them():
    person, parsing = torch.rand(3, 3, 8, 8), torch.zeros(3, 1, 8, 8)
    parsing[0, :, :2], parsing[1, :, 0], parsing[2, :, 0] = 11, 13, 13  # 16 pixels, and 8 and
    parsing[1, :, 1, :1], parsing[2, :, 1, :2] = 11, 11  # one, which are too few; and two, which are not
    skin = ACGPN.skin_colour(person, parsing)
    torch.testing.assert_close(skin[0, :, 0, 0], person[0, :, :2].mean((1, 2)))
    assert not skin[1].any() and skin[2].all()


def test_scores_that_saturate_are_equal(small_acgpn, monkeypatch):
    logits = torch.zeros(1, 14, 2, 2)
    logits[:, 3], logits[:, 9] = 150, 200  # of both, the sigmoid is one
    monkeypatch.setattr(small_acgpn.G1, 'forward', lambda x: logits)
    garment, pose, noise = torch.zeros(1, 4, 2, 2), torch.zeros(1, 18, 2, 2), torch.zeros(1, 1, 2, 2)
    assert (small_acgpn.predict_layout(garment, torch.zeros(1, 1, 2, 2), pose, noise) == 3).all()


def test_the_garment_that_sdafn_shows_is_as_bright_as_the_given_one():
    torch.manual_seed(0)
    network = SDAFN().eval()
    inputs = random_inputs(network, 1, (64, 64)) | {'cloth': torch.full((1, 3, 64, 64), 0.7)}
    shown = network(**inputs).warped_cloth
    torch.testing.assert_close(shown, inputs['cloth'], rtol=0, atol=1e-5)


class Given(BaselineNetwork):
    """Returns the inputs that it was given."""

    def __init__(self, inputs):
        super().__init__()
        self.inputs = inputs
        self.scale = nn.Parameter(torch.ones(1, dtype=torch.float64))

    def forward(self, **inputs):
        return inputs


@pytest.mark.parametrize('name', BASELINES)
def test_a_pipeline_gives_each_input_its_own_tensor(name):
    given = BASELINES[name].network.inputs
    batch = {'inputs': {key: torch.full((1, 1), n) for n, key in enumerate(sorted(given))}}
    pipeline = BaselinePipeline(Given(given), family=name)
    result = pipeline(*pipeline.inputs_of(batch))
    assert {key: x.item() for key, x in result.items()} == {key: n for n, key in enumerate(sorted(given))}
    assert {x.dtype for x in result.values()} == {torch.float64}


def test_dilation_counts_city_blocks_and_stops_at_the_border():
    mask = torch.zeros(1, 1, 9, 9)
    mask[0, 0, 0, 4] = 1
    rows, columns = torch.meshgrid(torch.arange(9), torch.arange(9), indexing='ij')
    assert torch.equal(dilate(mask, 3)[0, 0], ((rows + (columns - 4).abs()) <= 3).float())


def test_flows_stay_wide_in_16_bits():
    torch.manual_seed(0)
    network = SDAFN().eval().to(torch.bfloat16)
    inputs = {name: x.to(torch.bfloat16) for name, x in random_inputs(network, 1, (64, 64)).items()}
    result = network(**inputs)
    assert result.image.dtype is torch.bfloat16 and result.image.isfinite().all()
    assert network.find_flows(**inputs)[-1].cross.flow.dtype is torch.float32
    with without_draws():
        spline = ACGPN().half().U.stn.tps
    assert spline(torch.zeros(1, 25, 2, dtype=torch.float16)).dtype is torch.float32


def test_inputs_that_do_not_fit_are_one_line(small_acgpn):
    good = random_inputs(small_acgpn, 1, (256, 192))
    pipeline = BaselinePipeline(small_acgpn, family='acgpn')
    bad = {
        'expected 256 x 192, the only size': {name: x[:, :, :128, :96] for name, x in good.items()},
        r'cloth is \[1, 4, 256, 192\], expected \[N, 3, H, W\]': good
        | {'cloth': torch.zeros(1, 4, 256, 192)},
        'edge is .* but person is': good | {'edge': torch.zeros(2, 1, 256, 192)},
        'parsing holds the id 18, expected 0 to 13': good | {'parsing': torch.full((1, 1, 256, 192), 18.0)},
    }
    for message, inputs in bad.items():
        with pytest.raises(UserError, match=message) as caught:
            pipeline(*inputs.values())
        assert '\n' not in str(caught.value)
    with pytest.raises(UserError, match='inputs person: expected person, cloth'):
        small_acgpn.check_inputs(person=good['person'])
    with pytest.raises(UserError, match='multiples of 32'):
        SDAFN().check_size('cloth', torch.zeros(1, 3, 100, 64))


def test_a_name_that_is_none_is_refused_with_what_there_is():
    with pytest.raises(ValueError, match="no compared method 'acgan'; choose from acgpn, cvton, sdafn"):
        create_baseline('acgan')
    with pytest.raises(UserError, match='cvton samples in one way only'):
        create_baseline('cvton', align_corners=True)


@pytest.mark.parametrize('name', BASELINES)
def test_the_files_of_a_method_make_the_whole_of_it(name):
    with without_draws():
        whole = create_baseline(name).state_dict().keys()
        for files in BASELINES[name].files:
            keys = [PARTS[file].prefix + key for file in files for key in PARTS[file].create().state_dict()]
            assert len(keys) == len(whole) and set(keys) == set(whole), files
