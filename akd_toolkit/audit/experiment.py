"""The audit of an experiment folder, finished or only planned."""

import copy
from collections import Counter
from collections.abc import Iterator, Sequence

from akd_toolkit.audit.choice import check_choice, check_epochs
from akd_toolkit.audit.runs import Runs, check_heads, check_report, check_scores, check_speakers, or_proved
from akd_toolkit.data.folds import inner_folds
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.names import counted, some
from akd_toolkit.data.split_checks import check_identical, check_segments, check_sentences, check_splits
from akd_toolkit.data.unlabelled import find_unlabelled, hashes
from akd_toolkit.data.verdicts import Finding, Split
from akd_toolkit.experiment.leaks import check_model, check_noise, check_pretraining
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.experiment.yaml_tree import override

RUN_CHECKS = (  # what each proves where it finds nothing wrong
    ("runs", check_speakers, "finished run", "trained and tested on the planned speakers, none on both sides"),
    (
        "scores",
        check_scores,
        "scores file",
        "hold exactly the utterances of their run's test, once each, with the manifest's labels",
    ),
    ("epochs", check_epochs, "finished run", "trained for the number of epochs set beforehand, and kept the last"),
)


def audit_experiment(
    experiment: Experiment, sound: bool = True, unlabelled: Manifest | None = None, progress: bool = True
) -> list[Finding]:
    """What can and cannot be proved about an experiment from its folder.

    With ``sound`` recordings are read to find near copies. ``unlabelled`` is the manifest of the unlabelled speech;
    None looks for it in a store beside the experiment.
    """
    if twice := _in_two_groups(experiment):
        sentence = f"speaker {some(twice)} is in several outer_folds, so in training and test; correct the groups."
        return [Finding("leak", "plan", sentence)]
    splits, runs = list(_planned_splits(experiment)), Runs.read(experiment)
    found = check_splits(splits, experiment.speakers_known) + check_sentences(splits)
    if sound:
        from akd_toolkit.audit.near import check_near

        found += check_near(splits, progress)
    else:
        sentence = "that no recording has a near copy: the sound was not compared."
        found.append(Finding("not_proved", "near copies", sentence))
    settings = _settings_of_candidates(experiment)
    found += _check_models(experiment, settings)
    for title, wanted in hashes(experiment.settings).items():
        given = unlabelled if unlabelled is not None and unlabelled.hash == wanted else None
        found += _check_unlabelled(runs, title, wanted, given or find_unlabelled(experiment.folder, wanted), sound)
    found += check_noise([spec for each in settings for spec in each.get("augment") or ()])
    for check, find, what, sentence in RUN_CHECKS:
        found += or_proved(find(runs), check, runs, what, sentence)
    for find in (check_heads, check_choice, check_report) if experiment.runs() else ():
        found += find(runs)
    return found if experiment.speakers_known else [_not_proved_for_voices(finding) for finding in found]


def title_of(experiment: Experiment) -> str:
    """One line that names the experiment and how much of it is done."""
    runs = [] if _in_two_groups(experiment) else experiment.runs()
    alone = "teachers alone" if experiment.settings.get("student") is None else "planned"
    state = f"{sum(run.done for run in runs)} of {counted(len(runs), 'run')} done" if runs else alone
    return f"{experiment.title} ({experiment.folder}; {state})"


def _in_two_groups(experiment: Experiment) -> list[str]:
    """Speakers that several outer folds name."""
    counts = Counter(str(speaker) for group in experiment.settings["outer_folds"] for speaker in set(group))
    return sorted(speaker for speaker, count in counts.items() if count > 1)


def _planned_splits(experiment: Experiment) -> Iterator[Split]:
    """Every split of the plan: each outer fold, and its inner folds where candidates are compared."""

    def split(name: str, train: Sequence[str], test: Sequence[str], *sides) -> Split:
        return Split(name, tuple(experiment.manifest.of(train)), tuple(experiment.manifest.of(test)), *sides)

    for fold in experiment.folds:
        name = f"fold {fold.index + 1}"
        yield split(name, fold.train_speakers, fold.test_speakers)
        if len(experiment.candidates) > 1:
            inner = inner_folds(fold.train_speakers, experiment.settings["outer_folds"])
            for number, (train, valid) in enumerate(inner, start=1):
                yield split(f"{name}, inner {number}", train, valid, ("inner training", "inner validation"))


def _check_models(experiment: Experiment, settings: list[dict]) -> list[Finding]:
    """No model that a run starts from was trained on the corpus, nor were layers pretrained on its recordings."""
    models, pretrained = {}, {}
    for each in settings:
        for title, spec in (each.get("teachers") or {}).items():
            models[f"teacher {title}", repr(spec)] = spec
        student = each.get("student") or {}
        if student.get("source"):
            models["the student's initial model", student["source"]] = student
        if (pretraining := experiment.pretraining_of(each.get("student"))) is not None:
            pretrained[student["source"]] = check_pretraining(pretraining[1], experiment.manifest)
    corpus, near = experiment.manifest.corpus, experiment.folder.resolve()
    return [check_model(who, spec, corpus, near) for (who, _), spec in models.items() if spec] + [*pretrained.values()]


def _check_unlabelled(runs: Runs, title: str, wanted: str, manifest: Manifest | None, sound: bool) -> list[Finding]:
    """No unlabelled speech is a recording of the corpus, nor spoken by a test speaker."""
    own = runs.experiment.manifest
    if manifest is None:
        sentence = (
            f"that the unlabelled speech ({title}) holds no recording and no speaker of the test: its manifest "
            f"({wanted}) was not found; give it with --unlabelled."
        )
        proofs = [getattr(record, "proved", ()) for record in runs.records.values()]
        if passed := sum(any(f"utterances ({title}) hold no" in line for line in proof) for proof in proofs):
            sentence += f" {counted(passed, 'run')} compared the recordings at the start and found no copy."
        return [Finding("not_proved", "unlabelled", sentence)]
    if set(manifest.speakers) <= set(own.speakers):
        count = counted(len(manifest), "unlabelled utterance")
        sentence = f"{count} are the corpus's own; a run uses those of its training speakers."
        return [Finding("proved", "unlabelled", sentence)]
    split = Split("", tuple(manifest), tuple(own), ("unlabelled speech", own.corpus))
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
            result.append(Finding("proved", "unlabelled", f"none of {count} has a copy in {own.corpus} ({method})."))
    sentence = f"that no test speaker speaks in {manifest.corpus}: names of other corpora prove nothing."
    return [*result, Finding("not_proved", "unlabelled", sentence)]


def _settings_of_candidates(experiment: Experiment) -> list[dict]:
    """The settings with each candidate's overrides."""
    found = []
    for candidate in experiment.candidates:
        found.append(copy.deepcopy(experiment.settings))
        for key, value in candidate.items():
            override(found[-1], key, value)
    return found


def _not_proved_for_voices(finding: Finding) -> Finding:
    """With unknown speakers, a proof about names of utterances proves nothing about voices."""
    if finding.verdict == "proved" and finding.check in ("runs", "heads"):
        return Finding("not_proved", finding.check, f"for voices, what was proved for utterances: {finding.sentence}")
    return finding
