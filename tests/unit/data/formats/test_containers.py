"""m4a, WebM and other containers: whole through PyAV, or refused with the line that converts them."""

import io
import sys

import numpy as np
import pytest

from akd_toolkit.data.reader import open_sound_file

CONTAINERS = [
    *(("mp4", "aac"), ("ipod", "aac"), ("3gp", "aac"), ("mov", "alac"), ("mov", "pcm_s16le"), ("webm", "libopus")),
    *(("matroska", "flac"), ("matroska", "pcm_s16le"), ("avi", "pcm_s16le"), ("flv", "aac"), ("asf", "pcm_s16le")),
    *(("adts", "aac"), ("mp2", "mp2")),
]


@pytest.fixture
def contained(encoded_by_ffmpeg, samples):
    """``contained("mp4", "aac", channels)``: three seconds at 48 kHz."""

    def make(container, codec, channels=1, **options):
        return encoded_by_ffmpeg(container, codec, samples(144000, channels), 48000, **options)

    return make


@pytest.mark.parametrize("container, codec", CONTAINERS)
def test_a_container_is_read_whole_and_a_cut_one_refused(contained, read, container, codec):
    for channels in (1, 2):
        found = read(contained(container, codec, channels))
        assert 3 * 48000 <= len(found) < 3.05 * 48000 and found.ndim == channels
    if container not in ("adts", "mp2"):  # which do not say how long they are
        data = contained(container, codec)
        for share in (0.05, 0.99):
            with pytest.raises(ValueError, match="the sound (is|cannot)"):
                read(data[: int(share * len(data))])


@pytest.mark.parametrize("container, codec", [("mov", "alac"), ("matroska", "flac"), ("avi", "pcm_s16le")])
def test_without_loss_it_is_the_same_sound(contained, samples, read, container, codec):
    data = contained(container, codec)
    np.testing.assert_allclose(read(data), samples(144000) / 32768, atol=2 / 32768)
    np.testing.assert_array_equal(read(data, 500, 700), read(data)[500:700])


FRAGMENTS = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "500000"}


@pytest.mark.parametrize(
    "container, codec, options, share",
    [
        ("mp4", "aac", FRAGMENTS, 0.5),
        ("webm", "libopus", {"pipe": True}, 0.3),
        ("matroska", "flac", {"pipe": True}, 0.3),
        ("flv", "aac", {"pipe": True}, None),
    ],
)
def test_fragments_and_pipes_are_read_whole_and_cut_ones_refused(contained, read, container, codec, options, share):
    data = contained(container, codec, **options)
    assert len(read(data)) >= 3 * 48000
    if share:
        with pytest.raises(ValueError, match="truncated"):
            read(data[: int(share * len(data)) + 7])


def test_a_video_without_sound_is_refused(read):
    av = pytest.importorskip("av")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        for packet in stream.encode(av.VideoFrame(64, 64, "yuv420p")) + stream.encode(None):
            file.mux(packet)
    with pytest.raises(ValueError, match="without a sound track"):
        read(buffer.getvalue())


@pytest.mark.parametrize(
    "head", [b"\0\0\0\x1cftypM4A ", b"\x1aE\xdf\xa3\x97", b"\xff\xf1\x60\x40", b"FLV\1", b"#!AMR\n"]
)
def test_without_pyav_the_sentence_says_how_to_convert(tmp_path, monkeypatch, head):
    monkeypatch.setitem(sys.modules, "av", None)
    path = tmp_path / "my voice.m4a"
    path.write_bytes(head.ljust(28, b"\0"))
    message = r"akd-toolkit\[av\].*ffmpeg -i '.*my voice\.m4a' -ac 1 -ar 16000 'my voice\.wav'"
    with pytest.raises(ValueError, match=message), open_sound_file(path):
        pass


@pytest.mark.parametrize("head", [b"\x0bw", b"wvpk", b"Creative Voice File\x1a", b"G@"])
def test_sound_of_another_format_is_refused_with_the_line_that_converts_it(read, head):
    with pytest.raises(ValueError, match="ffmpeg -i"):
        read(head + bytes(5000))
