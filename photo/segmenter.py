"""Cutting out by rembg, a package of trained segmenters, where it is installed and has a model.

Nothing is downloaded: a model counts where it lies in the folder in which rembg keeps its models.
"""

import os
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import Image

from utils.errors import UserError

PERSON_MODELS = ('u2net_human_seg', 'birefnet-portrait', 'u2net', 'isnet-general-use', 'silueta', 'u2netp')
GARMENT_MODELS = ('isnet-general-use', 'birefnet-general', 'u2net', 'silueta', 'u2netp')


def model_folder() -> Path:
    """The folder where rembg keeps its models."""
    home = os.environ.get('U2NET_HOME')
    return Path(home) if home else Path(os.environ.get('XDG_DATA_HOME') or Path.home()) / '.u2net'


def find_model(models: tuple[str, ...]) -> str | None:
    """The first of some models that rembg can use at once; None where it is not installed or has none."""
    if find_spec('rembg') is None:
        return None
    folder = model_folder()
    return next((name for name in models if (folder / f'{name}.onnx').is_file()), None)


def cut_out(picture: Image.Image, models: tuple[str, ...]) -> Image.Image:
    """The mask (L) of what stands out, by the first of some models that is there. Raises `UserError`."""
    if find_spec('rembg') is None:
        raise UserError('rembg is not installed; `pip install rembg`, or choose grabcut')
    model = find_model(models)
    if model is None:
        names = ', '.join(f'{name}.onnx' for name in models)
        raise UserError(
            f'rembg has no model in {model_folder()}; put one of {names} there, or choose grabcut'
        )
    from rembg import remove

    return remove(picture, session=_session(model), only_mask=True).convert('L')


@lru_cache(maxsize=2)
def _session(model: str) -> Any:
    """rembg's session of a model, which takes seconds to load: kept, since a video asks for every frame."""
    from rembg import new_session

    return new_session(model)
