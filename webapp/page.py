"""Layout of the page: a wardrobe beside two tabs, a photograph and the camera."""

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from webapp.live import LiveRoom
from webapp.retention import GONE, SAY_SECONDS
from webapp.studio import Studio
from webapp.wardrobe import Choice

CSS = Path(__file__).with_name('style.css')
FONTS: dict[str, Any] = {
    'font': ['system-ui', '-apple-system', 'Segoe UI', 'sans-serif'],
    'font_mono': ['ui-monospace', 'Consolas', 'monospace'],
}
PICTURE_HEIGHT = 400
COLUMNS = 4  # of thumbnails; style.css has the same
LIVE_VIEW = """
<div class="live-stage">
  <canvas id="live_view" width="640" height="480" role="img" aria-label="You, in the garment"></canvas>
  <p id="live_note" role="status">
    Start the camera, and stand so that you are seen from the head to the hips.
  </p>
</div>
<div class="live-bar">
  <button id="live_start" type="button">Start the camera</button>
  <span class="pace"><b id="live_fps">–</b> frames a second</span>
  <span class="pace"><b id="live_delay">–</b> ms behind</span>
</div>
"""


def picture_file(value: Path, **settings) -> gr.Image:
    """A picture that arrives as the very file that was uploaded: Gradio unpacks nothing, so that limits come
    first.
    """
    image = gr.Image(str(value), type='filepath', image_mode=None, buttons=[], **settings)
    setattr(image, 'preprocess', uploaded_file)  # noqa: B010 - a method of Gradio's, replaced for this picture
    return image


def uploaded_file(payload) -> str | None:
    """The file of a picture that the page sends."""
    return None if payload is None else uploaded(payload.path)


def uploaded(path: str | None) -> str:
    """The path of an upload; Gradio has looked already, and this looks again, that it lies in the folder for
    them.
    """
    folder = Path(get_upload_folder()).resolve()
    if not path or not Path(path).resolve().is_relative_to(folder):
        raise gr.Error(GONE, title='That did not work', print_exception=False)
    return path


def theme() -> gr.themes.Base:
    """Colours, and fonts that every system has: nothing comes from the internet."""
    return gr.themes.Soft(primary_hue='indigo', secondary_hue='indigo', neutral_hue='slate', **FONTS)


def build_page(studio: Studio, room: LiveRoom, choice: Choice, *, about: str, note: str = '') -> gr.Blocks:
    """Make the page. `about` is one line below the title, `note` a warning."""
    with gr.Blocks(title='Try it on', analytics_enabled=False) as page:
        gr.HTML(f'<h1>Try it on</h1><p>{about}</p>', elem_id='head')
        if note:
            gr.Markdown(note, elem_id='note')
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=300):
                garment = _garment_column(choice)
            with gr.Column(scale=5, min_width=320), gr.Tabs():
                with gr.Tab('Photo', id='photo'):
                    person, result = _photo_tab(studio, choice, garment)
                with gr.Tab('Live', id='live'):
                    _live_tab(room, page, garment)
        _keep_alive(studio, [person, garment, result])
    return page


def _keep_alive(studio: Studio, pictures: list[gr.Image]) -> None:
    """Say at intervals what an open page shows, so that it is kept; what is gone all the same is taken off
    the page.
    """

    def keep(*paths: str | None) -> list:
        there = studio.keeper.touch(paths)
        studio.keeper.sweep()
        if not all(there):
            gr.Info(GONE)
        return [gr.skip() if is_there else None for is_there in there]

    gr.Timer(SAY_SECONDS).tick(
        keep, pictures, pictures, queue=False, show_progress='hidden', api_visibility='private'
    )


def _choices(paths: list[Path], target: gr.Image, *, label: str, elem_id: str) -> None:
    """Thumbnails, of which a click puts one into `target`."""
    gr.HTML(f'<h3>{label}</h3>', elem_classes='heading')
    gallery = gr.Gallery(
        [str(path) for path in paths],
        label=label,
        show_label=False,
        container=False,
        elem_id=elem_id,
        elem_classes='choices',
        columns=COLUMNS,
        object_fit='contain',
        allow_preview=False,
        interactive=False,
        buttons=[],
    )

    def choose(event: gr.SelectData) -> str:
        return str(paths[event.index])

    gallery.select(choose, None, target, show_progress='hidden', api_visibility='private')


def _garment_column(choice: Choice) -> gr.Image:
    garment = picture_file(
        choice.garments[0],
        label='Garment',
        sources=['upload', 'clipboard'],
        height=260,
        elem_id='garment',
        placeholder='Drop a garment on a plain background\nor click to upload',
        alt_text='The chosen garment',
        render=False,
    )
    _choices(choice.garments, garment, label='Wardrobe', elem_id='garments')
    garment.render()
    return garment


def _photo_tab(studio: Studio, choice: Choice, garment: gr.Image) -> tuple[gr.Image, gr.Image]:
    with gr.Row(equal_height=False):
        with gr.Column(min_width=260):
            person = picture_file(
                choice.people[0],
                label='Person',
                sources=['upload', 'webcam', 'clipboard'],
                height=PICTURE_HEIGHT,
                elem_id='person',
                placeholder='Drop a photograph, head to hips\nor click to upload',
                alt_text='The person',
            )
            _choices(choice.people, person, label='Or one of these', elem_id='people')
            button = gr.Button('Try it on', variant='primary', elem_id='try_on')
        with gr.Column(min_width=260):
            result = gr.Image(
                label='Result',
                format='png',
                type='filepath',
                height=PICTURE_HEIGHT,
                interactive=False,
                buttons=['fullscreen'],
                elem_id='result',
                alt_text='The person in the garment',
            )
            setattr(result, 'preprocess', uploaded_file)  # noqa: B010 - as in `picture_file`
            download = gr.DownloadButton('Download', interactive=False, elem_id='download')
            about = gr.Markdown(elem_id='about')
    done = button.click(
        studio.try_on,
        [person, garment],
        [result, download, about],
        concurrency_id='networks',
        show_progress_on=result,
        api_name='try_on',
    )
    done.success(
        lambda: gr.DownloadButton(interactive=True),
        None,
        download,
        show_progress='hidden',
        api_visibility='private',
    )
    return person, result


def _live_tab(room: LiveRoom, page: gr.Blocks, garment: gr.Image) -> None:
    """A canvas that live.js fills, and a hidden box through which it learns which garment was chosen."""
    gr.HTML(LIVE_VIEW, elem_id='live')
    ticket = gr.Textbox(visible='hidden')
    for event in (page.load, garment.change):
        told = event(
            room.ticket, garment, ticket, show_progress='hidden', api_visibility='private', queue=False
        )
        told.then(None, ticket, None, js='ticket => window.wearLive(ticket)', api_visibility='private')
