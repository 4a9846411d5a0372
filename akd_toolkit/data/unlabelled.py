"""Speech without labels, for which a student learns the teacher outputs."""

import hashlib
import json
from pathlib import Path

from akd_toolkit.data.files import MANIFEST
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.data.preparing import measure, prepare_once, trim_silence
from akd_toolkit.data.sounds import find_sounds, without_copies
from akd_toolkit.registry import CORPORA

LABEL = "unlabelled"


@CORPORA.register("unlabelled")
def prepare_unlabelled(folder, save_folder, progress: bool = True) -> Manifest:
    """Any folder of speech, at any depth; no label and no speaker is read from it.

    Silence before and after the speech is left out. Its speakers must not be those of the corpus it is used with;
    identical recordings are refused there.

    Arguments
    ---------
    folder
        Holds sound files, in subfolders or not.
    save_folder
        The manifest goes to a subfolder of it named after the folder.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If it holds no audio, or files are bad.
    """
    folder = Path(folder)
    files = without_copies(find_sounds(folder, "unlabelled", "give a folder of speech, 'mixtures' or null"))

    def build() -> Manifest:
        rows = [
            Utterance(str(path.relative_to(folder)), str(path.resolve()), 0, 0, 0.0, speaker=LABEL, emotion=LABEL)
            for path in files
        ]
        rows = [trim_silence(row) for row in measure(rows, folder.name, progress)]
        return Manifest(folder.name, (LABEL,), tuple(rows))

    home = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]
    arguments = {"preparer": LABEL, "folder": str(folder.resolve())}
    return prepare_once(Path(save_folder) / f"{folder.name}-{home}", arguments, files, build)


def find_unlabelled(experiment_folder, wanted: str) -> Manifest | None:
    """The manifest with the hash ``wanted`` in a store of the experiment's folder or of the three above it, or None."""
    folder = Path(experiment_folder).resolve()
    for place in [folder, *list(folder.parents)[:3]]:
        for path in sorted(place.glob(f"store/*/{MANIFEST}")):
            try:
                if json.loads(path.with_suffix(".json").read_text(encoding="utf-8")).get("hash") == wanted:
                    return Manifest.read(path)
            except (OSError, ValueError, AttributeError):
                continue  # a damaged store of another corpus
    return None
