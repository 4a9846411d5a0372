"""What the runs of an experiment really wrote, against its plan: speakers, scores, heads, and the report."""

from collections.abc import Sequence

import pandas as pd

from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.verdicts import Finding, counted, some
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.scores_file import read_scores, wrong_scores
from akd_toolkit.experiment.stored import Experiment

Readings = dict[PlannedRun, pd.DataFrame | Exception]  # what each finished run scored, or why that cannot be trusted


def check_speakers_written(experiment: Experiment, done: Sequence[PlannedRun]) -> list[Finding]:
    """Each student says that it was trained and tested on the planned speakers, and on nobody on both sides."""
    found = []
    for run in done:
        try:
            record = run.record
        except (OSError, ValueError) as error:
            found.append(Finding("not_proved", "runs", f"on whom {run.name} was trained: {error}"))
            continue
        heard, tested = set(record.train_speakers), set(record.test_speakers)
        both = sorted(heard & tested)
        if both:
            found.append(_leak("runs", run, f"was trained and tested on speaker {some(both)}; run it again"))
        elif (heard, tested) != (set(run.train_speakers), set(run.test_speakers)):
            strangers = sorted(heard - set(run.train_speakers)) or sorted(tested ^ set(run.test_speakers))
            who = some(strangers or sorted(set(run.train_speakers) - heard))
            found.append(_leak("runs", run, f"was run on other speakers than planned ({who}); run it again"))
    if done and not found:
        told = f"{counted(len(done), 'finished run')} trained and tested on the planned speakers, none on both sides."
        found.append(Finding("proved", "runs", told))
    return found


def read_all_scores(done: Sequence[PlannedRun]) -> Readings:
    """What each run scored, or the error why it cannot be trusted; read once, as checking a file takes a while."""
    found: Readings = {}
    for run in done:
        try:
            found[run] = run.scores()
        except (OSError, ValueError) as error:
            found[run] = error
    return found


def check_scores_written(experiment: Experiment, readings: Readings) -> list[Finding]:
    """Each scores.csv holds exactly the utterances of its test speakers, once, with the manifest's truth."""
    found = []
    for run, scores in readings.items():
        if isinstance(scores, Exception):
            found.append(_leak("scores", run, f"scores.csv cannot be trusted: {str(scores).rstrip('.')}"))
        elif problem := wrong_scores(scores, experiment.manifest, run.test_speakers, run.seed, run.fold):
            found.append(_leak("scores", run, f"scores.csv {problem}; run it again"))
    for title, scores in _teachers(experiment, found).items():
        for fold in experiment.folds:
            of_fold = scores[scores["fold"] == fold.index + 1]
            problem = wrong_scores(of_fold, experiment.manifest, fold.test_speakers, None, fold.index + 1)
            if problem:
                sentence = f"teacher {title}, fold {fold.index + 1}: scores.csv {problem}; run the recipe again."
                found.append(Finding("leak", "scores", sentence))
    if readings and not found:
        told = f"{counted(len(readings), 'scores file')} hold exactly the utterances of their run's test, once each"
        found.append(Finding("proved", "scores", f"{told}, with the manifest's labels."))
    return found


def check_heads(experiment: Experiment, done: Sequence[PlannedRun]) -> list[Finding]:
    """No teacher's head, nor the standardisation in front of it, was fitted on a speaker outside the run's training."""
    if not experiment.settings.get("teachers"):
        return []
    found, heads, cross = [], 0, True
    for run in done:
        try:
            recorded = run.record.heads
        except (OSError, ValueError) as error:
            found.append(Finding("not_proved", "heads", f"on whom the heads of {run.name} were fitted: {error}"))
            continue
        if len(recorded) < len(experiment.settings["teachers"]):
            described = counted(len(recorded), "teacher")
            told = f"on whom every head of {run.name} was fitted: its record describes {described}."
            found.append(Finding("not_proved", "heads", told))
        for title, listed in recorded.items():
            heads += len(listed)
            found += _check_teacher(run, title, listed)
            cross &= not any(_answers_for_own(experiment.manifest, head) for head in listed)
    if not cross:
        told = "heads answer for training utterances whose speakers they were fitted on (no test)."
        found.append(Finding("warning", "heads", told))
    if done and not any(finding.verdict == "leak" for finding in found) and heads:
        told = f"{counted(heads, 'head')} of teachers, each with its standardisation"
        found.append(Finding("proved", "heads", f"{told}, were fitted on no speaker of their run's test."))
    return found


