"""A demo that is trained once, and the preparers of the recipes."""

import pytest
from programs import RECIPES, imported, run_well, small_demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """Folder of a small demo with two candidates, and its run."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    options = ("--candidates=[{}, {number_of_epochs: 1}]", "--train_logger=tensorboard")
    options += (f"--results_file={folder.parent}/results.csv",)
    done = run_well(RECIPES / "Generated", *small_demo(folder, *options))
    return folder, done


@pytest.fixture(scope="module")
def preparer(request):
    """The module prepare.py of the recipe that the test module names as ``RECIPE``."""
    with imported(request.module.RECIPE / "prepare.py") as module:
        yield module


@pytest.fixture
def prepare(preparer, request, tmp_path):
    """(folder, labels, options) -> manifest of the recipe ``RECIPE``, by default with its ``LABELS``; in ``save``."""
    name = request.module.RECIPE.name.lower().replace("-", "_")
    call, labels, options = getattr(preparer, f"prepare_{name}"), request.module.LABELS, {"expect_official": False}
    return lambda folder, labels=labels, **given: call(folder, tmp_path / "save", labels, **(options | given))
