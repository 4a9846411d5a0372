"""WA, UA and macro-F1 of predicted labels, per utterance and never per segment.

``truth`` and ``prediction`` hold one label of any type per utterance, [N]. Each function raises ValueError if there is
no utterance or the two differ in length.
"""

import numpy as np
from numpy.typing import ArrayLike
from sklearn import metrics as sklearn_metrics


def wa(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Weighted accuracy, the share of utterances with the correct label: (1 / N) * sum_n [prediction_n = truth_n].

    Example
    -------
    >>> wa(["ang", "ang", "ang", "sad"], ["ang", "ang", "sad", "sad"])  # 3 of 4
    0.75
    """
    return float(sklearn_metrics.accuracy_score(*_checked(truth, prediction)))


def ua(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Unweighted accuracy, also UAR: mean recall over the classes that occur in the truth.

    ua = (1 / C') * sum_c hits_c / N_c   over the C' classes with N_c > 0

    A class absent from the truth has no recall and is left out; predicting it is a miss of the true class.

    Source: Schuller, Steidl & Batliner 2009 (the INTERSPEECH emotion challenge), there "unweighted average recall".

    Example
    -------
    >>> ua(["ang", "ang", "ang", "ang", "sad"], ["ang", "ang", "ang", "hap", "sad"])  # (3/4 + 1/1) / 2
    0.875
    """
    truth, prediction = _checked(truth, prediction)
    present = np.unique(truth)
    return float(sklearn_metrics.recall_score(truth, prediction, labels=present, average="macro", zero_division=0.0))


def macro_f1(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Mean F1 over the classes that occur in the truth; a class that is never predicted counts 0.

    macro_f1 = (1 / C') * sum_c 2 hits_c / (N_c + P_c),   P_c = times that class c was predicted

    Example
    -------
    >>> macro_f1(["ang", "ang", "ang", "sad"], ["ang", "ang", "sad", "sad"])  # (4/5 + 2/3) / 2
    0.7333333333333334
    """
    truth, prediction = _checked(truth, prediction)
    present = np.unique(truth)
    return float(sklearn_metrics.f1_score(truth, prediction, labels=present, average="macro", zero_division=0.0))


def confusion_matrix(truth: ArrayLike, prediction: ArrayLike, label_order: list[str]) -> np.ndarray:
    """Counts of every pair of true (row) and predicted (column) label: [C, C] in ``label_order``.

    Example
    -------
    >>> confusion_matrix(["ang", "ang", "sad"], ["ang", "sad", "sad"], ["ang", "sad"])
    array([[1, 1],
           [0, 1]])
    """
    truth, prediction = _checked(truth, prediction)
    unknown = sorted(set(truth.tolist() + prediction.tolist()) - set(label_order))
    if unknown:
        raise ValueError(
            f"label '{unknown[0]}' is not in label_order [{', '.join(map(str, label_order))}]; "
            "use the corpus's own order."
        )
    return sklearn_metrics.confusion_matrix(truth, prediction, labels=list(label_order))


def class_recalls(confusion: ArrayLike) -> np.ndarray:
    """Recall of each class from a confusion matrix: [C, C] -> [C]; NaN for a class that the truth does not hold.

    Example
    -------
    >>> class_recalls([[3, 1], [0, 0]])
    array([0.75,  nan])
    """
    confusion = np.asarray(confusion, dtype=float)
    totals = confusion.sum(axis=1)
    return np.divide(np.diag(confusion), totals, out=np.full(len(totals), np.nan), where=totals > 0)


def agreement(prediction: ArrayLike, other_prediction: ArrayLike) -> float:
    """Share of utterances, in the same order, for which two systems predict the same label.

    Example
    -------
    >>> agreement(["ang", "sad"], ["ang", "hap"])
    0.5
    """
    return wa(prediction, other_prediction)


def _checked(truth: ArrayLike, prediction: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    if truth.shape != prediction.shape or truth.ndim != 1:
        raise ValueError(
            f"truth and prediction must hold one label per utterance each, got shapes {list(truth.shape)} "
            f"and {list(prediction.shape)}."
        )
    if len(truth) == 0:
        raise ValueError("there is no utterance to score; give at least one.")
    return truth, prediction
