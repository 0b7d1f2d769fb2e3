"""The synthetic data set: its pictures agree with their annotations, its truths are true, its folder can be
resumed.
"""

import errno
import itertools
import json
import shutil

import cv2
import numpy as np
import pytest

from data.labels import ARMS, DENSEPOSE_ARMS, DENSEPOSE_HANDS, DensePosePart, Parsing
from data.records import list_kind, read_list
from data.viton import VITONDataset
from synthetic import command, random_people
from synthetic import dataset as synthetic
from synthetic import records as drawing
from synthetic.brushes import Frame
from synthetic.dataset import write_dataset
from synthetic.drawing import Scene
from synthetic.garments import draw_garment
from synthetic.random_people import sample_person
from synthetic.records import partner, render_record
from tests.synthetic.looking import flow_pixels, inner, look_through
from utils.errors import UserError

SMALL = (128, 96)
PARTS = [
    ('img', 0, 'jpg'),
    ('color', 1, 'jpg'),
    ('edge', 1, 'jpg'),
    ('label', 0, 'png'),
    ('densepose', 0, 'npy'),
]
PARTS += [('pose', 0, 'json')]


@pytest.fixture(scope='module')
def records() -> list[drawing.Record]:
    """A few records with their truths."""
    return [render_record(3, 'test', index, other=index ^ 1) for index in range(6)]


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    """A tiny data set on disk."""
    return write_dataset(
        tmp_path_factory.mktemp('set') / 'new', train=3, test=4, seed=5, size=SMALL, progress=False
    )


def contents(root) -> dict[str, bytes]:
    """Every file of a folder, by its relative path."""
    return {
        str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob('*')) if path.is_file()
    }


def same_record(first: drawing.Record, second: drawing.Record) -> bool:
    parts = ('person', 'cloth', 'edge', 'parsing', 'densepose', 'pose', 'flow')
    return all(
        np.array_equal(getattr(first, name), getattr(second, name), equal_nan=name == 'flow')
        for name in parts
    )


# ---------------------------------------------------------------------------------------------- one record


def test_a_record_depends_on_seed_split_and_number_alone():
    first = render_record(0, 'train', 4, size=SMALL)
    render_record(1, 'test', 9, size=SMALL, other=8)
    drawing.flat_garment.cache_clear()
    assert same_record(first, render_record(0, 'train', 4, size=SMALL))
    assert same_record(first, render_record(0, 'train', 4, size=SMALL, other=7))
    for other in ((1, 'train', 4), (0, 'test', 4), (0, 'train', 5)):
        assert not same_record(first, render_record(*other, size=SMALL))


@pytest.mark.parametrize('size', [(64, 64), (256, 256), (320, 192)])
def test_records_come_in_any_size_the_loader_takes(size):
    record = render_record(0, 'test', 2, size=size, other=3)
    assert record.person.shape == record.cloth.shape == record.truth.image.shape == (*size, 3)
    assert (
        record.edge.shape == record.parsing.shape == record.densepose.shape == record.truth.mask.shape == size
    )
    assert record.flow.shape == record.truth.flow.shape == (2, *size)
    assert (record.parsing == Parsing.UPPER_CLOTHES).mean() > 0.04


def test_labels_hold_known_ids_and_what_each_person_has(records):
    for record in records:
        assert set(np.unique(record.parsing)) <= set(Parsing)
        assert set(np.unique(record.densepose)) <= set(DensePosePart)
        for label in (
            Parsing.BACKGROUND,
            Parsing.HAIR,
            Parsing.UPPER_CLOTHES,
            Parsing.OTHER_CLOTHES_8,
            Parsing.FACE,
        ):
            assert (record.parsing == label).sum() > 80
        for part in (DensePosePart.TORSO_2, DensePosePart.HEAD_1, DensePosePart.HEAD_2):
            assert (record.densepose == part).sum() > 80
    hands = [np.isin(r.parsing, ARMS) & np.isin(r.densepose, DENSEPOSE_HANDS) for r in records]
    assert sum(hand.sum() > 30 for hand in hands) >= 4


