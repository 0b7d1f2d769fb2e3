"""Compare a training step of the student with its plain formulation: time and memory of stage 4, forward and backward.

    python -m benchmarks.student_step --dataroot synthetic/VITON_traindata [--device cuda] [--batch 6] [--teacher fs_vton]

In the plain formulation the teacher builds its graph though nobody asks for its gradients, encodes the person's condition once
a garment, and masks are made by NumPy on the CPU. Losses are the same. Both are timed in turn, so that whatever else the machine
does hits both, and medians are printed; memory is the most that tensors of one step hold beside networks and batch.
"""

import argparse
import statistics
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data.batch import TrainingInputs
from data.labels import ARMS, CLOTH, DENSEPOSE_ARMS, DENSEPOSE_HANDS, FACE, OTHERS, DensePosePart
from data.viton import VITONDataset, create_loader
from engine.profiling import MEGA, peak_memory
from engine.stages import PFEndToEnd, Stage, Supervision, Teacher, create_stage
from models import compose
from opt.base_opt import add_device_option
from utils.device import describe_device, select_device, synchronise
from utils.errors import exit_cleanly


class PlainTeacher(Teacher):
    """Runs both garments through the whole network, with a graph that lives until the step is over."""

    def forward(self, inputs: TrainingInputs) -> Supervision:
        with torch.enable_grad():
            fake = self.warp(inputs.condition, inputs.unpaired_cloth, inputs.unpaired_edge)
            warped = self.warp(inputs.condition, inputs.cloth, inputs.edge, keep_levels=True)
            bare_arms = inputs.arms * (1 - fake.edge)
            generated = self.generator(torch.cat([inputs.preserved, fake.cloth, fake.edge, bare_arms], dim=1))
            fake_person = compose(fake, generated).image
        self.graph = fake_person, warped
        levels = tuple(type(level)._make(x.detach() for x in level) for level in warped.levels)
        return Supervision(fake_person.detach(), fake.edge.detach(), warped._replace(cloth=warped.cloth.detach(), levels=levels))


class PlainStep(PFEndToEnd):
    """Stage 4 in its plain formulation."""

    @staticmethod
    def prepare(batch: Mapping[str, Any]) -> TrainingInputs:
        device = batch['image'].device
        arrays = {name: value.cpu().numpy() for name, value in batch.items() if isinstance(value, Tensor)}
        label, parts = arrays['label'], arrays['densepose']
        edge, unpaired_edge = ((arrays[name] > 0.5).astype(np.float32) for name in ('edge', 'edge_un'))
        cloth, face, others = (np.isin(label, list(group)).astype(np.float32) for group in (CLOTH, FACE, OTHERS))
        hand = (np.isin(label, list(ARMS)) & np.isin(parts, list(DENSEPOSE_HANDS))).astype(np.float32)
        one_hot = np.concatenate([parts == part for part in DensePosePart], axis=1).astype(np.float32)
        person = arrays['image']
        derived = TrainingInputs(
            person=person,
            cloth=arrays['color'] * edge,
            edge=edge,
            unpaired_cloth=arrays['color_un'] * unpaired_edge,
            unpaired_edge=unpaired_edge,
            person_cloth=person * cloth,
            person_cloth_mask=cloth,
            face=face,
            others=others,
            hand=hand,
            preserved=person * (face + others + hand),
            arms=np.isin(parts, list(DENSEPOSE_ARMS)).astype(np.float32),
            condition=np.concatenate([face, others, one_hot, arrays['pose']], axis=1),
        )
        return TrainingInputs._make(torch.from_numpy(array).to(device) for array in derived)


def plain_twin(stage: Stage) -> PlainStep:
    """The plain formulation on the same networks."""
    plain = PlainStep(dict(stage.networks), niter=stage.niter, perceptual=stage.perceptual)
    plain.teacher = PlainTeacher(*(stage.networks[name] for name in stage.frozen))
    return plain


def run(stage: Stage, batch: Mapping[str, Any]) -> float:
    """One step with gradients; returns its loss."""
    plain = isinstance(stage, PlainStep)
    if plain:
        stage.teacher.requires_grad_(True)
    result = stage.step(batch, epoch=1)
    result.loss.backward()
    loss = result.loss.item()
    for network in stage.networks.values():
        network.zero_grad(set_to_none=True)
    if plain:
        stage.teacher.requires_grad_(False)
        stage.teacher.graph = None
    return loss


def compare(stages: Mapping[str, Stage], batch: Mapping[str, Any], *, steps: int, device: torch.device) -> None:
    """Print time, memory and loss of each, and their ratios."""
    times: dict[str, list[float]] = {name: [] for name in stages}
    losses = {}
    for turn in range(steps + 1):
        for name, stage in stages.items():
            synchronise(device)
            start = time.perf_counter()
            losses[name] = run(stage, batch)
            synchronise(device)
            if turn:  # the first turn warms up
                times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in times.items()}
    memory = {name: peak_memory(run, stage, batch, device=device) / MEGA for name, stage in stages.items()}
    first = next(iter(stages))
    print(f'{"":12}{"time, s":>10}{"ratio":>8}{"memory, MB":>12}{"ratio":>8}{"loss":>10}')
    for name in stages:
        ratios = medians[name] / medians[first], memory[name] / memory[first]
        print(f'{name:12}{medians[name]:10.3f}{ratios[0]:8.2f}{memory[name]:12.0f}{ratios[1]:8.2f}{losses[name]:10.4f}')


@exit_cleanly
def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--dataroot', required=True, help='training set in the VITON layout')
    add_device_option(parser)
    parser.add_argument('--batch', type=int, default=2)
    parser.add_argument('--size', type=int, nargs=2, default=(256, 192), metavar=('H', 'W'))
    parser.add_argument('--teacher', default='fs_vton')
    parser.add_argument('--student', default='dm_vton')
    parser.add_argument('--steps', type=int, default=5)
    options = parser.parse_args(arguments)
    device = select_device(options.device)
    dataset = VITONDataset(options.dataroot, 'train', size=tuple(options.size), check=False)
    batch = next(iter(create_loader(dataset, batch_size=options.batch, workers=0)))
    batch = {name: value.to(device) if isinstance(value, Tensor) else value for name, value in batch.items()}
    torch.manual_seed(0)
    stage = create_stage('pf_e2e', teacher=options.teacher, student=options.student).to(device)
    print(
        f'{options.teacher} teaches {options.student}, batch {options.batch}, {options.size[0]} x {options.size[1]}, float32, '
        f'without perceptual terms, {options.steps} steps, {describe_device(device)}'
    )
    compare({'plain': plain_twin(stage), 'this code': stage}, batch, steps=options.steps, device=device)


if __name__ == '__main__':
    main()
