"""What the finished runs of an experiment wrote, compared with its plan: speakers, scores, heads and the report."""

from collections.abc import Callable, Iterable, Iterator
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


def or_proved(found: Iterable[Finding], check: str, runs: Runs, what: str, sentence: str) -> list[Finding]:
    """What was found; where there are only warnings, also the proof that ``sentence`` holds for every finished run."""
    found, number = list(found), len(runs.records)
    if number and all(finding.verdict == "warning" for finding in found):
        found.append(Finding("proved", check, f"{counted(number, what)} {sentence}."))
    return found


def check_speakers(runs: Runs) -> Iterator[Finding]:
    """Each run was trained and tested on the planned speakers, none of them on both sides."""
    for run, record in runs.records.items():
        if isinstance(record, Exception):
            yield Finding("not_proved", "runs", f"which speakers {run.name} was trained on: {record}")
            continue
        trained, tested = set(record.train_speakers), set(record.test_speakers)
        planned, planned_test = set(run.train_speakers), set(run.test_speakers)
        if both := trained & tested:
            yield leak("runs", run, f"was trained and tested on speaker {some(sorted(both))}; run it again")
        elif (trained, tested) != (planned, planned_test):
            who = some(sorted(trained - planned) or sorted(tested ^ planned_test) or sorted(planned - trained))
            yield leak("runs", run, f"was run on other speakers than planned ({who}); run it again")


def check_scores(runs: Runs) -> Iterator[Finding]:
    """Each scores.csv holds exactly the utterances of its test speakers, once, with the manifest's labels."""
    manifest = runs.experiment.manifest
    for run, scores in runs.scores.items():
        if isinstance(scores, Exception):
            yield leak("scores", run, f"scores.csv cannot be trusted: {str(scores).rstrip('.')}")
        elif problem := wrong_scores(scores, manifest, run.tested(manifest), run.seed, run.fold):
            yield leak("scores", run, f"scores.csv {problem}; run it again")
    teachers = attempt(runs.experiment.teacher_scores)
    if isinstance(teachers, Exception):
        yield Finding("leak", "scores", f"scores of a teacher cannot be trusted: {teachers}")
        teachers = {}
    for title, scores in teachers.items():
        for number, fold in ((fold.index + 1, fold) for fold in runs.experiment.folds):
            of_fold, tested = scores[scores["fold"] == number], manifest.of(fold.test_speakers)
            which = f"teacher {title}, fold {number}:"
            every = _needs_all(runs.experiment, title)
            if problem := wrong_scores(of_fold, manifest, tested, None, number, complete=every):
                yield Finding("leak", "scores", f"{which} scores.csv {problem}; run the recipe again.")
            elif lacking := len(tested) - of_fold["ID"].nunique():
                count = counted(lacking, "test utterance")
                yield Finding("warning", "scores", f"{which} has no output for {count}, where it was not scored.")


def _needs_all(experiment: Experiment, title: str) -> bool:
    """Whether a teacher must be scored on every utterance: one that reads audio, or is not known here."""
    try:
        return TEACHERS.get(experiment.settings["teachers"][title]["name"]).modality == "audio"
    except ValueError:
        return True


def check_heads(runs: Runs) -> list[Finding]:
    """No teacher's head, nor the standardisation before it, was fitted on a speaker outside the run's training."""
    teachers = runs.experiment.settings.get("teachers") or {}
    found, number, own = [], 0, False
    for run, record in runs.records.items() if teachers else ():
        heads = getattr(record, "heads", {})
        unknown = str(record) if isinstance(record, Exception) else ""
        if not unknown and len(heads) < len(teachers):
            unknown = f"its record describes {counted(len(heads), 'teacher')} of {len(teachers)}."
        for title, listed in heads.items():
            if not listed or not all(head["trained_on"] for head in listed):
                unknown = f"its record names no speakers for teacher {title}."
            for head in listed:
                number += 1
                fitted, who = set(map(str, head["trained_on"])), f"a head of teacher {title} was fitted on"
                own |= bool(fitted & set(head["answers_for"]))
                if tested := sorted(fitted & {*run.test_speakers}):
                    found.append(leak("heads", run, f"{who} test speaker {some(tested)}; delete it and run again"))
                elif others := sorted(fitted - {*run.train_speakers}):
                    where = "outside the run's training; run again"
                    found.append(leak("heads", run, f"{who} speaker {some(others)}, {where}"))
        if unknown:
            sentence = f"which speakers every head of {run.name} was fitted on: {unknown}"
            found.append(Finding("not_proved", "heads", sentence))
    if number and not any(finding.verdict == "leak" for finding in found):
        sentence = f"{counted(number, 'head')} of teachers, each with its standardisation, were fitted on no speaker"
        found.append(Finding("proved", "heads", f"{sentence} of their run's test."))
    if own:
        sentence = "heads give the targets of training utterances whose speakers they were fitted on (no test)."
        found.append(Finding("warning", "heads", sentence))
    return found


def check_report(runs: Runs) -> Iterator[Finding]:
    """The scores behind the report are those of all planned outer runs."""
    experiment, outer = runs.experiment, runs.experiment.outer_runs()
    finished = [run for run in outer if run in runs.scores]
    if len(finished) < len(outer):
        waiting = some(run.name for run in outer if run not in finished)
        count = f"{len(finished)} of {counted(len(outer), 'planned outer run')}"
        yield Finding("warning", "report", f"partial: {count} are done; not yet {waiting}.")
    used, every = len(experiment.folds), len(experiment.settings["outer_folds"])
    if used < every:
        sentence = f"partial: {used} of {every} outer folds were requested, so not every speaker is tested."
        yield Finding("warning", "report", sentence)
    if not experiment.paths.scores.is_file() or not finished:
        return
    reported = attempt(lambda: read_scores(experiment.paths.scores, experiment.label_order))
    if isinstance(reported, Exception):
        yield Finding("leak", "report", f"the scores behind the report cannot be trusted: {reported}")
        return
    cells, wrong = reported.groupby(["seed", "fold"]).groups, []
    if missing := [run for run in finished if (run.seed, run.fold) not in cells]:
        names = some(run.name for run in missing)
        wrong.append(f"the report leaves out {names}, although finished; choosing runs by their test score is a leak")
    if extra := sorted(set(cells) - {(run.seed, run.fold) for run in finished}):
        wrong.append(f"the report holds seed {extra[0][0]}, fold {extra[0][1]}, of which there is no finished run")
    for run in finished:
        if run in missing or isinstance(runs.scores[run], Exception):  # check_scores reports the latter
            continue
        if not _same(reported.loc[cells[run.seed, run.fold]], runs.scores[run]):
            wrong.append(f"the report's scores of {run.name} are not those of the run")
    yield from (Finding("leak", "report", f"{sentence}; report again.") for sentence in wrong)
    if not wrong:
        sentence = f"the report's scores are those of all {counted(len(finished), 'finished outer run')}, unchanged."
        yield Finding("proved", "report", sentence)


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
