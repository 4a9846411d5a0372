"""scores.csv: one row for each utterance and seed, from which every table can be recomputed without training.

Columns: ID, speaker, fold, seed, truth, prediction, and one probability p_<label> for each class, in label
order. A corpus with dimensional labels adds truth_<attribute> (empty where unknown) and prediction_<attribute>.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from akd_toolkit.data.files import write_text_aside
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.verdicts import counted, some

COLUMNS = ("ID", "speaker", "fold", "seed", "truth", "prediction")
TEXT_COLUMNS = ("ID", "speaker", "truth", "prediction")
ROUNDING = 1e-3  # probabilities may have been written with few digits


def make_scores(
    ids: Sequence[str],
    speakers: Sequence[str],
    truth: Sequence[str],
    probs: np.ndarray,
    label_order: Sequence[str],
    fold: int,
    seed: int,
    attributes: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
) -> pd.DataFrame:
    """Scores of one run on one outer fold; the prediction is the most probable class.

    Shape
    -----
    ids, speakers, truth: [N], truth as labels. probs: [N, C] in ``label_order``. attributes: name -> (truth, NaN where
    unknown, and prediction), [N] each. Returns N rows.

    Raises
    ------
    ValueError
        If the result breaks a promise that ``check_scores`` names.

    Example
    -------
    >>> make_scores(["03a01Wa"], ["03"], ["ang"], np.array([[0.75, 0.25]]), ["ang", "sad"], fold=0, seed=17)
            ID speaker  fold  seed truth prediction  p_ang  p_sad
    0  03a01Wa      03     0    17   ang        ang   0.75   0.25
    """
    probs = np.asarray(probs, dtype=float)
    prediction = [label_order[index] for index in probs.argmax(axis=1)]
    rows = {"ID": list(ids), "speaker": list(speakers), "fold": fold, "seed": seed, "truth": list(truth)}
    columns = {f"p_{label}": probs[:, index] for index, label in enumerate(label_order)}
    for name, (true, predicted) in (attributes or {}).items():
        columns |= {f"truth_{name}": np.asarray(true, float), f"prediction_{name}": np.asarray(predicted, float)}
    scores = pd.DataFrame({**rows, "prediction": prediction, **columns})
    return check_scores(scores, label_order)


def check_scores(scores: pd.DataFrame, label_order: Sequence[str]) -> pd.DataFrame:
    """Return ``scores`` unchanged if any score computed from them can be trusted, and refuse them otherwise.

    Raises
    ------
    ValueError
        If there is no row; a column is missing or of another label order; a value is missing; a label is
        unknown; a probability row is no distribution or its largest is not the prediction; a predicted attribute is
        no finite number; an utterance comes twice in one seed, or not in every seed, or not with the same speaker,
        fold and truth; a speaker is tested in two folds.

    Example
    -------
    >>> scores = make_scores(["a", "b"], ["03", "08"], ["L", "A"], np.eye(2), ["L", "A"], fold=0, seed=1)
    >>> check_scores(scores.assign(truth="sad"), ["L", "A"])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: scores of utterance a (truth 'sad'): its truth is not in label_order [L, A]; use ...
    """
    _check_columns(scores, label_order)
    _check_values(scores, label_order)
    _check_utterances(scores)
    return scores


def label_order_of(scores: pd.DataFrame) -> list[str]:
    """The labels that the probability columns name, in their order."""
    return [name[2:] for name in scores.columns if name.startswith("p_")]


def attributes_in(scores: pd.DataFrame) -> list[str]:
    """The dimensional labels that the columns name, in their order."""
    return [name[len("truth_") :] for name in scores.columns if name.startswith("truth_")]


def read_scores(path: str | Path, label_order: Sequence[str] | None = None) -> pd.DataFrame:
    """Read and check a scores.csv; without ``label_order`` the order of its own columns is taken.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is empty, or as ``check_scores``; the message names the file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no scores file {path}; run the recipe first, or give another path.")
    try:
        return parse_scores(path, label_order)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def parse_scores(path: Path, label_order: Sequence[str] | None = None) -> pd.DataFrame:
    """As ``read_scores``, with messages that leave the naming of the file to the caller."""
    if path.stat().st_size == 0:
        raise ValueError("the file is empty")
    # Speakers such as 03 are names, and a label such as "none" is no missing value: only "" is.
    kinds = dict.fromkeys(TEXT_COLUMNS, str)
    scores = pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values=["", "nan", "NaN"])
    return check_scores(scores, label_order or label_order_of(scores))


