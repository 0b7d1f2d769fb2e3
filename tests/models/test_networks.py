"""What holds for every registered network: a new one is enrolled by being registered."""

import pytest
import torch
import torch.nn.functional as F

from engine.profiling import memory_bytes, multiply_adds
from models import FAMILIES, create_generator, create_warp
from models.extractors.mobile_fpn import MobileFPN
from models.registry import CONDITION_CHANNELS, GENERATOR_CHANNELS, GENERATORS, WARPS, roles_of

WARP_CASES = [(name, role) for name in WARPS for role in roles_of(name)]
GENERATOR_CASES = [(name, role) for name in GENERATORS for role in roles_of(name)]
# Parameters and buffers in MB, G multiply-adds of the warp network and of the generator: student, 256 x 192,
# batch 1.
SIZES = {
    'pf_afn': (293.0, 46.9, 21.9),
    'fs_vton': (308.9, 47.6, 21.9),
    'rmgn': (394.6, 46.9, 31.4),
    'dm_vton': (37.6, 34.0, 0.55),
    'dm_vton_lite': (8.36, 0.101, 0.270),
}
PYRAMIDS = {name: (5, 256) for name in WARPS} | {'lite_afwm': (4, 64)}  # levels, channels of a feature
OUTPUTS = {name: 4 for name in GENERATORS} | {'lite_unet': 5}

TINY = (32, 32)  # a CPU without 16-bit arithmetic takes twenty times as long as in float32


def small(name: str) -> tuple[int, int]:
    return WARPS[name].fixed_size or (64, 96)


@pytest.fixture(scope='module')
def warps():
    """Student warp networks in eval mode; coarse offsets large enough that sampling matters."""
    networks = {}
    for name in WARPS:
        torch.manual_seed(0)
        networks[name] = create_warp(name, 'student').eval()
    return networks


def inputs(size, *, n=1, role='student', dtype=torch.float32):
    torch.manual_seed(1)
    condition, cloth = torch.randn(n, CONDITION_CHANNELS[role], *size), torch.randn(n, 3, *size).clamp(-1, 1)
    return condition.to(dtype), cloth.to(dtype), (torch.rand(n, 1, *size) > 0.5).to(dtype)


