"""Pictures of videos: the right ones, upright, and only of whole videos."""

import struct

import numpy as np
import pytest
from videos import write_video

from akd_toolkit.data.video import VideoError, read_pictures


def greys(number, shape=(48, 64)):
    """Pictures whose value is their number."""
    return [np.full((*shape, 3), value, np.uint8) for value in range(number)]


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(5.0, range(0, 50, 5)), (25.0, range(50)), (100.0, range(50)), (0.5, [0]), (10.0, [0, 3, 5, 8, 10, 13])],
)
def test_pictures_are_the_first_frames_of_each_interval_and_none_is_given_twice(tmp_path, rate, expected):
    path = write_video(tmp_path / "greys.mkv", greys(50), codec="ffv1")
    found = [int(picture[0, 0, 0]) for picture in read_pictures(path, rate)]
    assert found[: len(expected)] == list(expected)
    assert len(found) == (len(expected) if rate != 10 else 20)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "avi", "flv"])
@pytest.mark.parametrize("sound_s", [0.0, 2.0])
def test_every_container_is_read_with_and_without_sound(tmp_path, suffix, sound_s):
    path = write_video(tmp_path / f"clip.{suffix}", greys(50), sound_s=sound_s)
    assert len(list(read_pictures(path, 5.0))) == 10


def test_large_pictures_are_reduced_and_small_ones_are_not(tmp_path):
    large = write_video(tmp_path / "large.mp4", greys(2, (720, 1280)))
    small = write_video(tmp_path / "small.mp4", greys(2, (48, 64)))
    assert [next(read_pictures(path, 5.0)).shape for path in (large, small)] == [(360, 640, 3), (48, 64, 3)]


def test_a_video_filmed_upright_is_turned(tmp_path):
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32] = 255  # left above
    path = write_video(tmp_path / "clip.mp4", [picture] * 5)
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 44  # behind version, times, number, duration, layer and volume
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 48 << 16, 0, 1 << 30)
    path.write_bytes(data)
    turned = next(read_pictures(path, 5.0))  # a quarter clockwise
    assert turned.shape == (64, 48, 3)
    assert turned[:28, 28:].min() > 200 and turned[36:].max() < 50 and turned[:, :20].max() < 50


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "flv"])
@pytest.mark.parametrize("share", [0.4, 0.97])
def test_a_truncated_video_is_refused(tmp_path, suffix, share):
    noise = [np.random.default_rng(i).integers(0, 256, (48, 64, 3)).astype(np.uint8) for i in range(50)]
    path = write_video(tmp_path / f"clip.{suffix}", noise)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(VideoError, match=r"clip.*(truncated|damaged)"):
        list(read_pictures(path, 5.0))


@pytest.mark.parametrize("content", [b"", b"Not a video at all.\n" * 30, b"#EXTM3U\n/etc/passwd\n", b"\0" * 4000])
def test_other_files_named_mp4_are_refused(tmp_path, content):
    path = tmp_path / "text.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match="text.mp4"):
        list(read_pictures(path, 5.0))


def test_sound_alone_is_no_video(tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "voice.mp4"
    with av.open(str(path), "w") as file:
        sound = file.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        frame.rate = 16000
        file.mux(sound.encode(frame) + sound.encode(None))
    with pytest.raises(VideoError, match="without a video track"):
        list(read_pictures(path, 5.0))


def test_a_missing_file_and_a_wrong_rate_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.mp4"):
        list(read_pictures(tmp_path / "nowhere.mp4", 5.0))
    with pytest.raises(ValueError, match="pictures_per_s"):
        list(read_pictures(tmp_path / "nowhere.mp4", 0))


def test_real_clips_are_read_whole_and_damaged_ones_refused(shared_folder, tmp_path):
    clips = sorted(path for path in (shared_folder / "data/clips").iterdir() if path.suffix in (".mp4", ".flv"))
    assert len(clips) == 7
    for clip in clips:
        pictures = list(read_pictures(clip, 5.0))
        assert 10 <= len(pictures) <= 17 and {picture.shape[0] for picture in pictures} == {360}
        cut = tmp_path / clip.name
        cut.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
        with pytest.raises(VideoError, match="truncated"):
            list(read_pictures(cut, 5.0))
