"""Sound from a pipe, and from a stand-in for sounddevice with its documented interface."""

import io
import struct
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from akd_toolkit.inference.live import Microphone, open_microphone, pipe_sound, sound_library

SAMPLES = np.array([0, 16384, -16384, 32767, -32768, 8192] * 100, "<i2")
EXPECTED = SAMPLES.astype(np.float32) / 32768


class Trickle(io.RawIOBase):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, data, sizes=(1, 3, 2, 100, 7)):
        self._rest, self._sizes = data, list(sizes)

    def read(self, count=-1):
        self._sizes.append(self._sizes.pop(0))
        count = min(count, self._sizes[-1])
        part, self._rest = self._rest[:count], self._rest[count:]
        return part


def received(data, rate_hz=16000, **options):
    warnings = []
    rate_hz, pieces = pipe_sound(data, rate_hz, warn=warnings.append, **options)
    return rate_hz, np.concatenate([*pieces, np.zeros(0, np.float32)]), warnings


def wav(tag=1, channels=1, rate_hz=8000, bits=16, data=SAMPLES.tobytes(), length=None, before=b"", tail=b""):
    """A WAV file, by its definition."""
    block = channels * bits // 8
    chunk = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * block, block, bits) + tail
    body = b"WAVE" + before + b"fmt " + struct.pack("<I", len(chunk)) + chunk
    body += b"data" + struct.pack("<I", len(data) if length is None else length) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


RAW = {"s16le": SAMPLES, "s32le": SAMPLES.astype("<i4") * 65536, "f32le": EXPECTED.astype("<f4")}


@pytest.mark.parametrize("pipe", [io.BytesIO, Trickle])
@pytest.mark.parametrize("sample_format", RAW)
def test_raw_samples_become_floats(pipe, sample_format):
    rate_hz, samples, warnings = received(pipe(RAW[sample_format].tobytes()), sample_format=sample_format)
    assert rate_hz == 16000 and samples.dtype == np.float32 and samples.tolist() == EXPECTED.tolist() and not warnings


@pytest.mark.parametrize("pipe", [io.BytesIO, Trickle])
def test_a_wav_header_overrides_the_options(pipe):
    before = b"LIST" + struct.pack("<I", 3) + b"abc\0" + b"junk" + struct.pack("<I", 70001) + bytes(70002)
    stereo = wav(channels=2, rate_hz=44100, before=before)
    rate_hz, samples, warnings = received(pipe(stereo), sample_format="f32le")
    assert rate_hz == 44100 and samples.tolist() == EXPECTED.reshape(-1, 2).mean(axis=1).tolist() and not warnings


def test_a_chunk_that_announces_gigabytes_is_skipped_in_blocks():
    pipe = io.BytesIO(b"RIFF" + bytes(4) + b"WAVE" + b"LIST" + struct.pack("<I", 2**32 - 2) + bytes(100))
    read, sizes = pipe.read, []
    pipe.read = lambda count: (sizes.append(count), read(count))[1]
    with pytest.raises(ValueError, match="header"):
        received(pipe)
    assert max(sizes) < 2**20


@pytest.mark.parametrize("length", [0, 2**31 - 1, 2**31, 2**32 - 1, 0x7FFFF000, 2**32 - 37])
def test_a_placeholder_for_the_length_means_until_the_end(length):
    assert received(io.BytesIO(wav(length=length)))[1].tolist() == EXPECTED.tolist()


def test_the_end_of_a_pipe():
    assert received(io.BytesIO(wav() + b"LIST" + b"\x7f" * 50))[1].tolist() == EXPECTED.tolist()
    for data, count, key in (
        (wav()[:-200], 500, "200 bytes"),
        (SAMPLES.tobytes() + b"\x01", 600, "1 of 2 bytes"),
        (wav(channels=2)[:-3], 299, "1 of 4 bytes"),
    ):
        _, samples, warnings = received(io.BytesIO(data))
        assert len(samples) == count and key in warnings[0]


def test_a_pipe_that_ends_too_early_is_refused():
    for data, count in ((b"\x01", 0), (SAMPLES[:599].tobytes(), 599), (wav(data=b""), 0)):
        with pytest.raises(ValueError, match=rf"{count} samples"):
            received(io.BytesIO(data), rate_hz=6000, min_s=0.1)
    assert len(received(io.BytesIO(SAMPLES.tobytes()), rate_hz=6000, min_s=0.1)[1]) == 600


