"""The page in a browser: what it shows is what tryon.py writes, nothing leaves it, and trouble is said in one
sentence.
"""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from data.transforms import picture_tensor
from photo.dressing import PreparedPerson, dress, prepare_garment, prepare_person
from photo.framing import border_colour, cut, frame_person
from photo.loading import Photo
from synthetic.records import render_record
from tests.web.conftest import camera_frame, serve, through_video

SOON = 180_000  # milliseconds; a loaded machine is slow
LEAST_PSNR = 35.0
PHONE = {'viewport': {'width': 390, 'height': 844}, 'has_touch': True, 'device_scale_factor': 2}


@pytest.fixture
def open_page(browser, exported):
    """Opens the page in a context of its own; `script` runs before it."""
    contexts = []

    def open_with(*, script: str = '', wait: bool = True, **options):
        context = browser.new_context(**options)
        context.set_default_timeout(SOON)
        contexts.append(context)
        page = context.new_page()
        if script:
            page.add_init_script(script)
        page.goto(exported.url)
        if wait:
            page.wait_for_selector('#download:enabled')
        return page

    yield open_with
    for context in contexts:
        context.close()


def shown(page) -> np.ndarray:
    """The picture on the page, uint8 [H, W, 3]."""
    url = page.evaluate("document.getElementById('result').toDataURL('image/png')")
    return np.array(Image.open(io.BytesIO(base64.b64decode(url.partition(',')[2]))).convert('RGB'))


def psnr(got: np.ndarray, wanted: np.ndarray) -> float:
    assert got.shape == wanted.shape
    return float(10 * np.log10(255**2 / max(1e-9, np.mean((got.astype(np.float64) - wanted) ** 2))))


def upload(page, field: str, picture: np.ndarray, tmp_path) -> None:
    """Give the page a picture, and wait until it is dressed or refused."""
    path = tmp_path / f'{field}.png'
    Image.fromarray(picture).save(path)
    page.evaluate("document.getElementById('status').textContent = 'waiting'")
    page.set_input_files(f'#{field}', path)
    settled(page)


