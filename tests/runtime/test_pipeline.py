"""The optimised pipeline against the plain one, its codes, and the choice of a backend."""

import logging
import subprocess
import sys

import pytest
import torch

import runtime
from models.outputs import TryOn
from runtime import backends, optimize
from runtime import pipeline as runtime_pipeline
from runtime.backends import MODES, find_problem
from utils import timing
from utils.errors import UserError

CPU = torch.device('cpu')
TOLERANCE = 1e-4
SMALLEST_PSNR = 40
SLOW = ('openvino',)


def psnr(x, y):
    return 10 * torch.log10(4 / (x.float() - y.float()).square().mean()).item()


@pytest.fixture(scope='module', params=['native', 'fused'])
def fast(request, pipeline):
    if problem := find_problem(request.param, CPU):
        pytest.skip(problem)
    return optimize(pipeline, request.param)


@pytest.mark.parametrize('mode', ['fused', 'native', 'openvino'])
def test_every_family_gives_the_plain_result_in_float32(mode, request, any_pipeline, plain, tolerance):
    if problem := find_problem(mode, CPU):
        pytest.skip(problem)
    if mode in SLOW and not request.config.getoption('--slow'):
        pytest.skip('compiling or exporting whole networks takes minutes; give --slow')
    arguments, expected = plain
    got = runtime.optimize(any_pipeline, mode)(*arguments)
    assert isinstance(got, TryOn) and got.flow.dtype is torch.float32
    for name, value in expected._asdict().items():
        torch.testing.assert_close(getattr(got, name), value, rtol=0, atol=tolerance(any_pipeline), msg=name)


def test_codes_give_what_the_pictures_give(fast, pipeline, pictures):
    person, cloth, edge = pictures(pipeline, n=2)
    expected = fast(person, cloth, edge).image
    person_code, garment_code = fast.encode_person(person), fast.encode_garment(cloth, edge)
    for arguments in ((person, garment_code), (person_code, cloth, edge), (person_code, garment_code)):
        assert torch.equal(fast(*arguments).image, expected)


def test_one_code_serves_a_batch(fast, pipeline, pictures):
    person, cloth, edge = pictures(pipeline, n=3)
    one = fast.encode_garment(cloth[:1], edge[:1])
    expected = pipeline(person, pipeline.encode_garment(cloth[:1], edge[:1])).image
    torch.testing.assert_close(fast(person, one).image, expected, rtol=0, atol=TOLERANCE)
    expected = pipeline(pipeline.encode_person(person[:1]), cloth, edge).image
    torch.testing.assert_close(
        fast(fast.encode_person(person[:1]), cloth, edge).image, expected, rtol=0, atol=TOLERANCE
    )
    torch.testing.assert_close(
        fast(person[:1], fast.encode_garment(cloth, edge)).image, expected, rtol=0, atol=TOLERANCE
    )


def test_another_shape_and_then_the_first_again(fast, pipeline, pictures):
    arguments = pictures(pipeline)
    first = fast(*arguments).image
    small = tuple(x[..., :32, :32] for x in arguments)
    torch.testing.assert_close(fast(*small).image, pipeline(*small).image, rtol=0, atol=TOLERANCE)
    assert torch.equal(fast(*arguments).image, first)


def test_the_plain_pipeline_stays_as_it_is(pipeline, pictures):
    arguments = pictures(pipeline)
    before = pipeline(*arguments).image
    names = list(pipeline.state_dict())
    optimize(pipeline, 'fused')(*arguments)
    assert torch.equal(pipeline(*arguments).image, before) and list(pipeline.state_dict()) == names


def test_sixteen_bits_keep_the_picture_and_flows_in_float32(pipeline, pictures):
    arguments = tuple(x[..., :32, :32] for x in pictures(pipeline))  # float16 is slow on a CPU
    got = runtime.optimize(pipeline, 'fused', dtype=torch.float16)(*arguments)
    assert got.image.dtype is torch.float16 and got.flow.dtype is torch.float32
    assert psnr(got.image, pipeline(*arguments).image) >= SMALLEST_PSNR


def test_own_kernels_refuse_sixteen_bits(pipeline):
    with pytest.raises(
        UserError, match='mode native cannot run: it computes in float32 only, not in float16'
    ):
        runtime.optimize(pipeline, 'native', dtype=torch.float16)


def test_wrong_inputs_are_answered_as_by_the_plain_pipeline(fast, pipeline, pictures):
    person, cloth, edge = pictures(pipeline)
    for arguments in (
        (person, cloth),
        (person[:, :1], cloth, edge),
        (person[..., :40], cloth[..., :40], edge[..., :40]),
    ):
        with pytest.raises(UserError) as plain:
            pipeline(*arguments)
        with pytest.raises(UserError) as ours:
            fast(*arguments)
        assert str(ours.value) == str(plain.value)


def test_an_unknown_mode_and_one_that_cannot_run_say_so(pipeline, monkeypatch):
    with pytest.raises(UserError, match="no mode 'turbo'; choose from auto, fused"):
        runtime.optimize(pipeline, 'turbo')
    with pytest.raises(UserError, match='mode graph cannot run: it needs a CUDA GPU, not cpu'):
        runtime.optimize(pipeline, 'graph')
    monkeypatch.setattr(backends.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(UserError, match='openvino is not installed; pip install openvino onnx onnxscript'):
        runtime.optimize(pipeline, 'openvino')


@pytest.fixture
def tried(monkeypatch):
    """Modes that cost a known time, and the list of those that were made."""
    made = []

    def fake(name, seconds):
        def make(parts, device, dtype):
            made.append(name)

            def call(*inputs):
                timing.time.now += seconds
                return inputs

            calls = dict.fromkeys(MODES['fused'](parts, device, dtype), call)
            return calls | {
                'garment': lambda cloth, edge: (cloth, edge),
                'try_on': lambda *inputs: (call(), *inputs[:1] * 6)[1:],
            }

        return make

    def broken(parts, device, dtype):
        raise RuntimeError('does not work here\nat all')

    class Clock:
        now = 0.0

        def perf_counter(self):
            return self.now

    monkeypatch.setattr(timing, 'time', Clock())
    monkeypatch.setattr(runtime_pipeline, '_chosen', {})
    for name, maker in {'slow': fake('slow', 2.0), 'quick': fake('quick', 1.0), 'broken': broken}.items():
        monkeypatch.setitem(MODES, name, maker)
    return made


def test_auto_takes_the_fastest_and_remembers_it(pipeline, tried, caplog):
    caplog.set_level(logging.INFO)
    candidates = 'slow', 'broken', 'quick', 'graph'
    assert runtime.optimize(pipeline, size=(32, 32), candidates=candidates).mode == 'quick'
    assert tried == ['slow', 'quick']
    assert 'mode broken is left out: RuntimeError: does not work here' in caplog.text
    assert 'mode graph is left out: it needs a CUDA GPU' in caplog.text
    assert runtime.optimize(pipeline, size=(32, 32), candidates=candidates).mode == 'quick'
    assert tried == ['slow', 'quick', 'quick']


def test_auto_says_when_nothing_can_run(pipeline, tried):
    with pytest.raises(UserError, match='none of broken, graph can run on cpu'):
        runtime.optimize(pipeline, size=(32, 32), candidates=('broken', 'graph'))


def test_importing_the_models_loads_no_runtime():
    code = (
        'import sys, models; print([name for name in sys.modules if name.split(".")[0] in ("runtime", '
        '"onnx", "openvino")])'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd='.')
    assert done.stdout.strip() == '[]', done.stdout + done.stderr
