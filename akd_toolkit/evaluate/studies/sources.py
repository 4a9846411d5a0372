"""What each source of unlabelled speech is worth on the inner folds of an experiment with candidates."""

import copy
import itertools
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from akd_toolkit.data.unlabelled import Source, hashes
from akd_toolkit.evaluate.report.summary import probs_and_truth
from akd_toolkit.evaluate.report.tables import with_limits
from akd_toolkit.evaluate.studies.study import Study, score_columns, score_row, system_names
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.experiment.yaml_tree import override
from akd_toolkit.metrics.calibration import negative_log_likelihood

NOTES = (
    "Scores of the candidates on the inner folds alone, pooled; an inner test belongs to the training speakers of its "
    "outer fold, so no outer test was read. An utterance counts once for each outer fold whose inner tests have it; "
    "'folds' are the groups of speakers that are held out together. NLL is the mean negative logarithm of the "
    "probability of the true class, in nats. Differences are against the first candidate, and of each source between "
    "two candidates that differ only in whether it is used, with paired 95 % intervals over speakers and a permutation "
    "test by speaker."
)


def sources_study(experiments: Sequence[Experiment], to: str | Path | None = None) -> Path:
    """Compare candidates on inner folds, and with each source of unlabelled speech against without it.

    Inner runs that are not done yet are left out, so that the inner folds alone are enough. Returns the path of the
    table; ``to`` is the folder for the common table of several experiments.
    """
    rows, worth = [], []
    for system, experiment in zip(system_names(experiments), experiments):
        scores = _inner_scores(experiment)
        choices = [experiment.choice(run.seed, run.fold) for run in experiment.outer_runs()]
        chosen = [choice["chosen"] for choice in choices if choice]
        first = scores[min(scores)]
        for number, inner in scores.items():
            changes = ", ".join(f"`{key}: {value}`" for key, value in experiment.candidates[number - 1].items())
            row = {"system": system, "candidate": number, "settings": changes or "as in the recipe"}
            row |= score_row(inner, None if inner is first else first)
            rows.append(row | {"nll": nll(inner), "chosen": chosen.count(number), "choices": len(chosen)})
        for title, used, unused in source_pairs(experiment, list(scores)):
            ahead = score_row(scores[used], scores[unused])
            ahead["nll_ahead"] = nll(scores[used]) - nll(scores[unused])
            worth.append({"system": system, "source": title, "with": used, "without": unused, **ahead})
    columns = {
        **{"candidate": "{candidate}", "settings": "{settings}"},
        **score_columns("the first"),
        **{"NLL": "{nll:.3f}", "chosen": "{chosen} of {choices}"},
    }
    of_sources = {
        **{"source": "{source}", "candidates": "{with} against {without}"},
        "UA [95 %]": lambda row: with_limits(row, "ua_ahead", sign="+"),
        **{"p": "{ua_p:.3f}", "NLL": "{nll_ahead:+.3f}"},
    }
    return Study(
        name="sources",
        title="Candidates and sources of unlabelled speech, on inner folds",
        table=pd.DataFrame(rows),
        columns=columns,
        notes=lambda table: [NOTES],
        details={"sources.csv": pd.DataFrame(worth)} if worth else {},
        sections={"sources.csv": ("Worth of each source", of_sources)} if worth else {},
    ).write(experiments, to)


def _inner_scores(experiment: Experiment) -> dict[int, pd.DataFrame]:
    """Candidate -> scores of its inner tests, for the outer folds whose inner runs are all done."""
    runs = experiment.inner_runs()
    if not runs:
        raise ValueError(f"{experiment.folder} compares no candidates; give several in the setting 'candidates'.")
    waiting = {run.fold for run in runs if not run.done}
    ready = [run for run in runs if run.fold not in waiting]
    if not ready:
        raise ValueError(f"no outer fold of {experiment.folder} has all its inner runs yet; continue its recipe first.")
    tested_in = {speaker: fold.index + 1 for fold in experiment.folds for speaker in fold.test_speakers}

    def scores(run) -> pd.DataFrame:
        """Of one inner run; the same utterance in another outer fold has another ID."""
        rows = experiment.scores([run])
        return rows.assign(ID=f"{run.fold}/" + rows["ID"], fold=rows["speaker"].map(tested_in).fillna(0).astype(int))

    found: dict[int, list[pd.DataFrame]] = {}
    for run in sorted(ready, key=lambda run: run.candidate):
        found.setdefault(run.candidate, []).append(scores(run))
    return {number: pd.concat(rows, ignore_index=True) for number, rows in found.items()}


def nll(scores: pd.DataFrame) -> float:
    """Mean negative logarithm of the probability of the true class, nats."""
    return float(negative_log_likelihood(*probs_and_truth(scores)).mean())


def source_pairs(experiment: Experiment, numbers: Sequence[int]) -> list[tuple[str, int, int]]:
    """(source, candidate with it, candidate without it) of candidates that are the same otherwise."""
    used = {}
    for number in numbers:
        settings = copy.deepcopy(experiment.settings)
        for key, value in experiment.candidates[number - 1].items():
            override(settings, key, value)
        given = settings.get("sources") or {}
        used[number] = settings | {"sources": {title: given.get(title) or {} for title in hashes(settings)}}
    pairs = []
    for title in hashes(experiment.settings):
        for a, b in itertools.permutations(numbers, 2):
            on, off = used[a]["sources"][title], used[b]["sources"][title]
            switched = Source(**on).weight > 0 and Source(**off).weight == 0
            if switched and _without(used[a], title) == _without(used[b], title):
                pairs.append((title, a, b))
    return pairs


def _without(settings: dict, title: str) -> dict:
    return settings | {"sources": {name: use for name, use in settings["sources"].items() if name != title}}
