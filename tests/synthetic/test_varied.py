"""Varied drawings: true to the pixel, more varied than plain ones, and in folders of their own."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from data.labels import KEPT, Parsing
from synthetic import command
from synthetic.brushes import Frame
from synthetic.cuts import sample_cut
from synthetic.dataset import write_dataset
from synthetic.drawing import Scene
from synthetic.random_people import Tuck, sample_person
from synthetic.records import Record, flat_garment, render_record, stream
from synthetic.varied_garments import FORMS, changes
from synthetic.varied_people import sample_varied_person
from tests.synthetic.looking import inner, look_through
from utils.errors import UserError

SMALL = (128, 96)
COUNT = 12


@pytest.fixture(scope='module')
def records() -> list[Record]:
    """A few varied records without shade, with their truths."""
    return [
        render_record(3, 'train', i, size=SMALL, other=i ^ 1, shade=False, varied=True) for i in range(COUNT)
    ]


@pytest.fixture(scope='module')
def people() -> dict[str, list]:
    """Many women of either kind."""
    samples = {'plain': sample_person, 'varied': sample_varied_person}
    return {
        name: [sample(np.random.default_rng([7, i]), male=False) for i in range(300)]
        for name, sample in samples.items()
    }


def digest(record: Record) -> str:
    """A digest of all parts of a record."""
    truth = record.truth
    parts = (
        record.person,
        record.cloth,
        record.edge,
        record.parsing,
        record.densepose,
        record.pose,
        record.flow,
    )
    parts += (truth.image, truth.flow, truth.mask, truth.parsing) if truth else ()
    return hashlib.sha256(b''.join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


def test_varied_drawings_leave_plain_ones_alone():
    before = digest(render_record(4, 'train', 2, size=SMALL, other=3))
    varied = digest(render_record(4, 'train', 2, size=SMALL, other=3, varied=True))
    assert before == digest(render_record(4, 'train', 2, size=SMALL, other=3)) != varied
    assert varied == digest(render_record(4, 'train', 2, size=SMALL, other=3, varied=True))


def test_a_varied_garment_is_the_flat_one_moved_along_the_flow(records):
    errors = []
    for index, record in enumerate(records):
        garment = flat_garment(3, 'train', index ^ 1, SMALL, True)
        for image, parsing, flow, cloth in (
            (record.person, record.parsing, record.flow, record.cloth),
            (record.truth.image, record.truth.parsing, record.truth.flow, garment.picture),
        ):
            worn = inner(parsing == Parsing.UPPER_CLOTHES)
            assert np.array_equal(np.isfinite(flow).all(0), parsing == Parsing.UPPER_CLOTHES)
            assert worn.any()
            errors.append(np.abs(look_through(cloth, flow)[worn].astype(float) - image[worn]).mean())
    # small prints differ: the worn picture is drawn larger and averaged down
    assert np.median(errors) < 3 and max(errors) < 24


def test_varied_pictures_are_equal_where_nothing_changes(records):
    lit = [render_record(3, 'train', i, size=SMALL, other=i ^ 1, varied=True) for i in range(4)]
    for record in [*records, *lit]:
        kept = record.truth.mask == KEPT
        assert np.array_equal(record.truth.image[kept], record.person[kept])
        assert not (kept & (record.parsing == Parsing.UPPER_CLOTHES)).any()
        assert kept.mean() > 0.25
    for plain, shaded in zip(records, lit, strict=False):
        assert np.array_equal(plain.parsing, shaded.parsing)
        assert np.array_equal(plain.flow, shaded.flow, equal_nan=True)


def test_more_is_tucked_turned_and_under_hair(people):
    def share(name: str, what) -> float:
        return float(np.mean([bool(what(person)) for person in people[name]]))

    def over(person) -> bool:
        return person.head['style'] in ('long', 'waves') and person.head['front']

    assert 0.4 < share('varied', lambda p: p.tucked or p.tuck) < 0.62
    assert 0.05 < share('varied', lambda p: p.tuck and not p.tucked) < 0.2
    assert share('varied', over) > share('plain', over) + 0.1
    assert share('varied', lambda p: abs(p.turn + p.twist) > 0.2) > 0.2 > share('plain', lambda p: p.twist)
    waists = [[person.waist for person in people[name]] for name in ('plain', 'varied')]
    assert np.std(waists[1]) > 1.4 * np.std(waists[0]) and max(waists[1]) > 106


def test_legs_reach_the_lower_edge(people):
    for person in people['varied']:
        corners = person.to_frame([(-30, 258), (30, 258)])
        assert corners[:, 1].min() > 256


def test_a_half_tucked_garment_hangs_beside_the_tuck_and_not_in_it():
    person = sample_varied_person(np.random.default_rng(0), male=False)
    person.arms, person.head['style'] = [arm for arm in person.arms if arm.place == 'nowhere'], 'bun'
    person.tucked, person.waist, person.lean, person.bend = False, 80.0, 0.0, 0.0
    person.scale, person.origin = 1.0, np.float32((96, 76))
    person.__post_init__()
    person.tuck = Tuck(0.0, 4.0, 1.5, 1.0, (0.0, 0.1, 0.0))
    garment = next(
        garment
        for garment in (flat_garment(0, 'train', i, (256, 192), True) for i in range(99))
        if not garment.cut.sleeve and garment.cut.length > 105
    )
    parsing = Scene(person, Frame(256, 192)).dress(garment, np.random.default_rng(0))[1]
    worn = parsing == Parsing.UPPER_CLOTHES
    ends = [int(np.nonzero(worn[:, x])[0].max()) for x in (96, 96 - 22, 96 + 22)]
    assert abs(ends[0] - (76 + 80)) < 6 and min(ends[1:]) > ends[0] + 12
    assert parsing[ends[0] + 4, 96] == Parsing.OTHER_CLOTHES_8


@pytest.mark.parametrize('form', FORMS)
def test_every_form_of_garment_can_be_cut(form):
    for index in range(20):
        rng = stream(0, 'train', index, 1)
        cut = sample_cut(rng, male=False)
        cut = replace(cut, **changes(rng, form, cut))
        assert np.isfinite(cut.panel()).all() and np.isfinite(cut.back()).all()
        assert cut.neck < (cut.tip if cut.sleeve else cut.strap)


def test_a_folder_is_not_continued_with_the_other_kind(tmp_path, monkeypatch):
    asked = {'train': 2, 'test': 0, 'seed': 1, 'size': (64, 64), 'progress': False}
    varied = write_dataset(tmp_path / 'varied', **asked, varied=True)
    plain = write_dataset(tmp_path / 'plain', **asked)
    assert json.loads((varied / 'synthetic.json').read_text())['varied'] is True
    with pytest.raises(UserError, match='made with --varied'):
        write_dataset(varied, **asked)
    with pytest.raises(UserError, match='made without --varied'):
        write_dataset(plain, **asked, varied=True)
    write_dataset(varied, **asked, varied=True)
    person = 'VITON_traindata/train_img/000000_0.jpg'
    assert (varied / person).read_bytes() != (plain / person).read_bytes()

    words = ['--root', str(tmp_path / 'line'), *'--train 2 --test 0 --seed 1 --size 64 64'.split()]
    monkeypatch.setattr('sys.argv', ['synthetic', *words, '--varied'])
    command.main()
    assert (tmp_path / 'line' / person).read_bytes() == (varied / person).read_bytes()


def test_a_folder_of_before_counts_as_plain(tmp_path):
    asked = {'train': 1, 'test': 0, 'seed': 1, 'size': (64, 64), 'progress': False}
    root = write_dataset(tmp_path, **asked)
    manifest = json.loads((root / 'synthetic.json').read_text())
    del manifest['varied']
    (root / 'synthetic.json').write_text(json.dumps(manifest))
    write_dataset(root, **asked)
    with pytest.raises(UserError, match='made without --varied'):
        write_dataset(root, **asked, varied=True)
