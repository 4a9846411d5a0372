"""Checks of a run's split before training: what is proved, and what cannot be proved."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.split_checks import check_splits
from akd_toolkit.data.verdicts import Finding, Split
from akd_toolkit.teachers.provenance import names_corpus, provenance_of


def audit(
    train: Manifest,
    test: Manifest,
    teachers=None,
    unlabelled: Mapping[str, Manifest] | None = None,
    one_head: bool = False,
    speaker_independent: bool = True,
    models: dict[str, dict] | None = None,
    augment: Sequence[dict] | None = None,
    num_labelled: int | None = None,
    pretraining: tuple[list[str], set[str]] | None = None,
) -> dict[str, list[str]]:
    """Check a split: ``{"proved": [...], "not_proved": [...]}``, a sentence each.

    ``unlabelled`` maps titles of sources to their training speech; ``teachers`` is a ``TeacherFold``; ``one_head`` says
    that losses imitate a head fitted on the same speakers; ``speaker_independent`` is False if the recipe says that
    speakers are unknown; ``models`` holds pretrained models as ``{"teacher whisper": {"name": ..., "source": ...}}``.
    ``num_labelled`` is the number of training utterances whose label is used, by default all; ``pretraining`` holds
    corpora and SHA-256 of the recordings from which the student's layers were pretrained. ValueError if training and
    test share a speaker, utterance, part of a recording or identical sound, or a head or a pretrained model was trained
    on the test data.
    """
    known = speaker_independent and train.speakers_known
    findings = check_splits([Split("", tuple(train), tuple(test))], known)
    known = known and not any((one.verdict, one.check) == ("not_proved", "speakers") for one in findings)
    if num_labelled is not None and num_labelled < len(train):
        sentence = f"labels of {num_labelled} of {len(train)} training utterances are used, also by teachers"
        findings.append(Finding("proved", "labels", sentence))
    findings += _check_heads(teachers or (), test, one_head, known)
    findings += [check_model(who, spec, test.corpus, Path.cwd()) for who, spec in (models or {}).items()]
    if pretraining is not None:
        findings.append(check_pretraining(pretraining[1], test))
    for title, speech in (unlabelled or {}).items():
        pool = Split("", tuple(speech), tuple(test), sides=(f"unlabelled speech {title}", "test"))
        findings += [finding for finding in check_splits([pool]) if finding.verdict == "leak"]
        sentence = f"{len(speech)} unlabelled utterances ({title}) hold no recording of the test"
        findings.append(Finding("proved", "unlabelled", sentence))
        if not known or not set(speech.speakers) <= set(train.speakers):
            sentence = f"that no test speaker speaks in the unlabelled speech ({title}): names of others prove nothing"
            findings.append(Finding("not_proved", "unlabelled", sentence))
    findings += check_noise(augment)
    for finding in findings:
        if finding.verdict == "leak":
            raise ValueError(finding.sentence)
    said = {verdict: [one for one in findings if one.verdict == verdict] for verdict in ("proved", "not_proved")}
    return {verdict: [one.sentence.rstrip(".") for one in found] for verdict, found in said.items()}


def _check_heads(teachers, test: Manifest, one_head: bool, known: bool) -> list[Finding]:
    """No head was fitted on a test speaker; with unknown speakers names prove nothing."""
    found = []
    for teacher in teachers:
        name = teacher.title
        leaked = sorted({speaker for head in teacher.heads for speaker in head.trained_on} & set(test.speakers))
        if leaked:
            sentence = f"a head of teacher {name} was fitted on test speaker {leaked[0]}; delete its heads from the "
            found.append(Finding("leak", "heads", f"{sentence}store and run again."))
        lines = [
            f"no head of teacher {name} was fitted on a test speaker",
            f"gates and weightings use heads of teacher {name} that were not fitted on the speaker",
            f"losses imitate heads of teacher {name} that were not fitted on the speaker",
        ]
        for line in lines[:2] if one_head else lines:
            found.append(Finding("proved", "heads", line) if known else Finding("not_proved", "heads", f"that {line}"))
    return found


def check_pretraining(recordings: set[str], test: Manifest) -> Finding:
    """Whether a student's layers were pretrained, without labels, on a recording of the test."""
    row = next((row for row in test if row.sha256 in recordings), None)
    if row is not None:
        sentence = f"the student's layers were pretrained on {row.id} of the test; pretrain without this corpus."
        return Finding("leak", "pretraining", sentence)
    if not recordings:
        sentence = "that the student's layers were not pretrained on recordings of the test: their source does not say."
        return Finding("not_proved", "pretraining", sentence)
    sentence = f"none of the {len(recordings)} recordings on which the student's layers were pretrained is in the test."
    return Finding("proved", "pretraining", sentence)


def check_model(who: str, spec: dict, corpus: str, near: Path) -> Finding:
    """Whether a pretrained model was trained on the corpus; a relative source is looked up from ``near`` upwards."""
    known = provenance_of(spec, near)
    source = f" ({spec['source']})" if spec.get("source") else ""
    corpora = ", ".join(known.corpora or ())
    if names_corpus(known.corpora or (), corpus):
        verdict = "leak"
        sentence = f"{who}{source} was trained on {corpus} ({known.source}), perhaps on the test; use another model."
    elif known.corpora is None or not known.complete:
        verdict = "not_proved"
        among = f"it was trained on {corpora}, which may not be all; " if corpora else ""
        sentence = f"that {who}{source} was not trained on recordings of {corpus}: {among}{known.source}."
    else:
        verdict = "proved"
        on = f"{corpora or 'nothing'} and not on {corpus}, according to its authors ({known.source})"
        sentence = f"{who}{source} was trained on {on}."
    return Finding(verdict, "provenance", sentence)


def check_noise(augment: Sequence[dict] | None) -> list[Finding]:
    """A finding per noise folder: noise mixed into the training speech is not checked; ``augment`` as in the YAML."""
    folders = dict.fromkeys(str(spec["folder"]) for spec in augment or () if spec.get("folder"))
    sentence = "that the noise in {}, mixed into the training speech, holds no speech of the test."
    return [Finding("not_proved", "noise", sentence.format(folder)) for folder in folders]
