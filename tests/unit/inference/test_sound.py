"""Sound from any source equals ``read_audio``, piece by piece, and is resampled without aliases."""

import numpy as np
import pytest
import soundfile
import torch

from akd_toolkit.data import reader
from akd_toolkit.data.audio import read_audio
from akd_toolkit.inference import sound as sound_module
from akd_toolkit.inference.sound import Resampler, open_sound, resampled


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


@pytest.mark.parametrize("streamed", [False, True])
def test_the_alias_of_a_tone_is_below_80_db(tmp_path, short_blocks, streamed):
    """8.8 kHz at 44.1 kHz lies above half of 16 kHz and must vanish."""
    tone = (0.5 * np.sin(2 * np.pi * 8800 * np.arange(88200) / 44100)).astype(np.float32)
    path = written(tmp_path / "a.wav", tone, 44100, "FLOAT")
    alias = (waveform_of(path) if streamed else read_audio(path))[1600:-1600]
    assert 10 * np.log10(np.square(alias).mean() / np.square(tone).mean()) < -80


@pytest.mark.parametrize("rate, most_ms", [(8000, 125), (44100, 45), (48000, 45)])
def test_a_stream_is_delayed_by_what_the_changelog_says(rate, most_ms):
    resampler, given, received, delays = Resampler(rate, 16000), 0, 0, []
    for _ in range(300):
        given += rate // 100
        received += len(resampler.push(np.zeros(rate // 100, np.float32)))
        delays.append(1000 * (given / rate - received / 16000))
    assert min(delays) >= 0 and most_ms - 15 < max(delays[100:]) < most_ms


@pytest.mark.parametrize("rate", [4000, 11025, 44100, 48000, 384000])
@pytest.mark.parametrize("longest", [50, 30_000])
def test_a_resampled_stream_equals_the_resampled_whole(tmp_path, rate, longest):
    random = np.random.default_rng(rate + longest)
    samples = noise(max(rate // 3, 2 * longest))
    cuts = np.cumsum(random.integers(0, longest, len(samples)))
    pieces = list(resampled(iter(np.split(samples, cuts[cuts < len(samples)])), rate, 16000))
    np.testing.assert_array_equal(
        np.concatenate(pieces), read_audio(written(tmp_path / "a.wav", samples, rate, "FLOAT"))
    )


@pytest.mark.parametrize("rate, channels", [(16000, 1), (16000, 2), (44100, 2), (48000, 10)])
@pytest.mark.parametrize("suffix, subtype", [("wav", "PCM_16"), ("flac", "PCM_24"), ("wav", "FLOAT")])
def test_pieces_are_exactly_what_read_audio_reads(tmp_path, short_blocks, rate, channels, suffix, subtype):
    channels = min(channels, 8) if suffix == "flac" else channels
    path = written(tmp_path / f"a.{suffix}", noise(rate // 2 + 7, channels), rate, subtype)
    np.testing.assert_array_equal(waveform_of(path), read_audio(path))


@pytest.mark.parametrize("kind", ["int16", "int32", "uint8", "float64", "float16"])
def test_arrays_of_every_type_and_layout_are_the_same_sound(kind):
    pcm = np.array([-128, -64, 0, 64, 127] * 400)
    expected = pcm / 128
    given = {"int16": pcm * 256, "int32": pcm * 2**24, "uint8": pcm + 128}.get(kind, expected).astype(kind)
    for array in (given, torch.from_numpy(given.copy()), given[None], given[:, None], np.stack([given, given])):
        np.testing.assert_array_equal(waveform_of(array), expected.astype(np.float32))


def test_channels_are_averaged_unless_they_cancel(tmp_path, short_blocks):
    stereo = np.tile(np.array([[0.5, 0.25]], np.float32), (3200, 1))
    for x in (stereo, torch.from_numpy(stereo.T.copy())):
        np.testing.assert_array_equal(waveform_of(x), np.full(3200, 0.375, np.float32))
    left = noise(16000)
    path = written(tmp_path / "a.wav", np.stack([left, -left], axis=1))
    np.testing.assert_array_equal(waveform_of(path), read_audio(path))
    assert np.abs(waveform_of(path)).max() > 0.2
    np.testing.assert_allclose(waveform_of(np.stack([left, -left])), waveform_of(path), atol=1e-4)


def test_an_array_has_the_given_rate(tmp_path):
    samples = noise(48000)
    path = written(tmp_path / "a.wav", samples, 48000, "FLOAT")
    np.testing.assert_array_equal(waveform_of(samples, sample_rate_hz=48000), read_audio(path))
    assert len(waveform_of(samples)) == 48000  # 16 kHz by default
    assert len(waveform_of(torch.from_numpy(samples).bfloat16(), sample_rate_hz=48000.0)) == 16000
    with open_sound(samples, sample_rate_hz=48000) as sound:
        assert sum(map(len, sound.waveform())) == 16000 and (sound.duration_s, sound.num_samples) == (1.0, 48000)


@pytest.mark.parametrize(
    "x, key",
    [
        *((x, type(x).__name__) for x in (3, None, np.float32(0.5), {"file": "a.wav"})),
        (np.full(1599, 0.1), "1599 samples"),
        (np.empty((0, 2)), "0 samples"),
        (np.full(4000, np.nan), "NaN"),
        (np.full(4000, 1e300), "infinite"),
        (np.full(4000, 16000.0), r"1\.6e\+04"),
        (np.full(4000, 3), r"int64.*astype\(np\.int16\)"),
        (np.array(["a"] * 4000), "str"),
        (np.zeros((3, 4000)), r"\[3, 4000\]"),
        (np.zeros(()), r"\[\]"),
        (b"", "empty"),
        (b"these are words " * 100, "audio"),
    ],
)
def test_wrong_sounds_are_refused(x, key):
    with pytest.raises((ValueError, TypeError), match=key):
        waveform_of(x)


@pytest.mark.parametrize("rate", [0, 3999, 384001, "16000", 16000.5, float("nan"), float("inf")])
def test_a_wrong_rate_is_refused(rate):
    with pytest.raises(ValueError, match=rf"{rate}"):
        waveform_of(noise(4000), sample_rate_hz=rate)


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.wav"):
        waveform_of(tmp_path / "gone.wav")
    with pytest.raises(ValueError, match=tmp_path.name):
        waveform_of(tmp_path)
    with pytest.raises(ValueError, match="^standard input"):
        waveform_of(b"", name="standard input")
    path = written(tmp_path / "a.wav", noise(4000))
    with path.open(encoding="latin-1") as file, pytest.raises(TypeError, match=r"a\.wav"):
        waveform_of(file)
    with pytest.raises(ValueError, match="sample_rate_hz is 8000"):
        waveform_of(path, sample_rate_hz=8000)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"a\.wav is truncated"):
        waveform_of(path)
