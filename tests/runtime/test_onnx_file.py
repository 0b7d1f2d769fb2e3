"""Parts as ONNX, and the runtimes that read them."""

import pytest
import torch
from torch import nn

from models.ops.correlation import correlation
from models.warp_modules.coarse_to_fine import LEVELS
from runtime import optimize
from runtime.backends import find_problem
from runtime.export.onnx_file import correlation_by_tables, require, write_onnx
from runtime.parts import Parts, input_names, output_names, split
from utils.errors import UserError

CPU = torch.device('cpu')


@pytest.mark.parametrize('shape', [(1, 8, 8, 6), (2, 3, 16, 12), (1, 5, 13, 21)])
def test_the_cost_volume_by_tables_equals_the_other_one(shape):
    torch.manual_seed(0)
    first, second = torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)
    torch.testing.assert_close(
        correlation_by_tables(first, second), correlation(first, second), rtol=1e-12, atol=1e-12
    )


def test_a_missing_package_is_named():
    with pytest.raises(UserError, match='no_such_package is not installed.*pip install no_such_package'):
        require('no_such_package')


@pytest.mark.parametrize('family', ['dm_vton', 'dm_vton_lite'])
def test_parts_chain_names_and_tensors(family, make_pipeline, pictures):
    pipeline = make_pipeline(family)
    parts = split(pipeline)
    person, cloth, edge = pictures(pipeline)
    with torch.no_grad():
        garment, features = parts.garment(cloth, edge), parts.person(person)
        tried = parts.try_on(person, *garment)
        dressed = parts.dress(person, *features, *garment)
    names = output_names(parts.levels)
    assert (len(garment), len(features), len(tried)) == tuple(
        len(names[name]) for name in ('garment', 'person', 'try_on')
    )
    assert input_names(parts.levels)['dress'] == ('person', *names['person'], *names['garment'])
    for one, other in zip(tried, dressed, strict=True):
        assert torch.equal(one, other)
    addresses = [
        {parameter.data_ptr() for parameter in part.parameters()}
        for part in (parts.person, parts.garment, parts.dress)
    ]
    assert len(set().union(*addresses)) == sum(map(len, addresses))


def test_a_part_as_a_file_has_the_names_it_should(tmp_path):
    onnx = pytest.importorskip('onnx')
    pytest.importorskip('onnxscript')

    class Garment(nn.Module):
        def forward(self, cloth, edge):
            return cloth * edge, edge + 1, *(cloth + level for level in range(LEVELS))

    parts = Parts(nn.Identity(), Garment(), nn.Identity())
    write_onnx(
        parts, 'garment', (torch.zeros(1, 3, 2, 2), torch.zeros(1, 1, 2, 2)), tmp_path / 'garment.onnx'
    )
    graph = onnx.load(tmp_path / 'garment.onnx').graph
    assert tuple(entry.name for entry in graph.input) == input_names()['garment']
    assert tuple(entry.name for entry in graph.output) == output_names()['garment']
    assert [path.name for path in tmp_path.iterdir()] == ['garment.onnx']


def test_openvino_encodes_a_garment_as_pytorch_does(pipeline, pictures):
    if problem := find_problem('openvino', CPU):
        pytest.skip(problem)
    _, cloth, edge = pictures(pipeline)
    code, expected = (
        optimize(pipeline, 'openvino').encode_garment(cloth, edge),
        pipeline.encode_garment(cloth, edge),
    )
    assert torch.equal(code.cloth, expected.cloth) and torch.equal(code.edge, expected.edge)
    for got, feature in zip(code.features, expected.features, strict=True):
        torch.testing.assert_close(got, feature, rtol=0, atol=1e-4)
