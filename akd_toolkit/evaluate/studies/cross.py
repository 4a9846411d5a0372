"""Cross-corpus test: students of one corpus on all utterances of another, without training on it."""

from pathlib import Path

import numpy as np
import pandas as pd

from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.unlabelled import find_unlabelled, hashes
from akd_toolkit.evaluate.report.summary import deviation
from akd_toolkit.evaluate.studies.evaluate_saved import (
    Condition,
    SharedLabels,
    evaluate_saved,
    read_label_map,
    read_manifest,
)
from akd_toolkit.evaluate.studies.study import SUMMARY, score_columns, score_row, system_names, write_study
from akd_toolkit.experiment.paths import ExperimentPaths
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.metrics.scores import ua, wa

IN_TRAINING = {"": "", "no": "no", "yes": "**yes, unlabelled**", "unknown": "**not known**"}


def cross_study(
    experiment: Experiment,
    on: str | Path,
    labels: str | Path | None = None,
    unlabelled: str | Path | None = None,
    jobs: int = 1,
) -> Path:
    """Score every outer student on all utterances of another corpus; returns the path of the table.

    Utterances and posteriors of classes that only one corpus has are left out, the other posteriors are scaled to sum
    to 1. The stored scores on the students' own corpus are restricted in the same way for comparison.

    ValueError if the other corpus has recordings that were trained on, or shares fewer than two classes.

    Arguments
    ---------
    on
        Folder with the manifest.csv of the other corpus: its store or any experiment on it.
    labels
        YAML file for ``read_label_map``.
    unlabelled
        The manifest.csv of the unlabelled speech in training, if it is in no store beside the experiment.
    jobs
        How many students are evaluated at the same time.
    """
    own, path = experiment.manifest, ExperimentPaths(on).manifest
    if not path.is_file() or not (path.parent == Path(on) or ExperimentPaths(on).exists):
        raise FileNotFoundError(
            f"{on} has no corpus (manifest.csv is missing); give the output_folder of a recipe on the other corpus."
        )
    other = read_manifest(path)
    mine = {row.sha256: row.id for row in own if row.sha256}
    both = [row for row in other if row.sha256 in mine]
    if both:
        raise ValueError(
            f"{len(both)} of {len(other)} recordings of {other.corpus} are recordings of {own.corpus} too (first: "
            f"{both[0].id}, there {mine[both[0].sha256]}), so they were trained on; give a corpus of other recordings."
        )
    shared = SharedLabels.of(experiment.label_order, other.label_order, read_label_map(labels))
    given = Manifest.read(unlabelled) if unlabelled else None
    verdict, sentence = unlabelled_in_training(experiment, shared.utterances(other), given)
    name, condition = f"cross-{other.corpus}", Condition(f"all of {other.corpus}")
    (found,) = evaluate_saved([experiment], name, [condition], jobs, on=(path, shared))
    across = found[condition.name]
    # Every student has scored the same utterances, so runs take the place of seeds.
    across = across.assign(seed=across.groupby(["seed", "fold"], sort=False).ngroup(), fold=1)
    within, system = shared.scores(experiment.scores()), system_names([experiment])[0]
    rows = [_row(own.corpus, within, across=False), _row(other.corpus, across, across=True)]
    classes = " ".join(shared.shared)
    table = pd.DataFrame(rows).assign(system=system, in_training=["", verdict], classes=classes)
    scores = {head.replace("folds", "runs"): cell for head, cell in list(score_columns("").items())[:4]}
    columns = {
        "trained → tested": f"{own.corpus} → {{tested_on}}",
        **{"utterances": "{utterances}", "speakers": "{speakers}", "runs": "{runs}"},
        **scores,
        "tested speech in training": lambda row: IN_TRAINING[row["in_training"]],
    }
    notes = f"{_protocol(own, other, shared)} {sentence}"
    title, tables = f"{system}, tested on {other.corpus}", {"table.csv": ("", table, columns)}
    return write_study([experiment], None, name, title, notes, tables)


def unlabelled_in_training(
    experiment: Experiment, other: Manifest, unlabelled: Manifest | None = None
) -> tuple[str, str]:
    """Whether the other corpus was in training as unlabelled speech: ``no``, ``yes`` or ``unknown``, and a sentence.

    Without ``unlabelled``, the manifest of that speech is looked for in the stores beside the experiment.
    """
    wanted = hashes(experiment.settings)
    if not wanted:
        return "no", f"The students were trained on nothing but {experiment.manifest.corpus}."
    if unlabelled is not None and unlabelled.hash not in wanted.values():
        raise ValueError(
            f"{experiment.folder} was trained with other unlabelled speech (manifest {', '.join(wanted.values())}) "
            f"than the one given ({unlabelled.hash}); give the manifest.csv of that run's store."
        )
    given = {unlabelled.hash: unlabelled} if unlabelled is not None else {}
    sources = {one: given.get(one) or find_unlabelled(experiment.folder, one) for one in wanted.values()}
    missing = [one for one, manifest in sources.items() if manifest is None]
    found = [row for manifest in sources.values() for row in manifest or ()]
    if missing:
        return "unknown", (
            f"**It is not known whether {other.corpus} was in training:** the manifest of the unlabelled speech "
            f"({missing[0]}) is in no store beside the experiment."
        )
    checksums = {row.sha256 for row in found if row.sha256}
    count = sum(row.sha256 in checksums for row in other)
    if count:
        return "yes", (
            f"**{count} of these {len(other)} recordings of {other.corpus} were in the training of the students, "
            "without their labels:** this is not a test on an unseen corpus."
        )
    unhashed = sum(not row.sha256 for row in (*found, *other))
    if unhashed:
        sentence = f"**{unhashed} recordings have no checksum**, so it is not known whether they were trained on."
        return "unknown", sentence
    corpora = ", ".join(manifest.corpus for manifest in sources.values())
    return "no", f"None of these recordings is among the {len(found)} of the unlabelled speech ({corpora})."


def _row(corpus: str, scores: pd.DataFrame, across: bool) -> dict:
    """Mean and standard deviation over runs, and the pooled score with its interval over speakers."""
    row = score_row(scores)
    row = {name: row[name] for name in (*SUMMARY, "utterances", "speakers")}
    runs = [run for _, run in scores.groupby(["seed", "fold"])]
    for name, measure in (("wa", wa), ("ua", ua)):
        values = [measure(run["truth"], run["prediction"]) for run in runs]
        row[f"{name}_mean"], row[f"{name}_std"] = float(np.mean(values)), deviation(values)
    return {"tested_on": corpus, "across": across, "runs": len(runs), **row}


def _protocol(own: Manifest, other: Manifest, shared: SharedLabels) -> str:
    dropped = []
    for corpus in (own, other):
        labels = [label for label in corpus.label_order if shared.name(label) not in shared.shared]
        dropped += [f"{corpus.corpus}'s {', '.join(labels)}"] if labels else []
    left_out = f", and {' and '.join(dropped)} left out." if dropped else "."
    return (
        f"Students trained on the labels of {own.corpus} alone (one for each fold and seed, on its fold's training "
        f"speakers) were tested on {other.corpus}; {len(shared.shared)} classes are shared "
        f"({', '.join(shared.shared)}){left_out} "
        "WA and UA are means and standard deviations over the runs; pooled they are means over the runs on all "
        "utterances, with 95 % intervals over the tested speakers. On its own corpus each run is scored on its outer "
        f"test speakers, among the same classes. Chance is {100 / len(shared.shared):.1f} UA."
    )
