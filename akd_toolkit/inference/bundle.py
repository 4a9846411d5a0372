"""A bundle: one folder with everything of a released student and nothing that runs; checked before it is believed.

``student.safetensors`` (weights), ``student.json`` (a registered student, its options, labels, protocol), exported
``student*.onnx`` files, ``scores.json``, the model card ``README.md``, ``hyperparams.yaml`` for people who know
SpeechBrain (written, never read), and ``bundle.json``, which lists size and SHA-256 of all others.
"""

import hashlib
import json
import os
from pathlib import Path

from akd_toolkit import __version__
from akd_toolkit.data.files import SETTINGS, WEIGHTS, write_text_aside
from akd_toolkit.inference import contents

LIST, CARD, SCORES, HYPERPARAMS = "bundle.json", "README.md", "scores.json", "hyperparams.yaml"
FORMAT = 1  # raise it when an older toolkit would misread a newer bundle
MB = 1 << 20
CHECKS = {  # every file that a bundle may hold -> what it must be, and how large it may be
    LIST: (contents.check_json, MB),
    SETTINGS: (contents.check_json, MB),
    WEIGHTS: (contents.check_safetensors, 4096 * MB),
    "student.onnx": (contents.check_onnx, 1024 * MB),
    "student.fp16.onnx": (contents.check_onnx, 1024 * MB),
    "student.int8.onnx": (contents.check_onnx, 1024 * MB),
    SCORES: (contents.check_json, MB),
    CARD: (contents.check_card, MB),
    HYPERPARAMS: (contents.check_yaml, MB),
    "LICENSE": (contents.check_text, MB),
}
ALLOWED = tuple(CHECKS)
REQUIRED = (LIST, SETTINGS, WEIGHTS)
FREE = (CARD, "LICENSE")  # for people, who may mend them on the hub; nothing is read from them
OF_THE_HUB = (".gitattributes",)  # added to every repository by the hub itself; never downloaded
CODE = (".py", ".pyc", ".ipynb", ".sh", ".so", ".dll", ".dylib", ".exe", ".js", ".ckpt", ".bin", ".pt", ".pth", ".pkl")
MAY_RUN = (*CODE, ".pickle", ".joblib", ".npy", ".npz", ".zip", ".tar", ".gz", ".h5", ".keras", ".yaml", ".yml")
CURE = "take another bundle, or ask its author to release it again with akd release"


class DamagedFile(ValueError):
    """A file of a bundle that is missing or not as it was released; ``name`` says which."""

    def __init__(self, message: str, name: str):
        super().__init__(message)
        self.name = name


def is_bundle(folder: str | Path) -> bool:
    """Whether a folder says that it is a bundle."""
    return os.path.lexists(Path(folder) / LIST)


def check_names(names, where: str, local: bool = False) -> None:
    """Refuse a folder or a repository that holds a file which no bundle has; the hub's own are let pass.

    Arguments
    ---------
    local
        Whether it is a folder on this disk, into which systems put hidden files of their own (``.DS_Store``).

    Raises
    ------
    ValueError
        Naming the first such file, those that may run code before others.

    Example
    -------
    >>> check_names(["student.json", "README.md", ".gitattributes"], "x")
    >>> check_names(["student.json", "notes.txt", "model.pkl"], "me/emotion")
    Traceback (most recent call last):
    ValueError: me/emotion holds model.pkl, and no bundle holds a kind of file that may run code; take another \
bundle, or ask its author to release it again with akd release.
    """
    foreign = sorted(name for name in names if name not in ALLOWED and name not in OF_THE_HUB)
    code = [name for name in foreign if name.lower().endswith(MAY_RUN)]
    if code:
        raise ValueError(f"{where} holds {code[0]}, and no bundle holds a kind of file that may run code; {CURE}.")
    if foreign:
        hidden = Path(foreign[0]).name.startswith(".")
        told = f"{'hidden file ' if hidden else ''}{contents.printable(foreign[0])}"
        cure = "delete it" if hidden and local else CURE
        raise ValueError(f"{where} holds {told}, which is no part of a bundle ({', '.join(ALLOWED)}); {cure}.")


