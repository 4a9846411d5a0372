"""Data on a finished run for ``scores.json`` and the model card: scores, audit, training data and its terms.

Whether the terms of speech bind a model trained on it is not settled, so by default a student is released under terms
no freer than those of its corpora. Not legal advice.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from akd_toolkit.audit import Finding
from akd_toolkit.data.unlabelled import LABEL, find_unlabelled, hashes
from akd_toolkit.evaluate.report.summary import summarise
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.teachers.provenance import names_corpus, provenance_of

UNKNOWN = "unknown: ask its owner"
IDENTIFIERS = (  # common licences of the hub; any other is written as "other" with a name
    *("apache-2.0", "mit", "bsd-3-clause", "gpl-3.0", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0"),
    *("cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "odbl", "openrail"),
)
FREEST_LAST = ("cc-by-nc-sa-4.0", "odbl", "cc-by-4.0", "apache-2.0")

# How a corpus may be used: its licence in words, and the source of this information; ``student`` is the default licence
# of a student, "" where the owner of an agreement must decide; ``language`` an ISO 639-1 code; ``speech`` its kind.
_TERMS = pd.read_csv(Path(__file__).with_name("terms.csv"), keep_default_na=False)
KNOWN = {terms.corpus: terms for terms in _TERMS.itertuples(index=False, name="Terms")}


def terms_of(corpus: str) -> tuple | None:
    """Row of ``terms.csv`` of a corpus, whatever the spelling of its name; None if unknown.

    Example
    -------
    >>> terms_of("crema_d").student, terms_of("Calls of our hotline") is None
    ('odbl', True)
    """
    return next((terms for known, terms in KNOWN.items() if names_corpus([known], corpus)), None)


def student_licence(corpora: Iterable[str]) -> str:
    """Licence of a student that was trained on these corpora: that of the least free one.

    ValueError if the terms of one are unknown, or an agreement that its signer must read.

    Example
    -------
    >>> student_licence(["EmoDB"]), student_licence(["EmoDB", "RAVDESS"])
    ('apache-2.0', 'cc-by-nc-sa-4.0')
    """
    found = set()
    for corpus in corpora:
        terms = terms_of(corpus)
        if terms is None:
            raise ValueError(f"the terms of {corpus} are {UNKNOWN}, then choose a licence with --licence.")
        if not terms.student:
            raise ValueError(
                f"{corpus} comes under an {terms.licence} ({terms.source}): read what it says about trained models, "
                "then choose a licence with --licence."
            )
        found.add(terms.student)
    return min(found, key=FREEST_LAST.index)


def gather(experiment: Experiment, run: PlannedRun, findings: Sequence[Finding]) -> dict:
    """The content of ``scores.json``, without paths of this machine; ValueError if the scores are damaged."""
    runs, compressed_by = experiment.like(run), run.record.compressed_by
    for other in runs if compressed_by else ():
        if other.done and other.record.compressed_by != compressed_by:
            raise ValueError(
                f"{other.folder} was compressed with other steps than {run.folder}; compress both alike (akd compress),"
                " or each into a folder of its own (--to)."
            )
    complete = [seed for seed in experiment.seeds if all(other.done for other in runs if other.seed == seed)]
    all_scores = experiment.scores([other for other in runs if other.seed in complete]) if complete else None
    teachers = (experiment.settings.get("teachers") or {}).items()
    return {
        "corpus": experiment.manifest.corpus,
        "recipe": experiment.recipe,
        "seed": run.seed,
        "fold": run.fold,
        "compressed_by": list(compressed_by),
        "speaker_independent": experiment.speakers_known,
        "generated": experiment.manifest.generated,
        "trained_and_tested_on": [
            len(speakers) if experiment.speakers_known else len(experiment.manifest.of(speakers))
            for speakers in (run.train_speakers, run.test_speakers)
        ],
        "this_student": summary(run.scores(experiment.manifest), run.label_order),
        "experiment": None if all_scores is None else summary(all_scores, run.label_order),
        "runs": {"done": sum(other.done for other in runs), "planned": len(runs)},
        "teachers": [_teacher(experiment, title, spec) for title, spec in teachers if spec],
        "unlabelled": unlabelled_corpora(experiment),
        "audit": [
            {"verdict": one.verdict, "check": one.check, "sentence": without_paths(one.sentence, experiment)}
            for one in findings
        ],
    }


def unlabelled_corpora(experiment: Experiment) -> list[str]:
    """Names of other corpora that were used without labels, also in pretraining, "" where a name is not known."""
    names = []
    for title, manifest_hash in hashes(experiment.settings).items():
        manifest = find_unlabelled(experiment.folder, manifest_hash)
        if manifest is None:
            names.append(experiment.recipe.partition("+")[2] if title == LABEL else title)
        elif not set(manifest.speakers) <= set(experiment.manifest.speakers):
            names.append(manifest.corpus)
    pretraining = experiment.pretraining_of(experiment.settings.get("student"))
    return names if pretraining is None else [*names, *(pretraining[0] or [""])]


def training_corpora(experiment: Experiment) -> list[str]:
    """Corpora whose sound the student itself was trained on."""
    own = ["generated"] if experiment.manifest.generated else experiment.manifest.corpus.split("+")
    unknown = "the speech without labels, whose manifest is missing,"
    return [*own, *(other or unknown for other in unlabelled_corpora(experiment))]


def is_path(value) -> bool:
    """Whether a setting is a path, unlike the name of a model on the hub.

    Example
    -------
    >>> is_path("../models/big"), is_path("owner/name"), is_path("."), is_path(0.5)
    (True, False, False, False)
    """
    return isinstance(value, str) and value.startswith(("/", ".", "~")) and "/" in value and bool(Path(value).name)


def without_paths(text: str, experiment: Experiment) -> str:
    """A sentence with every path of this machine, in the settings or of the experiment, replaced by its last part."""

    def paths_in(value) -> set[str]:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
        return {value} if is_path(value) else {path for one in inner for path in paths_in(one)}

    paths = paths_in([experiment.settings, str(experiment.folder), str(experiment.folder.resolve())])
    for path in sorted(paths, key=len, reverse=True):  # a path may begin with another
        text = text.replace(path, Path(path).name)
    return text


def _teacher(experiment: Experiment, title: str, spec: dict) -> dict:
    known = provenance_of(spec, experiment.folder.resolve())
    scores = experiment.teacher_scores().get(title)
    return {
        "title": title,
        "model": without_paths(str(spec.get("source") or spec.get("name", "")), experiment),
        "heard": None if known.corpora is None else list(known.corpora),
        "complete": known.complete,
        "source": without_paths(known.source, experiment),
        "ua": None if scores is None else summary(scores, experiment.label_order)["ua"],
    }


def summary(scores: pd.DataFrame, label_order: Sequence[str]) -> dict:
    """Scores in per cent with their intervals and spread."""
    found = summarise(scores, label_order)
    columns = {"pooled": "pooled", "low": "low", "high": "high", "fold_mean": "mean", "fold_sd": "std"}
    both = {
        score: {name: _percent(found[f"{score}_{column}"]) for name, column in columns.items()}
        for score in ("wa", "ua")
    }
    return {
        **both,
        **{name: _percent(found[name]) for name in ("macro_f1", "ece")},
        "ua_seed_sd": _percent(found["ua_seed_std"]),
        "recalls": {row.label: _percent(row.recall) for row in found["class_table"].itertuples()},
        **{name: int(found[name]) for name in ("folds", "seeds", "speakers", "utterances")},
    }


def _percent(share: float) -> float | None:
    """A share as per cent; None for a class that the test lacks."""
    return round(100 * float(share), 2) if share == share else None
