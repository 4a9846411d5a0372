"""A torchaudio that does not load with this torch."""

from pathlib import Path

import pytest
from programs import run_python

ROOT = Path(__file__).resolve().parents[2]
UNDEFINED = 'raise OSError("libtorchaudio.so: undefined symbol: torch_library_impl")'
NO_CUDA = 'raise OSError("libcudart.so.13: cannot open shared object file: No such file or directory")'
OTHER_CUDA = 'raise RuntimeError("PyTorch and Torchaudio were compiled with different CUDA versions.\\nPlease install")'


@pytest.fixture
def run(tmp_path, monkeypatch):
    def call(code: str, *words: str, cwd=ROOT):
        package = tmp_path / "torchaudio"
        package.mkdir(exist_ok=True)
        (package / "__init__.py").write_text(f"{code}\n")
        about = tmp_path / "torchaudio-9.8.7.dist-info"
        about.mkdir(exist_ok=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: torchaudio\nVersion: 9.8.7\n")
        monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
        return run_python(*words, cwd=cwd)

    return call


@pytest.mark.parametrize("code", [UNDEFINED, NO_CUDA, OTHER_CUDA])
def test_commands_say_in_one_sentence_which_pair_to_install(run, code):
    done = run(code, "-m", "akd_toolkit.cli", "plugins")
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: torchaudio 9.8.7 ") and "pip install torch==" in done.stderr


def test_recipes_say_so_too(run):
    done = run(UNDEFINED, "train.py", "hparams/akd.yaml", "--debug", cwd=ROOT / "recipes" / "EmoDB")
    assert done.returncode == 1 and done.stderr.startswith("error: torchaudio 9.8.7 "), done.stderr


def test_a_bug_within_another_package_keeps_its_traceback(run, tmp_path):
    (tmp_path / "speechbrain.py").write_text('raise RuntimeError("something else")\n')
    done = run("", "-m", "akd_toolkit.cli", "plugins")
    assert done.returncode == 1 and done.stderr.startswith("Traceback") and "something else" in done.stderr


def test_recipes_say_that_the_extra_train_is_missing(run, tmp_path):
    (tmp_path / "hyperpyyaml.py").write_text('raise ModuleNotFoundError("none", name="hyperpyyaml")\n')
    done = run("", "train.py", "hparams/akd.yaml", cwd=ROOT / "recipes" / "EmoDB")
    assert done.returncode == 1 and "akd-toolkit[train]" in done.stderr and done.stderr.count("\n") == 1, done.stderr
