"""The composition and the pipeline around the networks."""

import pytest
import torch

from models import FAMILIES, TryOnPipeline, WarpOutput, compose, create_generator, create_warp
from models.checkpoint import save_checkpoint
from utils.errors import CheckpointError


def pictures(n=1, size=(64, 64)):
    torch.manual_seed(0)
    return torch.rand(n, 3, *size) * 2 - 1, torch.rand(n, 3, *size) * 2 - 1, torch.rand(n, 1, *size)


@pytest.fixture(scope='module')
def pipeline():
    torch.manual_seed(0)
    return TryOnPipeline.untrained('dm_vton')


def test_the_composition_shows_the_cloth_where_the_mask_is_and_never_outside_the_warped_edge():
    cloth, edge = torch.full((1, 3, 2, 2), 0.5), torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]])
    generated = torch.zeros(1, 4, 2, 2)
    generated[:, :3] = -100  # rendered: -1
    generated[:, 3, 0] = 100  # mask: 1 above, 0.5 below
    result = compose(
        WarpOutput(cloth, edge, torch.zeros(1, 2, 2, 2), ()), generated, torch.full((1, 3, 2, 2), 0.9)
    )
    torch.testing.assert_close(result.mask, torch.tensor([[[[1.0, 0.0], [0.5, 0.0]]]]))
    torch.testing.assert_close(result.image[0, 0], torch.tensor([[0.5, -1.0], [-0.25, -1.0]]))


def test_the_keep_mask_shows_the_kept_picture_where_the_cloth_is_not():
    cloth, edge = torch.full((1, 3, 1, 3), 0.5), torch.tensor([[[[1.0, 1.0, 0.0]]]])
    generated = torch.zeros(1, 5, 1, 3)
    generated[:, :3] = -100  # rendered: -1
    generated[:, 3] = torch.tensor([100.0, 0.0, 100.0])  # mask: 1, 0.5, and 0 outside the edge
    generated[:, 4] = torch.tensor([100.0, 100.0, 0.0])  # keep: 1, 1, 0.5
    kept = torch.full((1, 3, 1, 3), 0.9)
    result = compose(WarpOutput(cloth, edge, torch.zeros(1, 2, 1, 3), ()), generated, kept)
    torch.testing.assert_close(result.image[0, 0], torch.tensor([[0.5, 0.7, -0.05]]))
    torch.testing.assert_close(result.keep, torch.tensor([[[[1.0, 1.0, 0.5]]]]))
    shown = result.warped_cloth * result.mask + result.rendered * (1 - result.mask)
    torch.testing.assert_close(shown, result.image)  # what composes again elsewhere needs no keep mask
    assert (
        compose(WarpOutput(cloth, edge, torch.zeros(1, 2, 1, 3), ()), generated[:, :4], kept).keep.max() == 0
    )


def test_results_have_the_shapes_and_ranges_they_say(pipeline):
    result = pipeline(*pictures(2, (64, 96)))
    for picture in (result.image, result.rendered, result.warped_cloth):
        assert picture.shape == (2, 3, 64, 96) and picture.abs().max() <= 1
    for mask in (result.mask, result.warped_edge):
        assert mask.shape == (2, 1, 64, 96) and mask.min() >= 0 and mask.max() <= 1
    assert result.flow.shape == (2, 2, 64, 96)
    assert not result.image.requires_grad


def test_the_edge_is_made_binary_and_cuts_the_cloth(pipeline):
    person, cloth, edge = pictures()
    binary = (edge > 0.5).float()
    dirty = cloth + (1 - binary) * 0.7  # what lies outside the edge must not matter
    assert torch.equal(pipeline(person, cloth, edge).image, pipeline(person, dirty, binary).image)


def test_repeated_calls_give_the_same_picture(pipeline):
    arguments = pictures()
    assert torch.equal(pipeline(*arguments).image, pipeline(*arguments).image)


def test_a_float16_pipeline_takes_float32_pictures_and_stays_close(pipeline):
    import copy

    arguments = pictures(
        size=(32, 32)
    )  # a CPU without 16-bit arithmetic takes twenty times as long as in float32
    half = copy.deepcopy(pipeline).half()(*arguments)
    assert half.image.dtype is torch.float16 and half.flow.dtype is torch.float32
    difference = (half.image.float() - pipeline(*arguments).image).abs()
    assert difference.mean() < 5e-3  # 16-bit rounding through the whole network, 7e-4 measured


