"""MP3: all frames are counted, because headers need not say how many there are.

libsndfile estimates the length from the first frame's bit rate, or trusts the first of several joined files.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import BinaryIO, NamedTuple

from akd_toolkit.data.formats.pieces import TAIL, DamagedError, Pieces, read_at

KBPS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
KBPS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
DECODER_DELAY = 529  # samples that mpg123 leaves out at the start where an Info frame is
SEARCHED = 2**16  # bytes at once


class _Kind(NamedTuple):
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
    """The frames of one encoder, and their number according to its Info frame, if there is one."""

    kind: _Kind
    head: bytes
    promised: int | None = None
    frames: int = 0
    stretches: list[tuple[int, int]] = field(default_factory=list)  # of the file

    def part(self, file: BinaryIO) -> Pieces:
        """All frames, behind an Info frame with their true number if there was none.

        A silent frame goes first, because mpg123 leaves out a frame where an Info frame does not name the gaps.
        """
        if self.promised is not None and self.frames < self.promised - 1:  # some count the Info frame too
            raise DamagedError(f"is truncated: its header promises {self.promised} frames and it holds {self.frames}")
        if self.promised == self.frames:
            return Pieces(file, self.stretches)
        # The highest bit rate, neither padding nor checksum.
        head = (int.from_bytes(self.head, "big") & ~0xF200 | 0x1E000).to_bytes(4, "big")
        length = _frame(head)[1]
        gaps = (self.kind.samples - DECODER_DELAY) << 12 | DECODER_DELAY
        info = head.ljust(self.kind.info_at, b"\0") + b"Info\0\0\0\1" + (self.frames + 1).to_bytes(4, "big")
        info += b"LAME".ljust(21, b"\0") + gaps.to_bytes(3, "big")
        return Pieces(file, [info.ljust(length, b"\0") + head.ljust(length, b"\0"), *self.stretches])


def mpeg_parts(file: BinaryIO, start: int, size: int) -> list[Pieces] | None:
    """The sounds that were joined to this file, most often one; None if it is of another format.

    Source: ISO 11172-3 (frames); the Info frame is LAME's.
    """
    first = _frame(read_at(file, start, 4))  # one of chance is followed neither by another of its kind nor by the end
    second = first and _frame(read_at(file, start + first[1], 4))
    if not first or (start + first[1] != size and (not second or second[0] != first[0])):
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
        is_info, promised = _info(head, kind)
        if is_info or not sounds or kind != sounds[-1].kind:
            sounds.append(_Sound(kind, head[:4], promised))
        sounds[-1].frames += not is_info
        if not is_info or promised is not None:
            stretches = sounds[-1].stretches
            begin = stretches.pop()[0] if stretches and stretches[-1][1] == at else at
            stretches.append((begin, at + length))
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


def _info(frame: bytes, kind: _Kind) -> tuple[bool, int | None]:
    """Whether a frame says how long the sound is instead of holding any, and how many frames it says there are."""
    if frame[36:40] == b"VBRI":
        return True, int.from_bytes(frame[50:54], "big")
    at = kind.info_at
    if frame[at : at + 4] not in (b"Info", b"Xing"):
        return False, None
    return True, int.from_bytes(frame[at + 8 : at + 12], "big") if frame[at + 7] & 1 else None


def skip_tag(file: BinaryIO, at: int) -> int:
    """The position after the tags that begin here: ID3v2 with its padding, APE, ID3v1."""
    while True:
        head = read_at(file, at, 16)
        if head[:3] == b"ID3" and len(head) == 16:
            length = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0)))
            at += 10 + length + (10 if head[5] & 0x10 else 0)
            padding = read_at(file, at, SEARCHED)
            at += len(padding) - len(padding.lstrip(b"\0"))
        elif head[:8] == b"APETAGEX":
            at += 32 + int.from_bytes(head[12:16], "little")
        elif head[:3] == b"TAG":
            at += 128
        else:
            return at
