"""What a table says of one system, from its per-utterance scores.

With several seeds every score is the mean over seeds; deviations over folds are of the seed-averaged fold
scores.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from akd_toolkit.experiment.scores_file import attributes_in, check_scores
from akd_toolkit.metrics import intervals
from akd_toolkit.metrics import scores as measures
from akd_toolkit.metrics.calibration import expected_calibration_error
from akd_toolkit.metrics.concordance import ccc, ccc_interval


def summarise(scores: pd.DataFrame, label_order: Sequence[str]) -> dict:
    """Every score of one system under the protocol; shares in [0, 1].

    Per fold f and seed r the score s[r, f] is taken over the fold's test utterances:

    * ``wa_mean``, ``ua_mean``: mean over folds of m[f] = mean over seeds of s[r, f];
    * ``wa_std``, ``ua_std``: standard deviation of m[f] over the folds (n - 1; 0 for one fold);
    * ``wa_pooled``, ``ua_pooled``, ``macro_f1``, ``ece``: all outer tests together, then mean over seeds;
    * ``ua_seed_std``: standard deviation of the pooled UA over seeds (n - 1; 0 for one seed);
    * ``wa_low`` ... ``ua_high``: 95 % interval of the pooled score over speakers;
    * ``folds``, ``seeds``, ``speakers``, ``utterances``: how many;
    * ``fold_table`` (fold, speakers, utterances, wa, ua), ``speaker_table`` (speaker, fold, utterances, wa,
      ua), ``class_table`` (label, utterances, recall), ``speaker_recalls`` (speakers x classes), and
      ``confusion`` (counts [C, C], rows are the truth): means over seeds;
    * ``attribute_table`` (attribute, utterances, ccc_mean, ccc_std, ccc_pooled, ccc_low, ccc_high), the concordance of
      each dimensional label in the same sense; no row where there are none.

    UA takes the classes that occur in the truth of what is scored: a fold or speaker without a class is
    averaged over the classes it has.

    Raises
    ------
    ValueError
        If ``check_scores`` refuses the scores.

    Example
    -------
    >>> from akd_toolkit.experiment.scores_file import make_scores
    >>> probs = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    >>> truth, labels = ["ang", "sad", "sad"], ["ang", "sad"]
    >>> scores = make_scores(["a", "b", "c"], ["03", "03", "08"], truth, probs, labels, fold=0, seed=17)
    >>> summary = summarise(scores, ["ang", "sad"])
    >>> round(summary["wa_pooled"], 4), summary["ua_pooled"]  # 2 of 3; (1/1 + 1/2) / 2
    (0.6667, 0.75)
    """
    label_order = list(label_order)
    check_scores(scores, label_order)
    fold_table = _group_scores(scores, "fold")
    named = scores.groupby("fold")["speaker"].unique().map(lambda names: ", ".join(sorted(map(str, names))))
    fold_table.insert(1, "speakers", fold_table["fold"].map(named))
    speaker_table = _group_scores(scores, "speaker")
    speaker_table.insert(1, "fold", speaker_table["speaker"].map(scores.groupby("speaker")["fold"].first()))
    each_seed = pd.DataFrame([_pooled(run, label_order) for _, run in scores.groupby("seed")])
    confusion = _confusion(scores, label_order) / len(each_seed)
    return {
        **_fold_statistics(fold_table),
        "wa_pooled": float(each_seed["wa"].mean()),
        "ua_pooled": float(each_seed["ua"].mean()),
        "macro_f1": float(each_seed["macro_f1"].mean()),
        "ece": float(each_seed["ece"].mean()),
        "ua_seed_std": deviation(each_seed["ua"]),
        **_intervals(scores, label_order),
        "folds": len(fold_table),
        "seeds": len(each_seed),
        "speakers": len(speaker_table),
        "utterances": scores["ID"].nunique(),
        "fold_table": fold_table,
        "speaker_table": speaker_table,
        "class_table": pd.DataFrame(
            {
                "label": label_order,
                "utterances": confusion.sum(axis=1).round().astype(int),
                "recall": measures.class_recalls(confusion),
            }
        ),
        "confusion": confusion,
        "speaker_recalls": _speaker_recalls(scores, label_order),
        "attribute_table": _attribute_table(scores),
    }


def deviation(values: Sequence[float]) -> float:
    """Standard deviation with n - 1; 0 for one value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def concordances(scores: pd.DataFrame) -> dict[str, float]:
    """Pooled CCC of each attribute of which any truth is known, mean over seeds."""
    known = [name for name in attributes_in(scores) if scores[f"truth_{name}"].notna().any()]
    runs = [run for _, run in scores.groupby("seed")]
    return {
        name: float(np.mean([ccc(run[f"truth_{name}"], run[f"prediction_{name}"]) for run in runs])) for name in known
    }


