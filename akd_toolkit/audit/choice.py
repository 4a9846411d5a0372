"""Whether a candidate or an epoch was chosen by the inner folds and beforehand, and never by the test."""

import json
from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from akd_toolkit.audit.runs import Readings
from akd_toolkit.data.verdicts import Finding, counted, some
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.metrics.scores import ua

ROUNDING = 1e-4  # of the scores that choice.json holds
_leak, _proved = (partial(Finding, verdict, "choice") for verdict in ("leak", "proved"))


def check_choice(experiment: Experiment, readings: Readings) -> list[Finding]:
    """The candidate of every refit is the one that the inner folds chose, computed again from their scores.

    The best UA pooled over the inner splits wins, and the first of equals.
    """
    candidates = experiment.candidates
    refits = [run for run in readings if run.kind == "outer"]
    found = _check_candidates(experiment, readings)
    if found:  # what was compared is not what the settings list, so nothing can be said of the choice
        return found
    if len(candidates) == 1:
        wrong = [run for run in refits if _candidate(run) not in (None, _plain(candidates[0]))]
        if wrong:
            return [_leak(f"{some(run.name for run in wrong)}: its candidate is not that of the settings; run again.")]
        return [_proved("one candidate, set beforehand: nothing was chosen.")]
    used = 0
    for refit in refits:
        mine = experiment.inner_runs(refit)
        missing = [run for run in mine if run not in readings]
        if missing:
            told = (
                f"{refit.name}: was scored while {len(missing)} of its {counted(len(mine), 'inner run')} are not done: "
                f"the inner folds cannot have chosen among {len(candidates)} candidates; run them and it again."
            )
            found.append(_leak(told))
        else:
            found += _check_refit(experiment, refit, {run: readings[run] for run in mine})
            used += len(mine)
    if refits and not found:
        told = (
            f"{counted(len(refits), 'refit')} used the candidate that the inner folds chose, computed again from the "
        )
        told = f"{told}scores of {counted(used, 'inner run')}, which hold no utterance of the outer test."
        found.append(_proved(told))
    if not refits:
        inner = counted(len(experiment.inner_runs()), "inner run")
        found.append(_proved(f"{inner}, none on an outer test, will choose among candidates."))
    return found


def check_epochs(experiment: Experiment, done: Sequence[PlannedRun]) -> list[Finding]:
    """Every training went through exactly the epochs that were set beforehand: none was stopped at its best."""
    found = []
    for run in done:
        expected = _planned_epochs(experiment, run)
        try:
            history = run.history()
            epochs = history["epoch"].tolist() if "epoch" in history else []
        except (OSError, ValueError) as error:
            found.append(Finding("not_proved", "epochs", f"for how long {run.name} was trained: {error}"))
            continue
        if epochs != expected:
            told = f"epochs {epochs[0]} to {epochs[-1]}" if epochs else "no epoch"
            told = f"{run.name}: metrics.csv holds {told}, and {max(expected, default=0)} were set beforehand"
            told = f"{told}: an epoch may have been chosen by its score; run it again."
            found.append(Finding("leak", "epochs", told))
    if done and not found:
        told = f"{counted(len(done), 'finished run')} trained for the number of epochs set beforehand"
        found.append(Finding("proved", "epochs", f"{told}, and kept the last."))
    return found


def _check_candidates(experiment: Experiment, readings: Readings) -> list[Finding]:
    """The inner runs that are there are those of the candidates that the settings list, all of them and no others."""
    listed = [_plain(candidate) for candidate in experiment.candidates]
    inner = [run for run in readings if run.kind == "inner"]
    other = [run.name for run in inner if _candidate(run) not in (None, listed[run.candidate - 1])]
    planned = {run.folder for run in experiment.inner_runs()}
    on_disk = experiment.paths.scored_inner_runs()
    dropped = [path.relative_to(experiment.folder).as_posix() for path in on_disk if path not in planned]
    cure = "restore the list of candidates in settings.yaml, or start over in another folder"
    found = []
    if other:
        told = f"{some(other)}: trained with another candidate than settings.yaml lists under that number; {cure}."
        found.append(_leak(told))
    if dropped:
        told = f"{some(dropped)}: compared, and not among the candidates of settings.yaml any more; {cure}."
        found.append(_leak(told))
    return found


def _check_refit(experiment: Experiment, refit: PlannedRun, inner: Readings) -> list[Finding]:
    broken = [scores for scores in inner.values() if isinstance(scores, Exception)]
    if broken:
        return [_leak(f"{refit.name}: the inner scores cannot be trusted: {broken[0]}")]
    numbers = range(1, len(experiment.candidates) + 1)
    pooled = [pd.concat([scores for run, scores in inner.items() if run.candidate == number]) for number in numbers]
    seen = sorted(set(refit.test_speakers) & {speaker for scores in pooled for speaker in scores["speaker"]})
    if seen:
        told = f"the inner runs that chose its candidate were scored on outer test speaker {some(seen)}"
        return [_leak(f"{refit.name}: {told}; run them again.")]
    shares = [float(ua(scores["truth"], scores["prediction"])) for scores in pooled]
    best, by = int(np.argmax(shares)), f"inner UA {', '.join(f'{100 * share:.1f}' for share in shares)}"
    wrong, choice = [], _choice(experiment, refit)
    noted = choice.get("inner_ua", [])
    if not choice:
        wrong.append("choice.json is missing or damaged; run the recipe again")
    elif choice.get("chosen") != best + 1:
        told = f"choice.json names candidate {choice.get('chosen')}, and the inner folds chose {best + 1} ({by})"
        wrong.append(f"{told}; run the recipe again")
    elif len(noted) != len(shares) or not np.allclose(noted, shares, 0, ROUNDING):
        was = ", ".join(f"{100 * share:.1f}" for share in noted)
        told = by.removeprefix("inner UA ")
        wrong.append(f"choice.json notes inner UA {was}, and the inner scores give {told}; run the inner runs again")
    used, listed = _candidate(refit), [_plain(candidate) for candidate in experiment.candidates]
    if used not in (None, listed[best]):
        which = f"candidate {listed.index(used) + 1}" if used in listed else "none of the candidates"
        wrong.append(f"was trained with {which}, and the inner folds chose {best + 1} ({by}); run it again")
    return [_leak(f"{refit.name}: {told}.") for told in wrong]


def _planned_epochs(experiment: Experiment, run: PlannedRun) -> list[int]:
    """Epochs that a run goes through: from 0 where a head is fitted first."""
    index = run.candidate
    if index is None and len(experiment.candidates) > 1:
        index = _choice(experiment, run).get("chosen")
    if index not in range(1, len(experiment.candidates) + 1):  # said by check_choice
        index = 1
    settings = {**experiment.settings, **experiment.candidates[index - 1]}
    epochs = int(settings.get("number_of_epochs") or 0)
    first = 0 if settings.get("head_decay") is not None else 1
    return list(range(first, epochs + 1))


def _choice(experiment: Experiment, run: PlannedRun) -> dict:
    """What choice.json says; {} where it is missing or damaged."""
    try:
        choice = experiment.choice(run.seed, run.fold)
    except (OSError, ValueError):
        return {}
    return choice if isinstance(choice, dict) else {}


def _candidate(run: PlannedRun) -> str | None:
    try:
        candidate = run.record.candidate
    except (OSError, ValueError):
        return None
    return None if candidate is None else _plain(candidate)


def _plain(candidate: dict) -> str:
    return json.dumps(candidate, sort_keys=True, default=str)
