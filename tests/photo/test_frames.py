"""A frame of a camera is dressed as a photograph is, only faster."""

import numpy as np
import pytest
import torch
from PIL import Image

from photo.composition import Composition
from photo.dressing import prepare_garment, prepare_person
from photo.frames import FrameDresser, TileSizes, paste_frame
from photo.paste import change_weight, paste
