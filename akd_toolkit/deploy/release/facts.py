"""What is known of a finished run, as plain data: its scores, its experiment's, its audit, what it has heard."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from akd_toolkit.audit import Finding
from akd_toolkit.data.unlabelled import find_unlabelled
from akd_toolkit.evaluate.report.summary import summarise
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.teachers.provenance import provenance_of

PLACES = ("/", ".", "~")  # what a path begins with, unlike the name of a model on the hub


def gather(experiment: Experiment, run: PlannedRun, findings: Sequence[Finding]) -> dict:
    """Everything that ``scores.json`` and the model card say; no path of this machine is in it.

    Raises
    ------
    ValueError
        If the scores are damaged.
    """
    names = private_names(experiment)
    shown = [{"verdict": one.verdict, "check": one.check, "sentence": without(one.sentence, names)} for one in findings]
    runs, compressed_by = experiment.like(run), run.record.compressed_by
    for other in runs if compressed_by else ():
        if other.done and other.record.compressed_by != compressed_by:
            raise ValueError(
                f"{other.folder} was compressed otherwise than {run.folder}; compress both alike (akd compress), or "
                "each into a folder of its own (--to)."
            )
    whole = _whole_seeds(experiment, runs)
    return {
        "corpus": experiment.manifest.corpus,
        "recipe": experiment.recipe,
        "seed": run.seed,
        "fold": run.fold,
        "compressed_by": list(compressed_by),
        "speaker_independent": experiment.speakers_known,
        "generated": experiment.manifest.generated,
        "trained_and_tested_on": [_count(experiment, speakers) for speakers in (run.train_speakers, run.test_speakers)],
        "this_student": _summary(run.scores(experiment.manifest), run.label_order),
        "experiment": None if whole is None else _summary(whole, run.label_order),
        "runs": {
            "done": sum(one.done for one in runs),
            "planned": len(runs),
        },
        "teachers": [_teacher(experiment, title, spec, names) for title, spec in _teachers(experiment).items()],
        "unlabelled": unlabelled_corpus(experiment),
        "audit": shown,
    }


def unlabelled_corpus(experiment: Experiment) -> str | None:
    """Name of the corpus that was heard without labels; "" where it is not known, None where there was none."""
    wanted = experiment.settings.get("unlabelled_hash")
    if not wanted:
        return None
    manifest = find_unlabelled(experiment.folder, wanted)
    if manifest is not None:
        own = set(manifest.speakers) <= set(experiment.manifest.speakers)
        return None if own else manifest.corpus
    return experiment.recipe.partition("+")[2]


def corpora_heard(experiment: Experiment) -> list[str]:
    """Corpora whose sound the student itself was trained on."""
    own = "generated" if experiment.manifest.generated else experiment.manifest.corpus
    other = unlabelled_corpus(experiment)
    return [own] if other is None else [own, other or "the speech without labels, whose manifest is not here"]


def private_names(experiment: Experiment) -> dict[str, str]:
    """Paths of this machine that sentences may hold -> what is shown instead; the longest first."""
    own = (str(experiment.folder), str(experiment.folder.resolve()))
    paths = {*_places(experiment.settings), *(path for path in own if is_place(path))}
    return {path: Path(path).name for path in sorted(paths, key=lambda path: (-len(path), path))}


def is_place(value) -> bool:
    """Whether a setting is a path, unlike the name of a model on the hub.

    Example
    -------
    >>> is_place("../models/big"), is_place("owner/name"), is_place("."), is_place(0.5)
    (True, False, False, False)
    """
    return isinstance(value, str) and value.startswith(PLACES) and "/" in value and bool(Path(value).name)


def _places(value) -> list[str]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [place for one in inner for place in _places(one)] if inner else [value] if is_place(value) else []


def without(text: str, names: dict[str, str]) -> str:
    """A sentence without the paths of this machine.

    Example
    -------
    >>> without("teacher big (/home/me/big) is fine.", {"/home/me/big": "big"})
    'teacher big (big) is fine.'
    """
    for path, name in names.items():
        text = text.replace(path, name)
    return text


def _count(experiment: Experiment, speakers: Sequence[str]) -> int:
    """How many speakers, or utterances where nobody knows who speaks."""
    return len(speakers) if experiment.speakers_known else len(experiment.manifest.of(speakers))


def _teachers(experiment: Experiment) -> dict[str, dict]:
    return {title: spec for title, spec in (experiment.settings.get("teachers") or {}).items() if spec}


def _teacher(experiment: Experiment, title: str, spec: dict, names: dict[str, str]) -> dict:
    known = provenance_of(spec, experiment.folder.resolve())
    scores = experiment.teacher_scores().get(title)
    return {
        "title": title,
        "model": without(str(spec.get("source") or spec.get("name", "")), names),
        "heard": None if known.corpora is None else list(known.corpora),
        "complete": known.complete,
        "source": without(known.source, names),
        "ua": None if scores is None else _summary(scores, experiment.label_order)["ua"],
    }


def _whole_seeds(experiment: Experiment, runs: Sequence[PlannedRun]) -> pd.DataFrame | None:
    """Scores of the seeds that finished every fold of the plan, or None."""
    whole = [seed for seed in experiment.seeds if all(run.done for run in runs if run.seed == seed)]
    return experiment.scores([run for run in runs if run.seed in whole]) if whole else None


def _summary(scores: pd.DataFrame, label_order: Sequence[str]) -> dict:
    """Percentages with one more digit than anybody reads, and how they were come by."""
    found = summarise(scores, label_order)
    percent = {
        name: {
            "pooled": _percent(found[f"{name}_pooled"]),
            "low": _percent(found[f"{name}_low"]),
            "high": _percent(found[f"{name}_high"]),
            "fold_mean": _percent(found[f"{name}_mean"]),
            "fold_sd": _percent(found[f"{name}_std"]),
        }
        for name in ("wa", "ua")
    }
    return {
        **percent,
        "macro_f1": _percent(found["macro_f1"]),
        "ece": _percent(found["ece"]),
        "ua_seed_sd": _percent(found["ua_seed_std"]),
        "recalls": {row.label: _percent(row.recall) for row in found["class_table"].itertuples()},
        **{name: int(found[name]) for name in ("folds", "seeds", "speakers", "utterances")},
    }


def _percent(share: float) -> float | None:
    """A share as percent; None for a class that the test does not hold."""
    return round(100 * float(share), 2) if share == share else None
