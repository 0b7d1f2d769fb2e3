"""Made-up inputs of the right shapes and ranges: pictures for a try-on, a batch for a training stage."""

import torch
from torch import Tensor

from data.labels import CHANGED, GARMENT, KEPT


def made_up_pictures(
    count: int, size: tuple[int, int], device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Noise for persons and cloths [N, 3, H, W] in [-1, 1], and a rectangle for the edges [N, 1, H, W]."""
    generator = torch.Generator().manual_seed(0)
    person, cloth = (torch.rand(count, 3, *size, generator=generator) * 2 - 1 for _ in range(2))
    edge = torch.zeros(count, 1, *size)
    edge[:, :, size[0] // 6 : -size[0] // 6, size[1] // 5 : -size[1] // 5] = 1
    return person.to(device), cloth.to(device), edge.to(device)


def made_up_batch(count: int, size: tuple[int, int], device: torch.device) -> dict[str, Tensor]:
    """A batch with the keys, shapes and ranges of a loader with truths, of noise and random ids."""
    generator = torch.Generator().manual_seed(0)

    def noise(channels: int) -> Tensor:
        return torch.rand(count, channels, *size, generator=generator)

    batch = {name: noise(3) * 2 - 1 for name in ('image', 'color', 'color_un')}
    batch |= {name: (noise(1) > 0.5).float() for name in ('edge', 'edge_un')}
    batch |= {'label': (noise(1) * 14).floor(), 'densepose': (noise(1) * 25).floor()}
    batch['pose'] = torch.where(noise(18) > 0.99, 1.0, -1.0)
    batch |= {'truth': noise(3) * 2 - 1, 'truth_label': (noise(1) * 14).floor()}
    batch['truth_mask'] = torch.tensor([KEPT, CHANGED, GARMENT])[(noise(1) * 3).long()].float()
    batch |= {name: noise(2) * 2 - 1 for name in ('own_flow', 'truth_flow')}
    batch['is_made'] = torch.zeros(count)
    return {name: value.to(device) for name, value in batch.items()}
