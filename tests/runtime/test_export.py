"""Exported graphs, what their folder says of itself, and the runtimes that read them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models import FAMILIES, TryOnPipeline
from models.ops.flow import offset_to_flow, rescale, sample
from models.outputs import TryOn, WarpOutput
from models.warp_modules.coarse_to_fine import LEVELS, WarpNetwork
from runtime import create_runtime
from runtime.export import graphs
from runtime.export.graphs import EXAMPLES, MANIFEST, PRECISIONS, graphs_of, write_graphs
from runtime.export.parity import ParityError, check, compare, load_pictures
from utils.errors import UserError

ROOT = Path(__file__).parents[2]
SIZE = (64, 64)
OTHER_SIZE = (96, 64)
LARGEST_FLOAT16 = 19.0  # MB, of DM-VTON


class ToyEncoder(nn.Module):
    """A picture -> five small maps, coarse to fine."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, x):
        maps = self.conv(F.avg_pool2d(x, 2))
        return tuple(F.avg_pool2d(maps, 2 ** (LEVELS - 1 - level)) for level in range(LEVELS))


class ToyFlow(nn.Module):
    """The finest maps -> a flow, at which the garment is sampled."""

    align_corners = True

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 2, 3, padding=1)

    def forward(self, person_features, garment_features, cloth, edge):
        both = torch.cat([person_features[-1], garment_features[-1]], dim=1) + person_features[0].mean(
            dim=(1, 2, 3), keepdim=True
        )
        flow = rescale(offset_to_flow(self.conv(both)), 2.0)
        warped = sample(cloth, flow, align_corners=True)
        return WarpOutput(warped, sample(edge, flow, align_corners=True, padding_mode='zeros'), flow, ())


class ToyWarp(WarpNetwork):
    """A warp network of three convolutions: what takes minutes with a real one takes seconds."""

    def __init__(self):
        super().__init__()
        self.condition, self.cloth = ToyEncoder(), ToyEncoder()
        self.aflow_net = ToyFlow()

    def encode_condition(self, condition):
        return self.condition(condition)

    def encode_cloth(self, cloth):
        return self.cloth(cloth)

    def condition_encoder(self):
        return nn.Sequential(self.condition)

    def cloth_encoder(self):
        return nn.Sequential(self.cloth)


@pytest.fixture(scope='module')
def toy():
    """A pipeline of toy networks, with the calls of every other one."""
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Conv2d(7, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 4, 3, padding=1))
    return TryOnPipeline(ToyWarp(), generator, family='dm_vton', is_trained=False, size=SIZE).eval()


def write(pipeline, folder, *, format='onnx', precision='float32', size=SIZE):
    pytest.importorskip('onnx', reason='onnx is not installed')
    pytest.importorskip('onnxscript', reason='onnxscript is not installed')
    pytest.importorskip(
        {'onnx': 'onnxruntime'}.get(format, format), reason=f'the runtime of {format} is not installed'
    )
    folder.mkdir(parents=True, exist_ok=True)
    return write_graphs(pipeline, folder, format=format, precision=precision, size=size)


@pytest.fixture(scope='module')
def pictures(weights):
    """Person, cloth and edge of the size of the exports."""

    def make(n: int = 1, size: tuple[int, int] = SIZE) -> tuple[torch.Tensor, ...]:
        person, cloth = (
            torch.cat([weights.image(seed + 10 * i, 3, size=size) for i in range(n)]) for seed in (1, 2)
        )
        return (
            person,
            cloth,
            (torch.cat([weights.image(3 + 10 * i, 1, 0, 1, size=size) for i in range(n)]) > 0.5).float(),
        )

    return make


@pytest.fixture(scope='module')
def exports(toy, module_path):
    """Folders that hold an export of the toy, each made when first asked for; ONNX graphs are written once
    for both formats.
    """
    made, write_onnx = {}, graphs._write_onnx

    def write_once(network, inputs, path, graph):
        kept = module_path / f'{path.stem}_{network.dtype}.onnx'
        if not kept.exists():
            write_onnx(network, inputs, kept, graph)
        shutil.copyfile(kept, path)

    def get(format: str, precision: str) -> Path:
        key = format, precision
        if key not in made:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(graphs, '_write_onnx', write_once)
                made[key] = write(toy, module_path / format / precision, format=format, precision=precision)
        return made[key]

    return get


def test_graphs_have_the_names_a_fixed_size_and_any_batch(exports):
    folder = exports('onnx', 'float32')
    import onnx

    for name, expected in graphs_of().items():
        graph = onnx.load(folder / f'{name}.onnx').graph
        assert tuple(entry.name for entry in graph.input) == expected.inputs
        assert tuple(entry.name for entry in graph.output) == expected.outputs
        for entry in (*graph.input, *graph.output):
            batch, *rest = entry.type.tensor_type.shape.dim
            assert batch.dim_param and all(side.dim_value for side in rest), entry.name
            assert entry.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    whole = onnx.load(folder / 'whole.onnx').graph
    assert [side.dim_value for side in whole.input[0].type.tensor_type.shape.dim][1:] == [3, *SIZE]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [MANIFEST, *(f'{name}.onnx' for name in graphs_of())]
    )


