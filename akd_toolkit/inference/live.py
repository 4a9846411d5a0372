"""Live sound as pieces of a mono waveform: raw samples or a WAV file from a pipe, and the microphone."""

import queue
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from akd_toolkit.data.formats.chunked import is_placeholder
from akd_toolkit.data.reader import MAX_PEAK, MAX_RATE_HZ, MIN_RATE_HZ

FORMATS = {"s16le": ("<i2", 2**15), "s32le": ("<i4", 2**31), "f32le": ("<f4", 1)}  # ffmpeg's name -> type, full scale
WAV_FORMATS = {(1, 16): "s16le", (1, 32): "s32le", (3, 32): "f32le"}  # (format tag, bits)
EXTENSIBLE = 0xFFFE  # the real format tag comes later in the header
ENCODED = {b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3", b"\x1aE\xdf\xa3": "Matroska"}  # first bytes
DECODE = "ffmpeg -i FILE -f s16le -ar 16000 -ac 1 - | ..."
READ_BYTES = 2**16
BLOCK_S = 0.1  # of the microphone
QUEUE_BLOCKS = 100  # 10 s: how far recognition may fall behind before sound is lost


def pipe_sound(
    pipe, rate_hz: int, sample_format: str = "s16le", warn: Callable[[str], None] = print, min_s: float = 0.0
) -> tuple[int, Iterator[np.ndarray]]:
    """Sound from a pipe: its rate, and an iterator over its samples as they come, float32 [samples] in [-1, 1].

    A WAV header is recognised and overrides ``rate_hz`` and ``sample_format`` (ffmpeg's names, mono). Channels are
    averaged. ``warn`` is called with a sentence if the pipe ends within a sample, or before the length in its header.
    ValueError if the pipe is empty, shorter than ``min_s``, holds an encoded file such as MP3, or has a broken header
    or samples that are not finite or above a peak of 2.

    Example
    -------
    >>> import io
    >>> rate_hz, pieces = pipe_sound(io.BytesIO(np.array([0, 16384, -16384], "<i2").tobytes()), 16000)
    >>> rate_hz, [piece.tolist() for piece in pieces]
    (16000, [[0.0, 0.5, -0.5]])
    """
    if sample_format not in FORMATS:
        raise ValueError(f"the format must be one of {', '.join(FORMATS)}, got '{sample_format}'.")
    head = _read(pipe, 12)
    if not head:
        raise ValueError("the pipe is empty; check the program that should fill it.")
    for magic, name in ENCODED.items():
        if head.startswith(magic):
            raise ValueError(f"the pipe holds {name}, which must be decoded first: {DECODE}")
    channels, num_bytes = 1, None
    if head[:4] in (b"RIFF", b"RF64") and head[8:] == b"WAVE":
        rate_hz, channels, sample_format, num_bytes = _wav_header(pipe)
        head = b""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise ValueError(f"the rate must be from {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz, got {rate_hz}; give the true one.")
    return rate_hz, _pieces(pipe, head, num_bytes, channels, sample_format, warn, round(min_s * rate_hz))


def _pieces(pipe, buffer: bytes, num_bytes, channels, sample_format, warn, min_samples: int) -> Iterator[np.ndarray]:
    """Samples until ``num_bytes`` were read, or the pipe ends."""
    kind, full_scale = FORMATS[sample_format]
    frame = channels * np.dtype(kind).itemsize  # bytes
    num_samples = 0  # per channel
    read = getattr(pipe, "read1", pipe.read)  # read1 does not wait for more than is there
    while num_bytes is None or num_bytes > 0:
        chunk = read(READ_BYTES if num_bytes is None else min(READ_BYTES, num_bytes))
        if not chunk and len(buffer) < frame:
            break
        num_bytes = None if num_bytes is None else num_bytes - len(chunk)
        buffer += chunk
        end = len(buffer) // frame * frame
        samples = np.frombuffer(buffer[:end], kind).astype(np.float32) / np.float32(full_scale)
        buffer = buffer[end:]
        num_samples += end // frame
        if not (peak := np.abs(samples).max(initial=0.0)) <= MAX_PEAK:  # catches NaN as well
            raise ValueError(
                f"samples on the pipe reach {peak:.3g}; they must be finite and lie in [-1, 1]. Check that they are "
                f"{sample_format}."
            )
        yield samples.reshape(-1, channels).mean(axis=1) if channels > 1 else samples
    if num_samples < min_samples:
        raise ValueError(
            f"the pipe ended after {num_samples} samples, at least {min_samples} are needed; check its source."
        )
    if buffer:
        warn(f"the pipe ended within a sample; the last {len(buffer)} of {frame} bytes were left out.")
    if num_bytes:
        warn(f"the pipe is truncated: {num_bytes} bytes less than its header says.")


def _wav_header(pipe) -> tuple[int, int, str, int | None]:
    """Rate, channels, format and number of bytes (None: until the end) of a WAV file after its first 12 bytes."""
    body = b""
    while len(chunk := _read(pipe, 8)) == 8:
        name, length = struct.unpack("<4sI", chunk)
        if name == b"data":
            break
        left = length + length % 2  # chunks are padded to an even length
        if name == b"fmt ":
            body = _read(pipe, min(left, 40))
            left -= len(body)
        while left and (part := pipe.read(min(left, READ_BYTES))):  # a broken header may announce gigabytes
            left -= len(part)
    else:
        raise ValueError("the WAV header on the pipe ends before its samples begin; send the file again.")
    tag, channels, rate_hz, _, _, bits = struct.unpack("<HHIIHH", body[:16]) if len(body) >= 16 else [0] * 6
    if not channels:
        raise ValueError("the WAV header on the pipe lacks the format of its samples; write the file again.")
    tag = struct.unpack("<H", body[24:26])[0] if tag == EXTENSIBLE and len(body) >= 26 else tag
    if (tag, bits) not in WAV_FORMATS:
        raise ValueError(
            f"the WAV header on the pipe has {bits} bits of format {tag}; only 16-bit or 32-bit integers and 32-bit "
            f"floats can be read, so convert it: {DECODE}"
        )
    return rate_hz, channels, WAV_FORMATS[tag, bits], None if is_placeholder(length) else length


def _read(pipe, count: int) -> bytes:
    """``count`` bytes, or fewer at the end."""
    content = b""
    while len(content) < count and (part := pipe.read(count - len(content))):
        content += part
    return content


class Microphone:
    """A bounded queue of blocks between the sound card's callback and the reader.

    The callback runs in a thread of PortAudio that must never wait: where the queue is full, the block is lost.
    ``overruns`` counts these losses and those that the sound card reports.
    """

    def __init__(self, blocks: int = QUEUE_BLOCKS):
        self.overruns = 0
        self._queue = queue.Queue(maxsize=blocks)

    def callback(self, indata: np.ndarray, frames: int, time, status) -> None:
        """Queue a copy of ``indata`` [frames, 1], which belongs to PortAudio."""
        self.overruns += bool(status.input_overflow)
        try:
            self._queue.put_nowait(indata[:, 0].copy())
        except queue.Full:
            self.overruns += 1

    def pieces(self, is_open: Callable[[], bool]) -> Iterator[np.ndarray]:
        """Blocks as they come, until the sound card stops and the queue is empty."""
        while True:
            try:
                yield self._queue.get(timeout=10 * BLOCK_S)
            except queue.Empty:
                if not is_open():
                    return


@contextmanager
def open_microphone(rate_hz: int, device: int | str | None = None):
    """(rate, microphone, its pieces) of an input device; its own rate where it does not support ``rate_hz``.

    ValueError if the device cannot be opened; errors of a missing library as ``sound_library``.
    """
    sound = sound_library()
    microphone = Microphone()
    options = {"device": device, "channels": 1, "dtype": "float32"}
    try:
        try:
            sound.check_input_settings(samplerate=rate_hz, **options)
        except sound.PortAudioError:  # most often the rate
            rate_hz = round(sound.query_devices(device, "input")["default_samplerate"])
        stream = sound.InputStream(
            samplerate=rate_hz, blocksize=round(BLOCK_S * rate_hz), callback=microphone.callback, **options
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
    """The module ``sounddevice``, or an error that says how to install it."""
    pipe = "or send sound through a pipe: ffmpeg ... | akd listen -"
    try:
        import sounddevice
    except ImportError:
        raise ImportError(f"a microphone needs sounddevice: pip install 'akd-toolkit[live]', {pipe}.") from None
    except OSError as error:
        raise OSError(f"{error}; install it (Debian: apt install libportaudio2), {pipe}.") from None
    return sounddevice
