"""Sound files of any kind, from paths, bytes, files and pipes, read block by block."""

import io
import os
import shlex
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from akd_toolkit.data.formats.chunked import chunked_part
from akd_toolkit.data.formats.containers import decode_container
from akd_toolkit.data.formats.mpeg import mpeg_parts, skip_tag
from akd_toolkit.data.formats.pieces import ForeignError, Pieces, named, read_at
from akd_toolkit.data.formats.streams import flac_part, ogg_parts

MAX_PEAK = 2.0  # a float file above this holds integers or is broken
MIN_RATE_HZ, MAX_RATE_HZ = 4000, 384000  # outside, the header is broken
BLOCK_S, BLOCK_VALUES = 10, 2**22  # most that is read at once, so that a wrong header costs no memory
IN_MEMORY = 2**26  # bytes of a pipe or a decoded container; more goes to a temporary file
_STDERR_LOCK = threading.Lock()


class SoundFile:
    """An open sound file; ``name`` is for messages, ``decoders`` are those of its parts, one after the other."""

    def __init__(self, name: str, decoders: list[soundfile.SoundFile]):
        self.name, self._decoders = name, decoders
        self.sample_rate_hz, self.channels = decoders[0].samplerate, decoders[0].channels
        self.subtype = decoders[0].subtype  # sample type, as libsndfile names it
        self.num_samples = sum(decoder.frames for decoder in decoders)
        check_rate(self.sample_rate_hz, name)

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Samples from ``start`` to before ``stop``: [samples, channels] float32 each; can be repeated.

        ValueError if samples are missing, not finite, or above a peak of 2.
        """
        stop = self.num_samples if stop is None else stop
        for decoder in self._decoders:
            yield from self._blocks_of(decoder, max(0, start), min(stop, decoder.frames))
            start, stop = start - decoder.frames, stop - decoder.frames

    def _blocks_of(self, decoder: soundfile.SoundFile, start: int, stop: int) -> Iterator[np.ndarray]:
        context = _silent_stderr if decoder.format == "MP3" else nullcontext
        exact = decoder.seekable() and decoder.format not in ("MP3", "OGG")  # which seek inexactly
        at = start if exact else 0
        if start < stop and decoder.seekable() and decoder.tell() != at:
            with context():
                decoder.seek(at)
        size = block_samples(self.sample_rate_hz, self.channels)
        while at < stop > start:
            with context(), named(self.name, _conversion()):
                block = decoder.read(min(size, stop - at), dtype="float32", always_2d=True)
            if not len(block):
                found = f"its header promises {decoder.frames} samples and {at} can be read"
                reason = getattr(decoder.name, "error", None) or found
                raise ValueError(f"{self.name} is truncated: {reason}. Get it again.")
            wanted = block[max(0, start - at) :]
            at += len(block)
            check_samples(wanted, self.name)
            yield wanted


@contextmanager
def open_sound_file(source, name: str | None = None) -> Iterator[SoundFile]:
    """Open a sound file by its content, whatever it is called.

    ``source`` is a path, bytes, or an open binary file, which is read from its start; a pipe is stored first. ``name``,
    by default the path, is for messages. FileNotFoundError if there is no such file; TypeError if the file is open as
    text; ValueError if it is empty, not sound, or does not hold what its header promises.
    """
    own = source if isinstance(source, (str, os.PathLike)) else getattr(source, "name", None)
    own = str(own) if isinstance(own, (str, os.PathLike)) else None
    name = name or own or "the sound"
    with ExitStack() as stack:
        file = stack.enter_context(_seekable(source, name))
        with named(name, _conversion(own or "IN")):
            if (parts := _parts_of(file)) is None:
                stored = stack.enter_context(_temporary())
                if not decode_container(file, stored):
                    raise ForeignError("cannot be read as audio; WAV, FLAC, OGG and MP3 can")
                file, parts = stored, _parts_of(stored)
            decoders = [stack.enter_context(_decoder(file, part)) for part in parts]
            kinds = {(decoder.samplerate, decoder.channels) for decoder in decoders}
            if len(kinds) > 1:
                raise ForeignError(f"joins sounds of several kinds (Hz, channels), {sorted(kinds)}")
        yield SoundFile(name, decoders)


def _parts_of(file: BinaryIO) -> list[Pieces] | None:
    """What libsndfile must read, one after the other, to get the whole sound; None if it does not read such files."""
    size = file.seek(0, os.SEEK_END)
    start = skip_tag(file, 0)
    head = read_at(file, start, 4)
    if head == b"OggS":
        return ogg_parts(file, start, size)
    part = flac_part(file, start, size) if head == b"fLaC" else chunked_part(file, size)
    return [part] if part else mpeg_parts(file, start, size)


def _conversion(own: str = "IN") -> str:
    """What to do with a file of another format."""
    out = "OUT.wav" if own.endswith(("IN", ".wav")) else Path(own).with_suffix(".wav").name
    return f"convert it with {shlex.join(['ffmpeg', '-i', own, '-ac', '1', '-ar', '16000', out])}"


@contextmanager
def _seekable(source, name: str) -> Iterator[BinaryIO]:
    with ExitStack() as stack:
        if isinstance(source, (str, os.PathLike)):
            path = Path(source)
            if path.is_dir():
                raise ValueError(f"{name} is a folder; give its files one by one, or the folder to akd predict.")
            if not (path.is_file() or path.is_fifo()):
                raise FileNotFoundError(f"{name} is not a file; check the path.")
            file = stack.enter_context(path.open("rb", buffering=0))
        else:
            file = io.BytesIO(source) if isinstance(source, (bytes, bytearray, memoryview)) else source
        try:
            if not getattr(file, "seekable", lambda: True)():
                pipe, file = file, stack.enter_context(_temporary())
                shutil.copyfileobj(pipe, file)
            first = memoryview(read_at(file, 0, 1))
        except TypeError:
            raise TypeError(f"{name} is open as text; open it with mode 'rb'.") from None
        if not first:
            raise ValueError(f"{name} is empty (0 bytes); get it again.")
        yield file


def _temporary() -> BinaryIO:
    return tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)


def _decoder(file: BinaryIO, pieces: Pieces) -> soundfile.SoundFile:
    # A file on disk by its descriptor, which is fast; libsndfile then ignores its name.
    by = file.fileno() if isinstance(file, io.FileIO) and pieces.whole else pieces
    file.seek(0)
    with _silent_stderr():
        return soundfile.SoundFile(by, closefd=False)


def block_samples(sample_rate_hz: int, channels: int) -> int:
    return max(1, min(BLOCK_S * sample_rate_hz, BLOCK_VALUES // channels))


def check_rate(sample_rate_hz: int, name: str) -> None:
    if not MIN_RATE_HZ <= sample_rate_hz <= MAX_RATE_HZ:
        allowed = f"{MIN_RATE_HZ} to {MAX_RATE_HZ} are allowed"
        raise ValueError(f"{name} has {sample_rate_hz} samples a second; {allowed}. Give its true rate.")


def check_samples(block: np.ndarray, name: str) -> None:
    """Refuse samples that are not finite or above a peak of 2."""
    peak = np.abs(block).max(initial=0.0)
    if not np.isfinite(peak):
        raise ValueError(f"{name} holds NaN or infinite samples; convert it again from its source.")
    if peak > MAX_PEAK:
        raise ValueError(f"{name} has a peak of {peak:.3g}; samples must lie in [-1, 1]. Scale it and give it again.")


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Discards stderr of the whole process, to which libsndfile's MP3 decoder prints; keep the block short."""
    with _STDERR_LOCK, ExitStack() as stack:
        try:
            saved = os.dup(2)
        except OSError:  # a process without stderr
            yield
            return
        stack.callback(os.close, saved)
        stack.callback(os.dup2, saved, 2)
        with open(os.devnull, "wb") as devnull:
            os.dup2(devnull.fileno(), 2)
        yield
