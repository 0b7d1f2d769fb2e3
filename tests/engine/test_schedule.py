"""Learning rates over the epochs and the optimisers that get them."""

import pytest
import torch
from torch import nn

from engine.schedule import (
    OPTIMIZERS,
    create_optimizer,
    decay_factor,
    load_optimizer,
    parameters_of,
    set_learning_rates,
)
from utils.errors import UserError


def make(name: str = 'Adam', *, lr: float = 0.1, momentum: float = 0.5):
    networks = {'warp': nn.Linear(2, 1), 'gen': nn.Linear(2, 1)}
    return create_optimizer(
        name, networks, lr=lr, momentum=momentum, lr_scale={'warp': 0.2, 'gen': 1.0}
    ), networks


def test_the_factor_is_one_for_niter_epochs_and_falls_in_equal_steps_after_them():
    factors = [decay_factor(finished, niter=50, niter_decay=50) for finished in range(101)]
    assert factors[:51] == [1.0] * 51
    assert factors[51:] == pytest.approx([1 - late / 50 for late in range(1, 51)])
    assert factors[99] == pytest.approx(0.02) and factors[100] == 0.0


@pytest.mark.parametrize(
    ('niter', 'niter_decay', 'factors'),
    [(3, 0, [1, 1, 1, 1, 0]), (0, 4, [1, 0.75, 0.5, 0.25, 0]), (1, 1, [1, 1, 0, 0, 0])],
)
def test_either_number_of_epochs_may_be_none_at_all(niter, niter_decay, factors):
    assert [decay_factor(finished, niter=niter, niter_decay=niter_decay) for finished in range(5)] == factors


@pytest.mark.parametrize('name', OPTIMIZERS)
def test_each_network_has_its_share_of_the_rate_and_both_follow_the_factor(name):
    optimizer, networks = make(name)
    assert [group['lr'] for group in optimizer.param_groups] == pytest.approx([0.02, 0.1])
    assert set_learning_rates(optimizer, 0.5) == pytest.approx({'warp': 0.01, 'gen': 0.05})
    assert set_learning_rates(optimizer, 1.0) == pytest.approx({'warp': 0.02, 'gen': 0.1})
    assert set(map(id, parameters_of(optimizer))) == {
        id(p) for network in networks.values() for p in network.parameters()
    }


def test_the_settings_are_those_of_the_paper():
    adam, adamw, sgd = (make(name)[0].param_groups[0] for name in ('Adam', 'AdamW', 'SGD'))
    assert adam['betas'] == adamw['betas'] == (0.5, 0.999)
    assert adam['weight_decay'] == adamw['weight_decay'] == sgd['weight_decay'] == 0
    assert sgd['nesterov'] and sgd['momentum'] == 0.5


def test_an_unknown_optimizer_and_sgd_without_momentum_are_refused():
    with pytest.raises(UserError, match="no optimizer 'adam'; choose from Adam, AdamW, SGD"):
        make('adam')
    with pytest.raises(UserError, match='needs a momentum above 0'):
        make('SGD', momentum=0.0)


def test_a_loaded_optimizer_has_the_moments_of_the_file_and_the_settings_of_now():
    first, networks = make(lr=0.1, momentum=0.5)
    (networks['warp'](torch.ones(1, 2)) + networks['gen'](torch.ones(1, 2))).sum().backward()
    first.step()
    set_learning_rates(first, 0.3)
    second, _ = make(lr=0.01, momentum=0.9)
    load_optimizer(second, first.state_dict())
    assert set_learning_rates(second, 1.0) == pytest.approx({'warp': 0.002, 'gen': 0.01})
    assert second.param_groups[0]['betas'][0] == 0.9
    moments = [state['exp_avg'] for state in second.state_dict()['state'].values()]
    assert len(moments) == 4 and all(x.abs().sum() > 0 for x in moments)
