"""Colour profiles: photographs become sRGB, which the networks know, and results go back to the colours of the photograph.

Not part of any paper. Little CMS converts, colours that both spaces have are kept as they are (relative colorimetric).
"""

import io
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

SPACES = {'RGB': 'RGB', 'L': 'GRAY', 'CMYK': 'CMYK'}  # mode of a picture -> what its profile calls that
SAME = 2  # levels of 255: variants of sRGB itself, as programs write them, are not further apart
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB'))


class Coloured(NamedTuple):
    """A picture in sRGB, and what it was before."""

    picture: Image.Image  # RGB, sRGB; `info` holds at most `icc_profile`, that of a picture which was sRGB already
    own: Image.Image | None  # RGB in its own space, `info` holds `icc_profile`; None: it is sRGB, or cannot be written as RGB
    note: str | None  # what is wrong with the profile


def to_srgb(picture: Image.Image, profile: bytes | None) -> Coloured:
    """Convert a picture of mode RGB, L or CMYK by its ICC profile; without one it is taken for sRGB."""
    plain = picture.convert('RGB')
    plain.info = {}
    if not profile:
        return Coloured(plain, None, None)
    try:
        parsed = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = parsed.profile.xcolor_space.strip()
        if picture.mode == 'L' and space == 'RGB':  # grey that was saved with the profile of a screen
            picture = plain
        if space != SPACES[picture.mode]:
            return Coloured(plain, None, f'its colour profile is for {space}, the picture is {picture.mode}; taken as sRGB')
        converted = _convert(picture, parsed, _SRGB)
        if picture.mode != 'RGB':
            return Coloured(converted, None, None)
        plain.info = {'icc_profile': profile}
        if _is_srgb(parsed):
            return Coloured(plain, None, None)
        _convert(plain.resize((1, 1)), _SRGB, parsed)  # some profiles only lead to other spaces, and none back
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        plain.info = {}
        return Coloured(plain, None, f'its colour profile cannot be used ({str(error)[:80]}); taken as sRGB')
    return Coloured(converted, plain, None)


def to_own(picture: Image.Image, own: Image.Image, region: Image.Image) -> Image.Image:
    """The sRGB `picture` in the space of `own` where `region` (L) is above 0; elsewhere the pixels of `own` themselves."""
    result, box = own.copy(), region.getbbox()
    if box is not None:
        parsed = ImageCms.ImageCmsProfile(io.BytesIO(own.info['icc_profile']))
        changed = region.crop(box).point(lambda level: 255 * (level > 0))
        result.paste(_convert(picture.crop(box), _SRGB, parsed), box[:2], changed)
    result.info = dict(own.info)
    return result


def shown(picture: Image.Image) -> Image.Image:
    """A picture of mode RGB or RGBA in sRGB, for a sheet or a page that knows no profiles."""
    coloured = to_srgb(picture.convert('RGB'), picture.info.get('icc_profile')).picture
    if picture.mode == 'RGBA':
        coloured.putalpha(picture.getchannel('A'))
    return coloured


def _convert(picture: Image.Image, source: ImageCms.ImageCmsProfile, target: ImageCms.ImageCmsProfile) -> Image.Image:
    converted = ImageCms.profileToProfile(
        picture,
        source,
        target,
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode='RGB',
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert converted is not None, 'a picture comes back where none is changed in place'
    converted.info = {}
    return converted


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    """Whether a profile leaves a coarse grid of all colours where sRGB has them."""
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
    converted = np.asarray(_convert(Image.fromarray(grid), profile, _SRGB))
    return int(np.abs(converted.astype(int) - grid).max()) <= SAME
