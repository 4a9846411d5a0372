"""scores.csv: one row for each utterance and seed, from which every table can be recomputed.

Columns: ID, speaker, fold, seed, truth, prediction, and a probability p_<label> for each class in label order. A corpus
with dimensional labels adds truth_<attribute> (empty if unknown) and prediction_<attribute>.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from akd_toolkit.data.files import write_text_aside
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.names import counted, some

COLUMNS = ("ID", "speaker", "fold", "seed", "truth", "prediction")
ROUNDING = 1e-3  # probabilities may be stored with few digits


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
    """Scores of one run on one outer fold, checked by ``check_scores``; the prediction is the most probable class.

    Shape
    -----
    ids, speakers, truth: [N], truth as labels. probs: [N, C] in ``label_order``. attributes: name -> (truth, NaN if
    unknown, and prediction), [N] each. Returns N rows.

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
    return check_scores(pd.DataFrame({**rows, "prediction": prediction, **columns}), label_order)


def check_scores(scores: pd.DataFrame, label_order: Sequence[str]) -> pd.DataFrame:
    """Return ``scores`` unchanged, or raise ValueError about the first problem.

    Problems are: no row, a missing column or value, another label order, an unknown label, probabilities that are no
    distribution, a prediction that is not the most probable class, an utterance that is repeated in a seed, missing in
    a seed, or has different values between seeds, a speaker in two folds.
    """
    needed = [*COLUMNS, *(f"p_{label}" for label in label_order)]
    needed += [f"prediction_{name}" for name in attributes_in(scores)]
    for name in needed:
        if name not in scores.columns:
            raise ValueError(f"scores lack the column '{name}'; they need {', '.join(needed)}.")
    order = ", ".join(label_order)
    if label_order_of(scores) != list(label_order):
        raise ValueError(
            f"scores and the corpus order classes differently: [{', '.join(label_order_of(scores))}] and [{order}]; "
            "use the label_order of the run that wrote them."
        )
    if scores.empty:
        raise ValueError("scores hold no utterance; run at least one fold.")

    def refuse(rows, problem: str, fix: str, shown: str = "") -> None:
        bad = scores[np.asarray(rows, dtype=bool)]
        if len(bad):
            value = f" ({shown} '{bad.iloc[0][shown]}')" if shown else ""
            raise ValueError(f"scores of utterance {bad.iloc[0]['ID']}{value}: {problem}; {fix}.")

    again = "delete the file and run its fold again"
    columns = [f"p_{label}" for label in label_order]
    for name in [*COLUMNS, *columns]:
        refuse(scores[name].isna(), f"'{name}' is NaN or empty", again)
    for name in ("truth", "prediction"):
        unknown = ~scores[name].isin(label_order)
        refuse(unknown, f"its {name} is not in label_order [{order}]", "use the label_order of the run", name)
    probs = scores[columns].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float, na_value=np.nan)  # [N, C]
    wrong = ~((probs >= 0) & (probs <= 1)).all(axis=1) | ~(np.abs(probs.sum(axis=1) - 1) <= ROUNDING)
    refuse(wrong, "its probabilities do not lie in [0, 1] and sum to 1", "store no logits")
    chosen = pd.Categorical(scores["prediction"], categories=list(label_order)).codes
    smaller = probs[np.arange(len(probs)), chosen] < probs.max(axis=1) - ROUNDING
    refuse(smaller, "its prediction is not the most probable class", "predict that one", "prediction")
    for name in attributes_in(scores):
        values = pd.to_numeric(scores[f"prediction_{name}"], errors="coerce")
        refuse(~np.isfinite(values), f"its predicted {name} is not a finite number", again)
    refuse(scores.duplicated(["ID", "seed"]), "it comes twice in one seed", "average its windows first", "seed")
    count = scores["seed"].nunique()
    missing = scores.groupby("ID")["seed"].transform("size") < count
    refuse(missing, f"it is scored for only some of the {count} seeds", "finish every seed on the same folds")
    for name in ("speaker", "fold", "truth"):
        several = scores.groupby("ID")[name].transform("nunique") > 1
        refuse(several, f"it has more than one {name}", "do not mix runs of different corpora or folds")
    several = scores.groupby("speaker")["fold"].transform("nunique") > 1
    refuse(several, "its speaker is tested in more than one fold", "correct the folds", "speaker")
    return scores


def label_order_of(scores: pd.DataFrame) -> list[str]:
    """Labels of the probability columns, in order."""
    return [name[2:] for name in scores.columns if name.startswith("p_")]


def attributes_in(scores: pd.DataFrame) -> list[str]:
    """Dimensional labels of the columns, in order."""
    return [name[len("truth_") :] for name in scores.columns if name.startswith("truth_")]


def read_scores(path: str | Path, label_order: Sequence[str] | None = None) -> pd.DataFrame:
    """Read and check a scores.csv, by default in the label order of its columns; errors name the file."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no scores file {path}; run the recipe first, or give another path.")
    try:
        return parse_scores(path, label_order)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def parse_scores(path: Path, label_order: Sequence[str] | None = None) -> pd.DataFrame:
    """As ``read_scores``, with messages that do not name the file."""
    if path.stat().st_size == 0:
        raise ValueError("the file is empty")
    # Speakers such as 03 are text, and a label may be "none": only "" is a missing value.
    kinds = dict.fromkeys(("ID", "speaker", "truth", "prediction"), str)
    scores = pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values=["", "nan", "NaN"])
    return check_scores(scores, label_order or label_order_of(scores))


def wrong_scores(
    scores: pd.DataFrame, manifest: Manifest, test: Manifest, seed: int | None, fold: int, complete: bool = True
) -> str:
    """How scores differ from ``test``, a part of the corpus; "" if not. ``complete``: no utterance may be missing."""
    expected = test.by_id
    ids = scores["ID"].astype(str).tolist()
    extra, missing = [name for name in ids if name not in expected], sorted(set(expected) - set(ids))
    if extra:
        known = manifest.by_id.get(extra[0])
        who = f" of speaker {known.speaker}" if known else ", which is not in the manifest"
        return f"holds {counted(len(extra), 'utterance')} that are not of its test, first {extra[0]}{who}"
    if missing and complete:
        return f"lacks {len(missing)} of {counted(len(expected), 'test utterance')}: {some(missing)}"
    if repeated := sorted(scores["ID"][scores.duplicated(["ID", "seed"])]):
        return f"holds utterance {repeated[0]} twice for one seed"
    for name, speaker, truth in zip(ids, scores["speaker"].astype(str), scores["truth"].astype(str)):
        row = expected[name]
        if (speaker, truth) != (row.speaker, row.emotion):
            return f"has speaker {speaker} and {truth} for {name}; the manifest has {row.speaker} and {row.emotion}"
    if (seed is not None and set(scores["seed"]) != {seed}) or set(scores["fold"]) != {fold}:
        return f"is of another seed or fold than {'' if seed is None else f'seed {seed}, '}fold {fold}"
    return ""


def write_scores(path: str | Path, scores: pd.DataFrame) -> None:
    """Write ``scores``; a killed process leaves the whole old file or the whole new one."""
    write_text_aside(path, scores.to_csv(index=False, lineterminator="\n"))
