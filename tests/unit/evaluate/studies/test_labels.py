import numpy as np
import pytest

from akd_toolkit.evaluate.studies.evaluate_saved import COMMON_LABELS, SharedLabels, read_label_map

EMODB = ("anger", "boredom", "disgust", "fear", "happiness", "sadness", "neutral")
RAVDESS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
IEMOCAP = ("ang", "hap", "neu", "sad")
CREMA_D = ("anger", "disgust", "fear", "happy", "neutral", "sad")


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
