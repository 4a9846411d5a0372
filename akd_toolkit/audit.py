"""What a run can prove of its own split, and what it cannot."""

from akd_toolkit.data.folds import check_speakers_disjoint
from akd_toolkit.data.manifest import Manifest


def audit(
    train: Manifest, test: Manifest, teachers=None, unlabelled: Manifest | None = None, one_head: bool = False
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

    Raises
    ------
    ValueError
        If a speaker, an utterance or identical sound is on both sides, or a teacher's head has heard a test speaker.
    """
    check_speakers_disjoint(train, test)
    proved = [
        f"{len(train.speakers)} training and {len(test.speakers)} test speakers have nobody in common",
        f"{len(train)} training and {len(test)} test utterances have no utterance and no identical recording in common",
    ]
    not_proved = []
    for target in teachers or ():
        heard = sorted({speaker for head in target.heads for speaker in head.heard} & set(test.speakers))
        if heard:
            raise ValueError(
                f"a head of teacher {target.title} was fitted on test speaker {heard[0]}; delete its heads from the "
                "store and run again."
            )
        proved.append(f"no head of teacher {target.title} has heard a test speaker")
        proved.append(f"gates and weightings judge teacher {target.title} by heads that have not heard the speaker")
        if not one_head:
            proved.append(f"losses imitate heads of teacher {target.title} that have not heard the speaker")
        not_proved.append(f"that the encoder of teacher {target.title} was not trained on recordings of {test.corpus}")
    if unlabelled is not None:
        check_speakers_disjoint(unlabelled, test)
        proved.append(f"{len(unlabelled)} unlabelled utterances hold no recording of the test")
        if not set(unlabelled.speakers) <= set(train.speakers):
            not_proved.append("that no test speaker speaks in the unlabelled speech, whose speakers have no names")
    return {"proved": proved, "not_proved": not_proved}
