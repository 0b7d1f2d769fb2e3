"""Checks of pictures that come from the user: shape, type, and agreement with one another."""

from torch import Tensor

from utils.errors import UserError


def check_picture(name: str, x: Tensor, channels: int) -> None:
    """Raise ValueError unless `x` is a floating-point picture [N, channels, H, W] of at least one sample."""
    if not isinstance(x, Tensor):
        raise UserError(f'{name} is a {type(x).__name__}, expected a tensor [N, {channels}, H, W]')
    if x.shape[:1] == (0,):
        raise UserError(f'{name} is {list(x.shape)}: batch size is 0')
    if x.ndim != 4 or x.shape[1] != channels:
        raise UserError(f'{name} is {list(x.shape)}, expected [N, {channels}, H, W]')
    if not x.is_floating_point():
        raise UserError(f'{name} is {x.dtype}, expected a floating-point picture: [-1, 1], an edge [0, 1]')


def check_agreement(
    name: str, x: Tensor, other_name: str, other: Tensor, *, one_for_all: bool = False
) -> None:
    """Raise ValueError unless batch, height and width agree; `one_for_all`: a batch of one fits any."""
    batches_fit = x.shape[0] == other.shape[0] or (one_for_all and 1 in (x.shape[0], other.shape[0]))
    if not batches_fit or x.shape[2:] != other.shape[2:]:
        rule = '; batch, height and width must agree' + (', or one batch be 1' if one_for_all else '')
        raise UserError(f'{name} is {list(x.shape)} but {other_name} is {list(other.shape)}{rule}')
