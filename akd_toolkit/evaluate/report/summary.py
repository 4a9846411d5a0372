"""All scores of one system from its per-utterance scores, and the comparison of two systems.

With several seeds every score is the mean over seeds; deviations over folds are of the seed-averaged fold scores.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from akd_toolkit.experiment.scores_file import attributes_in, check_scores, label_order_of
from akd_toolkit.metrics import scores as measures
from akd_toolkit.metrics import significance
from akd_toolkit.metrics.calibration import expected_calibration_error
from akd_toolkit.metrics.concordance import ccc, ccc_interval
from akd_toolkit.metrics.intervals import paired_speaker_interval, speaker_counts, speaker_interval


def summarise(scores: pd.DataFrame, label_order: Sequence[str]) -> dict:
    """Every score of one system under the protocol; shares in [0, 1].

    Per fold f and seed r the score s[r, f] is taken over the fold's test utterances:

    * ``wa_mean``, ``ua_mean``: mean over folds of m[f] = mean over seeds of s[r, f];
    * ``wa_std``, ``ua_std``: standard deviation of m[f] over the folds (n - 1; 0 for one fold);
    * ``wa_pooled``, ``ua_pooled``, ``macro_f1``, ``ece``: all outer tests together, then mean over seeds;
    * ``ua_of_seeds``, ``ua_seed_std``: the pooled UA of each seed, and its deviation (n - 1; 0 for one seed);
    * ``wa_low`` ... ``ua_high``: 95 % interval of the pooled score over speakers;
    * ``folds``, ``seeds``, ``speakers``, ``utterances``: counts;
    * ``fold_table``, ``speaker_table`` (with a column ``recall LABEL`` of each class), ``class_table``, ``confusion``
      ([C, C], rows are the truth): means over seeds; ``attribute_table``: CCC of each dimensional label.

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
    pooled = _scored(scores, ["seed"])
    means = {"utterances": "first", "wa": "mean", "ua": "mean"}
    folds = _scored(scores, ["fold", "seed"]).groupby("fold", as_index=False).agg({"speakers": "first", **means})
    speakers = _scored(scores, ["speaker", "fold", "seed"])
    speakers = speakers.groupby("speaker", as_index=False).agg({"fold": "first", **means})
    recalls = [measures.class_recalls(_confusion(run, label_order)) for _, run in scores.groupby("speaker")]
    confusion = _confusion(scores, label_order) / len(pooled)
    of_classes = {"label": label_order, "utterances": confusion.sum(axis=1).round().astype(int)}
    summary = {name: float(pooled[name].mean()) for name in ("macro_f1", "ece")}
    hits, totals = table_counts(utterance_table(scores, label_order), label_order)
    for score in ("wa", "ua"):
        interval = speaker_interval(hits, totals, score)
        summary |= {f"{score}_mean": float(folds[score].mean()), f"{score}_std": deviation(folds[score])}
        summary |= {f"{score}_pooled": float(pooled[score].mean())}
        summary |= {f"{score}_low": interval.low, f"{score}_high": interval.high}
    return {
        **summary,
        "ua_of_seeds": pooled["ua"].tolist(),
        "ua_seed_std": deviation(pooled["ua"]),
        "folds": len(folds),
        "seeds": len(pooled),
        "speakers": len(speakers),
        "utterances": scores["ID"].nunique(),
        "fold_table": folds,
        "speaker_table": speakers.join(pd.DataFrame(recalls, columns=label_order).add_prefix("recall ")),
        "class_table": pd.DataFrame({**of_classes, "recall": measures.class_recalls(confusion)}),
        "confusion": confusion,
        "attribute_table": _attribute_table(scores),
    }


def compare(a: pd.DataFrame, b: pd.DataFrame) -> dict:
    """The difference between system ``a`` and system ``b`` on the same utterances, with its tests.

    Correctness is averaged over the seeds of each system first. Differences lie in [-1, 1]:

    * ``ua_difference``, ``ua_low``, ``ua_high``: pooled UA of ``a`` minus that of ``b``, with its 95 % paired interval
      over speakers; ``ua_p``: permutation test by speaker; the same for ``wa``;
    * ``mcnemar_p``: by utterance; the sign test for several seeds;
    * ``ua_by_seed``: seed -> difference of pooled UA; empty where the two have different seeds;
    * ``speakers``, ``utterances``: counts.

    ValueError if labels, utterances, speakers or truths differ.

    Example
    -------
    >>> from akd_toolkit.experiment.scores_file import make_scores
    >>> who = ["a", "b", "c", "d"], ["03", "03", "08", "08"], ["ang", "sad", "ang", "sad"]
    >>> perfect = make_scores(*who, np.eye(2)[[0, 1, 0, 1]], ["ang", "sad"], fold=0, seed=1)
    >>> constant = make_scores(*who, np.eye(2)[[0, 0, 0, 0]], ["ang", "sad"], fold=0, seed=1)
    >>> ahead = compare(perfect, constant)
    >>> ahead["ua_difference"], ahead["ua_low"], ahead["ua_p"]  # two speakers: 2 of 4 sign patterns
    (0.5, 0.5, 0.5)
    """
    label_order = label_order_of(a)
    right_a, right_b = utterance_table(a, label_order), utterance_table(b, label_order)
    lonely = right_a.index.symmetric_difference(right_b.index)
    if len(lonely):
        raise ValueError(
            f"utterance {lonely[0]} was scored by only one of the two systems ({len(lonely)} in total); run both on "
            "the same folds."
        )
    right_b = right_b.loc[right_a.index]
    for name in ("speaker", "truth"):
        differs = right_a.index[right_a[name] != right_b[name]]
        if len(differs):
            raise ValueError(
                f"the two systems have different values of {name} for utterance {differs[0]}; compare runs on the same "
                "manifest."
            )
    result = {"speakers": right_a["speaker"].nunique(), "utterances": len(right_a)}
    hits_a, totals = table_counts(right_a, label_order)
    hits_b, _ = table_counts(right_b, label_order)
    for score in ("wa", "ua"):
        names = [f"{score}_{part}" for part in ("difference", "low", "high")]
        result |= zip(names, paired_speaker_interval(hits_a, hits_b, totals, score))
        result[f"{score}_p"] = significance.speaker_permutation_test(hits_a, hits_b, totals, score)
    result["mcnemar_p"] = significance.mcnemar_exact(right_a["right"], right_b["right"])
    ua_a, ua_b = by_seed(a, measures.ua), by_seed(b, measures.ua)
    result["ua_by_seed"] = {seed: ua_a[seed] - ua_b[seed] for seed in ua_a} if set(ua_a) == set(ua_b) else {}
    return result