@pytest.mark.parametrize(
    "data, options, key",
    [
        (b"", {}, "empty"),
        (b"fLaC" + bytes(100), {}, "FLAC"),
        (wav(bits=24), {}, "24 bits of format 1"),
        (wav(tag=0xFFFE), {}, "format 65534"),
        (wav(channels=0), {}, "format of its samples"),
        (wav(rate_hz=0), {}, "rate .*got 0"),
        (wav()[:40], {}, "ends before its samples"),
        (b"RIFF\0\0\0\0WAVEdata" + bytes(40), {}, "format of its samples"),
        (bytes(100), {"rate_hz": 10}, "rate"),
        (bytes(100), {"sample_format": "u8"}, "'u8'"),
        (np.array([1.0, np.nan], "<f4").tobytes() * 4, {"sample_format": "f32le"}, "nan"),
        (np.array([1.0, 99.0], "<f4").tobytes() * 4, {"sample_format": "f32le"}, "99.*f32le"),
    ],
)
def test_what_is_not_sound_is_refused(data, options, key):
    with pytest.raises(ValueError, match=key):
        received(io.BytesIO(data), **options)


class PortAudioError(Exception):
    pass


def sound_card(monkeypatch, blocks=3, rates=(16000,), devices=("Mic",)):
    """A module ``sounddevice`` whose stream calls back ``blocks`` times when it is started, and then is inactive."""
    module = ModuleType("sounddevice")
    module.PortAudioError, module.closed = PortAudioError, 0

    def known(device, kind=None):
        if device is not None and device not in devices:
            raise ValueError(f"No input device matching {device!r}")
        return {"name": "Mic", "default_samplerate": 48000.0}

    def check_input_settings(device=None, channels=None, dtype=None, samplerate=None):
        known(device)
        if samplerate not in rates:
            raise PortAudioError("Invalid sample rate")

    class InputStream:
        def __init__(self, samplerate, blocksize, device, channels, dtype, callback):
            assert (channels, dtype) == (1, "float32")
            self.callback, self.blocksize, self.active = callback, blocksize, False

        def start(self):
            buffer = np.zeros((self.blocksize, 1), np.float32)  # PortAudio's own, used again for every block
            for number in range(blocks):
                buffer[:] = number / 100
                self.callback(buffer, self.blocksize, None, SimpleNamespace(input_overflow=number == 1))

        def close(self):
            module.closed += 1

    module.query_devices, module.check_input_settings, module.InputStream = known, check_input_settings, InputStream
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    monkeypatch.setattr("akd_toolkit.inference.live.BLOCK_S", 0.01)
    return module


def test_blocks_of_the_sound_card_arrive_in_order_and_losses_are_counted(monkeypatch):
    module = sound_card(monkeypatch)
    with open_microphone(16000) as (rate_hz, microphone, pieces):
        blocks = list(pieces)
    assert rate_hz == 16000 and [len(block) for block in blocks] == [160] * 3 and module.closed == 1
    assert [float(block[0]) for block in blocks] == pytest.approx([0, 0.01, 0.02]) and microphone.overruns == 1
    sound_card(monkeypatch, rates=())  # its own rate
    with open_microphone(16000) as (rate_hz, _, pieces):
        assert rate_hz == 48000 and len(next(pieces)) == 480
    microphone = Microphone(blocks=2)
    for number in range(5):
        microphone.callback(np.full((4, 1), number, np.float32), 4, None, SimpleNamespace(input_overflow=False))
    blocks = microphone.pieces(lambda: False)
    assert [next(blocks)[0], next(blocks)[0]] == [0, 1] and microphone.overruns == 3


def test_an_unknown_device_is_named_and_the_card_is_closed(monkeypatch):
    module = sound_card(monkeypatch)
    with pytest.raises(ValueError, match="'Horn'.*--list-devices"):
        open_microphone(16000, "Horn").__enter__()
    with pytest.raises(ValueError, match="^mine$"), open_microphone(16000):  # an error of the caller
        raise ValueError("mine")
    assert module.closed == 1


def test_without_sounddevice_or_portaudio_the_error_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ImportError, match=r"akd-toolkit\[live\]"):
        sound_library()
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(OSError, match="libportaudio2"):
        sound_library()
