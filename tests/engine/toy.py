"""A stage of two tiny networks on made-up records: batch norm and dropout, so that running statistics and
draws matter.
"""

from pathlib import Path

import torch
from torch import nn
from torch.utils.data import Dataset

from data.viton import EpochShuffle, create_loader
from engine.base_stage import Stage
from engine.distributed import Process, Share, seed_everything
from engine.settings import TrainSettings
from engine.trainer import Trainer


class ToySet(Dataset):
    """Records that depend on epoch and index; `loaded` lists those that were read, by epoch and index."""

    def __init__(self, length: int):
        self.length = length
        self.shared = torch.zeros((), dtype=torch.int64).share_memory_()
        self.loaded = []

    epoch = property(lambda self: int(self.shared))

    def set_epoch(self, epoch: int) -> None:
        self.shared.fill_(epoch)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict:
        self.loaded.append((self.epoch, index))
        generator = torch.Generator().manual_seed(1000 * self.epoch + index)
        picture = torch.rand(3, 8, 8, generator=generator) * 2 - 1
        return {'image': picture, 'target': picture.mean(), 'person_name': f'{index}.jpg'}


class ToyStage(Stage):
    """Learns the mean of a picture. `spoil(stage, batch)` may do anything before a step, and change its
    batch.
    """

    lr_scale = {'near': 1.0, 'far': 0.2}

    def __init__(self, *, noise: float = 0.3, spoil=None):
        seed_everything(7)
        near = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(noise), nn.ReLU())
        far = nn.Sequential(nn.Flatten(), nn.Linear(144, 1))
        self.spoil = spoil
        self.steps = []  # (epoch, names) of each
        super().__init__({'near': near, 'far': far}, niter=2, perceptual=None)

    def step(self, batch, epoch):
        self.steps.append((epoch, batch['person_name']))
        if self.spoil:
            self.spoil(self, batch)
        guess = self.modules['far'](self.modules['near'](batch['image'])).squeeze(1)
        square, length = (guess - batch['target']).square().mean(), 0.01 * guess.abs().mean()
        panels = {'person': batch['image'], 'guess': guess[:, None, None, None].expand_as(batch['image'])}
        return self.result(square + length, {'square': square, 'length': length}, panels)


def make_trainer(
    folder: Path,
    stage: ToyStage | None = None,
    *,
    records=6,
    batch_size=2,
    workers=0,
    process=None,
    resume=False,
    validate=None,
    **settings,
):
    """A trainer of the toy stage, four epochs of three steps if not told otherwise."""
    process = process or Process()
    folder.mkdir(exist_ok=True)
    stage = stage or ToyStage()
    dataset = ToySet(records)
    share = Share(EpochShuffle(dataset, seed=3), process=process)
    loader = create_loader(dataset, batch_size=batch_size, workers=workers, sampler=share)

    def save_network(path, name, extra):
        with open(path, 'wb') as file:
            torch.save({'model': stage.networks[name].state_dict(), **extra}, file)

    settings = {'niter': 2, 'niter_decay': 2, 'lr': 0.01, 'print_step': 1, 'sample_step': 0} | settings
    settings = TrainSettings(stage='toy', run=str(folder) if resume else None, **settings)
    parts = {'save_network': save_network, 'process': process, 'validate': validate}
    return Trainer(stage, loader, settings, folder=folder, **parts)


def everything(trainer: Trainer) -> list[torch.Tensor]:
    """All weights, running statistics and optimiser moments of a trainer, in one order."""
    tensors = [
        x for name in trainer.stage.lr_scale for x in trainer.stage.networks[name].state_dict().values()
    ]
    for state in trainer.optimizer.state_dict()['state'].values():
        tensors += [x for x in state.values() if torch.is_tensor(x)]
    return [x.clone() for x in tensors]


def same(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    """Whether two lists of tensors are equal bit for bit."""
    return len(first) == len(second) > 0 and all(
        torch.equal(x, y) for x, y in zip(first, second, strict=True)
    )