@pytest.mark.parametrize('name', WARPS)
def test_a_warp_network_returns_what_it_says(name, warps):
    size = small(name)
    with torch.no_grad():
        out = warps[name](*inputs(size, n=2))
        kept = warps[name](*inputs(size, n=2), keep_levels=True)
    assert (
        out.cloth.shape == (2, 3, *size)
        and out.edge.shape == (2, 1, *size)
        and out.flow.shape == (2, 2, *size)
    )
    levels, channels = PYRAMIDS[name]
    assert out.levels == () and len(kept.levels) == levels
    for n, level in enumerate(kept.levels):
        h, w = size[0] // 32 * 2**n, size[1] // 32 * 2**n
        assert level.coarse_offset.shape == level.refine_offset.shape == (2, 2, h, w)
        assert level.condition_feature.shape == level.cloth_feature.shape == (2, channels, h, w)
        h, w = size if n == levels - 1 else (2 * h, 2 * w)
        assert level.flow.shape == (2, 2, h, w)
        assert level.cloth.shape == (2, 3, h, w) and level.edge.shape == (2, 1, h, w)
    for first, second in zip(out[:3], kept[:3], strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize('name', WARPS)
def test_a_batch_equals_its_samples_one_by_one(name, warps):
    condition, cloth, edge = inputs(small(name), n=2)
    with torch.no_grad():
        together = warps[name](condition, cloth, edge)
        second = warps[name](condition[1:], cloth[1:], edge[1:])
    # float32 rounding of coordinates; a sample that saw its neighbour would be off by 0.1 and more
    torch.testing.assert_close(together.cloth[1:], second.cloth, rtol=0, atol=1e-3)


@pytest.mark.parametrize('name', WARPS)
def test_without_an_edge_all_of_the_picture_is_garment(name, warps):
    condition, cloth, edge = inputs(small(name))
    with torch.no_grad():
        with_edge, everywhere, without = (
            warps[name](condition, cloth, mask) for mask in (edge, torch.ones_like(edge), None)
        )
    assert without.edge is None
    assert torch.equal(with_edge.flow, without.flow) and torch.equal(everywhere.cloth, without.cloth)
    # Only the small model smooths inside the edge before it samples.
    assert torch.equal(with_edge.cloth, without.cloth) == (name != 'lite_afwm')


@pytest.mark.parametrize('name', WARPS)
def test_align_corners_is_honoured_at_inference(name, warps):
    arguments = inputs(small(name))
    with torch.no_grad():
        aligned = warps[name](*arguments)
        warps[name].aflow_net.align_corners = False
        other = warps[name](*arguments)
        warps[name].aflow_net.align_corners = True
    assert not torch.allclose(aligned.cloth, other.cloth, atol=1e-4)


@pytest.mark.parametrize('name', [name for name in WARPS if not WARPS[name].fixed_size])
def test_bfloat16_autocast_keeps_flows_in_float32(name, warps):
    arguments = inputs(TINY)
    with torch.no_grad():
        exact = warps[name](*arguments, keep_levels=True)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            mixed = warps[name](*arguments, keep_levels=True)
    assert mixed.flow.dtype is torch.float32
    assert all(level.flow.dtype is torch.float32 for level in mixed.levels)
    assert mixed.levels[-1].condition_feature.dtype is torch.bfloat16
    # 8 bits of mantissa through thirty convs move the flow by 1e-2 (measured 6e-3): half a pixel of 96 is
    # 1e-2.
    torch.testing.assert_close(mixed.flow, exact.flow, rtol=0, atol=2e-2)


def test_a_network_in_float16_keeps_flows_in_float32():
    torch.manual_seed(0)
    warp = create_warp('mobile_afwm', 'student').eval().half()
    with torch.no_grad():
        out = warp(*inputs(TINY, dtype=torch.float16))
    assert out.flow.dtype is torch.float32 and out.cloth.dtype is torch.float16
    assert out.flow.isfinite().all()


@pytest.mark.parametrize('name', WARPS)
def test_channels_last_changes_nothing_but_rounding(name, warps):
    arguments = inputs(small(name))
    with torch.no_grad():
        plain = warps[name](*arguments)
        warps[name].to(memory_format=torch.channels_last)
        last = warps[name](*(x.to(memory_format=torch.channels_last) for x in arguments))
        warps[name].to(memory_format=torch.contiguous_format)
    torch.testing.assert_close(
        last.cloth, plain.cloth, rtol=0, atol=1e-3
    )  # another conv algorithm; 2e-5 measured


@pytest.mark.parametrize('name, role', GENERATOR_CASES)
def test_a_generator_keeps_the_size_of_any_picture_it_can_take(name, role):
    generator = create_generator(name, role).eval()
    with torch.no_grad():
        out = generator(torch.randn(2, GENERATOR_CHANNELS[role], 64, 96))
    assert out.shape == (2, OUTPUTS[name], 64, 96) and out.isfinite().all()


@pytest.mark.parametrize('name, role', WARP_CASES)
def test_every_parameter_of_a_warp_network_gets_a_gradient(name, role):
    warp = create_warp(name, role)
    arguments = inputs(small(name), n=2, role=role)
    out = warp(*arguments, keep_levels=True)
    (out.cloth.mean() + sum(level.flow.square().mean() for level in out.levels)).backward()
    silent = [key for key, parameter in warp.named_parameters() if parameter.grad is None]
    assert silent == []


def test_only_the_flow_that_aligns_is_detached():
    """The second level's loss must reach the first level's offsets through the flow it advances, not through
    the alignment.
    """
    torch.manual_seed(0)
    warp = create_warp('mobile_afwm', 'student').eval()
    seen = []
    estimate = warp.aflow_net.coarse_offset

    def spy(level, aligned, condition_feature, context):
        seen.append(aligned)
        return estimate(level, aligned, condition_feature, context)

    warp.aflow_net.coarse_offset = spy
    out = warp(*inputs((64, 64)), keep_levels=True)
    first = out.levels[0].coarse_offset
    through_alignment = torch.autograd.grad(seen[1].sum(), first, retain_graph=True, allow_unused=True)[0]
    through_flow = torch.autograd.grad(out.levels[1].flow.sum(), first, allow_unused=True)[0]
    assert through_alignment is None and through_flow is not None


def test_the_small_warp_network_sees_a_large_picture_as_its_half(warps):
    condition, cloth, edge = inputs((256, 192))
    with torch.no_grad():
        large = warps['lite_afwm'](condition, cloth, edge)
        halves = (F.avg_pool2d(x, 2) for x in (condition, cloth, edge))
        small = warps['lite_afwm'](*halves)
    torch.testing.assert_close(F.avg_pool2d(large.flow, 2), small.flow, rtol=0, atol=1e-5)


def test_the_smoothing_conv_of_the_mobile_pyramid_is_one_conv_under_five_names():
    pyramid = MobileFPN(3)
    assert len({id(conv) for conv in pyramid.smooth_layers}) == 1
    assert sum('smooth_layers' in key for key in pyramid.state_dict()) == 10


@pytest.mark.parametrize('family', FAMILIES)
def test_bytes_and_multiply_adds_are_those_of_the_published_networks(family):
    warp = create_warp(FAMILIES[family].warp, 'student').eval()
    generator = create_generator(FAMILIES[family].generator, 'student').eval()
    megabytes, warp_operations, generator_operations = SIZES[family]
    assert memory_bytes(warp, generator) / 1e6 == pytest.approx(megabytes, rel=0.01)
    with torch.device('meta'):  # counting needs shapes, not numbers
        arguments = torch.empty(1, 3, 256, 192), torch.empty(1, 3, 256, 192), torch.empty(1, 1, 256, 192)
        generator_input = torch.empty(1, 7, 256, 192)
    assert multiply_adds(warp.to('meta'), *arguments) / 1e9 == pytest.approx(warp_operations, rel=0.01)
    assert multiply_adds(generator.to('meta'), generator_input) / 1e9 == pytest.approx(
        generator_operations, rel=0.01
    )


@pytest.mark.parametrize(
    'create, arguments, message',
    [
        (
            create_warp,
            ('raft', 'student'),
            "no warp network 'raft'; choose from afwm, style_afwm, mobile_afwm, lite_afwm",
        ),
        (create_warp, ('afwm', 'pupil'), "no role of afwm 'pupil'; choose from teacher, student"),
        (
            create_generator,
            ('unet', 'student'),
            "no generator 'unet'; choose from res_unet, rmgn, mobile_unet, lite_unet",
        ),
        (create_generator, ('rmgn', 'teacher'), "no role of rmgn 'teacher'; choose from student"),
    ],
)
def test_an_unknown_name_or_role_is_answered_with_what_there_is(create, arguments, message):
    with pytest.raises(ValueError, match=message):
        create(*arguments)


def test_sizes_that_do_not_fit_say_what_is_needed(warps):
    with pytest.raises(ValueError, match='250 x 192 .*multiples of 32'):
        warps['afwm'](*inputs((250, 192)))
    with pytest.raises(ValueError, match='512 x 384 .*tied to 256 x 192'):
        warps['style_afwm'](*inputs((512, 384)))
    condition, cloth, edge = inputs((64, 64))
    with pytest.raises(ValueError, match='batch, height and width must agree'):
        warps['afwm'](condition, cloth[..., :32], edge)


def test_importing_the_models_needs_neither_cupy_nor_a_gpu():
    import subprocess
    import sys

    code = 'import sys; sys.modules["cupy"] = None; import models; print("cupy" in str(models))'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd='.')
    assert done.returncode == 0, done.stderr
