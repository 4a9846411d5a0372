"""Programs that tests start, and recipes that they run within the test process."""

import contextlib
import importlib.util
import io
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

from akd_toolkit.mistakes import exit_code
from akd_toolkit.registry import CORPORA

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
LIMIT_S = 1800  # ends a program that hangs; large enough for a busy machine
# Options of a demo that trains within a second: six speakers, one fold, two epochs.
SMALL_DEMO = (
    *("hparams/demo.yaml", "--number_of_epochs=2", "--folds=1", "--views=0", "--jobs=1", "--results_file=null"),
    *("--prepare.speakers=6", "--prepare.utterances_per_speaker_and_emotion=2"),
    "--outer_folds=[[f01, m01], [f02, m02], [f03, m03]]",
    "--teachers={log-mel: {name: logmel_statistics}}",
)


def run_python(*arguments: str, cwd: Path, python: str | Path = sys.executable) -> subprocess.CompletedProcess:
    """Run ``python`` with these arguments in ``cwd``; output and errors are captured as text."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [python, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=LIMIT_S, env=environment)


def check_mistakes(command: str, calls: dict[str, str], cwd: Path) -> None:
    """Each call of ``akd COMMAND`` is refused in one sentence with its token, before PyTorch is imported."""
    code = (
        "import sys; from akd_toolkit.cli import main\n"
        "print({main([sys.argv[1], *line.split()]) for line in sys.argv[2:]}, 'torch' in sys.modules)"
    )
    done = run_python("-c", code, command, *calls, cwd=cwd)
    assert done.stdout == "{1} False\n", done.stderr
    for line, token in zip(done.stderr.splitlines(), calls.values(), strict=True):
        assert line.startswith("error: ") and token in line


def small_demo(folder: Path, *options: str) -> list[str]:
    """Arguments of a small demo in ``folder``; ``options`` replace the defaults."""
    given = {option.split("=")[0] for option in options}
    defaults = [*SMALL_DEMO, f"--output_folder={folder}", f"--store_folder={folder.parent}/store"]
    return [*(option for option in defaults if option.split("=")[0] not in given), *options]


@contextlib.contextmanager
def imported(file: Path):
    """Import a recipe's module together with its neighbours; registry and modules are restored afterwards."""
    plugins, modules = dict(CORPORA._plugins), set(sys.modules)
    names = [path.stem for path in file.parent.glob("*.py")]
    CORPORA._plugins.pop(file.parent.name.lower().replace("-", "_"), None)
    sys.path.insert(0, str(file.parent))
    try:
        spec = importlib.util.spec_from_file_location(f"recipe_{file.stem}", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(file.parent))
        CORPORA._plugins.clear()
        CORPORA._plugins.update(plugins)
        for name in set(names) - modules:
            sys.modules.pop(name, None)


def run_recipe(folder: Path, *arguments: str) -> SimpleNamespace:
    """``python train.py`` in this process: exit code, output and errors."""
    out, errors = io.StringIO(), io.StringIO()
    handler, root = logging.StreamHandler(errors), logging.getLogger()
    level, argv = root.level, [str(argument) for argument in arguments]
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.chdir(folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(errors),
            imported(folder / "train.py") as train,
        ):
            warnings.simplefilter("default")
            code = exit_code(lambda: train.main(argv))
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    return SimpleNamespace(returncode=code, stdout=out.getvalue(), stderr=errors.getvalue())


def run_well(folder: Path, *arguments: str) -> SimpleNamespace:
    """``run_recipe`` that must not fail."""
    done = run_recipe(folder, *arguments)
    assert done.returncode == 0, done.stderr
    return done
