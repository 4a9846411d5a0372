"""The files of a finished experiment, written without any training."""

import json
from pathlib import Path

from ruamel.yaml import YAML

from akd_toolkit.data.manifest import Manifest
from akd_toolkit.experiment.scores_file import make_scores, write_scores


def write_plan(folder: Path, manifest: Manifest, folds, plan: dict | None = None, **settings) -> list[list[str]]:
    """Manifest, settings, environment and, if given, plan of an experiment with a micro CNN; returns its folds."""
    manifest.write(folder / "manifest.csv")
    fixed = {"corpus": manifest.corpus, "label_order": list(manifest.label_order), "outer_folds": folds}
    fixed |= {"student": {"name": "micro_cnn"}, "manifest_hash": manifest.hash, **settings}
    with (folder / "settings.yaml").open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(fixed, stream)
    (folder / "environment.json").write_text(json.dumps({"commit": "0a1b2c3", "torch": "2.11.0"}))
    if plan is not None:
        (folder / "plan.json").write_text(json.dumps(plan))
    return folds


def scores_of(manifest: Manifest, speakers, probs, fold: int, seed: int = 17):
    """Scores of the utterances of these speakers; ``probs`` are their rows, or a function of the test's manifest."""
    test = manifest.of(speakers)
    probs = probs(test) if callable(probs) else probs
    who = test.ids, [row.speaker for row in test], [row.emotion for row in test]
    return make_scores(*who, probs, manifest.label_order, fold, seed)


def write_scores_of(run: Path, *arguments, **options) -> None:
    """``scores_of`` as the file of a run."""
    write_scores(run / "scores.csv", scores_of(*arguments, **options))
