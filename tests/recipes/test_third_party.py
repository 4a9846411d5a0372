"""A package installed beside the toolkit brings a loss to a recipe: the template, really installed."""

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
    """(arguments, folder) -> a finished run of Python in an environment of its own, with the template installed.

    The environment sees the packages of this one, so that nothing is fetched and only the template lands in it.
    """
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


def test_template_and_its_settings_are_under_40_lines():
    written = [*TEMPLATE.glob("*.py"), *TEMPLATE.glob("*.toml")]
    assert len(written) == 2
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in written) < 40


def test_the_page_shows_the_template_as_it_is():
    page = (TEMPLATE / "README.md").read_text(encoding="utf-8")
    assert (TEMPLATE / "pyproject.toml").read_text(encoding="utf-8") in page
    assert 'jeffreys = "akd_plugin_template:Jeffreys"' in page and len(page.splitlines()) < 40


def test_the_toolkit_lists_the_installed_loss(environment):
    done = environment("-m", "akd_toolkit.cli", "plugins", "losses")
    assert "  jeffreys " in done.stdout and "Symmetric divergence of the student" in done.stdout, done.stderr


def test_the_installed_loss_keeps_the_promises_of_a_loss(environment):
    contracts = ("tests/contracts/test_losses.py", "-k", "jeffreys", "-p", "no:cacheprovider")
    done = environment("-m", "pytest", "-q", *contracts, cwd=ROOT)
    assert done.returncode == 0 and "passed" in done.stdout, done.stdout
    done = environment("-m", "pytest", "-q", "-p", "no:cacheprovider", "--doctest-modules", str(TEMPLATE))
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout


# The last one, because it uninstalls the package.
def test_a_recipe_trains_on_the_installed_loss_and_refuses_it_once_it_is_gone(environment, tmp_path):
    done = train(environment, tmp_path / "there")
    assert done.returncode == 0, done.stderr
    outer = tmp_path / "there" / "seed17" / "fold1" / "outer"
    assert (pd.read_csv(outer / "metrics.csv")["jeffreys"] > 0).all()
    assert "jeffreys" in (tmp_path / "there" / "settings.yaml").read_text()

    done = environment("-m", "pip", "uninstall", "--yes", "--quiet", PACKAGE)
    assert done.returncode == 0, done.stderr
    done = train(environment, tmp_path / "gone")
    assert done.returncode == 1 and "unknown loss 'jeffreys'" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "gone" / "settings.yaml").exists()
