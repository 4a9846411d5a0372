"""What the finished runs of an experiment wrote, compared with its plan: speakers, scores, heads and the report."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from akd_toolkit.data.names import counted, some
from akd_toolkit.data.verdicts import Finding
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.record import RunRecord
from akd_toolkit.experiment.scores_file import read_scores, wrong_scores
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.registry import TEACHERS


@dataclass(frozen=True)
class Runs:
    """What the finished runs of an experiment wrote; for a file that cannot be read, the exception."""

    experiment: Experiment
    records: dict[PlannedRun, RunRecord | Exception]
    scores: dict[PlannedRun, pd.DataFrame | Exception]

    @classmethod
    def read(cls, experiment: Experiment) -> "Runs":
        done = [run for run in experiment.runs() if run.done]
        records = {run: attempt(lambda run=run: run.record) for run in done}
        return cls(experiment, records, {run: attempt(run.scores) for run in done})


def attempt(read: Callable):
    """What ``read`` returns, or the exception if a file is missing or damaged."""
    try:
        return read()
    except (OSError, ValueError) as error:
        return error


def leak(check: str, run: PlannedRun, sentence: str) -> Finding:
    return Finding("leak", check, f"{run.name}: {sentence}.")


def or_proved(found: list[Finding], check: str, number: int, what: str, sentence: str) -> list[Finding]:
    """What was found, else the proof for that many things, if there are any."""
    proof = [Finding("proved", check, f"{counted(number, what)} {sentence}.")] if number else []
    return found or proof


def check_speakers_written(runs: Runs) -> list[Finding]:
    """Each run was trained and tested on the planned speakers, none of them on both sides."""
    found = []
    for run, record in runs.records.items():
        if isinstance(record, Exception):
            found.append(Finding("not_proved", "runs", f"which speakers {run.name} was trained on: {record}"))
            continue
        trained, tested = set(record.train_speakers), set(record.test_speakers)
        planned, planned_test = set(run.train_speakers), set(run.test_speakers)
        if trained & tested:
            both = some(sorted(trained & tested))
            found.append(leak("runs", run, f"was trained and tested on speaker {both}; run it again"))
        elif (trained, tested) != (planned, planned_test):
            who = some(sorted(trained - planned) or sorted(tested ^ planned_test) or sorted(planned - trained))
            found.append(leak("runs", run, f"was run on other speakers than planned ({who}); run it again"))
    sentence = "trained and tested on the planned speakers, none on both sides"
    return or_proved(found, "runs", len(runs.records), "finished run", sentence)


def check_scores_written(runs: Runs) -> list[Finding]:
    """Each scores.csv holds exactly the utterances of its test speakers, once, with the manifest's labels."""
    experiment, found, masked = runs.experiment, [], []
    for run, scores in runs.scores.items():
        if isinstance(scores, Exception):
            found.append(leak("scores", run, f"scores.csv cannot be trusted: {str(scores).rstrip('.')}"))
        elif problem := wrong_scores(scores, experiment.manifest, run.tested(experiment.manifest), run.seed, run.fold):
            found.append(leak("scores", run, f"scores.csv {problem}; run it again"))
    teachers = attempt(experiment.teacher_scores)
    if isinstance(teachers, Exception):
        found.append(Finding("leak", "scores", f"scores of a teacher cannot be trusted: {teachers}"))
        teachers = {}
    for title, scores in teachers.items():
        for fold in experiment.folds:
            number = fold.index + 1
            of_fold = scores[scores["fold"] == number]
            place = experiment.manifest, experiment.manifest.of(fold.test_speakers), None, number
            if problem := wrong_scores(of_fold, *place, complete=_needs_all(experiment, title)):
                sentence = f"teacher {title}, fold {number}: scores.csv {problem}; run the recipe again."
                found.append(Finding("leak", "scores", sentence))
            elif lacking := len(experiment.manifest.of(fold.test_speakers)) - of_fold["ID"].nunique():
                count = counted(lacking, "test utterance")
                sentence = f"teacher {title}, fold {number}: has no output for {count}, where it was not scored."
                masked.append(Finding("warning", "scores", sentence))
    sentence = "hold exactly the utterances of their run's test, once each, with the manifest's labels"
    return or_proved(found, "scores", len(runs.scores), "scores file", sentence) + masked


def _needs_all(experiment: Experiment, title: str) -> bool:
    """Whether a teacher must be scored on every utterance: one that reads audio, or is not known here."""
    try:
        return TEACHERS.get(experiment.settings["teachers"][title]["name"]).modality == "audio"
    except ValueError:
        return True


