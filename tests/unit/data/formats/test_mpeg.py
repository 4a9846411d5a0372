"""MP3: every frame, whatever the header says."""

import io

import numpy as np
import pytest
import soundfile

from akd_toolkit.data.formats.mpeg import _frame


@pytest.fixture
def mp3(encoded, samples):
    """``mp3(num_samples)``: the bytes of a file of libsndfile, whose first frame says how long it is."""

    def make(length=40000, rate=44100, channels=1, mode="CONSTANT", **options):
        return encoded("MP3", samples(length, channels, **options), rate, bitrate_mode=mode, compression_level=0.5)

    return make


def without_info(data):
    """The file as an encoder leaves it that cannot go back to its start."""
    return data[_frame(data[:4])[1] :]


def frames_of(data):
    at, found = 0, 0
    while at < len(data):
        at, found = at + _frame(data[at : at + 4])[1], found + 1
    return found


def id3(length):
    """ID3v2 with ``length`` bytes of artwork, among them some that look like frames."""
    size = bytes(length >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\4\0\0" + size + (b"\xff\xfb\x90\x64" * (length // 4 + 1))[:length]


APE = b"APETAGEX\xd0\7\0\0" + (1000).to_bytes(4, "little") + bytes(16) + b"artist\xff\xfb".ljust(1000, b"x")
ID3_V1 = b"TAG".ljust(128, b" ")


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE", "AVERAGE"])
@pytest.mark.parametrize("rate", [8000, 22050, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_file_without_a_length_is_decoded_to_its_end(mp3, read, rate, mode, channels):
    whole = mp3(rate=rate, mode=mode, channels=channels)
    data = without_info(whole)
    spf = 1152 if rate >= 32000 else 576
    found = read(data)
    assert len(found) == spf * frames_of(data) >= 40000
    np.testing.assert_allclose(read(whole), soundfile.read(io.BytesIO(whole))[0], atol=1e-6)
    overlap = found[1105 : 1105 + 38000] if rate >= 16000 else None
    if overlap is not None:
        np.testing.assert_allclose(overlap, read(whole)[:38000], atol=1e-5)


@pytest.mark.parametrize("options", [{"write_xing": "0"}, {"id3v2_version": "0"}, {}, {"pipe": True}])
def test_what_ffmpeg_writes_is_decoded_to_its_end(encoded_by_ffmpeg, samples, read, options):
    found = read(encoded_by_ffmpeg("mp3", "libmp3lame", samples(40000), **options))
    assert 40000 <= len(found) < 40000 + 4 * 576


@pytest.mark.parametrize("info", [True, False])
@pytest.mark.parametrize("length", [0, 100, 5000, 3 * 2**20])
def test_tags_and_artwork_are_not_sound(mp3, read, length, info):
    data = mp3() if info else without_info(mp3())
    for tagged in (id3(length) + data, id3(length) + bytes(2000) + data + APE + ID3_V1, id3(5) + id3(length) + data):
        np.testing.assert_allclose(read(tagged), read(data), atol=1e-6)


@pytest.mark.parametrize("info", [True, False])
@pytest.mark.parametrize("between", [b"", id3(5000), ID3_V1, APE + ID3_V1 + id3(2000)])
def test_joined_files_are_read_whole(mp3, read, between, info):
    one, two = (mp3(length, seed=seed) for seed, length in enumerate((40000, 30000)))
    if info:
        found = read(one + between + two)
        assert len(found) == 70000
        np.testing.assert_allclose(found, np.concatenate([read(one), read(two)]), atol=1e-6)
    else:
        one, two = without_info(one), without_info(two)
        assert len(read(one + between + two)) == 1152 * (frames_of(one) + frames_of(two))


@pytest.mark.parametrize("share", [0.05, 0.6, 0.99])
@pytest.mark.parametrize("info", [True, False])
def test_a_cut_file_is_refused(mp3, read, share, info):
    data = mp3() if info else without_info(mp3())
    with pytest.raises(ValueError, match="the sound (is truncated|cannot be read as audio)"):
        read(data[: int(share * len(data))])


@pytest.mark.parametrize("length", [3000, 20000])
def test_a_hole_is_refused(mp3, read, length):
    for data, word in ((mp3(), "truncated|damaged"), (without_info(mp3()), "damaged")):
        middle = len(data) // 2
        with pytest.raises(ValueError, match=word):
            read(data[:middle] + bytes(length) + data[middle + length :])


def test_other_faults_of_a_file_are_refused(mp3, read):
    between = mp3()
    at = 0
    while at < len(between) // 2:
        at += _frame(between[at : at + 4])[1]
    for data, token in (
        (mp3() + mp3(rate=48000), "several kinds"),
        (mp3() + mp3(channels=2), "several kinds"),
        (between[:at], "truncated: its header promises"),
        (b"\xff\xfb\x90\x64" + np.random.default_rng(0).bytes(20000), "cannot be read as audio"),
    ):
        with pytest.raises(ValueError, match=token):
            read(data)
