"""The audit of an experiment folder, finished or merely planned."""

from collections import Counter
from collections.abc import Sequence

from akd_toolkit.audit.choice import check_choice, check_epochs
from akd_toolkit.audit.models import check_provenance, check_unlabelled, settings_of_candidates
from akd_toolkit.audit.near import check_near
from akd_toolkit.audit.runs import (
    check_heads,
    check_report,
    check_scores_written,
    check_speakers_written,
    read_all_scores,
)
from akd_toolkit.data.folds import inner_folds
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.split_checks import (
    check_identical,
    check_segments,
    check_sentences,
    check_speakers,
    check_utterances,
)
from akd_toolkit.data.verdicts import Finding, Split, counted, some
from akd_toolkit.experiment.leaks import check_noise
from akd_toolkit.experiment.stored import Experiment


def audit_experiment(
    experiment: Experiment, sound: bool = True, unlabelled: Manifest | None = None, progress: bool = True
) -> list[Finding]:
    """Everything that can be proved of an experiment from its folder, and what cannot.

    Arguments
    ---------
    sound
        Whether recordings are read to find near copies; their fingerprints are kept beside the manifest.
    unlabelled
        Manifest of the speech without labels, where it is not found beside the experiment.
    """
    twice = speakers_in_two_groups(experiment.settings["outer_folds"])
    if twice:
        told = f"speaker {some(twice)} is in several of the outer_folds, so in training and test; correct the groups."
        return [Finding("leak", "plan", told)]
    splits, planned = planned_splits(experiment), experiment.runs()
    done = [run for run in planned if run.done]
    found = _speakers(experiment, splits)
    for check in (check_utterances, check_segments, check_identical, check_sentences):
        found += check(splits)
    if sound:
        found += check_near(splits, experiment.paths.fingerprints, progress)
    else:
        found.append(
            Finding("not_proved", "near copies", "that no recording has a near copy: the sound was not compared.")
        )
    found += check_provenance(experiment)
    found += check_unlabelled(experiment, done, unlabelled, sound)
    noises = [spec for settings in settings_of_candidates(experiment) for spec in settings.get("augment") or ()]
    found += check_noise(noises)
    readings = read_all_scores(done)
    found += check_speakers_written(experiment, done) + check_scores_written(experiment, readings)
    if planned:
        found += check_heads(experiment, done) + check_epochs(experiment, done)
        found += check_choice(experiment, readings) + check_report(experiment, readings)
    return found if experiment.speakers_known else [_of_names_alone(finding) for finding in found]


def speakers_in_two_groups(groups: Sequence[Sequence[str]]) -> list[str]:
    """
    Example
    -------
    >>> speakers_in_two_groups([["A", "B"], ["C"], ["B", "D"]])
    ['B']
    """
    counts = Counter(str(speaker) for group in groups for speaker in set(group))
    return sorted(speaker for speaker, count in counts.items() if count > 1)


def title_of(experiment: Experiment) -> str:
    """One line that says what was audited."""
    runs = [] if speakers_in_two_groups(experiment.settings["outer_folds"]) else experiment.runs()
    done = sum(run.done for run in runs)
    alone = "teachers alone" if experiment.settings.get("student") is None else "planned"
    trained = f"{done} of {counted(len(runs), 'run')} done" if runs else alone
    return f"{experiment.title} ({experiment.folder}; {trained})"


def planned_splits(experiment: Experiment) -> list[Split]:
    """Every division of the corpus that the plan makes: by each outer fold, and by its inner ones if there are any."""
    found = []
    rows_of = experiment.manifest.of
    for fold in experiment.folds:
        name = f"fold {fold.index + 1}"
        found.append(Split(name, tuple(rows_of(fold.train_speakers)), tuple(rows_of(fold.test_speakers))))
        if len(experiment.candidates) > 1:
            inner = inner_folds(fold.train_speakers, experiment.settings["outer_folds"])
            for number, (train, valid) in enumerate(inner, start=1):
                sides = ("inner training", "inner validation")
                found.append(Split(f"{name}, inner {number}", tuple(rows_of(train)), tuple(rows_of(valid)), sides))
    return found


def _speakers(experiment: Experiment, splits: list[Split]) -> list[Finding]:
    if experiment.speakers_known:
        return check_speakers(splits)
    sentence = (
        "that no speaker is on both sides: the corpus does not say who speaks (speaker_independent: false), and every "
        "score of it may be of voices known from training."
    )
    return [Finding("not_proved", "speakers", sentence)]


def _of_names_alone(finding: Finding) -> Finding:
    """What is proved of speakers' names proves nothing of voices where utterances stand for speakers."""
    if finding.verdict == "proved" and finding.check in ("runs", "heads"):
        return Finding("not_proved", finding.check, f"of voices, what holds of utterances: {finding.sentence}")
    return finding