@pytest.mark.parametrize('precision', PRECISIONS)
def test_sampling_is_the_standard_operation_and_nothing_is_custom(precision, exports):
    folder = exports('onnx', precision)
    import onnx

    model = onnx.load(folder / 'whole.onnx')
    assert {node.domain for node in model.graph.node} == {''} and len(model.opset_import) == 1
    assert model.opset_import[0].domain == '' and model.opset_import[0].version >= 16
    samplings = [node for node in model.graph.node if node.op_type == 'GridSample']
    assert len(samplings) == 2 and not model.functions


def test_no_path_of_this_machine_is_in_a_graph(exports):
    for path in exports('onnx', 'float32').iterdir():
        content = path.read_bytes()
        assert str(ROOT).encode() not in content and b'site-packages' not in content


@pytest.mark.parametrize('format', ['onnx', 'openvino'])
@pytest.mark.parametrize('precision', PRECISIONS)
def test_an_export_gives_the_pictures_of_the_pipeline(format, precision, request, exports, toy, pictures):
    if (format, precision) == ('openvino', 'float16') and not request.config.getoption('--slow'):
        pytest.skip('the same path as in float32; give --slow')
    folder = exports(format, precision)
    rows = compare(toy, folder, pictures(EXAMPLES + 1), format=format, timed_calls=1)
    assert [(row.graph, row.output) for row in rows] == [
        (graph, output) for graph in ('whole', 'split') for output in ('tryon', 'warped_cloth')
    ]
    check({precision: rows})
    assert all(row.milliseconds > 0 and row.eager_milliseconds > 0 for row in rows)


def test_sixteen_bits_are_stored_in_16_bits(exports):
    folders = {precision: exports('onnx', precision) for precision in PRECISIONS}
    import onnx

    kinds = {
        precision: {
            entry.data_type for entry in onnx.load(folder / 'whole.onnx').graph.initializer if entry.dims
        }
        for precision, folder in folders.items()
    }
    assert onnx.TensorProto.FLOAT16 not in kinds['float32'] and onnx.TensorProto.FLOAT16 in kinds['float16']


@pytest.mark.parametrize('kind', ['onnx', 'openvino'])
def test_a_runtime_has_the_calls_of_the_pipeline(kind, exports, toy, pictures):
    runtime = create_runtime(kind, exports(kind, 'float32'))
    person, cloth, edge = pictures(2)
    expected = toy(person, cloth, edge)
    code = runtime.encode_garment(cloth[:1], edge[:1])
    results = {
        'pictures': (runtime(person, cloth, edge), expected),
        'one garment, two persons': (
            runtime(person, code),
            toy(person, cloth[:1].repeat(2, 1, 1, 1), edge[:1].repeat(2, 1, 1, 1)),
        ),
        'two codes': (runtime(runtime.encode_person(person[:1]), code), TryOn(*(x[:1] for x in expected))),
    }
    for case, (got, wanted) in results.items():
        assert isinstance(got, TryOn)
        for name, value in wanted._asdict().items():
            torch.testing.assert_close(getattr(got, name), value, rtol=0, atol=1e-3, msg=f'{case}: {name}')
    assert (runtime.family, runtime.is_trained, runtime.size) == ('dm_vton', False, SIZE)
    assert runtime.align_corners is toy.warp.aflow_net.align_corners


