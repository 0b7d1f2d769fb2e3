"""Polishing: the generator of an end-to-end stage learns on alone, on garments that are warped once."""

import pytest
import torch

from engine.saving import network_writer
from engine.settings import TrainSettings
from engine.stages import STAGES, create_stage
from models.checkpoint import load_network, read_checkpoint
from scripts import polish_generator
from synthetic.dataset import write_dataset

SIZE = (64, 64)
FAMILIES = {'teacher': 'dm_vton', 'student': 'dm_vton'}


@pytest.fixture(scope='module')
def folder(module_path):
    """Two drawn records, and the four networks of a stage as initialised."""
    write_dataset(module_path / 'set', train=2, test=0, seed=3, size=SIZE, progress=False)
    torch.manual_seed(0)
    stage = create_stage('pf_e2e', **FAMILIES)
    write = network_writer(stage, TrainSettings(stage='pf_e2e', **FAMILIES, align_corners=True, size=SIZE))
    for name in stage.networks:
        write(module_path / f'{name}.pt', name=name, extra={})
    return module_path


def command(stage, folder, **more):
    options = {'dataroot': folder / 'set' / 'VITON_traindata', 'out': 'out.pt', 'teacher': 'dm_vton', 'device': 'cpu'}
    options |= {'workers': 0, 'batch_size': 2, 'steps': 12, 'lr': 2e-3}
    options |= {f'{name}_checkpoint': folder / f'{name}.pt' for name in STAGES[stage].network_names()} | more
    words = [stage, '--size', *SIZE]
    for name, value in options.items():
        words += [f'--{name}', value]
    return [str(word) for word in words]


@pytest.mark.parametrize('stage', polish_generator.END_TO_END)
def test_a_polished_generator_draws_its_records_better_and_is_a_checkpoint_like_any(stage, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    losses = []

    def watched(generator, records, **settings):
        assert {len(x) for x in records.values()} == {2} and ('skin' in records) == (stage == 'pf_e2e')
        for name, steps in (('before', 1), ('all', settings['steps'])):
            lr = 0.0 if name == 'before' else settings['lr']
            polish(generator, records, **settings | {'steps': steps, 'lr': lr})
            losses.append((generator(records['input'].float()).tanh()[:, :3] - records['person'].float()).abs().mean().item())

    polish = polish_generator.polish
    monkeypatch.setattr(polish_generator, 'polish', watched)
    name = STAGES[stage].network_names()[-1]
    assert not polish_generator.main(command(stage, folder))
    assert losses[1] < 0.9 * losses[0]
    role = 'teacher' if stage == 'pb_e2e' else 'student'
    polished, first = (
        load_network(file, part='generator', family='dm_vton', role=role)[0] for file in ('out.pt', folder / f'{name}.pt')
    )
    assert any(not torch.equal(a, b) for a, b in zip(polished.parameters(), first.parameters(), strict=True))
    assert read_checkpoint('out.pt')[1].size == SIZE


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ({'out': 'nowhere/out.pt'}, 'in a folder that exists'),
        ({'out': 'out.txt'}, 'ends in .pt'),
        ({'lr': 0}, 'lr'),
        ({'pb_gen_checkpoint': 'missing.pt'}, 'missing.pt'),
    ],
)
def test_what_cannot_be_polished_is_refused_with_one_line(change, said, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        polish_generator.main(command('pb_e2e', folder, **change))
    assert exit_.value.code == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith('error: ') and said in error
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_is_not_given_is_named(folder, capsys):
    words = command('pf_e2e', folder)
    place = words.index('--pf_warp_checkpoint')
    with pytest.raises(SystemExit):
        polish_generator.main(words[:place] + words[place + 2 :])
    assert '--pf_warp_checkpoint needed' in capsys.readouterr().err
