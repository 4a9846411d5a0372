"""MP4, WebM and other containers, decoded by FFmpeg through PyAV, an extra.

FFmpeg reads a cut file without an error, so the promised length is compared with what is there.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import soundfile

from akd_toolkit.data.formats.mpeg import skip_tag
from akd_toolkit.data.formats.pieces import DamagedError, ForeignError, read_at

SHORTER = 0.1  # s that may be missing, because headers round,
DELAY = 2  # and frames, because they count an encoder's delay that FFmpeg leaves out
SEGMENT, CLUSTER = b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75"  # of Matroska: elements that hold others
ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
ESTIMATED = ("aac", "mp3", "amr")  # whose length FFmpeg guesses


def matroska_end(file: BinaryIO, size: int) -> int:
    at = 0
    while at < size:
        head = read_at(file, at, 12).ljust(12, b"\0")
        name = head[: 9 - head[0].bit_length()]
        width = 9 - head[len(name) : len(name) + 1].ljust(1, b"\0")[0].bit_length()
        coded = head[len(name) : len(name) + width]
        length = int.from_bytes(coded, "big") & (1 << 7 * width) - 1
        unknown = length == (1 << 7 * width) - 1
        if not head[0] or width > 8 or (unknown and name not in (SEGMENT, CLUSTER)):
            raise DamagedError(f"is damaged: no Matroska element begins at byte {at}")
        at += len(name) + width
        if not unknown and (at + length > size or name not in (SEGMENT, CLUSTER)):
            at += length
    return at


def flv_end(file: BinaryIO, size: int) -> int:
    at = 13
    while at < size:
        at += 15 + int.from_bytes(read_at(file, at + 1, 3), "big")
    return at


def asf_end(file: BinaryIO, size: int) -> int:
    head = read_at(file, 0, 2**16)
    at = head.find(ASF_PROPERTIES) + 40
    return int.from_bytes(head[at : at + 8], "little") if at > 40 else 0


KINDS = (  # first bytes, name, FFmpeg's name, where the file ends according to its elements
    (rb".{4}(ftyp|moov|mdat|wide|free|skip)", "MP4", "mov", None),
    (rb"\x1aE\xdf\xa3", "Matroska or WebM", "matroska", matroska_end),
    (rb"FLV", "FLV", "flv", flv_end),
    (rb"RIFF.{4}AVI ", "AVI", "avi", None),
    (rb"0&\xb2u", "WMA", "asf", asf_end),
    (rb"\xff[\xf0\xf1\xf8\xf9]", "AAC", "aac", None),
    (rb"\xff[\xe4-\xe7\xf4-\xf7\xfc-\xff]", "MPEG audio of layer I or II", "mp3", None),
    (rb"#!AMR", "AMR", "amr", None),
)


def container_kind(file: BinaryIO) -> tuple[str, str] | None:
    """Name of a container and FFmpeg's name for it; None if ``file`` is not one, DamagedError if its end is missing."""
    size, head = file.seek(0, os.SEEK_END), read_at(file, skip_tag(file, 0), 12)
    for magic, name, ffmpeg_name, end in KINDS:
        if re.match(magic, head, re.DOTALL):
            if end and (missing := end(file, size) - size) > 0:
                raise DamagedError(f"is truncated: {missing} bytes that its header promises are missing")
            return name, ffmpeg_name
    return None


@contextmanager
def open_container(file: BinaryIO, name: str, ffmpeg_name: str) -> Iterator:
    """A container of a known kind, opened by FFmpeg, whose errors become DamagedError."""
    try:
        import av  # here, because it is an extra
    except ImportError:
        raise ForeignError(f"is {name}, which needs PyAV: pip install 'akd-toolkit[av]'") from None
    file.seek(0)
    try:
        with av.open(file, format=ffmpeg_name) as container:
            yield container
    except av.FFmpegError as error:
        raise DamagedError(f"is damaged or truncated, FFmpeg says: {error.strerror}") from error


def check_seconds(held: float, promised: float | None, shorter: float = SHORTER) -> None:
    """Refuse a track that holds fewer seconds than its header promises."""
    if held < (promised or 0) - shorter:
        raise DamagedError(f"is truncated: it promises {promised:.2f} s and holds {held:.2f} s")


def decode_container(file: BinaryIO, into: BinaryIO) -> bool:
    """Write the first sound track of a container as W64 with float32 samples; False if ``file`` is not a container."""
    kind = container_kind(file)
    if kind is None:
        return False
    name, ffmpeg_name = kind
    with open_container(file, name, ffmpeg_name) as container:
        if not container.streams.audio:
            raise ForeignError(f"is {name} without a sound track")
        track = container.streams.audio[0]
        seconds = _written(container.demux(track), into)
        shorter = SHORTER + DELAY * (track.codec_context.frame_size or 0) / track.codec_context.sample_rate
        promised = track.duration and float(track.duration * track.time_base)
        if not promised and not container.streams.video:
            promised = (container.duration or 0) / 1_000_000
    if ffmpeg_name not in ESTIMATED:
        check_seconds(seconds, promised, shorter)
    return True


def _written(packets, into: BinaryIO) -> float:
    """Decode and write packets of a track; the seconds that they hold."""
    import av

    converter, sound, kind = av.AudioResampler(format="fltp"), None, None
    try:
        for packet in packets:
            if packet.is_corrupt:
                raise DamagedError("is truncated or damaged: a packet is not whole")
            for frame in (same for decoded in packet.decode() for same in converter.resample(decoded)):
                if sound is None:
                    kind = frame.rate, len(frame.layout.channels)
                    sound = soundfile.SoundFile(into, "w", *kind, "FLOAT", format="W64")
                if kind != (frame.rate, len(frame.layout.channels)):
                    raise ForeignError(f"changes from {kind} Hz and channels in the middle")
                sound.write(frame.to_ndarray().T)
        if sound is None:
            raise DamagedError("is truncated or damaged: it holds no sound")
        return sound.frames / sound.samplerate
    finally:
        if sound is not None:
            sound.close()
