"""Which emotion labels of two corpora mean the same, and scores among the classes that both have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from akd_toolkit.data.manifest import Manifest

# Labels as EmoDB, RAVDESS, IEMOCAP, CREMA-D and their recipes write them. IEMOCAP's excited is merged into happy, as in
# its usual four classes.
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
TINY = 1e-300  # posteriors that are 0 for all shared classes become uniform


def read_label_map(path: str | Path | None) -> dict[str, str | None]:
    """The built-in map, updated by a YAML file of ``label: common name``; null leaves a label out."""
    if path is None:
        return dict(COMMON_LABELS)
    try:
        found = YAML(typ="safe").load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist; give a YAML file of 'label: common name'.") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as YAML ({str(error).splitlines()[0]}).") from None
    pairs = found.items() if isinstance(found, dict) else [(None, None)]
    if not all(isinstance(key, str) and (value is None or (isinstance(value, str) and value)) for key, value in pairs):
        raise ValueError(f"{path} must hold lines of 'label: common name', or 'label: null' to leave it out.")
    return {**COMMON_LABELS, **found}


@dataclass(frozen=True)
class SharedLabels:
    """The classes that a student's labels ``own`` share with another corpus, by their common names.

    ``names`` maps labels, in any case of letters, to common names, and labels that are left out to None; other labels
    are their own common names.

    Example
    -------
    >>> labels = SharedLabels.of(["ang", "bored", "hap", "exc"], ["Anger", "joy", "pride"], COMMON_LABELS)
    >>> labels.shared
    ('anger', 'happiness')
    >>> labels.posteriors(np.array([[0.3, 0.5, 0.1, 0.1]])).round(3).tolist()
    [[0.6, 0.4]]
    """

    own: tuple[str, ...]
    shared: tuple[str, ...]
    names: Mapping[str, str | None]

    @classmethod
    def of(cls, own: Sequence[str], other: Sequence[str], names: Mapping[str, str | None]) -> "SharedLabels":
        """The shared classes in the order of ``own``; ValueError if there are fewer than two."""
        labels = cls(tuple(own), (), names)
        of_other = {labels.name(label) for label in other} - {None}
        shared = [name for name in dict.fromkeys(map(labels.name, own)) if name in of_other]
        if len(shared) < 2:
            raise ValueError(
                f"[{', '.join(own)}] and [{', '.join(other)}] share {', '.join(shared) or 'no class'}; at least two "
                "are needed. Say which labels are the same by --labels MAP."
            )
        return replace(labels, shared=tuple(shared))

    def name(self, label: str) -> str | None:
        """The common name of a label; None if it is left out."""
        return self.names.get(label, self.names.get(label.lower(), label))

    def utterances(self, manifest: Manifest) -> Manifest:
        """The utterances of shared classes."""
        rows = tuple(row for row in manifest if self.name(row.emotion) in self.shared)
        return replace(manifest, utterances=rows)

    def posteriors(self, probs: np.ndarray) -> np.ndarray:
        """Posteriors over the shared classes alone, which sum to 1 again: [N, len(own)] -> [N, len(shared)].

        q[n, k] = sum_{c: name(c) = k} p[n, c] / sum_{c: name(c) shared} p[n, c]
        """
        members = np.array([[self.name(label) == name for name in self.shared] for label in self.own], dtype=float)
        sums = np.asarray(probs, dtype=float) @ members + TINY
        return sums / sums.sum(axis=1, keepdims=True)

    def scores(self, scores: pd.DataFrame) -> pd.DataFrame:
        """Scores of the utterances whose truth is a shared class, predicted among the shared classes alone."""
        truth = scores["truth"].map(self.name)
        scores = scores.assign(truth=truth)[truth.isin(self.shared)].reset_index(drop=True)
        probs = self.posteriors(scores[[f"p_{label}" for label in self.own]].to_numpy())
        prediction = [self.shared[best] for best in probs.argmax(axis=1)]
        columns = {f"p_{name}": probs[:, index] for index, name in enumerate(self.shared)}
        return scores[["ID", "speaker", "fold", "seed", "truth"]].assign(prediction=prediction, **columns)
