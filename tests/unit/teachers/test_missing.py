"""Teachers that do not read audio, and utterances of which they have nothing to read."""

import dataclasses
import logging

import numpy as np
import pytest
import torch
from in_memory import InMemoryAudio

from akd_toolkit.data.manifest import Manifest
from akd_toolkit.registry import TEACHERS
from akd_toolkit.teachers.bank import TeacherBank, transfer_fold
from akd_toolkit.teachers.base import Teacher
from akd_toolkit.teachers.store import FeatureStore, is_missing

GROUPS = [["A"], ["B"], ["C"], ["D"]]


class Counts(Teacher):
    """Letters and words of a transcript; nothing of one that holds only digits."""

    name, title, num_layers, modality, feature_dim = "letters", "letters", 1, "text", 2
    version = 1

    def __init__(self):
        self.read = []

    def features(self, transcript):
        self.read.append(transcript)
        return None if transcript.isdigit() else np.array([[len(transcript), transcript.count(" ")]], np.float32)


@pytest.fixture
def letters(monkeypatch):
    monkeypatch.setitem(TEACHERS._plugins, "letters", Counts)


@pytest.fixture
def spoken(manifest):
    """Transcripts that tell the classes apart; speaker A's first has none, D's second one of digits."""
    low = [row.emotion == "low" for row in manifest]
    words = ["no " * (1 + n % 3) if is_low else "wonderful " * (2 + n % 3) for n, is_low in enumerate(low)]
    words[0], words[31] = "", "12"
    rows = [dataclasses.replace(row, transcript=text) for row, text in zip(manifest, words)]
    return dataclasses.replace(manifest, utterances=tuple(rows))


def test_a_store_reads_the_transcript_once_for_all_views_and_counts_what_is_missing(tmp_path, spoken, sounds, caplog):
    teacher = Counts()
    store = FeatureStore(tmp_path, InMemoryAudio(spoken, sounds), teacher, num_views=3, progress=False)
    with caplog.at_level(logging.INFO):
        store.prepare()
    assert len(teacher.read) == len(spoken) - 1
    assert [line for line in caplog.messages if "letters has no output for 2 of 40" in line]
    features = store.view(2)
    assert np.flatnonzero(is_missing(features)).tolist() == [0, 31] and np.isnan(features[0]).all()
    np.testing.assert_array_equal(features, store.view(0))
    assert features[1].tolist() == [[len(spoken.utterances[1].transcript.strip()), 1.0]]


def test_other_transcripts_never_find_the_entry_and_do_not_change_the_manifests_hash(tmp_path, spoken, sounds):
    row = dataclasses.replace(spoken.utterances[1], transcript="another")
    other = dataclasses.replace(spoken, utterances=(spoken.utterances[0], row, *spoken.utterances[2:]))
    stores = [FeatureStore(tmp_path, InMemoryAudio(m, sounds), Counts(), progress=False) for m in (spoken, other)]
    assert spoken.hash == other.hash and stores[0].folder != stores[1].folder


def test_heads_are_fitted_on_what_is_present_and_the_others_are_masked(tmp_path, letters, spoken, sounds, manifest):
    specs = {"letters": {"name": "letters"}, "log-mel": {"name": "logmel_statistics"}}
    audio = InMemoryAudio(spoken, sounds)
    fold = TeacherBank(specs, audio, tmp_path / "a", num_views=2, progress=False).fold(["A", "B", "C"], GROUPS)
    out = fold.lookup(spoken.ids, 1)
    assert out.present.tolist() == [[index not in (0, 31) for index in range(40)], [True] * 40]
    assert all(part.isfinite().all() for part in (out.logits, *out.embedding))
    assert fold.lookup([spoken.ids[1]]).present is None
    fewer = Manifest("tones", spoken.label_order, spoken.utterances[1:31] + spoken.utterances[32:])
    bank = TeacherBank(specs, InMemoryAudio(fewer, sounds), tmp_path / "b", num_views=2, progress=False)
    alone = bank.fold(["A", "B", "C"], GROUPS).lookup(fewer.ids, 1)
    rows = [index for index in range(40) if index not in (0, 31)]
    torch.testing.assert_close(out.logits[0, rows], alone.logits[0])


def test_unlabelled_speech_without_any_transcript_is_masked_and_a_corpus_without_one_refused(
    tmp_path, letters, spoken, sounds, manifest
):
    specs = {"letters": {"name": "letters"}}
    audio = InMemoryAudio(spoken, sounds)
    fold = TeacherBank(specs, audio, tmp_path, progress=False).fold(["A", "B", "C"], GROUPS)
    silent = TeacherBank(specs, InMemoryAudio(manifest, sounds), tmp_path, progress=False)
    assert not transfer_fold(fold, silent, manifest).lookup(manifest.ids).present.any()
    with pytest.raises(ValueError, match="letters has no output"):
        silent.fold(["A", "B", "C"], GROUPS)


def test_a_manifest_keeps_videos_and_transcripts_and_has_no_such_columns_without(tmp_path, spoken, manifest):
    row = dataclasses.replace(spoken.utterances[1], video="/videos/a.mp4", attributes={"valence": 0.5})
    filled = dataclasses.replace(spoken, utterances=(*spoken.utterances[:1], row, *spoken.utterances[2:]))
    filled.write(tmp_path / "manifest.csv")
    assert Manifest.read(tmp_path / "manifest.csv").utterances == filled.utterances
    manifest.write(tmp_path / "plain.csv")
    assert (tmp_path / "plain.csv").read_text().splitlines()[0].endswith("text,sha256")
    with pytest.raises(ValueError, match="transcript"):
        bad = dataclasses.replace(row, attributes={"transcript": 1.0})
        Manifest("tones", spoken.label_order, (bad,))
