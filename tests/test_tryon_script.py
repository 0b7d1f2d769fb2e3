"""tryon.py from end to end, and one line for each bad input."""

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tryon
from models.checkpoint import defaults
from synthetic.records import flat_garment, render_record

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def photographs(module_path):
    """Two people and two garments, drawn."""
    for index, (person, garment) in enumerate((('me', 'shirt'), ('you', 'dress'))):
        Image.fromarray(render_record(5, 'test', 2 + index, size=(256, 192)).person).save(
            module_path / f'{person}.png'
        )
        drawn = flat_garment(5, 'test', 2 + index, (256, 192))
        (module_path / 'garments').mkdir(exist_ok=True)
        Image.fromarray(drawn.picture).save(module_path / 'garments' / f'{garment}.png')
        Image.fromarray(drawn.edge).save(module_path / f'{garment}_mask.png')
    return module_path


class Command:
    """A command line that works, to be changed."""

    def __init__(self, photographs: Path, checkpoints: Path, out: Path):
        self.photographs = photographs
        self.options = {
            'person': photographs / 'me.png',
            'garment': photographs / 'garments' / 'shirt.png',
            'out': out / 'out.png',
            'checkpoint': checkpoints,
            'device': 'cpu',
        }

    def arguments(self, **changes) -> list[str]:
        line = []
        for name, value in (self.options | changes).items():
            if value is not None:
                line += [f'--{name}', *map(str, value if isinstance(value, (list, tuple)) else [value])]
        return line


@pytest.fixture
def command(photographs, small_checkpoints, tmp_path):
    return Command(photographs, small_checkpoints, tmp_path)


def test_one_person_and_one_garment_make_a_picture_and_a_sheet(command, tmp_path, capsys):
    Image.open(command.options['person']).resize((300, 500)).save(tmp_path / 'tall.jpg')
    tryon.main(command.arguments(person=tmp_path / 'tall.jpg'))
    assert Image.open(tmp_path / 'out.png').size == (300, 500)
    assert Image.open(tmp_path / 'out_sheet.jpg').width == 3 * 288 + 2 * 4
    said = capsys.readouterr().out
    assert 'pf_warp.pt' in said and 'dm_vton, 64 x 64, torch on cpu' in said and 'out_sheet.jpg' in said


def test_several_people_in_several_garments_are_encoded_once_each(
    command, photographs, tmp_path, monkeypatch
):
    from models import TryOnPipeline

    count = {'encode_person': 0, 'encode_garment': 0}
    for name in count:
        real = getattr(TryOnPipeline, name)

        def counted(self, *inputs, name=name, real=real):
            count[name] += 1
            return real(self, *inputs)

        monkeypatch.setattr(TryOnPipeline, name, counted)
    people = [photographs / 'me.png', '--person', photographs / 'you.png']
    tryon.main(command.arguments(person=people, garment=photographs / 'garments', out=tmp_path / 'results'))
    names = sorted(path.name for path in (tmp_path / 'results').iterdir())
    assert names == ['me__dress.png', 'me__shirt.png', 'sheet.jpg', 'you__dress.png', 'you__shirt.png']
    assert count == {'encode_person': 2, 'encode_garment': 2}


def test_another_backend_makes_the_same_pictures(command, tmp_path, capsys):
    tryon.main(command.arguments())
    tryon.main(command.arguments(backend='fused', out=tmp_path / 'fast.png'))
    pictures = [np.asarray(Image.open(tmp_path / name)).astype(int) for name in ('out.png', 'fast.png')]
    assert np.abs(pictures[0] - pictures[1]).max() <= 2  # sums of another order round otherwise
    assert 'fused on cpu' in capsys.readouterr().out


def test_masks_are_used(command, photographs, tmp_path):
    picture = (
        np.random.default_rng(0).integers(0, 255, (256, 192, 3)).astype(np.uint8)
    )  # no mask can be found here
    Image.fromarray(picture).save(tmp_path / 'busy.png')
    masks = {'garment_mask': photographs / 'shirt_mask.png', 'person_mask': photographs / 'dress_mask.png'}
    tryon.main(command.arguments(garment=tmp_path / 'busy.png', **masks))
    assert (tmp_path / 'out.png').exists()


