"""Small colour profiles, written by hand: ICC.1:2010 with a header, a table of tags and the tags."""

import struct

import numpy as np

D50 = (0.9642, 1.0, 0.8249)
# Display P3's primaries, adapted to D50 as profiles want them: a column each for red, green and blue.
P3 = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))


def _fixed(*values: float) -> bytes:
    return struct.pack(f'>{len(values)}i', *(round(value * 65536) for value in values))


def _profile(space: bytes, connection: bytes, kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, body, offset = b'', b'', 132 + 12 * len(tags)
    for name, data in tags.items():
        data += b'\0' * (-len(data) % 4)
        table += name + struct.pack('>2I', offset + len(body), len(data))
        body += data
    size = offset + len(body)
    header = (
        struct.pack('>I', size)
        + b'lcms'
        + bytes([2, 0x40, 0, 0])
        + kind
        + space
        + connection
        + b'\0' * 12
        + b'acsp'
    )
    header += b'\0' * (68 - len(header)) + _fixed(*D50)
    return header + b'\0' * (128 - len(header)) + struct.pack('>I', len(tags)) + table + body


def _gamma(value: float) -> bytes:
    return b'curv\0\0\0\0' + struct.pack('>IH', 1, round(value * 256))


def screen_profile(primaries=P3, gamma: float = 2.2) -> bytes:
    """A screen's: RGB by primaries and a gamma."""
    tags = {b'wtpt': b'XYZ \0\0\0\0' + _fixed(*D50)}
    for name, xyz in zip((b'r', b'g', b'b'), primaries, strict=True):
        tags |= {name + b'XYZ': b'XYZ \0\0\0\0' + _fixed(*xyz), name + b'TRC': _gamma(gamma)}
    return _profile(b'RGB ', b'XYZ ', b'mntr', tags)


def grey_profile(gamma: float) -> bytes:
    """One for grey."""
    return _profile(
        b'GRAY', b'XYZ ', b'mntr', {b'wtpt': b'XYZ \0\0\0\0' + _fixed(*D50), b'kTRC': _gamma(gamma)}
    )


def ink_profile() -> bytes:
    """A printer's whose cyan is an orange: CMYK by a table with two points an axis, in Lab of 8 bits."""
    ramp, identity = bytes(range(256)), _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table = []
    for index in range(16):
        cyan, magenta, yellow, key = ((index >> shift) & 1 for shift in (3, 2, 1, 0))
        lightness = 100 * (1 - key) * (1 - 0.3 * cyan) * (1 - 0.4 * magenta) * (1 - 0.1 * yellow)
        table += [lightness * 2.55, 128 + 50 * cyan * (1 - key), 128 + 60 * cyan * (1 - key)]
    levels = np.rint(table).astype(np.uint8).tobytes()
    lut = b'mft1\0\0\0\0' + bytes([4, 3, 2, 0]) + identity + ramp * 4 + levels + ramp * 3
    return _profile(b'CMYK', b'Lab ', b'prtr', {b'wtpt': b'XYZ \0\0\0\0' + _fixed(*D50), b'A2B0': lut})
