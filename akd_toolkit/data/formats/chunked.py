"""WAV, RF64, AIFF, CAF, W64, AU: the length in the header compared with the bytes that follow.

libsndfile shortens the sound without an error if bytes are missing, and ignores what follows it.
"""

import math
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

from akd_toolkit.data.formats.pieces import TAIL, DamagedError, ForeignError, Pieces, read_at

# Lengths that programs write that cannot seek back to fill them in.
PLACEHOLDERS = (0, 0x7F000000, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
SLACK = 2**16  # that such a length, but 0, may differ by, for the header
LONGEST_HEADER = 2**12  # bytes, of AU
KINDS = {  # bytes 0 to 4, bytes 8 to 12 -> place of the first chunk, a chunk's header, its alignment, that of samples
    (b"RIFF", b"WAVE"): (12, "<4sI", 2, b"data"),
    (b"RIFX", b"WAVE"): (12, ">4sI", 2, b"data"),
    (b"RF64", b"WAVE"): (12, "<4sI", 2, b"data"),
    (b"BW64", b"WAVE"): (12, "<4sI", 2, b"data"),
    (b"FORM", b"AIFF"): (12, ">4sI", 2, b"SSND"),
    (b"FORM", b"AIFC"): (12, ">4sI", 2, b"SSND"),
    (b"caff", b"desc"): (8, ">4sQ", 1, b"data"),
    (b"riff", b"\xa5\xd6\x28\xdb"): (40, "<4s12xQ", 8, b"data"),  # W64, whose chunks count their header
}
SECOND_SOUND = (b"RIFF", b"FORM", b"data", b"SSND")


def is_placeholder(length: int) -> bool:
    """Whether a length in a header means that it is unknown."""
    return any(abs(length - value) <= (SLACK if value else 0) for value in PLACEHOLDERS)


def chunked_part(file: BinaryIO, size: int) -> Pieces | None:
    """The file, with its true length in the header if that has a placeholder; None if it has another format."""
    head = read_at(file, 0, 12)
    if (kind := (head[:4], head[8:])) in KINDS:
        return _with_chunks(file, size, *KINDS[kind])
    if head[:4] == b".snd" and len(head) == 12:
        begin, length = struct.unpack(">II", head[4:])
        if begin > LONGEST_HEADER:
            raise DamagedError(f"is damaged: its samples begin at byte {begin}")
        return _checked(file, size, begin, length, False, (8, ">I", 0))
    if head[:7] == b"NIST_1A":
        head = read_at(file, 0, 1024)
        if b"embedded-" in head:
            raise ForeignError("is NIST SPHERE with compressed samples")
        words = dict(re.findall(rb"(\w+) -\w+ (\d+)\n", head))  # libsndfile writes numbers as text
        counts = [int(words.get(word, 0)) for word in (b"sample_count", b"channel_count", b"sample_n_bytes")]
        return _checked(file, size, 1024, math.prod(counts), explained=False)
    return None


def _with_chunks(file: BinaryIO, size: int, first: int, header: str, align: int, wanted: bytes) -> Pieces:
    chunks = {}  # start and length by name, up to the samples
    for name, begin, length in _chunks(file, first, header, align):
        chunks[name] = begin, length
        if name == wanted:
            break
    else:
        raise DamagedError(f"holds no samples: its chunk '{wanted.decode()}' is missing")
    begin, length = chunks[wanted]
    if wanted == b"SSND" and int.from_bytes(read_at(file, begin, 4), "big") > TAIL:
        raise DamagedError("is damaged: its samples do not begin where its header ends")
    field = header[0] + header[-1]
    place = begin - struct.calcsize(field), field, _own(header, align)
    if b"ds64" in chunks and length == 2**32 - 1:  # RF64: a length of 64 bits
        wide = chunks[b"ds64"][0] + 8
        place, (length,) = (wide, "<Q", 0), struct.unpack("<Q", read_at(file, wide, 8).ljust(8, b"\0"))
    rest = begin + length + -length % align
    return _checked(file, size, begin, length, rest <= size and _only_chunks(file, size, rest, header, align), place)


def _chunks(file: BinaryIO, at: int, header: str, align: int) -> Iterator[tuple[bytes, int, int]]:
    """First four letters of the name, start and length of each chunk."""
    width = struct.calcsize(header)
    while len(head := read_at(file, at, width)) == width:
        name, length = struct.unpack(header, head)
        length = max(0, length - _own(header, align))
        yield name, at + width, length
        at += width + length + -length % align


def _own(header: str, align: int) -> int:
    """Bytes of its header that a chunk's length counts."""
    return struct.calcsize(header) if align == 8 else 0


def _only_chunks(file: BinaryIO, size: int, at: int, header: str, align: int) -> bool:
    """Whether the rest of the file is chunks, none of them a second sound."""
    for name, begin, length in _chunks(file, at, header, align):
        if not re.fullmatch(rb"[ -~]{4}", name) or name in SECOND_SOUND:
            return False
        at = begin + length
    return at <= size


def _checked(file: BinaryIO, size: int, begin: int, promised: int, explained: bool, place=None) -> Pieces:
    """``explained``: the bytes after the promised ones are known. ``place``: where and how the length is written."""
    found = size - begin
    unknown = is_placeholder(promised) and (promised > found or (promised == 0 < found and not explained))
    if place and unknown:
        at, field, own = place
        try:
            length = struct.pack(field, found + own)
        except struct.error:
            raise DamagedError("is longer than its format can say; write it again as W64 or FLAC") from None
        return Pieces(file, [(0, at), length, (at + len(length), size)])
    if promised > found:
        raise DamagedError(f"is truncated: {promised - found} bytes that its header promises are missing")
    if found - promised > TAIL and not explained:
        raise DamagedError(f"is damaged: {found - promised} bytes follow the {promised} that its header promises")
    return Pieces(file, [(0, begin + promised if place and place[2] else size)])  # of W64 libsndfile reads all
