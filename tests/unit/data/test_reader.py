"""One reader for paths, bytes, open files and pipes, for a whole sound and for a part of it."""

import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

from akd_toolkit.data.audio import read_recording
from akd_toolkit.data.reader import open_sound_file

KINDS = {"a.wav": None, "a.flac": None, "a.mp3": None, "a.ogg": None, "a.aiff": None, "a.au": None, "b.wav": "GSM610"}


@pytest.fixture(params=KINDS)
def path(request, tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, 30000)
    soundfile.write(tmp_path / request.param, noise, 8000, subtype=KINDS[request.param])
    return tmp_path / request.param


def all_of(source):
    with open_sound_file(source) as sound:
        return np.concatenate(list(sound.blocks()))


def test_a_path_bytes_an_open_file_and_a_pipe_hold_one_sound(path, tmp_path):
    expected = read_recording(path).samples
    data = path.read_bytes()
    with path.open("rb") as file:
        file.seek(100)  # it is read from its start all the same
        found = [all_of(source) for source in (str(path), data, bytearray(data), memoryview(data), file)]
    os.mkfifo(tmp_path / "fifo")
    writer = threading.Thread(target=(tmp_path / "fifo").write_bytes, args=(data,))
    writer.start()
    found.append(all_of(tmp_path / "fifo"))
    writer.join()
    for samples in found:
        np.testing.assert_allclose(samples, expected, atol=1e-6)


@pytest.mark.parametrize("start, stop", [(0, 1), (0, 30000), (1, 29999), (12345, 12346), (20000, 30000)])
def test_a_part_is_a_slice_of_the_whole(path, start, stop):
    whole = read_recording(path).samples
    np.testing.assert_allclose(read_recording(path, start, stop).samples, whole[start:stop], atol=1e-6)


@pytest.mark.parametrize("start", [0, 9000, 30000, 47999, 65000])
def test_a_part_may_lie_in_any_of_the_streams_of_an_ogg(start):
    data = b""
    for seed in range(3):
        buffer = io.BytesIO()
        soundfile.write(buffer, np.random.default_rng(seed).normal(0, 0.1, 24000), 16000, format="OGG")
        data += buffer.getvalue()
    with open_sound_file(data) as sound:
        whole = np.concatenate(list(sound.blocks()))
        assert len(whole) == sound.num_samples == 72000
        for stop in (start + 1, start + 7000, 72000):
            part = np.concatenate(list(sound.blocks(start, stop)))
            np.testing.assert_allclose(part, whole[start:stop], atol=1e-6)


def test_threads_read_side_by_side(path):
    expected = read_recording(path).samples
    with ThreadPoolExecutor(4) as pool:
        for samples in pool.map(lambda _: read_recording(path).samples, range(16)):
            np.testing.assert_allclose(samples, expected, atol=1e-6)
