"""Live sound as pieces of a mono waveform: raw samples or a WAV file from a pipe, and the microphone."""

import queue
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from akd_toolkit.data.formats.chunked import is_placeholder
from akd_toolkit.data.reader import MAX_PEAK, MAX_RATE_HZ, MIN_RATE_HZ
from akd_toolkit.inference.resampler import Resampler

FORMATS = {"s16le": ("<i2", 2**15), "s32le": ("<i4", 2**31), "f32le": ("<f4", 1)}  # ffmpeg's name -> type, full scale
WAV_FORMATS = {(1, 16): "s16le", (1, 32): "s32le", (3, 32): "f32le"}  # (format tag, bits)
EXTENSIBLE = 0xFFFE  # the tag proper comes later in the header
FORMAT_BYTES = 40  # of the longest description of a format
ENCODED = {b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3", b"\x1aE\xdf\xa3": "Matroska"}  # first bytes
READ_BYTES = 2**16
BLOCK_S = 0.1  # of the microphone
QUEUE_BLOCKS = 100  # 10 s: how far recognition may fall behind before sound is lost


def pipe_sound(
    pipe, rate_hz: int, sample_format: str = "s16le", tell: Callable[[str], None] = print, least_s: float = 0.0
) -> tuple[int, Iterator[np.ndarray]]:
    """Sound from a pipe: its rate, and an iterator over its samples as they come, float32 [samples] in [-1, 1].

    A WAV header is recognised, and its rate, type and channels are used instead of what was asked for. Channels are
    averaged. A placeholder for the length (see ``is_placeholder``) means until the pipe ends.

    Arguments
    ---------
    pipe
        A binary file; need not seek.
    rate_hz
        Of raw samples.
    sample_format
        Of raw samples, mono: ``"s16le"``, ``"s32le"`` or ``"f32le"``, as ffmpeg calls them.
    tell
        Called with a sentence if the pipe ends amid a sample, or before its header says.
    least_s
        A pipe that ends before so many seconds of sound holds none, s, >= 0.

    Raises
    ------
    ValueError
        If the format or rate is not allowed, the pipe is empty or holds an encoded file such as MP3, the header is
        broken, samples are not finite or above a peak of 2, or the pipe ends too early.

    Example
    -------
    >>> import io
    >>> rate_hz, pieces = pipe_sound(io.BytesIO(np.array([0, 16384, -16384], "<i2").tobytes()), 16000)
    >>> rate_hz, [piece.tolist() for piece in pieces]
    (16000, [[0.0, 0.5, -0.5]])
    """
    if sample_format not in FORMATS:
        raise ValueError(f"the format must be one of {', '.join(FORMATS)}, got '{sample_format}'.")
    head = _exactly(pipe, 12)
    if not head:
        raise ValueError("nothing came through the pipe; look what stopped the program that should fill it.")
    for magic, name in ENCODED.items():
        if head.startswith(magic):
            raise ValueError(
                f"the pipe holds {name}, which must be decoded first: ffmpeg -i FILE -f s16le -ar 16000 -ac 1 - | ..."
            )
    channels, limit = 1, None
    if head[:4] in (b"RIFF", b"RF64") and head[8:] == b"WAVE":
        rate_hz, channels, sample_format, limit = _wav_header(pipe)
        head = b""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise ValueError(f"the rate must be from {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz, got {rate_hz}; give the true one.")
    return rate_hz, _pieces(pipe, head, limit, channels, sample_format, tell, round(least_s * rate_hz))


def _pieces(pipe, held: bytes, limit, channels: int, sample_format: str, tell, least: int) -> Iterator[np.ndarray]:
    kind, full_scale = FORMATS[sample_format]
    size = channels * np.dtype(kind).itemsize
    heard = 0  # samples a channel
    read = getattr(pipe, "read1", pipe.read)  # read1: what is there, without waiting for more
    while limit is None or limit > 0:
        chunk = read(READ_BYTES if limit is None else min(READ_BYTES, limit))
        if not chunk and len(held) < size:
            break
        limit = None if limit is None else limit - len(chunk)
        held += chunk
        whole = len(held) // size * size
        samples = np.frombuffer(held[:whole], kind).astype(np.float32) / np.float32(full_scale)
        held = held[whole:]
        heard += whole // size
        if not np.abs(samples).max(initial=0.0) <= MAX_PEAK:  # the negation also catches NaN
            raise ValueError(
                f"samples on the pipe reach {np.abs(samples).max():.3g}; they must be finite and lie in [-1, 1]. "
                f"Check that they are {sample_format}."
            )
        yield samples.reshape(-1, channels).mean(axis=1) if channels > 1 else samples
    if heard < least:
        raise ValueError(
            f"the pipe ended after {heard} samples, and at least {least} are needed; check that it was fed with sound."
        )
    if held:
        tell(f"the pipe ended amid a sample; the last {len(held)} of {size} bytes were left out.")
    if limit:
        tell(f"the pipe is truncated: {limit} bytes that its header promises did not come.")


def _wav_header(pipe) -> tuple[int, int, str, int | None]:
    """Rate, channels, format and number of bytes (None: until the end) of a WAV file behind its first 12 bytes."""
    told = None
    while len(chunk := _exactly(pipe, 8)) == 8:
        name, length = struct.unpack("<4sI", chunk)
        if name == b"data":
            break
        length += length % 2  # chunks are padded to an even length
        body = _exactly(pipe, min(length, FORMAT_BYTES))
        _skip(pipe, length - len(body))
        if name == b"fmt " and len(body) >= 16:
            tag, channels, rate_hz, _, _, bits = struct.unpack("<HHIIHH", body[:16])
            tag = struct.unpack("<H", body[24:26])[0] if tag == EXTENSIBLE and len(body) >= 26 else tag
            told = rate_hz, channels, (tag, bits)
    else:
        raise ValueError("the WAV header on the pipe ends before its samples begin; send the file again.")
    if told is None or not told[1]:
        raise ValueError("the WAV header on the pipe does not say what its samples are; write the file again.")
    rate_hz, channels, kind = told
    if kind not in WAV_FORMATS:
        raise ValueError(
            f"the WAV header on the pipe tells of {kind[1]} bits of format {kind[0]}; 16-bit or 32-bit integers and "
            "32-bit floats are read, so convert it: ffmpeg -i FILE -f s16le -ar 16000 -ac 1 - | ..."
        )
    return rate_hz, channels, WAV_FORMATS[kind], None if is_placeholder(length) else length


def _exactly(pipe, count: int) -> bytes:
    """``count`` bytes, or what there is until the end."""
    held = b""
    while len(held) < count and (part := pipe.read(count - len(held))):
        held += part
    return held


def _skip(pipe, count: int) -> None:
    while count and (part := pipe.read(min(count, READ_BYTES))):
        count -= len(part)


def resampled(pieces: Iterator[np.ndarray], from_hz: int, to_hz: int) -> Iterator[np.ndarray]:
    """The same sound at another rate, in [-1, 1], piece by piece."""
    resampler = Resampler(from_hz, to_hz)
    for piece in pieces:
        yield np.clip(resampler.push(piece), -1.0, 1.0)
    yield np.clip(resampler.finish(), -1.0, 1.0)


class Microphone:
    """What the sound card's callback and the listener share: a bounded queue of blocks.

    The callback runs in a thread of PortAudio's that must never wait: where the queue is full, the block is lost and
    counted. ``overruns`` counts these and the ones that the sound card itself tells of.

    Arguments
    ---------
    blocks
        How many blocks may wait.
    """

    def __init__(self, blocks: int = QUEUE_BLOCKS):
        self.overruns = 0
        self._queue = queue.Queue(maxsize=blocks)

    def heard(self, indata: np.ndarray, frames: int, time, status) -> None:
        """The callback: ``indata`` is [frames, 1] float32 and belongs to PortAudio, hence the copy."""
        if status.input_overflow:
            self.overruns += 1
        try:
            self._queue.put_nowait(indata[:, 0].copy())
        except queue.Full:
            self.overruns += 1

    def pieces(self, is_open: Callable[[], bool]) -> Iterator[np.ndarray]:
        """Blocks as they come, until the sound card stops and all are taken."""
        while True:
            try:
                yield self._queue.get(timeout=10 * BLOCK_S)
            except queue.Empty:
                if not is_open():
                    return


@contextmanager
def open_microphone(rate_hz: int, device: int | str | None = None):
    """(rate, microphone, its pieces) of an input device; another rate than the wished one where it has no such.

    Raises
    ------
    ImportError, OSError
        If sounddevice or PortAudio is not installed; the sentence says how to get it.
    ValueError
        If there is no such device or it cannot be opened.
    """
    sound = sound_library()
    microphone = Microphone()
    options = {"device": device, "channels": 1, "dtype": "float32"}
    try:
        try:
            sound.check_input_settings(samplerate=rate_hz, **options)
        except sound.PortAudioError:  # most often the rate, and every device has one of its own
            rate_hz = round(sound.query_devices(device, "input")["default_samplerate"])
        stream = sound.InputStream(
            samplerate=rate_hz, blocksize=round(BLOCK_S * rate_hz), callback=microphone.heard, **options
        )
        stream.start()
    except (sound.PortAudioError, ValueError) as error:
        raise ValueError(
            f"the microphone {'' if device is None else repr(device) + ' '}cannot be opened ({error}); "
            "akd listen --list-devices shows what there is."
        ) from None
    try:
        yield rate_hz, microphone, microphone.pieces(lambda: stream.active)
    finally:
        stream.close()


def sound_library():
    """The module ``sounddevice``, or a sentence that says what is missing."""
    pipe = "or send sound through a pipe: ffmpeg ... | akd listen -"
    try:
        import sounddevice
    except ImportError:
        raise ImportError(f"a microphone needs sounddevice: pip install 'akd-toolkit[live]', {pipe}.") from None
    except OSError as error:
        raise OSError(f"{error}; install it (Debian: apt install libportaudio2), {pipe}.") from None
    return sounddevice