def _check_teacher(run: PlannedRun, title: str, heads: Sequence[dict]) -> list[Finding]:
    """What is wrong with the heads of one teacher in one run."""
    found = []
    if not heads or not all(head["trained_on"] for head in heads):
        told = "a head that was fitted on nobody" if heads else "no head"
        sentence = f"on whom the heads of teacher {title} in {run.name} were fitted: its record lists {told}."
        found.append(Finding("not_proved", "heads", sentence))
    for head in heads:
        fitted = set(map(str, head["trained_on"]))
        tested, strangers = sorted(fitted & set(run.test_speakers)), sorted(fitted - set(run.train_speakers))
        who = f"a head of teacher {title}"
        if tested:
            told = f"{who} was fitted on test speaker {some(tested)}; delete it and run again"
            found.append(_leak("heads", run, told))
        elif strangers:
            told = f"{who} was fitted on speaker {some(strangers)}, outside the run's training; run again"
            found.append(_leak("heads", run, told))
    return found


def _answers_for_own(manifest: Manifest, head: dict) -> bool:
    """Whether a head answers for speakers that it was fitted on; older records list utterances instead."""
    rows = manifest.by_id
    speakers = {rows[name].speaker if name in rows else name for name in head["answers_for"]}
    return bool(speakers & set(map(str, head["trained_on"])))


def check_report(experiment: Experiment, readings: Readings) -> list[Finding]:
    """The scores behind the report are those of all outer runs, and every planned run is there."""
    found = []
    outer = experiment.outer_runs()
    finished = [run for run in outer if run in readings]
    if len(finished) < len(outer):
        waiting = some(run.name for run in outer if run not in finished)
        told = f"partial: {len(finished)} of {counted(len(outer), 'planned outer run')} are done; not yet {waiting}."
        found.append(Finding("warning", "report", told))
    left, every = len(experiment.folds), len(experiment.settings["outer_folds"])
    if left < every:
        told = f"partial: {left} of {every} outer folds were asked for, so not every speaker is tested."
        found.append(Finding("warning", "report", told))
    if not experiment.paths.scores.is_file() or not finished:
        return found
    try:
        reported = read_scores(experiment.paths.scores, experiment.label_order)
    except (OSError, ValueError) as error:
        return [*found, Finding("leak", "report", f"the scores behind the report cannot be trusted: {error}")]
    cells = reported.groupby(["seed", "fold"]).groups
    left_out = [run for run in finished if (run.seed, run.fold) not in cells]
    extra = sorted(set(cells) - {(run.seed, run.fold) for run in finished})
    if left_out:
        told = f"the report leaves out {some(run.name for run in left_out)}, finished as they are"
        found.append(Finding("leak", "report", f"{told}: whoever picks runs by their test picks scores; report all."))
    if extra:
        told = f"the report holds seed {extra[0][0]}, fold {extra[0][1]}, of which there is no finished run"
        found.append(Finding("leak", "report", f"{told}; report again."))
    key = ["seed", "fold", "ID"]
    for run in finished:
        scores = readings[run]
        if run in left_out or isinstance(scores, Exception):  # said by check_scores_written
            continue
        of_run = reported.loc[cells[run.seed, run.fold]]
        columns = [name for name in scores.columns if name in of_run.columns]
        one, other = (table[columns].sort_values(key).reset_index(drop=True) for table in (of_run, scores))
        if not _same(one, other):
            told = f"the report's scores of {run.name} are not those of the run; report again."
            found.append(Finding("leak", "report", told))
    if not any(finding.verdict == "leak" for finding in found):
        told = f"the report's scores are those of all {counted(len(finished), 'finished outer run')}, unchanged."
        found.append(Finding("proved", "report", told))
    return found


def _same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    try:
        pd.testing.assert_frame_equal(one, other, check_dtype=False, rtol=0, atol=1e-9)
    except AssertionError:
        return False
    return True


def _teachers(experiment: Experiment, found: list[Finding]) -> dict[str, pd.DataFrame]:
    try:
        return experiment.teacher_scores()
    except (OSError, ValueError) as error:
        found.append(Finding("leak", "scores", f"scores of a teacher cannot be trusted: {error}"))
        return {}


def _leak(check: str, run: PlannedRun, what: str) -> Finding:
    return Finding("leak", check, f"{run.name}: {what}.")