def check_bundle(folder: str | Path, links_into: str | Path | None = None) -> dict:
    """Check every file of a bundle by name, size, SHA-256 and content; nothing of it is executed.

    Arguments
    ---------
    links_into
        Folder that symbolic links may lead into, for a download, which lies in a cache as links; by default none may.

    Returns
    -------
    dict
        What ``bundle.json`` says.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or it is no bundle.
    DamagedFile
        If a file is missing, truncated or changed: a ValueError that knows its name.
    ValueError
        If a file is of a kind that no bundle holds, or is not what its name says.
    """
    folder = Path(folder)
    if not folder.is_dir() or not is_bundle(folder):
        raise FileNotFoundError(f"{folder} is no bundle ({LIST} is missing); give a folder that akd release wrote.")
    names = sorted(entry.name for entry in folder.iterdir())
    check_names(names, str(folder), local=True)
    names = [name for name in names if name in ALLOWED]
    for name in names:
        _check_place(folder / name, links_into)
        contents.check_size(folder / name, CHECKS[name][1])
    listed = _read_list(folder)
    for name in names:
        if name not in listed and name not in (LIST, *FREE):
            raise ValueError(f"{folder} holds {name}, which its {LIST} does not list; {CURE}.")
    for name, entry in listed.items():
        _check_sum(folder / name, entry)
    for name in names:
        CHECKS[name][0](folder / name)
    from akd_toolkit.inference.student_check import check_student  # here, because PyTorch comes with it

    about = check_student(folder)
    for name in names:
        if name.endswith(".onnx"):
            contents.check_onnx_says(folder / name, about)
    return json.loads((folder / LIST).read_text(encoding="utf-8"))


def write_list(folder: str | Path) -> None:
    """Write ``bundle.json``: format, toolkit, and size and SHA-256 of every other file of the folder."""
    folder = Path(folder)
    files = {
        path.name: {"size": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(folder.iterdir())
        if path.name != LIST
    }
    told = {"format": FORMAT, "akd_toolkit": __version__, "files": files}
    write_text_aside(folder / LIST, json.dumps(told, indent=2) + "\n")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(MB):
            digest.update(block)
    return digest.hexdigest()


def _check_place(path: Path, links_into: str | Path | None) -> None:
    if path.is_symlink():
        root = None if links_into is None else Path(links_into).resolve()
        if root is None or not path.resolve().is_relative_to(root):
            raise ValueError(f"{path} is a symbolic link to {os.readlink(path)}, and a bundle holds none; {CURE}.")
    if not path.exists():
        raise DamagedFile(f"{path} leads to a file that is not there; download or copy the bundle again.", path.name)
    if not path.is_file():
        raise ValueError(f"{path} is no plain file; {CURE}.")


def _read_list(folder: Path) -> dict[str, dict]:
    """What bundle.json lists, checked in form."""
    told = contents.check_json(folder / LIST)
    if told.get("format") != FORMAT:
        raise ValueError(
            f"{folder / LIST} has format {contents.printable(told.get('format'))}, and this toolkit "
            f"({__version__}) reads format {FORMAT}; install the akd_toolkit that wrote it."
        )
    files = told.get("files")
    whole = isinstance(files, dict) and all(
        name in ALLOWED
        and isinstance(entry, dict)
        and isinstance(entry.get("size"), int)
        and isinstance(entry.get("sha256"), str)
        for name, entry in files.items()
    )
    if not whole:
        raise ValueError(f"{folder / LIST} does not list size and SHA-256 of allowed files; {CURE}.")
    for name in REQUIRED:
        if name not in files and name != LIST:
            raise DamagedFile(f"{folder / LIST} does not list {name}, without which there is no student; {CURE}.", LIST)
    return files


def _check_sum(path: Path, entry: dict) -> None:
    again = "download or copy the bundle again"
    if not path.is_file():
        if path.name in FREE:
            return
        raise DamagedFile(f"{path} is missing, though {LIST} lists it; {again}.", path.name)
    if path.name in FREE:
        return
    size = path.stat().st_size
    if size != entry["size"]:
        how = "truncated" if size < entry["size"] else "too long"
        raise DamagedFile(f"{path} is {how}: {size} of {entry['size']} bytes; {again}.", path.name)
    if (found := sha256_of(path)) != entry["sha256"]:
        raise DamagedFile(
            f"{path} has SHA-256 {found[:12]}..., not {contents.printable(entry['sha256'])[:12]}... as released; "
            f"{again}.",
            path.name,
        )
