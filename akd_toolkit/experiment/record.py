"""The record that each finished training writes, and reading of an experiment's JSON files."""

import json
import platform
import subprocess
from collections.abc import Callable
from dataclasses import asdict, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass
from typing_extensions import TypedDict

from akd_toolkit.data.files import write_text_aside
from akd_toolkit.experiment.paths import ExperimentPaths, RunPaths

IN_STUDENT_FILE = ("sample_rate_hz", "window_s", "test_overlap_s", "corpus", "attributes", "compressed_by")
PACKAGES = ("akd-toolkit", "torch", "torchaudio", "speechbrain", "transformers", "numpy", "scipy", "scikit-learn")


class Head(TypedDict):
    """Training speakers of a teacher's head, and the speakers (in older records utterances) it is applied to."""

    trained_on: list[str]
    answers_for: list[str]


@dataclass(frozen=True, config=ConfigDict(extra="ignore"))
class RunRecord:
    """A finished training: its student (student.json) and how it was trained (record.json)."""

    student: dict  # {name: registered student, **options}
    label_order: tuple[str, ...]
    train_speakers: tuple[str, ...]
    test_speakers: tuple[str, ...]
    num_parameters: int | None = None
    log_mel_version: int | None = None  # of the log-mels it was trained on, see LogMel
    sample_rate_hz: int = 16000
    window_s: float = 3.0
    test_overlap_s: float = 0.0
    corpus: str = ""
    attributes: tuple[str, ...] = ()  # dimensional labels that it predicts besides the emotion
    compressed_by: tuple[dict, ...] = ()  # compression steps that changed its weights afterwards
    kind: str = "outer"  # or "inner"
    seed: int | None = None
    fold: int | None = None
    split: int | None = None
    candidate: dict | None = None  # its overrides
    seconds: float = 0.0
    proved: tuple[str, ...] = ()  # of the split, see ``leaks.audit``
    not_proved: tuple[str, ...] = ()
    heads: dict[str, list[Head]] = field(default_factory=dict)  # by title of the teacher
    environment: dict = field(default_factory=dict)

    def write(self, paths: RunPaths, student) -> None:
        """Write the record, and the student (a ``torch.nn.Module``) beside it."""
        from akd_toolkit.models.storage import save_student  # imports PyTorch

        values = asdict(self)
        spec, labels = values.pop("student"), values.pop("label_order")
        del values["num_parameters"], values["log_mel_version"]  # of the student itself
        about = {name: value for name in IN_STUDENT_FILE if (value := values.pop(name)) != ()}
        save_student(paths.folder, student, spec, labels, **about)
        write_text_aside(paths.record, json.dumps(values, indent=1) + "\n")

    @classmethod
    def read(cls, paths: RunPaths) -> "RunRecord":
        """Read a record; FileNotFoundError or ValueError say how to restore a missing or damaged file."""
        student = read_json(paths.student)
        old = "train_speakers" in student
        try:
            return cls(**student, **(_old_record(paths) if old else read_json(paths.record)))
        except (ValidationError, KeyError, TypeError) as error:
            reason = str(error)
            if isinstance(error, ValidationError):
                problem = error.errors()[0]
                reason = f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
            path = paths.student if old or reason.startswith(("student", "label_order")) else paths.record
            raise ValueError(f"{path} is damaged ({reason}); {_restore(path)}.") from None


def _old_record(paths: RunPaths) -> dict:
    """What version 0.0 wrote in place of record.json."""
    heads = {}
    for path in sorted((paths.folder / "heads").glob("teacher*.json")):
        found = read_json(path)
        heads[found["teacher"]] = [
            {"trained_on": head["heard"], "answers_for": head["speaks_for"]} for head in found["heads"]
        ]
    proof = paths.folder / "audit.json"
    return {"heads": heads, **(read_json(proof) if proof.is_file() else {})}


def read_json(path: Path) -> dict:
    """A JSON mapping; FileNotFoundError or ValueError say how to restore it."""

    def parsed(path: Path) -> dict:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError(f"a {type(found).__name__} instead of a mapping")
        return found

    return read_with(parsed, path)


def read_with(parse: Callable[[Path], Any], path: Path):
    """``parse(path)``, with errors as those of ``read_json``."""
    try:
        return parse(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing; {_restore(path)}.") from None
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); {_restore(path)}.") from None


def _restore(path: Path) -> str:
    """How to restore a file; a run with scores counts as done, so its whole folder must go."""
    folder = path.parent
    done = RunPaths(folder).done and not ExperimentPaths(folder).exists
    command = "akd compress" if (folder / "step.json").is_file() else "the recipe"
    return f"delete {folder if done else 'it'} and run {command} again"


@cache
def environment() -> dict:
    """Versions that a result may depend on."""
    versions = {name: version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "machine": platform.machine(), **versions, "commit": commit()}


def commit() -> str:
    """Short hash of the toolkit's commit, with ``+`` if files differ from it; ``unknown`` outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + "+" * bool(changed.stdout.strip())
