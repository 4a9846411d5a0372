"""One training of the protocol: which speakers it is trained and scored on, and what it leaves on disk."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.data.files import write_text_aside
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.experiment.config import Config
from akd_toolkit.experiment.scores_file import make_scores, read_scores, write_scores
from akd_toolkit.models.storage import save_student
from akd_toolkit.registry import GATES, LOSSES
from akd_toolkit.teachers import TeacherFold


@dataclass(frozen=True)
class Run:
    """One training: the student learns from ``train_speakers`` and is scored on ``test_speakers``.

    Plain data; ``experiment/parts.py`` builds what is trained from it.

    Arguments
    ---------
    config
        The recipe with this run's candidate.
    name
        ``seed17/fold1/outer`` or ``seed17/fold1/inner2-candidate1``: its folder below the experiment's.
    candidate
        The overrides that make the candidate; kept with the student.
    unlabelled
        Speech without labels, or None.
    """

    config: Config
    manifest: Manifest
    name: str
    seed: int
    fold: int
    candidate: dict
    train_speakers: tuple[str, ...]
    test_speakers: tuple[str, ...]
    unlabelled: Manifest | None = None

    @property
    def folder(self) -> Path:
        return Path(self.config["output_folder"]) / self.name

    @property
    def done(self) -> bool:
        return (self.folder / "scores.csv").is_file()

    @property
    def inner(self) -> bool:
        """Whether this training helps to choose a candidate, and is not the refit that is reported."""
        return Path(self.name).name.startswith("inner")

    @property
    def train(self) -> Manifest:
        return self.manifest.of(self.train_speakers)

    @property
    def test(self) -> Manifest:
        return self.manifest.of(self.test_speakers)

    @property
    def unlabelled_train(self) -> Manifest | None:
        """Speech without labels, less that of speakers who are not trained on."""
        if self.unlabelled is None:
            return None
        mine = [speaker for speaker in self.unlabelled.speakers if speaker in self.train_speakers]
        return self.unlabelled.of(mine or self.unlabelled.speakers)

    @property
    def attributes(self) -> tuple[str, ...]:
        """Dimensional labels that are learned beside the emotion; none where the YAML lists none."""
        return attributes_of(self.config, self.manifest)

    @property
    def one_head(self) -> bool:
        """Whether losses imitate the head that was fitted on all training speakers."""
        return self.config.get("soft_targets") == "one_head"

    def keep(
        self,
        student: torch.nn.Module,
        posteriors: dict,
        history: list[dict],
        seconds: float,
        proof: dict[str, list[str]],
        teachers: TeacherFold | None = None,
    ) -> None:
        """Write what the run leaves: weights and settings of the student, metrics, and scores last of all.

        Arguments
        ---------
        posteriors
            Of the test utterances, by their IDs.
        proof
            What could be proved of the split, from ``leaks.prove_split``.
        teachers
            Whose heads are named for the audit.
        """
        save_student(
            self.folder,
            student,
            self.config.build()["student"],
            self.manifest.label_order,
            sample_rate_hz=SAMPLE_RATE_HZ,
            window_s=self.config["window_s"],
            test_overlap_s=self.config["test_overlap_s"],
            corpus=self.manifest.corpus,
            train_speakers=list(self.train_speakers),
            test_speakers=list(self.test_speakers),
            candidate=self.candidate,
            seconds=round(seconds, 1),
            **({"attributes": list(self.attributes)} if self.attributes else {}),
        )
        write_text_aside(self.folder / "audit.json", json.dumps(proof, indent=2) + "\n")
        if teachers is not None:
            teachers.write_heard(self.folder / "heads")
        write_text_aside(self.folder / "metrics.csv", pd.DataFrame(history).to_csv(index=False))
        scores = label_posteriors(self.test, posteriors, self.fold, self.seed, self.attributes)
        write_scores(self.folder / "scores.csv", scores)

    def scores(self) -> pd.DataFrame:
        """What ``keep`` wrote."""
        return read_scores(self.folder / "scores.csv", self.manifest.label_order)

    def about(self) -> dict:
        """What ``keep`` wrote of the student."""
        return json.loads((self.folder / "student.json").read_text(encoding="utf-8"))


def attributes_of(config: Config, manifest: Manifest) -> tuple[str, ...]:
    """The dimensional labels that the YAML lists, in its order.

    Raises
    ------
    ValueError
        If the manifest lacks one, or the objective needs them and none is listed.
    """
    names, has = tuple(config.get("attributes") or ()), manifest.attribute_names
    missing = [name for name in names if name not in has]
    if missing:
        raise ValueError(
            f"attributes: no utterance of {manifest.corpus} has {missing[0]}; its manifest has "
            f"{', '.join(has) or 'none'}. List some of these, or none."
        )
    for key, registry in (("task", LOSSES), ("distill", LOSSES), ("gate", GATES)):
        specs = (config.get("objective") or {}).get(key) or []
        for spec in [specs] if isinstance(specs, dict) else specs:
            plugin = registry.get(spec["name"])
            if not names and (plugin.truth == "attributes" or "attributes" in getattr(plugin, "reads", ())):
                raise ValueError(
                    f"{registry.kind} '{spec['name']}' needs dimensional labels, and {manifest.corpus} has "
                    f"{', '.join(has) or 'none'}; list them in the setting 'attributes', or leave the {key} out."
                )
    if names and config.get("head_decay") is not None:
        raise ValueError("head_decay fits the head of the emotions alone; set it to null to learn attributes.")
    return names


def label_posteriors(
    test: Manifest, posteriors: dict, fold: int, seed: int, attributes: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Rows of scores.csv for posteriors, and attributes where they have any, by utterance id."""
    predicted = getattr(posteriors, "attributes", {})
    pairs = {}
    if attributes and predicted:
        values = np.stack([predicted[utterance_id] for utterance_id in test.ids])
        pairs = dict(zip(attributes, zip(test.attribute_values(attributes).T, values.T)))
    return make_scores(
        test.ids,
        [row.speaker for row in test],
        [row.emotion for row in test],
        np.stack([posteriors[utterance_id] for utterance_id in test.ids]),
        test.label_order,
        fold=fold,
        seed=seed,
        attributes=pairs,
    )
