"""What one finished training tells of itself: written once at its end, read by everything that comes after it."""

import json
import platform
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from akd_toolkit.data.files import write_text_aside
from akd_toolkit.experiment.paths import ExperimentPaths, RunPaths

OF_STUDENT = ("sample_rate_hz", "window_s", "test_overlap_s", "corpus", "attributes", "compressed_by")
ALWAYS_IN_STUDENT_FILE = ("student", "label_order", "num_parameters")
IN_STUDENT_FILE = (*ALWAYS_IN_STUDENT_FILE, *OF_STUDENT)
ALWAYS_IN_RECORD = ("kind", "seed", "fold", "train_speakers", "test_speakers", "proved", "not_proved", "heads")
PACKAGES = ("akd-toolkit", "torch", "torchaudio", "speechbrain", "transformers", "numpy", "scipy", "scikit-learn")


class Head(TypedDict):
    """On whom a teacher's head was fitted, and for whom it answers (in older records for which utterances)."""

    trained_on: list[str]
    answers_for: list[str]


@dataclass(frozen=True)
class RunRecord:
    """A finished training: its student (in student.json) and how that came about (in record.json).

    Arguments
    ---------
    student
        ``{name: registered student, its options}``.
    num_parameters
        Of the student; None where it is not known.
    attributes
        Dimensional labels that it predicts beside the emotion, in their order.
    compressed_by
        Steps of a compression that changed its weights afterwards, each with its options.
    kind, split
        ``outer`` or ``inner``, and the number of the inner split, from 1.
    candidate
        Overrides of the settings that make the candidate; None where they are not known.
    seconds
        Spent on training.
    proved, not_proved
        Of the split, a sentence each.
    heads
        Title of a teacher -> its heads.
    environment
        Versions and commit that it was trained with.
    """

    student: dict = field(default_factory=dict)
    label_order: tuple[str, ...] = ()
    num_parameters: int | None = None
    sample_rate_hz: int = 16000
    window_s: float = 3.0
    test_overlap_s: float = 0.0
    corpus: str = ""
    attributes: tuple[str, ...] = ()
    compressed_by: tuple[dict, ...] = ()
    kind: str = "outer"
    seed: int | None = None
    fold: int | None = None
    split: int | None = None
    candidate: dict | None = None
    train_speakers: tuple[str, ...] = ()
    test_speakers: tuple[str, ...] = ()
    seconds: float = 0.0
    proved: tuple[str, ...] = ()
    not_proved: tuple[str, ...] = ()
    heads: dict[str, list[Head]] = field(default_factory=dict)
    environment: dict = field(default_factory=dict)

    def write(self, paths: RunPaths, student) -> None:
        """Write the record, and the student (a ``torch.nn.Module``) beside it."""
        from akd_toolkit.models.storage import save_student  # here, because PyTorch comes with it

        about = {name: getattr(self, name) for name in OF_STUDENT if getattr(self, name) != ()}
        save_student(paths.folder, student, self.student, self.label_order, **about)
        left = {name: value for name, value in vars(self).items() if name not in IN_STUDENT_FILE}
        write_text_aside(paths.record, json.dumps(left, indent=1) + "\n")

    @classmethod
    def read(cls, paths: RunPaths) -> "RunRecord":
        """
        Raises
        ------
        FileNotFoundError
            If a file is missing.
        ValueError
            If one is damaged, or lacks what is always written.
        """
        student = read_json(paths.student)
        if "train_speakers" in student:
            told = student | _of_older_folder(paths)
        else:
            read_json(paths.student, ALWAYS_IN_STUDENT_FILE)
            told = student | read_json(paths.record, ALWAYS_IN_RECORD)
        try:
            return TypeAdapter(cls).validate_python(
                {one.name: told[one.name] for one in fields(cls) if one.name in told}
            )
        except ValidationError as error:
            first = error.errors()[0]
            reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            path = paths.student if first["loc"][0] in student else paths.record
            raise ValueError(f"{path} is damaged ({reason}); {_cure(path)}.") from None


def _of_older_folder(paths: RunPaths) -> dict:
    """What older toolkits wrote beside a student.json that said more."""
    try:
        heads = {
            told["teacher"]: [{"trained_on": one["heard"], "answers_for": one["speaks_for"]} for one in told["heads"]]
            for told in map(read_json, paths.older_heads())
        }
    except (KeyError, TypeError) as error:
        raise ValueError(f"the heads in {paths.folder} are damaged ({error}); {_cure(paths.record)}.") from None
    return {"heads": heads, **(read_json(paths.older_proof) if paths.older_proof.is_file() else {})}


def read_json(path: Path, needed: Sequence[str] = ()) -> dict:
    """Names and values of a file of an experiment, among them those that are ``needed``.

    Raises
    ------
    FileNotFoundError, ValueError
        If it is missing or damaged; the sentence says how to restore it.
    """

    def parsed(path: Path) -> dict:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError(f"a {type(found).__name__} instead of names and values")
        if missing := [name for name in needed if name not in found]:
            raise ValueError(f"it lacks {', '.join(missing)}")
        return found

    return read_with(parsed, path)


def read_with(parse: Callable[[Path], Any], path: Path):
    """What ``parse`` makes of a file of an experiment; errors are as those of ``read_json``."""
    try:
        return parse(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing; {_cure(path)}.") from None
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); {_cure(path)}.") from None


def _cure(path: Path) -> str:
    """How to restore a lost file: a training that has its scores counts as done and is not run again."""
    done = RunPaths(path.parent).done and not ExperimentPaths(path.parent).exists
    return f"delete {path.parent if done else 'it, if it is there,'} and run the recipe again"


def environment() -> dict:
    """Versions that a result may depend on."""
    versions = {name: version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "machine": platform.machine(), **versions, "commit": commit()}


def commit() -> str:
    """Short hash of the toolkit's commit, with ``+`` where files differ from it; ``unknown`` outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + "+" * bool(changed.stdout.strip())
