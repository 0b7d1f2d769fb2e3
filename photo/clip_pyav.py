"""Video files by PyAV: times of frames, rotation, odd sizes and sound are kept."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from photo.clip_types import ClipInfo, Frame, refuse
from utils.errors import UserError

# By suffix: codec, its options. H.264 is what everything plays; 18 is about where the eye sees no loss.
H264 = ('libx264', {'crf': '18', 'preset': 'fast'})
CODECS = {
    '.mp4': H264,
    '.mov': H264,
    '.m4v': H264,
    '.mkv': H264,
    '.avi': ('mpeg4', {'qscale': '2'}),
    '.webm': ('libvpx-vp9', {'crf': '24', 'b': '0', 'cpu-used': '5', 'row-mt': '1'}),
}
USUAL_RATE = Fraction(30)
TICKS = 90_000  # a second: every usual rate is a whole number of them a frame
BT709, LIMITED = 1, 1  # as FFmpeg numbers them: what players take for granted


def _upright(frame: av.VideoFrame) -> np.ndarray:
    """uint8 [H, W, 3] RGB, turned as the file says, to whole quarters."""
    pixels = frame.to_ndarray(format='rgb24')
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90) % 4))


class PyavReader:
    """An open video file."""

    def __init__(self, path: Path):
        self.notes: list[str] = []
        self._container: Any = None
        self._stream: Any = None
        try:
            self._container = av.open(str(path))
            self._stream = next(iter(self._container.streams.video), None)
            if self._stream is None or self._stream.codec_context is None:
                raise UserError(f'{path}: there is no picture in it, only sound or data; give a video')
            self._stream.thread_type = 'AUTO'
            self._decoded = self._container.decode(self._stream)
            self._first = next(self._decoded, None)
        except (av.error.FFmpegError, ValueError) as error:
            self.close()
            if isinstance(error, UserError):
                raise
            raise refuse(path, getattr(error, 'strerror', None) or '') from error
        if self._first is None:
            self.close()
            raise UserError(f'{path}: a video without frames; give another file')
        pixels, stream = _upright(self._first), self._stream
        self.info = ClipInfo(
            path,
            width=pixels.shape[1],
            height=pixels.shape[0],
            rate=stream.average_rate or stream.guessed_rate or USUAL_RATE,
            count=stream.frames or self._estimate(),
            has_sound=bool(self._container.streams.audio),
            aspect=stream.sample_aspect_ratio or Fraction(1),
        )
        if self._first.rotation % 180:
            self.info = self.info._replace(aspect=1 / self.info.aspect)

    def _estimate(self) -> int | None:
        rate, duration = self._stream.average_rate, self._container.duration
        return round(duration / av.time_base * rate) if rate and duration else None

    def frames(self) -> Iterator[Frame]:
        """All frames; a file that is damaged further on ends there, and a note says so."""
        count, last, step = 0, None, 1 / self.info.rate
        frame: av.VideoFrame | None = self._first
        while frame is not None:
            time = frame.pts * frame.time_base if frame.pts is not None and frame.time_base else None
            if time is None or (last is not None and time <= last):
                time = Fraction(0) if last is None else last + step
            pixels = _upright(frame)
            if pixels.shape[:2] == (self.info.height, self.info.width):
                yield Frame(pixels, time)
                count, last = count + 1, time
            elif not self.notes:
                self.notes.append(f'{self.info.path}: frames of another size than the first are left out')
            try:
                frame = next(self._decoded, None)
            except av.error.FFmpegError as error:
                self.notes.append(f'{self.info.path}: damaged after {count} frames ({error.strerror}); the result ends there')
                frame = None

    def close(self) -> None:
        if self._container is not None:
            self._container.close()


class PyavWriter:
    """A video file that is being written, with another file's sound."""

    def __init__(self, path: Path, info: ClipInfo, *, sound: bool):
        codec, options = CODECS[path.suffix.lower()]
        self.notes: list[str] = []
        self._container = av.open(str(path), 'w')
        self._source: Any = None
        self._packets: Any = None
        self._stream = self._container.add_stream(codec, rate=info.rate, options=dict(options))
        is_odd = info.width % 2 or info.height % 2
        # Colours of half the resolution, which every player takes, come in pairs of pixels; VP9 has no such bounds.
        self._format = 'yuv444p' if is_odd and codec == 'libx264' else 'yuv420p'
        context = self._stream.codec_context
        context.width, context.height, context.pix_fmt = info.width, info.height, self._format
        context.sample_aspect_ratio = info.aspect
        self._tick, self._matrix, self.count = Fraction(1, TICKS), 'ITU709', 0
        if codec == 'mpeg4':  # AVI holds neither times nor which colours are meant
            self._tick, self._matrix = 1 / info.rate, 'ITU601'
        else:
            context.colorspace = context.color_primaries = context.color_trc = BT709
            context.color_range = LIMITED
        context.time_base = self._tick
        if sound and info.has_sound:
            self._add_sound(info.path, path)

    def _add_sound(self, source: Path, path: Path) -> None:
        self._source = av.open(str(source))
        track = self._source.streams.audio[0]
        name = 'unknown' if track.codec_context is None else track.codec_context.codec.canonical_name
        if name not in self._container.supported_codecs:
            self.notes.append(f'the sound ({name}) is left out, which {path.suffix} does not hold; take .mkv')
            return
        self._track = self._container.add_stream_from_template(track)
        self._packets = self._source.demux(track)
        self._pending = next(self._packets, None)

    def write(self, frame: Frame) -> None:
        picture = av.VideoFrame.from_ndarray(frame.pixels, format='rgb24')
        picture = picture.reformat(format=self._format, dst_colorspace=self._matrix)
        picture.time_base = self._tick
        picture.pts = round(frame.time / self._tick) if self._tick.denominator == TICKS else self.count
        self.count += 1
        for packet in self._stream.encode(picture):
            self._container.mux(packet)
        self._copy_sound(frame.time)

    def _copy_sound(self, until: Fraction | None) -> None:
        """Copy sound up to a time in seconds, or to its end."""
        while self._packets is not None and self._pending is not None:
            packet = self._pending
            if packet.dts is not None:
                if until is not None and packet.dts * packet.time_base > until:
                    return
                packet.stream = self._track
                self._container.mux(packet)
            self._pending = next(self._packets, None)

    def close(self) -> None:
        if self.count:
            for packet in self._stream.encode():
                self._container.mux(packet)
        self._container.close()
        if self._source is not None:
            self._source.close()
