"""A folder on this disk, before a student is loaded from it: a bundle is checked wholly, a run as far as it can be."""

from pathlib import Path

from akd_toolkit.data.files import ONNX_FILE, SETTINGS, WEIGHTS
from akd_toolkit.inference.bundle import CARD, CHECKS, CODE, HYPERPARAMS, LIST, SCORES, check_bundle, is_bundle
from akd_toolkit.inference.contents import check_size, printable

OF_A_RUN = ("student.torchscript.pt",)  # of these kinds, what exporting leaves


def check_folder(folder: str | Path, built: bool = True) -> None:
    """Refuse a folder that no student is to be loaded from.

    A run lists no sums. It must not hold what only a bundle has, nor code, and its student must be one that
    ``check_student`` lets pass: a ``student.json`` from elsewhere cannot ask for memory without end.

    Arguments
    ---------
    built
        Whether the student is to be built even where an exported file, which needs no PyTorch, lies beside it.

    Raises
    ------
    DamagedFile, ValueError
        Of a bundle as ``check_bundle``; of another folder for the reasons above.
    """
    folder = Path(folder)
    if is_bundle(folder):
        check_bundle(folder)
        return
    names = sorted(entry.name for entry in folder.iterdir())
    for name in names:
        if name in (CARD, SCORES, HYPERPARAMS):
            raise ValueError(
                f"{folder} holds {name} as a bundle does, but no {LIST}, by which a bundle is checked; copy or "
                "download the whole bundle again, or give the folder of a run."
            )
        if name.lower().endswith(CODE) and name not in OF_A_RUN:
            raise ValueError(
                f"{folder} holds {printable(name)}, and no run leaves code beside its student; move it away if it is "
                "yours, or else do not use this folder."
            )
    if {SETTINGS, WEIGHTS} <= set(names) and (built or ONNX_FILE not in names):
        for name in (SETTINGS, WEIGHTS):
            check_size(folder / name, CHECKS[name][1])
        from akd_toolkit.inference.student_check import check_student  # here, because PyTorch comes with it

        check_student(folder)
