"""The audit of an experiment folder, finished or only planned."""

import copy
from collections import Counter
from collections.abc import Sequence

from akd_toolkit.audit.choice import check_choice, check_epochs
from akd_toolkit.audit.runs import Runs, check_heads, check_report, check_scores_written, check_speakers_written
from akd_toolkit.data.folds import inner_folds
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.names import counted, some
from akd_toolkit.data.split_checks import check_identical, check_segments, check_sentences, check_splits
from akd_toolkit.data.unlabelled import find_unlabelled, hashes
from akd_toolkit.data.verdicts import Finding, Split
from akd_toolkit.experiment.leaks import check_model, check_noise, check_pretraining
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.experiment.yaml_tree import override

RUN_CHECKS = (check_heads, check_epochs, check_choice, check_report)


def audit_experiment(
    experiment: Experiment, sound: bool = True, unlabelled: Manifest | None = None, progress: bool = True
) -> list[Finding]:
    """What can and cannot be proved about an experiment from its folder.

    With ``sound`` recordings are read to find near copies. ``unlabelled`` is the manifest of the unlabelled speech;
    None looks for it in a store beside the experiment.
    """
    twice = speakers_in_two_groups(experiment.settings["outer_folds"])
    if twice:
        sentence = f"speaker {some(twice)} is in several outer_folds, so in training and test; correct the groups."
        return [Finding("leak", "plan", sentence)]
    splits, runs = planned_splits(experiment), Runs.read(experiment)
    found = check_splits(splits, experiment.speakers_known) + check_sentences(splits)
    if sound:
        from akd_toolkit.audit.near import check_near

        found += check_near(splits, progress)
    else:
        sentence = "that no recording has a near copy: the sound was not compared."
        found.append(Finding("not_proved", "near copies", sentence))
    settings = _settings_of_candidates(experiment)
    found += check_provenance(experiment, settings) + check_pretrained_students(experiment, settings)
    found += check_unlabelled(runs, unlabelled, sound)
    found += check_noise([spec for each in settings for spec in each.get("augment") or ()])
    found += check_speakers_written(runs) + check_scores_written(runs)
    for check in RUN_CHECKS if experiment.runs() else ():
        found += check(runs)
    return found if experiment.speakers_known else [_not_proved_for_voices(finding) for finding in found]


def title_of(experiment: Experiment) -> str:
    """One line that names the experiment and how much of it is done."""
    runs = [] if speakers_in_two_groups(experiment.settings["outer_folds"]) else experiment.runs()
    alone = "teachers alone" if experiment.settings.get("student") is None else "planned"
    state = f"{sum(run.done for run in runs)} of {counted(len(runs), 'run')} done" if runs else alone
    return f"{experiment.title} ({experiment.folder}; {state})"


def speakers_in_two_groups(groups: Sequence[Sequence[str]]) -> list[str]:
    """Speakers that several outer folds name.

    Example
    -------
    >>> speakers_in_two_groups([["A", "B"], ["C"], ["B", "D"]])
    ['B']
    """
    counts = Counter(str(speaker) for group in groups for speaker in set(group))
    return sorted(speaker for speaker, count in counts.items() if count > 1)


def planned_splits(experiment: Experiment) -> list[Split]:
    """Every split of the plan: each outer fold, and its inner folds where candidates are compared."""
    found, rows_of = [], experiment.manifest.of
    for fold in experiment.folds:
        name = f"fold {fold.index + 1}"
        found.append(Split(name, tuple(rows_of(fold.train_speakers)), tuple(rows_of(fold.test_speakers))))
        if len(experiment.candidates) > 1:
            inner = inner_folds(fold.train_speakers, experiment.settings["outer_folds"])
            for number, (train, valid) in enumerate(inner, start=1):
                sides = ("inner training", "inner validation")
                found.append(Split(f"{name}, inner {number}", tuple(rows_of(train)), tuple(rows_of(valid)), sides))
    return found


