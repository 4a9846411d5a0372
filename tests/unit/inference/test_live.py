"""Sound from a pipe and from a sound card that is made of its documented interface; no microphone was tried."""

import io
import struct
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from akd_toolkit.inference.live import Microphone, open_microphone, pipe_sound, resampled, sound_library

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


def heard(data, rate_hz=16000, **options):
    told = []
    rate_hz, pieces = pipe_sound(data, rate_hz, tell=told.append, **options)
    return rate_hz, np.concatenate([*pieces, np.zeros(0, np.float32)]), told


def wav(tag=1, channels=1, rate_hz=8000, bits=16, data=SAMPLES.tobytes(), length=None, before=b"", tail=b""):
    """A WAV file, by its definition."""
    block = channels * bits // 8
    chunk = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * block, block, bits) + tail
    body = b"WAVE" + before + b"fmt " + struct.pack("<I", len(chunk)) + chunk
    body += b"data" + struct.pack("<I", len(data) if length is None else length) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("pipe", [io.BytesIO, Trickle])
@pytest.mark.parametrize(
    "sample_format, data",
    [
        ("s16le", SAMPLES.tobytes()),
        ("s32le", (SAMPLES.astype("<i4") * 65536).tobytes()),
        ("f32le", EXPECTED.astype("<f4").tobytes()),
    ],
)
def test_raw_samples_come_as_floats_however_they_arrive(pipe, sample_format, data):
    rate_hz, samples, told = heard(pipe(data), sample_format=sample_format)
    assert rate_hz == 16000 and samples.dtype == np.float32 and samples.tolist() == EXPECTED.tolist() and not told


@pytest.mark.parametrize("pipe", [io.BytesIO, Trickle])
def test_a_wav_header_is_believed(pipe):
    before = b"LIST" + struct.pack("<I", 3) + b"abc\0" + b"junk" + struct.pack("<I", 70001) + bytes(70002)
    stereo = wav(channels=2, rate_hz=44100, before=before)
    rate_hz, samples, told = heard(pipe(stereo), sample_format="f32le")
    assert rate_hz == 44100 and samples.tolist() == EXPECTED.reshape(-1, 2).mean(axis=1).tolist() and not told


def test_what_soundfile_writes_is_read(tmp_path):
    for subtype in ("PCM_16", "PCM_32", "FLOAT"):
        soundfile.write(tmp_path / "a.wav", EXPECTED, 22050, subtype=subtype)
        rate_hz, samples, _ = heard(io.BytesIO((tmp_path / "a.wav").read_bytes()))
        assert rate_hz == 22050 and samples.tolist() == EXPECTED.tolist()
    soundfile.write(tmp_path / "a.wav", EXPECTED, 22050, format="WAVEX", subtype="PCM_16")  # extensible
    assert heard(io.BytesIO((tmp_path / "a.wav").read_bytes()))[1].tolist() == EXPECTED.tolist()


def test_a_pipe_that_ends_before_its_header_says_is_told():
    _, samples, told = heard(io.BytesIO(wav()[:-200]))
    assert len(samples) == 500 and "200 bytes" in told[0]


@pytest.mark.parametrize("length", [0, 2**31 - 1, 2**31, 2**32 - 1, 0x7FFFF000, 2**32 - 37])
def test_a_header_that_does_not_know_the_size_means_until_the_end(length):
    assert heard(io.BytesIO(wav(length=length)))[1].tolist() == EXPECTED.tolist()


def test_what_follows_the_samples_of_a_wav_is_not_heard():
    assert heard(io.BytesIO(wav() + b"LIST" + b"\x7f" * 50))[1].tolist() == EXPECTED.tolist()


def test_an_end_amid_a_sample_is_told():
    _, samples, told = heard(io.BytesIO(SAMPLES.tobytes() + b"\x01"))
    assert len(samples) == 600 and "the last 1 of 2 bytes were left out" in told[0]
    _, samples, told = heard(io.BytesIO(wav(channels=2)[:-3]))
    assert len(samples) == 299 and "the last 1 of 4 bytes were left out" in told[0]


