"""Imports point one way: from scripts down to utils, never up, and never between neighbours."""

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# From the lowest to the highest. A package imports from lower levels and from itself; packages of one level
# are neighbours. One that is not listed, and every script, stands above all of these.
LEVELS = (
    ('utils',),
    ('data',),
    ('models', 'synthetic'),
    ('engine',),
    ('photo', 'runtime'),
    ('opt',),
    ('webapp',),
    ('benchmarks',),
)
RANKS = {name: rank for rank, names in enumerate(LEVELS) for name in names}
TOP = len(LEVELS)
# Modules that only keep an old command line working; nothing may import them.
ALIASES = {
    'utils.checkpoint': 'python -m utils.checkpoint is the former name of python -m models.checkpoint',
    'data.synthetic': 'python -m data.synthetic is the former name of python -m synthetic',
}


def modules(root: Path) -> dict[str, Path]:
    """Every module of the project outside tests, by its dotted name."""
    files = [
        path for path in root.rglob('*.py') if not {'tests', 'shared'} & set(path.relative_to(root).parts)
    ]
    names = {
        path: '.'.join(path.relative_to(root).with_suffix('').parts).removesuffix('.__init__')
        for path in files
    }
    return {name: path for path, name in names.items() if not name.startswith('.')}


def imports(path: Path, own: set[str]) -> set[str]:
    """The project's modules that a file imports, wherever in it the import stands."""
    return imported_names(path.read_text(encoding='utf-8')) & own


@functools.cache
def imported_names(code: str) -> set[str]:
    """Modules that code imports, and `module.name` of each name that it takes from one."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, 'a relative import'
            found |= {node.module, *(f'{node.module}.{alias.name}' for alias in node.names)}
    return found


def rank(module: str) -> int:
    """The level of a module's package."""
    return RANKS.get(module.partition('.')[0], TOP)


def upward(root: Path) -> list[str]:
    """Imports that do not point down, as `importer -> imported`."""
    files = modules(root)
    faults = []
    for name, path in files.items():
        for imported in imports(path, set(files)):
            inside = name.partition('.')[0] == imported.partition('.')[0]
            down = rank(imported) < rank(name) or (rank(name) == TOP and imported not in scripts(root))
            if name not in ALIASES and not inside and not down:
                faults.append(f'{name} -> {imported}')
    return sorted(faults)


def scripts(root: Path) -> set[str]:
    """Command lines at the top of the project."""
    return {path.stem for path in root.glob('*.py')}


def test_no_import_points_upward():
    assert upward(ROOT) == []


def test_nothing_imports_an_alias():
    files = modules(ROOT)
    assert ALIASES.keys() <= files.keys()
    assert [name for name, path in files.items() if imports(path, set(files)) & ALIASES.keys()] == []


def test_no_module_is_imported_in_a_circle():
    """Packages are above: this is of the files within one."""
    files = modules(ROOT)
    graph = {name: imports(path, set(files)) - {name, *parents(name)} for name, path in files.items()}
    assert [name for name in graph if name in reachable(graph, graph[name])] == []


def parents(name: str) -> list[str]:
    """The packages that a module lies in."""
    parts = name.split('.')
    return ['.'.join(parts[:end]) for end in range(1, len(parts))]


def reachable(graph: dict[str, set[str]], start: set[str]) -> set[str]:
    """Every module that one of `start` imports, directly or not."""
    seen, waiting = set(), list(start)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += graph[name]
    return seen


@pytest.mark.parametrize(
    'file, line, fault',
    [
        ('utils/paths.py', 'import models', 'utils.paths -> models'),
        (
            'models/pipeline.py',
            'def f():\n    from engine.stages import Stage',
            'models.pipeline -> engine.stages',
        ),
        ('photo/files.py', 'from runtime import parts', 'photo.files -> runtime.parts'),
        ('scripts/check.py', 'import app', 'scripts.check -> app'),
    ],
)
def test_an_upward_import_is_found(file, line, fault, tmp_path):
    for name in (
        'utils/paths.py',
        'models/__init__.py',
        'models/pipeline.py',
        'engine/stages.py',
        'photo/files.py',
        'app.py',
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name in ('runtime/__init__.py', 'runtime/parts.py', 'scripts/check.py'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('from utils import paths\n')
    (tmp_path / file).write_text(line)
    assert fault in upward(tmp_path)
    (tmp_path / file).write_text('')
    assert upward(tmp_path) == []