@pytest.mark.parametrize('family', FAMILIES)
def test_every_family_runs_from_its_two_files_and_is_recognised(family, tmp_path):
    parts = FAMILIES[family]
    torch.manual_seed(0)
    warp, generator = (
        create_warp(parts.warp, 'student').eval(),
        create_generator(parts.generator, 'student').eval(),
    )
    torch.save(warp.state_dict(), tmp_path / 'w.pth')
    torch.save(generator.state_dict(), tmp_path / 'g.pth')
    loaded = TryOnPipeline.from_checkpoints(warp=tmp_path / 'w.pth', gen=tmp_path / 'g.pth')
    assert loaded.family == family and not loaded.training and loaded.is_trained
    arguments = pictures(size=warp.fixed_size or (64, 64))
    assert torch.equal(loaded(*arguments).image, TryOnPipeline(warp, generator)(*arguments).image)


def test_files_of_two_families_are_refused(tmp_path):
    torch.save(create_warp('mobile_afwm', 'student').state_dict(), tmp_path / 'w.pth')
    torch.save(create_generator('rmgn', 'student').state_dict(), tmp_path / 'g.pth')
    with pytest.raises(CheckpointError, match='mobile_afwm.*rmgn'):
        TryOnPipeline.from_checkpoints(warp=tmp_path / 'w.pth', gen=tmp_path / 'g.pth')


def test_align_corners_comes_from_the_argument_then_the_file_then_is_on(tmp_path, pipeline):
    about = {
        'part': 'warp',
        'network': 'mobile_afwm',
        'role': 'student',
        'size': (256, 192),
        'family': 'dm_vton',
    }
    save_checkpoint(tmp_path / 'off.pt', pipeline.warp, align_corners=False, **about)
    torch.save(pipeline.warp.state_dict(), tmp_path / 'silent.pt')
    torch.save(pipeline.generator.state_dict(), tmp_path / 'g.pt')

    def align(file, **options):
        loaded = TryOnPipeline.from_checkpoints(warp=tmp_path / file, gen=tmp_path / 'g.pt', **options)
        return loaded.warp.aflow_net.align_corners

    assert align('silent.pt') is True and align('off.pt') is False
    assert align('off.pt', align_corners=True) is True and align('silent.pt', align_corners=False) is False


def test_the_licence_that_a_file_names_is_told(tmp_path, pipeline):
    about = {'part': 'warp', 'network': 'mobile_afwm', 'role': 'student', 'family': 'dm_vton'}
    save_checkpoint(
        tmp_path / 'w.safetensors', pipeline.warp, extra={'license': 'research, non-commercial'}, **about
    )
    torch.save(pipeline.generator.state_dict(), tmp_path / 'g.pt')
    loaded = TryOnPipeline.from_checkpoints(warp=tmp_path / 'w.safetensors', gen=tmp_path / 'g.pt')
    assert 'licence of these weights: research, non-commercial' in loaded.notes


@pytest.fixture(scope='module', params=FAMILIES)
def any_pipeline(request):
    torch.manual_seed(0)
    return TryOnPipeline.untrained(request.param)


def test_codes_of_person_and_garment_give_the_same_bits_as_the_pictures(any_pipeline):
    person, cloth, edge = pictures(size=any_pipeline.warp.fixed_size or (64, 64))
    expected = any_pipeline(person, cloth, edge)
    person_code, garment_code = any_pipeline.encode_person(person), any_pipeline.encode_garment(cloth, edge)
    for arguments in ((person, garment_code), (person_code, cloth, edge)):
        for name, got in any_pipeline(*arguments)._asdict().items():
            assert torch.equal(got, getattr(expected, name)), (name, arguments)


@pytest.mark.parametrize('family', FAMILIES)
def test_a_pipeline_samples_the_cloth_that_its_warp_network_does(family):
    torch.manual_seed(0)
    warp, generator = (
        create(name, 'student').eval()
        for create, name in (
            (create_warp, FAMILIES[family].warp),
            (create_generator, FAMILIES[family].generator),
        )
    )
    person, cloth, edge = pictures(size=(256, 192) if warp.fixed_size else (64, 64))
    edge = (edge > 0.5).float()
    with torch.no_grad():
        warped = warp(person, cloth * edge, edge)
    assert torch.equal(TryOnPipeline(warp, generator)(person, cloth, edge).warped_cloth, warped.cloth)