def test_key_points_lie_on_the_parts_they_name(records):
    right, left = (
        {
            part
            for part in DensePosePart
            if part.name.startswith(side) and ('ARM' in part.name or 'HAND' in part.name)
        }
        for side in ('RIGHT', 'LEFT')
    )
    heads = {DensePosePart.HEAD_1, DensePosePart.HEAD_2}
    wanted = {0: heads, 3: right, 4: right, 6: left, 7: left, 14: heads, 15: heads}
    seen = dict.fromkeys(wanted, 0)
    for record in records:
        assert record.pose.shape == (18, 3)
        hidden = record.pose[:, 2] == 0
        assert (record.pose[hidden] == 0).all()
        for index, parts in wanted.items():
            if not hidden[index]:
                x, y = np.rint(record.pose[index, :2]).astype(int)
                found = record.densepose[y, x]
                # a raised hand may lie over the face
                assert found in parts or (
                    index in (0, 14, 15) and found in {*DENSEPOSE_HANDS, *DENSEPOSE_ARMS}
                )
                seen[index] += 1
        # the right of a person who faces us is at the left of the picture
        assert hidden[2] or hidden[5] or record.pose[2, 0] < record.pose[5, 0]
    assert min(seen.values()) >= 2


def test_arms_are_labelled_by_the_side_of_the_body(records):
    for record in records:
        for label, side in ((Parsing.ARM_11, 'LEFT'), (Parsing.ARM_13, 'RIGHT')):
            arm = inner(record.parsing == label)
            assert (record.densepose[arm] != DensePosePart.BACKGROUND).all()
            parts = [part for part in (*DENSEPOSE_ARMS, *DENSEPOSE_HANDS) if part.name.startswith(side)]
            assert not arm.any() or np.isin(record.densepose[arm], parts).mean() > 0.85  # shoulders


def test_the_flat_garment_lies_on_white_inside_its_edge(records):
    for record in records:
        assert set(np.unique(record.edge)) == {0, 255}
        outside = cv2.dilate(record.edge, np.ones((5, 5), np.uint8)) == 0
        assert (record.cloth[outside] == 255).all()
        rows, columns = np.nonzero(record.edge)
        assert (
            abs((columns.min() + columns.max()) / 2 - 95.5) < 12
            and abs((rows.min() + rows.max()) / 2 - 127.5) < 12
        )


def test_a_worn_garment_is_the_flat_one_moved_along_the_flow():
    errors = []
    for index in range(6):
        record = render_record(3, 'train', index, shade=False)
        worn = inner(record.parsing == Parsing.UPPER_CLOTHES)
        moved = look_through(record.cloth, record.flow)
        errors.append(np.abs(moved[worn].astype(float) - record.person[worn]).mean())
    # the worn picture is drawn larger and averaged down, so thin ribs and stripes differ by some levels
    assert np.median(errors) < 2 and max(errors) < 12


def test_shade_leaves_labels_and_flow_as_they_are():
    plain, lit = (render_record(3, 'train', 1, shade=shade) for shade in (False, True))
    assert np.array_equal(plain.parsing, lit.parsing) and np.array_equal(plain.flow, lit.flow, equal_nan=True)
    worn = inner(plain.parsing == Parsing.UPPER_CLOTHES)
    assert np.abs(plain.person[worn].astype(float) - lit.person[worn]).mean() > 2
    assert np.array_equal(plain.cloth, lit.cloth)


def test_flows_are_smooth_and_end_inside_the_garment(records):
    for record in records:
        worn = record.parsing == Parsing.UPPER_CLOTHES
        assert np.array_equal(np.isfinite(record.flow).all(0), worn)
        edge = look_through(record.edge, record.flow)
        assert (edge[worn] > 127).mean() > 0.99
        pixels = flow_pixels(record.flow)
        steps = np.abs(np.diff(pixels, axis=1)).max(-1)[worn[:, 1:] & worn[:, :-1]]
        # jumps happen only where an arm passes in front of the torso
        assert np.median(steps) < 3 and (steps > 12).mean() < 0.03


