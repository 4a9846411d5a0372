"""What a run can prove of its own split before it trains, and what it cannot."""

from collections.abc import Sequence
from pathlib import Path

from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.names import is_nobody
from akd_toolkit.data.split_checks import check_identical, check_segments, check_speakers, check_utterances
from akd_toolkit.data.verdicts import Finding, Split, counted
from akd_toolkit.teachers.provenance import names_corpus, provenance_of


def audit(
    train: Manifest,
    test: Manifest,
    teachers=None,
    unlabelled: Manifest | None = None,
    one_head: bool = False,
    speaker_independent: bool = True,
    models: dict[str, dict] | None = None,
    augment: Sequence[dict] | None = None,
) -> dict[str, list[str]]:
    """Check a split and say what holds: ``{"proved": [...], "not_proved": [...]}``, a sentence each.

    Arguments
    ---------
    teachers
        The fold's teachers (``TeacherFold``), or None.
    unlabelled
        Speech without labels that the student hears, or None.
    one_head
        Whether losses imitate a head that has heard the training speakers that it speaks for.
    speaker_independent
        False where the recipe says that the corpus names no speakers, so that each utterance stands for one; the
        manifest may say so too.
    models
        What the run begins from, as in the YAML: ``{"teacher whisper": {"name": ..., "source": ...}}``.
    augment
        What is done to the training sound, as in the YAML.

    Raises
    ------
    ValueError
        If a speaker, an utterance, a piece of one recording or identical sound is on both sides, or a teacher's head
        has heard a test speaker, or a model was trained on the corpus by its authors' account.
    """
    _refuse_leaks(train, test)
    unnamed = sum(is_nobody(row.speaker) for row in (*train, *test))
    named = speaker_independent and train.speakers_known and not unnamed
    heads = _of_heads(teachers or (), test, one_head)
    without_sum = sum(not row.sha256 for row in (*train, *test))
    proved, not_proved = [], []
    if named:
        nobody = f"{len(train.speakers)} training and {len(test.speakers)} test speakers have nobody in common"
        proved.append(nobody)
    else:
        of = f" in {counted(unnamed, 'utterance')}" if unnamed else ""
        not_proved.append(f"that no speaker is on both sides, as the corpus does not say who speaks{of}")
    if without_sum:
        not_proved.append(f"that no recording is there twice, as {without_sum} utterances have no checksum")
    proved += [
        f"{len(train)} training and {len(test)} test utterances have no utterance"
        + (" in common" if without_sum else " and no identical recording in common"),
        "no two utterances across the split are cut from the same part of one audio file",
    ]
    if named:
        proved += heads
    else:  # where utterances stand for speakers, names prove nothing of voices
        not_proved += [f"that {line}" for line in heads]
    for who, spec in (models or {}).items():
        known = check_model(who, spec, test.corpus, Path.cwd())
        if known.verdict == "leak":
            raise ValueError(known.sentence)
        (proved if known.verdict == "proved" else not_proved).append(known.sentence.rstrip("."))
    if unlabelled is not None:
        _refuse_leaks(unlabelled, test)
        proved.append(f"{len(unlabelled)} unlabelled utterances hold no recording of the test")
        if not named or not set(unlabelled.speakers) <= set(train.speakers):
            not_proved.append("that no test speaker speaks in the unlabelled speech, whose speakers have no names")
    not_proved += [line.sentence.rstrip(".") for line in check_noise(augment)]
    return {"proved": proved, "not_proved": not_proved}


def _refuse_leaks(train: Manifest, test: Manifest) -> None:
    split = Split("", tuple(train), tuple(test))
    for check in (check_speakers, check_utterances, check_identical, check_segments):
        for finding in check([split]):
            if finding.verdict == "leak":
                raise ValueError(finding.sentence)


def _of_heads(teachers, test: Manifest, one_head: bool) -> list[str]:
    """What holds of the speakers that heads have heard; a head that has heard one of the test is refused."""
    lines = []
    for target in teachers:
        heard = sorted({speaker for head in target.heads for speaker in head.heard} & set(test.speakers))
        if heard:
            raise ValueError(
                f"a head of teacher {target.title} was fitted on test speaker {heard[0]}; delete its heads from the "
                "store and run again."
            )
        lines.append(f"no head of teacher {target.title} has heard a test speaker")
        lines.append(f"gates and weightings judge teacher {target.title} by heads that have not heard the speaker")
        if not one_head:
            lines.append(f"losses imitate heads of teacher {target.title} that have not heard the speaker")
    return lines


def check_model(who: str, spec: dict, corpus: str, near: Path) -> Finding:
    """What is known of one model: ``spec`` as in the YAML, its relative source meant from ``near`` or above."""
    known = provenance_of(spec, near)
    source = f" ({spec['source']})" if spec.get("source") else ""
    aside = f"; its card also names {corpus}, not as training" if names_corpus(known.mentions, corpus) else ""
    if names_corpus(known.corpora or (), corpus):
        told = f"{who}{source} was trained on {corpus} ({known.source}), perhaps on the test; use another model."
        return Finding("leak", "provenance", told)
    if known.corpora is None or not known.complete:
        among = (
            f"it was trained on {', '.join(known.corpora)}, and nobody says that this is all; " if known.corpora else ""
        )
        told = f"that {who}{source} was not trained on recordings of {corpus}: {among}{known.source}{aside}."
        return Finding("not_proved", "provenance", told)
    on = f"was trained on {', '.join(known.corpora)}" if known.corpora else "was trained on nothing"
    told = f"{who}{source} {on} and not on {corpus}, by its authors' account ({known.source}{aside})."
    return Finding("proved", "provenance", told)


def check_noise(augment: Sequence[dict] | None) -> list[Finding]:
    """What is laid under the training speech is not read by any audit; ``augment`` as in the YAML."""
    folders = dict.fromkeys(str(spec["folder"]) for spec in augment or () if spec.get("folder"))
    return [
        Finding(
            "not_proved",
            "noise",
            f"that the noise in {folder}, laid under the training speech, holds no speech of the test.",
        )
        for folder in folders
    ]
