"""The plugin template, installed as a package, adds a loss."""

import shutil
import site
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
from programs import run_python

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "tools" / "plugin_template"
PACKAGE = "akd-plugin-template"
TINY = [
    "--debug",
    "--jobs=1",
    "--prepare.speakers=6",
    "--outer_folds=[[f01, m01], [f02, m02], [f03, m03]]",
    "--teachers={log-mel: {name: logmel_statistics}}",
    "--objective.distill=[{name: jeffreys, weight: 0.5, temperature: 2.0}]",
]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """(arguments, folder): run Python in a virtual environment with the template and the packages of this one."""
    if int(version("setuptools").split(".")[0]) < 71:
        pytest.skip("needs setuptools 71 or newer to build a package offline; pip install '.[dev]' brings it")
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(subprocess.check_output([python, "-c", where], text=True).strip())
    lines = [f"import site; site.addsitedir({path!r})" for path in site.getsitepackages()]
    (packages / "beside.pth").write_text("\n".join(lines) + "\n")

    def run(*arguments, cwd=folder):
        return run_python(*arguments, cwd=cwd, python=python)

    source = shutil.copytree(TEMPLATE, folder / "source")  # building leaves files behind
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet")
    done = run("-m", "pip", "install", *offline, str(source))
    assert done.returncode == 0, done.stderr
    assert (packages / "akd_plugin_template.py").is_file()
    return run


def train(environment, folder):
    options = [*TINY, f"--output_folder={folder}", f"--store_folder={folder}/store"]
    return environment("train.py", "hparams/demo.yaml", *options, cwd=ROOT / "recipes" / "Generated")


def test_the_template_is_short_and_its_page_shows_it():
    written = [*TEMPLATE.glob("*.py"), *TEMPLATE.glob("*.toml")]
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in written) < 40
    page = (TEMPLATE / "README.md").read_text(encoding="utf-8")
    assert (TEMPLATE / "pyproject.toml").read_text(encoding="utf-8") in page


def test_the_installed_loss_is_listed_and_keeps_the_contract_of_a_loss(environment):
    done = environment("-m", "akd_toolkit.cli", "plugins", "losses")
    assert "jeffreys" in done.stdout and "Symmetric divergence of the student" in done.stdout, done.stderr
    contracts = ("tests/contracts/test_losses.py", "-k", "jeffreys", "-p", "no:cacheprovider")
    done = environment("-m", "pytest", "-q", *contracts, "--doctest-modules", str(TEMPLATE), cwd=ROOT)
    assert done.returncode == 0 and "passed" in done.stdout, done.stdout


# Last, because it uninstalls the package.
def test_a_recipe_trains_with_the_installed_loss_and_refuses_it_once_it_is_gone(environment, tmp_path):
    done = train(environment, tmp_path / "there")
    assert done.returncode == 0, done.stderr
    outer = tmp_path / "there" / "seed17" / "fold1" / "outer"
    assert (pd.read_csv(outer / "metrics.csv")["jeffreys"] > 0).all()
    done = environment("-m", "pip", "uninstall", "--yes", "--quiet", PACKAGE)
    assert done.returncode == 0, done.stderr
    done = train(environment, tmp_path / "gone")
    assert done.returncode == 1 and "unknown loss 'jeffreys'" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "gone" / "settings.yaml").exists()
