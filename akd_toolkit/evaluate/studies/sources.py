"""What each source of unlabelled speech is worth on the inner folds of an experiment with candidates."""

import copy
import itertools
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from akd_toolkit.data.unlabelled import Source, hashes
from akd_toolkit.evaluate.report.summary import probs_and_truth
from akd_toolkit.evaluate.report.tables import with_limits
from akd_toolkit.evaluate.studies.study import score_columns, score_row, system_names, write_study
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

    Outer folds whose inner runs are not all done are left out; outer runs are not needed. Returns the path of the
    table.
    """
    rows, worth = [], []
    for system, experiment in zip(system_names(experiments), experiments):
        scores = _inner_scores(experiment)
        nll = {of: float(negative_log_likelihood(*probs_and_truth(inner)).mean()) for of, inner in scores.items()}
        choices = [experiment.choice(run.seed, run.fold) for run in experiment.outer_runs()]
        chosen = [choice["chosen"] for choice in choices if choice]
        first = min(scores)
        for number, inner in scores.items():
            changes = ", ".join(f"`{key}: {value}`" for key, value in experiment.candidates[number - 1].items())
            row = {"system": system, "candidate": number, "settings": changes or "as in the recipe"}
            row |= score_row(inner, None if number == first else scores[first])
            rows.append(row | {"nll": nll[number], "chosen": chosen.count(number), "choices": len(chosen)})
        for title, used, unused in source_pairs(experiment, list(scores)):
            pair = {"system": system, "source": title, "with": used, "without": unused}
            ahead = score_row(scores[used], scores[unused])
            worth.append({**pair, **ahead, "nll_ahead": nll[used] - nll[unused]})
    columns = {
        **{"candidate": "{candidate}", "settings": "{settings}"},
        **score_columns("the first"),
        **{"NLL": "{nll:.3f}", "chosen": "{chosen} of {choices}"},
    }
    of_sources = {
        **{"source": "{source}", "candidates": "{with} against {without}"},
        "UA [95 %]": partial(with_limits, value="ua_ahead", sign="+"),
        **{"p": "{ua_p:.3f}", "NLL": "{nll_ahead:+.3f}"},
    }
    tables = {"table.csv": ("", pd.DataFrame(rows), columns)}
    tables |= {"sources.csv": ("Worth of each source", pd.DataFrame(worth), of_sources)} if worth else {}
    title = "Candidates and sources of unlabelled speech, on inner folds"
    return write_study(experiments, to, "sources", title, NOTES, tables)


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
    found: dict[int, list[pd.DataFrame]] = {}
    for run in sorted(ready, key=lambda run: run.candidate):
        rows = experiment.scores([run])
        folds = rows["speaker"].map(tested_in).fillna(0).astype(int)
        # The same utterance in another outer fold gets another ID.
        found.setdefault(run.candidate, []).append(rows.assign(ID=f"{run.fold}/" + rows["ID"], fold=folds))
    return {number: pd.concat(rows, ignore_index=True) for number, rows in found.items()}


def source_pairs(experiment: Experiment, numbers: Sequence[int]) -> list[tuple[str, int, int]]:
    """(source, candidate with it, candidate without it) of candidates that are the same otherwise."""
    titles, rest, uses = list(hashes(experiment.settings)), {}, {}
    for number in numbers:
        settings = copy.deepcopy(experiment.settings)
        for key, value in experiment.candidates[number - 1].items():
            override(settings, key, value)
        given = settings.pop("sources", None) or {}
        rest[number], uses[number] = settings, {title: given.get(title) or {} for title in hashes(settings)}
    pairs = []
    for title in titles:
        for a, b in itertools.permutations(numbers, 2):
            switched = Source(**uses[a][title]).weight > 0 and Source(**uses[b][title]).weight == 0
            if switched and rest[a] == rest[b] and uses[a] | {title: {}} == uses[b] | {title: {}}:
                pairs.append((title, a, b))
    return pairs
