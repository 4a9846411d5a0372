import numpy as np
import pytest

from akd_toolkit.data.audio import read_audio, read_recording


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_16_bit_files_come_back_sample_for_sample_with_one_checksum(sound_file, name):
    pcm = np.arange(-1600, 1600, dtype=np.int16)
    waveform = read_audio(sound_file(name, pcm))
    assert waveform.dtype == np.float32
    np.testing.assert_array_equal(waveform, pcm / np.float32(32768))
    random = np.random.default_rng(0).integers(-32768, 32768, 4000).astype(np.int16)
    wav, copy = read_recording(sound_file("b.wav", random)), read_recording(sound_file(name, random))
    assert copy.sha256 == wav.sha256 != read_recording(sound_file("c.wav", random[::-1])).sha256


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_other_rates_are_resampled_to_the_same_tone_within_full_scale(sound_file, tone, rate):
    waveform = read_audio(sound_file(samples=tone(0.5, rate), sample_rate_hz=rate))
    middle = slice(800, -800)  # a filter has no past at the ends
    np.testing.assert_allclose(waveform[middle], tone(0.5)[middle], atol=5e-3)
    square = np.where(np.arange(rate // 2) % 40 < 20, 1.0, -1.0)
    assert len(waveform) == 8000 and np.abs(read_audio(sound_file(samples=square, sample_rate_hz=rate))).max() <= 1.0


@pytest.mark.parametrize("suffix, subtype", [("wav", "FLOAT"), ("flac", "PCM_16")])
@pytest.mark.parametrize("right", [-1.0, -0.9, -1.1, -0.5, 0.0, 0.7])
def test_channels_are_averaged_unless_they_cancel_each_other(sound_file, tone, right, suffix, subtype):
    path = sound_file(f"a.{suffix}", np.stack([0.5 * tone(), 0.5 * right * tone()], axis=1), subtype=subtype)
    stored = read_recording(path).samples
    np.testing.assert_array_equal(read_audio(path), stored[:, 0] if right < -0.8 else stored.mean(axis=1))


@pytest.mark.parametrize("start, stop", [(0, 8001), (-1, None), (5, 5), (8000, None)])
def test_a_part_outside_the_file_is_refused(sound_file, start, stop):
    with pytest.raises(ValueError, match="the file holds 8000"):
        read_audio(sound_file(), start, stop)


@pytest.mark.parametrize(
    "samples, rate, token",
    [
        (np.full(3, 0.1), 16000, "holds 3 samples"),
        (np.full(1599, 0.1), 16000, "holds 1599 samples .* at least 0.1 s"),
        (np.full(799, 0.1), 8000, "holds 799 samples"),
        (np.zeros(4000), 16000, "holds only zeros"),
        *((np.array([0.1] * 4000 + [bad]), 16000, "NaN or infinite") for bad in (np.nan, -np.inf)),
        (np.array([0.1, 16384.0] * 2000), 16000, "has a peak of"),
    ],
)
def test_samples_that_are_not_speech_are_refused(sound_file, samples, rate, token):
    with pytest.raises(ValueError, match=rf"a\.wav .*{token}"):
        read_audio(sound_file(samples=samples, sample_rate_hz=rate, subtype="FLOAT"))
    assert len(read_audio(sound_file(samples=np.full(rate // 10, 0.1), sample_rate_hz=rate))) == 1600


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3"])
def test_a_file_that_is_missing_empty_or_not_audio_is_refused(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=f"{name} is not a file"):
        read_audio(tmp_path / name)
    for content, token in (("", "is empty"), ("these are words\n" * 100, "cannot be read as audio")):
        (tmp_path / name).write_text(content)
        with pytest.raises(ValueError, match=f"{name} {token}"):
            read_audio(tmp_path / name)
