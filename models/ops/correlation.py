"""The cost volume of the coarse-to-fine warp: correlation as in FlowNet and PWC-Net, 7 x 7 displacements.

`correlation` chooses between two implementations with equal results: plain PyTorch in `correlation_torch.py`
and CUDA kernels in `correlation_cuda.py`.
"""

import torch

from models.ops.correlation_torch import CostVolume, cost_volume

IMPLEMENTATIONS = ('auto', 'cuda', 'torch')

# PyTorch 2.6 cannot tell an export from a compilation: there, both take the form that exports.
_is_exporting = getattr(torch.compiler, 'is_exporting', torch.compiler.is_compiling)


def correlation(first: torch.Tensor, second: torch.Tensor, impl: str = 'auto') -> torch.Tensor:
    """Compare every pixel of `first` with the 7 x 7 pixels of `second` around the same place.

    first, second: [N, C, H, W], equal in shape, floating dtype and device. Returns [N, 49, H, W] in that
    dtype; channel 7 * (dy + 3) + (dx + 3), dy and dx in -3..3, is the mean over channels of first(y, x) *
    second(y + dy, x + dx), where `second` is zero outside. 16-bit inputs are accumulated in float32; autocast
    leaves the inputs as they come.

    impl: 'torch' runs everywhere and can be exported; 'cuda' needs CUDA tensors and cupy; 'auto' takes 'cuda'
    where it works and else 'torch', with a line in the log. Raises ValueError for inputs that do not fit
    together or an unknown `impl`, RuntimeError where 'cuda' cannot run.
    """
    _check(first, second, impl)
    if impl == 'cuda' or (impl == 'auto' and first.is_cuda):
        from models.ops import correlation_cuda  # lazily: programs on a CPU need no kernels

        problem = correlation_cuda.find_problem(str(first.device), first.dtype, impl == 'auto')
        if problem is None:
            return torch.ops.dm_vton.correlation(first, second)
        if impl == 'cuda':
            raise RuntimeError(
                f"correlation(impl='cuda') cannot run: {problem}; impl='torch' runs everywhere"
            )
    needs_gradient = torch.is_grad_enabled() and (first.requires_grad or second.requires_grad)
    if needs_gradient and not _is_exporting():
        return CostVolume.apply(first, second)
    return cost_volume(first, second)


def _check(first: torch.Tensor, second: torch.Tensor, impl: str) -> None:
    if impl not in IMPLEMENTATIONS:
        raise ValueError(f'unknown correlation {impl!r}: expected one of {", ".join(IMPLEMENTATIONS)}')
    if first.dim() != 4:
        raise ValueError(f'correlation expected [N, C, H, W] tensors, got shape {list(first.shape)}')
    for name in ('shape', 'dtype', 'device'):
        expected, got = getattr(first, name), getattr(second, name)
        if expected != got:
            if name == 'shape':
                expected, got = list(expected), list(got)
            raise ValueError(
                f'correlation expected two tensors of one {name}: first has {expected}, second has {got}'
            )
    if not first.is_floating_point():
        raise ValueError(f'correlation expected a floating dtype, got {first.dtype}')
    if 0 in first.shape:
        raise ValueError(
            f'correlation expected at least one element a dimension, got shape {list(first.shape)}'
        )
