"""The networks by name: families of a warp network and a generator, in two roles.

PF-AFN (Ge et al., CVPR 2021), FS-VTON (He et al., CVPR 2022), RMGN (Lin et al., IJCAI 2022), DM-VTON
(Nguyen-Ngoc et al., ISMAR 2023), and the small model of this project.
"""

from typing import NamedTuple

from torch import nn

from models.generators.lite_unet import LiteUnet
from models.generators.mobile_unet import MobileUnet
from models.generators.res_unet import ResUnet
from models.generators.rmgn import RMGN
from models.warp_modules.afwm import AFWM
from models.warp_modules.coarse_to_fine import WarpNetwork
from models.warp_modules.lite_afwm import LiteAFWM
from models.warp_modules.mobile_afwm import MobileAFWM
from models.warp_modules.style_afwm import StyleAFWM

ROLES = ('teacher', 'student')
# teacher: 2 preserve masks + 25 DensePose parts + 18 pose maps; student: the person's picture
CONDITION_CHANNELS = {'teacher': 45, 'student': 3}
# preserved picture or person 3, warped cloth 3, warped edge 1, and for the teacher the DensePose preserve
# mask 1
GENERATOR_CHANNELS = {'teacher': 8, 'student': 7}

WARPS: dict[str, type[WarpNetwork]] = {
    'afwm': AFWM,
    'style_afwm': StyleAFWM,
    'mobile_afwm': MobileAFWM,
    'lite_afwm': LiteAFWM,
}
GENERATORS: dict[str, type[nn.Module]] = {
    'res_unet': ResUnet,
    'rmgn': RMGN,
    'mobile_unet': MobileUnet,
    'lite_unet': LiteUnet,
}


class Family(NamedTuple):
    """A method: its warp network, its generator and the roles that it has."""

    name: str
    warp: str
    generator: str
    roles: tuple[str, ...]
    published: bool = True  # False: this project's own


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family('pf_afn', 'afwm', 'res_unet', ROLES),
        Family('fs_vton', 'style_afwm', 'res_unet', ROLES),
        Family('rmgn', 'afwm', 'rmgn', ('student',)),
        Family('dm_vton', 'mobile_afwm', 'mobile_unet', ROLES),
        Family('dm_vton_lite', 'lite_afwm', 'lite_unet', ROLES, published=False),
    )
}


def choose(kind: str, name: str, choices) -> str:
    """Return `name` if it is one of `choices`, else raise a ValueError that lists them."""
    if name not in choices:
        raise ValueError(f'there is no {kind} {name!r}; choose from {", ".join(choices)}')
    return name


def find_family(name: str, role: str | None = None) -> Family:
    """Return a family by its name, or the pair of a warp network and a generator by `warp+generator`.

    With a `role` it must have that. Raises ValueError with what there is.
    """
    warp, sign, generator = name.partition('+')
    if sign:
        choose('warp network', warp, WARPS), choose('generator', generator, GENERATORS)
        family = Family(name, warp, generator, tuple(r for r in roles_of(warp) if r in roles_of(generator)))
    else:
        family = FAMILIES[choose('family', name, FAMILIES)]
    if role is not None and role not in family.roles:
        there_is = ', '.join(name for name, family in FAMILIES.items() if role in family.roles)
        raise ValueError(
            f'{name} has no {role}; choose from {there_is}, or a pair such as mobile_afwm+res_unet'
        )
    return family


def family_of(warp: str, generator: str) -> Family:
    """Return the family in `FAMILIES` of a warp network and a generator, else the pair as a new family."""
    for family in FAMILIES.values():
        if (family.warp, family.generator) == (warp, generator):
            return family
    return find_family(f'{warp}+{generator}')


def roles_of(network: str) -> tuple[str, ...]:
    """The roles in which a warp network or a generator was published, by registry name."""
    return tuple(
        role
        for role in ROLES
        if any(network in family[1:3] and role in family.roles for family in FAMILIES.values())
    )


def create_warp(name: str, role: str, *, align_corners: bool = True) -> WarpNetwork:
    """Make a warp network, newly initialised, in training mode.

    `name` is a key of `WARPS`, `role` 'teacher' (condition of 45 channels) or 'student' (3). `align_corners`
    is honoured by every sampling; published weights were trained with it on. Raises ValueError for an unknown
    name or role, listing the known ones.
    """
    network = WARPS[choose('warp network', name, WARPS)]
    role = choose(f'role of {name}', role, roles_of(name))
    return network(CONDITION_CHANNELS[role], align_corners=align_corners)


def create_generator(name: str, role: str) -> nn.Module:
    """Make a new generator in training mode: [N, 8 (teacher) or 7 (student), H, W] -> [N, 4 or 5, H, W].

    Rendered picture 3, composite mask 1 and, of the small model, keep mask 1, as `compose` takes them.
    Raises ValueError for an unknown name or role, listing the known ones.
    """
    network = GENERATORS[choose('generator', name, GENERATORS)]
    return network(GENERATOR_CHANNELS[choose(f'role of {name}', role, roles_of(name))])