def test_a_video_becomes_a_video_of_its_size_and_length(command, tmp_path, capsys):
    from fractions import Fraction

    from photo.clip import create_clip, open_clip
    from photo.clip_types import ClipInfo, Frame

    picture = np.asarray(Image.open(command.options['person']).convert('RGB').resize((192, 256)))
    info = ClipInfo(tmp_path / 'clip.mp4', 192, 256, rate=Fraction(24), count=4, has_sound=False)
    writer = create_clip(info.path, info)
    for number in range(4):
        writer.write(Frame(np.roll(picture, number, axis=1), number / info.rate))
    writer.close()
    tryon.main(command.arguments(person=None, video=info.path, out=tmp_path / 'out.mp4'))
    clip = open_clip(tmp_path / 'out.mp4')
    frames = list(clip.frames())
    assert (clip.info.width, clip.info.height, clip.info.rate, len(frames)) == (192, 256, 24, 4)
    assert 'out.mp4' in capsys.readouterr().out


def test_untrained_weights_and_notes_are_told(command, tmp_path, capsys):
    from models.checkpoint.command import main as checkpoint_command

    checkpoint_command(['init', '--family', 'dm_vton', '--out', str(tmp_path / 'init')])
    frames = [Image.open(command.options['person']).convert('P')] * 2
    frames[0].save(tmp_path / 'me.gif', save_all=True, append_images=[Image.new('P', frames[0].size)])
    size = ['64', '64']
    tryon.main(command.arguments(checkpoint=tmp_path / 'init', person=tmp_path / 'me.gif', size=size))
    said = capsys.readouterr().out
    assert 'UNTRAINED' in said and 'the first of 2 frames' in said


def test_the_default_weights_are_said(command, small_checkpoints, tmp_path, monkeypatch, capsys):
    for kind in ('viton', 'drawn'):
        for name, part in zip(defaults.DEFAULTS[kind], ('warp', 'gen'), strict=True):
            (tmp_path / name).with_suffix('.pt').write_bytes(
                (small_checkpoints / f'pf_{part}.pt').read_bytes()
            )
    monkeypatch.setattr(defaults, 'FOLDER', tmp_path)
    names = {
        kind: tuple(name.replace('.safetensors', '.pt') for name in pair)
        for kind, pair in defaults.DEFAULTS.items()
    }
    monkeypatch.setattr(defaults, 'DEFAULTS', names)
    monkeypatch.setattr(defaults.choose_weights, '__kwdefaults__', {'weights': 'viton', 'folder': tmp_path})
    tryon.main(command.arguments(checkpoint=None))
    said = capsys.readouterr().out
    assert 'weights: small model trained on VITON: for research, non-commercial; --weights drawn' in said
    tryon.main(command.arguments(checkpoint=None, weights='drawn', out=tmp_path / 'other.png'))
    assert 'weights: the small model, trained on drawings alone' in capsys.readouterr().out


@pytest.fixture
def mixed(command, photographs, tmp_path):
    """A folder with two good people and two bad ones; the command line for it."""
    folder = tmp_path / 'people with umlauts \u00e4\u00f6\u00fc'
    folder.mkdir()
    for name in ('me', 'you'):
        (folder / f'{name}.png').write_bytes((photographs / f'{name}.png').read_bytes())
    (folder / 'text.jpg').write_bytes(b'hello, world')
    Image.new('L', (300, 400), 90).save(folder / 'grey.png')
    return command.arguments(person=folder, out=tmp_path / 'results')