def check_provenance(experiment: Experiment, settings: list[dict]) -> list[Finding]:
    """No model that a run starts from was trained on the corpus, according to its authors."""
    models = {}
    for each in settings:
        for title, spec in (each.get("teachers") or {}).items():
            models[f"teacher {title}", repr(spec)] = spec
        student = each.get("student") or {}
        if student.get("source"):
            models["the student's initial model", student["source"]] = student
    corpus, near = experiment.manifest.corpus, experiment.folder.resolve()
    return [check_model(who, spec, corpus, near) for (who, _), spec in models.items() if spec]


def check_pretrained_students(experiment: Experiment, settings: list[dict]) -> list[Finding]:
    """No recording of the corpus was in the pretraining of a student's layers."""
    found = {}
    for each in settings:
        if (pretraining := experiment.pretraining_of(each.get("student"))) is not None:
            found[each["student"]["source"]] = check_pretraining(pretraining[1], experiment.manifest)
    return list(found.values())


def check_unlabelled(runs: Runs, manifest: Manifest | None, sound: bool) -> list[Finding]:
    """No unlabelled speech is a recording of the corpus, nor spoken by a test speaker."""
    found = []
    for title, wanted in hashes(runs.experiment.settings).items():
        given = manifest if manifest is not None and manifest.hash == wanted else None
        found += _check_source(runs, title, wanted, given or find_unlabelled(runs.experiment.folder, wanted), sound)
    return found


def _check_source(runs: Runs, title: str, wanted: str, manifest: Manifest | None, sound: bool) -> list[Finding]:
    experiment = runs.experiment
    if manifest is None:
        sentence = (
            f"that the unlabelled speech ({title}) holds no recording and no speaker of the test: its manifest "
            f"({wanted}) was not found; give it with --unlabelled."
        )
        proofs = [getattr(record, "proved", ()) for record in runs.records.values()]
        passed = sum(any(f"utterances ({title}) hold no" in line for line in proof) for proof in proofs)
        gate = f" {counted(passed, 'run')} compared the recordings at the start and found no copy." if passed else ""
        return [Finding("not_proved", "unlabelled", sentence + gate)]
    if set(manifest.speakers) <= set(experiment.manifest.speakers):
        count = counted(len(manifest), "unlabelled utterance")
        sentence = f"{count} are the corpus's own; a run uses those of its training speakers."
        return [Finding("proved", "unlabelled", sentence)]
    corpus = experiment.manifest.corpus
    split = Split("", tuple(manifest), tuple(experiment.manifest), ("unlabelled speech", corpus))
    found = check_identical([split]) + check_segments([split])
    if sound:
        from akd_toolkit.audit.near import NOT_COMPARED, check_near

        found += [line for line in check_near([split]) if line.sentence != NOT_COMPARED]
    unread = [line for line in found if line.verdict == "not_proved"]
    proved = {line.check for line in found if line.verdict == "proved"} - {line.check for line in unread}
    leaks = [line for line in found if line.verdict == "leak"]
    result = [Finding(line.verdict, "unlabelled", line.sentence) for line in (*leaks, *unread)]
    for check, method in {"identical": "SHA-256", "near copies": "fingerprints"}.items():
        if check in proved:
            count = counted(len(manifest), "unlabelled recording")
            result.append(Finding("proved", "unlabelled", f"none of {count} has a copy in {corpus} ({method})."))
    sentence = f"that no test speaker speaks in {manifest.corpus}: names of other corpora prove nothing."
    return [*result, Finding("not_proved", "unlabelled", sentence)]


def _settings_of_candidates(experiment: Experiment) -> list[dict]:
    """The settings with each candidate's overrides."""
    found = []
    for candidate in experiment.candidates:
        settings = copy.deepcopy(experiment.settings)
        for key, value in candidate.items():
            override(settings, key, value)
        found.append(settings)
    return found


def _not_proved_for_voices(finding: Finding) -> Finding:
    """With unknown speakers, a proof about names of utterances proves nothing about voices."""
    if finding.verdict == "proved" and finding.check in ("runs", "heads"):
        return Finding("not_proved", finding.check, f"for voices, what was proved for utterances: {finding.sentence}")
    return finding
