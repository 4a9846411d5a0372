"""The wheel, in an environment without the packages of the extra train."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from programs import LIMIT_S

from akd_toolkit import __version__
from akd_toolkit.deploy.export import export_onnx
from akd_toolkit.mistakes import TRAIN
from akd_toolkit.models.storage import load_student

ROOT = Path(__file__).resolve().parents[3]
BLOCKED = f"""# Python imports sitecustomize before anything else.
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if (package := name.split(".")[0]) in {TRAIN!r}:
            raise ModuleNotFoundError("No module named " + package, name=package)

sys.meta_path.insert(0, Blocked())
"""
WORDS = {  # of every command that needs the extra
    "compress": ["run"],
    "bench": ["run"],
    "release": ["run", "--to", "./bundle"],
    "new-recipe": ["Mine", "--data_folder", "."],
    "study": ["overlap", "run"],
}


@pytest.fixture(scope="module")
def akd(tmp_path_factory):
    """``akd(*words)`` runs the command of the installed wheel in a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index", "--quiet"]
    source = folder / "source"  # building leaves files behind
    source.mkdir()
    for name in ("akd_toolkit", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        (source / name).symlink_to(ROOT / name)
    wheel = folder / f"akd_toolkit-{__version__}-py3-none-any.whl"
    commands = (
        [*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", folder, source],
        [*pip, "install", *offline, "--target", folder / "site", wheel],
    )
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
        assert done.returncode == 0, done.stderr
    (folder / "site/sitecustomize.py").write_text(BLOCKED)
    environment = {**os.environ, "PYTHONPATH": str(folder / "site"), "PYTHONSAFEPATH": "1"}

    def run(*words):
        command = [sys.executable, "-m", "akd_toolkit.cli", *map(str, words)]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT_S)

    return run


def test_the_wheel_recognises_files_and_folders_without_pytorch(akd, student_folder, speech, tmp_path):
    student, about = load_student(student_folder)
    export_onnx(student, tmp_path / "student.onnx", about["label_order"], window_s=about["window_s"])
    file = speech(1.9)
    done = akd("predict", tmp_path, "--model", tmp_path / "student.onnx", "--json")
    assert done.returncode == 0 and not done.stderr, done.stderr
    found = json.loads(done.stdout)
    assert found["file"] == str(file) and found["activity"] == "silero" and found["speech_s"] > 1
    assert sum(found["probabilities"].values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("command", WORDS)
def test_a_command_that_needs_the_extra_says_so(akd, command):
    done = akd(command, *WORDS[command])
    assert done.returncode == 1 and "akd-toolkit[train]" in done.stderr and done.stderr.count("\n") == 1


def test_a_students_folder_without_an_exported_file_needs_the_extra(akd, student_folder, speech):
    done = akd("predict", speech(1.0), "--model", student_folder)
    assert done.returncode == 1 and "this needs torch" in done.stderr and done.stderr.count("\n") == 1
