"""One split of a protocol, trained alone."""

import logging
from types import SimpleNamespace

import pandas as pd
import pytest

from akd_toolkit.experiment.paths import RunPaths
from akd_toolkit.recipe_main import run_one


@pytest.fixture
def protocol(tmp_path):
    """Two runs, the first of which is done."""

    def run(name, done):
        scores = pd.DataFrame({"truth": ["a", "a", "b"], "prediction": ["a", "b", "b"]})
        paths = RunPaths(tmp_path / name)
        return SimpleNamespace(name=name, done=done, paths=paths, folder=paths.folder, scores=lambda: scores)

    return SimpleNamespace(all_runs=lambda: [run("seed1/fold1/outer", True), run("seed1/fold2/outer", False)])


def test_one_split_is_trained_where_it_is_not_done_and_its_scores_are_told(protocol, caplog):
    caplog.set_level(logging.INFO)
    trained = []
    for name in ("seed1/fold1/outer", "seed1/fold2/outer"):
        run_one(protocol, name, lambda run: trained.append(run.name))
    assert trained == ["seed1/fold2/outer"]
    assert "WA 66.7, UA 75.0 over 3 utterances" in caplog.text


def test_a_split_that_is_not_in_the_protocol_is_refused_with_those_that_are(protocol):
    with pytest.raises(ValueError, match="only_run: .*seed1/fold9/outer.*seed1/fold2/outer"):
        run_one(protocol, "seed1/fold9/outer", None)
