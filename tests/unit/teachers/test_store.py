"""Features are computed once, whatever happens while they are."""

import errno
import logging
from pathlib import Path

import numpy as np
import pytest
from in_memory import InMemoryAudio

from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.views import ViewSettings
from akd_toolkit.registry import TEACHERS
from akd_toolkit.teachers.store import FeatureStore


@pytest.fixture
def store(tmp_path, audio, counting):
    def make(teacher=None, **options):
        options = {"audio": audio, "progress": False, **options}
        return FeatureStore(tmp_path / "store", teacher=teacher or counting(), **options)

    return make


def test_rows_are_the_teachers_features_in_the_order_asked_for(store, manifest, sounds, counting):
    ids = ["C-high-1", "A-low-0"]
    expected = np.stack([counting().features(sounds[name]) for name in ids])
    np.testing.assert_array_equal(store().get(ids, 0), expected)
    assert store().view(0).shape == (len(manifest), 2, 2) and store().view(0).dtype == np.float32


def test_second_store_computes_nothing_and_says_so(store, counting, caplog):
    caplog.set_level(logging.DEBUG)
    store().prepare()
    again = counting()
    again.stop_after = 0
    store(again).prepare()
    assert "computed 40 utterances in" in caplog.text and "reused 40 utterances" in caplog.text


def test_features_are_read_through_a_memory_map_that_cannot_be_written(store):
    rows = store().view(0)
    assert isinstance(rows.base, np.memmap) and not rows.flags.writeable


def test_another_teacher_manifest_or_view_never_finds_the_entry(store, counting, manifest, sounds):
    store(num_views=2).prepare()
    fewer = Manifest("tones", manifest.label_order, manifest.utterances[:10])
    for teacher, changes in ((counting("b"), {}), (counting(), {"audio": InMemoryAudio(fewer, sounds)})):
        store(teacher, **changes).prepare()
        assert teacher.asked > 0
    teacher = counting()
    other = InMemoryAudio(manifest, sounds, ViewSettings(speed_low=0.9))
    store(teacher, num_views=2, audio=other).prepare()
    assert teacher.asked == len(manifest)  # the copies again, the clean view reused


def test_views_are_those_that_the_student_is_trained_on(store, audio, counting):
    kept = store(num_views=3)
    expected = counting().features(audio.waveform("A-low-1", 2))
    np.testing.assert_array_equal(kept.get(["A-low-1"], 2)[0], expected)
    with pytest.raises(ValueError, match="view must be 0 to 2, got 3"):
        kept.view(3)


def test_frames_of_each_utterance_keep_their_own_length(store, sounds, counting):
    kept = store(frames=True)
    for name in ("A-low-0", "B-high-1", "D-high-4"):
        expected = counting().features_and_frames(sounds[name])[1].astype(np.float16)
        np.testing.assert_array_equal(kept.frames([name], 0)[0], expected)
    assert kept.frame_dim == 3


def test_frames_are_computed_where_only_features_were_stored(store, counting, manifest):
    store().prepare()
    teacher = counting()
    store(teacher, frames=True).prepare()
    assert teacher.asked == len(manifest)


def test_interrupted_computation_leaves_no_view_and_continues(store, counting, manifest, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    teacher = counting()
    teacher.stop_after = 36
    with pytest.raises(KeyboardInterrupt):
        store(teacher).prepare()
    assert not list(tmp_path.rglob("*.features.npy"))
    teacher = counting()
    store(teacher).prepare()
    assert teacher.asked == 8 and "32 were there from an interrupted run" in caplog.text  # whole chunks of 16
    assert not list(tmp_path.rglob("*.npz")) and not list(tmp_path.rglob("*.part*"))


def test_interrupted_computation_ends_with_the_numbers_of_an_unbroken_one(tmp_path, manifest, audio, counting):
    def kept(folder, teacher):
        return FeatureStore(tmp_path / folder, audio, teacher, progress=False, frames=True)

    teacher = counting()
    teacher.stop_after = 20
    with pytest.raises(KeyboardInterrupt):
        kept("broken", teacher).prepare()
    broken, whole = kept("broken", counting()), kept("whole", counting())
    np.testing.assert_array_equal(broken.view(0), whole.view(0))
    for one, other in zip(broken.frames(manifest.ids, 0), whole.frames(manifest.ids, 0)):
        np.testing.assert_array_equal(one, other)


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
            patch.setattr(
                np.lib.format, "write_array_header_1_0", lambda file, header: full(Path(file.name), b"x" * 80)
            )
        with pytest.raises(OSError, match=r"no space left to write .* run again"):
            store().prepare()
    assert not list(tmp_path.rglob("*.features.npy")) and not list(tmp_path.rglob("*.part.*"))
    teacher = counting()
    store(teacher).prepare()
    assert teacher.asked == (40 if what == "chunk" else 0)  # what had been computed before the disk was full is kept


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
    with pytest.raises(ValueError, match=r"teacher counting gives numbers that are not finite for utterance B-low-0"):
        store(audio=broken).prepare()


def test_unknown_utterance_is_refused(store):
    with pytest.raises(ValueError, match="utterance Z is not in tones"):
        store().get(["Z"], 0)


def test_frames_of_a_teacher_without_frames_are_refused(store, counting):
    teacher = counting()
    teacher.frame_rate_hz = None
    with pytest.raises(ValueError, match="teacher counting has no frames"):
        store(teacher, frames=True)


def test_two_processes_compute_once(store, counting, monkeypatch):
    # The other process finishes while this one waits for the lock: seen from here, the entry appears then.
    from contextlib import contextmanager

    from akd_toolkit.data import array_store as module

    @contextmanager
    def other_finishes(path):
        monkeypatch.undo()
        store().prepare()
        yield

    monkeypatch.setattr(module, "FileLock", other_finishes)
    teacher = counting()
    store(teacher).prepare()
    assert teacher.asked == 0


def test_two_workers_compute_the_numbers_of_one(tmp_path, audio, manifest):
    def made(folder, jobs):
        teacher = TEACHERS.build("logmel_statistics", num_mels=8)
        store = FeatureStore(tmp_path / folder, audio, teacher, num_views=2, progress=False)
        store.prepare(jobs=jobs)
        return store

    one, two = made("one", 1), made("two", 2)
    for view in (0, 1):
        np.testing.assert_array_equal(one.view(view), two.view(view))
