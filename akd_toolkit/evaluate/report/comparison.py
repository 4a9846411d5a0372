"""Whether one system is ahead of another on the same utterances, and how often the two agree."""

import numpy as np
import pandas as pd

from akd_toolkit.evaluate.report.summary import table_counts, utterance_table
from akd_toolkit.experiment.scores_file import label_order_of
from akd_toolkit.metrics import intervals, significance
from akd_toolkit.metrics import scores as measures


def compare(a: pd.DataFrame, b: pd.DataFrame) -> dict:
    """By how much system ``a`` is ahead of ``b`` on the same utterances, and whether by more than chance.

    Each utterance's correctness is averaged over the system's seeds, which need not be the same for the two.

    * ``ua_difference``, ``ua_low``, ``ua_high``: pooled UA of ``a`` less that of ``b``, with its 95 %
      paired interval over speakers; ``ua_p``: permutation test by speaker; so for ``wa``;
    * ``mcnemar_p``: by utterance; the sign test where there are several seeds;
    * ``ua_by_seed``: seed -> difference of pooled UA; empty where the two have other seeds;
    * ``speakers``, ``utterances``: how many.

    Differences lie in [-1, 1]. The interval speaks of other speakers; ``ua_by_seed`` shows what seeds do.

    Raises
    ------
    ValueError
        If either is refused by ``check_scores``, or their labels, utterances, speakers or truths differ.

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
    _check_same(right_a, right_b)
    right_b = right_b.loc[right_a.index]
    result = {"speakers": right_a["speaker"].nunique(), "utterances": len(right_a)}
    hits_a, totals = table_counts(right_a, label_order)
    hits_b, _ = table_counts(right_b, label_order)
    for score in ("wa", "ua"):
        interval = intervals.paired_speaker_interval(hits_a, hits_b, totals, score)
        result[f"{score}_difference"] = interval.value
        result[f"{score}_low"], result[f"{score}_high"] = interval.low, interval.high
        result[f"{score}_p"] = significance.speaker_permutation_test(hits_a, hits_b, totals, score)
    result["mcnemar_p"] = significance.mcnemar_exact(right_a["right"], right_b["right"])
    result["ua_by_seed"] = _by_seed(a, b)
    return result


def mean_agreement(a: pd.DataFrame, b: pd.DataFrame) -> float:
    """Share of utterances on which two systems say the same, over every pair of their seeds.

    Raises
    ------
    ValueError
        If the two were not scored on the same utterances.
    """
    said_a, said_b = (scores.pivot(index="ID", columns="seed", values="prediction") for scores in (a, b))
    if set(said_a.index) != set(said_b.index):
        raise ValueError("the two systems were not scored on the same utterances; run both on the same folds.")
    said_b = said_b.loc[said_a.index]
    pairs = [measures.agreement(said_a[one].to_numpy(), said_b[two].to_numpy()) for one in said_a for two in said_b]
    return float(np.mean(pairs))


def _by_seed(a: pd.DataFrame, b: pd.DataFrame) -> dict[int, float]:
    runs_a, runs_b = (dict(list(scores.groupby("seed"))) for scores in (a, b))
    if set(runs_a) != set(runs_b):
        return {}
    ua = {
        seed: [measures.ua(run["truth"], run["prediction"]) for run in (runs_a[seed], runs_b[seed])] for seed in runs_a
    }
    return {int(seed): of_a - of_b for seed, (of_a, of_b) in sorted(ua.items())}


def _check_same(a: pd.DataFrame, b: pd.DataFrame) -> None:
    lonely = a.index.symmetric_difference(b.index)
    if len(lonely):
        raise ValueError(
            f"utterance {lonely[0]} was scored by only one of the two systems ({len(lonely)} such); "
            "run both on the same folds."
        )
    for name in ("speaker", "truth"):
        differs = a[name] != b.loc[a.index, name]
        if differs.any():
            raise ValueError(
                f"the two systems give utterance {a.index[differs][0]} different values of {name}; "
                "compare runs on the same manifest."
            )
