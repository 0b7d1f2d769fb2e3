"""Own photographs: garment masks, framing, composition at full resolution and paste-back around a try-on
pipeline.
"""

from photo.dressing import (
    DressedPhoto,
    PreparedGarment,
    PreparedPerson,
    dress,
    prepare_garment,
    prepare_person,
    try_on,
)
from photo.framing import Window, frame_garment, frame_person
from photo.garment import garment_mask
from photo.loading import Photo, load_mask, load_photo
from photo.person import BACKGROUNDS

__all__ = [
    'BACKGROUNDS', 'DressedPhoto', 'Photo', 'PreparedGarment', 'PreparedPerson', 'Window', 'dress',
    'frame_garment', 'frame_person', 'garment_mask', 'load_mask', 'load_photo', 'prepare_garment',
    'prepare_person', 'try_on',
]  # fmt: skip
