"""MP3: all frames are counted, because headers need not say how many there are.

libsndfile estimates the length from the first frame's bit rate, or trusts the first of several joined files.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import BinaryIO

from akd_toolkit.data.formats.pieces import TAIL, DamagedError, Pieces, read_at

KBPS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
KBPS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
DECODER_DELAY = 529  # samples that mpg123 leaves out at the start where an Info frame is
SEARCHED = 2**16  # bytes at once


@dataclass(frozen=True)
class _Kind:
    """What all frames of a sound share; ``halved`` is 1 for MPEG-1, 2 for MPEG-2, 4 for MPEG-2.5."""

    halved: int
    rate_hz: int
    mono: bool

    @property
    def samples(self) -> int:
        return 1152 if self.halved == 1 else 576

    @property
    def info_at(self) -> int:
        """Place in a frame of the word that makes it an Info frame."""
        return 4 + ((17 if self.mono else 32) if self.halved == 1 else (9 if self.mono else 17))


@dataclass
class _Sound:
    """The frames of one encoder, and their number according to its header."""

    kind: _Kind
    head: int
    promised: int | None = None
    gaps: int | None = None  # samples that the encoder added before and behind, 12 bits each
    frames: int = 0
    stretches: list[tuple[int, int]] = field(default_factory=list)

    def add(self, at: int, length: int) -> None:
        self.frames += 1
        if self.stretches and self.stretches[-1][1] == at:
            at, length = self.stretches[-1][0], at + length - self.stretches.pop()[0]
        self.stretches.append((at, at + length))

    def part(self, file: BinaryIO) -> Pieces:
        """The frames behind an Info frame with their true number.

        mpg123 leaves out the gaps given there, and its own delay; if they are unknown, a silent frame is left out.
        """
        if self.promised is not None and self.frames < self.promised - 1:  # some count the Info frame too
            raise DamagedError(f"is truncated: its header promises {self.promised} frames and it holds {self.frames}")
        known = self.gaps is not None and self.promised == self.frames
        gaps = self.gaps if known else (self.kind.samples - DECODER_DELAY) << 12 | DECODER_DELAY
        head = (self.head & ~0xF200 | 0x1E000).to_bytes(4, "big")  # the highest bit rate, neither padding nor checksum
        length = _frame(head)[1]
        info = head.ljust(self.kind.info_at, b"\0") + b"Info\0\0\0\1" + (self.frames + (not known)).to_bytes(4, "big")
        info += b"LAME".ljust(21, b"\0") + gaps.to_bytes(3, "big")
        silence = b"" if known else head.ljust(length, b"\0")
        return Pieces(file, [info.ljust(length, b"\0") + silence, *self.stretches])


def mpeg_parts(file: BinaryIO, start: int, size: int) -> list[Pieces] | None:
    """The sounds that were joined to this file, most often one; None if it is of another format.

    Source: ISO 11172-3 (frames); the Info frame is LAME's.
    """
    if not _two_frames(file, start, size):
        return None
    sounds: list[_Sound] = []
    at = start
    while at < size:
        head = read_at(file, at, 64)
        if not (frame := _frame(head[:4])):
            if (after := skip_tag(file, at)) == at:
                if size - at > TAIL:
                    raise DamagedError(f"is damaged: what follows byte {at} is not MP3")
                break
            at = after
            continue
        kind, length = frame
        if at + length > size:
            raise DamagedError(f"is truncated: {at + length - size} bytes of its last frame are missing")
        info = _info(read_at(file, at, length), kind) if _is_info(head, kind) else None
        if info or not sounds or kind != sounds[-1].kind:
            sounds.append(_Sound(kind, int.from_bytes(head[:4], "big"), *(info or ())))
        if not info:
            sounds[-1].add(at, length)
        at += length
    return [sound.part(file) for sound in sounds]


@lru_cache(maxsize=4096)
def _frame(head: bytes) -> tuple[_Kind, int] | None:
    """Kind and length in bytes of the frame of layer III that begins with these four bytes."""
    bits = int.from_bytes(head, "big")
    halved = {3: 1, 2: 2, 0: 4}.get(bits >> 19 & 3)
    kbps, rate = bits >> 12 & 15, bits >> 10 & 3
    if bits >> 21 != 0x7FF or not halved or bits >> 17 & 3 != 1 or kbps in (0, 15) or rate == 3:
        return None
    kind = _Kind(halved, (44100, 48000, 32000)[rate] // halved, bits >> 6 & 3 == 3)
    bits_per_s = (KBPS_1 if halved == 1 else KBPS_2)[kbps] * 1000
    return kind, kind.samples // 8 * bits_per_s // kind.rate_hz + (bits >> 9 & 1)


def _is_info(frame: bytes, kind: _Kind) -> bool:
    return frame[kind.info_at : kind.info_at + 4] in (b"Info", b"Xing") or frame[36:40] == b"VBRI"


def _info(frame: bytes, kind: _Kind) -> tuple[int | None, int | None]:
    """How many frames an Info frame says there are, and the gaps if its checksum is right."""
    if frame[36:40] == b"VBRI":
        return int.from_bytes(frame[50:54], "big"), None
    at, flags = kind.info_at + 8, frame[kind.info_at + 7]
    promised = int.from_bytes(frame[at : at + 4], "big") if flags & 1 else None
    at += sum(length for bit, length in enumerate((4, 4, 100, 4)) if flags >> bit & 1)
    stored = int.from_bytes(frame[at + 34 : at + 36], "big")
    right = frame[at : at + 3] == b"Lav" or _checksum(frame[: at + 34]) == stored  # FFmpeg's is another checksum
    return promised, int.from_bytes(frame[at + 21 : at + 24], "big") if right and len(frame) >= at + 36 else None


def _checksum(data: bytes) -> int:
    """CRC-16, x^16 + x^15 + x^2 + 1, its bits from low to high."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def _two_frames(file: BinaryIO, at: int, size: int) -> bool:
    """Whether a frame begins here and another one of its kind, or the end, follows."""
    if not (frame := _frame(read_at(file, at, 4))):
        return False
    after = _frame(read_at(file, at + frame[1], 4))
    return at + frame[1] == size or bool(after and after[0] == frame[0])


def skip_tag(file: BinaryIO, at: int) -> int:
    """The position after the tags that begin here: ID3v2 with its padding, APE, ID3v1."""
    while True:
        head = read_at(file, at, 16)
        if head[:3] == b"ID3" and len(head) == 16:
            length = 0
            for byte in head[6:10]:
                length = length << 7 | byte & 0x7F
            at += 10 + length + (10 if head[5] & 0x10 else 0)
            padding = read_at(file, at, SEARCHED)
            at += len(padding) - len(padding.lstrip(b"\0"))
        elif head[:8] == b"APETAGEX":
            at += 32 + int.from_bytes(head[12:16], "little")
        elif head[:3] == b"TAG":
            at += 128
        else:
            return at