def check_heads(runs: Runs) -> list[Finding]:
    """No teacher's head, nor the standardisation before it, was fitted on a speaker outside the run's training."""
    teachers = runs.experiment.settings.get("teachers")
    if not teachers:
        return []
    found, number, own = [], 0, False
    for run, record in runs.records.items():
        unknown = None
        if isinstance(record, Exception):
            unknown, heads = str(record), {}
        else:
            heads = record.heads
            if len(heads) < len(teachers):
                unknown = f"its record describes {counted(len(heads), 'teacher')} of {len(teachers)}."
        for title, listed in heads.items():
            number += len(listed)
            if not listed or not all(head["trained_on"] for head in listed):
                unknown = f"its record names no speakers for teacher {title}."
            for head in listed:
                fitted = set(map(str, head["trained_on"]))
                tested, others = sorted(fitted & {*run.test_speakers}), sorted(fitted - {*run.train_speakers})
                who = f"a head of teacher {title} was fitted on"
                if tested:
                    sentence = f"{who} test speaker {some(tested)}; delete it and run again"
                    found.append(leak("heads", run, sentence))
                elif others:
                    sentence = f"{who} speaker {some(others)}, outside the run's training; run again"
                    found.append(leak("heads", run, sentence))
                own |= bool(fitted & set(head["answers_for"]))
        if unknown:
            sentence = f"which speakers every head of {run.name} was fitted on: {unknown}"
            found.append(Finding("not_proved", "heads", sentence))
    if own:
        sentence = "heads give the targets of training utterances whose speakers they were fitted on (no test)."
        found.append(Finding("warning", "heads", sentence))
    if number and not any(finding.verdict == "leak" for finding in found):
        sentence = f"{counted(number, 'head')} of teachers, each with its standardisation, were fitted on no speaker"
        found.append(Finding("proved", "heads", f"{sentence} of their run's test."))
    return found


def check_report(runs: Runs) -> list[Finding]:
    """The scores behind the report are those of all planned outer runs."""
    experiment, found = runs.experiment, []
    outer = experiment.outer_runs()
    finished = [run for run in outer if run in runs.scores]
    if len(finished) < len(outer):
        waiting = some(run.name for run in outer if run not in finished)
        count = f"{len(finished)} of {counted(len(outer), 'planned outer run')}"
        found.append(Finding("warning", "report", f"partial: {count} are done; not yet {waiting}."))
    used, every = len(experiment.folds), len(experiment.settings["outer_folds"])
    if used < every:
        sentence = f"partial: {used} of {every} outer folds were requested, so not every speaker is tested."
        found.append(Finding("warning", "report", sentence))
    if not experiment.paths.scores.is_file() or not finished:
        return found
    reported = attempt(lambda: read_scores(experiment.paths.scores, experiment.label_order))
    if isinstance(reported, Exception):
        return [*found, Finding("leak", "report", f"the scores behind the report cannot be trusted: {reported}")]
    cells = reported.groupby(["seed", "fold"]).groups
    missing = [run for run in finished if (run.seed, run.fold) not in cells]
    extra = sorted(set(cells) - {(run.seed, run.fold) for run in finished})
    wrong = []
    if missing:
        names = some(run.name for run in missing)
        wrong.append(f"the report leaves out {names}, although finished; choosing runs by their test score is a leak")
    if extra:
        wrong.append(f"the report holds seed {extra[0][0]}, fold {extra[0][1]}, of which there is no finished run")
    for run in finished:
        scores = runs.scores[run]
        if run in missing or isinstance(scores, Exception):  # check_scores_written reports it
            continue
        if not _same(reported.loc[cells[run.seed, run.fold]], scores):
            wrong.append(f"the report's scores of {run.name} are not those of the run")
    if not wrong:
        sentence = f"the report's scores are those of all {counted(len(finished), 'finished outer run')}, unchanged."
        found.append(Finding("proved", "report", sentence))
    return found + [Finding("leak", "report", f"{sentence}; report again.") for sentence in wrong]


def _same(reported: pd.DataFrame, scores: pd.DataFrame) -> bool:
    columns = [name for name in scores.columns if name in reported.columns]
    one, other = (
        table[columns].sort_values(["seed", "fold", "ID"]).reset_index(drop=True) for table in (reported, scores)
    )
    try:
        pd.testing.assert_frame_equal(one, other, check_dtype=False, rtol=0, atol=1e-9)
    except AssertionError:
        return False
    return True
