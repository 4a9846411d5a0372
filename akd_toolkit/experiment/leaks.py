"""Checks of a run's split before training: what is proved, and what cannot be proved."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.names import counted, is_unknown_speaker
from akd_toolkit.data.split_checks import check_identical, check_segments, check_speakers, check_utterances
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
) -> dict[str, list[str]]:
    """Check a split: ``{"proved": [...], "not_proved": [...]}``, a sentence each.

    ``unlabelled`` maps titles of sources to their training speech; ``teachers`` is a ``TeacherFold``; ``one_head`` says
    that losses imitate a head fitted on the same speakers; ``speaker_independent`` is False if the recipe says that
    speakers are unknown; ``models`` holds pretrained models as ``{"teacher whisper": {"name": ..., "source": ...}}``.
    ``num_labelled`` is the number of training utterances whose label is used, by default all. ValueError if training
    and test share a speaker, utterance, part of a recording or identical sound, or a head or a pretrained model was
    trained on the test data.
    """
    _refuse_leaks(train, test)
    unnamed = sum(is_unknown_speaker(row.speaker) for row in (*train, *test))
    named = speaker_independent and train.speakers_known and not unnamed
    without_sum = sum(not row.sha256 for row in (*train, *test))
    proved, not_proved = [], []
    if named:
        proved.append(f"{len(train.speakers)} training and {len(test.speakers)} test speakers do not overlap")
    else:
        of = f" in {counted(unnamed, 'utterance')}" if unnamed else ""
        not_proved.append(f"that no speaker is on both sides, as the corpus does not say who speaks{of}")
    if without_sum:
        not_proved.append(f"that no recording occurs twice, as {without_sum} utterances have no checksum")
    proved += [
        f"{len(train)} training and {len(test)} test utterances have no utterance"
        + (" in common" if without_sum else " and no identical recording in common"),
        "no two utterances across the split are cut from the same part of one audio file",
    ]
    if num_labelled is not None and num_labelled < len(train):
        proved.append(f"labels of {num_labelled} of {len(train)} training utterances are used, also by teachers")
    heads = _check_heads(teachers or (), test, one_head)
    if named:
        proved += heads
    else:  # names say nothing about speakers
        not_proved += [f"that {line}" for line in heads]
    findings = [check_model(who, spec, test.corpus, Path.cwd()) for who, spec in (models or {}).items()]
    for title, speech in (unlabelled or {}).items():
        _refuse_leaks(speech, test)
        sentence = f"{len(speech)} unlabelled utterances ({title}) hold no recording of the test"
        findings.append(Finding("proved", "unlabelled", sentence))
        if not named or not set(speech.speakers) <= set(train.speakers):
            sentence = f"that no test speaker speaks in the unlabelled speech ({title}): names of others prove nothing"
            findings.append(Finding("not_proved", "unlabelled", sentence))
    for finding in [*findings, *check_noise(augment)]:
        if finding.verdict == "leak":
            raise ValueError(finding.sentence)
        (proved if finding.verdict == "proved" else not_proved).append(finding.sentence.rstrip("."))
    return {"proved": proved, "not_proved": not_proved}


def _refuse_leaks(train: Manifest, test: Manifest) -> None:
    split = Split("", tuple(train), tuple(test))
    for check in (check_speakers, check_utterances, check_identical, check_segments):
        for finding in check([split]):
            if finding.verdict == "leak":
                raise ValueError(finding.sentence)


def _check_heads(teachers, test: Manifest, one_head: bool) -> list[str]:
    lines = []
    for teacher in teachers:
        leaked = sorted({speaker for head in teacher.heads for speaker in head.trained_on} & set(test.speakers))
        if leaked:
            raise ValueError(
                f"a head of teacher {teacher.title} was fitted on test speaker {leaked[0]}; delete its heads from the "
                "store and run again."
            )
        lines.append(f"no head of teacher {teacher.title} was fitted on a test speaker")
        lines.append(f"gates and weightings use heads of teacher {teacher.title} that were not fitted on the speaker")
        if not one_head:
            lines.append(f"losses imitate heads of teacher {teacher.title} that were not fitted on the speaker")
    return lines


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