def test_all_bad_pictures_of_a_folder_are_told_and_the_good_ones_are_dressed(mixed, tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_info:
        tryon.main(mixed)
    said = capsys.readouterr()
    assert exit_info.value.code == 1 and 'left out: 2 of 5 pictures' in said.err
    bad = [line for line in said.err.splitlines() if line.startswith('bad: ')]
    assert len(bad) == 2 and 'grey.png' in bad[0] and 'text.jpg' in bad[1]
    assert 'results: 2' in said.out
    assert sorted(path.name for path in (tmp_path / 'results').iterdir()) == [
        'me__shirt.png',
        'sheet.jpg',
        'you__shirt.png',
    ]


def test_without_skip_bad_all_faults_are_told_together_and_nothing_is_written(mixed, tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_info:
        tryon.main([*mixed, '--no_skip_bad'])
    lines = capsys.readouterr().err.splitlines()
    assert exit_info.value.code == 2 and not (tmp_path / 'results').exists()
    assert len([line for line in lines if line.startswith('bad: ')]) == 2
    assert lines[-1].startswith('error: 2 of 5 pictures cannot be used') and '--skip_bad' in lines[-1]


def test_where_nothing_good_is_left_the_status_is_that_of_a_mistake(command, tmp_path, capsys):
    folder = tmp_path / 'people'
    folder.mkdir()
    for name in ('a.jpg', 'b.jpg'):
        (folder / name).write_bytes(b'hello, world')
    with pytest.raises(SystemExit) as exit_info:
        tryon.main(command.arguments(person=folder, out=tmp_path / 'results'))
    assert exit_info.value.code == 2 and 'no person and garment are left' in capsys.readouterr().err


@pytest.mark.parametrize('reason', [KeyboardInterrupt, OSError(28, 'No space left on device')])
def test_work_that_ends_early_leaves_its_results_and_a_sheet_of_them(
    reason, mixed, tmp_path, monkeypatch, capsys
):
    from photo import combinations

    real, calls = combinations.dress, []

    def dress(*inputs):
        calls.append(inputs)
        if len(calls) == 2:
            raise reason
        return real(*inputs)

    monkeypatch.setattr(combinations, 'dress', dress)
    with pytest.raises(SystemExit) as exit_info:
        tryon.main(mixed)
    assert exit_info.value.code == (130 if reason is KeyboardInterrupt else 1)
    assert sorted(path.name for path in (tmp_path / 'results').iterdir()) == ['me__shirt.png', 'sheet.jpg']


def test_another_size_than_that_of_the_weights_is_told(command, tmp_path, capsys, monkeypatch):
    from photo import combinations

    captions = []
    real = combinations.files.build_sheet
    monkeypatch.setattr(
        combinations.files, 'build_sheet', lambda *a, note: captions.append(note) or real(*a, note=note)
    )
    tryon.main(command.arguments(size=['96', '64']))
    assert (
        'note: the weights know pictures of 64 x 64 (height x width), not of 96 x 64'
        in capsys.readouterr().out
    )
    tryon.main(command.arguments())
    assert 'the weights know' not in capsys.readouterr().out
    assert captions == ['dm_vton, 96 x 64 with weights of 64 x 64', 'dm_vton, 64 x 64']


def png(side: int) -> bytes:
    """A PNG whose header claims side x side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    header = struct.pack('>IIBBBBB', side, side, 1, 0, 0, 0, 0)
    return (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', header)
        + chunk(b'IDAT', zlib.compress(b'\0' * 99))
        + chunk(b'IEND', b'')
    )


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype(np.uint8))


LINKS = {'loop.png': 'loop.png', 'nothing': 'nowhere/at/all'}
CONTENT = {
    'empty.jpg': b'',
    'text.jpg': b'hello, world',
    'bomb.png': png(10_000),
    'huge_bomb.png': png(60_000),
    'damaged.png': png(90),
    'no_weights.pt': b'PK\x03\x04 nothing',
    'film.mp4': b'\0\0\0\x18ftypisom' + b'\0' * 60,
    'page.pdf': b'%PDF-1.4\n' + b'\0' * 60,
    'drawing.svg': b'<svg xmlns="http://www.w3.org/2000/svg"/>',
}
PICTURES = {
    'dot.png': Image.new('RGB', (1, 1)),
    'small.png': Image.new('RGB', (63, 200)),
    'strip.png': noise(900, 100),
    'grey.png': Image.new('L', (300, 400), 90),
    'clear.png': Image.new('RGBA', (300, 400), (1, 2, 3, 0)),
    'noise.png': noise(300, 400),
    'cmyk_white.jpg': Image.new('CMYK', (300, 400)),
    'wide_mask.png': Image.new('L', (400, 100), 255),
    'me_sheet.jpg': noise(300, 400),
    'dot_mask.png': Image.fromarray(np.pad(np.uint8([[255]]), ((100, 155), (90, 101)))),
    'black_mask.png': Image.new('L', (192, 256)),
    'full_mask.png': Image.new('L', (192, 256), 255),
}
# What is wrong -> options that are changed (files by their names), words of the line.
BAD = {
    'no person': ({'person': None}, 'required: --person'),
    'no garment': ({'garment': None}, 'required: --garment'),
    'no place for the result': ({'out': None}, 'required: --out'),
    'a video that is not there': (
        {'person': None, 'video': 'none.mp4', 'out': 'out.mp4'},
        'none.mp4: no such file',
    ),
    'a photograph as the video': (
        {'person': None, 'video': 'me.png', 'out': 'out.mp4'},
        'a PNG picture, expected a video',
    ),
    'a film of nothing': ({'person': None, 'video': 'film.mp4', 'out': 'out.mp4'}, 'film.mp4: not a video'),
    'a video and a person': ({'video': 'film.mp4', 'out': 'out.mp4'}, '--video: not together with --person'),
    'a video into a picture': (
        {'person': None, 'video': 'film.mp4', 'out': 'out.png'},
        "unknown suffix '.png'",
    ),
    'a video into itself': (
        {'person': None, 'video': 'film.mp4', 'out': 'film.mp4'},
        'would replace a picture',
    ),
    'an option without a value': ({'person': []}, 'expected at least one argument'),
    'an empty name for the result': ({'out': ''}, '--out: an empty name'),
    'an empty name': ({'person': ''}, '--person: an empty name'),
    'a person that is not there': ({'person': 'nobody.jpg'}, 'nobody.jpg: no such file'),
    'a person of zero bytes': ({'person': 'empty.jpg'}, 'empty.jpg: an empty file'),
    'a person of text': ({'person': 'text.jpg'}, 'text.jpg: not a picture'),
    'a film as the person': ({'person': 'film.mp4'}, 'film.mp4: not a picture'),
    'a person of 100 megapixels': ({'person': 'bomb.png'}, '10000 x 10000 pixels, at most 64 million'),
    'a person of 3.6 gigapixels': ({'person': 'huge_bomb.png'}, 'at most 64 million'),
    'a damaged person': ({'person': 'damaged.png'}, 'damaged.png: cannot be read'),
    'a person of one pixel': ({'person': 'dot.png'}, '1 x 1 pixels (width x height) are too small'),
    'a person too narrow': ({'person': 'small.png'}, 'too small'),
    'a panorama as the person': ({'person': 'strip.png'}, 'too narrow a strip'),
    'a person of one grey': ({'person': 'grey.png'}, 'a picture of one colour'),
    'a person all transparent': ({'person': 'clear.png'}, 'transparent everywhere'),
    'an empty folder as the person': ({'person': 'folder'}, 'no picture in this folder'),
    'a broken second person': (
        {'person': ['me.png', 'text.jpg'], 'out': 'folder'},
        'text.jpg: not a picture',
    ),
    'a garment that is not there': ({'garment': 'nothing.png'}, 'nothing.png: no such file'),
    'a document as the garment': ({'garment': 'page.pdf'}, 'page.pdf: not a picture'),
    'a drawing as the garment': ({'garment': 'drawing.svg'}, 'drawing.svg: not a picture'),
    'a garment on noise': ({'garment': 'noise.png'}, 'the background is not plain'),
    'a garment of white CMYK': ({'garment': 'cmyk_white.jpg'}, 'no garment stands out'),
    'a garment all transparent': ({'garment': 'clear.png'}, 'transparent everywhere'),
    'a mask that is not there': ({'garment_mask': 'none.png'}, 'none.png: no such file'),
    'a mask of another shape': ({'garment_mask': 'wide_mask.png'}, 'as large as the picture'),
    'a black mask': ({'person_mask': 'black_mask.png'}, 'black everywhere'),
    'a mask of everything': ({'garment_mask': 'full_mask.png'}, 'fills everything'),
    'too many masks': ({'person_mask': ['full_mask.png', 'full_mask.png']}, '2 mask(s) for 1 picture(s)'),
    'a folder without the mask': ({'person_mask': 'folder'}, 'no mask named me'),
    'weights that are not there': ({'checkpoint': ['nothing.pt', 'gen.pt']}, 'nothing.pt'),
    'one file of weights': ({'checkpoint': 'pf_warp.pt'}, 'a try-on needs two'),
    'three files of weights': ({'checkpoint': ['pf_warp.pt', 'pf_gen.pt', 'pf_gen.pt']}, '3 checkpoints'),
    'weights in the wrong order': ({'checkpoint': ['pf_gen.pt', 'pf_warp.pt']}, 'warp'),
    'weights that are none': ({'checkpoint': ['no_weights.pt', 'pf_gen.pt']}, 'no_weights.pt'),
    'a folder without weights': ({'checkpoint': 'folder'}, 'no pair of files'),
    'a photograph as weights': ({'checkpoint': ['me.png', 'pf_gen.pt']}, 'a PNG picture'),
    'a size that no network takes': ({'size': ['100', '75']}, 'multiples of 32'),
    'a size of a poster': ({'size': ['8192', '6144']}, 'at most 2048 a side'),
    'a size of one number': ({'size': ['64']}, 'expected 2 arguments'),
    'a size of words': ({'size': ['big', 'wide']}, 'not a whole number'),
    'an unknown device': ({'device': 'tpu'}, "device 'tpu' is not understood"),
    'an unknown backend': ({'backend': 'abacus'}, 'invalid choice'),
    'a backend of another device': ({'backend': 'graph'}, 'mode graph cannot run: it needs a CUDA GPU'),
    'an unknown background': ({'background': 'beach'}, 'invalid choice'),
    'an unknown option': ({'fast': []}, 'unrecognized arguments: --fast'),
    'a result of no format': ({'out': 'out.xyz'}, "unknown suffix '.xyz'"),
    'a result in no folder': ({'out': 'nowhere/out.png'}, 'no folder'),
    'one file for two results': ({'garment': ['garments'], 'out': 'out.png'}, 'one file for 2 results'),
    'a result on top of the photograph': ({'out': 'me.png'}, 'would replace a picture that was given'),
    'a result on top of a mask': (
        {'garment_mask': 'shirt_mask.png', 'out': 'shirt_mask.png'},
        'would replace a picture',
    ),
    'a loop of links as the person': ({'person': 'loop.png'}, 'loop.png'),
    'a link to nothing as the folder': ({'out': 'nothing'}, 'a file without a suffix'),
    'a mask of one pixel': ({'garment_mask': 'dot_mask.png'}, 'no garment stands out'),
    'a mask of one by one pixels': ({'garment_mask': 'dot.png'}, 'as large as the picture'),
    'a sheet on top of the photograph': (
        {'person': 'me_sheet.jpg', 'out': 'me.jpg'},
        'me_sheet.jpg would replace',
    ),
}


def test_there_are_at_least_thirty_bad_inputs():
    assert len(BAD) >= 30


@pytest.mark.parametrize('kind', BAD)
def test_a_bad_input_gets_one_clear_line(kind, command, small_checkpoints, tmp_path, capsys):
    changes, words = BAD[kind]
    (tmp_path / 'folder').mkdir()

    def place(name: str) -> str:
        for folder in (command.photographs, small_checkpoints):
            if name and (folder / name).exists():
                return str(folder / name)
        if name in CONTENT:
            (tmp_path / name).write_bytes(CONTENT[name])
        elif name in LINKS:
            (tmp_path / name).symlink_to(LINKS[name])
        elif name in PICTURES:
            PICTURES[name].save(tmp_path / name)
        return str(tmp_path / name) if name else ''

    paths = {'person', 'video', 'garment', 'person_mask', 'garment_mask', 'checkpoint', 'out'}
    for option, value in changes.items():
        if option in paths and value is not None:
            changes = changes | {
                option: [place(name) for name in value] if isinstance(value, list) else place(value)
            }
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(SystemExit) as exit_info:
        tryon.main(command.arguments(**changes))
    said = capsys.readouterr()
    assert exit_info.value.code in (1, 2)
    assert said.err.count('\n') == 1 and said.err.startswith('error: ') and words in said.err, said.err
    assert len(said.err) < 500 and 'Traceback' not in said.err + said.out
    assert sorted(path.name for path in tmp_path.iterdir()) == before  # nothing was written


def test_the_script_runs_as_a_command_and_its_exit_status_is_the_errors(tmp_path):
    line = [
        sys.executable,
        str(ROOT / 'tryon.py'),
        '--person',
        'a.jpg',
        '--garment',
        'b.jpg',
        '--out',
        'c.png',
    ]
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path)
    said = [f'bad: {name}: no such file; give the path of a picture' for name in ('b.jpg', 'a.jpg')]
    said.append(
        'error: 2 of 2 pictures cannot be used, for the reasons above; no person and garment are left'
    )
    assert done.returncode == 2 and done.stderr.splitlines() == said
