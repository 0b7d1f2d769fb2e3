"""test.py from end to end: four families, file formats, names, metrics, and bad input of every kind."""

import importlib.util
import json
import shutil
import sys
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from models import FAMILIES, create_generator, create_warp
from models.checkpoint import save_checkpoint

ROOT = Path(__file__).parents[1]
PAIRS = [('000001_0.jpg', '000002_1.jpg'), ('000002_0.jpg', '000003_1.jpg'), ('000003_0.jpg', '000001_1.jpg')]
SMALL = ['--size', '64', '64']


@pytest.fixture(scope='module')
def run_script():
    """test.py's main function. Its name is also that of a package of Python's own, so it is loaded by its
    path.
    """
    spec = importlib.util.spec_from_file_location('try_on_script', ROOT / 'test.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def write_test_set(root: Path, pairs=PAIRS, size=(64, 64)) -> Path:
    """A test set of plain shapes: a person is a ramp of her own colour, a garment a square on white."""
    for kind in ('img', 'color', 'edge'):
        (root / f'test_{kind}').mkdir(parents=True)
    for index, name in enumerate(dict.fromkeys(person for person, _ in pairs)):
        ramp = np.tile(np.linspace(40 * index, 255, size[1])[None, :, None], (size[0], 1, 3)).astype(np.uint8)
        Image.fromarray(ramp).save(root / 'test_img' / name, quality=95)
    for index, name in enumerate(dict.fromkeys(garment for _, garment in pairs)):
        edge = np.zeros(size, np.uint8)
        edge[size[0] // 4 : -size[0] // 4, size[1] // 4 : -size[1] // 4] = 255
        color = np.where(edge[..., None] > 0, (200, 60 * index, 30), 255).astype(np.uint8)
        Image.fromarray(color).save(root / 'test_color' / name, quality=95)
        Image.fromarray(edge).save(root / 'test_edge' / name, quality=95)
    (root / 'test_pairs.txt').write_text(''.join(f'{person} {garment}\n' for person, garment in pairs))
    return root


@pytest.fixture(scope='module')
def networks():
    torch.manual_seed(0)
    return create_warp('mobile_afwm', 'student').eval(), create_generator('mobile_unet', 'student').eval()


@pytest.fixture(scope='module')
def checkpoints(networks, module_path):
    for network, name in zip(networks, ('warp.pt', 'gen.pt'), strict=True):
        torch.save(network.state_dict(), module_path / name)
    return module_path


@pytest.fixture
def command(checkpoints, tmp_path):
    """A command line that works, on a set and a run folder of its own."""
    root = write_test_set(tmp_path / 'set')
    return Command(root, checkpoints, tmp_path / 'runs')


class Command:
    def __init__(self, root: Path, checkpoints: Path, project: Path):
        self.options = {
            '--dataroot': root,
            '--pf_warp_checkpoint': checkpoints / 'warp.pt',
            '--pf_gen_checkpoint': checkpoints / 'gen.pt',
            '--project': project,
            '--device': 'cpu',
            '--batch_size': 2,
            '--workers': 0,
        }

    def arguments(self, *more, **changes) -> list[str]:
        options = self.options | {f'--{name}': value for name, value in changes.items()}
        line = [str(word) for name, value in options.items() if value is not None for word in (name, value)]
        return [*line, *map(str, more)]

    @property
    def project(self) -> Path:
        return Path(self.options['--project'])

    @property
    def root(self) -> Path:
        return Path(self.options['--dataroot'])


NO_METRICS = [*SMALL, '--metrics']


def test_a_run_leaves_pictures_a_sheet_a_log_and_numbers(run_script, command, capsys):
    run_script(command.arguments(*SMALL, '--metrics', 'ssim', 'runtime', 'cost'))
    run = command.project / 'exp'
    for folder in ('tryon', 'measured', 'visualize'):
        assert sorted(file.name for file in (run / 'results' / folder).iterdir()) == [
            person for person, _ in PAIRS
        ]
    assert Image.open(run / 'results' / 'tryon' / PAIRS[0][0]).size == (64, 64)
    assert Image.open(run / 'results' / 'visualize' / PAIRS[0][0]).size == (4 * 64 + 3 * 4, 64)
    assert (run / 'results' / 'contact_sheet.jpg').exists()
    report = json.loads((run / 'results' / 'metrics.json').read_text())
    assert report['family'] == 'dm_vton' and report['list'] == 'unpaired'
    assert report['metrics']['memory']['value'] == pytest.approx(37.57, rel=0.01)
    assert report['metrics']['runtime']['value'] > 0
    assert report['metrics']['SSIM']['value'] is None and 'unpaired' in report['metrics']['SSIM']['reason']
    output = capsys.readouterr().out
    assert 'multiply-adds' in output and 'multiply-adds' in (run / 'log.txt').read_text()


def test_a_second_run_gets_a_folder_of_its_own(run_script, command):
    for _ in range(2):
        run_script(command.arguments(*NO_METRICS))
    assert sorted(folder.name for folder in command.project.iterdir()) == ['exp', 'exp-1']


def test_names_are_right_at_any_batch_size_and_no_picture_is_overwritten(run_script, checkpoints, tmp_path):
    pairs = [*PAIRS, ('000001_0.jpg', '000003_1.jpg')]
    root, pictures = write_test_set(tmp_path / 'set', pairs), {}
    for batch_size in (1, 3):
        command = Command(root, checkpoints, tmp_path / f'runs{batch_size}')
        run_script(command.arguments(*NO_METRICS, batch_size=batch_size))
        folder = command.project / 'exp' / 'results' / 'tryon'
        pictures[batch_size] = {
            file.name: np.asarray(Image.open(file)).astype(int) for file in folder.iterdir()
        }
    assert sorted(pictures[1]) == [
        '000001_0__000002_1.jpg',
        '000001_0__000003_1.jpg',
        '000002_0.jpg',
        '000003_0.jpg',
    ]
    assert sorted(pictures[3]) == sorted(pictures[1])
    for name, picture in pictures[1].items():
        assert np.abs(picture - pictures[3][name]).max() <= 2, name  # a batch may round one level differently
    assert np.abs(pictures[1]['000001_0__000002_1.jpg'] - pictures[1]['000001_0__000003_1.jpg']).max() > 2


@pytest.mark.parametrize(
    'pairs',
    [
        [('a.jpg', 'g1.jpg'), ('a.jpg', 'g2.jpg'), ('a__g1.jpg', 'g2.jpg')],
        [('x.webp', 'g.jpg'), ('x.bmp', 'g.jpg'), ('X.png', 'h.jpg')],
        [('a.jpg', 'g.png'), ('a.jpg', 'g.jpg'), ('a.jpg', 'G.webp')],
    ],
)
def test_no_two_pairs_share_a_result_whatever_their_names_are(pairs):
    from engine.evaluate import result_names

    names = result_names(pairs)
    assert len({name.casefold() for name in names}) == len(pairs)


def test_names_too_long_for_a_disk_are_refused_before_work_begins(run_script, checkpoints, tmp_path, capsys):
    pairs = [('p' * 150 + '.jpg', 'g' * 150 + '.jpg'), ('p' * 150 + '.jpg', 'h' * 150 + '.jpg')]
    command = Command(write_test_set(tmp_path / 'set', pairs), checkpoints, tmp_path / 'runs')
    status, line = refused(run_script, command.arguments(*NO_METRICS), command.project, capsys)
    assert status == 1 and 'too long' in line


def test_a_stray_file_beside_the_photographs_costs_one_metric_not_the_report(
    run_script, command, monkeypatch
):
    (command.root / 'test_img' / 'stray.jpg').write_text('no picture')
    fid = SimpleNamespace(fid=lambda real, made: load_all(real))
    monkeypatch.setattr('engine.evaluate.create_inception', lambda **_: fid)
    run_script(command.arguments(*SMALL, '--metrics', 'fid', 'cost'))
    metrics = json.loads((command.project / 'exp' / 'results' / 'metrics.json').read_text())['metrics']
    assert 'stray.jpg' in metrics['FID']['reason'] and metrics['memory']['value'] > 0


def test_a_metric_that_fails_in_any_way_costs_that_metric_alone(run_script, command, monkeypatch):
    def fail(*_):
        raise TypeError("sqrtm() got an unexpected keyword argument 'disp'\nand more")

    inception = SimpleNamespace(fid=fail, kid=lambda real, made: 0.5)
    monkeypatch.setattr('engine.evaluate.create_inception', lambda **_: inception)
    monkeypatch.setattr('engine.evaluate.multiply_adds', fail)
    run_script(command.arguments(*SMALL, '--metrics', 'fid', 'kid', 'cost'))
    results = command.project / 'exp' / 'results'
    metrics = json.loads((results / 'metrics.json').read_text())['metrics']
    reason = "unavailable: sqrtm() got an unexpected keyword argument 'disp'"
    assert metrics['FID']['reason'] == metrics['multiply-adds']['reason'] == reason
    assert metrics['KID']['value'] == 0.5 and metrics['memory']['value'] > 0
    assert len(list((results / 'tryon').iterdir())) == 3


def test_scores_on_photographs_that_fail_cost_neither_pictures_nor_other_numbers(
    run_script, command, monkeypatch
):
    class Broken:
        def __call__(self, batch, result):
            raise IndexError('out of range\nand more')

    monkeypatch.setitem(run_script.__wrapped__.__globals__, 'find_real_scores', lambda *_: Broken())
    run_script(command.arguments(*SMALL, '--metrics', 'cost'))
    results = command.project / 'exp' / 'results'
    metrics = read_metrics(results)
    assert metrics['scores on photographs']['reason'] == 'unavailable: out of range'
    assert metrics['memory']['value'] > 0 and len(list((results / 'tryon').iterdir())) == 3


def test_metrics_see_the_pictures_as_the_published_script_stores_them(
    run_script, command, monkeypatch, tmp_path
):
    """JPEG files of Pillow's default quality for FID, KID and LPIPS; better ones for people."""
    seen = {}
    inception = SimpleNamespace(fid=lambda real, made: seen.setdefault('fid', made) and 1.0)
    monkeypatch.setattr('engine.evaluate.create_inception', lambda **_: inception)
    monkeypatch.setattr('engine.evaluate.create_lpips', lambda **_: None)
    monkeypatch.setattr(
        'engine.evaluate.mean_over', lambda files, _: seen.setdefault('lpips', files[0][1].parent) and 1.0
    )
    run_script(command.arguments(*SMALL, '--metrics', 'fid', 'lpips'))
    results = command.project / 'exp' / 'results'
    assert seen == {'fid': results / 'measured', 'lpips': results / 'measured'}
    tables = {}
    for quality, folder in ((75, 'measured'), (95, 'tryon')):
        picture = Image.open(results / folder / PAIRS[0][0])
        picture.save(tmp_path / 'again.jpg', quality=quality)
        tables[folder] = picture.quantization
        assert picture.quantization == Image.open(tmp_path / 'again.jpg').quantization
    assert tables['measured'] != tables['tryon']
    protocols = {label: score['protocol'] for label, score in read_metrics(results).items()}
    assert all('JPEG quality 75' in protocols[label] for label in ('FID', 'LPIPS'))


def read_metrics(results: Path) -> dict:
    return json.loads((results / 'metrics.json').read_text())['metrics']


def test_the_runtime_of_the_published_protocol_stands_beside_ours(run_script, command):
    run_script(command.arguments(*SMALL, '--metrics', 'runtime', 'cost'))
    metrics = read_metrics(command.project / 'exp' / 'results')
    assert 'mean over 3 pairs in batches of 2' in metrics['runtime, list']['protocol']
    assert metrics['runtime, list']['value'] > 0 and metrics['runtime']['value'] > 0
    assert 'convolutions alone' in metrics['multiply-adds']['protocol']


def test_a_run_keeps_its_options_and_another_size_than_the_weights_know_is_said(
    run_script, command, small_checkpoints, capsys
):
    import yaml

    files = {f'pf_{name}_checkpoint': small_checkpoints / f'pf_{name}.pt' for name in ('warp', 'gen')}
    said = {}
    for size in ((64, 64), (96, 64)):
        run_script(command.arguments('--metrics', '--size', *size, **files, name=str(size[0])))
        said[size[0]] = capsys.readouterr().out
        saved = yaml.safe_load((command.project / str(size[0]) / 'opt.yaml').read_text())
        assert (
            saved['size'] == list(size) and saved['metrics'] == [] and saved['dataroot'] == str(command.root)
        )
    assert 'trained at 64 x 64' not in said[64]
    assert 'note: --size 96 64: these weights were trained at 64 x 64 (H x W)' in said[96]


def load_all(folder):
    from engine.metrics import load_picture, picture_files

    return sum(load_picture(file).mean().item() for file in picture_files(folder))


def test_the_table_shows_numbers_without_exponents(tmp_path):
    from engine.evaluate import Score, write_report

    scores = [
        Score('runtime', 20791.3, 'ms', 'how'),
        Score('SSIM', 0.53571, '', 'how'),
        Score('FID', None, '', 'how', 'why not'),
    ]
    table = write_report(tmp_path / 'report.json', scores)
    assert '20791 ms' in table and '0.5357 ' in table and 'why not' in table
    assert json.loads((tmp_path / 'report.json').read_text())['metrics']['runtime']['value'] == 20791.3


def test_pictures_that_are_not_finite_stop_the_run(tmp_path):
    from engine.evaluate import dress_all
    from models import TryOn
    from utils.errors import CheckpointError

    picture, mask = torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8)
    result = TryOn(picture * float('nan'), picture, mask, picture, mask, torch.zeros(1, 2, 8, 8))
    batch = {'image': picture, 'color': picture, 'edge': mask}
    with pytest.raises(CheckpointError, match='not finite'):
        dress_all(lambda *_: result, [batch], [('a.jpg', 'b.jpg')], tmp_path)


def test_a_size_that_the_family_does_not_take_is_refused(run_script, command, tmp_path, capsys):
    torch.save(create_warp('style_afwm', 'student').state_dict(), tmp_path / 'w.pt')
    torch.save(create_generator('res_unet', 'student').state_dict(), tmp_path / 'g.pt')
    files = {'pf_warp_checkpoint': tmp_path / 'w.pt', 'pf_gen_checkpoint': tmp_path / 'g.pt'}
    status, line = refused(run_script, command.arguments(*NO_METRICS, **files), command.project, capsys)
    assert status == 2 and 'tied to 256 x 192' in line


def test_keys_that_the_network_does_not_have_are_noted_in_a_published_file(
    run_script, command, networks, tmp_path, capsys
):
    torch.save(networks[1].state_dict() | {'head.weight': torch.zeros(3)}, tmp_path / 'g.pt')
    run_script(command.arguments(*NO_METRICS, pf_gen_checkpoint=tmp_path / 'g.pt'))
    assert 'note: ' in (said := capsys.readouterr().out) and 'left out (head.weight)' in said


def test_any_pair_of_networks_is_measured_where_it_is_asked_for_by_name(
    run_script, command, tmp_path, capsys
):
    torch.manual_seed(0)
    torch.save(create_generator('res_unet', 'student').state_dict(), tmp_path / 'g.pt')
    words = command.arguments(*NO_METRICS, pf_gen_checkpoint=tmp_path / 'g.pt')
    with pytest.raises(SystemExit):
        run_script(words)
    assert 'make no family' in capsys.readouterr().err
    run_script([*words, '--warp', 'mobile_afwm', '--gen', 'res_unet'])
    assert (
        'note: mobile_afwm+res_unet: this pair of networks is no published method' in capsys.readouterr().out
    )
    report = json.loads((command.project / 'exp' / 'results' / 'metrics.json').read_text())
    assert report['family'] == 'mobile_afwm+res_unet'
    with pytest.raises(SystemExit):
        run_script([*words, '--warp', 'mobile_afwm'])
    assert 'give both' in capsys.readouterr().err


def test_a_paired_list_gets_ssim(run_script, checkpoints, tmp_path):
    pairs = [(person, person.replace('_0', '_1')) for person, _ in PAIRS]
    command = Command(write_test_set(tmp_path / 'set', pairs), checkpoints, tmp_path / 'runs')
    run_script(command.arguments(*SMALL, '--metrics', 'ssim'))
    report = json.loads((command.project / 'exp' / 'results' / 'metrics.json').read_text())
    assert report['list'] == 'paired' and -1 <= report['metrics']['SSIM']['value'] <= 1


def test_a_metric_without_weights_is_reported_and_the_rest_is_done(
    run_script, command, monkeypatch, tmp_path, capsys
):
    from urllib.error import URLError

    def refuse(*_, **__):
        raise URLError('no network in this test')

    monkeypatch.setattr('torch.hub.urlopen', refuse)
    monkeypatch.setattr('torch.hub._hub_dir', str(tmp_path / 'cache'))
    run_script(command.arguments(*SMALL, '--metrics', 'fid', 'lpips', 'cost'))
    results = command.project / 'exp' / 'results'
    metrics = json.loads((results / 'metrics.json').read_text())['metrics']
    for label, option in (('FID', '--fid_weights'), ('LPIPS', '--lpips_weights')):
        assert metrics[label]['value'] is None
        assert metrics[label]['reason'].startswith('unavailable') and option in metrics[label]['reason']
    assert metrics['memory']['value'] > 0 and len(list((results / 'tryon').iterdir())) == 3
    assert 'no network in this test' in capsys.readouterr().out


def published_formats(state: dict) -> dict:
    """The same weights as the releases hold them."""
    curvature = torch.zeros(4, 1, 3, 3)
    return {
        'plain': state,
        'ordered': OrderedDict(state),
        'release': {'model': state, 'epoch': 100, 'optimizer': {'state': {}}, 'best_fid': np.float64(28.2)},
        'parallel': {f'module.{key}': value for key, value in state.items()},
        'unfinished': state
        | ({'aflow_net.weight': curvature} if any('aflow_net' in key for key in state) else {}),
    }


def test_pictures_do_not_depend_on_the_format_that_the_weights_came_in(
    run_script, command, networks, tmp_path
):
    warps, generators = (published_formats(network.state_dict()) for network in networks)
    pictures = {}
    for name in warps:
        torch.save(warps[name], tmp_path / 'w.pth')
        torch.save(generators[name], tmp_path / 'g.pth')
        files = {'pf_warp_checkpoint': tmp_path / 'w.pth', 'pf_gen_checkpoint': tmp_path / 'g.pth'}
        run_script(command.arguments(*NO_METRICS, name=name, **files))
        folder = command.project / name / 'results' / 'tryon'
        pictures[name] = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert all(files == pictures['plain'] and len(files) == 3 for files in pictures.values())


@pytest.mark.parametrize('family', FAMILIES)
def test_the_four_families_run_on_real_photographs(family, run_script, samples, tmp_path):
    parts = FAMILIES[family]
    torch.manual_seed(0)
    torch.save(create_warp(parts.warp, 'student').state_dict(), tmp_path / 'warp.pt')
    torch.save(create_generator(parts.generator, 'student').state_dict(), tmp_path / 'gen.pt')
    command = Command(samples, tmp_path, tmp_path / 'runs')
    run_script(command.arguments('--metrics', 'cost', family=family))
    results = command.project / 'exp' / 'results'
    assert len(list((results / 'tryon').iterdir())) == 4
    assert json.loads((results / 'metrics.json').read_text())['family'] == family


# ---- Bad input: one line, a status, and nothing half-written


def truncated(source: Path, target: Path) -> Path:
    target.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    return target


def refused(run_script, arguments: list[str], project: Path, capsys) -> tuple[int, str]:
    """Run, and return the exit status and the one line on stderr; nothing may have been made."""
    with pytest.raises(SystemExit) as exit_info:
        run_script(arguments)
    captured = capsys.readouterr()
    assert captured.err.count('\n') == 1 and captured.err.startswith('error: '), captured.err
    assert 'Traceback' not in captured.out + captured.err
    assert not project.exists() or project.is_file()
    return exit_info.value.code, captured.err


BAD_OPTIONS = {
    'no checkpoint of the warp': ({'pf_warp_checkpoint': None}, [], '--pf_warp_checkpoint'),
    'no checkpoint of the generator': ({'pf_gen_checkpoint': None}, [], '--pf_gen_checkpoint'),
    'no data': ({'dataroot': None}, [], '--dataroot is needed'),
    'a batch of none': ({'batch_size': 0}, [], 'whole number of at least 1'),
    'a batch of a word': ({'batch_size': 'many'}, [], "'many' is not a whole number"),
    'a negative number of workers': ({'workers': -1}, [], 'whole number of at least 0'),
    'an unknown option': ({}, ['--fast'], 'unrecognized arguments: --fast'),
    'an abbreviated option': ({}, ['--batch', '3'], 'unrecognized arguments'),
    'an unknown family': ({'family': 'viton'}, [], 'invalid choice'),
    'an unknown metric': ({}, ['--metrics', 'psnr'], 'invalid choice'),
    'an unknown device': ({'device': 'tpu'}, [], "device 'tpu' is not understood"),
    'a name that is a path': ({'name': 'a/b'}, [], 'put the path into --project'),
    'a name that is empty': ({'name': ' '}, [], 'not a plain folder name'),
    'a size of one number': ({}, ['--size', '256'], 'expected 2 arguments'),
    'a size that no network takes': ({}, ['--size', '100', '100'], 'multiples of 32'),
    'a size of nothing': ({}, ['--size', '0', '192'], 'whole number of at least 1'),
    'weights of FID that are not there': (
        {'fid_weights': 'nothing.pth'},
        [*SMALL, '--metrics', 'fid'],
        'no such file',
    ),
    'weights of LPIPS that are not there': (
        {'lpips_weights': 'nothing.pth'},
        [*SMALL, '--metrics', 'lpips'],
        'no such file',
    ),
}


@pytest.mark.parametrize('case', BAD_OPTIONS)
def test_a_wrong_option_is_refused(case, run_script, command, capsys):
    changes, more, message = BAD_OPTIONS[case]
    status, line = refused(run_script, command.arguments(*more, **changes), command.project, capsys)
    assert status == 2 and message in line


def test_a_cuda_device_that_is_not_there_is_refused(run_script, command, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    status, line = refused(run_script, command.arguments(device='0'), command.project, capsys)
    assert status == 2 and 'no CUDA GPU' in line and '--device cpu' in line


def test_a_project_that_is_a_file_is_refused(run_script, command, capsys):
    command.project.write_text('not a folder')
    status, line = refused(run_script, command.arguments(*NO_METRICS), command.project, capsys)
    assert status == 2 and 'runs' in line and command.project.read_text() == 'not a folder'


class Malice:
    def __reduce__(self):
        return (Path.touch, (Path('malice_ran'),))


def wrong_file(kind: str, networks, good: Path, path: Path) -> Path:
    """Write one kind of file that is no usable warp network of a student."""
    state = dict(networks[0].state_dict())
    first = next(iter(state))
    contents = {
        'another family': lambda: create_warp('afwm', 'student').state_dict(),
        'a teacher': lambda: create_warp('mobile_afwm', 'teacher').state_dict(),
        'a generator': lambda: networks[1].state_dict(),
        'a network of something else': lambda: {
            'fc.weight': torch.zeros(1000, 512),
            'fc.bias': torch.zeros(1000),
        },
        'missing keys': lambda: {key: value for key, value in state.items() if 'netRefine' not in key},
        'wrong shapes': lambda: state | {first: torch.zeros(1, 2, 3)},
        'numbers that are not finite': lambda: state | {first: torch.full_like(state[first], float('nan'))},
        'an empty dict': dict,
        'a list': lambda: [1, 2, 3],
        'code': lambda: {'model': Malice()},
    }
    if kind in contents:
        torch.save(contents[kind](), path)
    elif kind == 'a folder':
        path.mkdir()
    elif kind == 'nothing':
        path.write_bytes(b'')
    elif kind == 'a page of HTML':
        path.write_text('<!DOCTYPE html><html><title>Google Drive - Quota exceeded</title></html>')
    elif kind == 'a picture':
        Image.new('RGB', (8, 8)).save(path, format='jpeg')
    elif kind == 'half a file':
        truncated(good, path)
    return path


BAD_CHECKPOINTS = {
    'no file': 'no ',
    'a folder': 'folder',
    'nothing': 'empty',
    'a page of HTML': 'web page',
    'a picture': 'JPEG',
    'half a file': 'cut short',
    'another family': 'afwm',
    'a teacher': 'teacher',
    'a generator': 'mobile_unet',
    'a network of something else': '',
    'missing keys': 'missing',
    'wrong shapes': 'shape',
    'numbers that are not finite': 'finite',
    'an empty dict': '',
    'a list': '',
    'code': '',
}


@pytest.mark.parametrize('kind', BAD_CHECKPOINTS)
def test_a_wrong_checkpoint_is_refused(kind, run_script, command, networks, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = wrong_file(kind, networks, Path(command.options['--pf_warp_checkpoint']), tmp_path / 'wrong.pt')
    arguments = command.arguments(*NO_METRICS, pf_warp_checkpoint=path, family='dm_vton')
    status, line = refused(run_script, arguments, command.project, capsys)
    assert status == 2 and 'wrong.pt' in line and BAD_CHECKPOINTS[kind].lower() in line.lower()
    assert not (tmp_path / 'malice_ran').exists()


def test_swapped_checkpoints_are_refused(run_script, command, checkpoints, capsys):
    swapped = {'pf_warp_checkpoint': checkpoints / 'gen.pt', 'pf_gen_checkpoint': checkpoints / 'warp.pt'}
    status, line = refused(run_script, command.arguments(*NO_METRICS, **swapped), command.project, capsys)
    assert status == 2 and 'swapped' in line


def spoil(kind: str, root: Path) -> Path:
    """Break a test set in one way; returns the data root to give."""
    person, garment = PAIRS[0]
    pairs = root / 'test_pairs.txt'
    broken = {
        'no folder': lambda: shutil.rmtree(root),
        'no list': pairs.unlink,
        'an empty list': lambda: pairs.write_text('\n'),
        'a line of one name': lambda: pairs.write_text(f'{person}\n'),
        'a line of three names': lambda: pairs.write_text(f'{person} {garment} {garment}\n'),
        'a name that leaves the folder': lambda: pairs.write_text(f'../{person} {garment}\n'),
        'a list that is a picture': lambda: shutil.copy(root / 'test_img' / person, pairs),
        'no person': (root / 'test_img' / person).unlink,
        'no garment': (root / 'test_color' / garment).unlink,
        'no edge': (root / 'test_edge' / garment).unlink,
        'no folder of edges': lambda: shutil.rmtree(root / 'test_edge'),
        'a person of no bytes': lambda: (root / 'test_img' / person).write_bytes(b''),
        'a person of text': lambda: (root / 'test_img' / person).write_text('hello'),
        'half a garment': lambda: truncated(root / 'test_color' / garment, root / 'test_color' / garment),
        'an edge of another size': lambda: Image.new('L', (10, 10)).save(root / 'test_edge' / garment),
    }
    if kind == 'a file as root':
        return pairs
    if kind == 'the folder above':
        return root.parent
    broken[kind]()
    return root


BAD_DATA = {
    'no folder': 'set',
    'a file as root': 'test_pairs.txt',
    'the folder above': 'set',
    'no list': 'test_pairs.txt',
    'an empty list': 'test_pairs.txt',
    'a line of one name': 'line 1',
    'a line of three names': 'line 1',
    'a name that leaves the folder': 'line 1',
    'a list that is a picture': 'test_pairs.txt',
    'no person': '000001_0.jpg',
    'no garment': '000002_1.jpg',
    'no edge': '000002_1.jpg',
    'no folder of edges': 'test_edge',
    'a person of no bytes': '000001_0.jpg',
    'a person of text': '000001_0.jpg',
    'half a garment': '000002_1.jpg',
    'an edge of another size': '000002_1.jpg',
}


@pytest.mark.parametrize('kind', BAD_DATA)
def test_a_broken_data_set_is_refused(kind, run_script, command, capsys):
    root = spoil(kind, command.root)
    status, line = refused(run_script, command.arguments(*NO_METRICS, dataroot=root), command.project, capsys)
    assert status in (1, 2) and BAD_DATA[kind] in line, line
    assert status == 1 or kind in ('no folder', 'a file as root')  # a wrong --dataroot is a wrong option


def test_options_of_old_scripts_are_accepted_and_say_that_they_change_nothing(run_script, command, capsys):
    run_script(command.arguments(*NO_METRICS, '--save_img', '--no_flip'))
    assert capsys.readouterr().err.count('changes nothing') == 2


def test_the_size_is_that_of_the_checkpoint_unless_another_is_given(run_script, networks, command, tmp_path):
    parts = {'warp': ('warp', 'mobile_afwm'), 'gen': ('generator', 'mobile_unet')}
    for network, (name, (part, kind)) in zip(networks, parts.items(), strict=True):
        save_checkpoint(
            tmp_path / f'{name}.pt', network, part=part, network=kind, role='student', size=(64, 96)
        )
        command.options[f'--pf_{name}_checkpoint'] = tmp_path / f'{name}.pt'
    line = command.arguments('--metrics')
    run_script(line)
    run_script([*SMALL, *line])
    for run, size in (('exp', (96, 64)), ('exp-1', (64, 64))):
        for path in (tmp_path / 'runs' / run / 'results' / 'tryon').iterdir():
            assert Image.open(path).size == size


def test_untrained_weights_are_called_so(run_script, command, tmp_path, capsys):
    from models.checkpoint.command import main as checkpoint_command

    checkpoint_command(['init', '--family', 'dm_vton', '--out', str(tmp_path / 'init')])
    files = {'pf_warp_checkpoint': 'dm_vton_student_warp.pt', 'pf_gen_checkpoint': 'dm_vton_student_gen.pt'}
    run_script(
        command.arguments(*NO_METRICS, **{key: tmp_path / 'init' / name for key, name in files.items()})
    )
    assert 'UNTRAINED' in (command.project / 'exp' / 'log.txt').read_text()


def test_the_script_runs_as_a_command_and_its_exit_status_is_the_errors(tmp_path):
    import subprocess

    line = [sys.executable, str(ROOT / 'test.py'), '--dataroot', str(tmp_path / 'nowhere')]
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith('error: ') and done.stderr.count('\n') == 1


def test_photographs_are_scored_where_there_is_parsing_and_another_list_can_be_chosen(
    run_script, checkpoints, tmp_path
):
    root = write_test_set(tmp_path / 'set')
    (root / 'test_label').mkdir()
    for number in (1, 2, 3):
        Image.fromarray(np.full((64, 64), 4, np.uint8)).save(root / 'test_label' / f'00000{number}_0.png')
    own = ''.join(f'00000{number}_0.jpg 00000{number}_1.jpg\n' for number in (1, 2, 3))
    (root / 'test_pairs_own.txt').write_text(own)
    weights = [
        '--pf_warp_checkpoint',
        str(checkpoints / 'warp.pt'),
        '--pf_gen_checkpoint',
        str(checkpoints / 'gen.pt'),
    ]
    common = ['--dataroot', str(root), '--project', str(tmp_path), '--metrics', *SMALL, *weights]
    common += ['--workers', '0', '--device', 'cpu']
    run_script([*common, '--name', 'unpaired'])
    run_script([*common, '--name', 'own', '--pairs', str(root / 'test_pairs_own.txt')])
    run_script([*common, '--name', 'none', '--no-real'])
    reports = {
        name: json.loads((tmp_path / name / 'results' / 'metrics.json').read_text())
        for name in ('unpaired', 'own', 'none')
    }
    assert reports['unpaired']['list'] == 'unpaired' and reports['own']['list'] == 'paired'
    kinds = {name: {label.split()[0] for label in report['metrics']} for name, report in reports.items()}
    assert {'worn', 'round'} <= kinds['unpaired'] and kinds['own'] == {'worn'} and not kinds['none']
