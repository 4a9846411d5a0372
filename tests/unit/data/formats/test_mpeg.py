"""MP3: every frame, whatever the header says."""

import io

import numpy as np
import pytest
import soundfile

from akd_toolkit.data.formats.mpeg import _frame


@pytest.fixture
def mp3(encoded, samples):
    """``mp3(num_samples)``: the bytes of a file of libsndfile; without ``info`` it does not say how long it is."""

    def make(length=40000, rate=44100, channels=1, mode="CONSTANT", info=True, **options):
        pcm = samples(length, channels, **options)
        data = encoded("MP3", pcm, rate, bitrate_mode=mode, compression_level=0.5)
        return data if info else data[_frame(data[:4])[1] :]

    return make


def ends_of(data):
    """Where each frame ends."""
    found = [0]
    while found[-1] < len(data):
        found.append(found[-1] + _frame(data[found[-1] : found[-1] + 4])[1])
    return found[1:]


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
    whole, data = (mp3(rate=rate, mode=mode, channels=channels, info=info) for info in (True, False))
    found = read(data)
    assert len(found) == (1152 if rate >= 32000 else 576) * len(ends_of(data)) >= 40000
    np.testing.assert_allclose(read(whole), soundfile.read(io.BytesIO(whole))[0], atol=1e-6)
    if rate >= 16000:
        np.testing.assert_allclose(found[1105 : 1105 + 38000], read(whole)[:38000], atol=1e-5)


@pytest.mark.parametrize("options", [{"write_xing": "0"}, {"id3v2_version": "0"}, {}, {"pipe": True}])
def test_what_ffmpeg_writes_is_decoded_to_its_end(encoded_by_ffmpeg, samples, read, options):
    found = read(encoded_by_ffmpeg("mp3", "libmp3lame", samples(40000), **options))
    assert 40000 <= len(found) < 40000 + 4 * 576


@pytest.mark.parametrize("info", [True, False])
@pytest.mark.parametrize("length", [0, 100, 5000, 3 * 2**20])
def test_tags_and_artwork_are_not_sound(mp3, read, length, info):
    data = mp3(info=info)
    for tagged in (id3(length) + data, id3(length) + bytes(2000) + data + APE + ID3_V1, id3(5) + id3(length) + data):
        np.testing.assert_allclose(read(tagged), read(data), atol=1e-6)


@pytest.mark.parametrize("info", [True, False])
@pytest.mark.parametrize("between", [b"", id3(5000), ID3_V1, APE + ID3_V1 + id3(2000)])
def test_joined_files_are_read_whole(mp3, read, between, info):
    one, two = (mp3(length, seed=seed, info=info) for seed, length in enumerate((40000, 30000)))
    found = read(one + between + two)
    assert len(found) == (70000 if info else 1152 * (len(ends_of(one)) + len(ends_of(two))))
    if info:
        np.testing.assert_allclose(found, np.concatenate([read(one), read(two)]), atol=1e-6)


@pytest.mark.parametrize("info", [True, False])
def test_cut_files_holes_and_other_faults_are_refused(mp3, read, info):
    data = mp3(info=info)
    middle, hole = len(data) // 2, "truncated|damaged" if info else "damaged"
    for faulty, token in (
        *((data[: int(share * len(data))], "is truncated|cannot be read as audio") for share in (0.05, 0.6, 0.99)),
        *((data[:middle] + bytes(length) + data[middle + length :], hole) for length in (3000, 20000)),
        (mp3() + mp3(rate=48000), "several kinds"),
        (mp3() + mp3(channels=2), "several kinds"),
        (mp3()[: ends_of(mp3())[20]], "truncated: its header promises"),
        (b"\xff\xfb\x90\x64" + np.random.default_rng(0).bytes(20000), "cannot be read as audio"),
    ):
        with pytest.raises(ValueError, match=f"the sound .*({token})"):
            read(faulty)
