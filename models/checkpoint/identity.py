"""Identification of a state dict: part, registry name and role, from tensor names and shapes."""

import contextlib
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from models.baselines import BASELINES
from models.baselines import PARTS as BASELINE_PARTS
from models.checkpoint.messages import listed
from models.registry import FAMILIES, GENERATORS, WARPS, choose, create_generator, create_warp, roles_of
from utils.errors import CheckpointError

PARTS = {'warp': 'warp network', 'generator': 'generator', 'baseline': 'network of a compared method'}
BASELINE_ROLE = 'parser-based'
# A file is one of the networks if at least this share of all names, its own and the network's, is common to
# both.
LEAST_COMMON_NAMES = 0.5


class Layout(NamedTuple):
    """Names and shapes of a network: what a file must have to be loaded strictly."""

    tensors: dict[str, Tensor]  # on the meta device: shapes and dtypes without memory
    tied: dict[str, str]  # name -> the earlier name of the very same tensor
    parameters: frozenset[str]


class _WithoutDraws(TorchFunctionMode):
    """Makes networks without drawing weights that a file will replace: a tenth of the time for large ones.

    Everything else that a constructor computes, buffers for instance, is computed.
    """

    DRAWS = frozenset({'normal_', 'uniform_', 'kaiming_normal_', 'kaiming_uniform_'})

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if getattr(func, '__name__', '') in self.DRAWS:
            return args[0] if args else kwargs['tensor']
        return func(*args, **kwargs)


def create_network(part: str, network: str, role: str, align_corners: bool = True) -> nn.Module:
    """A newly initialised network of the registry, or of a compared method."""
    if choose('part', part, PARTS) == 'baseline':
        return BASELINE_PARTS[choose('network of a compared method', network, BASELINE_PARTS)].create()
    if part == 'warp':
        return create_warp(network, role, align_corners=align_corners)
    return create_generator(network, role)


def create_blank(part: str, network: str, role: str, align_corners: bool = True) -> nn.Module:
    """A network with uninitialised weights, to be loaded. The random state is not changed."""
    with without_draws():
        return create_network(part, network, role, align_corners)


@contextlib.contextmanager
def without_draws() -> Iterator[None]:
    """Make networks without drawing weights, and leave the caller's random numbers untouched."""
    with torch.random.fork_rng(devices=[]), _WithoutDraws():
        yield


@functools.cache
def layout_of(part: str, network: str, role: str) -> Layout:
    """Names and shapes of a network's tensors; cached."""
    module = create_blank(part, network, role)
    tensors = module.state_dict(keep_vars=True)
    tied: dict[str, str] = {}
    first_names: dict[int, str] = {}
    for name, tensor in tensors.items():
        first = first_names.setdefault(id(tensor), name)
        if first != name:
            tied[name] = first
    parameters = frozenset(name for name, _ in module.named_parameters())
    return Layout({name: torch.empty_like(x, device='meta') for name, x in tensors.items()}, tied, parameters)


def _candidates() -> list[tuple[str, str, str]]:
    names = [('warp', name) for name in WARPS] + [('generator', name) for name in GENERATORS]
    # Students first: they win where the first convolution, the only difference, is missing.
    families = [(part, name, role) for part, name in names for role in reversed(roles_of(name))]
    return families + [('baseline', name, BASELINE_ROLE) for name in BASELINE_PARTS]


def families_of(part: str, network: str, role: str) -> list[str]:
    """The families, or the compared method, that have this network."""
    if part == 'baseline':
        return [name for name in BASELINES if network.partition('.')[0] == name]
    families = [family for family in FAMILIES.values() if role in family.roles]
    return [family.name for family in families if getattr(family, part) == network]


def identify(
    state_dict: Mapping[str, Tensor], *, source: str | Path = 'the state dict'
) -> tuple[str, str, str]:
    """Tell part ('warp' | 'generator' | 'baseline'), registry name and role of a state dict by its tensors.

    The network is the one that shares most names, the role the one that more shapes agree with (the first
    convolution takes 45 or 3 channels, 8 or 7), so a damaged state dict is told too, to say what it lacks.
    Raises `CheckpointError` that begins with `source` where it is none of the networks.
    """
    best, best_score = None, (LEAST_COMMON_NAMES, 0)
    for candidate in _candidates():
        tensors = layout_of(*candidate).tensors
        common = tensors.keys() & state_dict.keys()
        agreeing = sum(tensors[name].shape == state_dict[name].shape for name in common)
        score = (len(common) / len(tensors.keys() | state_dict.keys()), agreeing)
        if score > best_score:
            best, best_score = candidate, score
        if score == (1, len(tensors)):  # nothing fits better, and the layouts of large networks take time
            break
    if best is None:
        raise CheckpointError(
            f'{source} is none of the networks here (warp: {", ".join(WARPS)}; '
            f'generator: {", ".join(GENERATORS)}; compared methods: {", ".join(BASELINE_PARTS)}): '
            f'its {len(state_dict)} tensors are {listed(list(state_dict))}'
        )
    return best


def match_family(warp_network: str, generator_network: str) -> str:
    """Return the family of a warp network and a generator, by their names in the registry.

    `afwm` goes with `res_unet` (pf_afn) and with `rmgn`. Raises `CheckpointError` for a pair of no family.
    """
    for name, family in FAMILIES.items():
        if (family.warp, family.generator) == (warp_network, generator_network):
            return name
    pairs = ', '.join(f'{family.warp} + {family.generator} ({name})' for name, family in FAMILIES.items())
    raise CheckpointError(
        f'the warp network {warp_network} and the generator {generator_network} make no family; '
        f'there is {pairs}; a pair of no family is named {warp_network}+{generator_network} '
        '(test.py: --warp and --gen)'
    )
