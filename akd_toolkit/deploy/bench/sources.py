"""What is to be measured, with every file that a way of running it needs."""

from pathlib import Path

import numpy as np

import akd_toolkit.models  # noqa: F401  (registers)
from akd_toolkit.deploy.bench.models import STORED, Model, inspect_file, make_missing
from akd_toolkit.deploy.bench.operations import operations_of_module
from akd_toolkit.deploy.bench.rows import Row
from akd_toolkit.deploy.bench.ways import WAYS
from akd_toolkit.deploy.export import read_metadata
from akd_toolkit.inference.bundle import check_folder
from akd_toolkit.models.storage import SETTINGS, WEIGHTS, load_student, save_student
from akd_toolkit.registry import STUDENTS

CLASSES = 7  # of a student with fresh weights; EmoDB tells so many apart


def open_source(source: str | Path, work: Path, parts: set[str], voices: np.ndarray) -> Model:
    """Find a source, and make of it what is asked for and is not there yet.

    Exported files that lie in the folder are taken as they are. What is missing is exported into ``work``, the 8-bit
    file calibrated on generated voices: good for its speed and size, not for scores.

    Arguments
    ---------
    source
        An ``.onnx`` file, the folder of a run or of a bundle, or the name of a registered student, which is then built
        with its default options and fresh weights.
    work
        Folder for what is made.
    parts
        What is wanted of the model, see ``ways.Way.part``.
    voices
        Windows [count, samples] to calibrate on and to count operations for.

    Raises
    ------
    ValueError
        If there is neither such a file or folder nor such a student.
    """
    path = Path(source)
    work.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        model = _exported(path, work)
    elif path.is_dir():
        model = _folder(path, work)
    elif str(source) in STUDENTS.names():
        model = _fresh(str(source), work)
    else:
        known = ", ".join(STUDENTS.names())
        raise ValueError(
            f"'{source}' is neither a file, nor a folder, nor a registered student; give an .onnx file, the folder of "
            f"a run or of a bundle, or one of {known}."
        )
    make_missing(model, parts, voices)
    num_samples = voices.shape[1]
    if "folder" in model.places:
        student, _ = load_student(model.places["folder"])
        model.gflops["folder"] = operations_of_module(student, num_samples) / 1e9
        model.gflops["torchscript"] = model.gflops["folder"]
    for part in ("fp32", "fp16", "int8"):
        if part in model.places:
            inspect_file(model, part, num_samples)
            model.gflops[f"{part}.plan"] = model.gflops.get(part)
    return model


def _exported(path: Path, work: Path) -> Model:
    told = read_metadata(path)
    kind = told.get("precision", "fp32")
    part = kind if kind in STORED else "fp32"
    parameters = int(told["num_parameters"]) if "num_parameters" in told else None
    model = Model(f"{told.get('student', 'student')} ({path.name})", work, parameters, {part: path})
    for other in {*STORED, "folder"} - {part}:
        model.reasons[other] = f"{path.name} is an exported file in {part}; give the folder of a run"
    if part == "fp32":
        for other in ("fp16", "int8"):
            del model.reasons[other]  # can be made of it
    return model


def _folder(path: Path, work: Path) -> Model:
    check_folder(path)  # what it holds is opened below
    model = Model("", work)
    model.places = {part: path / name for part, name in STORED.items() if (path / name).is_file()}
    for part in model.places:
        model.notes[part] = f"file of {path.name}"
    if (path / SETTINGS).is_file() and (path / WEIGHTS).is_file():
        _, about = load_student(path)
        model.places["folder"] = path
        model.title, model.parameters = about["student"]["name"], about["num_parameters"]
    elif "fp32" in model.places:
        told = read_metadata(model.places["fp32"])
        model.title = told.get("student", path.name)
        model.parameters = int(told["num_parameters"]) if "num_parameters" in told else None
        model.reasons["folder"] = f"{path} holds no {WEIGHTS}"
    else:
        raise ValueError(
            f"{path} holds neither a saved student ({SETTINGS}, {WEIGHTS}) nor {STORED['fp32']}; give the folder of a "
            "finished run, such as results/akd/seed17/fold1/outer, or of a bundle."
        )
    return model


def _fresh(name: str, work: Path) -> Model:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            student = STUDENTS.build(name, num_classes=CLASSES).eval()
        except (ValueError, OSError, ImportError) as error:
            raise ValueError(f"student '{name}' cannot be built with its default options: {error}") from None
    place = work / "student"
    labels = [f"emotion{index}" for index in range(CLASSES)]
    save_student(place, student, {"name": name}, labels, window_s=3.0)
    return Model(f"{name}, fresh weights", work, student.num_parameters(), {"folder": place})


def student_rows(model: Model, ways: list[str], threads: list[int]) -> list[Row]:
    """A row for each number of threads and way, in this order; one that cannot be taken has its reason."""
    rows = []
    for count in threads:
        for name in ways:
            way = WAYS[name]
            if way.on_gpu and count != threads[0]:
                continue
            place = model.places.get(way.part)
            row = Row(model.title, way.title, 1 if way.on_gpu else count, way.loader, str(place), on_gpu=way.on_gpu)
            row.parameters, row.note = model.parameters, model.notes.get(way.part, "")
            row.reason = way.missing() or ("" if place else model.reasons.get(way.part, f"there is no {way.part}"))
            if place:
                row.gflops, row.megabytes = model.gflops.get(way.part), model.megabytes(way.part)
            if way.part == "folder" and name == "torch":
                row.features_place = ("torch_front_end", str(place))
            elif f"features/{way.part}" in model.places:
                row.features_place = (way.loader, str(model.places[f"features/{way.part}"]))
            rows.append(row)
    return rows
