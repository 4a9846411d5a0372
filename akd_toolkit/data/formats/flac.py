"""FLAC: how long it is by its last frame, against what its header says.

libFLAC believes the header: it stops there, and of a file without a length it cannot say whether it was cut.
"""

import re
from typing import BinaryIO

from akd_toolkit.data.formats.pieces import DamagedError, Pieces, read_at

HEAD = 42  # bytes: "fLaC" and STREAMINFO
LARGEST_FRAME = 2**18  # bytes, where the header does not say
LARGEST_TAIL = 2**20
CODED_SAMPLES = (0, 192, *(576 << n for n in range(4)), 0, 0, *(256 << n for n in range(8)))


def flac_part(file: BinaryIO | Pieces, start: int, size: int) -> Pieces:
    """The file from ``start`` on, with its true length in the header if that has none.

    Source: RFC 9639.
    """
    head = read_at(file, start, HEAD).ljust(HEAD, b"\0")
    fields, block = int.from_bytes(head[18:26], "big"), int.from_bytes(head[10:12], "big")
    promised = fields & (2**36 - 1)
    searched = 2 * (int.from_bytes(head[15:18], "big") or LARGEST_FRAME) + 2**14  # two frames and some tags
    tail = read_at(file, max(start + HEAD, size - LARGEST_TAIL), LARGEST_TAIL)
    if b"fLaC\0" in tail:  # of the same length, or the last frame would tell
        raise DamagedError("is several FLAC files in one; split it")
    last = _last_sample(tail[-searched:], block, promised)
    if not last or promised not in (0, last):
        raise DamagedError("is truncated or damaged: its last frame is not the one that its header promises")
    length = (fields | last).to_bytes(8, "big")
    return Pieces(file, [(start, size)] if promised else [head[:18], length, (start + 26, size)])


def _last_sample(tail: bytes, block: int, promised: int) -> int:
    """The end of the last frame: of one that ends as promised, or follows another, because chance makes single ones."""
    ends: dict[int, int] = {}  # by the first sample of the frame
    for match in reversed(list(re.finditer(rb"\xff[\xf8\xf9]", tail))):
        if frame := _frame(tail[match.start() : match.start() + 20], block):
            begin, end = frame
            if end in ends or end == promised:
                return ends.get(end, end)
            ends[begin] = end
    return ends.get(0, 0)


def _frame(head: bytes, block: int) -> tuple[int, int] | None:
    """First sample of a frame and the one after its last; None if this is no frame."""
    head = head.ljust(20, b"\0")
    ones = 8 - (head[4] ^ 0xFF).bit_length()  # the number is coded as UTF-8 codes a letter
    number, at = head[4] & (0x7F >> ones), 5 + max(0, ones - 1)
    for byte in head[5:at]:
        number = number << 6 | byte & 0x3F
    width = {6: 1, 7: 2}.get(head[2] >> 4, 0)
    samples = int.from_bytes(head[at : at + width], "big") + 1 if width else CODED_SAMPLES[head[2] >> 4]
    at += width + {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if not samples or head[3] & 1 or _checksum(head[:at]) != head[at]:
        return None
    begin = number if head[1] & 1 else number * block
    return begin, begin + samples


def _checksum(data: bytes) -> int:
    """CRC-8, x^8 + x^2 + x + 1."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ (0x107 if crc & 0x80 else 0)
    return crc
