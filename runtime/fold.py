"""Folding for inference: norms into convolutions, scales into weights.

A folded network computes the same function; results differ by rounding only.
"""

import copy
from collections.abc import Callable
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import remove_spectral_norm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.generators.rmgn import AADResBlock
from models.warp_modules.style_afwm import EqualLinear, ModulatedConv

Network = TypeVar('Network', bound=nn.Module)
Old = TypeVar('Old', bound=nn.Module)


def folded(network: Network) -> Network:
    """A copy of `network` for inference: eval mode, no gradients, folded as far as possible.

    Batch norms that follow a convolution go into it (one before a ReLU cannot), spectral norms into their
    weights, the equalised scales and the demodulation's sums of `ModulatedConv` into constants. Shared
    convolutions stay shared.
    """
    network = copy.deepcopy(network).eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            fold_batch_norms(module)
        elif isinstance(module, AADResBlock):
            fold_spectral_norms(module)
    return replace(network, ModulatedConv, ConstantModulatedConv)


def fold_batch_norms(layers: nn.Sequential) -> None:
    """Fold each batch norm of `layers` that follows a convolution into it, in place; the layer drops out."""

    def merge(first: nn.Module, second: nn.Module) -> nn.Module | None:
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
            return fuse_conv_bn_eval(first, second)
        return None

    merge_neighbours(layers, merge)


def merge_neighbours(
    layers: nn.Sequential, merge: Callable[[nn.Module, nn.Module], nn.Module | None]
) -> None:
    """Replace two neighbours by `merge(first, second)`, in place, wherever that is not None."""
    kept: list[nn.Module] = []
    for layer in layers:
        merged = merge(kept[-1], layer) if kept else None
        if merged is None:
            kept.append(layer)
        else:
            kept[-1] = merged
    if len(kept) < len(layers):
        del layers[:]
        layers.extend(kept)


def fold_spectral_norms(block: nn.Module) -> None:
    """Replace the spectral norm of every convolution of `block` by its quotient, in place."""
    for layer in block.children():
        if isinstance(layer, nn.Conv2d) and hasattr(layer, 'weight_orig'):
            remove_spectral_norm(layer)
            layer.weight.requires_grad_(False)


def replace(network: Network, kind: type[Old], make: Callable[[Old], nn.Module]) -> Network:
    """Replace every `kind` in `network` by `make(module)`, shared modules once; return the network."""
    made: dict[nn.Module, nn.Module] = {}  # old -> new
    for parent in list(network.modules()):
        for name, child in list(parent._modules.items()):  # named_children would pass over a second name
            if isinstance(child, kind):
                made[child] = made.get(child) or make(child)
                setattr(parent, name, made[child])
    return network


def bias_of(conv: nn.Conv2d) -> Tensor:
    """The bias of a convolution [out], zeros if it has none."""
    return conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias.detach()


def conv_of(module: nn.Module) -> nn.Conv2d:
    """The same module, known to be a convolution. Raises TypeError for another one."""
    if not isinstance(module, nn.Conv2d):
        raise TypeError(f'expected a convolution, got {type(module).__name__}')
    return module


class ConstantModulatedConv(nn.Module):
    """`ModulatedConv` with all style-independent terms precomputed; the same call."""

    energy: Tensor
    bias: Tensor
    style_weight: Tensor
    style_bias: Tensor

    def __init__(self, modulated: ModulatedConv):
        super().__init__()
        linear: EqualLinear = modulated.mlp_class_std.linear
        out_channels, in_channels = modulated.weight.shape[:2]
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False).requires_grad_(False)
        self.conv.weight.data = modulated.weight * modulated.scale  # [out, in, 3, 3]
        energy = self.conv.weight.double().square().sum(dim=(2, 3)).t()  # [in, out]
        self.register_buffer('energy', energy.to(modulated.weight.dtype).contiguous())
        self.register_buffer('bias', modulated.bias.detach().clone())
        self.register_buffer('style_weight', linear.weight_orig * linear.scale)
        self.register_buffer('style_bias', linear.bias.detach().clone())

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale = F.linear(style, self.style_weight, self.style_bias)  # [N, in]
        wide = torch.promote_types(scale.dtype, torch.float32)  # squares of 16-bit numbers overflow
        energy = scale.to(wide).square() @ self.energy.to(wide)  # [N, out]
        demodulation = torch.rsqrt(1e-5 + energy).to(x.dtype)
        scaled = x * scale.to(x.dtype)[:, :, None, None]
        return self.conv(scaled) * demodulation[:, :, None, None] + self.bias
