"""Which emotions of two corpora are the same."""

import numpy as np
import pytest

from akd_toolkit.evaluate.studies.labels import COMMON_LABELS, common_name, read_label_map, shared_labels, to_shared

EMODB = ("anger", "boredom", "disgust", "fear", "happiness", "sadness", "neutral")
RAVDESS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
IEMOCAP = ("ang", "hap", "neu", "sad")
CREMA_D = ("anger", "disgust", "fear", "happy", "neutral", "sad")


@pytest.mark.parametrize(
    ("mine", "other", "shared"),
    [
        (EMODB, RAVDESS, ["anger", "disgust", "fear", "happiness", "sadness", "neutral"]),
        (RAVDESS, EMODB, ["neutral", "happiness", "sadness", "anger", "fear", "disgust"]),
        (EMODB, IEMOCAP, ["anger", "happiness", "sadness", "neutral"]),
        (CREMA_D, RAVDESS, ["anger", "disgust", "fear", "happiness", "neutral", "sadness"]),
    ],
)
def test_the_built_in_map_knows_the_four_corpora(mine, other, shared):
    assert shared_labels(mine, other, COMMON_LABELS) == shared


def test_posteriors_of_the_shared_classes_are_made_to_sum_to_one():
    probs = np.array([[0.2, 0.5, 0.0, 0.0, 0.1, 0.0, 0.2], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    found = to_shared(probs, EMODB, ["anger", "happiness", "sadness", "neutral"], COMMON_LABELS)
    np.testing.assert_allclose(found[0], [0.4, 0.2, 0.0, 0.4], atol=1e-12)
    np.testing.assert_allclose(found[1], [0.25] * 4)  # it believed in boredom alone


def test_two_labels_of_one_name_are_added():
    names = {**COMMON_LABELS, "calm": "neutral"}
    probs = np.array([[0.1, 0.2, 0.3, 0.4, 0.0, 0.0, 0.0, 0.0]])
    np.testing.assert_allclose(to_shared(probs, RAVDESS, ["neutral", "sadness"], names), [[0.3 / 0.7, 0.4 / 0.7]])


def test_a_file_changes_and_removes_labels(tmp_path):
    path = tmp_path / "map.yaml"
    path.write_text("calm: neutral\nfear: null\nWut: anger\n")
    names = read_label_map(path)
    assert common_name("calm", names) == "neutral" and common_name("Wut", names) == "anger"
    assert common_name("fear", names) is None and common_name("fearful", names) == "fear"
    assert "fear" not in shared_labels(EMODB, RAVDESS, names)


@pytest.mark.parametrize("text", ["- a\n", "anger: [a]\n", "anger: ''\n", "3: anger\n", "a: {b\n"])
def test_a_file_that_is_no_map_is_refused(tmp_path, text):
    path = tmp_path / "map.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"map\.yaml (must hold lines of|cannot be read as YAML)"):
        read_label_map(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no map of labels .*none\.yaml"):
        read_label_map(tmp_path / "none.yaml")


def test_corpora_that_share_one_class_are_refused():
    with pytest.raises(ValueError, match=r"\[anger, boredom\] and \[ang, calm\] share anger; at least two"):
        shared_labels(["anger", "boredom"], ["ang", "calm"], COMMON_LABELS)
