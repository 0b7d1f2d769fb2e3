"""Losses of the stage whose truth is known: flows, masks and pictures. Weights follow this project's own
measurements.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.augment import TruthInputs
from engine.losses import total
from models.ops.flow import second_differences
from models.outputs import TryOn, WarpOutput

FLOW, FLOW_POWER, FLOW_EPSILON = 0.05, 0.8, 0.01
LEVEL_WEIGHTS = (0.2, 0.3, 0.5, 0.7, 1.0)  # coarse to fine; a network of fewer levels takes the last ones
REFERENCE_HEIGHT = 128  # distances count in pixels of pictures of this height
WARPED_CLOTH, WARPED_STRUCTURE, WARPED_EDGE = 0.5, 0.4, 0.3
WINDOW = 7  # pixels a side; similarity of structure compares means and variances in it
PICTURE, GRADIENT, STRUCTURE, RENDERED = 2.0, 1.0, 0.5, 1.0
# Of the rendered picture, where it is hidden, half hidden, and shown.
IN_KEPT, IN_GARMENT, REPAINTED = 0.1, 0.5, 5.0
MASK, MASK_PULL = 0.5, 0.1
KEPT_WRONGLY = 3.0  # weight of a pixel that must change: what is left of the old garment is seen at once
CURVATURE, CURVATURE_EPSILON = 0.01, 1e-4
# half the width, in pixels of that height, of what may hide a part of the garment: an arm, a lock of hair
REACH = 8


def region_mean(values: Tensor, region: Tensor) -> Tensor:
    """Mean of values [N, 1, H, W] where `region`, of their shape, is 1; 0 where it is nowhere."""
    return (values * region).sum() / region.sum().clamp(min=1)


def flow_distance(flow: Tensor, truth: Tensor) -> Tensor:
    """Mean of (|dx| + |dy| + 0.01)^0.8, in pixels of pictures 128 high, between a level's flow and the truth
    where known.

    `flow` [N, 2, h, w] and `truth` [N, 2, H, W] are sampling grids in normalised (x, y) of their own sizes;
    `truth` may be NaN.
    """
    (height, width), (full_height, full_width) = flow.shape[2:], truth.shape[2:]
    factor = full_height // height
    known = truth.isfinite().all(dim=1, keepdim=True).to(flow.dtype)
    filled = truth.nan_to_num(0)
    share = F.avg_pool2d(known, factor) if factor > 1 else known
    mean = (F.avg_pool2d(filled, factor) if factor > 1 else filled) / share.clamp(min=1e-6)
    weight = (share > 0.5).to(flow.dtype)
    half = flow.new_tensor([(width - 1) / 2, (height - 1) / 2])[:, None, None]
    full_half = flow.new_tensor([(full_width - 1) / 2, (full_height - 1) / 2])[:, None, None]
    places = ((flow + 1) * half + 0.5) * factor - 0.5
    wanted = (mean + 1) * full_half
    distance = (places - wanted).abs().sum(dim=1, keepdim=True) * (REFERENCE_HEIGHT / full_height)
    return region_mean((distance + FLOW_EPSILON) ** FLOW_POWER, weight)


def region_l1(first: Tensor, second: Tensor, region: Tensor) -> Tensor:
    """Mean absolute difference of two pictures [N, 3, H, W] where `region` [N, 1, H, W] is 1."""
    return region_mean((first - second).abs().mean(dim=1, keepdim=True), region)


def gradient_l1(first: Tensor, second: Tensor) -> Tensor:
    """L1 of horizontal and vertical differences of two pictures."""
    difference = first - second
    return difference.diff(dim=3).abs().mean() + difference.diff(dim=2).abs().mean()


def window_sum(x: Tensor) -> Tensor:
    """Sum of a picture [N, C, H, W] over windows of `WINDOW` pixels, which end at the border.

    Depthwise convolutions: pooling takes ten times as long on a CPU.
    """
    channels, reach = x.shape[1], WINDOW // 2
    ones = x.new_ones(channels, 1, WINDOW, 1)
    rows = F.conv2d(x, ones, padding=(reach, 0), groups=channels)
    return F.conv2d(rows, ones.mT, padding=(0, reach), groups=channels)


def window_mean(x: Tensor) -> Tensor:
    """Mean of a picture [N, C, H, W] over such windows."""
    return window_sum(x) / window_sum(torch.ones_like(x[:1, :1]))


def structural_distance(first: Tensor, second: Tensor, region: Tensor) -> Tensor:
    """Mean of (1 - SSIM) / 2 where `region` [N, 1, H, W] is 1, of pictures [N, 3, H, W] in [-1, 1], equal
    outside.

    Prints that lie a few pixels off show here, folds and light hardly. SSIM of Wang et al. (IEEE TIP 2004)
    in even windows, as a photometric loss after Godard et al. (CVPR 2017).
    """
    x, y = (torch.where(region > 0, first, second) + 1) / 2, (second + 1) / 2
    averages = window_mean(torch.cat([x, y, x * x, y * y, x * y], dim=1))
    mean_x, mean_y, square_x, square_y, product = averages.chunk(5, dim=1)
    c1, c2 = 0.01**2, 0.03**2
    means = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    variances = square_x + square_y - mean_x.square() - mean_y.square()
    structure = (2 * (product - mean_x * mean_y) + c2) / (variances + c2)
    return region_mean(((1 - means * structure) / 2).mean(dim=1, keepdim=True), region)


def dilate(mask: Tensor, reach: int) -> Tensor:
    """The largest value of a mask within `reach` pixels across and down."""
    side = 2 * reach + 1
    return F.max_pool2d(F.max_pool2d(mask, (1, side), 1, (0, reach)), (side, 1), 1, (reach, 0))


def hidden_region(garment: Tensor) -> Tensor:
    """Gaps in the seen garment [N, 1, H, W] as wide as an arm: the flow may show the garment there or not."""
    reach = max(1, round(REACH * garment.shape[2] / REFERENCE_HEIGHT))
    closed = -dilate(-dilate(garment, reach), reach)
    return (closed - garment).clamp(min=0)


def truth_warp_terms(
    warped: WarpOutput, inputs: TruthInputs, *, structure: float = WARPED_STRUCTURE
) -> dict[str, Tensor]:
    """The warp's losses: flows at every level, the warped cloth where the garment is seen, the warped
    edge.

    `structure` is the weight of the structural term on the warped cloth.
    """
    weights = LEVEL_WEIGHTS[-len(warped.levels) :]
    levels = zip(weights, warped.levels, strict=True)
    flow = total(weight * flow_distance(level.flow, inputs.flow) for weight, level in levels)
    assert warped.edge is not None, 'training gives an edge'
    decided = 1 - hidden_region(inputs.garment)
    return {
        'flow': FLOW * flow,
        'cloth_l1': WARPED_CLOTH * region_l1(warped.cloth, inputs.target, inputs.garment),
        'cloth_structure': structure * structural_distance(warped.cloth, inputs.target, inputs.garment),
        'edge_l1': WARPED_EDGE * region_l1(warped.edge, inputs.garment, decided),
    }


def rendered_l1(generated: Tensor, inputs: TruthInputs, weight: Tensor) -> Tensor:
    """Distance of the rendered picture in the generator's raw output [N, 4 or 5, H, W] to the target.

    `weight` [N, 1, H, W] says how much a pixel counts.
    """
    return RENDERED * ((torch.tanh(generated[:, :3]) - inputs.target).abs() * weight).mean()


def truth_picture_terms(tryon: TryOn, generated: Tensor, inputs: TruthInputs) -> dict[str, Tensor]:
    """The generator's losses on what is seen; `generated` [N, 4 or 5, H, W] is its raw output."""
    outside = inputs.kept * IN_KEPT + (1 - inputs.kept) * REPAINTED
    weight = inputs.garment * IN_GARMENT + (1 - inputs.garment) * outside
    return {
        'tryon_l1': PICTURE * (tryon.image - inputs.target).abs().mean(),
        'tryon_gradient': GRADIENT * gradient_l1(tryon.image, inputs.target),
        'tryon_structure': STRUCTURE * structural_distance(tryon.image, inputs.target, 1 - inputs.kept),
        'rendered_l1': rendered_l1(generated, inputs, weight),
    }


