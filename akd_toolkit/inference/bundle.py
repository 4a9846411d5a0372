"""A bundle is the folder of a released student: data only, and checked before it is used.

``student.safetensors`` (weights), ``student.json`` (a registered student, its options, labels, protocol), exported
``student*.onnx`` files, ``scores.json``, the model card ``README.md``, ``hyperparams.yaml`` for SpeechBrain, and
``bundle.json``, which lists size and SHA-256 of all others. A bundle to run alone has ``student.onnx`` but no weights.
"""

import hashlib
import json
import os
from pathlib import Path

from akd_toolkit import __version__
from akd_toolkit.data.files import ONNX_FILE, SETTINGS, WEIGHTS, write_text_aside
from akd_toolkit.inference import contents

LIST, CARD, SCORES, HYPERPARAMS = "bundle.json", "README.md", "scores.json", "hyperparams.yaml"
FORMAT = 1  # raise it when an older toolkit would misread a newer bundle
MB = 1 << 20
CHECKS = {  # every file that a bundle may hold -> the check of its content, and its largest size
    LIST: (contents.check_json, MB),
    SETTINGS: (contents.check_json, MB),
    WEIGHTS: (contents.safetensors_shapes, 4096 * MB),
    "student.onnx": (contents.check_onnx, 1024 * MB),
    "student.fp16.onnx": (contents.check_onnx, 1024 * MB),
    "student.int8.onnx": (contents.check_onnx, 1024 * MB),
    SCORES: (contents.check_json, MB),
    CARD: (contents.check_text, MB),
    HYPERPARAMS: (contents.check_yaml, MB),
    "LICENSE": (contents.check_text, MB),
}
ALLOWED = tuple(CHECKS)
REQUIRED = (LIST, SETTINGS)  # and weights or student.onnx
EDITABLE = (CARD, "LICENSE")  # may be changed on the hub
CODE = (".py", ".pyc", ".ipynb", ".sh", ".so", ".dll", ".dylib", ".exe", ".js", ".ckpt", ".bin", ".pt", ".pth", ".pkl")
TORCHSCRIPT = "student.torchscript.pt"  # left in a run by exporting
CURE = contents.CURE
AGAIN = "download or copy the bundle again"


class DamagedFile(ValueError):
    """The file ``name`` of a bundle is missing or differs from its release."""

    def __init__(self, message: str, name: str):
        super().__init__(message)
        self.name = name


def is_bundle(folder: str | Path) -> bool:
    """Whether a folder has the list of a bundle."""
    return os.path.lexists(Path(folder) / LIST)


def check_names(names, where: str) -> None:
    """Refuse a folder or a repository with a file that no bundle has, by its name.

    Example
    -------
    >>> check_names(["student.json", "README.md", ".gitattributes"], "x")
    >>> check_names(["student.json", "model.pkl"], "me/emotion")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: me/emotion holds model.pkl, which is not a file of a bundle (bundle.json, ..., LICENSE); delete it, ...
    """
    for name in sorted(set(names) - {*ALLOWED, ".gitattributes"}):  # the latter is added by the hub
        given, known = contents.printable(name), ", ".join(ALLOWED)
        raise ValueError(f"{where} holds {given}, which is not a file of a bundle ({known}); delete it, or {CURE}.")


def check_bundle(folder: str | Path, links_into: str | Path | None = None, with_torch: bool = True) -> dict:
    """Check every file of a bundle by name, size, SHA-256 and content; returns the content of ``bundle.json``.

    Symbolic links may only point into ``links_into``, for a download in the hub's cache. Without ``with_torch`` the
    student is not built if there is an exported file, which is used instead. FileNotFoundError if it is not a bundle,
    DamagedFile if a file is missing or changed, ValueError if one is not what its name says.
    """
    folder = Path(folder)
    if not folder.is_dir() or not is_bundle(folder):
        raise FileNotFoundError(f"{folder} is not a bundle ({LIST} is missing); give a folder from akd release.")
    names = sorted(entry.name for entry in folder.iterdir())
    check_names(names, str(folder))
    names = [name for name in names if name in ALLOWED]
    for name in names:
        path = folder / name
        if path.is_symlink() and not (links_into and path.resolve().is_relative_to(Path(links_into).resolve())):
            raise ValueError(f"{path} is a symbolic link, which is not allowed in a bundle; {CURE}.")
        if not path.exists():
            raise DamagedFile(f"{path} is a link to a missing file; {AGAIN}.", name)
        if not path.is_file():
            raise ValueError(f"{path} is not a plain file; {CURE}.")
        contents.check_size(path, CHECKS[name][1])
    bundle = contents.check_json(folder / LIST)
    listed = _listed_files(folder / LIST, bundle)
    for name in names:
        if name not in listed and name not in (LIST, *EDITABLE):
            raise ValueError(f"{folder} holds {name}, which its {LIST} does not list; {CURE}.")
    for name, entry in listed.items():
        if name not in EDITABLE:
            _check_sum(folder / name, entry)
    for name in names:
        CHECKS[name][0](folder / name)
    about = contents.check_student(folder, build=WEIGHTS in names and (with_torch or ONNX_FILE not in names))
    for name in names:
        if name.endswith(".onnx"):
            contents.check_onnx_metadata(folder / name, about)
    return bundle