# ---------------------------------------------------------------------------------------------- truths


def test_a_truth_differs_from_the_person_only_inside_its_mask(records):
    for record in records:
        truth = record.truth
        assert set(np.unique(truth.mask)) == {drawing.KEPT, drawing.CHANGED, drawing.GARMENT}
        kept = truth.mask == drawing.KEPT
        assert np.array_equal(truth.image[kept], record.person[kept])
        assert np.array_equal(np.isfinite(truth.flow).all(0), truth.mask == drawing.GARMENT)
        assert not (kept & (record.parsing == Parsing.UPPER_CLOTHES)).any()
        garments = (record.parsing == Parsing.UPPER_CLOTHES) | (truth.mask == drawing.GARMENT)
        far = cv2.distanceTransform((~garments).astype(np.uint8), cv2.DIST_L2, 3)[
            truth.mask == drawing.CHANGED
        ]
        assert (far > 5).mean() < 0.02 and far.max() < 16
        # face and hair stay apart from a collar's rim and shadow
        head = inner(np.isin(record.parsing, (Parsing.HAIR, Parsing.FACE)))
        assert kept[head].mean() > 0.85


def test_a_truth_wears_the_other_garment():
    for index in (0, 2):
        record, other = (render_record(3, 'test', i, other=i ^ 1, shade=False) for i in (index, index + 1))
        worn = inner(record.truth.mask == drawing.GARMENT)
        moved = look_through(other.cloth, record.truth.flow)
        assert np.abs(moved[worn].astype(float) - record.truth.image[worn]).mean() < 12
        in_own = render_record(3, 'test', index, other=index).truth
        assert np.array_equal(in_own.image, render_record(3, 'test', index).person)


@pytest.mark.parametrize('count', range(2, 10))
def test_partners_are_a_derangement(count):
    partners = [partner(index, count) for index in range(count)]
    assert sorted(partners) == list(range(count))
    assert all(index != other for index, other in enumerate(partners))
    assert partners[: count - 3] == [index ^ 1 for index in range(count)][: count - 3]


# ---------------------------------------------------------------------------------------------- what hides
# what


def posed(monkeypatch, poses: tuple[str, str], **look) -> tuple[np.ndarray, np.ndarray]:
    """Parsing and DensePose of a woman in given poses, in a long sleeveless garment."""
    monkeypatch.setattr(random_people, 'sample_poses', lambda rng: poses)
    person = sample_person(np.random.default_rng(1), male=False)
    person.head |= look
    person.tucked = False
    for seed in range(100):
        garment = draw_garment(np.random.default_rng(seed), Frame(256, 192), male=False)
        if not garment.cut.sleeve and garment.cut.length > 95:
            break
    scene = Scene(person, Frame(256, 192))
    return scene.dress(garment, np.random.default_rng(0))[1], scene.densepose()


def test_crossed_arms_hide_the_garment_behind_them(monkeypatch):
    parsing, densepose = posed(monkeypatch, ('over', 'under'))
    arms = inner(np.isin(densepose, (*DENSEPOSE_ARMS, *DENSEPOSE_HANDS)))
    assert not (parsing[arms] == Parsing.UPPER_CLOTHES).any()
    column = parsing[:, round(np.nonzero(parsing == Parsing.UPPER_CLOTHES)[1].mean())]
    changes = [int(label) for label, before in zip(column[1:], column, strict=False) if label != before]
    cloth = [place for place, label in enumerate(changes) if label == Parsing.UPPER_CLOTHES]
    between = changes[cloth[0] + 1 : cloth[-1]]
    assert between and set(between) <= {*ARMS, Parsing.UPPER_CLOTHES}


def test_arms_behind_the_back_are_hidden_by_the_garment(monkeypatch):
    parsing, densepose = posed(monkeypatch, ('behind', 'behind'), style='bun')
    torso = inner(np.isin(densepose, (DensePosePart.TORSO_1, DensePosePart.TORSO_2)))
    assert not np.isin(parsing[torso], ARMS).any()
    assert not np.isin(densepose, DENSEPOSE_HANDS).any()


