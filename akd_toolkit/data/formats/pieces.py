"""Parts of a file, read as if they were one file, and why a file is not read."""

import os
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import BinaryIO

from soundfile import LibsndfileError

FAR = 2**44  # bytes; no file is that long
TAIL = 128  # unexplained bytes after the sound that are allowed: an ID3v1 tag


class DamagedError(ValueError):
    """Why a file is not read: the rest of a sentence that begins with its name."""


class ForeignError(ValueError):
    """The same, of a file that another program can convert."""


@contextmanager
def named(name: str, cure: str, kind: type[ValueError] = ValueError) -> Iterator[None]:
    """Errors as one sentence of this kind that begins with the name; ``cure`` is for files of other formats."""
    try:
        yield
    except ForeignError as error:
        raise kind(f"{name} {error}; {cure}") from error
    except LibsndfileError as error:
        raise kind(f"{name} cannot be read as audio ({error.error_string.strip().rstrip('.')}); {cure}") from error
    except DamagedError as error:
        raise kind(f"{name} {error}. Get it again.") from error
    except OSError as error:
        raise kind(f"{name} cannot be read ({error}). Get it again.") from error


class Pieces:
    """Bytes, and ranges (start, stop) of a file, as one file for libsndfile.

    An exception while reading is kept in ``error``, because libsndfile cannot pass it on.
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
        found = b""
        while len(found) < count and self.at < self.starts[-1]:
            number = bisect_right(self.starts, self.at) - 1
            piece, skip = self.part[number], self.at - self.starts[number]
            some = min(count - len(found), self.starts[number + 1] - self.at)
            try:
                data = piece[skip:][:some] if isinstance(piece, bytes) else read_at(self.file, piece[0] + skip, some)
            except Exception as error:  # of a file that the caller opened
                self.error, data = error, b""
            if not data:
                break
            found += data
            self.at += len(data)
        return found

    @property
    def whole(self) -> bool:
        """Whether this is the file itself, so that libsndfile can open that."""
        return self.part == [(0, self.file.seek(0, os.SEEK_END))]


def read_at(file: BinaryIO | Pieces, at: int, count: int) -> bytes:
    """At most ``count`` bytes from position ``at``; none beyond any possible file, as a damaged header may say."""
    if at >= FAR:
        return b""
    file.seek(at)
    return file.read(count)
