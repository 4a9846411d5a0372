"""Checks of a sound file's length against its content: libsndfile silently shortens what is cut or has no length."""

import os
from typing import BinaryIO

from akd_toolkit.data.formats.chunked import chunked_part
from akd_toolkit.data.formats.containers import check_seconds, container_kind, decode_container, open_container
from akd_toolkit.data.formats.mpeg import mpeg_parts, skip_tag
from akd_toolkit.data.formats.pieces import DamagedError, ForeignError, Pieces, named, read_at
from akd_toolkit.data.formats.streams import flac_part, ogg_parts

__all__ = [
    "DamagedError",
    "ForeignError",
    "Pieces",
    "check_seconds",
    "container_kind",
    "decode_container",
    "named",
    "open_container",
    "parts_of",
    "read_at",
]


def parts_of(file: BinaryIO) -> list[Pieces] | None:
    """What libsndfile must read, one after the other, to get the whole sound; None if it does not read such files."""
    size = file.seek(0, os.SEEK_END)
    start = skip_tag(file, 0)
    head = read_at(file, start, 4)
    if head == b"OggS":
        return ogg_parts(file, start, size)
    part = flac_part(file, start, size) if head == b"fLaC" else chunked_part(file, size)
    return [part] if part else mpeg_parts(file, start, size)
