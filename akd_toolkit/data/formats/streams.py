"""FLAC by its last frame, and Ogg by every page."""

import re
import struct
import zlib
from typing import BinaryIO

from akd_toolkit.data.formats.pieces import TAIL, DamagedError, ForeignError, Pieces, read_at

HEAD = 42  # bytes of FLAC: "fLaC" and STREAMINFO
LARGEST_FRAME = 2**18  # bytes, where the header does not say
LARGEST_TAIL = 2**20
CODED_SAMPLES = (0, 192, *(576 << n for n in range(4)), 0, 0, *(256 << n for n in range(8)))
FIRST, LAST = 2, 4  # flags of an Ogg page
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def flac_part(file: BinaryIO | Pieces, start: int, size: int) -> Pieces:
    """The file from ``start`` on, with its true length in the header if that has none (RFC 9639).

    libFLAC trusts the header, and cannot tell whether a file without a length was cut.
    """
    head = read_at(file, start, HEAD).ljust(HEAD, b"\0")
    fields, block = int.from_bytes(head[18:26], "big"), int.from_bytes(head[10:12], "big")
    promised = fields & (2**36 - 1)
    searched = 2 * (int.from_bytes(head[15:18], "big") or LARGEST_FRAME) + 2**14  # two frames and some tags
    tail = read_at(file, max(start + HEAD, size - LARGEST_TAIL), LARGEST_TAIL)
    if b"fLaC\0" in tail:
        raise DamagedError("is several FLAC files in one; split it")
    last = _last_sample(tail[-searched:], block, promised)
    if not last or promised not in (0, last):
        raise DamagedError("is truncated or damaged: its last frame is not the one that its header promises")
    length = (fields | last).to_bytes(8, "big")
    return Pieces(file, [(start, size)] if promised else [head[:18], length, (start + 26, size)])


def _last_sample(tail: bytes, block: int, promised: int) -> int:
    """The end of the last frame: one that ends as promised, or follows another, as single ones may be chance."""
    ends: dict[int, int] = {}  # by the first sample of the frame
    for match in reversed(list(re.finditer(rb"\xff[\xf8\xf9]", tail))):
        if frame := _frame(tail[match.start() : match.start() + 20], block):
            begin, end = frame
            if end in ends or end == promised:
                return ends.get(end, end)
            ends[begin] = end
    return ends.get(0, 0)


def _frame(head: bytes, block: int) -> tuple[int, int] | None:
    """First sample of a frame and the one after its last; None if this is not a frame."""
    head = head.ljust(20, b"\0")
    ones = 8 - (head[4] ^ 0xFF).bit_length()  # the number is coded as UTF-8 codes a letter
    number, at = head[4] & (0x7F >> ones), 5 + max(0, ones - 1)
    for byte in head[5:at]:
        number = number << 6 | byte & 0x3F
    width = {6: 1, 7: 2}.get(head[2] >> 4, 0)
    samples = int.from_bytes(head[at : at + width], "big") + 1 if width else CODED_SAMPLES[head[2] >> 4]
    at += width + {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if not samples or head[3] & 1 or _crc8(head[:at]) != head[at]:
        return None
    begin = number if head[1] & 1 else number * block
    return begin, begin + samples


def _crc8(data: bytes) -> int:
    """CRC-8, x^8 + x^2 + x + 1."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ (0x107 if crc & 0x80 else 0)
    return crc


def ogg_parts(file: BinaryIO, start: int, size: int) -> list[Pieces]:
    """The streams that follow one another (RFC 3533, section 6).

    libsndfile skips damaged pages without an error, and stops after the first stream.
    """
    streams: list[list[tuple[int, int, int]]] = []  # of each page its start, the start of its data, its end
    at, ended, due = start, True, (0, 0)
    while len(head := read_at(file, at, 27)) == 27 and head[:4] == b"OggS":
        flags, serial, number, checksum, count = struct.unpack("<5xB8xIIIB", head)
        table = file.read(count)
        stop = at + 27 + count + sum(table)
        data = file.read(sum(table))
        if stop > size:
            raise DamagedError("is truncated: its last page is not whole")
        if _crc32(head[:22] + bytes(4) + head[26:] + table + data) != checksum:
            raise DamagedError(f"is damaged: the checksum of its page at byte {at} differs")
        if flags & FIRST:
            if not ended and len(streams[-1]) == 1:
                raise ForeignError("holds several streams side by side")
            if not ended:
                break
            streams.append([])
        elif (serial, number) != due:
            raise DamagedError(f"is damaged: pages before byte {at} are missing")
        streams[-1].append((at, stop - len(data), stop))
        at, ended, due = stop, bool(flags & LAST), (serial, number + 1)
    if not ended or head[:4] == b"OggS":
        raise DamagedError("is truncated: its last page is missing (ffmpeg -i IN -c copy OUT closes an open recording)")
    if size - at > TAIL:
        raise DamagedError(f"is damaged: {size - at} bytes at its end are not an Ogg page")
    return [_stream(file, pages) for pages in streams]


def _stream(file: BinaryIO, pages: list[tuple[int, int, int]]) -> Pieces:
    """One stream; FLAC, which libsndfile does not read in Ogg, as the FLAC file that it contains."""
    first, begin, stop = pages[0]
    if read_at(file, begin, 5) != b"\x7fFLAC":
        return Pieces(file, [(first, pages[-1][2])])
    data = Pieces(file, [(begin + 9, stop), *((begin, stop) for _, begin, stop in pages[1:])])
    return flac_part(data, 0, data.starts[-1])


def _crc32(page: bytes) -> int:
    """CRC-32 in the bit order opposite to zlib's, from 0."""
    crc = zlib.crc32(page.translate(_REVERSED), 2**32 - 1) ^ (2**32 - 1)
    return int(f"{crc:032b}"[::-1], 2)