def check_folder(folder: str | Path, with_torch: bool = True) -> None:
    """Check a folder on this disk before a student is loaded from it; ``with_torch`` as ``check_bundle``.

    The folder of a run has no sums; it must hold no code and no files of a bundle, and its student must pass
    ``check_student``, unless an exported file is used instead.
    """
    folder = Path(folder)
    if is_bundle(folder):
        check_bundle(folder, with_torch=with_torch)
        return
    names = sorted(entry.name for entry in folder.iterdir())
    for name in names:
        if name in (CARD, SCORES, HYPERPARAMS):
            raise ValueError(f"{folder} holds {name} of a bundle, but not its {LIST}; {AGAIN}, or give a run's folder.")
        if name.lower().endswith(CODE) and name != TORCHSCRIPT:
            name = contents.printable(name)
            raise ValueError(f"{folder} holds {name}, which may be code; move it away if it is yours, or use another.")
    if {SETTINGS, WEIGHTS} <= set(names) and (with_torch or ONNX_FILE not in names):
        for name in (SETTINGS, WEIGHTS):
            contents.check_size(folder / name, CHECKS[name][1])
        contents.check_student(folder)


def write_list(folder: str | Path) -> None:
    """Write ``bundle.json``: format, toolkit version, and size and SHA-256 of every other file of the folder."""
    folder = Path(folder)
    files = {
        path.name: {"size": path.stat().st_size, "sha256": _sha256(path)}
        for path in sorted(folder.iterdir())
        if path.name != LIST
    }
    bundle = {"format": FORMAT, "akd_toolkit": __version__, "files": files}
    write_text_aside(folder / LIST, json.dumps(bundle, indent=2) + "\n")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(MB):
            digest.update(block)
    return digest.hexdigest()


def _listed_files(path: Path, bundle: dict) -> dict[str, dict]:
    if bundle.get("format") != FORMAT:
        raise ValueError(
            f"{path} has format {contents.printable(bundle.get('format'))}, and this toolkit ({__version__}) reads "
            f"format {FORMAT}; install the akd_toolkit that wrote it."
        )
    files = bundle.get("files")
    valid = isinstance(files, dict) and all(isinstance(entry, dict) for entry in files.values())
    if not valid or not all(
        name in ALLOWED and type(entry.get("size")) is int and type(entry.get("sha256")) is str
        for name, entry in files.items()
    ):
        raise ValueError(f"{path} does not list size and SHA-256 of allowed files; {CURE}.")
    if SETTINGS not in files or not {WEIGHTS, ONNX_FILE} & set(files):
        raise DamagedFile(f"{path} does not list {SETTINGS}, or neither {WEIGHTS} nor {ONNX_FILE}; {CURE}.", LIST)
    return files


def _check_sum(path: Path, entry: dict) -> None:
    if not path.is_file():
        raise DamagedFile(f"{path} is missing; {AGAIN}.", path.name)
    size = path.stat().st_size
    if size != entry["size"]:
        how = "truncated" if size < entry["size"] else "too long"
        raise DamagedFile(f"{path} is {how}: {size} of {entry['size']} bytes; {AGAIN}.", path.name)
    if _sha256(path) != entry["sha256"]:
        raise DamagedFile(f"{path} differs from its release (SHA-256); {AGAIN}.", path.name)
