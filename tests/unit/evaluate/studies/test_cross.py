"""Students of one corpus on another, and whether they were trained on it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from akd_toolkit.data.manifest import Manifest
from akd_toolkit.evaluate.studies import cross_study
from akd_toolkit.evaluate.studies.evaluate_saved import COMMON_LABELS, SharedLabels, read_label_map
from akd_toolkit.experiment.scores_file import read_scores
from akd_toolkit.metrics.scores import ua

EMODB = ("anger", "boredom", "disgust", "fear", "happiness", "sadness", "neutral")
RAVDESS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
IEMOCAP = ("ang", "hap", "neu", "sad")
CREMA_D = ("anger", "disgust", "fear", "happy", "neutral", "sad")


@pytest.fixture
def other(tmp_path, make_corpus):
    """A corpus of other speakers with other names for two classes and one class of its own."""
    return make_corpus(tmp_path / "else", "Else", ("neu", "calm", "ang"), speakers=("x", "y", "z"), seed=9)


def table_of(path):
    return pd.read_csv(path.with_name("table.csv")), path.read_text()


def test_every_student_is_scored_on_all_shared_utterances_among_the_shared_classes(experiment, other, tmp_path, naive):
    path = cross_study(experiment, tmp_path / "else")
    assert path == experiment.folder / "studies/cross-Else/table.md"
    (table, page), each = table_of(path), []
    for run in experiment.outer_runs():
        part = read_scores(path.parent / f"seed{run.seed}/fold{run.fold}/all-of-Else.csv", ["anger", "neutral"])
        stored, right = part.set_index("ID")[["p_anger", "p_neutral"]], {"ang": [], "neu": []}
        shared = [row for row in other if row.emotion != "calm"]
        assert sorted(stored.index) == sorted(row.id for row in shared)
        probs = naive(run, shared)
        for row in shared:
            anger, _, neutral = probs[row.id]
            shares = [anger / (anger + neutral), neutral / (anger + neutral)]
            np.testing.assert_allclose(stored.loc[row.id].astype(float), shares, atol=1e-5)
            right[row.emotion].append((anger > neutral) == (row.emotion == "ang"))
        each.append(np.mean([np.mean(found) for found in right.values()]))
    across = table[table["across"]].iloc[0]
    assert across["runs"] == 4 and across["speakers"] == 3 and across["utterances"] == 12
    assert across["ua_mean"] == pytest.approx(np.mean(each)) and across["ua_std"] == pytest.approx(np.std(each, ddof=1))
    assert across["ua_pooled"] == pytest.approx(np.mean(each))  # all students are scored on the same utterances
    assert "toy's boredom and Else's calm left out" in page and "50.0 UA" in page
    assert across["in_training"] == "no"


def test_the_own_corpus_is_scored_on_the_same_classes(experiment, other, tmp_path):
    table, _ = table_of(cross_study(experiment, tmp_path / "else"))
    scores = experiment.scores()
    kept = scores[scores["truth"] != "boredom"]
    predicted = np.where(kept["p_anger"] > kept["p_neutral"], "anger", "neutral")
    each = [ua(kept["truth"][rows], predicted[rows.to_numpy()]) for rows in (kept["seed"] == 17, kept["seed"] == 18)]
    own = table[~table["across"]].iloc[0]
    assert own["ua_pooled"] == pytest.approx(np.mean(each)) and own["utterances"] == 16


def test_the_same_recordings_are_refused(experiment, corpus, tmp_path):
    relabelled = [replace(row, id=f"copy-{row.id}", speaker="q", sex="") for row in corpus][:3]
    Manifest("Copy", corpus.label_order, tuple(relabelled)).write(tmp_path / "copy/manifest.csv")
    with pytest.raises(ValueError, match="3 of 3.*copy-f1-anger-0"):
        cross_study(experiment, tmp_path / "copy")


@pytest.mark.parametrize("overlap, verdict", [(7, "yes"), (0, "no")])
def test_the_table_says_whether_the_corpus_was_in_training_without_labels(
    tmp_path, make_experiment, make_corpus, other, overlap, verdict
):
    third = make_corpus(tmp_path / "third", "third", ("unlabelled",), seed=5)
    rows = (*(replace(row, emotion="unlabelled") for row in other.utterances[:overlap]), *third)
    mixed = Manifest("mixed", ("unlabelled",), rows)
    mixed.write(tmp_path / "results/store/mixed/manifest.csv")
    found = make_experiment("with", settings={"unlabelled_hash": {"mixed": mixed.hash}})
    table, page = table_of(cross_study(found, tmp_path / "else"))
    assert table["in_training"].tolist()[1] == verdict
    assert ("**5 of these 12 recordings of Else" in page) == (verdict == "yes")  # two of the seven are calm


def test_without_the_manifest_of_unlabelled_speech_the_verdict_is_open(tmp_path, make_experiment, make_corpus, other):
    third = make_corpus(tmp_path / "third", "third", ("unlabelled",), seed=5)
    found = make_experiment("with", settings={"unlabelled_hash": {"third": third.hash}})
    assert table_of(cross_study(found, tmp_path / "else"))[0]["in_training"].tolist()[1] == "unknown"
    table, _ = table_of(cross_study(found, tmp_path / "else", unlabelled=tmp_path / "third/manifest.csv"))
    assert table["in_training"].tolist()[1] == "no"
    with pytest.raises(ValueError, match="unlabelled"):
        cross_study(found, tmp_path / "else", unlabelled=tmp_path / "else/manifest.csv")


def test_a_folder_without_a_corpus_is_refused(experiment, tmp_path):
    with pytest.raises(FileNotFoundError, match="manifest.csv"):
        cross_study(experiment, tmp_path)


@pytest.mark.parametrize(
    "own, other, shared",
    [
        (EMODB, RAVDESS, ("anger", "disgust", "fear", "happiness", "sadness", "neutral")),
        (RAVDESS, EMODB, ("neutral", "happiness", "sadness", "anger", "fear", "disgust")),
        (EMODB, IEMOCAP, ("anger", "happiness", "sadness", "neutral")),
        (CREMA_D, RAVDESS, ("anger", "disgust", "fear", "happiness", "neutral", "sadness")),
    ],
)
def test_the_built_in_map_covers_the_four_corpora(own, other, shared):
    assert SharedLabels.of(own, other, COMMON_LABELS).shared == shared


def test_posteriors_of_the_shared_classes_sum_to_one():
    probs = np.array([[0.2, 0.5, 0.0, 0.0, 0.1, 0.0, 0.2], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    found = SharedLabels.of(EMODB, IEMOCAP, COMMON_LABELS).posteriors(probs)
    np.testing.assert_allclose(found[0], [0.4, 0.2, 0.0, 0.4], atol=1e-12)
    np.testing.assert_allclose(found[1], [0.25] * 4)  # nothing but boredom was predicted


def test_a_file_renames_and_removes_labels(tmp_path):
    path = tmp_path / "map.yaml"
    path.write_text("calm: neutral\nfearful: null\nWut: anger\n")
    labels = SharedLabels.of(RAVDESS, ["Wut", "fear", "neu"], read_label_map(path))
    assert labels.shared == ("neutral", "anger")
    probs = np.array([[0.1, 0.2, 0.3, 0.0, 0.4, 0.0, 0.0, 0.0]])
    np.testing.assert_allclose(labels.posteriors(probs), [[0.3 / 0.7, 0.4 / 0.7]])


@pytest.mark.parametrize("text", ["- a\n", "anger: [a]\n", "anger: ''\n", "3: anger\n", "a: {b\n"])
def test_a_file_that_is_not_a_map_is_refused(tmp_path, text):
    path = tmp_path / "map.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match="map.yaml"):
        read_label_map(path)
    with pytest.raises(FileNotFoundError, match="none.yaml"):
        read_label_map(tmp_path / "none.yaml")


def test_corpora_that_share_one_class_are_refused():
    with pytest.raises(ValueError, match="share anger"):
        SharedLabels.of(["anger", "boredom"], ["ang", "calm"], COMMON_LABELS)
