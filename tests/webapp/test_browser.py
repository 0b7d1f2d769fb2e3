"""The page in a real browser: a photograph, the camera, a wrong file, and a phone."""

import io

import pytest
from PIL import Image

KEPT = 6  # seconds for which `patient_server` keeps what nobody shows
WAIT = 60_000  # milliseconds; this machine may be busy
DESKTOP, PHONE = (1280, 900), (390, 844)


@pytest.fixture
def visit(server, browser):
    """Open the page in a window of a size; every request that leaves this machine is noted in
    `page.foreign`.
    """
    contexts = []

    def open_page(size=DESKTOP):
        context = browser.new_context(viewport={'width': size[0], 'height': size[1]}, permissions=['camera'])
        contexts.append(context)
        context.set_default_timeout(WAIT)
        page = context.new_page()
        page.foreign, page.problems = [], []
        page.on(
            'request', lambda request: _is_foreign(request.url, server) and page.foreign.append(request.url)
        )
        page.on('pageerror', lambda error: page.problems.append(str(error)))
        page.goto(server.address)
        page.wait_for_selector('#try_on')
        page.wait_for_selector('#person img')
        return page

    yield open_page
    for context in contexts:
        context.close()


def _is_foreign(url: str, server) -> bool:
    return url.startswith(('http', 'ws')) and not url.startswith(
        (server.address, server.address.replace('http', 'ws'))
    )


def upload(page, where: str, path) -> None:
    """Put a file into one of the two pictures, in the place of what it shows."""
    page.locator(
        f'{where} button[aria-label="Clear"], {where} button[aria-label="Remove Image"]'
    ).first.click()
    page.locator(f'{where} input[type=file]').set_input_files(path)


def test_a_photograph_and_a_garment_make_a_picture_to_download(visit, drawn, tmp_path):
    page = visit()
    Image.open(drawn / 'person9.png').resize((300, 400)).save(tmp_path / 'me.jpg')
    upload(page, '#person', tmp_path / 'me.jpg')
    page.wait_for_selector('#person img')
    page.locator('#garments button').nth(1).click()
    page.click('#try_on')
    page.wait_for_selector('#result img')
    page.wait_for_function("document.querySelector('#about').innerText.includes('300 x 400 pixels')")
    page.wait_for_selector('#download:not([disabled])')
    with page.expect_download() as download:
        page.click('#download')
    with Image.open(download.value.path()) as result:
        assert result.size == (300, 400) and result.format == 'PNG'
    picture = Image.open(io.BytesIO(page.screenshot()))
    assert picture.size == DESKTOP and len(set(picture.convert('RGB').resize((64, 45)).getdata())) > 100
    assert page.foreign == [] and page.problems == []


def test_the_camera_shows_frames_their_pace_and_another_garment(visit):
    page = visit()
    page.get_by_role('tab', name='Live').click()
    page.click('#live_start')
    page.wait_for_function("Number(document.querySelector('#live_view').dataset.frames) > 4")
    page.wait_for_function("/[0-9.]+ frames a second/.test(document.querySelector('.live-bar').innerText)")
    page.wait_for_function("/[0-9]+ ms behind/.test(document.querySelector('.live-bar').innerText)")
    size = page.eval_on_selector('#live_view', 'canvas => [canvas.width, canvas.height]')
    assert size == [640, 480] and page.locator('#live_note').is_hidden()
    page.locator('#garments button').nth(1).click()
    shown = "Number(document.querySelector('#live_view').dataset.frames)"
    count = page.evaluate(shown)
    page.wait_for_function(f'{shown} > {count + 3}')
    page.click('#live_start')
    page.get_by_text('The camera is off.').wait_for()
    assert page.foreign == [] and page.problems == []


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('NotAllowedError', 'The camera was refused'),
        ('NotFoundError', 'No camera was found'),
        ('NotReadableError', 'in use by another program'),
        ('OddError', 'cannot be used (OddError)'),
    ],
)
def test_a_camera_that_is_refused_or_missing_is_told_in_a_sentence(name, words, visit):
    page = visit()
    page.get_by_role('tab', name='Live').click()
    page.evaluate(
        "name => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', name)); }",
        name,
    )
    page.click('#live_start')
    page.get_by_text(words).wait_for()
    assert page.locator('#live_start').inner_text() == 'Start the camera' and page.problems == []


