"""Numbers, weights and inputs of the parity checks of the compared methods."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parent
SEED = 11
# Stored as float32, so 6e-8 is the most that agreement can show; float32 outputs are compared absolutely.
TOLERANCE = {torch.float64: {'rtol': 1e-6, 'atol': 1e-7}, torch.float32: {'rtol': 0, 'atol': 1e-4}}
STATISTICS = {'rtol': 1e-9, 'atol': 1e-12}


class Numbers:
    """The stored arrays of one method, and comparison with them."""

    def __init__(self, method: str):
        with np.load(FOLDER / f'{method}.npz') as file:
            self.arrays = dict(file)
        self.compared: set[str] = set()

    def __getitem__(self, key: str) -> np.ndarray:
        self.compared.add(key)
        return self.arrays[key]

    def check(
        self, key: str, tensor: torch.Tensor, *, every: int = 4, channels: int = 1, **looser: float
    ) -> None:
        """Compare sample 0 of `tensor`, of maps every fourth pixel and `channels`-th channel, with the array
        `key`.
        """
        shown = tensor[0] if every == 1 else tensor[0, ::channels, ..., ::every, ::every]
        np.testing.assert_allclose(
            shown.double().numpy(), self[key], **TOLERANCE[tensor.dtype] | looser, err_msg=key
        )

    def check_statistics(self, key: str, tensor: torch.Tensor) -> None:
        """Compare mean, unbiased deviation and mean absolute value of a float64 tensor with the array
        `key`.
        """
        np.testing.assert_allclose(statistics(tensor), self[key], **STATISTICS, err_msg=key)


def statistics(tensor: torch.Tensor) -> list[float]:
    return [tensor.mean().item(), tensor.std().item(), tensor.abs().mean().item()]


@pytest.fixture(scope='module')
def rules(request, weights):
    """The module that fills weights and makes inputs for the method of the test's module
    (test_<method>.py).
    """
    method = request.module.__name__.rpartition('test_')[2]
    spec = importlib.util.spec_from_file_location(f'{method}_weights', FOLDER / f'{method}_weights.py')
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, 'weights', weights)
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def numbers(request):
    """The stored arrays of the method of the test's module."""
    return Numbers(request.module.__name__.rpartition('test_')[2])


@pytest.fixture(scope='session')
def published_shapes() -> dict[str, dict[str, list[int]]]:
    """Names and shapes of all tensors by network."""
    return json.loads((FOLDER / 'state_dicts.json').read_text())


def record_inputs(module: torch.nn.Module, into: list) -> torch.utils.hooks.RemovableHandle:
    """Append the positional inputs of every call of `module` to `into`."""
    return module.register_forward_pre_hook(lambda _module, inputs: into.append(inputs))


@pytest.fixture
def outputs_of():
    """A function of (network, names): a dict that fills with the outputs of those modules when the network
    runs.
    """
    handles = []

    def watch(network: torch.nn.Module, names) -> dict[str, torch.Tensor]:
        seen = {}
        for name in names:
            module = network.get_submodule(name)
            handles.append(
                module.register_forward_hook(lambda _m, _i, out, name=name: seen.__setitem__(name, out))
            )
        return seen

    yield watch
    for handle in handles:
        handle.remove()


@pytest.fixture
def inputs_of():
    """A function of a module: a list that fills with the positional inputs of its calls."""
    handles = []

    def watch(module: torch.nn.Module) -> list[tuple]:
        seen: list[tuple] = []
        handles.append(record_inputs(module, seen))
        return seen

    yield watch
    for handle in handles:
        handle.remove()
