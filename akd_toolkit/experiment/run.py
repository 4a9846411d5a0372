"""One training of the protocol with everything that it is built from, and what it leaves on disk."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from akd_toolkit.data.files import write_text_aside
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.experiment.config import Config
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.record import RunRecord, environment
from akd_toolkit.experiment.scores_file import make_scores, write_scores
from akd_toolkit.registry import GATES, LOSSES
from akd_toolkit.teachers import TeacherFold


@dataclass(frozen=True, kw_only=True)
class Run(PlannedRun):
    """One training: the student learns from ``train_speakers`` and is scored on ``test_speakers``.

    Plain data; ``experiment/parts.py`` builds what is trained from it.

    Arguments
    ---------
    config
        The recipe with this run's candidate.
    overrides
        What makes the candidate.
    unlabelled
        Speech without labels, or None.
    """

    config: Config
    manifest: Manifest
    overrides: dict
    unlabelled: Manifest | None = None

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

    def scores(self, manifest: Manifest | None = None) -> pd.DataFrame:
        """As those of a ``PlannedRun``, by default compared with its own corpus."""
        return super().scores(manifest or self.manifest)

    @property
    def attributes(self) -> tuple[str, ...]:
        """Dimensional labels that are learned beside the emotion; none where the YAML lists none."""
        return attributes_of(self.config, self.manifest)

    @property
    def one_head(self) -> bool:
        """Whether losses imitate the head that was fitted on all training speakers."""
        return self.config["soft_targets"] == "one_head"

    def keep(
        self,
        student: torch.nn.Module,
        posteriors: Mapping[str, np.ndarray],
        history: list[dict],
        seconds: float,
        proof: dict[str, list[str]],
        teachers: TeacherFold | None = None,
    ) -> None:
        """Write the student, the record of its training, the history and, last of all, the scores.

        Arguments
        ---------
        posteriors
            Of the test utterances, by their IDs.
        proof
            What could be proved of the split, from ``leaks.audit``.
        teachers
            Whose heads are described for the audit.
        """
        config, one_of_plan = self.config, ("kind", "seed", "fold", "split", "train_speakers", "test_speakers")
        record = RunRecord(
            student=config.build()["student"],
            label_order=self.label_order,
            window_s=config["window_s"],
            test_overlap_s=config["test_overlap_s"],
            corpus=self.manifest.corpus,
            attributes=self.attributes,
            candidate=self.overrides,
            seconds=round(seconds, 1),
            heads={one.title: one.described_heads() for one in teachers or ()},
            environment=environment(),
            **{name: getattr(self, name) for name in one_of_plan},
            **proof,
        )
        record.write(self.paths, student)
        write_text_aside(self.paths.history, pd.DataFrame(history).to_csv(index=False))
        write_scores(self.paths.scores, label_posteriors(self.test, posteriors, self.fold, self.seed, self.attributes))


def attributes_of(config: Config, manifest: Manifest) -> tuple[str, ...]:
    """The dimensional labels that the YAML lists, in its order.

    Raises
    ------
    ValueError
        If the manifest lacks one, or the objective needs them and none is listed.
    """
    names, has = tuple(config["attributes"] or ()), manifest.attribute_names
    missing = [name for name in names if name not in has]
    if missing:
        raise ValueError(
            f"attributes: no utterance of {manifest.corpus} has {missing[0]}; its manifest has "
            f"{', '.join(has) or 'none'}. List some of these, or none."
        )
    for key, registry in (("task", LOSSES), ("distill", LOSSES), ("gate", GATES)):
        specs = (config["objective"] or {}).get(key) or []
        for spec in [specs] if isinstance(specs, dict) else specs:
            plugin = registry.get(spec["name"])
            if not names and (plugin.truth == "attributes" or "attributes" in getattr(plugin, "reads", ())):
                raise ValueError(
                    f"{registry.kind} '{spec['name']}' needs dimensional labels, and {manifest.corpus} has "
                    f"{', '.join(has) or 'none'}; list them in the setting 'attributes', or leave the {key} out."
                )
    if names and config["head_decay"] is not None:
        raise ValueError("head_decay fits the head of the emotions alone; set it to null to learn attributes.")
    return names


def label_posteriors(
    test: Manifest, posteriors: dict, fold: int, seed: int, attributes: tuple[str, ...] = ()
) -> pd.DataFrame:
    """The scores of posteriors, and of attributes where they have any, by utterance ID."""
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
