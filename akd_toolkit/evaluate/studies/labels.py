"""Which emotions of two corpora are the same."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

# Labels as EmoDB, RAVDESS, IEMOCAP, CREMA-D and their recipes write them. A corpus without a label has no such class;
# IEMOCAP's excited is merged into happy, as its usual four classes are.
COMMON_LABELS = {
    **dict.fromkeys(("anger", "angry", "ang"), "anger"),
    **dict.fromkeys(("happiness", "happy", "hap", "joy", "excited", "exc"), "happiness"),
    **dict.fromkeys(("sadness", "sad"), "sadness"),
    **dict.fromkeys(("neutral", "neu"), "neutral"),
    **dict.fromkeys(("disgust", "disgusted", "dis"), "disgust"),
    **dict.fromkeys(("fear", "fearful", "fea"), "fear"),
    **dict.fromkeys(("surprise", "surprised", "sur"), "surprise"),
    **dict.fromkeys(("boredom", "bored"), "boredom"),
    "calm": "calm",
}
TINY = 1e-300  # so that an answer that gives the shared classes nothing becomes an even one


def read_label_map(path: str | Path | None) -> dict[str, str | None]:
    """The built-in map, with what a YAML file of ``label: common name`` changes; null leaves a label out.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such mapping.
    """
    if path is None:
        return dict(COMMON_LABELS)
    try:
        found = YAML(typ="safe").load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"there is no map of labels {path}; give a YAML file of 'label: common name'."
        ) from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as YAML ({str(error).splitlines()[0]}).") from None
    ok = isinstance(found, dict) and all(
        isinstance(key, str) and (value is None or (isinstance(value, str) and value)) for key, value in found.items()
    )
    if not ok:
        raise ValueError(f"{path} must hold lines of 'label: common name', or 'label: null' to leave it out.")
    return {**COMMON_LABELS, **found}


def common_name(label: str, names: Mapping[str, str | None]) -> str | None:
    """What a label is called in every corpus: by the map, in any case of letters, or else itself; None if left out.

    Example
    -------
    >>> common_name("hap", COMMON_LABELS), common_name("Angry", COMMON_LABELS), common_name("pride", COMMON_LABELS)
    ('happiness', 'anger', 'pride')
    """
    return names.get(label, names.get(label.lower(), label))


def shared_labels(mine: Sequence[str], other: Sequence[str], names: Mapping[str, str | None]) -> list[str]:
    """Common names that both corpora have, in the order of ``mine``.

    Raises
    ------
    ValueError
        If there are fewer than two.

    Example
    -------
    >>> shared_labels(["anger", "boredom", "neutral"], ["neu", "ang", "sad"], COMMON_LABELS)
    ['anger', 'neutral']
    """
    of_other = {common_name(label, names) for label in other}
    shared = [name for name in dict.fromkeys(common_name(label, names) for label in mine) if name in of_other]
    shared = [name for name in shared if name is not None]
    if len(shared) < 2:
        raise ValueError(
            f"[{', '.join(mine)}] and [{', '.join(other)}] share {', '.join(shared) or 'no class'}; at least two are "
            "needed. Say which labels are the same by --labels MAP."
        )
    return shared


def to_shared(probs: np.ndarray, labels: Sequence[str], shared: Sequence[str], names: Mapping) -> np.ndarray:
    """Posteriors over the shared classes alone: those of one common name added, the rest left out, sum 1 again.

    q[n, k] = sum_{c: name(c) = k} p[n, c] / sum_{c: name(c) shared} p[n, c]

    Shape
    -----
    probs: [N, len(labels)]. Returns [N, len(shared)].

    Example
    -------
    >>> probs = np.array([[0.3, 0.5, 0.1, 0.1]])
    >>> to_shared(probs, ["ang", "bored", "hap", "exc"], ["anger", "happiness"], COMMON_LABELS).round(3).tolist()
    [[0.6, 0.4]]
    """
    own = [common_name(label, names) for label in labels]
    kept = np.array([[name == label for name in shared] for label in own], dtype=float)  # [C, shared]
    sums = np.asarray(probs, dtype=float) @ kept + TINY
    return sums / sums.sum(axis=1, keepdims=True)


def scores_on_shared(scores: pd.DataFrame, shared: Sequence[str], names: Mapping[str, str | None]) -> pd.DataFrame:
    """Scores of the utterances whose truth is a shared class, answered among these alone.

    Example
    -------
    >>> from akd_toolkit.experiment.scores_file import make_scores
    >>> probs = np.array([[0.2, 0.7, 0.1], [0.1, 0.8, 0.1]])
    >>> scores = make_scores(["a", "b"], ["03", "08"], ["ang", "bored"], probs, ["ang", "bored", "neu"], 1, 17)
    >>> scores_on_shared(scores, ["anger", "neutral"], COMMON_LABELS)[["ID", "truth", "prediction"]].values.tolist()
    [['a', 'anger', 'anger']]
    """
    labels = [name[2:] for name in scores.columns if name.startswith("p_")]
    truth = scores["truth"].map({label: common_name(label, names) for label in labels})
    chosen = truth.isin(shared)
    probs = to_shared(scores.loc[chosen, [f"p_{label}" for label in labels]].to_numpy(float), labels, shared, names)
    kept = scores.loc[chosen, ["ID", "speaker", "fold", "seed"]].reset_index(drop=True)
    kept = kept.assign(truth=truth[chosen].to_numpy(), prediction=[shared[best] for best in probs.argmax(axis=1)])
    return kept.assign(**{f"p_{name}": probs[:, index] for index, name in enumerate(shared)})