def test_one_garment_dresses_many_persons_and_one_person_wears_many_garments(pipeline):
    person, cloth, edge = pictures(3)
    code = pipeline.encode_garment(cloth[:1], edge[:1])
    same = (x[:1].repeat(3, 1, 1, 1) for x in (cloth, edge))
    # a batch of three takes another path through the convs than a batch of one; 2e-5 measured, another
    # garment differs by 0.1
    torch.testing.assert_close(pipeline(person, code).image, pipeline(person, *same).image, rtol=0, atol=1e-3)
    code = pipeline.encode_person(person[:1])
    expected = pipeline(person[:1].repeat(3, 1, 1, 1), cloth, edge).image
    for garment in ((cloth, edge), (pipeline.encode_garment(cloth, edge),)):
        torch.testing.assert_close(pipeline(code, *garment).image, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda p, c, e, person, garment: (p, garment, e), 'an edge came beside a garment code'),
        (lambda p, c, e, person, garment: (p, c), 'there is no edge'),
        (lambda p, c, e, person, garment: (garment, c, e), 'the person is the first argument'),
        (lambda p, c, e, person, garment: (p, person), 'the person is the first argument'),
        (
            lambda p, c, e, person, garment: (p[:, :2], garment),
            r'person is \[2, 2, 64, 64\], expected \[N, 3, H, W\]',
        ),
        (lambda p, c, e, person, garment: (p[..., :32], garment), 'the garment of the code is .* must agree'),
        (lambda p, c, e, person, garment: (torch.cat([p, p[:1]]), garment), 'must agree, or one batch be 1'),
        (lambda p, c, e, person, garment: (person, c, e[:1]), 'edge is .* but cloth is'),
    ],
)
def test_codes_that_do_not_fit_are_answered_with_what_came_and_what_was_expected(change, message, pipeline):
    person, cloth, edge = pictures(2)
    codes = pipeline.encode_person(person), pipeline.encode_garment(cloth, edge)
    with pytest.raises(ValueError, match=message):
        pipeline(*change(person, cloth, edge, *codes))


def test_encoding_refuses_sizes_that_the_network_cannot_take(pipeline):
    person, cloth, edge = pictures(size=(64, 50))
    with pytest.raises(ValueError, match='person is 64 x 50 .*multiples of 32'):
        pipeline.encode_person(person)
    with pytest.raises(ValueError, match='cloth is 64 x 50 .*multiples of 32'):
        pipeline.encode_garment(cloth, edge)


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda p, c, e: (p[0], c, e), r'person is \[3, 64, 64\], expected \[N, 3, H, W\]'),
        (lambda p, c, e: (p, c[:, :1], e), r'cloth is \[1, 1, 64, 64\], expected \[N, 3, H, W\]'),
        (lambda p, c, e: (p, c, c), r'edge is \[1, 3, 64, 64\], expected \[N, 1, H, W\]'),
        (lambda p, c, e: (p, c.byte(), e), 'cloth is torch.uint8, expected a floating-point picture'),
        (
            lambda p, c, e: (p, c[..., :32], e),
            'cloth is .* but person is .*; batch, height and width must agree',
        ),
        (lambda p, c, e: (p.repeat(2, 1, 1, 1), c, e), 'batch, height and width must agree'),
        (lambda p, c, e: (p[..., :50], c[..., :50], e[..., :50]), '64 x 50 .*multiples of 32'),
    ],
)
def test_wrong_inputs_are_answered_with_what_came_and_what_was_expected(change, message, pipeline):
    with pytest.raises(ValueError, match=message):
        pipeline(*change(*pictures()))


def test_an_unknown_family_is_answered_with_those_there_are():
    with pytest.raises(
        ValueError, match="no family 'viton_hd'; choose from pf_afn, fs_vton, rmgn, dm_vton, dm_vton_lite"
    ):
        TryOnPipeline.untrained('viton_hd')
