"""Compared methods that are no family: whole networks of their own, inference only, by name.

ACGPN (Yang et al., CVPR 2020), C-VTON (Fele et al., WACV 2022), SDAFN (Bai et al., ECCV 2022).
"""

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from models.baselines import acgpn
from models.baselines.acgpn import ACGPN
from models.baselines.base import BaselineNetwork, BaselineTryOn
from models.baselines.cvton import CVTON, BodyPartMatcher, ContextGenerator
from models.baselines.sdafn import SDAFN
from models.registry import choose
from utils.errors import UserError


class Baseline(NamedTuple):
    """A published method: its network, its inputs beside the picture, and the files of its weights."""

    name: str
    title: str
    network: Callable[..., BaselineNetwork]
    needs: tuple[str, ...]  # annotations by their folders: 'label', 'pose', 'densepose'
    files: tuple[tuple[str, ...], ...]  # complete sets of files, by name in `PARTS`, the usual one first


class Part(NamedTuple):
    """Possible content of a file: a whole method, or one of its networks."""

    create: Callable[[], nn.Module]
    prefix: str  # of its names in the whole method


BASELINES: dict[str, Baseline] = {
    baseline.name: baseline
    for baseline in (
        Baseline(
            'acgpn', 'ACGPN', ACGPN, ('label', 'pose'), (('acgpn.G1', 'acgpn.G2', 'acgpn.U', 'acgpn.G'),)
        ),
        Baseline(
            'cvton', 'C-VTON', CVTON, ('label', 'densepose'), (('cvton',), ('cvton.oasis', 'cvton.bpgm'))
        ),
        Baseline('sdafn', 'SDAFN', SDAFN, ('label', 'pose'), (('sdafn',),)),
    )
}


# C-VTON's file of averaged weights may lack the matcher; names then begin with oasis. all the same.
PARTS: dict[str, Part] = {
    **{f'acgpn.{name}': Part(create, f'{name}.') for name, create in acgpn.NETWORKS.items()},
    'cvton': Part(CVTON, ''),
    'cvton.oasis': Part(lambda: nn.ModuleDict({'oasis': ContextGenerator()}), ''),
    'cvton.bpgm': Part(BodyPartMatcher, 'bpgm.'),
    'sdafn': Part(SDAFN, ''),
}


def create_baseline(name: str, *, align_corners: bool | None = None) -> BaselineNetwork:
    """Make a compared method, newly initialised, in training mode; its results are for eval mode.

    `align_corners` says how ACGPN's warp samples, None as published (off); the other methods have no such
    choice. Raises ValueError for an unknown name, with what there is.
    """
    network = BASELINES[choose('compared method', name, BASELINES)].network
    if network is ACGPN:
        return network(align_corners=bool(align_corners))
    if align_corners is not None:
        raise UserError(f'align_corners: {name} samples in one way only; leave it out')
    return network()


__all__ = ['BASELINES', 'PARTS', 'Baseline', 'BaselineNetwork', 'BaselineTryOn', 'create_baseline']
