"""Each kind of broken data set ends in one clear line that names the file; a check finds everything at
once.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from data import records
from data.check import check_dataset, main
from data.viton import VITONDataset
from utils.errors import DataError, MissingFileError, UserError
from utils.progress import map_in_threads

SIZE = (64, 32)
WIDTH_HEIGHT = SIZE[::-1]
PROJECT = Path(__file__).parents[2]


def truncate(path: Path, keep: float = 0.6) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])


def lip_labels(root: Path) -> None:
    """Parsing ids as LIP has them in three of four maps: 5 is the upper clothes, 9 the pants, 15 an arm."""
    ids = np.full(SIZE, 5, np.uint8)
    ids[:8], ids[40:], ids[:, :2] = 13, 9, 15
    for number in range(3):
        Image.fromarray(ids).save(root / f'train_label/00000{number}_0.png')


def edges(root: Path, count: int, inside: int, outside: int) -> None:
    """The masks of the first garments, with other values."""
    mask = np.full(SIZE, outside, np.uint8)
    mask[8:-8, 8:-8] = inside
    for number in range(count):
        Image.fromarray(mask).save(root / f'train_edge/00000{number}_1.jpg')


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
    'person is a link to nothing': (
        lambda root: [(root / IMG).unlink(), (root / IMG).symlink_to('nowhere.jpg')],
        IMG,
        'a link to nowhere.jpg, which is not there',
    ),
    'person truncated': (lambda root: truncate(root / IMG), IMG, 'truncated'),
    'person lacks its last bytes': (lambda root: truncate(root / IMG, 0.99), IMG, 'truncated'),
    'edge truncated': (lambda root: truncate(root / EDGE, 0.9), EDGE, 'truncated'),
    'label truncated': (lambda root: truncate(root / LABEL), LABEL, 'cannot be read'),
    'densepose truncated': (lambda root: truncate(root / PARTS), PARTS, 'cannot be read'),
    'pose truncated': (lambda root: truncate(root / POSE), POSE, 'cannot be read'),
    'person is text': (lambda root: (root / IMG).write_text('a person'), IMG, 'not a picture'),
    'garment is empty': (lambda root: (root / COLOR).write_bytes(b''), COLOR, 'empty file'),
    'label is a folder': (
        lambda root: [(root / LABEL).unlink(), (root / LABEL).mkdir()],
        LABEL,
        'cannot be read',
    ),
    'person of one pixel': (
        lambda root: Image.new('RGB', (1, 1)).save(root / IMG),
        IMG,
        '1 x 1 pixels (height x width), no photograph',
    ),
    'garment of 16 bits': (
        lambda root: Image.new('I;16', WIDTH_HEIGHT).save(root / COLOR, 'PNG'),
        COLOR,
        '8 bits a channel',
    ),
    'edge of another size': (
        lambda root: Image.new('L', (32, 32)).save(root / EDGE),
        EDGE,
        'expected 64 x 32',
    ),
    'label of another size': (
        lambda root: Image.new('L', (64, 64)).save(root / LABEL),
        LABEL,
        'expected 64 x 32',
    ),
    'label turned': (lambda root: Image.new('L', SIZE).save(root / LABEL), LABEL, '32 x 64 pixels'),
    'densepose of another size': (lambda root: save_parts(root, zeros(32, 64)), PARTS, 'expected 64 x 32'),
    'label in colours': (
        lambda root: Image.new('RGB', WIDTH_HEIGHT, (1, 1, 2)).save(root / LABEL),
        LABEL,
        'one channel',
    ),
    'labels of another parsing': (
        lip_labels,
        LABEL,
        'as in 3 of 4 maps; ids up to 15 occur; ids of another parsing',
    ),
    'edges inverted': (lambda root: edges(root, 3, 0, 255), EDGE, 'inverted'),
    'edges black': (lambda root: edges(root, 3, 0, 0), EDGE, 'without a garment'),
    'edges white': (lambda root: edges(root, 3, 255, 255), EDGE, 'white all over'),
    'densepose id 25': (lambda root: save_parts(root, zeros(*SIZE) + 25), PARTS, 'ids 25, expected 0 to 24'),
    'densepose negative': (lambda root: save_parts(root, zeros(*SIZE, dtype=np.int8) - 1), PARTS, 'ids -1'),
    'densepose of broken floats': (
        lambda root: save_parts(root, zeros(*SIZE, dtype=np.float32) + 0.5),
        PARTS,
        'dtype float32 with broken numbers',
    ),
    'densepose of NaN': (lambda root: save_parts(root, np.full(SIZE, np.nan)), PARTS, 'broken numbers'),
    'densepose with three channels': (
        lambda root: save_parts(root, zeros(*SIZE, 3)),
        PARTS,
        'shape [64, 32, 3]',
    ),
    'densepose is a pickle': (lambda root: save_parts(root, np.array([{}])), PARTS, 'cannot be read'),
    'densepose is an archive': (
        lambda root: [np.savez(root / 'a.npz', zeros(1)), shutil.move(root / 'a.npz', root / PARTS)],
        PARTS,
        'archive',
    ),
    'densepose with a damaged head': (
        lambda root: (root / PARTS).write_bytes((root / PARTS).read_bytes().replace(b'{', b'\n', 1)),
        PARTS,
        'cannot be read',
    ),
    'densepose is text': (lambda root: (root / PARTS).write_text('1 2 3'), PARTS, 'cannot be read'),
    'pose is a list': (lambda root: pose(root, []), POSE, 'people'),
    'pose without people': (lambda root: pose(root, {'version': 1}), POSE, 'people'),
    'pose without key points': (lambda root: pose(root, {'people': [{}]}), POSE, 'pose_keypoints'),
    'pose of 17 points': (
        lambda root: pose(root, {'people': [{'pose_keypoints': [0] * 51}]}),
        POSE,
        '51 numbers',
    ),
    'pose with text': (lambda root: pose(root, {'people': [{'pose_keypoints': ['1'] * 54}]}), POSE, 'finite'),
    'pose with NaN': (
        lambda root: pose(root, {'people': [{'pose_keypoints': [float('nan')] * 54}]}),
        POSE,
        'finite',
    ),
    'pose with a huge number': (
        lambda root: pose(root, {'people': [{'pose_keypoints': [10**400] * 54}]}),
        POSE,
        'cannot be read',
    ),
    'pose nested without end': (lambda root: pose(root, '[' * 200_000), POSE, 'cannot be read'),
    'one name on a line': (
        lambda root: append(root, '000000_0.jpg'),
        PAIRS,
        'line 5: 1 name(s), expected two',
    ),
    'three names on a line': (lambda root: append(root, 'a.jpg b.jpg c.jpg'), PAIRS, 'line 5: 3 name(s)'),
    'an absolute name': (
        lambda root: append(root, f'{root}/{IMG} 000001_1.jpg'),
        PAIRS,
        'no plain file name',
    ),
    'a name that leaves the folder': (
        lambda root: append(root, '../x.jpg 000001_1.jpg'),
        PAIRS,
        'no plain file name',
    ),
    'a name of Windows': (lambda root: append(root, r'C:\x.jpg 000001_1.jpg'), PAIRS, 'no plain file name'),
    'dots for a name': (lambda root: append(root, '.. 000001_1.jpg'), PAIRS, 'no plain file name'),
    'an empty list': (lambda root: (root / PAIRS).write_text('\n \n'), PAIRS, 'empty'),
    'a list that is no text': (
        lambda root: (root / PAIRS).write_bytes(b'\xff\xfe\x00\xd8'),
        PAIRS,
        'as UTF-8',
    ),
    'a list that is a folder': (
        lambda root: [(root / PAIRS).unlink(), (root / PAIRS).mkdir()],
        PAIRS,
        'a folder, pipe',
    ),
    'a list of one garment': (
        lambda root: (root / PAIRS).write_text('000000_0.jpg 000000_1.jpg\n'),
        PAIRS,
        'another',
    ),
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
    assert [problem.text for problem in report.problems if name in problem.text and text in problem.text], (
        str(report)
    )
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
    assert [problem.text for problem in check_dataset(root).problems] == [
        'test_img/000000_0.jpg: no such file'
    ]
    assert check_dataset(root, 'train').ok and not check_dataset(root, 'test').ok


def test_a_check_finds_everything_at_once_and_counts_it(make_set):
    pairs = [(f'{number:06}_0.jpg', f'{number:06}_1.jpg') for number in range(15)]
    root = make_set(pairs=pairs)
    for person, _ in pairs[:13]:
        (root / 'train_img' / person).unlink()
    truncate(root / 'train_color' / '000013_1.jpg')
    Image.new('RGB', WIDTH_HEIGHT, 'red').save(root / 'train_label' / '000014_0.png')
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
    Image.new('L', WIDTH_HEIGHT, 2).save(root / EDGE)
    pose(root, openpose([(100, 20)]))
    (root / 'train_pose' / '000001_0.json').write_text('{"people": []}')
    Image.new('L', WIDTH_HEIGHT, 4).save(root / 'train_label' / '000001_0.jpg')
    (root / 'train_label' / '000001_0.png').unlink()
    report = check_dataset(root, size=SIZE)
    assert report.ok
    text = str(report)
    assert (
        'list: unpaired' in text and 'takes the garment of a line for the one that the person wears' in text
    )
    for note in ('edges without a garment', 'outside the picture', 'without a person', 'stored as JPEG'):
        assert re.search(rf'note: .*{note}.*: 1', text), note


def test_a_wrong_root_is_answered_with_the_right_one(make_set, tmp_path):
    root = make_set(root=tmp_path / 'downloads' / 'VITON_traindata')
    cases = [
        (
            tmp_path / 'nowhere',
            MissingFileError,
            'no such folder; give the folder that holds train_pairs.txt',
        ),
        (
            root / 'train_pairs.txt',
            UserError,
            f'a file, expected the folder of a data set; give its folder {root}',
        ),
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
    assert (
        result.returncode == 2
        and result.stderr == 'error: the following arguments are required: root; see --help\n'
    )


@pytest.mark.parametrize(
    ('arguments', 'status', 'text'),
    [
        (['nowhere'], 2, 'no such folder'),
        (['.', '--size', '60', '32'], 2, 'multiples of 32'),
        (['.', '--phase', 'test'], 1, 'only train_pairs.txt'),
        (['..'], 1, 'one level deeper'),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line_on_stderr(
    make_set, monkeypatch, capsys, arguments, status, text
):
    monkeypatch.chdir(make_set())
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    out, err = capsys.readouterr()
    assert (stopped.value.code, out) == (status, '')
    assert err.startswith('error: ') and text in err and err.count('\n') == 1


@pytest.mark.parametrize(
    ('content', 'text'),
    [
        ('000000_0.jpg 000000_1.jpg\n'.encode('utf-16'), 'save the list as UTF-8'),
        ('000000_0.jpg 000000_1.jpg\n'.encode('utf-16-le'), 'save the list as UTF-8'),
        (b'000000_0.jpg,000000_1.jpg\n', 'separate `person.jpg garment.jpg` by a space'),
        (b'000000_0.jpg, 000000_1.jpg\n', 'separate `person.jpg garment.jpg` by a space'),
    ],
)
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
    assert len(problems) == 4 and all(
        'File name too long' in text and 'replace' not in text for text in problems
    )


@pytest.mark.skipif(
    not hasattr(os, 'geteuid') or os.geteuid() == 0, reason='the superuser may read every file'
)
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


def jpeg_label(root: Path) -> None:
    # Stripes of ids far apart make JPEG overshoot the largest one.
    ids = np.tile(np.array([4, 13], np.uint8).repeat(3), 6)[:32]
    Image.fromarray(np.tile(ids, (64, 1))).save(root / 'train_label/000000_0.jpg', quality=60)
    (root / LABEL).unlink()


def label_of_mode(root: Path, mode: str) -> None:
    ids = Image.fromarray(np.tile(np.arange(32, dtype=np.uint8) % 14, (64, 1)))
    channels = {
        'RGB': [ids] * 3,
        'RGBA': [*[ids] * 3, Image.new('L', WIDTH_HEIGHT, 9)],
        'LA': [ids, ids.point(lambda _: 9)],
    }
    Image.merge(mode, channels[mode]).save(root / LABEL)


def crop(root: Path, name: str) -> None:
    Image.open(root / name).crop((0, 0, 30, 61)).save(root / name)


def dots(root: Path) -> None:
    lines = (root / PAIRS).read_text().splitlines()
    (root / PAIRS).write_text('\n'.join('./' + line.replace(' ', ' ./') for line in lines) + '\n')


def points(count: int, **changes) -> dict:
    values = [float(number) for point in range(count) for number in (point + 2, 20, 0.5)]
    for index, value in changes.items():
        values[int(index[1:])] = value
    return {'people': [{'pose_keypoints_2d': values}]}


# name: (what makes the set odd, what the report counts, the entry of the first record, a number that sums it
# up)
ODD = {
    'label as jpeg': (jpeg_label, 'label maps with ids above 13', 'label', lambda x: (x == 4).sum() > 300),
    'label in three channels': (
        lambda root: label_of_mode(root, 'RGB'),
        'equal channels',
        'label',
        lambda x: x.max() == 13,
    ),
    'label with alpha': (
        lambda root: label_of_mode(root, 'RGBA'),
        'equal channels',
        'label',
        lambda x: x.max() == 13,
    ),
    'label grey with alpha': (
        lambda root: label_of_mode(root, 'LA'),
        'equal channels',
        'label',
        lambda x: x.max() == 13,
    ),
    'label id 255': (
        lambda root: Image.new('L', WIDTH_HEIGHT, 255).save(root / LABEL),
        'ids above 13',
        'label',
        lambda x: x.min() == 255,
    ),
    'densepose of whole floats': (
        lambda root: save_parts(root, np.full(SIZE, 15.0)),
        'floating-point',
        'densepose',
        lambda x: x.min() == 15,
    ),
    'densepose of three axes': (
        lambda root: save_parts(root, zeros(*SIZE, 1) + 15),
        '[H, W, 1]',
        'densepose',
        lambda x: x.min() == 15,
    ),
    'a pair twice': (
        lambda root: append(root, '000001_0.jpg 000001_1.jpg'),
        'more than once',
        'image',
        lambda x: x.shape[1:] == SIZE,
    ),
    '25 key points': (
        lambda root: pose(root, points(25)),
        '25 key points',
        'pose',
        lambda x: (x[8] == 1).any(dim=0).nonzero()[-1] == 16,
    ),
    'a null score': (
        lambda root: pose(root, points(18, _2=None)),
        'null',
        'pose',
        lambda x: (x[0] == 1).any(),
    ),
    'a null coordinate': (
        lambda root: pose(root, points(18, _0=None)),
        'null',
        'pose',
        lambda x: (x[0] == -1).all(),
    ),
    'edge a few pixels off': (
        lambda root: crop(root, EDGE),
        'pixels off',
        'edge',
        lambda x: x.shape[1:] == SIZE,
    ),
    'label a few pixels off': (
        lambda root: crop(root, LABEL),
        'pixels off',
        'label',
        lambda x: x.shape[1:] == SIZE,
    ),
    'edge of 0 and 1': (
        lambda root: edges(root, 4, 1, 0),
        'of 0 and 1',
        'edge',
        lambda x: 0 < x.mean() < 1 == x.max(),
    ),
    'one edge inverted': (lambda root: edges(root, 1, 0, 255), 'inverted', 'edge', lambda x: x.max() == 1),
}


@pytest.mark.parametrize('kind', ODD)
def test_what_the_published_loader_reads_is_read_and_counted(make_set, kind):
    root = make_set()
    make_odd, note, entry, holds = ODD[kind]
    make_odd(root)
    report = check_dataset(root, size=SIZE)
    assert report.ok, str(report)
    assert [
        line for line in report.summary if line.startswith('  note: ') and note in line and 'first ' in line
    ], str(report)
    assert holds(VITONDataset(root, 'train', size=SIZE)[0][entry])


def test_names_may_begin_with_a_dot_and_a_line_that_comes_twice_is_two_records(make_set):
    root = make_set()
    dots(root)
    append(root, '000000_0.jpg 000000_1.jpg')
    dataset = VITONDataset(root, 'train', size=SIZE)
    assert len(dataset) == 5 and dataset.pairs[0] == dataset.pairs[4] == ('000000_0.jpg', '000000_1.jpg')


@pytest.mark.parametrize('other', ['000000_0.png', '000000_0.JPG'])
def test_a_file_under_another_suffix_or_case_is_named(make_set, other):
    root = make_set()
    (root / IMG).rename(root / 'train_img' / other)
    assert f'{IMG}: no such file; {other} lies there' in str(check_dataset(root, size=SIZE))


def test_a_name_with_its_accents_stored_another_way_is_named_as_it_is_stored(make_set):
    root = make_set()
    stored = unicodedata.normalize('NFD', 'jürgen_0.jpg')
    (root / IMG).rename(root / 'train_img' / stored)
    (root / PAIRS).write_text('jürgen_0.jpg 000000_1.jpg\n000001_0.jpg 000001_1.jpg\n')
    expected = f"jürgen_0.jpg: no such file; {stored} (stored as 'ju\\u0308rgen_0.jpg') lies there"
    assert expected in str(check_dataset(root, size=SIZE))


def test_a_picture_above_the_limit_of_pillow_is_read_without_a_word(make_set, monkeypatch, recwarn):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', SIZE[0] * SIZE[1] - 1)
    assert check_dataset(make_set(), size=SIZE).ok
    assert not [
        warning for warning in recwarn if issubclass(warning.category, Image.DecompressionBombWarning)
    ]


def test_unchanged_files_are_not_opened_again_but_changed_and_broken_ones_are(make_set, monkeypatch):
    root = make_set()
    truncate(root / 'train_img/000003_0.jpg')
    opened = []
    read = records.read_picture
    monkeypatch.setattr(records, 'read_picture', lambda path: opened.append(path.name) or read(path))
    first = str(check_dataset(root, size=SIZE))
    assert len(opened) == 8
    opened.clear()
    assert str(check_dataset(root, size=SIZE)) == first and opened == ['000003_0.jpg']
    Image.new('L', WIDTH_HEIGHT, 3).save(root / LABEL)
    opened.clear()
    assert '3' in str(check_dataset(root, size=SIZE)) and sorted(opened) == ['000000_0.jpg', '000003_0.jpg']
    opened.clear()
    check_dataset(root, size=SIZE, anew=True)
    assert len(opened) == 8


def test_what_was_remembered_is_reported_again(make_set):
    root = make_set()
    edges(root, 3, 0, 255)
    reports = [str(check_dataset(root, size=SIZE)) for _ in range(2)]
    assert 'inverted' in reports[0] and reports[0] == reports[1]


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(make_set, monkeypatch, tmp_path):
    (tmp_path / 'file').touch()
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    assert check_dataset(make_set(), size=SIZE).ok


def test_annotations_of_a_test_set_are_checked_where_it_has_them(make_set):
    root = make_set('test')
    train = make_set(root=root.parent / 'train')
    for kind in ('label', 'densepose', 'pose'):
        shutil.copytree(train / f'train_{kind}', root / f'test_{kind}')
    assert 'label ids' in str(check_dataset(root, size=SIZE))
    (root / 'test_pose/000000_0.json').write_text('{')
    assert not check_dataset(root, size=SIZE).ok and check_dataset(root, size=SIZE, annotated=False).ok


def test_an_interrupt_ends_the_work_in_threads_after_the_files_in_hand():
    begun = []

    def work(number: int) -> None:
        begun.append(number)
        time.sleep(0.02)
        if number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(map_in_threads(work, range(1000), 'working'))
    assert len(begun) < 500
