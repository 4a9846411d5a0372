"""What sound files promise against what they hold, before libsndfile reads them."""

import os
from typing import BinaryIO

from akd_toolkit.data.formats.chunked import chunked_part
from akd_toolkit.data.formats.containers import decode_container
from akd_toolkit.data.formats.flac import flac_part
from akd_toolkit.data.formats.mpeg import mpeg_parts, skip_tag
from akd_toolkit.data.formats.ogg import ogg_parts
from akd_toolkit.data.formats.pieces import DamagedError, ForeignError, Pieces, read_at

__all__ = ["DamagedError", "ForeignError", "Pieces", "decode_container", "parts_of", "read_at"]


def parts_of(file: BinaryIO) -> list[Pieces] | None:
    """What libsndfile reads, one after the other, to have the whole sound; None if it does not read such files.

    Raises
    ------
    DamagedError
        If the file does not hold what its header promises.
    ForeignError
        If its sound is laid out in a way that libsndfile does not read.
    """
    size = file.seek(0, os.SEEK_END)
    start = skip_tag(file, 0)
    head = read_at(file, start, 4)
    if head == b"OggS":
        return ogg_parts(file, start, size)
    part = flac_part(file, start, size) if head == b"fLaC" else chunked_part(file, size)
    return [part] if part else mpeg_parts(file, start, size)