def test_long_hair_falls_over_the_garment(monkeypatch):
    long, short = (
        posed(monkeypatch, ('side', 'side'), style=style, front=(-1, 1), length=74, fringe=False)
        for style in ('long', 'bun')
    )
    torso = np.isin(long[1], (DensePosePart.TORSO_1, DensePosePart.TORSO_2))
    assert (long[0][torso] == Parsing.HAIR).sum() > 150 > (short[0][torso] == Parsing.HAIR).sum()


# ---------------------------------------------------------------------------------------------- the folder


def test_the_folder_holds_every_part_of_every_record(dataset):
    found = set(contents(dataset))
    train, test = 'VITON_traindata', 'VITON_test'
    wanted = {'synthetic.json', f'{train}/train_pairs.txt', f'{test}/test_pairs.txt'}
    for split, phase, count in ((train, 'train', 3), (test, 'test', 4)):
        for i, (kind, number, end) in itertools.product(range(count), PARTS):
            wanted.add(f'{split}/{phase}_{kind}/{i:06d}_{number}.{end}')
    for i in range(4):
        wanted |= {
            f'{test}/test_gt/{kind}/{i:06d}_0__{i ^ 1:06d}_1.{end}'
            for kind, end in (('img', 'png'), ('flow', 'npy'), ('mask', 'png'))
        }
    assert found == wanted


def test_the_lists_pair_training_people_with_their_own_garment_and_test_people_with_another(dataset):
    assert list_kind(read_list(dataset / 'VITON_traindata' / 'train_pairs.txt')) == 'paired'
    assert list_kind(read_list(dataset / 'VITON_test' / 'test_pairs.txt')) == 'unpaired'
    assert (dataset / 'VITON_test/test_pairs.txt').read_text().splitlines()[2] == '000002_0.jpg 000003_1.jpg'


def test_files_hold_what_was_drawn(dataset):
    train, test = dataset / 'VITON_traindata', dataset / 'VITON_test'
    record = render_record(5, 'train', 2, size=SMALL)
    person = cv2.imread(str(train / 'train_img/000002_0.jpg'))[..., ::-1]
    assert np.abs(person.astype(float) - record.person).mean() < 3
    edge = cv2.imread(str(train / 'train_edge/000002_1.jpg'), cv2.IMREAD_GRAYSCALE)
    assert np.array_equal(edge > 127, record.edge > 127)
    label = cv2.imread(str(train / 'train_label/000002_0.png'), cv2.IMREAD_UNCHANGED)
    assert label.dtype == np.uint8 and np.array_equal(label, record.parsing)
    densepose = np.load(train / 'train_densepose/000002_0.npy')
    assert densepose.dtype == np.uint8 and np.array_equal(densepose, record.densepose)
    points = json.loads((train / 'train_pose/000002_0.json').read_text())['people'][0]['pose_keypoints']
    assert np.allclose(np.reshape(points, (18, 3)), record.pose, atol=1e-3)

    annotated = VITONDataset(test, 'test', size=SMALL, annotated=True)[1]
    assert np.array_equal(annotated['label'][0], render_record(5, 'test', 1, size=SMALL).parsing)
    assert (
        annotated['pose'].shape == (18, *SMALL) and 'label' not in VITONDataset(test, 'test', size=SMALL)[1]
    )

    truth = render_record(5, 'test', 1, size=SMALL, other=0).truth
    stem = '000001_0__000000_1'
    assert np.array_equal(cv2.imread(str(test / f'test_gt/img/{stem}.png'))[..., ::-1], truth.image)
    assert np.array_equal(
        cv2.imread(str(test / f'test_gt/mask/{stem}.png'), cv2.IMREAD_UNCHANGED), truth.mask
    )
    flow = np.load(test / f'test_gt/flow/{stem}.npy')
    assert flow.dtype == np.float16 and np.allclose(
        flow.astype(np.float32), truth.flow, atol=1e-3, equal_nan=True
    )


