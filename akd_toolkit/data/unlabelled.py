"""Speech without labels, on which a student can learn what its teachers answer."""

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

    Silence before and after the speech is left out: rows say where the speech begins and ends.
    Its people must not be those of the corpus it is used with; identical recordings are refused there.

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
        If it holds no audio, or a file is bad; all bad files are named.
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
    """The manifest of the speech without labels that an experiment heard; None where no store at hand has it.

    Stores are looked for in the experiment's folder and in the three above it.

    Arguments
    ---------
    wanted
        Hash of that manifest, as the experiment's settings.yaml names it.
    """
    folder = Path(experiment_folder).resolve()
    for place in [folder, *list(folder.parents)[:3]]:
        for path in sorted(place.glob(f"store/*/{MANIFEST}")):
            try:
                if json.loads(path.with_suffix(".json").read_text(encoding="utf-8")).get("hash") == wanted:
                    return Manifest.read(path)
            except (OSError, ValueError, AttributeError):
                continue  # the store of another corpus may be damaged; it is not what is asked about
    return None
