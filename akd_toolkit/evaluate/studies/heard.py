"""Whether students have met the recordings of another corpus in their training."""

from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.unlabelled import find_unlabelled
from akd_toolkit.experiment.stored import Experiment


def refuse_shared_recordings(experiment: Experiment, other: Manifest) -> None:
    """Refuse a corpus that holds recordings which the experiment has trained on with their labels.

    Raises
    ------
    ValueError
        If any recording is in both, by the checksum of its samples.
    """
    mine = {row.sha256: row.id for row in experiment.manifest if row.sha256}
    both = [row for row in other if row.sha256 in mine]
    if both:
        raise ValueError(
            f"{len(both)} of {len(other)} recordings of {other.corpus} are recordings of {experiment.manifest.corpus} "
            f"too (first: {both[0].id}, there {mine[both[0].sha256]}), so they were trained on; give a corpus of other "
            "recordings."
        )


def heard_without_labels(
    experiment: Experiment, other: Manifest, unlabelled: Manifest | None = None
) -> tuple[str, str]:
    """Whether the other corpus took part in training as speech without labels: a verdict and a sentence.

    Arguments
    ---------
    unlabelled
        The speech without labels that the experiment was given; None looks for it in the stores beside the experiment.

    Returns
    -------
    tuple of str
        ``no``, ``yes`` or ``unknown``, and the sentence that a table carries.

    Raises
    ------
    ValueError
        If ``unlabelled`` is other speech than the experiment was given.
    """
    wanted = experiment.settings.get("unlabelled_hash")
    if not wanted:
        return "no", f"The students heard nothing but {experiment.manifest.corpus} in training."
    if unlabelled is not None and unlabelled.hash != wanted:
        raise ValueError(
            f"{experiment.folder} was trained with other speech without labels (manifest {wanted}) than the one given "
            f"({unlabelled.hash}); give the manifest.csv of that run's store."
        )
    found = unlabelled or find_unlabelled(experiment.folder, wanted)
    if found is None:
        return "unknown", (
            f"**It is not known whether the students heard {other.corpus} in training:** the manifest of their speech "
            f"without labels ({wanted}) is in no store beside the experiment."
        )
    sounds = {row.sha256 for row in found if row.sha256}
    heard = sum(row.sha256 in sounds for row in other)
    if heard:
        return "yes", (
            f"**{heard} of these {len(other)} recordings of {other.corpus} took part in the training of the students, "
            "without their labels:** this is no test on an unheard corpus."
        )
    unhashed = sum(not row.sha256 for row in (*found, *other))
    if unhashed:
        return (
            "unknown",
            f"**{unhashed} recordings have no checksum**, so it is not known whether they were trained on.",
        )
    return "no", (
        f"None of these recordings is among the {len(found)} that the students heard without labels ({found.corpus})."
    )