def test_workers_and_counts_do_not_change_a_record(dataset, tmp_path):
    more = contents(
        write_dataset(tmp_path / 'more', train=4, test=6, seed=5, size=SMALL, workers=2, progress=False)
    )
    for name, content in contents(dataset).items():
        if not name.endswith(('pairs.txt', 'synthetic.json')):
            assert more[name] == content, name


def test_a_second_run_completes_what_is_missing_and_leaves_the_rest_alone(tmp_path, capsys):
    root = write_dataset(tmp_path, train=3, test=2, seed=1, size=SMALL)
    assert 'a second' in capsys.readouterr().out
    before = contents(root)
    lost = [
        'VITON_traindata/train_label/000001_0.png',
        'VITON_test/test_pairs.txt',
        'VITON_test/test_gt/flow/000000_0__000001_1.npy',
    ]
    for name in lost:
        (root / name).unlink()
    kept = root / 'VITON_traindata/train_img/000002_0.jpg'
    stamp = kept.stat().st_mtime_ns
    write_dataset(root, train=3, test=2, seed=1, size=SMALL)
    assert '2 records written' in capsys.readouterr().out
    assert contents(root) == before and kept.stat().st_mtime_ns == stamp


def test_an_interrupted_run_leaves_whole_files_and_no_list(tmp_path, monkeypatch):
    drawn = synthetic.render_record

    def stop_at_two(seed, split, index, **options):
        if index == 2:
            raise KeyboardInterrupt
        return drawn(seed, split, index, **options)

    monkeypatch.setattr(synthetic, 'render_record', stop_at_two)
    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path, train=3, test=0, seed=0, size=SMALL, progress=False)
    assert not list(tmp_path.rglob('*pairs.txt'))
    monkeypatch.undo()
    write_dataset(tmp_path, train=3, test=0, seed=0, size=SMALL, progress=False)
    assert len((tmp_path / 'VITON_traindata/train_pairs.txt').read_text().splitlines()) == 3
    assert not (tmp_path / '.partial').exists()


def test_another_run_in_the_same_folder_may_end_first(tmp_path, monkeypatch):
    drawn = synthetic.render_record

    def while_another_ends(*arguments, **options):
        shutil.rmtree(tmp_path / '.partial')  # as it does at its end
        return drawn(*arguments, **options)

    monkeypatch.setattr(synthetic, 'render_record', while_another_ends)
    write_dataset(tmp_path, train=2, test=0, seed=0, size=(64, 64), progress=False)
    assert len((tmp_path / 'VITON_traindata/train_pairs.txt').read_text().splitlines()) == 2
    assert not (tmp_path / '.partial').exists()


def test_a_grown_test_set_of_odd_size_keeps_no_truth_that_no_pair_names(tmp_path):
    write_dataset(tmp_path, train=0, test=3, seed=0, size=(64, 64), progress=False)
    write_dataset(tmp_path, train=0, test=4, seed=0, size=(64, 64), progress=False)
    truths = sorted(path.stem for path in (tmp_path / 'VITON_test/test_gt/img').iterdir())
    assert truths == [f'{i:06d}_0__{i ^ 1:06d}_1' for i in range(4)]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'seed': 2}, 'made with seed 1, asked for 2'),
        ({'size': (96, 96)}, r'made with size \[64, 64\], asked for \[96, 96\]'),
        ({'train': 1}, 'has 2 train records, asked for 1'),
        ({'test': 1}, '--test 1: a person tries on the garment of another one'),
        ({'train': 0, 'test': 0}, 'not both 0'),
        ({'seed': -1}, 'expected 0 or more'),
        ({'workers': 0}, 'expected 1 to 256'),
        ({'workers': 100_000}, 'expected 1 to 256'),
        ({'train': 10**11}, 'at most 1000000 each'),
        ({'size': (100, 64)}, 'multiples of 32'),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(tmp_path_factory, change, message):
    root = tmp_path_factory.getbasetemp() / 'refusals'
    asked = {'train': 2, 'test': 0, 'seed': 1, 'size': (64, 64), 'progress': False}
    before = contents(write_dataset(root, **asked))
    with pytest.raises(UserError, match=message) as refusal:
        write_dataset(root, **(asked | change))
    assert '\n' not in str(refusal.value)
    assert contents(root) == before


