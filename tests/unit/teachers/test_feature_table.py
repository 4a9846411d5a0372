"""Tables of features: rows by ID, gaps refused, missing rows masked."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from in_memory import InMemoryAudio

from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.teachers import TeacherBank
from akd_toolkit.teachers.feature_table import FeatureTable
from akd_toolkit.teachers.provenance import provenance_of

GROUPS = [["A"], ["B"], ["C"], ["D"]]


def row(name, wav="/sound/other.wav"):
    return Utterance(name, wav, 0, 1, 1.0, speaker="A", emotion="joy")


@pytest.fixture
def table(tmp_path):
    def write(text, name="table.csv"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_rows_are_found_by_id_or_by_the_name_of_the_file_and_others_are_missing(table):
    path = table("file,smile,frown\n01,0.5,1\nb,2,3\n")
    by_id = FeatureTable(path, id_column="file")
    assert by_id.features(row("01")).tolist() == [[0.5, 1.0]] and by_id.features(row("1")) is None
    by_stem = FeatureTable(path, id_column="file", match="stem", columns=["frown"])
    assert by_stem.features(row("x", "/corpus/b.flac")).tolist() == [[3.0]] and by_stem.feature_dim == 1
    assert by_id.fingerprint != by_stem.fingerprint


def test_parquet_gives_the_same_numbers(table, tmp_path):
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    path = table("id,a,b\nx,1,2\ny,3,4\n")
    pd.read_csv(path).to_parquet(tmp_path / "table.parquet")
    one, other = FeatureTable(path), FeatureTable(tmp_path / "table.parquet")
    np.testing.assert_array_equal(one.features(row("y")), other.features(row("y")))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("name,a\nx,1\n", "'id'"),
        ("id\nx\n", "of numbers"),
        ("id,a\nx,1\nx,2\n", "several rows of 'x'"),
        ("id,a,word\nx,1,hello\n", "'word'"),
        ("id,a\nx,\ny,1\n", "'x'.*'a'"),
        ("id,a\nx,1\ny,inf\n", "'y'"),
        ("id,a\nx,1,2,3\ny\n,,,,,,\n", "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_a_bad_table_is_refused_in_one_sentence(table, text, key):
    with pytest.raises(ValueError, match=key) as caught:
        FeatureTable(table(text))
    assert "table.csv" in str(caught.value) and "\n" not in str(caught.value)


def test_a_table_that_does_not_exist_and_a_wrong_match_are_refused(table):
    with pytest.raises(FileNotFoundError, match="nothing.csv"):
        FeatureTable("nothing.csv")
    with pytest.raises(ValueError, match="match"):
        FeatureTable(table("id,a\nx,1\n"), match="name")
    assert provenance_of({"name": "feature_table", "source": "faces.csv"}).corpora is None


def test_a_changed_table_is_another_teacher(table):
    before = FeatureTable(table("id,a\nx,1\n")).fingerprint
    after = FeatureTable(table("id,a\nx,1.5\n"))
    assert before != after.fingerprint and after.features(row("x")).tolist() == [[1.5]]


def test_action_units_alone_recognise_ravdess_emotions_on_unseen_actors(shared_folder, tmp_path):
    """About 57 UA is known of a linear classifier on these 35 numbers."""
    labels = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
    source = shared_folder / "data/clips/ravdess_openface_au.csv"
    rows = [
        Utterance(name, "-", 0, 1, 1.0, speaker=name[-2:], emotion=labels[int(name[6:8]) - 1], sha256=name)
        for name in pd.read_csv(source)["id"]
    ]
    gone = dataclasses.replace(rows[0], id="03-01-01-01-01-01-99")  # not in the table
    manifest = Manifest("RAVDESS", labels, (*rows, gone))
    groups = [[f"{actor:02d}" for actor in range(first, min(first + 5, 25))] for first in range(1, 25, 5)]
    bank = TeacherBank(
        {"faces": {"name": "feature_table", "source": str(source)}}, InMemoryAudio(manifest, {}), tmp_path
    )
    recalls = []
    for test in groups[:2]:
        train = [actor for group in groups if group is not test for actor in group]
        scored = manifest.of(test)
        out = bank.fold(train, groups).lookup(scored.ids, embeddings=False)
        present = out.is_present()[0].numpy()
        assert present.sum() == 300
        guess, truth = out.logits[0].argmax(dim=-1).numpy()[present], scored.labels[present]
        recalls += [(guess == truth)[truth == label].mean() for label in range(8)]
    assert 0.5 < np.mean(recalls) < 0.65