def test_a_camera_that_goes_away_is_told_and_can_be_started_again(visit):
    page = visit()
    page.evaluate(
        """() => {
          const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          navigator.mediaDevices.getUserMedia = async (wanted) => (window.cameraStream = await ask(wanted));
        }"""
    )
    page.get_by_role('tab', name='Live').click()
    page.click('#live_start')
    page.wait_for_function("Number(document.querySelector('#live_view').dataset.frames) > 1")
    page.evaluate("window.cameraStream.getVideoTracks()[0].dispatchEvent(new Event('ended'))")
    page.get_by_text('The camera went away').wait_for()
    count = page.evaluate("Number(document.querySelector('#live_view').dataset.frames)")
    page.click('#live_start')
    page.wait_for_function(f"Number(document.querySelector('#live_view').dataset.frames) > {count + 1}")


def test_what_is_no_picture_and_what_is_too_large_are_answered_in_one_line(visit, tmp_path):
    page = visit()
    (tmp_path / 'notes.png').write_text('this is no picture')
    Image.new('L', (2000, 1500)).save(tmp_path / 'large.png')
    for name, message in (
        ('notes.png', 'notes.png: not a picture'),
        ('large.png', 'large.png: 3 megapixels, at most 2 are taken'),
    ):
        upload(page, '#person', tmp_path / name)
        page.wait_for_selector(
            '#person button[aria-label="Clear"], #person button[aria-label="Remove Image"]'
        )
        page.click('#try_on')
        toast = page.locator('.toast-body').filter(has_text=message)
        toast.wait_for()
        assert '/' not in toast.inner_text().replace(
            '/ ', ''
        )  # where files lie on the server is nobody's business
        toast.locator('button').first.click()


def test_a_phone_needs_no_scrolling_sideways(visit):
    page = visit(PHONE)
    for tab in ('Photo', 'Live'):
        page.get_by_role('tab', name=tab).click()
        page.wait_for_timeout(300)
        assert page.evaluate('document.documentElement.scrollWidth') <= PHONE[0]
    page.get_by_role('tab', name='Photo').click()
    box = page.locator('#try_on').bounding_box()
    assert box['width'] >= 250 and box['height'] >= 44  # a thumb's


def test_pictures_of_a_page_that_stays_open_stay_and_a_page_that_was_away_recovers(
    patient_server, browser, drawn
):
    context = browser.new_context(viewport={'width': DESKTOP[0], 'height': DESKTOP[1]})
    context.set_default_timeout(WAIT)
    page = context.new_page()
    page.goto(patient_server.address)
    page.wait_for_selector('#person img')
    upload(page, '#person', drawn / 'person9.png')
    page.wait_for_selector('#person img')
    page.locator('#garments button').nth(1).click()
    page.wait_for_timeout(4 * KEPT * 1000)
    page.click(
        '#try_on'
    )  # the person is an upload, the garment one of the wardrobe: both are older than they may get
    page.wait_for_selector('#result img')
    page.wait_for_selector('#about li')
    context.set_offline(True)
    page.wait_for_timeout(3 * KEPT * 1000)
    other = browser.new_page()
    other.goto(patient_server.address)  # whose page sweeps
    other.wait_for_timeout(2 * KEPT * 1000)
    page.evaluate("document.body.dataset.old = ''")
    context.set_offline(False)
    # The page says so, unless Gradio loads it anew, as 6.31 does where the connection broke.
    said = page.get_by_text('no longer here')
    said.or_(page.locator('body:not([data-old])')).first.wait_for()
    page.wait_for_selector('#person input[type=file]', state='attached')
    upload_again = page.locator('#person input[type=file]')
    upload_again.set_input_files(drawn / 'person0.png')
    page.wait_for_selector('#person img')
    other.close()
    context.close()