def utterance_table(scores: pd.DataFrame, label_order: list[str]) -> pd.DataFrame:
    """One row for each utterance, by ID: speaker, truth, and the share of seeds that were right."""
    check_scores(scores, label_order)
    right = scores.assign(right=(scores["truth"] == scores["prediction"]).astype(float))
    return right.groupby("ID").agg({"speaker": "first", "truth": "first", "right": "mean"})


def table_counts(utterances: pd.DataFrame, label_order: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Hits (means over seeds) and utterances of each speaker in each class, from ``utterance_table``."""
    truth = label_indices(utterances["truth"], label_order)
    return intervals.speaker_counts(utterances["right"], truth, utterances["speaker"], len(label_order))


def label_indices(labels: pd.Series, label_order: list[str]) -> np.ndarray:
    """Class index of each label."""
    return pd.Categorical(labels, categories=label_order).codes.astype(int)


def _group_scores(scores: pd.DataFrame, column: str) -> pd.DataFrame:
    """WA and UA of every fold or speaker, mean over seeds."""
    rows = []
    for (name, _), run in scores.groupby([column, "seed"]):
        truth, prediction = run["truth"], run["prediction"]
        scored = measures.wa(truth, prediction), measures.ua(truth, prediction)
        rows.append((name, len(run), *scored))
    each_run = pd.DataFrame(rows, columns=[column, "utterances", "wa", "ua"])
    return each_run.groupby(column, as_index=False).agg({"utterances": "first", "wa": "mean", "ua": "mean"})


def _fold_statistics(fold_table: pd.DataFrame) -> dict[str, float]:
    found = {}
    for score in ("wa", "ua"):
        found[f"{score}_mean"] = float(fold_table[score].mean())
        found[f"{score}_std"] = deviation(fold_table[score])
    return found


def _pooled(run: pd.DataFrame, label_order: list[str]) -> dict[str, float]:
    truth, prediction = run["truth"], run["prediction"]
    probs = run[[f"p_{label}" for label in label_order]].to_numpy(dtype=float)
    return {
        "wa": measures.wa(truth, prediction),
        "ua": measures.ua(truth, prediction),
        "macro_f1": measures.macro_f1(truth, prediction),
        "ece": expected_calibration_error(probs, label_indices(truth, label_order)),
    }


def _intervals(scores: pd.DataFrame, label_order: list[str]) -> dict[str, float]:
    hits, totals = table_counts(utterance_table(scores, label_order), label_order)
    limits = {}
    for score in ("wa", "ua"):
        interval = intervals.speaker_interval(hits, totals, score)
        limits[f"{score}_low"], limits[f"{score}_high"] = interval.low, interval.high
    return limits


def _confusion(scores: pd.DataFrame, label_order: list[str]) -> np.ndarray:
    return measures.confusion_matrix(scores["truth"].to_numpy(), scores["prediction"].to_numpy(), label_order)


def _speaker_recalls(scores: pd.DataFrame, label_order: list[str]) -> pd.DataFrame:
    rows = {speaker: measures.class_recalls(_confusion(run, label_order)) for speaker, run in scores.groupby("speaker")}
    return pd.DataFrame.from_dict(rows, orient="index", columns=label_order).rename_axis("speaker")


def _attribute_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Concordance of each attribute over the utterances whose truth is known."""
    rows = []
    for name in attributes_in(scores):
        known = scores.dropna(subset=[f"truth_{name}"]).sort_values(["seed", "ID"], ignore_index=True)
        if known.empty:
            continue
        folds = [concordances(of_fold)[name] for _, of_fold in known.groupby("fold")]
        runs = [run for _, run in known.groupby("seed")]
        first, told = runs[0], np.stack([run[f"prediction_{name}"] for run in runs])  # of the same utterances
        interval = ccc_interval(first[f"truth_{name}"], told, first["speaker"])
        limits = interval.value, interval.low, interval.high
        rows.append((name, len(first), float(np.mean(folds)), deviation(folds), *limits))
    columns = ["attribute", "utterances", "ccc_mean", "ccc_std", "ccc_pooled", "ccc_low", "ccc_high"]
    return pd.DataFrame(rows, columns=columns)
