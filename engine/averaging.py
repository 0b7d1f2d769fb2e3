"""The average of a network's weights over its training steps, calmer than the weights of any one step.

Exponential: Polyak & Juditsky (SIAM J. Control Optim. 1992), mean teacher (Tarvainen & Valpola, 2017).
"""

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn


class Average:
    """Averages of trained networks by name: each step moves them by 1 - `decay`, faster in the beginning."""

    def __init__(self, networks: Mapping[str, nn.Module], *, decay: float):
        self.networks, self.decay, self.steps = dict(networks), decay, 0
        self.averages = {name: self._copy(network) for name, network in networks.items()}

    @staticmethod
    def _copy(network: nn.Module) -> dict[str, Tensor]:
        return {name: x.detach().clone() for name, x in network.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take a step's weights and running statistics into the averages."""
        share = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, network in self.networks.items():
            for key, x in network.state_dict().items():
                average = self.averages[name][key]
                if x.is_floating_point():
                    average.lerp_(x, share)
                else:
                    average.copy_(x)
        self.steps += 1

    @contextlib.contextmanager
    def in_place(self, name: str) -> Iterator[nn.Module]:
        """The network with its average weights, for as long as the block lasts."""
        network, own = self.networks[name], self._copy(self.networks[name])
        network.load_state_dict(self.averages[name])
        try:
            yield network
        finally:
            network.load_state_dict(own)

    def state_dict(self) -> dict:
        """State for `load_state_dict`."""
        return {'steps': self.steps, 'averages': self.averages}

    def load_state_dict(self, state: Mapping) -> None:
        """Continue from a `state_dict()`."""
        self.steps = state['steps']
        for name, tensors in state['averages'].items():
            for key, x in tensors.items():
                self.averages[name][key].copy_(x)
