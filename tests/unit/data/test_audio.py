import numpy as np
import pytest

from akd_toolkit.data.audio import read_audio, read_recording


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_16_bit_files_come_back_sample_for_sample(sound_file, name):
    pcm = np.arange(-1600, 1600, dtype=np.int16)
    waveform = read_audio(sound_file(name, pcm))
    assert waveform.dtype == np.float32
    np.testing.assert_array_equal(waveform, pcm / np.float32(32768))


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_other_rates_are_resampled_to_the_same_tone(sound_file, tone, rate):
    waveform = read_audio(sound_file(samples=tone(0.5, rate), sample_rate_hz=rate))
    expected = tone(0.5)
    assert len(waveform) == len(expected)
    middle = slice(800, -800)  # a filter has no past at the ends
    np.testing.assert_allclose(waveform[middle], expected[middle], atol=5e-3)


@pytest.mark.parametrize("suffix, subtype", [("wav", "FLOAT"), ("flac", "PCM_16")])
@pytest.mark.parametrize("right", [-1.0, -0.9, -1.1])
def test_of_channels_that_cancel_each_other_the_first_is_taken(sound_file, tone, right, suffix, subtype):
    stereo = np.stack([0.5 * tone(), 0.5 * right * tone()], axis=1)
    stored = read_recording(sound_file(f"a.{suffix}", stereo, subtype=subtype)).samples
    waveform = read_audio(sound_file(f"a.{suffix}", stereo, subtype=subtype))
    np.testing.assert_array_equal(waveform, stored[:, 0])


@pytest.mark.parametrize("right", [-0.5, 0.0, 0.7])
def test_channels_that_only_weaken_each_other_are_averaged(sound_file, tone, right):
    stereo = np.stack([0.5 * tone(), 0.5 * right * tone()], axis=1).astype(np.float32)
    waveform = read_audio(sound_file(samples=stereo, subtype="FLOAT"))
    np.testing.assert_array_equal(waveform, stereo.mean(axis=1))


def test_resampling_never_leaves_the_range(sound_file):
    square = np.where(np.arange(4000) % 40 < 20, 1.0, -1.0)
    waveform = read_audio(sound_file(samples=square, sample_rate_hz=8000))
    assert np.abs(waveform).max() <= 1.0


def test_a_wav_and_its_flac_copy_have_one_checksum(sound_file):
    pcm = np.random.default_rng(0).integers(-32768, 32768, 4000).astype(np.int16)
    wav, flac = read_recording(sound_file("a.wav", pcm)), read_recording(sound_file("a.flac", pcm))
    assert wav.sha256 == flac.sha256
    assert read_recording(sound_file("b.wav", pcm[::-1])).sha256 != wav.sha256


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
    for content, error, token in (
        (None, FileNotFoundError, "is not a file"),
        ("", ValueError, "is empty"),
        ("these are words\n" * 100, ValueError, "cannot be read as audio"),
    ):
        if content is not None:
            (tmp_path / name).write_text(content)
        with pytest.raises(error, match=f"{name} {token}"):
            read_audio(tmp_path / name)
