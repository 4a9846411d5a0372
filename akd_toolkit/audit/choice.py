"""Candidates and epochs were chosen by the inner folds or set beforehand, never by the outer test."""

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd

from akd_toolkit.audit.runs import Runs, attempt, leak
from akd_toolkit.data.names import counted, some
from akd_toolkit.data.verdicts import Finding
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.metrics.scores import ua

ROUNDING = 1e-4  # of the scores in choice.json


def check_choice(runs: Runs) -> Iterator[Finding]:
    """Every refit used the candidate with the best UA pooled over the inner splits (the first of equals)."""
    experiment, listed = runs.experiment, _listed(runs.experiment)
    refits = [run for run in runs.records if run.kind == "outer"]
    if differ := list(_wrong_candidates(runs, listed)):  # then the choice cannot be checked
        yield from differ
        return
    if len(listed) == 1:
        yield Finding("proved", "choice", "one candidate, set beforehand: nothing was chosen.")
        return
    right, used = True, 0
    for refit in refits:
        inner = experiment.inner_runs(refit)
        used += len(inner)
        if missing := sum(run not in runs.scores for run in inner):
            wrong = [
                f"was scored while {missing} of its {counted(len(inner), 'inner run')} are unfinished, so the "
                f"inner folds cannot have chosen among {len(listed)} candidates; finish them and repeat this run"
            ]
        else:
            wrong = list(_wrong_choice(runs, refit, inner, listed))
        right &= not wrong
        yield from (leak("choice", refit, problem) for problem in wrong)
    if not refits:
        inner = counted(len(experiment.inner_runs()), "inner run")
        yield Finding("proved", "choice", f"{inner}, none on an outer test, will choose among candidates.")
    elif right:
        sentence = (
            f"{counted(len(refits), 'refit')} used the candidate that the inner folds chose, computed again from the "
            f"scores of {counted(used, 'inner run')}, which hold no utterance of the outer test."
        )
        yield Finding("proved", "choice", sentence)


def _wrong_candidates(runs: Runs, listed: list[str]) -> Iterator[Finding]:
    """The inner runs on disk are those of the candidates in the settings, all of them and no others."""
    experiment = runs.experiment
    fixed = {run: listed[(run.candidate or 1) - 1] for run in runs.records if run.candidate or len(listed) == 1}
    changed = [run.name for run, candidate in fixed.items() if _candidate(runs, run) not in (None, candidate)]
    planned = {run.folder for run in experiment.inner_runs()}
    on_disk = [folder for folder in experiment.paths.scored_inner_runs() if folder not in planned]
    removed = [folder.relative_to(experiment.folder).as_posix() for folder in on_disk]
    cure = "restore the list of candidates in settings.yaml, or start over in another folder."
    for names, what in (
        (changed, "trained with another candidate than settings.yaml lists under that number"),
        (removed, "compared, but no longer among the candidates of settings.yaml"),
    ):
        if names:
            yield Finding("leak", "choice", f"{some(names)}: {what}; {cure}")


def _wrong_choice(runs: Runs, refit: PlannedRun, inner: list[PlannedRun], listed: list[str]) -> Iterator[str]:
    """What is wrong with the choice of one refit, computed again from the scores of its inner runs."""
    if broken := [scores for run in inner if isinstance(scores := runs.scores[run], Exception)]:
        yield f"the inner scores cannot be trusted: {str(broken[0]).rstrip('.')}"
        return
    numbers = range(1, len(listed) + 1)
    pooled = [pd.concat([runs.scores[run] for run in inner if run.candidate == number]) for number in numbers]
    if seen := set(refit.test_speakers) & {speaker for scores in pooled for speaker in scores["speaker"]}:
        yield f"its inner runs were scored on outer test speaker {some(sorted(seen))}; run them again"
        return
    shares = [float(ua(scores["truth"], scores["prediction"])) for scores in pooled]
    best = int(np.argmax(shares))
    choice, used = _choice(runs.experiment, refit), _candidate(runs, refit)
    noted = choice.get("inner_ua", [])
    if not choice:
        yield "choice.json is missing or damaged; run the recipe again"
    elif choice.get("chosen") != best + 1 or len(noted) != len(shares) or not np.allclose(noted, shares, 0, ROUNDING):
        held = f"candidate {choice.get('chosen')} and inner UA {_percent(noted)}"
        given = f"candidate {best + 1} and {_percent(shares)}"
        yield f"choice.json has {held}, but the inner scores give {given}; repeat the inner runs and this run"
    if used not in (None, listed[best]):
        which = f"candidate {listed.index(used) + 1}" if used in listed else "none of the candidates"
        chosen = f"the inner folds chose {best + 1} (inner UA {_percent(shares)})"
        yield f"was trained with {which}, but {chosen}; run it again"


def check_epochs(runs: Runs) -> Iterator[Finding]:
    """Every training went through exactly the epochs that were set beforehand: none was stopped at its best."""
    for run in runs.records:
        expected, history = _planned_epochs(runs.experiment, run), attempt(run.history)
        if isinstance(history, Exception):
            yield Finding("not_proved", "epochs", f"for how many epochs {run.name} was trained: {history}")
            continue
        epochs = history["epoch"].tolist() if "epoch" in history else []
        if epochs != expected:
            held = f"epochs {epochs[0]} to {epochs[-1]}" if epochs else "no epoch"
            planned = f"{max(expected, default=0)} were set beforehand"
            chosen = "an epoch may have been chosen by its score; run it again"
            yield leak("epochs", run, f"metrics.csv holds {held}, and {planned}: {chosen}")


def _planned_epochs(experiment: Experiment, run: PlannedRun) -> list[int]:
    """The epochs of a run; they start at 0 where a head is fitted first."""
    number = run.candidate
    if number is None and len(experiment.candidates) > 1:
        number = _choice(experiment, run).get("chosen")
    if number not in range(1, len(experiment.candidates) + 1):  # check_choice reports it
        number = 1
    settings = {**experiment.settings, **experiment.candidates[number - 1]}
    first = 0 if settings.get("head_decay") is not None else 1
    return list(range(first, int(settings.get("number_of_epochs") or 0) + 1))


def _choice(experiment: Experiment, run: PlannedRun) -> dict:
    """The content of choice.json; {} where it is missing or damaged."""
    choice = attempt(lambda: experiment.choice(run.seed, run.fold))
    return choice if isinstance(choice, dict) else {}


def _candidate(runs: Runs, run: PlannedRun) -> str | None:
    """The candidate that a run was trained with, as text to compare; None where it is not known."""
    candidate = getattr(runs.records[run], "candidate", None)
    return None if candidate is None else _as_text(candidate)


def _listed(experiment: Experiment) -> list[str]:
    return [_as_text(candidate) for candidate in experiment.candidates]


def _as_text(candidate: dict) -> str:
    return json.dumps(candidate, sort_keys=True, default=str)


def _percent(shares) -> str:
    return ", ".join(f"{100 * share:.1f}" for share in shares)
