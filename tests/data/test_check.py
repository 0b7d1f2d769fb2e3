"""Each kind of broken data set ends in one clear line that names the file; a check finds everything at once."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from data.check import check_dataset, main
from data.viton import VITONDataset
from utils.errors import DataError, MissingFileError, UserError

SIZE = (64, 32)
WIDTH_HEIGHT = SIZE[::-1]
PROJECT = Path(__file__).parents[2]


def truncate(path: Path, keep: float = 0.6) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:int(len(content) * keep)])


def lossy_label(root: Path) -> None:
    # Stripes of ids far apart make JPEG overshoot the largest one.
    ids = np.tile(np.array([0, 13], np.uint8).repeat(3), 6)[:32]
    Image.fromarray(np.tile(ids, (64, 1))).save(root / 'train_label/000000_0.jpg', quality=60)
    (root / 'train_label/000000_0.png').unlink()


def pose(root: Path, content) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (root / 'train_pose/000000_0.json').write_text(text)


def append(root: Path, line: str) -> None:
    with open(root / 'train_pairs.txt', 'a') as file:
        file.write(line + '\n')


def save_parts(root: Path, parts) -> None:
    np.save(root / 'train_densepose/000000_0.npy', parts, allow_pickle=True)


def zeros(*shape, dtype=np.uint8):
    return np.zeros(shape, dtype)


IMG, COLOR, EDGE = 'train_img/000000_0.jpg', 'train_color/000000_1.jpg', 'train_edge/000000_1.jpg'
LABEL, PARTS, POSE = 'train_label/000000_0.png', 'train_densepose/000000_0.npy', 'train_pose/000000_0.json'
PAIRS = 'train_pairs.txt'

# name: (what breaks the set, the file that the line must name, what it must say)
BROKEN = {
    'person missing': (lambda root: (root / IMG).unlink(), IMG, 'no such file'),
    'garment missing': (lambda root: (root / COLOR).unlink(), COLOR, 'no such file'),
    'edge missing': (lambda root: (root / EDGE).unlink(), EDGE, 'no such file'),
    'label missing': (lambda root: (root / LABEL).unlink(), LABEL, 'no such file'),
    'densepose missing': (lambda root: (root / PARTS).unlink(), PARTS, 'no such file'),
    'pose missing': (lambda root: (root / POSE).unlink(), POSE, 'no such file'),
    'person truncated': (lambda root: truncate(root / IMG), IMG, 'truncated'),
    'person lacks its last bytes': (lambda root: truncate(root / IMG, 0.99), IMG, 'truncated'),
    'edge truncated': (lambda root: truncate(root / EDGE, 0.9), EDGE, 'truncated'),
    'label truncated': (lambda root: truncate(root / LABEL), LABEL, 'cannot be read'),
    'densepose truncated': (lambda root: truncate(root / PARTS), PARTS, 'cannot be read'),
    'pose truncated': (lambda root: truncate(root / POSE), POSE, 'cannot be read'),
    'person is text': (lambda root: (root / IMG).write_text('a person'), IMG, 'not a picture'),
    'garment is empty': (lambda root: (root / COLOR).write_bytes(b''), COLOR, 'empty file'),
    'label is a folder': (lambda root: [(root / LABEL).unlink(), (root / LABEL).mkdir()], LABEL, 'cannot be read'),
    'garment of 16 bits': (
        lambda root: Image.new('I;16', WIDTH_HEIGHT).save(root / COLOR, 'PNG'), COLOR, '8 bits a channel'),
    'edge of another size': (lambda root: Image.new('L', (32, 32)).save(root / EDGE), EDGE, 'expected 64 x 32'),
    'label of another size': (lambda root: Image.new('L', (64, 64)).save(root / LABEL), LABEL, 'expected 64 x 32'),
    'label turned': (lambda root: Image.new('L', SIZE).save(root / LABEL), LABEL, '32 x 64 pixels'),
    'densepose of another size': (lambda root: save_parts(root, zeros(32, 64)), PARTS, 'expected 64 x 32'),
    'label id 14': (
        lambda root: Image.new('L', WIDTH_HEIGHT, 14).save(root / LABEL), LABEL, 'ids 14, expected 0 to 13'),
    'label black and white': (
        lambda root: Image.new('1', WIDTH_HEIGHT, 1).convert('L').save(root / LABEL), LABEL, 'black and white'),
    'label in colours': (lambda root: Image.new('RGB', WIDTH_HEIGHT).save(root / LABEL), LABEL, 'one channel'),
    'label as lossy jpeg': (lossy_label, 'train_label/000000_0.jpg', 'JPEG is lossy'),
    'densepose id 25': (lambda root: save_parts(root, zeros(*SIZE) + 25), PARTS, 'ids 25, expected 0 to 24'),
    'densepose negative': (lambda root: save_parts(root, zeros(*SIZE, dtype=np.int8) - 1), PARTS, 'ids -1'),
    'densepose of floats': (lambda root: save_parts(root, zeros(*SIZE, dtype=np.float32)), PARTS, 'dtype float32'),
    'densepose with three channels': (lambda root: save_parts(root, zeros(*SIZE, 3)), PARTS, 'shape [64, 32, 3]'),
    'densepose is a pickle': (lambda root: save_parts(root, np.array([{}])), PARTS, 'cannot be read'),
    'densepose is an archive': (
        lambda root: [np.savez(root / 'a.npz', zeros(1)), shutil.move(root / 'a.npz', root / PARTS)], PARTS, 'archive'),
    'densepose with a damaged head': (
        lambda root: (root / PARTS).write_bytes((root / PARTS).read_bytes().replace(b'{', b'\n', 1)), PARTS, 'cannot be read'),
    'densepose is text': (lambda root: (root / PARTS).write_text('1 2 3'), PARTS, 'cannot be read'),
    'pose is a list': (lambda root: pose(root, []), POSE, 'people'),
    'pose without people': (lambda root: pose(root, {'version': 1}), POSE, 'people'),
    'pose without key points': (lambda root: pose(root, {'people': [{}]}), POSE, 'pose_keypoints'),
    'pose of 25 points': (lambda root: pose(root, {'people': [{'pose_keypoints': [0] * 75}]}), POSE, '75 numbers'),
    'pose with text': (lambda root: pose(root, {'people': [{'pose_keypoints': ['1'] * 54}]}), POSE, 'finite'),
    'pose with NaN': (lambda root: pose(root, {'people': [{'pose_keypoints': [float('nan')] * 54}]}), POSE, 'finite'),
    'pose with a huge number': (
        lambda root: pose(root, {'people': [{'pose_keypoints': [10**400] * 54}]}), POSE, 'cannot be read'),
    'pose nested without end': (lambda root: pose(root, '[' * 200_000), POSE, 'cannot be read'),
    'one name on a line': (lambda root: append(root, '000000_0.jpg'), PAIRS, 'line 5: 1 name(s), expected two'),
    'three names on a line': (lambda root: append(root, 'a.jpg b.jpg c.jpg'), PAIRS, 'line 5: 3 name(s)'),
    'a pair twice': (lambda root: append(root, '000001_0.jpg 000001_1.jpg'), PAIRS, 'again, it is on line 2'),
    'an absolute name': (lambda root: append(root, f'{root}/{IMG} 000001_1.jpg'), PAIRS, 'no plain file name'),
    'a name that leaves the folder': (lambda root: append(root, '../x.jpg 000001_1.jpg'), PAIRS, 'no plain file name'),
    'a name of Windows': (lambda root: append(root, r'C:\x.jpg 000001_1.jpg'), PAIRS, 'no plain file name'),
    'dots for a name': (lambda root: append(root, '.. 000001_1.jpg'), PAIRS, 'no plain file name'),
    'an empty list': (lambda root: (root / PAIRS).write_text('\n \n'), PAIRS, 'empty'),
    'a list that is no text': (lambda root: (root / PAIRS).write_bytes(b'\xff\xfe\x00\xd8'), PAIRS, 'as UTF-8'),
    'a list that is a folder': (
        lambda root: [(root / PAIRS).unlink(), (root / PAIRS).mkdir()], PAIRS, 'a folder, pipe'),
    'a list of one garment': (lambda root: (root / PAIRS).write_text('000000_0.jpg 000000_1.jpg\n'), PAIRS, 'another'),
    'a folder missing': (lambda root: shutil.rmtree(root / 'train_edge'), 'train_edge', 'no such folder'),
    'a folder that is a file': (
        lambda root: [shutil.rmtree(root / 'train_pose'), (root / 'train_pose').touch()],
        'train_pose',
        'no such folder',
    ),
}


@pytest.mark.parametrize('kind', BROKEN)
def test_a_broken_set_ends_in_one_line_that_names_the_file(make_set, kind):
    root = make_set()
    break_set, name, text = BROKEN[kind]
    break_set(root)
    report = check_dataset(root, size=SIZE)
    assert [problem.text for problem in report.problems if name in problem.text and text in problem.text], str(report)
    assert len(report.problems) == 1 and not report.ok
    with pytest.raises(DataError) as caught:
        VITONDataset(root, 'train', size=SIZE)
    message = str(caught.value)
    assert message.startswith(f'{root}: {name}') and text in message and '\n' not in message
    assert message.count(str(root)) == 1 or kind == 'an absolute name', 'the folder is named once'


def test_a_good_set_is_good_and_summed_up(make_set):
    report = check_dataset(make_set(), size=SIZE)
    assert report.ok and report.raise_if_bad() is None
    text = str(report)
    assert 'train: 4 records, 4 persons, 4 garments' in text and 'list: paired' in text
    assert '64 x 32 (8)' in text and 'resized' not in text
    assert 'label ids: 0 1 2 3 4 5 6 7 8 9 10 11 12 13' in text and text.endswith('good')
    assert 'resized to 256 x 192' in str(check_dataset(make_set()))


def test_both_lists_of_one_folder_are_checked_unless_one_is_asked_for(make_set):
    root = make_set()
    make_set('test', root=root)
    (root / 'test_img' / '000000_0.jpg').unlink()
    assert [problem.text for problem in check_dataset(root).problems] == ['test_img/000000_0.jpg: no such file']
    assert check_dataset(root, 'train').ok and not check_dataset(root, 'test').ok


def test_a_check_finds_everything_at_once_and_counts_it(make_set):
    pairs = [(f'{number:06}_0.jpg', f'{number:06}_1.jpg') for number in range(15)]
    root = make_set(pairs=pairs)
    for person, _ in pairs[:13]:
        (root / 'train_img' / person).unlink()
    truncate(root / 'train_color' / '000013_1.jpg')
    Image.new('L', WIDTH_HEIGHT, 200).save(root / 'train_label' / '000014_0.png')
    pose(root, '{')
    append(root, 'only_one.jpg')
    report = check_dataset(root, size=SIZE)
    assert len(report.problems) == 17
    text = str(report)
    assert 'missing (13)' in text and '... and 3 more' in text and text.count('no such file') == 10
    for name in ('000013_1.jpg', '000014_0.png', '000000_0.json', 'line 16'):
        assert name in text
    with pytest.raises(DataError) as caught:
        report.raise_if_bad()
    message = str(caught.value)
    assert message.startswith(f'{root}: 17 problems, first: train_pairs.txt: line 16') and '\n' not in message
    assert f'python -m data.check {root}' in message


def test_the_command_in_the_message_survives_a_folder_with_spaces(make_set, tmp_path):
    root = make_set(root=tmp_path / 'my set')
    shutil.rmtree(root / 'train_img')
    shutil.rmtree(root / 'train_pose')
    with pytest.raises(DataError, match=re.escape(f"python -m data.check '{root}'")):
        check_dataset(root).raise_if_bad()


def test_what_spoils_a_set_silently_is_noted_without_refusing_it(make_set, openpose):
    pairs = [('000000_0.jpg', '000001_1.jpg'), ('000001_0.jpg', '000000_1.jpg')]
    root = make_set(pairs=pairs)
    Image.new('L', WIDTH_HEIGHT, 1).save(root / EDGE)
    pose(root, openpose([(100, 20)]))
    (root / 'train_pose' / '000001_0.json').write_text('{"people": []}')
    Image.new('L', WIDTH_HEIGHT, 4).save(root / 'train_label' / '000001_0.jpg')
    (root / 'train_label' / '000001_0.png').unlink()
    report = check_dataset(root, size=SIZE)
    assert report.ok
    text = str(report)
    assert 'list: unpaired' in text and 'takes the garment of a line for the one that the person wears' in text
    for note in ('edges without a garment', 'outside the picture', 'without a person', 'stored as JPEG'):
        assert re.search(rf'note: .*{note}.*: 1', text), note


def test_a_wrong_root_is_answered_with_the_right_one(make_set, tmp_path):
    root = make_set(root=tmp_path / 'downloads' / 'VITON_traindata')
    cases = [
        (tmp_path / 'nowhere', MissingFileError, 'no such folder; give the folder that holds train_pairs.txt'),
        (root / 'train_pairs.txt', UserError, f'a file, expected the folder of a data set; give its folder {root}'),
        (root.parent, DataError, f'lies one level deeper; give {root}'),
        (root / 'train_img', DataError, f'lies one level higher; give {root}'),
        (tmp_path, DataError, 'train_pairs.txt is missing'),
    ]
    for given_root, kind, text in cases:
        report = check_dataset(given_root, 'train')
        with pytest.raises(kind, match=re.escape(text)) as caught:
            report.raise_if_bad()
        assert str(caught.value) == str(report) and '\n' not in str(report)
        with pytest.raises(kind, match=re.escape(text)):
            VITONDataset(given_root, 'train')
    with pytest.raises(DataError, match='only train_pairs.txt is here; give a test set'):
        check_dataset(root, 'test').raise_if_bad()


def test_a_list_may_have_a_byte_order_mark_blank_lines_and_windows_line_ends(make_set):
    root = make_set()
    lines = (root / PAIRS).read_text().splitlines()
    (root / PAIRS).write_bytes(b'\xef\xbb\xbf' + '\r\n\r\n'.join(lines).encode())
    assert len(VITONDataset(root, 'train', size=SIZE)) == 4


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300), name=st.sampled_from([IMG, COLOR, EDGE, LABEL, PARTS, POSE, PAIRS]))
def test_no_content_of_a_file_makes_the_check_itself_fail(make_set, content, name):
    root = make_set(pairs=[('000000_0.jpg', '000000_1.jpg'), ('000001_0.jpg', '000001_1.jpg')])
    (root / name).write_bytes(content)
    report = check_dataset(root, size=SIZE)
    assert not report.ok and all('\n' not in problem.text for problem in report.problems)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damage_within_a_file_makes_the_check_itself_fail(make_set, data):
    root = make_set(pairs=[('000000_0.jpg', '000000_1.jpg'), ('000001_0.jpg', '000001_1.jpg')])
    path = root / data.draw(st.sampled_from([IMG, EDGE, LABEL, PARTS, POSE, PAIRS]))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    assert all('\n' not in problem.text for problem in check_dataset(root, size=SIZE).problems)


def run_check(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, '-m', 'data.check', *map(str, arguments)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60)


def test_the_command_line_exits_with_0_1_or_2(make_set, tmp_path):
    good, bad = make_set(), make_set(root=tmp_path / 'bad')
    (bad / IMG).unlink()
    result = run_check(good, '--phase', 'train', '--size', 64, 32)
    assert (result.returncode, result.stderr) == (0, '') and 'train: 4 records' in result.stdout
    result = run_check(bad)
    assert (result.returncode, result.stderr) == (1, '') and f'{IMG}: no such file' in result.stdout
    result = run_check()
    assert result.returncode == 2 and result.stderr == 'error: the following arguments are required: root; see --help\n'


@pytest.mark.parametrize(('arguments', 'status', 'text'), [
    (['nowhere'], 2, 'no such folder'),
    (['.', '--size', '60', '32'], 2, 'multiples of 32'),
    (['.', '--phase', 'test'], 1, 'only train_pairs.txt'),
    (['..'], 1, 'one level deeper'),
])
def test_a_mistake_on_the_command_line_is_one_line_on_stderr(make_set, monkeypatch, capsys, arguments, status, text):
    monkeypatch.chdir(make_set())
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    out, err = capsys.readouterr()
    assert (stopped.value.code, out) == (status, '')
    assert err.startswith('error: ') and text in err and err.count('\n') == 1


@pytest.mark.parametrize(('content', 'text'), [
    ('000000_0.jpg 000000_1.jpg\n'.encode('utf-16'), 'save the list as UTF-8'),
    ('000000_0.jpg 000000_1.jpg\n'.encode('utf-16-le'), 'save the list as UTF-8'),
    (b'000000_0.jpg,000000_1.jpg\n', 'separate `person.jpg garment.jpg` by a space'),
    (b'000000_0.jpg, 000000_1.jpg\n', 'separate `person.jpg garment.jpg` by a space'),
])
def test_a_list_that_another_program_saved_is_told_with_its_remedy(make_set, content, text):
    root = make_set()
    (root / PAIRS).write_bytes(content)
    report = check_dataset(root, size=SIZE)
    assert len(report.problems) == 1 and text in report.problems[0].text


def test_a_file_that_the_system_refuses_is_a_listed_problem(make_set):
    root = make_set()
    name = f'{"a" * 300}.jpg'
    with open(root / PAIRS, 'a') as file:
        file.write(f'{name} 000001_1.jpg\n')
    problems = [problem.text for problem in check_dataset(root, size=SIZE).problems]
    assert len(problems) == 4 and all('File name too long' in text and 'replace' not in text for text in problems)


@pytest.mark.skipif(not hasattr(os, 'geteuid') or os.geteuid() == 0, reason='the superuser may read every file')
def test_what_may_not_be_read_says_so(make_set):
    root = make_set()
    (root / PAIRS).chmod(0)
    assert 'Permission denied), check its' in check_dataset(root, size=SIZE).problems[0].text
    root.chmod(0)
    try:
        assert 'Permission denied' in str(check_dataset(root, size=SIZE).error)
        assert 'Permission denied' in str(check_dataset(root / 'within', size=SIZE).error)
    finally:
        root.chmod(0o755)


@pytest.mark.parametrize('path', ['~nosuchuser/set', 'a' * 300])
def test_a_folder_that_cannot_be_is_told_in_one_line(path):
    error = check_dataset(path, size=SIZE).error
    assert isinstance(error, UserError) and '\n' not in str(error)


def test_a_picture_that_another_program_would_have_to_draw_is_refused(make_set):
    root = make_set()
    Image.open(root / IMG).save(root / IMG, format='EPS')
    problems = check_dataset(root, size=SIZE).problems
    assert len(problems) == 1 and f'{IMG}: not a picture (JPEG, PNG' in problems[0].text


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='this system has no named pipes')
def test_a_pipe_among_the_files_is_not_waited_for(make_set):
    root = make_set()
    (root / IMG).unlink()
    os.mkfifo(root / IMG)
    problems = check_dataset(root, size=SIZE).problems
    assert len(problems) == 1 and 'a folder, pipe or device' in problems[0].text
