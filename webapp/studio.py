"""Actions of the page for photographs; no layout."""

import secrets
import time
from pathlib import Path

import gradio as gr
import torch

from models.interface import TryOnModel
from photo.dressing import dress, prepare_person
from photo.files import save_result
from utils.errors import UserError
from webapp.limits import check_pixels
from webapp.retention import GONE, Keeper
from webapp.wardrobe import Encoder


def plain_message(message: str, *paths: str) -> str:
    """A message with the files' own names instead of where they lie on the server."""
    for path in paths:
        message = message.replace(path, Path(path).name)
    return message


class Studio:
    """Dresses photographs by one pipeline; results lie in `folder`."""

    def __init__(
        self, pipeline: TryOnModel, folder: Path, *, megapixels: float, garments: Encoder | None = None
    ):
        self.pipeline = pipeline
        self.folder = folder
        self.megapixels = megapixels
        self.keeper = Keeper(folder)
        self.garments = garments or Encoder(pipeline, megapixels=megapixels)

    @torch.no_grad()
    def try_on(self, person: str | None, garment: str | None) -> tuple[str, str, str]:
        """Files of a person and a garment -> the result's file, for the picture and for the button, and what
        to know of it.
        """
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
            message = plain_message(str(error), person, garment)
            raise gr.Error(message, title='That did not work', print_exception=False) from error
        seconds = time.perf_counter() - start
        path = self.new_result()
        save_result(dressed.picture, path)
        notes = [
            f'{dressed.picture.width} x {dressed.picture.height} pixels in {seconds:.1f} s',
            *dressed.notes,
        ]
        return str(path), str(path), '\n'.join(f'- {plain_message(note, person, garment)}' for note in notes)

    def new_result(self) -> Path:
        """A name for a result that nobody can guess; what nobody looks at any more goes."""
        self.keeper.sweep()
        folder = self.folder / secrets.token_hex(16)
        folder.mkdir()
        return folder / 'try-on.png'
