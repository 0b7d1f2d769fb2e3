"""Run folders that never collide, and files that are written whole or not at all."""

import errno
import os
import threading

import pytest

from utils.errors import MissingFileError, UserError
from utils.paths import atomic_write, check_folder, increment_path, kind_of


def test_a_run_folder_takes_the_first_free_number(tmp_path):
    project = tmp_path / 'runs' / 'train'
    names = [increment_path(project, 'exp').name for _ in range(3)]
    assert names == ['exp', 'exp-1', 'exp-2']
    assert all((project / name).is_dir() for name in names)


def test_a_run_folder_steps_over_a_file_and_fills_a_gap(tmp_path):
    (tmp_path / 'exp').write_text('a file of that name')
    (tmp_path / 'exp-2').mkdir()
    assert increment_path(tmp_path, 'exp').name == 'exp-1'
    assert increment_path(tmp_path, 'exp').name == 'exp-3'


def test_a_dot_in_the_name_of_a_run_is_no_suffix(tmp_path):
    assert [increment_path(tmp_path, 'lr0.5').name for _ in range(2)] == ['lr0.5', 'lr0.5-1']


def test_runs_that_start_together_get_folders_of_their_own(tmp_path):
    count, folders = 24, []
    together = threading.Barrier(count)

    def start():
        together.wait()
        folders.append(increment_path(tmp_path, 'exp'))

    threads = [threading.Thread(target=start) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(folders)) == count


@pytest.mark.parametrize('name', ['', '.', '..', 'a/..'])
def test_a_name_that_is_none_is_refused(tmp_path, name):
    with pytest.raises(UserError, match='no name for a run folder'):
        increment_path(tmp_path, name)


def test_a_project_that_is_a_file_is_refused_in_one_line(tmp_path):
    (tmp_path / 'runs').write_text('not a folder')
    with pytest.raises(UserError, match='no run folder can be created') as caught:
        increment_path(tmp_path / 'runs', 'exp')
    assert '\n' not in str(caught.value)


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / 'metrics.json'
    path.write_text('old')
    with atomic_write(path) as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == '.json'
        temporary.write_text('new')
        assert path.read_text() == 'old'
    assert path.read_text() == 'new'
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    'error', [OSError(errno.ENOSPC, 'No space left on device'), KeyboardInterrupt(), ValueError()]
)
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / 'metrics.json'
    path.write_text('old')
    with pytest.raises(type(error)), atomic_write(path) as temporary:
        temporary.write_text('half of the n')
        raise error
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize('step', ['fsync', 'replace'])
def test_a_disk_that_fills_up_at_the_last_moment_leaves_the_old_file(tmp_path, monkeypatch, step):
    def full(*_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    path = tmp_path / 'metrics.json'
    path.write_text('old')
    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match=r'No space left.*metrics'), atomic_write(path) as new:
        new.write_text('new')
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]


def test_the_bytes_reach_the_disk_before_the_name_changes(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, 'fsync', lambda descriptor: (calls.append('fsync'), fsync(descriptor))[1])
    monkeypatch.setattr(os, 'replace', lambda *names: (calls.append('replace'), replace(*names))[1])
    with atomic_write(tmp_path / 'log.txt') as temporary:
        temporary.write_text('new')
    assert calls == ['fsync', 'replace']


def test_a_file_gets_the_permissions_that_any_new_file_gets(tmp_path):
    (tmp_path / 'plain').write_text('')
    with atomic_write(tmp_path / 'atomic') as temporary:
        temporary.write_text('')
    assert (tmp_path / 'atomic').stat().st_mode == (tmp_path / 'plain').stat().st_mode


def test_a_link_is_written_through(tmp_path):
    (tmp_path / 'disk').mkdir()
    target, link = tmp_path / 'disk' / 'last.pt', tmp_path / 'last.pt'
    target.write_text('old')
    link.symlink_to(target)
    with atomic_write(link) as temporary:
        temporary.write_text('new')
    assert link.is_symlink() and target.read_text() == 'new'


def test_a_missing_folder_and_a_folder_in_place_of_a_file_are_named(tmp_path):
    with (
        pytest.raises(MissingFileError, match='there is no folder'),
        atomic_write(tmp_path / 'none' / 'a.json'),
    ):
        pass
    with pytest.raises(UserError, match='it is a folder'), atomic_write(tmp_path):
        pass


def test_what_stands_where_a_folder_is_to_be_written_is_refused(tmp_path):
    (tmp_path / 'loop').symlink_to('loop')
    (tmp_path / 'file').touch()
    for name, words in (('loop', 'a link that leads nowhere'), ('file', 'a file; give a folder')):
        with pytest.raises(UserError, match=words):
            check_folder(tmp_path / name, '--out')
    check_folder(tmp_path, '--out')
    check_folder(tmp_path / 'new', '--out')


def test_a_pipe_is_not_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(UserError, match='it is a pipe or device'), atomic_write(tmp_path / 'pipe'):
        pass
    assert kind_of(tmp_path / 'pipe') == 'pipe or device'


def test_a_kind_is_told_without_opening(tmp_path):
    (tmp_path / 'file').touch()
    os.mkfifo(tmp_path / 'pipe')
    assert [kind_of(tmp_path / name) for name in ('', 'file', 'pipe')] == ['folder', 'file', 'pipe or device']
