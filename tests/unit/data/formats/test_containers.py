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
UNBROKEN = [pair for pair in CONTAINERS if pair[0] not in ("adts", "mp2")]  # these say how long they are


@pytest.fixture
def contained(encoded_by_ffmpeg, samples):
    """``contained("mp4", "aac", seconds)``: a file at 48 kHz."""

    def make(container, codec, seconds=3, channels=1, **options):
        return encoded_by_ffmpeg(container, codec, samples(48000 * seconds, channels), 48000, **options)

    return make


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("container, codec", CONTAINERS)
def test_a_container_is_read_whole(contained, read, container, codec, channels):
    found = read(contained(container, codec, channels=channels))
    assert 3 * 48000 <= len(found) < 3.05 * 48000 and found.ndim == channels


@pytest.mark.parametrize("container, codec", [("mov", "alac"), ("matroska", "flac"), ("avi", "pcm_s16le")])
def test_without_loss_it_is_the_same_sound(contained, samples, read, container, codec):
    np.testing.assert_allclose(read(contained(container, codec)), samples(144000) / 32768, atol=2 / 32768)
    np.testing.assert_array_equal(
        read(contained(container, codec), 500, 700), read(contained(container, codec))[500:700]
    )


def test_an_mp4_in_fragments_is_read_whole(contained, read):
    data = contained("mp4", "aac", movflags="frag_keyframe+empty_moov", frag_duration="500000")
    assert len(read(data)) >= 3 * 48000
    with pytest.raises(ValueError, match="truncated"):
        read(data[: len(data) // 2])


@pytest.mark.parametrize("share", [0.05, 0.99])
@pytest.mark.parametrize("container, codec", UNBROKEN)
def test_a_cut_container_is_refused(contained, read, container, codec, share):
    data = contained(container, codec)
    with pytest.raises(ValueError, match="the sound (is|cannot)"):
        read(data[: int(share * len(data))])


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


@pytest.mark.parametrize("container, codec", [("webm", "libopus"), ("matroska", "flac"), ("flv", "aac")])
def test_a_container_from_a_pipe_is_read_whole_and_a_cut_one_refused(contained, read, container, codec):
    data = contained(container, codec, pipe=True)
    assert len(read(data)) >= 3 * 48000
    if container != "flv":
        with pytest.raises(ValueError, match="truncated"):
            read(data[: int(0.3 * len(data)) + 7])


@pytest.mark.parametrize("head", [b"\x0bw", b"wvpk", b"Creative Voice File\x1a", b"G@"])
def test_sound_of_another_format_is_refused_with_the_line_that_converts_it(read, head):
    with pytest.raises(ValueError, match="ffmpeg -i"):
        read(head + bytes(5000))
