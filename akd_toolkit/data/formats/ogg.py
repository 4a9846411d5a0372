"""Ogg: every page by its checksum and number, every stream to its last page.

libsndfile leaves damaged pages out without an error, and stops after the first of several streams.
"""

import struct
import zlib
from typing import BinaryIO

from akd_toolkit.data.formats.flac import flac_part
from akd_toolkit.data.formats.pieces import TAIL, DamagedError, ForeignError, Pieces, read_at

FIRST, LAST = 2, 4  # flags of a page
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def ogg_parts(file: BinaryIO, start: int, size: int) -> list[Pieces]:
    """The streams that follow one another.

    Source: RFC 3533, section 6.
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
        if _checksum(head[:22] + bytes(4) + head[26:] + table + data) != checksum:
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
        raise DamagedError(f"is damaged: {size - at} bytes at its end are no Ogg page")
    return [_stream(file, pages) for pages in streams]


def _stream(file: BinaryIO, pages: list[tuple[int, int, int]]) -> Pieces:
    """One stream; of FLAC, which libsndfile does not read in Ogg, the FLAC file that its data are."""
    first, begin, stop = pages[0]
    if read_at(file, begin, 5) != b"\x7fFLAC":
        return Pieces(file, [(first, pages[-1][2])])
    data = Pieces(file, [(begin + 9, stop), *((begin, stop) for _, begin, stop in pages[1:])])
    return flac_part(data, 0, data.starts[-1])


def _checksum(page: bytes) -> int:
    """CRC-32 whose bits run the other way than those of zlib, and which begins and ends with 0."""
    crc = zlib.crc32(page.translate(_REVERSED), 2**32 - 1) ^ (2**32 - 1)
    return int(f"{crc:032b}"[::-1], 2)
