"""The shell scripts: they parse, refuse what they cannot use, and check what they download. Nothing leaves
the machine.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models import create_generator, create_warp
from models.checkpoint.identity import layout_of

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / 'scripts').glob('*.sh'))
FAKE_GDOWN = """
import os, shutil, sys
from pathlib import Path
source = os.environ['FAKE_DRIVE']
if source == 'quota':
    sys.exit('Too many users have viewed or downloaded this file recently')
target = Path(sys.argv[sys.argv.index('-O') + 1])
if Path(source).is_dir():
    shutil.copytree(source, target)
else:
    shutil.copy(source, target)
"""

pytestmark = pytest.mark.skipif(shutil.which('bash') is None, reason='no bash here')


@pytest.fixture
def project(tmp_path):
    """A copy of what the scripts use, and a Google Drive that is a folder on the disk."""
    for name in ('scripts', 'models', 'utils', 'data', 'opt', 'engine', 'synthetic'):
        shutil.copytree(
            ROOT / name, tmp_path / 'project' / name, ignore=shutil.ignore_patterns('__pycache__')
        )
    (tmp_path / 'fake').mkdir()
    (tmp_path / 'fake' / 'gdown.py').write_text(FAKE_GDOWN)
    return tmp_path / 'project'


def run(
    project: Path, script: str, *arguments: str, drive: str | Path = 'quota'
) -> subprocess.CompletedProcess:
    binaries = Path(sys.executable).parent
    environment = os.environ | {
        'PATH': f'{binaries}{os.pathsep}{os.environ["PATH"]}',
        'VIRTUAL_ENV': str(binaries.parent),
        'PYTHONPATH': str(project.parent / 'fake'),
        'FAKE_DRIVE': str(drive),
    }
    line = ['bash', str(project / 'scripts' / script), *arguments]
    return subprocess.run(line, capture_output=True, text=True, env=environment, timeout=300)


@pytest.mark.parametrize('script', SCRIPTS, ids=lambda path: path.name)
def test_a_script_parses(script):
    done = subprocess.run(['bash', '-n', str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_exhausted_quota_says_what_to_do_by_hand(project):
    done = run(project, 'download.sh', 'checkpoints')
    assert done.returncode == 1 and 'By hand: open https://drive.google.com/drive/folders/' in done.stderr
    assert list((project / 'checkpoints').iterdir()) == []
    done = run(project, 'download.sh', 'data')
    assert done.returncode == 1 and 'downloads/VITON-Clean.zip' in done.stderr


def test_checkpoints_are_kept_only_if_they_load(project, tmp_path):
    drive = tmp_path / 'drive'
    (drive / 'DM-VTON').mkdir(parents=True)
    torch.save(
        {'model': create_warp('mobile_afwm', 'student').state_dict()}, drive / 'DM-VTON' / 'dmvton_pf_warp.pt'
    )
    (drive / 'DM-VTON' / 'dmvton_pf_gen.pt').write_text('<html>Quota exceeded</html>')
    done = run(project, 'download.sh', 'checkpoints', drive=drive)
    assert (
        done.returncode == 1 and 'web page' in done.stderr and list((project / 'checkpoints').iterdir()) == []
    )

    torch.save(
        {'model': create_generator('mobile_unet', 'student').state_dict()},
        drive / 'DM-VTON' / 'dmvton_pf_gen.pt',
    )
    done = run(project, 'download.sh', 'checkpoints', drive=drive)
    assert done.returncode == 0, done.stderr
    assert sorted(file.name for file in (project / 'checkpoints').iterdir()) == [
        'dmvton_pf_gen.pt',
        'dmvton_pf_warp.pt',
    ]
    assert (
        run(project, 'download.sh', 'checkpoints').returncode == 0
    )  # what is there is used, without a download


def test_an_archive_that_is_none_is_not_kept(project, tmp_path):
    page = tmp_path / 'page.html'
    page.write_text('<html>Quota exceeded</html>')
    done = run(project, 'download.sh', 'data', drive=page)
    assert done.returncode == 1 and not (project / 'downloads' / 'VITON-Clean.zip').exists()
    assert list((project / 'dataset').iterdir()) == []


@pytest.mark.parametrize(
    'script, argument', [('download.sh', ''), ('download.sh', 'everything'), ('install.sh', 'all')]
)
def test_an_unknown_argument_is_refused(script, argument, project):
    done = run(project, script, *([argument] if argument else []))
    assert done.returncode == 2 and done.stderr.startswith('error: ')


def test_compared_methods_are_named_where_they_are_missing_and_checked_where_they_are_there(project):
    done = run(project, 'download.sh', 'baselines')
    assert done.returncode == 1 and 'error: not all of the compared methods' in done.stderr
    for text in (
        'latest_net_U.pth',
        'switchablenorms',
        'best_EMA.pth',
        'C-VTON',
        'ckpt_viton.pt',
        'OFA-Sys/DAFlow',
    ):
        assert text in done.stderr, text

    tensors = layout_of('baseline', 'sdafn', 'parser-based').tensors
    state = {
        name: torch.tensor(1, dtype=x.dtype).expand(x.shape) for name, x in tensors.items()
    }  # large network, small file
    torch.save(state, project / 'checkpoints' / 'sdafn' / 'ckpt_viton.pt')
    (project / 'checkpoints' / 'cvton' / 'best_EMA.pth').write_text('<html>Quota exceeded</html>')
    done = run(project, 'download.sh', 'baselines')
    assert done.returncode == 1 and 'sdafn: put' not in done.stderr and '37,651,485' in done.stdout
    assert 'best_EMA.pth is a web page' in done.stderr
