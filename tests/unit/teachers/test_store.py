"""Features are computed once, whatever happens while they are."""

import errno
import logging
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from in_memory import InMemoryAudio

from akd_toolkit.data import array_store
from akd_toolkit.data.audio_store import ViewSettings
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.teachers.store import FeatureStore


@pytest.fixture
def store(tmp_path, audio, counting):
    def make(teacher=None, folder="store", **options):
        options = {"audio": audio, "progress": False, **options}
        return FeatureStore(tmp_path / folder, teacher=teacher or counting(), **options)

    return make


def test_rows_are_the_teachers_features_of_each_view_through_a_read_only_memory_map(store, audio, manifest, counting):
    stored = store(num_views=3)
    for view in (0, 2):
        expected = np.stack([counting().features(audio.waveform(name, view)) for name in ("C-high-1", "A-low-0")])
        np.testing.assert_array_equal(stored.get(["C-high-1", "A-low-0"], view), expected)
    rows = stored.view(0)
    assert rows.shape == (len(manifest), 2, 2) and rows.dtype == np.float32
    assert isinstance(rows.base, np.memmap) and not rows.flags.writeable
    with pytest.raises(ValueError, match="0 to 2, got 3"):
        stored.view(3)
    with pytest.raises(ValueError, match="utterance Z is not in tones"):
        stored.get(["Z"], 0)


def test_another_teacher_version_manifest_or_view_never_finds_the_entry(store, counting, manifest, sounds):
    store(num_views=2).prepare()
    newer = counting()
    newer.version = 2
    fewer = Manifest("tones", manifest.label_order, manifest.utterances[:10])
    for teacher, changes in ((counting("b"), {}), (newer, {}), (counting(), {"audio": InMemoryAudio(fewer, sounds)})):
        store(teacher, **changes).prepare()
        assert teacher.calls > 0
    teacher = counting()
    store(teacher, num_views=2, audio=InMemoryAudio(manifest, sounds, ViewSettings(speed_low=0.9))).prepare()
    assert teacher.calls == len(manifest)  # the copies again, the clean view reused


def test_frames_of_each_utterance_keep_their_own_length(store, sounds, counting, manifest):
    store().prepare()
    teacher = counting()
    stored = store(teacher, frames=True)
    for name in ("A-low-0", "B-high-1", "D-high-4"):
        expected = counting().features_and_frames(sounds[name])[1].astype(np.float16)
        np.testing.assert_array_equal(stored.frames([name], 0)[0], expected)
    assert stored.frame_dim == 3 and teacher.calls == len(manifest)  # features alone had been stored
    teacher.frame_rate_hz = None
    with pytest.raises(ValueError, match="counting has no frames"):
        store(teacher, frames=True)


def test_interrupted_computation_continues_and_ends_with_the_same_numbers(store, counting, manifest, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    teacher = counting()
    teacher.stop_after = 36
    with pytest.raises(KeyboardInterrupt):
        store(teacher, frames=True).prepare()
    assert not list(tmp_path.rglob("*.features.npy"))
    teacher = counting()
    broken, whole = store(teacher, frames=True), store(folder="whole", frames=True)
    np.testing.assert_array_equal(broken.view(0), whole.view(0))
    for one, other in zip(broken.frames(manifest.ids, 0), whole.frames(manifest.ids, 0)):
        np.testing.assert_array_equal(one, other)
    assert teacher.calls == 8 and "interrupted run" in caplog.text  # whole chunks of 16
    assert not list(tmp_path.rglob("*.npz")) and not list(tmp_path.rglob("*.part*"))


@pytest.mark.parametrize("what", ["chunk", "whole"])
def test_full_disk_is_one_sentence_and_leaves_nothing_broken(what, store, tmp_path, monkeypatch, counting):
    write_bytes = Path.write_bytes

    def full(path, data):
        write_bytes(path, bytes(data)[:50])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if what == "chunk":
            patch.setattr(Path, "write_bytes", full)
        else:
            patch.setattr(np.lib.format, "write_array_header_1_0", lambda file, _: full(Path(file.name), b"x" * 80))
        with pytest.raises(OSError, match="no space left"):
            store().prepare()
    assert not list(tmp_path.rglob("*.features.npy")) and not list(tmp_path.rglob("*.part.*"))
    teacher = counting()
    store(teacher).prepare()
    assert teacher.calls == (40 if what == "chunk" else 0)  # what was computed before the disk was full is kept


@pytest.mark.parametrize("damage", ["torn", "other rows", "no list"])
def test_damaged_entry_is_computed_again_with_a_warning(damage, store, tmp_path, caplog):
    rows = store().view(0).copy()
    (path,) = tmp_path.rglob("*.features.npy")
    if damage == "torn":
        path.write_bytes(path.read_bytes()[:-10])
    elif damage == "other rows":
        np.save(path, rows[:-1])
    else:
        next(tmp_path.rglob("*view0.json")).write_text('{"ids": []}')
    np.testing.assert_array_equal(store().view(0), rows)
    assert "cannot be used" in caplog.text


def test_numbers_that_are_not_finite_name_teacher_and_utterance(store, manifest, sounds):
    broken = InMemoryAudio(manifest, {**sounds, "B-low-0": np.full(4000, np.nan, dtype=np.float32)})
    with pytest.raises(ValueError, match="counting .*B-low-0"):
        store(audio=broken).prepare()


def test_two_processes_compute_once(store, counting, monkeypatch):
    # The other process finishes while this one waits for the lock: seen from here, the entry appears then.
    @contextmanager
    def other_finishes(path):
        monkeypatch.undo()
        store().prepare()
        yield

    monkeypatch.setattr(array_store, "FileLock", other_finishes)
    teacher = counting()
    store(teacher).prepare()
    assert teacher.calls == 0