def wrong_scores(scores: pd.DataFrame, manifest: Manifest, test_speakers, seed: int | None, fold: int) -> str:
    """What a run's scores hold that they should not, or lack; "" where all is well."""
    expected = {row.id: row for row in manifest.of(test_speakers)}
    ids = scores["ID"].astype(str).tolist()
    strangers = [name for name in ids if name not in expected]
    missing = sorted(set(expected) - set(ids))
    twice = sorted(scores["ID"][scores.duplicated(["ID", "seed"])])
    if strangers:
        known = manifest.by_id.get(strangers[0])
        who = f" of speaker {known.speaker}" if known else ", which the manifest does not know"
        return f"holds {counted(len(strangers), 'utterance')} that are not of its test, first {strangers[0]}{who}"
    if missing:
        return f"lacks {len(missing)} of {counted(len(expected), 'test utterance')}: {some(missing)}"
    if twice:
        return f"holds utterance {twice[0]} twice for one seed"
    for name, speaker, truth in zip(ids, scores["speaker"].astype(str), scores["truth"].astype(str)):
        if (speaker, truth) != (expected[name].speaker, expected[name].emotion):
            return (
                f"says speaker {speaker} and {truth} of {name}, and the manifest {expected[name].speaker} and "
                f"{expected[name].emotion}"
            )
    if (seed is not None and set(scores["seed"]) != {seed}) or set(scores["fold"]) != {fold}:
        return f"is of another seed or fold than {'' if seed is None else f'seed {seed}, '}fold {fold}"
    return ""


def write_scores(path: str | Path, scores: pd.DataFrame) -> None:
    """Write ``scores`` so that a killed run leaves the whole old file or the whole new one."""
    write_text_aside(path, scores.to_csv(index=False, lineterminator="\n"))


def _check_columns(scores: pd.DataFrame, label_order: Sequence[str]) -> None:
    needed = [*COLUMNS, *(f"p_{label}" for label in label_order)]
    needed += [f"prediction_{name}" for name in attributes_in(scores)]
    for name in needed:
        if name not in scores.columns:
            raise ValueError(f"scores lack the column '{name}'; they need {', '.join(needed)}.")
    if label_order_of(scores) != list(label_order):
        raise ValueError(
            f"scores and the corpus order classes differently: [{', '.join(label_order_of(scores))}] and "
            f"[{', '.join(label_order)}]; use the label_order of the run that wrote them."
        )
    if scores.empty:
        raise ValueError("scores hold no utterance; run at least one fold.")


def _check_values(scores: pd.DataFrame, label_order: Sequence[str]) -> None:
    probability_columns = [f"p_{label}" for label in label_order]
    for name in [*COLUMNS, *probability_columns]:
        _refuse(scores, scores[name].isna(), f"'{name}' is NaN or empty", "delete the file and run its fold again")
    for name in ("truth", "prediction"):
        known = f"label_order [{', '.join(label_order)}]"
        unknown = ~scores[name].isin(label_order)
        _refuse(scores, unknown, f"its {name} is not in {known}", "use the label_order of the run", shown=name)
    numbers = scores[probability_columns].apply(pd.to_numeric, errors="coerce")
    probs = numbers.to_numpy(dtype=float, na_value=np.nan)  # [N, C]
    wrong = ~((probs >= 0) & (probs <= 1)).all(axis=1) | ~(np.abs(probs.sum(axis=1) - 1) <= ROUNDING)
    _refuse(scores, wrong, "its probabilities do not lie in [0, 1] and sum to 1", "store no logits")
    predicted = pd.Categorical(scores["prediction"], categories=list(label_order)).codes
    smaller = probs[np.arange(len(probs)), predicted] < probs.max(axis=1) - ROUNDING
    _refuse(
        scores,
        smaller,
        "its prediction is not the most probable class",
        "predict that one",
        shown="prediction",
    )
    for name in attributes_in(scores):
        predicted = pd.to_numeric(scores[f"prediction_{name}"], errors="coerce")
        _refuse(
            scores,
            ~np.isfinite(predicted),
            f"its predicted {name} is no finite number",
            "delete the file and run its fold again",
        )


def _check_utterances(scores: pd.DataFrame) -> None:
    twice = scores.duplicated(["ID", "seed"])
    _refuse(scores, twice, "it comes twice in one seed", "average its windows first", shown="seed")
    num_seeds = scores["seed"].nunique()
    partial = scores.groupby("ID")["seed"].transform("size") < num_seeds
    problem = f"it is scored for only some of the {num_seeds} seeds"
    _refuse(scores, partial, problem, "finish every seed on the same folds, or leave the unfinished one out")
    for name in ("speaker", "fold", "truth"):
        mixed = scores.groupby("ID")[name].transform("nunique") > 1
        _refuse(scores, mixed, f"it has more than one {name}", "do not mix runs of different corpora or folds")
    straying = scores.groupby("speaker")["fold"].transform("nunique") > 1
    _refuse(scores, straying, "its speaker is tested in more than one fold", "mend the folds", shown="speaker")


def _refuse(scores: pd.DataFrame, rows: ArrayLike, problem: str, cure: str, shown: str = "") -> None:
    """Raise one sentence about the first of the marked rows, if any is marked."""
    bad = scores[np.asarray(rows, dtype=bool)]
    if len(bad):
        first = bad.iloc[0]
        given = f" ({shown} '{first[shown]}')" if shown else ""
        raise ValueError(f"scores of utterance {first['ID']}{given}: {problem}; {cure}.")
