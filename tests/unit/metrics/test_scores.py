import numpy as np
import pytest

from akd_toolkit.metrics import agreement, class_recalls, confusion_matrix, macro_f1, ua, wa

TRUTH = ["ang", "ang", "ang", "ang", "sad", "sad", "neu"]
PREDICTED = ["ang", "ang", "ang", "sad", "sad", "ang", "hap"]


def test_a_class_absent_from_the_truth_is_left_out_of_ua_even_if_it_is_predicted():
    assert ua(["ang", "sad"], ["ang", "hap"]) == 0.5


def test_confusion_follows_label_order_with_the_truth_in_rows():
    counts = confusion_matrix(TRUTH, PREDICTED, ["sad", "ang", "hap", "neu"])
    assert counts.tolist() == [[1, 1, 0, 0], [1, 3, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]]
    assert class_recalls(counts) == pytest.approx([0.5, 0.75, np.nan, 0.0], nan_ok=True)


def test_agreement_ignores_the_truth():
    assert agreement(["ang", "ang", "sad"], ["ang", "sad", "sad"]) == pytest.approx(2 / 3)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="hap"):
        confusion_matrix(TRUTH, PREDICTED, ["ang", "sad", "neu"])
    for score in (wa, ua, macro_f1):
        with pytest.raises(ValueError, match="no utterance"):
            score([], [])
        with pytest.raises(ValueError, match="shapes"):
            score(["ang"], ["ang", "sad"])
