"""The networks of the static page: two small graphs for ONNX Runtime Web, for one picture of a fixed size.

    garment    cloth, edge -> the garment's code, computed once for any number of persons
    try_on     person and a garment's code -> image, rendered, mask, warped_edge, flow, keep (if there is one)

Weights are stored in float16 and widened when the page loads them, since a browser computes in float32; all
else is as `runtime.parts` has it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.outputs import TryOn
from models.pipeline import TryOnPipeline
from runtime.export.graphs import describe
from runtime.export.onnx_file import make_portable, require, save_bare, write_network
from runtime.export.parity import ParityError, differences
from runtime.parts import Parts, split
from runtime.parts import output_names as names_of_parts
from utils.errors import UserError

# Of TryOn: what the page makes its picture of.
SHOWN = ('image', 'rendered', 'mask', 'warped_edge', 'flow', 'keep')
LEAST_WEIGHTS = 16  # numbers of a tensor from which halving it is worth a node
LARGEST_HALF = float(np.finfo(np.float16).max)
NEEDED = 'onnx', 'onnxscript', 'onnxruntime'
SMALLEST_PSNR = 40.0  # dB, of the pictures that the graphs make beside the pipeline's


class ShownOutputs(nn.Module):
    """person and a garment's code -> the tensors of `TryOn` that the page needs."""

    def __init__(self, parts: Parts, names: Sequence[str]):
        super().__init__()
        self.try_on = parts.try_on
        self.indices = [TryOn._fields.index(name) for name in names]

    def forward(self, person: Tensor, *garment: Tensor) -> tuple[Tensor, ...]:
        outputs = self.try_on(person, *garment)
        return tuple(outputs[index] for index in self.indices)


def write_networks(pipeline: TryOnPipeline, folder: Path, *, size: tuple[int, int]) -> dict[str, dict]:
    """Write garment.onnx and try_on.onnx into `folder`; return names of inputs and outputs, bytes and sums.

    Raises `UserError` for a size that the networks cannot take, for weights that float16 cannot hold, and
    where a package is missing.
    """
    require(*NEEDED)
    pipeline.warp.check_size('--size', torch.empty(1, 3, *size))
    parts = make_portable(split(pipeline).cpu())
    person, cloth, edge = (torch.rand(1, channels, *size) for channels in (3, 3, 1))
    with torch.no_grad():
        garment = parts.garment(cloth, edge)
        outputs = TryOn(*parts.try_on(person, *garment))
    has_keep_mask = outputs.keep is not None and bool(outputs.keep.any())  # zero everywhere: there is none
    names = [name for name in SHOWN if name != 'keep' or has_keep_mask]
    code = list(names_of_parts(parts.levels)['garment'])
    graphs = {
        'garment': (parts.garment, (cloth, edge), ['cloth', 'edge'], code),
        'try_on': (ShownOutputs(parts, names), (person, *garment), ['person', *code], names),
    }
    written = {}
    for name, (network, inputs, input_names, output_names) in graphs.items():
        path = folder / f'{name}.onnx'
        write_network(network, inputs, path, names=input_names, output_names=output_names)
        halve_weights(path)
        entry = describe([path])[path.name]
        written[name] = {'file': path.name, 'inputs': input_names, 'outputs': output_names, **entry}
    return written


def halve_weights(path: Path) -> None:
    """Store an ONNX file's weights in float16, each widened by a node, and leave the exporter's notes out.

    Raises `UserError` for a weight beyond what float16 holds.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    widened = []
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < LEAST_WEIGHTS:
            continue
        values = numpy_helper.to_array(tensor)
        if np.abs(values).max() > LARGEST_HALF:
            raise UserError(f'{path.name}: the weight {tensor.name} is beyond float16; train it smaller')
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f'{name}_half'))
        widened.append(onnx.helper.make_node('Cast', [f'{name}_half'], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*widened, *model.graph.node]
    model.graph.ClearField('node')
    model.graph.node.extend(nodes)
    save_bare(model, path)


def check_networks(pipeline: TryOnPipeline, folder: Path, pictures: tuple[Tensor, ...]) -> float:
    """Return the least PSNR in dB of pictures that the graphs in `folder` make beside those of the pipeline.

    `pictures` are persons, cloths and edges, [N, C, H, W]. Raises `ParityError` below SMALLEST_PSNR.
    """
    import onnxruntime

    sessions = {name: onnxruntime.InferenceSession(folder / f'{name}.onnx') for name in ('garment', 'try_on')}
    worst = float('inf')
    for person, cloth, edge in zip(*pictures, strict=True):
        person, cloth, edge = person[None], cloth[None], edge[None]
        code = sessions['garment'].run(None, {'cloth': cloth.numpy(), 'edge': edge.numpy()})
        names = (x.name for x in sessions['try_on'].get_inputs())
        inputs = dict(zip(names, (person.numpy(), *code), strict=True))
        (image,) = sessions['try_on'].run(['image'], inputs)
        worst = min(worst, differences(torch.from_numpy(image), pipeline(person, cloth, edge).image)[2])
    if not worst >= SMALLEST_PSNR:
        raise ParityError(
            f"the page's graphs are at {worst:.1f} dB, {SMALLEST_PSNR:g} dB are needed; nothing was written"
        )
    return worst
