"""Runs begun with the published training code go on here: weights, optimiser, epoch and best FID."""

import numpy as np
import pytest
import torch

from engine.published_runs import published_state
from engine.saving import network_writer
from engine.settings import TrainSettings
from engine.stages import create_stage
from engine.trainer import Trainer
from opt.resuming import Source, find_source
from opt.train_opt import parse_train_options
from utils.errors import CheckpointError, UserError

pytestmark = pytest.mark.usefixtures('one_thread')
FILTERS = 'aflow_net.weight'


class PublishedNetwork:
    """A network as the published code trains it: an Adam of its own, constant filters among the
    parameters.
    """

    def __init__(self, network, lr: float):
        self.network = network
        parameters = list(network.named_parameters())
        place = next(
            (number for number, (name, _) in enumerate(parameters) if name.startswith('aflow_net')), None
        )
        if place is not None:
            parameters.insert(
                place, (FILTERS, torch.nn.Parameter(torch.zeros(4, 1, 3, 3), requires_grad=False))
            )
        self.optimizer = torch.optim.Adam(
            [parameter for _, parameter in parameters], lr=lr, betas=(0.5, 0.999)
        )
        self.has_filters = place is not None

    def step(self, seed: int) -> None:
        """One step along made-up gradients."""
        give_gradients(self.network, seed)
        self.optimizer.step()

    def content(self, **numbers) -> dict:
        """What the published code saves."""
        state = {}
        for name, x in self.network.state_dict().items():
            if self.has_filters and name.startswith('aflow_net') and FILTERS not in state:
                state[FILTERS] = torch.zeros(4, 1, 3, 3)
            state[name] = x.clone()
        return {'model': state, 'optimizer': self.optimizer.state_dict(), **numbers}


def give_gradients(network, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


@pytest.fixture(scope='module')
def published(module_path):
    """The folder of a published run of stage pb_e2e after two steps, three epochs as it says; and its
    networks.
    """
    torch.manual_seed(5)
    stage = create_stage('pb_e2e', teacher='dm_vton')
    rates = {'pb_warp': 0.2e-3, 'pb_gen': 1e-3}
    networks = {name: PublishedNetwork(network, rates[name]) for name, network in stage.networks.items()}
    (module_path / 'run' / 'weights').mkdir(parents=True)
    for name, network in networks.items():
        for seed in (1, 2):
            network.step(seed)
        content = network.content(epoch=3, best_fid=np.float64(28.5))
        torch.save(content, module_path / 'run' / 'weights' / f'{name}_last.pt')
    return module_path / 'run', networks


def make_trainer(toy, folder, **source) -> Trainer:
    settings = TrainSettings(stage='pb_e2e', teacher='dm_vton', lr=1e-3, size=(64, 64), **source)
    stage = create_stage('pb_e2e', teacher='dm_vton')
    loader = toy.make_trainer(folder, toy.ToyStage()).loader
    return Trainer(stage, loader, settings, folder=folder, save_network=network_writer(stage, settings))


def files_of(folder) -> dict:
    return {name: folder / 'weights' / f'{name}_last.pt' for name in ('pb_warp', 'pb_gen')}


def test_a_published_run_goes_on_where_it_stopped(toy, published, tmp_path):
    folder, networks = published
    before = {file: file.read_bytes() for file in files_of(folder).values()}
    trainer = make_trainer(toy, tmp_path, begun={name: str(file) for name, file in files_of(folder).items()})
    assert (trainer.epoch, trainer.step, trainer.best, trainer.validated) == (3, 2, 28.5, 3)
    for name, theirs in networks.items():
        ours = trainer.stage.networks[name]
        assert all(
            torch.equal(x, y) for x, y in zip(ours.parameters(), theirs.network.parameters(), strict=True)
        )
        give_gradients(ours, seed=3)
        theirs.step(seed=3)
    trainer.optimizer.step()
    for name, theirs in networks.items():
        for (key, x), y in zip(
            trainer.stage.networks[name].named_parameters(), theirs.network.parameters(), strict=True
        ):
            torch.testing.assert_close(x, y, rtol=0, atol=1e-9, msg=f'{name} {key}')
    (tmp_path / 'weights').mkdir()
    trainer._save('last')
    again = make_trainer(toy, tmp_path, run=str(tmp_path))
    assert (again.epoch, again.step, again.best) == (3, 2, 28.5)
    assert {file: file.read_bytes() for file in files_of(folder).values()} == before, (
        'the published files are touched'
    )


def test_a_published_run_is_named_by_its_folder_a_file_of_it_or_all_files(published, tmp_path):
    folder, _ = published
    files = files_of(folder)
    given = [word for name, file in files.items() for word in (f'--{name}_checkpoint', str(file))]
    new = ['--project', str(tmp_path)]
    for words in (
        [str(folder)],
        [str(folder / 'weights')],
        [str(files['pb_warp'])],
        [str(files['pb_gen'])],
        [*given],
    ):
        assert find_source([*new, '--resume', *words], 'pb_e2e') == Source(begun=files)
    settings = parse_train_options('pb_e2e', [*new, '--dataroot', 'data', '--resume', str(folder)])
    assert (
        settings.continues
        and settings.run is None
        and settings.begun == {n: str(f) for n, f in files.items()}
    )
    (tmp_path / 'mine_pb_warp.pt').write_bytes(files['pb_warp'].read_bytes())
    assert find_source(['--resume', str(tmp_path / 'mine_pb_warp.pt')], 'pb_warp').begun.keys() == {'pb_warp'}
    with pytest.raises(UserError, match='trains pb_gen, too; put its checkpoint beside, as mine_pb_gen.pt'):
        find_source(['--resume', str(tmp_path / 'mine_pb_warp.pt')], 'pb_e2e')


def test_a_file_whose_optimiser_or_epoch_does_not_fit_is_refused_in_one_line(published, tmp_path):
    _, networks = published
    settings = TrainSettings(stage='pb_e2e', teacher='dm_vton')
    stage = create_stage('pb_e2e', teacher='dm_vton')
    contents = {name: network.content(epoch=3) for name, network in networks.items()}
    other = torch.optim.Adam([torch.zeros(1, requires_grad=True)]).state_dict()
    for changes, words in (
        ({'epoch': 4}, 'different epochs'),
        ({'optimizer': other}, 'its optimiser has 1 parameters'),
    ):
        files = {name: tmp_path / f'{name}.pt' for name in contents}
        for name, content in contents.items():
            torch.save(content | (changes if 'gen' in name else {}), files[name])
        with pytest.raises(CheckpointError, match=words):
            published_state(files, stage, settings)
