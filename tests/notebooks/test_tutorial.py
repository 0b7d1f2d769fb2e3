"""The tutorial: what is stored in it is small, real and nobody's own, and on tiny data all of it runs."""

import base64
import copy
import io
import json
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / 'notebooks' / 'tutorial.ipynb'
LARGEST = 600_000  # bytes of the file
LONGEST = 15  # lines of a cell of code
FIGURES = 9  # at least: those that need no weights
ABSOLUTE = re.compile(r'(?<![\w.:/\\])(?:/(?:[a-z]\w+|Users|Volumes)/[\w.]|[A-Z]:\\)')
RUNS = ('Teacher_warp', 'Teacher_e2e', 'Student_warp', 'Student_e2e')
WRITTEN_BY_SCRIPTS = ('runs', 'notebooks', 'checkpoints', 'dataset', 'downloads', 'synthetic')
NOWHERE = 'http://127.0.0.1:9'


@pytest.fixture(scope='module')
def notebook():
    return json.loads(NOTEBOOK.read_text(encoding='utf-8'))


def code_cells(notebook: dict) -> list[dict]:
    return [cell for cell in notebook['cells'] if cell['cell_type'] == 'code']


def source(cell: dict) -> str:
    return ''.join(cell['source'])


def texts(cell: dict) -> str:
    """All text that a cell has put out, on both streams and as results."""
    parts = []
    for output in cell['outputs']:
        parts.append(output.get('text', ''))
        parts += [value for kind, value in output.get('data', {}).items() if not kind.startswith('image/')]
    return '\n'.join(''.join(part) for part in parts)


def pictures(notebook: dict) -> list[Image.Image]:
    outputs = [output for cell in code_cells(notebook) for output in cell['outputs']]
    data = [value for output in outputs for kind, value in output.get('data', {}).items() if kind.startswith('image/')]
    return [Image.open(io.BytesIO(base64.b64decode(''.join(value)))) for value in data]


def lines_with_absolute_paths(text: str) -> list[str]:
    return [line for line in text.splitlines() if ABSOLUTE.search(line)]


@pytest.mark.parametrize('line', ['in /mnt/a', '"/home/me/x.pt"', '(/tmp/tmpab/x)', 'C:\\Users\\me', '/root/.cache', '/Users/me'])
def test_an_absolute_path_is_noticed(line):
    assert lines_with_absolute_paths(line)


@pytest.mark.parametrize('line', ['runs/tutorial/x', '[12/48, 3.1record/s]', 'https://a.org/b/c', '56/56', 'and / or'])
def test_what_is_no_absolute_path_is_left_alone(line):
    assert not lines_with_absolute_paths(line)


def test_every_cell_of_code_is_short_and_compiles(notebook):
    for cell in code_cells(notebook):
        compile(source(cell), 'cell', 'exec')
        assert len(source(cell).splitlines()) <= LONGEST, source(cell)


