"""Stretches of a file, read as if they were one file."""

import os
from bisect import bisect_right
from itertools import accumulate
from typing import BinaryIO

FAR = 2**44  # bytes; no file is that long
TAIL = 128  # bytes after the sound that need no explanation: an ID3v1 tag


class DamagedError(ValueError):
    """Why a file is not read: the rest of a sentence that begins with its name."""


class ForeignError(ValueError):
    """The same, of a file that another program can convert."""


class Pieces:
    """What one decoder reads: bytes, and stretches [start, stop) of a file, as a file for libsndfile.

    An error is kept in ``error``, because libsndfile cannot pass it on.

    Example
    -------
    >>> import io
    >>> pieces = Pieces(io.BytesIO(b"0123456789"), [b"ab", (2, 4), (8, 10)])
    >>> pieces.seek(1), pieces.read(3), pieces.read(9), pieces.tell()
    (1, b'b23', b'89', 6)
    """

    def __init__(self, file: "BinaryIO | Pieces", part: list[bytes | tuple[int, int]]):
        lengths = (len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in part)
        self.file, self.part, self.starts = file, part, list(accumulate(lengths, initial=0))
        self.at, self.error = 0, None

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.at = max(0, offset + (0, self.at, self.starts[-1])[whence])
        return self.at

    def read(self, count: int) -> bytes:
        found = []
        while count > 0 and self.at < self.starts[-1]:
            number = bisect_right(self.starts, self.at) - 1
            piece, skip = self.part[number], self.at - self.starts[number]
            some = min(count, self.starts[number + 1] - self.at)
            found.append(piece[skip : skip + some] if isinstance(piece, bytes) else self._stored(piece[0] + skip, some))
            if not found[-1]:
                break
            self.at += len(found[-1])
            count -= len(found[-1])
        return b"".join(found)

    def _stored(self, at: int, count: int) -> bytes:
        try:
            return read_at(self.file, at, count)
        except Exception as error:  # whatever the file of the caller raises
            self.error = error
            return b""

    @property
    def whole(self) -> bool:
        """Whether this is all of the file, so that libsndfile can have that."""
        return self.part == [(0, self.file.seek(0, os.SEEK_END))]


def read_at(file: BinaryIO | Pieces, at: int, count: int) -> bytes:
    """At most ``count`` bytes from place ``at`` on; none from places that only a damaged header points to."""
    if at >= FAR:
        return b""
    file.seek(at)
    return file.read(count)
