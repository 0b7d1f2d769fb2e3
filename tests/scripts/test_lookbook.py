"""A page of everybody in everything: every picture it names is there, and a bad photograph is left out with a
note.
"""

import re

import numpy as np
import pytest
from PIL import Image

from scripts import lookbook
from synthetic.records import render_record


@pytest.fixture
def folders(tmp_path):
    for name in ('people', 'shirts'):
        (tmp_path / name).mkdir()
    for index in (0, 9):
        record = render_record(7, 'test', index, size=(256, 192))
        Image.fromarray(record.person).save(tmp_path / 'people' / f'me_{index}.png')
        Image.fromarray(record.cloth).save(tmp_path / 'shirts' / f'red <b> & blue-{index}.png')
    return tmp_path


def arguments(folders, checkpoints, **changes) -> list[str]:
    options = {
        'persons': folders / 'people',
        'garments': folders / 'shirts',
        'out': folders / 'book',
        'checkpoint': checkpoints,
    }
    return [str(word) for name, value in (options | changes).items() for word in (f'--{name}', value)] + [
        '--device',
        'cpu',
    ]


def test_a_book_has_everybody_in_everything(folders, small_checkpoints, capsys):
    (folders / 'people' / 'broken.png').write_text('no picture')
    lookbook.main(arguments(folders, small_checkpoints, title='Spring & <all>'))
    page = (folders / 'book' / 'index.html').read_text()
    sources, links = re.findall(r'src="([^"]+)"', page), re.findall(r'href="([^"]+)"', page)
    assert len(sources) == len(links) == 2 + 2 + 4 and len(set(links)) == 8
    from urllib.parse import unquote

    for name in (*sources, *links):
        with Image.open(folders / 'book' / unquote(name)) as picture:
            assert min(picture.size) >= 64
    assert page.count('loading="lazy"') == 8
    assert (
        'Spring &amp; &lt;all&gt;' in page
        and 'me 0 in red &lt;b&gt; &amp; blue 9' in page
        and '<b>' not in page
    )
    assert 'broken.png' in page and 'broken.png: not a picture' in capsys.readouterr().out
    assert not re.search(r'(https?:)?//', page)


def test_a_book_of_nothing_is_refused(folders, small_checkpoints, capsys):
    noise = np.random.default_rng(0).integers(0, 255, (200, 150, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folders / 'noise.png')
    for changes, words in (
        ({'garments': folders / 'noise.png'}, 'no garment can be used of 1; the first: '),
        ({'out': folders / 'book.html'}, 'the name of a folder'),
        ({'persons': folders / 'nobody'}, 'no person can be used of 1'),
    ):
        with pytest.raises(SystemExit) as exit_info:
            lookbook.main(arguments(folders, small_checkpoints, **changes))
        said = capsys.readouterr().err
        assert (
            exit_info.value.code == 2
            and words in said.splitlines()[-1]
            and not (folders / 'book' / 'index.html').exists()
        )


def test_a_caption_is_the_files_name_in_words(tmp_path):
    assert lookbook.caption_of(tmp_path / 'a__b-c.png') == 'a b c'
