"""Sound from anywhere comes out as ``read_audio`` reads it, piece by piece."""

import io
import os
import struct
import threading
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
import soundfile
import torch

from akd_toolkit.data import reader
from akd_toolkit.data.audio import read_audio
from akd_toolkit.inference import sound as sound_module
from akd_toolkit.inference.sound import open_sound


def noise(num_samples, channels=1, seed=0):
    shape = num_samples if channels == 1 else (num_samples, channels)
    return np.random.default_rng(seed).normal(0, 0.2, shape).clip(-1, 1).astype(np.float32)


def waveform_of(x, **options):
    with open_sound(x, **options) as sound:
        return np.concatenate(list(sound.waveform()))


def written(path, samples, rate=16000, subtype="PCM_16"):
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


@pytest.fixture
def short_blocks(monkeypatch):
    """Blocks of 0.01 s, so that a second of sound comes in a hundred pieces."""
    for module in (reader, sound_module):
        monkeypatch.setattr(module, "block_samples", lambda rate, channels: int(0.01 * rate))


@pytest.mark.parametrize("rate, channels", [(16000, 1), (16000, 2), (8000, 1), (44100, 2), (48000, 10), (384000, 1)])
@pytest.mark.parametrize("suffix, subtype", [("wav", "PCM_16"), ("flac", "PCM_24"), ("wav", "FLOAT")])
def test_pieces_are_exactly_what_read_audio_reads(tmp_path, short_blocks, rate, channels, suffix, subtype):
    if suffix == "flac" and (channels > 8):
        pytest.skip("FLAC holds at most 8 channels")
    path = written(tmp_path / f"a.{suffix}", noise(rate // 2 + 7, channels), rate, subtype)
    np.testing.assert_array_equal(waveform_of(path), read_audio(path))


@pytest.mark.parametrize("suffix", ["mp3", "ogg"])
def test_formats_that_lose_something_read_alike(tmp_path, short_blocks, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, noise(44100), 44100)
    np.testing.assert_allclose(waveform_of(path), read_audio(path), atol=1e-6)


def test_path_bytes_open_file_and_pipe_are_one_sound(tmp_path):
    path = written(tmp_path / "a.flac", noise(20000), 22050)
    expected = read_audio(path)
    with path.open("rb") as file:
        file.seek(100)  # is read from its start all the same
        found = [waveform_of(str(path)), waveform_of(path.read_bytes()), waveform_of(bytearray(path.read_bytes()))]
        found += [waveform_of(file), waveform_of(io.BytesIO(path.read_bytes()))]
    ends = os.pipe()
    writer = threading.Thread(target=lambda: (os.write(ends[1], path.read_bytes()), os.close(ends[1])))
    writer.start()
    with os.fdopen(ends[0], "rb") as pipe:
        found.append(waveform_of(pipe))
    writer.join()
    for waveform in found:
        np.testing.assert_array_equal(waveform, expected)


def test_the_name_of_a_file_does_not_choose_its_format(tmp_path):
    path = written(tmp_path / "a.wav", noise(4000))
    raw = path.rename(tmp_path / "a.raw")
    assert len(waveform_of(raw)) == 4000


@pytest.mark.parametrize("kind", ["int16", "int32", "uint8", "float64", "float16"])
def test_arrays_of_every_sample_type_mean_the_same(kind):
    pcm = np.array([-128, -64, 0, 64, 127] * 400)
    expected = pcm / 128
    given = {"int16": pcm * 256, "int32": pcm * 2**24, "uint8": pcm + 128}.get(kind, expected).astype(kind)
    for array in (given, torch.from_numpy(given.copy()), given[None], given[:, None], np.stack([given, given])):
        np.testing.assert_array_equal(waveform_of(array), expected.astype(np.float32))


def test_both_ways_to_lay_channels_out_are_averaged():
    stereo = np.tile(np.array([[0.5, 0.25]], np.float32), (3200, 1))
    np.testing.assert_array_equal(waveform_of(stereo), np.full(3200, 0.375, np.float32))
    np.testing.assert_array_equal(waveform_of(torch.from_numpy(stereo.T.copy())), np.full(3200, 0.375, np.float32))


@pytest.mark.parametrize("x", [np.zeros(4000, np.float32), np.zeros((4000, 2), np.int16)])
def test_silence_is_read(x):
    np.testing.assert_array_equal(waveform_of(x), np.zeros(4000, np.float32))


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_opposite_phase_is_read_as_read_audio_reads_it(tmp_path, short_blocks, rate):
    left = noise(rate)
    path = written(tmp_path / "a.wav", np.stack([left, -left], axis=1), rate)
    found = waveform_of(path)
    np.testing.assert_array_equal(found, read_audio(path))
    assert np.abs(found).max() > 0.2
    np.testing.assert_allclose(waveform_of(np.stack([left, -left]), sample_rate_hz=rate), found, atol=1e-4)


def test_an_array_has_the_rate_that_is_given(tmp_path):
    samples = noise(48000)
    path = written(tmp_path / "a.wav", samples, 48000, "FLOAT")
    np.testing.assert_array_equal(waveform_of(samples, sample_rate_hz=48000), read_audio(path))
    assert len(waveform_of(samples)) == 48000  # 16 kHz unless told otherwise
    assert len(waveform_of(torch.from_numpy(samples).bfloat16(), sample_rate_hz=48000.0)) == 16000


def test_a_sound_says_how_long_it_is():
    with open_sound(noise(22050), sample_rate_hz=44100) as sound:
        assert sum(len(piece) for piece in sound.waveform()) == 8000
        assert sound.duration_s == 0.5 and sound.num_samples == 22050


@pytest.mark.parametrize(
    "x, message",
    [
        (np.full(1599, 0.1), r"holds 1599 samples \(0\.0999 s\); at least 0\.1 s are needed"),
        (np.empty(0), "holds 0 samples"),
        (np.empty((0, 2)), "holds 0 samples"),
        (np.full(4000, np.nan), "holds NaN or infinite samples"),
        (np.r_[np.full(4000, 0.1), -np.inf], "holds NaN or infinite samples"),
        (np.full(4000, 1e300), "holds NaN or infinite samples"),
        (np.full(4000, 1e30), r"has a peak of 1e\+30; samples must lie in \[-1, 1\]"),
        (np.full(4000, 16000.0), r"has a peak of 1\.6e\+04"),
        (np.full(4000, 3), r"holds int64; give floats .* \(16-bit samples: \.astype\(np\.int16\)\)\."),
        (np.full(4000, True), "holds bool; give floats"),
        (np.full(4000, 1j), "holds complex128; give floats"),
        (np.array(["a"] * 4000), r"the waveform holds str\d*; give floats"),
        (np.zeros((3, 4000)), r"has the shape \[3, 4000\]; give one sound"),
        (np.zeros((1, 2, 4000)), r"has the shape \[1, 2, 4000\]"),
        (np.zeros(()), r"has the shape \[\]"),
        (b"", r"the sound is empty \(0 bytes\)"),
        (b"RIFF", r"the sound cannot be read as audio"),
        (b"these are words " * 100, r"the sound cannot be read as audio"),
    ],
)
def test_what_cannot_be_answered_is_refused(x, message):
    with pytest.raises(ValueError, match=message):
        waveform_of(x)


@pytest.mark.parametrize("x", [3, None, np.float32(0.5), {"path": "a.wav"}, object()])
def test_what_is_no_sound_is_refused(x):
    with pytest.raises(TypeError, match=r"give a path, the bytes of a sound file, .* or a list of these"):
        waveform_of(x)


@pytest.mark.parametrize("rate", [0, -1, 3999, 384001, 10**12])
def test_a_rate_that_no_recorder_has_is_refused(rate):
    with pytest.raises(ValueError, match=rf"{rate} samples a second; 4000 to 384000 are allowed"):
        waveform_of(noise(4000), sample_rate_hz=rate)


@pytest.mark.parametrize("rate", ["16000", 16000.5, float("nan"), float("inf")])
def test_a_rate_that_is_no_whole_number_is_refused(rate):
    with pytest.raises(ValueError, match="sample_rate_hz must be a whole number"):
        waveform_of(noise(4000), sample_rate_hz=rate)


@pytest.mark.parametrize("rate", [1, 2_000_000_000])
def test_a_rate_that_only_a_broken_header_has_is_refused(tmp_path, rate):
    path = written(tmp_path / "a.wav", noise(4000))
    whole = bytearray(path.read_bytes())
    whole[24:28] = struct.pack("<I", rate)
    path.write_bytes(whole)
    for read in (waveform_of, read_audio):
        with pytest.raises(ValueError, match=rf"a\.wav .*{rate} samples a second; 4000 to 384000 are allowed"):
            read(path)


def test_a_rate_that_contradicts_the_file_is_refused(tmp_path):
    path = written(tmp_path / "a.wav", noise(4000))
    assert len(waveform_of(path, sample_rate_hz=16000)) == 4000
    with pytest.raises(ValueError, match="a.wav says that it has 16000 samples a second, and sample_rate_hz is 8000"):
        waveform_of(path, sample_rate_hz=8000)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
def test_a_truncated_file_is_refused(tmp_path, suffix, share):
    path = written(tmp_path / f"a.{suffix}", noise(32000))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    for x, name in ((path, rf"a\.{suffix}"), (path.read_bytes(), "the sound")):
        with pytest.raises(ValueError, match=rf"{name} (is truncated|cannot be read as audio)"):
            waveform_of(x)


@pytest.mark.parametrize("promised", [2**20, 2**31, 2**36 - 1])
def test_a_length_that_is_only_promised_costs_no_memory(tmp_path, promised):
    path = written(tmp_path / "a.flac", noise(8000))
    whole = bytearray(path.read_bytes())
    whole[21] = whole[21] & 0xF0 | promised >> 32  # STREAMINFO: the number of samples has 36 bits
    whole[22:26] = struct.pack(">I", promised & 0xFFFFFFFF)
    path.write_bytes(whole)
    tracemalloc.start()
    for read in (waveform_of, read_audio):
        with pytest.raises(ValueError, match=r"a\.flac (is truncated|cannot be read as audio)"):
            read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64e6  # bytes


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.wav is not a file; check the path"):
        waveform_of(tmp_path / "gone.wav")
    with pytest.raises(ValueError, match=f"{tmp_path.name} is a folder; give its files one by one, or .* akd predict"):
        waveform_of(tmp_path)


def test_a_file_open_as_text_is_refused(tmp_path):
    path = written(tmp_path / "a.wav", noise(4000))
    with path.open(encoding="latin-1") as file, pytest.raises(TypeError, match=r"a\.wav is open as text"):
        waveform_of(file)


def test_a_file_object_that_fails_says_why(capfd):
    class Failing(io.BytesIO):
        def read(self, size=-1):
            if size > 64:
                raise OSError("the cable is loose")
            return super().read(size)

    buffer = io.BytesIO()
    soundfile.write(buffer, noise(8000), 16000, format="WAV")
    with pytest.raises(ValueError, match="the cable is loose|is truncated"):
        waveform_of(Failing(buffer.getvalue()))
    assert "Traceback" not in capfd.readouterr().err


def test_a_name_can_be_given():
    with pytest.raises(ValueError, match="^standard input is empty"):
        waveform_of(b"", name="standard input")


def test_a_decoder_that_finds_damage_does_not_tell_the_terminal(tmp_path, capfd):
    path = tmp_path / "a.mp3"
    soundfile.write(path, noise(32000), 16000)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2 : len(whole) // 2 + 1500] = bytes(1500)
    path.write_bytes(whole)
    for x in (path, bytes(whole)):
        with suppress(ValueError):
            waveform_of(x)
    with suppress(ValueError):
        read_audio(path)
    os.write(2, b"heard again")
    assert capfd.readouterr().err == "heard again"