def test_a_folder_that_holds_something_else_is_refused(tmp_path):
    (tmp_path / 'thesis.tex').write_text('years of work')
    with pytest.raises(UserError, match='holds something else .thesis.tex.'):
        write_dataset(tmp_path, train=1, test=0, seed=0, size=(64, 64))
    with pytest.raises(UserError, match='is a file'):
        write_dataset(tmp_path / 'thesis.tex', train=1, test=0, seed=0, size=(64, 64))
    (tmp_path / 'synthetic.json').write_text('[]')
    with pytest.raises(UserError, match='not a manifest of this command'):
        write_dataset(tmp_path, train=1, test=0, seed=0, size=(64, 64))
    assert (tmp_path / 'thesis.tex').read_text() == 'years of work'


def test_the_command_line_writes_a_set_and_a_sheet(tmp_path, monkeypatch, capsys):
    words = ['--root', str(tmp_path / 'set'), '--train', '1', '--test', '2', '--size', '64', '64']
    monkeypatch.setattr(
        'sys.argv', ['synthetic', *words, '--sheet', str(tmp_path / 'sheet.png'), '--sheet_records', '2']
    )
    command.main()
    sheet = cv2.imread(str(tmp_path / 'sheet.png'))
    assert sheet.shape == (2 * (64 + 8), 3 * 64 + 8, 3)
    person = cv2.imread(str(tmp_path / 'set/VITON_test/test_img/000001_0.jpg'))
    assert np.abs(sheet[72:136, :64].astype(float) - person).mean() < 4

    capsys.readouterr()
    monkeypatch.setattr('sys.argv', ['synthetic', *words[:-2], '96', '64'])
    with pytest.raises(SystemExit) as exit_status:
        command.main()
    assert exit_status.value.code == 2
    assert capsys.readouterr().err.startswith('error: --root')


@pytest.mark.parametrize(
    ('words', 'text'),
    [
        (['--sheet', 'sheet.bmp'], "unknown suffix '.bmp'; choose from .png, .jpg, .jpeg"),
        (['--sheet', 'none/sheet.png'], 'there is no folder none'),
        (['--sheet', 'folder.png'], 'it is a folder'),
        (['--sheet', 'sheet.png', '--sheet_records', '0'], '--sheet_records 0: '),
        (['--sheet', 'sheet.png', '--sheet_records', '1000000'], 'give 2 to 200'),
        (['--sheet', 'sheet.png', '--size', '64', '32'], 'multiples of 32 from 64 on'),
        (['--root', 'file/set'], 'Not a directory'),
        (['--root', 'a' * 300], 'File name too long'),
        (['--root', 'set', '--size', '8224', '64'], 'up to 8192'),
        (['--ro', 'set'], 'unrecognized arguments: --ro set; see --help'),
        ([], 'nothing to do: give --root, --sheet or both; see --help'),
    ],
)
def test_a_wrong_command_line_is_refused_in_one_line_and_writes_nothing(
    tmp_path, monkeypatch, capsys, words, text
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'folder.png').mkdir()
    (tmp_path / 'file').write_text('')
    monkeypatch.setattr('sys.argv', ['synthetic', *words])
    with pytest.raises(SystemExit) as exit_status:
        command.main()
    error = capsys.readouterr().err
    assert (
        exit_status.value.code == 2
        and error.startswith('error: ')
        and error.count('\n') == 1
        and text in error
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ['file', 'folder.png']


@pytest.mark.parametrize(
    'content',
    [
        '[' * 200_000,
        '{"version": 1, "seed": 0, "size": 64, "train": 1, "test": 0}',
        '{"version": 1, "seed": 0, "size": [64, 64], "train": "1", "test": 0}',
        b'\xff\xfe',
        None,
    ],
    ids=['nested', 'size', 'count', 'bytes', 'folder'],
)
def test_a_manifest_that_this_command_did_not_write_is_refused(tmp_path, content):
    path = tmp_path / 'synthetic.json'
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match='not a manifest of this command') as refusal:
        write_dataset(tmp_path, train=1, test=0, seed=0, size=(64, 64), progress=False)
    assert len(str(refusal.value)) < 300