def until(page, holds) -> None:
    """Wait until `holds()`; the page's policy forbids Playwright's own way."""
    for _ in range(SOON // 100):
        if holds():
            return
        page.wait_for_timeout(100)
    raise AssertionError(f'the page says {page.inner_text("#status")!r}')


def settled(page) -> str:
    """Wait until the page has said something new; returns it."""

    def has_said() -> bool:
        text = page.inner_text('#status')
        return text not in ('waiting', '') and not text.startswith('Dressing') and page.is_hidden('#busy')

    until(page, has_said)
    return page.inner_text('#status')


@torch.no_grad()
def test_the_first_picture_is_that_of_the_python_code(open_page, exported):
    page = open_page()
    person, garment = (exported.folder / 'samples' / f'{name}-0.webp' for name in ('person', 'garment'))
    prepared = prepare_garment(exported.pipeline, garment, size=exported.size)
    wanted = dress(exported.pipeline, prepare_person(exported.pipeline, person, size=exported.size), prepared)
    before = np.array(Image.open(person).convert('RGB'))
    assert psnr(shown(page), np.array(wanted.picture)) >= LEAST_PSNR
    assert psnr(shown(page), before) < LEAST_PSNR - 5  # the garment is on


@torch.no_grad()
def test_own_pictures_are_dressed_at_their_own_resolution(open_page, exported, tmp_path):
    page = open_page(**PHONE)
    person = render_record(7, 'test', 23, size=(800, 600)).person
    garment = render_record(7, 'test', 3, size=(512, 384)).cloth
    upload(page, 'own-garment', garment, tmp_path)
    upload(page, 'own-person', person, tmp_path)
    assert '600 × 800 pixels' in page.inner_text('#status')
    prepared = prepare_garment(exported.pipeline, garment, size=exported.size)
    wanted = dress(exported.pipeline, prepare_person(exported.pipeline, person, size=exported.size), prepared)
    assert psnr(shown(page), np.array(wanted.picture)) >= LEAST_PSNR
    with page.expect_download() as download:
        page.click('#download')
    saved = np.array(Image.open(download.value.path()).convert('RGB'))
    assert np.array_equal(saved, shown(page))


@torch.no_grad()
def test_the_camera_is_dressed_as_by_the_python_code(open_page, exported):
    page = open_page()
    page.click('text=Camera')
    assert page.is_hidden('#download')  # nothing is shown that could be meant
    page.click('#start')
    page.wait_for_selector('#pace:not([hidden])')
    assert 'frames/s' in page.inner_text('#pace') and page.is_visible('#download')
    pipeline, size = exported.pipeline, exported.size
    picture = Image.fromarray(through_video(camera_frame())[1])
    window = frame_person(picture.size, size)
    view = cut(picture, window, border_colour(picture))
    tensor = picture_tensor(view, size)[None]
    code = pipeline.encode_person(tensor)
    person = PreparedPerson(Photo(picture, None, ()), window, view, tensor, None, code, ())
    garment = prepare_garment(pipeline, exported.folder / 'samples' / 'garment-0.webp', size=size)
    assert psnr(shown(page), np.array(dress(pipeline, person, garment).picture)) >= LEAST_PSNR
    page.click('#stop')
    assert page.is_visible('#start')


def test_nothing_is_asked_of_other_servers_and_nothing_can_be_sent(open_page, exported, tmp_path):
    page = open_page(wait=False)
    asked = []
    page.on('request', lambda request: asked.append(request.url))
    page.reload()
    page.wait_for_selector('#download:enabled')
    assert asked and all(url.startswith((exported.url, 'blob:', 'data:')) for url in asked)
    (tmp_path / 'data').write_text('x')
    send = (
        "async (url) => { try { await fetch(url, {mode: 'no-cors'}); return true } catch { return false } }"
    )
    for elsewhere in serve(tmp_path):
        address = f'{elsewhere}data'
        assert page.evaluate(send, address) is False
        assert len(page.workers) >= 1
        assert all(
            worker.evaluate(send, address) is False
            for worker in page.workers
            if worker.url.startswith('blob:')
        )


@pytest.mark.parametrize(
    'options', [PHONE, {'viewport': {'width': 1280, 'height': 860}}], ids=['phone', 'desktop']
)
def test_axe_finds_nothing_serious_and_nothing_overflows(open_page, options):
    from webapp.static_page import SOURCES

    page = open_page(bypass_csp=True, **options)
    page.add_script_tag(path=SOURCES / 'node_modules' / 'axe-core' / 'axe.min.js')
    for mode in ('Photograph', 'Camera'):
        page.click(f'text={mode}')
        found = page.evaluate('axe.run()')['violations']
        assert [entry['id'] for entry in found if entry['impact'] in ('serious', 'critical')] == []
    page.click('#start')
    page.wait_for_selector('#pace:not([hidden])')
    found = page.evaluate('axe.run()')['violations']
    assert [entry['id'] for entry in found if entry['impact'] in ('serious', 'critical')] == []
    assert page.evaluate('document.documentElement.scrollWidth <= innerWidth')


def test_a_garment_is_chosen_by_the_keyboard(open_page):
    page = open_page()
    before = shown(page)
    page.focus('input[name="garment"]:checked')
    page.evaluate("document.getElementById('status').textContent = 'waiting'")
    page.keyboard.press('ArrowRight')
    settled(page)
    assert page.evaluate("document.querySelector('input[name=garment]:checked').value") == 'sample-1'
    assert not np.array_equal(shown(page), before)


def rings(page) -> str:
    """What has the focus, by its id or name and value; fails where nothing shows that it has."""
    name, style = page.evaluate(
        """() => {
          const at = document.activeElement;
          const shown = at.matches('input') ? at.nextElementSibling : at;
          return [at.id || `${at.name}=${at.value}`, getComputedStyle(shown).outlineStyle];
        }"""
    )
    assert style == 'solid', f'{name} has the focus, and nothing shows it'
    return name


def tab_to(page, name: str) -> list[str]:
    """Press Tab until something has the focus; returns what had it on the way."""
    passed = []
    while len(passed) < 12:
        page.keyboard.press('Tab')
        passed.append(rings(page))
        if passed[-1] == name:
            return passed
    raise AssertionError(f'no {name} in {passed}')


def test_all_is_reached_and_done_by_the_keyboard_alone(open_page):
    page = open_page(**PHONE)
    passed = tab_to(page, 'person=sample-0')
    assert passed == [
        'mode=photo', 'compare', 'download', 'own-garment', 'garment=sample-0', 'own-person',
        'person=sample-0',
    ]  # fmt: skip
    for _ in range(5):
        page.keyboard.press('Shift+Tab')
    assert rings(page) == 'compare'
    page.keyboard.press('Space')
    page.wait_for_selector('#before', state='visible')
    assert page.get_attribute('#compare', 'aria-pressed') == 'true'
    page.keyboard.press('Space')
    page.wait_for_selector('#before', state='hidden')
    page.keyboard.press('Tab')
    with page.expect_download():
        page.keyboard.press('Enter')
    for _ in range(2):
        page.keyboard.press('Shift+Tab')
    page.keyboard.press('ArrowRight')
    assert rings(page) == 'mode=camera'
    page.keyboard.press('Tab')
    assert rings(page) == 'start'
    page.keyboard.press('Enter')
    page.wait_for_selector('#pace:not([hidden])')
    assert rings(page) == 'stop'  # its button went; the next step is where the visitor is
    page.keyboard.press('Enter')
    assert rings(page) == 'start'


def test_what_was_loaded_once_dresses_offline(open_page):
    page = open_page()
    before = shown(page)
    page.context.set_offline(True)
    for field in ('garment', 'person'):
        page.evaluate("document.getElementById('status').textContent = 'waiting'")
        page.click(f'input[name="{field}"][value="sample-2"]', force=True)
        assert 'pixels in' in settled(page)
        assert not np.array_equal(shown(page), before)
        before = shown(page)


def test_bad_pictures_are_refused_in_one_sentence_and_the_page_goes_on(open_page, tmp_path):
    page = open_page()
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    upload(page, 'own-garment', noise, tmp_path)
    assert 'background is not plain' in page.inner_text('#status')
    wait = "document.getElementById('status').textContent = 'waiting'"
    page.evaluate(wait)
    page.click('input[value="sample-1"][name="garment"]', force=True)
    settled(page)
    (tmp_path / 'text.png').write_text('no picture')
    page.evaluate(wait)
    page.set_input_files('#own-person', tmp_path / 'text.png')
    assert 'no picture that your browser can read' in settled(page)
    upload(page, 'own-person', render_record(7, 'test', 7, size=(256, 192)).person, tmp_path)
    assert '192 × 256 pixels' in page.inner_text('#status')


def test_a_refusal_stays_to_be_read_while_dressing_goes_on(open_page, tmp_path):
    page = open_page()
    page.click('text=Camera')
    page.click('#start')
    page.wait_for_selector('#pace:not([hidden])')
    (tmp_path / 'text.png').write_text('no picture')
    page.set_input_files('#own-garment', tmp_path / 'text.png')
    until(page, lambda: 'no picture that your browser can read' in page.inner_text('#status'))
    for _ in range(3):  # other frames are dressed
        pace = page.inner_text('#pace')
        until(page, lambda pace=pace: page.inner_text('#pace') != pace)
    assert 'no picture that your browser can read' in page.inner_text('#status')
    page.click('input[value="sample-1"][name="garment"]', force=True)
    until(page, lambda: page.inner_text('#status') == '')


def refuse(name: str) -> str:
    return f"navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('', '{name}') }}"


@pytest.mark.parametrize(
    ('script', 'words'),
    [
        (refuse('NotAllowedError'), 'The camera was refused.'),
        (refuse('NotFoundError'), 'No camera was found'),
        ("Object.defineProperty(navigator, 'mediaDevices', {value: undefined})", 'https addresses only'),
    ],
)
def test_a_missing_camera_is_one_sentence(open_page, script, words):
    page = open_page(script=script)
    page.click('text=Camera')
    page.click('#start')
    assert words in settled(page)
    page.click('text=Photograph')
    assert 'pixels in' in settled(page)


def test_a_camera_that_goes_away_is_said(open_page):
    page = open_page()
    page.click('text=Camera')
    page.click('#start')
    page.wait_for_selector('#pace:not([hidden])')
    page.evaluate(
        "document.getElementById('video').srcObject.getTracks()[0].dispatchEvent(new Event('ended'))"
    )
    assert 'went away' in settled(page)
    assert page.is_visible('#start')


NO_MODULES = 'delete HTMLScriptElement.prototype.noModule'


@pytest.mark.parametrize(
    ('script', 'words'),
    [
        ('delete window.DecompressionStream', ['unpacking of streams']),
        ('delete window.createImageBitmap; delete window.Worker', ['reading of pictures', 'workers']),
        ('delete window.WebAssembly', ['lacks: WebAssembly.']),
        ('WebAssembly.validate = () => false', ['WebAssembly with SIMD']),
        (NO_MODULES, ['JavaScript modules']),
    ],
    ids=['streams', 'pictures', 'wasm', 'simd', 'modules'],
)
def test_an_old_browser_is_told_what_is_missing(open_page, script, words):
    page = open_page(script=script, wait=False, **PHONE)
    page.wait_for_selector('#old:not([hidden])')
    said = page.inner_text('#old')
    assert all(word in said for word in [*words, 'Safari 16.4'])
    assert page.is_hidden('#main')
    assert page.evaluate('document.documentElement.scrollWidth <= innerWidth')


def test_a_missing_file_is_said_and_can_be_tried_again(open_page):
    page = open_page(wait=False, service_workers='block')  # one may have kept the files by now
    page.route('**/networks/*', lambda route: route.fulfill(status=404))
    page.reload()
    page.wait_for_selector('#failure:not([hidden])')
    assert 'missing on its server (404)' in page.inner_text('#failure-text')
    page.unroute('**/networks/*')
    page.click('#retry')
    page.wait_for_selector('#download:enabled')


def test_a_second_visit_works_offline_and_is_isolated(open_page):
    page = open_page()
    page.wait_for_timeout(500)
    page.reload()  # the service worker now sees every file
    page.wait_for_selector('#download:enabled')
    page.context.set_offline(True)
    page.reload()
    page.wait_for_selector('#download:enabled')
    assert page.evaluate('crossOriginIsolated')
