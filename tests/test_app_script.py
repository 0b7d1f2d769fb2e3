"""app.py's command line and the image that serves it."""

import ast
import re
import socket
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import app
from opt.app_opt import parse_app_options
from webapp.server import own_folder

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / 'Dockerfile').read_text().replace('\\\n', ' ').splitlines()


def run(*arguments) -> int:
    try:
        app.main([str(argument) for argument in arguments])
    except SystemExit as end:
        return end.code
    return 0


def test_the_page_is_for_this_machine_alone_unless_asked_otherwise():
    options = parse_app_options([])
    assert (options.host, options.share, options.port) == ('127.0.0.1', False, 7860)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--port', '0'], "'0' is not a whole number of at least 1"),
        (['--port', '70000'], "'70000' is more than 65535"),
        (['--backend', 'turbo'], "invalid choice: 'turbo'"),
        (['--host', ' '], '--host: an empty name'),
        (['--host', 'no.such.host.invalid'], 'cannot listen there'),
        (['--checkpoint', 'no_such_folder'], 'no_such_folder: no such folder'),
        (['--max_upload', '0'], "'0' is not a whole number of at least 1"),
        (['--device', 'cuda:99'], 'cuda:99'),
    ],
)
def test_a_wrong_option_is_one_line(arguments, message, capsys):
    if '--port' not in arguments:
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            arguments = [*arguments, '--port', str(probe.getsockname()[1])]
    assert run(*arguments) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith('error: ') and '\n' not in said and message in said


def test_a_port_that_is_taken_is_said_before_any_work(capsys):
    with socket.socket() as other:
        other.bind(('127.0.0.1', 0))
        other.listen()
        port = other.getsockname()[1]
        assert run('--port', port) == 2
    assert f'--port {port}: cannot listen there (Address already in use)' in capsys.readouterr().err


def test_the_folder_for_uploads_goes_with_the_page(monkeypatch):
    for name in ('GRADIO_TEMP_DIR', 'GRADIO_ANALYTICS_ENABLED'):
        monkeypatch.setenv(name, 'as it was')
    with own_folder() as folder:
        assert (folder / 'files').is_dir()
    assert not folder.exists()


def imported_modules(path: Path) -> set[Path]:
    """The files of the project that a file imports, at its top or within a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module, *(f'{node.module}.{alias.name}' for alias in node.names)]
        for name in names:
            place = ROOT.joinpath(*name.split('.'))
            found |= {file for file in (place.with_suffix('.py'), place / '__init__.py') if file.is_file()}
    return found


def test_the_image_has_all_that_the_page_imports():
    copied = [source for line in DOCKERFILE if line.startswith('COPY') for source in line.split()[1:-1]]
    assert all((ROOT / source).exists() for source in copied)
    known, new = set(), {ROOT / 'app.py'}
    while new:
        known |= new
        new = set().union(*map(imported_modules, new)) - known
    assert {ROOT / 'webapp' / 'page.py', ROOT / 'photo' / 'dressing.py', ROOT / 'runtime' / 'cpu.py'} <= known
    places = {path.relative_to(ROOT).parts[0] for path in known}
    assert places <= set(copied)


def test_the_image_runs_the_page_as_nobody_special_and_looks_after_it():
    text = '\n'.join(DOCKERFILE)
    assert text.index('USER visitor') > text.index('COPY app.py') and 'USER root' not in text
    entry = re.search(r'^ENTRYPOINT \["python", "app.py", (.*)\]$', text, re.MULTILINE).group(1)
    options = parse_app_options([word.strip(' "') for word in entry.split(',')])
    assert (options.host, options.port, options.share) == ('0.0.0.0', 7860, False)
    assert 'EXPOSE 7860' in text and re.search(r'^HEALTHCHECK .*127\.0\.0\.1:7860', text, re.MULTILINE)
    assert 'https://download.pytorch.org/whl/cpu' in text


def test_what_is_kept_out_of_the_image_is_not_copied_into_it():
    kept = {line[1:] for line in (ROOT / '.dockerignore').read_text().splitlines() if line.startswith('!')}
    copied = {source for line in DOCKERFILE if line.startswith('COPY') for source in line.split()[1:-1]}
    assert copied == kept


@pytest.mark.parametrize('name', ['requirements.txt', 'requirements-app.txt', 'requirements-export.txt'])
def test_pip_can_read_the_requirements(name):
    lines = [line.partition('#')[0].strip() for line in (ROOT / name).read_text().splitlines()]
    names = [Requirement(line).name for line in lines if line]
    assert names and len(set(names)) == len(names)
