"""What teachers, a student's beginning, and speech without labels may already know of the test."""

import copy
from collections.abc import Sequence

from akd_toolkit.audit.near import NOT_COMPARED, check_near
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.split_checks import check_identical, check_segments
from akd_toolkit.data.unlabelled import find_unlabelled
from akd_toolkit.data.verdicts import Finding, Split, counted
from akd_toolkit.experiment.leaks import check_model
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.experiment.yaml_tree import override


def check_provenance(experiment: Experiment) -> list[Finding]:
    """No model that a run begins from was trained on the corpus, as far as its authors say."""
    specs = {}
    for settings in settings_of_candidates(experiment):
        for title, spec in (settings.get("teachers") or {}).items():
            specs[f"teacher {title}", repr(spec)] = spec
        student = settings.get("student") or {}
        if student.get("source"):
            specs["the student's beginning", student["source"]] = student
    corpus, near = experiment.manifest.corpus, experiment.folder.resolve()
    return [check_model(who, spec, corpus, near) for (who, _), spec in specs.items() if spec]


def settings_of_candidates(experiment: Experiment) -> list[dict]:
    """The settings with each candidate's overrides."""
    found = []
    for candidate in experiment.candidates:
        settings = copy.deepcopy(experiment.settings)
        for key, value in candidate.items():
            override(settings, key, value)
        found.append(settings)
    return found


def check_unlabelled(
    experiment: Experiment, done: Sequence[PlannedRun], manifest: Manifest | None = None, sound: bool = True
) -> list[Finding]:
    """No speech without labels is a recording of the test, nor spoken by a test speaker.

    Arguments
    ---------
    manifest
        Of the speech without labels; None looks for it in a store beside the experiment.
    sound
        Whether fingerprints are compared as well.
    """
    wanted = experiment.settings.get("unlabelled_hash")
    if not wanted:
        return []
    manifest = manifest or find_unlabelled(experiment.folder, wanted)
    if manifest is None or manifest.hash != wanted:
        told = (
            "that the speech without labels holds no recording and no speaker of the test: its manifest "
            f"({wanted}) is not here; give it with --unlabelled."
        )
        passed = sum(any("unlabelled utterances hold no" in line for line in _proved(run)) for run in done)
        gate = f"{counted(passed, 'run')} refused identical recordings at the start."
        return [Finding("not_proved", "unlabelled", told + (f" {gate}" if passed else ""))]
    if set(manifest.speakers) <= set(experiment.manifest.speakers):
        told = (
            f"{counted(len(manifest), 'unlabelled utterance')} are the corpus's own; a run hears those of its training."
        )
        return [Finding("proved", "unlabelled", told)]
    rows = tuple(experiment.manifest)
    split = Split("", tuple(manifest), rows, ("unlabelled speech", experiment.manifest.corpus))
    found = check_identical([split]) + check_segments([split])
    if sound:
        found += check_near([split], experiment.paths.unlabelled_fingerprints)
    unread = [line for line in found if line.verdict == "not_proved" and line.sentence != NOT_COMPARED]
    proved = {line.check for line in found if line.verdict == "proved"} - {line.check for line in unread}
    leaks = [line for line in found if line.verdict == "leak"]
    found = [Finding(line.verdict, "unlabelled", line.sentence) for line in (*leaks, *unread)]
    for check in ("identical", "near copies"):
        if check in proved:
            by = {"identical": "SHA-256", "near copies": "fingerprints"}[check]
            told = f"none of {counted(len(manifest), 'unlabelled recording')} has a copy in {split.sides[1]} ({by})."
            found.append(Finding("proved", "unlabelled", told))
    unnamed = f"that no test speaker speaks in the speech without labels: {manifest.corpus} does not say who speaks."
    return [*found, Finding("not_proved", "unlabelled", unnamed)]


def _proved(run: PlannedRun) -> Sequence[str]:
    try:
        return run.record.proved
    except (OSError, ValueError):
        return ()