def mean_agreement(a: pd.DataFrame, b: pd.DataFrame) -> float:
    """Share of utterances on which two systems predict the same class, over every pair of their seeds."""
    of_a, of_b = (scores.pivot(index="ID", columns="seed", values="prediction") for scores in (a, b))
    if set(of_a.index) != set(of_b.index):
        raise ValueError("the two systems were not scored on the same utterances; run both on the same folds.")
    of_b = of_b.loc[of_a.index]
    pairs = [measures.agreement(of_a[one].to_numpy(), of_b[two].to_numpy()) for one in of_a for two in of_b]
    return float(np.mean(pairs))


def deviation(values: Sequence[float]) -> float:
    """Standard deviation of a sample (n - 1); 0 for one value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def by_seed(scores: pd.DataFrame, measure: Callable) -> dict[int, float]:
    """Seed -> a score of all of its predictions, such as ``metrics.ua``."""
    return {int(seed): measure(run["truth"], run["prediction"]) for seed, run in scores.groupby("seed")}


def concordances(scores: pd.DataFrame) -> dict[str, float]:
    """Pooled CCC of each attribute of which any truth is known, mean over seeds."""
    runs = [run for _, run in scores.groupby("seed")]
    return {
        name: float(np.mean([ccc(run[f"truth_{name}"], run[f"prediction_{name}"]) for run in runs]))
        for name in attributes_in(scores)
        if scores[f"truth_{name}"].notna().any()
    }


def utterance_table(scores: pd.DataFrame, label_order: list[str]) -> pd.DataFrame:
    """One row per utterance, by ID: speaker, truth, and the share of seeds that were correct (``right``)."""
    check_scores(scores, label_order)
    right = scores.assign(right=(scores["truth"] == scores["prediction"]).astype(float))
    return right.groupby("ID").agg({"speaker": "first", "truth": "first", "right": "mean"})


def table_counts(utterances: pd.DataFrame, label_order: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Correct (mean over seeds) and all utterances of each speaker in each class, from ``utterance_table``."""
    truth = _indices(utterances["truth"], label_order)
    return speaker_counts(utterances["right"], truth, utterances["speaker"], len(label_order))


def probs_and_truth(scores: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [N, C] and class indices of the truth [N]."""
    labels = label_order_of(scores)
    return scores[[f"p_{label}" for label in labels]].to_numpy(dtype=float), _indices(scores["truth"], labels)


def speaker_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """WA and UA of every speaker with 95 % intervals over the speaker's own utterances, taken as independent."""
    labels, rows = label_order_of(scores), []
    for speaker, own in utterance_table(scores, labels).groupby("speaker"):
        totals = np.eye(len(labels))[_indices(own["truth"], labels)]  # [N, C]
        hits = totals * own["right"].to_numpy()[:, None]
        row = {"speaker": speaker, "utterances": len(own)}
        for score in ("wa", "ua"):
            row |= speaker_interval(hits, totals, score).columns(score)
        rows.append(row)
    return pd.DataFrame(rows)


def _indices(labels: pd.Series, label_order: list[str]) -> np.ndarray:
    return pd.Categorical(labels, categories=label_order).codes.astype(int)


def _scored(scores: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """A row for each group of these columns."""
    return pd.DataFrame(
        {
            **dict(zip(keys, key)),
            "speakers": ", ".join(sorted(map(str, run["speaker"].unique()))),
            "utterances": len(run),
            "wa": measures.wa(run["truth"], run["prediction"]),
            "ua": measures.ua(run["truth"], run["prediction"]),
            "macro_f1": measures.macro_f1(run["truth"], run["prediction"]),
            "ece": expected_calibration_error(*probs_and_truth(run)),
        }
        for key, run in scores.groupby(keys)
    )


def _confusion(scores: pd.DataFrame, label_order: list[str]) -> np.ndarray:
    return measures.confusion_matrix(scores["truth"].to_numpy(), scores["prediction"].to_numpy(), label_order)


def _attribute_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Concordance of each attribute over the utterances whose truth is known."""
    rows = []
    for name in concordances(scores):
        known = scores.dropna(subset=[f"truth_{name}"]).sort_values(["seed", "ID"], ignore_index=True)
        folds = [concordances(of_fold)[name] for _, of_fold in known.groupby("fold")]
        runs = [run for _, run in known.groupby("seed")]
        predicted = np.stack([run[f"prediction_{name}"] for run in runs])  # [seeds, N], the same utterances
        interval = ccc_interval(runs[0][f"truth_{name}"], predicted, runs[0]["speaker"])
        rows.append((name, len(runs[0]), float(np.mean(folds)), deviation(folds), *interval))
    columns = ["attribute", "utterances", "ccc_mean", "ccc_std", "ccc_pooled", "ccc_low", "ccc_high"]
    return pd.DataFrame(rows, columns=columns)