def test_a_pipe_that_ends_too_early_is_refused_with_one_sentence():
    for data, count in ((b"\x01", 0), (SAMPLES[:599].tobytes() + b"\x01", 599), (wav(data=b""), 0)):
        told = []
        _, pieces = pipe_sound(io.BytesIO(data), 6000, tell=told.append, least_s=0.1)
        with pytest.raises(ValueError, match=rf"ended after {count} samples, and at least \d+ are needed"):
            list(pieces)
        assert not told
    assert len(heard(io.BytesIO(SAMPLES.tobytes()), rate_hz=6000, least_s=0.1)[1]) == 600


@pytest.mark.parametrize(
    "data, options, sentence",
    [
        (b"", {}, "nothing came through the pipe"),
        (b"fLaC" + bytes(100), {}, "the pipe holds FLAC, which must be decoded first"),
        (b"ID3" + bytes(100), {}, "the pipe holds MP3"),
        (wav(bits=24), {}, "24 bits of format 1; 16-bit or 32-bit integers and 32-bit floats"),
        (wav(tag=2), {}, "16 bits of format 2"),
        (wav(tag=0xFFFE), {}, "format 65534"),
        (wav(channels=0), {}, "does not say what its samples are"),
        (wav(rate_hz=0), {}, "the rate must be from 4000 to 384000 Hz, got 0"),
        (wav()[:40], {}, "ends before its samples begin"),
        (wav()[:20], {}, "ends before its samples begin"),
        (b"RIFF\0\0\0\0WAVEdata" + bytes(40), {}, "does not say what its samples are"),
        (bytes(100), {"rate_hz": 10}, "the rate must be from"),
        (bytes(100), {"sample_format": "u8"}, "the format must be one of s16le, s32le, f32le, got 'u8'"),
        (np.array([1.0, np.nan], "<f4").tobytes() * 4, {"sample_format": "f32le"}, "reach nan"),
        (
            np.array([1.0, 99.0], "<f4").tobytes() * 4,
            {"sample_format": "f32le"},
            "reach 99; .* Check that they are f32le",
        ),
    ],
)
def test_what_is_no_sound_is_refused(data, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        heard(io.BytesIO(data), **options)


def test_another_rate_is_resampled_to_what_the_whole_would_give():
    sound = np.sin(np.arange(44100, dtype=np.float32) / 9)
    pieces = list(resampled(iter(np.split(sound, [1, 500, 30000])), 44100, 16000))
    np.testing.assert_allclose(np.concatenate(pieces), np.clip(resample_poly(sound, 160, 441), -1, 1), atol=1e-6)


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


def test_blocks_of_the_sound_card_arrive_in_order_and_overflows_are_counted(monkeypatch):
    module = sound_card(monkeypatch)
    with open_microphone(16000) as (rate_hz, microphone, pieces):
        got = list(pieces)
    assert rate_hz == 16000 and [len(piece) for piece in got] == [160] * 3 and module.closed == 1
    assert [float(piece[0]) for piece in got] == pytest.approx([0, 0.01, 0.02]) and microphone.overruns == 1


def test_a_card_without_the_wished_rate_is_opened_at_its_own(monkeypatch):
    sound_card(monkeypatch, rates=())
    with open_microphone(16000) as (rate_hz, _, pieces):
        assert rate_hz == 48000 and len(next(pieces)) == 480


def test_a_full_queue_loses_the_newest_block_and_counts_it():
    microphone = Microphone(blocks=2)
    for number in range(5):
        microphone.heard(np.full((4, 1), number, np.float32), 4, None, SimpleNamespace(input_overflow=False))
    got = microphone.pieces(lambda: False)
    assert [next(got)[0], next(got)[0]] == [0, 1] and microphone.overruns == 3


def test_an_unknown_device_is_named(monkeypatch):
    sound_card(monkeypatch)
    with pytest.raises(ValueError, match="the microphone 'Horn' cannot be opened .*--list-devices"):
        open_microphone(16000, "Horn").__enter__()


def test_the_card_is_closed_and_the_listeners_mistake_is_not_called_the_microphones(monkeypatch):
    module = sound_card(monkeypatch)
    with pytest.raises(ValueError, match="^mine$"), open_microphone(16000):
        raise ValueError("mine")
    assert module.closed == 1


def test_without_sounddevice_the_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ImportError, match=r"pip install 'akd-toolkit\[live\]', or send sound through a pipe"):
        sound_library()


def test_without_portaudio_the_sentence_says_how_to_get_it(monkeypatch, tmp_path):
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(OSError, match="PortAudio library not found; install it .*libportaudio2"):
        sound_library()