AFTER_OPENVINO = """
import gc, os, signal, sys
from pathlib import Path
from runtime.export.onnx_file import load_openvino

calls = [load_openvino(Path(sys.argv[1])) for _ in range(3)]
while calls:
    calls.pop(0)
    gc.collect()
signal.signal(signal.SIGINT, lambda *_: print('a signal was handled'))
os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.mark.skipif(os.name != 'posix', reason='stacks for signals are those of POSIX')
def test_a_process_outlives_a_signal_after_openvino(exports):
    """Cores that went in the order in which they came left a stack for signals that was no more."""
    graph = exports('openvino', 'float32') / 'whole.xml'
    words = [sys.executable, '-c', AFTER_OPENVINO, str(graph)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, 'a signal was handled\n'), done.stderr


def test_openvino_reads_an_onnx_export_and_not_the_other_way_round(exports, pictures):
    folder = exports('onnx', 'float32')
    pytest.importorskip('openvino', reason='openvino is not installed')
    assert create_runtime('openvino', folder)(*pictures()).image.shape == (1, 3, *SIZE)
    with pytest.raises(
        UserError, match='an export for openvino; take that runtime, or export with --format onnx'
    ):
        create_runtime('onnx', exports('openvino', 'float32'))


def test_a_picture_of_another_size_is_refused(exports, pictures):
    runtime = create_runtime('onnx', exports('onnx', 'float32'))
    with pytest.raises(
        UserError, match=r'person is 96 x 64 \(H x W\), but this export takes 64 x 64; resize'
    ):
        runtime(*pictures(1, size=OTHER_SIZE))


def test_a_runtime_finds_the_precision_in_what_was_exported(exports):
    folder = exports('onnx', 'float32').parent
    assert create_runtime('onnx', folder).mode == 'onnx'
    shutil.copytree(folder / 'float32', folder.parent / 'single' / 'float32', dirs_exist_ok=True)
    with pytest.raises(UserError, match='no float16 export in it; write one with python export.py'):
        create_runtime('onnx', folder.parent / 'single', precision='float16')


def test_a_damaged_or_mixed_export_is_told(exports, tmp_path):
    folder = shutil.copytree(exports('onnx', 'float32'), tmp_path / 'copy')
    with open(folder / 'garment.onnx', 'r+b') as file:
        file.seek(1000)
        file.write(b'damage')
    with pytest.raises(UserError, match='garment.onnx: damaged, or of another export'):
        create_runtime('onnx', folder)
    os.remove(folder / 'garment.onnx')
    with pytest.raises(UserError, match=r'garment.onnx: missing, which export.json lists'):
        create_runtime('onnx', folder)
    for content in ('{', '[]', json.dumps({'size': [64, 64], 'graphs': {}}), json.dumps({'size': None})):
        (folder / MANIFEST).write_text(content)
        with pytest.raises(UserError, match='not a manifest of export.py; export again'):
            create_runtime('onnx', folder)


def test_wrong_arguments_are_one_line_each(tmp_path):
    wrong = {
        "no runtime 'tensorrt'; choose from torch, onnx, openvino": lambda: create_runtime(
            'tensorrt', tmp_path
        ),
        "no precision 'int8'; choose from float32, float16": lambda: create_runtime(
            'onnx', tmp_path, precision='int8'
        ),
        'no such folder; write it with python export.py': lambda: create_runtime('onnx', tmp_path / 'none'),
        'needs one folder that export.py wrote': lambda: create_runtime('openvino', ['a', 'b']),
        'runs on a CPU, not on cuda': lambda: create_runtime('onnx', tmp_path, device='cuda'),
    }
    for message, call in wrong.items():
        with pytest.raises(UserError) as error:
            call()
        assert message in str(error.value) and '\n' not in str(error.value)


def test_pictures_to_compare_on_are_drawn_or_read(tmp_path):
    person, cloth, edge = load_pictures(None, OTHER_SIZE, 2)
    assert person.shape == cloth.shape == (2, 3, *OTHER_SIZE) and edge.shape == (2, 1, *OTHER_SIZE)
    assert (
        not torch.equal(person[0], person[1])
        and person.min() >= -1
        and set(edge.round().unique().tolist()) == {0.0, 1.0}
    )
    with pytest.raises(UserError):
        load_pictures(tmp_path / 'none', SIZE)


def test_an_export_that_is_off_is_found(exports, toy, pictures):
    rows = compare(
        toy, exports('onnx', 'float32'), [x.flip(3) for x in pictures(1)], format='onnx', timed_calls=1
    )
    check({'float32': rows})
    off = rows[0]._replace(max_difference=0.0011)
    with pytest.raises(
        ParityError, match='float32, whole: tryon is off by up to 0.0011 .* at most 0.001 is allowed'
    ):
        check({'float32': [off]})
    with pytest.raises(ParityError):
        check({'float32': [rows[0]._replace(max_difference=float('nan'))]})
    with pytest.raises(ParityError, match='39.0 dB.*40 dB are needed'):
        check({'float16': [rows[0]._replace(psnr_db=39.0)]})
    check({'float16': [off._replace(psnr_db=40.0)]})


@pytest.mark.parametrize('format', ['onnx', 'openvino'])
@pytest.mark.parametrize('precision', PRECISIONS)
@pytest.mark.parametrize('family', FAMILIES)
def test_every_family_exports(family, precision, format, request, make_pipeline, pictures, tmp_path):
    if not request.config.getoption('--slow'):
        pytest.skip('writing whole networks as ONNX takes minutes; give --slow')
    pipeline = make_pipeline(family)
    size = pipeline.warp.fixed_size or SIZE
    write(pipeline, tmp_path / 'out', format=format, precision=precision, size=size)
    check(
        {
            precision: compare(
                pipeline, tmp_path / 'out', pictures(EXAMPLES, size), format=format, timed_calls=1
            )
        }
    )
    if (family, precision) == ('dm_vton', 'float16'):
        weights = {'onnx': 'whole.onnx', 'openvino': 'whole.bin'}[format]
        assert (tmp_path / 'out' / weights).stat().st_size / 1e6 <= LARGEST_FLOAT16