def truth_mask_terms(generated: Tensor, inputs: TruthInputs) -> dict[str, Tensor]:
    """The losses of the generator's masks, which are logits in its raw output [N, 4 or 5, H, W]."""
    mask = generated[:, 3:4]
    terms = {
        'garment_mask': MASK * F.binary_cross_entropy_with_logits(mask, inputs.garment),
        'garment_pull': MASK_PULL * region_l1(torch.sigmoid(mask), inputs.garment, inputs.garment),
    }
    if generated.shape[1] > 4:
        weight = 1 + (KEPT_WRONGLY - 1) * (1 - inputs.kept)
        keep = F.binary_cross_entropy_with_logits(generated[:, 4:5], inputs.kept, weight=weight)
        terms['keep_mask'] = MASK * keep
    return terms


def bare_term(generated: Tensor, inputs: TruthInputs) -> Tensor:
    """Of photographs: the rendered picture where the old garment came off and no new one lies, as the teacher
    drew it.

    `generated` [N, 4 or 5, H, W] is the generator's raw output, `inputs.target` the teacher's picture.
    """
    bare = (1 - inputs.kept) * (1 - inputs.garment)
    return rendered_l1(generated, inputs, REPAINTED * bare)


def curvature_term(warped: WarpOutput) -> Tensor:
    """Smoothness of all flows, for photographs, whose true flow is unknown.

    Mean size of second differences, in pixels of pictures 128 high.
    """
    total = warped.flow.new_zeros(())
    for weight, level in zip(LEVEL_WEIGHTS[-len(warped.levels) :], warped.levels, strict=True):
        height, width = level.flow.shape[2:]
        half = level.flow.new_tensor([(width - 1) / 2, (height - 1) / 2])[:, None, None]
        pixels = level.flow * half * (REFERENCE_HEIGHT / height)
        if level is warped.levels[-1]:  # enlarged by interpolation, which has no curvature within its cells
            pixels = F.avg_pool2d(pixels, max(1, height // 32))
        total = total + weight * (second_differences(pixels).square() + CURVATURE_EPSILON).sqrt().mean()
    return CURVATURE * total
