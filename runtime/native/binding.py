"""Builds `kernels.cpp` on first use, keeps the library, and loads it as `torch.ops.dm_vton_cpu`."""

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import torch

from utils.errors import UserError, first_line
from utils.paths import atomic_write

_log = logging.getLogger(__name__)
_loading = threading.Lock()

SOURCE = Path(__file__).with_name('kernels.cpp')  # includes the headers beside it
FLAGS = {
    'AVX512': ['-mavx512f', '-mavx512dq', '-mavx512vl', '-mavx512bw', '-mfma'],
    'AVX2': ['-mavx2', '-mfma'],
}
COMPILER = os.environ.get('CXX') or 'c++'
NAME = 'dm_vton_cpu'  # that of the operations, too


def library_path() -> Path:
    """Path of the built library: one file per hash of source, flags, PyTorch version and processor."""
    capability = torch.backends.cpu.get_cpu_capability()
    source = b''.join(path.read_bytes() for path in sorted(SOURCE.parent.glob('*.h'))) + SOURCE.read_bytes()
    state = hashlib.sha256(source + f'{torch.__version__} {sys.platform} {capability} {FLAGS}'.encode())
    name = f'kernels_{capability.lower()}_{state.hexdigest()[:16]}.so'
    return Path(torch.hub.get_dir()).parent / 'dm_vton' / name


def find_problem() -> str | None:
    """Return the reason why the kernels cannot run here, None if no reason is known before building."""
    if sys.platform != 'linux':
        return f'its kernels are built on Linux only, not on {sys.platform}'
    if library_path().is_file():
        return None
    if missing := [tool for tool in (COMPILER, 'ninja') if shutil.which(tool) is None]:
        where = ', or correct CXX' if 'CXX' in os.environ and missing[0] == COMPILER else ''
        return f'there is no program {missing[0]!r}, which builds its kernels; install g++ and ninja{where}'
    return None


def load_kernels() -> None:
    """Load `torch.ops.dm_vton_cpu`; a first build takes half a minute. Raises `UserError` if it fails."""
    with _loading:  # PyTorch aborts the process if operations are defined twice
        if not _is_loaded():
            path = library_path()
            if not path.is_file():
                _build(path)
            _load(path)


def _is_loaded() -> bool:
    return hasattr(torch.ops.dm_vton_cpu, 'panel_columns')


def _load(path: Path) -> None:
    try:
        torch.ops.load_library(path)
    except OSError as error:
        problem = f'the kernels of mode native cannot be read: {first_line(error.__cause__ or error)}'
        raise UserError(f'{problem}; delete {path}, and they are built anew') from error


def _build(path: Path) -> None:
    """Build the kernels in a subprocess, which also loads the library once, and store it as `path`."""
    _log.warning(
        'building the kernels of mode native, which takes half a minute, once on this machine: %s', path
    )
    flags = ['-O3', '-fopenmp', *FLAGS.get(torch.backends.cpu.get_cpu_capability(), [])]
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {'name': NAME, 'sources': [str(SOURCE)], 'build_directory': folder}
        options |= {'extra_cflags': flags, 'extra_ldflags': ['-fopenmp'], 'is_python_module': False}
        code = f'from torch.utils.cpp_extension import load; load(**{options!r})'
        done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
        if done.returncode:
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            last = lines[-1] if lines else f'code {done.returncode}'
            reason = next((line for line in lines if 'error:' in line), last)
            raise UserError(f'the kernels of mode native could not be built: {reason}')
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as temporary:
                shutil.copyfile(Path(folder) / f'{NAME}.so', temporary)
        except OSError as error:
            raise UserError(
                f'the kernels of mode native cannot be kept: {error}; TORCH_HOME names another folder'
            ) from error