def test_the_stored_notebook_is_small_and_was_run_once_from_above(notebook):
    assert NOTEBOOK.stat().st_size < LARGEST
    counts = [cell['execution_count'] for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_the_stored_outputs_hold_no_error_and_nothing_of_a_machine(notebook):
    outputs = [output for cell in code_cells(notebook) for output in cell['outputs']]
    assert not [output for output in outputs if output['output_type'] == 'error' or output.get('name') == 'stderr']
    text = '\n'.join(texts(cell) for cell in code_cells(notebook))
    assert 'Traceback' not in text and socket.gethostname() not in text.split()
    assert lines_with_absolute_paths(text) == []


def test_the_stored_notebook_shows_its_figures(notebook):
    shown = pictures(notebook)
    assert len(shown) >= FIGURES
    assert all(max(picture.getextrema()[0]) > min(picture.convert('L').getextrema()) for picture in shown)


def test_no_cell_names_a_user_or_a_machine(notebook):
    for cell in notebook['cells']:
        assert lines_with_absolute_paths(source(cell)) == [], source(cell)


# ---- The first cell, which looks for the project


def run_first_cell(notebook: dict, folder: Path, repository: str = '') -> subprocess.CompletedProcess:
    text = source(code_cells(notebook)[0])
    assert text.count("REPOSITORY = ''") == 1
    text = text.replace("REPOSITORY = ''", f'REPOSITORY = {repository!r}')
    return subprocess.run([sys.executable, '-c', text], cwd=folder, capture_output=True, text=True, timeout=120)


def test_elsewhere_without_an_address_the_first_cell_says_what_it_needs(notebook, tmp_path):
    done = run_first_cell(notebook, tmp_path)
    assert done.returncode == 1 and 'set REPOSITORY' in done.stderr and 'Traceback' not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_in_the_project_the_first_cell_does_nothing(notebook, tmp_path):
    (tmp_path / 'notebooks').mkdir()
    (tmp_path / 'train_pf_e2e.py').touch()
    for folder in (tmp_path, tmp_path / 'notebooks'):
        done = run_first_cell(notebook, folder, NOWHERE)
        assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['notebooks', 'train_pf_e2e.py']


@pytest.mark.skipif(shutil.which('git') is None, reason='no git here')
def test_elsewhere_the_first_cell_clones_the_project_and_installs_all_but_cupy(notebook, tmp_path):
    origin, elsewhere = tmp_path / 'origin', tmp_path / 'elsewhere'
    origin.mkdir()
    elsewhere.mkdir()
    (origin / 'train_pf_e2e.py').touch()
    (origin / 'requirements.txt').write_text('# a comment\nnumpy>=1.26\ncupy-of-nobody>=1; platform_system != "None"\n')
    git = ['git', '-c', 'user.name=test', '-c', 'user.email=test@example.org']
    for words in (['init', '--quiet'], ['add', '.'], ['commit', '--quiet', '-m', 'all']):
        subprocess.run([*git, *words], cwd=origin, check=True)
    done = run_first_cell(notebook, elsewhere, str(origin))
    assert done.returncode == 0, done.stderr
    assert (elsewhere / 'dm-vton' / 'train_pf_e2e.py').is_file()
    assert run_first_cell(notebook, elsewhere, NOWHERE).returncode == 0  # run again, it finds what it has cloned


# ---- All of it, on tiny data


def with_settings(notebook: dict, **settings) -> dict:
    """The notebook with a cell after the one tagged `parameters`, as papermill makes it; without its outputs."""
    notebook = copy.deepcopy(notebook)
    tagged = [number for number, cell in enumerate(notebook['cells']) if 'parameters' in cell['metadata'].get('tags', ())]
    assert len(tagged) == 1
    settled = notebook['cells'][tagged[0]]
    assert set(settings) <= set(re.findall(r'\b([A-Z_]+)\b(?=[^#\n]* = )', source(settled)))
    lines = '\n'.join(f'{name} = {value!r}' for name, value in settings.items())
    notebook['cells'].insert(tagged[0] + 1, {**copy.deepcopy(settled), 'id': 'injected', 'source': lines, 'metadata': {}})
    for cell in code_cells(notebook):
        cell.update(outputs=[], execution_count=None)
    return notebook


def make_weights(folder: Path) -> None:
    """Weights as initialised, under the names of those that come with the project and of the published ones."""
    from models.checkpoint import command as checkpoint

    checkpoint.main(['init', '--family', 'dm_vton', '--out', str(folder)])
    for part in ('warp', 'gen'):
        file = folder / f'dm_vton_student_{part}.pt'
        checkpoint.main(['convert', str(file), str(folder / f'dm_vton_lite_drawn_{part}.safetensors')])
        file.rename(folder / f'dmvton_pf_{part}.pt')


def files_of_the_checkout() -> set[Path]:
    return {path for name in WRITTEN_BY_SCRIPTS for path in (ROOT / name).rglob('*')}


@pytest.fixture(scope='module')
def executed(notebook, module_path):
    """The notebook after its execution on a few tiny pictures, without a network, and the folder it wrote to."""
    for package in ('nbformat', 'nbclient', 'ipykernel', 'matplotlib'):
        pytest.importorskip(package, reason=f'{package}, which notebooks need, is not installed')
    import nbformat
    from nbclient import NotebookClient

    make_weights(module_path / 'checkpoints')
    tiny = {'RECORDS': 4, 'TEST_RECORDS': 2, 'SIZE': (64, 64), 'EPOCHS': 1, 'BATCH_SIZE': 2, 'DEVICE': 'cpu'}
    where = {'WORK': str(module_path / 'work'), 'CHECKPOINTS': str(module_path / 'checkpoints')}
    settings = tiny | where | {'METRICS': ['fid', 'lpips', 'ssim', 'cost']}
    cells = nbformat.reads(json.dumps(with_settings(notebook, **settings)), as_version=4)
    home = dict.fromkeys(('IPYTHONDIR', 'JUPYTER_RUNTIME_DIR', 'TORCH_HOME', 'MPLCONFIGDIR'), str(module_path / 'home'))
    proxies = dict.fromkeys(('http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY'), NOWHERE)
    before = files_of_the_checkout()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (home | proxies | {'PYTHONDONTWRITEBYTECODE': '1'}).items():
            patch.setenv(name, value)
        NotebookClient(cells, timeout=300, resources={'metadata': {'path': str(NOTEBOOK.parent)}}).execute()
    assert files_of_the_checkout() == before
    return cells, module_path / 'work'


def test_the_tutorial_trains_the_four_stages(executed):
    _, work = executed
    for name in RUNS:
        assert (work / name / 'samples' / '2.jpg').is_file()
        assert 'all 1 epochs are done' in (work / name / 'log.txt').read_text()
    assert {path.name for path in (work / 'Student_e2e' / 'weights').iterdir()} >= {'pf_warp_last.pt', 'pf_gen_last.pt'}


def test_the_tutorial_measures_and_goes_on_without_what_cannot_be_downloaded(executed):
    cells, work = executed
    for name in ('trained_here', 'shipped'):
        metrics = json.loads((work / 'test' / name / 'results' / 'metrics.json').read_text())['metrics']
        assert metrics['SSIM garment']['value'] is not None and 'unavailable' in metrics['FID']['reason']
    text = '\n'.join(texts(cell) for cell in code_cells(cells))
    row = re.search(r'^SSIM garment +(\S+) +(\S+) +(\S+)', text, re.MULTILINE)
    assert row and all(0 <= float(number) <= 1 for number in row.groups())
    assert re.search(r'^FID: unavailable: the weights cannot be downloaded', text, re.MULTILINE)


def test_the_tutorial_uses_weights_that_are_there_and_own_pictures(executed):
    cells, work = executed
    assert len(pictures(cells)) == FIGURES + 2  # the project's student, and what the published one dresses
    text = '\n'.join(texts(cell) for cell in code_cells(cells))
    assert re.search(r'^weights: .*dmvton_pf_warp.*\(dm_vton, 256\s+x 192', text, re.MULTILINE | re.DOTALL)  # what is there is taken
    with Image.open(work / 'mine.png') as picture:
        assert picture.size == (64, 64)  # the photograph's own


@pytest.mark.parametrize(('data', 'teacher', 'vgg', 'size'), [('viton', 'fs_vton', 'imagenet', (256, 192)), ('synthetic', 'dm_vton', 'none', None)])
def test_with_the_papers_data_the_papers_teacher_is_trained_with_its_perceptual_loss(
    notebook, tmp_path, monkeypatch, data, teacher, vgg, size
):
    """The cells of settings, data and options, with a stand-in for the scripts that they run."""
    from opt.train_opt import parse_train_options

    monkeypatch.chdir(tmp_path)
    (tmp_path / 'dataset' / 'VITON' / 'VITON_traindata').mkdir(parents=True)
    (tmp_path / 'dataset' / 'VITON' / 'VITON_traindata' / 'train_pairs.txt').touch()
    cells = {word: next(cell for cell in code_cells(notebook) if word in source(cell)) for word in ("DATA = '", 'TRAIN, TEST =', 'QUICK =')}
    names = {'Path': Path, 'run': lambda *words, **_: None, 'people': range(8)}
    for word, cell in cells.items():
        exec(source(cell), names)
        if word == "DATA = '":
            names |= {'DATA': data, 'WORK': tmp_path}
    options = parse_train_options('pb_warp', [str(word) for word in ['--dataroot', names['TRAIN'], *names['QUICK']]])
    assert (options.teacher, options.vgg_weights) == (teacher, vgg)
    assert options.size == tuple(size or names['SIZE'])
