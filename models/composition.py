"""The only copy of the composition: how the warped cloth and the generator's output make the try-on.

After PF-AFN (Ge et al., CVPR 2021), section 3.3.
"""

import torch
from torch import Tensor

from models.outputs import TryOn, WarpOutput


def compose(warped: WarpOutput, generated: Tensor, kept: Tensor) -> TryOn:
    """Merge the warped cloth, the picture `kept` [N, 3, H, W] and the generator's output [N, 4 or 5, H, W].

    The composite mask may show the cloth only inside its warped edge. `kept` is the person for a student, the
    preserved picture for a teacher; only generators with a keep mask show it.
    """
    assert warped.edge is not None, 'the garment came without an edge'
    rendered, mask, keep = activate(generated, kept)
    mask = mask * warped.edge
    return TryOn(
        blend(warped.cloth, rendered, mask), rendered, mask, warped.cloth, warped.edge, warped.flow, keep
    )


def activate(generated: Tensor, kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Generator's output [N, 4 or 5, H, W] -> rendered picture in [-1, 1], composite and keep mask in [0, 1].

    The first three channels become the rendered picture (tanh), the fourth the composite mask (sigmoid), a
    fifth the keep mask (sigmoid): pixels where the rendered picture shows `kept`. Without it the mask is 0.
    """
    rendered, mask = torch.tanh(generated[:, :3]), torch.sigmoid(generated[:, 3:4])
    if generated.shape[1] == 4:
        return rendered, mask, torch.zeros_like(mask)
    keep = torch.sigmoid(generated[:, 4:5])
    return rendered + keep * (kept - rendered), mask, keep


def blend(cloth: Tensor, rendered: Tensor, mask: Tensor) -> Tensor:
    """The warped cloth where `mask` is 1, the rendered picture where it is 0: [N, 3, H, W] in [-1, 1]."""
    return cloth * mask + rendered * (1 - mask)
