"""What the page does when somebody presses a button or stands before the camera; it knows nothing of how the page looks."""

import base64
import html
import io
import secrets
import time
from pathlib import Path
from typing import NamedTuple

import gradio as gr
import numpy as np
import torch
from PIL import Image

from data.transforms import picture_tensor
from models.interface import TryOnModel
from photo.dressing import PreparedPerson, dress, prepare_person
from photo.files import save_result
from photo.framing import border_colour, cut, frame_person
from photo.loading import Photo
from utils.errors import UserError
from webapp.keeping import GONE, Keeper
from webapp.limits import check_pixels
from webapp.steady import Pace, SteadyPipeline
from webapp.wardrobe import Encoder

LIVE_SIDE = 640  # pixels of the longer side of a frame: more than the networks see, and quick to paste into
LIVE_GARMENT = 512
LIVE_QUALITY = 85
NOTHING_YET = 'Start the camera, and stand so that you are seen from the head to the hips.'


class Live(NamedTuple):
    """One visitor's camera."""

    steady: SteadyPipeline
    pace: Pace


def _plain(message: str, *paths: str) -> str:
    """A message with the files' own names instead of where they lie on the server."""
    for path in paths:
        message = message.replace(path, Path(path).name)
    return message


class Studio:
    """Dresses photographs and camera frames by one pipeline; results lie in `folder`."""

    def __init__(self, pipeline: TryOnModel, folder: Path, *, megapixels: float):
        self.pipeline = pipeline
        self.folder = folder
        self.megapixels = megapixels
        self.keeper = Keeper(folder)
        self.garments = Encoder(pipeline, megapixels=megapixels)

    @torch.no_grad()
    def try_on(self, person: str | None, garment: str | None) -> tuple[str, str, str]:
        """Files of a person and a garment -> the result's file, for the picture and for the button, and what to know of it."""
        if not person or not garment:
            missing = 'a photograph of a person' if not person else 'a garment'
            raise gr.Error(f'Give {missing} first.', title='Something is missing', print_exception=False)
        if not all(self.keeper.touch([person, garment])):
            raise gr.Error(GONE, title='That did not work', print_exception=False)
        start = time.perf_counter()
        try:
            check_pixels(person, self.megapixels)
            prepared = self.garments(garment)
            dressed = dress(self.pipeline, prepare_person(self.pipeline, person), prepared)
        except UserError as error:
            message = _plain(str(error), person, garment)
            raise gr.Error(message, title='That did not work', print_exception=False) from error
        seconds = time.perf_counter() - start
        path = self.new_result()
        save_result(dressed.picture, path)
        notes = [f'{dressed.picture.width} x {dressed.picture.height} pixels in {seconds:.1f} s', *dressed.notes]
        return str(path), str(path), '\n'.join(f'- {_plain(note, person, garment)}' for note in notes)

    def new_result(self) -> Path:
        """A name for a result that nobody can guess; what nobody looks at any more goes."""
        self.keeper.sweep()
        folder = self.folder / secrets.token_hex(16)
        folder.mkdir()
        return folder / 'try-on.png'

    @torch.no_grad()
    def try_on_live(self, frame: np.ndarray | None, garment: str | None, live: Live | None) -> tuple[str, str, Live | None]:
        """A camera's frame uint8 [H, W, 3] and a garment's file -> the picture and the pace as HTML, and what to keep."""
        if frame is None:
            return placeholder(NOTHING_YET), '', None
        if not garment:
            return placeholder('Choose a garment first.'), '', live
        start = time.perf_counter()
        live = live or Live(SteadyPipeline(self.pipeline), Pace())
        try:
            prepared = self.garments(garment, longest=LIVE_GARMENT)
        except UserError as error:  # said in the picture's place: a message for each frame would fill the page
            return placeholder(html.escape(_plain(str(error), garment))), '', live
        dressed = dress(live.steady, self.frame_as_person(frame), prepared)
        now = time.perf_counter()
        fps = live.pace.tick(now)
        return as_html(dressed.picture), pace_html(fps, 1000 * (now - start)), live

    def frame_as_person(self, frame: np.ndarray) -> PreparedPerson:
        """A frame, ready for any garment. Its window stays where it is, whatever the person does: nothing may jump."""
        picture = Image.fromarray(frame[..., :3])
        picture.thumbnail((LIVE_SIDE, LIVE_SIDE))
        size = tuple(self.pipeline.size)
        window = frame_person(picture.size, size)
        view = cut(picture, window, border_colour(picture))
        tensor = picture_tensor(view, size)[None]
        code = self.pipeline.encode_person(tensor)
        photo = Photo(picture, None, ())
        return PreparedPerson(photo=photo, window=window, view=view, tensor=tensor, silhouette=None, code=code, notes=())


def as_html(picture: Image.Image) -> str:
    """A picture within the page: no frame of a camera is ever written to the disk."""
    stream = io.BytesIO()
    picture.convert('RGB').save(stream, 'JPEG', quality=LIVE_QUALITY)
    data = base64.b64encode(stream.getvalue()).decode()
    return f'<img class="live" alt="You, in the garment" src="data:image/jpeg;base64,{data}">'


def pace_html(fps: float, milliseconds: float) -> str:
    """How fast frames come."""
    shown = f'{fps:.1f}' if fps else '...'
    return f'<span class="pace"><b>{shown}</b> FPS</span><span class="pace">{milliseconds:.0f} ms a frame</span>'


def placeholder(text: str) -> str:
    """What stands in the live picture's place."""
    return f'<div class="live empty">{text}</div>'