def test_a_disk_that_fills_up_ends_in_one_line_and_the_run_can_be_repeated(tmp_path, monkeypatch):
    asked = {'train': 1, 'test': 0, 'seed': 0, 'size': (64, 64), 'progress': False}
    write = synthetic._write

    def full(root, path, content):
        if path.endswith('.npy'):
            raise OSError(errno.ENOSPC, 'No space left on device')
        write(root, path, content)

    monkeypatch.setattr(synthetic, '_write', full)
    with pytest.raises(UserError, match='--root .*No space left on device.*space on its disk'):
        write_dataset(tmp_path / 'set', **asked)
    monkeypatch.setattr(synthetic, '_write', write)
    assert read_list(write_dataset(tmp_path / 'set', **asked) / 'VITON_traindata' / 'train_pairs.txt')


def test_a_file_without_bytes_is_drawn_again(tmp_path):
    asked = {'train': 1, 'test': 0, 'seed': 0, 'size': (64, 64), 'progress': False}
    before = contents(write_dataset(tmp_path, **asked))
    (tmp_path / 'VITON_traindata/train_img/000000_0.jpg').write_bytes(b'')
    assert contents(write_dataset(tmp_path, **asked)) == before


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    assert write_dataset('~/set', train=1, test=0, seed=0, size=(64, 64), progress=False) == tmp_path / 'set'
    assert (tmp_path / 'set/synthetic.json').is_file()


# ---- Truths of training records


@pytest.fixture(scope='module')
def with_truths(tmp_path_factory):
    """A tiny training set with its truths."""
    root = tmp_path_factory.mktemp('truths') / 'new'
    return write_dataset(root, train=3, test=0, seed=5, size=SMALL, truths=True, progress=False)


def test_training_records_with_truths_have_all_that_both_directions_of_a_pair_need(with_truths):
    folder = with_truths / 'VITON_traindata'
    truths = [line.split() for line in (folder / 'train_truths.txt').read_text().splitlines()]
    assert truths == [
        ['000000_0.jpg', '000001_1.jpg'],
        ['000001_0.jpg', '000002_1.jpg'],
        ['000002_0.jpg', '000000_1.jpg'],
    ]
    assert [tuple(pair) for pair in read_list(folder / 'train_pairs.txt')] == [
        (f'{i:06d}_0.jpg', f'{i:06d}_1.jpg') for i in range(3)
    ]
    record = render_record(5, 'train', 1, size=SMALL, other=2)
    read = {
        kind: np.load(path) if kind.endswith('flow') else cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        for kind in ('img', 'flow', 'mask', 'label', 'own_flow')
        for path in (folder / 'train_gt' / kind).glob('000001_0__000002_1.*')
    }
    assert np.array_equal(read['img'][..., ::-1], record.truth.image) and np.array_equal(
        read['mask'], record.truth.mask
    )
    assert np.array_equal(read['flow'], record.truth.flow.astype(np.float16), equal_nan=True)
    assert np.array_equal(read['own_flow'], record.flow.astype(np.float16), equal_nan=True)
    assert np.array_equal(read['label'] == Parsing.UPPER_CLOTHES, record.truth.mask == 255)


def test_truths_do_not_change_what_else_is_drawn(with_truths, dataset):
    mine, others = contents(with_truths), contents(dataset)
    shared = [name for name in mine if name in others and name.startswith('VITON_traindata')]
    assert len(shared) == 19 and all(mine[name] == others[name] for name in shared)


def test_a_set_with_truths_stays_one(with_truths):
    with pytest.raises(UserError, match='was made with --truths; give it again'):
        write_dataset(with_truths, train=3, test=0, seed=5, size=SMALL, progress=False)
    with pytest.raises(UserError, match='--truths --train 1'):
        write_dataset(with_truths, train=1, test=0, seed=5, size=SMALL, truths=True, progress=False)
